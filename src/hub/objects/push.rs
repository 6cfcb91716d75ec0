//! Whatever is in the store and not in the object store is brought there, by and by and by itself.

use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::upload::{Parts, Whole};
use super::{Inner, Objects};
use crate::blob::ContentHasher;
use crate::db::BlobRow;
use crate::domain::{Backoff, ContentId, Digest, millis};
use crate::hub::store::StoredFile;
use crate::hub::{Error, Result};
use crate::object::Upload;

/// Files that are uploaded at the same time.
const FILES: usize = 4;
const PAGE: u64 = 200;
/// How often somebody looks who was not told that something has come: other processes bring files too.
const LOOK: Duration = Duration::from_secs(10);
/// Between looks while the object store is away.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
/// Uploads that were left for so long are aborted, whatever became of their blobs.
const LEFT: Duration = Duration::from_secs(24 * 3600);

impl Objects {
    /// Brings blobs to the object store until `stop`. `is_alone`: no other process has this database.
    pub(in crate::hub) async fn keep_durable(&self, is_alone: bool, stop: &CancellationToken) {
        let Some(inner) = &self.0 else { return };
        if is_alone && let Err(error) = inner.db.leave_uploads(None).await {
            Error::from(error).warn("could not take over the uploads of the last process");
        }
        let (mut failures, mut after) = (0u32, None);
        loop {
            let mut pushed = 0u64;
            let round = tokio::select! {
                () = stop.cancelled() => break,
                round = inner.push_all(&mut after, &mut pushed) => round,
            };
            match round {
                Ok(()) => {
                    failures = 0;
                    inner.away.is_over();
                }
                Err(error) => {
                    failures = if pushed == 0 { failures.saturating_add(1) } else { 1 };
                    inner.away.met(error);
                }
            }
            let pause = if failures == 0 { LOOK } else { BACKOFF.pause(failures) };
            tokio::select! {
                () = stop.cancelled() => break,
                () = inner.came.notified(), if failures == 0 => {}
                () = inner.clock.sleep(pause) => {}
            }
        }
        if let Err(error) = inner.db.leave_uploads(Some(&inner.owner)).await {
            tracing::debug!(%error, "could not hand over uploads");
        }
    }
}

impl Inner {
    /// One look at the blobs behind `after`, to the last one; counts those that it brought there. Ends with the first failure, as
    /// the next file would mostly fare no better; but it is that file's turn then, so that one alone holds nobody up.
    async fn push_all(&self, after: &mut Option<Digest>, done: &mut u64) -> Result<()> {
        self.is_ours().await?;
        self.abort_left().await?;
        loop {
            let page = self.db.not_durable(*after, PAGE, self.clock.now()).await?;
            let last = page.last().map(|row| row.digest);
            let push = async |row: BlobRow| (row.digest, self.push(row).await);
            let has_failed = AtomicBool::new(false);
            let goes_on = |_: &BlobRow| std::future::ready(!has_failed.load(Ordering::Relaxed));
            let mut pushes = pin!(stream::iter(page).take_while(goes_on).map(push).buffer_unordered(FILES));
            let mut outcome = Ok(());
            // Those that have begun come to their ends: one that is dropped would be this process's for a minute more.
            while let Some((digest, pushed)) = pushes.next().await {
                match pushed {
                    Ok(is_there) => *done += u64::from(is_there),
                    Err(_) if has_failed.swap(true, Ordering::Relaxed) => {}
                    Err(error) => {
                        *after = Some(digest);
                        outcome = Err(error);
                    }
                }
            }
            outcome?;
            *after = last;
            if last.is_none() {
                return Ok(());
            }
        }
    }

    async fn push(&self, row: BlobRow) -> Result<bool> {
        let Some(stored) = self.store.open_row(row).await? else { return Ok(false) };
        let whole = Whole { digest: row.digest, git: None, size: row.size };
        let is_there = Box::pin(self.upload(whole, Stored::new(stored))).await?;
        if is_there {
            tracing::debug!(blob.digest = %row.digest, size_bytes = row.size, "a file is in the object store");
        }
        Ok(is_there)
    }

    async fn abort_left(&self) -> Result<()> {
        let before = self.clock.now() - millis(LEFT);
        for left in self.db.left_uploads(before, PAGE).await? {
            let digest = left.digest;
            if let Some(id) = left.upload_id {
                self.give_up(&Upload { digest, id }).await;
            }
            self.db.forget_upload(digest, before).await?;
        }
        Ok(())
    }
}

/// A blob, proven once more while it is read: no damage of the disk goes up.
struct Stored {
    file: Arc<StoredFile>,
    digest: Digest,
    hasher: Option<ContentHasher>,
}

impl Stored {
    fn new(file: Arc<StoredFile>) -> Self {
        let hasher = ContentHasher::new(ContentId::Sha256(file.digest()), file.size());
        Self { digest: file.digest(), file, hasher: Some(hasher) }
    }
}

impl Parts for Stored {
    async fn read(&mut self, range: Range<u64>) -> Result<Bytes> {
        let file = Arc::clone(self.file.file());
        let mut hasher = self.hasher.take();
        let read = move || {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start)?;
            if let Some(hasher) = &mut hasher {
                hasher.update(&bytes);
            }
            std::io::Result::Ok((hasher, bytes))
        };
        let (hasher, bytes) = tokio::task::spawn_blocking(read).await?.map_err(Error::internal)?;
        self.hasher = hasher;
        Ok(bytes.into())
    }

    async fn prove(self) -> Result<bool> {
        let is_right = self.hasher.is_some_and(|hasher| hasher.finish().is_ok());
        if !is_right {
            tracing::error!(blob.digest = %self.digest, "a stored file is damaged and was not uploaded; `modelhub verify` takes care of it");
        }
        Ok(is_right)
    }
}
