//! Models and their files as they are asked for: by name, by revision, page by page.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{Models, Result};
use crate::db::{FilePage, FileRow, FileTotals, ModelFilter, ModelRow, NamedCommit};
use crate::domain::selection::{Matcher, Weights};
use crate::domain::{
    Artifact, ByteRange, CommitId, ContentId, Digest, Entry, JobId, Millis, ModelId, RepoKey, RepoPath, Revision,
    Selection,
};
use crate::hub::catalog::{Resolved, Target};
use crate::hub::jobs::JobRun;
use crate::hub::repos::{Need, ResolvedRevision};
use crate::hub::serve::Opened;
use crate::hub::{Caller, Error};

/// Files looked at together.
const PAGE: u64 = 1000;
/// Weight files that a preset compares with one another, which are in memory for it.
const MOST_COMPARED: usize = 20_000;
/// Repositories counted again before a list is given.
const RECOUNTED: u64 = 200;

impl Models {
    /// A model by its id, or by its name with or without a kind.
    pub async fn model(&self, named: &str) -> Result<ModelRow> {
        self.recount().await;
        if let Ok(id) = uuid::Uuid::parse_str(named) {
            return self.model_by_id(&ModelId::new(id.hyphenated().to_string())).await;
        }
        let key = RepoKey::parse(named)?;
        let known = self.db.model_named(&key).await?;
        known.ok_or_else(|| Error::NotFound { what: format!("model {key} not found; register it first") })
    }

    /// A database that cannot be written to still tells what it counted last: who looks for space has to see it.
    async fn recount(&self) {
        if let Err(error) = self.db.recount_models(RECOUNTED).await {
            Error::from(error).warn("could not count the files of models again");
        }
    }

    pub(super) async fn model_by_id(&self, id: &ModelId) -> Result<ModelRow> {
        let known = self.db.model(id).await?;
        known.ok_or_else(|| Error::NotFound { what: format!("model with id {id} not found") })
    }

    /// One page of models, and how many there are on all pages.
    pub async fn models(&self, filter: &ModelFilter) -> Result<(Vec<ModelRow>, u64)> {
        self.recount().await;
        Ok(self.db.models(filter).await?)
    }

    /// The model that a job is about.
    pub(super) async fn model_of(&self, run: &JobRun) -> Result<ModelRow> {
        let gone = || Error::NotFound { what: format!("model {} was removed", run.job.repo_name) };
        let id = run.job.repo.as_ref().ok_or_else(gone)?;
        self.db.model(id).await?.ok_or_else(gone)
    }

    /// The live job of a model, if there is one.
    pub async fn live_job_of(&self, model: &ModelId) -> Result<Option<JobId>> {
        Ok(self.db.live_job_of(model).await?)
    }

    /// The commit of a model that is meant: a revision's, as far as it is known here.
    pub async fn known_commit(&self, model: &ModelRow, revision: &str) -> Result<CommitId> {
        let revision = if revision.is_empty() { model.revision.as_str() } else { revision };
        let known = match Revision::parse(revision)? {
            Revision::Commit(commit) => self.db.knows_commit(&model.id, &commit).await?.then_some(commit),
            Revision::Named(name) => self.db.revision(&model.id, &name).await?.map(|known| known.commit),
        };
        let what = || format!("revision {revision} of {} not found; sync the model first", model.key);
        known.ok_or_else(|| Error::NotFound { what: what() })
    }

