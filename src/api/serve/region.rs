//! Regions: how a handler names a part of a file without carrying its bytes.
//!
//! A body that should leave by sendfile is one `Bytes` slice of a read-only mapping. The slice is
//! only a *token*: hyper queues it, the connection recognises its address and asks the kernel to
//! send the same range of the file. Promise: code of this module never reads through the mapping,
//! so a file cut short behind our back is an error of one connection and not a SIGBUS.
//!
//! 1. [`MappedFile`] is a file that was mapped once and is shared by all who send of it.
//! 2. [`FileSlot::body`] enters a region in the list of the connection and makes the body.
//! 3. hyper takes the one frame; [`FileSlot::find`] turns its address back into file and offset.
//! 4. The last slice dropped (sent, or given up) takes the region off the list.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::stream::{self, ReadBody};
use crate::hub::MappedFile;

/// Below this a read and a copy cost less than a second system call; such bodies are read with
/// `pread` and never become regions.
const SMALL: u64 = 16 * 1024;

/// The regions now waiting to be sent on one connection; a request extension.
///
/// Cheap to clone. It is a list because of pipelining: the next response may be queued while bytes
/// of the last one wait. Never keep it beyond the request: a body is recognised only on the
/// connection whose slot made it (elsewhere it would be sent by reading the mapping).
#[derive(Debug, Clone, Default)]
pub struct FileSlot(Arc<Mutex<Vec<Region>>>);

#[derive(Debug)]
struct Region {
    /// Addresses of the token.
    token: Range<usize>,
    /// File offset of the first of them.
    offset: u64,
    file: Arc<MappedFile>,
}

/// A run of file bytes that hyper wants on the socket next.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) file: Arc<MappedFile>,
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl FileSlot {
    /// A body of the bytes `range` of `file`, with an exact size.
    ///
    /// An empty range is an empty body. A range beyond the file is a body that fails when polled:
    /// check ranges before the head is written.
    pub fn body(&self, file: &Arc<MappedFile>, range: Range<u64>) -> FileBody {
        if range.end.saturating_sub(range.start) < SMALL || range.end > file.len() {
            return FileBody(State::Read(stream::read_body(file.file().clone(), range, file.is_stored())));
        }
        // No truncation: the mapping exists, so its length fits usize.
        let within = range.start as usize..range.end as usize;
        let start = file.token().as_ptr() as usize;
        self.lock().push(Region {
            token: start + within.start..start + within.end,
            offset: range.start,
            file: file.clone(),
        });
        FileBody(State::Region(Some(Bytes::from_owner(Lease { slot: self.clone(), file: file.clone(), within }))))
    }

    /// Which file bytes this slice stands for, or `None` for an ordinary slice.
    pub(super) fn find(&self, slice: &[u8]) -> Option<Span> {
        let at = slice.as_ptr() as usize;
        let regions = self.lock();
        let region = regions.iter().find(|r| r.token.start <= at && at + slice.len() <= r.token.end)?;
        let offset = region.offset + (at - region.token.start) as u64;
        Some(Span { file: region.file.clone(), offset, len: slice.len() as u64 })
    }

    /// How many regions wait to be sent.
    pub fn live(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Region>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owner of the one frame; its end takes the region off the list.
struct Lease {
    slot: FileSlot,
    file: Arc<MappedFile>,
    within: Range<usize>,
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        &self.file.token()[self.within.clone()]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let start = self.as_ref().as_ptr() as usize;
        let token = start..start + self.within.len();
        let mut regions = self.slot.lock();
        // Two bodies of the same range have equal entries: either will do.
        if let Some(at) = regions.iter().position(|r| r.token == token) {
            regions.swap_remove(at);
        }
    }
}

/// A part of a file as response body: one frame for a region, read frames for a small range.
///
/// Pass it through untouched (`axum::body::Body::new` does). A layer that copies, compresses or
/// collects it reads the mapping: correct, but slow, and dead by SIGBUS if the file was cut short.
#[derive(Debug)]
pub struct FileBody(State);

#[derive(Debug)]
enum State {
    Region(Option<Bytes>),
    Read(ReadBody),
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            State::Region(frame) => Poll::Ready(frame.take().map(|bytes| Ok(Frame::data(bytes)))),
            State::Read(read) => Poll::Ready(ready!(Pin::new(read).poll_frame(cx))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            State::Region(frame) => frame.is_none(),
            State::Read(read) => read.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Region(frame) => SizeHint::with_exact(frame.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            State::Read(read) => read.size_hint(),
        }
    }
}
