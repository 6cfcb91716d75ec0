//! The entries of commits.
//!
//! A tree of 100 000 files is as easy as one of ten: it is written page by page, each in one
//! statement, and read page by page, each continued from the last path.

use std::collections::BTreeMap;

use serde::Serialize;

use super::sql::{Pick, args};
use super::tx::{Lock, Sharing};
use super::{Change, Db, Error, Result};
use crate::domain::{
    Artifact, CommitId, ContentId, Digest, Entry, GitOid, Millis, ModelId, ParseError, RepoPath, XetHash,
};

/// Which entries of a commit are wanted.
#[derive(Debug, Clone, Default)]
pub struct TreePage {
    /// A folder, or the root if empty.
    pub folder: String,
    /// Everything below, instead of the folder's own entries only.
    pub recursive: bool,
    /// Only entries strictly after this path.
    pub after: String,
    pub limit: u64,
}

/// One attempt to read a listing. Later ones are greater, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingId(String);

impl ReadingId {
    /// `unique` tells it from others of the same millisecond.
    pub fn at(now: Millis, unique: &str) -> Self {
        Self(format!("{now:015}-{unique}"))
    }
}

/// Rows that one statement deletes: some tens of milliseconds.
const DELETED_AT_ONCE: u64 = 10_000;

#[derive(Serialize)]
struct NewEntry<'a> {
    path: &'a str,
    parent: &'a str,
    entry: &'a str,
    size: i64,
    oid: Option<String>,
    sha256: Option<String>,
    xet: Option<String>,
}

pub(super) type EntryRow = (String, String, i64, Option<String>, Option<String>, Option<String>);

impl Db {
    /// Adds entries to a commit that `put_revision` has recorded. Known entries are updated.
    pub async fn put_entries(&self, repo: &ModelId, commit: &CommitId, entries: &[Entry]) -> Result<()> {
        self.put(repo, commit, entries, None).await
    }

    /// As `put_entries`, for a reading of the listing that has not come to its end: `delete_reading` takes back what
    /// it alone has brought. Two readings at once keep what both have seen.
    pub async fn put_page(
        &self,
        repo: &ModelId,
        commit: &CommitId,
        entries: &[Entry],
        reading: &ReadingId,
    ) -> Result<()> {
        self.put(repo, commit, entries, Some(reading)).await
    }

    async fn put(
        &self,
        repo: &ModelId,
        commit: &CommitId,
        entries: &[Entry],
        reading: Option<&ReadingId>,
    ) -> Result<()> {
        let sql = Pick {
            sqlite: "insert into model_artifact (repo, commit_id, file_path, parent, entry, size_bytes, oid, sha256, xet_hash, reading)
                select $1, $2, value->>'path', value->>'parent', value->>'entry', value->>'size', value->>'oid', value->>'sha256',
                    coalesce(value->>'xet', (select xet_hash from blob where sha256 = value->>'sha256')), $4
                from json_each($3) where true
                on conflict (repo, commit_id, file_path) do update set entry = excluded.entry, size_bytes = excluded.size_bytes,
                    oid = coalesce(excluded.oid, oid), sha256 = excluded.sha256, xet_hash = coalesce(excluded.xet_hash, xet_hash),
                    reading = case when reading = excluded.reading then reading end",
            postgres: "insert into model_artifact (repo, commit_id, file_path, parent, entry, size_bytes, oid, sha256, xet_hash, reading)
                select $1, $2, value->>'path', value->>'parent', value->>'entry', (value->>'size')::bigint, value->>'oid', value->>'sha256',
                    coalesce(value->>'xet', (select xet_hash from blob where sha256 = value->>'sha256')), $4::text
                from jsonb_array_elements($3::text::jsonb)
                on conflict (repo, commit_id, file_path) do update set entry = excluded.entry, size_bytes = excluded.size_bytes,
                    oid = coalesce(excluded.oid, model_artifact.oid), sha256 = excluded.sha256,
                    xet_hash = coalesce(excluded.xet_hash, model_artifact.xet_hash),
                    reading = case when model_artifact.reading = excluded.reading then model_artifact.reading end",
        };
        // In one order, so that two writers of the same rows never wait for each other, and each path once, as
        // it came last: PostgreSQL changes no row twice in one statement.
        let rows: BTreeMap<&str, NewEntry<'_>> =
            entries.iter().map(new_entry).map(|entry| (entry.path, entry)).collect();
        let rows: Vec<NewEntry<'_>> = rows.into_values().collect();
        let json = serde_json::to_string(&rows).unwrap_or_else(|_| "[]".into());
        let mut tx = self.begin().await?;
        // A hash that `put_xet_hash` writes meanwhile would be missed by both.
        tx.lock(Lock::XET_HASHES, Sharing::Shared).await?;
        tx.execute(sql, args![repo, commit.as_str(), json, reading.map(|reading| reading.0.clone())]).await?;
        tx.commit().await
    }

