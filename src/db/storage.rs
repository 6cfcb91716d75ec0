//! What takes the space of the store, and what may leave it.

use super::blobs::{Row, blob_of};
use super::sql::{Pick, args};
use super::{BlobRow, Db, Result};
use crate::domain::{Digest, Millis, RepoKind};

/// How much of the store a repository takes at all its known commits.
#[derive(Debug, Clone)]
pub struct UsageRow {
    pub id: String,
    /// `namespace/name`; datasets and spaces behind their kind.
    pub name: String,
    pub files: u64,
    pub bytes: u64,
    /// Bytes that no other repository uses.
    pub own_bytes: u64,
    pub pinned: bool,
    pub last_used_at: Option<Millis>,
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
    ($which:literal) => {
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

/// A row of `UsageRow`'s columns.
type Usage = (String, String, String, i64, i64, i64, bool, Option<i64>);

fn usage_of((id, kind, repo_id, files, bytes, own, pinned, used): Usage) -> UsageRow {
    UsageRow {
        id,
        name: format!("{}{repo_id}", RepoKind::parse(&kind).unwrap_or(RepoKind::Model).url_prefix()),
        files: files.max(0) as u64,
        bytes: bytes.max(0) as u64,
        own_bytes: own.max(0) as u64,
        pinned,
        last_used_at: used,
    }
}

/// `with goes`: the blobs that an eviction removes, the least recently used first, until `$2` bytes (0: all) are freed.
macro_rules! goes {
    ($pinned:literal) => {
        concat!(
            "with goes as (select sha256, size_bytes from (
                select b.sha256, b.size_bytes, sum(b.size_bytes) over (order by b.last_used_at, b.sha256) - b.size_bytes as freed_before
                from blob b where b.last_used_at < $1 and ",
            unless_named!($pinned),
            ") w where $2 = 0 or freed_before < $2) "
        )
    };
}

impl Db {
    /// The repositories that take most, the largest first.
    pub async fn usage(&self, limit: u64) -> Result<Vec<UsageRow>> {
        const SQL: &str = concat!(
            "with content as (",
            contents!(),
            "), shared as (select sha256, count(*) as n from content group by sha256)
            select r.id, r.kind, r.repo_id, count(*), cast(sum(c.size_bytes) as bigint),
                cast(sum(case when s.n = 1 then c.size_bytes else 0 end) as bigint), r.pinned, max(c.last_used_at)
            from content c join shared s on s.sha256 = c.sha256 join model_repo r on r.id = c.repo
            group by r.id, r.kind, r.repo_id, r.pinned order by 5 desc, r.id limit $1"
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
        let sql =
            "select sha256, size_bytes, generation, linked_ns from blob where sha256 > $1 order by sha256 limit $2";
        let after = after.map(Digest::to_hex).unwrap_or_default();
        let rows: Vec<Row> = self.all(sql, args![after, limit]).await?;
        rows.into_iter().map(blob_of).collect()
    }

    /// Blobs that may go, the least recently used first: none of a pinned repository, none used after `unused_since`.
    pub async fn evictable(&self, unused_since: Millis, limit: u64) -> Result<Vec<BlobRow>> {
        const SQL: Pick = Pick {
            sqlite: concat!(
                "select b.sha256, b.size_bytes, b.generation, b.linked_ns from blob b where b.last_used_at < $1 and ",
                unless_named!("r.pinned = 1"),
                " order by b.last_used_at, b.sha256 limit $2"
            ),
            postgres: concat!(
                "select b.sha256, b.size_bytes, b.generation, b.linked_ns from blob b where b.last_used_at < $1 and ",
                unless_named!("r.pinned"),
                " order by b.last_used_at, b.sha256 limit $2"
            ),
        };
        let rows: Vec<Row> = self.all(SQL, args![unused_since, limit]).await?;
        rows.into_iter().map(blob_of).collect()
    }

    /// What an eviction of blobs not used since `unused_since`, until `free_bytes` are freed (0: all), would remove:
    /// files, bytes, and what each repository would lose, the largest first.
    pub async fn eviction(
        &self,
        unused_since: Millis,
        free_bytes: u64,
        limit: u64,
    ) -> Result<(u64, u64, Vec<UsageRow>)> {
        const SUM: Pick = Pick {
            sqlite: concat!(
                goes!("r.pinned = 1"),
                "select count(*), cast(coalesce(sum(size_bytes), 0) as bigint) from goes"
            ),
            postgres: concat!(
                goes!("r.pinned"),
                "select count(*), cast(coalesce(sum(size_bytes), 0) as bigint) from goes"
            ),
        };
        macro_rules! losses {
            ($pinned:literal) => {
                concat!(
                    goes!($pinned),
                    ", content as (",
                    contents!(),
                    "), shared as (select c.sha256 as sha256, count(*) as n from content c join goes g on g.sha256 = c.sha256 group by c.sha256)
                    select r.id, r.kind, r.repo_id, count(*), cast(sum(c.size_bytes) as bigint),
                        cast(sum(case when s.n = 1 then c.size_bytes else 0 end) as bigint), r.pinned, max(c.last_used_at)
                    from content c join shared s on s.sha256 = c.sha256 join model_repo r on r.id = c.repo
                    group by r.id, r.kind, r.repo_id, r.pinned order by 5 desc, r.id limit $3"
                )
            };
        }
        const LOSSES: Pick = Pick { sqlite: losses!("r.pinned = 1"), postgres: losses!("r.pinned") };
        let row: Option<(i64, i64)> = self.optional(SUM, args![unused_since, free_bytes]).await?;
        let (files, bytes) = row.unwrap_or_default();
        let rows: Vec<Usage> = self.all(LOSSES, args![unused_since, free_bytes, limit]).await?;
        Ok((files.max(0) as u64, bytes.max(0) as u64, rows.into_iter().map(usage_of).collect()))
    }

    /// Whether a file of another repository than this one has this content.
    pub async fn is_used_elsewhere(&self, digest: Digest, repo: &str) -> Result<bool> {
        let sql = "select count(*) from (select 1 from model_artifact where sha256 = $1 and repo <> $2
            union all select 1 from blob b join model_artifact a on a.sha256 is null and a.oid = b.git_oid
                where b.sha256 = $1 and a.repo <> $2 limit 1) x";
        let row: Option<(i64,)> = self.optional(sql, args![digest.to_hex(), repo]).await?;
        Ok(row.is_some_and(|(count,)| count > 0))
    }

    /// A blob was read again and found right.
    pub async fn put_verified(&self, digest: Digest, now: Millis) -> Result<()> {
        self.execute("update blob set verified_at = $2 where sha256 = $1", args![digest.to_hex(), now]).await?;
        Ok(())
    }
}
