//! Who a process is among those that run jobs.
//!
//! A name is a file in the data directory that its process keeps locked. Whoever starts takes the first name of its
//! machine that is free, so a process that comes back has the name that it died with, and nobody else has it: the jobs
//! that still run under that name are known to be nobody's.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::domain::WorkerId;

/// A worker's name, for as long as this is kept.
pub(super) struct Identity {
    pub(super) id: WorkerId,
    _locked: File,
}

impl Identity {
    /// The first free name of this machine.
    pub(super) fn take(data_dir: &Path, hostname: &str) -> io::Result<Self> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        let names = data_dir.join("workers");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&names)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let hostname: String = hostname.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        let mut number = 1u32;
        loop {
            let id = format!("{hostname}-{number}");
            let mut options = File::options();
            #[expect(clippy::disallowed_methods, reason = "a name that is taken, without content")]
            let file = options.write(true).create(true).truncate(false).mode(0o600).open(names.join(&id))?;
            match file.try_lock() {
                Ok(()) => return Ok(Self { id: WorkerId::new(id), _locked: file }),
                Err(TryLockError::WouldBlock) => number += 1,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_owner_and_is_free_when_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let take = || Identity::take(dir.path(), "gpu/box").unwrap();
        let (first, second) = (take(), take());
        assert_eq!([first.id.as_str(), second.id.as_str()], ["gpu_box-1", "gpu_box-2"]);
        drop(first);
        let back = take();
        assert_eq!([back.id.as_str(), take().id.as_str()], ["gpu_box-1", "gpu_box-3"]);
        assert_eq!(Identity::take(dir.path(), "other").unwrap().id, "other-1");
    }
}
