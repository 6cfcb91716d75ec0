//! One job, from its claim to its end.
//!
//! The job runs beside a timer that keeps its lease and reports its progress. It is stopped by an order, when
//! this process stops, when the download window closes, and when the lease is lost: then another worker has it, and
//! nothing more is written about it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Runner;
use super::ending::{self, Ending};
use crate::domain::job::{JobKind, Level};
use crate::domain::{Backoff, Work};
use crate::hub::{Done, Error, Hub, JobRun, Result, UpstreamState};

/// How often progress is recorded, the lease renewed and orders are read.
const BEAT: Duration = Duration::from_secs(1);
/// How long a job that is told to stop has to do so.
const GRACE: Duration = Duration::from_secs(10);
/// Before another try to write down how a job ended, and how many there are.
const WRITE_AGAIN: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(1));
const WRITES: u32 = 10;

impl Runner {
    pub(super) async fn work(&self, run: JobRun) {
        let (job, worker) = (&run.job, self.id());
        let (hub, clock) = (&self.0.hub, &self.0.clock);
        tracing::info!(job.id = %job.id, job.kind = job.kind().as_str(), repo = %job.repo_name, attempt = job.attempts, "a job starts");
        let text = format!("started by worker {worker} (attempt {} of {})", job.attempts, job.max_attempts);
        run.log(Level::Info, &text).await;

        // A panic of one job must not take its worker along.
        let doing = AssertUnwindSafe(carry_out(hub, &run)).catch_unwind();
        let ending = {
            tokio::pin!(doing);
            // Beside the job, never instead of it: it may hold the connection to the database that this waits for.
            let lost = self.keep_lease(&run);
            tokio::pin!(lost);
            let mut stopping = std::pin::pin!(self.0.stop.cancelled());
            let mut told = false;
            let mut deadline = None;
            loop {
                let grace = async {
                    match deadline {
                        Some(at) => clock.sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    outcome = &mut doing => break match outcome {
                        Ok(Ok(done)) => Ending::Done(done),
                        Ok(Err(error)) => Ending::Failed(error),
                        Err(_) => Ending::Panicked,
                    },
                    () = &mut stopping, if !told => {
                        told = true;
                        run.stop.cancel();
                        deadline = Some(clock.elapsed() + GRACE);
                    }
                    () = run.stop.cancelled(), if deadline.is_none() => {
                        deadline = Some(clock.elapsed() + GRACE);
                    }
                    () = grace => break Ending::Failed(Error::Stopping),
                    () = &mut lost => return,
                }
            }
        };
        self.end(&run, ending).await;
    }

    /// Renews the lease, reports the progress and watches the download window; returns when the lease is lost.
    async fn keep_lease(&self, run: &JobRun) {
        let mut beats = self.0.clock.beats(BEAT);
        let mut kept_at = self.0.clock.elapsed();
        loop {
            beats.next().await;
            if run.job.kind() == JobKind::Download && !self.may_download() {
                run.stop.cancel();
            }
            match self.0.hub.jobs.renew(run, self.id(), self.0.settings.lease).await {
                Ok(true) => kept_at = self.0.clock.elapsed(),
                Ok(false) => {
                    tracing::warn!(job.id = %run.job.id, "a job's lease was lost: stopping it");
                    return;
                }
                // A database outage of a moment is no reason to stop; an expired lease is.
                Err(error) if self.0.clock.elapsed().saturating_sub(kept_at) > self.0.settings.lease => {
                    tracing::error!(job.id = %run.job.id, %error, "a job's lease could not be kept: stopping it");
                    return;
                }
                Err(error) => tracing::warn!(job.id = %run.job.id, %error, "could not renew a job's lease yet"),
            }
        }
    }

    /// Why a run is stopped that nobody ordered to.
    fn why_suspended(&self) -> String {
        match self.0.hub.settings.get().download_hours {
            Some(hours) if !self.0.stop.is_cancelled() => {
                format!("outside the download window; resumes at {}", hours.opens())
            }
            _ => "this process is shutting down; will resume".into(),
        }
    }

    /// Records how a run ended, retrying while the database is down and the lease is ours.
    async fn end(&self, run: &JobRun, ending: Ending) {
        let settled = ending::settle(
            run,
            ending,
            &self.why_suspended(),
            matches!(self.0.hub.overview.upstream_state(), UpstreamState::Down),
            self.0.clock.now(),
        );
        if let Some((level, text)) = &settled.line {
            run.log(*level, text).await;
        }
        for attempt in 1..=WRITES {
            match self.0.hub.jobs.settle(run, self.id(), settled.end.clone()).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(job.id = %run.job.id, %error, attempt, "could not record how a job ended")
                }
            }
            self.0.clock.sleep(WRITE_AGAIN.pause(attempt)).await;
        }
    }
}

/// What each kind of job does.
fn carry_out<'a>(hub: &'a Hub, run: &'a JobRun) -> BoxFuture<'a, Result<Done>> {
    match &run.job.work {
        Work::Sync(work) => stoppable(run, hub.models.sync(run, work)).boxed(),
        Work::Download(work) => hub.models.download(run, work).boxed(),
        Work::Scan(work) => hub.models.scan(run, work).boxed(),
        Work::Verify(work) => hub.models.verify(run, work).boxed(),
        Work::Evict(work) => hub.models.evict(run, work).boxed(),
    }
}

/// For work that may be dropped anywhere.
async fn stoppable(run: &JobRun, work: impl Future<Output = Result<Done>>) -> Result<Done> {
    tokio::select! {
        outcome = work => outcome,
        () = run.stop.cancelled() => Err(Error::Stopping),
    }
}
