//! Blobs in the store. A row is written after the file is synced; without it there is no blob.

use std::collections::BTreeMap;

use super::sql::{Pick, args};
use super::tx::{Lock, Sharing, Tx};
use super::{Change, Db, Error, Result};
use crate::domain::{ContentId, Digest, GitOid, Millis, XetHash};

/// A blob with all that is needed to serve it, also while the database is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRow {
    pub digest: Digest,
    pub size: u64,
    /// Greater than that of every file that was a blob before this one was.
    pub generation: i64,
    /// When its file was modified last, as it was when its bytes were proven; `None` if an earlier version did not note it.
    pub modified_ns: Option<i64>,
    /// The file is a hard link to one outside of the store.
    pub is_linked: bool,
}

/// A file that has just got its name in the store.
#[derive(Debug, Clone, Copy)]
pub struct NewBlob {
    pub digest: Digest,
    /// Adds to what is known; `None` if it is not known.
    pub git: Option<GitOid>,
    pub size: u64,
    /// As in `BlobRow`.
    pub modified_ns: i64,
    pub is_linked: bool,
    /// Where upstream gave none and it was computed.
    pub xet_hash: Option<XetHash>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreTotals {
    pub blobs: u64,
    pub bytes: u64,
}

pub(super) type Row = (String, i64, i64, Option<i64>, bool);

/// The columns of `Row`.
macro_rules! columns {
    () => {
        "select sha256, size_bytes, generation, modified_ns, is_linked from blob "
    };
}

pub(super) fn blob_of((sha256, size, generation, modified_ns, is_linked): Row) -> Result<BlobRow> {
    let digest = Digest::parse(&sha256).map_err(|source| Error::Corrupt { what: "sha256", source })?;
    Ok(BlobRow { digest, size: size.max(0) as u64, generation, modified_ns, is_linked })
}

fn git_of(oid: Option<String>) -> Option<GitOid> {
    oid.and_then(|oid| GitOid::parse(&oid).ok())
}

/// Notes a Xet hash with the blob and every artifact of this content.
async fn note_xet_hash(tx: &mut Tx, digest: Digest, xet_hash: XetHash) -> Result<()> {
    tx.execute("update blob set xet_hash = $2 where sha256 = $1", args![digest.to_hex(), xet_hash.to_string()]).await?;
    let sql = "update model_artifact set xet_hash = $2 where sha256 = $1 and xet_hash is null";
    tx.execute(sql, args![digest.to_hex(), xet_hash.to_string()]).await?;
    tx.tells(Change::XetHash(digest));
    Ok(())
}

impl Db {
    /// The blob of a content. A git blob id finds it only together with its size.
    pub async fn blob(&self, content: ContentId, size: u64) -> Result<Option<BlobRow>> {
        let row: Option<Row> = match content {
            ContentId::Sha256(digest) => {
                const SQL: &str = concat!(columns!(), "where sha256 = $1 and size_bytes = $2");
                self.optional(SQL, args![digest.to_hex(), size]).await?
            }
            ContentId::Git(oid) => {
                const SQL: &str = concat!(columns!(), "where git_oid = $1 and size_bytes = $2 limit 1");
                self.optional(SQL, args![oid.to_hex(), size]).await?
            }
        };
        row.map(blob_of).transpose()
    }

    /// The commit point of publishing: its row; what a file of this name was before is not served any more.
    pub async fn put_blob(&self, blob: &NewBlob, now: Millis) -> Result<BlobRow> {
        let NewBlob { digest, git, size, modified_ns, is_linked, xet_hash } = *blob;
        let mut tx = self.begin().await?;
        if xet_hash.is_some() {
            // See `put_entries`.
            tx.lock(Lock::XET_HASHES, Sharing::Alone).await?;
        }
        let sql = Pick {
            sqlite: "update blob_generation set last = last + 1 returning last",
            postgres: "select nextval('blob_generation')",
        };
        let next: Option<(i64,)> = tx.optional(sql, vec![]).await?;
        let generation = next.map_or(0, |(next,)| next);
        let hex = digest.to_hex();
        let sql = "select generation, git_oid from blob where sha256 = $1";
        let was: Option<(i64, Option<String>)> = tx.optional(sql, args![hex.as_str()]).await?;
        let sql = "insert into blob (sha256, git_oid, size_bytes, created_at, verified_at, last_used_at, modified_ns, is_linked, generation)
            values ($1, $2, $3, $4, $4, $4, $5, $6, $7)
            on conflict (sha256) do update set git_oid = coalesce(excluded.git_oid, blob.git_oid),
                verified_at = excluded.verified_at, modified_ns = excluded.modified_ns, is_linked = excluded.is_linked,
                generation = excluded.generation";
        let oid = git.map(GitOid::to_hex);
        tx.execute(sql, args![hex.as_str(), oid, size, now, modified_ns, is_linked, generation]).await?;
        if let Some(xet_hash) = xet_hash {
            note_xet_hash(&mut tx, digest, xet_hash).await?;
        }
        tx.mark_stale(digest, git).await?;
        if let Some((generation, oid)) = was {
            tx.tells(Change::Blob { digest, git: git_of(oid), generation });
        }
        tx.commit().await?;
        Ok(BlobRow { digest, size, generation, modified_ns: Some(modified_ns), is_linked })
    }

