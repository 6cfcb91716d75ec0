//! Keeps disk reads off the async threads: a window of a file is probed before sendfile, and read
//! on the blocking pool when it is not in memory.
//!
//! The probe is a one-byte read at both ends of the window that must not wait (`RWF_NOWAIT`). It is
//! cheap and blind to holes between the ends; a hole costs one wait of the worker, not an error.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::JoinHandle;

use super::region::Span;
use crate::hub::MappedFile;

/// Probed, and read, in one go.
const WINDOW: u64 = 4 * 1024 * 1024;

/// Asked of the disk when a window was cold: whoever reads one cold window will want the next.
const AHEAD: u64 = 16 * 1024 * 1024;

/// How far into the current region the pages are known to be in memory.
#[derive(Debug, Default)]
pub(super) struct Warm {
    known: Option<(Arc<MappedFile>, u64, u64)>,
    reading: Option<JoinHandle<io::Result<()>>>,
}

impl Warm {
    /// Ready when the start of the span can be sent without a wait for the disk.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, span: &Span) -> Poll<io::Result<()>> {
        if let Some(reading) = &mut self.reading {
            let done = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            done.map_err(io::Error::other)??;
            // Taken as warm without another probe: under memory pressure that could repeat forever.
            return Poll::Ready(Ok(()));
        }
        if self.knows(span) {
            return Poll::Ready(Ok(()));
        }
        let end = span.offset + span.len.min(WINDOW);
        self.known = Some((span.file.clone(), span.offset, end));
        if resident(span.file.file(), span.offset) && resident(span.file.file(), end - 1) {
            return Poll::Ready(Ok(()));
        }
        let (file, from, ahead) = (span.file.file().clone(), span.offset, span.len.min(AHEAD));
        self.reading = Some(tokio::task::spawn_blocking(move || read(&file, from, end, ahead)));
        self.poll(cx, span)
    }

    /// Nothing is waiting to be sent: let go of the file, which may be deleted while we idle.
    pub(super) fn rest(&mut self) {
        self.known = None;
    }

    fn knows(&self, span: &Span) -> bool {
        // Half a window may be left: sendfile takes no more than that in one call.
        self.known.as_ref().is_some_and(|(file, from, to)| {
            Arc::ptr_eq(file, &span.file) && *from <= span.offset && span.offset + span.len.min(WINDOW / 2) <= *to
        })
    }
}

/// Whether a read at `offset` would find the page in memory. True when the file system cannot
/// tell, and at or beyond the end of the file: sendfile reports that better.
fn resident(file: &File, offset: u64) -> bool {
    let mut byte = [0];
    !matches!(preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT), Err(Errno::AGAIN))
}

/// Starts reading `ahead` bytes, and waits for those up to `end`.
fn read(file: &File, from: u64, end: u64, ahead: u64) -> io::Result<()> {
    // Advice only: without it the reads below do the same, one readahead at a time.
    let _ = fadvise(file, from, NonZeroU64::new(ahead), Advice::WillNeed);
    let mut byte = [0];
    let mut at = from;
    while at < end {
        // One byte per page brings in the page without copying it.
        if file.read_at(&mut byte, at)? == 0 {
            break;
        }
        at += 4096;
    }
    Ok(())
}
