//! Files that are not here because the job that should have downloaded them failed.
//!
//! Nothing is kept about that: the last jobs of the model say which files each was about, and the newest that was about
//! a file speaks for it. What was dismissed says nothing any more.

use super::{Models, Result};
use crate::db::ModelRow;
use crate::domain::job::{JobFilter, JobKind, JobStatus};
use crate::domain::selection::Matcher;
use crate::domain::{Artifact, CommitId, Work};

/// Jobs of a model that are looked at.
const LOOKED_AT: u64 = 50;

/// See the module's text.
pub struct FailedDownloads {
    /// The newest first: which files a job was about, and whether it failed.
    jobs: Vec<(Matcher, bool)>,
}

impl FailedDownloads {
    /// Whether the last job about this file failed.
    pub fn have(&self, file: &Artifact) -> bool {
        self.jobs.iter().find(|(matcher, _)| matcher.matches(file)).is_some_and(|(_, failed)| *failed)
    }
}

impl Models {
    /// Of a model at a commit.
    pub async fn failed_downloads(&self, model: &ModelRow, commit: &CommitId) -> Result<FailedDownloads> {
        let filter = JobFilter {
            // What was evicted since is missing for another reason.
            kinds: vec![JobKind::Download, JobKind::Evict],
            repo: Some(model.id.clone()),
            limit: LOOKED_AT,
            ..JobFilter::default()
        };
        let mut jobs = Vec::new();
        let done = self.jobs.list(&filter).await?;
        if done.iter().all(|job| job.status != JobStatus::Failed || job.dismissed_at.is_some()) {
            return Ok(FailedDownloads { jobs });
        }
        for job in done {
            let (selection, of) = match &job.work {
                Work::Download(work) if work.commit.is_empty() => {
                    (&work.selection, self.known_commit(model, &work.revision).await.ok())
                }
                Work::Download(work) => (&work.selection, CommitId::parse(&work.commit).ok()),
                Work::Evict(work) => (&work.selection, CommitId::parse(&work.commit).ok()),
                _ => continue,
            };
            // A selection that chooses nothing, or that a later version wrote, is about no file.
            let Ok(mut matcher) = selection.matcher() else { continue };
            if of.as_ref() != Some(commit) || self.choose_quantisation(&model.id, commit, &mut matcher).await.is_err() {
                continue;
            }
            jobs.push((matcher, job.status == JobStatus::Failed && job.dismissed_at.is_none()));
        }
        Ok(FailedDownloads { jobs })
    }
}
