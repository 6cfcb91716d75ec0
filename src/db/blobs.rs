//! Blobs in the store. A row is written after the file is synced; without it there is no blob.

use super::sql::{Lock, Sharing, args};
use super::{Db, Error, Result};
use crate::domain::{ContentId, Digest, GitOid, Millis};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRow {
    pub digest: Digest,
    pub size: u64,
}

/// A blob with all that is needed to serve it, also while the database is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServedBlob {
    pub row: BlobRow,
    /// When the original of a hard link was modified; `None` if the blob is not a hard link.
    pub linked_ns: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreTotals {
    pub blobs: u64,
    pub bytes: u64,
}

impl Db {
    /// The blob of a content. A git blob id finds it only together with its size.
    pub async fn blob(&self, content: ContentId, size: u64) -> Result<Option<ServedBlob>> {
        let row: Option<(String, i64, Option<i64>)> = match content {
            ContentId::Sha256(digest) => {
                let sql = "select sha256, size_bytes, linked_ns from blob where sha256 = $1 and size_bytes = $2";
                self.optional(sql, args![digest.to_hex(), size]).await?
            }
            ContentId::Git(oid) => {
                let sql =
                    "select sha256, size_bytes, linked_ns from blob where git_oid = $1 and size_bytes = $2 limit 1";
                self.optional(sql, args![oid.to_hex(), size]).await?
            }
        };
        row.map(|(digest, size, linked_ns)| {
            let digest = Digest::parse(&digest).map_err(|source| Error::Corrupt { what: "sha256", source })?;
            let row = BlobRow { digest, size: u64::try_from(size).unwrap_or(0) };
            Ok(ServedBlob { row, linked_ns })
        })
        .transpose()
    }

    /// The commit point of publishing. A git id that was unknown so far is added.
    pub async fn put_blob(&self, digest: Digest, git: Option<GitOid>, size: u64, now: Millis) -> Result<()> {
        self.put_linked_blob(digest, git, size, None, now).await
    }

    /// The same of a blob that is a hard link to a file which was modified at this time.
    pub async fn put_linked_blob(
        &self,
        digest: Digest,
        git: Option<GitOid>,
        size: u64,
        linked_ns: Option<i64>,
        now: Millis,
    ) -> Result<()> {
        let sql = "insert into blob (sha256, git_oid, size_bytes, created_at, verified_at, last_used_at, linked_ns)
            values ($1, $2, $3, $4, $4, $4, $5)
            on conflict (sha256) do update set git_oid = coalesce(excluded.git_oid, blob.git_oid),
                verified_at = excluded.verified_at, linked_ns = excluded.linked_ns";
        self.execute(sql, args![digest.to_hex(), git.map(GitOid::to_hex), size, now, linked_ns]).await?;
        self.mark_stale(digest, git).await
    }

    /// Whether upstream has this content too, as far as is known: a commit that is not a folder's names it.
    pub async fn is_upstreams(&self, digest: Digest) -> Result<bool> {
        let sql = "select count(*) from (select a.repo from model_artifact a
            join repo_commit c on c.repo = a.repo and c.commit_id = a.commit_id
            where (a.sha256 = $1 or a.sha256 is null and a.oid in (select git_oid from blob where sha256 = $1))
                and (c.origin is null or c.origin <> 'local') limit 1) x";
        let row: Option<(i64,)> = self.optional(sql, args![digest.to_hex()]).await?;
        Ok(row.is_some_and(|(count,)| count > 0))
    }

    /// Notes the Xet hash of a blob, and with it that of every artifact of this content.
    pub async fn put_xet_hash(&self, digest: Digest, xet_hash: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        // See `put_entries`.
        tx.lock(Lock::XET_HASHES, Sharing::Alone).await?;
        tx.execute("update blob set xet_hash = $2 where sha256 = $1", args![digest.to_hex(), xet_hash]).await?;
        let sql = "update model_artifact set xet_hash = $2 where sha256 = $1 and xet_hash is null";
        tx.execute(sql, args![digest.to_hex(), xet_hash]).await?;
        tx.commit().await
    }

    /// Whether the Xet hash of a blob is noted.
    pub async fn has_xet_hash(&self, digest: Digest) -> Result<bool> {
        let row: Option<(Option<String>,)> =
            self.optional("select xet_hash from blob where sha256 = $1", args![digest.to_hex()]).await?;
        Ok(row.is_some_and(|(hash,)| hash.is_some()))
    }

    /// Removes the row of a blob whose file is missing or corrupt; it is downloaded again on demand.
    pub async fn delete_blob(&self, digest: Digest) -> Result<()> {
        let row: Option<(Option<String>,)> =
            self.optional("select git_oid from blob where sha256 = $1", args![digest.to_hex()]).await?;
        self.execute("delete from blob where sha256 = $1", args![digest.to_hex()]).await?;
        let git = row.and_then(|(oid,)| oid).and_then(|oid| GitOid::parse(&oid).ok());
        self.mark_stale(digest, git).await
    }

    /// Records uses in one transaction; called in batches, never per request.
    pub async fn touch_blobs(&self, digests: &[Digest], now: Millis) -> Result<()> {
        // In one order, so that two batches never wait for each other.
        let mut digests = digests.to_vec();
        digests.sort_unstable();
        let mut tx = self.begin().await?;
        for digest in digests {
            let sql = "update blob set last_used_at = $2 where sha256 = $1 and last_used_at < $2";
            tx.execute(sql, args![digest.to_hex(), now]).await?;
        }
        tx.commit().await
    }

    pub async fn store_totals(&self) -> Result<StoreTotals> {
        let sql = "select count(*), cast(coalesce(sum(size_bytes), 0) as bigint) from blob";
        let row: Option<(i64, i64)> = self.optional(sql, vec![]).await?;
        let (blobs, bytes) = row.unwrap_or_default();
        Ok(StoreTotals { blobs: blobs.max(0) as u64, bytes: bytes.max(0) as u64 })
    }

    pub async fn put_taint(&self, content: ContentId, until: Millis) -> Result<()> {
        let sql = "insert into tainted_content (content, until_at) values ($1, $2)
            on conflict (content) do update set until_at = excluded.until_at";
        self.execute(sql, args![content.to_hex(), until]).await?;
        Ok(())
    }

    /// Contents that are tainted now; expired ones are removed.
    pub async fn taints(&self, now: Millis) -> Result<Vec<(ContentId, Millis)>> {
        self.execute("delete from tainted_content where until_at <= $1", args![now]).await?;
        let rows: Vec<(String, i64)> = self.all("select content, until_at from tainted_content", vec![]).await?;
        Ok(rows.into_iter().filter_map(|(hex, until)| Some((ContentId::parse(&hex).ok()?, until))).collect())
    }
}
