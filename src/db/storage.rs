//! Disk usage of the store.

use super::blobs::{Row, blob_of};
use super::sql::args;
use super::{BlobRow, Db, Result};
use crate::domain::{Digest, Millis, ModelId, RepoKind};

/// How much of the store a repository takes at all its known commits.
#[derive(Debug, Clone)]
pub struct UsageRow {
    pub id: ModelId,
    /// `namespace/name`; other kinds than models behind their kind.
    pub name: String,
    pub files: u64,
    pub bytes: u64,
    /// Bytes that no other repository uses.
    pub own_bytes: u64,
    pub pinned: bool,
    /// By a client.
    pub last_used_at: Option<Millis>,
    /// In the plan of an eviction: of these, what this repository could not download again.
    pub unrecoverable: Amount,
    /// In the plan of an eviction: what stays because this repository could not download it again.
    pub kept: Amount,
}

/// Some files and their bytes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub files: u64,
    pub bytes: u64,
}

impl Amount {
    /// One file more.
    pub fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    pub(super) fn of((files, bytes): (i64, i64)) -> Self {
        Self { files: files.max(0) as u64, bytes: bytes.max(0) as u64 }
    }
}

/// The contents of each repository, each once.
macro_rules! contents {
    () => {
        "select distinct a.repo as repo, b.sha256 as sha256, b.size_bytes as size_bytes, b.last_used_at as last_used_at
        from model_artifact a join blob b on b.sha256 = coalesce(a.sha256,
            (select g.sha256 from blob g where g.git_oid = a.oid and g.size_bytes = a.size_bytes limit 1))
        where a.entry = 'file'"
    };
}

/// Blobs that no file of a repository with `$1` names.
macro_rules! unless_named {
    ($which:expr) => {
        concat!(
            "not exists (select 1 from model_artifact a join model_repo r on r.id = a.repo where a.sha256 = b.sha256 and ",
            $which,
            ") and not exists (select 1 from model_artifact a join model_repo r on r.id = a.repo
                where a.sha256 is null and a.oid = b.git_oid and a.size_bytes = b.size_bytes and ",
            $which,
            ")"
        )
    };
}

/// Whether a file of any repository names the blob `b`.
macro_rules! is_named {
    () => {
        "(exists (select 1 from model_artifact a where a.sha256 = b.sha256)
            or exists (select 1 from model_artifact a where a.sha256 is null and a.oid = b.git_oid and a.size_bytes = b.size_bytes))"
    };
}

/// Whether the blob `b` could not be had again: the object store does not have it; and there is a repository that names it,
/// and none of its commits that upstream told of does (one of a cache on disk counts once upstream has confirmed it), or
/// nothing names it, and it was imported.
macro_rules! unrecoverable {
    () => {
        concat!(
            "(not exists (select 1 from object o where o.sha256 = b.sha256) and (exists (select 1 from (
                select a.repo, c.origin from model_artifact a join repo_commit c on c.repo = a.repo and c.commit_id = a.commit_id
                    where a.sha256 = b.sha256
                union all select a.repo, c.origin from model_artifact a join repo_commit c on c.repo = a.repo and c.commit_id = a.commit_id
                    where a.sha256 is null and a.oid = b.git_oid and a.size_bytes = b.size_bytes
            ) named group by named.repo having count(*) = count(named.origin))
            or not ",
            is_named!(),
            " and b.sha256 in (select f.sha256 from scanned_file f)))"
        )
    };
}

pub(super) use {is_named, unless_named, unrecoverable};

/// A row of `UsageRow`'s columns.
pub(super) type Usage = (String, String, String, i64, i64, i64, bool, Option<i64>);

pub(super) fn usage_of((id, kind, repo_id, files, bytes, own, pinned, used): Usage) -> UsageRow {
    UsageRow {
        id: ModelId::new(id),
        name: format!("{}{repo_id}", RepoKind::parse(&kind).unwrap_or(RepoKind::Model).url_prefix()),
        files: files.max(0) as u64,
        bytes: bytes.max(0) as u64,
        own_bytes: own.max(0) as u64,
        pinned,
        last_used_at: used,
        unrecoverable: Amount::default(),
        kept: Amount::default(),
    }
}

