//! The one owner of stored bytes: what is known of them, what is open, what arrives, what leaves.
//!
//! `get` finds the blob of a content: its row, from memory or the database; else a file without a row that a crash has
//! left, proven again; then the file, from those that are open or from the disk, where it may have changed (`proof`). `publish` (`arrival`) makes an arrived file a blob:
//! synced and renamed, then its row. `remove` and `quarantine` take a blob away: the row goes first, which tells every
//! process to close the file (`db/changes.rs`), then the name on the disk. What comes is promised its space before
//! (`ledger`), and room is made for it (`room`).
//!
//! A file and its row have a generation: one that was opened before another file got its name is never served for it.
//!
//! Nobody else has the directory. What blocks runs on blocking threads from here.

mod arrival;
mod file;
mod identity;
mod ledger;
mod open;
mod proof;
mod quarantine;
mod rebuild;
mod room;
mod scrub;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::task::TaskTracker;

use crate::blob::LocalStore;
use crate::db::{BlobRow, Change, Db, NewBlob, StoreTotals};
use crate::domain::{Artifact, Clock, ContentId, Digest, GitOid, Keeping, Millis};

use super::events::Events;
use super::kept::Kept;
use super::{Error, Result};

pub use file::StoredFile;
use ledger::Ledger;
pub(super) use ledger::Promise;
use open::OpenFiles;
use proof::Proofs;
pub use quarantine::{QUARANTINE_KEPT, Space};
pub use rebuild::Rebuilt;
pub(super) use scrub::Seen;

/// Blobs whose names are changed at the same time.
const TURNS: usize = 64;

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub(super) struct Store(Arc<Inner>);

struct Inner {
    disk: Arc<LocalStore>,
    db: Db,
    clock: Clock,
    /// Blobs that were found: they are served also while the database is away.
    rows: Kept<ContentId, BlobRow>,
    open: OpenFiles,
    proofs: Proofs,
    events: Events,
    keeping: Keeping,
    ledger: Ledger,
    /// What is removed can be downloaded again now.
    may_remove: AtomicBool,
    /// Only what the object store has is removed to make room.
    only_durable: AtomicBool,
    /// Whoever removes something to make room does it alone.
    making_room: tokio::sync::Mutex<()>,
    /// Uses by clients since the last flush to the database.
    used: Mutex<HashMap<Digest, Millis>>,
    /// Whoever changes what a blob's name stands for waits for its turn, so that a file that leaves is not one that
    /// has just come.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

/// How much space the disk has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskBytes {
    /// For this user.
    pub free: u64,
    pub total: u64,
}

impl Store {
    pub(super) fn new(
        disk: Arc<LocalStore>,
        db: Db,
        clock: Clock,
        events: Events,
        keeping: Keeping,
        tasks: TaskTracker,
    ) -> Self {
        let store = Self(Arc::new(Inner {
            disk,
            db,
            clock,
            rows: Kept::new(200_000),
            open: OpenFiles::new(),
            proofs: Proofs::new(tasks),
            events,
            keeping,
            ledger: Ledger::default(),
            may_remove: AtomicBool::new(true),
            only_durable: AtomicBool::new(false),
            making_room: tokio::sync::Mutex::default(),
            used: Mutex::default(),
            turns: std::array::from_fn(|_| tokio::sync::Mutex::default()),
        }));
        let inner = Arc::downgrade(&store.0);
        store.0.disk.on_loss(Box::new(move || {
            if let Some(inner) = inner.upgrade() {
                Self(inner).apply(&Change::Everything);
            }
        }));
        store
    }

    /// The blob of an artifact, if the store has it. A row whose file is gone or has another size is forgotten: the
    /// content is fetched again.
    pub(super) async fn get(&self, artifact: &Artifact) -> Result<Option<Arc<StoredFile>>> {
        let (content, size) = (artifact.content, artifact.size);
        let seen = self.0.rows.seen();
        let row = match self.0.rows.get(&content).filter(|row| row.size == size) {
            Some(row) => row,
            None => match self.0.db.blob(content, size).await? {
                Some(row) => row,
                None => match self.adopt(content, size).await? {
                    Some(row) => row,
                    None => return Ok(None),
                },
            },
        };
        let Some(stored) = self.open(row).await? else { return Ok(None) };
        self.0.rows.keep(seen, content, stored.row());
        Ok(Some(stored))
    }

