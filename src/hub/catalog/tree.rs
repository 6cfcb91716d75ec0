//! Trees of commits.
//!
//! A commit's whole tree is read from upstream once (`listing.rs`) and kept permanently: then
//! every HEAD, every listing and every proof of absence is answered here. A listing with
//! masked hashes is one caller's view and never kept.

use std::sync::Arc;

use serde_json::{Value, json};

use super::passthrough::{Passed, Scope};
use super::{Catalog, Result};
use crate::db::TreePage;
use crate::domain::{CommitId, Entry, Origin, RepoKey, RepoPath, Revision, Visibility};
use crate::hub::repos::{Need, Repo, ResolvedRevision};
use crate::hub::{Caller, Error, Served, is_outage};
use crate::upstream::{self, Impact};

/// What a `tree` request asks for.
#[derive(Debug, Clone, Default)]
pub struct TreeQuery {
    pub folder: Option<RepoPath>,
    pub recursive: bool,
    pub expand: bool,
    /// The request continues from a page that upstream gave: its order is not ours.
    pub continues_upstreams: bool,
    /// The query as it came, for passing it on.
    pub raw: String,
}

/// A tree to be sent.
pub enum Listing {
    /// Kept here: read it page by page with `entries`.
    Kept(ResolvedRevision),
    /// As upstream answered this caller.
    Passed(ResolvedRevision, Passed),
}

impl Catalog {
    /// Whether the whole tree of a commit is kept here.
    pub(in crate::hub) async fn has_tree(&self, repo: &Repo, commit: &CommitId) -> Result<bool> {
        let key = (repo.row.clone(), commit.clone());
        if self.complete.contains_key(&key) {
            return Ok(true);
        }
        let complete = self.db.tree_is_complete(&repo.row, commit).await?;
        if complete {
            self.complete.insert(key, ());
        }
        Ok(complete)
    }

    /// Makes sure that the whole tree is cached; `false` if upstream masks it for this caller.
    pub(in crate::hub) async fn keep_tree(&self, caller: &Caller, repo: &Arc<Repo>, commit: &CommitId) -> Result<bool> {
        if self.has_tree(repo, commit).await? {
            return Ok(true);
        }
        self.ask_tree(caller, repo, commit).await
    }

    /// Reads the tree from upstream, once for all who may share it.
    pub(in crate::hub) async fn ask_tree(&self, caller: &Caller, repo: &Arc<Repo>, commit: &CommitId) -> Result<bool> {
        let digest = (repo.visibility != Visibility::Public).then(|| self.digests.of(&caller.principal));
        let key = (repo.row.clone(), commit.clone(), digest);
        let (catalog, caller, repo, commit) = (self.clone(), caller.clone(), Arc::clone(repo), commit.clone());
        self.trees.run(key, || async move { catalog.read_tree(&caller, &repo, &commit).await }).await
    }

    /// Asks upstream for the listing of a commit that a scan has found, not more often than for a branch. While
    /// it is not available, what the scan found stands.
    pub(in crate::hub) async fn confirm(&self, caller: &Caller, resolved: &ResolvedRevision) {
        let ResolvedRevision { repo, commit, .. } = resolved;
        let is_open = resolved.origin == Origin::Scanned && !resolved.is_local();
        if !is_open || resolved.served == Served::Stale || self.upstream.is_away() {
            return;
        }
        let key = (repo.row.clone(), commit.clone());
        let now = self.clock.elapsed();
        let ttl = self.repos.ref_ttl();
        if self.asked.get(&key).is_some_and(|asked| now.saturating_sub(asked) < ttl) {
            return;
        }
        let reading = async {
            self.asked.insert(key, now);
            self.ask_tree(caller, repo, commit).await
        };
        if let Some(Err(error)) = self.upstream.in_time(Impact::Counts, reading).await {
            tracing::info!(repo.id = %repo.key, %commit, %error, "upstream did not confirm a commit that was found on disk");
        }
    }

