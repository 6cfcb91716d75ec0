//! The queue of jobs: enqueued, read and controlled here; run by `worker`.
//!
//! A change goes to the database first, then to whoever watches, then the runner is woken. An order to a running job
//! reaches a worker of this process immediately, and one of another process when it renews its lease.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::events::{Events, Happening};
use super::settings::LiveSettings;
use super::{Error, Result};
use crate::db::{Claimant, Db, Gone, Obeyed, Settled};
use crate::domain::job::{Job, JobFilter, JobKind, JobStatus, Level, LogLine, NewJob, Order, Progress, priority};
use crate::domain::{Clock, JobId, Work, WorkerId, millis, work};

/// More waiting jobs than this are refused.
const MAX_WAITING: u64 = 100_000;
/// A worker whose last word is older is not waited for. It says every two seconds that it lives.
const HEARD_OF: std::time::Duration = std::time::Duration::from_secs(6);
/// How often a job is looked at by who waits for it.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(250);
const DISMISSED: &str = "dismissed";
/// Jobs that one statement dismisses: they are in memory until they are told.
const DISMISSED_AT_ONCE: u64 = 500;
/// Attempts of one job before it fails.
pub(super) const MAX_ATTEMPTS: u32 = 5;

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

pub struct Inner {
    db: Db,
    clock: Clock,
    live: LiveSettings,
    events: Events,
    wake: Notify,
    /// Jobs that run in this process.
    running: Mutex<HashMap<JobId, Arc<Handle>>>,
}

impl Deref for Jobs {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// How a running job is stopped.
#[derive(Default)]
struct Handle {
    stop: CancellationToken,
    order: Mutex<Option<Order>>,
}

impl Jobs {
    pub(super) fn new(db: Db, clock: Clock, live: LiveSettings, events: Events) -> Self {
        Self(Arc::new(Inner { db, clock, live, events, wake: Notify::new(), running: Mutex::default() }))
    }

    fn running(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Handle>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of a completed job.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// What it did, in a sentence.
    pub outcome: String,
    pub changes: Option<crate::domain::job::Changes>,
}

/// A running job: its request, its progress, and whether it should stop.
pub struct JobRun {
    pub job: Job,
    /// Cancelled when the job is to stop, for whatever reason.
    pub stop: CancellationToken,
    jobs: Jobs,
    handle: Arc<Handle>,
    progress: Mutex<Progress>,
}

impl JobRun {
    /// Updates the progress; `worker` records it from time to time.
    pub fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The order that was given meanwhile.
    pub fn order(&self) -> Option<Order> {
        *self.handle.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it because of an order.
    pub fn obey(&self, order: Order) {
        *self.handle.order.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
        self.stop.cancel();
    }

    pub async fn log(&self, level: Level, text: &str) {
        self.jobs.log(&self.job.id, level, text).await;
    }
}

impl Drop for JobRun {
    fn drop(&mut self) {
        let mut running = self.jobs.running();
        // Not one that was claimed again meanwhile.
        if running.get(&self.job.id).is_some_and(|handle| Arc::ptr_eq(handle, &self.handle)) {
            running.remove(&self.job.id);
        }
    }
}

impl Jobs {
    /// Adds a job, or returns the live one that does the same.
    pub async fn enqueue(&self, job: NewJob) -> Result<Job> {
        if self.count(JobStatus::Pending).await? >= MAX_WAITING {
            return Err(Error::Busy { what: format!("{MAX_WAITING} jobs are already waiting") });
        }
        let id = new_job_id();
        let (job, added) = self.db.enqueue(&job, &id, MAX_ATTEMPTS, self.clock.now()).await?;
        if added {
            self.announce(&job);
        }
        Ok(job)
    }

    /// Tells watchers of a new or changed job, and the runner that there may be work.
    pub(super) fn announce(&self, job: &Job) {
        self.events.publish(Happening::Job(Box::new(job.clone())));
        self.wake.notify_waiters();
    }

