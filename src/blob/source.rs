//! Files outside the store, to be imported into it.
//!
//! They are opened so that nothing outside of the scanned folder is read, whatever links are planted while we
//! look: the path is resolved, has to lie within a given folder, and is opened from that folder without
//! following any link. Only regular files are opened, and nothing waits for a FIFO's other end. A file that
//! changes while it is hashed is refused.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::hasher::{NameHasher, Names};

/// Bytes read in one call.
pub(super) const PIECE: usize = 1 << 20;
/// No sleep of the throttle is longer.
const NAP: Duration = Duration::from_millis(50);

/// Why a file is not imported.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("link to something outside the scanned folder")]
    Outside,
    #[error("neither a file nor a folder")]
    NotAFile,
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("changed while it was being read")]
    Changed,
    #[error("cannot be linked or cloned into the store: {0}")]
    CannotPlace(io::Error),
    /// Nothing is wrong with the file: the import was stopped.
    #[error("the import was stopped")]
    Stopped,
    /// Nothing is wrong with the file: the store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// What tells whether a file changed since it was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub size: u64,
    pub modified_ns: i64,
    pub device: u64,
    pub inode: u64,
}

/// How fast files are read, whether to stop, and how much was read.
#[derive(Debug)]
pub struct Pace {
    pub bytes_per_second: Option<u64>,
    pub cancel: CancellationToken,
    pub bytes_read: AtomicU64,
}

impl Pace {
    /// After so many bytes were read: waits as the throttle wants. Blocks.
    pub(super) fn read(&self, bytes: usize) -> Result<(), Refusal> {
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        let mut rest = match self.bytes_per_second {
            Some(rate) => Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64),
            None => Duration::ZERO,
        };
        while !rest.is_zero() && !self.cancel.is_cancelled() {
            let nap = rest.min(NAP);
            std::thread::sleep(nap);
            rest -= nap;
        }
        if self.cancel.is_cancelled() { Err(Refusal::Stopped) } else { Ok(()) }
    }

    /// What is read before the next wait.
    pub(super) fn piece(&self) -> usize {
        let tenth = self.bytes_per_second.map_or(PIECE, |rate| usize::try_from(rate / 10).unwrap_or(PIECE));
        tenth.clamp(4096, PIECE)
    }
}

/// A file that is open for reading, as it was when it was opened. All methods block.
#[derive(Debug)]
pub struct Source {
    pub(super) file: File,
    pub(super) path: PathBuf,
    stamp: Stamp,
    changed_ns: i64,
    wants_xet: bool,
}

impl Source {
    /// Opens the file that `path` leads to, if that lies in one of the folders `within`; these are absolute and
    /// have no links in them.
    pub fn open(path: &Path, within: &[PathBuf]) -> Result<Self, Refusal> {
        let real = path.canonicalize().map_err(Refusal::Unreadable)?;
        let beneath = within.iter().find_map(|root| Some((root, real.strip_prefix(root).ok()?)));
        let Some((root, rest)) = beneath else { return Err(Refusal::Outside) };
        // Opening a device may already do something.
        if !real.symlink_metadata().map_err(Refusal::Unreadable)?.is_file() {
            return Err(Refusal::NotAFile);
        }
        let file = open_beneath(root, rest).map_err(Refusal::Unreadable)?;
        let (stamp, changed_ns) = look(&file).map_err(Refusal::Unreadable)?.ok_or(Refusal::NotAFile)?;
        Ok(Self { file, path: real, stamp, changed_ns, wants_xet: false })
    }

    /// Whether the Xet hash is computed too: about as much work again.
    pub fn want_xet(&mut self, wanted: bool) {
        self.wants_xet = wanted;
    }

    /// Where the file is, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub fn into_file(self) -> File {
        self.file
    }

    /// Both names of the file, computed from its bytes.
    pub fn hash(&self, pace: &Pace) -> Result<Names, Refusal> {
        let mut file = &self.file;
        io::Seek::rewind(&mut file).map_err(Refusal::Unreadable)?;
        let names = hash(&mut file, self, pace, |_| Ok(()))?;
        self.check_unchanged()?;
        Ok(names)
    }

    pub(super) fn check_unchanged(&self) -> Result<(), Refusal> {
        let now = look(&self.file).map_err(Refusal::Unreadable)?;
        if now == Some((self.stamp, self.changed_ns)) { Ok(()) } else { Err(Refusal::Changed) }
    }
}

