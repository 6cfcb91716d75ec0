//! Follows a job until it ends: progress bars on a terminal, an occasional line elsewhere, only the job with --json.
//!
//! Steps: open the stream of events → read the job, so that nothing is missed → show what comes → read the job again
//! when nothing came for a while → its end decides the exit code. Ctrl-C leaves the job running and says so.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

use super::call::Call;
use super::client::{read, segment};
use super::events::Events;
use super::failure::{Code, Failure, Outcome};
use super::format::bytes;
use super::job_words::{state_of, subject};
use super::output::{Tone, clean, note};
use crate::pb;

/// A job without news for this long is read again.
const ASK_AFTER: Duration = Duration::from_secs(2);
/// Without a terminal, progress is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The `waiting_for` of a job that waits for its turn.
const THE_QUEUE: &str = "the queue";
/// Bars of files below the job's own.
const FILE_BARS: usize = 4;
/// Steps of a bar.
const LENGTH: u64 = 1000;

/// Flags of commands that begin a job.
#[derive(Args, Debug, Clone, Default)]
pub(super) struct Following {
    /// Do not wait for the job: print it and return
    #[arg(long)]
    pub(super) detach: bool,
}

/// Shows a job that was started: how it ends or, detached, that it was started.
pub(super) async fn started(call: &Call, job: Value, following: &Following) -> Outcome {
    if following.detach {
        if call.screen.json {
            return call.screen.print_json(&job);
        }
        let job: pb::Job = read(&job)?;
        let text = format!("{} job {}: {}", job.kind().as_str_name(), job.id, job.status().as_str_name());
        call.screen.print(&text)?;
        note(&format!("To follow it: modelhub jobs watch {}", job.id));
        return Ok(());
    }
    watch(call, &read::<pb::Job>(&job)?.id).await
}

/// Follows a job to its end and says what became of it.
pub(super) async fn watch(call: &Call, id: &str) -> Outcome {
    let ended = to_end(call, id).await?;
    let job: pb::Job = read(&ended)?;
    if call.screen.json {
        call.screen.print_json(&ended)?;
    }
    let what = subject(&job);
    match job.status() {
        pb::job::Status::Completed if call.screen.json => Ok(()),
        pb::job::Status::Completed => {
            let outcome = if job.outcome.is_empty() { "done" } else { &job.outcome };
            let mark = call.screen.paint("✓", Tone::Good);
            call.screen.print(&format!("{mark} {}: {}", clean(&what), clean(outcome)))
        }
        pb::job::Status::Cancelled => Err(Failure::new(Code::Failed, format!("{what}: the job was cancelled"))),
        _ => {
            let text = format!(
                "{}: {}\nSee modelhub jobs log {id}; to retry: modelhub jobs retry {id}",
                clean(&what),
                clean(&job.error)
            );
            Err(Failure::new(Code::Failed, text))
        }
    }
}

/// The job as it is when it has ended.
pub(super) async fn to_end(call: &Call, id: &str) -> Outcome<Value> {
    let path = format!("/v1/jobs/{}", segment(id));
    let query = vec![("job_id", id.to_owned()), ("kinds", "job".to_owned()), ("kinds", "progress".to_owned())];
    let mut events = Events::new(&call.client, call.clock.clone(), query);
    events.open().await?;
    let mut display = Display::new(call);
    let mut now = call.client.get(&path, &[]).await?;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        let job: pb::Job = read(&now)?;
        if is_final(job.status()) {
            display.end();
            return Ok(now);
        }
        display.show(&job);
        let heard = tokio::select! {
            event = events.next() => Some(event),
            () = call.clock.sleep(ASK_AFTER) => None,
            _ = &mut interrupted => {
                display.end();
                let text = format!(
                    "The job continues in the background.\n  watch it:   modelhub jobs watch {id}\n  cancel it:  modelhub jobs cancel {id}"
                );
                return Err(Failure::new(Code::Interrupted, text));
            }
        };
        now = match heard {
            Some(Err(mut failure)) => {
                display.end();
                if failure.code == Code::Unreachable {
                    failure.text.push_str("\nThe job continues when the hub is back: modelhub jobs watch ");
                    failure.text.push_str(id);
                }
                return Err(failure);
            }
            Some(Ok(mut event)) if event["job"].is_object() => event["job"].take(),
            // Silence, or events were lost. While the hub is away, the stream says when to give up.
            _ => match call.client.get(&path, &[]).await {
                Err(failure) if failure.code == Code::Unreachable => now,
                job => with_worker(call, job?).await,
            },
        };
    }
}

/// A job in the queue, with a note if no worker is running to take it. If that is unknown, it just waits in the queue.
pub(super) async fn with_worker(call: &Call, mut job: Value) -> Value {
    if job["status"] == "pending" && job["waiting_for"] == THE_QUEUE {
        let system = call.client.get("/v1/system", &[]).await.and_then(|system| read::<pb::System>(&system));
        if system.is_ok_and(|system| !system.workers.iter().any(|worker| worker.alive)) {
            job["waiting_for"] = "a worker, but none is running (see modelhub doctor)".into();
        }
    }
    job
}

