//! What is due with time: the jobs of lost workers, scheduled syncs, the download window, abandoned
//! downloads, old quarantined files.

use std::time::Duration;

use super::Runner;
use crate::domain::job::JobKind;
use crate::hub::Gone;

const BEAT: Duration = Duration::from_secs(2);
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
                error.warn("could not maintain the queue");
            }
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
