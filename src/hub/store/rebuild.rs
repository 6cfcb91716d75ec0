//! Rows for files: what `modelhub store rebuild` does after a database was lost or damaged.
//!
//! Each file under `blobs/` without a row is read whole. One that is what its name says becomes a blob again, with its
//! git blob id, so that a listing finds it by either name. Any other goes to quarantine. Rows that are there stay as
//! they are: whoever is interrupted goes on where they were, and a database that was never lost is only completed.
//!
//! The Xet hash is not computed, which would take as long again: upstream names it with the listing.

use std::path::PathBuf;

use super::Store;
use crate::blob::Read;
use crate::db::NewBlob;
use crate::domain::{ContentId, Digest};
use crate::hub::Result;

/// How far a rebuild is, and at its end what it did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// All files that are named as blobs, and their sizes.
    pub files: u64,
    pub bytes: u64,
    /// Bytes of them that are settled or read.
    pub done_bytes: u64,
    /// Files that were proven and have a row now.
    pub added_files: u64,
    pub added_bytes: u64,
    /// Files that had a row before.
    pub known_files: u64,
    /// Files that are not what their names say; in quarantine now.
    pub wrong: Vec<Digest>,
    /// What no blob can be. Left where it is.
    pub foreign: Vec<PathBuf>,
}

impl Store {
    /// See the module's text. `tell` hears of it after each MiB.
    pub(in crate::hub) async fn rebuild(&self, tell: impl Fn(&Rebuilt) + Clone + Send + 'static) -> Result<Rebuilt> {
        let mut so_far = Rebuilt::default();
        let mut found = Vec::new();
        for shard in 0..=255 {
            let inventory = self.blocking(move |disk| disk.inventory(shard)).await??;
            found.extend(inventory.blobs);
            so_far.foreign.extend(inventory.foreign);
        }
        so_far.files = found.len() as u64;
        so_far.bytes = found.iter().map(|(_, size)| size).sum();
        for (digest, size) in found {
            self.settle(digest, size, &mut so_far, tell.clone()).await?;
            tell(&so_far);
        }
        Ok(so_far)
    }

    async fn settle(
        &self,
        digest: Digest,
        size: u64,
        so_far: &mut Rebuilt,
        tell: impl Fn(&Rebuilt) + Send + 'static,
    ) -> Result<()> {
        let done_before = so_far.done_bytes;
        so_far.done_bytes += size;
        if self.0.db.blob(ContentId::Sha256(digest), size).await?.is_some() {
            so_far.known_files += 1;
            return Ok(());
        }
        let reading = std::cell::RefCell::new(Rebuilt { done_bytes: done_before, ..so_far.clone() });
        let piece = move |bytes: u64| {
            let mut reading = reading.borrow_mut();
            reading.done_bytes += bytes;
            tell(&reading);
        };
        let read = self.blocking(move |disk| disk.read_blob(digest, size, &piece)).await??;
        match read {
            Some(Read { names, size: actual, modified_ns, is_linked }) if names.sha256 == digest && actual == size => {
                let git = Some(names.git_oid);
                let blob = NewBlob { digest, git, size, modified_ns, is_linked, xet_hash: None };
                self.0.db.put_blob(&blob, self.0.clock.now()).await?;
                so_far.added_files += 1;
                so_far.added_bytes += size;
            }
            _ => {
                let now = self.0.clock.now();
                self.blocking(move |disk| disk.quarantine_blob(digest, now)).await??;
                so_far.wrong.push(digest);
            }
        }
        Ok(())
    }
}
