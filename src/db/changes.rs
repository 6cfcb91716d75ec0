//! What was changed in the database and may be kept in memory by others, this process among them.
//!
//! There is one way for one process and for many. A transaction says what it makes untrue (`Tx::tells`). When it has been
//! committed, the listener of this process is told, before the transaction's caller goes on. On PostgreSQL the same is
//! a row of `invalidation`, written by the transaction itself; every other process reads these rows in their order: woken
//! by NOTIFY, and once a second in any case (`Feed`).
//!
//! To be told of something twice, or of what was not kept, does no harm: who listens drops what it keeps, and reads it
//! again when it is asked for.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgListener, PgPool};

use super::pools::answer;
use super::sql::args;
use super::tx::Lock;
use super::{Db, Result};
use crate::domain::{Clock, CommitId, ContentId, Digest, GitOid, Millis, ModelId, RepoId, RepoKey, RepoKind};

/// PostgreSQL's name for what wakes the readers.
const CHANNEL: &str = "modelhub_invalidation";
/// Rows that are kept. Who is further behind than this drops everything.
const KEPT: i64 = 20_000;
/// Rows per read.
const PAGE: u64 = 1000;
/// A NOTIFY may be lost with its connection.
const POLL: Duration = Duration::from_secs(1);

/// One thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The file of this blob that had this generation, or one before it, is not to be served any more: it is damaged,
    /// gone, or another one has its name.
    Blob { digest: Digest, git: Option<GitOid>, generation: i64 },
    /// A wrong body of this content was sent to somebody.
    Taint { content: ContentId, until: Millis },
    /// A repository has another visibility, another name, or is gone; also announced under its older names.
    Repo(RepoKey),
    /// A name of the repository with this id means another commit, or nothing.
    Revision { repo: ModelId, name: String },
    /// It is known otherwise than before what this commit has, or where it is known from.
    Commit { repo: ModelId, commit: CommitId },
    /// This content has a Xet hash now.
    XetHash(Digest),
    /// Settings that can be changed while running.
    Settings,
    /// More happened than can be listed.
    Everything,
}

impl Change {
    fn row(&self) -> (&'static str, String) {
        match self {
            Self::Blob { digest, git, generation } => {
                let git = git.map(|git| format!(" {}", git.to_hex())).unwrap_or_default();
                ("blob", format!("{generation} {}{git}", digest.to_hex()))
            }
            Self::Taint { content, until } => ("taint", format!("{until} {}", content.to_hex())),
            Self::Repo(key) => ("repo", format!("{} {}", key.kind.as_str(), key.id)),
            Self::Revision { repo, name } => ("revision", format!("{repo} {name}")),
            Self::Commit { repo, commit } => ("commit", format!("{repo} {commit}")),
            Self::XetHash(digest) => ("xet_hash", digest.to_hex()),
            Self::Settings => ("settings", String::new()),
            Self::Everything => ("everything", String::new()),
        }
    }

    /// A row of a later version, or a damaged one, is `Everything`: better to drop too much than to keep what is untrue.
    fn parse(kind: &str, key: &str) -> Self {
        Self::known(kind, key).unwrap_or(Self::Everything)
    }

    fn known(kind: &str, key: &str) -> Option<Self> {
        let two = || key.split_once(' ');
        Some(match kind {
            "blob" => {
                let (generation, names) = two()?;
                let (digest, git) = match names.split_once(' ') {
                    Some((digest, git)) => (digest, Some(GitOid::parse(git).ok()?)),
                    None => (names, None),
                };
                Self::Blob { digest: Digest::parse(digest).ok()?, git, generation: generation.parse().ok()? }
            }
            "taint" => {
                let (until, content) = two()?;
                Self::Taint { content: ContentId::parse(content).ok()?, until: until.parse().ok()? }
            }
            "repo" => {
                let (kind, id) = two()?;
                Self::Repo(RepoKey::new(RepoKind::parse(kind)?, RepoId::parse(id).ok()?))
            }
            "revision" => {
                let (repo, name) = two()?;
                Self::Revision { repo: ModelId::new(repo), name: name.to_owned() }
            }
            "commit" => {
                let (repo, commit) = two()?;
                Self::Commit { repo: ModelId::new(repo), commit: CommitId::parse(commit).ok()? }
            }
            "xet_hash" => Self::XetHash(Digest::parse(key).ok()?),
            "settings" => Self::Settings,
            _ => return None,
        })
    }
}

/// The listener of this process.
pub type Listener = Box<dyn Fn(&[Change]) + Send + Sync>;

#[derive(Clone)]
pub(super) struct Announcer {
    listener: Arc<OnceLock<Listener>>,
    /// Tells the rows of this process from those of others.
    process: Arc<str>,
}

impl Announcer {
    pub(super) fn new() -> Self {
        Self { listener: Arc::default(), process: uuid::Uuid::now_v7().to_string().into() }
    }

