//! What both listeners share: options, state, faults, log, the addresses and the secret of signed URLs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::content::sha256_hex;
use crate::fault::Faults;
use crate::log::Log;
use crate::options::Options;
use crate::store::Store;

/// Hosts that must never be contacted by who uses the mock: they do not exist.
const CAS_CANARY: &str = "https://cas-server.xethub.canary.invalid";

/// Name of the limit, and who is limited.
type Bucket = (&'static str, String);
/// Begin of the window, requests in it.
type Window = (Instant, u64);

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) log: Arc<Log>,
    /// Set once, at the first start; restarts use the same ports.
    pub(crate) hub_addr: OnceLock<SocketAddr>,
    pub(crate) cdn_addr: OnceLock<SocketAddr>,
    /// Signed URLs of earlier generations are refused.
    generation: AtomicU64,
    requests: AtomicU64,
    windows: Mutex<HashMap<Bucket, Window>>,
    #[cfg(feature = "xet")]
    pub(crate) xet: Option<crate::xet::XetStore>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> anyhow::Result<Shared> {
        #[cfg(not(feature = "xet"))]
        anyhow::ensure!(!options.xet_store, "a Xet store needs the feature `xet` of mock-hf");
        Ok(Shared {
            #[cfg(feature = "xet")]
            xet: options.xet_store.then(crate::xet::XetStore::start).transpose()?,
            store: Store::new(&options.tokens),
            options,
            faults: Faults::default(),
            log: Arc::default(),
            hub_addr: OnceLock::new(),
            cdn_addr: OnceLock::new(),
            generation: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            windows: Mutex::default(),
        })
    }

    pub(crate) fn url(&self) -> String {
        self.options.public_base.clone().unwrap_or_else(|| base(self.hub_addr.get()))
    }

    pub(crate) fn cdn_url(&self) -> String {
        self.options.cdn_base.clone().unwrap_or_else(|| base(self.cdn_addr.get()))
    }

    /// The Xet store, or one that does not exist.
    pub(crate) fn xet_url(&self) -> &str {
        if let Some(base) = &self.options.xet_base {
            return base;
        }
        #[cfg(feature = "xet")]
        if let Some(store) = &self.xet {
            return store.url();
        }
        CAS_CANARY
    }

    pub(crate) fn expire_urls(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// The signature of a CDN path that is valid until `expires` (unix seconds).
    pub(crate) fn sign(&self, path: &str, expires: u64) -> String {
        let generation = self.generation.load(Ordering::Relaxed);
        sha256_hex(&format!("mock-hf secret {generation} {path} {expires}"))
    }

    pub(crate) fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("Root=1-{:08x}-{number:024x}", crate::time::now())
    }

    /// Counts a request in a bucket. False: the real limit of the options is reached.
    pub(crate) fn count(&self, bucket: &'static str, caller: &str, quota: u64, window: Duration) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let slot = windows.entry((bucket, caller.to_owned())).or_insert((now, 0));
        if now.duration_since(slot.0) >= window {
            *slot = (now, 0);
        }
        let room = slot.1 < quota;
        slot.1 += u64::from(room);
        room || self.options.rate_limit.is_none()
    }

    /// Requests left in a bucket, and seconds until it is full again.
    pub(crate) fn left(&self, bucket: &'static str, caller: &str, quota: u64, window: Duration) -> (u64, u64) {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((start, used)) = windows.get(&(bucket, caller.to_owned())) else { return (quota, window.as_secs()) };
        let left = quota.saturating_sub(*used).max(u64::from(self.options.rate_limit.is_none()));
        (left, window.saturating_sub(start.elapsed()).as_secs_f64().ceil() as u64)
    }
}

fn base(addr: Option<&SocketAddr>) -> String {
    addr.map_or_else(String::new, |addr| format!("http://{addr}"))
}
