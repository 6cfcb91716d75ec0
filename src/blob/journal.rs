//! The journal beside a partial file: for each segment how much is written, and the CRC-32 of that.
//!
//! A header names the layout and the sizes; then each segment has a slot of its own, which is written anew
//! when there is more to say. So the journal never grows beyond one slot a segment. A slot that is torn,
//! or whose bytes a power cut took, does not fit to the bytes of the file: the segment begins anew.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Error, Result};

const MAGIC: &[u8; 8] = b"mhpart02";
const HEADER: usize = 8 + 8 + 8;
const SLOT: usize = 8 + 4;

pub(super) struct Journal {
    file: File,
    path: PathBuf,
    header: [u8; HEADER],
}

/// What a slot says: so many bytes from the segment's start have this CRC-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) written: u64,
    pub(super) crc: u32,
}

impl Journal {
    /// Opens or creates the journal of a file of this size, cut into such segments.
    pub(super) fn open(path: PathBuf, size: u64, segment_size: u64) -> Result<Self> {
        let file = open_file(&path)?;
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..16].copy_from_slice(&size.to_le_bytes());
        header[16..].copy_from_slice(&segment_size.to_le_bytes());
        Ok(Self { file, path, header })
    }

    /// What is noted of each of `count` segments, up to the last that has a slot; `None` if it is a journal of other
    /// sizes or of an earlier layout, or there is none.
    pub(super) fn read(&self, count: usize) -> Result<Option<Vec<Note>>> {
        let mut text = Vec::new();
        let most = (HEADER + SLOT * count) as u64;
        (&self.file).take(most).read_to_end(&mut text).map_err(Error::io("cannot read", &self.path))?;
        let Some(slots) = text.strip_prefix(&self.header) else { return Ok(None) };
        let (slots, _torn) = slots.as_chunks::<SLOT>();
        let note = |&[a, b, c, d, e, f, g, h, crc @ ..]: &[u8; SLOT]| Note {
            written: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            crc: u32::from_le_bytes(crc),
        };
        Ok(Some(slots.iter().map(note).collect()))
    }

    /// Clears the journal.
    pub(super) fn clear(&self) -> Result<()> {
        self.file.set_len(0).map_err(Error::io("cannot empty", &self.path))?;
        self.file.write_all_at(&self.header, 0).map_err(Error::io("cannot write", &self.path))
    }

    /// Records how much of a segment is in the file. A journal that cannot be written costs a resume, nothing more.
    pub(super) fn note(&self, index: usize, note: Note) {
        let mut slot = [0; SLOT];
        slot[..8].copy_from_slice(&note.written.to_le_bytes());
        slot[8..].copy_from_slice(&note.crc.to_le_bytes());
        if let Err(error) = self.file.write_all_at(&slot, (HEADER + SLOT * index) as u64) {
            tracing::warn!(path = %self.path.display(), %error, "could not journal a segment");
        }
    }
}

/// Bytes that a journal notes in all; 0 of an earlier layout.
pub(super) fn noted_bytes(path: &Path) -> std::io::Result<u64> {
    let mut file = std::io::BufReader::new(File::open(path)?);
    let (mut header, mut slot, mut sum) = ([0; HEADER], [0; SLOT], 0u64);
    if file.read_exact(&mut header).is_err() || header[..8] != *MAGIC {
        return Ok(0);
    }
    while file.read_exact(&mut slot).is_ok() {
        let [a, b, c, d, e, f, g, h, ..] = slot;
        sum = sum.saturating_add(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
    Ok(sum)
}

/// Opens or creates a file of a partial blob; never a link's target.
pub(super) fn open_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    options.open(path).map_err(Error::io("cannot open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_written_anew_and_the_journal_stays_as_long_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let open = |size| Journal::open(dir.path().join("x.map"), size, 1000).unwrap();
        let journal = open(2500);
        assert_eq!(journal.read(3).unwrap(), None, "it is new");
        journal.clear().unwrap();
        for written in 1..=500 {
            journal.note(1, Note { written, crc: 7 });
        }
        let none = Note { written: 0, crc: 0 };
        assert_eq!(open(2500).read(3).unwrap(), Some(vec![none, Note { written: 500, crc: 7 }]));
        assert_eq!(std::fs::metadata(dir.path().join("x.map")).unwrap().len(), (HEADER + 2 * SLOT) as u64);
        assert_eq!(open(2501).read(3).unwrap(), None, "it is another file's");
    }

    #[test]
    fn what_is_torn_or_too_long_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.map");
        let journal = Journal::open(path.clone(), 2500, 1000).unwrap();
        journal.clear().unwrap();
        for index in 0..9 {
            journal.note(index, Note { written: 1, crc: 1 });
        }
        let read = || Journal::open(path.clone(), 2500, 1000).unwrap().read(3).unwrap().map(|notes| notes.len());
        assert_eq!(read(), Some(3));
        File::options().write(true).open(&path).unwrap().set_len((HEADER + SLOT + 5) as u64).unwrap();
        assert_eq!(read(), Some(1));
    }
}
