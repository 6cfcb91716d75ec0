//! Stored bytes verified, and abandoned downloads removed.
//!
//! Verify reads blobs and compares their hashes; a corrupt one is quarantined and dropped, and downloaded again if upstream
//! has it (`recovery`).

use std::time::Duration;

use super::blobs::Blobs;
use super::recovery::{Damages, Harm};
use super::speed::Speed;
use super::{Models, Result};
use crate::blob::Check;
use crate::db::ModelRow;
use crate::domain::job::{Job, Level, NewJob, priority};
use crate::domain::{ByteSize, Selection, Work, counted, work};
use crate::hub::Error;
use crate::hub::jobs::{Done, JobRun};
use crate::hub::pace::Pace;

/// How long a partial download that makes no progress is kept.
const KEEP_PARTIALS: Duration = Duration::from_secs(7 * 24 * 3600);

impl Models {
    /// Starts to verify stored files: of a model, or all of them.
    pub async fn enqueue_verify(
        &self,
        model: Option<(&ModelRow, String, Selection)>,
        bytes_per_second: u64,
    ) -> Result<Job> {
        let mut work = work::Verify { bytes_per_second, ..work::Verify::default() };
        let (mut repo, mut repo_name) = (None, String::new());
        if let Some((model, revision, selection)) = model {
            let (commit, _) = self.chosen(model, &revision, &selection).await?;
            (work.commit, work.selection) = (commit.to_string(), selection);
            (repo, repo_name) = (Some(model.id.clone()), model.key.to_string());
        }
        let work = Work::Verify(work);
        self.jobs.enqueue(NewJob { work, repo, repo_name, priority: priority::WAITING }).await
    }

    /// Runs a job of the kind verify. It fails if anything is damaged, so that people see it.
    pub async fn verify(&self, run: &JobRun, work: &work::Verify) -> Result<Done> {
        let mut damages = Damages::default();
        let verified = self.verify_blobs(run, work, &mut damages).await;
        // Also if it was stopped: the next run does not find these any more.
        self.order_again(run, &mut damages).await;
        let (files, bytes) = verified?;
        if let Some(error) = damages.error() {
            return Err(error);
        }
        Ok(Done { outcome: format!("verified {}, {}", counted(files, "file"), ByteSize(bytes)), changes: None })
    }

    /// Verifies one after the other; how many files and bytes were read.
    async fn verify_blobs(&self, run: &JobRun, work: &work::Verify, damages: &mut Damages) -> Result<(u64, u64)> {
        let pace = Pace::new(self.clock.clone(), work.bytes_per_second);
        let mut speed = Speed::default();
        let (mut files, mut bytes) = (0u64, 0u64);
        let mut blobs = match run.job.repo {
            Some(_) => self.blobs_of(run, &work.commit, &work.selection).await?,
            None => Blobs::Store(None),
        };
        let totals = self.store.totals().await?;
        run.update(|progress| (progress.files_total, progress.bytes_total) = (totals.blobs, totals.bytes));
        while let Some(page) = blobs.next(self).await? {
            for blob in page {
                if run.stop.is_cancelled() {
                    return Err(Error::Stopping);
                }
                // What was found so far is still to be ordered, within the time that a job has to stop.
                tokio::select! {
                    () = pace.take(usize::try_from(blob.size).unwrap_or(usize::MAX)) => {}
                    () = run.stop.cancelled() => return Err(Error::Stopping),
                }
                let stop = run.stop.clone();
                match self.store.check(&blob, move || stop.is_cancelled()).await? {
                    Check::Right => {}
                    Check::Stopped => return Err(Error::Stopping),
                    found @ (Check::Wrong | Check::Missing) => {
                        let harm = if found == Check::Wrong { Harm::Wrong } else { Harm::Missing };
                        let damage = self.damage_of(&blob).await?;
                        // Not if somebody has put another file there meanwhile: that one was not looked at.
                        if self.store.quarantine(&blob).await? {
                            let text = damages.note(&blob, harm, damage);
                            run.log(Level::Error, &text).await;
                        }
                        if damages.is_full() {
                            self.order_again(run, damages).await;
                        }
                    }
                }
                (files, bytes) = (files + 1, bytes + blob.size);
                let bytes_per_second = speed.note(self.clock.elapsed(), bytes);
                run.update(|progress| {
                    (progress.files_done, progress.bytes_done) = (files, bytes);
                    progress.bytes_per_second = bytes_per_second;
                });
            }
        }
        Ok((files, bytes))
    }

    async fn order_again(&self, run: &JobRun, damages: &mut Damages) {
        for (level, text) in self.order(damages).await {
            run.log(level, &text).await;
        }
    }

    /// Removes partial downloads that were not resumed for a week.
    pub async fn remove_stale_partials(&self) -> Result<()> {
        let flights = self.flights.clone();
        self.store
            .remove_stale_partials(KEEP_PARTIALS, move |content, remove| flights.unless_flying(content, remove))
            .await
    }
}
