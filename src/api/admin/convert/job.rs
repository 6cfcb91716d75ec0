//! Jobs, their work and their progress.

use super::{selection_message, time, unknown};
use crate::api::admin::problem::Answer;
use crate::domain::job::{ChangeKind, Changes, Job, JobKind, JobStatus, Progress};
use crate::domain::{RepoKey, Selection, Work};
use crate::pb;

pub(in crate::api) fn job(job: Job) -> pb::Job {
    let repo = RepoKey::parse(&job.repo_name).ok();
    pb::Job {
        id: job.id.into(),
        kind: job_kind(job.work.kind()).into(),
        status: job_status(job.status).into(),
        model_id: job.repo.map(String::from).unwrap_or_default(),
        repo_id: repo.as_ref().map(|key| key.id.to_string()).unwrap_or_default(),
        repo_kind: repo.map(|key| key.kind.as_str().to_owned()).unwrap_or_default(),
        payload: Some(job_payload(job.work)),
        priority: i32::try_from(job.priority).unwrap_or(i32::MAX),
        attempts: job.attempts,
        max_attempts: job.max_attempts,
        progress: Some(progress(job.progress)),
        waiting_for: match (job.status, job.waiting_for) {
            (JobStatus::Pending, reason) if reason.is_empty() => "the queue".into(),
            (_, reason) => reason,
        },
        error: job.error,
        outcome: job.outcome,
        worker: job.worker.map(String::from).unwrap_or_default(),
        created_at: time(job.created_at),
        run_at: time(job.run_at),
        started_at: time(job.started_at),
        finished_at: time(job.finished_at),
        dismissed_at: time(job.dismissed_at),
        version: job.version,
        changes: job.changes.map(changes),
    }
}

fn progress(progress: Progress) -> pb::JobProgress {
    let seconds_left = progress.seconds_left();
    let file = |file: crate::domain::job::FileProgress| pb::FileProgress {
        file_path: file.path,
        bytes_done: file.bytes_done,
        bytes_total: file.bytes_total,
    };
    pb::JobProgress {
        files_done: progress.files_done,
        files_total: progress.files_total,
        bytes_done: progress.bytes_done,
        bytes_total: progress.bytes_total,
        bytes_per_second: progress.bytes_per_second,
        seconds_left,
        files: progress.files.into_iter().map(file).collect(),
        doing: progress.doing,
    }
}

fn changes(changes: Changes) -> pb::Changes {
    use pb::change::Kind;
    let change = |(kind, path, size): (ChangeKind, String, u64)| {
        let kind = match kind {
            ChangeKind::Added => Kind::Added,
            ChangeKind::Removed => Kind::Removed,
            ChangeKind::Changed => Kind::Changed,
        };
        pb::Change { kind: kind.into(), file_path: path, size_bytes: size }
    };
    pb::Changes {
        from_commit: changes.from,
        to_commit: changes.to,
        added: changes.added,
        removed: changes.removed,
        changed: changes.changed,
        changes: changes.first.into_iter().map(change).collect(),
    }
}

fn job_payload(work: Work) -> pb::JobPayload {
    let about = |commit: String, selection: Selection| pb::JobPayload {
        commit,
        selection: Some(selection_message(selection)),
        ..Default::default()
    };
    let nothing = || about(String::new(), Selection::default());
    match work {
        Work::Sync(work) => pb::JobPayload { revision: work.revision, ..nothing() },
        Work::Download(work) => pb::JobPayload {
            revision: work.revision,
            bytes_per_second: work.bytes_per_second,
            ..about(work.commit, work.selection)
        },
        Work::Scan(work) => pb::JobPayload {
            path: work.path,
            placement: work.placement,
            bytes_per_second: work.bytes_per_second,
            ..nothing()
        },
        Work::Verify(work) => {
            pb::JobPayload { bytes_per_second: work.bytes_per_second, ..about(work.commit, work.selection) }
        }
        Work::Evict(work) => pb::JobPayload {
            free_bytes: work.free_bytes,
            include_unrecoverable: work.include_unrecoverable,
            ..about(work.commit, work.selection)
        },
    }
}

fn job_kind(kind: JobKind) -> pb::job::Kind {
    match kind {
        JobKind::Sync => pb::job::Kind::Sync,
        JobKind::Download => pb::job::Kind::Download,
        JobKind::Scan => pb::job::Kind::Scan,
        JobKind::Verify => pb::job::Kind::Verify,
        JobKind::Evict => pb::job::Kind::Evict,
    }
}

fn job_status(status: JobStatus) -> pb::job::Status {
    match status {
        JobStatus::Pending => pb::job::Status::Pending,
        JobStatus::Running => pb::job::Status::Running,
        JobStatus::Completed => pb::job::Status::Completed,
        JobStatus::Failed => pb::job::Status::Failed,
        JobStatus::Cancelled => pb::job::Status::Cancelled,
        JobStatus::Paused => pb::job::Status::Paused,
    }
}

/// The words of the enums are the same on both sides; the zero value is absence. Numbers without a word, from a later
/// version, are refused: ignored, they would mean everything.
pub(in crate::api) fn kinds_of(kinds: &[i32]) -> Answer<Vec<JobKind>> {
    let word = |kind: &i32| pb::job::Kind::try_from(*kind).map_err(|_| unknown("kind", *kind));
    let words = kinds.iter().map(word).collect::<Answer<Vec<_>>>()?;
    Ok(words.into_iter().filter_map(|kind| JobKind::parse(kind.as_str_name())).collect())
}

pub(in crate::api) fn statuses_of(statuses: &[i32]) -> Answer<Vec<JobStatus>> {
    let word = |status: &i32| pb::job::Status::try_from(*status).map_err(|_| unknown("status", *status));
    let words = statuses.iter().map(word).collect::<Answer<Vec<_>>>()?;
    Ok(words.into_iter().filter_map(|status| JobStatus::parse(status.as_str_name())).collect())
}
