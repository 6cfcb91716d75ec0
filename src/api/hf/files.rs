//! `resolve` and `raw`.
//!
//! Steps: resolve → conditional (`If-None-Match`) → HEAD ends here → range (`If-Range`) → body.
//! Never a redirect: bytes would leave this hub.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use super::front::Known;
use super::{Answer, Call};
use crate::api::serve::FileSlot;
use crate::api::{Shared, extract, respond};
use crate::domain::{ByteRange, XetHash};
use crate::hub::{Resolved, Result, Served, Target};

pub(super) async fn resolve(shared: &Shared, call: Call, target: &Target) -> Result<Answer> {
    let resolved = shared.hub.catalog.file(&call.caller, target).await?;
    let headers = respond::file_headers(&resolved);
    let xet = shared.hub.serve.xet_hash(&resolved.artifact).await?;
    if let Some(stamp) = shared.hub.repos.stamp(&resolved.revision, &target.revision) {
        let again = Resolved { served: Served::Hit, ..resolved.clone() };
        shared.front.put(call.parts.uri.path(), again, headers.clone(), xet, stamp);
    }
    answer(shared, call, resolved, headers, xet).await
}

/// HEAD of a file that was answered a moment ago.
pub(super) fn known_head(shared: &Shared, asked: &HeaderMap, known: &Known) -> Response<Body> {
    let mut headers = known.headers.clone();
    if let Some(hash) = known.xet {
        offer_xet(&mut headers, &extract::base_url(asked, &shared.public_url), &known.resolved, hash);
        if wants_xet_info(asked) {
            return xet_info(headers, &known.resolved, hash);
        }
    }
    headers.insert(header::CONTENT_LENGTH, known.resolved.artifact.size.into());
    if is_not_modified(asked, &known.resolved) {
        return bare(StatusCode::NOT_MODIFIED, headers);
    }
    bare(StatusCode::OK, headers)
}

/// A file that was answered a moment ago.
pub(super) async fn known(shared: &Shared, call: Call, known: &Known) -> Result<Answer> {
    answer(shared, call, known.resolved.clone(), known.headers.clone(), known.xet).await
}

async fn answer(
    shared: &Shared,
    call: Call,
    resolved: Resolved,
    mut headers: HeaderMap,
    xet: Option<XetHash>,
) -> Result<Answer> {
    if let Some(hash) = xet {
        offer_xet(&mut headers, &call.base, &resolved, hash);
        if wants_xet_info(&call.parts.headers) {
            return Ok((xet_info(headers, &resolved, hash), resolved.served));
        }
    }
    if is_not_modified(&call.parts.headers, &resolved) {
        if call.parts.method == Method::HEAD {
            headers.insert(header::CONTENT_LENGTH, resolved.artifact.size.into());
        }
        return Ok((bare(StatusCode::NOT_MODIFIED, headers), resolved.served));
    }
    send(shared, call, resolved, headers).await
}

async fn send(shared: &Shared, call: Call, resolved: Resolved, mut headers: HeaderMap) -> Result<Answer> {
    let size = resolved.artifact.size;
    if call.parts.method == Method::HEAD {
        shared.hub.serve.check_within_reach(&resolved).await?;
        headers.insert(header::CONTENT_LENGTH, size.into());
        return Ok((bare(StatusCode::OK, headers), resolved.served));
    }
    let range = asked_range(&call.parts.headers, &resolved);
    let Some(body) = shared.hub.serve.open(&call.caller, &resolved, range).await? else {
        if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        let message = format!(
            "the requested range is beyond the end of this file, which has {size} bytes; if this continues a download, its \
             partial file is too long or complete but wrong: use force_download=True, or delete the .incomplete file"
        );
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, message.len().into());
        if let Ok(value) = HeaderValue::from_str(&message) {
            headers.insert("x-error-message", value);
        }
        let mut response = bare(StatusCode::RANGE_NOT_SATISFIABLE, headers);
        *response.body_mut() = Body::from(message);
        return Ok((response, resolved.served));
    };
    let served = body.served;
    let slot = call.parts.extensions.get::<FileSlot>();
    Ok((respond::file(&shared.hub, slot, headers, size, body), served))
}

/// Relative addresses mean nothing to Xet clients: without a Host there is no offer.
fn offer_xet(headers: &mut HeaderMap, base: &str, resolved: &Resolved, hash: XetHash) {
    if !base.is_empty() {
        respond::set_xet(headers, base, resolved, hash);
    }
}

/// huggingface.js asks so, with `Range: bytes=0-0`, and goes by the answer's type.
fn wants_xet_info(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains(XET_INFO))
}

const XET_INFO: &str = "application/vnd.xet-fileinfo+json";

fn xet_info(mut headers: HeaderMap, resolved: &Resolved, hash: XetHash) -> Response<Body> {
    let info =
        json!({ "hash": hash.to_string(), "size": resolved.artifact.size, "etag": resolved.artifact.content.etag() });
    let info = info.to_string();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(XET_INFO));
    headers.insert(header::CONTENT_LENGTH, info.len().into());
    headers.insert(header::VARY, HeaderValue::from_static("Authorization, Accept"));
    for name in [header::ACCEPT_RANGES, header::CONTENT_DISPOSITION] {
        headers.remove(name);
    }
    let mut response = bare(StatusCode::OK, headers);
    *response.body_mut() = Body::from(info);
    response
}

/// What git stores: the pointer text of an LFS file, else the file.
pub(super) async fn raw(shared: &Shared, call: Call, target: &Target) -> Result<Answer> {
    let resolved = shared.hub.catalog.file(&call.caller, target).await?;
    let mut headers = respond::file_headers(&resolved);
    let Some(pointer) = resolved.artifact.pointer() else {
        return send(shared, call, resolved, headers).await;
    };
    for name in ["x-linked-etag", "x-linked-size", "etag", "accept-ranges"] {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, pointer.len().into());
    let mut response = Response::new(Body::from(pointer));
    *response.headers_mut() = headers;
    Ok((response, resolved.served))
}

/// `If-None-Match` compares weakly (RFC 9110, 13.1.2).
fn is_not_modified(headers: &HeaderMap, resolved: &Resolved) -> bool {
    if !headers.contains_key(header::IF_NONE_MATCH) {
        return false;
    }
    let etag = resolved.artifact.content.etag();
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

/// The range to serve. With `If-Range` only if it names this very content, strongly (RFC 9110,
/// 13.1.5); a date never does.
fn asked_range(headers: &HeaderMap, resolved: &Resolved) -> Option<ByteRange> {
    let range = ByteRange::parse(headers.get(header::RANGE)?.to_str().ok()?)?;
    match headers.get(header::IF_RANGE) {
        Some(condition) if condition.as_bytes() != resolved.artifact.content.etag().as_bytes() => None,
        _ => Some(range),
    }
}

fn bare(status: StatusCode, headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
