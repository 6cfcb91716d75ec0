//! A place in the beginning of a GGUF file, and how to step over its numbers and texts.
//!
//! Each step either has its bytes, asks for more, or says that the file ends too early.

use super::{FactsError, gguf};

pub(super) const FILE: &str = "GGUF header";

/// Why reading stops.
pub(super) enum Stop {
    /// The given beginning ends before this byte, and the file continues.
    More(u64),
    Wrong(FactsError),
}

impl From<FactsError> for Stop {
    fn from(error: FactsError) -> Self {
        Self::Wrong(error)
    }
}

pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    file_size: u64,
    at: usize,
    /// Version 1 writes lengths and counts in 32 bits, later ones in 64.
    pub(super) short_counts: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], file_size: u64) -> Self {
        Self { bytes, file_size, at: 0, short_counts: false }
    }

    pub(super) fn at(&self) -> u64 {
        self.at as u64
    }

    pub(super) fn file_size(&self) -> u64 {
        self.file_size
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8], Stop> {
        let end = self.at().saturating_add(count);
        if end > self.file_size {
            let wrong = format!("expected {count} more bytes, but the file ends at byte {}", self.file_size);
            return Err(FactsError::new(FILE, self.at(), wrong, "the file may be truncated").into());
        }
        if end > gguf::HEADER_LIMIT {
            let wrong = format!("the header extends to byte {end}");
            return Err(FactsError::new(FILE, self.at(), wrong, "at most 128 MiB are supported").into());
        }
        let taken = self.bytes.get(self.at..end as usize).ok_or(Stop::More(end))?;
        self.at = end as usize;
        Ok(taken)
    }

    /// An unsigned number of 1 to 8 bytes, little endian.
    pub(super) fn unsigned(&mut self, width: u64) -> Result<u64, Stop> {
        let taken = self.take(width)?;
        Ok(taken.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Stop> {
        self.unsigned(4).map(|number| number as u32)
    }

    /// A length or a count, in the width of the file's version.
    pub(super) fn count(&mut self) -> Result<u64, Stop> {
        self.unsigned(if self.short_counts { 4 } else { 8 })
    }

    /// A text of at most `limit` bytes, which need not be UTF-8.
    pub(super) fn text(&mut self, limit: u64, rule: &'static str) -> Result<&'a [u8], Stop> {
        let at = self.at();
        let length = self.count()?;
        if length > limit {
            return Err(FactsError::new(FILE, at, format!("a string has {length} bytes"), rule).into());
        }
        self.take(length)
    }
}
