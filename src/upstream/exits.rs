//! The HTTP clients of this process: requests can be made only of URLs that the egress has allowed, connections only
//! to addresses that the resolver has let through, or to the proxy (`proxy.rs`), which goes on from there.

use std::time::Duration;

use reqwest::{Certificate, Identity, Method, RequestBuilder, Response};

use super::egress::Allowed;
use super::proxy::Way;
use super::resolver::Resolver;
use super::{Error, Result};
use crate::config;
use crate::domain::Clock;

/// A metadata response is computed by upstream while we wait: it may pause for longer than a file.
const METADATA_IDLE: Duration = Duration::from_secs(15);
/// Idle connections kept per download host; the limit of flights bounds those in use.
const MAX_IDLE_DOWNLOADS: usize = 32;

pub(super) struct Exits {
    meta: reqwest::Client,
    blobs: reqwest::Client,
    way: Way,
}

impl Exits {
    /// Fails only if TLS cannot be set up; the settings have checked what they name.
    pub(super) fn new(config: &config::Upstream, resolver: &Resolver) -> anyhow::Result<Self> {
        let way = Way::new(&config.proxies);
        #[expect(clippy::disallowed_methods, reason = "these are the only ways out")]
        let builder = || -> anyhow::Result<reqwest::ClientBuilder> {
            let mut builder = way
                .lay(reqwest::Client::builder())?
                .redirect(reqwest::redirect::Policy::none())
                .dns_resolver(resolver.clone())
                .connect_timeout(config.connect_timeout.duration())
                .tcp_keepalive(Duration::from_secs(30))
                .tcp_nodelay(true)
                .tls_certs_merge(Certificate::from_pem_bundle(&config.tls.authorities)?);
            if let Some(identity) = config.tls.identity.get() {
                builder = builder.identity(Identity::from_pem(identity.as_bytes())?);
            }
            Ok(builder)
        };
        let meta = builder()?
            .read_timeout(config.idle_timeout.duration().max(METADATA_IDLE))
            .pool_max_idle_per_host(8)
            .build()?;
        // One HTTP/2 connection would throttle parallel ranges of one file.
        let blobs = builder()?.http1_only().pool_max_idle_per_host(MAX_IDLE_DOWNLOADS).build()?;
        Ok(Self { meta, blobs, way })
    }

    /// A request for metadata.
    pub(super) fn metadata(&self, method: Method, url: &Allowed) -> RequestBuilder {
        self.meta.request(method, url.url().clone())
    }

    /// A request for a file's bytes.
    pub(super) fn bytes(&self, url: &Allowed) -> RequestBuilder {
        self.blobs.get(url.url().clone())
    }

    /// Sends a request and waits `within` for the head of its answer.
    pub(super) async fn send(&self, request: RequestBuilder, clock: &Clock, within: Duration) -> Result<Response> {
        let (client, request) = request.build_split();
        let request = request.map_err(|error| Error::network(&error))?;
        let url = request.url().clone();
        let response = match clock.timeout(within, client.execute(request)).await {
            Ok(outcome) => outcome.map_err(|error| self.way.failure(&url, &error))?,
            Err(_) => return Err(self.way.silence(&url)),
        };
        match self.way.refusal(&url, response.status(), response.headers()) {
            Some(error) => Err(error),
            None => Ok(response),
        }
    }
}
