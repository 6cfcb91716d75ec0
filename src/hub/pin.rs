//! Which repository and which commit a request means.
//!
//! Steps of `pin`: find the repository (also by an older name) → authorise, before anything is
//! looked up → a full commit is itself; a name is what it was pinned to within its time to
//! live → else ask upstream once for everybody → upstream away or slow: what the name last
//! meant, marked stale. What was made here of a folder (`import`) is as it is: upstream is not
//! asked.
//!
//! One decision per name and time to live serves all routes, so that a client sees one commit
//! in the info, the tree and the files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio_util::task::TaskTracker;

use super::coalesce::Coalesce;
use super::{Caller, Error, Hub, Need, Result, Served};
use crate::domain::{CommitId, Millis, Origin, RepoId, RepoKey, Revision, Visibility};
use crate::upstream;

/// A repository that upstream has shown, under its present name, or that a scan has found.
#[derive(Debug)]
pub struct Repo {
    /// The id of its database row.
    pub(super) row: Arc<str>,
    pub key: RepoKey,
    pub visibility: Visibility,
    pub(super) checked_at: Millis,
    /// Upstream is never asked about it.
    pub(super) is_local: bool,
}

/// What a request means.
#[derive(Debug, Clone)]
pub struct Pinned {
    pub repo: Arc<Repo>,
    pub commit: CommitId,
    /// Where the commit is known from.
    pub origin: Origin,
    pub served: Served,
}

impl Pinned {
    /// Whether upstream knows nothing of this commit, and is not asked about it.
    pub(super) fn is_local(&self) -> bool {
        self.repo.is_local || self.origin == Origin::Local
    }
}

type CallKey = (RepoKey, String, Option<String>);

/// For how long an answer about a public file may be given again without asking anything.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    epoch: u64,
    made: Millis,
    until: Millis,
}

pub(super) struct Pins {
    /// Goes up whenever something that was known turned out differently.
    epoch: AtomicU64,
    /// The present name of each name that was asked for.
    names: moka::sync::Cache<RepoKey, RepoKey>,
    pub(super) repos: moka::sync::Cache<RepoKey, Arc<Repo>>,
    pub(super) pins: moka::sync::Cache<(Arc<str>, String), (CommitId, Millis)>,
    /// Of commits that are recorded here.
    pub(super) origins: moka::sync::Cache<(Arc<str>, CommitId), Origin>,
    /// When the database was last asked for a local name, on the monotonic clock.
    pub(super) looked: moka::sync::Cache<(Arc<str>, String), Duration>,
    pub(super) infos: moka::sync::Cache<(Arc<str>, CommitId), Arc<str>>,
    calls: Coalesce<CallKey, (Arc<Repo>, CommitId)>,
}

impl Pins {
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self {
            epoch: AtomicU64::new(0),
            names: moka::sync::Cache::new(20_000),
            repos: moka::sync::Cache::new(20_000),
            pins: moka::sync::Cache::new(50_000),
            origins: moka::sync::Cache::new(50_000),
            looked: moka::sync::Cache::new(50_000),
            infos: moka::sync::Cache::builder()
                .weigher(|_, info: &Arc<str>| u32::try_from(info.len()).unwrap_or(u32::MAX))
                .max_capacity(32 << 20)
                .build(),
            calls: Coalesce::new(tasks),
        }
    }
}

