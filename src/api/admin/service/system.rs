//! The hub and its machine: overview, settings, storage, scans.

use super::Service;
use crate::api::admin::convert;
use crate::api::admin::problem::{Answer, Problem};
use crate::config::Secret;
use crate::domain::job::JobStatus;
use crate::domain::{FileType, RepoId, RepoKey, RepoKind, RepoPath, WeightFormat};
use crate::hub::{Change, TokenSource, Usage};
use crate::machine::MachineReport;
use crate::pb;

impl Service {
    pub(in crate::api) async fn get_overview(&self, _: pb::GetOverviewRequest) -> Answer<pb::Overview> {
        let overview = self.hub.overview.overview().await?;
        let count = |status| overview.jobs.iter().find(|(other, _)| *other == status).map_or(0, |(_, count)| *count);
        let sums = overview.sums;
        Ok(pb::Overview {
            models: overview.models,
            blobs: overview.space.stored.blobs,
            bytes_stored: overview.space.stored.bytes,
            bytes_used: overview.space.used(),
            bytes_shared: overview.bytes_shared,
            bytes_saved: sums.bytes_saved,
            bytes_to_clients: sums.bytes_to_clients,
            bytes_from_upstream: sums.bytes_from_upstream,
            hit_ratio: if sums.answers == 0 { 0.0 } else { sums.hits as f64 / sums.answers as f64 },
            jobs_active: count(JobStatus::Running),
            jobs_waiting: count(JobStatus::Pending) + count(JobStatus::Paused),
            jobs_failed: count(JobStatus::Failed),
            upstream: Some(convert::upstream(overview.upstream, &self.about.upstream_url, self.about.proxy.clone())),
            disk_free: overview.disk.free,
            disk_total: overview.disk.total,
            recent: overview.recent.into_iter().map(convert::activity).collect(),
            endpoint: self.about.endpoint.clone(),
            version: self.about.version.clone(),
            uptime_seconds: overview.uptime.as_secs(),
            scrub: Some(convert::scrub(overview.care)),
        })
    }

    pub(super) async fn machine_report(&self) -> Answer<MachineReport> {
        let machine = std::sync::Arc::clone(&self.machine);
        let report = tokio::task::spawn_blocking(move || machine.report()).await;
        Ok(report.map_err(crate::hub::Error::from)?)
    }

    pub(in crate::api) async fn get_system(&self, _: pb::GetSystemRequest) -> Answer<pb::System> {
        let report = self.machine_report().await?;
        let host = report.host;
        let disk = |disk: crate::machine::Disk| pb::Disk {
            mount_point: disk.mount_point.display().to_string(),
            device: disk.device,
            filesystem: disk.filesystem,
            total: disk.total,
            available: disk.available,
            store: disk.holds_data,
        };
        let gpu = |gpu: crate::machine::Gpu| pb::Gpu {
            index: gpu.index,
            uuid: gpu.uuid.unwrap_or_default(),
            name: gpu.name.unwrap_or_default(),
            memory_total: gpu.memory_total.unwrap_or(0),
            memory_used: gpu.memory_used.unwrap_or(0),
            memory_free: gpu.memory_free.unwrap_or(0),
            utilisation_percent: gpu.utilisation_percent,
            temperature_celsius: gpu.temperature_celsius,
            power_watts: gpu.power_watts,
            power_limit_watts: gpu.power_limit_watts,
            compute_capability: gpu.compute_capability.unwrap_or_default(),
            processes: gpu.processes.map_or(0, |list| u32::try_from(list.len()).unwrap_or(u32::MAX)),
            mig: gpu.mig_enabled.unwrap_or(false),
        };
        Ok(pb::System {
            hostname: host.hostname.unwrap_or_default(),
            os: host.os.unwrap_or_default(),
            kernel: host.kernel.unwrap_or_default(),
            cpu: host.cpu_model.unwrap_or(host.architecture),
            cores: host.logical_cores,
            load_average: host.load_averages.map(Vec::from).unwrap_or_default(),
            memory_total: host.memory_total,
            memory_available: host.memory_available,
            uptime_seconds: host.uptime_seconds.unwrap_or(0),
            disks: report.disks.into_iter().map(disk).collect(),
            gpus: report.gpu.gpus.into_iter().map(gpu).collect(),
            driver_version: report.gpu.driver_version.unwrap_or_default(),
            cuda_version: report.gpu.cuda_version.unwrap_or_default(),
            gpu_problem: report.gpu.problem.unwrap_or_default(),
            workers: self.hub.overview.workers().await?.into_iter().map(convert::worker).collect(),
            version: self.about.version.clone(),
            database: self.about.database.clone(),
        })
    }

