//! Models as people handle them: register, look up, list, pin, forget.

use std::collections::HashSet;
use std::sync::Arc;

use super::events::Happening;
use super::jobs::MAX_ATTEMPTS;
use super::{Caller, Error, Hub, Need, Result};
use crate::db::{FilePage, FileRow, ModelFilter, ModelRow, Registration};
use crate::domain::job::{Job, JobKind, NewJob, Payload, priority};
use crate::domain::{CommitId, Millis, RepoKey, Revision};

/// Files looked at together.
const PAGE: u64 = 1000;
/// Repositories counted again before a list is given.
const RECOUNTED: u64 = 200;

impl Hub {
    /// Makes a repository known here and begins to sync it, by the job with this id, which may have ended already.
    /// Registering again changes what is given, and syncs again only if that has a point.
    pub async fn register(
        &self,
        key: &RepoKey,
        revision: Option<&Revision>,
        sync_every_ms: Option<u64>,
    ) -> Result<(ModelRow, Option<String>)> {
        // By an older name it is the repository that has another one now.
        let known = self.db.model_named(key).await?.map(|row| row.key);
        let key = known.as_ref().unwrap_or(key);
        let job = NewJob {
            kind: JobKind::Sync,
            repo: None,
            repo_name: key.to_string(),
            payload: Payload::default(),
            priority: priority::WAITING,
        };
        let (repo_id, job_id) = (uuid::Uuid::now_v7().to_string(), uuid::Uuid::now_v7().to_string());
        let registration = Registration {
            key,
            revision: revision.map(Revision::as_str),
            sync_every_ms,
            new_id: &repo_id,
            job: Some((&job, &job_id, MAX_ATTEMPTS)),
            now: self.clock.now(),
        };
        let (id, job, again) = self.db.register(&registration).await?;
        if let Some(job) = &job {
            self.announce(job);
        }
        if !again {
            self.note("model.registered", format!("registered {key}"), &key.to_string(), None).await;
        }
        self.events.publish(Happening::Model(id.clone()));
        Ok((self.model_by_id(&id).await?, job.map(|job| job.id)))
    }

    /// A model by its id, or by its name with or without a kind.
    pub async fn model(&self, named: &str) -> Result<ModelRow> {
        self.db.recount_models(RECOUNTED).await?;
        if let Ok(id) = uuid::Uuid::parse_str(named) {
            return self.model_by_id(&id.hyphenated().to_string()).await;
        }
        let key = RepoKey::parse(named)?;
        let known = self.db.model_named(&key).await?;
        known.ok_or_else(|| Error::NoSuch { what: format!("model {key} not found; register it first") })
    }

    async fn model_by_id(&self, id: &str) -> Result<ModelRow> {
        let known = self.db.model(id).await?;
        known.ok_or_else(|| Error::NoSuch { what: format!("model with id {id} not found") })
    }

    /// One page of models, and how many there are on all pages.
    pub async fn models(&self, filter: &ModelFilter) -> Result<(Vec<ModelRow>, u64)> {
        self.db.recount_models(RECOUNTED).await?;
        Ok(self.db.models(filter).await?)
    }

    /// The live job of a model, if there is one.
    pub async fn live_job_of(&self, model: &str) -> Result<Option<String>> {
        Ok(self.db.live_job_of(model).await?)
    }

    pub async fn pin_model(&self, model: &ModelRow, pinned: Option<bool>, every_ms: Option<u64>) -> Result<ModelRow> {
        self.db.put_pinned(&model.id, pinned, every_ms).await?;
        self.events.publish(Happening::Model(model.id.clone()));
        self.model_by_id(&model.id).await
    }

    /// Forgets a model: what is known of it, and its place in lists. Its bytes stay until they are evicted.
    pub async fn forget_model(&self, model: &ModelRow) -> Result<()> {
        if let Some(job) = self.db.live_job_of(&model.id).await? {
            return Err(Error::Conflict(format!("job {job} is running on {}; cancel it first", model.key)));
        }
        self.db.delete_model(&model.id).await?;
        self.forget_repo(&model.key);
        self.note("model.removed", format!("removed {} from the list", model.key), &model.key.to_string(), None).await;
        self.events.publish(Happening::Model(model.id.clone()));
        Ok(())
    }

    /// Begins to read refs and files from upstream again.
    pub async fn enqueue_sync(&self, model: &ModelRow, revision: Option<&Revision>) -> Result<Job> {
        let revision = revision.map_or_else(|| model.revision.clone(), Revision::to_string);
        self.enqueue(NewJob {
            kind: JobKind::Sync,
            repo: Some(model.id.clone()),
            repo_name: model.key.to_string(),
            payload: Payload { revision, ..Payload::default() },
            priority: priority::WAITING,
        })
        .await
    }

