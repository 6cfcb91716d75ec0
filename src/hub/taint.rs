//! Contents of which a wrong body went out.
//!
//! Clients check sizes only, keep what they have, and resume with `Range: bytes=n-` without
//! `If-Range`. A client that received a wrong beginning would put a right end to it. So for a
//! week, ranges that continue a file are answered with 200 and the whole body, and bounded
//! ranges with 503, until that peer has received one whole right body.
//!
//! By Xet, what was given out before is void, and a peer gets later parts when it has begun again.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::db::Db;
use crate::domain::{Clock, ContentId, Millis};

const WEEK_MS: Millis = 7 * 24 * 3_600_000;

pub(super) struct Taints(Mutex<HashMap<ContentId, Taint>>);

struct Taint {
    until: Millis,
    /// Wrong bodies in a row.
    strikes: u32,
    /// Peers that received a whole right body since.
    cleared: HashSet<IpAddr>,
    /// Peers that began a download by Xet since.
    begun: HashSet<IpAddr>,
}

impl Taints {
    pub(super) async fn load(db: &Db, clock: &Clock) -> crate::db::Result<Self> {
        let taints = db.taints(clock.now()).await?;
        let map = taints.into_iter().map(|(content, until)| {
            (content, Taint { until, strikes: 1, cleared: HashSet::new(), begun: HashSet::new() })
        });
        Ok(Self(Mutex::new(map.collect())))
    }

    pub(super) async fn add(&self, db: &Db, content: ContentId, now: Millis) -> crate::db::Result<()> {
        let until = now + WEEK_MS;
        {
            let mut taints = self.lock();
            let strikes = taints.get(&content).map_or(0, |taint| taint.strikes) + 1;
            taints.insert(content, Taint { until, strikes, cleared: HashSet::new(), begun: HashSet::new() });
        }
        db.put_taint(content, until).await
    }

    /// Whether this peer may hold a wrong beginning of this content.
    pub(super) fn holds(&self, content: ContentId, peer: IpAddr, now: Millis) -> bool {
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

    /// Whether a wrong body of this content went out at or after `time`.
    pub(super) fn since(&self, content: ContentId, time: Millis) -> bool {
        self.lock().get(&content).is_some_and(|taint| taint.until - WEEK_MS >= time)
    }

    /// Tells the bytes after a wrong body from those before it.
    pub(super) fn mark(&self, content: ContentId) -> Option<Millis> {
        self.lock().get(&content).map(|taint| taint.until)
    }

    /// Whether a peer may have what follows `start` of a content by Xet: not, after a wrong body,
    /// before it has begun again.
    pub(super) fn may_continue(&self, content: ContentId, peer: IpAddr, start: u64, now: Millis) -> bool {
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
    /// proven. A client that sees progress, though wrong, would try again for ever.
    pub(super) fn is_hopeless(&self, content: ContentId) -> bool {
        self.lock().get(&content).is_some_and(|taint| taint.strikes > 1)
    }

    /// Whether a wrong body of this content went out in the last days.
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
