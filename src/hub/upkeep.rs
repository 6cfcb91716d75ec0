//! What is done from time to time while the hub runs: uses and totals written down, settings read again, what is old removed,
//! the store kept within its limits.

use std::time::Duration;

use super::{Hub, Result};
use crate::domain::millis;

/// How often what is only counted is written down.
const UPKEEP: Duration = Duration::from_secs(10);
/// Rounds of upkeep between two looks for what is old.
const PRUNE_EVERY: u64 = 60;
/// Rounds of keeping room between two looks for models that expire.
const EXPIRE_EVERY: u64 = 30;

impl Hub {
    /// Starts the background upkeep, which `stop` ends: recorded uses, gauges, changed settings, what is old.
    pub fn start_upkeep(&self) {
        let hub = self.clone();
        self.tasks.spawn(async move { hub.upkeep().await });
        let hub = self.clone();
        self.tasks.spawn(async move { hub.keep_room().await });
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
}
