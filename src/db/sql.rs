//! The only place that knows two drivers.
//!
//! `Db` is one of two pools, `Tx` a write transaction on one of them. A statement is a text
//! and its arguments as `Value`s; rows are tuples, which decode alike from both. Where the
//! two dialects differ, both texts stand next to each other in a `Pick`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, FromRow, Postgres, Sqlite, Transaction};

use super::changes::{self, Announcer, Change};
use super::error::words;
use super::{Error, Result, migrate};
use crate::domain::{Clock, JobId, ModelId, WorkerId};

/// How long a statement waits for a connection to PostgreSQL, and a start for a server that starts as well.
const PATIENCE: Duration = Duration::from_secs(5);

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pub(super) pools: Pools,
    pub(super) announcer: Announcer,
}

#[derive(Clone)]
pub(super) enum Pools {
    /// One connection writes, so that a writer waits its turn instead of failing as busy.
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
    },
    Postgres(PgPool),
}

/// A write transaction; rolled back when dropped without `commit`.
pub(super) struct Tx {
    open: OpenTx,
    /// What is not as it was when this is committed.
    changes: Vec<Change>,
    announcer: Announcer,
}

enum OpenTx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
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

/// An argument of a statement. Typed also when it is null, as PostgreSQL wants.
pub(super) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Bool(bool),
    Bytes(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}
impl From<&JobId> for Value {
    fn from(id: &JobId) -> Self {
        id.as_str().into()
    }
}
impl From<&ModelId> for Value {
    fn from(id: &ModelId) -> Self {
        id.as_str().into()
    }
}
impl From<&WorkerId> for Value {
    fn from(id: &WorkerId) -> Self {
        id.as_str().into()
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}
impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}
impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// `args![a, b]`: the arguments `$1`, `$2` of a statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::sql::Value::from($value)),*] };
}
pub(super) use args;

/// One statement, or the two dialects of one.
#[derive(Clone, Copy)]
pub(super) struct Pick {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl From<&'static str> for Pick {
    fn from(sql: &'static str) -> Self {
        Self { sqlite: sql, postgres: sql }
    }
}

/// A row type that both drivers can decode: tuples of text, numbers, flags and bytes.
pub(super) trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin> Row for T {}