impl Hub {
    /// See the module's text.
    pub async fn pin(&self, caller: &Caller, key: &RepoKey, revision: &Revision, need: Need) -> Result<Pinned> {
        let Some(repo) = self.known_repo(key).await? else {
            let (repo, commit) = self.ask_revision(caller, key, revision, None).await?;
            self.authorise(caller, &repo, need).await?;
            return self.pinned(repo, commit, Served::Miss).await;
        };
        self.authorise(caller, &repo, need).await?;
        if let Some(commit) = self.local_commit(&repo, revision).await? {
            return self.pinned(repo, commit, Served::Hit).await;
        }

        // What to ask upstream, and what to fall back to. The visibility of a pinned commit's
        // repository is learned again with the tip of its default branch.
        let (asked, known) = match revision {
            Revision::Commit(commit) => {
                if self.is_fresh(repo.checked_at, self.settings.cache.visibility_ttl.duration()) {
                    return self.pinned(repo, commit.clone(), Served::Hit).await;
                }
                (Revision::main(), Some(commit.clone()))
            }
            Revision::Named(name) => match self.known_pin(&repo, name).await? {
                Some((commit, checked_at)) if self.is_fresh(checked_at, self.ref_ttl()) => {
                    return self.pinned(repo, commit, Served::Hit).await;
                }
                pin => (revision.clone(), pin.map(|(commit, _)| commit)),
            },
        };
        let call = self.ask_revision(caller, key, &asked, Some(&repo));
        let Some(known) = known else {
            let (repo, commit) = call.await?;
            self.authorise(caller, &repo, need).await?;
            return self.pinned(repo, commit, Served::Miss).await;
        };
        match tokio::time::timeout(self.settings.slow_after.duration(), call).await {
            Ok(Ok((repo, commit))) => {
                // It may have become private or gated since.
                self.authorise(caller, &repo, need).await?;
                let commit = if matches!(revision, Revision::Commit(_)) { known } else { commit };
                self.pinned(repo, commit, Served::Miss).await
            }
            // The repository is there, only without that branch: a commit needs none.
            Ok(Err(Error::RevisionNotFound { .. })) if matches!(revision, Revision::Commit(_)) => {
                let repo = self.note_repo(&repo.key, repo.visibility).await?;
                self.pinned(repo, known, Served::Miss).await
            }
            Ok(Err(error)) if !is_outage(&error) && !is_own_trouble(&error) => Err(error),
            // Away, or too slow (the call goes on and will be noted), or our database cannot
            // note it: no reason to refuse what is here.
            Ok(Err(_)) | Err(_) => self.pinned(repo, known, Served::Stale).await,
        }
    }

    /// A repository for a caller, whatever the revision.
    pub(super) async fn repo(&self, caller: &Caller, key: &RepoKey) -> Result<Arc<Repo>> {
        Ok(self.pin(caller, key, &Revision::main(), Need::Metadata).await?.repo)
    }

    /// The repository that a name means, if it is known here.
    pub(super) async fn known_repo(&self, key: &RepoKey) -> Result<Option<Arc<Repo>>> {
        let name = match self.pins.names.get(key) {
            Some(name) => name,
            None => match self.db.alias(key).await? {
                Some(id) => RepoKey::new(key.kind, id),
                None => key.clone(),
            },
        };
        if let Some(repo) = self.pins.repos.get(&name) {
            return Ok(Some(repo));
        }
        let Some(row) = self.db.repo(&name).await? else { return Ok(None) };
        // Registered, and upstream was not asked yet: as good as unknown.
        if row.checked_at == 0 {
            return Ok(None);
        }
        let repo = Arc::new(Repo {
            row: row.id.into(),
            key: name.clone(),
            visibility: row.visibility,
            checked_at: row.checked_at,
            is_local: row.is_local,
        });
        self.pins.names.insert(key.clone(), name.clone());
        self.pins.repos.insert(name, Arc::clone(&repo));
        Ok(Some(repo))
    }

    pub(super) async fn known_pin(&self, repo: &Repo, name: &str) -> Result<Option<(CommitId, Millis)>> {
        let key = (Arc::clone(&repo.row), name.to_owned());
        if let Some(pin) = self.pins.pins.get(&key) {
            return Ok(Some(pin));
        }
        let Some(pin) = self.db.pin(&repo.row, name).await? else { return Ok(None) };
        self.pins.pins.insert(key, (pin.commit.clone(), pin.checked_at));
        Ok(Some((pin.commit, pin.checked_at)))
    }

