//! Commits that upstream did not tell of: found in caches on disk, or made here of folders (`import`).
//!
//! What was made here is as it is, and upstream is never asked about it. What a cache told is good while
//! upstream is away; as soon as it can be had, upstream's own listing takes its place.

use std::collections::HashSet;
use std::sync::Arc;

use super::pin::{Repo, is_outage};
use super::{Caller, Error, Hub, Pinned, Result, Served};
use crate::db::TreePage;
use crate::domain::{CommitId, Entry, Origin, RepoPath, Revision};

impl Hub {
    /// What a revision means without upstream for good; an error for a repository of which upstream knows nothing.
    pub(super) async fn local_commit(&self, repo: &Repo, revision: &Revision) -> Result<Option<CommitId>> {
        let name = match revision {
            Revision::Commit(commit) => return self.checked_local(repo, Some(commit.clone()), revision).await,
            Revision::Named(name) => name,
        };
        let known = self.known_pin(repo, name).await?.map(|(commit, _)| commit);
        let found = self.checked_local(repo, known, revision).await;
        if !matches!(found, Ok(None)) && self.forget_if_old(repo, name) {
            let known = self.known_pin(repo, name).await?.map(|(commit, _)| commit);
            return self.checked_local(repo, known, revision).await;
        }
        found
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

    /// Another process may have imported meanwhile: what is local is read from the database again as often as a
    /// branch is asked for.
    fn forget_if_old(&self, repo: &Repo, name: &str) -> bool {
        let key = (Arc::clone(&repo.row), name.to_owned());
        let now = self.clock.elapsed();
        if self.pins.looked.get(&key).is_some_and(|looked| now.saturating_sub(looked) < self.ref_ttl()) {
            return false;
        }
        self.pins.pins.invalidate(&key);
        self.pins.repos.invalidate(&repo.key);
        self.pins.looked.insert(key, now);
        true
    }

    pub(super) async fn pinned(&self, repo: Arc<Repo>, commit: CommitId, served: Served) -> Result<Pinned> {
        let origin = self.origin(&repo, &commit).await?.unwrap_or(Origin::Upstream);
        Ok(Pinned { repo, commit, origin, served })
    }

    /// Where a commit is known from; `None` if it is not recorded here.
    pub(super) async fn origin(&self, repo: &Repo, commit: &CommitId) -> Result<Option<Origin>> {
        let key = (Arc::clone(&repo.row), commit.clone());
        if let Some(origin) = self.pins.origins.get(&key) {
            return Ok(Some(origin));
        }
        let origin = self.db.commit_origin(&repo.row, commit).await?;
        if let Some(origin) = origin {
            self.pins.origins.insert(key, origin);
        }
        Ok(origin)
    }

    /// What is remembered of a commit and of the names of its repository was changed in the database.
    pub(super) fn forget_pins(&self, repo: &Repo, commit: &CommitId, names: &[&str]) {
        self.pins.origins.invalidate(&(Arc::clone(&repo.row), commit.clone()));
        self.pins.infos.invalidate(&(Arc::clone(&repo.row), commit.clone()));
        for name in names {
            self.pins.pins.invalidate(&(Arc::clone(&repo.row), (*name).to_owned()));
        }
        self.forget_repo(&repo.key);
    }

    /// Asks upstream for the listing of a commit that a scan has found, not more often than for a branch. While
    /// it is not to be had, what the scan found stands.
    pub(super) async fn confirm(&self, caller: &Caller, pinned: &Pinned) {
        let Pinned { repo, commit, .. } = pinned;
        let is_open = pinned.origin == Origin::Scanned && !pinned.is_local();
        if !is_open || pinned.served == Served::Stale || self.upstream.is_away() {
            return;
        }
        let key = (Arc::clone(&repo.row), commit.clone());
        let now = self.clock.elapsed();
        let ttl = self.ref_ttl();
        if self.listings.asked.get(&key).is_some_and(|asked| now.saturating_sub(asked) < ttl) {
            return;
        }
        self.listings.asked.insert(key, now);
        let reading = self.ask_tree(caller, repo, commit);
        if let Ok(Err(error)) = tokio::time::timeout(self.settings.slow_after.duration(), reading).await {
            tracing::info!(repo.id = %repo.key, %commit, %error, "upstream did not confirm a commit that was found on disk");
        }
    }

    /// Whether what a scan has found may stand in for what upstream was asked for: it is away, or does not have
    /// the commit any more.
    pub(super) fn scan_stands_in(pinned: &Pinned, error: &Error) -> bool {
        pinned.origin == Origin::Scanned && (is_outage(error) || matches!(error, Error::RevisionNotFound { .. }))
    }

    /// The paths that a scan has put into a commit, which upstream's listing may not have; `None` if no scan did.
    pub(super) async fn scanned_paths(&self, repo: &Repo, commit: &CommitId) -> Result<Option<HashSet<RepoPath>>> {
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