    pub(in crate::api) async fn get_settings(&self, _: pb::GetSettingsRequest) -> Answer<pb::Settings> {
        Ok(self.settings())
    }

    fn settings(&self) -> pb::Settings {
        let live = self.hub.settings.get();
        let source = match self.hub.settings.token_source() {
            TokenSource::None => "",
            TokenSource::Configuration => "configuration",
            TokenSource::Settings => "settings",
        };
        pb::Settings {
            storage_path: self.about.storage_path.clone(),
            database: self.about.database.clone(),
            upstream_url: self.about.upstream_url.clone(),
            endpoint: self.about.endpoint.clone(),
            offline: live.offline,
            hf_token_set: !source.is_empty(),
            hf_token_source: source.into(),
            max_downloads: live.max_downloads,
            download_bytes_per_second: live.download_bytes_per_second,
            download_hours: live.download_hours.map(|hours| hours.to_string()).unwrap_or_default(),
            store_limit_bytes: live.store_limit_bytes,
            ref_ttl_seconds: live.ref_ttl.as_secs(),
            cache_times: Some(self.about.cache_times),
            keeping: self.about.keeping.clone(),
        }
    }

    pub(in crate::api) async fn update_settings(&self, request: pb::UpdateSettingsRequest) -> Answer<pb::Settings> {
        if let Some(hours) = request.download_hours.as_deref().filter(|hours| !hours.is_empty()) {
            crate::domain::Hours::parse(hours).map_err(Problem::of("download_hours"))?;
        }
        let change = Change {
            offline: request.offline,
            hf_token: request.hf_token.map(|token| Secret::new(token.trim())),
            max_downloads: request.max_downloads,
            download_bytes_per_second: request.download_bytes_per_second,
            download_hours: request.download_hours,
            store_limit_bytes: request.store_limit_bytes,
            ref_ttl_seconds: request.ref_ttl_seconds,
        };
        self.hub.change_settings(change).await?;
        Ok(self.settings())
    }