    /// A stamp for what `revision` of a public repository was just found to be; `None` if every
    /// request has to be looked at anew (not public, or already stale).
    pub fn stamp(&self, pinned: &Pinned, revision: &Revision) -> Option<Stamp> {
        // Changes are noted first and counted then, so what is seen after the count is read is
        // at least as new as the count.
        let epoch = self.pins.epoch.load(Ordering::SeqCst);
        let repo = self.pins.repos.get(&pinned.repo.key)?;
        // Of a local file the bytes are looked at each time: nobody else has them.
        if repo.visibility != Visibility::Public || pinned.served == Served::Stale || pinned.is_local() {
            return None;
        }
        let (checked_at, ttl) = match revision {
            Revision::Commit(_) => (repo.checked_at, self.settings.cache.visibility_ttl.duration()),
            Revision::Named(name) => {
                let (commit, checked_at) = self.pins.pins.get(&(Arc::clone(&pinned.repo.row), name.clone()))?;
                if commit != pinned.commit {
                    return None;
                }
                (checked_at, self.ref_ttl())
            }
        };
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        Some(Stamp { epoch, made: checked_at, until: checked_at.saturating_add(ttl) })
    }

    pub fn is_current(&self, stamp: &Stamp) -> bool {
        (stamp.made..stamp.until).contains(&self.clock.now()) && stamp.epoch == self.pins.epoch.load(Ordering::SeqCst)
    }

    pub(super) fn ref_ttl(&self) -> std::time::Duration {
        self.live().ref_ttl
    }

    /// The commit that a revision means for sure: nobody has to ask upstream.
    pub(super) async fn fresh_commit(&self, row: &str, revision: &Revision) -> Result<Option<CommitId>> {
        Ok(match revision {
            Revision::Commit(commit) => Some(commit.clone()),
            Revision::Named(name) => {
                let pin = self.db.pin(row, name).await?.filter(|pin| self.is_fresh(pin.checked_at, self.ref_ttl()));
                pin.map(|pin| pin.commit)
            }
        })
    }

    fn is_fresh(&self, checked_at: Millis, ttl: std::time::Duration) -> bool {
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        // A time in the future means that the clock was set back: ask again.
        (0..ttl).contains(&(self.clock.now() - checked_at))
    }

    /// Asks upstream what a revision means now, once for all who may share the answer.
    pub(super) async fn ask_revision(
        &self,
        caller: &Caller,
        key: &RepoKey,
        revision: &Revision,
        known: Option<&Arc<Repo>>,
    ) -> Result<(Arc<Repo>, CommitId)> {
        let is_public = known.is_some_and(|repo| repo.visibility == Visibility::Public);
        let digest = (!is_public).then(|| self.access.digest(&caller.principal));
        let call_key = (key.clone(), revision.as_str().to_owned(), digest);
        let (hub, caller, key, revision) = (self.clone(), caller.clone(), key.clone(), revision.clone());
        let known = known.cloned();
        let call = || async move { hub.fetch_revision(&caller, &key, &revision, known).await };
        self.pins.calls.run(call_key, call).await
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
            // A wrong token must not spoil the answer that others share; nobody needs one here.
            outcome = self.upstream.get(&path, upstream::Caller { token: None, ..caller.upstream() }).await;
        }
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                if matches!(error, upstream::Error::RepoNotFound)
                    && let Some(repo) = known
                    && repo.visibility != Visibility::Private
                {
                    // Gone or hidden now: from here on only those whom upstream accepts.
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
        if name != *key || self.pins.names.get(key).is_some_and(|known| known != name) {
            self.db.put_alias(key, &name.id, self.clock.now()).await?;
            // Its row has the other name now.
            self.pins.repos.invalidate(key);
            self.pins.epoch.fetch_add(1, Ordering::SeqCst);
        }
        self.pins.names.insert(key.clone(), name.clone());
        let repo = self.note_repo(&name, info.visibility).await?;

        let named = match revision {
            Revision::Named(name) => Some(name.as_str()),
            Revision::Commit(_) => None,
        };
        let (now, text) = (self.clock.now(), value.to_string());
        self.db.put_pin(&repo.row, named, &info.commit, Some(&text), now).await?;
        self.pins.infos.insert((Arc::clone(&repo.row), info.commit.clone()), text.into());
        if let Some(name) = named {
            let key = (Arc::clone(&repo.row), name.to_owned());
            let known = self.pins.pins.get(&key);
            self.pins.pins.insert(key, (info.commit.clone(), now));
            if known.is_some_and(|(known, _)| known != info.commit) {
                self.pins.epoch.fetch_add(1, Ordering::SeqCst);
            }
        }
        Ok((repo, info.commit))
    }

