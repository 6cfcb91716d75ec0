//! What scans of folders have found: the hashes of their files, and repositories and commits that upstream
//! did not report.

use super::sql::args;
use super::{Change, Db, Error, RepoRow, Result};
use crate::domain::{CommitId, Digest, GitOid, Millis, ModelId, Origin, RepoKey, RepoPath};

/// What PostgreSQL can find by an index is under 2700 bytes.
const MAX_PATH: usize = 2560;

/// When upstream was asked about a repository that only a scan found. (Never, 0, is a repository that is
/// registered and as good as unknown.)
const LONG_AGO: Millis = 1;

/// A file outside of the store as it was when it was hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedFile {
    pub path: String,
    pub size: u64,
    pub modified_ns: i64,
    pub device: u64,
    pub inode: u64,
    pub sha256: Digest,
    pub git_oid: GitOid,
    pub scanned_at: Millis,
}

impl Db {
    /// What is known of the file at a path; whether it is still the same is for the caller to see.
    pub async fn scanned_file(&self, path: &str) -> Result<Option<ScannedFile>> {
        let sql = "select size_bytes, modified_ns, device, inode, sha256, git_oid, scanned_at from scanned_file
            where path = $1";
        type Row = (i64, i64, i64, i64, String, String, i64);
        let row: Option<Row> = self.optional(sql, args![path]).await?;
        row.map(|(size, modified_ns, device, inode, sha256, git_oid, scanned_at)| {
            Ok(ScannedFile {
                path: path.to_owned(),
                size: size.cast_unsigned(),
                modified_ns,
                device: device.cast_unsigned(),
                inode: inode.cast_unsigned(),
                sha256: Digest::parse(&sha256).map_err(|source| Error::Corrupt { what: "sha256", source })?,
                git_oid: GitOid::parse(&git_oid).map_err(|source| Error::Corrupt { what: "object id", source })?,
                scanned_at,
            })
        })
        .transpose()
    }

    /// Notes files that were hashed, in one transaction. Very long paths are left out: they are hashed again.
    pub async fn put_scanned_files(&self, files: &[ScannedFile]) -> Result<()> {
        let mut files: Vec<&ScannedFile> = files.iter().filter(|file| file.path.len() <= MAX_PATH).collect();
        // In one order, so that two scans never wait for each other.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let sql = "insert into scanned_file (path, size_bytes, modified_ns, device, inode, sha256, git_oid, scanned_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8)
            on conflict (path) do update set size_bytes = excluded.size_bytes, modified_ns = excluded.modified_ns,
                device = excluded.device, inode = excluded.inode, sha256 = excluded.sha256,
                git_oid = excluded.git_oid, scanned_at = excluded.scanned_at";
        let mut tx = self.begin().await?;
        for file in files {
            let (device, inode) = (file.device.cast_signed(), file.inode.cast_signed());
            let (size, sha256, oid) = (file.size.cast_signed(), file.sha256.to_hex(), file.git_oid.to_hex());
            let path = file.path.as_str();
            tx.execute(sql, args![path, size, file.modified_ns, device, inode, sha256, oid, file.scanned_at]).await?;
        }
        tx.commit().await
    }

    /// Records a repository that a scan has found: one that upstream is never asked about, or (`Scanned`) one of
    /// upstream's, public until upstream was asked. What upstream said of it already stays; a local one becomes
    /// upstream's when it is found as such.
    pub async fn add_repo(&self, key: &RepoKey, origin: Origin, new_id: &ModelId, now: Millis) -> Result<RepoRow> {
        let sql = "insert into model_repo (id, kind, vendor, name, repo_id, source, status, visibility, checked_at, created_at)
            values ($1, $2, $3, $4, $5, $6, 'synced', 'public', $7, $8)
            on conflict (kind, repo_id) do update set
                source = case excluded.source when 'local' then model_repo.source else excluded.source end,
                visibility = case model_repo.checked_at when 0 then excluded.visibility else model_repo.visibility end,
                checked_at = case
                    when model_repo.checked_at = 0 or model_repo.source = 'local' and excluded.source <> 'local' then $9
                    else model_repo.checked_at end";
        let (source, checked_at) = match origin {
            Origin::Local => ("local", now),
            Origin::Scanned | Origin::Upstream => ("huggingface", LONG_AGO),
        };
        let id = &key.id;
        let values =
            args![new_id, key.kind.as_str(), id.vendor(), id.name(), id.as_str(), source, checked_at, now, LONG_AGO];
        let mut tx = self.begin().await?;
        tx.execute(sql, values).await?;
        tx.tells(Change::Repo(key.clone()));
        tx.commit().await?;
        self.repo(key).await?.ok_or(Error::Driver(sqlx::Error::RowNotFound))
    }

    /// Records a commit that a scan has found. One whose whole tree is known stays what it is.
    pub async fn add_commit(&self, repo: &ModelId, commit: &CommitId, origin: Origin) -> Result<()> {
        let sql = "insert into repo_commit (repo, commit_id, info, tree_complete, origin) values ($1, $2, null, $3, $4)
            on conflict (repo, commit_id) do update set origin = excluded.origin where repo_commit.tree_complete = $3";
        let origin = origin.as_str().map(str::to_owned);
        let mut tx = self.begin().await?;
        tx.execute(sql, args![repo, commit.as_str(), false, origin]).await?;
        tx.tells(Change::Commit { repo: repo.to_owned(), commit: commit.clone() });
        tx.commit().await
    }

    /// A scan has found the whole listing of a commit. Upstream, which has the last word, was not asked yet.
    pub async fn complete_scanned_tree(&self, repo: &ModelId, commit: &CommitId) -> Result<()> {
        let sql = "update repo_commit set tree_complete = $3 where repo = $1 and commit_id = $2";
        let mut tx = self.begin().await?;
        tx.execute(sql, args![repo, commit.as_str(), true]).await?;
        tx.tells(Change::Commit { repo: repo.to_owned(), commit: commit.clone() });
        tx.commit().await
    }

    /// Where a commit is known from; `None` if it is not known.
    pub async fn commit_origin(&self, repo: &ModelId, commit: &CommitId) -> Result<Option<Origin>> {
        let sql = "select origin from repo_commit where repo = $1 and commit_id = $2";
        let row: Option<(Option<String>,)> = self.optional(sql, args![repo, commit.as_str()]).await?;
        Ok(row.map(|(word,)| Origin::parse(word.as_deref())))
    }

    /// Removes entries from a commit that turned out not to be in it.
    pub async fn delete_entries(&self, repo: &ModelId, commit: &CommitId, paths: &[RepoPath]) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.execute("update model_repo set stale = $2 where id = $1", args![repo, true]).await?;
        for path in paths {
            let sql = "delete from model_artifact where repo = $1 and commit_id = $2 and file_path = $3";
            tx.execute(sql, args![repo, commit.as_str(), path.as_str()]).await?;
        }
        tx.tells(Change::Commit { repo: repo.to_owned(), commit: commit.clone() });
        tx.commit().await
    }

    /// Adds the git blob id to a blob that was stored without it.
    pub async fn add_git_oid(&self, digest: Digest, oid: GitOid) -> Result<()> {
        let sql = "update blob set git_oid = $2 where sha256 = $1 and git_oid is null";
        self.execute(sql, args![digest.to_hex(), oid.to_hex()]).await?;
        Ok(())
    }
}
