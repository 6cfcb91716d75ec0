//! Syncing a model with upstream.
//!
//! Steps: resolve the revision → record all refs → keep the whole file list → report what changed since
//! the commit that was known before.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Models, Result};
use crate::db::{ModelRow, NamedCommit};
use crate::domain::job::{ChangeKind, Changes, Level};
use crate::domain::{CommitId, ModelSource, Revision, counted, work};
use crate::hub::jobs::{Done, JobRun};
use crate::hub::repos::Repo;
use crate::hub::{Caller, Error};

/// Changed files that a sync names; it counts all of them.
const NAMED_CHANGES: u64 = 1000;
/// Refs that are noted.
const MAX_REFS: usize = 1000;

impl Models {
    /// Runs a job of the kind sync.
    pub async fn sync(&self, run: &JobRun, work: &work::Sync) -> Result<Done> {
        let model = self.model_of(run).await?;
        let outcome = self.sync_model(run, work, &model).await;
        // While upstream is down nothing is wrong with the model: the job retries.
        let problem = match &outcome {
            Ok(_) => Some(None),
            Err(error) if crate::hub::is_outage(error) || matches!(error, Error::Stopping) => None,
            Err(error) => Some(Some(error.to_string())),
        };
        // Of another revision than the model's own the outcome says nothing about the model.
        let asked = &work.revision;
        let is_own = asked.is_empty() || Revision::parse(asked) == Revision::parse(&model.revision);
        // Its name, and with that its row, may be another one now.
        if let Some(problem) = problem
            && is_own
            && let Some(model) = self.db.model_named(&model.key).await?
        {
            self.db.put_synced(&model.id, problem.as_deref(), self.clock.now()).await?;
        }
        outcome
    }

    async fn sync_model(&self, run: &JobRun, work: &work::Sync, model: &ModelRow) -> Result<Done> {
        if model.source == ModelSource::Local {
            return Ok(Done { outcome: "local-only model, nothing to sync".into(), changes: None });
        }
        let named = if work.revision.is_empty() { &model.revision } else { &work.revision };
        let revision = Revision::parse(named)?;
        let caller = Caller::owner();
        let before = self.db.revision(&model.id, revision.as_str()).await?.map(|known| known.commit);

        run.update(|progress| progress.doing = format!("resolving {revision}"));
        let known = self.repos.known_repo(&model.key).await?;
        let (repo, commit) = self.repos.ask_revision(&caller, &model.key, &revision, known.as_ref()).await?;
        if repo.key != model.key {
            run.log(Level::Warning, &format!("renamed to {} on upstream", repo.key)).await;
        }
        run.update(|progress| progress.doing = "reading branches and tags".into());
        let refs = self.note_refs(run, &caller, &repo).await?;

        run.update(|progress| progress.doing = "reading the file list".into());
        if !self.catalog.keep_tree(&caller, &repo, &commit).await? {
            return Err(Error::Gated {
                message: format!("{} is gated, and this hub's token has no access to it", repo.key),
            });
        }
        let changes = match &before {
            Some(before) if *before != commit && self.db.tree_is_complete(&repo.row, before).await? => {
                Some(self.changes(&repo, before, &commit).await?)
            }
            _ => None,
        };
        let totals = self.commit_totals(&repo.row, &commit).await?;
        let short = &commit.as_str()[..12];
        let size = format!("{}, {}", counted(totals.files, "file"), counted(refs as u64, "ref"));
        let outcome = match (&before, &changes) {
            (_, Some(c)) => {
                let (added, removed, changed) = (c.added, c.removed, c.changed);
                format!("{revision} updated to {short} ({size}): {added} added, {removed} removed, {changed} changed")
            }
            (Some(before), None) if *before == commit => format!("{revision} up to date at {short} ({size})"),
            _ => format!("{revision} synced at {short} ({size})"),
        };
        run.log(Level::Info, &outcome).await;
        Ok(Done { outcome, changes })
    }

    /// Records what every branch, tag and converted ref resolves to now; how many there are.
    /// Those that are gone upstream are removed.
    async fn note_refs(&self, run: &JobRun, caller: &Caller, repo: &Repo) -> Result<usize> {
        let path = format!("{}/refs", repo.key.api_path());
        let answer = match self.upstream.get(&path, caller.upstream()).await {
            Ok(answer) => answer,
            Err(error) => {
                let error = Error::upstream(error, format!("the refs of {}", repo.key));
                if crate::hub::is_outage(&error) {
                    return Err(error);
                }
                run.log(Level::Warning, &format!("could not read branches and tags: {error}")).await;
                return Ok(0);
            }
        };
        let value: Value = serde_json::from_slice(&answer.body)
            .map_err(|e| Error::BadUpstream(format!("invalid refs of {} from upstream: {e}", repo.key)))?;
        let refs = refs_of(&value);
        let known = self.db.revisions(&repo.row).await?;
        for (name, commit) in &refs {
            self.repos.note_revision(repo, name, commit).await?;
        }
        if is_complete(&value) {
            for name in known.into_iter().filter(|name| is_gone(name, &refs, &value)) {
                self.db.delete_revision(&repo.row, &name).await?;
            }
        }
        Ok(refs.len())
    }

    async fn changes(&self, repo: &Repo, from: &CommitId, to: &CommitId) -> Result<Changes> {
        let mut changes = Changes { from: from.to_string(), to: to.to_string(), ..Changes::default() };
        for (what, count) in self.db.count_changes(&repo.row, from, to).await? {
            match what.as_str() {
                "added" => changes.added = count,
                "removed" => changes.removed = count,
                _ => changes.changed = count,
            }
        }
        for (what, path, size) in self.db.first_changes(&repo.row, from, to, NAMED_CHANGES).await? {
            let kind = match what.as_str() {
                "added" => ChangeKind::Added,
                "removed" => ChangeKind::Removed,
                _ => ChangeKind::Changed,
            };
            changes.first.push((kind, path, size));
        }
        Ok(changes)
    }
}

/// Whether a list of refs has all branches and tags.
fn is_complete(value: &Value) -> bool {
    let is_whole = |group: &str| value[group].as_array().is_some_and(|list| list.len() <= MAX_REFS);
    is_whole("branches") && is_whole("tags") && value["converts"].as_array().is_none_or(|list| list.len() <= MAX_REFS)
}

/// Whether a name that is known here would be in the complete list of refs, and is not.
fn is_gone(known: &NamedCommit, refs: &BTreeMap<String, CommitId>, list: &Value) -> bool {
    let name = known.name.strip_prefix("refs/heads/").or(known.name.strip_prefix("refs/tags/")).unwrap_or(&known.name);
    let is_listed = !name.starts_with("refs/") || (name.starts_with("refs/convert/") && list["converts"].is_array());
    // The beginning of a commit's id is a name, too.
    let is_short_id = known.commit.as_str().starts_with(name);
    is_listed && !is_short_id && !refs.contains_key(name)
}

/// Branches, tags and converted refs by name, as the route `refs` lists them.
fn refs_of(value: &Value) -> BTreeMap<String, CommitId> {
    let mut refs = BTreeMap::new();
    for (group, key) in [("branches", "name"), ("tags", "name"), ("converts", "ref")] {
        let items = value[group].as_array().map(Vec::as_slice).unwrap_or_default();
        for item in items.iter().take(MAX_REFS) {
            let (Some(name), Some(commit)) = (item[key].as_str(), item["targetCommit"].as_str()) else { continue };
            if let (Ok(Revision::Named(name)), Ok(commit)) = (Revision::parse(name), CommitId::parse(commit)) {
                refs.insert(name, commit);
            }
        }
    }
    refs
}
