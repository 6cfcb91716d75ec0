//! The queue of jobs: enqueued, looked at and ordered here; run by `worker`.
//!
//! A change goes to the database first, then to whoever watches, then the runner is woken. An order to a running job
//! reaches a worker of this process at once, and one of another process when it renews its lease.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::events::{Happening, Watch};
use super::{Error, Hub, Result};
use crate::db::{Claimant, Obeyed, Settled};
use crate::domain::job::{
    Job, JobFilter, JobKind, JobStatus, Level, LogLine, NewJob, Order, Payload, Progress, priority,
};
use crate::domain::{Activity, Millis};

/// More waiting jobs than this are refused.
const MAX_WAITING: u64 = 100_000;
/// Runs of one job before it is given up.
pub(super) const MAX_ATTEMPTS: u32 = 5;

#[derive(Default)]
pub(super) struct Jobs {
    wake: Notify,
    /// Jobs that run in this process.
    running: Mutex<HashMap<String, Arc<Handle>>>,
}

/// How a running job is stopped.
#[derive(Default)]
struct Handle {
    stop: CancellationToken,
    order: Mutex<Option<Order>>,
}

impl Jobs {
    fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<Handle>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a finished job says.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// What it did, in a sentence.
    pub outcome: String,
    pub changes: Option<crate::domain::job::Changes>,
}

/// A job that runs: what it was asked, how far it is, and whether it should stop.
pub struct JobRun {
    pub job: Job,
    /// Cancelled when the job is to stop, for whatever reason.
    pub stop: CancellationToken,
    hub: Hub,
    handle: Arc<Handle>,
    progress: Mutex<Progress>,
}

impl JobRun {
    /// Changes how far it is; `worker` writes it down from time to time.
    pub fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a person asked for meanwhile.
    pub fn order(&self) -> Option<Order> {
        *self.handle.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it because a person asked for it.
    pub fn obey(&self, order: Order) {
        *self.handle.order.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
        self.stop.cancel();
    }

    pub async fn log(&self, level: Level, text: &str) {
        self.hub.log_job(&self.job.id, level, text).await;
    }
}

impl Drop for JobRun {
    fn drop(&mut self) {
        let mut running = self.hub.jobs.running();
        // Not one that was claimed again meanwhile.
        if running.get(&self.job.id).is_some_and(|handle| Arc::ptr_eq(handle, &self.handle)) {
            running.remove(&self.job.id);
        }
    }
}

impl Hub {
    /// Adds a job, or gives the live one that does the same.
    pub async fn enqueue(&self, job: NewJob) -> Result<Job> {
        if self.job_count(JobStatus::Pending).await? >= MAX_WAITING {
            return Err(Error::Busy { what: format!("{MAX_WAITING} jobs are already waiting") });
        }
        let id = uuid::Uuid::now_v7().to_string();
        let (job, added) = self.db.enqueue(&job, &id, MAX_ATTEMPTS, self.clock.now()).await?;
        if added {
            self.announce(&job);
        }
        Ok(job)
    }

    /// Tells watchers of a new or changed job, and the runner that there may be work.
    pub(super) fn announce(&self, job: &Job) {
        self.events.publish(Happening::Job(Box::new(job.clone())));
        self.jobs.wake.notify_waiters();
    }

    /// Something changed that jobs may have waited for.
    pub(super) fn jobs_changed(&self) {
        self.jobs.wake.notify_waiters();
    }

    pub async fn job_count(&self, status: JobStatus) -> Result<u64> {
        let counts = self.db.job_counts().await?;
        Ok(counts.iter().find(|(other, _)| *other == status).map_or(0, |(_, count)| *count))
    }

    pub async fn job(&self, id: &str) -> Result<Job> {
        self.db.job(id).await?.ok_or_else(|| Error::NoSuch { what: format!("job {id} not found") })
    }

    pub async fn list_jobs(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        Ok(self.db.jobs(filter).await?)
    }

    pub async fn job_log(&self, id: &str, after: u64, limit: u64) -> Result<Vec<LogLine>> {
        self.job(id).await?;
        Ok(self.db.job_log(id, after, limit).await?)
    }

    /// Cancels, pauses, resumes or retries a job. A running one obeys within moments.
    pub async fn order_job(&self, id: &str, order: Order) -> Result<Job> {
        let job = match self.db.order_job(id, order, self.clock.now()).await? {
            Obeyed::Yes(job) => job,
            Obeyed::Already(job) => return Ok(job),
            Obeyed::NoSuchJob => return Err(Error::NoSuch { what: format!("job {id} not found") }),
            Obeyed::No(job) => {
                let (verb, status) = (order.as_str(), job.status.as_str());
                return Err(Error::Conflict(format!("cannot {verb} job {id}: it is {status}")));
            }
            Obeyed::Duplicate(other) => {
                return Err(Error::Conflict(format!("job {} is already doing the same work", other.id)));
            }
        };
        if job.status == JobStatus::Running && matches!(order, Order::Cancel | Order::Pause) {
            let handle = self.jobs.running().get(id).cloned();
            if let Some(handle) = handle {
                let mut wanted = handle.order.lock().unwrap_or_else(PoisonError::into_inner);
                if *wanted != Some(Order::Cancel) {
                    *wanted = Some(order);
                }
                handle.stop.cancel();
            }
        }
        if job.status != JobStatus::Running {
            let verb = match order {
                Order::Cancel => "cancelled",
                Order::Pause => "paused",
                Order::Resume => "resumed",
                Order::Retry => "retrying",
            };
            self.log_job(id, Level::Info, verb).await;
        }
        self.announce(&job);
        Ok(job)
    }

