//! Time as a parameter, so that leases, times to live and retries can be tested by moving it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 (UTC). What the database stores.
pub type Millis = i64;

/// A span as milliseconds; the longest there is for one that is longer.
pub fn millis(span: Duration) -> Millis {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Wall time for what is stored and shown, monotonic time for everything that expires.
///
/// Cheap to clone; all clones of a manual clock move together.
#[derive(Debug, Clone)]
pub enum Clock {
    System { start: Instant },
    Manual { elapsed_ms: Arc<AtomicI64>, epoch_ms: Millis },
}

impl Clock {
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place where time comes from")]
        Self::System { start: Instant::now() }
    }

    /// A clock that stands still until `advance` is called.
    pub fn manual(epoch_ms: Millis) -> Self {
        Self::Manual { elapsed_ms: Arc::default(), epoch_ms }
    }

    /// Moves a manual clock. A system clock cannot be moved; the call does nothing.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual { elapsed_ms, .. } = self {
            elapsed_ms.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
        }
    }

    /// Wall time. It may jump; never measure an age with it that decides about access.
    pub fn now(&self) -> Millis {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place where time comes from")]
            Self::System { .. } => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64),
            Self::Manual { elapsed_ms, epoch_ms } => epoch_ms + elapsed_ms.load(Ordering::SeqCst),
        }
    }

    /// Minutes since midnight, local time.
    pub fn minute_of_day(&self) -> u16 {
        use chrono::{Local, TimeZone as _, Timelike as _};
        let local = Local.timestamp_millis_opt(self.now()).single();
        local.map_or(0, |at| (at.hour() * 60 + at.minute()) as u16)
    }

    /// Monotonic time since this clock was made.
    pub fn elapsed(&self) -> Duration {
        match self {
            Self::System { start } => start.elapsed(),
            Self::Manual { elapsed_ms, .. } => Duration::from_millis(elapsed_ms.load(Ordering::SeqCst).max(0) as u64),
        }
    }
}
