//! Downloads: planned, started one by one or many at once, and waited for.

use std::time::Duration;

use super::Service;
use super::models::{revision, selection};
use crate::api::admin::convert;
use crate::api::admin::problem::{Answer, Problem};
use crate::domain::job::priority;
use crate::domain::{ModelSource, Revision, Selection};
use crate::hub::{self, DownloadRequest, ModelRow};
use crate::pb;

/// Downloads that one call may start.
const MOST_DOWNLOADS: usize = 100;
/// Seconds that a call may wait for its job.
const MOST_WAIT: u32 = 600;

impl Service {
    pub(in crate::api) async fn plan_download(&self, request: pb::DownloadModelRequest) -> Answer<pb::DownloadPlan> {
        let (row, request) = self.download_request(request, false).await?;
        let plan = self.hub.models.plan_download(&row, &request).await?;
        let revision = request.revision.map_or_else(|| row.revision.clone(), |revision| revision.to_string());
        let fits = plan.fits();
        let largest = plan.largest.into_iter().map(|(file, is_here)| {
            let mut totals = crate::hub::FileTotals::default();
            totals.add(file.size, is_here);
            let entry = crate::domain::Entry::File(file);
            let file = crate::hub::FileRow { entry, stored: None, verified_at: None, totals };
            convert::artifact(&self.hub, &row, &plan.commit, file, convert::Missing::default())
        });
        Ok(pb::DownloadPlan {
            largest: largest.collect(),
            revision,
            commit: plan.commit.clone(),
            files: plan.totals.files,
            bytes: plan.totals.bytes,
            files_here: plan.totals.files_here,
            bytes_here: plan.totals.bytes_here,
            bytes_to_fetch: plan.to_fetch,
            disk_free: plan.disk_free,
            fits,
            warnings: plan.warnings,
            quantisations: plan.quantisations.into_iter().map(convert::quantisation).collect(),
            left_out: plan.left_out.into_iter().map(convert::left_out).collect(),
            model: Some(self.shown(row).await?),
        })
    }

    pub(in crate::api) async fn download_model(&self, request: pb::DownloadModelRequest) -> Answer<pb::Job> {
        let wait = wait(request.wait_seconds)?;
        let (row, request) = self.download_request(request, true).await?;
        let job = self.hub.models.enqueue_download(&row, request).await?;
        Ok(convert::job(if wait.is_zero() { job } else { self.hub.jobs.wait(&job.id, wait).await? }))
    }

    pub(in crate::api) async fn download_models(
        &self,
        request: pb::DownloadModelsRequest,
    ) -> Answer<pb::DownloadModelsResponse> {
        if !(1..=MOST_DOWNLOADS).contains(&request.downloads.len()) {
            return Err(Problem::field("downloads", format!("expected 1 to {MOST_DOWNLOADS} downloads")));
        }
        // All are looked at before the first is started.
        let mut most = Duration::ZERO;
        for (index, download) in request.downloads.iter().enumerate() {
            let named = |problem: Problem| problem.within(&format!("downloads[{index}]"));
            most = most.max(wait(download.wait_seconds).map_err(named)?);
            let (row, asked) = self.download_request(download.clone(), false).await.map_err(named)?;
            self.hub.models.check_download(&row, &asked).await.map_err(|error| named(error.into()))?;
        }
        let mut jobs = Vec::with_capacity(request.downloads.len());
        for download in request.downloads {
            let (row, download) = self.download_request(download, true).await?;
            jobs.push(self.hub.models.enqueue_download(&row, download).await?);
        }
        if !most.is_zero() {
            let ends = jobs.iter().map(|job| self.hub.jobs.wait(&job.id, most));
            jobs = futures_util::future::try_join_all(ends).await?;
        }
        Ok(pb::DownloadModelsResponse { jobs: jobs.into_iter().map(convert::job).collect() })
    }

    /// The model and the files of a request. What a pasted text selects counts unless it is selected in the request.
    /// A repository that is unknown here is looked up first, so that a name that upstream does not have leaves nothing
    /// behind, and then registered if it is `to_register`.
    async fn download_request(
        &self,
        request: pb::DownloadModelRequest,
        to_register: bool,
    ) -> Answer<(ModelRow, DownloadRequest)> {
        let priority = i64::from(request.priority.unwrap_or(priority::PREFETCH as i32));
        if !(priority::SCHEDULED..=priority::WAITING).contains(&priority) {
            return Err(Problem::field("priority", format!("invalid priority {priority}; expected 0 to 100")));
        }
        let mut selection = selection(request.selection)?;
        let mut revision = revision(&request.revision)?;
        let row = if request.model.is_empty() && !request.repo_id.is_empty() {
            let source = self.source("repo_id", &request.repo_id, &request.kind)?;
            if selection == Selection::default() {
                selection = source.selection;
            }
            revision = revision.or(source.revision);
            let known = match self.hub.models.model(&source.key.to_string()).await {
                Ok(row) => Some(row),
                Err(hub::Error::NotFound { .. }) => {
                    self.hub.models.look_up_repo(&source.key, revision.as_ref().unwrap_or(&Revision::main())).await?;
                    None
                }
                Err(error) => return Err(error.into()),
            };
            match known {
                Some(row) if !to_register || row.registered_at.is_some() || row.source == ModelSource::Local => row,
                None if !to_register => self.hub.models.model(&source.key.to_string()).await?,
                _ => self.hub.models.register(&source.key, revision.as_ref(), None).await?.0,
            }
        } else {
            self.meant(&request.model, &request.repo_id, &request.kind).await?
        };
        Ok((row, DownloadRequest { revision, selection, priority, bytes_per_second: request.bytes_per_second }))
    }
}

/// How long a call waits for its job.
fn wait(seconds: u32) -> Answer<Duration> {
    if seconds > MOST_WAIT {
        let rule = format!("invalid value {seconds}; expected at most {MOST_WAIT}, or 0 to return immediately");
        return Err(Problem::field("wait_seconds", rule));
    }
    Ok(Duration::from_secs(seconds.into()))
}
