//! The connection's IO: hands ordinary bytes to sendmsg and regions of files to sendfile.
//!
//! hyper (HTTP/1, vectored) queues `[head, body]` and calls [`Write::poll_write_vectored`]. Steps:
//!
//! 1. Ordinary slices in front go out in one sendmsg, with `MSG_MORE` when a region follows, so
//!    that the head shares a segment with the first bytes of the file.
//! 2. A slice of a region: make sure that its next window is in memory ([`super::warm`]).
//! 3. sendfile at most [`TURN`]; report the count; hyper advances and calls again.
//! 4. When the socket is full, wait for it and watch that the peer takes bytes ([`super::stall`]).
//!
//! Nothing here reads a region's memory. It relies on hyper keeping queued slices as they are
//! (`WriteStrategy::Queue`); the tests prove it by the counters.
//!
//! Splice through a pipe of 1 MiB per connection was measured too: at most a tenth less CPU, no
//! steady gain in speed, and an unprivileged user may have only 64 such pipes. So sendfile.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::pulse::Pulse;
use super::region::{FileSlot, Span};
use super::stall::Stall;
use super::warm::Warm;
use crate::metrics;

/// Most bytes of one sendfile call, and after which a connection lets the others of its worker have
/// a turn: a client that drains as fast as we fill never makes the socket full.
///
/// Clients of one file that advance together also find its pages in the processor's cache. With 16
/// of them, turns of 8 MiB are a quarter slower; turns below 1 MiB cost CPU and bring nothing.
const TURN: u64 = 1024 * 1024;

/// A TCP stream that knows the regions of its connection.
pub(super) struct Connection {
    io: TokioIo<TcpStream>,
    slot: FileSlot,
    warm: Warm,
    stall: Stall,
    /// Bytes written since this connection last gave way.
    turn: u64,
    /// Whether these are bytes for clients, which are counted.
    counts: bool,
    pulse: Arc<Pulse>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, slot: FileSlot, write_stall: Duration, pulse: Arc<Pulse>) -> Self {
        Self {
            io: TokioIo::new(stream),
            slot,
            warm: Warm::default(),
            stall: Stall::new(write_stall),
            turn: 0,
            counts: true,
            pulse,
        }
    }

    /// One without regions, of a listener whose bytes are nobody's downloads.
    pub(super) fn plain(stream: TcpStream, write_stall: Duration, pulse: Arc<Pulse>) -> Self {
        Self { counts: false, ..Self::new(stream, FileSlot::default(), write_stall, pulse) }
    }

    /// Runs `call` when the socket takes bytes; it must answer `WouldBlock` when it does not.
    fn poll_socket(
        &mut self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream = self.io.inner();
        if self.turn >= TURN {
            self.turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            match stream.poll_write_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    self.turn = 0;
                    return self.stall.poll(cx, stream).map(Err);
                }
            }
            match stream.try_io(Interest::WRITABLE, || call(stream)) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(sent) => {
                    self.turn += sent as u64;
                    self.stall.wrote(sent);
                    self.pulse.wrote(sent);
                    return Poll::Ready(Ok(sent));
                }
            }
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>], more: bool) -> Poll<io::Result<usize>> {
        let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        let sent = ready!(
            self.poll_socket(cx, |stream| { Ok(sendmsg(stream, bufs, &mut SendAncillaryBuffer::default(), flags)?) })
        )?;
        if self.counts {
            metrics::copied_bytes(sent as u64);
        }
        Poll::Ready(Ok(sent))
    }

    fn poll_span(&mut self, cx: &mut Context<'_>, span: &Span) -> Poll<io::Result<usize>> {
        ready!(self.warm.poll(cx, span))?;
        let count = span.len.min(TURN) as usize;
        let sent = ready!(self.poll_socket(cx, |stream| {
            let mut offset = span.offset;
            Ok(rustix::fs::sendfile(stream, span.file.file(), Some(&mut offset), count)?)
        }))?;
        if sent == 0 {
            // The file is shorter than it was. The head promised more, so the connection must end.
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        metrics::sent_bytes(sent as u64);
        if span.file.is_stored() {
            metrics::saved_bytes(sent as u64);
        }
        Poll::Ready(Ok(sent))
    }

    fn poll_any(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let found = bufs.iter().enumerate().find_map(|(at, buf)| Some((at, self.slot.find(buf)?)));
        match found {
            Some((0, span)) => self.poll_span(cx, &span),
            // A cold file may take a while: then the head goes first, and immediately.
            Some((at, span)) => {
                let more = match self.warm.poll(cx, &span) {
                    Poll::Ready(warm) => {
                        warm?;
                        true
                    }
                    Poll::Pending => false,
                };
                self.poll_bytes(cx, &bufs[..at], more)
            }
            None => self.poll_bytes(cx, bufs, false),
        }
    }
}

impl Write for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let sent = this.poll_any(cx, bufs);
        if sent.is_pending() {
            this.pulse.sending();
        }
        sent
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when its queue is empty: there is nothing the peer could be slow with.
        let this = self.get_mut();
        this.stall.rest();
        this.warm.rest();
        this.pulse.sent();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

impl Read for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}
