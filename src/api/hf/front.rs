//! Files of public repositories that were just answered, by the path they were asked under.
//!
//! The second HEAD of a file costs one look-up: no parsing, no other cache. An entry is good
//! until the revision has to be looked up again, and no longer than anything known changes.
//! Private and gated files never get here: each of their requests is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, Method};

use crate::domain::XetHash;
use crate::hub::{Hub, Resolved, Stamp};

const MOST: u64 = 50_000;

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Front(moka::sync::Cache<String, Arc<Known>>);

pub(super) struct Known {
    pub(super) resolved: Resolved,
    /// All headers of the file, without those of a single response.
    pub(super) headers: HeaderMap,
    /// The Xet hash under which it is offered.
    pub(super) xet: Option<XetHash>,
    stamp: Stamp,
}

impl Default for Front {
    fn default() -> Self {
        Self(moka::sync::Cache::new(MOST))
    }
}

impl Front {
    pub(super) fn get(&self, hub: &Hub, method: &Method, path: &str) -> Option<Arc<Known>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let known = self.0.get(path)?;
        if hub.repos.is_current(&known.stamp) {
            return Some(known);
        }
        self.0.invalidate(path);
        None
    }

    pub(super) fn put(&self, path: &str, resolved: Resolved, headers: HeaderMap, xet: Option<XetHash>, stamp: Stamp) {
        self.0.insert(path.to_owned(), Arc::new(Known { resolved, headers, xet, stamp }));
    }
}

/// Unlike any other of this process, and most likely of any other.
pub(super) fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static START: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| uuid::Uuid::new_v4().as_u64_pair().0);
    format!("{:016x}", START.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)))
}
