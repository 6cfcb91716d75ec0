//! The accept loop of the hub listener, and the fast path of file bodies.
//!
//! `axum::serve` has no timer for half heads, no limits and no end to draining, and no place for
//! our own IO; this module is the small server that has them. It speaks HTTP/1 without TLS, and HTTP/2 where it is told.
//!
//! 1. Accept; close what waits where there is no room (`admission`, `pulse`); back off when descriptors run out.
//! 2. Per connection, hyper runs on [`sendfile::Connection`]; every request has one name (`host`), and gets [`Peer`]
//!    and [`FileSlot`] as extensions, with which a handler answers by sendfile.
//! 3. Whoever is waited for has a limit: for heads and between requests hyper's timer (HTTP/1) or `pulse` (HTTP/2, and
//!    before it is known which), for bodies `arrival`, for taking what is sent `stall`.
//! 4. On stop: no new connections, idle ones closed, busy ones finished until the drain ends, the
//!    rest aborted. [`serve`] returns when every connection is gone.

#![expect(clippy::disallowed_methods, reason = "sockets wait in true time, as hyper's own timers do")]

mod admission;
mod arrival;
mod host;
mod pulse;
mod region;
mod sendfile;
mod stall;
mod stream;
mod warm;

#[cfg(test)]
mod harness;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

pub use self::admission::open_connections;
use self::admission::{Admission, Admitted};
use self::arrival::{Answer, Arrival};
use self::pulse::Pulse;
pub use self::region::{FileBody, FileSlot};
pub use self::stream::{ReadBody, read_stored};

/// Pause after an accept that failed for want of descriptors or memory: time for others to end.
const BACK_OFF: Duration = Duration::from_millis(100);

/// A peer of HTTP/2 that does not answer a ping is gone, also while a stream of it is open that says nothing for hours.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(20);
/// For the last words to a connection of HTTP/2 that nobody uses.
const GOODBYE: Duration = Duration::from_secs(1);

/// What one client, and all together, may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first wait for a request head to its last byte. It covers idle keep-alive of HTTP/1 too: hyper knows one
    /// timer for both. A body must bring at least 1 KiB/s on average over each such time, while it is waited for.
    pub header_timeout: Duration,
    /// Between two requests of HTTP/2.
    pub idle: Duration,
    /// Open connections. One more takes the place of one that waits, or is closed immediately if all are busy.
    pub max_connections: usize,
    /// The same for one address (one /64 for IPv6). Behind a reverse proxy everybody is one peer: set it to
    /// `max_connections` there.
    pub max_per_peer: usize,
    /// While bytes wait, a peer must take at least 1 KiB/s on average over this time.
    pub write_stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            // As nginx has it.
            idle: Duration::from_secs(180),
            max_connections: 4096,
            max_per_peer: 512,
            write_stall: Duration::from_secs(60),
        }
    }
}

/// Which protocols a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1, with files by sendfile.
    Http1,
    /// HTTP/1 and HTTP/2 without TLS, as gRPC has it; bodies go through memory.
    Http1And2,
}

/// Both ends of the connection; a request extension. The socket's addresses: never taken from a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub address: SocketAddr,
    /// The address of this machine that the peer has connected to.
    pub here: SocketAddr,
}

/// Serves `router` on `listener` until `stop`, then lets running requests end for at most `drain`.
///
/// Returns after the last connection is gone. Fails only when the listener itself is unusable;
/// a lack of descriptors or memory is waited out. Dropping the future leaves running connections
/// to themselves: cancel `stop` instead.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    speaks: Speaks,
    stop: CancellationToken,
    drain: Duration,
) -> io::Result<()> {
    let admission = Admission::new(limits);
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    let mut http = http1::Builder::new();
    // Vectored whatever the IO says: flattening would copy files through memory.
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).half_close(false).writev(true);
    // Turns routes into services once, not per request.
    let router = router.with_state::<()>(());

    let ended = loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let Some(admitted) = admission.admit(address.ip()) else {
                    tracing::debug!(peer = %address, "connection refused: too many open connections");
                    continue;
                };
                // Fails only if the peer is already gone.
                let Ok(here) = stream.local_addr() else { continue };
                let peer = Peer { address, here };
                let id = admitted.id();
                let connection = Connection { stream, peer, admitted, limits };
                let (http, router, stop, abort) = (http.clone(), router.clone(), stop.clone(), abort.clone());
                let task = match speaks {
                    Speaks::Http1 => connections.spawn(connection.run(http, router, stop, abort)),
                    Speaks::Http1And2 => connections.spawn(connection.run_both(router, stop, abort)),
                };
                admission.started(id, task.abort_handle());
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => break Err(error),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                admission.make_room();
                tokio::select! { () = stop.cancelled() => {}, () = sleep(BACK_OFF) => {} }
            }
        }
    };
    drop(listener);
    stop_connections(&connections, drain, &abort, &stop).await;
    ended
}

