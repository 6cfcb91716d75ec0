//! The hub at a glance: what is stored, what it saved, current traffic.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::Result;
use super::coalesce::Coalesce;
use super::events::{Events, Happening, Traffic};
use super::flights::Flights;
use super::objects::{ObjectState, Objects};
use super::store::{DiskBytes, Space, Store};
use crate::db::{Db, StoreTotals, UsageRow, Verified, WorkerRow};
use crate::domain::job::JobStatus;
use crate::domain::{Activity, Clock, ContentId, Millis, WorkerId, millis};
use crate::metrics;
use crate::upstream::{Bucket, Upstream};

/// A worker that was silent for this long is lost.
const SILENCE: Duration = Duration::from_secs(30);
const FORGET_WORKERS: Duration = Duration::from_secs(3600);

/// The state of upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamState {
    Ok,
    RateLimited {
        until: Millis,
    },
    /// It failed repeatedly, and has not answered since.
    Down,
    Offline,
    /// It refused this hub's own token when that was last used.
    TokenRefused,
}

#[derive(Debug, Clone)]
pub struct Overview {
    pub models: u64,
    pub space: Space,
    /// Sizes of all stored files, minus their disk usage.
    pub bytes_shared: u64,
    pub sums: Sums,
    pub care: Care,
    pub jobs: Vec<(JobStatus, u64)>,
    pub upstream: UpstreamState,
    pub disk: DiskBytes,
    pub recent: Vec<Activity>,
    pub uptime: Duration,
}

/// Disk usage of the store.
#[derive(Debug, Clone)]
pub struct Usage {
    /// The largest first.
    pub models: Vec<UsageRow>,
    /// Bytes of blobs that no known file names.
    pub unreferenced: u64,
    pub space: Space,
}

/// How well the stored files are looked after.
#[derive(Debug, Clone, Copy, Default)]
pub struct Care {
    /// Each is to be read again within this time; zero: never.
    pub every: Duration,
    /// Those that were, within it.
    pub verified: Verified,
    /// When the sizes of all were looked at last.
    pub sizes_at: Option<Millis>,
    /// What was found damaged or missing, over the lifetime of this installation.
    pub damaged: u64,
}

/// Totals over the lifetime of this installation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub bytes_to_clients: u64,
    /// Those of them that were in the store when they were asked for.
    pub bytes_saved: u64,
    pub bytes_from_upstream: u64,
    pub answers: u64,
    pub hits: u64,
}

impl Sums {
    fn since(self, earlier: Self) -> Self {
        Self {
            bytes_to_clients: self.bytes_to_clients.saturating_sub(earlier.bytes_to_clients),
            bytes_saved: self.bytes_saved.saturating_sub(earlier.bytes_saved),
            bytes_from_upstream: self.bytes_from_upstream.saturating_sub(earlier.bytes_from_upstream),
            answers: self.answers.saturating_sub(earlier.answers),
            hits: self.hits.saturating_sub(earlier.hits),
        }
    }
}

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Overviews(Arc<Inner>);

pub struct Inner {
    db: Db,
    store: Store,
    objects: Objects,
    upstream: Arc<Upstream>,
    clock: Clock,
    events: Events,
    flights: Flights,
    scrub_every: Duration,
    readiness: Coalesce<(), ()>,
    last_traffic: Mutex<Sums>,
    last_flush: Mutex<Sums>,
}

impl Deref for Overviews {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Overviews {
    #[expect(clippy::too_many_arguments, reason = "each is something else, named once, in `Hub::new`")]
    pub(super) fn new(
        db: Db,
        store: Store,
        objects: Objects,
        upstream: Arc<Upstream>,
        clock: Clock,
        events: Events,
        flights: Flights,
        scrub_every: Duration,
        tasks: &TaskTracker,
    ) -> Self {
        let (last_traffic, last_flush) = (Mutex::default(), Mutex::default());
        let readiness = Coalesce::new(tasks.clone());
        Self(Arc::new(Inner {
            db,
            store,
            objects,
            upstream,
            clock,
            events,
            flights,
            scrub_every,
            readiness,
            last_traffic,
            last_flush,
        }))
    }

