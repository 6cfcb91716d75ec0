//! The store on the local disk.
//!
//! ```text
//! VERSION                     layout of this directory
//! LOCK                        held while a process has the store open
//! blobs/sha256/ab/<64 hex>    complete, verified, immutable; never truncated, only unlinked
//! partial/<hex>.part, .map    incomplete blobs (see partial.rs)
//! partial/<uuid>.import       a file that is being taken over (see place.rs)
//! quarantine/<hex>.<time>     bodies whose hash was wrong (see quarantine.rs)
//! ```
//!
//! A blob appears in one way only: sync the file → rename it → sync its directory. A sync
//! that fails means that the bytes are lost (the kernel drops the dirty pages), so the
//! partial is removed and never synced again.
//!
//! Somebody may remove the folders while this runs: a write that meets that makes them again (`in_folders`), and the
//! owner of what is known of the files is told (`on_loss`).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{ContentHasher, Error, Partial, Result, source};
use crate::domain::{ContentId, Digest};

const FORMAT: &str = "1";

/// See the module's text. All methods block; call them on a blocking thread.
pub struct LocalStore {
    root: PathBuf,
    shared: bool,
    lock: File,
    on_loss: OnceLock<OnLoss>,
}

/// Told when folders of the store were removed: files that were here may be gone.
pub type OnLoss = Box<dyn Fn() + Send + Sync>;

/// Who else may have a store open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody.
    Alone,
    /// Processes that share it as well: a server and its workers, on one database.
    Shared,
}

impl LocalStore {
    /// Opens or creates the store. Fails if another process has it open that does not share, or if it was written
    /// by a newer layout.
    pub fn open(root: &Path, sharing: Sharing) -> Result<Self> {
        make_dir(root)?;
        let lock = open_lock(&root.join("LOCK"), sharing)?;
        check_version(&root.join("VERSION"))?;
        make_folders(root)?;
        let store = Self { root: root.to_owned(), shared: sharing == Sharing::Shared, lock, on_loss: OnceLock::new() };
        // Those of another process may be alive.
        if sharing == Sharing::Alone {
            store.remove_abandoned_imports()?;
        }
        Ok(store)
    }

    /// Who is to be told when folders were removed while the store was open. The first one stays.
    pub fn on_loss(&self, told: OnLoss) {
        let _ = self.on_loss.set(told);
    }

