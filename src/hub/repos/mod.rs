//! Which repository and which commit a request means, and who may see them.
//!
//! `known` says what is known here, and `look` finds out whether it is still so; `access` who may see it; `origin` where
//! a commit is known from; `ask` asks upstream; `resolve` puts them together.

mod access;
mod ask;
mod known;
mod look;
mod origin;
mod resolve;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio_util::task::TaskTracker;

use super::coalesce::Coalesce;
use super::digests::TokenDigests;
use super::kept::Kept;
use super::settings::{LiveSettings, Settings};
use super::{Error, Result, Served, is_outage};
use crate::db::Db;
use crate::domain::{Clock, CommitId, Millis, ModelId, Origin, RepoKey, Visibility};
use crate::upstream::Upstream;

/// What the caller wants from a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Names, sizes, info: for everybody, unless the repository is private.
    Metadata,
    /// Content, and hashes of content: gated repositories give them to accepted callers only.
    Bytes,
}

/// A repository that upstream has shown, under its present name, or that a scan has found.
#[derive(Debug)]
pub struct Repo {
    /// The id of its database row.
    pub(in crate::hub) row: ModelId,
    pub key: RepoKey,
    pub visibility: Visibility,
    pub(in crate::hub) checked_at: Millis,
    /// Upstream is never asked about it.
    pub(in crate::hub) is_local: bool,
}

/// Which commit of which repository a request means.
#[derive(Debug, Clone)]
pub struct ResolvedRevision {
    pub repo: Arc<Repo>,
    pub commit: CommitId,
    /// Where the commit is known from.
    pub origin: Origin,
    pub served: Served,
}

impl ResolvedRevision {
    /// Whether upstream knows nothing of this commit, and is not asked about it.
    pub(in crate::hub) fn is_local(&self) -> bool {
        self.repo.is_local || self.origin == Origin::Local
    }

    /// Whether what a scan has found may stand in for what upstream was asked for: it is away, or does not have the
    /// commit any more.
    pub(in crate::hub) fn scan_stands_in(&self, error: &Error) -> bool {
        self.origin == Origin::Scanned && (is_outage(error) || matches!(error, Error::RevisionNotFound { .. }))
    }
}

/// For how long an answer about a public file may be given again without asking anything.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    epoch: u64,
    made: Millis,
    until: Millis,
}

type CallKey = (RepoKey, String, Option<String>);

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Repos(Arc<Inner>);

pub struct Inner {
    db: Db,
    upstream: Arc<Upstream>,
    clock: Clock,
    settings: Arc<Settings>,
    live: LiveSettings,
    digests: TokenDigests,
    access: access::Access,
    /// Increases whenever something that was known turned out differently.
    epoch: AtomicU64,
    /// The present name of each name that was asked for.
    names: Kept<RepoKey, RepoKey>,
    repos: Kept<RepoKey, Arc<Repo>>,
    /// What names of a repository mean, and when upstream was asked.
    revisions: Kept<(ModelId, String), (CommitId, Millis)>,
    /// Of commits that are recorded here.
    origins: Kept<(ModelId, CommitId), Origin>,
    infos: Kept<(ModelId, CommitId), Arc<str>>,
    /// When the use of a repository has last led to a look.
    looks: moka::sync::Cache<ModelId, Millis>,
    calls: Coalesce<CallKey, (Arc<Repo>, CommitId)>,
}

impl Deref for Repos {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Repos {
    pub(super) fn new(
        db: Db,
        upstream: Arc<Upstream>,
        clock: Clock,
        settings: Arc<Settings>,
        live: LiveSettings,
        digests: TokenDigests,
        tasks: &TaskTracker,
    ) -> Self {
        let infos = moka::sync::Cache::builder()
            .weigher(|_, info: &Arc<str>| u32::try_from(info.len()).unwrap_or(u32::MAX))
            .max_capacity(32 << 20)
            .build();
        Self(Arc::new(Inner {
            db,
            upstream,
            clock,
            settings,
            live,
            digests,
            access: access::Access::new(tasks.clone()),
            epoch: AtomicU64::new(0),
            names: Kept::new(20_000),
            repos: Kept::new(20_000),
            revisions: Kept::new(50_000),
            origins: Kept::new(50_000),
            infos: Kept::with(infos),
            looks: moka::sync::Cache::new(50_000),
            calls: Coalesce::new(tasks.clone()),
        }))
    }

    /// This hub has another token: what upstream said about the previous one no longer counts.
    pub(super) fn forget_own(&self) {
        self.access.forget_own();
    }
}
