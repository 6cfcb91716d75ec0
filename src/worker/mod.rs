//! The edge where time and the queue come in: claims jobs, lets `hub` do them, and writes down how they ended.
//!
//! `Runner::run` claims while there is room → each job runs as a task of its own under a lease that is renewed
//! (`lease.rs`) → how it ended decides what becomes of it (`ending.rs`). A second loop does what comes with time:
//! jobs of workers that are gone, syncs that are due, opening hours (`schedule.rs`).

mod ending;
mod lease;
mod schedule;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::Clock;
use crate::domain::job::JobKind;
use crate::hub::WorkerRow;
use crate::hub::{Hub, JobRun, Result};

/// Without a word from the queue it is looked at this often: another process may have added a job.
const POLL: Duration = Duration::from_secs(1);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A job whose worker was silent for this long goes to another one.
    pub lease: Duration,
    /// Jobs at once, besides downloads.
    pub others: usize,
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
    id: String,
    started_at: i64,
    tasks: TaskTracker,
    stop: CancellationToken,
    downloads: AtomicU64,
    others: AtomicU64,
}

impl Runner {
    pub fn new(hub: Hub, clock: Clock, settings: Settings) -> Self {
        let (id, started_at) = (uuid::Uuid::now_v7().to_string(), clock.now());
        Self(Arc::new(Inner {
            hub,
            clock,
            settings,
            id,
            started_at,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            downloads: AtomicU64::new(0),
            others: AtomicU64::new(0),
        }))
    }

    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Runs jobs until `stop`; returns when all are put down, to be gone on with later.
    pub async fn run(&self) {
        let schedule = self.keep_time();
        let claim = self.claim_jobs();
        tokio::join!(schedule, claim);
        self.0.tasks.close();
        self.0.tasks.wait().await;
        if let Err(error) = self.0.hub.note_worker(&self.0.id, None).await {
            tracing::debug!(%error, "could not sign off");
        }
    }

    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    async fn claim_jobs(&self) {
        let Inner { hub, clock, stop, .. } = &*self.0;
        loop {
            // Armed before looking, so that a job that is added meanwhile is not overslept.
            let added = hub.job_added();
            tokio::pin!(added);
            added.as_mut().enable();
            match self.claim_next().await {
                Ok(Some(run)) => self.start(run),
                Ok(None) => {
                    tokio::select! { () = stop.cancelled() => {}, () = added => {}, () = clock.sleep(POLL) => {} }
                }
                Err(error) => {
                    tracing::error!(%error, "could not look for jobs");
                    tokio::select! { () = stop.cancelled() => {}, () = clock.sleep(POLL) => {} }
                }
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// The next job that there is room for.
    async fn claim_next(&self) -> Result<Option<JobRun>> {
        let Inner { hub, settings, id, downloads, others, .. } = &*self.0;
        let mut kinds = Vec::new();
        let may_download = self.may_download();
        if may_download && downloads.load(Ordering::Relaxed) < u64::from(hub.live().max_downloads) {
            kinds.push(JobKind::Download);
        }
        if (others.load(Ordering::Relaxed) as usize) < settings.others {
            kinds.extend(JobKind::ALL.iter().copied().filter(|kind| *kind != JobKind::Download));
        }
        if kinds.is_empty() {
            return Ok(None);
        }
        hub.claim_job(id, &kinds, settings.lease).await
    }

    fn start(&self, run: JobRun) {
        let is_download = run.job.kind == JobKind::Download;
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

    fn row(&self) -> WorkerRow {
        let inner = &*self.0;
        WorkerRow {
            id: inner.id.clone(),
            address: inner.settings.address.clone(),
            hostname: inner.settings.hostname.clone(),
            started_at: inner.started_at,
            seen_at: inner.clock.now(),
            running: inner.downloads.load(Ordering::Relaxed) + inner.others.load(Ordering::Relaxed),
        }
    }
}
