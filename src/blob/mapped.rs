//! A file as a range of addresses: what `sendfile` is told apart by (`api/serve/region.rs`).

use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::Mmap;

/// An immutable file, open and mapped, ready to be sent by any number of connections.
///
/// Opening costs a few system calls, so keep it (with a bound: each takes a descriptor and a
/// mapping) and share it. As long as it lives, an unlinked file takes its place on the disk.
/// The file may be unlinked while this lives, but must never be cut short
/// or written to: readers would see an error, or mixed content.
#[derive(Debug)]
pub struct MappedFile {
    file: Arc<File>,
    /// `None` for an empty file, which cannot be mapped.
    map: Option<Mmap>,
    len: u64,
    is_stored: bool,
}

impl MappedFile {
    /// Maps the whole file as it is now. Later growth is not seen.
    ///
    /// Fails when the file cannot be mapped (a directory, a pipe, no address space).
    pub fn open(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let map = if len == 0 { None } else { Some(map(&file)?) };
        Ok(Self { file: Arc::new(file), map, len, is_stored: false })
    }

    /// The same as a file of the store: what is sent of it is saved.
    pub fn stored(self) -> Self {
        Self { is_stored: true, ..self }
    }

    pub fn is_stored(&self) -> bool {
        self.is_stored
    }

    /// Size when it was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file behind it, for ordinary reads.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Addresses that stand for the file's bytes, to be named and not to be read.
    pub fn token(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

#[expect(unsafe_code, reason = "std has no memory mapping")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is private to this module and its bytes are never read by us: it is a
    // range of addresses that stands for the file. Should someone else read it (a layer that copies
    // bodies), the content is that of an immutable file, see the contract of `MappedFile`.
    unsafe { Mmap::map(file) }
}