    pub(super) fn tell(&self, changes: &[Change]) {
        if let Some(listener) = self.listener.get() {
            listener(changes);
        }
    }
}

/// Writes down for the other processes what a transaction makes untrue. The last statements of it: rows become
/// visible in the order of their numbers, as nobody else writes any between here and the commit.
pub(super) async fn write(tx: &mut PgConnection, changes: &[Change], announcer: &Announcer) -> Result<()> {
    answer(sqlx::query("select pg_advisory_xact_lock($1)").bind(Lock::CHANGES.number()).execute(&mut *tx)).await?;
    for change in changes {
        let (kind, key) = change.row();
        let sql = "insert into invalidation (kind, key, process) values ($1, $2, $3)";
        answer(sqlx::query(sql).bind(kind).bind(key).bind(&*announcer.process).execute(&mut *tx)).await?;
    }
    answer(sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(&mut *tx)).await?;
    Ok(())
}

/// What other processes change, in its order.
pub struct Feed {
    db: Db,
    pool: PgPool,
    listener: Option<PgListener>,
    /// The last row that was read.
    seen: i64,
}

impl Db {
    /// Sets the listener of this process for changes. The first one stays; it must not wait for anything.
    pub fn on_change(&self, listener: Listener) {
        let _ = self.announcer.listener.set(listener);
    }

    /// What other processes change from now on; `None` where there are none (SQLite).
    pub async fn changes(&self) -> Result<Option<Feed>> {
        let Some(pool) = self.postgres() else { return Ok(None) };
        let row: Option<(i64,)> = self.optional("select coalesce(max(seq), 0) from invalidation", vec![]).await?;
        let seen = row.map_or(0, |(seq,)| seq);
        Ok(Some(Feed { db: self.clone(), pool: pool.clone(), listener: None, seen }))
    }

    /// Removes what every process has read long ago.
    pub async fn prune_changes(&self) -> Result<()> {
        if self.postgres().is_some() {
            let sql = "delete from invalidation where seq <= (select max(seq) from invalidation) - $1";
            self.execute(sql, args![KEPT]).await?;
        }
        Ok(())
    }
}

impl Feed {
    /// Waits until there is something, or might be; what there is, which may be nothing.
    pub async fn next(&mut self) -> Result<Vec<Change>> {
        if self.listener.is_none() {
            let mut listener = PgListener::connect_with(&Db::listening(&self.pool)).await?;
            answer(listener.listen(CHANNEL)).await?;
            self.listener = Some(listener);
        } else if let Some(listener) = &mut self.listener
            && let Ok(Err(error)) = Clock::system().timeout(POLL, listener.recv()).await
        {
            self.listener = None;
            return Err(error.into());
        }
        let read = self.read().await;
        if read.is_err() {
            // Its connection may be as dead as that one was, only nobody tells.
            self.listener = None;
        }
        read
    }

    async fn read(&mut self) -> Result<Vec<Change>> {
        // What is between here and the oldest row was removed. (Or a number was never used: no harm.)
        let oldest: Option<(i64,)> = self.db.optional("select coalesce(min(seq), 0) from invalidation", vec![]).await?;
        let is_behind = oldest.is_some_and(|(oldest,)| oldest > self.seen + 1);
        let sql = "select seq, kind, key, process from invalidation where seq > $1 order by seq limit $2";
        let rows: Vec<(i64, String, String, String)> = self.db.all(sql, args![self.seen, PAGE]).await?;
        let mut changes: Vec<Change> = is_behind.then_some(Change::Everything).into_iter().collect();
        let others = rows.iter().filter(|(.., process)| **process != *self.db.announcer.process);
        changes.extend(others.map(|(_, kind, key, _)| Change::parse(kind, key)));
        if let Some((last, ..)) = rows.last() {
            self.seen = *last;
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_as_it_was_written() {
        let digest = Digest::from_bytes([7; 32]);
        let content = ContentId::Sha256(digest);
        let repo = ModelId::new("0190");
        let commit = CommitId::parse("0123456789012345678901234567890123456789").unwrap();
        let all = [
            Change::Blob { digest, git: None, generation: 12 },
            Change::Blob { digest, git: Some(GitOid::from_bytes([9; 20])), generation: 13 },
            Change::Taint { content, until: -1 },
            Change::Repo(RepoKey::new(RepoKind::Dataset, RepoId::parse("org/name").unwrap())),
            Change::Revision { repo: repo.clone(), name: "refs/pr/1 and more".into() },
            Change::Commit { repo, commit },
            Change::XetHash(digest),
            Change::Settings,
            Change::Everything,
        ];
        for change in all {
            let (kind, key) = change.row();
            assert_eq!(Change::parse(kind, &key), change);
        }
        assert_eq!(Change::parse("of a later version", "x"), Change::Everything);
        assert_eq!(Change::parse("blob", "damaged"), Change::Everything);
    }
}
