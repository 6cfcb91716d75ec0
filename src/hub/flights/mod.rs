//! The download of one blob from upstream, with everyone who waits for parts of it.
//!
//! A flight is keyed by what the bytes are, so that requests for the same content, whatever
//! repository or revision names it, share it. A detached task owns it (`run.rs`): it fetches
//! segments into a `Partial` (`segment.rs`) from one source or another (`sources.rs`), over as many connections as
//! go well (`ramp.rs`), those that readers wait for first; hashes behind
//! the contiguous beginning (`hash.rs`); and publishes (`verify.rs`). Readers (`reader.rs`) follow the
//! file behind the writer at their own speed.

mod hash;
mod http;
mod object;
mod ramp;
mod reader;
mod run;
mod segment;
mod source;
mod sources;
mod upload;
mod verify;
mod waiter;
mod xet;

use std::collections::HashMap;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::digests::TokenDigests;
use super::objects::Objects;
use super::pace::Pace;
use super::settings::Settings;
use super::store::Store;
use super::taints::Taints;
use super::{Caller, Error};
use crate::blob::Partial;
use crate::domain::{Clock, CommitId, ContentId, Digest, RepoKey, RepoPath, XetHash};
use crate::upstream::Upstream;

pub(in crate::hub) use object::failed as object_failed;
pub use reader::{FlightReader, ReadError};
pub(in crate::hub) use waiter::FlightWatch;

/// Where a flight's bytes come from, and on whose behalf they are requested.
#[derive(Debug, Clone)]
pub(super) struct FlightTarget {
    pub(super) content: ContentId,
    pub(super) size: u64,
    pub(super) repo: RepoKey,
    pub(super) commit: CommitId,
    pub(super) path: RepoPath,
    pub(super) caller: Caller,
    /// Upstream's, if it gave one.
    pub(super) xet_hash: Option<XetHash>,
}

/// The flights in progress, and what each of them needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Flights(Arc<Inner>);

pub(super) struct Inner {
    store: Store,
    objects: Objects,
    upstream: Arc<Upstream>,
    clock: Clock,
    settings: Arc<Settings>,
    taints: Taints,
    digests: TokenDigests,
    tasks: TaskTracker,
    stop: CancellationToken,
    flying: Mutex<HashMap<ContentId, Arc<Flight>>>,
    /// Connections of all flights together: what bounds their memory.
    connections: Arc<Semaphore>,
    xet_stores: xet::Stores,
}

impl Deref for Flights {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Flights {
    #[expect(clippy::too_many_arguments, reason = "each is something else, named once, in `Hub::new`")]
    pub(super) fn new(
        store: Store,
        objects: Objects,
        upstream: Arc<Upstream>,
        clock: Clock,
        settings: Arc<Settings>,
        taints: Taints,
        digests: TokenDigests,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let connections = Arc::new(Semaphore::new(settings.flight.total_connections));
        Self(Arc::new(Inner {
            store,
            objects,
            upstream,
            clock,
            settings,
            taints,
            digests,
            tasks,
            stop,
            flying: Mutex::default(),
            connections,
            xet_stores: xet::Stores::default(),
        }))
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// How much of each content has been downloaded.
    pub(super) fn present(&self) -> HashMap<ContentId, u64> {
        let flights = self.lock();
        let present = |flight: &Flight| flight.partial.get().map_or(0, |partial| partial.present_bytes());
        flights.iter().map(|(content, flight)| (*content, present(flight))).collect()
    }

    pub(super) fn has(&self, content: ContentId) -> bool {
        self.lock().contains_key(&content)
    }

    /// Does something while no flight of this content can start; `None` if there is one.
    pub(super) fn unless_flying<T>(&self, content: ContentId, then: impl FnOnce() -> T) -> Option<T> {
        let flights = self.lock();
        (!flights.contains_key(&content)).then(then)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContentId, Arc<Flight>>> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, flight: &Flight) {
        self.lock().remove(&flight.target.content);
    }

    /// Removes a flight that nobody wants; `false` if somebody has joined in the meantime.
    fn retire(&self, flight: &Flight) -> bool {
        let mut flights = self.lock();
        let mut state = flight.lock();
        if !state.readers.is_empty() || state.whole {
            return false;
        }
        state.outcome = Outcome::Stopped;
        flights.remove(&flight.target.content);
        true
    }
}

/// See the module's text.
pub(super) struct Flight {
    target: FlightTarget,
    /// Set once the file is open; a resumed one is checked first.
    partial: OnceLock<Arc<Partial>>,
    /// How much of the file an earlier flight has left; set before `partial`.
    found: AtomicU64,
    state: Mutex<State>,
    /// Wakes readers until there is a partial (which then wakes them), and the owner when
    /// readers come and go.
    changed: Notify,
    next_reader: AtomicU64,
    hash: hash::Progress,
    /// A write failed for want of space.
    disk_full: AtomicBool,
    /// A client wants it, not only a job.
    is_used: AtomicBool,
    /// Its owner has finished.
    over: AtomicBool,
    /// The object store has its content; set before the first byte is fetched.
    object: OnceLock<Option<Digest>>,
    /// It goes up while it arrives.
    is_uploaded: AtomicBool,
    /// Its bytes were wrong once: they are downloaded again from upstream itself.
    was_wrong: AtomicBool,
    /// The whole of it was wrong, and is in quarantine.
    rejected: AtomicBool,
}

#[derive(Default)]
struct State {
    /// What each reader still needs.
    readers: HashMap<u64, Range<u64>>,
    /// The speed limits of the waiters.
    paces: HashMap<u64, Vec<Pace>>,
    /// Somebody asked for the whole file: it is downloaded to the end.
    whole: bool,
    /// Bytes were sent to a client before they were verified.
    sent: bool,
    /// The last failure of a connection: the reason if there is no progress.
    trouble: Option<Error>,
    outcome: Outcome,
}

#[derive(Default, Clone)]
enum Outcome {
    #[default]
    Flying,
    /// Wrong bytes that nobody has seen are being downloaded again: nothing may be sent.
    Repeating,
    /// The digest is verified; publishing may still be in progress.
    Verified,
    Failed(Error),
    /// Nobody wanted more of it; what was downloaded is kept for the next time.
    Stopped,
}

impl Flight {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcome(&self) -> Outcome {
        self.lock().outcome.clone()
    }

