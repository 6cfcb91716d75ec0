//! What can go wrong with the database.

use std::path::PathBuf;
use std::time::Duration;

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
    /// As another waited in vain for it.
    #[error("database: another process has the SQLite file locked")]
    Locked,
    /// A server that holds the connection and says nothing.
    #[error("database: no answer within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("database migration: {}", words_of_migration(.0))]
    Migrate(MigrateError),
    #[error("database: {DAMAGED} ({0})")]
    Unsound(String),
    #[error("cannot rename the damaged database {}: {source}", path.display())]
    Aside { path: PathBuf, source: std::io::Error },
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
        sqlx::Error::Database(database) if is_damage(error) => format!("{} ({})", DAMAGED, database.message()),
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

/// Why the database cannot be used for now, through no fault of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// Its disk is full.
    Full,
    /// It may only be read.
    ReadOnly,
    /// It does not answer, or not in time.
    Away,
    /// Another process has the SQLite file locked.
    Locked,
    /// The SQLite file is not one, or not whole.
    Damaged,
}

/// What to do, said wherever the damage shows.
const DAMAGED: &str = "the SQLite file is damaged. Restore it from a backup, or stop the hub and run `modelhub store \
                       rebuild`, which makes a new database from the stored files";

/// CORRUPT and NOTADB, by SQLite's result code.
fn is_damage(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let code = error.code().filter(|code| code.len() < 5).and_then(|code| code.parse::<u32>().ok());
    matches!(code.map(|code| code & 0xff), Some(11 | 26))
}

impl Error {
    /// Whether the SQLite file is not one, or not whole.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Unsound(_) => true,
            Self::Driver(error) => is_damage(error),
            Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => is_damage(error),
            _ => false,
        }
    }

    /// Why the database cannot be used for now, through no fault of the statement; `None` for any other failure.
    pub fn outage(&self) -> Option<Outage> {
        if self.is_damage() {
            return Some(Outage::Damaged);
        }
        match self {
            Self::Locked => Some(Outage::Locked),
            Self::Silent(_) | Self::Driver(sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => Some(Outage::Away),
            Self::Driver(sqlx::Error::Database(error)) => outage_of(&error.code()?),
            _ => None,
        }
    }
}

/// By SQLite's extended result code (a number; https://sqlite.org/rescode.html), or PostgreSQL's SQLSTATE (five
/// characters; appendix A of its manual).
fn outage_of(code: &str) -> Option<Outage> {
    if code.len() < 5 {
        /// IOERR_SHMSIZE: no space for the index of the log.
        const SHM_SIZE: u32 = 4874;
        let code: u32 = code.parse().ok()?;
        return match (code, code & 0xff) {
            (SHM_SIZE, _) | (_, 13) => Some(Outage::Full),
            // BUSY and LOCKED.
            (_, 5 | 6) => Some(Outage::Locked),
            (_, 8) => Some(Outage::ReadOnly),
            _ => None,
        };
    }
    match code {
        "53100" => Some(Outage::Full),
        "25006" => Some(Outage::ReadOnly),
        // Too many connections; canceled by a time limit; the wait for a lock; idle in a transaction.
        "53300" | "57014" | "55P03" | "25P03" => Some(Outage::Away),
        // The connection failed; the server shuts down, crashed, starts.
        _ if code.starts_with("08") || code.starts_with("57P") => Some(Outage::Away),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        for (code, outage) in [
            ("13", Some(Outage::Full)),
            ("4874", Some(Outage::Full)),
            ("5", Some(Outage::Locked)),
            ("517", Some(Outage::Locked)),
            ("1032", Some(Outage::ReadOnly)),
            ("778", None),
            ("2067", None),
            ("53100", Some(Outage::Full)),
            ("25006", Some(Outage::ReadOnly)),
            ("57014", Some(Outage::Away)),
            ("57P03", Some(Outage::Away)),
            ("08006", Some(Outage::Away)),
            ("23505", None),
        ] {
            assert_eq!(outage_of(code), outage, "{code}");
        }
    }
}
