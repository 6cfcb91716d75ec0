//! The HTTP clients of this process: requests can be made only of URLs that the egress has allowed, connections only
//! to addresses that the resolver has let through.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};

use super::egress::Allowed;
use super::resolver::Resolver;
use crate::config;

/// A metadata response is computed by upstream while we wait: it may pause for longer than a file.
const METADATA_IDLE: Duration = Duration::from_secs(15);
/// Idle connections kept per download host; the limit of flights bounds those in use.
const MAX_IDLE_DOWNLOADS: usize = 32;

pub(super) struct Exits {
    meta: reqwest::Client,
    blobs: reqwest::Client,
}

impl Exits {
    /// Fails only if TLS cannot be set up.
    pub(super) fn new(config: &config::Upstream, resolver: &Resolver) -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "these are the only ways out")]
        let builder = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .dns_resolver(resolver.clone())
                .connect_timeout(config.connect_timeout.duration())
                .tcp_keepalive(Duration::from_secs(30))
                .tcp_nodelay(true)
                .no_proxy()
        };
        let meta = builder()
            .read_timeout(config.idle_timeout.duration().max(METADATA_IDLE))
            .pool_max_idle_per_host(8)
            .build()?;
        // One HTTP/2 connection would throttle parallel ranges of one file.
        let blobs = builder().http1_only().pool_max_idle_per_host(MAX_IDLE_DOWNLOADS).build()?;
        Ok(Self { meta, blobs })
    }

    /// A request for metadata.
    pub(super) fn metadata(&self, method: Method, url: &Allowed) -> RequestBuilder {
        self.meta.request(method, url.url().clone())
    }

    /// A request for a file's bytes.
    pub(super) fn bytes(&self, url: &Allowed) -> RequestBuilder {
        self.blobs.get(url.url().clone())
    }
}
