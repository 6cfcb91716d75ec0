//! What lies in the object store, and who uploads what to it.

use super::blobs::{Row, blob_of};
use super::sql::args;
use super::{Amount, BlobRow, Db, Error, Result};
use crate::domain::{ContentId, Digest, GitOid, Millis};

/// Files and bytes in the object store, and those that are on their way there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectTotals {
    pub objects: u64,
    pub bytes: u64,
    /// Blobs that are not there yet.
    pub waiting: u64,
    pub waiting_bytes: u64,
}

/// An upload that nobody says any more that they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftUpload {
    pub digest: Digest,
    pub upload_id: Option<String>,
}

fn digest_of(hex: &str) -> Result<Digest> {
    Digest::parse(hex).map_err(|source| Error::Corrupt { what: "sha256", source })
}

impl Db {
    /// The object that holds a content. A git blob id finds it only together with its size.
    pub async fn object(&self, content: ContentId, size: u64) -> Result<Option<Digest>> {
        let row: Option<(String,)> = match content {
            ContentId::Sha256(digest) => {
                let sql = "select sha256 from object where sha256 = $1 and size_bytes = $2";
                self.optional(sql, args![digest.to_hex(), size]).await?
            }
            ContentId::Git(oid) => {
                let sql = "select sha256 from object where git_oid = $1 and size_bytes = $2 limit 1";
                self.optional(sql, args![oid.to_hex(), size]).await?
            }
        };
        row.map(|(hex,)| digest_of(&hex)).transpose()
    }

    /// Blobs that the object store does not have and that nobody uploads now, behind `after` in the order of their digests.
    pub async fn not_durable(&self, after: Option<Digest>, limit: u64, now: Millis) -> Result<Vec<BlobRow>> {
        let sql = "select b.sha256, b.size_bytes, b.generation, b.modified_ns, b.is_linked from blob b
            where b.sha256 > $1 and not exists (select 1 from object o where o.sha256 = b.sha256)
                and not exists (select 1 from object_upload u where u.sha256 = b.sha256 and u.leased_until > $3)
            order by b.sha256 limit $2";
        let after = after.map(Digest::to_hex).unwrap_or_default();
        let rows: Vec<Row> = self.all(sql, args![after, limit, now]).await?;
        rows.into_iter().map(blob_of).collect()
    }

    /// Takes the upload of a content, unless another process says that it does it; with the upload that the last one has left.
    pub async fn take_upload(
        &self,
        digest: Digest,
        owner: &str,
        until: Millis,
        now: Millis,
    ) -> Result<Option<LeftUpload>> {
        let sql = "insert into object_upload (sha256, owner, leased_until) values ($1, $2, $3)
            on conflict (sha256) do update set owner = excluded.owner, leased_until = excluded.leased_until
                where object_upload.leased_until <= $4 or object_upload.owner = excluded.owner
            returning upload_id";
        let mut tx = self.begin().await?;
        let row: Option<(Option<String>,)> = tx.optional(sql, args![digest.to_hex(), owner, until, now]).await?;
        tx.commit().await?;
        Ok(row.map(|(upload_id,)| LeftUpload { digest, upload_id }))
    }

    /// Notes what the object store calls an upload, and says that it goes on; `false` if another process has it by now.
    pub async fn keep_upload(&self, digest: Digest, owner: &str, id: Option<&str>, until: Millis) -> Result<bool> {
        let sql = "update object_upload set upload_id = coalesce($3, upload_id), leased_until = $4
            where sha256 = $1 and owner = $2";
        Ok(self.execute(sql, args![digest.to_hex(), owner, id.map(str::to_owned), until]).await? > 0)
    }

    /// The upload is over, and nothing of it is left.
    pub async fn end_upload(&self, digest: Digest, owner: &str) -> Result<()> {
        let sql = "delete from object_upload where sha256 = $1 and owner = $2";
        self.execute(sql, args![digest.to_hex(), owner]).await?;
        Ok(())
    }

    /// Lets others have an upload whose outcome is not known.
    pub async fn leave_upload(&self, digest: Digest, owner: &str) -> Result<()> {
        let sql = "update object_upload set leased_until = 0 where sha256 = $1 and owner = $2";
        self.execute(sql, args![digest.to_hex(), owner]).await?;
        Ok(())
    }

    /// Lets others have the uploads of one process; `None`: of all, as the only process that could upload has just started.
    pub async fn leave_uploads(&self, owner: Option<&str>) -> Result<()> {
        let sql = "update object_upload set leased_until = 0 where $1 = '' or owner = $1";
        self.execute(sql, args![owner.unwrap_or_default()]).await?;
        Ok(())
    }

    /// Nothing is left of an upload that was left at `before` or earlier.
    pub async fn forget_upload(&self, digest: Digest, before: Millis) -> Result<()> {
        let sql = "delete from object_upload where sha256 = $1 and leased_until <= $2";
        self.execute(sql, args![digest.to_hex(), before]).await?;
        Ok(())
    }

