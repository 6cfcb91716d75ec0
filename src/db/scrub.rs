//! The scrub: whose turn it is, how far it is, and which process does it. All of it survives that process.

use super::blobs::{Row, blob_of};
use super::sql::{Value, args};
use super::{BlobRow, Db, Result};
use crate::domain::{Digest, Millis, WorkerId};

/// How far a file was read, and what its hash was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubMark {
    pub position: u64,
    /// When the file was modified last, as it was then.
    pub modified_ns: i64,
    pub hasher: Vec<u8>,
}

/// Where the look at the sizes of all files is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SizesLook {
    /// When the last one ended.
    pub ended_at: Millis,
    /// The last file that the present one has looked at.
    pub after: Option<Digest>,
}

/// What was verified since a point in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    pub files: u64,
    pub bytes: u64,
    /// The oldest verification of all files that are as they were then.
    pub oldest_at: Option<Millis>,
}

impl Db {
    /// Becomes or stays the process that scrubs; `false` while another one has said that it does.
    pub async fn lease_scrub(&self, owner: &WorkerId, until: Millis, now: Millis) -> Result<bool> {
        let sql = "update scrub set owner = $1, leased_until = $2 where owner = $1 or leased_until <= $3";
        Ok(self.execute(sql, args![owner, until, now]).await? > 0)
    }

    /// Lets another process scrub.
    pub async fn release_scrub(&self, owner: &WorkerId) -> Result<()> {
        self.execute("update scrub set owner = null, leased_until = 0 where owner = $1", args![owner]).await?;
        Ok(())
    }

    /// Blobs that were verified at `until` or before, the longest ago first; those behind `after`.
    pub async fn scrub_page(
        &self,
        until: Millis,
        after: Option<(Millis, Digest)>,
        limit: u64,
    ) -> Result<Vec<(BlobRow, Millis)>> {
        let sql = "select sha256, size_bytes, generation, modified_ns, is_linked, verified_at from blob
            where verified_at <= $1 and (verified_at > $2 or verified_at = $2 and sha256 > $3)
            order by verified_at, sha256 limit $4";
        let (at, digest) = after.map_or((i64::MIN, String::new()), |(at, digest)| (at, digest.to_hex()));
        let rows: Vec<(String, i64, i64, Option<i64>, bool, i64)> =
            self.all(sql, args![until, at, digest, limit]).await?;
        let row = |(sha256, size, generation, modified_ns, is_linked, verified_at)| {
            let row: Row = (sha256, size, generation, modified_ns, is_linked);
            Ok((blob_of(row)?, verified_at))
        };
        rows.into_iter().map(row).collect()
    }

    /// Records that a blob was verified, whose file was modified at `modified_ns` if that is known. It is no use of it.
    pub async fn put_verified(&self, blob: &BlobRow, modified_ns: Option<i64>, now: Millis) -> Result<()> {
        let sql = "update blob set verified_at = $4, modified_ns = coalesce($3, modified_ns) where sha256 = $1 and generation = $2";
        self.execute(sql, args![blob.digest.to_hex(), blob.generation, modified_ns, now]).await?;
        Ok(())
    }

    /// Notes that somebody has written to the file of a blob: it was never verified as it is now.
    pub async fn put_unverified(&self, blob: &BlobRow) -> Result<()> {
        let sql = "update blob set verified_at = 0 where sha256 = $1 and generation = $2";
        self.execute(sql, args![blob.digest.to_hex(), blob.generation]).await?;
        Ok(())
    }

    /// Notes how far a blob was read.
    pub async fn put_scrub_mark(&self, blob: &BlobRow, mark: &ScrubMark, now: Millis) -> Result<()> {
        let sql = "update scrub set sha256 = $1, generation = $2, modified_ns = $3, position = $4, hasher = $5, marked_at = $6";
        let ScrubMark { position, modified_ns, ref hasher } = *mark;
        let values: Vec<Value> =
            args![blob.digest.to_hex(), blob.generation, modified_ns, position, hasher.clone(), now];
        self.execute(sql, values).await?;
        Ok(())
    }

    /// How far a blob was read since it was last verified; not what was noted before `since`.
    pub async fn scrub_mark(&self, blob: &BlobRow, since: Millis) -> Result<Option<ScrubMark>> {
        let sql = "select s.position, s.modified_ns, s.hasher from scrub s
            join blob b on b.sha256 = s.sha256 and b.generation = s.generation
            where s.sha256 = $1 and s.generation = $2 and s.marked_at >= $3 and s.marked_at > b.verified_at";
        let row: Option<(i64, i64, Vec<u8>)> =
            self.optional(sql, args![blob.digest.to_hex(), blob.generation, since]).await?;
        Ok(row.map(|(position, modified_ns, hasher)| ScrubMark {
            position: position.max(0).cast_unsigned(),
            modified_ns,
            hasher,
        }))
    }

    pub async fn sizes_look(&self) -> Result<SizesLook> {
        let row: Option<(i64, Option<String>)> =
            self.optional("select sizes_at, sizes_after from scrub", vec![]).await?;
        let (ended_at, after) = row.unwrap_or_default();
        Ok(SizesLook { ended_at, after: after.and_then(|hex| Digest::parse(&hex).ok()) })
    }

    pub async fn put_sizes_look(&self, look: &SizesLook) -> Result<()> {
        let after = look.after.map(Digest::to_hex);
        self.execute("update scrub set sizes_at = $1, sizes_after = $2", args![look.ended_at, after]).await?;
        Ok(())
    }

    /// What was verified after `since`.
    pub async fn verified(&self, since: Millis) -> Result<Verified> {
        let sql = "select cast(coalesce(sum(case when verified_at > $1 then 1 else 0 end), 0) as bigint),
                cast(coalesce(sum(case when verified_at > $1 then size_bytes else 0 end), 0) as bigint),
                min(case when verified_at > 0 then verified_at end) from blob";
        let row: Option<(i64, i64, Option<i64>)> = self.optional(sql, args![since]).await?;
        let (files, bytes, oldest_at) = row.unwrap_or_default();
        Ok(Verified { files: files.max(0).cast_unsigned(), bytes: bytes.max(0).cast_unsigned(), oldest_at })
    }
}
