//! The hub at a glance: what is here, what it saved, what moves now.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::events::{Happening, Traffic};
use super::{Hub, Result};
use crate::db::{StoreTotals, UsageRow, WorkerRow};
use crate::domain::job::JobStatus;
use crate::domain::{Activity, Millis};
use crate::metrics;
use crate::upstream::Bucket;

/// A worker that was not heard of for this long is gone.
const SILENCE: Duration = Duration::from_secs(30);
const FORGET_WORKERS: Duration = Duration::from_secs(3600);

/// How upstream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamState {
    Ok,
    RateLimited { until: Millis },
    Down,
    Offline,
}

#[derive(Debug, Clone)]
pub struct Overview {
    pub models: u64,
    pub store: StoreTotals,
    /// Sizes of all files that are here, minus what they take.
    pub bytes_shared: u64,
    pub sums: Sums,
    pub jobs: Vec<(JobStatus, u64)>,
    pub upstream: UpstreamState,
    pub disk: (u64, u64),
    pub recent: Vec<Activity>,
    pub uptime: Duration,
}

/// Sums over the life of this installation.
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

impl Hub {
    pub async fn overview(&self) -> Result<Overview> {
        self.flush_sums().await?;
        let store = self.totals().await?;
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
        let (_, models) = self.models(&crate::db::ModelFilter { limit: 1, ..Default::default() }).await?;
        Ok(Overview {
            models,
            store,
            bytes_shared: self.db.named_bytes().await?.saturating_sub(store.bytes),
            sums,
            jobs: self.db.job_counts().await?,
            upstream: self.upstream_state(),
            disk: self.disk()?,
            recent: self.db.activities(20).await?,
            uptime: self.clock.elapsed(),
        })
    }

    pub fn upstream_state(&self) -> UpstreamState {
        let paused = [Bucket::Api, Bucket::Resolvers].map(|bucket| self.upstream.budget(bucket).paused_for);
        let paused = paused.into_iter().max().unwrap_or_default();
        if self.upstream.is_offline() {
            UpstreamState::Offline
        } else if self.upstream.is_down() {
            UpstreamState::Down
        } else if !paused.is_zero() {
            UpstreamState::RateLimited { until: self.clock.now() + super::jobs::millis(paused) }
        } else {
            UpstreamState::Ok
        }
    }

    /// Free and all bytes of the store's disk.
    pub fn disk(&self) -> Result<(u64, u64)> {
        self.store.disk_bytes().map_err(super::Error::internal)
    }

    /// Tells watchers what moved since the last call; called every second.
    pub fn tick_traffic(&self) {
        let now = sums_of_process();
        let moved = {
            let mut before = self.last_traffic.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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

    /// Adds what this process did since the last call to the sums that outlive it.
    pub(super) async fn flush_sums(&self) -> Result<()> {
        let now = sums_of_process();
        let new = {
            let mut before = self.last_flush.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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

    /// What takes the space, the largest first; what no known file names; arriving files and bodies set aside.
    pub async fn usage(&self) -> Result<(Vec<UsageRow>, u64, (u64, u64))> {
        let store = std::sync::Arc::clone(&self.store);
        let other = tokio::task::spawn_blocking(move || store.other_bytes()).await?;
        Ok((self.db.usage(1000).await?, self.db.unreferenced_bytes().await?, other))
    }

    /// Bytes and files of the store by the formats of their names.
    pub async fn usage_by<K: Ord>(&self, of: impl Fn(&str) -> K) -> Result<std::collections::BTreeMap<K, (u64, u64)>> {
        let mut sums = std::collections::BTreeMap::new();
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

    /// Processes that run jobs, and whether each was heard of lately.
    pub async fn workers(&self) -> Result<Vec<(WorkerRow, bool)>> {
        let now = self.clock.now();
        let workers = self.db.workers(now - super::jobs::millis(FORGET_WORKERS)).await?;
        let alive = |worker: &WorkerRow| now - worker.seen_at < super::jobs::millis(SILENCE);
        Ok(workers
            .into_iter()
            .map(|worker| {
                let alive = alive(&worker);
                (worker, alive)
            })
            .collect())
    }

    /// A worker of this process says that it lives, or with `None` that it ends.
    pub async fn note_worker(&self, id: &str, worker: Option<WorkerRow>) -> Result<()> {
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