    pub(in crate::api) async fn test_token(&self, request: pb::TestTokenRequest) -> Answer<pb::TestTokenResponse> {
        let token = (!request.token.trim().is_empty()).then(|| request.token.trim().to_owned());
        if token.is_none() && self.hub.settings.token_source() == TokenSource::None {
            return Err(Problem::field("token", "no token is set; give one to test"));
        }
        match self.hub.settings.token_account(token.as_deref()).await {
            Ok(account) => Ok(pb::TestTokenResponse { valid: true, account, problem: String::new() }),
            Err(error @ (crate::hub::Error::Unauthenticated { .. } | crate::hub::Error::Forbidden { .. })) => {
                let problem = format!("upstream rejected the token: {error}");
                Ok(pb::TestTokenResponse { valid: false, account: String::new(), problem })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(in crate::api) async fn scan_storage(&self, request: pb::ScanStorageRequest) -> Answer<pb::Job> {
        let scan = scan_of(&self.about.storage_path, request)?;
        Ok(convert::job(self.hub.models.enqueue_scan(scan).await?))
    }

    pub(in crate::api) async fn preview_scan(
        &self,
        request: pb::ScanStorageRequest,
    ) -> Answer<pb::PreviewScanResponse> {
        let preview = self.hub.models.preview_scan(scan_of(&self.about.storage_path, request)?).await?;
        Ok(preview_message(preview))
    }

    pub(in crate::api) async fn verify_store(&self, request: pb::VerifyStoreRequest) -> Answer<pb::Job> {
        Ok(convert::job(self.hub.models.enqueue_verify(None, request.bytes_per_second).await?))
    }

    pub(in crate::api) async fn evict_store(&self, request: pb::EvictStoreRequest) -> Answer<pb::Job> {
        Ok(convert::job(self.hub.models.enqueue_evict_store(convert::eviction(request)).await?))
    }

    pub(in crate::api) async fn plan_eviction(
        &self,
        request: pb::EvictStoreRequest,
    ) -> Answer<pb::PlanEvictionResponse> {
        Ok(convert::eviction_plan(self.hub.models.plan_eviction(&convert::eviction(request)).await?))
    }

    pub(in crate::api) async fn get_storage(&self, _: pb::GetStorageRequest) -> Answer<pb::GetStorageResponse> {
        let Usage { models, unreferenced, space } = self.hub.overview.usage().await?;
        let disk = self.hub.overview.disk()?;
        let formats = self.hub.overview.usage_by(format_of).await?;
        let format = |(name, (files, bytes))| pb::Usage { name, files, bytes, ..Default::default() };
        Ok(pb::GetStorageResponse {
            bytes: space.stored.bytes,
            blobs: space.stored.blobs,
            disk_free: disk.free,
            disk_total: disk.total,
            limit: self.hub.settings.get().store_limit_bytes,
            used_bytes: space.used(),
            partial_bytes: space.arriving,
            quarantine_bytes: space.quarantined,
            models: models.into_iter().map(convert::usage).collect(),
            formats: formats.into_iter().map(format).collect(),
            unreferenced_bytes: unreferenced,
            scrub: Some(convert::scrub(self.hub.overview.care().await?)),
            object_store: self.hub.overview.object_store().await?.map(convert::object_store),
        })
    }
}

/// The format of weights, else what a file is for.
fn format_of(path: &str) -> String {
    let Ok(path) = RepoPath::parse(path) else { return "other".into() };
    let format = WeightFormat::of(&path).map(WeightFormat::as_str);
    format.unwrap_or_else(|| FileType::of(&path).as_str()).to_owned()
}

fn scan_of(store: &str, request: pb::ScanStorageRequest) -> Answer<crate::hub::Scan> {
    let path = if request.path.is_empty() { store.to_owned() } else { request.path };
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Problem::field("path", "expected the absolute path of a folder on the hub's machine"));
    }
    let placement = crate::hub::Scan::placement(&request.placement)
        .ok_or_else(|| Problem::field("placement", "expected auto, reflink, hard_link or copy"))?;
    let kind = match request.kind.as_str() {
        "" => RepoKind::Model,
        word => RepoKind::parse(word).ok_or_else(|| Problem::field("kind", RepoKind::EXPECTED))?,
    };
    let repo = match request.repo_id.as_str() {
        "" => None,
        id => Some(RepoKey::new(kind, RepoId::parse(id).map_err(Problem::of("repo_id"))?)),
    };
    Ok(crate::hub::Scan { path, placement, repo, kind, bytes_per_second: request.bytes_per_second })
}

fn preview_message(preview: crate::hub::ScanPreview) -> pb::PreviewScanResponse {
    let finding = |found: crate::hub::ScanFinding| pb::ScanFinding {
        kind: found.repo.kind.as_str().into(),
        repo_id: found.repo.id.to_string(),
        layout: found.layout.into(),
        path: found.path,
        files: found.files,
        bytes: found.bytes,
    };
    let problem = |(path, text): (String, String)| pb::Problem { path, text };
    pb::PreviewScanResponse {
        findings: preview.findings.into_iter().map(finding).collect(),
        problems: preview.problems.into_iter().map(problem).collect(),
        files: preview.files,
        bytes: preview.bytes,
    }
}
