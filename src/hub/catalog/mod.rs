//! What repositories hold: trees, infos, single files, and all other metadata, which is upstream's.
//!
//! `file` says which bytes a request for a file means; `tree` lists, `listing` reads what it lists; `info` describes; `passthrough` asks upstream for the
//! rest. What a commit has is read once and kept permanently.

mod entry;
mod file;
mod info;
mod listing;
mod passthrough;
mod tree;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::Result;
use super::coalesce::Coalesce;
use super::digests::TokenDigests;
use super::kept::Kept;
use super::repos::Repos;
use super::settings::Settings;
use crate::db::{Change, Db};
use crate::domain::{Artifact, Clock, CommitId, ModelId, RepoPath};
use crate::upstream::Upstream;

pub(super) use entry::object_id;
pub use file::{Resolved, Target};
pub use info::InfoQuery;
pub use passthrough::{Passed, Wanted};
pub use tree::{Listing, TreeQuery};

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

pub struct Inner {
    db: Db,
    upstream: Arc<Upstream>,
    clock: Clock,
    settings: Arc<Settings>,
    digests: TokenDigests,
    repos: Repos,
    /// Files that were looked up; a commit never changes, so neither do they.
    artifacts: Kept<(ModelId, CommitId, RepoPath), Arc<Artifact>>,
    /// Commits whose whole trees are kept.
    complete: moka::sync::Cache<(ModelId, CommitId), ()>,
    /// When upstream was asked for the listing of a commit that a scan has found, on the monotonic clock.
    asked: moka::sync::Cache<(ModelId, CommitId), Duration>,
    trees: Coalesce<(ModelId, CommitId, Option<String>), bool>,
    answers: moka::sync::Cache<passthrough::Key, passthrough::Remembered>,
    passing: Coalesce<passthrough::Key, Passed>,
}

impl Deref for Catalog {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Catalog {
    pub(super) fn new(
        db: Db,
        upstream: Arc<Upstream>,
        clock: Clock,
        settings: Arc<Settings>,
        digests: TokenDigests,
        repos: Repos,
        tasks: &TaskTracker,
    ) -> Self {
        let weight = |key: &passthrough::Key, kept: &passthrough::Remembered| {
            u32::try_from(key.0.len() + kept.passed.body.len()).unwrap_or(u32::MAX)
        };
        Self(Arc::new(Inner {
            db,
            upstream,
            clock,
            settings,
            digests,
            repos,
            artifacts: Kept::new(200_000),
            complete: moka::sync::Cache::new(50_000),
            asked: moka::sync::Cache::new(50_000),
            trees: Coalesce::new(tasks.clone()),
            answers: moka::sync::Cache::builder().weigher(weight).max_capacity(32 << 20).build(),
            passing: Coalesce::new(tasks.clone()),
        }))
    }

    /// Lets go of what a change has made untrue.
    pub(super) fn apply(&self, change: &Change) {
        match change {
            // Files that were looked up do not say of which content they are one by one.
            Change::Commit { .. } | Change::XetHash(_) | Change::Everything => self.artifacts.forget_all(),
            _ => {}
        }
    }
}
