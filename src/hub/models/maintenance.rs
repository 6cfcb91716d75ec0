//! Care of the store: reading it again, and making room in it.
//!
//! Verify reads blobs and compares their hashes; a wrong one is set aside and forgotten, so that it is fetched again
//! when somebody asks for it, or has to be imported again if upstream does not have it. Evict removes blobs: of one
//! model those that nothing else uses, of the store the least recently used ones; pinned models never. The row goes
//! first, then the file: nothing is promised that is not there.

use std::time::Duration;

use super::speed::Speed;
use super::{Models, Result};
use crate::blob::Check;
use crate::db::{BlobRow, FilePage, ModelRow, UsageRow};
use crate::domain::job::{Job, Level, NewJob, priority};
use crate::domain::{ByteSize, Digest, Entry, Millis, Selection, Work, work};
use crate::hub::Error;
use crate::hub::events::Happening;
use crate::hub::jobs::{Done, JobRun};
use crate::hub::pace::Pace;

const PAGE: u64 = 500;
/// A broken-off download that nothing was added to for so long is given up.
const KEEP_PARTIALS: Duration = Duration::from_secs(7 * 24 * 3600);

/// What an eviction would remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    pub files: u64,
    pub bytes: u64,
}

/// What a job cares for: selected files of a model's commit, or the whole store if all is empty.
#[derive(Default)]
struct Files {
    repo: Option<String>,
    repo_name: String,
    commit: String,
    selection: Selection,
}

impl Models {
    /// Begins to read stored files again: of a model, or all of them.
    pub async fn enqueue_verify(
        &self,
        model: Option<(&ModelRow, String, Selection)>,
        bytes_per_second: u64,
    ) -> Result<Job> {
        let Files { repo, repo_name, commit, selection } = self.files_of(model).await?;
        let work = Work::Verify(work::Verify { commit, selection, bytes_per_second });
        self.jobs.enqueue(NewJob { work, repo, repo_name, priority: priority::WAITING }).await
    }

    /// Begins to remove files of a model that nothing else uses.
    pub async fn enqueue_evict_model(&self, model: &ModelRow, revision: String, selection: Selection) -> Result<Job> {
        refuse_pinned(model)?;
        let Files { repo, repo_name, commit, selection } = self.files_of(Some((model, revision, selection))).await?;
        let work = Work::Evict(work::Evict { commit, selection, ..work::Evict::default() });
        self.jobs.enqueue(NewJob { work, repo, repo_name, priority: priority::WAITING }).await
    }

    /// Begins to remove the least recently used files: until `free_bytes` are freed, and only what was not used for
    /// `unused_ms`.
    pub async fn enqueue_evict_store(&self, free_bytes: u64, unused_ms: u64) -> Result<Job> {
        check_eviction(free_bytes, unused_ms)?;
        let work = Work::Evict(work::Evict { free_bytes, unused_ms, ..work::Evict::default() });
        self.jobs.enqueue(NewJob { work, repo: None, repo_name: String::new(), priority: priority::WAITING }).await
    }

    /// Which files are meant, of a model or of the store; a selection of none is refused.
    async fn files_of(&self, model: Option<(&ModelRow, String, Selection)>) -> Result<Files> {
        let Some((model, revision, selection)) = model else { return Ok(Files::default()) };
        let commit = self.known_commit(model, &revision).await?;
        let mut matcher = selection.matcher()?;
        self.check_paths(model, &commit, &selection.paths).await?;
        self.choose_quantisation(&model.id, &commit, &mut matcher).await?;
        if !selection.is_everything() && !self.selects_any(&model.id, &commit, &matcher).await? {
            return Err(Error::Invalid(format!("no file of {} matches the selection", model.key)));
        }
        let (repo, repo_name) = (Some(model.id.clone()), model.key.to_string());
        Ok(Files { repo, repo_name, commit: commit.to_string(), selection })
    }

    /// Runs a job of the kind verify.
    pub async fn verify(&self, run: &JobRun, work: &work::Verify) -> Result<Done> {
        let pace = Pace::new(self.clock.clone(), work.bytes_per_second);
        let mut speed = Speed::default();
        let (mut files, mut bytes, mut wrong, mut lost) = (0u64, 0u64, 0u64, 0u64);
        let mut blobs = self.blobs_of(run, &work.commit, &work.selection, None).await?;
        let totals = self.store.totals().await?;
        run.update(|progress| {
            progress.files_total = blobs.known.map_or(totals.blobs, |known| known.files);
            progress.bytes_total = blobs.known.map_or(totals.bytes, |known| known.bytes);
        });
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
                        let is_upstreams = self.db.is_upstreams(blob.digest).await?;
                        // Not if somebody has put another file there meanwhile: that one was not looked at.
                        if self.store.quarantine(&blob).await? {
                            wrong += 1;
                            lost += u64::from(!is_upstreams);
                            run.log(Level::Error, &damage(&blob, found, is_upstreams)).await;
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
            return Err(Error::Damaged { files: wrong, lost });
        }
        Ok(Done { outcome: format!("{files} files are as they should be, {}", ByteSize(bytes)), changes: None })
    }

