//! The command line. Flags beat the environment, which beats the configuration file.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::app::{self, App};
use crate::config::{self, Config};
use crate::domain::Clock;
use crate::{metrics, shutdown, telemetry};

#[derive(Parser)]
#[command(
    name = "modelhub",
    version,
    about = "A caching proxy of the Hugging Face Hub: each byte is downloaded once, verified, and served from here",
    after_help = "Start the hub and point your tools at it:\n\n  modelhub serve\n  export HF_ENDPOINT=http://127.0.0.1:8484\n  hf download openai-community/gpt2\n\nEvery setting is explained in the output of `modelhub config print --defaults`."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the hub
    #[command(
        after_help = "Each flag has an environment variable, e.g. MODELHUB_DATA_DIR for --data-dir.\nSIGTERM stops the hub after running answers have finished; a second one stops it at once."
    )]
    Serve(Serve),
    /// Run jobs for a hub, in a process of their own
    #[command(
        after_help = "A worker shares the data directory and a PostgreSQL database with its hub (modelhub serve --no-worker).\nKill it at any time: its jobs go on elsewhere."
    )]
    Worker(Worker),
    /// Look at the settings
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say whether the settings can be used, and what is wrong with them
    Check(Source),
    /// Show the settings as they would be used; secrets are hidden
    Print {
        #[command(flatten)]
        source: Source,
        /// Show the built-in defaults with their explanations: a file to start from
        #[arg(long)]
        defaults: bool,
    },
}

#[derive(Args)]
struct Source {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "MODELHUB_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    source: Source,
    /// Where blobs and the database live
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address for Hugging Face clients (port 0: a free one)
    #[arg(long, value_name = "IP:PORT")]
    hub_listen: Option<String>,
    /// Address for health and metrics
    #[arg(long, value_name = "IP:PORT")]
    admin_listen: Option<String>,
    /// The address that clients use, if it is another one
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The hub to read from
    #[arg(long, value_name = "URL")]
    upstream_url: Option<String>,
    /// Never call out: serve what is here
    #[arg(long)]
    offline: bool,
    /// Leave jobs to `modelhub worker` processes
    #[arg(long)]
    no_worker: bool,
    /// Log level or tracing directives
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Args)]
struct Worker {
    #[command(flatten)]
    source: Source,
    /// Where blobs live: the hub's own data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address for the hub's questions (port 0: a free one)
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// The hub to read from
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

/// Parses the arguments and runs the command; an error is a message for people.
pub fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Command::Serve(serve) => {
            let config = Config::load(serve.source.config.as_deref(), std::env::vars(), &serve.flags())?;
            telemetry::init(&config.log)?;
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run_server(config))
        }
        Command::Worker(worker) => {
            let config = Config::load(worker.source.config.as_deref(), std::env::vars(), &worker.flags())?;
            telemetry::init(&config.log)?;
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run_worker(config))
        }
        Command::Config { command } => run_config(&command),
    }
}

#[expect(clippy::print_stdout, reason = "the output of this command")]
fn run_config(command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check(source) => {
            Config::load(source.config.as_deref(), std::env::vars(), &[])?;
            println!("the settings are fine");
        }
        ConfigCommand::Print { defaults: true, .. } => print!("{}", config::DEFAULTS),
        ConfigCommand::Print { source, .. } => {
            let table = config::merge(source.config.as_deref(), std::env::vars(), &[])?;
            Config::from_table(&table)?;
            print!("{}", config::redact(table));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a person who starts the hub needs to see")]
async fn run_server(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signals()?;
    let data_dir = config.store.data_dir.clone();
    let app = App::open(config, Clock::system(), metrics::install()?)
        .await
        .with_context(|| format!("cannot start with the data directory {}", data_dir.display()))?;
    println!("hub listening on http://{}", app.hub_addr);
    println!("admin listening on http://{}", app.admin_addr);
    println!("data directory {}", data_dir.display());
    println!();
    println!("Point your tools here:");
    println!("  export HF_ENDPOINT={}", app.endpoint());
    tracing::info!(hub = %app.hub_addr, admin = %app.admin_addr, data_dir = %data_dir.display(), "listening");
    app.run(stop).await
}

#[expect(clippy::print_stdout, reason = "what a person who starts a worker needs to see")]
async fn run_worker(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signals()?;
    metrics::install()?;
    let worker = app::Worker::open(config, Clock::system()).await?;
    println!("worker listening on http://{}", worker.addr);
    tracing::info!(worker = %worker.addr, "working");
    worker.run(stop).await
}
