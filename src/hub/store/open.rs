//! Blobs that are kept open, the most recently used ones.
//!
//! What is dropped here is closed by the last response that sends from it, immediately, so that an evicted file gives its space
//! back. (A concurrent cache drops what it removes some time later.)

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

use super::StoredFile;
use crate::domain::Digest;

const SHARDS: usize = 16;
/// Files of one shard; each takes a descriptor and a mapping.
const EACH: usize = 32;

pub(super) struct OpenFiles {
    shards: [Mutex<LruCache<Digest, Arc<StoredFile>>>; SHARDS],
    forgotten: AtomicU64,
}

impl OpenFiles {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(LruCache::new(EACH))), forgotten: AtomicU64::new(0) }
    }

    /// The file that had its blob's name at this generation.
    pub(super) fn get(&self, digest: Digest, generation: i64) -> Option<Arc<StoredFile>> {
        self.shard(digest).get(&digest).filter(|file| file.generation() == generation).cloned()
    }

    /// To be taken before a file is opened.
    pub(super) fn seen(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    /// Keeps a file that was opened after `seen` was taken, unless a file was forgotten since: it may be this one.
    pub(super) fn keep(&self, seen: u64, file: &Arc<StoredFile>) {
        let mut shard = self.shard(file.digest());
        if self.seen() == seen {
            shard.insert(file.digest(), Arc::clone(file));
        }
    }

    /// Closes the file that had this generation or one before it.
    pub(super) fn forget(&self, digest: Digest, generation: i64) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        let mut shard = self.shard(digest);
        if shard.peek(&digest).is_some_and(|file| file.generation() <= generation) {
            shard.remove(&digest);
        }
    }

    /// Whether a response sends this file now, as far as it is kept open.
    pub(super) fn is_sent(&self, digest: Digest) -> bool {
        self.shard(digest).peek(&digest).is_some_and(StoredFile::is_sent)
    }

    /// All files that responses send now.
    pub(super) fn sent(&self) -> Vec<Digest> {
        let mut sent = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            sent.extend(shard.iter().filter(|(_, file)| file.is_sent()).map(|(digest, _)| *digest));
        }
        sent
    }

    pub(super) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn shard(&self, digest: Digest) -> MutexGuard<'_, LruCache<Digest, Arc<StoredFile>>> {
        let shard = usize::from(digest.bytes()[0]) % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
