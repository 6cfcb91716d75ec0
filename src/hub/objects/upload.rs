//! One upload: taken from the other processes, sent in parts of bounded memory, completed when all of it is proven, and noted.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Inner, Objects, away};
use crate::domain::{Digest, GitOid, millis};
use crate::hub::{Error, Result};
use crate::object::{Part, Upload, part_size};

/// How long an upload is this process's without a word, and how often it says that it goes on.
const LEASE: Duration = Duration::from_secs(60);
const RENEW: Duration = Duration::from_secs(15);
/// Parts on their way at the same time.
const PARTS: usize = 4;

/// Where an upload's bytes come from.
pub(in crate::hub) trait Parts: Send {
    /// Waits until everything before `end` is there.
    fn ready(&mut self, end: u64) -> impl Future<Output = Result<()>> + Send {
        let _ = end;
        std::future::ready(Ok(()))
    }

    /// The bytes of a range that is there; ranges are asked for in their order, without gaps.
    fn read(&mut self, range: Range<u64>) -> impl Future<Output = Result<Bytes>> + Send;

    /// Whether all that was read is what it should be; after the last range.
    fn prove(self) -> impl Future<Output = Result<bool>> + Send;
}

/// What is to be uploaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    pub(super) digest: Digest,
    /// Adds to what is known.
    pub(super) git: Option<GitOid>,
    pub(super) size: u64,
}

/// Whether a content of this size goes up while it arrives.
pub(in crate::hub) fn is_in_parts(size: u64) -> bool {
    size > part_size(size)
}

impl Objects {
    /// Uploads a content while it arrives. What comes of it shows in the rows; whatever fails here is done later.
    pub(in crate::hub) async fn upload_arriving(&self, digest: Digest, size: u64, parts: impl Parts) {
        let Some(inner) = &self.0 else { return };
        let whole = Whole { digest, git: None, size };
        match inner.upload(whole, parts).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::debug!(blob.digest = %digest, %error, "an upload beside a download ended"),
        }
        // Its blob may be here by now, and was left to this.
        inner.came.notify_one();
    }
}

impl Inner {
    /// `false` if another process does it, or if the bytes are not what they should be: then nothing of it is left.
    pub(super) async fn upload(&self, whole: Whole, parts: impl Parts) -> Result<bool> {
        self.is_ours().await?;
        let digest = whole.digest;
        let lease = || self.clock.now() + millis(LEASE);
        let Some(left) = self.db.take_upload(digest, &self.owner, lease(), self.clock.now()).await? else {
            return Ok(false);
        };
        if let Some(id) = left.upload_id {
            self.give_up(&Upload { digest, id }).await;
        }
        let renewing = async {
            let mut beats = self.clock.beats(RENEW);
            loop {
                beats.next().await;
                match self.db.keep_upload(digest, &self.owner, None, lease()).await {
                    // Another process has it: nothing of ours may become an object beside it.
                    Ok(false) => return,
                    Ok(true) => {}
                    Err(error) => tracing::debug!(%error, "could not renew an upload"),
                }
            }
        };
        let outcome = tokio::select! {
            outcome = self.send(whole, parts) => outcome,
            () = renewing => Err(Error::Conflict("another process uploads it".into())),
        };
        if !matches!(outcome, Ok(true)) {
            // Whoever takes it next aborts what may be left of it.
            self.db.leave_upload(digest, &self.owner).await?;
        }
        outcome
    }

    async fn send(&self, whole: Whole, parts: impl Parts) -> Result<bool> {
        let Whole { digest, git, size } = whole;
        let is_sent = if is_in_parts(size) {
            let upload = self.object.begin(digest).await.map_err(away)?;
            let until = self.clock.now() + millis(LEASE);
            if !self.db.keep_upload(digest, &self.owner, Some(&upload.id), until).await? {
                self.give_up(&upload).await;
                return Ok(false);
            }
            let sent = self.send_parts(&upload, size, parts).await;
            if !matches!(sent, Ok(true)) {
                self.give_up(&upload).await;
                self.db.end_upload(digest, &self.owner).await?;
            }
            sent?
        } else {
            self.send_whole(whole, parts).await?
        };
        if !is_sent {
            return Ok(false);
        }
        let found = self.object.size(digest).await.map_err(away)?;
        if found != Some(size) {
            self.object.delete(digest).await.map_err(away)?;
            let found = found.map_or("nothing".into(), |found| format!("{found} bytes"));
            return Err(Error::ObjectStore { reason: format!("{found} were found where {size} bytes were uploaded") });
        }
        Ok(self.db.put_object(digest, git, size, &self.owner, self.clock.now()).await?)
    }

    /// Aborts an upload. If that fails it may be over already, as whoever began it was never told; what is left of it the
    /// bucket's own rules remove.
    pub(super) async fn give_up(&self, upload: &Upload) {
        if let Err(error) = self.object.abort(upload).await {
            tracing::debug!(blob.digest = %upload.digest, %error, "could not abort an upload");
        }
    }

    async fn send_whole(&self, whole: Whole, mut parts: impl Parts) -> Result<bool> {
        let _memory = self.memory.acquire_many(permits(whole.size)).await;
        let bytes = parts.read(0..whole.size).await?;
        if !parts.prove().await? {
            return Ok(false);
        }
        self.object.put(whole.digest, bytes).await.map_err(away)?;
        Ok(true)
    }

    async fn send_parts(&self, upload: &Upload, size: u64, mut parts: impl Parts) -> Result<bool> {
        let step = part_size(size);
        let count = usize::try_from(size.div_ceil(step)).unwrap_or(usize::MAX);
        let mut sent: Vec<Option<Part>> = (0..count).map(|_| None).collect();
        let mut sending: JoinSet<(usize, crate::object::Result<Part>)> = JoinSet::new();
        for number in 0..count {
            if sending.len() >= PARTS {
                keep(&mut sent, sending.join_next().await)?;
            }
            let start = number as u64 * step;
            let range = start..size.min(start + step);
            parts.ready(range.end).await?;
            let memory = self.memory.clone().acquire_many_owned(permits(range.end - range.start)).await;
            // While the next part is waited for, those before it go on.
            let bytes = parts.read(range).await?;
            let (object, upload) = (self.object.clone(), upload.clone());
            sending.spawn(async move {
                let _memory = memory;
                (number, object.part(&upload, number, bytes).await)
            });
        }
        while let Some(joined) = sending.join_next().await {
            keep(&mut sent, Some(joined))?;
        }
        if !parts.prove().await? {
            return Ok(false);
        }
        let sent: Vec<Part> = sent.into_iter().flatten().collect();
        self.object.complete(upload, sent).await.map_err(away)?;
        Ok(true)
    }
}

type Joined = Result<(usize, crate::object::Result<Part>), tokio::task::JoinError>;

fn keep(sent: &mut [Option<Part>], joined: Option<Joined>) -> Result<()> {
    if let Some(joined) = joined {
        let (number, part) = joined?;
        sent[number] = Some(part.map_err(away)?);
    }
    Ok(())
}

/// The MiB of memory that so many bytes take, at most all there is.
fn permits(bytes: u64) -> u32 {
    bytes.div_ceil(1 << 20).clamp(1, super::MEMORY as u64) as u32
}
