//! `modelhub jobs`: the list, one job, its log, and orders to it.

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::call::Call;
use super::client::{read, segment};
use super::events::{OPEN_AGAIN, PATIENCE};
use super::failure::{Code, Outcome};
use super::follow;
use super::format::{ago, bytes, clock_time, count, counted, rate, short};
use super::job_words::{about, how, state_of, subject};
use super::output::{Tone, clean, note};
use super::selected::describe;
use super::table::{Cell, Table, fields};
use crate::pb;

/// A log that is followed is read again after this.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// Lines of a log per request.
const LOG_PAGE: &str = "1000";

const STATUSES: [&str; 6] = ["pending", "running", "completed", "failed", "cancelled", "paused"];
const JOBS: [&str; 5] = ["sync", "download", "scan", "verify", "evict"];

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// List jobs, newest first (the default)
    List(List),
    /// Show one job: its request, progress and outcome
    Show(Id),
    /// Follow a job until it ends; the exit code tells whether it succeeded
    Watch(Id),
    /// Print the log of a job
    Log(Log),
    /// Cancel a job
    Cancel(Ids),
    /// Pause a job
    Pause(Ids),
    /// Resume a paused job
    Resume(Ids),
    /// Retry a failed or cancelled job
    Retry(Ids),
    /// Dismiss failed jobs, so that they no longer count as failed
    Dismiss(Dismiss),
}

#[derive(Args)]
struct Dismiss {
    /// The jobs' ids
    #[arg(required_unless_present = "all", value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    ids: Vec<String>,
    /// All failed jobs
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

#[derive(Args, Default)]
struct List {
    /// Only jobs with these statuses: pending, running, completed, failed, cancelled, paused
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = STATUSES)]
    status: Vec<String>,
    /// Only jobs of these kinds: sync, download, scan, verify, evict
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = JOBS)]
    kind: Vec<String>,
    /// Only jobs of this model
    #[arg(long)]
    model: Option<String>,
    /// Only jobs whose repository, error or outcome contains this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Maximum number of jobs; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

#[derive(Args)]
struct Id {
    /// The job's id
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
}

#[derive(Args)]
struct Ids {
    /// The jobs' ids
    #[arg(required = true, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    ids: Vec<String>,
}

#[derive(Args)]
struct Log {
    /// The job's id
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// Wait for more lines until the job ends
    #[arg(long, short)]
    follow: bool,
}

pub(super) async fn run(call: &Call, arguments: Arguments) -> Outcome {
    match arguments.command.unwrap_or_else(|| Command::List(List { limit: 50, ..List::default() })) {
        Command::List(filter) => list(call, filter).await,
        Command::Show(Id { id }) => show(call, &id).await,
        Command::Watch(Id { id }) => follow::watch(call, &id).await,
        Command::Log(arguments) => log(call, arguments).await,
        Command::Cancel(Ids { ids }) => order(call, &ids, "cancel").await,
        Command::Pause(Ids { ids }) => order(call, &ids, "pause").await,
        Command::Resume(Ids { ids }) => order(call, &ids, "resume").await,
        Command::Retry(Ids { ids }) => order(call, &ids, "retry").await,
        Command::Dismiss(Dismiss { all: true, .. }) => dismiss_all(call).await,
        Command::Dismiss(Dismiss { ids, .. }) => order(call, &ids, "dismiss").await,
    }
}

async fn list(call: &Call, filter: List) -> Outcome {
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(filter.status.into_iter().map(|status| ("status", status)));
    query.extend(filter.kind.into_iter().map(|kind| ("kind", kind)));
    query.extend(filter.model.map(|model| ("model", model)));
    query.extend(filter.search.map(|text| ("search", text)));
    let (jobs, more) = call.client.list("/v1/jobs", "jobs", &query, Some(filter.limit)).await?;
    if more {
        note(&format!("Showing the newest {}; use --limit 0 for all.", jobs.len()));
    }
    if call.screen.json {
        return call.screen.print_json(&Value::Array(jobs));
    }
    let mut table = Table::new(&["ID", "KIND", "~TARGET", "STATUS", "CREATED", "…DETAILS"]);
    for job in &jobs {
        let job: pb::Job = read(job)?;
        table.row([
            (&job.id).into(),
            job.kind().as_str_name().into(),
            about(&job).into(),
            Cell::new(job.status().as_str_name(), tone(job.status())),
            ago(job.created_at.as_ref(), call.clock.now()).into(),
            how(&job).into(),
        ]);
    }
    call.print_table(&table, "No jobs match.")
}

async fn show(call: &Call, id: &str) -> Outcome {
    let value = call.client.get(&format!("/v1/jobs/{}", segment(id)), &[]).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let job: pb::Job = read(&follow::with_worker(call, value).await)?;
    let now = call.clock.now();
    let payload = job.payload.clone().unwrap_or_default();
    let attempts = format!("{} of {}", job.attempts, job.max_attempts);
    let speed = rate(payload.bytes_per_second);
    let at = |time: &Option<pbjson_types::Timestamp>| match ago(time.as_ref(), now) {
        relative if relative.is_empty() => relative,
        relative => format!("{} ({relative})", clock_time(time.as_ref(), now)),
    };
    let selection = payload.selection.map(|selection| describe(&selection)).unwrap_or_default();
    let mut text = fields(
        &call.screen,
        [
            ("id", (&job.id).into()),
            ("kind", job.kind().as_str_name().into()),
            ("target", about(&job).into()),
            ("status", Cell::new(state_of(&job), tone(job.status()))),
            ("outcome", (&job.outcome).into()),
            ("error", Cell::new(&job.error, Tone::Bad)),
            ("revision", payload.revision.into()),
            ("commit", short(&payload.commit).into()),
            ("selection", selection.into()),
            ("placement", payload.placement.into()),
            ("speed limit", speed.into()),
            ("priority", job.priority.to_string().into()),
            ("attempts", attempts.into()),
            ("worker", (&job.worker).into()),
            ("created", at(&job.created_at).into()),
            ("started", at(&job.started_at).into()),
            ("finished", at(&job.finished_at).into()),
        ],
    );
    if let Some(changes) = &job.changes {
        text.push_str(&format!(
            "\nchanges: {} added, {} removed, {} changed",
            count(changes.added),
            count(changes.removed),
            count(changes.changed)
        ));
        for change in &changes.changes {
            let (kind, path) = (change.kind().as_str_name(), clean(&change.file_path));
            text.push_str(&format!("\n  {kind:<8} {path} ({})", bytes(change.size_bytes)));
        }
    }
    call.screen.print(&text)
}

