//! What a revision means now, as upstream says: asked once for all who may share the answer, and noted for everybody.
//!
//! What upstream does not show, with the caller's token and without one, is not public any more.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{CallKey, Repo, Repos, Result};
use crate::domain::{CommitId, RepoId, RepoKey, Revision, Visibility};
use crate::hub::{Caller, Error};
use crate::upstream;

/// The repository by its present name, and the commit.
type Answer = (Arc<Repo>, CommitId);

impl Repos {
    /// Asks upstream what a revision means now, once for all who may share the answer.
    pub(in crate::hub) async fn ask_revision(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        known: Option<&Arc<Repo>>,
    ) -> Result<Answer> {
        let (shared, call) = self.call(caller, key, revision, known);
        self.calls.run(shared, || call).await
    }

    /// The same, and nobody waits for the answer.
    pub(super) fn begin_to_ask(&self, caller: &Caller, repo: &Arc<Repo>, revision: &Revision) {
        let (shared, call) = self.call(caller, &repo.key, revision, Some(repo));
        self.calls.begin(shared, || call);
    }

    /// A call of upstream, and who shares it.
    fn call(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        known: Option<&Arc<Repo>>,
    ) -> (CallKey, BoxFuture<'static, Result<Answer>>) {
        let is_public = known.is_some_and(|repo| repo.visibility == Visibility::Public);
        let digest = (!is_public).then(|| self.digests.of(&caller.principal));
        let shared = (key.clone(), revision.as_str().to_owned(), digest);
        let (repos, caller, key, revision) = (self.clone(), caller.clone(), key.clone(), revision.clone());
        let known = known.cloned();
        let call = async move { repos.fetch_revision(&caller, &key, &revision, known).await }.boxed();
        (shared, call)
    }

    async fn fetch_revision(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        known: Option<Arc<Repo>>,
    ) -> Result<Answer> {
        let path = format!("{}/revision/{}", key.api_path(), upstream::encode(revision.as_str(), false));
        let mut outcome = self.upstream.get(&path, caller.upstream()).await;
        // Others share this response, and a token that upstream refuses, the caller's or this hub's, says nothing of the
        // repository: what it shows without one does.
        let is_open = known.as_ref().is_some_and(|repo| repo.visibility != Visibility::Private);
        if is_open && outcome.as_ref().is_err_and(is_refusal) {
            let nobody = upstream::Caller { token: None, ..caller.without_hub_token() };
            outcome = self.upstream.get(&path, nobody).await;
        }
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                if is_open
                    && is_refusal(&error)
                    && let Some(repo) = known
                {
                    // Gone or hidden now, or upstream does not say: from here on only callers whom it accepts.
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
        self.infos.put((repo.row.clone(), info.commit.clone()), text.into());
        if let Some(name) = named {
            let key = (repo.row.clone(), name.to_owned());
            self.revisions.put(key, (info.commit.clone(), now));
        }
        Ok((repo, info.commit))
    }
}

/// Whether upstream did not show the repository: an answer, but not that it is there.
fn is_refusal(error: &upstream::Error) -> bool {
    !error.is_outage() && !matches!(error, upstream::Error::RevisionNotFound { .. })
}

/// The repository's name in the path that answered; another one than asked after a rename.
fn name_in_path(asked: &RepoKey, path: &str) -> Option<RepoKey> {
    let (_, rest) = path.split_once(&format!("/api/{}/", asked.kind.plural()))?;
    let (id, _) = rest.split_once("/revision/")?;
    Some(RepoKey::new(asked.kind, RepoId::parse(id).ok()?))
}
