//! A write transaction, and what it may lock.
//!
//! On a connection of its own (`Lent`), which serves others afterwards, unless a statement failed or was given up in the
//! middle: then the database rolls back when the connection is closed.

use std::sync::Arc;

use sqlx::{Postgres, Sqlite};

use super::changes::{self, Announcer, Change};
use super::pools::{Lent, Pools, answer, has_written};
use super::sql::{Pick, Row, Value, bound};
use super::sqlite::SqliteFile;
use super::{Db, Error, Result};

/// A write transaction; rolled back when dropped without `commit`.
pub(super) struct Tx {
    open: OpenTx,
    /// What is not as it was when this is committed.
    changes: Vec<Change>,
    announcer: Announcer,
}

enum OpenTx {
    Sqlite(Arc<SqliteFile>, Lent<Sqlite>),
    Postgres(Lent<Postgres>),
}

/// What a transaction may lock that is not a row, by a number that is ours alone within a database.
#[derive(Clone, Copy)]
pub(super) struct Lock(i64);

impl Lock {
    /// Which contents have a Xet hash.
    pub(super) const XET_HASHES: Self = Self(0x6d6f_6465_6c68_7562);
    /// Which jobs run: limits count them.
    pub(super) const JOB_CLAIMS: Self = Self(0x6d6f_6465_6c68_7563);
    /// What was changed: rows come to light in the order of their numbers.
    pub(super) const CHANGES: Self = Self(0x6d6f_6465_6c68_7564);

    pub(super) fn number(self) -> i64 {
        self.0
    }
}

#[derive(Clone, Copy)]
pub(super) enum Sharing {
    Shared,
    Alone,
}

impl Db {
    pub(super) async fn begin(&self) -> Result<Tx> {
        let open = match &self.pools {
            Pools::Sqlite(file) => {
                let mut lent = file.lend_writer().await?;
                // IMMEDIATE takes the write lock first: a later upgrade would fail as busy.
                file.written(lent.begin("begin immediate").await)?;
                OpenTx::Sqlite(Arc::clone(file), lent)
            }
            Pools::Postgres(pool) => {
                let mut lent = Lent::from(pool).await?;
                answer(lent.begin("begin")).await?;
                OpenTx::Postgres(lent)
            }
        };
        Ok(Tx { open, changes: Vec::new(), announcer: self.announcer.clone() })
    }
}

impl Tx {
    /// Until this transaction ends no other has this lock, except that several may have it `Shared`.
    /// Taken before any row is touched. SQLite has one writer anyway.
    pub(super) async fn lock(&mut self, what: Lock, how: Sharing) -> Result<()> {
        let OpenTx::Postgres(tx) = &mut self.open else { return Ok(()) };
        let sql = match how {
            Sharing::Shared => "select pg_advisory_xact_lock_shared($1)",
            Sharing::Alone => "select pg_advisory_xact_lock($1)",
        };
        answer(sqlx::query(sql).bind(what.0).execute(&mut **tx)).await?;
        tx.ended_well();
        Ok(())
    }

    pub(super) async fn execute(&mut self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<u64> {
        let sql = sql.into();
        Ok(match &mut self.open {
            OpenTx::Sqlite(file, tx) => {
                let done = file.written(bound!(sqlx::query(sql.sqlite), values).execute(&mut **tx).await)?;
                tx.ended_well();
                done.rows_affected()
            }
            OpenTx::Postgres(tx) => {
                let done = answer(bound!(sqlx::query(sql.postgres), values).execute(&mut **tx)).await?;
                tx.ended_well();
                done.rows_affected()
            }
        })
    }

    pub(super) async fn all<T: Row>(&mut self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<Vec<T>> {
        let sql = sql.into();
        Ok(match &mut self.open {
            OpenTx::Sqlite(file, tx) => {
                let rows = file.seen(bound!(sqlx::query_as(sql.sqlite), values).fetch_all(&mut **tx).await)?;
                tx.ended_well();
                rows
            }
            OpenTx::Postgres(tx) => {
                let rows = answer(bound!(sqlx::query_as(sql.postgres), values).fetch_all(&mut **tx)).await?;
                tx.ended_well();
                rows
            }
        })
    }

    pub(super) async fn optional<T: Row>(&mut self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<Option<T>> {
        let sql = sql.into();
        Ok(match &mut self.open {
            OpenTx::Sqlite(file, tx) => {
                let row = file.seen(bound!(sqlx::query_as(sql.sqlite), values).fetch_optional(&mut **tx).await)?;
                tx.ended_well();
                row
            }
            OpenTx::Postgres(tx) => {
                let row = answer(bound!(sqlx::query_as(sql.postgres), values).fetch_optional(&mut **tx)).await?;
                tx.ended_well();
                row
            }
        })
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.open, OpenTx::Postgres(_))
    }

    /// Says that something is not as it was, from the commit on.
    pub(super) fn tells(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    pub(super) async fn commit(self) -> Result<()> {
        if self.changes.is_empty() {
            return self.open.commit().await;
        }
        // To the end, also when nobody waits for it any more: what is written must be announced.
        let Self { mut open, changes, announcer } = self;
        let committing = tokio::spawn(async move {
            if let OpenTx::Postgres(tx) = &mut open {
                changes::write(tx, &changes, &announcer).await?;
            }
            let outcome = open.commit().await;
            // Also after a failure: it may have been committed all the same.
            announcer.tell(&changes);
            outcome
        });
        // It is not aborted; only a runtime that ends does that.
        committing.await.unwrap_or(Err(Error::Driver(sqlx::Error::WorkerCrashed)))
    }
}

impl OpenTx {
    async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(file, mut tx) => file.written(tx.commit().await),
            Self::Postgres(mut tx) => {
                answer(tx.commit()).await?;
                has_written();
                Ok(())
            }
        }
    }
}
