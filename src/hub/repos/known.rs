//! What is known here of repositories and of the names of their commits: from memory, else from the database.
//!
//! Nothing is kept beyond a change of it: `apply` drops what a change of this or another process has made untrue.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Repo, Repos, Result};
use crate::db::Change;
use crate::domain::{CommitId, Millis, ModelId, RepoKey, Revision, Visibility};

impl Repos {
    /// The repository that a name means, if it is known here.
    pub(in crate::hub) async fn known_repo(&self, key: &RepoKey) -> Result<Option<Arc<Repo>>> {
        let seen = (self.names.seen(), self.repos.seen());
        let name = match self.names.get(key) {
            Some(name) => name,
            None => {
                let name = match self.db.alias(key).await? {
                    Some(id) => RepoKey::new(key.kind, id),
                    None => key.clone(),
                };
                // Of a repository that is not known here nothing is kept: names come from anybody.
                if self.repos.get(&name).is_some() {
                    self.names.keep(seen.0, key.clone(), name.clone());
                }
                name
            }
        };
        if let Some(repo) = self.repos.get(&name) {
            return Ok(Some(repo));
        }
        let Some(row) = self.db.repo(&name).await? else { return Ok(None) };
        // Registered, and upstream was not asked yet: as good as unknown.
        if row.checked_at == 0 {
            return Ok(None);
        }
        let repo = Arc::new(Repo {
            row: row.id,
            key: name.clone(),
            visibility: row.visibility,
            checked_at: row.checked_at,
            is_local: row.is_local,
        });
        self.names.keep(seen.0, key.clone(), name.clone());
        self.repos.keep(seen.1, name, Arc::clone(&repo));
        Ok(Some(repo))
    }

    /// What a name of a repository meant when upstream was last asked, and when that was.
    pub(in crate::hub) async fn known_revision(&self, repo: &Repo, name: &str) -> Result<Option<(CommitId, Millis)>> {
        let key = (repo.row.clone(), name.to_owned());
        let seen = self.revisions.seen();
        if let Some(known) = self.revisions.get(&key) {
            return Ok(Some(known));
        }
        let Some(known) = self.db.revision(&repo.row, name).await? else { return Ok(None) };
        self.revisions.keep(seen, key, (known.commit.clone(), known.checked_at));
        Ok(Some((known.commit, known.checked_at)))
    }

    pub(in crate::hub) fn ref_ttl(&self) -> Duration {
        self.live.get().ref_ttl
    }

    /// The commit that a revision is known to mean: upstream need not be asked.
    pub(in crate::hub) async fn fresh_commit(&self, row: &ModelId, revision: &Revision) -> Result<Option<CommitId>> {
        Ok(match revision {
            Revision::Commit(commit) => Some(commit.clone()),
            Revision::Named(name) => {
                let known = self.db.revision(row, name).await?;
                known.filter(|known| self.is_fresh(known.checked_at, self.ref_ttl())).map(|known| known.commit)
            }
        })
    }

    pub(super) fn is_fresh(&self, checked_at: Millis, ttl: Duration) -> bool {
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        // A time in the future means that the clock was set back: ask again.
        (0..ttl).contains(&(self.clock.now() - checked_at))
    }

    /// Notes that upstream showed a repository with this visibility, now.
    pub(in crate::hub) async fn note_repo(&self, key: &RepoKey, visibility: Visibility) -> Result<Arc<Repo>> {
        let new_id = ModelId::generate();
        let row = self.db.put_repo(key, visibility, &new_id, self.clock.now()).await?;
        let (checked_at, is_local) = (row.checked_at, row.is_local);
        let repo = Arc::new(Repo { row: row.id, key: key.clone(), visibility, checked_at, is_local });
        self.repos.put(key.clone(), Arc::clone(&repo));
        Ok(repo)
    }

    /// Notes what a name of a repository means, as upstream said now.
    pub(in crate::hub) async fn note_revision(&self, repo: &Repo, name: &str, commit: &CommitId) -> Result<()> {
        let now = self.clock.now();
        self.db.put_revision(&repo.row, Some(name), commit, None, now).await?;
        self.revisions.put((repo.row.clone(), name.to_owned()), (commit.clone(), now));
        Ok(())
    }

    /// The info of a commit as upstream gave it, without traces of Xet; `None` if it was never asked.
    pub(in crate::hub) async fn known_info(&self, repo: &Repo, commit: &CommitId) -> Result<Option<Arc<str>>> {
        let key = (repo.row.clone(), commit.clone());
        let seen = self.infos.seen();
        if let Some(info) = self.infos.get(&key) {
            return Ok(Some(info));
        }
        let Some(text) = self.db.commit_info(&repo.row, commit).await? else { return Ok(None) };
        let info: Arc<str> = text.into();
        self.infos.keep(seen, key, Arc::clone(&info));
        Ok(Some(info))
    }

    /// Lets go of what a change has made untrue. Answers that may be given again without a look are looked at again.
    pub(in crate::hub) fn apply(&self, change: &Change) {
        match change {
            Change::Repo(key) => {
                self.repos.forget(key);
                self.names.forget(key);
            }
            Change::Revision { repo, name } => self.revisions.forget(&(repo.clone(), name.clone())),
            Change::Commit { repo, commit } => {
                let key = (repo.clone(), commit.clone());
                self.origins.forget(&key);
                self.infos.forget(&key);
            }
            Change::Everything => {
                self.names.forget_all();
                self.repos.forget_all();
                self.revisions.forget_all();
                self.origins.forget_all();
                self.infos.forget_all();
            }
            _ => {}
        }
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}