    /// Uploads that were left at `before` or earlier.
    pub async fn left_uploads(&self, before: Millis, limit: u64) -> Result<Vec<LeftUpload>> {
        let sql = "select sha256, upload_id from object_upload where leased_until <= $1 order by sha256 limit $2";
        let rows: Vec<(String, Option<String>)> = self.all(sql, args![before, limit]).await?;
        rows.into_iter().map(|(hex, upload_id)| Ok(LeftUpload { digest: digest_of(&hex)?, upload_id })).collect()
    }

    /// The commit point of an upload: the object exists from here on. `false` if another process has the upload by now.
    pub async fn put_object(
        &self,
        digest: Digest,
        git: Option<GitOid>,
        size: u64,
        owner: &str,
        now: Millis,
    ) -> Result<bool> {
        let hex = digest.to_hex();
        let mut tx = self.begin().await?;
        let sql = "delete from object_upload where sha256 = $1 and owner = $2";
        if tx.execute(sql, args![hex.as_str(), owner]).await? == 0 {
            return Ok(false);
        }
        let sql = "insert into object (sha256, git_oid, size_bytes, stored_at)
            values ($1, coalesce($2, (select b.git_oid from blob b where b.sha256 = $1)), $3, $4)
            on conflict (sha256) do update set git_oid = coalesce(excluded.git_oid, object.git_oid),
                stored_at = excluded.stored_at";
        tx.execute(sql, args![hex.as_str(), git.map(GitOid::to_hex), size, now]).await?;
        tx.mark_stale(digest, git).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// What the object store has is not what it should be: it is no object any more, and will be uploaded again.
    pub async fn delete_object(&self, digest: Digest) -> Result<bool> {
        let mut tx = self.begin().await?;
        let sql = "delete from object where sha256 = $1 returning git_oid";
        let row: Option<(Option<String>,)> = tx.optional(sql, args![digest.to_hex()]).await?;
        let Some((oid,)) = row else { return Ok(false) };
        tx.mark_stale(digest, oid.and_then(|oid| GitOid::parse(&oid).ok())).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Objects behind `after` in the order of their digests, with their sizes.
    pub async fn objects(&self, after: Option<Digest>, limit: u64) -> Result<Vec<(Digest, u64)>> {
        let sql = "select sha256, size_bytes from object where sha256 > $1 order by sha256 limit $2";
        let after = after.map(Digest::to_hex).unwrap_or_default();
        let rows: Vec<(String, i64)> = self.all(sql, args![after, limit]).await?;
        rows.into_iter().map(|(hex, size)| Ok((digest_of(&hex)?, size.max(0) as u64))).collect()
    }

    /// Objects of which no blob is on the disk.
    pub async fn only_in_object_store(&self) -> Result<Amount> {
        let sql = "select count(*), cast(coalesce(sum(o.size_bytes), 0) as bigint) from object o
            where not exists (select 1 from blob b where b.sha256 = o.sha256)";
        Ok(Amount::of(self.optional(sql, vec![]).await?.unwrap_or_default()))
    }

    /// Whether anything is said to be in the object store.
    pub async fn has_objects(&self) -> Result<bool> {
        let row: Option<(i64,)> =
            self.optional("select count(*) from (select 1 from object limit 1) o", vec![]).await?;
        Ok(row.is_some_and(|(count,)| count > 0))
    }

    /// Nothing is said to be in the object store any more.
    pub async fn forget_objects(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        if tx.execute("delete from object", vec![]).await? > 0 {
            tx.execute("update model_repo set stale = $1", args![true]).await?;
        }
        tx.commit().await
    }

    /// What was found in the object store under names of ours; what is known already stays as it is.
    pub async fn put_found_objects(&self, found: &[(Digest, u64)], now: Millis) -> Result<()> {
        let mut tx = self.begin().await?;
        for (digest, size) in found {
            let sql = "insert into object (sha256, git_oid, size_bytes, stored_at)
                values ($1, (select b.git_oid from blob b where b.sha256 = $1), $2, $3) on conflict (sha256) do nothing";
            tx.execute(sql, args![digest.to_hex(), *size, now]).await?;
            tx.mark_stale(*digest, None).await?;
        }
        tx.commit().await
    }

    pub async fn object_totals(&self) -> Result<ObjectTotals> {
        let sql =
            "select (select count(*) from object), (select cast(coalesce(sum(size_bytes), 0) as bigint) from object),
                count(*), cast(coalesce(sum(b.size_bytes), 0) as bigint)
            from blob b where not exists (select 1 from object o where o.sha256 = b.sha256)";
        let row: Option<(i64, i64, i64, i64)> = self.optional(sql, vec![]).await?;
        let (objects, bytes, waiting, waiting_bytes) = row.unwrap_or_default();
        let amount = |number: i64| number.max(0) as u64;
        Ok(ObjectTotals {
            objects: amount(objects),
            bytes: amount(bytes),
            waiting: amount(waiting),
            waiting_bytes: amount(waiting_bytes),
        })
    }
}
