//! A blob that is still being downloaded: a file of the final size, a durable map of the segments
//! that are present, and a way to wait for more.
//!
//! The map is a journal next to the file (`journal.rs`): of each segment how much of it was written, and
//! the CRC-32 of that. A segment is noted when it is finished, when much of it is written, and when a claim on it is
//! dropped before. After kill -9 the page cache keeps both, so what was noted is not fetched again; after a power cut
//! a segment whose bytes were lost fails its CRC and is fetched again. Either way nothing depends on the journal being
//! right: the digest decides at the end.
//!
//! Whoever fetches takes a `Claim` on a run of missing segments and writes through it; a
//! dropped claim gives back what it did not finish, and the next one resumes from there.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::journal::{Journal, Note, open_file};
use super::{Error, Result};
use crate::domain::ContentId;

/// Of an unfinished segment so much may be written without being noted: what a kill costs a connection.
const NOTED_EVERY: u64 = 512 << 10;

/// See the module's text. All methods that touch the disk block.
pub struct Partial {
    content: ContentId,
    size: u64,
    segment_size: u64,
    file: Arc<File>,
    path: PathBuf,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    journal: Journal,
    segments: Vec<Segment>,
    missing: usize,
    /// No segment before this one is missing or claimed.
    first_incomplete: usize,
}

#[derive(Clone, Default)]
struct Segment {
    status: Status,
    /// Bytes written from the segment's start. An attempt that ended is resumed, not repeated.
    written: u64,
    crc: crc32fast::Hasher,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Status {
    #[default]
    Missing,
    Claimed,
    Present,
}

impl Partial {
    /// Opens the partial of `content` with what arrived of it before, or starts an empty one. What the journal
    /// notes is read back and checked here.
    ///
    /// `shared`: other processes may have it; it is `Elsewhere` until they `release` it or end.
    pub(super) fn open(dir: &Path, content: ContentId, size: u64, segment_size: u64, shared: bool) -> Result<Self> {
        let path = dir.join(format!("{}.part", content.to_hex()));
        let file = Arc::new(if shared { open_alone(&path)? } else { open_file(&path)? });
        let journal = Journal::open(path.with_extension("map"), size, segment_size)?;
        let count = usize::try_from(size.div_ceil(segment_size)).unwrap_or(usize::MAX);
        let mut segments = vec![Segment::default(); count];
        let length = file.metadata().map_err(Error::io("cannot read", &path))?.len();
        match journal.read(count)?.filter(|_| length == size) {
            Some(notes) => {
                for (index, note) in notes.into_iter().enumerate() {
                    segments[index] = checked(&file, segment_range(index, segment_size, size), note);
                }
            }
            // Another size or an older layout: nothing of it can be trusted.
            None => {
                file.set_len(0).map_err(Error::io("cannot empty", &path))?;
                file.set_len(size).map_err(Error::io("cannot size", &path))?;
                journal.clear()?;
            }
        }
        let missing = segments.iter().filter(|segment| segment.status == Status::Missing).count();
        let mut state = State { journal, segments, missing, first_incomplete: 0 };
        state.advance_prefix();
        Ok(Self { content, size, segment_size, file, path, state: Mutex::new(state), changed: Notify::new() })
    }

    /// Lets other processes have it, though readers in this one may keep the file open.
    pub fn release(&self) {
        let _ = rustix::fs::flock(&*self.file, rustix::fs::FlockOperation::Unlock);
    }

