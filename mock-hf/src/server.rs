//! The listeners: an own accept loop per origin (so that connections can be cut and reset), the request log, rate
//! limits, faults, and the way from a [`Reply`] to HTTP.
//!
//! A request: log → faults before (delay, ignore range) → rate limit → route → faults on the answer → body.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::service::service_fn;
use hyper::{Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::body::{self, Body, Shape, Source};
use crate::connection::{Connection, Socket};
use crate::fault::{Fault, Origin, Subject};
use crate::log::Logged;
use crate::reply::Reply;
use crate::request::Request;
use crate::shared::Shared;
use crate::{cdn, control, routes, shape};

/// Nothing that clients send to the routes of the mock is larger.
const BODY_LIMIT: usize = 64 << 20;

/// Binds and serves until `cancel`; then the listener and every connection are closed at once.
pub(crate) async fn listen(
    shared: Arc<Shared>,
    origin: Origin,
    addr: SocketAddr,
    cancel: CancellationToken,
) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let _ = stream.set_nodelay(true);
                        connections.spawn(serve(Arc::clone(&shared), origin, stream));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "could not accept a connection");
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    }
                },
            }
        }
        drop(listener);
        connections.shutdown().await;
    });
    Ok((addr, task))
}

async fn serve(shared: Arc<Shared>, origin: Origin, stream: tokio::net::TcpStream) {
    let connection = Arc::new(Connection::default());
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&connection)));
    let service = service_fn(move |request| handle(Arc::clone(&shared), origin, Arc::clone(&connection), request));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .half_close(false)
        .serve_connection(socket, service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, ?origin, "a connection ended early");
    }
}

async fn handle(
    shared: Arc<Shared>,
    origin: Origin,
    connection: Arc<Connection>,
    request: hyper::Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (parts, incoming) = request.into_parts();
    let mut request = Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: Bytes::new(),
    };
    let is_control = origin == Origin::Hub && request.path.starts_with("/_mock");
    let in_flight = (!is_control).then(|| shared.log.begin(line(origin, &request)));
    request.body = Limited::new(incoming, BODY_LIMIT).collect().await.map_err(io::Error::other)?.to_bytes();
    if is_control {
        let reply = control::route(&shared, &request);
        return Ok(head(&reply, reply.end - reply.start).map(|()| whole(&reply)));
    }
    let target =
        if request.query.is_empty() { request.path.clone() } else { format!("{}?{}", request.path, request.query) };
    let faults = shared.faults.strike(&Subject {
        origin,
        method: &request.method,
        target: &target,
        has_range: request.header("range").is_some(),
        range_start: range_start(request.header("range")),
    });
    for fault in &faults {
        match fault {
            Fault::Delay(time) => tokio::time::sleep(*time).await,
            Fault::IgnoreRange => {
                request.headers.remove(header::RANGE);
            }
            _ => {}
        }
    }
    let mut reply = match origin {
        Origin::Hub => routes::route(&shared, &request),
        Origin::Cdn => cdn::route(&shared, &request),
    };
    if request.method == "HEAD" && faults.contains(&Fault::MoveRefOnHead) {
        routes::move_ref(&shared, &request.path);
    }
    let mut shape = Shape::default();
    let api = request.path.starts_with("/api/");
    for fault in &faults {
        if let Fault::EndlessListing { entries } = fault {
            reply = crate::listing::endless(&shared, &request, *entries);
        }
        shape::apply(fault, &mut reply, &mut shape, api);
    }
    if origin == Origin::Hub {
        routes::decorate(&shared, &request, &mut reply);
    }
    if shape.no_answer {
        return Err(io::Error::other("a fault drops this request"));
    }
    let mut response = head(&reply, (reply.end - reply.start) + shape.extra).map(|()| body::empty());
    if shape.close_delimited {
        *response.version_mut() = Version::HTTP_10;
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    let in_flight = in_flight.ok_or_else(|| io::Error::other("only control requests are not logged"))?;
    in_flight.entry.set_status(reply.status);
    if request.method != "HEAD" && !matches!(reply.status, 204 | 304) {
        *response.body_mut() = body::stream(Source {
            content: reply.content,
            at: reply.start,
            end: reply.end,
            shape,
            connection,
            connection_rate: match origin {
                Origin::Cdn => shared.options.bytes_per_second_per_connection,
                Origin::Hub => None,
            },
            in_flight,
        });
    }
    Ok(response)
}

fn head(reply: &Reply, length: u64) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = reply.headers.clone();
    // A header that a fault has set stays: lying about the length is one of the faults.
    let headers = response.headers_mut();
    if reply.chunked || matches!(reply.status, 204 | 304) {
        headers.remove(header::CONTENT_LENGTH);
    } else if !headers.contains_key(header::CONTENT_LENGTH) {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

fn whole(reply: &Reply) -> Body {
    let bytes = reply.content.read_range(reply.start, reply.end - reply.start);
    http_body_util::Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn range_start(range: Option<&str>) -> Option<u64> {
    range?.trim().strip_prefix("bytes=")?.split('-').next()?.trim().parse().ok()
}

fn line(origin: Origin, request: &Request) -> Logged {
    let owned = |name: &str| request.header(name).map(str::to_owned);
    Logged {
        origin,
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        range: owned("range"),
        authorization: owned("authorization"),
        user_agent: owned("user-agent"),
        headers: pairs(&request.headers),
        status: 0,
        body_bytes: 0,
        done: false,
        when: std::time::SystemTime::now(),
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(pair).collect()
}