    pub async fn totals(&self) -> Result<StoreTotals> {
        self.store.totals().await
    }

    /// Contents that are being downloaded, and how much of each has arrived.
    pub fn arriving(&self) -> HashMap<ContentId, u64> {
        self.flights.present()
    }

    /// Flights in progress, for people and tests.
    pub fn flights_in_the_air(&self) -> usize {
        self.flights.count()
    }

    /// Whether upstream is down, or the hub is in offline mode.
    pub fn is_upstream_away(&self) -> bool {
        self.upstream.is_away()
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
            let free = self.store.disk_bytes().map_or(0, |disk| disk.free);
            metrics::store(totals.blobs, totals.bytes, free);
        }
        if let Ok(Some(object)) = self.objects.state().await {
            metrics::object_waiting(object.totals.waiting, object.totals.waiting_bytes);
        }
    }

    /// Ready means: the store and the database can be written now. Upstream's state is not part of it: without
    /// upstream this hub still serves what is here. One look serves all who ask at the same time, as anybody may.
    pub async fn check_ready(&self) -> Result<()> {
        let this = self.clone();
        let look = || async move {
            this.store.check_writable().await?;
            Ok(this.db.check_writable(this.clock.now()).await?)
        };
        self.readiness.run((), look).await
    }

    pub async fn overview(&self) -> Result<Overview> {
        // What cannot be written is still to be seen.
        if let Err(error) = self.flush_sums().await {
            error.warn("could not record the totals of this process");
        }
        let space = self.store.space().await?;
        let mut sums = Sums::default();
        for (name, value) in self.db.counters().await? {
            match name.as_str() {
                "bytes_to_clients" => sums.bytes_to_clients = value,
                "bytes_saved" => sums.bytes_saved = value,
                "bytes_from_upstream" => sums.bytes_from_upstream = value,
                "answers" => sums.answers = value,
                "hits" => sums.hits = value,
                _ => {}
            }
        }
        let (_, models) = self.db.models(&crate::db::ModelFilter { limit: 1, ..Default::default() }).await?;
        Ok(Overview {
            models,
            space,
            bytes_shared: self.db.named_bytes().await?.saturating_sub(space.stored.bytes),
            sums,
            care: self.care().await?,
            jobs: self.db.job_counts().await?,
            upstream: self.upstream_state(),
            disk: self.disk()?,
            recent: self.db.activities(20).await?,
            uptime: self.clock.elapsed(),
        })
    }

    pub async fn care(&self) -> Result<Care> {
        let since = self.clock.now().saturating_sub(millis(self.scrub_every));
        let counters = self.db.counters().await?;
        let ended_at = self.db.sizes_look().await?.ended_at;
        Ok(Care {
            every: self.scrub_every,
            verified: self.db.verified(since).await?,
            sizes_at: (ended_at > 0).then_some(ended_at),
            damaged: counters.into_iter().find(|(name, _)| name == "damaged_files").map_or(0, |(_, count)| count),
        })
    }

    pub fn upstream_state(&self) -> UpstreamState {
        let paused = [Bucket::Api, Bucket::Resolvers].map(|bucket| self.upstream.budget(bucket).paused_for);
        let paused = paused.into_iter().max().unwrap_or_default();
        if self.upstream.is_offline() {
            UpstreamState::Offline
        } else if self.upstream.is_known_to_be_away() {
            UpstreamState::Down
        } else if self.upstream.is_token_refused() {
            UpstreamState::TokenRefused
        } else if !paused.is_zero() {
            UpstreamState::RateLimited { until: self.clock.now() + millis(paused) }
        } else {
            UpstreamState::Ok
        }
    }