    /// The names that are known of a model's commits, and whether all files of each are listed.
    pub async fn revisions(&self, model: &ModelRow) -> Result<Vec<(NamedCommit, bool)>> {
        let mut revisions = Vec::new();
        for known in self.db.revisions(&model.id).await? {
            let listed = self.db.tree_is_complete(&model.id, &known.commit).await?;
            revisions.push((known, listed));
        }
        Ok(revisions)
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
                Err(Error::NotFound { what: format!("file or folder {path} not found in {} at {short}", model.key) })
            }
        }
    }

    /// One page of a model's files.
    pub async fn model_files(&self, model: &ModelRow, commit: &CommitId, page: &FilePage) -> Result<Vec<FileRow>> {
        Ok(self.db.file_page(&model.id, commit, page).await?)
    }

    /// Bytes of contents that are here in part.
    pub async fn kept_parts(&self) -> Result<HashMap<ContentId, u64>> {
        self.store.kept_parts().await
    }

    /// Where a blob's file is on this machine.
    pub fn path_of(&self, digest: Digest) -> String {
        self.store.path_of(digest)
    }

    /// The stored files of a model that were used last, most recent first: path, size and time.
    pub async fn last_used_files(
        &self,
        model: &ModelRow,
        commit: &CommitId,
        limit: u64,
    ) -> Result<Vec<(String, u64, Millis)>> {
        // Uses of the last seconds are not recorded yet.
        self.store.flush_uses().await;
        Ok(self.db.last_used_files(&model.id, commit, limit).await?)
    }

    /// A commit's info as upstream gave it; empty if it is not known.
    pub async fn commit_facts(&self, model: &ModelId, commit: &CommitId) -> Result<serde_json::Value> {
        let info = self.db.commit_info(model, commit).await?;
        Ok(info.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// The next page of selected files, and whether each is stored; `None` at the end.
    pub(super) async fn selected(
        &self,
        repo: &ModelId,
        commit: &CommitId,
        matcher: &Matcher,
        after: &mut String,
    ) -> Result<Option<Vec<(Artifact, bool)>>> {
        let page = FilePage { flat: true, after: after.clone(), limit: PAGE, ..FilePage::default() };
        let rows = self.db.file_page(repo, commit, &page).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        *after = last.entry.path().to_string();
        let files = rows.into_iter().filter_map(|row| match row.entry {
            Entry::File(artifact) if matcher.matches(&artifact) => {
                let is_here = row.stored.is_some() || artifact.is_of_no_bytes();
                Some((artifact, is_here))
            }
            _ => None,
        });
        Ok(Some(files.collect()))
    }

    /// Whether any file is selected.
    pub(super) async fn selects_any(&self, repo: &ModelId, commit: &CommitId, matcher: &Matcher) -> Result<bool> {
        let mut after = String::new();
        while let Some(files) = self.selected(repo, commit, matcher, &mut after).await? {
            if !files.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A selection that is ready to be asked about the files of a commit, and what its weights are.
    pub(super) async fn settled(
        &self,
        repo: &ModelId,
        commit: &CommitId,
        selection: &Selection,
    ) -> Result<(Matcher, Weights)> {
        let mut matcher = selection.matcher()?;
        let mut compared = BTreeMap::new();
        let mut page = FilePage { flat: true, limit: PAGE, ..FilePage::default() };
        loop {
            let rows = self.db.file_page(repo, commit, &page).await?;
            let Some(last) = rows.last() else { break };
            page.after = last.entry.path().to_string();
            let files = rows.into_iter().filter_map(|row| match row.entry {
                Entry::File(file) if Matcher::is_compared(&file.path) && matcher.covers(&file.path) => Some(file),
                _ => None,
            });
            compared.extend(files.map(|file| (file.path, file.size)));
            if compared.len() > MOST_COMPARED {
                // Without a preset nothing has to be compared.
                if !matcher.must_settle() {
                    return Ok((matcher, Weights { preset_finds_any: true, ..Weights::default() }));
                }
                return Err(Error::Invalid(format!(
                    "more than {MOST_COMPARED} weight files: a preset cannot compare so many; select folders or files"
                )));
            }
        }
        let weights = matcher.settle(&compared)?;
        Ok((matcher, weights))
    }

    /// The files of a commit, added up.
    pub(super) async fn commit_totals(&self, repo: &ModelId, commit: &CommitId) -> Result<FileTotals> {
        let mut totals = FileTotals::default();
        let mut page = FilePage { flat: true, limit: PAGE, ..FilePage::default() };
        loop {
            let rows = self.db.file_page(repo, commit, &page).await?;
            let Some(last) = rows.last() else { return Ok(totals) };
            page.after = last.entry.path().to_string();
            for row in rows {
                totals.add(row.totals.bytes, row.totals.files_here > 0);
            }
        }
    }

    /// What upstream says about a repository now, without registering it: its commit, and whether its files are listed.
    pub async fn look_up_repo(&self, key: &RepoKey, revision: &Revision) -> Result<ResolvedRevision> {
        let caller = Caller::owner();
        let resolved = self.repos.resolve(&caller, key, revision, Need::Metadata).await?;
        self.catalog.keep_tree(&caller, &resolved.repo, &resolved.commit).await?;
        Ok(resolved)
    }

    /// The file of a model at a revision, for reading a part of it.
    pub async fn read_start(
        &self,
        model: &ModelRow,
        commit: &CommitId,
        path: &RepoPath,
        most: u64,
    ) -> Result<(Vec<u8>, u64)> {
        let target = Target { repo: model.key.clone(), revision: Revision::Commit(commit.clone()), path: path.clone() };
        let caller = Caller::owner();
        let resolved = self.catalog.file(&caller, &target).await?;
        let size = resolved.artifact.size;
        self.read_file_start(&caller, &resolved, most.min(size)).await.map(|bytes| (bytes, size))
    }

    async fn read_file_start(&self, caller: &Caller, resolved: &Resolved, most: u64) -> Result<Vec<u8>> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let range = ByteRange::parse(&format!("bytes=0-{}", most - 1));
        let Some(body) = self.serve.open(caller, resolved, range).await? else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        let failed = |error: &dyn std::fmt::Display| Error::BadUpstream(format!("cannot read the file: {error}"));
        match body.opened {
            Opened::Stored(stored) => {
                let file = Arc::clone(stored.file());
                let read = crate::blob::read_at(&file, body.range.start, most as usize).await;
                bytes.extend_from_slice(&read.map_err(|error| failed(&error))?);
            }
            Opened::Arriving(mut reader) => {
                while let Some(piece) = reader.next(most - bytes.len() as u64).await {
                    bytes.extend_from_slice(&piece.map_err(|error| failed(&error))?);
                    if bytes.len() as u64 >= most {
                        break;
                    }
                }
            }
            Opened::Passing(mut passing) => {
                while let Some(piece) = passing.next().await {
                    bytes.extend_from_slice(&piece.map_err(|error| failed(&error))?);
                    if bytes.len() as u64 >= most {
                        bytes.truncate(most as usize);
                        break;
                    }
                }
            }
        }
        Ok(bytes)
    }
}
