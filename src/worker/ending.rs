//! What happens to a job when a run of it ends.

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

/// The state to leave the job in, and the last line of its log.
pub(super) struct Ended {
    pub(super) end: Settled,
    pub(super) line: Option<(Level, String)>,
}

/// Decides that: orders come first, then the outcome. External causes (a full disk, a database or upstream that is down) are
/// waited out without counting an attempt; other failures are retried a few times; permanent ones fail immediately.
/// `suspended` is why a run was stopped without an order.
pub(super) fn settle(run: &JobRun, ending: Ending, suspended: &str, upstream_is_down: bool, now: Millis) -> Ended {
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
            end.error = "internal error; see the server log".into();
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
            _ => format!("suspended: {suspended}"),
        };
        return Ended { end, line: Some((Level::Info, line)) };
    }

    let text = error.to_string();
    if let Error::Internal(cause) = &error {
        tracing::error!(job.id = %run.job.id, error = %cause, "a job failed");
    }
    let (pause, counts) = match &error {
        Error::NoSpace | Error::NoRoom { .. } | Error::OverLimit { .. } => (LOOK_AGAIN.pause(1), false),
        Error::DatabaseAway { .. } | Error::Offline { .. } => (LOOK_AGAIN.pause(1), false),
        Error::UpstreamUnavailable { .. } if upstream_is_down => (LOOK_AGAIN.pause(1), false),
        Error::RateLimited { retry_after } => (at_least((*retry_after).max(Duration::from_secs(1))), false),
        Error::UpstreamUnavailable { .. }
        | Error::BadUpstream(_)
        | Error::Internal(_)
        | Error::Tainted
        | Error::ObjectStore { .. }
        // A large file that was changed on the disk is being read through.
        | Error::Busy { .. } => (TRY_AGAIN.pause(run.job.attempts), true),
        // A retry would fail the same way.
        _ => {
            (end.status, end.error) = (JobStatus::Failed, text.clone());
            return Ended { end, line: Some((Level::Error, text)) };
        }
    };
    end.error = text.clone();
    if counts && run.job.attempts >= run.job.max_attempts {
        end.status = JobStatus::Failed;
        let line = format!("{text}; giving up after {} attempts", run.job.max_attempts);
        return Ended { end, line: Some((Level::Error, line)) };
    }
    end.keep_attempt = !counts;
    end.run_at = now + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    end.waiting_for = match &error {
        Error::NoSpace | Error::NoRoom { .. } => format!("disk space: {text}"),
        Error::OverLimit { .. } => format!("space in the store: {text}"),
        Error::DatabaseAway { why, .. } => format!("the database, which {why}"),
        Error::Offline { .. } => "the hub to go online".into(),
        Error::RateLimited { .. } => "upstream's rate limit".into(),
        Error::UpstreamUnavailable { .. } if upstream_is_down => format!("upstream to come back: {text}"),
        _ => format!("the next attempt, after: {text}"),
    };
    let line = format!("{text}; retrying in {} s", pause.as_secs().max(1));
    Ended { end, line: Some((Level::Warning, line)) }
}