async fn stop_connections(
    connections: &TaskTracker,
    drain: Duration,
    abort: &CancellationToken,
    stop: &CancellationToken,
) {
    // Also when the listener broke: its connections end with it.
    stop.cancel();
    connections.close();
    if timeout(drain, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "shutdown grace period is over: aborting open connections");
        abort.cancel();
        connections.wait().await;
    }
}

/// Errors that say that the peer gave up between connecting and being accepted, see accept(2).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted | HostUnreachable | NetworkUnreachable
    )
}

struct Connection {
    stream: TcpStream,
    peer: Peer,
    /// Held until the end.
    admitted: Admitted,
    limits: Limits,
}

impl Connection {
    async fn run(self, http: http1::Builder, router: Router, stop: CancellationToken, abort: CancellationToken) {
        let (admitted, peer, limits) = (self.admitted, self.peer, self.limits);
        let pulse = admitted.pulse.clone();
        // Heads leave immediately; what belongs together is joined by MSG_MORE. Fails only if the peer
        // is already gone.
        let _ = self.stream.set_nodelay(true);
        let slot = FileSlot::default();
        let io = sendfile::Connection::new(self.stream, slot.clone(), limits.write_stall, pulse.clone());
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            handle(router.clone(), request, peer, slot.clone(), &pulse, limits.header_timeout)
        });
        let mut connection = std::pin::pin!(http.serve_connection(io, service));
        let served = tokio::select! {
            biased;
            served = &mut connection => served,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = &mut connection => served,
                    () = abort.cancelled() => return,
                }
            }
        };
        if let Err(error) = served {
            // Clients leave all the time: nothing anybody has to look at.
            tracing::debug!(peer = %peer.address, error = &error as &dyn std::error::Error, "connection ended early");
        }
    }
}

impl Connection {
    async fn run_both(self, router: Router, stop: CancellationToken, abort: CancellationToken) {
        let (admitted, peer, limits) = (self.admitted, self.peer, self.limits);
        let (pulse, pulse_of_requests) = (admitted.pulse.clone(), admitted.pulse.clone());
        let _ = self.stream.set_nodelay(true);
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER)
            .max_concurrent_streams(256);
        let io = sendfile::Connection::plain(self.stream, limits.write_stall, pulse.clone());
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            handle(router.clone(), request, peer, FileSlot::default(), &pulse_of_requests, limits.header_timeout)
        });
        let mut connection = std::pin::pin!(http.serve_connection_with_upgrades(io, service));
        let served = tokio::select! {
            biased;
            served = &mut connection => served,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = &mut connection => served,
                    () = abort.cancelled() => return,
                }
            }
            () = pulse.waited_too_long(limits.header_timeout, limits.idle, limits.write_stall) => {
                // Tells HTTP/2 which requests were not heard any more; who does not listen is not waited for.
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = &mut connection => served,
                    () = sleep(limits.header_timeout.min(GOODBYE)) => return,
                }
            }
        };
        if let Err(error) = served {
            tracing::debug!(peer = %peer.address, error = &*error as &dyn std::error::Error, "connection ended early");
        }
    }
}

fn handle(
    mut router: Router,
    mut request: hyper::Request<Incoming>,
    peer: Peer,
    slot: FileSlot,
    pulse: &Arc<Pulse>,
    body_limit: Duration,
) -> impl Future<Output = Result<hyper::Response<Answer>, Infallible>> + use<> {
    let (open, version) = (pulse.open(), request.version());
    let wrong = host::wrong(&request);
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(slot);
    let (request, late): (Request, _) = if request.body().is_end_stream() {
        (request.map(Body::new), None)
    } else {
        let (head, body) = request.into_parts();
        let (body, late) = Arrival::new(body, pulse.clone(), body_limit);
        (Request::from_parts(head, Body::new(body)), Some(late))
    };
    async move {
        let response = match wrong {
            Some(why) => arrival::refuse(StatusCode::BAD_REQUEST, version, why),
            None => router.call(request).await?,
        };
        let response = match late {
            Some(late) => late.answer(version, response),
            None => response,
        };
        Ok(response.map(|body| Answer::new(body, open)))
    }
}
