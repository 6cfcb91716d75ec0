//! A database of one test: SQLite in a directory, or one on the PostgreSQL server.

use std::path::{Path, PathBuf};

use modelhub::db::{BlobRow, Db, Error, NewBlob, RepoRow};
use modelhub::domain::{
    Artifact, CommitId, ContentId, Digest, Entry, GitOid, ModelId, RepoId, RepoKey, RepoKind, RepoPath, Visibility,
    XetHash,
};
use sqlx::AssertSqlSafe;
use sqlx::migrate::Migrator;
use tempfile::TempDir;

use crate::server::Server;

/// The same test on both databases: `on_both!(a, b)` makes `sqlite::a`, `postgres::a` and so on of
/// `async fn a(db: &TestDatabase)`.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(&$crate::database::TestDatabase::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(&$crate::database::TestDatabase::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both;

pub(crate) struct TestDatabase {
    /// `None` is what the hub does without `database.url`: SQLite in its data directory.
    pub(crate) url: Option<String>,
    dir: TempDir,
}

impl TestDatabase {
    pub(crate) fn sqlite() -> Self {
        Self { url: None, dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn postgres() -> Self {
        Self { url: Some(Server::shared().new_database().await), dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn try_open(&self) -> Result<Db, Error> {
        Db::open(self.url.as_deref(), self.dir.path()).await
    }

    /// Opens it as the hub does.
    pub(crate) async fn open(&self) -> Db {
        self.try_open().await.unwrap()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.url.is_some()
    }

    /// Brings an empty database to an older version of the schema.
    pub(crate) async fn migrate_to(&self, version: i64) {
        match self.pools().await {
            Pools::Sqlite(pool) => migrator("sqlite").await.run_to(version, &pool).await.unwrap(),
            Pools::Postgres(pool) => migrator("postgres").await.run_to(version, &pool).await.unwrap(),
        }
    }

    /// Runs statements of our own.
    pub(crate) async fn execute(&self, sql: &str) {
        match self.pools().await {
            Pools::Sqlite(pool) => drop(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap()),
            Pools::Postgres(pool) => drop(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap()),
        }
    }

    /// The first column of all rows.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let rows: Vec<(String,)> = match self.pools().await {
            Pools::Sqlite(pool) => sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&pool).await.unwrap(),
            Pools::Postgres(pool) => sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&pool).await.unwrap(),
        };
        rows.into_iter().map(|(text,)| text).collect()
    }

    /// How SQLite would run a statement, step by step.
    pub(crate) async fn plan(&self, sql: &str) -> Vec<String> {
        let Pools::Sqlite(pool) = self.pools().await else { unreachable!("PostgreSQL says it otherwise") };
        let explain = AssertSqlSafe(format!("explain query plan {sql}"));
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&pool).await.unwrap();
        rows.into_iter().map(|(.., step)| step).collect()
    }

    async fn pools(&self) -> Pools {
        match &self.url {
            None => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.file()).create_if_missing(true);
                Pools::Sqlite(sqlx::SqlitePool::connect_with(options).await.unwrap())
            }
            Some(url) => Pools::Postgres(sqlx::PgPool::connect(url).await.unwrap()),
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("modelhub.db")
    }
}

enum Pools {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

async fn migrator(folder: &str) -> Migrator {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
    Migrator::new(folder).await.unwrap()
}

pub(crate) fn key(id: &str) -> RepoKey {
    RepoKey::new(RepoKind::Model, RepoId::parse(id).unwrap())
}

pub(crate) fn id(text: &str) -> ModelId {
    ModelId::new(text)
}

/// A repository that is known at time 1; its row id is its name.
pub(crate) async fn repo(db: &Db, name: &str) -> RepoRow {
    db.put_repo(&key(name), Visibility::Public, &id(&format!("row of {name}")), 1).await.unwrap()
}

/// A commit of 40 times this digit.
pub(crate) fn commit(digit: char) -> CommitId {
    CommitId::parse(&digit.to_string().repeat(40)).unwrap()
}

/// A repository with a commit of ones, pinned as main.
pub(crate) async fn repo_with_commit(db: &Db) -> (ModelId, CommitId) {
    let row = repo(db, "org/model").await.id;
    db.put_revision(&row, Some("main"), &commit('1'), None, 1).await.unwrap();
    (row, commit('1'))
}

pub(crate) fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

pub(crate) fn oid(byte: u8) -> GitOid {
    GitOid::from_bytes([byte; 20])
}

pub(crate) fn xet(byte: u8) -> XetHash {
    XetHash::parse(&format!("{byte:02x}").repeat(32)).unwrap()
}

pub(crate) fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

/// A file that git holds itself.
pub(crate) fn file(name: &str) -> Entry {
    Entry::File(Artifact {
        path: path(name),
        size: 7,
        content: ContentId::Git(oid(7)),
        oid: Some(oid(7)),
        xet_hash: None,
    })
}

/// A large file, as a listing has it.
pub(crate) fn lfs(name: &str, content: u8) -> Entry {
    Entry::File(Artifact {
        path: path(name),
        size: 1 << 40,
        content: ContentId::Sha256(digest(content)),
        oid: Some(oid(content)),
        xet_hash: None,
    })
}

pub(crate) fn folder(name: &str) -> Entry {
    Entry::Directory { path: path(name), oid: oid(9) }
}

pub(crate) async fn by_xet(db: &Db, repo: &ModelId, xet_hash: XetHash) -> Option<(CommitId, Artifact)> {
    db.artifact_by_xet(repo, xet_hash, "").await.unwrap()
}

pub(crate) fn xet_hash_of(entry: &Entry) -> Option<XetHash> {
    match entry {
        Entry::File(artifact) => artifact.xet_hash,
        Entry::Directory { .. } => None,
    }
}

pub(crate) fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.path().as_str()).collect()
}

/// A file that has got its name, and is no link.
pub(crate) async fn put_blob(
    db: &Db,
    digest: Digest,
    git: Option<GitOid>,
    size: u64,
    now: i64,
) -> Result<BlobRow, Error> {
    db.put_blob(&NewBlob { digest, git, size, modified_ns: 7, is_linked: false, xet_hash: None }, now).await
}

/// Forgets a blob as it is now, if there is one.
pub(crate) async fn delete_blob(db: &Db, digest: Digest) -> Result<bool, Error> {
    let found = db.blob_page(None, 10_000).await?.into_iter().find(|row| row.digest == digest);
    match found {
        Some(row) => db.delete_blob(&row).await,
        None => Ok(false),
    }
}
