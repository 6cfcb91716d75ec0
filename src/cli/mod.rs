//! The command line: the server's own commands, and those that ask a running hub over its admin API.
//!
//! `server` runs and configures the hub, `store` repairs it while it is stopped. All others are in files of their own; `client` speaks with the hub, `follow`
//! waits for jobs, `output` alone writes to the terminal, and `failure` has the exit codes.

mod call;
mod client;
mod doctor;
mod download;
mod events;
mod failure;
mod files;
mod follow;
mod format;
mod job_words;
mod jobs;
mod models;
mod object;
mod output;
mod quarantine;
mod scrub;
mod selected;
mod server;
mod settings;
mod status;
mod storage;
mod store;
mod table;

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use call::Call;
use client::{Client, Connection};
use failure::{Code, Failure, Outcome};
use output::{Screen, note};

use crate::domain::Clock;

const EXAMPLES: &str = "\
Start the hub and point your tools at it:

  modelhub serve
  export HF_ENDPOINT=http://127.0.0.1:8484
  hf download openai-community/gpt2

Ask a running hub:

  modelhub download openai-community/gpt2 --preset safetensors
  modelhub models
  modelhub jobs
  modelhub doctor

Exit codes of the commands that ask a hub:

  0  success                                   3  not found
  1  a job or the hub failed                   4  hub unreachable
  2  wrong usage, or an invalid request        5  permission denied: a token is missing or wrong
  130  interrupted; a job being followed continues

`modelhub config print --defaults` explains every setting.";

const REGISTER: &str = "\
Examples:
  modelhub register Wan-AI/Wan2.1-T2V-1.3B
  modelhub register https://huggingface.co/datasets/stanfordnlp/imdb
  modelhub register org/name --revision v1.0 --sync-every 12h";

const DOWNLOAD: &str = "\
Examples:
  modelhub download openai-community/gpt2                          all files
  modelhub download openai-community/gpt2 config.json onnx/        one file and one folder
  modelhub download openai-community/gpt2 --preset safetensors     weights as safetensors only
  modelhub download org/name-GGUF --quantisation Q4_K_M            one quantisation
  modelhub download org/name --include '*.json' --exclude 'old/*'
  modelhub download org/name --plan                                show what would be downloaded
  modelhub download org/name --detach --json | jq -r .id           start it and return

Ctrl-C leaves the job running; `modelhub jobs cancel ID` cancels it.";

const SCAN: &str = "\
Examples:
  modelhub scan ~/.cache/huggingface/hub --preview      show what would be imported
  modelhub scan ~/.cache/huggingface/hub                import it
  modelhub scan /models/my-model --repo-id me/my-model  a folder that does not tell its id

The folder is read on the hub's machine, and nothing in it is changed.";

const EVICT: &str = "\
Examples:
  modelhub evict org/name                        the stored files of a model
  modelhub evict org/name --include '*.bin'      some of them
  modelhub evict --free 100GiB --plan            show what would be removed
  modelhub evict --unused 30d                    everything unused for a month

Pinned models are kept, and so are imported files that could not be downloaded again, unless --include-unrecoverable.";

const STORAGE: &str = "\
Examples:
  modelhub storage                               what takes the space
  modelhub storage quarantine                    files whose content did not match their hash
  modelhub storage quarantine --empty            remove them; the hub does after 14 days";

const JOBS: &str = "\
Examples:
  modelhub jobs list --status failed,cancelled
  modelhub jobs watch ID
  modelhub jobs log ID --follow
  modelhub jobs retry ID";

const COMPLETIONS: &str = "\
Examples:
  source <(modelhub completions bash)
  modelhub completions zsh > ~/.zfunc/_modelhub
  modelhub completions fish > ~/.config/fish/completions/modelhub.fish";

