//! The use cases of the hub: what a request means, where its bytes are, and who may have them.
//!
//! `Hub` is the front: each field is a room with its own doors, and its own fields behind them. Rooms lean on three
//! adapters (`db`, `blob`, `upstream`), and on each other downwards only (`tests/it/layers.rs`):
//!
//! ```text
//! models
//! serve
//! catalog     overview
//! repos       flights     jobs
//! objects     settings
//! store
//! events   taints   pace   coalesce   kept   digests   caller   error
//! ```
//!
//! They keep in memory what the hit path needs, so that a hit asks neither the database nor upstream. What is changed,
//! here or by another process, comes to all of them by one way: `Hub::apply`.

mod caller;
mod catalog;
mod coalesce;
mod digests;
mod error;
mod events;
mod flights;
mod jobs;
mod kept;
mod models;
mod objects;
mod overview;
mod pace;
mod repos;
mod serve;
mod settings;
mod store;
mod taints;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blob::LocalStore;
pub use crate::blob::{MappedFile, Placement, QuarantineName, Quarantined};
use crate::config;
use crate::crypto;
use crate::db::{Change as Untrue, Db, Feed};
use crate::domain::{Clock, Keeping, millis};
use crate::object::ObjectStore;
use crate::upstream::Upstream;

use digests::TokenDigests;
use error::{is_outage, is_own_trouble};
use events::Events;
use flights::Flights;
use objects::Objects;
use pace::Pace;
use store::Store;
use taints::Taints;

// Rows and filters that use cases give and take as they are.
pub use crate::db::{
    Amount, Eviction, FilePage, FileRow, FileTotals, Gone, Held, ModelFilter, ModelOrder, ModelRow, NamedFile, Settled,
    UsageRow, WorkerRow,
};
pub use caller::{Caller, Served};
pub use catalog::{Catalog, InfoQuery, Listing, Passed, Resolved, Target, TreeQuery, Wanted};
pub use error::{Error, Result};
pub use events::{Event, Happening, Traffic, Watch};
pub use flights::{FlightReader, ReadError};
pub use jobs::{Done, JobRun, Jobs};
pub use models::{
    Card, DownloadRequest, EvictionPlan, Found, Head, HeadTensor, ImportPreview, ImportProgress, ImportReport,
    ImportRequest, ImportedRepo, Layout, Models, Plan, PreviewedRepo, Problem, ProblemKind, Problems, Quarantine,
    ReadFacts, Scan, ScanFinding, ScanPreview, Scrub, can_run_code,
};
pub use objects::ObjectState;
pub use overview::{Care, Overview, Overviews, Sums, UpstreamState, Usage};
pub use repos::{Need, Repo, Repos, ResolvedRevision, Stamp};
pub use serve::{Body, Bypass, Opened, Recipe, Serve, XetToken, XorbPart};
pub use settings::{Change, Live, LiveSettings, Settings, TokenSource};
pub use store::{DiskBytes, QUARANTINE_KEPT, Rebuilt, Space, StoredFile};

/// How often what is only counted is written down.
const UPKEEP: Duration = Duration::from_secs(10);
/// Rounds of upkeep between two looks for what is old.
const PRUNE_EVERY: u64 = 60;
/// Rounds of keeping room between two looks for models that expire.
const EXPIRE_EVERY: u64 = 30;
/// After a failure to read what was changed.
const FEED_RETRY: Duration = Duration::from_secs(1);

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Rooms>);

/// What all clones of a `Hub` share.
pub struct Rooms {
    pub repos: Repos,
    pub catalog: Catalog,
    pub serve: Serve,
    pub jobs: Jobs,
    pub models: Models,
    pub overview: Overviews,
    pub events: Events,
    pub settings: LiveSettings,
    store: Store,
    objects: Objects,
    is_alone: bool,
    taints: Taints,
    db: Db,
    clock: Clock,
    keep_jobs: Duration,
    /// Settings were changed.
    settings_changed: Notify,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// The process is shutting down: whatever only waits for events ends.
    closing: CancellationToken,
}

impl std::ops::Deref for Hub {
    type Target = Rooms;
    fn deref(&self) -> &Rooms {
        &self.0
    }
}