    /// Notes when the file of a blob was modified, whose bytes were proven just now.
    pub async fn put_modified(&self, blob: &BlobRow, modified_ns: i64) -> Result<()> {
        let sql = "update blob set modified_ns = $3 where sha256 = $1 and generation = $2";
        self.execute(sql, args![blob.digest.to_hex(), blob.generation, modified_ns]).await?;
        Ok(())
    }

    /// Notes the Xet hash of a blob that is there already, and with it that of every artifact of this content.
    pub async fn put_xet_hash(&self, digest: Digest, xet_hash: XetHash) -> Result<()> {
        let mut tx = self.begin().await?;
        // See `put_entries`.
        tx.lock(Lock::XET_HASHES, Sharing::Alone).await?;
        note_xet_hash(&mut tx, digest, xet_hash).await?;
        tx.commit().await
    }

    /// Whether the Xet hash of a blob is noted.
    pub async fn has_xet_hash(&self, digest: Digest) -> Result<bool> {
        let row: Option<(Option<String>,)> =
            self.optional("select xet_hash from blob where sha256 = $1", args![digest.to_hex()]).await?;
        Ok(row.is_some_and(|(hash,)| hash.is_some()))
    }

    /// Removes the row of a blob whose file is missing, corrupt or no longer wanted; `false` if another file has its name by now, which
    /// this says nothing about.
    pub async fn delete_blob(&self, blob: &BlobRow) -> Result<bool> {
        let BlobRow { digest, generation, .. } = *blob;
        let hex = digest.to_hex();
        let mut tx = self.begin().await?;
        let sql = "delete from blob where sha256 = $1 and generation = $2 returning git_oid";
        let row: Option<(Option<String>,)> = tx.optional(sql, args![hex.as_str(), generation]).await?;
        let Some((oid,)) = row else { return Ok(false) };
        let git = git_of(oid);
        tx.mark_stale(digest, git).await?;
        tx.tells(Change::Blob { digest, git, generation });
        tx.commit().await?;
        Ok(true)
    }

    /// Records uses by clients, of blobs and of the models that name them, in one transaction; called in batches, never per
    /// request.
    pub async fn touch_blobs(&self, uses: &[(Digest, Millis)]) -> Result<()> {
        // In one order, so that two batches never wait for each other.
        let mut uses = uses.to_vec();
        uses.sort_unstable();
        let mut models: BTreeMap<String, Millis> = BTreeMap::new();
        let mut tx = self.begin().await?;
        for (digest, at) in uses {
            // A use in the moment that it came is one all the same.
            let sql = "update blob set last_used_at = case when created_at = $2 then $2 + 1 else $2 end
                where sha256 = $1 and (last_used_at < $2 or last_used_at = $2 and created_at = $2) returning git_oid";
            let row: Option<(Option<String>,)> = tx.optional(sql, args![digest.to_hex(), at]).await?;
            let Some((oid,)) = row else { continue };
            let sql = "select repo from model_artifact where sha256 = $1
                union select repo from model_artifact where sha256 is null and oid = $2";
            let rows: Vec<(String,)> = tx.all(sql, args![digest.to_hex(), oid.unwrap_or_default()]).await?;
            for (id,) in rows {
                let last = models.entry(id).or_insert(at);
                *last = at.max(*last);
            }
        }
        // In the order of their keys, too.
        for (id, at) in models {
            let sql = "update model_repo set last_used_at = $2 where id = $1 and coalesce(last_used_at, 0) < $2";
            tx.execute(sql, args![id, at]).await?;
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
        let mut tx = self.begin().await?;
        tx.execute(sql, args![content.to_hex(), until]).await?;
        tx.tells(Change::Taint { content, until });
        tx.commit().await
    }

    /// Contents that are tainted now; expired ones are removed.
    pub async fn taints(&self, now: Millis) -> Result<Vec<(ContentId, Millis)>> {
        self.execute("delete from tainted_content where until_at <= $1", args![now]).await?;
        let rows: Vec<(String, i64)> = self.all("select content, until_at from tainted_content", vec![]).await?;
        Ok(rows.into_iter().filter_map(|(hex, until)| Some((ContentId::parse(&hex).ok()?, until))).collect())
    }
}