    pub fn content(&self) -> ContentId {
        self.content
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// The partial file. It stays the same file when it is published: open readers keep reading.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the disk space of a range now, so that a full disk shows at the start.
    pub fn reserve(&self, range: Range<u64>) -> Result<()> {
        use rustix::fs::FallocateFlags;
        match rustix::fs::fallocate(&*self.file, FallocateFlags::empty(), range.start, (range.end - range.start).max(1))
        {
            Ok(()) => {}
            // Filesystems without fallocate find out while writing.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => return Ok(()),
            Err(error) => return Err(Error::io("cannot reserve", &self.path)(error.into())),
        }
        self.file.set_len(self.size).map_err(Error::io("cannot size", &self.path))
    }

    /// Discards everything that arrived; nothing may be claimed while this runs. Blocks.
    pub fn reset(&self) -> Result<()> {
        let mut state = self.lock();
        state.journal.clear()?;
        state.segments.fill(Segment::default());
        state.missing = state.segments.len();
        state.first_incomplete = 0;
        Ok(())
    }

    pub fn is_complete(&self) -> bool {
        self.missing_segments() == 0
    }

    pub fn missing_segments(&self) -> usize {
        self.lock().missing
    }

    /// Bytes that are present or were written by an attempt in progress.
    pub fn present_bytes(&self) -> u64 {
        self.lock().segments.iter().map(|segment| segment.written).sum()
    }

    /// How many bytes can be read at `offset` without waiting (looks at most `limit` ahead).
    pub fn available(&self, offset: u64, limit: u64) -> u64 {
        let state = self.lock();
        let end = offset.saturating_add(limit).min(self.size);
        let mut position = offset;
        while position < end {
            let index = (position / self.segment_size) as usize;
            let segment = &state.segments[index];
            let start = index as u64 * self.segment_size;
            position = position.max(start + segment.written);
            if segment.status != Status::Present {
                break;
            }
        }
        position.min(end).saturating_sub(offset)
    }

    /// Resolves at the next change. Make the future (and `enable` it) before looking, so that
    /// no change is lost between looking and waiting.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Wakes everyone who waits for a change, e.g. because the flight failed.
    pub fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until no claim is held: what was written through them is noted.
    pub async fn at_rest(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.lock().segments.iter().all(|segment| segment.status != Status::Claimed) {
                return;
            }
            changed.await;
        }
    }

    /// Takes up to `count` neighbouring missing segments: the first that `wanted` asks for
    /// (ranges in order of urgency), else, if `all`, the first missing one.
    pub fn claim(self: &Arc<Self>, wanted: &[Range<u64>], all: bool, count: usize) -> Option<Claim> {
        let mut state = self.lock();
        let missing = |state: &State, index: usize| state.segments[index].status == Status::Missing;
        let mut first = None;
        for range in wanted {
            let from = (range.start / self.segment_size) as usize;
            let to = range.end.div_ceil(self.segment_size) as usize;
            first = (from.max(state.first_incomplete)..to.min(state.segments.len())).find(|i| missing(&state, *i));
            if first.is_some() {
                break;
            }
        }
        if first.is_none() && all {
            first = (state.first_incomplete..state.segments.len()).find(|i| missing(&state, *i));
        }
        let first = first?;
        // Without `all`, a run must not reach past what somebody asked for.
        let is_wanted = |index: usize| {
            let range = segment_range(index, self.segment_size, self.size);
            all || wanted.iter().any(|w| w.start < range.end && range.start < w.end)
        };
        let mut end = first + 1;
        // A later segment that an earlier attempt started would not be contiguous: its bytes continue from
        // where that attempt stopped.
        let joins = |state: &State, index: usize| missing(state, index) && state.segments[index].written == 0;
        while end < state.segments.len() && end - first < count && joins(&state, end) && is_wanted(end) {
            end += 1;
        }
        for segment in &mut state.segments[first..end] {
            segment.status = Status::Claimed;
        }
        drop(state);
        Some(Claim { partial: Arc::clone(self), segments: first..end })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves counters that the digest check still guards.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn segment(&self, index: usize) -> Range<u64> {
        segment_range(index, self.segment_size, self.size)
    }
}

impl State {
    fn advance_prefix(&mut self) {
        while self.segments.get(self.first_incomplete).is_some_and(|s| s.status == Status::Present) {
            self.first_incomplete += 1;
        }
    }