    /// The route `tree`.
    pub async fn tree(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        query: &TreeQuery,
    ) -> Result<Listing> {
        let mut resolved = self.repos.resolve(caller, key, revision, Need::Metadata).await?;
        let sees_hashes = self.sees_hashes(caller, &resolved.repo).await?;
        self.confirm(caller, &resolved).await;
        if sees_hashes && (resolved.is_local() || !query.expand && !query.continues_upstreams) {
            let had = self.has_tree(&resolved.repo, &resolved.commit).await?;
            let kept = match had {
                true => Ok(true),
                // Of a very long listing the client gets upstream's pages, while ours is being read.
                false => {
                    let reading = self.ask_tree(caller, &resolved.repo, &resolved.commit);
                    self.upstream.in_time(Impact::Counts, reading).await.unwrap_or(Ok(false))
                }
            };
            let kept = match kept {
                // What was found on disk: perhaps not all, but all that can be had now.
                Err(error) if resolved.scan_stands_in(&error) => {
                    resolved.served = Served::Stale;
                    true
                }
                kept => kept?,
            };
            if kept {
                if !had && resolved.served != Served::Stale {
                    resolved.served = Served::Miss;
                }
                self.check_folder(&resolved, query).await?;
                return Ok(Listing::Kept(resolved));
            }
        }
        // Commit dates and scans are not kept, and a masked view is this caller's alone.
        let folder = query.folder.as_ref().map(|folder| format!("/{}", upstream::encode(folder.as_str(), false)));
        let ResolvedRevision { repo, commit, .. } = &resolved;
        let path = format!("{}/tree/{commit}{}?{}", repo.key.api_path(), folder.unwrap_or_default(), query.raw);
        let scope = if sees_hashes { Scope::of(repo) } else { Scope::Caller };
        match self.pass(caller, &path, scope).await {
            Ok(passed) => Ok(Listing::Passed(resolved, passed)),
            Err(error)
                if is_outage(&error)
                    && sees_hashes
                    && !query.continues_upstreams
                    && self.has_tree(&resolved.repo, &resolved.commit).await? =>
            {
                self.check_folder(&resolved, query).await?;
                resolved.served = Served::Stale;
                Ok(Listing::Kept(resolved))
            }
            Err(Error::EntryNotFound { .. }) => Err(Error::EntryNotFound { commit: Some(resolved.commit) }),
            Err(error) => Err(error),
        }
    }

    /// Whether this caller may see unmasked hashes: accepted for the bytes, or nothing is gated.
    async fn sees_hashes(&self, caller: &Caller, repo: &Arc<Repo>) -> Result<bool> {
        match self.repos.authorise(caller, repo, Need::Bytes).await {
            Ok(()) => Ok(true),
            Err(error @ Error::Internal(_)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    async fn check_folder(&self, resolved: &ResolvedRevision, query: &TreeQuery) -> Result<()> {
        let Some(folder) = &query.folder else { return Ok(()) };
        match self.db.entry(&resolved.repo.row, &resolved.commit, folder).await? {
            Some(Entry::Directory { .. }) => Ok(()),
            _ => Err(Error::EntryNotFound { commit: Some(resolved.commit.clone()) }),
        }
    }

    /// One page of a kept tree.
    pub async fn entries(&self, resolved: &ResolvedRevision, page: &TreePage) -> Result<Vec<Entry>> {
        Ok(self.db.tree_page(&resolved.repo.row, &resolved.commit, page).await?)
    }

    /// The route `paths-info`: the entries of some paths; unknown ones are left out.
    pub async fn paths_info(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        paths: &[String],
        expand: bool,
    ) -> Result<(ResolvedRevision, Vec<Value>)> {
        let mut resolved = self.repos.resolve(caller, key, revision, Need::Metadata).await?;
        let sees_hashes = self.sees_hashes(caller, &resolved.repo).await?;
        let kept = sees_hashes
            && self.keep_tree(caller, &resolved.repo, &resolved.commit).await.or_else(|error| match error {
                error if resolved.scan_stands_in(&error) => Ok(true),
                error if is_outage(&error) => Ok(false),
                error => Err(error),
            })?;
        if !resolved.is_local() && (!kept || expand) {
            let ResolvedRevision { repo, commit, .. } = &resolved;
            let path = format!("{}/paths-info/{commit}", repo.key.api_path());
            let body = json!({"paths": paths, "expand": expand}).to_string();
            match self.upstream.post(&path, "application/json", body.into(), caller.without_hub_token()).await {
                Ok(answer) => {
                    let mut value: Value = serde_json::from_slice(&answer.body)
                        .map_err(|e| Error::BadUpstream(format!("invalid paths-info from upstream: {e}")))?;
                    self.upstream.sanitiser().json(&mut value);
                    resolved.served = Served::Bypass;
                    let Value::Array(items) = value else {
                        return Err(Error::BadUpstream("invalid paths-info from upstream: not a list".into()));
                    };
                    return Ok((resolved, items));
                }
                Err(error) if kept && error.is_outage() => resolved.served = Served::Stale,
                Err(error) => return Err(Error::upstream(error, format!("files of {key}"))),
            }
        }
        let mut items = Vec::new();
        for path in paths {
            let Ok(path) = RepoPath::parse(path.trim_end_matches('/')) else { continue };
            if let Some(entry) = self.db.entry(&resolved.repo.row, &resolved.commit, &path).await? {
                items.push(self.entry_json(&entry, expand.then_some(&resolved.commit)));
            }
        }
        Ok((resolved, items))
    }
}
