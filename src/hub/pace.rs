//! How fast jobs may download: a limit for all together and one for each.
//!
//! Only what nobody waits for is slowed: as soon as a client reads from a flight, it runs at full speed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::Clock;

/// A limit of bytes a second; 0: none. Cloned, it is the same limit.
#[derive(Clone)]
pub(super) struct Pace(Arc<Inner>);

struct Inner {
    clock: Clock,
    limit: AtomicU64,
    /// When the bytes admitted so far have passed, at the limit.
    free_at: Mutex<Duration>,
}

impl Pace {
    pub(super) fn new(clock: Clock, limit: u64) -> Self {
        Self(Arc::new(Inner { clock, limit: AtomicU64::new(limit), free_at: Mutex::default() }))
    }

    /// How fast it lets pass: greater is faster.
    pub(super) fn speed(&self) -> u64 {
        match self.0.limit.load(Ordering::Relaxed) {
            0 => u64::MAX,
            limit => limit,
        }
    }

    pub(super) fn set_limit(&self, limit: u64) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// Returns when `bytes` may pass.
    pub(super) async fn take(&self, bytes: usize) {
        let limit = self.0.limit.load(Ordering::Relaxed);
        if limit == 0 {
            return;
        }
        let wait = {
            let now = self.0.clock.elapsed();
            let mut free_at = self.0.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let start = (*free_at).max(now);
            *free_at = start + Duration::from_secs_f64(bytes as f64 / limit as f64);
            // A limit that was lowered a lot must not stop everything for minutes.
            (start - now).min(Duration::from_secs(10))
        };
        if !wait.is_zero() {
            self.0.clock.sleep(wait).await;
        }
    }
}