    /// Somebody asked for an entry of a listing that is still being read: it stays, whatever becomes of the reading.
    pub async fn keep_entry(&self, repo: &ModelId, commit: &CommitId, path: &RepoPath) -> Result<()> {
        let sql = "update model_artifact set reading = null
            where repo = $1 and commit_id = $2 and file_path = $3 and reading is not null";
        self.execute(sql, args![repo, commit.as_str(), path.as_str()]).await?;
        Ok(())
    }

    /// Removes what a reading that failed has brought, unless another one has completed the tree.
    pub async fn delete_reading(&self, repo: &ModelId, commit: &CommitId, reading: &ReadingId) -> Result<()> {
        const SQL: &str = "delete from model_artifact where repo = $1 and commit_id = $2 and file_path in (
                select file_path from model_artifact where repo = $1 and commit_id = $2 and reading = $3 limit $4)
            and reading = $3
            and not exists (select 1 from repo_commit c where c.repo = $1 and c.commit_id = $2 and c.tree_complete = $5)";
        self.execute("update model_repo set stale = $2 where id = $1", args![repo, true]).await?;
        // In pieces: other writers have their turn between them.
        while self.execute(SQL, args![repo, commit.as_str(), reading.0.as_str(), DELETED_AT_ONCE, true]).await? > 0 {}
        Ok(())
    }

    /// As `delete_reading`, for all readings that began before: their processes are gone.
    pub async fn prune_readings(&self, before: Millis) -> Result<()> {
        let sql = "select distinct a.repo, a.commit_id, a.reading from repo_commit c
            join model_artifact a on a.repo = c.repo and a.commit_id = c.commit_id
            where c.tree_complete = $1 and a.reading < $2 limit 100";
        let before = ReadingId::at(before, "");
        let rows: Vec<(String, String, String)> = self.all(sql, args![false, before.0]).await?;
        for (repo, commit, reading) in rows {
            let commit = CommitId::parse(&commit).map_err(|source| Error::Corrupt { what: "commit", source })?;
            self.delete_reading(&ModelId::new(repo), &commit, &ReadingId(reading)).await?;
        }
        Ok(())
    }

    /// From now on a path that has no entry is proven to be absent from this commit. What a scan found is
    /// confirmed by upstream now.
    pub async fn complete_tree(&self, repo: &ModelId, commit: &CommitId) -> Result<()> {
        let mut tx = self.begin().await?;
        let sql = "select count(*) from repo_commit where repo = $1 and commit_id = $2 and origin = 'scanned'";
        let scanned: Option<(i64,)> = tx.optional(sql, args![repo, commit.as_str()]).await?;
        if scanned.is_some_and(|(count,)| count > 0) {
            tx.tells(Change::Commit { repo: repo.to_owned(), commit: commit.clone() });
        }
        let sql =
            "update repo_commit set tree_complete = $3, origin = case origin when 'scanned' then null else origin end
            where repo = $1 and commit_id = $2";
        tx.execute(sql, args![repo, commit.as_str(), true]).await?;
        tx.execute("update model_repo set stale = $2 where id = $1", args![repo, true]).await?;
        tx.execute("delete from missing_path where repo = $1 and commit_id = $2", args![repo, commit.as_str()]).await?;
        tx.commit().await
    }

    pub async fn tree_is_complete(&self, repo: &ModelId, commit: &CommitId) -> Result<bool> {
        let sql = "select tree_complete from repo_commit where repo = $1 and commit_id = $2";
        let row: Option<(bool,)> = self.optional(sql, args![repo, commit.as_str()]).await?;
        Ok(row.is_some_and(|(complete,)| complete))
    }

    pub async fn entry(&self, repo: &ModelId, commit: &CommitId, path: &RepoPath) -> Result<Option<Entry>> {
        const SQL: &str = "select file_path, entry, size_bytes, oid, sha256, xet_hash from model_artifact
            where repo = $1 and commit_id = $2 and file_path = $3";
        let row: Option<EntryRow> = self.optional(SQL, args![repo, commit.as_str(), path.as_str()]).await?;
        row.map(entry_of).transpose()
    }

    /// A file of a repository by its Xet hash, and a commit that has it: `prefer` if it does.
    pub async fn artifact_by_xet(
        &self,
        repo: &ModelId,
        xet_hash: XetHash,
        prefer: &str,
    ) -> Result<Option<(CommitId, Artifact)>> {
        const SQL: &str = "select commit_id, file_path, entry, size_bytes, oid, sha256, xet_hash from model_artifact
            where repo = $1 and xet_hash = $2 and sha256 is not null order by case when commit_id = $3 then 0 else 1 end, commit_id, file_path limit 1";
        type Row = (String, String, String, i64, Option<String>, Option<String>, Option<String>);
        let row: Option<Row> = self.optional(SQL, args![repo, xet_hash.to_string(), prefer]).await?;
        let Some((commit, path, entry, size, oid, sha256, xet_hash)) = row else { return Ok(None) };
        let commit = CommitId::parse(&commit).map_err(|source| Error::Corrupt { what: "commit", source })?;
        Ok(match entry_of((path, entry, size, oid, sha256, xet_hash))? {
            Entry::File(artifact) => Some((commit, artifact)),
            Entry::Directory { .. } => None,
        })
    }

    /// One page of a commit's entries, ordered by path.
    pub async fn tree_page(&self, repo: &ModelId, commit: &CommitId, page: &TreePage) -> Result<Vec<Entry>> {
        let commit = commit.as_str();
        let rows: Vec<EntryRow> = if !page.recursive {
            const SQL: &str = "select file_path, entry, size_bytes, oid, sha256, xet_hash from model_artifact
                where repo = $1 and commit_id = $2 and parent = $3 and file_path > $4 order by file_path limit $5";
            self.all(SQL, args![repo, commit, page.folder.as_str(), page.after.as_str(), page.limit]).await?
        } else {
            // `0` follows `/`: the range holds exactly the paths that begin with `folder/`.
            const SQL: &str = "select file_path, entry, size_bytes, oid, sha256, xet_hash from model_artifact
                where repo = $1 and commit_id = $2 and file_path > $3 and file_path < $4 order by file_path limit $5";
            let (from, to) = match page.folder.as_str() {
                "" => (String::new(), "\u{10ffff}".to_owned()),
                folder => (format!("{folder}/"), format!("{folder}0")),
            };
            let from = if page.after.as_str() > from.as_str() { page.after.clone() } else { from };
            self.all(SQL, args![repo, commit, from, to, page.limit]).await?
        };
        rows.into_iter().map(entry_of).collect()
    }

    pub async fn put_missing(&self, repo: &ModelId, commit: &CommitId, path: &RepoPath, now: Millis) -> Result<()> {
        let sql = "insert into missing_path (repo, commit_id, file_path, seen_at) values ($1, $2, $3, $4)
            on conflict (repo, commit_id, file_path) do nothing";
        self.execute(sql, args![repo, commit.as_str(), path.as_str(), now]).await?;
        Ok(())
    }

    pub async fn is_missing(&self, repo: &ModelId, commit: &CommitId, path: &RepoPath) -> Result<bool> {
        let sql = "select seen_at from missing_path where repo = $1 and commit_id = $2 and file_path = $3";
        let row: Option<(i64,)> = self.optional(sql, args![repo, commit.as_str(), path.as_str()]).await?;
        Ok(row.is_some())
    }
}

