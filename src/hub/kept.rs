//! What the database says, kept in memory until it is changed.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bounded cache that never keeps what was made untrue between being read and being kept.
///
/// Who reads the database takes `seen` first and gives it with what was read: if anything was forgotten since, what was
/// read may be older than that, and is not kept.
pub(super) struct Kept<K, V> {
    cache: moka::sync::Cache<K, V>,
    forgotten: AtomicU64,
}

/// What had been forgotten when somebody began to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen(u64);

impl<K, V> Kept<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(most: u64) -> Self {
        Self::with(moka::sync::Cache::new(most))
    }

    pub(super) fn with(cache: moka::sync::Cache<K, V>) -> Self {
        Self { cache, forgotten: AtomicU64::new(0) }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key)
    }

    /// To be taken before the database is read.
    pub(super) fn seen(&self) -> Seen {
        Seen(self.forgotten.load(Ordering::SeqCst))
    }

    /// Keeps what was read after `seen` was taken.
    pub(super) fn keep(&self, seen: Seen, key: K, value: V)
    where
        K: Clone,
    {
        if self.seen() != seen {
            return;
        }
        self.cache.insert(key.clone(), value);
        // Who forgets counts first and removes then: one of the two sees the other.
        if self.seen() != seen {
            self.cache.invalidate(&key);
        }
    }

    /// Keeps what this process has just written, right after it was committed: its own change has been told before.
    pub(super) fn put(&self, key: K, value: V) {
        self.cache.insert(key, value);
    }

    pub(super) fn forget(&self, key: &K) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.cache.invalidate(key);
    }

    pub(super) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.cache.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_something_was_forgotten_is_not_kept() {
        let kept = Kept::<u32, &str>::new(10);
        let seen = kept.seen();
        kept.keep(seen, 1, "old");
        assert_eq!(kept.get(&1), Some("old"));
        kept.forget(&1);
        kept.keep(seen, 1, "old");
        assert_eq!(kept.get(&1), None);
        kept.keep(kept.seen(), 1, "new");
        kept.forget_all();
        assert_eq!(kept.get(&1), None);
    }
}
