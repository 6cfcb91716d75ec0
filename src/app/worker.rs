//! A process that runs jobs and serves only its servers.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::identity::Identity;
use super::{limits, open_hub, runner, shared_secret};
use crate::api::serve::{self, Speaks};
use crate::api::worker_service;
use crate::config::{Config, Secret};
use crate::domain::Clock;
use crate::hub::Hub;
use crate::worker::Runner;

/// A worker whose listener is bound; `run` works.
pub struct Worker {
    pub addr: SocketAddr,
    hub: Hub,
    clock: Clock,
    runner: Runner,
    _identity: Identity,
    config: Config,
    token: Secret,
    listener: TcpListener,
}

impl Worker {
    /// Opens the store and the database that it shares with its servers. Only PostgreSQL can be shared.
    pub async fn open(config: Config, clock: Clock) -> anyhow::Result<Self> {
        if !config.database.url.get().is_some_and(|url| url.starts_with("postgres")) {
            anyhow::bail!(
                "a worker shares a PostgreSQL database with its server: set database.url (MODELHUB_DATABASE_URL) to \
                 postgres://…; without PostgreSQL, `modelhub serve` runs jobs itself"
            );
        }
        let hub = open_hub(&config, &clock).await?;
        let token = shared_secret(&config, &hub).await?;
        let listen = config.worker.listen;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {listen} (worker.listen)"))?;
        let addr = listener.local_addr()?;
        let address = match config.worker.address.as_str() {
            "" => format!("http://{addr}"),
            address => address.trim_end_matches('/').to_owned(),
        };
        let (runner, identity) = runner(&hub, &clock, &config, &address).await?;
        Ok(Self { addr, hub, clock, runner, _identity: identity, config, token, listener })
    }

    /// Works until `stop`; then running jobs are suspended, to be resumed by another worker.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.hub.start_upkeep();
        let router = worker_service::router(self.hub.clone(), self.clock, self.token);
        let drain = self.config.hub.drain_timeout.duration();
        let limits = serve::Limits { max_connections: 256, max_per_peer: 256, ..limits(&self.config.hub) };
        let serving = serve::serve(self.listener, router, limits, Speaks::Http1And2, stop.clone(), drain);
        let stopping = async {
            stop.cancelled().await;
            self.hub.begin_stop();
            self.runner.stop();
        };
        let (served, (), ()) = tokio::join!(serving, self.runner.run(), stopping);
        self.hub.stop().await;
        served.context("the worker's listener failed")?;
        tracing::info!("stopped");
        Ok(())
    }
}
