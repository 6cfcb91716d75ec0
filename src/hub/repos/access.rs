//! Who may see what.
//!
//! Visibility belongs to a repository. What is not public is for callers whose own token
//! upstream accepts for that repository: asked with `auth-check`, cached per token and
//! repository for a minute (a denial for ten seconds). The check comes before every lookup in the
//! cache. While upstream is down, a token that it accepted within the grace period is still
//! accepted; nobody else is.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::{Need, Repo, Repos, Result};
use crate::db::Grant;
use crate::domain::{ModelId, RepoKey, Visibility};
use crate::hub::coalesce::Coalesce;
use crate::hub::{Caller, Error};
use crate::upstream::Impact;

#[derive(Clone)]
struct Decision {
    /// `Some` is the refusal as upstream gave it.
    refusal: Option<Error>,
    /// On the monotonic clock.
    checked: Duration,
}

type DecisionKey = (ModelId, String);

/// What upstream said of callers.
pub(super) struct Access {
    decisions: moka::sync::Cache<DecisionKey, Decision>,
    calls: Coalesce<DecisionKey, ()>,
}

impl Access {
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { decisions: moka::sync::Cache::new(50_000), calls: Coalesce::new(tasks) }
    }

    /// This hub has another token: what upstream said about the previous one no longer counts.
    pub(super) fn forget_own(&self) {
        self.decisions.invalidate_all();
    }
}

impl Repos {
    /// Lets the caller through to `need` of a known repository, or says why not.
    pub(in crate::hub) async fn authorise(&self, caller: &Caller, repo: &Arc<Repo>, need: Need) -> Result<()> {
        match (repo.visibility, need) {
            (Visibility::Public, _) | (Visibility::Gated, Need::Metadata) => return Ok(()),
            _ => {}
        }
        if caller.principal.is_anonymous() {
            self.look_again(repo);
            return Err(match repo.visibility {
                Visibility::Gated => Error::Gated {
                    message: format!(
                        "Access to {} {} is restricted. You must have access to it and be authenticated to access it. Please log in.",
                        repo.key.kind, repo.key.id
                    ),
                },
                _ => Error::RepoNotFound,
            });
        }
        let digest = self.digests.of(&caller.principal);
        let key = (repo.row.clone(), digest);
        if let Some(decision) = self.access.decisions.get(&key) {
            let age = self.clock.elapsed().saturating_sub(decision.checked);
            match decision.refusal {
                None if age < self.settings.cache.access_ttl.duration() => return Ok(()),
                Some(error) if age < self.settings.cache.access_denied_ttl.duration() => return Err(error),
                _ => {}
            }
        }
        let (repos, caller, repo_key) = (self.clone(), caller.clone(), repo.key.clone());
        let task_key = key.clone();
        let call = || async move { repos.ask_access(&caller, &repo_key, task_key).await };
        let mut call = std::pin::pin!(self.access.calls.run(key.clone(), call));
        match self.upstream.in_time(Impact::Counts, &mut call).await {
            Some(outcome) => outcome,
            None if self.was_accepted(&key).await? => Ok(()),
            None => call.await,
        }
    }

    /// Whether upstream accepted a token within the grace for which that counts while upstream is away.
    async fn was_accepted(&self, key: &DecisionKey) -> Result<bool> {
        let grace = self.settings.cache.offline_grace.duration().as_millis() as i64;
        let grant = self.db.grant(&key.0, &key.1).await?;
        Ok(grant.is_some_and(|grant| grant.allowed && (0..grace).contains(&(self.clock.now() - grant.checked_at))))
    }

    async fn ask_access(&self, caller: &Caller, repo: &RepoKey, key: DecisionKey) -> Result<()> {
        let outcome = self.upstream.get(&format!("{}/auth-check", repo.api_path()), caller.upstream()).await;
        let refusal = match outcome {
            Ok(_) => None,
            Err(error) if error.is_outage() => {
                return match self.was_accepted(&key).await? {
                    true => Ok(()),
                    false => Err(Error::upstream(error, format!("your access to {repo}"))),
                };
            }
            Err(error) => Some(Error::upstream(error, repo.to_string())),
        };
        let grant = Grant { allowed: refusal.is_none(), checked_at: self.clock.now() };
        self.db.put_grant(&key.0, &key.1, grant).await?;
        let decision = Decision { refusal: refusal.clone(), checked: self.clock.elapsed() };
        self.access.decisions.insert(key, decision);
        refusal.map_or(Ok(()), Err)
    }
}
