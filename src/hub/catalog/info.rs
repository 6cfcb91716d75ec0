//! Repository info and refs.
//!
//! The info that upstream gave when a revision was resolved is kept for its commit, so that
//! `GET /api/models/{id}` always works for what is cached: transformers requests it on each
//! tokenizer load, and every snapshot begins with it.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::entry::object_id;
use super::passthrough::{Passed, Scope};
use super::{Catalog, Result};
use crate::db::{NamedCommit, TreePage};
use crate::domain::{Entry, RepoKey, Revision};
use crate::hub::repos::{Need, ResolvedRevision};
use crate::hub::{Caller, Error, Served, is_outage};
use crate::upstream;

/// The query of an info request.
#[derive(Debug, Clone, Default)]
pub struct InfoQuery {
    /// Sizes and hashes of the siblings.
    pub blobs: bool,
    /// Only these fields (and the ids).
    pub expand: Vec<String>,
    /// A parameter whose answer is not kept, e.g. `securityStatus`.
    pub other: bool,
    pub raw: String,
}

impl Catalog {
    /// The route `/api/{kind}s/{id}[/revision/{revision}]`: JSON text, `BASE_MARK` in place of our address.
    pub async fn info(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        query: &InfoQuery,
    ) -> Result<(ResolvedRevision, Arc<str>)> {
        let mut resolved = self.repos.resolve(caller, key, revision, Need::Metadata).await?;
        let full = match self.repos.known_info(&resolved.repo, &resolved.commit).await? {
            Some(info) => Ok(info),
            None => self.ask_info(caller, &mut resolved).await,
        };
        let plain = !query.blobs && !query.other && query.expand.is_empty();
        if plain {
            return Ok((resolved, full?));
        }
        if !query.other
            && let Ok(full) = &full
            && let Some(text) = self.kept_variant(caller, &resolved, full, query).await?
        {
            return Ok((resolved, text.into()));
        }
        if resolved.is_local() {
            return Ok((resolved, full?));
        }
        let ResolvedRevision { repo, commit, .. } = &resolved;
        let revision = match revision {
            // The tip's info has fields (e.g. counters) that a commit's does not have.
            Revision::Named(name) => upstream::encode(name, false),
            Revision::Commit(_) => commit.to_string(),
        };
        let path = format!("{}/revision/{revision}?{}", repo.key.api_path(), query.raw);
        match self.pass(caller, &path, Scope::of(repo)).await {
            Ok(Passed { body, served, .. }) => {
                resolved.served = served;
                Ok((resolved, String::from_utf8_lossy(&body).into()))
            }
            // Better the info without the extra fields than none.
            Err(error) if is_outage(&error) => {
                resolved.served = Served::Stale;
                Ok((resolved, full.map_err(|_| error)?))
            }
            Err(error) => Err(error),
        }
    }

    /// The info of a commit that was reached without asking for its info.
    async fn ask_info(&self, caller: &Caller, resolved: &mut ResolvedRevision) -> Result<Arc<str>> {
        if resolved.is_local() {
            return Ok(self.made_info(resolved).await?.to_string().into());
        }
        let revision = Revision::Commit(resolved.commit.clone());
        match self.repos.ask_revision(caller, &resolved.repo.key, &revision, Some(&resolved.repo)).await {
            Ok((repo, commit)) => {
                resolved.served = Served::Miss;
                let missing = || Error::BadUpstream(format!("upstream returned no info for {}", repo.key));
                self.repos.known_info(&repo, &commit).await?.ok_or_else(missing)
            }
            Err(error)
                if resolved.scan_stands_in(&error)
                    || is_outage(&error) && self.has_tree(&resolved.repo, &resolved.commit).await? =>
            {
                resolved.served = Served::Stale;
                Ok(self.made_info(resolved).await?.to_string().into())
            }
            Err(error) => Err(error),
        }
    }

    /// What can be said of a commit from its tree alone, or from what a scan found of it.
    async fn made_info(&self, resolved: &ResolvedRevision) -> Result<Value> {
        let ResolvedRevision { repo, commit, .. } = resolved;
        let siblings = self.siblings(resolved, false).await?;
        let id = repo.key.id.as_str();
        let date = "1970-01-01T00:00:00.000Z";
        Ok(json!({
            "_id": "", "id": id, "modelId": id, "author": repo.key.id.vendor(), "sha": commit.as_str(),
            "private": repo.visibility == crate::domain::Visibility::Private, "gated": false, "disabled": false,
            "tags": [], "lastModified": date, "createdAt": date, "siblings": siblings,
        }))
    }

