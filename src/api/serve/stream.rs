//! The ordinary path: a part of a file as frames of bytes that were read.
//!
//! For connections that cannot use sendfile, for handlers without a slot, and for ranges so small
//! that a copy is cheaper. What is in the page cache is read directly on the async thread
//! (`RWF_NOWAIT` promises not to wait for the disk), everything else on the blocking pool.
//! Buffers come from a bounded pool, so a transfer allocates nothing once warm.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::JoinHandle;

use crate::metrics;

/// Bytes per frame: large enough that the system calls do not show, small enough that thousands of
/// slow clients (hyper queues at most two frames each) do not fill the memory.
const FRAME: usize = 256 * 1024;

/// Idle buffers kept, 16 MiB in all.
const KEPT: usize = 64;

static POOL: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// The bytes `range` of a file of the store as a body of exact size. What is sent of it is saved.
pub fn read_stored(file: Arc<File>, range: Range<u64>) -> ReadBody {
    read_body(file, range, true)
}

/// The bytes `range` of `file` as a body of exact size.
///
/// Fails with `UnexpectedEof` when the file is shorter than the range says; the client then sees
/// the connection end early, because the head with the length is gone by then.
pub(super) fn read_body(file: Arc<File>, range: Range<u64>, is_stored: bool) -> ReadBody {
    ReadBody { file, is_stored, at: range.start, end: range.end.max(range.start), reading: None }
}

/// See [`read_stored`].
#[derive(Debug)]
pub struct ReadBody {
    file: Arc<File>,
    is_stored: bool,
    at: u64,
    end: u64,
    /// A read the disk has to answer.
    reading: Option<JoinHandle<io::Result<Buffer>>>,
}

impl ReadBody {
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.reading.is_none() {
            let mut buffer = Buffer::take(self.end - self.at);
            match preadv2(&*self.file, &mut [IoSliceMut::new(buffer.space())], self.at, ReadWriteFlags::NOWAIT) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => return Poll::Ready(Ok(buffer.into_bytes(n))),
                // Not in memory, or a file system that cannot tell.
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            let (file, at) = (self.file.clone(), self.at);
            self.reading = Some(tokio::task::spawn_blocking(move || {
                file.read_exact_at(buffer.space(), at)?;
                Ok(buffer)
            }));
        }
        let Some(reading) = &mut self.reading else { return Poll::Pending };
        let done = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let buffer = done.map_err(io::Error::other)??;
        let len = buffer.want;
        Poll::Ready(Ok(buffer.into_bytes(len)))
    }
}

impl Body for ReadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.at == self.end {
            return Poll::Ready(None);
        }
        match ready!(self.poll_read(cx)) {
            Ok(bytes) => {
                self.at += bytes.len() as u64;
                if self.is_stored {
                    metrics::saved_bytes(bytes.len() as u64);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                self.at = self.end;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

/// A buffer of the pool, back in it when the last slice of it is dropped. Small reads get one of
/// their own size instead: a pooled one would be held by a few bytes of a slow client.
#[derive(Debug)]
struct Buffer {
    data: Box<[u8]>,
    want: usize,
}

impl Buffer {
    fn take(want: u64) -> Self {
        let want = usize::try_from(want).unwrap_or(FRAME).min(FRAME);
        let pooled = if want > FRAME / 4 { POOL.lock().unwrap_or_else(PoisonError::into_inner).pop() } else { None };
        let size = if want > FRAME / 4 { FRAME } else { want };
        Self { data: pooled.unwrap_or_else(|| vec![0; size].into_boxed_slice()), want }
    }

    fn space(&mut self) -> &mut [u8] {
        &mut self.data[..self.want]
    }

    fn into_bytes(mut self, read: usize) -> Bytes {
        self.want = read;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.data[..self.want]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.data.len() < FRAME {
            return;
        }
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < KEPT {
            pool.push(std::mem::take(&mut self.data));
        }
    }
}
