//! A blob read again, piece by piece, so that nobody else notices much.
//!
//! `reread` opens the file → `piece` reads and hashes the next MiB → the last one says what was found. How far that is can
//! be noted at any time (`mark`), and another process goes on from there.
//!
//! The file is read past the page cache: what is proven is what the disk has, and what is in memory for clients stays
//! there. Where a filesystem cannot do that, what was read leaves the cache again, unless it was in it before.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;

use rustix::fs::{Advice, OFlags};
use rustix::io::{Errno, ReadWriteFlags};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256};

use super::local::LocalStore;
use super::{Check, Error, Result, modified};
use crate::domain::Digest;

/// What is read and hashed at once. A multiple of what disks want positions and memory to be multiples of.
const PIECE: usize = 1 << 20;
const ALIGNED: usize = 4096;

/// A blob that is being read again.
pub struct Rereading {
    file: File,
    path: PathBuf,
    digest: Digest,
    size: u64,
    modified_ns: i64,
    position: u64,
    hasher: Sha256,
    is_direct: bool,
    /// `PIECE` bytes from where it is aligned.
    buffer: Vec<u8>,
}

/// How far a blob was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub position: u64,
    /// When the file was modified last.
    pub modified_ns: i64,
    /// The hash so far.
    pub hasher: Vec<u8>,
}

/// What came of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes were read, and there are more.
    More(u64),
    /// So many bytes were read, and this is what the file is.
    Last(u64, Check),
    /// The file has left the store meanwhile.
    Gone,
}

/// What a blob's file is from the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    Missing,
    /// No regular file, or one of another size.
    Wrong,
    /// When it was modified last.
    Modified(i64),
}

impl LocalStore {
    /// Looks at a blob's file without reading it.
    pub fn outside(&self, digest: Digest, size: u64) -> Result<Outside> {
        let path = self.blob_path(digest);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() && metadata.len() == size => {
                let ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
                Ok(Outside::Modified(ns))
            }
            Ok(_) => Ok(Outside::Wrong),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Outside::Missing),
            Err(error) => Err(Error::io("cannot look at", &path)(error)),
        }
    }

    /// Opens a blob to be read again, from a mark on if that is of this file as it is now. Else what is wrong with it.
    pub fn reread(&self, digest: Digest, size: u64, mark: Option<Mark>) -> Result<Result<Rereading, Check>> {
        let path = self.blob_path(digest);
        let Some(file) = self.open_blob(digest, size)? else {
            let is_there = path.symlink_metadata().is_ok();
            return Ok(Err(if is_there { Check::Wrong } else { Check::Missing }));
        };
        let (_, modified_ns) = modified(&file).map_err(Error::io("cannot look at", &path))?;
        let is_direct = rustix::fs::fcntl_setfl(&file, OFlags::DIRECT).is_ok();
        let buffer = vec![0; PIECE + ALIGNED];
        let (mut position, mut hasher) = (0, Sha256::new());
        if let Some(mark) = mark.filter(|mark| mark.modified_ns == modified_ns && mark.position <= size)
            && let Ok(state) = SerializedState::<Sha256>::try_from(mark.hasher.as_slice())
            && let Ok(resumed) = Sha256::deserialize(&state)
        {
            (position, hasher) = (mark.position, resumed);
        }
        let mut reading = Rereading { file, path, digest, size, modified_ns, position, hasher, is_direct, buffer };
        if !is_direct {
            reading.go_through_cache();
        }
        Ok(Ok(reading))
    }
}

impl Rereading {
    /// When the file was modified last, as it was when it was opened.
    pub fn modified_ns(&self) -> i64 {
        self.modified_ns
    }

    pub fn mark(&self) -> Mark {
        let hasher = self.hasher.serialize().to_vec();
        Mark { position: self.position, modified_ns: self.modified_ns, hasher }
    }

    /// Reads and hashes the next piece.
    pub fn piece(&mut self) -> Result<Piece> {
        let metadata = self.file.metadata().map_err(Error::io("cannot look at", &self.path))?;
        if metadata.nlink() == 0 {
            // Its space is wanted.
            return Ok(Piece::Gone);
        }
        let start = self.buffer.as_ptr().align_offset(ALIGNED);
        let read = match self.read(start) {
            Ok(read) => read,
            // What the disk cannot give any more.
            Err(Errno::IO) => return Ok(Piece::Last(0, Check::Wrong)),
            Err(error) => return Err(Error::io("cannot read", &self.path)(error.into())),
        };
        self.hasher.update(&self.buffer[start..start + read]);
        self.position += read as u64;
        if read > 0 && self.position < self.size {
            return Ok(Piece::More(read as u64));
        }
        let is_right =
            self.position == self.size && Digest::from_bytes(self.hasher.clone().finalize().into()) == self.digest;
        Ok(Piece::Last(read as u64, if is_right { Check::Right } else { Check::Wrong }))
    }

