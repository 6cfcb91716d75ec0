//! What can go wrong with bytes on disk.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk, the quota or the inode table is full.
    #[error("no space left to write {path}")]
    NoSpace { path: PathBuf },
    /// Another process has this store open.
    #[error("{path} is in use by another modelhub process; stop it, or choose another store.data_dir")]
    Locked { path: PathBuf },
    /// Another process that shares this store is writing this partial file.
    #[error("another process is downloading {path}")]
    Elsewhere { path: PathBuf },
    /// Written by a version of the layout that this program does not know.
    #[error("{path} has store format {found}, but this version supports {known}; use a newer modelhub")]
    Format { path: PathBuf, found: String, known: &'static str },
    #[error("{doing} {path}: {source}")]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps an I/O error with what was being done to what; ENOSPC and EDQUOT become `NoSpace`.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Io { doing, path, source },
        }
    }
}
