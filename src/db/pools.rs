//! The connections to the database: how it is opened, and how long anything may take.
//!
//! What runs on a connection has it lent (`Lent`). It goes back to its pool when that has ended well, also by giving up a
//! transaction. After any failure, or when nobody waits any more, it is closed, and the database ends what was open on it.
//! So what went wrong once is in nobody's way: a transaction that SQLite has rolled back by itself, a BEGIN that nobody waited for, an answer that
//! never came, a server that may only be read since another one took its place.
//!
//! SQLite waits for its disk and for other writers. A PostgreSQL server may say nothing at all, so every wait for it
//! has a limit here; the same limits are told to the server, which then says why, and lets go of locks.

use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Database, PgConnection, Pool, Postgres, Sqlite, SqliteConnection};

use super::changes::Announcer;
use super::error::words;
use super::sqlite::{LOCKED, SqliteFile};
use super::{Db, Error, Outage, Result, migrate};
use crate::domain::Clock;
use crate::telemetry::DATABASE_AWAY;

/// How long a statement waits for a connection to PostgreSQL, and a start for a server that starts as well.
const PATIENCE: Duration = Duration::from_secs(5);
/// For one statement: huggingface_hub gives up after 10 s of silence.
const STATEMENT: Duration = Duration::from_secs(8);
/// What the server is told: less, so that it is the one that says why.
const TOLD: [(&str, &str); 3] = [
    ("statement_timeout", "7s"),
    ("lock_timeout", "6s"),
    // A hub that was stopped in the middle (SIGSTOP, a suspended machine) keeps nobody waiting for its locks.
    ("idle_in_transaction_session_timeout", "30s"),
];
/// For the word of a healthy server that a connection can go back to its pool.
const RETURN: Duration = Duration::from_secs(2);
/// Connections made before this are not used again. A server that refuses to write does so for all that was connected
/// until whoever made it so (a failover, a setting) takes it back: what is older than its last refusal, or than the first
/// write after that, may be of those.
static TRUSTED_FROM_MS: AtomicU64 = AtomicU64::new(0);
/// Nothing was written since the last refusal.
static REFUSING: AtomicBool = AtomicBool::new(false);
static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::system);

/// Connections to PostgreSQL, besides the one that listens for what other processes change.
const CONNECTIONS: u32 = 8;

#[derive(Clone)]
pub(super) enum Pools {
    Sqlite(Arc<SqliteFile>),
    Postgres(PgPool),
}

/// The two drivers, as far as they are used alike here.
pub(super) trait Driver: Database {
    /// Runs a statement without arguments.
    fn run(connection: &mut Self::Connection, sql: &'static str) -> impl Future<Output = sqlx::Result<()>> + Send;
}

impl Driver for Sqlite {
    async fn run(connection: &mut SqliteConnection, sql: &'static str) -> sqlx::Result<()> {
        sqlx::raw_sql(sql).execute(connection).await.map(drop)
    }
}

impl Driver for Postgres {
    async fn run(connection: &mut PgConnection, sql: &'static str) -> sqlx::Result<()> {
        sqlx::raw_sql(sql).execute(connection).await.map(drop)
    }
}

/// A connection for one statement or one transaction. Whoever has run something on it says so when it has `ended_well`;
/// without that it is closed when dropped, as it is if nobody waits any more.
pub(super) struct Lent<D: Driver> {
    /// `None` once it was dropped.
    connection: Option<PoolConnection<D>>,
    /// Something runs on it, or has failed.
    is_uncertain: bool,
    in_transaction: bool,
}

impl<D: Driver> Lent<D> {
    pub(super) async fn from(pool: &Pool<D>) -> Result<Self> {
        Ok(Self { connection: Some(pool.acquire().await?), is_uncertain: false, in_transaction: false })
    }

    /// Begins a transaction; rolled back if this is dropped before `commit`.
    pub(super) async fn begin(&mut self, how: &'static str) -> sqlx::Result<()> {
        D::run(self, how).await?;
        self.in_transaction = true;
        self.ended_well();
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> sqlx::Result<()> {
        D::run(self, "commit").await?;
        self.in_transaction = false;
        self.ended_well();
        Ok(())
    }

    /// What was run has ended well.
    pub(super) fn ended_well(&mut self) {
        self.is_uncertain = false;
    }
}

impl<D: Driver> Drop for Lent<D> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.is_uncertain {
            connection.close_on_drop();
            return;
        }
        // Given up for a reason that is none of the database's, such as an order that is refused.
        let is_given_up = self.in_transaction;
        // As the connection's own drop does, which waits without a limit for the server's word that it is well.
        tokio::spawn(async move {
            let returning = async {
                if is_given_up {
                    D::run(&mut connection, "rollback").await?;
                }
                connection.return_to_pool().await;
                Ok::<_, sqlx::Error>(())
            };
            if !matches!(Clock::system().timeout(RETURN, returning).await, Ok(Ok(()))) {
                connection.close_on_drop();
            }
        });
    }
}

