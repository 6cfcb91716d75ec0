//! Answers: a file with the complete header set that clients need, and JSON.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::BodyExt as _;

use super::serve::{FileSlot, read_stored};
use crate::domain::XetHash;
use crate::hub::{self, FlightReader, Hub, MappedFile, Opened, ReadError, Resolved, Served, StoredFile};
use crate::upstream::{BASE_MARK, encode};

pub(super) fn text(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(value).ok()
}

/// The headers of a file, on HEAD, 200, 206 and 304 alike (hf-hub and huggingface_hub read
/// `X-Repo-Commit`, `ETag`, `X-Linked-*` and `Content-Length`; curl and llama.cpp `Accept-Ranges`).
pub(super) fn file_headers(resolved: &Resolved) -> HeaderMap {
    let artifact = &resolved.artifact;
    let mut headers = HeaderMap::with_capacity(16);
    let mut set = |name: HeaderName, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    set(HeaderName::from_static("x-repo-commit"), text(resolved.revision.commit.as_str()));
    let etag = text(&artifact.content.etag());
    if artifact.content.is_lfs() {
        set(HeaderName::from_static("x-linked-etag"), etag.clone());
        set(HeaderName::from_static("x-linked-size"), Some(artifact.size.into()));
    }
    set(header::ETAG, etag);
    set(header::ACCEPT_RANGES, Some(HeaderValue::from_static("bytes")));
    set(header::CONTENT_TYPE, Some(HeaderValue::from_static(content_type(artifact.path.file_name()))));
    set(header::CONTENT_DISPOSITION, text(&disposition(artifact.path.file_name())));
    set(header::VARY, Some(HeaderValue::from_static("Authorization")));
    set(HeaderName::from_static("x-content-type-options"), Some(HeaderValue::from_static("nosniff")));
    headers
}

