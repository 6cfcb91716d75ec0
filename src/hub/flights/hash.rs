//! The hash that follows a file while it is downloaded.
//!
//! It goes over the contiguous beginning on one thread as long as there is something to hash.
//! What connections have just written is handed over in memory when it comes next, which saves
//! reading it back; everything else is read from the file.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::{Flight, Flights};
use crate::blob::{ContentHasher, Partial, Proven};
use crate::domain::ContentId;
use crate::hub::{Error, Result};

/// How far the contiguous beginning may be ahead of the hash, and how far ahead of it what was
/// written is kept for it.
const LEAD: u64 = 16 << 20;
/// The hash resumes when this much has arrived.
const STEP: u64 = 1 << 20;
/// Bytes read back in one call.
const PIECE: u64 = 256 << 10;
/// Most bytes kept for the hashes of all flights.
const KEPT: usize = 16 << 20;

static KEPT_NOW: AtomicUsize = AtomicUsize::new(0);

pub(super) enum Verdict {
    Right(Proven),
    /// What the bytes are instead.
    Wrong(ContentId),
}

/// Reserves room for so many bytes among those kept, if there is.
fn has_room(len: usize) -> bool {
    let is_free = KEPT_NOW.fetch_add(len, Ordering::Relaxed) + len <= KEPT;
    if !is_free {
        KEPT_NOW.fetch_sub(len, Ordering::Relaxed);
    }
    is_free
}

/// How far the hash has got, and what is kept for it.
#[derive(Default)]
pub(super) struct Progress {
    position: AtomicU64,
    kept: Mutex<BTreeMap<u64, Bytes>>,
    /// Updated every few MiB: whoever waits for the hash must not slow it down.
    advanced: Notify,
}

impl Progress {
    const TELL_EVERY: u64 = 4 << 20;

    /// Keeps bytes that were just written at `offset`, if they come soon and there is room.
    pub(super) fn keep(&self, mut offset: u64, chunks: Vec<Bytes>) {
        let mut kept = self.lock();
        for chunk in chunks {
            let len = chunk.len();
            let position = self.position.load(Ordering::Relaxed);
            if (position..position + LEAD).contains(&offset)
                && has_room(len)
                && let Some(old) = kept.insert(offset, chunk)
            {
                KEPT_NOW.fetch_sub(old.len(), Ordering::Relaxed);
            }
            offset += len as u64;
        }
    }

    /// Takes what is kept for `position`; if nothing is, where the next kept piece begins.
    fn take(&self, position: u64) -> Result<Bytes, u64> {
        let mut kept = self.lock();
        while let Some(first) = kept.first_entry() {
            if *first.key() > position {
                return Err(*first.key());
            }
            let (offset, bytes) = first.remove_entry();
            KEPT_NOW.fetch_sub(bytes.len(), Ordering::Relaxed);
            if offset == position {
                return Ok(bytes);
            }
        }
        Err(u64::MAX)
    }

    fn clear(&self) {
        let kept = std::mem::take(&mut *self.lock());
        KEPT_NOW.fetch_sub(kept.values().map(Bytes::len).sum(), Ordering::Relaxed);
    }

    fn set(&self, position: u64) {
        let before = self.position.swap(position, Ordering::Relaxed);
        if before / Self::TELL_EVERY != position / Self::TELL_EVERY {
            self.advanced.notify_waiters();
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// When it has got a few MiB further.
    pub(super) fn advanced(&self) -> Notified<'_> {
        self.advanced.notified()
    }

    /// Waits while much has arrived that is not hashed yet. The file is not complete before it is
    /// hashed: a fetch that runs ahead of the hash only takes the processor from it.
    pub(super) async fn follow(&self, partial: &Partial) {
        loop {
            let advanced = self.advanced.notified();
            tokio::pin!(advanced);
            advanced.as_mut().enable();
            if partial.available(self.position.load(Ordering::Relaxed), LEAD) < LEAD {
                return;
            }
            advanced.await;
        }
    }

    /// Hashes until it has caught up with what has arrived. One long run on one thread: a hash
    /// that is handed from thread to thread loses its processor each time.
    fn catch_up(
        &self,
        partial: &Partial,
        mut hasher: ContentHasher,
        mut position: u64,
    ) -> std::io::Result<(ContentHasher, u64)> {
        let mut buffer = Vec::new();
        loop {
            match self.take(position) {
                Ok(bytes) => {
                    hasher.update(&bytes);
                    position += bytes.len() as u64;
                }
                Err(next_kept) => {
                    let ready = partial.available(position, PIECE).min(next_kept - position) as usize;
                    if ready == 0 {
                        return Ok((hasher, position));
                    }
                    if buffer.len() < ready {
                        buffer.resize(PIECE as usize, 0);
                    }
                    partial.file().read_exact_at(&mut buffer[..ready], position)?;
                    hasher.update(&buffer[..ready]);
                    position += ready as u64;
                }
            }
            self.set(position);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Bytes>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Flights {
    /// Hashes the contiguous beginning as it grows, to the end.
    pub(super) async fn hash_behind(&self, flight: &Arc<Flight>, partial: &Arc<Partial>) -> Result<Verdict> {
        let size = partial.size();
        let mut hasher = ContentHasher::new(flight.target.content, size);
        // Upstream's own hash, if it gave one, is what its clients know the content by.
        if self.settings.xet.serve && flight.target.content.is_lfs() && flight.target.xet_hash.is_none() {
            hasher = hasher.with_xet();
        }
        let mut position = 0;
        flight.hash.clear();
        flight.hash.set(0);
        while position < size {
            let changed = partial.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            // Small pieces are left to gather, unless they are the last.
            if partial.available(position, STEP) < STEP.min(size - position) {
                changed.await;
                continue;
            }
            let (flight, partial) = (Arc::clone(flight), Arc::clone(partial));
            let caught_up = tokio::task::spawn_blocking(move || flight.hash.catch_up(&partial, hasher, position));
            (hasher, position) = caught_up.await?.map_err(Error::internal)?;
        }
        Ok(match hasher.finish() {
            Ok(proven) => Verdict::Right(proven),
            Err(actual) => Verdict::Wrong(actual),
        })
    }
}
