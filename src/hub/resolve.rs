//! Which bytes a request for a file means.
//!
//! Steps: **pin** the revision, which authorises first (`pin.rs`) → **look up** the artifact:
//! in memory, in the database, absent if the commit's whole tree is kept, else the tree is
//! read from upstream; if that takes long or cannot be kept, one HEAD answers for this file
//! alone and the tree follows behind. **Locate** comes with `fetch::open`: HEAD needs none.

use std::sync::Arc;

use std::time::Duration;

use super::pin::is_outage;
use super::{Caller, Error, Hub, Need, Pinned, Result, Served};
use crate::domain::{Artifact, ContentId, Entry, Origin, RepoKey, RepoPath, Revision};
use crate::upstream;

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
    pub pinned: Pinned,
    pub artifact: Arc<Artifact>,
    pub served: Served,
}

impl Hub {
    /// See the module's text. Starts no download.
    pub async fn resolve(&self, caller: &Caller, target: &Target) -> Result<Resolved> {
        match tokio::time::timeout(LONGEST, self.find(caller, target)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let what = format!("{}/{}", target.repo, target.path);
                let reason = format!("it did not return the file's metadata within {} s", LONGEST.as_secs());
                Err(Error::UpstreamUnavailable { what, reason })
            }
        }
    }

    async fn find(&self, caller: &Caller, target: &Target) -> Result<Resolved> {
        let pinned = self.pin(caller, &target.repo, &target.revision, Need::Bytes).await?;
        let (artifact, asked) = self.look_up(caller, &pinned, &target.path).await?;
        let served = match (pinned.served, asked) {
            (Served::Hit, true) => Served::Miss,
            (served, _) => served,
        };
        Ok(Resolved { pinned, artifact, served })
    }

    /// The artifact, and whether upstream had to be asked.
    async fn look_up(&self, caller: &Caller, pinned: &Pinned, path: &RepoPath) -> Result<(Arc<Artifact>, bool)> {
        let Pinned { repo, commit, .. } = pinned;
        let key = (Arc::clone(&repo.row), commit.clone(), path.clone());
        if let Some(artifact) = self.artifacts.get(&key) {
            return Ok((artifact, false));
        }
        self.confirm(caller, pinned).await;
        // Asked before the look for the entry: a listing that ends in between must not turn
        // "not read yet" into "proven absent".
        let had_tree = self.has_tree(repo, commit).await?;
        if let Some(artifact) = self.kept_artifact(pinned, path).await? {
            // What a scan told may still turn out differently.
            if self.origin(repo, commit).await? != Some(Origin::Scanned) {
                self.artifacts.insert(key, Arc::clone(&artifact));
            }
            return Ok((artifact, false));
        }
        let absent = || Error::EntryNotFound { commit: Some(commit.clone()) };
        if had_tree || pinned.is_local() || self.db.is_missing(&repo.row, commit, path).await? {
            return Err(absent());
        }

        let listing = self.keep_tree(caller, repo, commit);
        match tokio::time::timeout(self.settings.slow_after.duration(), listing).await {
            Ok(Ok(true)) => {
                let artifact = self.kept_artifact(pinned, path).await?.ok_or_else(absent)?;
                self.artifacts.insert(key, Arc::clone(&artifact));
                return Ok((artifact, true));
            }
            Ok(Err(error @ (Error::RevisionNotFound { .. } | Error::Internal(_)))) => return Err(error),
            Ok(Err(error)) if is_outage(&error) && self.upstream.is_down() => return Err(error),
            // Masked, slow, or not to be had: ask for this file alone.
            Ok(_) | Err(_) => {}
        }
        let artifact = self.ask_file(caller, pinned, path).await?;
        self.artifacts.insert(key, Arc::clone(&artifact));
        Ok((artifact, true))
    }

    async fn kept_artifact(&self, pinned: &Pinned, path: &RepoPath) -> Result<Option<Arc<Artifact>>> {
        Ok(match self.db.entry(&pinned.repo.row, &pinned.commit, path).await? {
            Some(Entry::File(artifact)) => Some(Arc::new(artifact)),
            Some(Entry::Directory { .. }) | None => None,
        })
    }

    async fn ask_file(&self, caller: &Caller, pinned: &Pinned, path: &RepoPath) -> Result<Arc<Artifact>> {
        let Pinned { repo, commit, .. } = pinned;
        let head = match self.upstream.head(&repo.key, commit.as_str(), path, caller.upstream()).await {
            Ok(head) => head,
            Err(error) => {
                let is_absent = matches!(error, upstream::Error::EntryNotFound { .. });
                if is_absent {
                    self.db.put_pin(&repo.row, None, commit, None, self.clock.now()).await?;
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
        self.db.put_pin(&repo.row, None, commit, None, self.clock.now()).await?;
        self.db.put_entries(&repo.row, commit, &[Entry::File(artifact.clone())]).await?;
        Ok(Arc::new(artifact))
    }
}
