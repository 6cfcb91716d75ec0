//! Trees of commits.
//!
//! A commit's whole tree is read from upstream once, page by page, and kept for good: then
//! every HEAD, every listing and every proof of absence is answered here. A listing with
//! masked hashes is one caller's view and never kept.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use super::coalesce::Coalesce;
use super::passthrough::Scope;
use super::pin::{Repo, is_outage};
use super::{Caller, Error, Hub, Need, Passed, Pinned, Result, Served};
use crate::db::TreePage;
use crate::domain::{Artifact, CommitId, Entry, RepoKey, RepoPath, Revision, Visibility};
use crate::upstream::{self, BASE_MARK, TreeItem};

/// Upstream pages hold up to 1000 entries; more pages than this are no repository.
const MAX_PAGES: usize = 20_000;

/// What a `tree` request asks for.
#[derive(Debug, Clone, Default)]
pub struct TreeQuery {
    pub folder: Option<RepoPath>,
    pub recursive: bool,
    pub expand: bool,
    /// The request goes on from a page that upstream gave: its order is not ours.
    pub continues_upstreams: bool,
    /// The query as it came, for passing it on.
    pub raw: String,
}

/// A tree to be sent.
pub enum Listing {
    /// Kept here: read it page by page with `entries`.
    Kept(Pinned),
    /// As upstream answered this caller.
    Passed(Pinned, Passed),
}

pub(super) struct Listings {
    complete: moka::sync::Cache<(Arc<str>, CommitId), ()>,
    /// When upstream was asked for the listing of a commit that a scan has found, on the monotonic clock.
    pub(super) asked: moka::sync::Cache<(Arc<str>, CommitId), Duration>,
    calls: Coalesce<(Arc<str>, CommitId, Option<String>), bool>,
}

impl Listings {
    pub(super) fn new(tasks: TaskTracker) -> Self {
        let complete = moka::sync::Cache::new(50_000);
        Self { complete, asked: moka::sync::Cache::new(50_000), calls: Coalesce::new(tasks) }
    }
}

impl Hub {
    /// Whether the whole tree of a commit is kept here.
    pub(super) async fn has_tree(&self, repo: &Repo, commit: &CommitId) -> Result<bool> {
        let key = (Arc::clone(&repo.row), commit.clone());
        if self.listings.complete.contains_key(&key) {
            return Ok(true);
        }
        let complete = self.db.tree_is_complete(&repo.row, commit).await?;
        if complete {
            self.listings.complete.insert(key, ());
        }
        Ok(complete)
    }

    /// Sees to it that the whole tree is kept; `false` if upstream masks it for this caller.
    pub(super) async fn keep_tree(&self, caller: &Caller, repo: &Arc<Repo>, commit: &CommitId) -> Result<bool> {
        if self.has_tree(repo, commit).await? {
            return Ok(true);
        }
        self.ask_tree(caller, repo, commit).await
    }

    /// Reads the tree from upstream, once for all who may share it.
    pub(super) async fn ask_tree(&self, caller: &Caller, repo: &Arc<Repo>, commit: &CommitId) -> Result<bool> {
        let digest = (repo.visibility != Visibility::Public).then(|| self.access.digest(&caller.principal));
        let key = (Arc::clone(&repo.row), commit.clone(), digest);
        let (hub, caller, repo, commit) = (self.clone(), caller.clone(), Arc::clone(repo), commit.clone());
        self.listings.calls.run(key, || async move { hub.read_tree(&caller, &repo, &commit).await }).await
    }

