//! Silence: upstream has been asked and says nothing.
//!
//! A caller with an older answer at hand waits for upstream only so long (`upstream.slow_after`). Once a call has
//! lasted longer than that, the next callers need not find out for themselves: until upstream answers anything they
//! do not wait at all, and one call at a time goes on trying. Callers without an older answer are not concerned.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::client::Impact;
use super::{Error, Result, Upstream};
use crate::domain::Clock;

pub(super) struct Silence {
    clock: Clock,
    slow_after: Duration,
    /// Callers that wait already are told, too.
    silent: watch::Sender<bool>,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    in_the_air: u32,
    /// Somebody was let through to try, and the call has not begun yet.
    expected_until: Duration,
}

/// A call in the air.
struct Call<'a>(&'a Silence);

impl Silence {
    pub(super) fn new(clock: Clock, slow_after: Duration) -> Self {
        Self { clock, slow_after, silent: watch::Sender::new(false), calls: Mutex::default() }
    }

    fn is_silent(&self) -> bool {
        *self.silent.borrow()
    }

    fn set(&self, silent: bool) {
        self.silent.send_if_modified(|now| std::mem::replace(now, silent) != silent);
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Call<'_> {
        let mut calls = self.calls();
        calls.in_the_air += 1;
        calls.expected_until = Duration::ZERO;
        Call(self)
    }

    /// How long to wait for a call with an older answer at hand: not at all for the one that tries; `None` for those
    /// that need not even ask.
    fn patience(&self) -> Option<Duration> {
        if !self.is_silent() {
            return Some(self.slow_after);
        }
        let now = self.clock.elapsed();
        let mut calls = self.calls();
        if calls.in_the_air > 0 || now < calls.expected_until {
            return None;
        }
        calls.expected_until = now + self.slow_after;
        Some(Duration::ZERO)
    }

    async fn begins(&self) {
        // Fails only without a sender, which is `self`.
        let _ = self.silent.subscribe().wait_for(|silent| *silent).await;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.calls().in_the_air -= 1;
    }
}

impl Upstream {
    /// Whether upstream lets calls wait and answers none: one at a time goes on trying.
    pub fn is_silent(&self) -> bool {
        self.silence.is_silent()
    }

    /// What `call` brings, for a caller with an older answer at hand; `None` if that is to be given: upstream is
    /// slow, or was silent lately. `call` asks upstream and goes on when nobody waits for it.
    pub async fn in_time<T>(&self, impact: Impact, call: impl Future<Output = T>) -> Option<T> {
        // Where all of upstream is silent, so are the routes that say nothing of the whole.
        let silence = if self.silence.is_silent() { &self.silence } else { self.silence_of(impact) };
        let patience = silence.patience()?;
        let call = silence.clock.timeout(patience, call);
        if patience.is_zero() {
            return call.await.ok();
        }
        tokio::select! {
            biased;
            outcome = call => outcome.ok(),
            () = silence.begins() => None,
        }
    }

    /// Takes note of whether upstream lets a call wait, and of whether it answers it.
    pub(super) async fn watched<T>(&self, impact: Impact, call: impl Future<Output = Result<T>>) -> Result<T> {
        let own = self.silence_of(impact);
        // Any call tries for the whole, too.
        let _in_the_air = (own.begin(), self.silence.begin());
        let mut call = std::pin::pin!(call);
        let outcome = match own.clock.timeout(self.config.slow_after.duration(), &mut call).await {
            Ok(outcome) => outcome,
            Err(_) => {
                own.set(true);
                call.await
            }
        };
        // A refusal is an answer. After an outage the older answer is given anyway.
        if !outcome.as_ref().is_err_and(Error::is_outage) {
            own.set(false);
            self.silence.set(false);
        }
        outcome
    }

    fn silence_of(&self, impact: Impact) -> &Silence {
        match impact {
            Impact::Counts => &self.silence,
            Impact::Ignored => &self.silence_aside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(2);

    #[test]
    fn in_a_silence_one_call_at_a_time_tries_and_nobody_waits() {
        let clock = Clock::manual(0);
        let silence = Silence::new(clock.clone(), SLOW);
        let first = silence.begin();
        assert_eq!(silence.patience(), Some(SLOW), "it may answer yet");
        silence.set(true);
        assert_eq!(silence.patience(), None, "the first call is trying");
        drop(first);
        assert_eq!(silence.patience(), Some(Duration::ZERO));
        assert_eq!(silence.patience(), None, "the next is about to try");
        let second = silence.begin();
        assert_eq!(silence.patience(), None);
        drop(second);
        assert_eq!(silence.patience(), Some(Duration::ZERO));
        // It never came to a call: another may.
        clock.advance(SLOW);
        assert_eq!(silence.patience(), Some(Duration::ZERO));
        silence.set(false);
        assert_eq!(silence.patience(), Some(SLOW));
    }
}