/// Writes a row for each file of a store that is what its name says, while no hub runs. Fails if the data directory
/// is not that of the database's store; a database that belongs to none yet is this one's from now on.
pub async fn rebuild_store(
    db: Db,
    disk: Arc<LocalStore>,
    clock: Clock,
    tell: impl Fn(&Rebuilt) + Clone + Send + 'static,
) -> Result<Rebuilt> {
    let events = Events::new(db.clone(), clock.clone());
    let store = Store::new(disk, db.clone(), clock, events, Keeping::default(), TaskTracker::new());
    store.check_identity(false).await?;
    let rebuilt = store.rebuild(tell).await;
    db.close().await;
    rebuilt
}

impl Hub {
    /// Opens all rooms. Fails if the data directory is not that of the database's store.
    pub async fn new(
        db: Db,
        disk: Arc<LocalStore>,
        upstream: Upstream,
        object: Option<ObjectStore>,
        clock: Clock,
        settings: Settings,
    ) -> Result<Self> {
        let (settings, upstream) = (Arc::new(settings), Arc::new(upstream));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let events = Events::new(db.clone(), clock.clone());
        let keeping = settings.keeping.clone();
        let store = Store::new(disk, db.clone(), clock.clone(), events.clone(), keeping, tasks.clone());
        store.check_identity(settings.adopt_store).await?;
        let objects = Objects::new(object, store.clone(), db.clone(), clock.clone());
        objects.check_place(&db, settings.adopt_store, settings.abandon_objects).await?;
        // From here on nothing is missed that makes untrue what the rooms keep.
        let feed = db.changes().await?;
        let digests = TokenDigests::new(&db.setting_or("token_digest_key", crypto::new_key).await?);
        let xet_key = db.setting_or("xet_key", crypto::new_key).await?;
        let taints = Taints::load(db.clone(), clock.clone()).await?;
        let pace = Pace::new(clock.clone(), settings.live.download_bytes_per_second);
        let live = LiveSettings::new(
            db.clone(),
            store.clone(),
            upstream.clone(),
            pace.clone(),
            settings.live.clone(),
            settings.token.clone(),
        );
        let repos = Repos::new(
            db.clone(),
            upstream.clone(),
            clock.clone(),
            settings.clone(),
            live.clone(),
            digests.clone(),
            &tasks,
        );
        let catalog = Catalog::new(
            db.clone(),
            upstream.clone(),
            clock.clone(),
            settings.clone(),
            digests.clone(),
            repos.clone(),
            &tasks,
        );
        let flights = Flights::new(
            store.clone(),
            objects.clone(),
            upstream.clone(),
            clock.clone(),
            settings.clone(),
            taints.clone(),
            digests.clone(),
            tasks.clone(),
            stop.clone(),
        );
        let serve = Serve::new(
            db.clone(),
            store.clone(),
            objects.clone(),
            upstream.clone(),
            clock.clone(),
            settings.clone(),
            taints.clone(),
            digests,
            repos.clone(),
            catalog.clone(),
            flights.clone(),
            &xet_key,
        )?;
        let jobs = Jobs::new(db.clone(), clock.clone(), live.clone(), events.clone());
        let overview = Overviews::new(
            db.clone(),
            store.clone(),
            objects.clone(),
            upstream.clone(),
            clock.clone(),
            events.clone(),
            flights.clone(),
            settings.scrub.every.duration(),
            &tasks,
        );
        let models = Models::new(models::Inner {
            db: db.clone(),
            store: store.clone(),
            upstream,
            clock: clock.clone(),
            settings: settings.clone(),
            repos: repos.clone(),
            catalog: catalog.clone(),
            flights,
            serve: serve.clone(),
            jobs: jobs.clone(),
            events: events.clone(),
            pace,
            stop: stop.clone(),
        });
        let hub = Self(Arc::new(Rooms {
            repos,
            catalog,
            serve,
            jobs,
            models,
            overview,
            events,
            settings: live,
            store,
            objects,
            is_alone: settings.is_alone,
            taints,
            clock,
            keep_jobs: settings.keep_jobs.duration(),
            settings_changed: Notify::new(),
            tasks,
            stop,
            closing: CancellationToken::new(),
            db,
        }));
        hub.follow_changes(feed);
        hub.reload_settings().await?;
        Ok(hub)
    }

