//! What people do with models: register, look up, sync, download, verify, evict, import, and see what they are.
//!
//! `lookup` finds models, commits and files; the others each do one thing, as a use case or as the run of a job.

mod blobs;
mod counts;
mod download;
mod eviction;
mod facts;
mod failed;
mod heads;
mod import;
mod lookup;
mod maintenance;
mod plan;
mod quarantine;
mod recovery;
mod register;
mod scan;
mod scrub;
mod share;
mod speed;
mod sync;

use std::ops::Deref;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Result;
use super::catalog::Catalog;
use super::events::Events;
use super::flights::Flights;
use super::jobs::Jobs;
use super::pace::Pace;
use super::repos::Repos;
use super::serve::Serve;
use super::settings::Settings;
use super::store::Store;
use crate::db::Db;
use crate::domain::Clock;
use crate::upstream::Upstream;

pub use download::{DownloadRequest, can_run_code};
pub use eviction::EvictionPlan;
pub use facts::{Card, Found, ReadFacts};
pub use heads::{Head, HeadTensor};
pub use import::{
    ImportPreview, ImportProgress, ImportReport, ImportRequest, ImportedRepo, Layout, PreviewedRepo, Problem,
    ProblemKind, Problems,
};
pub use plan::Plan;
pub use quarantine::Quarantine;
pub use scan::{Scan, ScanFinding, ScanPreview};
pub use scrub::Scrub;

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Models(Arc<Inner>);

pub struct Inner {
    pub(super) db: Db,
    pub(super) store: Store,
    pub(super) upstream: Arc<Upstream>,
    pub(super) clock: Clock,
    pub(super) settings: Arc<Settings>,
    pub(super) repos: Repos,
    pub(super) catalog: Catalog,
    pub(super) flights: Flights,
    pub(super) serve: Serve,
    pub(super) jobs: Jobs,
    pub(super) events: Events,
    /// The limit of all downloads by jobs together.
    pub(super) pace: Pace,
    pub(super) stop: CancellationToken,
}

impl Deref for Models {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Models {
    pub(super) fn new(needs: Inner) -> Self {
        Self(Arc::new(needs))
    }
}