    /// The commit of a model that is meant: a revision's, as far as it is known here.
    pub async fn known_commit(&self, model: &ModelRow, revision: &str) -> Result<CommitId> {
        let revision = if revision.is_empty() { model.revision.as_str() } else { revision };
        let known = match Revision::parse(revision)? {
            Revision::Commit(commit) => self.db.knows_commit(&model.id, &commit).await?.then_some(commit),
            Revision::Named(name) => self.db.pin(&model.id, &name).await?.map(|pin| pin.commit),
        };
        let what = || format!("revision {revision} of {} not found; sync the model first", model.key);
        known.ok_or_else(|| Error::NoSuch { what: what() })
    }

    /// Refuses paths that are neither files nor folders of a model at a commit.
    pub async fn check_paths(&self, model: &ModelRow, commit: &CommitId, paths: &[String]) -> Result<()> {
        let mut missing: HashSet<&str> = paths.iter().map(|path| path.trim_end_matches('/')).collect();
        let mut page = FilePage { flat: true, limit: PAGE, ..FilePage::default() };
        while !missing.is_empty() {
            let rows = self.db.file_page(&model.id, commit, &page).await?;
            let Some(last) = rows.last() else { break };
            page.after = last.entry.path().to_string();
            for row in &rows {
                let path = row.entry.path().as_str();
                missing.remove(path);
                for (end, _) in path.match_indices('/') {
                    missing.remove(&path[..end]);
                }
            }
        }
        match missing.into_iter().min() {
            None => Ok(()),
            Some(path) => {
                let short = &commit.as_str()[..12];
                Err(Error::NoSuch { what: format!("file or folder {path} not found in {} at {short}", model.key) })
            }
        }
    }

    /// The names that are known of a model's commits, and whether all files of each are listed.
    pub async fn revisions(&self, model: &ModelRow) -> Result<Vec<(crate::db::Pin, bool)>> {
        let mut revisions = Vec::new();
        for pin in self.db.pins(&model.id).await? {
            let listed = self.db.tree_is_complete(&model.id, &pin.commit).await?;
            revisions.push((pin, listed));
        }
        Ok(revisions)
    }

    /// One page of a model's files.
    pub async fn model_files(&self, model: &ModelRow, commit: &CommitId, page: &FilePage) -> Result<Vec<FileRow>> {
        Ok(self.db.file_page(&model.id, commit, page).await?)
    }

    /// The stored files of a model that were used last, the latest first: path, size and time.
    pub async fn last_used_files(
        &self,
        model: &ModelRow,
        commit: &CommitId,
        limit: u64,
    ) -> Result<Vec<(String, u64, Millis)>> {
        // Those of the last seconds are not written down yet.
        self.flush_uses().await;
        Ok(self.db.last_used_files(&model.id, commit, limit).await?)
    }

    /// Where a blob's file is on this machine.
    pub fn local_path(&self, digest: crate::domain::Digest) -> String {
        self.store.blob_path(digest).display().to_string()
    }

    /// The file of a model at a revision, for reading a part of it.
    pub async fn read_start(
        &self,
        model: &ModelRow,
        commit: &CommitId,
        path: &crate::domain::RepoPath,
        most: u64,
    ) -> Result<(Vec<u8>, u64)> {
        let target =
            super::Target { repo: model.key.clone(), revision: Revision::Commit(commit.clone()), path: path.clone() };
        let caller = Caller::owner();
        let resolved = self.resolve(&caller, &target).await?;
        let size = resolved.artifact.size;
        self.read_file_start(&caller, &resolved, most.min(size)).await.map(|bytes| (bytes, size))
    }

    async fn read_file_start(&self, caller: &Caller, resolved: &super::Resolved, most: u64) -> Result<Vec<u8>> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let range = crate::domain::ByteRange::parse(&format!("bytes=0-{}", most - 1));
        let Some(body) = self.open(caller, resolved, range).await? else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        let failed = |error: &dyn std::fmt::Display| Error::BadUpstream(format!("cannot read the file: {error}"));
        match body.opened {
            super::Opened::Stored(stored) => {
                let file = Arc::clone(&stored.file);
                let read = crate::blob::read_at(&file, body.range.start, most as usize).await;
                bytes.extend_from_slice(&read.map_err(|error| failed(&error))?);
            }
            super::Opened::Arriving(mut reader) => {
                while let Some(piece) = reader.next(most - bytes.len() as u64).await {
                    bytes.extend_from_slice(&piece.map_err(|error| failed(&error))?);
                    if bytes.len() as u64 >= most {
                        break;
                    }
                }
            }
            super::Opened::Passing(_) => return Err(Error::NoSpace),
        }
        Ok(bytes)
    }

    /// What upstream says of a repository now, without registering it: its commit, and whether its files are listed.
    pub async fn look_up_repo(&self, key: &RepoKey, revision: &Revision) -> Result<super::Pinned> {
        let caller = Caller::owner();
        let pinned = self.pin(&caller, key, revision, Need::Metadata).await?;
        self.keep_tree(&caller, &pinned.repo, &pinned.commit).await?;
        Ok(pinned)
    }

    /// A commit's info as upstream gave it; empty if it is not known.
    pub async fn commit_facts(&self, model: &str, commit: &CommitId) -> Result<serde_json::Value> {
        let info = self.db.commit_info(model, commit).await?;
        Ok(info.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }
}
