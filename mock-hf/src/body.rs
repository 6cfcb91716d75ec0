//! The body of an answer as a stream that can misbehave: cut, reset, stall, flip a byte, go slowly.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;

use crate::connection::Connection;
use crate::content::{CHUNK, Content};
use crate::log::InFlight;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How a body ends before its time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// The connection closes.
    Cut,
    /// The connection is reset.
    Reset,
    /// Nothing more comes, the connection stays.
    Stall,
    /// It simply ends.
    End,
}

/// What faults do to a body.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Offsets in the file whose bytes are inverted.
    pub(crate) flips: Vec<u64>,
    pub(crate) stop: Option<(u64, Stop)>,
    /// Bytes appended to the end.
    pub(crate) extra: u64,
    pub(crate) bytes_per_second: Option<u64>,
    /// Answered as HTTP/1.0, so that the end of the connection is the end of the body.
    pub(crate) close_delimited: bool,
    /// The request is dropped without an answer.
    pub(crate) no_answer: bool,
}

/// Everything that a body needs while it is sent.
pub(crate) struct Source {
    pub(crate) content: Content,
    pub(crate) at: u64,
    pub(crate) end: u64,
    pub(crate) shape: Shape,
    pub(crate) connection: Arc<Connection>,
    /// Limit of the whole connection.
    pub(crate) connection_rate: Option<u64>,
    pub(crate) in_flight: InFlight,
}

struct Sending {
    source: Source,
    sent: u64,
    failed: bool,
}

/// No body at all.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// The body of a source.
pub(crate) fn stream(source: Source) -> Body {
    let sending = Sending { source, sent: 0, failed: false };
    let frames = stream::unfold(sending, |mut sending| async move {
        let next = sending.next().await?;
        Some((next.map(Frame::data), sending))
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Sending {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.failed {
            return None;
        }
        let mut room = CHUNK;
        if let Some((after, stop)) = self.source.shape.stop {
            room = room.min(after.saturating_sub(self.sent));
            if room == 0 {
                return self.stop(stop).await;
            }
        }
        if let Some(rate) = self.source.shape.bytes_per_second {
            room = room.min((rate / 20).max(1));
        }
        if let Some(rate) = self.source.connection_rate {
            room = room.min((rate / 20).max(1));
        }
        let left = self.source.end - self.source.at;
        let chunk = if left > 0 {
            let chunk = self.source.content.read_range(self.source.at, room.min(left));
            if chunk.is_empty() {
                self.failed = true;
                return Some(Err(io::Error::other("the content is shorter than it said")));
            }
            let chunk = self.flip(chunk);
            self.source.at += chunk.len() as u64;
            chunk
        } else if self.source.shape.extra > 0 {
            let extra = room.min(self.source.shape.extra);
            self.source.shape.extra -= extra;
            Bytes::from(vec![b'+'; extra as usize])
        } else {
            return None;
        };
        let len = chunk.len() as u64;
        if let Some(rate) = self.source.shape.bytes_per_second {
            tokio::time::sleep(Duration::from_secs_f64(len as f64 / rate.max(1) as f64)).await;
        }
        if let Some(rate) = self.source.connection_rate {
            self.source.connection.pace(len, rate).await;
        }
        self.sent += len;
        self.source.in_flight.sent(len);
        Some(Ok(chunk))
    }

    async fn stop(&mut self, stop: Stop) -> Option<io::Result<Bytes>> {
        self.failed = true;
        match stop {
            Stop::End => return None,
            Stop::Stall => std::future::pending().await,
            // A moment for what was sent before to leave: a test that asks for n bytes wants to see n bytes.
            Stop::Cut => tokio::time::sleep(Duration::from_millis(20)).await,
            Stop::Reset => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.source.connection.reset();
            }
        }
        Some(Err(io::Error::other("a fault ends this body")))
    }

    fn flip(&self, chunk: Bytes) -> Bytes {
        let (start, end) = (self.source.at, self.source.at + chunk.len() as u64);
        let mut hits = self.source.shape.flips.iter().filter(|offset| (start..end).contains(offset)).peekable();
        if hits.peek().is_none() {
            return chunk;
        }
        let mut bytes = BytesMut::from(chunk.as_ref());
        for offset in hits {
            bytes[(offset - start) as usize] ^= 0xff;
        }
        bytes.freeze()
    }
}