    /// Something changed that jobs may have waited for.
    pub(super) fn wake(&self) {
        self.wake.notify_waiters();
    }

    pub async fn count(&self, status: JobStatus) -> Result<u64> {
        let counts = self.db.job_counts().await?;
        Ok(counts.iter().find(|(other, _)| *other == status).map_or(0, |(_, count)| *count))
    }

    pub async fn get(&self, id: &JobId) -> Result<Job> {
        self.db.job(id).await?.ok_or_else(|| Error::NotFound { what: format!("job {id} not found") })
    }

    pub async fn list(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        Ok(self.db.jobs(filter).await?)
    }

    pub async fn log_lines(&self, id: &JobId, after: u64, limit: u64) -> Result<Vec<LogLine>> {
        self.get(id).await?;
        Ok(self.db.job_log(id, after, limit).await?)
    }

    /// The job when it has ended, or after this time as it is then.
    pub async fn wait(&self, id: &JobId, most: std::time::Duration) -> Result<Job> {
        let until = self.clock.elapsed() + most;
        loop {
            let job = self.get(id).await?;
            if job.status.is_final() || self.clock.elapsed() >= until {
                return Ok(job);
            }
            // Its worker may be another process: the database knows.
            self.clock.sleep(LOOK_AGAIN.min(until.saturating_sub(self.clock.elapsed()))).await;
        }
    }

    /// Dismisses all failed jobs; how many there were.
    pub async fn dismiss_failed(&self) -> Result<u64> {
        let mut count = 0;
        loop {
            let dismissed = self.db.dismiss_failed_jobs(DISMISSED_AT_ONCE, self.clock.now()).await?;
            for job in &dismissed {
                self.log(&job.id, Level::Info, DISMISSED).await;
                self.announce(job);
            }
            count += dismissed.len() as u64;
            if (dismissed.len() as u64) < DISMISSED_AT_ONCE {
                return Ok(count);
            }
        }
    }

    /// Cancels, pauses, resumes, retries or dismisses a job. A running one obeys within moments.
    pub async fn order(&self, id: &JobId, order: Order) -> Result<Job> {
        let job = match self.db.order_job(id, order, self.clock.now()).await? {
            Obeyed::Yes(job) => job,
            Obeyed::Already(job) => return Ok(job),
            Obeyed::NotFound => return Err(Error::NotFound { what: format!("job {id} not found") }),
            Obeyed::No(job) => {
                let (verb, status) = (order.as_str(), job.status.as_str());
                return Err(Error::Conflict(format!("cannot {verb} job {id}: it is {status}")));
            }
            Obeyed::Duplicate(other) => {
                return Err(Error::Conflict(format!("job {} is already doing the same work", other.id)));
            }
        };
        if job.status == JobStatus::Running && matches!(order, Order::Cancel | Order::Pause) {
            let handle = self.running().get(id).cloned();
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
                Order::Dismiss => DISMISSED,
            };
            self.log(id, Level::Info, verb).await;
        }
        self.announce(&job);
        Ok(job)
    }

    /// Adds a line to a job's log. A log that cannot be written does not stop the job.
    pub async fn log(&self, id: &JobId, level: Level, text: &str) {
        if let Err(error) = self.db.log_job(id, level, text, self.clock.now()).await {
            tracing::warn!(job.id = %id, %error, "could not write a job's log");
        }
    }
}

/// For the runner.
impl Jobs {
    /// Resolves when there may be a job to run. Arm it (`enable`) before looking for one.
    pub fn added(&self) -> tokio::sync::futures::Notified<'_> {
        self.wake.notified()
    }