/// Binds all values to a query of either driver.
macro_rules! bound {
    ($query:expr, $values:expr) => {
        $values.into_iter().fold($query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Int(number) => query.bind(number),
            Value::Bool(flag) => query.bind(flag),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    };
}

impl Db {
    /// Opens the database at `url`, or the embedded one in `data_dir`, and migrates it.
    pub async fn open(url: Option<&str>, data_dir: &Path) -> Result<Self> {
        match url {
            None => Self::open_sqlite(&data_dir.join("modelhub.db")).await,
            Some(url) => match url.strip_prefix("sqlite:") {
                Some(path) => Self::open_sqlite(Path::new(path.trim_start_matches("//"))).await,
                None if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                    Self::open_postgres(url).await
                }
                None => Err(Error::Url("expected sqlite:/path or postgres://user@host/name".into())),
            },
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self> {
        // Made before SQLite makes it: what it holds is for its owner only.
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut file = std::fs::OpenOptions::new();
        #[expect(clippy::disallowed_methods, reason = "the database's own file")]
        file.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(sqlx::Error::Io)?;
        let _one_at_a_time = lock_directory_of(path).await;
        // FULL syncs the log at each commit: with NORMAL a power cut loses acknowledged rows.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let pool = || SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(30)).idle_timeout(None);
        let write = pool().max_connections(1).connect_with(options.clone()).await?;
        let read = pool().max_connections(4).connect_with(options.read_only(true)).await?;
        let db = Self { pools: Pools::Sqlite { read, write }, announcer: Announcer::new() };
        migrate::run(&db).await?;
        Ok(db)
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url).map_err(|error| {
            let encode = "special characters in postgres://user:password@host/name must be percent-encoded";
            Error::Url(format!("{}; {encode}", words(&error)))
        })?;
        let options = options.application_name("modelhub");
        let name = options.get_database().unwrap_or_else(|| options.get_username());
        let at = match options.get_socket() {
            Some(socket) => format!("`{name}` at {}", socket.display()),
            None => format!("`{name}` at {}:{}", options.get_host(), options.get_port()),
        };
        // One of them listens for what other processes change.
        let pool = PgPoolOptions::new().max_connections(9).acquire_timeout(PATIENCE);
        let pool = match pool.connect_with(options.clone()).await {
            Ok(pool) => pool,
            Err(sqlx::Error::PoolTimedOut) => {
                // The pool has retried, and does not say why it failed.
                let attempt = Clock::system().timeout(Duration::from_secs(1), options.connect()).await;
                let cause = attempt.ok().and_then(|outcome| outcome.err()).unwrap_or(sqlx::Error::PoolTimedOut);
                return Err(Error::Connect { at, cause });
            }
            Err(cause) => return Err(Error::Connect { at, cause }),
        };
        // A database made under LANG=C has SQL_ASCII, one of a regional locale perhaps LATIN1.
        let sql = "select current_setting('server_encoding')";
        let (found,): (String,) = sqlx::query_as(sql).fetch_one(&pool).await?;
        if found != "UTF8" {
            return Err(Error::Encoding { at, found });
        }
        let db = Self { pools: Pools::Postgres(pool), announcer: Announcer::new() };
        migrate::run(&db).await?;
        Ok(db)
    }

    /// The pool, if this is PostgreSQL.
    pub fn postgres(&self) -> Option<&PgPool> {
        match &self.pools {
            Pools::Sqlite { .. } => None,
            Pools::Postgres(pool) => Some(pool),
        }
    }

    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    pub(super) async fn begin(&self) -> Result<Tx> {
        let open = match &self.pools {
            // IMMEDIATE takes the write lock first: a later upgrade would fail as busy.
            Pools::Sqlite { write, .. } => OpenTx::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?),
            Pools::Postgres(pool) => OpenTx::Postgres(begin_whole(pool).await?),
        };
        Ok(Tx { open, changes: Vec::new(), announcer: self.announcer.clone() })
    }

    /// Runs one writing statement; the number of rows that it changed.
    pub(super) async fn execute(&self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<u64> {
        let sql = sql.into();
        Ok(match &self.pools {
            Pools::Sqlite { write, .. } => {
                bound!(sqlx::query(sql.sqlite), values).execute(write).await?.rows_affected()
            }
            Pools::Postgres(pool) => bound!(sqlx::query(sql.postgres), values).execute(pool).await?.rows_affected(),
        })
    }

    pub(super) async fn all<T: Row>(&self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<Vec<T>> {
        let sql = sql.into();
        Ok(match &self.pools {
            Pools::Sqlite { read, .. } => bound!(sqlx::query_as(sql.sqlite), values).fetch_all(read).await?,
            Pools::Postgres(pool) => bound!(sqlx::query_as(sql.postgres), values).fetch_all(pool).await?,
        })
    }

    pub(super) async fn optional<T: Row>(&self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<Option<T>> {
        let sql = sql.into();
        Ok(match &self.pools {
            Pools::Sqlite { read, .. } => bound!(sqlx::query_as(sql.sqlite), values).fetch_optional(read).await?,
            Pools::Postgres(pool) => bound!(sqlx::query_as(sql.postgres), values).fetch_optional(pool).await?,
        })
    }
}

/// Begins a transaction even if nobody waits for it any more; then it is rolled back. sqlx forgets a BEGIN whose
/// caller goes away before the server's answer: the connection would go back with a transaction open that takes
/// along, unseen and uncommitted, what others write next.
async fn begin_whole(pool: &PgPool) -> Result<Transaction<'static, Postgres>> {
    let pool = pool.clone();
    let beginning = tokio::spawn(async move { pool.begin().await });
    // It is not aborted; only a runtime that ends does that.
    Ok(beginning.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))?)
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
        sqlx::query(sql).bind(what.0).execute(&mut **tx).await?;
        Ok(())
    }

    pub(super) async fn execute(&mut self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<u64> {
        let sql = sql.into();
        Ok(match &mut self.open {
            OpenTx::Sqlite(tx) => bound!(sqlx::query(sql.sqlite), values).execute(&mut **tx).await?.rows_affected(),
            OpenTx::Postgres(tx) => bound!(sqlx::query(sql.postgres), values).execute(&mut **tx).await?.rows_affected(),
        })
    }

    pub(super) async fn all<T: Row>(&mut self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<Vec<T>> {
        let sql = sql.into();
        Ok(match &mut self.open {
            OpenTx::Sqlite(tx) => bound!(sqlx::query_as(sql.sqlite), values).fetch_all(&mut **tx).await?,
            OpenTx::Postgres(tx) => bound!(sqlx::query_as(sql.postgres), values).fetch_all(&mut **tx).await?,
        })
    }

    pub(super) async fn optional<T: Row>(&mut self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<Option<T>> {
        let sql = sql.into();
        Ok(match &mut self.open {
            OpenTx::Sqlite(tx) => bound!(sqlx::query_as(sql.sqlite), values).fetch_optional(&mut **tx).await?,
            OpenTx::Postgres(tx) => bound!(sqlx::query_as(sql.postgres), values).fetch_optional(&mut **tx).await?,
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
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// Of several processes that open one SQLite database concurrently, one creates and migrates it and the others wait:
/// SQLite itself refuses connections while the log of a new file is being created. A lock on the directory needs no
/// file and ends with its holder. (PostgreSQL's migrator has a lock there.) Where a filesystem has no such locks, they
/// start one by one or fail.
async fn lock_directory_of(database: &Path) -> Option<File> {
    let directory = match database.parent()? {
        here if here.as_os_str().is_empty() => PathBuf::from("."),
        directory => directory.to_owned(),
    };
    let locked = tokio::task::spawn_blocking(move || {
        let directory = File::open(directory)?;
        directory.lock().map(|()| directory)
    });
    locked.await.ok()?.ok()
}