    /// Notes how much of a segment is in the file.
    fn note(&self, index: usize) {
        let Segment { written, crc, .. } = &self.segments[index];
        self.journal.note(index, Note { written: *written, crc: crc.clone().finalize() });
    }
}

fn segment_range(index: usize, segment_size: u64, size: u64) -> Range<u64> {
    let start = index as u64 * segment_size;
    start..(start + segment_size).min(size)
}

/// A segment as the journal notes it, if its bytes are in the file; else one of which nothing is there.
fn checked(file: &File, range: Range<u64>, note: Note) -> Segment {
    let Note { written, crc } = note;
    let length = range.end - range.start;
    let is_there = (1..=length).contains(&written)
        && crc_of(file, range.start..range.start + written).is_ok_and(|found| found == crc);
    if !is_there {
        return Segment::default();
    }
    let status = if written == length { Status::Present } else { Status::Missing };
    Segment { status, written, crc: crc32fast::Hasher::new_with_initial_len(crc, written) }
}

fn crc_of(file: &File, range: Range<u64>) -> io::Result<u32> {
    let mut crc = crc32fast::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut position = range.start;
    while position < range.end {
        let len = buffer.len().min((range.end - position) as usize);
        file.read_exact_at(&mut buffer[..len], position)?;
        crc.update(&buffer[..len]);
        position += len as u64;
    }
    Ok(crc.finalize())
}

/// The right, and the duty, to fetch a run of segments.
pub struct Claim {
    partial: Arc<Partial>,
    segments: Range<usize>,
}

impl Claim {
    /// The bytes that are still to be fetched; empty when the claim is fulfilled.
    pub fn remaining(&self) -> Range<u64> {
        let end = self.partial.segment(self.segments.end.max(1) - 1).end;
        if self.segments.is_empty() {
            return end..end;
        }
        let state = self.partial.lock();
        let first = &state.segments[self.segments.start];
        self.partial.segment(self.segments.start).start + first.written..end
    }

    /// The room on the disk that the claim needs.
    pub fn room(&self) -> Room {
        Room { partial: Arc::clone(&self.partial), range: self.remaining() }
    }

    /// Writes the next bytes of `remaining`; what reaches past its end is left out. Blocks.
    pub fn write(&mut self, chunks: &[Bytes]) -> Result<()> {
        for chunk in chunks {
            let mut chunk: &[u8] = chunk;
            while !chunk.is_empty() && !self.segments.is_empty() {
                let taken = self.write_some(chunk)?;
                chunk = &chunk[taken..];
            }
        }
        self.partial.changed.notify_waiters();
        Ok(())
    }

    /// Writes up to the end of the current segment, and journals it when that is reached, or much of it.
    fn write_some(&mut self, bytes: &[u8]) -> Result<usize> {
        let partial = &*self.partial;
        let index = self.segments.start;
        let range = partial.segment(index);
        let written = partial.lock().segments[index].written;
        let taken = bytes.len().min((range.end - range.start - written) as usize);
        partial
            .file
            .write_all_at(&bytes[..taken], range.start + written)
            .map_err(Error::io("cannot write", &partial.path))?;

        let mut state = partial.lock();
        let segment = &mut state.segments[index];
        segment.crc.update(&bytes[..taken]);
        segment.written += taken as u64;
        if range.start + segment.written < range.end {
            if written / NOTED_EVERY != segment.written / NOTED_EVERY {
                state.note(index);
            }
            return Ok(taken);
        }
        segment.status = Status::Present;
        state.note(index);
        state.missing -= 1;
        state.advance_prefix();
        self.segments.start += 1;
        Ok(taken)
    }
}

/// See [`Claim::room`].
pub struct Room {
    partial: Arc<Partial>,
    range: Range<u64>,
}

impl Room {
    /// Takes it. Blocks.
    pub fn reserve(self) -> Result<()> {
        self.partial.reserve(self.range)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.partial.lock();
        for segment in &mut state.segments[self.segments.clone()] {
            segment.status = Status::Missing;
        }
        // Only the first one can be started already.
        if self.segments.clone().next().is_some_and(|first| state.segments[first].written > 0) {
            state.note(self.segments.start);
        }
        drop(state);
        self.partial.wake();
    }
}

/// Opens a file that no other process has locked, and locks it.
///
/// Before the lock was taken, another process may have published or quarantined what was opened here: then the name
/// means another file, or none, and it is opened again. What was published is never written to.
fn open_alone(path: &Path) -> Result<File> {
    use rustix::fs::FlockOperation;
    use std::os::unix::fs::MetadataExt as _;
    loop {
        let file = open_file(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Elsewhere { path: path.to_owned() }),
            Err(error) => return Err(Error::io("cannot lock", path)(error.into())),
        }
        let own = file.metadata().map_err(Error::io("cannot read", path))?;
        match std::fs::symlink_metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (own.dev(), own.ino()) => return Ok(file),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Digest;

    fn open(dir: &Path, size: u64) -> Arc<Partial> {
        let content = ContentId::Sha256(Digest::from_bytes([7; 32]));
        Arc::new(Partial::open(dir, content, size, 1000, false).unwrap())
    }

    fn fill(partial: &Arc<Partial>, wanted: Range<u64>) -> Range<u64> {
        let mut claim = partial.claim(&[wanted], false, 1).unwrap();
        let range = claim.remaining();
        let bytes: Vec<u8> = range.clone().map(|i| (i % 251) as u8).collect();
        claim.write(&[Bytes::from(bytes)]).unwrap();
        assert!(claim.remaining().is_empty());
        range
    }

    #[test]
    fn demanded_segments_come_first_then_the_rest_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let partial = open(dir.path(), 4500);
        assert_eq!(fill(&partial, 3100..3200), 3000..4000);
        assert_eq!(partial.available(3100, 10_000), 900);
        assert_eq!(partial.available(0, 10_000), 0);
        let rest = partial.claim(&[], true, 2).unwrap();
        assert_eq!(rest.remaining(), 0..2000);
        let next = partial.claim(&[], true, 9).unwrap();
        assert_eq!(next.remaining(), 2000..3000);
        assert_eq!(partial.claim(&[], true, 9).unwrap().remaining(), 4000..4500);
        drop(rest);
        assert_eq!(partial.claim(&[], true, 1).unwrap().remaining(), 0..1000);
    }

