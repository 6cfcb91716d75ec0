//! Importing a file into the store.
//!
//! ```text
//! stage     the file's bytes under a name of our own in partial/: cloned, linked or copied
//!           both hashes, of the bytes that were staged
//! publish   sync → rename to the name that the hash gives → sync the directory
//! ```
//!
//! A clone shares its blocks with the original, and nobody can change them through it. A hard link *is* the
//! original: whoever writes to that later changes the blob. So it is made on explicit request only, and such a blob is
//! no longer served once its file was modified.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::local::sync_dir;
use super::source::{self, Pace, Refusal, Source};
use super::{Error, LocalStore, Names, Result};

/// How to place a file in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// As a clone where the filesystem can (btrfs, XFS, …), else as a copy.
    #[default]
    Auto,
    Reflink,
    /// Takes no space, but the blob changes with the original. For files that nobody writes to any more.
    HardLink,
    Copy,
}

/// How a file was placed in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    Reflink,
    HardLink,
    Copy,
}

/// A file on its way into the store; gone when it is dropped.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    file: File,
    pub names: Names,
    pub how: Placed,
}

/// What was put under a staged name.
struct Bytes {
    file: File,
    names: Names,
    how: Placed,
}

impl Drop for Staged {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes a staged name, and never the file that it may be a link to.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "could not remove a staged file");
    }
}

impl LocalStore {
    /// Puts the bytes of `source` next to the partial blobs and computes their names. Blocks.
    pub fn stage(&self, source: &Source, how: Placement, pace: &Pace) -> Result<Staged, Refusal> {
        self.in_folders(|| self.stage_once(source, how, pace))
    }

    fn stage_once(&self, source: &Source, how: Placement, pace: &Pace) -> Result<Staged, Refusal> {
        let path = self.root().join("partial").join(format!("{}.import", uuid::Uuid::now_v7()));
        let staged = match how {
            Placement::HardLink => link(source, &path, pace),
            Placement::Copy => self.copy(source, &path, pace),
            Placement::Reflink => clone(source, &path, pace),
            Placement::Auto => match clone(source, &path, pace) {
                Err(Refusal::CannotPlace(_)) => {
                    remove(&path);
                    self.copy(source, &path, pace)
                }
                outcome => outcome,
            },
        };
        match staged {
            Ok(Bytes { file, names, how }) => Ok(Staged { path, file, names, how }),
            Err(error) => {
                remove(&path);
                Err(error)
            }
        }
    }

    /// Makes a staged file the blob of its sha256. After this returns it survives a power cut. Gives when it was modified.
    /// Blocks.
    pub fn publish_staged(&self, staged: &Staged) -> Result<i64> {
        let path = self.blob_path(staged.names.sha256);
        staged.file.sync_all().map_err(Error::io("cannot sync", &staged.path))?;
        // If it is a link to this very blob already, the staged name stays, and goes when it is dropped.
        self.in_folders(|| std::fs::rename(&staged.path, &path).map_err(Error::io("cannot publish", &path)))?;
        sync_dir(path.parent().unwrap_or(self.root()))?;
        let (_, modified_ns) = source::modified(&staged.file).map_err(Error::io("cannot read", &path))?;
        Ok(modified_ns)
    }

    fn copy(&self, source: &Source, path: &Path, pace: &Pace) -> Result<Bytes, Refusal> {
        let size = source.stamp().size;
        if self.free_bytes().is_ok_and(|free| free < size) {
            return Err(Error::NoSpace { path: path.to_owned() }.into());
        }
        let mut file = create(path)?;
        let mut from = &source.file;
        io::Seek::rewind(&mut from).map_err(Refusal::Unreadable)?;
        let names = source::hash(&mut from, source, pace, |piece| {
            Ok(file.write_all(piece).map_err(Error::io("cannot write", path))?)
        })?;
        source.check_unchanged()?;
        Ok(Bytes { file, names, how: Placed::Copy })
    }

    /// What a process that died left behind. Called while nobody else has the store.
    pub(super) fn remove_abandoned_imports(&self) -> Result<()> {
        let folder = self.root().join("partial");
        for entry in std::fs::read_dir(&folder).map_err(Error::io("cannot read", &folder))? {
            let path = entry.map_err(Error::io("cannot read", &folder))?.path();
            if path.extension().is_some_and(|extension| extension == "import") {
                remove(&path);
            }
        }
        Ok(())
    }
}

