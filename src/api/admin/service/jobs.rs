//! Jobs and events.

use super::{Service, page};
use crate::api::admin::convert;
use crate::api::admin::problem::{Answer, Problem};
use crate::domain::job::{JobFilter, JobOrder, Order};
use crate::domain::{JobId, Millis};
use crate::hub::Watch;
use crate::pb;

impl Service {
    pub(in crate::api) async fn list_jobs(&self, request: pb::ListJobsRequest) -> Answer<pb::ListJobsResponse> {
        let limit = page::size(request.page_size)?;
        let order = match request.order.as_str() {
            "" | "-created" => JobOrder::Created,
            "-finished" => JobOrder::Finished,
            _ => return Err(Problem::field("order", "expected -created or -finished")),
        };
        let repo = match request.model.as_str() {
            "" => None,
            model => Some(self.model_named("model", model).await?.id),
        };
        let filter = JobFilter {
            statuses: convert::statuses_of(&request.status)?,
            kinds: convert::kinds_of(&request.kind)?,
            repo,
            search: request.search,
            created_after: request.created_after.as_ref().map(convert::millis),
            created_before: request.created_before.as_ref().map(convert::millis),
            finished_after: request.finished_after.as_ref().map(convert::millis),
            order,
            before: place(&request.page_token)?,
            limit: limit + 1,
        };
        let mut jobs = self.hub.jobs.list(&filter).await?;
        let more = jobs.len() as u64 > limit;
        jobs.truncate(limit as usize);
        let next = jobs.last().filter(|_| more).map(|job| {
            let at = match order {
                JobOrder::Created => job.created_at,
                JobOrder::Finished => job.finished_at.unwrap_or(0),
            };
            page::token(&format!("{at}\n{}", job.id))
        });
        Ok(pb::ListJobsResponse {
            jobs: jobs.into_iter().map(convert::job).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(in crate::api) async fn get_job(&self, request: pb::GetJobRequest) -> Answer<pb::Job> {
        Ok(convert::job(self.hub.jobs.get(&job_id("id", &request.id)?).await?))
    }

    pub(in crate::api) async fn list_job_log(&self, request: pb::ListJobLogRequest) -> Answer<pb::ListJobLogResponse> {
        let limit = page::size(request.page_size)?;
        let mut lines = self.hub.jobs.log_lines(&job_id("id", &request.id)?, request.after, limit + 1).await?;
        let more = lines.len() as u64 > limit;
        lines.truncate(limit as usize);
        Ok(pb::ListJobLogResponse { lines: lines.into_iter().map(convert::log_line).collect(), more })
    }

    pub(in crate::api) async fn cancel_job(&self, request: pb::CancelJobRequest) -> Answer<pb::Job> {
        self.order(&request.id, Order::Cancel).await
    }

    pub(in crate::api) async fn retry_job(&self, request: pb::RetryJobRequest) -> Answer<pb::Job> {
        self.order(&request.id, Order::Retry).await
    }

    pub(in crate::api) async fn pause_job(&self, request: pb::PauseJobRequest) -> Answer<pb::Job> {
        self.order(&request.id, Order::Pause).await
    }

    pub(in crate::api) async fn resume_job(&self, request: pb::ResumeJobRequest) -> Answer<pb::Job> {
        self.order(&request.id, Order::Resume).await
    }

    pub(in crate::api) async fn dismiss_job(&self, request: pb::DismissJobRequest) -> Answer<pb::Job> {
        self.order(&request.id, Order::Dismiss).await
    }

    pub(in crate::api) async fn dismiss_failed_jobs(
        &self,
        _: pb::DismissFailedJobsRequest,
    ) -> Answer<pb::DismissFailedJobsResponse> {
        Ok(pb::DismissFailedJobsResponse { dismissed: self.hub.jobs.dismiss_failed().await? })
    }

    async fn order(&self, id: &str, order: Order) -> Answer<pb::Job> {
        Ok(convert::job(self.hub.jobs.order(&job_id("id", id)?, order).await?))
    }

    /// Follows what happens; see `Watch`.
    pub(in crate::api) fn watch_events(&self, request: pb::WatchEventsRequest) -> Answer<Watching> {
        const KINDS: [&str; 6] = ["job", "progress", "activity", "traffic", "model", "lost"];
        if let Some(kind) = request.kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
            return Err(Problem::field("kinds", format!("unknown kind `{kind}`; expected {}", KINDS.join(", "))));
        }
        let after = (request.after > 0).then_some(request.after);
        let job = match request.job_id.as_str() {
            "" => None,
            id => Some(job_id("job_id", id)?),
        };
        Ok(Watching { watch: self.hub.events.watch(after), kinds: request.kinds, job })
    }
}

/// One watcher with what it wants to see.
pub(in crate::api) struct Watching {
    watch: Watch,
    kinds: Vec<String>,
    job: Option<JobId>,
}

impl Watching {
    /// The next event that is wanted; `None` when the hub stops.
    pub(in crate::api) async fn next(&mut self) -> Option<pb::Event> {
        loop {
            let event = convert::event(&*self.watch.next().await?);
            let lost = event.kind == "lost";
            let of_kind = self.kinds.is_empty() || self.kinds.contains(&event.kind);
            let of_job = self.job.as_ref().is_none_or(|id| event.job.as_ref().is_some_and(|job| job.id == id.as_str()));
            if lost || (of_kind && of_job) {
                return Some(event);
            }
        }
    }
}

/// Where a page of jobs begins: after the job of this time and id.
fn place(token: &str) -> Answer<Option<(Millis, JobId)>> {
    let Some(token) = page::after(token)? else { return Ok(None) };
    let parts = token.split_once('\n').and_then(|(at, id)| Some((at.parse().ok()?, JobId::new(id))));
    let elsewhere = || Problem::field("page_token", "this page_token is from a different list");
    parts.map(Some).ok_or_else(elsewhere)
}

fn job_id(field: &str, id: &str) -> Answer<JobId> {
    match uuid::Uuid::parse_str(id) {
        Ok(id) => Ok(JobId::new(id.hyphenated().to_string())),
        Err(_) => Err(Problem::field(
            field,
            format!("`{}` is not a job id; expected a UUID", id.chars().take(80).collect::<String>()),
        )),
    }
}
