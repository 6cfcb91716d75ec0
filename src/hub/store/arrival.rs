//! What comes into the store: partial files on their way to be blobs, and files from elsewhere that are staged.

use std::sync::Arc;
use std::time::Duration;

use super::{Promise, Result, Store};
use crate::blob::{self, LocalStore, Pace, Partial, Placed, Placement, Proven, Refusal, Source, Staged};
use crate::db::NewBlob;
use crate::domain::ContentId;
use crate::telemetry::{DISK_FULL, STORE_FULL};

impl Store {
    /// The partial file of a content, resumed if there is one; an error if another process has it.
    pub(in crate::hub) async fn partial(
        &self,
        content: ContentId,
        size: u64,
        segment_size: u64,
    ) -> Result<Result<Partial, blob::Error>> {
        self.blocking(move |disk| disk.partial(content, size, segment_size)).await
    }

    /// Takes the disk space of a whole partial file, which was promised.
    pub(in crate::hub) async fn allocate(&self, partial: &Arc<Partial>, promise: &Promise) -> Result<()> {
        let partial = Arc::clone(partial);
        self.blocking(move |_| partial.reserve(0..partial.size())).await??;
        promise.allocated();
        Ok(())
    }

    /// Empties a partial file, to be downloaded once more.
    pub(in crate::hub) async fn reset(&self, partial: &Arc<Partial>) -> Result<()> {
        let partial = Arc::clone(partial);
        Ok(self.blocking(move |_| partial.reset()).await??)
    }

    /// Makes a proven file a blob: synced and renamed, then its row, then what is kept of it.
    pub(in crate::hub) async fn publish(&self, partial: &Arc<Partial>, proven: &Proven) -> Result<()> {
        let (content, size, digest) = (partial.content(), partial.size(), proven.digest);
        let _turn = self.turn(digest).await;
        let file = Arc::clone(partial);
        let modified_ns = self.blocking(move |disk| disk.publish(&file, digest)).await??;
        let git = match content {
            ContentId::Git(oid) => Some(oid),
            ContentId::Sha256(_) => None,
        };
        let blob = NewBlob { digest, git, size, modified_ns, is_linked: false, xet_hash: proven.xet_hash };
        let row = self.0.db.put_blob(&blob, self.0.clock.now()).await?;
        self.0.proofs.came(&row);
        self.0.rows.put(content, row);
        DISK_FULL.is_over();
        STORE_FULL.is_over();
        Ok(())
    }

    /// Whether this content was published since it was looked for: by another flight or process, also by one that died
    /// before it wrote the row. For whoever has its partial file, so that nobody is about to publish it.
    pub(in crate::hub) async fn came(&self, content: ContentId, size: u64) -> Result<bool> {
        Ok(self.0.db.blob(content, size).await?.is_some() || self.adopt(content, size).await?.is_some())
    }

    /// Removes a partial file; readers that have it open can keep reading.
    pub(in crate::hub) async fn discard(&self, partial: &Arc<Partial>) -> Result<()> {
        let partial = Arc::clone(partial);
        self.blocking(move |disk| disk.discard(&partial)).await
    }

    /// Quarantines a body that is not what it should be.
    pub(in crate::hub) async fn reject(&self, partial: &Arc<Partial>) -> Result<()> {
        let (partial, now) = (Arc::clone(partial), self.0.clock.now());
        Ok(self.blocking(move |disk| disk.quarantine(&partial, now)).await??)
    }

    /// Removes partial files that nothing was added to for `age`. `unless_flying` runs what it is given while no
    /// flight of a content can begin.
    pub(in crate::hub) async fn remove_stale_partials(
        &self,
        age: Duration,
        unless_flying: impl Fn(ContentId, &dyn Fn() -> blob::Result<bool>) -> Option<blob::Result<bool>> + Send + 'static,
    ) -> Result<()> {
        let remove = move |disk: &LocalStore| {
            for content in disk.stale_partials(age)? {
                let removed = unless_flying(content, &|| disk.remove_partial(content));
                if removed.transpose()? == Some(true) {
                    tracing::info!(blob.content = %content, "removed a download that was not resumed for a week");
                }
            }
            Ok(())
        };
        self.blocking(remove).await?
    }

    /// Puts the bytes of a file outside the store next to the partial ones.
    pub(in crate::hub) async fn stage(
        &self,
        source: Arc<Source>,
        how: Placement,
        pace: Arc<Pace>,
    ) -> Result<Result<Staged, Refusal>> {
        self.blocking(move |disk| disk.stage(&source, how, &pace)).await
    }

    /// Makes a staged file a blob. `original_ns`: when the file was modified that it was staged from.
    pub(in crate::hub) async fn publish_staged(&self, staged: Staged, size: u64, original_ns: i64) -> Result<()> {
        let (names, how) = (staged.names.clone(), staged.how);
        let _turn = self.turn(names.sha256).await;
        let modified_ns = self.blocking(move |disk| disk.publish_staged(&staged)).await??;
        let is_linked = how == Placed::HardLink;
        // As it was when it was hashed: the original may have been written to since.
        let modified_ns = if is_linked { original_ns } else { modified_ns };
        let (git, xet_hash) = (Some(names.git_oid), names.xet_hash);
        let blob = NewBlob { digest: names.sha256, git, size, modified_ns, is_linked, xet_hash };
        self.0.db.put_blob(&blob, self.0.clock.now()).await?;
        Ok(())
    }
}