/// A file of our own. Never one that is there: it could be a link to somebody else's.
fn create(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path).map_err(Error::io("cannot create", path))
}

/// A clone is hashed itself: it cannot change any more.
fn clone(source: &Source, path: &Path, pace: &Pace) -> Result<Bytes, Refusal> {
    let mut file = create(path)?;
    match rustix::fs::ioctl_ficlone(&file, &source.file) {
        Ok(()) => {}
        Err(error @ (Errno::NOSPC | Errno::DQUOT)) => {
            return Err(Error::io("cannot clone to", path)(error.into()).into());
        }
        Err(error) => return Err(Refusal::CannotPlace(error.into())),
    }
    let names = source::hash(&mut file, source, pace, |_| Ok(()))?;
    source.check_unchanged()?;
    Ok(Bytes { file, names, how: Placed::Reflink })
}

/// The very file that was hashed, under one more name.
fn link(source: &Source, path: &Path, pace: &Pace) -> Result<Bytes, Refusal> {
    let names = source.hash(pace)?;
    std::fs::hard_link(&source.path, path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::io("cannot link", path)(error).into(),
        _ => Refusal::CannotPlace(error),
    })?;
    let linked = path.symlink_metadata().map_err(Error::io("cannot read", path))?;
    let stamp = source.stamp();
    if (linked.dev(), linked.ino(), linked.len()) != (stamp.device, stamp.inode, stamp.size) {
        return Err(Refusal::Changed);
    }
    let file = source.file.try_clone().map_err(Refusal::Unreadable)?;
    Ok(Bytes { file, names, how: Placed::HardLink })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::blob::Sharing;

    fn pace() -> Pace {
        Pace { bytes_per_second: None, cancel: CancellationToken::new(), bytes_read: AtomicU64::new(0) }
    }

    /// A store, and a file beside it.
    fn start(bytes: &[u8]) -> (tempfile::TempDir, LocalStore, Source) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        File::create(root.join("file")).unwrap().write_all(bytes).unwrap();
        let store = LocalStore::open(&root.join("store"), Sharing::Alone).unwrap();
        let source = Source::open(&root.join("file"), &[root]).unwrap();
        (dir, store, source)
    }

    fn partials(store: &LocalStore) -> usize {
        std::fs::read_dir(store.root().join("partial")).unwrap().count()
    }

    #[test]
    fn what_is_published_is_there_and_what_is_dropped_leaves_nothing() {
        for how in [Placement::Auto, Placement::Copy, Placement::HardLink] {
            let (_dir, store, source) = start(b"hello\n");
            drop(store.stage(&source, how, &pace()).unwrap());
            assert_eq!(partials(&store), 0, "{how:?}");
            // Twice: a hard link is renamed onto itself.
            let source = Source::open(source.path(), &[source.path().parent().unwrap().to_owned()]).unwrap();
            for _ in 0..2 {
                let source = Source::open(source.path(), &[source.path().parent().unwrap().to_owned()]).unwrap();
                let staged = store.stage(&source, how, &pace()).unwrap();
                assert_eq!(staged.names.git_oid.to_hex(), "ce013625030ba8dba906f756967f9e9ca394464a");
                store.publish_staged(&staged).unwrap();
                assert!(store.open_blob(staged.names.sha256, 6).unwrap().is_some());
            }
            assert_eq!(partials(&store), 0, "{how:?}");
            assert_eq!(std::fs::read(source.path()).unwrap(), b"hello\n", "{how:?}");
        }
    }

    #[test]
    fn what_a_dead_process_left_is_removed_and_the_original_stays() {
        let (dir, store, source) = start(b"precious");
        std::mem::forget(store.stage(&source, Placement::HardLink, &pace()).unwrap());
        assert_eq!(partials(&store), 1);
        drop(store);
        let store = LocalStore::open(&dir.path().join("store"), Sharing::Alone).unwrap();
        assert_eq!(partials(&store), 0);
        assert_eq!(std::fs::read(source.path()).unwrap(), b"precious");
    }
}