    /// Runs a job of the kind evict.
    pub async fn evict(&self, run: &JobRun, work: &work::Evict) -> Result<Done> {
        // The pin may have come after the job.
        if run.job.repo.is_some() {
            refuse_pinned(&self.model_of(run).await?)?;
        }
        let (mut room, mut kept) = (Room::default(), 0u64);
        let wanted = match (run.job.repo.is_some(), work.free_bytes) {
            (false, bytes) if bytes > 0 => bytes,
            _ => u64::MAX,
        };
        let unused_since = Some(self.unused_since(work.unused_ms));
        let mut blobs = self.blobs_of(run, &work.commit, &work.selection, unused_since).await?;
        'pages: while let Some(page) = blobs.next(self).await? {
            for blob in page {
                if run.stop.is_cancelled() {
                    return Err(Error::Stopping);
                }
                if room.bytes >= wanted {
                    break 'pages;
                }
                if let Some(repo) = &run.job.repo
                    && self.db.is_used_elsewhere(blob.digest, repo).await?
                {
                    kept += 1;
                    continue;
                }
                if !self.store.remove(&blob).await? {
                    continue;
                }
                room.files += 1;
                room.bytes += blob.size;
                run.update(|progress| (progress.files_done, progress.bytes_done) = (room.files, room.bytes));
            }
        }
        let kept = if kept > 0 { format!("; {kept} stay because other models use them") } else { String::new() };
        if let Some(repo) = &run.job.repo {
            self.events.publish(Happening::Model(repo.clone()));
        }
        let files = if room.files == 1 { "file" } else { "files" };
        Ok(Done {
            outcome: format!("{} {files} left the store, {}{kept}", room.files, ByteSize(room.bytes)),
            changes: None,
        })
    }

    /// What an eviction from the store would remove, and what each model would lose.
    pub async fn plan_eviction(&self, free_bytes: u64, unused_ms: u64) -> Result<(Room, Vec<UsageRow>)> {
        check_eviction(free_bytes, unused_ms)?;
        let (files, bytes, models) = self.db.eviction(self.unused_since(unused_ms), free_bytes, 1000).await?;
        Ok((Room { files, bytes }, models))
    }

    fn unused_since(&self, unused_ms: u64) -> Millis {
        self.clock.now().saturating_sub(i64::try_from(unused_ms).unwrap_or(i64::MAX)).saturating_add(1)
    }

    /// Removes what arrived of files that nobody has gone on with for a week.
    pub async fn remove_stale_partials(&self) -> Result<()> {
        let flights = self.flights.clone();
        self.store
            .remove_stale_partials(KEEP_PARTIALS, move |content, remove| flights.unless_flying(content, remove))
            .await
    }

    /// The blobs that a job is about: of its model those that are selected, of the store all, or those that were not used
    /// for a while.
    async fn blobs_of(
        &self,
        run: &JobRun,
        commit: &str,
        selection: &Selection,
        unused_since: Option<Millis>,
    ) -> Result<Blobs> {
        if run.job.repo.is_none() {
            return Ok(Blobs { of: Of::Store { after: None, unused_since }, known: None });
        }
        let model = self.model_of(run).await?;
        let commit = self.known_commit(&model, commit).await?;
        let mut matcher = selection.matcher()?;
        self.choose_quantisation(&model.id, &commit, &mut matcher).await?;
        Ok(Blobs { of: Of::Model { model: model.id, commit, matcher, after: String::new() }, known: None })
    }
}

fn damage(blob: &BlobRow, found: Check, is_upstreams: bool) -> String {
    let what = if found == Check::Wrong { "has wrong bytes and was quarantined" } else { "is missing" };
    let then = match is_upstreams {
        true => "it is fetched again when it is asked for",
        false => "it is known from a folder only: import that again",
    };
    format!("sha256:{} {what}; {then}", blob.digest.to_hex())
}

fn refuse_pinned(model: &ModelRow) -> Result<()> {
    if model.pinned {
        return Err(Error::Conflict(format!("{} is pinned: take the pin away first", model.key)));
    }
    Ok(())
}

/// An eviction without any bound would empty the store.
fn check_eviction(free_bytes: u64, unused_ms: u64) -> Result<()> {
    if free_bytes == 0 && unused_ms == 0 {
        let rule = "say how much to free, or how long unused files must be (unused_seconds)".to_owned();
        return Err(Error::InvalidField { field: "free_bytes", rule });
    }
    Ok(())
}

/// Blobs, page by page.
struct Blobs {
    of: Of,
    known: Option<Room>,
}

enum Of {
    Store { after: Option<Digest>, unused_since: Option<Millis> },
    Model { model: String, commit: crate::domain::CommitId, matcher: crate::domain::selection::Matcher, after: String },
}

impl Blobs {
    async fn next(&mut self, models: &Models) -> Result<Option<Vec<BlobRow>>> {
        match &mut self.of {
            Of::Store { after, unused_since: None } => {
                let page = models.db.blob_page(*after, PAGE).await?;
                *after = page.last().map(|blob| blob.digest);
                Ok((!page.is_empty()).then_some(page))
            }
            // What was evicted is gone from the next page.
            Of::Store { unused_since: Some(since), .. } => {
                let page = models.db.evictable(*since, PAGE).await?;
                Ok((!page.is_empty()).then_some(page))
            }
            Of::Model { model, commit, matcher, after } => {
                let page = FilePage {
                    flat: true,
                    stored: Some(true),
                    after: after.clone(),
                    limit: PAGE,
                    ..FilePage::default()
                };
                let rows = models.db.file_page(model, commit, &page).await?;
                let Some(last) = rows.last() else { return Ok(None) };
                *after = last.entry.path().to_string();
                let mut blobs = Vec::new();
                for row in rows {
                    if let (Entry::File(file), Some(digest)) = (row.entry, row.stored)
                        && matcher.matches(&file)
                    {
                        blobs.extend(models.store.row(digest, file.size).await?);
                    }
                }
                Ok(Some(blobs))
            }
        }
    }
}
