//! Stored bytes verified, and abandoned downloads removed.
//!
//! Verify reads blobs and compares their hashes; a corrupt one is quarantined and dropped, so that it is downloaded again
//! on the next request, or has to be imported again if upstream does not have it.

use std::time::Duration;

use super::blobs::Blobs;
use super::speed::Speed;
use super::{Models, Result};
use crate::blob::Check;
use crate::db::{BlobRow, ModelRow};
use crate::domain::job::{Job, Level, NewJob, priority};
use crate::domain::{ByteSize, Selection, Work, counted, work};
use crate::hub::Error;
use crate::hub::jobs::{Done, JobRun};
use crate::hub::pace::Pace;

/// How long a partial download that makes no progress is kept.
const KEEP_PARTIALS: Duration = Duration::from_secs(7 * 24 * 3600);

/// Damaged files that the error of a verification names; its log names all.
const NAMED: usize = 5;
/// Files of one content that are named.
const NAMED_FILES: u64 = 2;

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

    /// Runs a job of the kind verify.
    pub async fn verify(&self, run: &JobRun, work: &work::Verify) -> Result<Done> {
        let pace = Pace::new(self.clock.clone(), work.bytes_per_second);
        let mut speed = Speed::default();
        let (mut files, mut bytes, mut wrong, mut lost) = (0u64, 0u64, 0u64, 0u64);
        let mut named = Vec::new();
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
                pace.take(usize::try_from(blob.size).unwrap_or(usize::MAX)).await;
                let stop = run.stop.clone();
                match self.store.check(&blob, move || stop.is_cancelled()).await? {
                    Check::Right => {}
                    Check::Stopped => return Err(Error::Stopping),
                    found @ (Check::Wrong | Check::Missing) => {
                        // Both before it is gone.
                        let is_lost = self.db.is_unrecoverable(blob.digest).await?;
                        let name = self.name_of(&blob).await?;
                        // Not if somebody has put another file there meanwhile: that one was not looked at.
                        if self.store.quarantine(&blob).await? {
                            wrong += 1;
                            lost += u64::from(is_lost);
                            run.log(Level::Error, &damage(&blob, &name, found, is_lost)).await;
                            if named.len() < NAMED {
                                named.push(name);
                            }
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
        if wrong > 0 {
            return Err(Error::Damaged { files: wrong, lost, named });
        }
        Ok(Done { outcome: format!("verified {}, {}", counted(files, "file"), ByteSize(bytes)), changes: None })
    }

    /// What people call a blob: the files that have its content.
    async fn name_of(&self, blob: &BlobRow) -> Result<String> {
        let mut files = self.db.files_of_blob(blob.digest, NAMED_FILES + 1).await?;
        if files.is_empty() {
            return Ok(format!("a file of no known model (sha256:{})", blob.digest.to_hex()));
        }
        let more = if files.len() as u64 > NAMED_FILES { " and others" } else { "" };
        files.truncate(NAMED_FILES as usize);
        let names: Vec<String> = files.iter().map(|(repo, path)| format!("{path} of {repo}")).collect();
        Ok(format!("{}{more}", names.join(" and ")))
    }

    /// Removes partial downloads that were not resumed for a week.
    pub async fn remove_stale_partials(&self) -> Result<()> {
        let flights = self.flights.clone();
        self.store
            .remove_stale_partials(KEEP_PARTIALS, move |content, remove| flights.unless_flying(content, remove))
            .await
    }
}

fn damage(blob: &BlobRow, name: &str, found: Check, is_lost: bool) -> String {
    let what = if found == Check::Wrong { "has wrong bytes and was quarantined" } else { "is missing" };
    let then = match is_lost {
        true => "it was imported from a folder: import it again",
        false => "it will be downloaded again on the next request",
    };
    format!("{name}: sha256:{} {what}; {then}", blob.digest.to_hex())
}