    /// Fills the buffer, or reads to the end of the file; what was read.
    fn read(&mut self, start: usize) -> Result<usize, Errno> {
        let wanted = usize::try_from(self.size - self.position).unwrap_or(PIECE).min(PIECE);
        if self.is_direct {
            // All of the buffer: a length that is no multiple is refused.
            match read_at(&self.file, &mut self.buffer[start..start + PIECE], self.position) {
                // In the middle of a file, it could not go on from there.
                Ok(read) if read < wanted && !read.is_multiple_of(ALIGNED) => self.go_through_cache(),
                Ok(read) => return Ok(read.min(wanted)),
                Err(Errno::INVAL | Errno::OPNOTSUPP) => self.go_through_cache(),
                Err(error) => return Err(error),
            }
        }
        let buffer = &mut self.buffer[start..start + wanted];
        let in_memory = {
            let mut slices = [io::IoSliceMut::new(buffer)];
            rustix::io::preadv2(&self.file, &mut slices, self.position, ReadWriteFlags::NOWAIT)
        };
        if in_memory == Ok(wanted) {
            return Ok(wanted);
        }
        let mut read = 0;
        while read < wanted {
            match read_at(&self.file, &mut buffer[read..], self.position + read as u64)? {
                0 => break,
                some => read += some,
            }
        }
        // Only advice.
        let _ = rustix::fs::fadvise(&self.file, self.position, NonZeroU64::new(read as u64), Advice::DontNeed);
        Ok(read)
    }

    /// For a filesystem that cannot do without.
    fn go_through_cache(&mut self) {
        self.is_direct = false;
        let _ = rustix::fs::fcntl_setfl(&self.file, OFlags::empty());
        // What is read ahead would look as if somebody had wanted it.
        let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::Random);
    }
}

fn read_at(file: &File, buffer: &mut [u8], position: u64) -> Result<usize, Errno> {
    loop {
        match file.read_at(buffer, position) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Sharing;

    /// A store with one file, of random bytes of this length.
    fn store_with(size: usize) -> (tempfile::TempDir, LocalStore, Digest, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path(), Sharing::Alone).unwrap();
        let bytes: Vec<u8> = (0..size as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
        std::fs::write(store.blob_path(digest), &bytes).unwrap();
        (dir, store, digest, bytes)
    }

    fn to_the_end(mut reading: Rereading) -> (u64, Check) {
        let mut bytes = 0;
        loop {
            match reading.piece().unwrap() {
                Piece::More(read) => bytes += read,
                Piece::Last(read, check) => return (bytes + read, check),
                Piece::Gone => panic!("nobody removes it"),
            }
        }
    }

    #[test]
    fn files_of_any_length_are_read_to_their_ends_past_the_cache_or_through_it() {
        for size in [0, 1, ALIGNED, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5000] {
            let (_dir, store, digest, bytes) = store_with(size);
            for through_cache in [false, true] {
                let again = |bytes: &[u8]| {
                    std::fs::write(store.blob_path(digest), bytes).unwrap();
                    let mut reading = store.reread(digest, size as u64, None).unwrap().unwrap();
                    if through_cache {
                        reading.go_through_cache();
                    }
                    to_the_end(reading)
                };
                assert_eq!(again(&bytes), (size as u64, Check::Right), "{size}, {through_cache}");
                if let Some(last) = size.checked_sub(1) {
                    let mut wrong = bytes.clone();
                    wrong[last] ^= 1;
                    assert_eq!(again(&wrong), (size as u64, Check::Wrong), "{size}, {through_cache}");
                }
            }
        }
    }

    #[test]
    fn a_mark_is_gone_on_from_unless_the_file_was_written_to_since() {
        let size = 3 * PIECE + 5000;
        let (_dir, store, digest, bytes) = store_with(size);
        let begin = |mark| store.reread(digest, size as u64, mark).unwrap().unwrap();
        let mut reading = begin(None);
        assert_eq!(reading.piece().unwrap(), Piece::More(PIECE as u64));
        assert_eq!(reading.piece().unwrap(), Piece::More(PIECE as u64));
        let mark = reading.mark();
        assert_eq!(to_the_end(begin(Some(mark.clone()))), ((PIECE + 5000) as u64, Check::Right));
        let cut = Mark { hasher: mark.hasher[1..].to_vec(), ..mark.clone() };
        assert_eq!(to_the_end(begin(Some(cut))), (size as u64, Check::Right), "a mark that cannot be read is none");
        std::fs::write(store.blob_path(digest), &bytes).unwrap();
        let file = File::options().write(true).open(store.blob_path(digest)).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(to_the_end(begin(Some(mark))), (size as u64, Check::Right));
    }

    #[test]
    fn what_leaves_the_store_is_let_go_of() {
        let (_dir, store, digest, _) = store_with(2 * PIECE);
        let mut reading = store.reread(digest, 2 * PIECE as u64, None).unwrap().unwrap();
        assert_eq!(reading.piece().unwrap(), Piece::More(PIECE as u64));
        store.remove_blob(digest).unwrap();
        assert_eq!(reading.piece().unwrap(), Piece::Gone);
        assert_eq!(store.reread(digest, 2 * PIECE as u64, None).unwrap().err(), Some(Check::Missing));
        assert_eq!(store.outside(digest, 2).unwrap(), Outside::Missing);
    }
}
