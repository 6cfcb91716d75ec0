//! Time as a parameter, so that leases, times to live and retries can be tested by moving it. Whoever waits does so
//! here too: a pause ends when the clock says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::{Interval, Timeout};

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
    Manual { elapsed_ms: Arc<AtomicI64>, epoch_ms: Millis, moved: Arc<Notify> },
}

impl Clock {
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place where time comes from")]
        Self::System { start: Instant::now() }
    }

    /// A clock that stands still until `advance` is called.
    pub fn manual(epoch_ms: Millis) -> Self {
        Self::Manual { elapsed_ms: Arc::default(), epoch_ms, moved: Arc::default() }
    }

    /// Moves a manual clock. A system clock cannot be moved; the call does nothing.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual { elapsed_ms, moved, .. } = self {
            elapsed_ms.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
            moved.notify_waiters();
        }
    }

    /// Wall time. It may jump; never measure an age with it that decides about access.
    pub fn now(&self) -> Millis {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place where time comes from")]
            Self::System { .. } => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64),
            Self::Manual { elapsed_ms, epoch_ms, .. } => epoch_ms + elapsed_ms.load(Ordering::SeqCst),
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

    /// Waits this long. A manual clock that is moved far enough ends the wait; one that stands still does not stop the
    /// program, which waits as long as it would by a true one.
    pub async fn sleep(&self, wait: Duration) {
        self.sleep_until(self.elapsed() + wait).await;
    }

    /// As `sleep`, until a point of `elapsed`.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where waits come from")]
    pub async fn sleep_until(&self, at: Duration) {
        let wait = tokio::time::sleep(at.saturating_sub(self.elapsed()));
        tokio::select! {
            () = wait => {}
            () = self.is_moved_to(at) => {}
        }
    }

    /// Beats now, and then each time that so much has passed. Moving a manual clock brings the next beat on.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where waits come from")]
    pub fn beats(&self, every: Duration) -> Beats {
        Beats { clock: self.clone(), every, true_time: tokio::time::interval(every), next: self.elapsed() }
    }

    /// Gives something so long to happen. That is true time whatever the clock: moving it makes no network slower.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where waits come from")]
    pub fn timeout<F: Future>(&self, wait: Duration, what: F) -> Timeout<F> {
        tokio::time::timeout(wait, what)
    }

    /// Ends when a manual clock is moved to this point of `elapsed`; never of a true one.
    async fn is_moved_to(&self, at: Duration) {
        let Self::Manual { moved, .. } = self else { return std::future::pending().await };
        loop {
            let again = moved.notified();
            tokio::pin!(again);
            again.as_mut().enable();
            if self.elapsed() >= at {
                return;
            }
            again.await;
        }
    }
}

/// See `Clock::beats`.
#[derive(Debug)]
pub struct Beats {
    clock: Clock,
    every: Duration,
    true_time: Interval,
    next: Duration,
}

impl Beats {
    /// The next beat. A future that is dropped has taken none.
    pub async fn next(&mut self) {
        let Self { clock, true_time, next, .. } = self;
        let is_moved = tokio::select! {
            _ = true_time.tick() => false,
            () = clock.is_moved_to(*next) => true,
        };
        self.next = self.clock.elapsed() + self.every;
        if is_moved {
            self.true_time.reset();
        }
    }

    /// The next beat comes when so much has passed from now on.
    pub fn restart(&mut self) {
        self.next = self.clock.elapsed() + self.every;
        self.true_time.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_clock_that_is_moved_ends_pauses_and_brings_beats() {
        let clock = Clock::manual(0);
        let mut beats = clock.beats(LONG);
        beats.next().await;
        let moving = async {
            tokio::task::yield_now().await;
            clock.advance(LONG);
        };
        tokio::join!(clock.sleep(LONG), beats.next(), moving);
        // Not before its time.
        clock.advance(LONG / 2);
        assert!(clock.timeout(Duration::from_millis(20), beats.next()).await.is_err());
        clock.advance(LONG / 2);
        beats.next().await;
    }

    #[tokio::test]
    async fn a_clock_that_stands_still_stops_nobody() {
        let clock = Clock::manual(0);
        let mut beats = clock.beats(Duration::from_millis(1));
        for _ in 0..3 {
            beats.next().await;
        }
        clock.sleep(Duration::from_millis(1)).await;
        assert_eq!(clock.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn patience_is_true_time() {
        for clock in [Clock::system(), Clock::manual(0)] {
            let moving = async {
                clock.advance(LONG);
                7
            };
            assert_eq!(clock.timeout(LONG, moving).await.ok(), Some(7));
            assert!(clock.timeout(Duration::from_millis(1), std::future::pending::<()>()).await.is_err());
        }
    }
}