#[derive(Parser)]
#[command(
    name = "modelhub",
    version,
    about = "A caching proxy of the Hugging Face Hub: files are downloaded once, verified, and served locally",
    after_help = EXAMPLES
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the hub
    #[command(
        after_help = "Each flag has an environment variable, e.g. MODELHUB_DATA_DIR for --data-dir.\nSIGTERM stops the hub once running requests have finished; a second one stops it immediately."
    )]
    Serve(server::Serve),
    /// Run jobs for a hub in a separate process
    #[command(
        after_help = "A worker shares the data directory and a PostgreSQL database with its hub (modelhub serve --no-worker).\nIt can be killed at any time: another worker resumes its jobs."
    )]
    Worker(server::Worker),
    /// Check or print the configuration
    Config {
        #[command(subcommand)]
        command: server::ConfigCommand,
    },
    /// Register a repository and sync its file list
    #[command(after_help = REGISTER)]
    Register(With<models::Register>),
    /// Look up a repository on upstream without registering it
    Lookup(With<models::LookUp>),
    /// Refresh the refs and files of a model from upstream
    Sync(With<models::Sync>),
    /// Download files into the store
    #[command(after_help = DOWNLOAD)]
    Download(With<download::Arguments>),
    /// Import models from a folder of the hub's machine
    #[command(after_help = SCAN)]
    Scan(With<storage::Scan>),
    /// List models
    Models(With<models::List>),
    /// Show one model and its revisions
    Model(With<models::Model>),
    /// Remove a model from the list; its files stay until they are evicted
    Forget(With<models::Forget>),
    /// List the files of a model, or print one
    Files(With<files::Files>),
    /// Show the architecture, parameters and memory needs of a model, or its tensors
    Facts(With<files::Facts>),
    /// List and control jobs
    #[command(after_help = JOBS)]
    Jobs(With<jobs::Arguments>),
    /// Protect a model from eviction
    Pin(With<models::Pin>),
    /// Remove the pin of a model
    Unpin(With<models::Model>),
    /// Verify the hashes of stored files
    Verify(With<storage::Verify>),
    /// Remove files from the store
    #[command(after_help = EVICT)]
    Evict(With<storage::Evict>),
    /// Show disk usage, or the quarantine
    #[command(after_help = STORAGE)]
    Storage(With<storage::Storage>),
    /// Repair the store while the hub is stopped
    Store {
        #[command(subcommand)]
        command: store::StoreCommand,
    },
    /// Show or change the settings that can change while the hub runs
    Settings(With<settings::Arguments>),
    /// Follow events; with --json one object per line
    Events(With<events::Arguments>),
    /// Show how the hub is doing
    Overview(With<Nothing>),
    /// Show the hub's machine: GPUs, disks, workers
    System(With<Nothing>),
    /// Exit with 0 if the hub is ready to serve, for container health checks
    #[command(
        after_help = "It asks /readyz of the admin listener, which needs no token and does not depend on upstream.\nThe exit code is 1 if the hub is not ready, and 4 if it is unreachable."
    )]
    Healthcheck(With<Nothing>),
    /// Diagnose problems with the hub, upstream, token, disk, and this shell
    #[command(
        after_help = "The exit code is 1 if a check fails; warnings do not count. It also works when no hub is running."
    )]
    Doctor(With<Nothing>),
    /// Print a shell completion script
    #[command(after_help = COMPLETIONS)]
    Completions { shell: clap_complete::Shell },
}

/// A command's own flags, and those of all that ask a hub.
#[derive(Args)]
struct With<T: Args> {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    own: T,
}

/// No flags of its own.
#[derive(Args)]
struct Nothing {}

/// Parses the arguments and runs the command; an error is a message for people.
pub fn run() -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    Ok(match Cli::parse().command {
        Command::Serve(serve) => server::serve(&serve).map(done)?,
        Command::Worker(worker) => server::work(&worker).map(done)?,
        Command::Config { command } => end(server::run_config(&command)?),
        Command::Completions { shell } => end(completions(shell)),
        Command::Store { command } => end(block_on(store::run(command))),
        Command::Register(with) => ask(with, models::register),
        Command::Lookup(with) => ask(with, models::look_up),
        Command::Sync(with) => ask(with, models::sync),
        Command::Download(with) => ask(with, download::run),
        Command::Scan(with) => ask(with, storage::scan),
        Command::Models(with) => ask(with, models::list),
        Command::Model(with) => ask(with, models::show),
        Command::Forget(with) => ask(with, models::forget),
        Command::Files(with) => ask(with, files::files),
        Command::Facts(with) => ask(with, files::facts),
        Command::Jobs(with) => ask(with, jobs::run),
        Command::Pin(with) => ask(with, models::pin),
        Command::Unpin(with) => ask(with, models::unpin),
        Command::Verify(with) => ask(with, storage::verify),
        Command::Evict(with) => ask(with, storage::evict),
        Command::Storage(with) => ask(with, storage::storage),
        Command::Settings(with) => ask(with, settings::run),
        Command::Events(with) => ask(with, events::show),
        Command::Overview(with) => ask(with, async |call, Nothing {}| status::overview(call).await),
        Command::System(with) => ask(with, async |call, Nothing {}| status::system(call).await),
        Command::Healthcheck(with) => ask(with, async |call, Nothing {}| status::healthcheck(call).await),
        Command::Doctor(With { connection, own: Nothing {} }) => end(block_on(doctor::run(&connection))),
    })
}

/// Runs a command against the hub that its flags name.
fn ask<T: Args>(with: With<T>, command: impl AsyncFnOnce(&Call, T) -> Outcome) -> ExitCode {
    let run = async || {
        let client = Client::new(&with.connection)?;
        let call = Call { client, screen: Screen::new(with.connection.json), clock: Clock::system() };
        command(&call, with.own).await
    };
    end(block_on(run()))
}

fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => Err(Failure::new(Code::Failed, format!("cannot start: {error}"))),
    }
}

/// The last word of a command, and its exit code.
fn end(outcome: Outcome) -> ExitCode {
    let Err(failure) = outcome else { return ExitCode::SUCCESS };
    if !failure.text.is_empty() {
        note(&format!("modelhub: {failure}"));
    }
    failure.code.into()
}

fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "modelhub", &mut script);
    Screen::new(false).print(&String::from_utf8_lossy(&script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }
}
