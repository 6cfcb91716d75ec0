//! What is due with time: the jobs of lost workers, scheduled syncs, the download window, abandoned
//! downloads, old quarantined files; and stored files that are to be read again.

use std::time::Duration;

use super::Runner;
use crate::domain::job::JobKind;
use crate::hub::{Gone, Scrub};

const BEAT: Duration = Duration::from_secs(2);
/// How often it is looked whether stored files are to be read again.
const SCRUB_BEAT: Duration = Duration::from_secs(5);
/// Before it is tried once more.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Runner {
    /// Does the maintenance until this worker stops. A round that fails is repeated the next time.
    pub(super) async fn keep_time(&self) {
        let inner = &*self.0;
        let (mut beats, mut hours) = (inner.clock.beats(BEAT), inner.clock.beats(HOUR));
        loop {
            tokio::select! {
                () = inner.stop.cancelled() => return,
                () = hours.next() => {
                    if let Err(error) = inner.hub.models.remove_stale_partials().await {
                        tracing::warn!(%error, "could not remove abandoned downloads");
                    }
                    if let Err(error) = inner.hub.models.expire_quarantine().await {
                        tracing::warn!(%error, "could not remove old quarantined files");
                    }
                    continue;
                }
                () = beats.next() => {}
            }
            let look = async {
                inner.hub.overview.note_worker(self.id(), Some(self.row())).await?;
                inner.hub.jobs.reclaim(Gone::Silent).await?;
                inner.hub.jobs.enqueue_due_syncs().await?;
                inner.hub.jobs.explain_waiting(JobKind::Download, &self.why_downloads_wait()).await
            };
            if let Err(error) = look.await {
                tracing::warn!(%error, "could not maintain the queue");
            }
        }
    }

    /// Reads stored files again until this worker stops, in turns with others on the same database.
    pub(super) async fn keep_scrubbing(&self) {
        let inner = &*self.0;
        let (mut beats, mut scrub) = (inner.clock.beats(SCRUB_BEAT), Scrub::default());
        let mut has_more = false;
        while !inner.stop.is_cancelled() {
            if !has_more {
                tokio::select! {
                    () = inner.stop.cancelled() => return,
                    () = beats.next() => {}
                }
            }
            let lease = inner.settings.lease;
            has_more = match inner.hub.models.scrub(&mut scrub, self.id(), lease, &inner.stop).await {
                Ok(has_more) => has_more,
                Err(_) if inner.stop.is_cancelled() => return,
                Err(error) => {
                    tracing::warn!(%error, "could not verify stored files in the background");
                    tokio::select! { () = inner.stop.cancelled() => {}, () = inner.clock.sleep(AFTER_FAILURE) => {} }
                    false
                }
            };
        }
    }

    fn why_downloads_wait(&self) -> String {
        match self.0.hub.settings.get().download_hours {
            Some(hours) if !self.may_download() => format!("the download window, {hours}"),
            _ => String::new(),
        }
    }

    /// Whether downloads may run at this time of the day.
    pub(super) fn may_download(&self) -> bool {
        let Some(hours) = self.0.hub.settings.get().download_hours else { return true };
        hours.contain(self.0.clock.minute_of_day())
    }
}
