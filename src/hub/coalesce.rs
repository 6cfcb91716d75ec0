//! One call for everybody who wants the same answer at the same time.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{Error, Result};

type Waiting<K, V> = HashMap<K, watch::Receiver<Option<Result<V>>>>;

/// Calls in progress by key. A call is a task of its own: it continues when the first caller
/// leaves, and its outcome still reaches the caches.
pub(super) struct Coalesce<K, V> {
    calls: Arc<Mutex<Waiting<K, V>>>,
    tasks: TaskTracker,
}

impl<K, V> Coalesce<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { calls: Arc::default(), tasks }
    }

    /// The outcome of the call for `key`: of the one in progress, or of `call`.
    pub(super) async fn run<F>(&self, key: K, call: impl FnOnce() -> F) -> Result<V>
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let mut receiver = self.begin(key, call);
        let outcome = receiver.wait_for(Option::is_some).await.map_err(Error::internal)?;
        outcome.clone().unwrap_or(Err(Error::Stopping))
    }

    /// Begins the call for `key`, unless it is in progress, and waits for nothing.
    pub(super) fn begin<F>(&self, key: K, call: impl FnOnce() -> F) -> watch::Receiver<Option<Result<V>>>
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = calls.get(&key) {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(None);
        calls.insert(key.clone(), receiver.clone());
        let (calls, call) = (Arc::clone(&self.calls), call());
        self.tasks.spawn(async move {
            // Removed also if the call panics: the next one retries.
            let _guard = Remove { calls, key: Some(key) };
            let outcome = call.await;
            sender.send_replace(Some(outcome));
        });
        receiver
    }
}

struct Remove<K: Eq + Hash, V> {
    calls: Arc<Mutex<Waiting<K, V>>>,
    key: Option<K>,
}

impl<K: Eq + Hash, V> Drop for Remove<K, V> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.calls.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn callers_share_one_call_and_its_outcome() {
        let coalesce = Coalesce::<u32, u32>::new(TaskTracker::new());
        let calls = Arc::new(AtomicU32::new(0));
        // On one thread all eight ask before the spawned call runs.
        let outcomes = join_all((0..8).map(|_| {
            let calls = calls.clone();
            coalesce.run(7, || async move { Ok(calls.fetch_add(1, Ordering::SeqCst) + 10) })
        }));
        assert!(outcomes.await.into_iter().all(|outcome| outcome.is_ok_and(|value| value == 10)));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!(coalesce.run(7, || async { Ok(99) }).await.ok(), Some(99), "a finished call is not reused");
    }
}