/// What tells clients that speak Xet to ask this hub for it (huggingface_hub `_xet.py`, hf-hub
/// `files.rs`, huggingface.js `file-download-info.ts`).
pub(super) fn set_xet(headers: &mut HeaderMap, base: &str, resolved: &Resolved, hash: XetHash) {
    let token = format!("{base}{}/xet-read-token/{}", resolved.revision.repo.key.api_path(), resolved.revision.commit);
    let link =
        format!("<{token}>; rel=\"xet-auth\", <{base}/xet/v1/reconstructions/{hash}>; rel=\"xet-reconstruction-info\"");
    for (name, value) in
        [("x-xet-hash", hash.to_string().as_str()), ("x-xet-refresh-route", token.as_str()), ("link", link.as_str())]
    {
        if let Some(value) = text(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Never `text/html`: a file of a repository must not run as a page of this origin.
fn content_type(name: &str) -> &'static str {
    const TEXT: [&str; 20] = [
        "json",
        "jsonl",
        "txt",
        "md",
        "yaml",
        "yml",
        "py",
        "csv",
        "tsv",
        "toml",
        "cfg",
        "ini",
        "xml",
        "html",
        "js",
        "css",
        "jinja",
        "model_card",
        "gitattributes",
        "gitignore",
    ];
    let extension = name.rsplit_once('.').map_or(name, |(_, extension)| extension);
    if TEXT.contains(&extension) { "text/plain; charset=utf-8" } else { "application/octet-stream" }
}

/// `inline; filename*=UTF-8''…; filename="…";` as the Hub writes it.
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' { c } else { '_' }).collect();
    format!("inline; filename*=UTF-8''{}; filename=\"{plain}\";", encode(name, false))
}

/// The answer to a GET: 200 or 206, its body by the fastest way there is.
pub(super) fn file(
    hub: &Hub,
    slot: Option<&FileSlot>,
    mut headers: HeaderMap,
    size: u64,
    body: hub::Body,
) -> Response<Body> {
    let hub::Body { opened, range, is_partial, clears, .. } = body;
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    if is_partial && let Some(value) = text(&format!("bytes {}-{}/{size}", range.start, range.end - 1)) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    let body = match opened {
        Opened::Stored(stored) if clears.is_none() => stored_body(slot, &stored, range),
        opened => counted_body(hub, opened, slot, range, clears),
    };
    let mut response = Response::new(body);
    *response.status_mut() = if is_partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    *response.headers_mut() = headers;
    response
}

fn stored_body(slot: Option<&FileSlot>, stored: &StoredFile, range: Range<u64>) -> Body {
    match slot {
        Some(slot) => Body::new(slot.body(stored.mapped(), range)),
        None => Body::new(read_stored(Arc::clone(stored.file()), range)),
    }
}

/// A body through user space: of a file that is still being downloaded, or one whose complete delivery matters.
///
/// Delivery is reported with the last piece, not at the end of the stream: with the length
/// known, hyper does not ask for more.
fn counted_body(
    hub: &Hub,
    opened: Opened,
    slot: Option<&FileSlot>,
    range: Range<u64>,
    clears: Option<(crate::domain::ContentId, std::net::IpAddr)>,
) -> Body {
    let hub = hub.clone();
    let delivered = move || {
        if let Some(clears) = clears {
            hub.serve.whole_body_sent(clears);
        }
    };
    match opened {
        Opened::Arriving(reader) => {
            let follower = Follower::new(reader, slot);
            let pieces = futures_util::stream::unfold(Some((follower, delivered)), |state| async move {
                let (mut follower, delivered) = state?;
                match follower.next(ARRIVED_PIECE).await? {
                    Ok(piece) => {
                        if follower.reader.is_done() {
                            delivered();
                        }
                        Some((Ok(piece), Some((follower, delivered))))
                    }
                    // An error resets the connection: a clean end would look like success.
                    Err(error) => Some((Err(error), None)),
                }
            });
            Body::from_stream(pieces)
        }
        Opened::Passing(passing) => {
            let pieces = futures_util::stream::unfold(Some((passing, delivered)), |state| async move {
                let (mut passing, delivered) = state?;
                match passing.next().await? {
                    Ok(piece) => {
                        if passing.is_done() {
                            delivered();
                        }
                        Some((Ok(piece), Some((passing, delivered))))
                    }
                    Err(error) => Some((Err(error), None)),
                }
            });
            Body::from_stream(pieces)
        }
        Opened::Stored(stored) => {
            let mut missing = range.end - range.start;
            let pieces = http_body_util::BodyDataStream::new(read_stored(Arc::clone(stored.file()), range));
            let pieces = pieces.inspect_ok(move |piece| {
                missing = missing.saturating_sub(piece.len() as u64);
                if missing == 0 {
                    delivered();
                }
            });
            Body::from_stream(pieces)
        }
    }
}

/// Bytes that the kernel is asked to send in one call of a file that is still being downloaded.
const ARRIVED_PIECE: u64 = 2 << 20;

/// Follows a file that is still being downloaded: by sendfile on a connection that can, else by reading.
pub(super) struct Follower {
    reader: FlightReader,
    slot: Option<FileSlot>,
    mapped: Option<Arc<MappedFile>>,
}

impl Follower {
    pub(super) fn new(reader: FlightReader, slot: Option<&FileSlot>) -> Self {
        Self { reader, slot: slot.cloned(), mapped: None }
    }

    /// The next bytes, at most `most`; `None` at the end.
    pub(super) async fn next(&mut self, most: u64) -> Option<Result<Bytes, ReadError>> {
        let Some(slot) = &self.slot else { return self.reader.next(most).await };
        let arrived = match self.reader.arrived(most).await? {
            Ok(arrived) => arrived,
            Err(error) => return Some(Err(error)),
        };
        let mapped = match &self.mapped {
            Some(mapped) => mapped,
            // The file has its final size from the start, and bytes that arrived do not change.
            None => match arrived.file.try_clone().and_then(MappedFile::open) {
                Ok(mapped) => self.mapped.insert(Arc::new(mapped)),
                Err(error) => return Some(Err(error.into())),
            },
        };
        // A range is one frame, by name or (a short one) by content.
        let frame = slot.body(mapped, arrived.range).frame().await?;
        Some(frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(ReadError::from))
    }
}

/// A JSON answer; `BASE_MARK` becomes our address.
pub(super) fn json(body: &str, base: &str) -> Response<Body> {
    let body = if body.contains(BASE_MARK) { body.replace(BASE_MARK, base) } else { body.to_owned() };
    let length = body.len();
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
    response
}

/// A passed-through answer.
pub(super) fn passed(passed: &hub::Passed, base: &str) -> Response<Body> {
    let is_text = passed.content_type.contains("json") || passed.content_type.starts_with("text/");
    let mut response = match std::str::from_utf8(&passed.body) {
        Ok(body) if is_text => json(body, base),
        _ => Response::new(Body::from(passed.body.clone())),
    };
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: Option<&str>| {
        if let Some(value) = value.and_then(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    // A page of upstream must not run as a page of this origin.
    let is_page = passed.content_type.contains("html");
    set("content-type", Some(if is_page { "text/plain; charset=utf-8" } else { &passed.content_type }));
    set("x-content-type-options", Some("nosniff"));
    set("link", passed.link.as_ref().map(|link| link.replace(BASE_MARK, base)).as_deref());
    set("x-total-count", passed.total_count.as_deref());
    set("x-repo-commit", passed.commit.as_ref().map(|commit| commit.as_str()));
    response
}

/// Says how an answer was served, and marks answers that upstream could not confirm.
pub(super) fn mark(response: &mut Response<Body>, served: Served) {
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-modelhub-cache"), HeaderValue::from_static(served.as_str()));
    if served == Served::Stale {
        // huggingface_hub prints this once per topic.
        let warning = "modelhub; upstream is unreachable, this may be out of date";
        headers.insert(HeaderName::from_static("x-hf-warning"), HeaderValue::from_static(warning));
    }
}

/// For HEAD: keeps the head of GET. An unknown length is left out; otherwise the server would add that of
/// the empty body (RFC 9110, 8.6).
pub(super) fn strip_body(response: &mut Response<Body>) {
    use http_body::Body as _;
    let length = response.body().size_hint().exact();
    let known =
        response.headers().contains_key(header::CONTENT_LENGTH) || response.status() == StatusCode::NOT_MODIFIED;
    if !known && let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = Body::from_stream(futures_util::stream::empty::<Result<Bytes, std::io::Error>>());
}

/// A short text or page of our own.
pub(super) fn own(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