    /// Does what needs the folders; once more if something was not there.
    pub(super) fn in_folders<T, E: std::error::Error + 'static>(
        &self,
        work: impl Fn() -> Result<T, E>,
    ) -> Result<T, E> {
        match work() {
            Err(error) if is_missing(&error) => {
                self.restore_folders();
                work()
            }
            outcome => outcome,
        }
    }

    /// Whether this is still the directory that was opened. One that is not is another disk's, or the place where this
    /// one was mounted, and nothing follows from what it does not have.
    pub fn is_in_place(&self) -> bool {
        let lock = self.lock.metadata().ok().zip(self.root.join("LOCK").symlink_metadata().ok());
        lock.is_some_and(|(mine, there)| (mine.dev(), mine.ino()) == (there.dev(), there.ino()))
    }

    /// Makes the folders that somebody has removed, if this is still the directory that was opened.
    fn restore_folders(&self) {
        if !self.is_in_place() {
            return;
        }
        match make_folders(&self.root) {
            Ok(0) => {}
            Ok(made) => {
                tracing::error!(
                    path = %self.root.display(), made,
                    "folders of the store were removed while it was open, and were made again; files that are gone \
                     will be downloaded again on the next request"
                );
                if let Some(told) = self.on_loss.get() {
                    told();
                }
            }
            Err(error) => tracing::error!(%error, "folders of the store were removed and cannot be made again"),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the file of a blob is, whether it is there or not.
    pub fn blob_path(&self, digest: Digest) -> PathBuf {
        let hex = digest.to_hex();
        self.root.join("blobs/sha256").join(&hex[..2]).join(hex)
    }

    /// Opens a blob for reading. `None` if it is not there, or has another size than the
    /// database says (then it is not a blob, whatever its name).
    pub fn open_blob(&self, digest: Digest, size: u64) -> Result<Option<File>> {
        let path = self.blob_path(digest);
        let flags = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
            Ok(file) => {
                let metadata = file.metadata().map_err(Error::io("cannot read", &path))?;
                Ok((metadata.is_file() && metadata.len() == size).then_some(file))
            }
            // A link is not ours; publishing renames over it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Ok(None),
            Err(error) => Err(Error::io("cannot open", &path)(error)),
        }
    }

    /// Whether a file of this name is there and holds what its name says: then when it was modified. A wrong one is
    /// removed. Reads the whole file.
    pub fn prove_orphan(&self, digest: Digest, size: u64) -> Result<Option<i64>> {
        let Some(mut file) = self.open_blob(digest, size)? else { return Ok(None) };
        let path = self.blob_path(digest);
        let mut hasher = ContentHasher::new(ContentId::Sha256(digest), size);
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer).map_err(Error::io("cannot read", &path))? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        if hasher.finish().is_ok() {
            sync_dir(path.parent().unwrap_or(&self.root))?;
            let part = self.root.join("partial").join(format!("{}.part", digest.to_hex()));
            remove_partial(&part);
            let (_, modified_ns) = source::modified(&file).map_err(Error::io("cannot read", &path))?;
            return Ok(Some(modified_ns));
        }
        std::fs::remove_file(&path).map_err(Error::io("cannot remove", &path))?;
        Ok(None)
    }

    /// The partial of `content`, resumed if an earlier process left one. `Elsewhere` if another process has it now.
    pub fn partial(&self, content: ContentId, size: u64, segment_size: u64) -> Result<Partial> {
        self.in_folders(|| Partial::open(&self.root.join("partial"), content, size, segment_size, self.shared))
    }

    /// Makes a complete and verified partial a blob. After this returns the blob survives a
    /// power cut. A file of this name that is there already is replaced: this one is proven. Gives when it was modified.
    pub fn publish(&self, partial: &Partial, digest: Digest) -> Result<i64> {
        let path = self.blob_path(digest);
        if let Err(error) = partial.file().sync_data() {
            self.discard(partial);
            return Err(Error::io("cannot sync", partial.path())(error));
        }
        self.in_folders(|| std::fs::rename(partial.path(), &path).map_err(Error::io("cannot publish", &path)))?;
        let shard = path.parent().unwrap_or(&self.root);
        sync_dir(shard)?;
        self.discard(partial);
        let (_, modified_ns) = source::modified(partial.file()).map_err(Error::io("cannot read", &path))?;
        Ok(modified_ns)
    }

    /// Removes a partial and its journal; readers that have it open can keep reading.
    pub fn discard(&self, partial: &Partial) {
        remove_partial(partial.path());
    }

    /// Free bytes on the store's filesystem, for this user.
    pub fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.disk_bytes()?.0)
    }

    /// Free (for this user) and all bytes of the store's filesystem.
    pub fn disk_bytes(&self) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
    }

    /// The clock that the store's filesystem dates its files by.
    pub(super) fn time(&self) -> io::Result<std::time::SystemTime> {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
        rustix::fs::futimens(&self.lock, &times)?;
        self.lock.metadata()?.modified()
    }

    /// Whether a file can be written now: what readiness means for a store.
    pub fn check_writable(&self) -> Result<()> {
        let path = self.root.join("partial/.probe");
        let mut file = self.in_folders(|| File::create(&path).map_err(Error::io("cannot create", &path)))?;
        let written = file.write_all(&[0; 4096]).map_err(Error::io("cannot write", &path));
        std::fs::remove_file(&path).map_err(Error::io("cannot remove", &path))?;
        written
    }
}