    /// A client uses a blob. Whatever else reads one is no use.
    pub(super) fn note_use(&self, digest: Digest) {
        self.used().insert(digest, self.0.clock.now());
    }

    /// Whether the store has this content, row and file. Both are looked at anew.
    pub(super) async fn holds(&self, content: ContentId, size: u64) -> Result<bool> {
        let Some(row) = self.0.db.blob(content, size).await? else { return Ok(false) };
        let Some(stored) = self.open_anew(row).await? else { return Ok(false) };
        Ok(self.proven(stored).await?.is_some())
    }

    /// The blob with this digest, if there is one.
    pub(super) async fn row(&self, digest: Digest, size: u64) -> Result<Option<BlobRow>> {
        Ok(self.0.db.blob(ContentId::Sha256(digest), size).await?)
    }

    /// The file of a blob. Without one the row goes.
    async fn open(&self, row: BlobRow) -> Result<Option<Arc<StoredFile>>> {
        let seen = self.0.open.seen();
        if let Some(stored) = self.0.open.get(row.digest, row.generation)
            && stored.is_as_it_was()
        {
            return Ok(Some(stored));
        }
        let Some(stored) = self.open_anew(row).await? else {
            // Where another process has evicted it, its row is gone, and all is well.
            if self.0.db.delete_blob(&row).await? {
                tracing::error!(blob.digest = %row.digest, "a blob's file is missing or has the wrong size; it will be downloaded again");
            }
            // Also if its row went before: whoever kept it has to let it go.
            self.forget(row.digest, None, row.generation);
            return Ok(None);
        };
        let Some(stored) = self.proven(stored).await? else { return Ok(None) };
        let stored = Arc::new(stored);
        self.0.open.keep(seen, &stored);
        Ok(Some(stored))
    }

    /// The file of a blob as it was listed; `None` if it has gone or changed since.
    pub(super) async fn open_row(&self, row: BlobRow) -> Result<Option<Arc<StoredFile>>> {
        self.open(row).await
    }

    async fn open_anew(&self, row: BlobRow) -> Result<Option<StoredFile>> {
        let open = move |disk: &LocalStore| {
            let Some(file) = disk.open_blob(row.digest, row.size)? else { return Ok(None) };
            StoredFile::open(row, file).map(Some).map_err(Error::internal)
        };
        self.blocking(open).await?
    }

    /// A file under its final name without a row: the process died between the two steps of publishing. It is proven
    /// again, and becomes a blob, or goes.
    async fn adopt(&self, content: ContentId, size: u64) -> Result<Option<BlobRow>> {
        let ContentId::Sha256(digest) = content else { return Ok(None) };
        let _turn = self.turn(digest).await;
        // Whoever had the turn before may have been about to write the row.
        if let Some(row) = self.0.db.blob(content, size).await? {
            return Ok(Some(row));
        }
        let proven = self.blocking(move |disk| disk.prove_orphan(digest, size)).await??;
        let Some(modified_ns) = proven else { return Ok(None) };
        tracing::info!(blob.digest = %digest, "verified and kept a file that was published without a database row");
        let blob = NewBlob { digest, git: None, size, modified_ns, is_linked: false, xet_hash: None };
        Ok(Some(self.0.db.put_blob(&blob, self.0.clock.now()).await?))
    }
}

/// What is looked at again, and what leaves.
impl Store {
    /// Takes a blob that is damaged or missing out of the store; `false` if another file has its name by now.
    pub(super) async fn quarantine(&self, row: &BlobRow) -> Result<bool> {
        let (digest, now) = (row.digest, self.0.clock.now());
        let _turn = self.turn(digest).await;
        if !self.0.db.delete_blob(row).await? {
            return Ok(false);
        }
        self.blocking(move |disk| disk.quarantine_blob(digest, now)).await??;
        Ok(true)
    }

