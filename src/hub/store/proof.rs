//! Whether the file of a blob still holds what was proven when it came.
//!
//! Looked at when a file is opened: its size and the time of its last change. A file that somebody has written to since is
//! read and hashed again, once for all who ask; a small one is so at its first opening by this process in any case, as a
//! disk that loses bytes does not tell. What is damaged is quarantined, and fetched again like what never was here.
//! Large files are read through by verifications.

use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::{Error, Result, Store, StoredFile};
use crate::blob::{self, Check};
use crate::db::BlobRow;
use crate::domain::Digest;
use crate::hub::coalesce::Coalesce;

/// A file up to this is read through at its first opening: some milliseconds.
const SMALL: u64 = 4 << 20;
/// Nobody waits longer for a large file to be read through: clients give up after 10 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// What this process has read through.
pub(super) struct Proofs {
    /// Small files, by their generation.
    read: moka::sync::Cache<Digest, i64>,
    reading: Coalesce<(Digest, i64), Option<BlobRow>>,
}

impl Proofs {
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { read: moka::sync::Cache::new(200_000), reading: Coalesce::new(tasks) }
    }

    /// A file was hashed as it came.
    pub(super) fn came(&self, row: &BlobRow) {
        if row.size <= SMALL {
            self.read.insert(row.digest, row.generation);
        }
    }
}

impl Store {
    /// The file, if its bytes are what they were; else it is not a blob any more.
    pub(super) async fn proven(&self, stored: StoredFile) -> Result<Option<StoredFile>> {
        let row = stored.row();
        let is_as_it_was = stored.is_as_it_was();
        if row.is_linked {
            if is_as_it_was {
                return Ok(Some(stored));
            }
            tracing::error!(blob.digest = %row.digest, "the original of a hard-linked blob was changed, so it is no longer served: import it again, as a copy if it changes often");
            // Only the store's own link: the original stays where it is.
            self.remove(&row).await?;
            return Ok(None);
        }
        let is_unread = row.size <= SMALL && self.0.proofs.read.get(&row.digest) != Some(row.generation);
        if is_as_it_was && !is_unread {
            return Ok(Some(stored));
        }
        // Of a large file from an earlier version nothing is known: it counts from now on.
        if row.modified_ns.is_none() && row.size > SMALL {
            let (_, modified_ns) = blob::modified(stored.file()).map_err(Error::internal)?;
            let row = self.note(row, modified_ns).await;
            return Ok(Some(stored.with(row)));
        }
        let (store, key) = (self.clone(), (row.digest, row.generation));
        let read = self.0.proofs.reading.run(key, || async move { store.read_through(row).await });
        let busy = |_| Error::Busy { what: format!("{} was changed on the disk and is being verified", row.digest) };
        let row = self.0.clock.timeout(PATIENCE, read).await.map_err(busy)??;
        Ok(row.map(|row| stored.with(row)))
    }

    /// Hashes the whole file. The row as it is from now on; `None` if the file was damaged.
    async fn read_through(&self, row: BlobRow) -> Result<Option<BlobRow>> {
        // Opened before it is read: what is written meanwhile makes it another time.
        let Some(stored) = self.open_anew(row).await? else { return Ok(None) };
        let (_, modified_ns) = blob::modified(stored.file()).map_err(Error::internal)?;
        let BlobRow { digest, size, .. } = row;
        match self.blocking(move |disk| disk.check_blob(digest, size, &mut || false)).await?? {
            Check::Right => {}
            Check::Stopped => return Err(Error::Stopping),
            Check::Missing => return Ok(None),
            Check::Wrong => {
                tracing::error!(blob.digest = %row.digest, "a blob's file is damaged; it is quarantined and will be downloaded again");
                self.quarantine(&row).await?;
                return Ok(None);
            }
        }
        self.0.proofs.came(&row);
        Ok(Some(self.note(row, modified_ns).await))
    }

    /// The row with the time that its file was proven at. What cannot be written down is found out again.
    async fn note(&self, row: BlobRow, modified_ns: i64) -> BlobRow {
        if row.modified_ns != Some(modified_ns)
            && let Err(error) = self.0.db.put_modified(&row, modified_ns).await
        {
            tracing::warn!(blob.digest = %row.digest, %error, "could not record when a file was verified");
        }
        BlobRow { modified_ns: Some(modified_ns), ..row }
    }
}
