//! Proving an arriving file, and what follows from the proof.

use std::sync::Arc;

use super::super::{Error, Hub, Result};
use super::Flight;
use crate::blob::{ContentHasher, Partial};
use crate::db::BlobRow;
use crate::domain::{ContentId, Digest};

/// Bytes hashed per step on a blocking thread.
const STEP: u64 = 8 << 20;

pub(super) enum Verdict {
    Right(Digest),
    /// What the bytes are instead.
    Wrong(ContentId),
}

impl Hub {
    /// Hashes the contiguous beginning as it grows, to the end.
    pub(super) async fn hash_behind(&self, flight: &Flight, partial: &Arc<Partial>) -> Result<Verdict> {
        let size = partial.size();
        let mut hasher = ContentHasher::new(flight.target.content, size);
        let mut position = 0;
        while position < size {
            let changed = partial.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let ready = partial.available(position, STEP);
            // Small pieces are left to gather, unless they are the last.
            if ready < STEP.min(size - position).min(1 << 20) {
                changed.await;
                continue;
            }
            let file = Arc::clone(partial.file());
            let hashed = tokio::task::spawn_blocking(move || -> std::io::Result<ContentHasher> {
                use std::os::unix::fs::FileExt as _;
                let mut buffer = vec![0; (256 * 1024).min(ready as usize)];
                let mut done = 0;
                while done < ready {
                    let len = buffer.len().min((ready - done) as usize);
                    file.read_exact_at(&mut buffer[..len], position + done)?;
                    hasher.update(&buffer[..len]);
                    done += len as u64;
                }
                Ok(hasher)
            });
            hasher = hashed.await?.map_err(Error::internal)?;
            position += ready;
        }
        Ok(match hasher.finish() {
            Ok(digest) => Verdict::Right(digest),
            Err(actual) => Verdict::Wrong(actual),
        })
    }

    /// Makes the proven file a blob: synced and renamed, then its row, then the index.
    pub(super) async fn publish(&self, flight: &Flight, partial: &Arc<Partial>, digest: Digest) -> Result<()> {
        let target = &flight.target;
        let (store, file) = (Arc::clone(&self.store), Arc::clone(partial));
        tokio::task::spawn_blocking(move || store.publish(&file, digest)).await??;
        let git = match target.content {
            ContentId::Git(oid) => Some(oid),
            ContentId::Sha256(_) => None,
        };
        self.db.put_blob(digest, git, target.size, self.clock.now()).await?;
        self.blobs.insert(target.content, BlobRow { digest, size: target.size });
        tracing::info!(repo.id = %target.repo, path = %target.path, blob.digest = %digest, size_bytes = target.size, "a file is complete and verified");
        Ok(())
    }

    /// Sets a wrong body aside; the error for those who wait.
    pub(super) async fn reject(&self, flight: &Flight, partial: &Arc<Partial>, sent: bool) -> Error {
        let (store, file, now) = (Arc::clone(&self.store), Arc::clone(partial), self.clock.now());
        let moved = tokio::task::spawn_blocking(move || store.quarantine(&file, now)).await;
        if let Ok(Err(error)) = moved {
            tracing::error!(%error, "could not set a wrong body aside");
        }
        if sent && let Err(error) = self.taints.add(&self.db, flight.target.content, self.clock.now()).await {
            tracing::error!(%error, "could not record that a wrong body was sent");
        }
        let target = &flight.target;
        Error::BadUpstream(format!(
            "upstream sent wrong bytes for {}/{}: they do not hash to {}",
            target.repo, target.path, target.content
        ))
    }
}
