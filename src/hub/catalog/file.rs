//! Which bytes a request for a file means.
//!
//! Steps: **resolve** the revision, which authorises first → **look up** the artifact:
//! in memory, in the database, absent if the commit's whole tree is kept, else the tree is
//! read from upstream; if that takes long or cannot be kept, one HEAD answers for this file
//! alone and the tree follows in the background. **Locate** comes with `fetch::open`: HEAD needs none.

use std::sync::Arc;
use std::time::Duration;

use super::{Catalog, Result};
use crate::domain::{Artifact, ContentId, Entry, Origin, RepoKey, RepoPath, Revision};
use crate::hub::repos::{Need, ResolvedRevision};
use crate::hub::{Caller, Error, Served, is_outage};
use crate::upstream::{self, Impact};

/// huggingface_hub gives up after 10 s of silence; all steps together take less.
const LONGEST: Duration = Duration::from_secs(8);

/// A file as it is asked for.
#[derive(Debug, Clone)]
pub struct Target {
    pub repo: RepoKey,
    pub revision: Revision,
    pub path: RepoPath,
}

/// The answer to "which bytes are these".
#[derive(Debug, Clone)]
pub struct Resolved {
    pub revision: ResolvedRevision,
    pub artifact: Arc<Artifact>,
    pub served: Served,
}

impl Catalog {
    /// See the module's text. Starts no download.
    pub async fn file(&self, caller: &Caller, target: &Target) -> Result<Resolved> {
        match self.clock.timeout(LONGEST, self.find(caller, target)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let what = format!("{}/{}", target.repo, target.path);
                let reason = format!("it did not return the file's metadata within {} s", LONGEST.as_secs());
                Err(Error::UpstreamUnavailable { what, reason })
            }
        }
    }

    async fn find(&self, caller: &Caller, target: &Target) -> Result<Resolved> {
        let resolved = self.repos.resolve(caller, &target.repo, &target.revision, Need::Bytes).await?;
        let (artifact, asked) = self.look_up(caller, &resolved, &target.path).await?;
        if artifact.is_lost() {
            let what = format!("{}/{}", target.repo, target.path);
            if self.upstream.is_offline() {
                return Err(Error::Offline { what });
            }
            let reason = "the cache that it was imported from has lost it; import one that is complete".into();
            return Err(Error::UpstreamUnavailable { what, reason });
        }
        let served = match (resolved.served, asked) {
            (Served::Hit, true) => Served::Miss,
            (served, _) => served,
        };
        Ok(Resolved { revision: resolved, artifact, served })
    }

    /// The artifact, and whether upstream had to be asked.
    async fn look_up(
        &self,
        caller: &Caller,
        resolved: &ResolvedRevision,
        path: &RepoPath,
    ) -> Result<(Arc<Artifact>, bool)> {
        let ResolvedRevision { repo, commit, .. } = resolved;
        let key = (repo.row.clone(), commit.clone(), path.clone());
        let seen = self.artifacts.seen();
        if let Some(artifact) = self.artifacts.get(&key) {
            return Ok((artifact, false));
        }
        self.confirm(caller, resolved).await;
        // Asked before the look for the entry: a listing that ends in between must not turn
        // "not read yet" into "proven absent".
        let had_tree = self.has_tree(repo, commit).await?;
        if let Some(artifact) = self.kept_artifact(resolved, path).await? {
            // What a scan told may still turn out differently.
            if self.repos.origin(repo, commit).await? != Some(Origin::Scanned) {
                if !had_tree {
                    self.db.keep_entry(&repo.row, commit, path).await?;
                }
                self.artifacts.keep(seen, key, Arc::clone(&artifact));
            }
            return Ok((artifact, false));
        }
        let absent = || Error::EntryNotFound { commit: Some(commit.clone()) };
        if had_tree || resolved.is_local() || self.db.is_missing(&repo.row, commit, path).await? {
            return Err(absent());
        }

        match self.upstream.in_time(Impact::Counts, self.ask_tree(caller, repo, commit)).await {
            Some(Ok(true)) => {
                let artifact = self.kept_artifact(resolved, path).await?.ok_or_else(absent)?;
                self.artifacts.keep(seen, key, Arc::clone(&artifact));
                return Ok((artifact, true));
            }
            Some(Err(error @ (Error::RevisionNotFound { .. } | Error::Internal(_)))) => return Err(error),
            Some(Err(error)) if is_outage(&error) && self.upstream.is_down() => return Err(error),
            // Masked, slow, or unavailable: ask for this file alone.
            Some(_) | None => {}
        }
        let artifact = self.ask_file(caller, resolved, path).await?;
        self.artifacts.keep(seen, key, Arc::clone(&artifact));
        Ok((artifact, true))
    }

    async fn kept_artifact(&self, resolved: &ResolvedRevision, path: &RepoPath) -> Result<Option<Arc<Artifact>>> {
        Ok(match self.db.entry(&resolved.repo.row, &resolved.commit, path).await? {
            Some(Entry::File(artifact)) => Some(Arc::new(artifact)),
            Some(Entry::Directory { .. }) | None => None,
        })
    }

    async fn ask_file(&self, caller: &Caller, resolved: &ResolvedRevision, path: &RepoPath) -> Result<Arc<Artifact>> {
        let ResolvedRevision { repo, commit, .. } = resolved;
        let head = match self.upstream.head(&repo.key, commit.as_str(), path, caller.upstream()).await {
            Ok(head) => head,
            Err(error) => {
                let is_absent = matches!(error, upstream::Error::EntryNotFound { .. });
                if is_absent {
                    self.db.put_revision(&repo.row, None, commit, None, self.clock.now()).await?;
                    self.db.put_missing(&repo.row, commit, path, self.clock.now()).await?;
                    return Err(Error::EntryNotFound { commit: Some(commit.clone()) });
                }
                return Err(Error::upstream(error, format!("{}/{path} at {commit}", repo.key)));
            }
        };
        if head.commit != *commit {
            return Err(Error::BadUpstream(format!(
                "upstream responded for commit {} instead of {commit}",
                head.commit
            )));
        }
        let oid = match head.content {
            ContentId::Git(oid) => Some(oid),
            ContentId::Sha256(_) => None,
        };
        let artifact =
            Artifact { path: path.clone(), size: head.size, content: head.content, oid, xet_hash: head.xet_hash };
        self.db.put_revision(&repo.row, None, commit, None, self.clock.now()).await?;
        self.db.put_entries(&repo.row, commit, &[Entry::File(artifact.clone())]).await?;
        Ok(Arc::new(artifact))
    }
}
