//! What becomes of a job when its run ends.

use std::time::Duration;

use crate::domain::backoff::at_least;
use crate::domain::job::{JobStatus, Level, Order};
use crate::domain::{Backoff, Millis};
use crate::hub::Settled;
use crate::hub::{Done, Error, JobRun};

/// Before another try.
const TRY_AGAIN: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(600));
/// Before a job that waits for something outside looks whether it has come.
const LOOK_AGAIN: Backoff = Backoff::constant(Duration::from_secs(30));

pub(super) enum Ending {
    Done(Done),
    Failed(Error),
    Panicked,
}

/// How to leave the job, and the last line of its log.
pub(super) struct Ended {
    pub(super) end: Settled,
    pub(super) line: Option<(Level, String)>,
}

/// Decides it: what was ordered comes first, then what happened. What lies outside (a full disk, upstream away) is
/// waited for without counting; other failures are tried again a few times; what will not change fails at once.
/// `put_down` is why a run is stopped that nobody ordered to.
pub(super) fn settle(run: &JobRun, ending: Ending, put_down: &str, upstream_is_down: bool, now: Millis) -> Ended {
    let mut end = Settled {
        status: JobStatus::Pending,
        run_at: now,
        waiting_for: String::new(),
        error: String::new(),
        outcome: String::new(),
        changes: None,
        progress: run.progress().at_rest(),
        keep_attempt: false,
    };
    let error = match ending {
        Ending::Done(done) => {
            end.status = JobStatus::Completed;
            end.outcome = done.outcome;
            end.changes = done.changes;
            let line = Some((Level::Info, format!("completed: {}", end.outcome)));
            return Ended { end, line };
        }
        Ending::Panicked => {
            end.status = JobStatus::Failed;
            end.error = "it broke off by a fault in modelhub itself; the hub's own log has the place".into();
            let line = Some((Level::Error, end.error.clone()));
            return Ended { end, line };
        }
        Ending::Failed(error) => error,
    };
    if matches!(error, Error::Stopping) {
        end.keep_attempt = true;
        match run.order() {
            Some(Order::Cancel) => end.status = JobStatus::Cancelled,
            Some(Order::Pause) => (end.status, end.waiting_for) = (JobStatus::Paused, "paused".into()),
            _ => {}
        }
        let line = match end.status {
            JobStatus::Cancelled => "cancelled".to_owned(),
            JobStatus::Paused => "paused".to_owned(),
            _ => format!("put down because {put_down}; it goes on where it was"),
        };
        return Ended { end, line: Some((Level::Info, line)) };
    }

    let text = error.to_string();
    if let Error::Internal(cause) = &error {
        tracing::error!(job.id = %run.job.id, error = %cause, "a job failed");
    }
    let (pause, counts) = match &error {
        Error::NoSpace | Error::NoRoom { .. } | Error::OverLimit { .. } => (LOOK_AGAIN.pause(1), false),
        Error::Offline { .. } => (LOOK_AGAIN.pause(1), false),
        Error::UpstreamUnavailable { .. } if upstream_is_down => (LOOK_AGAIN.pause(1), false),
        Error::RateLimited { retry_after } => (at_least((*retry_after).max(Duration::from_secs(1))), false),
        Error::UpstreamUnavailable { .. } | Error::BadUpstream(_) | Error::Internal(_) | Error::Tainted => {
            (TRY_AGAIN.pause(run.job.attempts), true)
        }
        // It would be the same the next time.
        _ => {
            (end.status, end.error) = (JobStatus::Failed, text.clone());
            return Ended { end, line: Some((Level::Error, text)) };
        }
    };
    end.error = text.clone();
    if counts && run.job.attempts >= run.job.max_attempts {
        end.status = JobStatus::Failed;
        let line = format!("{text}; that was the last of {} tries", run.job.max_attempts);
        return Ended { end, line: Some((Level::Error, line)) };
    }
    end.keep_attempt = !counts;
    end.run_at = now + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    end.waiting_for = match &error {
        Error::NoSpace | Error::NoRoom { .. } => format!("disk space: {text}"),
        Error::OverLimit { .. } => format!("room in the store: {text}"),
        Error::Offline { .. } => "the hub to go online again".into(),
        Error::RateLimited { .. } => "upstream's rate limit".into(),
        Error::UpstreamUnavailable { .. } if upstream_is_down => format!("upstream to come back: {text}"),
        _ => format!("the next try, after: {text}"),
    };
    let line = format!("{text}; it goes on in {} s", pause.as_secs().max(1));
    Ended { end, line: Some((Level::Warning, line)) }
}
