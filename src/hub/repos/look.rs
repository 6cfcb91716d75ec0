//! Whether a repository is still what it is known as: asked in the background while it is used.
//!
//! What is cached is given without asking, by commit for as long as `cache.visibility_ttl`. A repository that was closed
//! upstream must not stay open here for that long, nor one that was opened stay closed: at most once a minute its use
//! makes this hub look. Nobody waits for that; who comes after the answer is judged by it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Repo, Repos, ResolvedRevision, Stamp};
use crate::domain::{Millis, Revision, Visibility};
use crate::hub::{Caller, Served};

/// At most this long after it was closed upstream a repository is still open here, as long as upstream is there.
const EVERY: Duration = Duration::from_secs(60);

impl Repos {
    /// Looks, unless somebody has within the last minute. A private repository is asked for with each caller's own token
    /// anyway; this hub's own says whether it still is one.
    pub(super) fn look_again(&self, repo: &Arc<Repo>) {
        if repo.is_local || self.is_fresh(self.looked_at(repo), EVERY) {
            return;
        }
        // Also if upstream is away or silent, and nobody can look.
        self.looks.insert(repo.row.clone(), self.clock.now());
        if !self.upstream.is_away() && !self.upstream.is_silent() {
            self.begin_to_ask(&Caller::owner(), repo, &Revision::main());
        }
    }

    /// When upstream was last asked about a repository, or would have been.
    fn looked_at(&self, repo: &Repo) -> Millis {
        self.looks.get(&repo.row).map_or(repo.checked_at, |looked| looked.max(repo.checked_at))
    }

    /// A stamp for what `revision` of a public repository was just found to be; `None` if every
    /// request has to be looked at anew (not public, or already stale).
    pub fn stamp(&self, resolved: &ResolvedRevision, revision: &Revision) -> Option<Stamp> {
        // Changes are noted first and counted then, so what is seen after the count is read is
        // at least as new as the count.
        let epoch = self.epoch.load(Ordering::SeqCst);
        let repo = self.repos.get(&resolved.repo.key)?;
        // Of a local file the bytes are looked at each time: nobody else has them.
        if repo.visibility != Visibility::Public || resolved.served == Served::Stale || resolved.is_local() {
            return None;
        }
        let (checked_at, ttl) = match revision {
            Revision::Commit(_) => (repo.checked_at, self.settings.cache.visibility_ttl.duration()),
            Revision::Named(name) => {
                let (commit, checked_at) = self.revisions.get(&(resolved.repo.row.clone(), name.clone()))?;
                if commit != resolved.commit {
                    return None;
                }
                (checked_at, self.ref_ttl())
            }
        };
        let after = |at: Millis, time: Duration| at.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        // Then its use has to make this hub look again.
        let until = after(checked_at, ttl).min(after(self.looked_at(&repo), EVERY));
        Some(Stamp { epoch, made: checked_at, until })
    }

    pub fn is_current(&self, stamp: &Stamp) -> bool {
        (stamp.made..stamp.until).contains(&self.clock.now()) && stamp.epoch == self.epoch.load(Ordering::SeqCst)
    }
}
