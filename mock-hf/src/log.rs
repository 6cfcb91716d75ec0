//! The request log and the counters. A line exists from the moment a request arrived; status and bytes are filled in
//! while it is answered, so a test can look at a transfer under way.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::fault::Origin;

/// Older lines are forgotten beyond this many; the counters go on.
const KEPT: usize = 200_000;

/// One request as it arrived and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Logged {
    pub origin: Origin,
    pub method: String,
    /// As sent, not decoded.
    pub path: String,
    /// Without the question mark; empty when there is none.
    pub query: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    pub user_agent: Option<String>,
    pub headers: Vec<(String, String)>,
    /// 0 while there is no answer, and for ever when the connection was closed without one.
    pub status: u16,
    /// Bytes of the body handed to the connection so far.
    pub body_bytes: u64,
    /// The answer has ended, one way or another.
    pub done: bool,
    #[serde(serialize_with = "unix_ms")]
    pub when: SystemTime,
}

impl Logged {
    /// The value of a request header (name in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Path and query together.
    pub fn target(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }
}

fn unix_ms<S: Serializer>(when: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(when.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
}

/// Totals since the start or the last `clear_log`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// All requests to the hub.
    pub hub_calls: u64,
    /// Those under `/api/`, `/api/resolve-cache/` left out.
    pub api_calls: u64,
    /// Those to `resolve`, without the second step to `/api/resolve-cache/`.
    pub resolve_calls: u64,
    /// Those to `/api/resolve-cache/`.
    pub resolve_cache_calls: u64,
    pub cdn_calls: u64,
    pub hub_body_bytes: u64,
    pub cdn_body_bytes: u64,
    /// Requests being answered at this moment.
    pub in_flight: u64,
    pub max_concurrent: u64,
    pub cdn_max_concurrent: u64,
    /// Requests to the CDN that carried an Authorization header; must stay 0.
    pub cdn_calls_with_authorization: u64,
}

/// A line that is still being written.
#[derive(Debug)]
pub(crate) struct Entry {
    fixed: Logged,
    status: AtomicU16,
    body_bytes: AtomicU64,
    done: AtomicBool,
}

impl Entry {
    pub(crate) fn set_status(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Logged {
        Logged {
            status: self.status.load(Ordering::Relaxed),
            body_bytes: self.body_bytes.load(Ordering::Relaxed),
            done: self.done.load(Ordering::Relaxed),
            ..self.fixed.clone()
        }
    }
}

#[derive(Default)]
struct Inner {
    lines: VecDeque<Arc<Entry>>,
    stats: Stats,
    hub_in_flight: u64,
    cdn_in_flight: u64,
}

/// The log of one mock.
#[derive(Default)]
pub(crate) struct Log {
    inner: Mutex<Inner>,
}

impl Log {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line and counts it as in flight until the returned guard is dropped.
    pub(crate) fn begin(self: &Arc<Log>, line: Logged) -> InFlight {
        let mut inner = self.lock();
        let is_cdn = line.origin == Origin::Cdn;
        let stats = &mut inner.stats;
        if is_cdn {
            stats.cdn_calls += 1;
            stats.cdn_calls_with_authorization += u64::from(line.authorization.is_some());
        } else {
            stats.hub_calls += 1;
            if line.path.starts_with("/api/resolve-cache/") {
                stats.resolve_cache_calls += 1;
            } else if line.path.starts_with("/api/") {
                stats.api_calls += 1;
            } else if line.path.contains("/resolve/") {
                stats.resolve_calls += 1;
            }
        }
        if is_cdn {
            inner.cdn_in_flight += 1;
        } else {
            inner.hub_in_flight += 1;
        }
        let total = inner.cdn_in_flight + inner.hub_in_flight;
        inner.stats.max_concurrent = inner.stats.max_concurrent.max(total);
        inner.stats.cdn_max_concurrent = inner.stats.cdn_max_concurrent.max(inner.cdn_in_flight);
        let entry = Arc::new(Entry {
            fixed: line,
            status: AtomicU16::new(0),
            body_bytes: AtomicU64::new(0),
            done: AtomicBool::new(false),
        });
        inner.lines.push_back(Arc::clone(&entry));
        if inner.lines.len() > KEPT {
            inner.lines.pop_front();
        }
        InFlight { log: Arc::clone(self), entry }
    }

    pub(crate) fn requests(&self) -> Vec<Logged> {
        self.lock().lines.iter().map(|entry| entry.snapshot()).collect()
    }

    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        inner.lines.clear();
        inner.stats = Stats::default();
    }

    pub(crate) fn stats(&self) -> Stats {
        let inner = self.lock();
        Stats { in_flight: inner.hub_in_flight + inner.cdn_in_flight, ..inner.stats }
    }
}

/// A request that is being answered; travels with the body.
pub(crate) struct InFlight {
    log: Arc<Log>,
    pub(crate) entry: Arc<Entry>,
}

impl InFlight {
    /// Counts bytes of the body.
    pub(crate) fn sent(&self, bytes: u64) {
        self.entry.body_bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut inner = self.log.lock();
        match self.entry.fixed.origin {
            Origin::Hub => inner.stats.hub_body_bytes += bytes,
            Origin::Cdn => inner.stats.cdn_body_bytes += bytes,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.entry.done.store(true, Ordering::Relaxed);
        let mut inner = self.log.lock();
        match self.entry.fixed.origin {
            Origin::Hub => inner.hub_in_flight -= 1,
            Origin::Cdn => inner.cdn_in_flight -= 1,
        }
    }
}
