//! What a connection is doing: who has waited for too long, and who goes first when there is no room.
//!
//! A connection is *busy* while an answer of its is being made or sent. It is spared then, however long that takes: a
//! large download, or a job that is followed for hours. Otherwise it waits for its client: for a first request, for the
//! rest of one, for the next, or (HTTP/2) for leave to send what is there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::stall::MIN_RATE;

/// The state of one connection, written by it and read by who needs its place.
#[derive(Debug)]
pub(super) struct Pulse {
    state: Mutex<State>,
    /// Bytes that the socket has taken.
    written: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// Requests that came and are not answered in full.
    open: u32,
    /// Those of them for which we have nothing to send at the moment: the peer waits for us.
    owed: u32,
    /// How often that was so.
    debts: u64,
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
        let since = Instant::now();
        let state = State { open: 0, owed: 0, debts: 0, arriving: 0, answered: false, sending: false, since };
        Arc::new(Self { state: Mutex::new(state), written: AtomicU64::new(0) })
    }

    /// A request's head is there; it is open until this is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.lock().open += 1;
        let mut open = Open { pulse: self.clone(), owed: false };
        open.set_owed(true);
        open
    }

    /// More of a request's body is waited for, until this is dropped.
    pub(super) fn wait_for_body(self: &Arc<Self>) -> Arriving {
        self.lock().arriving += 1;
        Arriving(self.clone())
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
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

    /// Returns when the first request's head took longer than `head`, nothing was asked for longer than `idle`, or the
    /// peer gave no leave for [`MIN_RATE`] of what is there for it, over all of `stall`.
    pub(super) async fn waited_too_long(&self, head: Duration, idle: Duration, stall: Duration) {
        // What was written, and the debts, when the peer began to be the one who is waited for.
        let mut begun: Option<(u64, u64, Instant)> = None;
        loop {
            let until = {
                let (state, now) = (self.lock(), Instant::now());
                let written = self.written.load(Ordering::Relaxed);
                if state.open == 0 && !state.sending {
                    begun = None;
                    state.since + if state.answered { idle } else { head }
                } else if state.owed > 0 || state.sending {
                    // It waits for us, or for the socket, of which `Stall` has the time.
                    begun = None;
                    now + head
                } else {
                    let least = (stall.as_secs() * MIN_RATE).max(1);
                    let goes_on =
                        |(before, debts, _): &(u64, u64, Instant)| *debts == state.debts && written - before < least;
                    begun = begun.filter(goes_on).or(Some((written, state.debts, now)));
                    begun.map_or(now, |(.., start)| start) + stall
                }
            };
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_busy(&self) -> bool {
        self.open > self.arriving || self.sending
    }
}

/// A request that is not answered in full.
#[derive(Debug)]
pub(super) struct Open {
    pulse: Arc<Pulse>,
    owed: bool,
}

impl Open {
    /// Whether the peer waits for us.
    pub(super) fn set_owed(&mut self, owed: bool) {
        if self.owed == owed {
            return;
        }
        self.owed = owed;
        let mut state = self.pulse.lock();
        if owed {
            state.owed += 1;
            state.debts += 1;
        } else {
            state.owed -= 1;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.set_owed(false);
        let mut state = self.pulse.lock();
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
