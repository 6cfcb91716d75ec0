//! Wiring: open the adapters, build the hub, run the listeners, stop in order.

mod follow;
mod identity;
mod object;
mod rebuild;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::admin::{About, Exposure, Service};
use crate::api::serve::Speaks;
use crate::api::{self, serve};
use crate::blob::{LocalStore, Sharing};
use crate::config::{Config, Secret};
use crate::db::Db;
use crate::domain::{Clock, Hours};
use crate::hub::{Gone, Hub, Live, Settings};
use crate::machine::{self, Fixed, GpuProbe, Machine, Nvml};
use crate::object::ObjectStore;
use crate::upstream::{Upstream, proxy_of};
use crate::worker::Runner;

use follow::follow_workers;
use identity::Identity;
pub use object::try_object_store;
pub use rebuild::rebuild;
pub use worker::Worker;

/// A file that stands in for the GPUs of this machine (see `machine::Fixed`).
const GPU_FILE: &str = "MODELHUB_GPU_FILE";
/// Concurrent jobs besides downloads.
const OTHER_JOBS: usize = 4;

/// A hub whose listeners are bound; `run` serves them.
pub struct App {
    pub hub_addr: SocketAddr,
    pub admin_addr: SocketAddr,
    hub: Hub,
    config: Config,
    hub_listener: TcpListener,
    admin_listener: TcpListener,
    metrics: PrometheusHandle,
    clock: Clock,
    worker_token: Secret,
    /// Runs jobs in this process, unless they are left to others.
    work: Option<(Runner, Identity)>,
}

impl App {
    /// Opens everything. Nothing is served before all of it works.
    pub async fn open(config: Config, clock: Clock, metrics: PrometheusHandle) -> anyhow::Result<Self> {
        let hub = open_hub(&config, &clock).await?;
        let worker_token = shared_secret(&config, &hub).await?;
        let work = if config.jobs.run { Some(runner(&hub, &clock, &config, "").await?) } else { None };
        let bind = async |addr: SocketAddr, key: &str| {
            TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr} ({key})"))
        };
        let hub_listener = bind(config.hub.listen, "hub.listen").await?;
        let admin_listener = bind(config.admin.listen, "admin.listen").await?;
        Ok(Self {
            hub_addr: hub_listener.local_addr()?,
            admin_addr: admin_listener.local_addr()?,
            hub,
            config,
            hub_listener,
            admin_listener,
            metrics,
            clock,
            worker_token,
            work,
        })
    }

    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The address that clients put into HF_ENDPOINT.
    pub fn endpoint(&self) -> String {
        let public = self.config.hub.public_url.trim_end_matches('/');
        if !public.is_empty() {
            return public.to_owned();
        }
        let ip = self.hub_addr.ip();
        let host = if ip.is_unspecified() { "127.0.0.1".to_owned() } else { ip.to_string() };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        format!("http://{host}:{}", self.hub_addr.port())
    }

    fn about(&self) -> About {
        About {
            endpoint: self.endpoint(),
            upstream_url: self.config.upstream.url.clone(),
            proxy: proxy_of(&self.config.upstream),
            storage_path: self.config.store.data_dir.display().to_string(),
            database: match self.config.database.url.get() {
                Some(url) if url.starts_with("postgres") => "postgres".into(),
                _ => "sqlite".into(),
            },
            version: env!("CARGO_PKG_VERSION").into(),
            cache_times: cache_times(&self.config.cache),
            keeping: self.config.store.written.iter().cloned().map(setting).collect(),
        }
    }

    /// Serves until `stop`. Then: no new connections → running requests finish, within the
    /// deadline → flights stop, their finished segments on disk → the database closes.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let limits = limits(&self.config.hub);
        let drain = self.config.hub.drain_timeout.duration();
        let shared = Arc::new(api::Shared {
            hub: self.hub.clone(),
            public_url: self.config.hub.public_url.trim_end_matches('/').into(),
            front: api::Front::default(),
        });
        let hub_router = api::hub_router(shared);
        let machine = Machine::new(gpu_probe()?, &self.config.store.data_dir, self.clock.clone());
        let service = Service::new(self.hub.clone(), machine, self.about());
        let hosts = self.config.admin.hosts.iter().cloned().chain(machine::names()).collect();
        let exposure = Exposure { token: self.config.admin.token.clone(), hosts };
        let admin_router = api::admin::router(service, exposure, self.metrics);

        self.hub.start_upkeep();
        // If one listener fails, the other must not keep running alone.
        let both = stop.child_token();
        let run = async |listener, router, speaks| {
            let outcome = serve::serve(listener, router, limits, speaks, both.clone(), drain).await;
            both.cancel();
            outcome
        };
        let jobs = async {
            let Some((runner, _)) = &self.work else { return };
            let stopping = async {
                both.cancelled().await;
                runner.stop();
            };
            tokio::join!(runner.run(), stopping);
        };
        let traffic = tell_traffic(&self.hub, &self.clock, &both);
        let following = follow_workers(&self.hub, &self.worker_token, &self.clock, &both);
        let ends_streams = async {
            both.cancelled().await;
            self.hub.begin_stop();
        };
        let (hub_outcome, admin_outcome, (), (), (), ()) = tokio::join!(
            run(self.hub_listener, hub_router, Speaks::Http1),
            run(self.admin_listener, admin_router, Speaks::Http1And2),
            jobs,
            traffic,
            following,
            ends_streams,
        );
        self.hub.stop().await;
        hub_outcome.context("the hub listener failed")?;
        admin_outcome.context("the admin listener failed")?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// What clients may hold, of each listener.
