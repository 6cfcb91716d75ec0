//! Pauses between tries. Each is twice as long as the one before, up to a longest one, and partly left to chance:
//! those that failed together do not come back together.

use std::time::Duration;

/// How long to wait after one failure, two in a row, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// The first pause is at most `first`, and none is longer than `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The same pause however often it failed.
    pub const fn constant(pause: Duration) -> Self {
        Self::new(pause, pause)
    }

    /// How long to wait after so many failures in a row.
    pub fn pause(self, failures: u32) -> Duration {
        self.pause_by(failures, fastrand::f64())
    }

    /// As `pause`, with the chance given: a fraction, 0 for the shortest pause and 1 for the longest.
    ///
    /// Half of it is certain, so that whoever is in trouble gets its rest ("equal jitter": Brooker, "Exponential Backoff
    /// And Jitter", AWS Architecture Blog, 2015).
    pub fn pause_by(self, failures: u32, chance: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let half = self.first.saturating_mul(1 << doublings).min(self.longest) / 2;
        half + half.mul_f64(chance.clamp(0.0, 1.0))
    }
}

/// For a pause that somebody else named (`Retry-After`): never shorter, and up to a quarter longer.
pub fn at_least(pause: Duration) -> Duration {
    at_least_by(pause, fastrand::f64())
}

/// As `at_least`, with the chance given: a fraction from 0 to 1.
pub fn at_least_by(pause: Duration, chance: f64) -> Duration {
    pause.saturating_add(pause.mul_f64(0.25 * chance.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn each_pause_is_twice_as_long_up_to_the_longest() {
        let backoff = Backoff::new(ms(100), ms(500));
        let pauses = |chance| [0, 1, 2, 3, 4, 1000, u32::MAX].map(|failures| backoff.pause_by(failures, chance));
        assert_eq!(pauses(1.0), [100, 100, 200, 400, 500, 500, 500].map(ms));
        assert_eq!(pauses(0.0), [50, 50, 100, 200, 250, 250, 250].map(ms));
        assert_eq!(Backoff::constant(ms(80)).pause_by(7, 0.5), ms(60));
        assert_eq!(Backoff::constant(Duration::MAX).pause_by(9, 0.0), Duration::MAX / 2);
    }

    #[test]
    fn two_who_failed_together_do_not_come_back_together() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let pauses: std::collections::BTreeSet<_> = (0..100).map(|_| backoff.pause(3)).collect();
        assert!(pauses.len() > 50, "{pauses:?}");
        assert!(pauses.iter().all(|pause| (2000..=4000).contains(&pause.as_millis())), "{pauses:?}");
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept() {
        let asked = Duration::from_secs(40);
        assert_eq!([0.0, 1.0].map(|chance| at_least_by(asked, chance)), [40, 50].map(Duration::from_secs));
        assert!((0..100).all(|_| at_least(asked) >= asked));
    }
}
