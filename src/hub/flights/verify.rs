//! What follows when all bytes are here: a blob, or a wrong body in quarantine.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Flight, Flights};
use crate::blob::{Partial, Proven};
use crate::hub::{Error, Result};

impl Flights {
    /// Makes the proven file a blob.
    pub(super) async fn publish(&self, flight: &Flight, partial: &Arc<Partial>, proven: Proven) -> Result<()> {
        self.store.publish(partial, &proven).await?;
        let target = &flight.target;
        tracing::info!(repo.id = %target.repo, path = %target.path, blob.digest = %proven.digest, size_bytes = target.size, "a file is complete and verified");
        Ok(())
    }

    /// Quarantines a wrong body; the error for those who wait.
    pub(super) async fn reject(&self, flight: &Flight, partial: &Arc<Partial>, sent: bool) -> Error {
        if let Err(error) = self.store.reject(partial).await {
            tracing::error!(%error, "could not quarantine a wrong body");
        }
        flight.rejected.store(true, Ordering::Release);
        if sent && let Err(error) = self.taints.add(flight.target.content).await {
            tracing::error!(%error, "could not record that a wrong body was sent");
        }
        let target = &flight.target;
        Error::BadUpstream(format!(
            "upstream sent wrong bytes for {}/{}: their hash is not {}",
            target.repo, target.path, target.content
        ))
    }
}
