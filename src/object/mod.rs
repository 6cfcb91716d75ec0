//! The object store: immutable bytes by their sha256 in a bucket that speaks S3, durable and outside of this machine.
//!
//! A name means its content: what is uploaded in parts is invisible until `complete`, which is only called for what is
//! proven. Nothing here decides what exists: that is a row of the database (`db/objects.rs`). Every call has an end, a
//! number of tries, and an error that says what happened without saying a secret.

mod check;
mod error;
mod open;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutPayload};

pub use check::{Step, check};
pub use error::{Error, Result};

use crate::domain::{Clock, Digest};
use crate::metrics;

/// Whose prefix this is: the identity of the store that has it.
const STORE_ID: &str = "STORE_ID";
/// A part has at least this size, and there are at most so many of one object (both are S3's rules, with room to spare).
const PART: u64 = 8 << 20;
const PARTS: u64 = 9_000;
/// What one call may take, besides the time for its bytes at the slowest speed that is not a stall.
const CALL: Duration = Duration::from_secs(30);
const SLOWEST: u64 = 128 << 10;

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct ObjectStore(Arc<Inner>);

struct Inner {
    /// Its connections are given up when nothing is received for a while; an upload receives nothing for long.
    reads: AmazonS3,
    writes: AmazonS3,
    prefix: Path,
    name: String,
    clock: Clock,
}

/// An upload in parts that has begun.
#[derive(Debug, Clone)]
pub struct Upload {
    pub digest: Digest,
    /// The object store's name for it.
    pub id: String,
}

/// A part that has arrived.
pub struct Part(PartId);

/// The size of the parts of an object of `size` bytes; what is not larger than one is put as a whole.
pub fn part_size(size: u64) -> u64 {
    let least = size.div_ceil(PARTS);
    PART.max(least.div_ceil(1 << 20) << 20)
}

