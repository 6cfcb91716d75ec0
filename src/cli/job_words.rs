//! A job in words, as lists, bars and events say it.

use super::format::{bytes, count, counted, rate, span};
use crate::pb;

/// What a job is about: a repository, a folder, or the whole store.
pub(super) fn about(job: &pb::Job) -> String {
    let path = job.payload.as_ref().map(|payload| payload.path.as_str()).unwrap_or_default();
    match (job.repo_id.as_str(), job.repo_kind.as_str(), path) {
        ("", _, "") => "the store".into(),
        ("", _, path) => path.to_owned(),
        (id, "" | "model", _) => id.to_owned(),
        (id, kind, _) => format!("{kind}/{id}"),
    }
}

/// `download org/name`.
pub(super) fn subject(job: &pb::Job) -> String {
    format!("{} {}", job.kind().as_str_name(), about(job))
}

/// A job in one sentence.
pub(super) fn sentence(job: &pb::Job) -> String {
    let rest = how(job);
    let rest = if rest.is_empty() { rest } else { format!(": {rest}") };
    format!("{} {}{rest}", subject(job), job.status().as_str_name())
}

/// What came of a job, how far it is, or what it waits for.
pub(super) fn how(job: &pb::Job) -> String {
    use pb::job::Status;
    match job.status() {
        Status::Completed if job.outcome.is_empty() => {
            job.progress.as_ref().map(|progress| counted(progress.files_done, "file")).unwrap_or_default()
        }
        Status::Completed => job.outcome.clone(),
        Status::Failed => job.error.clone(),
        Status::Running => state_of(job),
        _ => job.waiting_for.clone(),
    }
}

/// How a job is doing, in a line: `1.2 GiB of 4.0 GiB, 3 of 12 files, 80 MiB/s, 40 s left`.
pub(super) fn state_of(job: &pb::Job) -> String {
    let status = job.status();
    if status != pb::job::Status::Running {
        // A paused job waits for nothing but an order.
        let waits = match job.waiting_for.as_str() {
            "" | "paused" => String::new(),
            reason => format!(", waiting for {reason}"),
        };
        // A job that is retried has the error of the last attempt, usually as part of what it waits for.
        let again = status == pb::job::Status::Pending && !job.error.is_empty() && !waits.contains(&job.error);
        let error = if again { format!(", retrying after: {}", job.error) } else { String::new() };
        return format!("{}{waits}{error}", status.as_str_name());
    }
    let Some(progress) = &job.progress else { return "running".into() };
    let mut parts = Vec::new();
    if progress.bytes_total > 0 {
        parts.push(format!("{} of {}", bytes(progress.bytes_done), bytes(progress.bytes_total)));
    }
    if progress.files_total > 0 {
        parts.push(format!("{} of {}", count(progress.files_done), counted(progress.files_total, "file")));
    }
    if progress.bytes_per_second > 0 {
        parts.push(rate(progress.bytes_per_second));
    }
    if progress.seconds_left > 0 {
        parts.push(format!("{} left", span(progress.seconds_left)));
    }
    if parts.is_empty() || !progress.doing.is_empty() {
        parts.push(if progress.doing.is_empty() { "running".into() } else { progress.doing.clone() });
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_says_how_far_it_is_or_what_it_waits_for() {
        let mut job = pb::Job { waiting_for: "the queue".into(), ..Default::default() };
        job.set_status(pb::job::Status::Pending);
        assert_eq!(state_of(&job), "pending, waiting for the queue");
        job.set_status(pb::job::Status::Running);
        job.progress = Some(pb::JobProgress {
            files_done: 3,
            files_total: 12,
            bytes_done: 1 << 30,
            bytes_total: 4 << 30,
            bytes_per_second: 80 << 20,
            seconds_left: 40,
            ..Default::default()
        });
        assert_eq!(state_of(&job), "1 GiB of 4 GiB, 3 of 12 files, 80 MiB/s, 40 s left");
    }

    #[test]
    fn a_reason_is_said_once() {
        let error = "upstream is unreachable".to_owned();
        let waiting_for = format!("upstream to come back: {error}");
        let mut job = pb::Job { waiting_for: waiting_for.clone(), error, ..Default::default() };
        job.set_status(pb::job::Status::Pending);
        assert_eq!(state_of(&job), format!("pending, waiting for {waiting_for}"));
        job.waiting_for = "the queue".into();
        assert_eq!(state_of(&job), "pending, waiting for the queue, retrying after: upstream is unreachable");
        job.waiting_for = "paused".into();
        job.set_status(pb::job::Status::Paused);
        assert_eq!(state_of(&job), "paused");
    }
}
