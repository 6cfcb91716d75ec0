//! `modelhub store rebuild`: repairs that need the hub stopped.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::{Code, Failure, Outcome};
use super::format::{bytes, counted};
use super::output::{Screen, note};
use crate::app;
use crate::config::Config;
use crate::domain::Clock;
use crate::hub::Rebuilt;

/// Between two lines of progress.
const BEAT: Duration = Duration::from_secs(5);
/// Names that are shown of each kind; --json has all.
const SHOWN: usize = 20;

const REBUILD: &str = "\
Use it when the hub says that its database is damaged, or when modelhub.db is gone. Stop the hub first.

  modelhub store rebuild --data-dir /var/lib/modelhub

1. A damaged SQLite database is renamed to modelhub.db.damaged-<time>, and a new one is made. A sound one stays.
2. Each file of the store without a row is read and hashed. One that is what its name says is known again; any other is
   moved to quarantine/. This takes as long as reading them: about a second per GB.

It can be interrupted at any time and run again: it goes on where it was. With PostgreSQL, rows that are missing are added,
and nothing is removed; restore the server's own backup first if there is one.

What only the database knew is not brought back: registrations, pins, jobs, changed settings, and which repositories the
files belong to. Repositories are known again when somebody asks for them, and their files are not downloaded again.
Models that were imported from a folder have to be imported again (modelhub scan).

Exit codes: 0 if every file is what its name says, 1 if some were moved to quarantine or it failed, 2 for wrong usage.";

#[derive(Subcommand)]
pub(super) enum StoreCommand {
    /// Make a lost or damaged database again from the stored files; the hub must be stopped
    #[command(after_help = REBUILD)]
    Rebuild(Rebuild),
}

#[derive(Args)]
pub(super) struct Rebuild {
    /// Configuration file of the hub (TOML)
    #[arg(long, value_name = "FILE", env = "MODELHUB_CONFIG")]
    config: Option<PathBuf>,
    /// The hub's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: StoreCommand) -> Outcome {
    let StoreCommand::Rebuild(arguments) = command;
    let flags: Vec<_> = arguments.data_dir.map(|dir| ("store.data_dir", dir)).into_iter().collect();
    let config = Config::load(arguments.config.as_deref(), std::env::vars(), &flags)
        .map_err(|error| Failure::usage(format!("{error:#}")))?;
    let clock = Clock::system();
    let rebuilt = app::rebuild(&config, &clock, progress(clock.clone())).await;
    let (aside, rebuilt) = rebuilt.map_err(|error| Failure::new(Code::Failed, format!("{error:#}")))?;
    show(&Screen::new(arguments.json), aside, &rebuilt)?;
    if rebuilt.wrong.is_empty() { Ok(()) } else { Err(Failure::silent(Code::Failed)) }
}

/// A line for people from time to time.
fn progress(clock: Clock) -> impl Fn(&Rebuilt) + Clone + Send + 'static {
    let told_at = Arc::new(Mutex::new(clock.elapsed()));
    move |so_far| {
        let mut told_at = told_at.lock().unwrap_or_else(PoisonError::into_inner);
        if clock.elapsed().saturating_sub(*told_at) < BEAT {
            return;
        }
        *told_at = clock.elapsed();
        let settled = so_far.added_files + so_far.known_files + so_far.wrong.len() as u64;
        let (done, all) = (bytes(so_far.done_bytes), bytes(so_far.bytes));
        note(&format!("{settled} of {}, {done} of {all}", counted(so_far.files, "file")));
    }
}

fn show(screen: &Screen, aside: Option<PathBuf>, rebuilt: &Rebuilt) -> Outcome {
    if screen.json {
        return screen.print_json(&json!({
            "damaged_database": aside.map(|path| path.display().to_string()),
            "files": rebuilt.files.to_string(),
            "bytes": rebuilt.bytes.to_string(),
            "added_files": rebuilt.added_files.to_string(),
            "added_bytes": rebuilt.added_bytes.to_string(),
            "known_files": rebuilt.known_files.to_string(),
            "quarantined": rebuilt.wrong.iter().map(|digest| digest.to_hex()).collect::<Vec<_>>(),
            "foreign": rebuilt.foreign.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        }));
    }
    let mut lines = Vec::new();
    lines.extend(aside.map(|path| format!("The damaged database is kept at {}.", path.display())));
    let (added, known) = (counted(rebuilt.added_files, "file"), counted(rebuilt.known_files, "file"));
    lines.push(format!("{added}, {}, verified and known again; {known} known before.", bytes(rebuilt.added_bytes)));
    if !rebuilt.wrong.is_empty() {
        let wrong = counted(rebuilt.wrong.len() as u64, "file");
        lines.push(format!("{wrong} not what the name says, moved to quarantine; downloaded again on request:"));
        lines.extend(rebuilt.wrong.iter().take(SHOWN).map(|digest| format!("  {}", digest.to_hex())));
    }
    if !rebuilt.foreign.is_empty() {
        let foreign = counted(rebuilt.foreign.len() as u64, "file");
        lines.push(format!("{foreign} in the store that no blob can be, left where they are:"));
        lines.extend(rebuilt.foreign.iter().take(SHOWN).map(|path| format!("  {}", path.display())));
    }
    lines.push("The hub can be started now.".into());
    screen.print(&lines.join("\n"))
}