fn new_entry(entry: &Entry) -> NewEntry<'_> {
    let path = entry.path().as_str();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    match entry {
        Entry::Directory { oid, .. } => {
            NewEntry { path, parent, entry: "directory", size: 0, oid: Some(oid.to_hex()), sha256: None, xet: None }
        }
        Entry::File(artifact) => {
            let (oid, sha256) = match artifact.content {
                ContentId::Sha256(digest) => (artifact.oid.map(GitOid::to_hex), Some(digest.to_hex())),
                ContentId::Git(oid) => (Some(oid.to_hex()), None),
            };
            let xet = artifact.xet_hash.map(|hash| hash.to_string());
            let size = i64::try_from(artifact.size).unwrap_or(i64::MAX);
            NewEntry { path, parent, entry: "file", size, oid, sha256, xet }
        }
    }
}

pub(super) fn entry_of((path, entry, size, oid, sha256, xet_hash): EntryRow) -> Result<Entry> {
    let corrupt = |what| move |source: ParseError| Error::Corrupt { what, source };
    let path = RepoPath::parse(&path).map_err(corrupt("path"))?;
    let oid = oid.map(|oid| GitOid::parse(&oid)).transpose().map_err(corrupt("object id"))?;
    let sha256 = sha256.map(|sha256| Digest::parse(&sha256)).transpose().map_err(corrupt("sha256"))?;
    let content = match (sha256, oid) {
        (Some(digest), _) => ContentId::Sha256(digest),
        (None, Some(oid)) => ContentId::Git(oid),
        (None, None) => {
            let rule = "an entry needs an object id or a sha256";
            return Err(corrupt("artifact")(ParseError::new("artifact", path.as_str(), rule)));
        }
    };
    if entry == "directory" {
        let oid = oid.unwrap_or_else(|| GitOid::from_bytes([0; 20]));
        return Ok(Entry::Directory { path, oid });
    }
    let size = u64::try_from(size).unwrap_or(0);
    // The file comes without it, too.
    let xet_hash = xet_hash.and_then(|hash| XetHash::parse(&hash).ok());
    Ok(Entry::File(Artifact { path, size, content, oid, xet_hash }))
}
