//! Who has a connection: in all, and per peer. When there is no room, whoever waits makes room (`pulse`), so that what
//! does nothing keeps nobody out; whoever is busy stays.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::Limits;
use super::pulse::Pulse;
use crate::metrics;

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Connections that end at once when the process has no descriptors left.
const AT_ONCE: usize = 32;

/// Open connections of all listeners of this process, now; for a gauge.
pub fn open_connections() -> usize {
    OPEN.load(Ordering::Relaxed)
}

#[derive(Debug, Clone)]
pub(super) struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    connections: HashMap<u64, Entry>,
    /// Only peers with an open connection have an entry, so it is as bounded as the total.
    peers: HashMap<IpAddr, usize>,
    /// The name of the next connection.
    next: u64,
}

#[derive(Debug)]
struct Entry {
    peer: IpAddr,
    pulse: Arc<Pulse>,
    /// The connection itself, from when it runs.
    task: Option<AbortHandle>,
}

/// The right to one connection, given back on drop.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Admission,
    id: u64,
    pub(super) pulse: Arc<Pulse>,
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner { limits, open: Mutex::default() }))
    }

    /// `None` when the peer, or everybody together, has as many as allowed, and all of them are busy.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Admitted> {
        let peer = peer_of(address);
        let limits = self.0.limits;
        let mut open = self.lock();
        let of_peer = open.peers.get(&peer).copied().unwrap_or(0);
        let has_room = if of_peer >= limits.max_per_peer {
            open.shed(|entry| entry.peer == peer)
        } else {
            open.connections.len() < limits.max_connections || open.shed(|_| true)
        };
        if !has_room {
            return None;
        }
        let (id, pulse) = (open.next, Pulse::new());
        open.next += 1;
        open.connections.insert(id, Entry { peer, pulse: pulse.clone(), task: None });
        *open.peers.entry(peer).or_default() += 1;
        OPEN.fetch_add(1, Ordering::Relaxed);
        Some(Admitted { admission: self.clone(), id, pulse })
    }

    /// Says what runs the connection, so that it can be ended.
    pub(super) fn started(&self, id: u64, task: AbortHandle) {
        if let Some(entry) = self.lock().connections.get_mut(&id) {
            entry.task = Some(task);
        }
    }

    /// Ends some that wait: the process has no descriptors left for others.
    pub(super) fn make_room(&self) {
        let mut open = self.lock();
        for _ in 0..AT_ONCE {
            open.shed(|_| true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Ends the first in rank of those that wait; whether there was one. Looks at all of them, which a full house of
    /// some thousands can afford once per newcomer. A request that comes at this moment is lost, as on any idle
    /// connection that a server closes; clients send it again.
    fn shed(&mut self, of: impl Fn(&Entry) -> bool) -> bool {
        let waiting = self.connections.iter().filter(|(_, entry)| entry.task.is_some() && of(entry));
        let ranked = waiting.filter_map(|(id, entry)| Some((entry.pulse.rank()?, *id)));
        let Some((_, id)) = ranked.min() else { return false };
        if let Some(task) = self.remove(id).and_then(|entry| entry.task) {
            task.abort();
            metrics::connection_shed();
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.connections.remove(&id)?;
        if let Some(of_peer) = self.peers.get_mut(&entry.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                self.peers.remove(&entry.peer);
            }
        }
        Some(entry)
    }
}

impl Admitted {
    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        // Not there any more if it was shed: its place is another's since.
        self.admission.lock().remove(self.id);
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who counts as one peer: an IPv4 address, or the /64 that an IPv6 host can choose addresses from.
fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}
