//! The use cases of the hub: what a request means, where its bytes are, and who may have them.
//!
//! `Hub` is cheap to clone. It leans on three adapters (`db`, `blob`, `upstream`) and keeps in
//! memory what the hit path needs, so that a hit asks neither the database nor upstream.

#![allow(clippy::disallowed_methods, reason = "its waits go through Clock next")]

mod access;
mod bypass;
mod care;
mod coalesce;
mod error;
mod events;
mod facts;
mod fetch;
mod flight;
mod import;
mod info;
mod jobs;
mod listing;
mod live;
mod models;
mod origin;
mod overview;
mod pace;
mod passthrough;
mod pin;
mod prefetch;
mod resolve;
mod scan;
mod sync;
mod taint;
mod xet;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blob::LocalStore;
pub use crate::blob::Placement;
use crate::config;
use crate::crypto;
use crate::db::{Db, ServedBlob, StoreTotals};
use crate::domain::{Artifact, Clock, CommitId, ContentId, Digest, Principal, RepoPath};
use crate::metrics;
use crate::upstream::{self, Bucket, Upstream};

// Rows and filters that use cases give and take as they are.
pub use crate::db::{
    FilePage, FileRow, FileTotals, Held, ModelFilter, ModelOrder, ModelRow, Settled, UsageRow, WorkerRow,
};
pub use access::Need;
pub use bypass::Bypass;
pub use care::Room;
pub use error::{Error, Result};
pub use events::{Event, Happening, Traffic, Watch};
pub use facts::{Card, Found, Head, HeadTensor, ReadFacts};
pub use fetch::{Body, Opened, StoredFile};
pub use flight::{FlightReader, ReadError};
pub use import::{
    ImportPreview, ImportProgress, ImportReport, ImportRequest, ImportedRepo, Layout, PreviewedRepo, Problem,
    ProblemKind, Problems,
};
pub use info::InfoQuery;
pub use jobs::{Done, JobRun};
pub use listing::{Listing, TreeQuery};
pub use live::{Change, Live, TokenSource};
pub use overview::{Overview, Sums, UpstreamState};
pub use passthrough::{Passed, Wanted};
pub use pin::{Pinned, Repo, Stamp};
pub use prefetch::{Plan, Wish, can_run_code};
pub use resolve::{Resolved, Target};
pub use scan::{Scan, ScanFinding, ScanPreview};
pub use xet::{Recipe, XetToken, XorbPart};

/// How an answer was served; the header `X-Modelhub-Cache` and the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Served {
    /// From what is here.
    Hit,
    /// Upstream was asked for it.
    Miss,
    /// Together with somebody else's download.
    Join,
    /// From what is here, though upstream should have been asked and did not answer.
    Stale,
    /// Past the cache.
    Bypass,
}

impl Served {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Join => "join",
            Self::Stale => "stale",
            Self::Bypass => "bypass",
        }
    }
}

/// Who asks, from where, with what.
#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    pub user_agent: Option<String>,
    /// The socket's address; wrong bodies are remembered for the peers that may hold them.
    pub peer: IpAddr,
}

impl Caller {
    /// This hub itself, for its owner: upstream decides by this hub's own token.
    pub fn owner() -> Self {
        let peer = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        Self { principal: Principal::Owner, user_agent: None, peer }
    }

    /// Asks upstream for this caller; this hub's own token may stand in for none.
    fn upstream(&self) -> upstream::Caller<'_> {
        upstream::Caller { token: self.principal.token(), user_agent: self.user_agent.as_deref(), own_eyes: false }
    }

    /// Asks upstream with what this caller itself may see, and nothing more.
    fn own_eyes(&self) -> upstream::Caller<'_> {
        upstream::Caller { own_eyes: true, ..self.upstream() }
    }
}

/// The settings that use cases read.
#[derive(Debug, Clone)]
pub struct Settings {
    pub cache: config::Cache,
    pub flight: config::Flight,
    pub xet: config::Xet,
    pub slow_after: config::Span,
    pub forward_telemetry: bool,
    /// What may be changed while running, as configured.
    pub live: Live,
    /// This hub's own token, as configured.
    pub token: config::Secret,
    /// How long jobs are remembered after they ended.
    pub keep_jobs: config::Span,
}

#[derive(Clone)]
pub struct Hub(Arc<Inner>);

/// What all clones of a `Hub` share.
pub struct Inner {
    db: Db,
    store: Arc<LocalStore>,
    upstream: Upstream,
    clock: Clock,
    settings: Settings,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// The process begins to stop: what only waits for something to happen ends.
    closing: CancellationToken,

    access: access::Access,
    pins: pin::Pins,
    listings: listing::Listings,
    flights: flight::Flights,
    taints: taint::Taints,
    xet: xet::Xet,
    answers: passthrough::Answers,
    /// Artifacts that were looked up; a commit never changes, so neither do they.
    artifacts: moka::sync::Cache<(Arc<str>, CommitId, RepoPath), Arc<Artifact>>,
    /// Blobs known to be in the store.
    blobs: moka::sync::Cache<ContentId, ServedBlob>,
    open_files: moka::sync::Cache<Digest, Arc<StoredFile>>,
    jobs: jobs::Jobs,
    events: events::Events,
    lives: live::Lives,
    /// The limit of all downloads by jobs together.
    pace: pace::Pace,
    /// Bytes of all blobs, as last counted.
    stored_bytes: AtomicU64,
    last_traffic: Mutex<Sums>,
    last_flush: Mutex<Sums>,
    /// Uses since the last flush to the database.
    used: Mutex<std::collections::HashSet<Digest>>,
}