impl Db {
    /// The repositories that take most, the largest first.
    pub async fn usage(&self, limit: u64) -> Result<Vec<UsageRow>> {
        const SQL: &str = concat!(
            "with content as (",
            contents!(),
            "), shared as (select sha256, count(*) as n from content group by sha256)
            select r.id, r.kind, r.repo_id, count(*), cast(sum(c.size_bytes) as bigint),
                cast(sum(case when s.n = 1 then c.size_bytes else 0 end) as bigint), r.pinned, r.last_used_at
            from content c join shared s on s.sha256 = c.sha256 join model_repo r on r.id = c.repo
            group by r.id, r.kind, r.repo_id, r.pinned, r.last_used_at order by 5 desc, r.id limit $1"
        );
        let rows: Vec<Usage> = self.all(SQL, args![limit]).await?;
        Ok(rows.into_iter().map(usage_of).collect())
    }

    /// Stored bytes that no known file names.
    pub async fn unreferenced_bytes(&self) -> Result<u64> {
        let sql = concat!(
            "select cast(coalesce(sum(b.size_bytes), 0) as bigint) from blob b where ",
            unless_named!("r.id is not null")
        );
        let row: Option<(i64,)> = self.optional(sql, vec![]).await?;
        Ok(row.map_or(0, |(bytes,)| bytes.max(0) as u64))
    }

    /// Sizes of all files that are here by name, minus what is stored: what sharing saves.
    pub async fn named_bytes(&self) -> Result<u64> {
        let sql = "select cast(coalesce(sum(bytes_here), 0) as bigint) from model_repo";
        let row: Option<(i64,)> = self.optional(sql, vec![]).await?;
        Ok(row.map_or(0, |(bytes,)| bytes.max(0) as u64))
    }

    /// Stored names and sizes of every file that is here, for sums by format; page by page.
    pub async fn stored_names(&self, after: &str, limit: u64) -> Result<Vec<(String, String, i64)>> {
        let sql = "select b.sha256, min(a.file_path), b.size_bytes from blob b
            join model_artifact a on a.sha256 = b.sha256 or (a.sha256 is null and a.oid = b.git_oid)
            where b.sha256 > $1 group by b.sha256, b.size_bytes order by b.sha256 limit $2";
        self.all(sql, args![after, limit]).await
    }

    /// Blobs in the order of their names.
    pub async fn blob_page(&self, after: Option<Digest>, limit: u64) -> Result<Vec<BlobRow>> {
        let sql = "select sha256, size_bytes, generation, modified_ns, is_linked from blob where sha256 > $1 order by sha256 limit $2";
        let after = after.map(Digest::to_hex).unwrap_or_default();
        let rows: Vec<Row> = self.all(sql, args![after, limit]).await?;
        rows.into_iter().map(blob_of).collect()
    }

    /// Whether this blob could not be downloaded again, as far as is known.
    pub async fn is_unrecoverable(&self, digest: Digest) -> Result<bool> {
        let sql = concat!("select b.sha256 from blob b where b.sha256 = $1 and ", unrecoverable!());
        let row: Option<(String,)> = self.optional(sql, args![digest.to_hex()]).await?;
        Ok(row.is_some())
    }

    /// Whether a file of another repository than this one has this content.
    pub async fn is_used_elsewhere(&self, digest: Digest, repo: &ModelId) -> Result<bool> {
        let sql = "select count(*) from (select 1 from model_artifact where sha256 = $1 and repo <> $2
            union all select 1 from blob b join model_artifact a on a.sha256 is null and a.oid = b.git_oid
                where b.sha256 = $1 and a.repo <> $2 limit 1) x";
        let row: Option<(i64,)> = self.optional(sql, args![digest.to_hex(), repo]).await?;
        Ok(row.is_some_and(|(count,)| count > 0))
    }
}
