//! What follows when all bytes are here: a blob, or a wrong body set aside.

use std::sync::Arc;

use super::super::{Error, Hub, Result};
use super::Flight;
use crate::blob::{Partial, Proven};
use crate::db::{BlobRow, ServedBlob};
use crate::domain::ContentId;

impl Hub {
    /// Makes the proven file a blob: synced and renamed, then its row, then the index.
    pub(super) async fn publish(&self, flight: &Flight, partial: &Arc<Partial>, proven: Proven) -> Result<()> {
        let target = &flight.target;
        let Proven { digest, xet_hash } = proven;
        let (store, file) = (Arc::clone(&self.store), Arc::clone(partial));
        tokio::task::spawn_blocking(move || store.publish(&file, digest)).await??;
        let git = match target.content {
            ContentId::Git(oid) => Some(oid),
            ContentId::Sha256(_) => None,
        };
        self.db.put_blob(digest, git, target.size, self.clock.now()).await?;
        if let Some(xet_hash) = xet_hash {
            self.db.put_xet_hash(digest, &xet_hash).await?;
            self.learned_xet_hash();
        }
        let row = BlobRow { digest, size: target.size };
        self.blobs.insert(target.content, ServedBlob { row, linked_ns: None });
        tracing::info!(repo.id = %target.repo, path = %target.path, blob.digest = %digest, size_bytes = target.size, "a file is complete and verified");
        Ok(())
    }

    /// Sets a wrong body aside; the error for those who wait.
    pub(super) async fn reject(&self, flight: &Flight, partial: &Arc<Partial>, sent: bool) -> Error {
        let (store, file, now) = (Arc::clone(&self.store), Arc::clone(partial), self.clock.now());
        let moved = tokio::task::spawn_blocking(move || store.quarantine(&file, now)).await;
        if let Ok(Err(error)) = moved {
            tracing::error!(%error, "could not quarantine a wrong body");
        }
        if sent && let Err(error) = self.taints.add(&self.db, flight.target.content, self.clock.now()).await {
            tracing::error!(%error, "could not record that a wrong body was sent");
        }
        let target = &flight.target;
        Error::BadUpstream(format!(
            "upstream sent wrong bytes for {}/{}: their hash is not {}",
            target.repo, target.path, target.content
        ))
    }
}
