//! Between the messages of the API and the types of the domain.

mod job;

use super::problem::{Answer, Problem};
use crate::domain::gguf_file::Quantisation;
use crate::domain::job::{Level, LogLine};
use crate::domain::selection::LeftOut;
use crate::domain::{
    Activity, ContentId, Entry, FileType, JobId, Millis, ModelSource, ModelStatus, Preset, Selection, work,
};
use crate::hub::{self, Care, EvictionPlan, Happening, ObjectState, UpstreamState};
use crate::hub::{FileRow, ModelRow, UsageRow, WorkerRow};
use crate::pb;

pub(in crate::api) use job::{job, kinds_of, statuses_of};

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

pub(in crate::api) fn eviction(request: pb::EvictStoreRequest) -> work::Evict {
    work::Evict {
        free_bytes: request.free_bytes,
        unused_ms: request.unused_seconds.saturating_mul(1000),
        include_unrecoverable: request.include_unrecoverable,
        only: request.only.map(|only| work::Chosen { models: only.model_ids, unreferenced: only.unreferenced }),
        ..work::Evict::default()
    }
}

pub(in crate::api) fn eviction_plan(plan: EvictionPlan) -> pb::PlanEvictionResponse {
    let EvictionPlan { sums, models, unreferenced } = plan;
    pb::PlanEvictionResponse {
        files: sums.goes.files,
        bytes: sums.goes.bytes,
        models: models.into_iter().map(usage).collect(),
        unrecoverable_files: sums.unrecoverable.files,
        unrecoverable_bytes: sums.unrecoverable.bytes,
        kept_files: sums.kept.files,
        kept_bytes: sums.kept.bytes,
        unreferenced: Some(pb::Usage {
            files: unreferenced.goes.files,
            bytes: unreferenced.goes.bytes,
            own_bytes: unreferenced.goes.bytes,
            unrecoverable_files: unreferenced.unrecoverable.files,
            unrecoverable_bytes: unreferenced.unrecoverable.bytes,
            kept_files: unreferenced.kept.files,
            kept_bytes: unreferenced.kept.bytes,
            ..pb::Usage::default()
        }),
    }
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

pub(super) fn quantisation(one: Quantisation) -> pb::Quantisation {
    pb::Quantisation { name: one.name, files: one.files, bytes: one.bytes, file_path: one.first.to_string() }
}

pub(super) fn left_out((why, (files, bytes)): (LeftOut, (u64, u64))) -> pb::LeftOut {
    pb::LeftOut { reason: why.to_string(), files, bytes }
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

pub(in crate::api) fn upstream(state: UpstreamState, url: &str, proxy: Option<(String, String)>) -> pb::Upstream {
    use pb::upstream::State;
    let (state, until) = match state {
        UpstreamState::Ok => (State::Ok, None),
        UpstreamState::RateLimited { until } => (State::RateLimited, Some(until)),
        UpstreamState::Down => (State::Down, None),
        UpstreamState::Offline => (State::Offline, None),
        UpstreamState::TokenRefused => (State::TokenRefused, None),
    };
    let (proxy, proxy_source) = proxy.unwrap_or_default();
    pb::Upstream { url: url.to_owned(), state: state.into(), limited_until: time(until), proxy, proxy_source }
}

pub(in crate::api) fn scrub(care: Care) -> pb::Scrub {
    pb::Scrub {
        every_seconds: care.every.as_secs(),
        verified_files: care.verified.files,
        verified_bytes: care.verified.bytes,
        oldest_verified_at: time(care.verified.oldest_at),
        sizes_checked_at: time(care.sizes_at),
        damaged_files: care.damaged,
    }
}

pub(in crate::api) fn object_store(state: ObjectState) -> pb::ObjectStore {
    pb::ObjectStore {
        name: state.name,
        objects: state.totals.objects,
        bytes: state.totals.bytes,
        waiting_files: state.totals.waiting,
        waiting_bytes: state.totals.waiting_bytes,
        problem: state.problem.unwrap_or_default(),
    }
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