impl std::ops::Deref for Hub {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Hub {
    pub async fn new(
        db: Db,
        store: Arc<LocalStore>,
        upstream: Upstream,
        clock: Clock,
        settings: Settings,
    ) -> Result<Self> {
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let key = db.setting_or("token_digest_key", crypto::new_key).await?;
        let inner = Inner {
            access: access::Access::new(&key, tasks.clone()),
            pins: pin::Pins::new(tasks.clone()),
            listings: listing::Listings::new(tasks.clone()),
            flights: flight::Flights::new(&settings.flight),
            taints: taint::Taints::load(&db, &clock).await?,
            xet: xet::Xet::new(&db.setting_or("xet_key", crypto::new_key).await?)?,
            answers: passthrough::Answers::new(tasks.clone()),
            artifacts: moka::sync::Cache::new(200_000),
            blobs: moka::sync::Cache::new(200_000),
            open_files: moka::sync::Cache::new(512),
            used: Mutex::default(),
            jobs: jobs::Jobs::default(),
            events: events::Events::new(clock.clone()),
            lives: live::Lives::new(settings.live.clone(), settings.token.clone()),
            pace: pace::Pace::new(clock.clone(), settings.live.download_bytes_per_second),
            stored_bytes: AtomicU64::new(0),
            last_traffic: Mutex::default(),
            last_flush: Mutex::default(),
            db,
            store,
            upstream,
            clock,
            settings,
            tasks,
            stop,
            closing: CancellationToken::new(),
        };
        let hub = Self(Arc::new(inner));
        hub.reload_settings().await?;
        Ok(hub)
    }

    /// Starts the background upkeep, which `stop` ends: recorded uses, gauges, old answers.
    pub fn start_upkeep(&self) {
        let hub = self.clone();
        self.tasks.spawn(async move { hub.upkeep().await });
    }

    async fn upkeep(&self) {
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(10));
        let mut round = 0u64;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            self.flush_uses().await;
            self.record_gauges().await;
            if let Err(error) = self.reload_settings().await {
                tracing::warn!(%error, "could not read the settings again");
            }
            if let Err(error) = self.flush_sums().await {
                tracing::warn!(%error, "could not write down the sums");
            }
            round += 1;
            if round.is_multiple_of(60)
                && let Err(error) = self.prune().await
            {
                tracing::warn!(%error, "could not forget what is old");
            }
        }
        self.flush_uses().await;
        if let Err(error) = self.flush_sums().await {
            tracing::warn!(%error, "could not write down the sums");
        }
    }

    /// Forgets answers, jobs and activities that nobody looks for any more.
    async fn prune(&self) -> Result<()> {
        self.db.prune_answers().await?;
        let before = self.clock.now() - jobs::millis(self.settings.keep_jobs.duration());
        self.db.prune_jobs(before).await?;
        self.db.prune_activities(before).await?;
        Ok(())
    }

    async fn flush_uses(&self) {
        let used: Vec<Digest> = match self.used.lock() {
            Ok(mut used) => used.drain().collect(),
            Err(_) => return,
        };
        if !used.is_empty()
            && let Err(error) = self.db.touch_blobs(&used, self.clock.now()).await
        {
            tracing::warn!(%error, "could not record uses");
        }
    }

    /// Brings the gauges up to date; also called when metrics are read.
    pub async fn record_gauges(&self) {
        metrics::flights(self.flights.count());
        for bucket in [Bucket::Api, Bucket::Resolvers, Bucket::WhoAmI] {
            let state = self.upstream.budget(bucket);
            metrics::rate_limit(bucket.as_str(), state.remaining, state.paused_for.as_secs_f64());
        }
        metrics::upstream_down(self.upstream.is_down());
        if let Ok(totals) = self.totals().await {
            self.stored_bytes.store(totals.bytes, Ordering::Relaxed);
            metrics::store(totals.blobs, totals.bytes, self.store.free_bytes().unwrap_or(0));
        }
    }

    pub async fn totals(&self) -> Result<StoreTotals> {
        Ok(self.db.store_totals().await?)
    }

    /// Ready means: the store can be written and the database answers. Upstream's state is not
    /// part of it: without upstream this hub still serves what is here.
    pub async fn check_ready(&self) -> Result<()> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || store.check_writable()).await??;
        self.db.store_totals().await?;
        Ok(())
    }

    /// Contents that are arriving, and how much of each is here.
    pub fn arriving(&self) -> std::collections::HashMap<ContentId, u64> {
        self.flights.present()
    }

    /// Ends when the hub begins to stop.
    pub fn stopping(&self) -> tokio_util::sync::WaitForCancellationFutureOwned {
        self.closing.clone().cancelled_owned()
    }

    /// Flights in the air, for people and tests.
    pub fn flights_in_the_air(&self) -> usize {
        self.flights.count()
    }

    pub fn forwards_telemetry(&self) -> bool {
        self.settings.forward_telemetry
    }

    /// Ends what only waits for something to happen; running answers and flights go on.
    pub fn begin_stop(&self) {
        self.closing.cancel();
    }

    /// Stops flights (their finished segments are on disk) and waits for all tasks.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.db.close().await;
    }
}