    async fn read_tree(&self, caller: &Caller, repo: &Repo, commit: &CommitId) -> Result<bool> {
        let fail = |error: upstream::Error| {
            let what = match &error {
                upstream::Error::RevisionNotFound { .. } => commit.to_string(),
                _ => format!("the listing of {} at {commit}", repo.key),
            };
            Error::upstream(error, what)
        };
        let bad = |text: &str| Error::BadUpstream(format!("invalid listing of {} from upstream: {text}", repo.key));
        let mut path = format!("{}/tree/{commit}?recursive=true&expand=false", repo.key.api_path());
        let mut seen = HashSet::new();
        let mut dropped = 0usize;
        let mut unlisted = self.scanned_paths(repo, commit).await?;
        while seen.insert(path.clone()) && seen.len() <= MAX_PAGES {
            let answer = self.upstream.get(&path, caller.upstream()).await.map_err(fail)?;
            let items: Vec<TreeItem> = serde_json::from_slice(&answer.body).map_err(|e| bad(&e.to_string()))?;
            if items.iter().any(TreeItem::is_masked) {
                return Ok(false);
            }
            if seen.len() == 1 {
                self.db.put_pin(&repo.row, None, commit, None, self.clock.now()).await?;
            }
            let count = items.len();
            let entries: Vec<Entry> = items.into_iter().filter_map(TreeItem::entry).collect();
            dropped += count - entries.len();
            if let Some(unlisted) = &mut unlisted {
                for entry in &entries {
                    unlisted.remove(entry.path());
                }
            }
            for batch in entries.chunks(1000) {
                self.db.put_entries(&repo.row, commit, batch).await?;
            }
            let next = answer
                .link
                .as_deref()
                .and_then(|link| link.split_once('>')?.0.strip_prefix('<')?.strip_prefix(BASE_MARK));
            let Some(next) = next else {
                if dropped > 0 {
                    tracing::warn!(repo.id = %repo.key, %commit, dropped, "skipped entries with unsafe names or invalid hashes");
                }
                if let Some(unlisted) = &unlisted {
                    let unlisted: Vec<RepoPath> = unlisted.iter().cloned().collect();
                    self.db.delete_entries(&repo.row, commit, &unlisted).await?;
                }
                self.db.complete_tree(&repo.row, commit).await?;
                if unlisted.is_some() {
                    self.forget_pins(repo, commit, &[]);
                }
                self.listings.complete.insert((Arc::clone(&repo.row), commit.clone()), ());
                return Ok(true);
            };
            path = next.to_owned();
        }
        Err(bad("endless pagination"))
    }

    /// The route `tree`.
    pub async fn tree(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        query: &TreeQuery,
    ) -> Result<Listing> {
        let mut pinned = self.pin(caller, key, revision, Need::Metadata).await?;
        let sees_hashes = self.sees_hashes(caller, &pinned.repo).await?;
        self.confirm(caller, &pinned).await;
        if sees_hashes && (pinned.is_local() || !query.expand && !query.continues_upstreams) {
            let had = self.has_tree(&pinned.repo, &pinned.commit).await?;
            let kept = self.keep_tree(caller, &pinned.repo, &pinned.commit);
            // Of a very long listing the client gets upstream's pages, while ours is being read.
            let kept = tokio::time::timeout(self.settings.slow_after.duration(), kept).await.unwrap_or(Ok(false));
            let kept = match kept {
                // What was found on disk: perhaps not all, but all that can be had now.
                Err(error) if Self::scan_stands_in(&pinned, &error) => {
                    pinned.served = Served::Stale;
                    true
                }
                kept => kept?,
            };
            if kept {
                if !had && pinned.served != Served::Stale {
                    pinned.served = Served::Miss;
                }
                self.check_folder(&pinned, query).await?;
                return Ok(Listing::Kept(pinned));
            }
        }
        // Commit dates and scans are not kept, and a masked view is this caller's alone.
        let folder = query.folder.as_ref().map(|folder| format!("/{}", upstream::encode(folder.as_str(), false)));
        let Pinned { repo, commit, .. } = &pinned;
        let path = format!("{}/tree/{commit}{}?{}", repo.key.api_path(), folder.unwrap_or_default(), query.raw);
        let scope = if sees_hashes { Scope::of(repo) } else { Scope::Caller };
        match self.pass(caller, &path, scope).await {
            Ok(passed) => Ok(Listing::Passed(pinned, passed)),
            Err(error)
                if is_outage(&error)
                    && sees_hashes
                    && !query.continues_upstreams
                    && self.has_tree(&pinned.repo, &pinned.commit).await? =>
            {
                self.check_folder(&pinned, query).await?;
                pinned.served = Served::Stale;
                Ok(Listing::Kept(pinned))
            }
            Err(Error::EntryNotFound { .. }) => Err(Error::EntryNotFound { commit: Some(pinned.commit) }),
            Err(error) => Err(error),
        }
    }

