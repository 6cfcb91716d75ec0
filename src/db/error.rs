//! What can go wrong with the database.

use sqlx::migrate::MigrateError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row holds something that the types refuse: written by something else than this program.
    #[error("the database contains an invalid {what}: {source}")]
    Corrupt { what: &'static str, source: crate::domain::ParseError },
    #[error("the database has schema {found}, but this version supports {known}; use a newer modelhub")]
    NewerSchema { found: i64, known: i64 },
    /// The address cannot be read. It may hold a password, so it is not repeated.
    #[error("database.url: {0}")]
    Url(String),
    #[error("cannot use the PostgreSQL database {at}: {}", words(.cause))]
    Connect { at: String, cause: sqlx::Error },
    #[error(
        "the PostgreSQL database {at} has encoding {found}, which cannot store every file name; create one with \
         `create database … template template0 encoding 'UTF8'`"
    )]
    Encoding { at: String, found: String },
    // What a driver says is part of our words and not a source: it would be said twice.
    #[error("database: {}", words(.0))]
    Driver(sqlx::Error),
    #[error("database migration: {}", words_of_migration(.0))]
    Migrate(MigrateError),
    #[error("database backup: {0}")]
    Backup(std::io::Error),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        Self::Migrate(error)
    }
}

/// What happened, without what the driver puts around it.
pub(super) fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Configuration(error) | sqlx::Error::Tls(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => {
            "timed out waiting for a database connection: the database is unresponsive, or all connections are busy"
                .into()
        }
        error => error.to_string(),
    }
}

fn words_of_migration(error: &MigrateError) -> String {
    match error {
        MigrateError::Execute(error) => words(error),
        MigrateError::ExecuteMigration(error, version) => format!("{version}: {}", words(error)),
        error => error.to_string(),
    }
}

impl Error {
    /// Whether the disk is full (SQLITE_FULL; PostgreSQL's `disk_full`).
    pub fn is_full(&self) -> bool {
        let Self::Driver(sqlx::Error::Database(error)) = self else { return false };
        matches!(error.code().as_deref(), Some("13" | "53100"))
    }
}
