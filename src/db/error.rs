//! What can go wrong with the database.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row holds something that the types refuse: written by something else than this program.
    #[error("the database holds an invalid {what}: {source}")]
    Corrupt { what: &'static str, source: crate::domain::ParseError },
    #[error("the database has schema {found}, this program knows {known}: use a newer modelhub")]
    NewerSchema { found: i64, known: i64 },
    #[error("{0}")]
    Url(String),
    #[error("database: {0}")]
    Driver(#[from] sqlx::Error),
    #[error("database migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("database backup: {0}")]
    Backup(std::io::Error),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the disk is full (SQLITE_FULL; PostgreSQL's `disk_full`).
    pub fn is_full(&self) -> bool {
        let Self::Driver(sqlx::Error::Database(error)) = self else { return false };
        matches!(error.code().as_deref(), Some("13" | "53100"))
    }
}