    /// Whether this caller may see unmasked hashes: accepted for the bytes, or nothing is gated.
    async fn sees_hashes(&self, caller: &Caller, repo: &Repo) -> Result<bool> {
        match self.authorise(caller, repo, Need::Bytes).await {
            Ok(()) => Ok(true),
            Err(error @ Error::Internal(_)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    async fn check_folder(&self, pinned: &Pinned, query: &TreeQuery) -> Result<()> {
        let Some(folder) = &query.folder else { return Ok(()) };
        match self.db.entry(&pinned.repo.row, &pinned.commit, folder).await? {
            Some(Entry::Directory { .. }) => Ok(()),
            _ => Err(Error::EntryNotFound { commit: Some(pinned.commit.clone()) }),
        }
    }

    /// One page of a kept tree.
    pub async fn entries(&self, pinned: &Pinned, page: &TreePage) -> Result<Vec<Entry>> {
        Ok(self.db.tree_page(&pinned.repo.row, &pinned.commit, page).await?)
    }

    /// The route `paths-info`: the entries of some paths; unknown ones are left out.
    pub async fn paths_info(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        paths: &[String],
        expand: bool,
    ) -> Result<(Pinned, Vec<Value>)> {
        let mut pinned = self.pin(caller, key, revision, Need::Metadata).await?;
        let sees_hashes = self.sees_hashes(caller, &pinned.repo).await?;
        let kept = sees_hashes
            && self.keep_tree(caller, &pinned.repo, &pinned.commit).await.or_else(|error| match error {
                error if Self::scan_stands_in(&pinned, &error) => Ok(true),
                error if is_outage(&error) => Ok(false),
                error => Err(error),
            })?;
        if !pinned.is_local() && (!kept || expand) {
            let Pinned { repo, commit, .. } = &pinned;
            let path = format!("{}/paths-info/{commit}", repo.key.api_path());
            let body = json!({"paths": paths, "expand": expand}).to_string();
            match self.upstream.post(&path, "application/json", body.into(), caller.own_eyes()).await {
                Ok(answer) => {
                    let mut value: Value = serde_json::from_slice(&answer.body)
                        .map_err(|e| Error::BadUpstream(format!("invalid paths-info from upstream: {e}")))?;
                    self.upstream.sanitiser().json(&mut value);
                    pinned.served = Served::Bypass;
                    let Value::Array(items) = value else {
                        return Err(Error::BadUpstream("invalid paths-info from upstream: not a list".into()));
                    };
                    return Ok((pinned, items));
                }
                Err(error) if kept && error.is_outage() => pinned.served = Served::Stale,
                Err(error) => return Err(Error::upstream(error, format!("files of {key}"))),
            }
        }
        let mut items = Vec::new();
        for path in paths {
            let Ok(path) = RepoPath::parse(path.trim_end_matches('/')) else { continue };
            if let Some(entry) = self.db.entry(&pinned.repo.row, &pinned.commit, &path).await? {
                items.push(self.entry_json(&entry, expand.then_some(&pinned.commit)));
            }
        }
        Ok((pinned, items))
    }
}

impl Hub {
    /// An entry as the Hub writes it. `last_commit` stands in for the commit dates of `expand`,
    /// which are not kept.
    pub fn entry_json(&self, entry: &Entry, last_commit: Option<&CommitId>) -> Value {
        let mut value = match entry {
            Entry::Directory { path, oid } => {
                json!({"type": "directory", "oid": oid.to_hex(), "size": 0, "path": path.as_str()})
            }
            Entry::File(artifact) => {
                let oid = object_id(artifact);
                let mut value = json!({"type": "file", "oid": oid, "size": artifact.size});
                if let Some(pointer) = artifact.pointer() {
                    value["lfs"] =
                        json!({"oid": artifact.content.to_hex(), "size": artifact.size, "pointerSize": pointer.len()});
                    if let Some(hash) = self.listed_xet_hash(artifact) {
                        value["xetHash"] = hash.into();
                    }
                }
                value["path"] = artifact.path.as_str().into();
                value
            }
        };
        if let Some(commit) = last_commit {
            value["lastCommit"] = json!({"id": commit.as_str(), "title": "", "date": "1970-01-01T00:00:00.000Z"});
        }
        value
    }
}

/// The git blob id of an entry: for an LFS file that of its pointer, which is computed where a
/// listing did not tell it.
pub(super) fn object_id(artifact: &Artifact) -> String {
    use sha1::{Digest as _, Sha1};
    match (artifact.oid, artifact.pointer()) {
        (Some(oid), _) => oid.to_hex(),
        (None, Some(pointer)) => {
            let mut sha1 = Sha1::new();
            sha1.update(format!("blob {}\0{pointer}", pointer.len()));
            hex::encode(sha1.finalize())
        }
        (None, None) => artifact.content.to_hex(),
    }
}