impl<D: Driver> Deref for Lent<D> {
    type Target = D::Connection;
    fn deref(&self) -> &D::Connection {
        self.connection.as_ref().expect("lent until it is dropped")
    }
}

impl<D: Driver> DerefMut for Lent<D> {
    /// For something that runs on it.
    fn deref_mut(&mut self) -> &mut D::Connection {
        self.is_uncertain = true;
        self.connection.as_mut().expect("lent until it is dropped")
    }
}

/// What PostgreSQL answers, within the limit of a statement.
pub(super) async fn answer<T>(statement: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    match Clock::system().timeout(STATEMENT, statement).await {
        Ok(answer) => answer.map_err(|error| {
            let error = Error::from(error);
            if error.outage() == Some(Outage::ReadOnly) {
                REFUSING.store(true, Ordering::SeqCst);
                distrust_older();
            }
            error
        }),
        Err(_) => Err(Error::Silent(STATEMENT)),
    }
}

/// To be called after the database has written something.
pub(super) fn has_written() {
    DATABASE_AWAY.is_over();
    if REFUSING.load(Ordering::Relaxed) && REFUSING.swap(false, Ordering::SeqCst) {
        distrust_older();
    }
}

fn distrust_older() {
    TRUSTED_FROM_MS.fetch_max(ms(CLOCK.elapsed()), Ordering::SeqCst);
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Where the SQLite file is, if that is what is meant.
pub(super) fn sqlite_path(url: Option<&str>, data_dir: &Path) -> Option<PathBuf> {
    let Some(url) = url else { return Some(data_dir.join("modelhub.db")) };
    url.strip_prefix("sqlite:").map(|path| PathBuf::from(path.trim_start_matches("//")))
}

impl Db {
    /// Opens the database at `url`, or the embedded one in `data_dir`, and migrates it.
    pub async fn open(url: Option<&str>, data_dir: &Path) -> Result<Self> {
        match (sqlite_path(url, data_dir), url) {
            (Some(path), _) => Self::open_sqlite(&path).await,
            (None, Some(url)) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Self::open_postgres(url).await
            }
            (None, _) => Err(Error::Url("expected sqlite:/path or postgres://user@host/name".into())),
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
            .busy_timeout(LOCKED);
        let file = Arc::new(SqliteFile::open(options).await?);
        let db = Self { pools: Pools::Sqlite(file), announcer: Announcer::new() };
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
        let options = options.options(TOLD);
        LazyLock::force(&CLOCK);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .before_acquire(|_, connection| {
                let made_at = CLOCK.elapsed().saturating_sub(connection.age);
                let is_good = ms(made_at) >= TRUSTED_FROM_MS.load(Ordering::SeqCst);
                Box::pin(async move { Ok(is_good) })
            })
            // Both would close connections without a limit.
            .idle_timeout(None)
            .max_lifetime(None);
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
        let (found,): (String,) = answer(sqlx::query_as(sql).fetch_one(&pool)).await?;
        if found != "UTF8" {
            return Err(Error::Encoding { at, found });
        }
        let db = Self { pools: Pools::Postgres(pool), announcer: Announcer::new() };
        migrate::run(&db).await?;
        Ok(db)
    }

    /// A connection whose statements may take as long as they do.
    pub(super) fn patient(pool: &PgPool) -> PgPool {
        let options = (*pool.connect_options()).clone().options(TOLD.map(|(limit, _)| (limit, "0")));
        PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_lazy_with(options)
    }

    /// A connection of its own, for who listens all the time.
    pub(super) fn listening(pool: &PgPool) -> PgPool {
        let options = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
        options.connect_lazy_with((*pool.connect_options()).clone())
    }

    /// The pool, if this is PostgreSQL.
    pub fn postgres(&self) -> Option<&PgPool> {
        match &self.pools {
            Pools::Sqlite(_) => None,
            Pools::Postgres(pool) => Some(pool),
        }
    }

    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite(file) => {
                file.read.close().await;
                file.write.close().await;
            }
            Pools::Postgres(pool) => {
                // A server that says nothing answers no farewell.
                if Clock::system().timeout(PATIENCE, pool.close()).await.is_err() {
                    tracing::warn!("PostgreSQL does not respond: its connections were cut");
                }
            }
        }
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