    /// `expand` or `blobs` answered from the cache; `None` if that does not suffice.
    async fn kept_variant(
        &self,
        caller: &Caller,
        resolved: &ResolvedRevision,
        full: &str,
        query: &InfoQuery,
    ) -> Result<Option<String>> {
        let parsed = serde_json::from_str::<Map<String, Value>>(full);
        let mut full = parsed.map_err(|e| Error::BadUpstream(format!("the cached info is invalid: {e}")))?;
        if !query.expand.is_empty() {
            if query.blobs || !query.expand.iter().all(|field| full.contains_key(field)) {
                return Ok(None);
            }
            full.retain(|key, _| matches!(key.as_str(), "_id" | "id") || query.expand.contains(key));
            return Ok(Some(Value::Object(full).to_string()));
        }
        // Hashes: only with the whole tree, and only for those who may see them.
        if self.repos.authorise(caller, &resolved.repo, Need::Bytes).await.is_err() {
            return Ok(None);
        }
        match self.keep_tree(caller, &resolved.repo, &resolved.commit).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) if is_outage(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        full.insert("siblings".into(), self.siblings(resolved, true).await?);
        Ok(Some(Value::Object(full).to_string()))
    }

    async fn siblings(&self, resolved: &ResolvedRevision, blobs: bool) -> Result<Value> {
        let mut page = TreePage { recursive: true, limit: 1000, ..TreePage::default() };
        let mut siblings = Vec::new();
        loop {
            let entries = self.entries(resolved, &page).await?;
            let Some(last) = entries.last() else { break };
            page.after = last.path().as_str().to_owned();
            for entry in &entries {
                let Entry::File(artifact) = entry else { continue };
                let mut sibling = json!({"rfilename": artifact.path.as_str()});
                if blobs {
                    sibling["blobId"] = object_id(artifact).into();
                    sibling["size"] = artifact.size.into();
                    if let Some(pointer) = artifact.pointer() {
                        let sha256 = artifact.content.to_hex();
                        sibling["lfs"] = json!({"sha256": sha256, "size": artifact.size, "pointerSize": pointer.len()});
                    }
                }
                siblings.push(sibling);
            }
        }
        Ok(Value::Array(siblings))
    }

    /// The route `refs`; while upstream is away and it was never asked, the names resolved here.
    pub async fn refs(&self, caller: &Caller, key: &RepoKey, raw_query: &str) -> Result<Passed> {
        let repo = self.repos.repo(caller, key).await?;
        if repo.is_local {
            return Ok(passed(known_refs(&self.db.revisions(&repo.row).await?), Served::Hit));
        }
        let path = match raw_query {
            "" => format!("{}/refs", repo.key.api_path()),
            query => format!("{}/refs?{query}", repo.key.api_path()),
        };
        match self.pass(caller, &path, Scope::of(&repo)).await {
            Err(error) if is_outage(&error) => {
                let names = self.db.revisions(&repo.row).await?;
                if names.iter().all(|known| is_other_ref(&known.name)) {
                    return Err(error);
                }
                Ok(passed(known_refs(&names), Served::Stale))
            }
            outcome => outcome,
        }
    }
}

fn is_other_ref(name: &str) -> bool {
    name.starts_with("refs/") && !name.starts_with("refs/convert/")
}

/// The route's answer from the names that are resolved here.
fn known_refs(names: &[NamedCommit]) -> Value {
    let (mut branches, mut converts) = (Vec::new(), Vec::new());
    for known in names {
        let commit = known.commit.as_str();
        if let Some(name) = known.name.strip_prefix("refs/convert/") {
            converts.push(json!({"name": name, "ref": known.name, "targetCommit": commit}));
        } else if !is_other_ref(&known.name) {
            // Tags and branches cannot be told apart by what was asked for.
            let full = format!("refs/heads/{}", known.name);
            branches.push(json!({"name": known.name, "ref": full, "targetCommit": commit}));
        }
    }
    json!({"tags": [], "branches": branches, "converts": converts, "pullRequests": []})
}

fn passed(value: Value, served: Served) -> Passed {
    Passed {
        content_type: "application/json; charset=utf-8".into(),
        link: None,
        total_count: None,
        commit: None,
        body: value.to_string().into(),
        served,
    }
}