    #[test]
    fn what_arrived_of_segments_survives_and_damaged_ones_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let partial = open(dir.path(), 4500);
        fill(&partial, 0..1);
        fill(&partial, 1000..1001);
        fill(&partial, 4000..4001);
        let mut half = partial.claim(&[], true, 1).unwrap();
        half.write(&[Bytes::from(vec![1; 10])]).unwrap();
        drop((half, partial));

        let again = open(dir.path(), 4500);
        assert_eq!(again.present_bytes(), 2510);
        again.file().write_all_at(&[255], 1500).unwrap();
        again.file().write_all_at(&[255], 2005).unwrap();
        drop(again);

        let third = open(dir.path(), 4500);
        assert_eq!(third.present_bytes(), 1500);
        assert_eq!(third.available(0, 10_000), 1000);
        drop(third);
        assert_eq!(open(dir.path(), 4600).present_bytes(), 0, "another size starts anew");
    }

    #[test]
    fn a_run_does_not_reach_into_a_started_segment() {
        let dir = tempfile::tempdir().unwrap();
        let partial = open(dir.path(), 3000);
        let first = partial.claim(&[], true, 1).unwrap();
        let mut second = partial.claim(&[], true, 1).unwrap();
        second.write(&[Bytes::from(vec![2; 300])]).unwrap();
        drop((first, second));
        let run = partial.claim(&[], true, 3).unwrap();
        assert_eq!(run.remaining(), 0..1000);
        assert_eq!(partial.claim(&[], true, 3).unwrap().remaining(), 1300..3000);
    }

    #[test]
    fn a_started_segment_is_resumed_when_the_file_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..1000).map(|i| (i % 251) as u8).collect();
        // Each attempt brings a little, and the last one the end.
        for (from, to) in [(0, 300), (300, 301), (301, 301), (301, 999), (999, 1000)] {
            let partial = open(dir.path(), 1500);
            let mut claim = partial.claim(&[], true, 1).unwrap();
            assert_eq!(claim.remaining(), from as u64..1000);
            claim.write(&[Bytes::copy_from_slice(&bytes[from..to])]).unwrap();
        }
        let partial = open(dir.path(), 1500);
        assert_eq!((partial.present_bytes(), partial.missing_segments()), (1000, 1));
        assert_eq!(partial.available(0, 10_000), 1000);
    }

    #[tokio::test]
    async fn a_partial_is_at_rest_when_its_claims_are_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let partial = open(dir.path(), 1500);
        partial.at_rest().await;
        let claim = partial.claim(&[], true, 1).unwrap();
        let waiting = tokio::spawn({
            let partial = Arc::clone(&partial);
            async move { partial.at_rest().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(claim);
        waiting.await.unwrap();
    }

    #[test]
    fn a_broken_attempt_is_continued() {
        let dir = tempfile::tempdir().unwrap();
        let partial = open(dir.path(), 1500);
        let mut claim = partial.claim(&[], true, 2).unwrap();
        claim.write(&[Bytes::from(vec![9; 1200])]).unwrap();
        drop(claim);
        assert_eq!(partial.available(0, 10_000), 1200);
        assert_eq!(partial.claim(&[], true, 2).unwrap().remaining(), 1200..1500);
    }
}