impl ObjectStore {
    /// What people know it by: bucket, prefix, and where that is.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    fn path(&self, digest: Digest) -> Path {
        let hex = digest.to_hex();
        self.0.prefix.clone().join("blobs").join("sha256").join(&hex[..2]).join(hex)
    }

    /// How long an object is; `None` if there is no such object.
    pub async fn size(&self, digest: Digest) -> Result<Option<u64>> {
        let path = self.path(digest);
        let head = self.within("head", 0, async { self.0.reads.head(&path).await }).await;
        match head {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A range of an object as it arrives. `Missing` if there is none.
    pub async fn read(&self, digest: Digest, range: Range<u64>) -> Result<BoxStream<'static, Result<Bytes>>> {
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let path = self.path(digest);
        let got = self.within("get", 0, async { self.0.reads.get_opts(&path, options).await }).await?;
        if got.range != range {
            return Err(Error::Failed(format!(
                "{}..{} was sent for {}..{}",
                got.range.start, got.range.end, range.start, range.end
            )));
        }
        let bytes = got.into_stream().map(|piece| {
            let piece = piece.map_err(Error::from)?;
            metrics::object_read(piece.len() as u64);
            Ok(piece)
        });
        Ok(bytes.boxed())
    }

    /// Puts a small object as a whole.
    pub async fn put(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        let path = self.path(digest);
        let len = bytes.len() as u64;
        self.within("put", len, async { self.0.writes.put(&path, PutPayload::from_bytes(bytes)).await }).await?;
        metrics::object_written(len);
        Ok(())
    }

    /// Begins an upload in parts. Nobody sees anything of it before it is completed.
    pub async fn begin(&self, digest: Digest) -> Result<Upload> {
        let path = self.path(digest);
        let id = self.within("begin", 0, async { self.0.writes.create_multipart(&path).await }).await?;
        Ok(Upload { digest, id })
    }

    /// Sends one part; the first is number 0.
    pub async fn part(&self, upload: &Upload, number: usize, bytes: Bytes) -> Result<Part> {
        let (path, len) = (self.path(upload.digest), bytes.len() as u64);
        let send = async { self.0.writes.put_part(&path, &upload.id, number, PutPayload::from_bytes(bytes)).await };
        let part = self.within("part", len, send).await?;
        metrics::object_written(len);
        Ok(Part(part))
    }

    /// Makes the parts, in their order, an object.
    pub async fn complete(&self, upload: &Upload, parts: Vec<Part>) -> Result<()> {
        let path = self.path(upload.digest);
        let parts = parts.into_iter().map(|Part(id)| id).collect();
        // The store may put the parts together meanwhile.
        let most = 16 << 20;
        self.within("complete", most, async { self.0.writes.complete_multipart(&path, &upload.id, parts).await })
            .await?;
        Ok(())
    }

    /// Gives up an upload; one that is not there any more is given up already.
    pub async fn abort(&self, upload: &Upload) -> Result<()> {
        let path = self.path(upload.digest);
        match self.within("abort", 0, async { self.0.writes.abort_multipart(&path, &upload.id).await }).await {
            Err(Error::Missing) => Ok(()),
            outcome => outcome,
        }
    }

    /// Removes an object, if there is one.
    pub async fn delete(&self, digest: Digest) -> Result<()> {
        let path = self.path(digest);
        match self.within("delete", 0, async { self.0.writes.delete(&path).await }).await {
            Err(Error::Missing) => Ok(()),
            outcome => outcome,
        }
    }

    /// The objects after one of them, in the order of their names, as they are found.
    pub fn list(&self, after: Option<Digest>) -> BoxStream<'static, Result<(Digest, u64)>> {
        let prefix = self.0.prefix.clone().join("blobs").join("sha256");
        let found = match after {
            Some(after) => self.0.reads.list_with_offset(Some(&prefix), &self.path(after)),
            None => self.0.reads.list(Some(&prefix)),
        };
        let digest = |path: &Path| path.filename().and_then(|name| Digest::parse(name).ok());
        // What other programs put beside ours is not ours to judge.
        found
            .filter_map(move |meta| async move {
                match meta {
                    Ok(meta) => digest(&meta.location).map(|digest| Ok((digest, meta.size))),
                    Err(error) => Some(Err(Error::from(error))),
                }
            })
            .boxed()
    }

    /// The identity that the prefix has; `None` in a new one.
    pub async fn identity(&self) -> Result<Option<String>> {
        let path = self.0.prefix.clone().join(STORE_ID);
        let read = self.within("get", 0, async { self.0.reads.get(&path).await?.bytes().await }).await;
        match read {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).trim().to_owned())),
            Err(Error::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn put_identity(&self, identity: &str) -> Result<()> {
        let path = self.0.prefix.clone().join(STORE_ID);
        let payload = PutPayload::from(identity.as_bytes().to_vec());
        self.within("put", 0, async { self.0.writes.put(&path, payload).await }).await?;
        Ok(())
    }

    /// One call, with the time that it may take for `bytes`; counted.
    async fn within<T>(
        &self,
        operation: &'static str,
        bytes: u64,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T> {
        let most = CALL + Duration::from_secs(bytes / SLOWEST);
        let outcome = match self.0.clock.timeout(most, call).await {
            Ok(outcome) => outcome.map_err(Error::from),
            Err(_) => Err(Error::Failed(format!("no answer within {} s", most.as_secs()))),
        };
        metrics::object_call(
            operation,
            match &outcome {
                Ok(_) => "ok",
                Err(Error::Missing) => "missing",
                Err(Error::Refused(_)) => "refused",
                Err(Error::Failed(_)) => "failed",
            },
        );
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough_and_large_enough() {
        for size in [0, 1, 8 << 20, (8 << 20) + 1, 80 << 30, 5 << 40] {
            let part = part_size(size);
            assert!(part >= 5 << 20 && size.div_ceil(part) <= 10_000 && part <= 5 << 30, "{size}: {part}");
        }
        assert_eq!(part_size(1 << 30), 8 << 20);
    }
}
