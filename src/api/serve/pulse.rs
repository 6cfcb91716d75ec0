//! What a connection is doing: who has waited for too long, and who goes first when there is no room.
//!
//! A connection is *busy* while an answer of its is being made or sent. It is spared then, however long that takes: a
//! large download, or a job that is followed for hours. Otherwise it waits for its client: for a first request, for the
//! rest of one, or for the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// The state of one connection, written by it and read by who needs its place.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests that came and are not answered in full.
    open: u32,
    /// Those of them whose bodies are being waited for.
    arriving: u32,
    /// A request was answered before.
    answered: bool,
    /// Bytes of answers wait to be sent: for the disk, or for the peer, whose time `Stall` has.
    sending: bool,
    /// When the connection came to be, or the last answer was over.
    since: Instant,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        let state = State { open: 0, arriving: 0, answered: false, sending: false, since: Instant::now() };
        Arc::new(Self(Mutex::new(state)))
    }

    /// A request's head is there; it is open until this is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.lock().open += 1;
        Open(self.clone())
    }

    /// More of a request's body is waited for, until this is dropped.
    pub(super) fn wait_for_body(self: &Arc<Self>) -> Arriving {
        self.lock().arriving += 1;
        Arriving(self.clone())
    }

    /// Bytes could not be sent yet.
    pub(super) fn sending(&self) {
        self.lock().sending = true;
    }

    /// All that was to be sent is sent.
    pub(super) fn sent(&self) {
        let mut state = self.lock();
        if state.sending {
            state.sending = false;
            state.since = Instant::now();
        }
    }

    /// The least goes first: whoever never completed a request, then whoever has been idle longest. `None`: busy.
    pub(super) fn rank(&self) -> Option<(bool, Instant)> {
        let state = self.lock();
        (!state.is_busy()).then_some((state.answered, state.since))
    }

    /// Returns when the first request's head took longer than `head`, or nothing was asked for longer than `idle`.
    pub(super) async fn waited_too_long(&self, head: Duration, idle: Duration) {
        loop {
            let until = {
                let state = self.lock();
                let limit = if state.answered { idle } else { head };
                let is_waited_for = state.open == 0 && !state.sending;
                is_waited_for.then(|| state.since + limit)
            };
            match until {
                // Who is open has limits of its own: of bodies that come and of those that go.
                None => sleep(head).await,
                Some(until) if until <= Instant::now() => return,
                Some(until) => sleep_until(until).await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_busy(&self) -> bool {
        self.open > self.arriving || self.sending
    }
}

/// A request that is not answered in full.
#[derive(Debug)]
pub(super) struct Open(Arc<Pulse>);

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open -= 1;
        state.answered = true;
        // hyper has taken the last of it, and says when it is sent.
        state.sending = true;
    }
}

/// A request whose body is waited for.
#[derive(Debug)]
pub(super) struct Arriving(Arc<Pulse>);

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.lock().arriving -= 1;
    }
}