    /// Makes sure that every room is notified of every change: those of this process by their transactions, those of others
    /// by the database.
    fn follow_changes(&self, feed: Option<Feed>) {
        let rooms = Arc::downgrade(&self.0);
        self.db.on_change(Box::new(move |changes| {
            if let Some(rooms) = rooms.upgrade() {
                changes.iter().for_each(|change| rooms.apply(change));
            }
        }));
        let Some(mut feed) = feed else { return };
        let hub = self.clone();
        self.tasks.spawn(async move {
            loop {
                let next = tokio::select! {
                    () = hub.stop.cancelled() => return,
                    next = feed.next() => next,
                };
                match next {
                    Ok(changes) => changes.iter().for_each(|change| hub.apply(change)),
                    Err(error) => {
                        tracing::debug!(%error, "could not read what other processes change");
                        hub.clock.sleep(FEED_RETRY).await;
                    }
                }
            }
        });
    }

    async fn reload_settings(&self) -> Result<()> {
        if self.settings.reload().await? {
            self.repos.forget_own();
        }
        // Jobs may have waited for it.
        self.jobs.wake();
        Ok(())
    }

    /// Changes settings; each is checked before any is changed.
    pub async fn change_settings(&self, change: Change) -> Result<Arc<Live>> {
        self.settings.change(change).await?;
        self.reload_settings().await?;
        Ok(self.settings.get())
    }

    /// Starts the background upkeep, which `stop` ends: recorded uses, gauges, changed settings, what is old.
    pub fn start_upkeep(&self) {
        let hub = self.clone();
        self.tasks.spawn(async move { hub.upkeep().await });
        let hub = self.clone();
        self.tasks.spawn(async move { hub.keep_room().await });
        let hub = self.clone();
        self.tasks.spawn(async move { hub.objects.keep_durable(hub.is_alone, &hub.stop).await });
        let hub = self.clone();
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = hub.stop.cancelled() => return,
                    () = hub.settings_changed.notified() => {}
                }
                if let Err(error) = hub.reload_settings().await {
                    tracing::warn!(%error, "could not reload the settings");
                }
            }
        });
    }

    async fn upkeep(&self) {
        let mut beats = self.clock.beats(UPKEEP);
        let mut round = 0u64;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = beats.next() => {}
            }
            self.store.flush_uses().await;
            self.overview.record_gauges().await;
            // Also without a word of a change: the token is a file.
            self.settings_changed.notify_one();
            if let Err(error) = self.overview.flush_sums().await {
                error.warn("could not save the totals");
            }
            round += 1;
            if round.is_multiple_of(PRUNE_EVERY)
                && let Err(error) = self.prune().await
            {
                error.warn("could not remove old records");
            }
        }
        self.store.flush_uses().await;
        if let Err(error) = self.overview.flush_sums().await {
            error.warn("could not save the totals");
        }
    }

    /// Keeps the store within its limits.
    async fn keep_room(&self) {
        let mut beats = self.clock.beats(UPKEEP);
        let mut round = 0u64;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = beats.next() => {}
            }
            let work = async {
                if round.is_multiple_of(EXPIRE_EVERY) {
                    self.store.expire().await?;
                }
                self.store.keep_within_limit().await
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                outcome = work => if let Err(error) = outcome {
                    error.warn("could not make room in the store");
                }
            }
            round += 1;
        }
    }

    /// Removes old responses, jobs, activities and changes.
    async fn prune(&self) -> Result<()> {
        self.db.prune_answers().await?;
        let before = self.clock.now() - millis(self.keep_jobs);
        self.db.prune_jobs(before).await?;
        self.db.prune_activities(before).await?;
        self.db.prune_changes().await?;
        self.catalog.prune_readings(self.clock.now()).await?;
        Ok(())
    }

    /// A secret that all processes of this data directory know, made by the first of them.
    pub async fn shared_secret(&self, name: &'static str) -> Result<config::Secret> {
        Ok(config::Secret::new(self.store.secret_or(name, crypto::new_key).await?))
    }

    /// Ends when the hub begins to stop.
    pub fn stopping(&self) -> tokio_util::sync::WaitForCancellationFutureOwned {
        self.closing.clone().cancelled_owned()
    }

    /// Ends whatever only waits for events; running requests and flights continue.
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

impl Rooms {
    /// Something is not as it was: every room lets go of what it keeps of it. The files first, then what leads to them.
    fn apply(&self, change: &Untrue) {
        self.store.apply(change);
        self.taints.apply(change);
        self.catalog.apply(change);
        self.repos.apply(change);
        if matches!(change, Untrue::Settings | Untrue::Everything) {
            self.settings_changed.notify_one();
        }
    }
}
