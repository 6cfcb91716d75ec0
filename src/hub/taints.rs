//! Contents of which a wrong body was sent to clients.
//!
//! Clients check sizes only, keep what they have, and resume with `Range: bytes=n-` without
//! `If-Range`. A client that received a wrong beginning would put a right end to it. So for a
//! week, ranges that continue a file are answered with 200 and the whole body, and bounded
//! ranges with 503, until that peer has received one whole right body.
//!
//! Through Xet, what was given out before is void, and a peer gets later parts only after starting over.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::db::{Change, Db};
use crate::domain::{Clock, ContentId, Millis};

const WEEK_MS: Millis = 7 * 24 * 3_600_000;

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub(super) struct Taints(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    taints: Mutex<HashMap<ContentId, Taint>>,
}

struct Taint {
    until: Millis,
    /// Wrong bodies in a row.
    strikes: u32,
    /// Peers that received a whole right body since.
    cleared: HashSet<IpAddr>,
    /// Peers that started a download through Xet since.
    begun: HashSet<IpAddr>,
}

impl Taint {
    fn new(until: Millis, strikes: u32) -> Self {
        Self { until, strikes, cleared: HashSet::new(), begun: HashSet::new() }
    }
}

impl Taints {
    pub(super) async fn load(db: Db, clock: Clock) -> crate::db::Result<Self> {
        let taints = db.taints(clock.now()).await?;
        let taints = taints.into_iter().map(|(content, until)| (content, Taint::new(until, 1))).collect();
        Ok(Self(Arc::new(Inner { db, clock, taints: Mutex::new(taints) })))
    }

    /// A wrong body of this content went out now.
    pub(super) async fn add(&self, content: ContentId) -> crate::db::Result<()> {
        let until = self.0.clock.now() + WEEK_MS;
        self.put(content, until);
        self.0.db.put_taint(content, until).await
    }

    fn put(&self, content: ContentId, until: Millis) {
        let mut taints = self.lock();
        let strikes = taints.get(&content).map_or(0, |taint| taint.strikes) + 1;
        taints.insert(content, Taint::new(until, strikes));
    }

    /// Another process may have sent a wrong body; this one's own are known already.
    pub(super) fn apply(&self, change: &Change) {
        let Change::Taint { content, until } = change else { return };
        let is_known = self.lock().get(content).is_some_and(|taint| taint.until >= *until);
        if !is_known {
            self.put(*content, *until);
        }
    }

    /// Whether this peer may hold a wrong beginning of this content.
    pub(super) fn holds(&self, content: ContentId, peer: IpAddr) -> bool {
        let now = self.0.clock.now();
        let mut taints = self.lock();
        // The common case, on every hit: nothing is tainted at all.
        if taints.is_empty() {
            return false;
        }
        match taints.get(&content) {
            Some(taint) if taint.until > now => !taint.cleared.contains(&peer),
            Some(_) => {
                taints.remove(&content);
                false
            }
            None => false,
        }
    }

    /// Whether a wrong body of this content was sent at or after `time`.
    pub(super) fn since(&self, content: ContentId, time: Millis) -> bool {
        self.lock().get(&content).is_some_and(|taint| taint.until - WEEK_MS >= time)
    }

    /// Tells the bytes after a wrong body from those before it.
    pub(super) fn mark(&self, content: ContentId) -> Option<Millis> {
        self.lock().get(&content).map(|taint| taint.until)
    }

    /// Whether a peer may have what follows `start` of a content through Xet: not, after a wrong body,
    /// before it has started over.
    pub(super) fn may_continue(&self, content: ContentId, peer: IpAddr, start: u64) -> bool {
        let now = self.0.clock.now();
        match self.lock().get_mut(&content) {
            Some(taint) if taint.until > now && start == 0 => {
                taint.begun.insert(peer);
                true
            }
            Some(taint) if taint.until > now => taint.begun.contains(&peer),
            _ => true,
        }
    }

    /// Whether upstream sent wrong bytes more than once: then nothing is sent before it is
    /// verified. A client that sees progress, though wrong, would retry forever.
    pub(super) fn is_hopeless(&self, content: ContentId) -> bool {
        self.lock().get(&content).is_some_and(|taint| taint.strikes > 1)
    }

    /// Whether a wrong body of this content was sent in the last days.
    pub(super) fn knows(&self, content: ContentId) -> bool {
        self.lock().contains_key(&content)
    }

    /// This peer received the whole right body.
    pub(super) fn clear(&self, content: ContentId, peer: IpAddr) {
        if let Some(taint) = self.lock().get_mut(&content) {
            taint.cleared.insert(peer);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ContentId, Taint>> {
        self.0.taints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
