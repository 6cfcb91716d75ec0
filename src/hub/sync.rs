//! A model brought up to date with upstream.
//!
//! Steps: ask what the revision means now → note all refs → keep the whole list of files → say what changed since
//! the commit that was known before.

use std::collections::BTreeMap;

use serde_json::Value;

use super::jobs::{Done, JobRun};
use super::pin::Repo;
use super::{Caller, Error, Hub, Result};
use crate::db::{ModelRow, Pin};
use crate::domain::job::{ChangeKind, Changes, Level};
use crate::domain::{CommitId, Revision, counted};

/// Changed files that a sync names; it counts all of them.
const NAMED_CHANGES: u64 = 1000;
/// Refs that are noted.
const MAX_REFS: usize = 1000;

impl Hub {
    /// Runs a job of the kind sync.
    pub async fn sync(&self, run: &JobRun) -> Result<Done> {
        let model = self.model_of(run).await?;
        let outcome = self.sync_model(run, &model).await;
        // While upstream is away nothing is wrong with the model: the job tries again.
        let problem = match &outcome {
            Ok(_) => Some(None),
            Err(error) if super::pin::is_outage(error) || matches!(error, Error::Stopping) => None,
            Err(error) => Some(Some(error.to_string())),
        };
        // Of another revision than the model's own the outcome says nothing about the model.
        let asked = &run.job.payload.revision;
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

    async fn sync_model(&self, run: &JobRun, model: &ModelRow) -> Result<Done> {
        if model.source == "local" {
            return Ok(Done { outcome: "local-only model, nothing to sync".into(), changes: None });
        }
        let named = if run.job.payload.revision.is_empty() { &model.revision } else { &run.job.payload.revision };
        let revision = Revision::parse(named)?;
        let caller = Caller::owner();
        let before = self.db.pin(&model.id, revision.as_str()).await?.map(|pin| pin.commit);

        run.update(|progress| progress.doing = format!("resolving {revision}"));
        let known = self.known_repo(&model.key).await?;
        let (repo, commit) = self.ask_revision(&caller, &model.key, &revision, known.as_ref()).await?;
        if repo.key != model.key {
            run.log(Level::Warning, &format!("renamed to {} on upstream", repo.key)).await;
        }
        run.update(|progress| progress.doing = "reading branches and tags".into());
        let refs = self.note_refs(run, &caller, &repo).await?;

        run.update(|progress| progress.doing = "reading the file list".into());
        if !self.keep_tree(&caller, &repo, &commit).await? {
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

    /// Notes what every branch, tag and converted ref means now; how many there are.
    /// Those that are gone upstream are forgotten.
    async fn note_refs(&self, run: &JobRun, caller: &Caller, repo: &Repo) -> Result<usize> {
        let path = format!("{}/refs", repo.key.api_path());
        let answer = match self.upstream.get(&path, caller.upstream()).await {
            Ok(answer) => answer,
            Err(error) => {
                let error = Error::upstream(error, format!("the refs of {}", repo.key));
                if super::pin::is_outage(&error) {
                    return Err(error);
                }
                run.log(Level::Warning, &format!("could not read branches and tags: {error}")).await;
                return Ok(0);
            }
        };
        let value: Value = serde_json::from_slice(&answer.body)
            .map_err(|e| Error::BadUpstream(format!("invalid refs of {} from upstream: {e}", repo.key)))?;
        let refs = refs_of(&value);
        let known = self.db.pins(&repo.row).await?;
        for (name, commit) in &refs {
            self.db.put_pin(&repo.row, Some(name), commit, None, self.clock.now()).await?;
            self.note_pin(repo, name, commit);
        }
        if is_complete(&value) {
            for pin in known.into_iter().filter(|pin| is_gone(pin, &refs, &value)) {
                self.db.delete_pin(&repo.row, &pin).await?;
                self.forget_pin(repo, &pin.name);
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

    /// The model that a job is about.
    pub(super) async fn model_of(&self, run: &JobRun) -> Result<ModelRow> {
        let gone = || Error::NoSuch { what: format!("model {} was removed", run.job.repo_name) };
        let id = run.job.repo.as_deref().ok_or_else(gone)?;
        self.db.model(id).await?.ok_or_else(gone)
    }
}

/// Whether a list of refs has all branches and tags.
fn is_complete(value: &Value) -> bool {
    let is_whole = |group: &str| value[group].as_array().is_some_and(|list| list.len() <= MAX_REFS);
    is_whole("branches") && is_whole("tags") && value["converts"].as_array().is_none_or(|list| list.len() <= MAX_REFS)
}

/// Whether a name that is known here would be in the complete list of refs, and is not.
fn is_gone(pin: &Pin, refs: &BTreeMap<String, CommitId>, list: &Value) -> bool {
    let name = pin.name.strip_prefix("refs/heads/").or(pin.name.strip_prefix("refs/tags/")).unwrap_or(&pin.name);
    let is_listed = !name.starts_with("refs/") || (name.starts_with("refs/convert/") && list["converts"].is_array());
    // The beginning of a commit's id is a name, too.
    let is_short_id = pin.commit.as_str().starts_with(name);
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
