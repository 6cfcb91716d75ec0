//! Counts open connections, in all and per peer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;

static OPEN: AtomicUsize = AtomicUsize::new(0);

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
    total: usize,
    /// Only peers with an open connection have an entry, so it is as bounded as the total.
    peers: HashMap<IpAddr, usize>,
}

/// The right to one connection, given back on drop.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Admission,
    peer: IpAddr,
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner { limits, open: Mutex::default() }))
    }

    /// `None` when the peer, or everybody together, has as many as allowed.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Admitted> {
        let peer = peer_of(address);
        let limits = self.0.limits;
        let mut open = self.lock();
        let of_peer = open.peers.get(&peer).copied().unwrap_or(0);
        if open.total >= limits.max_connections || of_peer >= limits.max_per_peer {
            return None;
        }
        open.peers.insert(peer, of_peer + 1);
        open.total += 1;
        OPEN.fetch_add(1, Ordering::Relaxed);
        Some(Admitted { admission: self.clone(), peer })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.lock();
        open.total -= 1;
        if let Some(of_peer) = open.peers.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                open.peers.remove(&self.peer);
            }
        }
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
