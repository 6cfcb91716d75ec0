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

use serde_json::Value;

use super::{Need, Repo, Repos, ResolvedRevision, Result};
use crate::domain::{CommitId, RepoId, RepoKey, Revision, Visibility};
use crate::hub::{Caller, Error, Served, is_outage, is_own_trouble};
use crate::upstream::{self, Impact};

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

    /// Asks upstream what a revision means now, once for all who may share the answer.
    pub(in crate::hub) async fn ask_revision(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        known: Option<&Arc<Repo>>,
    ) -> Result<(Arc<Repo>, CommitId)> {
        let is_public = known.is_some_and(|repo| repo.visibility == Visibility::Public);
        let digest = (!is_public).then(|| self.digests.of(&caller.principal));
        let call_key = (key.clone(), revision.as_str().to_owned(), digest);
        let (repos, caller, key, revision) = (self.clone(), caller.clone(), key.clone(), revision.clone());
        let known = known.cloned();
        let call = || async move { repos.fetch_revision(&caller, &key, &revision, known).await };
        self.calls.run(call_key, call).await
    }

    async fn fetch_revision(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        known: Option<Arc<Repo>>,
    ) -> Result<(Arc<Repo>, CommitId)> {
        let path = format!("{}/revision/{}", key.api_path(), upstream::encode(revision.as_str(), false));
        let mut outcome = self.upstream.get(&path, caller.upstream()).await;
        if matches!(outcome, Err(upstream::Error::Unauthenticated { .. }))
            && known.as_ref().is_some_and(|repo| repo.visibility == Visibility::Public)
        {
            // A wrong token must not spoil the response that others share; none is needed here.
            outcome = self.upstream.get(&path, upstream::Caller { token: None, ..caller.upstream() }).await;
        }
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                if matches!(error, upstream::Error::RepoNotFound)
                    && let Some(repo) = known
                    && repo.visibility != Visibility::Private
                {
                    // Gone or hidden now: from here on only callers whom upstream accepts.
                    self.note_repo(&repo.key, Visibility::Private).await?;
                }
                let what = if matches!(error, upstream::Error::RevisionNotFound { .. }) {
                    revision.to_string()
                } else {
                    format!("{key} at {revision}")
                };
                return Err(Error::upstream(error, what));
            }
        };
        let unusable = |text: String| Error::BadUpstream(format!("invalid info of {key} from upstream: {text}"));
        let mut value: Value = serde_json::from_slice(&answer.body).map_err(|e| unusable(e.to_string()))?;
        let info = upstream::parse_info(&value).map_err(|e| unusable(e.to_string()))?;
        self.upstream.sanitiser().json(&mut value);

        let name = name_in_path(key, &answer.path).unwrap_or_else(|| key.clone());
        if name != *key || self.names.get(key).is_some_and(|known| known != name) {
            self.db.put_alias(key, &name.id, self.clock.now()).await?;
        }
        let repo = self.note_repo(&name, info.visibility).await?;

        let named = match revision {
            Revision::Named(name) => Some(name.as_str()),
            Revision::Commit(_) => None,
        };
        let (now, text) = (self.clock.now(), value.to_string());
        self.db.put_revision(&repo.row, named, &info.commit, Some(&text), now).await?;
        self.infos.put((Arc::clone(&repo.row), info.commit.clone()), text.into());
        if let Some(name) = named {
            let key = (Arc::clone(&repo.row), name.to_owned());
            self.revisions.put(key, (info.commit.clone(), now));
        }
        Ok((repo, info.commit))
    }

    /// The route `auth-check`: whether the caller may have the repository's bytes.
    pub async fn check_access(&self, caller: &Caller, key: &RepoKey) -> Result<()> {
        let repo = self.repo(caller, key).await?;
        self.authorise(caller, &repo, Need::Bytes).await
    }
}

/// The repository's name in the path that answered; another one than asked after a rename.
fn name_in_path(asked: &RepoKey, path: &str) -> Option<RepoKey> {
    let (_, rest) = path.split_once(&format!("/api/{}/", asked.kind.plural()))?;
    let (id, _) = rest.split_once("/revision/")?;
    Some(RepoKey::new(asked.kind, RepoId::parse(id).ok()?))
}