    /// Removes a blob; `false` if another file has its name by now. Who reads it reads to the end.
    pub(super) async fn remove(&self, row: &BlobRow) -> Result<bool> {
        let digest = row.digest;
        let _turn = self.turn(digest).await;
        if !self.0.db.delete_blob(row).await? {
            return Ok(false);
        }
        self.blocking(move |disk| disk.remove_blob(digest)).await??;
        self.0.ledger.freed(row.size);
        Ok(true)
    }

    /// Lets go of what a change has made untrue.
    pub(super) fn apply(&self, change: &Change) {
        match change {
            Change::Blob { digest, git, generation } => self.forget(*digest, *git, *generation),
            Change::Everything => {
                self.0.rows.forget_all();
                self.0.open.forget_all();
            }
            _ => {}
        }
    }

    fn forget(&self, digest: Digest, git: Option<GitOid>, generation: i64) {
        for content in std::iter::once(ContentId::Sha256(digest)).chain(git.map(ContentId::Git)) {
            self.0.rows.forget(&content);
        }
        self.0.open.forget(digest, generation);
    }
}

/// The directory as a whole.
impl Store {
    pub(super) async fn totals(&self) -> Result<StoreTotals> {
        Ok(self.0.db.store_totals().await?)
    }

    pub(super) fn disk_bytes(&self) -> Result<DiskBytes> {
        let (free, total) = self.0.disk.disk_bytes().map_err(Error::internal)?;
        Ok(DiskBytes { free, total })
    }

    /// Bytes of contents that are here in part, as the journals beside them note.
    pub(super) async fn kept_parts(&self) -> Result<HashMap<ContentId, u64>> {
        Ok(self.blocking(LocalStore::kept_parts).await??)
    }

    /// Whether a file can be written now.
    pub(super) async fn check_writable(&self) -> Result<()> {
        Ok(self.blocking(LocalStore::check_writable).await??)
    }

    /// Where a blob's file is on this machine.
    pub(super) fn path_of(&self, digest: Digest) -> String {
        self.0.disk.blob_path(digest).display().to_string()
    }

    /// The folders that are this store's own, for imports to leave out.
    pub(super) fn own_folders(&self) -> [PathBuf; 3] {
        ["blobs", "partial", "quarantine"].map(|name| self.0.disk.root().join(name))
    }

    /// A secret that lies beside the blobs.
    pub(super) async fn secret(&self, name: &'static str) -> Result<Option<String>> {
        Ok(self.blocking(move |disk| disk.secret(name)).await??)
    }

    pub(super) async fn put_secret(&self, name: &'static str, text: Option<String>) -> Result<()> {
        Ok(self.blocking(move |disk| disk.put_secret(name, text.as_deref())).await??)
    }

    /// A secret that all processes of this directory know, made by the first of them.
    pub(super) async fn secret_or(&self, name: &'static str, make: fn() -> String) -> Result<String> {
        Ok(self.blocking(move |disk| disk.secret_or(name, make)).await??)
    }

    /// Writes down which blobs clients used since the last time. What is being sent is in use.
    pub(super) async fn flush_uses(&self) {
        let now = self.0.clock.now();
        let sent = self.0.open.sent().into_iter().map(|digest| (digest, now));
        let used: Vec<_> = self.used().drain().chain(sent).collect();
        if !used.is_empty()
            && let Err(error) = self.0.db.touch_blobs(&used).await
        {
            Error::from(error).warn("could not record uses");
        }
    }

    fn used(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Millis>> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn(&self, digest: Digest) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.turns[usize::from(digest.bytes()[1]) % TURNS].lock().await
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&LocalStore) -> T + Send + 'static) -> Result<T> {
        let disk = Arc::clone(&self.0.disk);
        Ok(tokio::task::spawn_blocking(move || work(&disk)).await?)
    }
}