async fn log(call: &Call, arguments: Log) -> Outcome {
    let mut reader = LogReader { path: format!("/v1/jobs/{}", segment(&arguments.id)), after: 0, all: Vec::new() };
    let mut ended = reader.read(call, arguments.follow).await?;
    let mut down_since = None;
    while arguments.follow && !ended {
        let pause = if down_since.is_some() { OPEN_AGAIN.pause(1) } else { READ_AGAIN };
        tokio::select! {
            () = call.clock.sleep(pause) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        match reader.read(call, true).await {
            // A hub that restarts resumes where it was.
            Err(failure) if failure.code == Code::Unreachable => {
                let since = *down_since.get_or_insert(call.clock.elapsed());
                if call.clock.elapsed() - since >= PATIENCE {
                    return Err(failure);
                }
            }
            read => (ended, down_since) = (read?, None),
        }
    }
    if call.screen.json && !arguments.follow { call.screen.print_json(&Value::Array(reader.all)) } else { Ok(()) }
}

/// How far a log was read.
struct LogReader {
    path: String,
    after: u64,
    /// Lines that are printed together at the end.
    all: Vec<Value>,
}

impl LogReader {
    /// Reads what is new; whether the job has ended, and nothing will follow.
    async fn read(&mut self, call: &Call, follow: bool) -> Outcome<bool> {
        use pb::job::Status::{Cancelled, Completed, Failed};
        // Asked before the lines are read: what it wrote last is then among them.
        let job: pb::Job = read(&call.client.get(&self.path, &[]).await?)?;
        loop {
            let query = [("after", self.after.to_string()), ("page_size", LOG_PAGE.to_owned())];
            let mut page = call.client.get(&format!("{}/log", self.path), &query).await?;
            let more = page["more"].as_bool().unwrap_or(false);
            let lines = match page["lines"].take() {
                Value::Array(lines) => lines,
                _ => Vec::new(),
            };
            for value in lines {
                let line: pb::LogLine = read(&value)?;
                self.after = line.number;
                match (call.screen.json, follow) {
                    (true, true) => call.screen.print_json_line(&value)?,
                    (true, false) => self.all.push(value),
                    (false, _) => print_line(call, &line)?,
                }
            }
            if !more {
                return Ok(matches!(job.status(), Completed | Failed | Cancelled));
            }
        }
    }
}

fn print_line(call: &Call, line: &pb::LogLine) -> Outcome {
    let tone = match line.level.as_str() {
        "error" => Tone::Bad,
        "warning" => Tone::Warning,
        _ => Tone::Faint,
    };
    let at = call.screen.paint(&clock_time(line.at.as_ref(), call.clock.now()), Tone::Faint);
    let level = call.screen.paint(&format!("{:<7}", clean(&line.level)), tone);
    call.screen.print(&format!("{at}  {level}  {}", clean(&line.text)))
}

async fn order(call: &Call, ids: &[String], order: &str) -> Outcome {
    let mut jobs = Vec::new();
    for id in ids {
        let job = call.client.post(&format!("/v1/jobs/{}/{order}", segment(id)), &json!({})).await?;
        if !call.screen.json {
            let job: pb::Job = read(&job)?;
            let state = if is_obeyed(order, job.status()) {
                state_of(&job)
            } else {
                format!("{order} requested, still {}", job.status().as_str_name())
            };
            call.screen.print(&format!("{} ({}): {}", job.id, clean(&subject(&job)), clean(&state)))?;
        }
        jobs.push(job);
    }
    if !call.screen.json {
        return Ok(());
    }
    match <[Value; 1]>::try_from(jobs) {
        Ok([job]) => call.screen.print_json(&job),
        Err(jobs) => call.screen.print_json(&Value::Array(jobs)),
    }
}

async fn dismiss_all(call: &Call) -> Outcome {
    let value = call.client.post("/v1/jobs/dismiss", &json!({})).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let dismissed = read::<pb::DismissFailedJobsResponse>(&value)?.dismissed;
    call.screen.print(&format!("dismissed {}", counted(dismissed, "failed job")))
}

/// A running job obeys within seconds.
fn is_obeyed(order: &str, status: pb::job::Status) -> bool {
    match order {
        "cancel" | "pause" => status != pb::job::Status::Running,
        _ => true,
    }
}

fn tone(status: pb::job::Status) -> Tone {
    use pb::job::Status;
    match status {
        Status::Completed => Tone::Good,
        Status::Failed => Tone::Bad,
        Status::Paused | Status::Cancelled => Tone::Warning,
        Status::Running => Tone::Strong,
        _ => Tone::Plain,
    }
}
