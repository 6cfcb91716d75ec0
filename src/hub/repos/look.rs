//! Whether a repository is still what it is known as: asked in the background while it is used.
//!
//! What is cached is given without asking, by commit for as long as `cache.visibility_ttl`. A repository that was closed
//! upstream must not stay open here for that long, nor one that was opened stay closed: at most once a minute its use
//! makes this hub look. Nobody waits for that; who comes after the answer is judged by it.

use std::sync::Arc;
use std::time::Duration;

use super::{Repo, Repos};
use crate::domain::{Millis, Revision};
use crate::hub::Caller;

/// At most this long after it was closed upstream a repository is still open here, as long as upstream is there.
pub(super) const EVERY: Duration = Duration::from_secs(60);

impl Repos {
    /// Looks, unless somebody has within the last minute.
    pub(super) fn look_again(&self, caller: &Caller, repo: &Arc<Repo>) {
        if repo.is_local || self.is_fresh(self.looked_at(repo), EVERY) {
            return;
        }
        // Also if upstream is away, and nobody can look.
        self.looks.insert(repo.row.clone(), self.clock.now());
        if !self.upstream.is_away() {
            self.begin_to_ask(caller, repo, &Revision::main());
        }
    }

    /// When upstream was last asked about a repository, or would have been.
    pub(super) fn looked_at(&self, repo: &Repo) -> Millis {
        self.looks.get(&repo.row).map_or(repo.checked_at, |looked| looked.max(repo.checked_at))
    }
}