    /// Takes the next job that may run now.
    pub async fn claim(
        &self,
        worker: &WorkerId,
        kinds: &[JobKind],
        max_own_downloads: u64,
        lease: std::time::Duration,
    ) -> Result<Option<JobRun>> {
        let now = self.clock.now();
        let max_downloads = u64::from(self.live.get().max_downloads);
        let (lease_until, heard_after) = (now + millis(lease), now - millis(HEARD_OF));
        let worker = worker.clone();
        let who = Claimant { worker, kinds, max_downloads, max_own_downloads, heard_after, lease_until, now };
        let Some(mut job) = self.db.claim_job(&who).await? else { return Ok(None) };
        job.progress = job.progress.at_rest();
        let handle = Arc::new(Handle::default());
        self.running().insert(job.id.clone(), Arc::clone(&handle));
        self.events.publish(Happening::Job(Box::new(job.clone())));
        let (stop, progress) = (handle.stop.clone(), Mutex::new(job.progress.clone()));
        Ok(Some(JobRun { job, stop, jobs: self.clone(), handle, progress }))
    }

    /// Renews a job's lease and reports its progress; `false`: the lease is lost, another worker may have the job.
    pub async fn renew(&self, run: &JobRun, worker: &WorkerId, lease: std::time::Duration) -> Result<bool> {
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

    /// Records how a run ended.
    pub async fn settle(&self, run: &JobRun, worker: &WorkerId, end: Settled) -> Result<()> {
        let Some(job) = self.db.settle_job(&run.job.id, worker, &end, self.clock.now()).await? else {
            tracing::warn!(job.id = %run.job.id, "a job ended after its lease was lost");
            return Ok(());
        };
        self.announce(&job);
        let about = match &job.work {
            Work::Scan(scan) => scan.path.clone(),
            _ if job.repo_name.is_empty() => "the store".to_owned(),
            _ => job.repo_name.clone(),
        };
        let text = match job.status {
            JobStatus::Completed => format!("{} of {about}: {}", job.kind().as_str(), job.outcome),
            JobStatus::Failed => format!("{} of {about} failed: {}", job.kind().as_str(), job.error),
            JobStatus::Cancelled => format!("{} of {about} was cancelled", job.kind().as_str()),
            _ => return Ok(()),
        };
        let kind = format!("job.{}", job.status.as_str());
        self.events.note(&kind, text, &job.repo_name, Some(&job.id)).await;
        if let Some(repo) = &job.repo {
            self.events.publish(Happening::Model(repo.clone()));
        }
        Ok(())
    }

    /// Fixes the commit of a job, so that another run continues with the same files.
    pub(super) async fn settle_commit(&self, run: &JobRun, commit: &crate::domain::CommitId) -> Result<()> {
        let (Work::Download(work), Some(worker)) = (&run.job.work, &run.job.worker) else { return Ok(()) };
        let work = Work::Download(work::Download { commit: commit.to_string(), ..work.clone() });
        self.db.put_job_work(&run.job.id, worker, &work).await?;
        Ok(())
    }

    /// Returns the jobs of lost workers to the queue.
    pub async fn reclaim(&self, whose: Gone<'_>) -> Result<()> {
        let line = match whose {
            Gone::Silent => "its worker was lost: another worker resumes the job",
            Gone::Worker(_) | Gone::Everyone => "its worker was restarted: it resumes where it was",
        };
        for job in self.db.reclaim_jobs(whose, self.clock.now()).await? {
            self.log(&job.id, Level::Warning, line).await;
            self.announce(&job);
        }
        Ok(())
    }

    /// Something happened to a job that another process runs: watchers here are notified.
    pub async fn echo(&self, id: &JobId) -> Result<()> {
        if !self.events.is_watched() || self.running().contains_key(id) {
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
                work: Work::Sync(work::Sync { revision: model.revision }),
                repo: Some(model.id),
                repo_name: model.key.to_string(),
                priority: priority::SCHEDULED,
            };
            self.enqueue(job).await?;
        }
        Ok(())
    }
}

/// UUIDs of this version grow with time.
pub(super) fn new_job_id() -> JobId {
    JobId::new(uuid::Uuid::now_v7().to_string())
}