fn is_final(status: pb::job::Status) -> bool {
    use pb::job::Status::{Cancelled, Completed, Failed};
    matches!(status, Completed | Failed | Cancelled)
}

/// Where progress is shown.
enum Display {
    Bars { all: MultiProgress, job: ProgressBar, files: Vec<ProgressBar> },
    Lines(Lines, crate::domain::Clock),
    Nothing,
}

impl Display {
    fn new(call: &Call) -> Self {
        use std::io::IsTerminal as _;
        if std::io::stderr().is_terminal() {
            let all = MultiProgress::new();
            let job = all.add(ProgressBar::new(LENGTH).with_style(style("{spinner} {wide_bar} {msg}")));
            job.enable_steady_tick(Duration::from_millis(120));
            return Self::Bars { all, job, files: Vec::new() };
        }
        if call.screen.json {
            return Self::Nothing;
        }
        Self::Lines(Lines::default(), call.clock.clone())
    }

    fn show(&mut self, job: &pb::Job) {
        match self {
            Self::Nothing => {}
            Self::Lines(lines, clock) => {
                if let Some(state) = lines.next(job, clock.elapsed()) {
                    note(&format!("{}: {}", clean(&subject(job)), clean(&state)));
                }
            }
            Self::Bars { all, job: bar, files } => {
                bar.set_position(share(job.progress.as_ref()));
                bar.set_message(clean(&state_of(job)));
                let shown = job.progress.iter().flat_map(|progress| &progress.files).take(FILE_BARS);
                let shown: Vec<_> = shown.collect();
                while files.len() > shown.len() {
                    files.pop().iter().for_each(ProgressBar::finish_and_clear);
                }
                while files.len() < shown.len() {
                    files.push(all.add(ProgressBar::new(LENGTH).with_style(style("    {bar:20} {wide_msg}"))));
                }
                for (bar, file) in files.iter().zip(shown) {
                    bar.set_position(portion(file.bytes_done, file.bytes_total));
                    let (done, total) = (bytes(file.bytes_done), bytes(file.bytes_total));
                    bar.set_message(format!("{done} of {total}  {}", clean(&file.file_path)));
                }
            }
        }
    }

    fn end(&mut self) {
        if let Self::Bars { all, job, files } = self {
            files.iter().for_each(ProgressBar::finish_and_clear);
            job.finish_and_clear();
            // Having nothing to clear is not a failure.
            let _ = all.clear();
        }
    }
}

/// Which states are worth printing: those that differ from the last one printed, and not too often.
#[derive(Default)]
struct Lines {
    said: HashMap<i32, String>,
    last: Option<(i32, Duration)>,
}

impl Lines {
    /// What to print about the job now, if anything. A job that keeps failing says so once.
    fn next(&mut self, job: &pb::Job, now: Duration) -> Option<String> {
        let state = state_of(job);
        let early = self.last.is_some_and(|(status, at)| status == job.status && now.saturating_sub(at) < LINE_EVERY);
        if early || self.said.get(&job.status) == Some(&state) {
            return None;
        }
        self.last = Some((job.status, now));
        self.said.insert(job.status, state.clone());
        Some(state)
    }
}

/// The templates are constants; one that is wrong becomes indicatif's own.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─")
}

fn portion(done: u64, total: u64) -> u64 {
    if total == 0 { 0 } else { (u128::from(done.min(total)) * u128::from(LENGTH) / u128::from(total)) as u64 }
}

fn share(progress: Option<&pb::JobProgress>) -> u64 {
    progress.map_or(0, |progress| match progress.bytes_total {
        0 => portion(progress.files_done, progress.files_total),
        total => portion(progress.bytes_done, total),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_bytes_or_files() {
        let progress = pb::JobProgress { bytes_done: 1 << 30, bytes_total: 4 << 30, ..Default::default() };
        assert_eq!(share(Some(&progress)), 250);
        assert_eq!((portion(1, 0), portion(9, 3)), (0, LENGTH));
    }

    #[test]
    fn lines_tell_what_changed_and_not_too_often() {
        let mut lines = Lines::default();
        let mut waiting = pb::Job { waiting_for: "upstream to come back".into(), ..Default::default() };
        waiting.set_status(pb::job::Status::Pending);
        let mut running = pb::Job::default();
        running.set_status(pb::job::Status::Running);
        let mut said = Vec::new();
        // A job that retries every five seconds, for ten minutes.
        for second in (0..600).step_by(5) {
            let job = if second % 10 == 0 { &waiting } else { &running };
            said.extend(lines.next(job, Duration::from_secs(second)));
        }
        assert_eq!(said, ["pending, waiting for upstream to come back", "running"]);
        let progress = |done| Some(pb::JobProgress { files_done: done, files_total: 9, ..Default::default() });
        running.progress = progress(1);
        assert_eq!(lines.next(&running, Duration::from_secs(600)).as_deref(), Some("1 of 9 files"));
        assert!(lines.next(&running, Duration::from_secs(700)).is_none(), "nothing changed");
        running.progress = progress(2);
        assert!(lines.next(&running, Duration::from_secs(701)).is_some());
        running.progress = progress(3);
        assert!(lines.next(&running, Duration::from_secs(702)).is_none(), "the last line is too near");
    }
}
