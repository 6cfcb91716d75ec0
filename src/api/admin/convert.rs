//! Between the messages of the API and the types of the domain.

use super::problem::{Answer, Problem};
use crate::domain::job::{ChangeKind, Changes, Job, JobKind, JobStatus, Level, LogLine, Progress};
use crate::domain::{
    Activity, ContentId, Entry, FileType, JobId, Millis, ModelSource, ModelStatus, Preset, RepoKey, Selection, Work,
};
use crate::hub::{self, EvictionPlan, Happening, UpstreamState};
use crate::hub::{FileRow, ModelRow, UsageRow, WorkerRow};
use crate::pb;

/// A time; `None` and times before 1970 become `None`.
pub(in crate::api) fn time(at: impl Into<Option<Millis>>) -> Option<pbjson_types::Timestamp> {
    let at = at.into().filter(|at| *at > 0)?;
    Some(pbjson_types::Timestamp { seconds: at / 1000, nanos: (at % 1000) as i32 * 1_000_000 })
}

pub(in crate::api) fn millis(at: &pbjson_types::Timestamp) -> Millis {
    at.seconds.saturating_mul(1000).saturating_add(i64::from(at.nanos) / 1_000_000)
}

/// A model as it is shown; `job` is its live job.
pub(in crate::api) fn model(row: ModelRow, job: Option<JobId>, upstream: &str) -> pb::ModelRepo {
    use pb::model_repo::{Download, Status};
    let status = match row.status {
        ModelStatus::Registered => Status::Registered,
        ModelStatus::Error => Status::Error,
        ModelStatus::Synced => Status::Synced,
    };
    let download = match row.files_here {
        0 => Download::None,
        here if here < row.files => Download::Partial,
        _ => Download::Complete,
    };
    let url = format!("{}/{}", upstream.trim_end_matches('/'), row.key);
    pb::ModelRepo {
        id: row.id.into(),
        kind: row.key.kind.as_str().into(),
        vendor: row.key.id.vendor().into(),
        name: row.key.id.name().into(),
        repo_id: row.key.id.to_string(),
        url: if row.source == ModelSource::Local { String::new() } else { url },
        source: row.source.as_str().into(),
        status: status.into(),
        problem: row.problem,
        visibility: row.visibility.map(|visibility| visibility.as_str().into()).unwrap_or_default(),
        pinned: row.pinned,
        registered_at: time(row.registered_at),
        revision: row.revision,
        commit: row.commit,
        files: row.files,
        files_here: row.files_here,
        bytes: row.bytes,
        bytes_here: row.bytes_here,
        download: download.into(),
        created_at: time(row.created_at),
        synced_at: time(row.synced_at),
        last_used_at: time(row.last_used_at),
        sync_every_seconds: row.sync_every_ms / 1000,
        active_job_id: job.map(String::from).unwrap_or_default(),
    }
}

/// How a file that is not in the store stands.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::api) struct Missing {
    /// Bytes that a flight has downloaded so far.
    pub(in crate::api) arriving: Option<u64>,
    /// Bytes that an earlier one has left.
    pub(in crate::api) kept: u64,
    /// Whether the last job that should have downloaded it failed.
    pub(in crate::api) failed: bool,
}

/// A file or folder of a model at a commit.
pub(in crate::api) fn artifact(
    hub: &hub::Hub,
    model: &ModelRow,
    commit: &str,
    row: FileRow,
    missing: Missing,
) -> pb::ModelArtifact {
    use pb::model_artifact::{DownloadStatus, Entry as Kind};
    let path = row.entry.path().clone();
    let mut artifact = pb::ModelArtifact {
        id: format!("{}:{commit}:{path}", model.id),
        model_repo_id: model.id.to_string(),
        commit: commit.to_owned(),
        file_path: path.to_string(),
        size_bytes: row.totals.bytes,
        bytes_here: row.totals.bytes_here,
        files: row.totals.files,
        files_here: row.totals.files_here,
        last_verified_at: time(row.verified_at),
        ..Default::default()
    };
    match &row.entry {
        Entry::Directory { .. } => {
            artifact.set_entry(Kind::Folder);
            artifact.set_download_status(match row.totals.files_here {
                0 => DownloadStatus::Pending,
                here if here < row.totals.files => DownloadStatus::Partial,
                _ => DownloadStatus::Completed,
            });
        }
        Entry::File(file) => {
            artifact.set_entry(Kind::File);
            artifact.file_type = FileType::of(&path).as_str().into();
            artifact.can_run_code = hub::can_run_code(file);
            artifact.content_hash = match (row.stored, file.content) {
                (Some(digest), _) | (None, ContentId::Sha256(digest)) => format!("sha256:{}", digest.to_hex()),
                (None, ContentId::Git(oid)) => format!("git:{}", oid.to_hex()),
            };
            artifact.local_path = row.stored.map(|digest| hub.models.path_of(digest)).unwrap_or_default();
            (artifact.files, artifact.files_here) = (0, 0);
            let is_here = row.totals.files_here > 0;
            artifact.set_download_status(match missing {
                _ if is_here => DownloadStatus::Completed,
                Missing { arriving: Some(_), .. } => DownloadStatus::Downloading,
                Missing { failed: true, .. } => DownloadStatus::Failed,
                Missing { kept: 1.., .. } => DownloadStatus::Partial,
                _ => DownloadStatus::Pending,
            });
            if !is_here {
                artifact.bytes_here = missing.arriving.unwrap_or(missing.kept).min(file.size);
            }
        }
    }
    artifact
}

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

