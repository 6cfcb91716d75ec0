//! The SQLite file: its connections, and what was found to be wrong with it.
//!
//! One connection writes, so that writers wait their turn instead of failing as busy. While another process has the file
//! locked, the first of them waits in vain for as long as SQLite does (`LOCKED`), and all who wait behind it are told when
//! it is: so nobody waits longer, and a queue that moves may be as long as it is.
//!
//! Damage is remembered: nothing mends the file while it is open, and a write elsewhere in it may still succeed. It is
//! logged once.

use std::sync::OnceLock;
use std::time::Duration;

use sqlx::Sqlite;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::sync::Notify;

use super::pools::{Lent, has_written};
use super::{Error, Outage, Result};

/// How long SQLite waits for what another process has locked.
pub(super) const LOCKED: Duration = Duration::from_secs(5);
/// How long a statement waits for a connection, while others use it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct SqliteFile {
    pub(super) read: SqlitePool,
    pub(super) write: SqlitePool,
    /// A writer waited in vain for another process.
    locked: Notify,
    /// What the first statement that met damage was told.
    damage: OnceLock<String>,
}

impl SqliteFile {
    pub(super) async fn open(options: SqliteConnectOptions) -> Result<Self> {
        let pool = || SqlitePoolOptions::new().acquire_timeout(PATIENCE).idle_timeout(None);
        let write = pool().max_connections(1).connect_with(options.clone()).await?;
        let read = pool().max_connections(4).connect_with(options.read_only(true)).await?;
        Ok(Self { read, write, locked: Notify::new(), damage: OnceLock::new() })
    }

    /// The connection that writes.
    pub(super) async fn lend_writer(&self) -> Result<Lent<Sqlite>> {
        let locked = self.locked.notified();
        tokio::select! {
            biased;
            lent = Lent::from(&self.write) => lent,
            () = locked => Err(Error::Locked),
        }
    }

    /// How a writing statement ended.
    pub(super) fn written<T>(&self, outcome: sqlx::Result<T>) -> Result<T> {
        let outcome = self.seen(outcome);
        match &outcome {
            Ok(_) => has_written(),
            Err(error) if error.outage() == Some(Outage::Locked) => self.locked.notify_waiters(),
            Err(_) => {}
        }
        outcome
    }

    /// How a statement ended.
    pub(super) fn seen<T>(&self, outcome: sqlx::Result<T>) -> Result<T> {
        outcome.map_err(|cause| {
            let what = cause.as_database_error().map(|cause| cause.message().to_owned()).unwrap_or_default();
            let error = Error::from(cause);
            if error.is_damage() && self.damage.set(what).is_ok() {
                tracing::error!(%error, "the SQLite file is damaged");
            }
            error
        })
    }

    /// Fails if damage was met since the file was opened.
    pub(super) fn check_sound(&self) -> Result<()> {
        self.damage.get().map_or(Ok(()), |what| Err(Error::Unsound(what.clone())))
    }
}
