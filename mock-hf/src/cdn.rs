//! The CDN origin: bytes by Xet hash, behind signed URLs. It has its own ETag (the Xet hash, never the sha256), knows
//! nothing of repositories and tokens, and must never see an Authorization header.

use crate::query::{Query, encode, encode_path};
use crate::reply::{Reply, disposition, file};
use crate::request::Request;
use crate::shared::Shared;
use crate::store::RepoState;
use crate::tree::{FileEntry, Lfs};

/// The signed URL of a file. `X-Mock-Path` tells rules which file it is.
pub(crate) fn signed_url(shared: &Shared, repo: &RepoState, path: &str, lfs: &Lfs, entry: &FileEntry) -> String {
    let object = format!("/xet-bridge-us/{}/{}", crate::info::internal_id(repo), lfs.xet);
    // Whole seconds, as in reality; never less than the lifetime.
    let expires = crate::time::now() + shared.options.url_lifetime.as_secs_f64().ceil() as u64;
    let disposition = disposition(path);
    format!(
        "{}{object}?X-Xet-Cas-Uid=public&response-content-disposition={}&X-Mock-Path={}/{}/{}&X-Mock-Size={}&Expires={expires}&Signature={}&Key-Pair-Id=MOCKKEY",
        shared.cdn_url(),
        encode(&disposition),
        repo.kind.plural(),
        encode_path(&repo.id),
        encode_path(path),
        entry.size,
        shared.sign(&object, expires),
    )
}

/// The refusal of a URL that is too old, or was never signed by this mock.
pub(crate) fn expired() -> Reply {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
    Reply::new(403).header("content-type", "application/xml").body(text)
}

/// Answers a request to the CDN.
pub(crate) fn route(shared: &Shared, request: &Request) -> Reply {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Reply::text(405, "Method not allowed");
    }
    let query = Query::parse(&request.query);
    let expires = query.get("Expires").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let signature = query.get("Signature").unwrap_or_default();
    if expires < crate::time::now() || signature != shared.sign(&request.path, expires) {
        return expired();
    }
    let hash = request.path.rsplit('/').next().unwrap_or_default();
    let Some(content) = shared.store.object(hash) else { return Reply::text(404, "Not found") };
    if shared.options.bridge_limit.is_some_and(|limit| content.size() > limit) {
        return Reply::text(400, "The file is too large");
    }
    let etag = format!("\"{hash}\"");
    let mut head = Reply::new(200)
        .header("content-type", "application/octet-stream")
        .header("etag", &etag)
        .header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        .header("cache-control", "public, max-age=31536000")
        .header("x-cache", "Miss from mock CDN");
    if let Some(disposition) = query.get("response-content-disposition") {
        head.set("content-disposition", disposition);
    }
    if request.header("if-none-match").is_some_and(|wanted| wanted.contains(&etag)) {
        head.status = 304;
        return head;
    }
    let current = request.header("if-range").is_none_or(|condition| condition == etag);
    let range = if current { request.header("range") } else { None };
    file(&content, content.size(), range, head)
}