/// Hashes exactly as many bytes as `source` has, of itself or of a clone, and hands each piece on.
pub(super) fn hash(
    from: &mut impl Read,
    source: &Source,
    pace: &Pace,
    mut then: impl FnMut(&[u8]) -> Result<(), Refusal>,
) -> Result<Names, Refusal> {
    let size = source.stamp.size;
    let mut hasher = NameHasher::new(size, source.wants_xet);
    let mut buffer = vec![0; pace.piece()];
    let mut read = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) if read == size => return Ok(hasher.finish()),
            Ok(0) => return Err(Refusal::Changed),
            Ok(n) => {
                read += n as u64;
                if read > size {
                    return Err(Refusal::Changed);
                }
                hasher.update(&buffer[..n]);
                then(&buffer[..n])?;
                pace.read(n)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Refusal::Unreadable(error)),
        }
    }
}

/// The size of an open file and when it was modified last; an error of one that was removed since.
pub fn modified(file: &File) -> io::Result<(u64, i64)> {
    if file.metadata()?.nlink() == 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    let stamp = look(file)?.ok_or(io::ErrorKind::InvalidInput)?.0;
    Ok((stamp.size, stamp.modified_ns))
}

/// The stamp of an open file and when its inode changed; `None` if it is not a regular file.
fn look(file: &File) -> io::Result<Option<(Stamp, i64)>> {
    let metadata = file.metadata()?;
    let ns = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    let stamp = Stamp {
        size: metadata.len(),
        modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
        device: metadata.dev(),
        inode: metadata.ino(),
    };
    Ok(metadata.is_file().then(|| (stamp, ns(metadata.ctime(), metadata.ctime_nsec()))))
}

/// Opens a file below a folder and follows no link on the way.
fn open_beneath(root: &Path, rest: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let folder = File::open(root)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(&folder, rest, flags, Mode::empty(), resolve) {
            Ok(file) => return Ok(file.into()),
            // A rename on the way, as rename(2) may happen anywhere: look again.
            Err(Errno::AGAIN) => {}
            // A kernel, or a container's filter, without the call.
            Err(Errno::NOSYS | Errno::PERM) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    OpenOptions::new().read(true).custom_flags(flags).open(root.join(rest))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn pace(bytes_per_second: Option<u64>) -> Pace {
        Pace { bytes_per_second, cancel: CancellationToken::new(), bytes_read: AtomicU64::new(0) }
    }

    fn write(path: &Path, bytes: &[u8]) {
        File::create(path).unwrap().write_all(bytes).unwrap();
    }

    #[test]
    fn a_link_within_is_followed_and_one_that_leads_out_is_not() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let root = base.join("root");
        std::fs::create_dir(&root).unwrap();
        write(&root.join("file"), b"inside");
        write(&base.join("secret"), b"outside");
        std::os::unix::fs::symlink("file", root.join("within")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let within = [root.clone()];
        let source = Source::open(&root.join("within"), &within).unwrap();
        assert_eq!((source.path(), source.stamp().size), (root.join("file").as_path(), 6));
        assert!(matches!(Source::open(&root.join("out"), &within), Err(Refusal::Outside)));
        assert!(matches!(Source::open(&root.join("loop"), &within), Err(Refusal::Unreadable(_))));
        assert!(matches!(Source::open(&root, &within), Err(Refusal::NotAFile)));
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        write(&root.join("file"), b"12345");
        let source = Source::open(&root.join("file"), std::slice::from_ref(&root)).unwrap();
        assert!(source.hash(&pace(None)).is_ok());
        OpenOptions::new().append(true).open(root.join("file")).unwrap().write_all(b"6").unwrap();
        assert!(matches!(source.hash(&pace(None)), Err(Refusal::Changed)));
    }

    #[test]
    fn a_slow_pace_is_still_stopped_at_once() {
        let pace = pace(Some(1));
        pace.cancel.cancel();
        assert!(matches!(pace.read(1 << 30), Err(Refusal::Stopped)));
        assert_eq!(pace.bytes_read.load(Ordering::Relaxed), 1 << 30);
    }
}
