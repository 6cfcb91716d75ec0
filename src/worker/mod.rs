//! The edge where time and the queue come in: claims jobs, lets `hub` do them, and records how they ended.
//!
//! `Runner::run` claims while there is room → each job runs as a task of its own under a lease that is renewed
//! (`lease.rs`) → how it ended decides what becomes of it (`ending.rs`). A second loop does what comes with time:
//! jobs of lost workers, syncs that are due, the download window (`schedule.rs`). A third one reads stored files again.

mod ending;
mod lease;
mod schedule;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::job::JobKind;
use crate::domain::{Backoff, Clock, WorkerId};
use crate::hub::{Gone, WorkerRow};
use crate::hub::{Hub, JobRun, Result};

/// The queue is polled this often even without a notification: another process may have added a job.
const POLL: Duration = Duration::from_secs(1);
/// Before another look when the database did not answer.
const LOOK_AGAIN: Backoff = Backoff::new(POLL, Duration::from_secs(10));

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A job whose worker was silent for this long goes to another worker.
    pub lease: Duration,
    /// Concurrent downloads; 0: as many as all workers together may run.
    pub max_downloads: u32,
    /// Concurrent jobs, besides downloads.
    pub others: usize,
    /// A name that no other process has.
    pub id: WorkerId,
    pub hostname: String,
    /// Where this worker's WorkerService listens; empty inside a server.
    pub address: String,
}

/// Runs jobs in this process.
#[derive(Clone)]
pub struct Runner(Arc<Inner>);

struct Inner {
    hub: Hub,
    clock: Clock,
    settings: Settings,
    started_at: i64,
    tasks: TaskTracker,
    stop: CancellationToken,
    downloads: AtomicU64,
    others: AtomicU64,
}

impl Runner {
    pub fn new(hub: Hub, clock: Clock, settings: Settings) -> Self {
        let started_at = clock.now();
        Self(Arc::new(Inner {
            hub,
            clock,
            settings,
            started_at,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            downloads: AtomicU64::new(0),
            others: AtomicU64::new(0),
        }))
    }

    pub fn id(&self) -> &WorkerId {
        &self.0.settings.id
    }

    /// Runs jobs until `stop`; returns when all are suspended, to be resumed later.
    pub async fn run(&self) {
        // What runs by this name was left by a process that had it before.
        if let Err(error) = self.0.hub.jobs.reclaim(Gone::Worker(self.id())).await {
            tracing::warn!(%error, "could not resume the jobs of an earlier process: they wait for their leases to expire");
        }
        let schedule = self.keep_time();
        let claim = self.claim_jobs();
        tokio::join!(schedule, claim, self.keep_scrubbing());
        self.0.tasks.close();
        self.0.tasks.wait().await;
        if let Err(error) = self.0.hub.overview.note_worker(self.id(), None).await {
            tracing::debug!(%error, "could not sign off a worker");
        }
    }

    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    async fn claim_jobs(&self) {
        let Inner { hub, clock, stop, .. } = &*self.0;
        let mut failures = 0;
        loop {
            // Armed before looking, so that a job that is added meanwhile is not missed.
            let added = hub.jobs.added();
            tokio::pin!(added);
            added.as_mut().enable();
            let claimed = self.claim_next().await;
            failures = if claimed.is_ok() { 0 } else { failures + 1 };
            match claimed {
                Ok(Some(run)) => self.start(run),
                Ok(None) => {
                    tokio::select! { () = stop.cancelled() => {}, () = added => {}, () = clock.sleep(POLL) => {} }
                }
                Err(error) => {
                    tracing::error!(%error, "could not look for jobs");
                    tokio::select! { () = stop.cancelled() => {}, () = clock.sleep(LOOK_AGAIN.pause(failures)) => {} }
                }
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// The next job that fits within the limits.
    async fn claim_next(&self) -> Result<Option<JobRun>> {
        let Inner { hub, settings, downloads, others, .. } = &*self.0;
        let mut kinds = Vec::new();
        let max_downloads = self.max_downloads();
        if downloads.load(Ordering::Relaxed) < max_downloads {
            kinds.push(JobKind::Download);
        }
        if (others.load(Ordering::Relaxed) as usize) < settings.others {
            kinds.extend(JobKind::ALL.iter().copied().filter(|kind| *kind != JobKind::Download));
        }
        if kinds.is_empty() {
            return Ok(None);
        }
        hub.jobs.claim(&settings.id, &kinds, max_downloads, settings.lease).await
    }

    fn start(&self, run: JobRun) {
        let is_download = run.job.kind() == JobKind::Download;
        let runner = self.clone();
        self.count(is_download).fetch_add(1, Ordering::Relaxed);
        self.0.tasks.spawn(async move {
            runner.work(run).await;
            runner.count(is_download).fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn count(&self, is_download: bool) -> &AtomicU64 {
        if is_download { &self.0.downloads } else { &self.0.others }
    }

    /// Concurrent downloads that this worker would run now.
    fn max_downloads(&self) -> u64 {
        let all = self.0.hub.settings.get().max_downloads;
        match self.0.settings.max_downloads {
            _ if !self.may_download() => 0,
            0 => all.into(),
            own => own.min(all).into(),
        }
    }

    fn row(&self) -> WorkerRow {
        let inner = &*self.0;
        WorkerRow {
            id: inner.settings.id.clone(),
            address: inner.settings.address.clone(),
            hostname: inner.settings.hostname.clone(),
            started_at: inner.started_at,
            seen_at: inner.clock.now(),
            running: inner.downloads.load(Ordering::Relaxed) + inner.others.load(Ordering::Relaxed),
            max_downloads: self.max_downloads(),
        }
    }
}
