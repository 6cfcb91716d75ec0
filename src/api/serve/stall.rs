//! Ends connections whose peer does not take what we have for it.
//!
//! Progress is what the peer has *acknowledged*, not what the socket accepted: a socket buffer of
//! megabytes is refilled in large steps, so a slow but honest reader may go minutes between two
//! writes. While the socket is full, each period of the limit must bring at least [`MIN_RATE`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::ioctl::{Getter, Opcode, ioctl};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes per second, on average over a period, below which a peer counts as stalled.
pub(super) const MIN_RATE: u64 = 1024;

/// `SIOCOUTQ`: bytes written and not yet acknowledged, see tcp(7). It shares its number with
/// `TIOCOUTQ`.
const SIOCOUTQ: Opcode = 0x5411;

#[derive(Debug)]
pub(super) struct Stall {
    limit: Duration,
    /// The running period, kept for reuse when at rest.
    period: Option<Pin<Box<Sleep>>>,
    running: bool,
    written: u64,
    /// Acknowledged when the period began.
    mark: u64,
}

impl Stall {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, period: None, running: false, written: 0, mark: 0 }
    }

    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// Nothing is waiting to be written: time does not count until the socket is full again.
    pub(super) fn rest(&mut self) {
        self.running = false;
    }

    /// To be polled while the socket is full. Ready, with the error to report, when the peer
    /// stalled; closing then resets the connection, as its queue would never drain.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, stream: &TcpStream) -> Poll<io::Error> {
        let deadline = Instant::now() + self.limit;
        let period = self.period.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if !self.running {
            self.running = true;
            self.mark = acknowledged(stream, self.written);
            period.as_mut().reset(deadline);
        }
        loop {
            ready!(period.as_mut().poll(cx));
            let now = acknowledged(stream, self.written);
            let least = (self.limit.as_secs() * MIN_RATE).max(1);
            if now.saturating_sub(self.mark) < least {
                let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.mark = now;
            period.as_mut().reset(deadline);
        }
    }
}

/// Bytes of this connection that the peer has acknowledged.
fn acknowledged(stream: &TcpStream, written: u64) -> u64 {
    #[expect(unsafe_code, reason = "rustix has no wrapper for SIOCOUTQ")]
    // SAFETY: SIOCOUTQ writes one C int to its argument, which is what this getter passes.
    let waiting = unsafe { ioctl(stream, Getter::<SIOCOUTQ, std::ffi::c_int>::new()) };
    // Should a socket not know: everything counts, and the limit is on what it accepts.
    written.saturating_sub(waiting.map_or(0, |bytes| u64::try_from(bytes).unwrap_or(0)))
}