    /// Whether the bytes are this hub's already, in the object store.
    fn is_ours(&self) -> bool {
        self.object.get().is_some_and(Option::is_some)
    }

    /// Whether unverified bytes may leave now; if so, it is noted that they did.
    fn may_send(&self) -> bool {
        let mut state = self.lock();
        match state.outcome {
            Outcome::Flying => state.sent = true,
            Outcome::Verified => {}
            Outcome::Repeating | Outcome::Failed(_) | Outcome::Stopped => return false,
        }
        true
    }

    fn settle(&self, outcome: Outcome) {
        self.lock().outcome = outcome;
        self.wake();
    }

    fn wake(&self) {
        self.changed.notify_waiters();
        if let Some(partial) = self.partial.get() {
            partial.wake();
        }
    }

    /// What readers need, most urgent first, and whether everything is wanted: the next `window`
    /// bytes of each reader, so that none waits for another's whole file, then the rest of each.
    fn demand(&self, window: u64) -> (Vec<Range<u64>>, bool) {
        let state = self.lock();
        let mut readers: Vec<_> = state.readers.iter().collect();
        readers.sort_unstable_by_key(|(id, _)| **id);
        let next = readers.iter().map(|(_, range)| range.start..range.end.min(range.start + window));
        let rest = readers.iter().map(|(_, range)| (*range).clone());
        (next.chain(rest).collect(), state.whole)
    }
}

impl Flights {
    /// A reader of the flight of this content, and whether the flight was in progress before.
    ///
    /// `finishes`: the reader's client may take what it gets for a whole, right file, so the
    /// end is held back until the digest is known, and everything is fetched.
    pub(super) fn join(&self, target: FlightTarget, range: Range<u64>, finishes: bool) -> (FlightReader, bool) {
        let hold = (finishes && target.size > 0).then_some(self.settings.flight.hold_back.bytes());
        // Files that are verified before the first byte is sent are fetched as a whole.
        let verify_first = target.size <= self.settings.flight.verify_first.bytes();
        let whole = finishes || verify_first;
        let is_client = !target.caller.is_owner();
        let (flight, id, joined) = self.enter(target, range.clone(), whole, None);
        flight.is_used.fetch_or(is_client, Ordering::Relaxed);
        (FlightReader::new(self, flight, id, range, hold, verify_first), joined)
    }

    /// Joins the flight of this content, which is started if there is none: the flight, the waiter's number,
    /// and whether it was in progress before.
    fn enter(
        &self,
        target: FlightTarget,
        range: Range<u64>,
        whole: bool,
        paces: Option<Vec<Pace>>,
    ) -> (Arc<Flight>, u64, bool) {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(&target.content) {
            let mut state = flight.lock();
            // One that has just failed or stopped is no longer joined.
            if !matches!(state.outcome, Outcome::Failed(_) | Outcome::Stopped) && flight.target.size == target.size {
                state.whole |= whole;
                let id = flight.next_reader.fetch_add(1, Ordering::Relaxed);
                state.readers.insert(id, range);
                state.paces.extend(paces.map(|paces| (id, paces)));
                drop(state);
                flight.wake();
                return (Arc::clone(flight), id, true);
            }
        }
        let flight = Arc::new(Flight {
            target,
            partial: OnceLock::new(),
            found: AtomicU64::new(0),
            state: Mutex::new(State {
                readers: HashMap::from([(0, range)]),
                paces: paces.map(|paces| (0, paces)).into_iter().collect(),
                whole,
                ..State::default()
            }),
            changed: Notify::new(),
            next_reader: AtomicU64::new(1),
            hash: hash::Progress::default(),
            disk_full: AtomicBool::new(false),
            is_used: AtomicBool::new(false),
            over: AtomicBool::new(false),
            object: OnceLock::new(),
            is_uploaded: AtomicBool::new(false),
            was_wrong: AtomicBool::new(false),
            rejected: AtomicBool::new(false),
        });
        flights.insert(flight.target.content, Arc::clone(&flight));
        drop(flights);

        let (flights, owned) = (self.clone(), Arc::clone(&flight));
        self.tasks.spawn(async move {
            flights.fly(Arc::clone(&owned)).await;
            if let Some(partial) = owned.partial.get() {
                partial.release();
            }
            owned.over.store(true, Ordering::Release);
            owned.wake();
        });
        (flight, 0, false)
    }
}
