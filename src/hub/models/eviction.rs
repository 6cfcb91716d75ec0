//! What an eviction takes, what it leaves, and how it says so.
//!
//! Of one model that which nothing else uses goes, of the store the least recently used; of pinned models nothing. The row
//! goes first, then the file: nothing is promised that is not there.
//!
//! What could not be downloaded again (files of a folder that upstream does not have, commits of a cache that it did not
//! confirm) stays, unless whoever asks for the eviction includes it: only a new import brings it back.

use std::collections::HashSet;

use super::blobs::Blobs;
use super::{Models, Result};
use crate::db::{Eviction, EvictionRule, ModelRow, UsageRow};
use crate::domain::job::{Job, NewJob, priority};
use crate::domain::{ByteSize, Digest, Millis, ModelId, Selection, Work, counted, work};
use crate::hub::Error;
use crate::hub::events::Happening;
use crate::hub::jobs::{Done, JobRun};

/// Models that a plan names.
const NAMED: u64 = 1000;

/// What an eviction would do: all in all, and to each model.
#[derive(Debug, Clone, Default)]
pub struct EvictionPlan {
    pub sums: Eviction,
    /// In the order in which they lose their first file.
    pub models: Vec<UsageRow>,
    /// Of the sums: files that no model has.
    pub unreferenced: Eviction,
}

/// What becomes of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Goes,
    /// It goes, and could not be downloaded again.
    Lost,
    /// It stays: it could not be downloaded again.
    Kept,
    /// It stays: another model uses it too.
    Shared,
}

impl Models {
    /// Starts to evict files of a model that nothing else uses.
    pub async fn enqueue_evict_model(
        &self,
        model: &ModelRow,
        revision: String,
        selection: Selection,
        include_unrecoverable: bool,
    ) -> Result<Job> {
        refuse_pinned(model)?;
        let (commit, _) = self.chosen(model, &revision, &selection).await?;
        let commit = commit.to_string();
        let work = Work::Evict(work::Evict { commit, selection, include_unrecoverable, ..work::Evict::default() });
        let (repo, repo_name) = (Some(model.id.clone()), model.key.to_string());
        self.jobs.enqueue(NewJob { work, repo, repo_name, priority: priority::WAITING }).await
    }

    /// Starts to evict files from the store.
    pub async fn enqueue_evict_store(&self, work: work::Evict) -> Result<Job> {
        check_eviction(&work)?;
        let work = Work::Evict(work);
        self.jobs.enqueue(NewJob { work, repo: None, repo_name: String::new(), priority: priority::WAITING }).await
    }

