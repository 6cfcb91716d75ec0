//! A request between its head and the end of its answer: its body has a limit in time, and its connection knows of it.
//!
//! 1. A body that is waited for must bring [`MIN_RATE`] on average over each period of the limit, or its end.
//! 2. If it does not, its reader gets an error, and the client 408, whatever the reader makes of it; the connection is
//!    closed, as the rest of the body may still come.
//! 3. The answer's body holds the request [`Open`], for whoever looks for connections that can be closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::pulse::{Arriving, Open, Pulse};
use super::stall::MIN_RATE;

/// A request's body as it comes.
pub(super) struct Arrival {
    body: Incoming,
    pulse: Arc<Pulse>,
    limit: Duration,
    /// Set when the limit was passed; see [`Late`].
    late: Arc<AtomicBool>,
    /// The running period, from the first wait to the end of the body.
    period: Option<Pin<Box<Sleep>>>,
    received: u64,
    /// Received when the period began.
    mark: u64,
    waiting: Option<Arriving>,
}

/// Whether the body of a request was too slow.
pub(super) struct Late(Arc<AtomicBool>);

impl Arrival {
    pub(super) fn new(body: Incoming, pulse: Arc<Pulse>, limit: Duration) -> (Self, Late) {
        let late = Arc::new(AtomicBool::new(false));
        let told = Late(late.clone());
        (Self { body, pulse, limit, late, period: None, received: 0, mark: 0, waiting: None }, told)
    }

    /// Ready when the peer was too slow.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = Instant::now() + self.limit;
        if self.period.is_none() {
            self.mark = self.received;
        }
        let period = self.period.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(period.as_mut().poll(cx));
            let least = (self.limit.as_secs() * MIN_RATE).max(1);
            if self.received - self.mark < least {
                return Poll::Ready(());
            }
            self.mark = self.received;
            period.as_mut().reset(deadline);
        }
    }
}

impl HttpBody for Arrival {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = None;
            if let Some(Ok(frame)) = &frame {
                this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        if this.waiting.is_none() {
            this.waiting = Some(this.pulse.wait_for_body());
        }
        ready!(this.poll_late(cx));
        this.waiting = None;
        this.late.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Late {
    /// The answer to a request: that of its handler, unless its body did not come.
    pub(super) fn answer(&self, version: Version, response: Response<Body>) -> Response<Body> {
        if !self.0.load(Ordering::Relaxed) {
            return response;
        }
        refuse(StatusCode::REQUEST_TIMEOUT, version, "the request's body came too slowly, or not at all")
    }
}

/// An answer that no handler gave; what comes behind the request on its connection is not read.
pub(super) fn refuse(status: StatusCode, version: Version, why: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{why}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The body of an answer, which is over when this is dropped.
pub(super) struct Answer {
    body: Body,
    open: Open,
}

impl Answer {
    pub(super) fn new(body: Body, mut open: Open) -> Self {
        open.set_owed(false);
        Self { body, open }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.open.set_owed(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