fn limits(hub: &crate::config::HubListener) -> serve::Limits {
    serve::Limits {
        header_timeout: hub.header_timeout.duration(),
        write_stall: hub.write_timeout.duration(),
        max_connections: hub.max_connections,
        max_per_peer: hub.max_connections_per_peer,
        ..serve::Limits::default()
    }
}

fn cache_times(cache: &crate::config::Cache) -> crate::pb::CacheTimes {
    let seconds = |span: &crate::config::Span| span.duration().as_secs();
    crate::pb::CacheTimes {
        visibility_ttl_seconds: seconds(&cache.visibility_ttl),
        access_ttl_seconds: seconds(&cache.access_ttl),
        access_denied_ttl_seconds: seconds(&cache.access_denied_ttl),
        listing_ttl_seconds: seconds(&cache.listing_ttl),
        offline_grace_seconds: seconds(&cache.offline_grace),
    }
}

fn setting(written: crate::config::Written) -> crate::pb::ConfiguredSetting {
    let (key, values) = (written.key.into(), written.values);
    crate::pb::ConfiguredSetting { key, values, source: written.source.unwrap_or_default() }
}

/// What may be changed while running, as configured.
fn live_settings(config: &Config) -> anyhow::Result<Live> {
    let hours = config.jobs.hours.as_str();
    Ok(Live {
        offline: config.upstream.offline,
        max_downloads: config.jobs.max_downloads,
        download_bytes_per_second: config.jobs.bytes_per_second.bytes(),
        download_hours: (!hours.is_empty()).then(|| Hours::parse(hours)).transpose()?,
        store_limit_bytes: config.store.limit.bytes(),
        ref_ttl: config.cache.ref_ttl.duration(),
    })
}

/// The machine's GPUs, or those that a file describes, so that the dashboard can be tried without any.
fn gpu_probe() -> anyhow::Result<Arc<dyn GpuProbe>> {
    let Some(path) = std::env::var_os(GPU_FILE) else { return Ok(Arc::new(Nvml::default())) };
    let text = std::fs::read_to_string(&path).with_context(|| format!("{GPU_FILE}: cannot read {}", path.display()))?;
    Ok(Arc::new(Fixed::from_json(&text).with_context(|| format!("{GPU_FILE}: {}", path.display()))?))
}

/// What runs jobs in this process, whose service is at `address`, and the name that it has meanwhile.
async fn runner(hub: &Hub, clock: &Clock, config: &Config, address: &str) -> anyhow::Result<(Runner, Identity)> {
    let hostname = machine::hostname();
    let (data_dir, host) = (config.store.data_dir.clone(), hostname.clone());
    let identity = tokio::task::spawn_blocking(move || Identity::take(&data_dir, &host)).await?;
    let identity = identity.context("cannot create a worker identity in the data directory")?;
    let settings = crate::worker::Settings {
        lease: config.jobs.lease.duration(),
        max_downloads: config.jobs.max_downloads_per_worker,
        others: OTHER_JOBS,
        id: identity.id.clone(),
        hostname,
        address: address.into(),
    };
    Ok((Runner::new(hub.clone(), clock.clone(), settings), identity))
}

/// Tells watchers every second what moved.
async fn tell_traffic(hub: &Hub, clock: &Clock, stop: &CancellationToken) {
    let mut seconds = clock.beats(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = seconds.next() => {}
        }
        hub.overview.tick_traffic();
    }
}

/// Opens the store, the database and the way upstream. Nothing is served before all of it works.
async fn open_hub(config: &Config, clock: &Clock) -> anyhow::Result<Hub> {
    let data_dir = config.store.data_dir.clone();
    // SQLite is one process's; a PostgreSQL database may have workers beside the server.
    let is_postgres = config.database.url.get().is_some_and(|url| url.starts_with("postgres"));
    let sharing = if is_postgres { Sharing::Shared } else { Sharing::Alone };
    let store = tokio::task::spawn_blocking(move || LocalStore::open(&data_dir, sharing)).await??;
    let db = Db::open(config.database.url.get(), &config.store.data_dir).await?;
    let upstream = Upstream::new(config.upstream.clone(), clock)?;
    let object = ObjectStore::open(&config.object, clock).context("cannot use the object store of the settings")?;
    let settings = Settings {
        cache: config.cache.clone(),
        flight: config.flight.clone(),
        xet: config.xet.clone(),
        scrub: config.scrub.clone(),
        forward_telemetry: config.telemetry.forward,
        live: live_settings(config)?,
        token: config.upstream.token.clone(),
        keeping: config.store.keeping(),
        keep_jobs: config.jobs.keep,
        adopt_store: config.store.adopt,
        abandon_objects: config.object.abandon,
        is_alone: !is_postgres,
    };
    let hub = Hub::new(db, Arc::new(store), upstream, object, clock.clone(), settings).await?;
    if !is_postgres {
        hub.jobs.reclaim(Gone::Everyone).await?;
    }
    Ok(hub)
}

/// The token that servers and workers authenticate with: as configured, else the one in the data directory that
/// they share, made by the first of them.
async fn shared_secret(config: &Config, hub: &Hub) -> anyhow::Result<Secret> {
    if config.worker.token.get().is_some() {
        return Ok(config.worker.token.clone());
    }
    hub.shared_secret("worker_token").await.context("cannot store the worker token in the data directory")
}