    /// A line in a job's log. A log that cannot be written stops no job.
    pub async fn log_job(&self, id: &str, level: Level, text: &str) {
        if let Err(error) = self.db.log_job(id, level, text, self.clock.now()).await {
            tracing::warn!(job.id = id, %error, "could not write a job's log");
        }
    }

    /// Events from now on, or from after an earlier one.
    pub fn watch(&self, after: Option<u64>) -> Watch {
        self.events.watch(after)
    }

    /// Notes something that people want to know of.
    pub(super) async fn note(&self, kind: &str, text: String, repo_name: &str, job: Option<&str>) {
        let at = self.clock.now();
        let activity =
            Activity { at, kind: kind.into(), text, repo_name: repo_name.into(), job: job.map(str::to_owned) };
        if let Err(error) = self.db.put_activity(&uuid::Uuid::now_v7().to_string(), &activity).await {
            tracing::warn!(%error, "could not record an activity");
        }
        self.events.publish(Happening::Activity(activity));
    }
}

/// For the runner.
impl Hub {
    /// Resolves when there may be a job to run. Arm it (`enable`) before looking for one.
    pub fn job_added(&self) -> tokio::sync::futures::Notified<'_> {
        self.jobs.wake.notified()
    }

    /// Takes the next job that may run now.
    pub async fn claim_job(
        &self,
        worker: &str,
        kinds: &[JobKind],
        lease: std::time::Duration,
    ) -> Result<Option<JobRun>> {
        let now = self.clock.now();
        let max_downloads = u64::from(self.live().max_downloads);
        let who = Claimant { worker, kinds, max_downloads, lease_until: now + millis(lease), now };
        let Some(job) = self.db.claim_job(&who).await? else { return Ok(None) };
        let handle = Arc::new(Handle::default());
        self.jobs.running().insert(job.id.clone(), Arc::clone(&handle));
        self.events.publish(Happening::Job(Box::new(job.clone())));
        let (stop, progress) = (handle.stop.clone(), Mutex::new(job.progress.clone()));
        Ok(Some(JobRun { job, stop, hub: self.clone(), handle, progress }))
    }

    /// Keeps a job's lease and shows how far it is; `false`: the lease is lost, somebody else may have the job.
    pub async fn renew_job(&self, run: &JobRun, worker: &str, lease: std::time::Duration) -> Result<bool> {
        let progress = run.progress();
        let until = self.clock.now() + millis(lease);
        let renewed = self.db.renew_job(&run.job.id, worker, until, &progress).await?;
        let Some((job, order)) = renewed else { return Ok(false) };
        self.events.publish(Happening::Progress(Box::new(job)));
        if let Some(order @ (Order::Cancel | Order::Pause)) = order {
            run.obey(order);
        }
        Ok(true)
    }

    /// Writes down how a run ended.
    pub async fn settle_job(&self, run: &JobRun, worker: &str, end: Settled) -> Result<()> {
        let Some(job) = self.db.settle_job(&run.job.id, worker, &end, self.clock.now()).await? else {
            tracing::warn!(job.id = %run.job.id, "a job ended after its lease was lost");
            return Ok(());
        };
        self.announce(&job);
        let about = if job.repo_name.is_empty() { "the store".to_owned() } else { job.repo_name.clone() };
        let text = match job.status {
            JobStatus::Completed => format!("{} of {about}: {}", job.kind.as_str(), job.outcome),
            JobStatus::Failed => format!("{} of {about} failed: {}", job.kind.as_str(), job.error),
            JobStatus::Cancelled => format!("{} of {about} was cancelled", job.kind.as_str()),
            _ => return Ok(()),
        };
        let kind = format!("job.{}", job.status.as_str());
        self.note(&kind, text, &job.repo_name, Some(&job.id)).await;
        if let Some(repo) = &job.repo {
            self.events.publish(Happening::Model(repo.clone()));
        }
        Ok(())
    }

    /// The commit that a job is about from now on, so that another run goes on with the same files.
    pub(super) async fn settle_commit(&self, run: &JobRun, commit: &crate::domain::CommitId) -> Result<()> {
        let payload = Payload { commit: commit.to_string(), ..run.job.payload.clone() };
        self.db.put_job_payload(&run.job.id, &run.job.worker, &payload).await?;
        Ok(())
    }

    /// Gives back jobs whose workers are gone.
    pub async fn reclaim_jobs(&self) -> Result<()> {
        for job in self.db.reclaim_jobs(self.clock.now()).await? {
            self.log_job(&job.id, Level::Warning, "its worker was lost: another worker resumes the job").await;
            self.announce(&job);
        }
        Ok(())
    }

    /// Something happened to a job that another process runs: watchers here are told.
    pub async fn echo_job(&self, id: &str) -> Result<()> {
        if !self.events.is_watched() || self.jobs.running().contains_key(id) {
            return Ok(());
        }
        let Some(job) = self.db.job(id).await? else { return Ok(()) };
        let what = if job.status == JobStatus::Running { Happening::Progress } else { Happening::Job };
        self.events.publish(what(Box::new(job)));
        Ok(())
    }

    /// Says why jobs of a kind do not run.
    pub async fn explain_waiting(&self, kind: JobKind, reason: &str) -> Result<()> {
        Ok(self.db.put_waiting_for(kind, reason, self.clock.now()).await?)
    }

    /// Enqueues the syncs that are due.
    pub async fn enqueue_due_syncs(&self) -> Result<()> {
        for model in self.db.due_syncs(self.clock.now(), 100).await? {
            let job = NewJob {
                kind: JobKind::Sync,
                repo: Some(model.id),
                repo_name: model.key.to_string(),
                payload: Payload { revision: model.revision, ..Payload::default() },
                priority: priority::SCHEDULED,
            };
            self.enqueue(job).await?;
        }
        Ok(())
    }
}

pub(super) fn millis(span: std::time::Duration) -> Millis {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