    /// Free and all bytes of the store's disk.
    pub fn disk(&self) -> Result<DiskBytes> {
        self.store.disk_bytes()
    }

    /// Reports traffic since the last call to watchers; called every second.
    pub fn tick_traffic(&self) {
        let now = sums_of_process();
        let moved = {
            let mut before = self.last_traffic.lock().unwrap_or_else(PoisonError::into_inner);
            let moved = now.since(*before);
            *before = now;
            moved
        };
        if !self.events.is_watched() {
            return;
        }
        self.events.publish(Happening::Traffic(Traffic {
            bytes_to_clients: moved.bytes_to_clients,
            bytes_from_upstream: moved.bytes_from_upstream,
            requests: moved.answers,
            hits: moved.hits,
            flights: self.flights.count() as u64,
        }));
    }

    /// Adds what this process did since the last call to the persistent totals.
    pub(super) async fn flush_sums(&self) -> Result<()> {
        let now = sums_of_process();
        let new = {
            let mut before = self.last_flush.lock().unwrap_or_else(PoisonError::into_inner);
            let new = now.since(*before);
            *before = now;
            new
        };
        let sums = [
            ("bytes_to_clients", new.bytes_to_clients),
            ("bytes_saved", new.bytes_saved),
            ("bytes_from_upstream", new.bytes_from_upstream),
            ("answers", new.answers),
            ("hits", new.hits),
        ];
        for (name, by) in sums.into_iter().filter(|(_, by)| *by > 0) {
            self.db.add_to_counter(name, by).await?;
        }
        Ok(())
    }

    pub async fn usage(&self) -> Result<Usage> {
        let space = self.store.space().await?;
        Ok(Usage { models: self.db.usage(1000).await?, unreferenced: self.db.unreferenced_bytes().await?, space })
    }

    /// The object store; `None` if there is none.
    pub async fn object_store(&self) -> Result<Option<ObjectState>> {
        self.objects.state().await
    }

    /// Bytes and files of the store by the formats of their names.
    pub async fn usage_by<K: Ord>(&self, of: impl Fn(&str) -> K) -> Result<BTreeMap<K, (u64, u64)>> {
        let mut sums = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = self.db.stored_names(&after, 1000).await?;
            let Some((last, ..)) = page.last() else { return Ok(sums) };
            after = last.clone();
            for (_, path, size) in page {
                let sum: &mut (u64, u64) = sums.entry(of(&path)).or_default();
                sum.0 += 1;
                sum.1 += size.max(0) as u64;
            }
        }
    }

    /// Processes that run jobs, and whether each is alive.
    pub async fn workers(&self) -> Result<Vec<(WorkerRow, bool)>> {
        let now = self.clock.now();
        let workers = self.db.workers(now - millis(FORGET_WORKERS)).await?;
        let alive = |worker: &WorkerRow| now - worker.seen_at < millis(SILENCE);
        Ok(workers
            .into_iter()
            .map(|worker| {
                let alive = alive(&worker);
                (worker, alive)
            })
            .collect())
    }

    /// The heartbeat of a worker of this process, or with `None` its end.
    pub async fn note_worker(&self, id: &WorkerId, worker: Option<WorkerRow>) -> Result<()> {
        match worker {
            Some(worker) => self.db.put_worker(&worker).await?,
            None => self.db.delete_worker(id).await?,
        }
        Ok(())
    }
}

fn sums_of_process() -> Sums {
    let totals = metrics::totals();
    Sums {
        bytes_to_clients: totals.sent_bytes.load(Ordering::Relaxed) + totals.copied_bytes.load(Ordering::Relaxed),
        bytes_saved: totals.saved_bytes.load(Ordering::Relaxed),
        bytes_from_upstream: totals.upstream_bytes.load(Ordering::Relaxed),
        answers: totals.answers.load(Ordering::Relaxed),
        hits: totals.hits.load(Ordering::Relaxed),
    }
}
