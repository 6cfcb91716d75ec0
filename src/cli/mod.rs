//! The command line: the server's own commands, and those that ask a running hub over its admin API.
//!
//! `server` runs and configures the hub. All others are in files of their own; `client` speaks with the hub, `follow`
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
mod output;
mod selected;
mod server;
mod settings;
mod status;
mod storage;
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

  0  fine                                      3  not found
  1  a job or the server failed                4  no hub answers
  2  wrong usage, or an invalid request        5  refused: a token is missing or does not suffice
  130  interrupted; a job that was followed goes on

Every setting is explained in the output of `modelhub config print --defaults`.";

const REGISTER: &str = "\
Examples:
  modelhub register Wan-AI/Wan2.1-T2V-1.3B
  modelhub register https://huggingface.co/datasets/stanfordnlp/imdb
  modelhub register org/name --revision v1.0 --sync-every 12h";

const DOWNLOAD: &str = "\
Examples:
  modelhub download openai-community/gpt2                          all of it
  modelhub download openai-community/gpt2 config.json onnx/        a file, and a folder
  modelhub download openai-community/gpt2 --preset safetensors     of weights only safetensors
  modelhub download org/name-GGUF --quantisation Q4_K_M            one quantisation
  modelhub download org/name --include '*.json' --exclude 'old/*'
  modelhub download org/name --plan                                what would be fetched
  modelhub download org/name --detach --json | jq -r .id           begin it and go on

Ctrl-C leaves the job running; `modelhub jobs cancel ID` ends it.";

const SCAN: &str = "\
Examples:
  modelhub scan ~/.cache/huggingface/hub --preview      what is there
  modelhub scan ~/.cache/huggingface/hub                import it
  modelhub scan /models/my-model --repo-id me/my-model  a folder that does not say what it is

The folder is read on the hub's machine, and nothing in it is changed.";

const EVICT: &str = "\
Examples:
  modelhub evict org/name                        the stored files of a model
  modelhub evict org/name --include '*.bin'      some of them
  modelhub evict --free 100GiB --plan            what would go
  modelhub evict --unused 30d                    all that was not used for a month

Pinned models stay, and imported files that could not be downloaded again; --include-unrecoverable takes these too.";

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
    about = "A caching proxy of the Hugging Face Hub: each byte is downloaded once, verified, and served from here",
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
        after_help = "Each flag has an environment variable, e.g. MODELHUB_DATA_DIR for --data-dir.\nSIGTERM stops the hub after running answers have finished; a second one stops it at once."
    )]
    Serve(server::Serve),
    /// Run jobs for a hub, in a process of their own
    #[command(
        after_help = "A worker shares the data directory and a PostgreSQL database with its hub (modelhub serve --no-worker).\nKill it at any time: its jobs go on elsewhere."
    )]
    Worker(server::Worker),
    /// Look at the settings
    Config {
        #[command(subcommand)]
        command: server::ConfigCommand,
    },
    /// Make a repository known and list its files
    #[command(after_help = REGISTER)]
    Register(With<models::Register>),
    /// Ask upstream about a repository without registering it
    Lookup(With<models::LookUp>),
    /// Read refs and files of a model from upstream again
    Sync(With<models::Sync>),
    /// Fetch files into the store
    #[command(after_help = DOWNLOAD)]
    Download(With<download::Arguments>),
    /// Import models from a folder of the hub's machine
    #[command(after_help = SCAN)]
    Scan(With<storage::Scan>),
    /// List models
    Models(With<models::List>),
    /// Show one model and its revisions
    Model(With<models::Model>),
    /// Forget a model; its files stay until they are evicted
    Forget(With<models::Forget>),
    /// List the files of a model, or print one
    Files(With<files::Files>),
    /// What a model is: architecture, parameters, memory; or its tensors
    Facts(With<files::Facts>),
    /// List and steer jobs
    #[command(after_help = JOBS)]
    Jobs(With<jobs::Arguments>),
    /// Keep a model from eviction
    Pin(With<models::Pin>),
    /// Take the pin away
    Unpin(With<models::Model>),
    /// Read stored files again and compare their hashes
    Verify(With<storage::Verify>),
    /// Remove files from the store
    #[command(after_help = EVICT)]
    Evict(With<storage::Evict>),
    /// What takes the space
    Storage(With<storage::Storage>),
    /// Look at and change what can be changed while the hub runs
    Settings(With<settings::Arguments>),
    /// Follow what happens; with --json one object a line
    Events(With<events::Arguments>),
    /// How the hub is doing
    Overview(With<Nothing>),
    /// The hub's machine: GPUs, disks, workers
    System(With<Nothing>),
    /// Look for what is wrong: hub, upstream, token, disk, and this shell
    #[command(
        after_help = "The exit code is 1 if something fails; warnings are none. It also works while no hub runs."
    )]
    Doctor(With<Nothing>),
    /// Print a script that completes commands in a shell
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
        Command::Config { command } => server::run_config(&command).map(done)?,
        Command::Completions { shell } => end(completions(shell)),
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
