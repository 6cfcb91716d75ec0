//! A blob that is open for reading.

use std::sync::Arc;

use crate::blob::{self, MappedFile};
use crate::db::BlobRow;
use crate::domain::Digest;

/// A blob of the store, open and mapped. Its file is never changed, only unlinked; but one that is a hard link to a file
/// outside of the store changes with that.
///
/// Who has it can read it to the end, whatever becomes of the blob; until then its bytes take their place on the disk.
#[derive(Debug)]
pub struct StoredFile {
    row: BlobRow,
    mapped: Arc<MappedFile>,
}

impl StoredFile {
    /// Blocks for some system calls.
    pub(super) fn open(row: BlobRow, file: std::fs::File) -> std::io::Result<Self> {
        Ok(Self { row, mapped: Arc::new(MappedFile::open(file)?.stored()) })
    }

    pub fn digest(&self) -> Digest {
        self.row.digest
    }

    pub fn size(&self) -> u64 {
        self.row.size
    }

    /// The same file by the row as it is now.
    pub(super) fn with(self, row: BlobRow) -> Self {
        Self { row, ..self }
    }

    pub(super) fn row(&self) -> BlobRow {
        self.row
    }

    pub(super) fn generation(&self) -> i64 {
        self.row.generation
    }

    pub fn mapped(&self) -> &Arc<MappedFile> {
        &self.mapped
    }

    pub fn file(&self) -> &Arc<std::fs::File> {
        self.mapped.file()
    }

    /// Whether somebody besides its keeper has it: its bytes are being sent.
    pub(super) fn is_sent(self: &Arc<Self>) -> bool {
        [Arc::strong_count(self), Arc::strong_count(&self.mapped), Arc::strong_count(self.mapped.file())] != [1; 3]
    }

    /// Whether nobody has written to the file since its bytes were proven, as far as its size and time tell, or removed
    /// it. `false` also if its time was never noted.
    pub(super) fn is_as_it_was(&self) -> bool {
        let is_same = |known_ns| blob::modified(self.file()).is_ok_and(|now| now == (self.row.size, known_ns));
        self.row.modified_ns.is_some_and(is_same)
    }
}
