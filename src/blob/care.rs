//! Maintenance of stored blobs: verification, removal, and the space that they take.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use super::journal;
use super::local::{LocalStore, remove_partial};
use super::{ContentHasher, Error, Result};
use crate::domain::{ContentId, Digest};

/// The result of verifying a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Right,
    Wrong,
    Missing,
    /// `stop` said so.
    Stopped,
}

impl LocalStore {
    /// Reads a blob again and compares its hash; asks `stop` after each MiB.
    pub fn check_blob(&self, digest: Digest, size: u64, stop: &mut dyn FnMut() -> bool) -> Result<Check> {
        let path = self.blob_path(digest);
        let Some(mut file) = self.open_blob(digest, size)? else {
            return Ok(if path.exists() { Check::Wrong } else { Check::Missing });
        };
        let mut hasher = ContentHasher::new(ContentId::Sha256(digest), size);
        let mut buffer = vec![0; 1 << 20];
        loop {
            if stop() {
                return Ok(Check::Stopped);
            }
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => hasher.update(&buffer[..n]),
                // What the disk cannot give any more.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                    return Ok(Check::Wrong);
                }
                Err(error) => return Err(Error::io("cannot read", &path)(error)),
            }
        }
        Ok(if hasher.finish().is_ok() { Check::Right } else { Check::Wrong })
    }

    /// Removes a blob; readers that have it open can keep reading.
    pub fn remove_blob(&self, digest: Digest) -> Result<()> {
        let path = self.blob_path(digest);
        ignore_missing(std::fs::remove_file(&path)).map_err(Error::io("cannot remove", &path))
    }

    /// Partials that nothing was written to for that long.
    pub fn stale_partials(&self, age: Duration) -> Result<Vec<ContentId>> {
        let folder = self.root().join("partial");
        let now = self.time().map_err(Error::io("cannot read the file system time of", self.root()))?;
        let mut stale = Vec::new();
        let entries = self.in_folders(|| std::fs::read_dir(&folder).map_err(Error::io("cannot read", &folder)))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let content = name.to_str().and_then(|name| ContentId::parse(name.strip_suffix(".part")?).ok());
            let written = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            let is_old = written.is_some_and(|written| now.duration_since(written).is_ok_and(|idle| idle >= age));
            stale.extend(content.filter(|_| is_old));
        }
        Ok(stale)
    }

    /// What there is of each partial, as its journal notes: bytes, by content. One that is being written may have more.
    pub fn kept_parts(&self) -> Result<HashMap<ContentId, u64>> {
        let folder = self.root().join("partial");
        let mut kept = HashMap::new();
        let entries = self.in_folders(|| std::fs::read_dir(&folder).map_err(Error::io("cannot read", &folder)))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let content = name.to_str().and_then(|name| ContentId::parse(name.strip_suffix(".map")?).ok());
            // It may have been removed meanwhile.
            if let (Some(content), Ok(bytes)) = (content, journal::noted_bytes(&entry.path())) {
                kept.insert(content, bytes);
            }
        }
        Ok(kept)
    }

    /// Removes a partial that no flight of this process has; `false` if another process has it.
    pub fn remove_partial(&self, content: ContentId) -> Result<bool> {
        let path = self.root().join("partial").join(format!("{}.part", content.to_hex()));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::io("cannot open", &path)(error)),
        };
        if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(false);
        }
        remove_partial(&path);
        Ok(true)
    }

    /// Disk usage of partial files besides those of `but`, in bytes: most have their final length before they have all of
    /// their bytes.
    pub fn partial_bytes(&self, but: &HashSet<ContentId>) -> u64 {
        let entries = std::fs::read_dir(self.root().join("partial")).into_iter().flatten().flatten();
        let counts = |entry: &std::fs::DirEntry| {
            let name = entry.file_name();
            let content = name.to_str().and_then(|name| ContentId::parse(name.strip_suffix(".part")?).ok());
            content.is_none_or(|content| !but.contains(&content))
        };
        let size = |entry: std::fs::DirEntry| {
            use std::os::unix::fs::MetadataExt as _;
            Some(entry.metadata().ok()?.blocks() * 512)
        };
        entries.filter(counts).filter_map(size).sum()
    }
}

pub(super) fn ignore_missing(outcome: std::io::Result<()>) -> std::io::Result<()> {
    outcome.or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
