//! The routes of Xet's content-addressed store (public Xet specification; field names as in
//! xet-client `cas_types`). `hub::xet` says what they mean.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::json;

use super::{Answer, Call};
use crate::api::Shared;
use crate::api::respond::{self, Follower};
use crate::api::serve::{FileSlot, read_stored};
use crate::domain::xet::{Piece, Term};
use crate::domain::{ByteRange, RepoKey, Revision};
use crate::hub::{Bypass, Error, Hub, MappedFile, Opened, Recipe, Result, Served, XorbPart};

/// Ranges of one request for a xorb.
const MAX_RANGES: usize = 32;
/// Terms written at a time.
const TERMS: usize = 64;

pub(super) async fn token(hub: &Hub, call: Call, key: &RepoKey, revision: &Revision) -> Result<Answer> {
    if call.base.is_empty() {
        return Err(Error::Invalid("a Host header is required: a Xet token contains this hub's address".into()));
    }
    let token = hub.serve.xet_token(&call.caller, key, revision).await?;
    let (cas, expires) = (format!("{}/xet", call.base), token.expires_at / 1000);
    let body = json!({ "casUrl": cas, "exp": expires, "accessToken": token.text });
    let mut response = respond::json(&body.to_string(), &call.base);
    // huggingface_hub reads these, all others the body.
    let expires = expires.to_string();
    for (name, value) in [
        ("x-xet-cas-url", cas.as_str()),
        ("x-xet-access-token", token.text.as_str()),
        ("x-xet-token-expiration", expires.as_str()),
        ("cache-control", "private, no-store"),
    ] {
        if let Some(value) = respond::text(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    Ok((response, Served::Hit))
}

/// The bearer token of the store: not the Hub's.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

pub(super) async fn file_size(hub: &Hub, call: Call, file: &str) -> Result<Answer> {
    if call.parts.method != Method::HEAD {
        return Err(Error::NotSupported("use HEAD for the size of a file".into()));
    }
    let size = hub.serve.xet_file_size(&call.caller, bearer(&call.parts.headers).as_deref(), file).await?;
    let mut response = respond::own(StatusCode::OK, "application/octet-stream", "");
    response.headers_mut().insert(header::CONTENT_LENGTH, size.into());
    Ok((response, Served::Hit))
}

pub(super) async fn recipe(hub: &Hub, call: Call, version: u8, file: &str) -> Result<Answer> {
    if call.base.is_empty() {
        return Err(Error::Invalid("a Host header is required: a reconstruction contains this hub's address".into()));
    }
    let headers = &call.parts.headers;
    let range = headers.get(header::RANGE).and_then(|value| ByteRange::parse(value.to_str().ok()?));
    let Some(recipe) = hub.serve.recipe(&call.caller, bearer(headers).as_deref(), file, range).await? else {
        return Ok((respond::own(StatusCode::RANGE_NOT_SATISFIABLE, "text/plain", ""), Served::Hit));
    };
    let served = recipe.served;
    let mut response = Response::new(Body::from_stream(write(recipe, call.base, version)));
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok((response, served))
}

enum Step {
    Terms,
    Places,
    Done,
}

/// Writes a recipe of any length, some terms at a time: all terms, then where the bytes of each
/// one are.
fn write(recipe: Recipe, base: String, version: u8) -> impl futures_util::Stream<Item = Result<String>> {
    struct Progress {
        recipe: Recipe,
        step: Step,
        terms: Box<dyn Iterator<Item = Term> + Send>,
        first: bool,
        piece: String,
    }
    let start = Progress {
        step: Step::Terms,
        terms: Box::new(recipe.terms()),
        first: true,
        piece: format!("{{\"offset_into_first_range\":{},\"terms\":[", recipe.offset_into_first()),
        recipe,
    };
    futures_util::stream::try_unfold(start, move |mut progress| {
        let base = base.clone();
        async move {
            if matches!(progress.step, Step::Done) {
                return Ok::<_, Error>(None);
            }
            let mut piece = std::mem::take(&mut progress.piece);
            let mut count = 0;
            for term in progress.terms.by_ref().take(TERMS) {
                if !std::mem::take(&mut progress.first) {
                    piece.push(',');
                }
                piece.push_str(&match progress.step {
                    Step::Terms => term_json(&progress.recipe, &term),
                    _ => place_json(&progress.recipe, &term, &base, version)?,
                });
                count += 1;
            }
            if count < TERMS {
                (progress.step, progress.first) = match progress.step {
                    Step::Terms => {
                        piece.push_str(if version == 1 { "],\"fetch_info\":{" } else { "],\"xorbs\":{" });
                        progress.terms = Box::new(progress.recipe.terms());
                        (Step::Places, true)
                    }
                    Step::Places | Step::Done => {
                        piece.push_str("}}");
                        (Step::Done, true)
                    }
                };
            }
            Ok(Some((piece, progress)))
        }
    })
}

fn term_json(recipe: &Recipe, term: &Term) -> String {
    let chunks = json!({ "start": term.chunks.start, "end": term.chunks.end });
    json!({ "hash": recipe.xorb_name(term), "unpacked_length": term.len, "range": chunks }).to_string()
}

/// Where a term's bytes are. Ends of chunks are exclusive, ends of bytes inclusive.
fn place_json(recipe: &Recipe, term: &Term, base: &str, version: u8) -> Result<String> {
    let name = recipe.xorb_name(term);
    let url = format!("{base}/xet/v1/xorbs/default/{name}?ticket={}", recipe.ticket(term)?);
    let chunks = json!({ "start": term.chunks.start, "end": term.chunks.end });
    let bytes = json!({ "start": term.bytes.start, "end": term.bytes.end - 1 });
    let place = if version == 1 {
        json!([{ "range": chunks, "url": url, "url_range": bytes }])
    } else {
        json!([{ "url": url, "ranges": [{ "chunks": chunks, "bytes": bytes }] }])
    };
    Ok(format!("\"{name}\":{place}"))
}

pub(super) async fn xorb(shared: &Shared, call: Call, name: &str) -> Result<Answer> {
    let with_body = call.parts.method != Method::HEAD;
    let ranges = asked_ranges(&call.parts.headers)?;
    let ticket = call.query.get("ticket").unwrap_or_default();
    let part = shared.hub.serve.xorb(&call.caller, name, ticket, &ranges, with_body).await?;
    let served = part.served;

    let mut response = Response::new(Body::empty());
    let boundary = format!("xorb-{}", &name[..16]);
    let (frames, length) = frames(&part, &boundary);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Some(value) = respond::text(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_LENGTH, &length.to_string());
    set(header::ACCEPT_RANGES, "bytes");
    set(header::CACHE_CONTROL, "private, immutable");
    match ranges.as_slice() {
        [] | [_] => set(header::CONTENT_TYPE, "application/octet-stream"),
        _ => set(header::CONTENT_TYPE, &format!("multipart/byteranges; boundary={boundary}")),
    }
    if let [range] = ranges.as_slice() {
        set(header::CONTENT_RANGE, &content_range(range));
    }
    if !ranges.is_empty() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    if let Some(opened) = part.opened {
        let slot = call.parts.extensions.get::<FileSlot>();
        *response.body_mut() = body(Source::new(opened, part.file.start, slot), frames);
    }
    Ok((response, served))
}

/// The requested ranges; empty if there is no header, or one that is to be ignored.
fn asked_ranges(headers: &HeaderMap) -> Result<Vec<Range<u64>>> {
    let Some(text) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes=")) else {
        return Ok(Vec::new());
    };
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for spec in text.split(',') {
        let range = match ByteRange::parse(&format!("bytes={}", spec.trim())) {
            Some(ByteRange::Bounded(first, last)) => first..last.saturating_add(1),
            _ => {
                return Err(Error::Invalid(format!(
                    "invalid range `{spec}`; expected first-last, as in the reconstruction"
                )));
            }
        };
        if ranges.last().is_some_and(|before| before.end > range.start) {
            return Err(Error::Invalid("ranges of a xorb must be in ascending order and must not overlap".into()));
        }
        ranges.push(range);
    }
    if ranges.len() > MAX_RANGES {
        return Err(Error::Invalid(format!(
            "{} ranges in one request; at most {MAX_RANGES} are allowed",
            ranges.len()
        )));
    }
    Ok(ranges)
}

fn content_range(range: &Range<u64>) -> String {
    format!("bytes {}-{}/*", range.start, range.end - 1)
}

/// What a body consists of: our own bytes, and bytes of the file.
enum Frame {
    Own(Bytes),
    File(Range<u64>),
}

/// The frames of an answer and its length.
fn frames(part: &XorbPart, boundary: &str) -> (Vec<Frame>, u64) {
    let mut frames = Vec::new();
    let is_multiple = part.bytes.len() > 1;
    for range in &part.bytes {
        if is_multiple {
            let start = if frames.is_empty() { "" } else { "\r\n" };
            let kind = "Content-Type: application/octet-stream";
            let head = format!("{start}--{boundary}\r\n{kind}\r\nContent-Range: {}\r\n\r\n", content_range(range));
            frames.push(Frame::Own(head.into()));
        }
        frames.extend(part.layout.pieces(part.xorb, range.clone()).into_iter().map(|piece| match piece {
            Piece::Header(bytes) => Frame::Own(bytes.into()),
            Piece::File(range) => Frame::File(range),
        }));
    }
    if is_multiple {
        frames.push(Frame::Own(format!("\r\n--{boundary}--\r\n").into()));
    }
    let length = frames.iter().map(|frame| match frame {
        Frame::Own(bytes) => bytes.len() as u64,
        Frame::File(range) => range.end - range.start,
    });
    let length = length.sum();
    (frames, length)
}

/// Where the bytes of the file come from. All but a stored one go forward only.
enum Source {
    Mapped(Arc<MappedFile>, FileSlot),
    Stored(Arc<File>),
    Arriving { follower: Box<Follower>, at: u64 },
    Passing { passing: Box<Bypass>, at: u64, held: Bytes },
}

type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl Source {
    fn new(opened: Opened, at: u64, slot: Option<&FileSlot>) -> Self {
        match opened {
            Opened::Stored(stored) => match slot {
                Some(slot) => Self::Mapped(Arc::clone(stored.mapped()), slot.clone()),
                None => Self::Stored(Arc::clone(stored.file())),
            },
            Opened::Arriving(reader) => Self::Arriving { follower: Box::new(Follower::new(reader, slot)), at },
            Opened::Passing(passing) => Self::Passing { passing, at, held: Bytes::new() },
        }
    }

    /// Some bytes from the beginning of `range`.
    async fn next(&mut self, range: Range<u64>) -> Result<Bytes, BodyError> {
        let early = || BodyError::from("the file ended early");
        match self {
            Self::Mapped(mapped, slot) => whole_frame(slot.body(mapped, range)).await,
            Self::Stored(file) => whole_frame(read_stored(Arc::clone(file), range)).await,
            Self::Arriving { follower, at } => loop {
                let before = range.start.saturating_sub(*at);
                let most = if before > 0 { before } else { range.end - range.start };
                let bytes = follower.next(most).await.ok_or_else(early)??;
                *at += bytes.len() as u64;
                if before == 0 {
                    return Ok(bytes);
                }
            },
            Self::Passing { passing, at, held } => loop {
                if held.is_empty() {
                    *held = passing.next().await.ok_or_else(early)??;
                }
                let before = range.start.saturating_sub(*at);
                let most = if before > 0 { before } else { range.end - range.start };
                let bytes = held.split_to(held.len().min(usize::try_from(most).unwrap_or(usize::MAX)));
                *at += bytes.len() as u64;
                if before == 0 {
                    return Ok(bytes);
                }
            },
        }
    }
}

async fn whole_frame(
    mut body: impl axum::body::HttpBody<Data = Bytes, Error = std::io::Error> + Unpin,
) -> Result<Bytes, BodyError> {
    use http_body_util::BodyExt as _;
    match body.frame().await {
        Some(frame) => Ok(frame?.into_data().unwrap_or_default()),
        None => Err("the file ended early".into()),
    }
}

/// An error resets the connection: a clean end would look like success.
fn body(source: Source, frames: Vec<Frame>) -> Body {
    let state = Some((source, frames.into_iter(), None::<Range<u64>>));
    let pieces = futures_util::stream::unfold(state, |state| async move {
        let (mut source, mut frames, mut rest) = state?;
        let range = match rest.take().filter(|range| !range.is_empty()) {
            Some(range) => range,
            None => match frames.next()? {
                Frame::Own(bytes) => return Some((Ok(bytes), Some((source, frames, None)))),
                Frame::File(range) => range,
            },
        };
        match source.next(range.clone()).await {
            Ok(bytes) => {
                let rest = range.start + bytes.len() as u64..range.end;
                Some((Ok(bytes), Some((source, frames, Some(rest)))))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    Body::from_stream(pieces)
}
