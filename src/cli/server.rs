//! The commands that run a server or read its settings: `serve`, `worker`, `config`. Flags beat the environment,
//! which beats the configuration file.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::failure::{Code, Failure, Outcome};
use super::output::{Screen, announce};
use crate::app::{self, App};
use crate::config::{self, Config};
use crate::domain::Clock;
use crate::upstream::proxy_of;
use crate::{machine, metrics, shutdown, telemetry};

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Check whether the settings are valid, and whether the object store can be used
    Check(Source),
    /// Show the effective settings; secrets are hidden
    Print {
        #[command(flatten)]
        source: Source,
        /// Show the defaults with comments instead, as a file to start from
        #[arg(long)]
        defaults: bool,
    },
}

#[derive(Args)]
pub(super) struct Source {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "MODELHUB_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    source: Source,
    /// Directory for blobs and the database
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address for Hugging Face clients (port 0 picks a free one)
    #[arg(long, value_name = "IP:PORT")]
    hub_listen: Option<String>,
    /// Address for the dashboard, the admin API, health and metrics
    #[arg(long, value_name = "IP:PORT")]
    admin_listen: Option<String>,
    /// The URL that clients use, if it differs
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The upstream hub to read from
    #[arg(long, value_name = "URL")]
    upstream_url: Option<String>,
    /// Make no upstream requests; serve only what is cached
    #[arg(long)]
    offline: bool,
    /// Leave jobs to separate `modelhub worker` processes
    #[arg(long)]
    no_worker: bool,
    /// Log level or tracing directives
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Args)]
pub(super) struct Worker {
    #[command(flatten)]
    source: Source,
    /// The hub's own data directory, where blobs are
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address for the hub's questions; a free port by default
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// Concurrent downloads of this worker (jobs.max_downloads_per_worker)
    #[arg(long, value_name = "NUMBER")]
    max_downloads: Option<String>,
    /// The upstream hub to read from
    #[arg(long, value_name = "URL")]
    upstream_url: Option<String>,
    /// Log level or tracing directives
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

impl Worker {
    fn flags(&self) -> Vec<(&'static str, String)> {
        let flags = [
            ("store.data_dir", self.data_dir.clone()),
            ("worker.listen", self.listen.clone()),
            ("jobs.max_downloads_per_worker", self.max_downloads.clone()),
            ("upstream.url", self.upstream_url.clone()),
            ("log.level", self.log.clone()),
        ];
        flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

impl Serve {
    fn flags(&self) -> Vec<(&'static str, String)> {
        let flags = [
            ("store.data_dir", self.data_dir.clone()),
            ("hub.listen", self.hub_listen.clone()),
            ("admin.listen", self.admin_listen.clone()),
            ("hub.public_url", self.public_url.clone()),
            ("upstream.url", self.upstream_url.clone()),
            ("upstream.offline", self.offline.then(|| "true".to_owned())),
            ("jobs.run", self.no_worker.then(|| "false".to_owned())),
            ("log.level", self.log.clone()),
        ];
        flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// Runs the hub until it is stopped.
pub(super) fn serve(serve: &Serve) -> anyhow::Result<()> {
    let config = Config::load(serve.source.config.as_deref(), std::env::vars(), &serve.flags())?;
    telemetry::init(&config.log)?;
    run(run_server(config))
}

/// Runs a worker until it is stopped.
pub(super) fn work(worker: &Worker) -> anyhow::Result<()> {
    let config = Config::load(worker.source.config.as_deref(), std::env::vars(), &worker.flags())?;
    telemetry::init(&config.log)?;
    run(run_worker(config))
}

/// Runs a process that serves and logs, to its last line.
fn run(process: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    machine::raise_descriptor_limit();
    let ended = tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(process);
    telemetry::flush();
    ended
}

/// Shows settings, or whether they are right.
pub(super) fn run_config(command: &ConfigCommand) -> anyhow::Result<Outcome> {
    let screen = Screen::new(false);
    Ok(match command {
        ConfigCommand::Check(source) => {
            let config = Config::load(source.config.as_deref(), std::env::vars(), &[])?;
            let warning = config.readable_by_a_proxy().map(|sentence| format!("\nwarning: {sentence}"));
            let valid = screen.print(&format!("the settings are valid{}", warning.unwrap_or_default()));
            match valid {
                Ok(()) => try_object_store(&screen, &config)?,
                failed => failed,
            }
        }
        ConfigCommand::Print { defaults: true, .. } => screen.print(config::DEFAULTS),
        ConfigCommand::Print { source, .. } => {
            let merged = config::merge(source.config.as_deref(), std::env::vars(), &[])?;
            Config::from_merged(&merged)?;
            screen.print(&config::redact(merged.table).to_string())
        }
    })
}

/// Tries the object store, if there is one; a line for each step.
fn try_object_store(screen: &Screen, config: &Config) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let Some((name, steps)) = runtime.block_on(app::try_object_store(config, &Clock::system()))? else {
        return Ok(Ok(()));
    };
    let mut lines = vec![format!("\nthe object store {name}:")];
    lines.extend(steps.iter().map(|step| match &step.outcome {
        Ok(()) => format!("  ok    {}", step.what),
        Err(error) => format!("  fail  {}: {error}", step.what),
    }));
    let shown = screen.print(&lines.join("\n"));
    let failed = steps.iter().any(|step| step.outcome.is_err());
    Ok(shown.and_then(|()| if failed { Err(Failure::silent(Code::Failed)) } else { Ok(()) }))
}

async fn run_server(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signals()?;
    let data_dir = config.store.data_dir.clone();
    let warnings: Vec<_> = config.exposed().into_iter().chain(config.readable_by_a_proxy()).collect();
    let proxy = proxy_of(&config.upstream);
    let app = App::open(config, Clock::system(), metrics::install()?)
        .await
        .with_context(|| format!("cannot start with the data directory {}", data_dir.display()))?;
    announce(format!(
        "hub listening on http://{}\nadmin listening on http://{}\ndata directory {}\n\nPoint your tools at it:\n  \
         export HF_ENDPOINT={}\n",
        app.hub_addr,
        app.admin_addr,
        data_dir.display(),
        app.endpoint()
    ));
    tracing::info!(hub = %app.hub_addr, admin = %app.admin_addr, data_dir = %data_dir.display(), "listening");
    warnings.iter().for_each(|sentence| tracing::warn!("{sentence}"));
    if let Some((proxy, source)) = proxy {
        tracing::info!(%proxy, %source, "upstream is reached through a proxy");
    }
    Box::pin(app.run(stop)).await
}

async fn run_worker(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signals()?;
    metrics::install()?;
    let worker = app::Worker::open(config, Clock::system()).await?;
    announce(format!("worker listening on http://{}\n", worker.addr));
    tracing::info!(worker = %worker.addr, "working");
    Box::pin(worker.run(stop)).await
}