    /// Notes what a name means, as a listing of refs said.
    pub(super) fn note_pin(&self, repo: &Repo, name: &str, commit: &CommitId) {
        let key = (Arc::clone(&repo.row), name.to_owned());
        let known = self.pins.pins.get(&key);
        self.pins.pins.insert(key, (commit.clone(), self.clock.now()));
        if known.is_some_and(|(known, _)| known != *commit) {
            self.forget_stamps();
        }
    }

    /// Forgets a name that upstream has no more.
    pub(super) fn forget_pin(&self, repo: &Repo, name: &str) {
        self.pins.pins.invalidate(&(Arc::clone(&repo.row), name.to_owned()));
        self.forget_stamps();
    }

    /// Forgets a repository that was removed.
    pub(super) fn forget_repo(&self, key: &RepoKey) {
        self.pins.repos.invalidate(key);
        self.pins.names.invalidate(key);
        // Other caches go by the row's id, which never comes again: what is left in them goes with time.
        self.forget_stamps();
    }

    /// Answers that may be given again without a look are looked at again.
    pub(super) fn forget_stamps(&self) {
        self.pins.epoch.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) async fn note_repo(&self, key: &RepoKey, visibility: Visibility) -> Result<Arc<Repo>> {
        let new_id = uuid::Uuid::now_v7().to_string();
        let row = self.db.put_repo(key, visibility, &new_id, self.clock.now()).await?;
        let (checked_at, is_local) = (row.checked_at, row.is_local);
        let repo = Arc::new(Repo { row: row.id.into(), key: key.clone(), visibility, checked_at, is_local });
        let known = self.pins.repos.get(key);
        self.pins.repos.insert(key.clone(), Arc::clone(&repo));
        if known.is_none_or(|known| known.visibility != visibility) {
            self.pins.epoch.fetch_add(1, Ordering::SeqCst);
        }
        Ok(repo)
    }

    /// The info of a commit as upstream gave it, without traces of Xet; `None` if it was never asked.
    pub(super) async fn known_info(&self, repo: &Repo, commit: &CommitId) -> Result<Option<Arc<str>>> {
        let key = (Arc::clone(&repo.row), commit.clone());
        if let Some(info) = self.pins.infos.get(&key) {
            return Ok(Some(info));
        }
        let Some(text) = self.db.commit_info(&repo.row, commit).await? else { return Ok(None) };
        let info: Arc<str> = text.into();
        self.pins.infos.insert(key, Arc::clone(&info));
        Ok(Some(info))
    }
}

/// Whether an older answer may stand in for this failure.
pub(super) fn is_outage(error: &Error) -> bool {
    matches!(
        error,
        Error::Offline { .. } | Error::UpstreamUnavailable { .. } | Error::RateLimited { .. } | Error::BadUpstream(_)
    )
}

fn is_own_trouble(error: &Error) -> bool {
    if let Error::Internal(cause) = error {
        tracing::error!(%cause, "could not record upstream's response");
    }
    matches!(error, Error::Internal(_) | Error::NoSpace)
}

/// The repository's name in the path that answered; another one than asked after a rename.
fn name_in_path(asked: &RepoKey, path: &str) -> Option<RepoKey> {
    let (_, rest) = path.split_once(&format!("/api/{}/", asked.kind.plural()))?;
    let (id, _) = rest.split_once("/revision/")?;
    Some(RepoKey::new(asked.kind, RepoId::parse(id).ok()?))
}