    /// Runs a job of the kind evict.
    pub async fn evict(&self, run: &JobRun, work: &work::Evict) -> Result<Done> {
        let model = run.job.repo.as_ref();
        let (mut did, mut shared, mut seen) = (Eviction::default(), 0u64, HashSet::new());
        let mut wanted = u64::MAX;
        let mut blobs = match model {
            Some(_) => {
                // The model may have been pinned after the job was added.
                refuse_pinned(&self.model_of(run).await?)?;
                self.blobs_of(run, &work.commit, &work.selection).await?
            }
            None => {
                let rule = self.rule(work);
                if rule.free_bytes > 0 {
                    wanted = rule.free_bytes;
                }
                // What is kept is not among the blobs to come.
                did.kept = self.db.eviction(&rule).await?.0.kept;
                Blobs::Evictable(rule)
            }
        };
        'pages: while let Some(page) = blobs.next(self).await? {
            let before = seen.len();
            for blob in page {
                if run.stop.is_cancelled() {
                    return Err(Error::Stopping);
                }
                if did.goes.bytes >= wanted {
                    break 'pages;
                }
                if !seen.insert(blob.digest) {
                    continue;
                }
                let fate = self.fate(blob.digest, model, work.include_unrecoverable).await?;
                match fate {
                    Fate::Goes | Fate::Lost => {
                        // Not if somebody has put another file there meanwhile.
                        if !self.store.remove(&blob).await? {
                            continue;
                        }
                    }
                    Fate::Shared => shared += 1,
                    Fate::Kept => {}
                }
                count(&mut did, fate, blob.size);
                run.update(|progress| (progress.files_done, progress.bytes_done) = (did.goes.files, did.goes.bytes));
            }
            // Only what was downloaded again meanwhile is left.
            if model.is_none() && seen.len() == before {
                break;
            }
        }
        if let Some(repo) = &run.job.repo {
            self.events.publish(Happening::Model(repo.clone()));
        }
        Ok(Done { outcome: outcome(&did, shared), changes: None })
    }

    /// What an eviction from the store would do.
    pub async fn plan_eviction(&self, work: &work::Evict) -> Result<EvictionPlan> {
        check_eviction(work)?;
        let rule = self.rule(work);
        let (sums, unreferenced) = self.db.eviction(&rule).await?;
        let models = self.db.eviction_by_repo(&rule, NAMED).await?;
        Ok(EvictionPlan { sums, models, unreferenced })
    }

    /// What an eviction of a model would do.
    pub async fn plan_model_eviction(
        &self,
        model: &ModelRow,
        revision: &str,
        selection: &Selection,
        include_unrecoverable: bool,
    ) -> Result<EvictionPlan> {
        refuse_pinned(model)?;
        let (commit, matcher) = self.chosen(model, revision, selection).await?;
        let mut blobs = Blobs::of_model(model.id.clone(), commit, matcher);
        let (mut sums, mut seen) = (Eviction::default(), HashSet::new());
        while let Some(page) = blobs.next(self).await? {
            for blob in page {
                if seen.insert(blob.digest) {
                    count(&mut sums, self.fate(blob.digest, Some(&model.id), include_unrecoverable).await?, blob.size);
                }
            }
        }
        let line = UsageRow {
            id: model.id.clone(),
            name: format!("{}{}", model.key.kind.url_prefix(), model.key.id),
            files: sums.goes.files,
            bytes: sums.goes.bytes,
            own_bytes: sums.goes.bytes,
            pinned: model.pinned,
            last_used_at: model.last_used_at,
            unrecoverable: sums.unrecoverable,
            kept: sums.kept,
        };
        Ok(EvictionPlan { sums, models: vec![line], unreferenced: Eviction::default() })
    }

    /// What an eviction of the store means now. Without an age every use is long ago, also one that a server writes down
    /// while this runs.
    fn rule(&self, work: &work::Evict) -> EvictionRule {
        let unused_since = match i64::try_from(work.unused_ms).unwrap_or(i64::MAX) {
            0 => Millis::MAX,
            unused => self.clock.now().saturating_sub(unused).saturating_add(1),
        };
        EvictionRule {
            unused_since,
            free_bytes: work.free_bytes,
            include_unrecoverable: work.include_unrecoverable,
            only: work.only.clone(),
        }
    }

    /// What becomes of a blob in an eviction of this model, or of the store.
    async fn fate(&self, digest: Digest, model: Option<&ModelId>, include_unrecoverable: bool) -> Result<Fate> {
        if let Some(model) = model
            && self.db.is_used_elsewhere(digest, model).await?
        {
            return Ok(Fate::Shared);
        }
        Ok(match (self.db.is_unrecoverable(digest).await?, include_unrecoverable) {
            (false, _) => Fate::Goes,
            (true, true) => Fate::Lost,
            (true, false) => Fate::Kept,
        })
    }
}

fn refuse_pinned(model: &ModelRow) -> Result<()> {
    if model.pinned {
        return Err(Error::Conflict(format!("{} is pinned: unpin it first", model.key)));
    }
    Ok(())
}

/// An eviction without a bound would empty the store.
fn check_eviction(work: &work::Evict) -> Result<()> {
    let refused = |field, rule: &str| Err(Error::InvalidField { field, rule: rule.to_owned() });
    match &work.only {
        None if work.free_bytes == 0 && work.unused_ms == 0 => {
            refused("free_bytes", "expected the amount to free, or how long files must be unused (unused_seconds)")
        }
        Some(only) if *only == work::Chosen::default() => {
            refused("only", "nothing chosen; expected model_ids, or unreferenced")
        }
        _ => Ok(()),
    }
}

/// Adds a blob to what an eviction does.
fn count(sums: &mut Eviction, fate: Fate, size: u64) {
    match fate {
        Fate::Shared => {}
        Fate::Kept => sums.kept.add(size),
        Fate::Goes => sums.goes.add(size),
        Fate::Lost => {
            sums.goes.add(size);
            sums.unrecoverable.add(size);
        }
    }
}

/// What an eviction did, in a sentence.
fn outcome(did: &Eviction, shared: u64) -> String {
    let files = |count| counted(count, "file");
    let mut text = format!("freed {} ({})", ByteSize(did.goes.bytes), files(did.goes.files));
    if did.unrecoverable.files > 0 {
        let lost = did.unrecoverable;
        text.push_str(&format!("; {} of them cannot be downloaded again ({})", lost.files, ByteSize(lost.bytes)));
    }
    if shared > 0 {
        text.push_str(&format!("; kept {} that other models use", files(shared)));
    }
    if did.kept.files > 0 {
        let kept = did.kept;
        text.push_str(&format!(
            "; kept {} that cannot be downloaded again ({})",
            counted(kept.files, "file"),
            ByteSize(kept.bytes)
        ));
    }
    text
}
