//! A waiter: it wants a whole file in the store and reads nothing of it. Jobs are waiters.
//!
//! A flight with waiters only runs at their speed limit; a reader that joins makes it run at full speed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Flight, FlightTarget, Flights, Outcome};
use crate::hub::pace::Pace;
use crate::hub::{Error, Result};

/// See the module's text. Dropping it tells the flight that it is not wanted for this.
pub(in crate::hub) struct Waiter {
    flight: Arc<Flight>,
    id: u64,
}

/// The progress of a flight.
pub(in crate::hub) struct FlightWatch {
    flight: Arc<Flight>,
    /// What was here when this watch began, if that was known.
    before: Option<u64>,
}

impl FlightWatch {
    pub(in crate::hub) fn present_bytes(&self) -> u64 {
        self.flight.present_bytes().unwrap_or(0)
    }

    /// What came since this watch began, without what an earlier flight has left.
    pub(in crate::hub) fn arrived_bytes(&self) -> u64 {
        let before = self.before.unwrap_or_else(|| self.flight.found.load(Ordering::Acquire));
        self.present_bytes().saturating_sub(before)
    }
}

impl Flights {
    /// Joins or starts the flight of a whole file.
    pub(in crate::hub) fn wait_for(&self, target: FlightTarget, paces: Vec<Pace>) -> Waiter {
        let range = 0..target.size;
        let whole = target.size <= self.settings.flight.verify_first.bytes();
        let (flight, id, _) = self.enter(target, range, whole, Some(paces));
        Waiter { flight, id }
    }
}

impl Waiter {
    pub(in crate::hub) fn watch(&self) -> FlightWatch {
        FlightWatch { flight: Arc::clone(&self.flight), before: self.flight.present_bytes() }
    }

    /// Returns when the file is in the store, or why it is not.
    pub(in crate::hub) async fn done(&self) -> Result<()> {
        loop {
            let changed = self.flight.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            // Both in this order: `over` is set last.
            let over = self.flight.over.load(Ordering::Acquire);
            match self.flight.outcome() {
                Outcome::Failed(error) => return Err(error),
                Outcome::Stopped => return Err(Error::Stopping),
                Outcome::Verified if over => return Ok(()),
                // Its owner ended without a result: it was stopped with the hub.
                Outcome::Flying | Outcome::Repeating if over => return Err(Error::Stopping),
                Outcome::Flying | Outcome::Repeating | Outcome::Verified => changed.await,
            }
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.flight.lock();
        state.readers.remove(&self.id);
        state.paces.remove(&self.id);
        drop(state);
        self.flight.changed.notify_waiters();
    }
}

impl Flight {
    /// How much of the file is here, once that is known.
    fn present_bytes(&self) -> Option<u64> {
        let present = self.partial.get()?.present_bytes();
        Some(if self.rejected.load(Ordering::Acquire) { 0 } else { present })
    }

    /// Waits until `bytes` more may be downloaded, if there are only waiters.
    pub(super) async fn pace(&self, bytes: usize) {
        let paces = {
            let state = self.lock();
            if state.paces.is_empty() || state.readers.len() != state.paces.len() {
                return;
            }
            // The fastest limit counts for all of them.
            let speed = |paces: &&Vec<Pace>| paces.iter().map(Pace::speed).min();
            state.paces.values().max_by_key(speed).cloned().unwrap_or_default()
        };
        for pace in paces {
            pace.take(bytes).await;
        }
    }
}
