//! Something that is wrong for a while, whoever meets it: one line in the log when it begins, and one when it ends, with how
//! long it lasted and how many requests met it. What each of them met is not worth a line of its own.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::Clock;

/// The disk of the store or of the database is full: there is one of each in a process. A small file may fit where a
/// large one does not, so it has ended when nobody has met it for a while and something could be stored.
pub static DISK_FULL: LazyLock<Condition> = LazyLock::new(|| {
    let begins = "the disk is full: files pass through without being stored";
    Condition::new(Clock::system(), begins, "the disk has space again").quiet_for(Duration::from_secs(10))
});

/// The store has reached its limit, and nothing in it may be removed.
pub static STORE_FULL: LazyLock<Condition> = LazyLock::new(|| {
    let begins = "the store is full and nothing in it may be removed: files pass through without being stored";
    Condition::new(Clock::system(), begins, "the store has space again").quiet_for(Duration::from_secs(10))
});

/// The database does not answer, is locked, or may only be read. It has ended when something was written and nobody has met
/// it for a while, as some statements may succeed meanwhile.
pub static DATABASE_AWAY: LazyLock<Condition> = LazyLock::new(|| {
    let begins = "the database cannot be used";
    Condition::new(Clock::system(), begins, "the database can be used again").quiet_for(Duration::from_secs(10))
});

/// See the module's text.
pub struct Condition {
    clock: Clock,
    begins: &'static str,
    ends: &'static str,
    quiet: Duration,
    /// Whether there is anything to look at in `episode`: those who find that all is well ask often.
    is_on: AtomicBool,
    episode: Mutex<Option<Episode>>,
}

struct Episode {
    why: String,
    began: Duration,
    last_met: Duration,
    requests: u64,
}

impl Condition {
    /// With what the log says at its beginning and at its end.
    pub fn new(clock: Clock, begins: &'static str, ends: &'static str) -> Self {
        Self { clock, begins, ends, quiet: Duration::ZERO, is_on: AtomicBool::new(false), episode: Mutex::default() }
    }

    /// It does not end before nobody has met it for so long.
    #[must_use]
    pub fn quiet_for(mut self, quiet: Duration) -> Self {
        self.quiet = quiet;
        self
    }

    /// What the first of those who met it said; `None` if all is well.
    pub fn why(&self) -> Option<String> {
        self.episode().as_ref().map(|episode| episode.why.clone())
    }

    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// A request met it. The first one's `why` is logged.
    pub fn met(&self, why: impl Display) {
        let why = why.to_string();
        let now = self.clock.elapsed();
        let mut episode = self.episode();
        if let Some(episode) = &mut *episode {
            episode.requests += 1;
            episode.last_met = now;
            return;
        }
        *episode = Some(Episode { why: why.clone(), began: now, last_met: now, requests: 1 });
        self.is_on.store(true, Ordering::Relaxed);
        tracing::warn!(why = %why, "{}", self.begins);
    }

    /// Somebody found that all is well.
    pub fn is_over(&self) {
        if self.is_on() {
            self.end(self.quiet);
        }
    }

    /// Its cause is gone for certain.
    pub fn cause_is_gone(&self) {
        if self.is_on() {
            self.end(Duration::ZERO);
        }
    }

    fn end(&self, quiet: Duration) {
        let now = self.clock.elapsed();
        let mut episode = self.episode();
        if episode.as_ref().is_none_or(|episode| now.saturating_sub(episode.last_met) < quiet) {
            return;
        }
        let Some(Episode { began, requests, .. }) = episode.take() else { return };
        self.is_on.store(false, Ordering::Relaxed);
        let lasted_s = now.saturating_sub(began).as_secs_f64();
        tracing::warn!(lasted_s, requests, "{}", self.ends);
    }

    fn episode(&self) -> MutexGuard<'_, Option<Episode>> {
        self.episode.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_once_and_ends_once_when_it_was_quiet_long_enough() {
        let clock = Clock::manual(0);
        let condition = Condition::new(clock.clone(), "begins", "ends").quiet_for(Duration::from_secs(10));
        condition.is_over();
        for _ in 0..2 {
            condition.met("a reason");
            clock.advance(Duration::from_secs(9));
            condition.met("another");
            assert_eq!(condition.episode().as_ref().map(|episode| episode.requests), Some(2));
            clock.advance(Duration::from_secs(9));
            condition.is_over();
            assert!(condition.is_on(), "it was met a moment ago");
            clock.advance(Duration::from_secs(1));
            condition.is_over();
            assert!(!condition.is_on() && condition.episode().is_none());
        }
    }
}
