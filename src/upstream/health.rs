//! A circuit breaker: while upstream is down, calls fail fast.
//!
//! After three failures in a row calls fail without asking, for up to 2 s at first and up to 30 s
//! later, partly random; then one call may try. Any answer of upstream, also a refusal, closes the circuit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Error;
use crate::domain::{Backoff, Clock};
use crate::telemetry::Condition;

const THRESHOLD: u32 = 3;
const PAUSES: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30));

pub(super) struct Health {
    clock: Clock,
    /// From the moment that the circuit opens until upstream answers.
    away: Condition,
    /// Whether there is anything to look at in `state`: every request asks, and nearly always there is not.
    in_trouble: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    pause: Duration,
    open_until: Duration,
    /// The last one's reason: who is not let through wants to know it.
    why: String,
}

impl Health {
    pub(super) fn new(clock: Clock) -> Self {
        let begins = "upstream failed repeatedly: requests fail fast, and what is cached is served";
        let away = Condition::new(clock.clone(), begins, "upstream responds again");
        Self { clock, away, in_trouble: AtomicBool::new(false), state: Mutex::default() }
    }

    /// Whether a call may go out. In an open circuit whose pause is over, the first to ask
    /// may try; the others wait for its outcome one more pause.
    pub(super) fn admits(&self) -> bool {
        let now = self.clock.elapsed();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failures < THRESHOLD {
            return true;
        }
        if now < state.open_until {
            drop(state);
            self.away.met("it failed a moment ago");
            return false;
        }
        state.open_until = now + state.pause;
        true
    }

    /// Upstream has failed repeatedly and has not answered since, also while a call tries.
    pub(super) fn is_away(&self) -> bool {
        self.away.is_on()
    }

    pub(super) fn is_open(&self) -> bool {
        if !self.in_trouble.load(Ordering::Relaxed) {
            return false;
        }
        let now = self.clock.elapsed();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures >= THRESHOLD && now < state.open_until
    }

    /// What is said to those whose call does not go out.
    pub(super) fn refusal(&self) -> Error {
        let why = self.state.lock().unwrap_or_else(PoisonError::into_inner).why.clone();
        Error::Unavailable {
            reason: format!("it failed several times in a row; retrying shortly. The last time: {why}"),
        }
    }

    pub(super) fn succeeded(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State::default();
        self.in_trouble.store(false, Ordering::Relaxed);
        drop(state);
        self.away.is_over();
    }

    pub(super) fn failed(&self, why: &Error) {
        let now = self.clock.elapsed();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        state.why = match why {
            Error::Unavailable { reason } => reason.clone(),
            other => other.to_string(),
        };
        self.in_trouble.store(true, Ordering::Relaxed);
        if state.failures >= THRESHOLD {
            state.pause = PAUSES.pause(state.failures - THRESHOLD + 1);
            state.open_until = now + state.pause;
            drop(state);
            self.away.met(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circuit_opens_after_three_failures_and_lets_one_call_try() {
        let clock = Clock::manual(0);
        let health = Health::new(clock.clone());
        for _ in 0..THRESHOLD {
            assert!(health.admits());
            health.failed(&Error::Unavailable { reason: "a test".into() });
        }
        assert!(!health.admits() && health.is_open());
        assert!(health.refusal().to_string().ends_with("The last time: a test"));
        clock.advance(Duration::from_millis(999));
        assert!(!health.admits());
        clock.advance(Duration::from_millis(1001));
        assert!(health.admits());
        assert!(!health.admits(), "a second call must wait for the first");
        health.succeeded();
        assert!(health.admits() && !health.is_open());
    }
}
