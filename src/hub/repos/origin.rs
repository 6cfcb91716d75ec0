//! Commits that upstream did not report: found in caches on disk, or made here from folders (`import`).
//!
//! What was made here is final, and upstream is never asked about it. What a cache told is good while
//! upstream is down; upstream's own listing takes its place as soon as it is available.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Repo, Repos, ResolvedRevision, Result};
use crate::db::TreePage;
use crate::domain::{CommitId, Entry, Origin, RepoPath, Revision};
use crate::hub::{Error, Served};

impl Repos {
    /// What a revision means if upstream is never asked; an error for a repository that upstream does not know.
    pub(in crate::hub) async fn local_commit(&self, repo: &Repo, revision: &Revision) -> Result<Option<CommitId>> {
        let name = match revision {
            Revision::Commit(commit) => return self.checked_local(repo, Some(commit.clone()), revision).await,
            Revision::Named(name) => name,
        };
        let known = self.known_revision(repo, name).await?.map(|(commit, _)| commit);
        self.checked_local(repo, known, revision).await
    }

    async fn checked_local(
        &self,
        repo: &Repo,
        commit: Option<CommitId>,
        revision: &Revision,
    ) -> Result<Option<CommitId>> {
        let origin = match &commit {
            Some(commit) => self.origin(repo, commit).await?,
            None => None,
        };
        match origin {
            Some(Origin::Local) => Ok(commit),
            Some(_) if repo.is_local => Ok(commit),
            None if repo.is_local => Err(Error::RevisionNotFound { revision: revision.to_string() }),
            _ => Ok(None),
        }
    }

    /// A commit of a repository, with where it is known from. The use of what is known without asking leads to a look.
    pub(in crate::hub) async fn resolved(
        &self,
        repo: Arc<Repo>,
        commit: CommitId,
        served: Served,
    ) -> Result<ResolvedRevision> {
        if served == Served::Hit {
            self.look_again(&repo);
        }
        let origin = self.origin(&repo, &commit).await?.unwrap_or(Origin::Upstream);
        Ok(ResolvedRevision { repo, commit, origin, served })
    }

    /// Where a commit is known from; `None` if it is not recorded here.
    pub(in crate::hub) async fn origin(&self, repo: &Repo, commit: &CommitId) -> Result<Option<Origin>> {
        let key = (repo.row.clone(), commit.clone());
        let seen = self.origins.seen();
        if let Some(origin) = self.origins.get(&key) {
            return Ok(Some(origin));
        }
        let origin = self.db.commit_origin(&repo.row, commit).await?;
        if let Some(origin) = origin {
            self.origins.keep(seen, key, origin);
        }
        Ok(origin)
    }

    /// The paths that a scan has put into a commit, which upstream's listing may not have; `None` if no scan did.
    pub(in crate::hub) async fn scanned_paths(
        &self,
        repo: &Repo,
        commit: &CommitId,
    ) -> Result<Option<HashSet<RepoPath>>> {
        if self.origin(repo, commit).await? != Some(Origin::Scanned) {
            return Ok(None);
        }
        let mut paths = HashSet::new();
        let mut page = TreePage { recursive: true, limit: 1000, ..TreePage::default() };
        loop {
            let entries = self.db.tree_page(&repo.row, commit, &page).await?;
            let Some(last) = entries.last() else { return Ok(Some(paths)) };
            page.after = last.path().as_str().to_owned();
            paths.extend(entries.iter().map(Entry::path).cloned());
        }
    }
}
