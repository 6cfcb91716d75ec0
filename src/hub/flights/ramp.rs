//! How many connections a flight has, how much each is asked for, and when it gives up. Pure: it is told what
//! happened, and asks nobody.
//!
//! From one connection to all within three ticks, unless a few do as well: on a fast network each more costs the
//! processor that the hash needs. Later one more with each run that arrives, and half as many when connections break
//! without having brought anything.

/// What a connection brings in a tick when others beside it would bring nothing: 200 MB/s.
const FAST_ENOUGH: u64 = 5_000_000;
/// Most segments that are asked for in one request.
const LONGEST_RUN: usize = 8;

/// See the module's text.
pub(super) struct Ramp {
    most: usize,
    limit: usize,
    is_ramping: bool,
    /// What was here at the last tick.
    ticked: u64,
    run: usize,
    attempts: u32,
    /// In a row, without anything new in between.
    failures: u32,
    /// The most that was here when connections broke.
    best: u64,
    wave: u64,
}

impl Ramp {
    /// Of a flight that may have `most` connections and fail so many times in a row, with `present` bytes of it here.
    pub(super) fn new(most: usize, attempts: u32, present: u64) -> Self {
        Self {
            most,
            limit: 1,
            is_ramping: most > 1,
            ticked: present,
            run: 1,
            attempts,
            failures: 0,
            best: present,
            wave: 0,
        }
    }

    /// Connections at once.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How many segments to ask for in one request when so many are missing.
    pub(super) fn run(&self, missing: usize) -> usize {
        // Each connection has two turns at least: towards the end none has much left while others have nothing.
        let fair = (missing / (2 * self.limit)).max(1);
        fair.min(self.run)
    }

    /// Connections that break together are one failure: each knows in which wave it started.
    pub(super) fn wave(&self) -> u64 {
        self.wave
    }

    /// Whether the ticks count: the flight still looks whether more connections would help.
    pub(super) fn is_ramping(&self) -> bool {
        self.is_ramping
    }

    /// A tick is over, and so much is here.
    pub(super) fn ticked(&mut self, present: u64) {
        if present.saturating_sub(self.ticked) < self.limit as u64 * FAST_ENOUGH {
            self.limit = (self.limit * 2).min(self.most);
            self.is_ramping = self.limit < self.most;
        }
        self.ticked = present;
    }

    /// A run has arrived. A connection that brings it in no time gets twice as much at once.
    pub(super) fn arrived(&mut self, fast: bool) {
        self.failures = 0;
        if !self.is_ramping {
            self.limit = (self.limit + 1).min(self.most);
        }
        self.run = if fast { (self.run * 2).min(LONGEST_RUN) } else { (self.run / 2).max(1) };
    }

    /// A connection broke, the first of its wave, and so much is here: how many failures in a row this makes.
    pub(super) fn failed(&mut self, present: u64) -> u32 {
        self.wave += 1;
        self.is_ramping = false;
        // Connections that bring something before they break are worth having; those that bring nothing are too many, or
        // upstream is in trouble.
        if present > self.best {
            self.best = present;
            self.failures = 0;
        } else {
            self.failures += 1;
            self.limit = (self.limit / 2).max(1);
        }
        self.failures
    }

    /// Whether it has failed as often in a row as it may.
    pub(super) fn is_over(&self) -> bool {
        self.failures >= self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_slow_start_has_all_connections_after_three_ticks() {
        let mut ramp = Ramp::new(8, 8, 0);
        let limits = [0, MIB, 2 * MIB, 3 * MIB].map(|present| {
            let limit = ramp.limit();
            ramp.ticked(present);
            limit
        });
        assert_eq!(limits, [1, 2, 4, 8]);
        assert!(!ramp.is_ramping());
    }

    #[test]
    fn a_fast_start_keeps_the_connections_that_do() {
        let mut ramp = Ramp::new(8, 8, 0);
        ramp.ticked(MIB);
        for tick in 1..20 {
            ramp.ticked(MIB + tick * 2 * FAST_ENOUGH);
            assert_eq!((ramp.limit(), ramp.is_ramping()), (2, true));
        }
        ramp.ticked(MIB + 39 * FAST_ENOUGH);
        assert_eq!(ramp.limit(), 4, "it became slower");
    }

    #[test]
    fn a_flight_of_one_connection_never_ramps() {
        let mut ramp = Ramp::new(1, 8, 0);
        assert!(!ramp.is_ramping());
        ramp.arrived(true);
        assert_eq!(ramp.limit(), 1);
    }

    #[test]
    fn what_arrives_brings_a_connection_more_once_the_ramp_is_over() {
        let mut ramp = Ramp::new(4, 8, 0);
        ramp.arrived(false);
        assert_eq!(ramp.limit(), 1, "the ticks decide");
        ramp.failed(0);
        for limit in [2, 3, 4, 4] {
            ramp.arrived(false);
            assert_eq!(ramp.limit(), limit);
        }
    }

    #[test]
    fn fast_connections_get_longer_runs_and_the_end_is_shared() {
        let mut ramp = Ramp::new(8, 8, 0);
        let runs = [(); 5].map(|()| {
            let run = ramp.run(1000);
            ramp.arrived(true);
            run
        });
        assert_eq!(runs, [1, 2, 4, 8, 8]);
        assert_eq!([1000, 9, 4, 1, 0].map(|missing| ramp.run(missing)), [8, 4, 2, 1, 1]);
        ramp.arrived(false);
        assert_eq!(ramp.run(1000), 4);
    }

    #[test]
    fn failures_in_a_row_halve_the_connections_until_it_is_over() {
        let mut ramp = Ramp::new(8, 3, 0);
        for present in [1, 2, 3] {
            ramp.ticked(present);
        }
        // It brought something: worth having.
        assert_eq!((ramp.failed(10), ramp.limit()), (0, 8));
        assert_eq!([10, 10].map(|present| (ramp.failed(present), ramp.limit())), [(1, 4), (2, 2)]);
        assert!(!ramp.is_over());
        assert_eq!((ramp.failed(10), ramp.limit(), ramp.is_over()), (3, 1, true));
        assert_eq!((ramp.failed(11), ramp.is_over()), (0, false), "something new has come");
        assert_eq!(ramp.wave(), 5);
    }

    #[test]
    fn what_was_here_before_is_no_progress() {
        let mut ramp = Ramp::new(8, 2, 50 * MIB);
        assert_eq!(ramp.failed(50 * MIB), 1);
        ramp.arrived(true);
        assert_eq!(ramp.failed(50 * MIB), 1, "what arrived in between counts");
    }
}
