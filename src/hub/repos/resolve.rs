//! Which repository and which commit a request means.
//!
//! Steps of `resolve`: find the repository (also by an older name) → authorise, before anything is
//! looked up → a full commit is itself; a name is what it meant within its time to
//! live → else ask upstream once for everybody → upstream down or slow: what the name last
//! resolved to, marked stale. What was made here from a folder (`import`) is final: upstream is not
//! asked.
//!
//! One decision per name and time to live serves all routes, so that a client sees one commit
//! in the info, the tree and the files.

use std::sync::Arc;

use super::{Need, Repo, Repos, ResolvedRevision, Result};
use crate::domain::{RepoKey, Revision};
use crate::hub::{Caller, Error, Served, is_outage, is_own_trouble};
use crate::upstream::Impact;

impl Repos {
    /// See the module's text.
    pub async fn resolve(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        need: Need,
    ) -> Result<ResolvedRevision> {
        let Some(repo) = self.known_repo(key).await? else {
            let (repo, commit) = self.ask_revision(caller, key, revision, None).await?;
            self.authorise(caller, &repo, need).await?;
            return self.resolved(repo, commit, Served::Miss).await;
        };
        self.authorise(caller, &repo, need).await?;
        if let Some(commit) = self.local_commit(&repo, revision).await? {
            return self.resolved(repo, commit, Served::Hit).await;
        }

        // What to ask upstream, and what to fall back to. The visibility of a full commit's
        // repository is learned again with the tip of its default branch.
        let (asked, known) = match revision {
            Revision::Commit(commit) => {
                if self.is_fresh(repo.checked_at, self.settings.cache.visibility_ttl.duration()) {
                    return self.resolved(repo, commit.clone(), Served::Hit).await;
                }
                (Revision::main(), Some(commit.clone()))
            }
            Revision::Named(name) => match self.known_revision(&repo, name).await? {
                Some((commit, checked_at)) if self.is_fresh(checked_at, self.ref_ttl()) => {
                    return self.resolved(repo, commit, Served::Hit).await;
                }
                known => (revision.clone(), known.map(|(commit, _)| commit)),
            },
        };
        let call = self.ask_revision(caller, key, &asked, Some(&repo));
        let Some(known) = known else {
            let (repo, commit) = call.await?;
            self.authorise(caller, &repo, need).await?;
            return self.resolved(repo, commit, Served::Miss).await;
        };
        match self.upstream.in_time(Impact::Counts, call).await {
            Some(Ok((repo, commit))) => {
                // It may have become private or gated since.
                self.authorise(caller, &repo, need).await?;
                let commit = if matches!(revision, Revision::Commit(_)) { known } else { commit };
                self.resolved(repo, commit, Served::Miss).await
            }
            // The repository is there, only without that branch: a commit needs none.
            Some(Err(Error::RevisionNotFound { .. })) if matches!(revision, Revision::Commit(_)) => {
                let repo = self.note_repo(&repo.key, repo.visibility).await?;
                self.resolved(repo, known, Served::Miss).await
            }
            Some(Err(error)) if !is_outage(&error) && !is_own_trouble(&error) => Err(error),
            // Down, or too slow (the call continues and will be recorded), or our database cannot
            // record it: no reason to refuse what is cached.
            Some(Err(error)) => {
                if let Error::Internal(cause) = error {
                    tracing::error!(%cause, "could not record upstream's response");
                }
                self.resolved(repo, known, Served::Stale).await
            }
            None => self.resolved(repo, known, Served::Stale).await,
        }
    }

    /// A repository for a caller, whatever the revision.
    pub(in crate::hub) async fn repo(&self, caller: &Caller, key: &RepoKey) -> Result<Arc<Repo>> {
        Ok(self.resolve(caller, key, &Revision::main(), Need::Metadata).await?.repo)
    }

    /// The route `auth-check`: whether the caller may have the repository's bytes.
    pub async fn check_access(&self, caller: &Caller, key: &RepoKey) -> Result<()> {
        let repo = self.repo(caller, key).await?;
        self.authorise(caller, &repo, Need::Bytes).await
    }
}
