//! Care of the store: reading it again, and making room in it.
//!
//! Verify reads blobs and compares their hashes; a wrong one is set aside and forgotten, so that it is fetched again
//! when somebody asks for it, or has to be imported again if upstream does not have it. Evict removes blobs: of one
//! model those that nothing else uses, of the store the least recently used ones; pinned models never. The row goes
//! first, then the file: nothing is promised that is not there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::events::Happening;
use super::jobs::{Done, JobRun};
use super::pace::Pace;
use super::prefetch::Speed;
use super::{Error, Hub, Result};
use crate::db::{BlobRow, FilePage, ModelRow, UsageRow};
use crate::domain::job::{Job, JobKind, Level, NewJob, Payload, priority};
use crate::domain::{ByteSize, ContentId, Digest, Entry, Millis, Selection, counted};

const PAGE: u64 = 500;
/// A broken-off download that nothing was added to for so long is given up.
const KEEP_PARTIALS: Duration = Duration::from_secs(7 * 24 * 3600);

/// What an eviction would remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    pub files: u64,
    pub bytes: u64,
}

impl Hub {
    /// Begins to read stored files again: of a model, or all of them.
    pub async fn enqueue_verify(
        &self,
        model: Option<(&ModelRow, String, Selection)>,
        bytes_per_second: u64,
    ) -> Result<Job> {
        self.enqueue_care(JobKind::Verify, model, Payload { bytes_per_second, ..Payload::default() }).await
    }

    /// Begins to remove files of a model that nothing else uses.
    pub async fn enqueue_evict_model(&self, model: &ModelRow, revision: String, selection: Selection) -> Result<Job> {
        refuse_pinned(model)?;
        self.enqueue_care(JobKind::Evict, Some((model, revision, selection)), Payload::default()).await
    }

    /// Begins to remove the least recently used files: until `free_bytes` are freed, and only what was not used for
    /// `unused_ms`.
    pub async fn enqueue_evict_store(&self, free_bytes: u64, unused_ms: u64) -> Result<Job> {
        check_eviction(free_bytes, unused_ms)?;
        self.enqueue_care(JobKind::Evict, None, Payload { free_bytes, unused_ms, ..Payload::default() }).await
    }

    async fn enqueue_care(
        &self,
        kind: JobKind,
        model: Option<(&ModelRow, String, Selection)>,
        payload: Payload,
    ) -> Result<Job> {
        let (repo, repo_name, payload) = match model {
            None => (None, String::new(), payload),
            Some((model, revision, selection)) => {
                let commit = self.known_commit(model, &revision).await?;
                let mut matcher = selection.matcher()?;
                self.check_paths(model, &commit, &selection.paths).await?;
                self.choose_quantisation(&model.id, &commit, &mut matcher).await?;
                if !selection.is_everything() && !self.selects_any(&model.id, &commit, &matcher).await? {
                    return Err(Error::Invalid(format!("no file of {} matches the selection", model.key)));
                }
                let commit = commit.to_string();
                (Some(model.id.clone()), model.key.to_string(), Payload { commit, selection, ..payload })
            }
        };
        self.enqueue(NewJob { kind, repo, repo_name, payload, priority: priority::WAITING }).await
    }