pub(super) fn remove_partial(part: &Path) {
    for path in [part.to_owned(), part.with_extension("map")] {
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "could not remove a partial file");
        }
    }
}

/// Whether the cause is that a file or a folder is not there.
fn is_missing(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| cause.kind() == io::ErrorKind::NotFound)
}

/// Makes the folders of a store that are not there, and syncs what holds them; how many there were.
fn make_folders(root: &Path) -> Result<usize> {
    let blobs = root.join("blobs/sha256");
    // All shards exist before the first blob: publishing never has to sync a new directory.
    let shards = (0..=255u8).map(|shard| blobs.join(format!("{shard:02x}")));
    let mut made = 0;
    for folder in [root.join("partial"), root.join("quarantine")].into_iter().chain(shards) {
        if !folder.is_dir() {
            make_dir(&folder)?;
            made += 1;
        }
    }
    for dir in [&blobs, &root.join("blobs"), root] {
        sync_dir(dir)?;
    }
    Ok(made)
}

fn make_dir(path: &Path) -> Result<()> {
    match std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(error) => Err(Error::io("cannot create", path)(error)),
    }
}

pub(super) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(Error::io("cannot sync", path))
}

fn open_lock(path: &Path, sharing: Sharing) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(Error::io("cannot open", path))?;
    let how = match sharing {
        Sharing::Alone => rustix::fs::FlockOperation::NonBlockingLockExclusive,
        Sharing::Shared => rustix::fs::FlockOperation::NonBlockingLockShared,
    };
    match rustix::fs::flock(&file, how) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Locked { path: path.parent().unwrap_or(path).to_owned() }),
        Err(error) => Err(Error::io("cannot lock", path)(error.into())),
    }
}

fn check_version(path: &Path) -> Result<()> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim() == FORMAT => Ok(()),
        Ok(text) => {
            let found = text.trim().chars().take(20).collect();
            Err(Error::Format { path: path.to_owned(), found, known: FORMAT })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(path);
            let mut file = file.map_err(Error::io("cannot create", path))?;
            file.write_all(format!("{FORMAT}\n").as_bytes()).map_err(Error::io("cannot write", path))?;
            file.sync_all().map_err(Error::io("cannot sync", path))
        }
        Err(error) => Err(Error::io("cannot read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;

    #[test]
    fn one_process_at_a_time_and_no_foreign_format() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path(), Sharing::Alone).unwrap();
        assert!(matches!(LocalStore::open(dir.path(), Sharing::Alone), Err(Error::Locked { .. })));
        drop(store);
        File::create(dir.path().join("VERSION")).unwrap().write_all(b"2\n").unwrap();
        let error = LocalStore::open(dir.path(), Sharing::Alone).err().unwrap().to_string();
        assert!(error.contains("store format 2") && error.contains("supports 1"), "{error}");
    }

    #[test]
    fn a_published_blob_is_found_by_its_digest_and_size_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path(), Sharing::Alone).unwrap();
        let digest = Digest::from_bytes([1; 32]);
        let partial = Arc::new(store.partial(ContentId::Sha256(digest), 3, 1000).unwrap());
        partial.claim(&[], true, 1).unwrap().write(&[Bytes::from_static(b"abc")]).unwrap();
        assert!(store.open_blob(digest, 3).unwrap().is_none());
        store.publish(&partial, digest).unwrap();
        assert!(store.open_blob(digest, 3).unwrap().is_some());
        assert!(store.open_blob(digest, 4).unwrap().is_none());
        assert_eq!(std::fs::read_dir(dir.path().join("partial")).unwrap().count(), 0);
    }

    #[test]
    fn an_empty_file_needs_no_segment() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path(), Sharing::Alone).unwrap();
        let digest = Digest::from_bytes([2; 32]);
        let partial = store.partial(ContentId::Sha256(digest), 0, 1000).unwrap();
        assert!(partial.is_complete());
        store.publish(&partial, digest).unwrap();
        assert!(store.open_blob(digest, 0).unwrap().is_some());
    }
}