pub(in crate::api) fn progress(progress: Progress) -> pb::JobProgress {
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

pub(in crate::api) fn usage(row: UsageRow) -> pb::Usage {
    pb::Usage {
        name: row.name,
        model_id: row.id.into(),
        files: row.files,
        bytes: row.bytes,
        own_bytes: row.own_bytes,
        pinned: row.pinned,
        last_used_at: time(row.last_used_at),
        unrecoverable_files: row.unrecoverable.files,
        unrecoverable_bytes: row.unrecoverable.bytes,
        kept_files: row.kept.files,
        kept_bytes: row.kept.bytes,
    }
}

pub(in crate::api) fn eviction_plan(EvictionPlan { sums, models }: EvictionPlan) -> pb::PlanEvictionResponse {
    pb::PlanEvictionResponse {
        files: sums.goes.files,
        bytes: sums.goes.bytes,
        models: models.into_iter().map(usage).collect(),
        unrecoverable_files: sums.unrecoverable.files,
        unrecoverable_bytes: sums.unrecoverable.bytes,
        kept_files: sums.kept.files,
        kept_bytes: sums.kept.bytes,
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

fn unknown(field: &str, number: i32) -> Problem {
    Problem::field(field, format!("unknown value {number}"))
}

pub(in crate::api) fn selection(message: Option<pb::Selection>) -> Answer<Selection> {
    let message = message.unwrap_or_default();
    let preset = match pb::selection::Preset::try_from(message.preset) {
        Ok(pb::selection::Preset::Unspecified) => None,
        Ok(pb::selection::Preset::Safetensors) => Some(Preset::Safetensors),
        Ok(pb::selection::Preset::Gguf) => Some(Preset::Gguf),
        Err(_) => return Err(unknown("selection.preset", message.preset)),
    };
    Ok(Selection {
        paths: message.paths,
        include: message.include,
        exclude: message.exclude,
        preset,
        quantisation: message.quantisation,
    })
}

pub(in crate::api) fn selection_message(selection: Selection) -> pb::Selection {
    let preset = match selection.preset {
        None => pb::selection::Preset::Unspecified,
        Some(Preset::Safetensors) => pb::selection::Preset::Safetensors,
        Some(Preset::Gguf) => pb::selection::Preset::Gguf,
    };
    pb::Selection {
        paths: selection.paths,
        include: selection.include,
        exclude: selection.exclude,
        preset: preset.into(),
        quantisation: selection.quantisation,
    }
}

pub(in crate::api) fn log_line(line: LogLine) -> pb::LogLine {
    let level = match line.level {
        Level::Info | Level::Warning | Level::Error => line.level.as_str(),
    };
    pb::LogLine { number: line.number, at: time(line.at), level: level.into(), text: line.text }
}

pub(in crate::api) fn activity(activity: Activity) -> pb::Activity {
    pb::Activity {
        at: time(activity.at),
        kind: activity.kind,
        text: activity.text,
        repo_id: activity.repo_name,
        job_id: activity.job.map(String::from).unwrap_or_default(),
    }
}

pub(in crate::api) fn upstream(state: UpstreamState, url: &str) -> pb::Upstream {
    use pb::upstream::State;
    let (state, until) = match state {
        UpstreamState::Ok => (State::Ok, None),
        UpstreamState::RateLimited { until } => (State::RateLimited, Some(until)),
        UpstreamState::Down => (State::Down, None),
        UpstreamState::Offline => (State::Offline, None),
        UpstreamState::TokenRefused => (State::TokenRefused, None),
    };
    pb::Upstream { url: url.to_owned(), state: state.into(), limited_until: time(until) }
}

pub(in crate::api) fn worker((row, alive): (WorkerRow, bool)) -> pb::Worker {
    pb::Worker {
        id: row.id.into(),
        address: row.address,
        hostname: row.hostname,
        started_at: time(row.started_at),
        seen_at: time(row.seen_at),
        running: u32::try_from(row.running).unwrap_or(u32::MAX),
        alive,
    }
}

/// An event, and the word of its kind.
pub(in crate::api) fn event(event: &hub::Event) -> pb::Event {
    let mut message = pb::Event { id: event.id, at: time(event.at), ..Default::default() };
    let kind = match &event.what {
        Happening::Job(of) => {
            message.job = Some(job((**of).clone()));
            "job"
        }
        Happening::Progress(of) => {
            message.job = Some(job((**of).clone()));
            "progress"
        }
        Happening::Activity(of) => {
            message.activity = Some(activity(of.clone()));
            "activity"
        }
        Happening::Traffic(traffic) => {
            message.traffic = Some(pb::Traffic {
                bytes_to_clients: traffic.bytes_to_clients,
                bytes_from_upstream: traffic.bytes_from_upstream,
                requests: traffic.requests,
                hits: traffic.hits,
                flights: traffic.flights,
            });
            "traffic"
        }
        Happening::Model(id) => {
            message.model_id = id.to_string();
            "model"
        }
        Happening::Lost => "lost",
    };
    message.kind = kind.into();
    message
}