    /// Runs a job of the kind verify.
    pub async fn verify(&self, run: &JobRun) -> Result<Done> {
        let pace = Pace::new(self.clock.clone(), run.job.payload.bytes_per_second);
        let mut speed = Speed::default();
        let (mut files, mut bytes, mut wrong, mut lost) = (0u64, 0u64, 0u64, 0u64);
        let mut blobs = self.blobs_of(run).await?;
        let totals = self.totals().await?;
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
                let store = Arc::clone(&self.store);
                let git = self.db.git_id_of(blob.digest).await?;
                let stop = run.stop.clone();
                let check = move || store.check_blob(blob.digest, blob.size, &mut || stop.is_cancelled());
                match tokio::task::spawn_blocking(check).await?? {
                    crate::blob::Check::Right => self.db.put_verified(blob.digest, self.clock.now()).await?,
                    crate::blob::Check::Stopped => return Err(Error::Stopping),
                    found @ (crate::blob::Check::Wrong | crate::blob::Check::Missing) => {
                        wrong += 1;
                        let what = if found == crate::blob::Check::Wrong {
                            "is corrupt and was quarantined"
                        } else {
                            "is missing"
                        };
                        let then = if self.db.is_upstreams(blob.digest).await? {
                            "it will be downloaded again on the next request"
                        } else {
                            lost += 1;
                            "it was imported from a folder: import it again"
                        };
                        let text = format!("sha256:{} {what}; {then}", blob.digest.to_hex());
                        run.log(Level::Error, &text).await;
                        self.forget_blob(blob.digest, git.map(ContentId::Git)).await?;
                        let (store, now) = (Arc::clone(&self.store), self.clock.now());
                        tokio::task::spawn_blocking(move || store.set_blob_aside(blob.digest, now)).await??;
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
        Ok(Done { outcome: format!("verified {}, {}", counted(files, "file"), ByteSize(bytes)), changes: None })
    }

    /// Runs a job of the kind evict.
    pub async fn evict(&self, run: &JobRun) -> Result<Done> {
        // The pin may have come after the job.
        if run.job.repo.is_some() {
            refuse_pinned(&self.model_of(run).await?)?;
        }
        let (mut room, mut kept) = (Room::default(), 0u64);
        let wanted = match (run.job.repo.is_some(), run.job.payload.free_bytes) {
            (false, bytes) if bytes > 0 => bytes,
            _ => u64::MAX,
        };
        let mut blobs = self.blobs_of(run).await?;
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
                self.remove_blob(blob.digest).await?;
                room.files += 1;
                room.bytes += blob.size;
                run.update(|progress| (progress.files_done, progress.bytes_done) = (room.files, room.bytes));
            }
        }
        let kept =
            if kept > 0 { format!("; kept {} that other models use", counted(kept, "file")) } else { String::new() };
        if let Some(repo) = &run.job.repo {
            self.events.publish(Happening::Model(repo.clone()));
        }
        Ok(Done {
            outcome: format!("freed {} ({}){kept}", ByteSize(room.bytes), counted(room.files, "file")),
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
        let hub = self.clone();
        let remove = move || {
            for content in hub.store.stale_partials(KEEP_PARTIALS)? {
                let removed = hub.flights.unless_flying(content, || hub.store.remove_partial(content));
                if removed.transpose()? == Some(true) {
                    tracing::info!(blob.content = %content, "removed a download that was not resumed for a week");
                }
            }
            Ok(())
        };
        tokio::task::spawn_blocking(remove).await?
    }

    /// Removes a blob. Who reads it now reads to the end.
    pub(super) async fn remove_blob(&self, digest: Digest) -> Result<()> {
        let git = self.db.git_id_of(digest).await?;
        self.forget_blob(digest, git.map(ContentId::Git)).await?;
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || store.remove_blob(digest)).await??;
        Ok(())
    }

    /// From now on nobody takes this blob for granted.
    async fn forget_blob(&self, digest: Digest, git: Option<ContentId>) -> Result<()> {
        self.db.delete_blob(digest).await?;
        self.blobs.invalidate(&ContentId::Sha256(digest));
        if let Some(git) = git {
            self.blobs.invalidate(&git);
        }
        self.open_files.invalidate(&digest);
        self.forget_stamps();
        self.stored_bytes.store(self.db.store_totals().await?.bytes, Ordering::Relaxed);
        Ok(())
    }

    /// The blobs that a job is about.
    async fn blobs_of(&self, run: &JobRun) -> Result<Blobs> {
        let payload = &run.job.payload;
        if run.job.repo.is_none() {
            let evict = run.job.kind == JobKind::Evict;
            let unused_since = evict.then(|| self.unused_since(payload.unused_ms));
            return Ok(Blobs { of: Of::Store { after: None, unused_since }, known: None });
        }
        let model = self.model_of(run).await?;
        let commit = self.known_commit(&model, &payload.commit).await?;
        let mut matcher = payload.selection.matcher()?;
        self.choose_quantisation(&model.id, &commit, &mut matcher).await?;
        Ok(Blobs { of: Of::Model { model: model.id, commit, matcher, after: String::new() }, known: None })
    }
}

fn refuse_pinned(model: &ModelRow) -> Result<()> {
    if model.pinned {
        return Err(Error::Conflict(format!("{} is pinned: unpin it first", model.key)));
    }
    Ok(())
}

/// An eviction without any bound would empty the store.
fn check_eviction(free_bytes: u64, unused_ms: u64) -> Result<()> {
    if free_bytes == 0 && unused_ms == 0 {
        let rule = "expected the amount to free, or how long files must be unused (unused_seconds)".to_owned();
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
    async fn next(&mut self, hub: &Hub) -> Result<Option<Vec<BlobRow>>> {
        match &mut self.of {
            Of::Store { after, unused_since: None } => {
                let page = hub.db.blob_page(*after, PAGE).await?;
                *after = page.last().map(|blob| blob.digest);
                Ok((!page.is_empty()).then_some(page))
            }
            // What was evicted is gone from the next page.
            Of::Store { unused_since: Some(since), .. } => {
                let page = hub.db.evictable(*since, PAGE).await?;
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
                let rows = hub.db.file_page(model, commit, &page).await?;
                let Some(last) = rows.last() else { return Ok(None) };
                *after = last.entry.path().to_string();
                let blobs = rows.into_iter().filter_map(|row| match (row.entry, row.stored) {
                    (Entry::File(file), Some(digest)) if matcher.matches(&file) => {
                        Some(BlobRow { digest, size: file.size })
                    }
                    _ => None,
                });
                Ok(Some(blobs.collect()))
            }
        }
    }
}
