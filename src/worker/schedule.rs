//! What comes with time: the jobs of workers that are gone, syncs that are due, opening hours, downloads that were
//! given up.

use std::time::Duration;

use super::Runner;
use crate::domain::job::JobKind;
use crate::hub::Gone;

const BEAT: Duration = Duration::from_secs(2);
const HOUR: Duration = Duration::from_secs(3600);

impl Runner {
    /// Keeps house until this worker stops. A look that fails is made again the next time.
    pub(super) async fn keep_time(&self) {
        let inner = &*self.0;
        let mut beat = tokio::time::interval(BEAT);
        let mut hour = tokio::time::interval(HOUR);
        loop {
            tokio::select! {
                () = inner.stop.cancelled() => return,
                _ = hour.tick() => {
                    if let Err(error) = inner.hub.models.remove_stale_partials().await {
                        tracing::warn!(%error, "could not remove downloads that were given up");
                    }
                    continue;
                }
                _ = beat.tick() => {}
            }
            let look = async {
                inner.hub.overview.note_worker(self.id(), Some(self.row())).await?;
                inner.hub.jobs.reclaim(Gone::Silent).await?;
                inner.hub.jobs.enqueue_due_syncs().await?;
                inner.hub.jobs.explain_waiting(JobKind::Download, &self.why_downloads_wait()).await
            };
            if let Err(error) = look.await {
                tracing::warn!(%error, "could not look after the queue");
            }
        }
    }

    fn why_downloads_wait(&self) -> String {
        match self.0.hub.settings.get().download_hours {
            Some(hours) if !self.may_download() => format!("the hours for downloads, {hours}"),
            _ => String::new(),
        }
    }

    /// Whether downloads may run at this time of the day.
    pub(super) fn may_download(&self) -> bool {
        let Some(hours) = self.0.hub.settings.get().download_hours else { return true };
        hours.contain(self.0.clock.minute_of_day())
    }
}
