//! The metadata routes under `/api`.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Value, json};

use super::{Answer, Call};
use crate::api::{extract, respond};
use crate::db::TreePage;
use crate::domain::{ByteSize, RepoKey, RepoKind, RepoPath, Revision};
use crate::hub::{Error, Hub, InfoQuery, Listing, ResolvedRevision, Result, Served, TreeQuery, Wanted};

/// Entries read from the database at a time.
const PAGE: u64 = 1000;
/// What the Hub accepts in one `paths-info`.
const MAX_PATHS: usize = 2000;
const MAX_BODY: usize = 2 << 20;

pub(super) async fn info(hub: &Hub, call: Call, key: &RepoKey, revision: &Revision) -> Result<Answer> {
    let query = InfoQuery {
        blobs: call.query.flag("blobs"),
        expand: call.query.all("expand"),
        other: call.query.has_other_than(&["blobs", "expand"]),
        raw: call.query.raw.clone(),
    };
    let (resolved, text) = hub.catalog.info(&call.caller, key, revision, &query).await?;
    let mut response = respond::json(&text, &call.base);
    set_commit(&mut response, &resolved);
    Ok((response, resolved.served))
}

pub(super) async fn tree(
    hub: &Hub,
    call: Call,
    key: &RepoKey,
    revision: &Revision,
    folder: Option<RepoPath>,
) -> Result<Answer> {
    let cursor = match call.query.get("cursor") {
        None => Cursor::default(),
        Some(cursor) => decode_cursor(cursor)
            .ok_or_else(|| Error::Invalid("invalid cursor; use the `Link` from the previous page".into()))?,
    };
    let query = TreeQuery {
        continues_upstreams: cursor.is_upstreams,
        recursive: call.query.flag("recursive"),
        expand: call.query.flag("expand"),
        folder,
        raw: call.query.raw.clone(),
    };
    let limit = match call.query.get("limit") {
        None => None,
        Some(text) => match text.parse::<u64>() {
            Ok(limit @ 1..) => Some(limit.min(PAGE)),
            _ => return Err(Error::Invalid(format!("invalid limit `{text}`; expected a number from 1 to {PAGE}"))),
        },
    };
    let resolved = match hub.catalog.tree(&call.caller, key, revision, &query).await? {
        Listing::Passed(resolved, passed) => {
            let mut response = respond::passed(&passed, &call.base);
            set_commit(&mut response, &resolved);
            return Ok((response, passed.served));
        }
        Listing::Kept(resolved) => resolved,
    };
    let expand = query.expand;
    let folder = query.folder.map_or_else(String::new, |folder| folder.as_str().to_owned());
    let page = TreePage { folder, recursive: query.recursive, after: cursor.after, limit: limit.unwrap_or(PAGE) };

    let mut response = if limit.is_some() || call.query.get("cursor").is_some() {
        let entries = hub.catalog.entries(&resolved, &page).await?;
        let last_commit = expand.then_some(&resolved.commit);
        let items: Vec<Value> = entries.iter().map(|entry| hub.catalog.entry_json(entry, last_commit)).collect();
        let mut response = respond::json(&Value::Array(items).to_string(), &call.base);
        // A full page may be the last one; the next is then empty, as clients expect.
        if entries.len() as u64 == page.limit
            && let Some(last) = entries.last()
        {
            let link = next_link(&call, last.path(), page.limit);
            if let Ok(value) = HeaderValue::from_str(&link) {
                response.headers_mut().insert(header::LINK, value);
            }
        }
        response
    } else {
        // llama.cpp reads the first page only: without a limit everything goes out as one.
        whole_tree(hub.clone(), resolved.clone(), page, expand)
    };
    set_commit(&mut response, &resolved);
    Ok((response, resolved.served))
}

/// A tree of any size as one array, read and written page by page.
fn whole_tree(hub: Hub, resolved: ResolvedRevision, page: TreePage, expand: bool) -> Response<Body> {
    struct Progress {
        page: TreePage,
        first: bool,
        done: bool,
    }
    let start = Progress { page, first: true, done: false };
    let pieces = futures_util::stream::try_unfold(start, move |mut progress| {
        let (hub, resolved) = (hub.clone(), resolved.clone());
        async move {
            if progress.done {
                return Ok::<_, Error>(None);
            }
            let entries = hub.catalog.entries(&resolved, &progress.page).await?;
            let last_commit = expand.then_some(&resolved.commit);
            let mut piece = String::new();
            for entry in &entries {
                piece.push(if std::mem::take(&mut progress.first) { '[' } else { ',' });
                piece.push_str(&hub.catalog.entry_json(entry, last_commit).to_string());
            }
            match entries.last() {
                Some(last) if entries.len() as u64 == progress.page.limit => {
                    progress.page.after = last.path().as_str().to_owned();
                }
                _ => {
                    progress.done = true;
                    piece.push_str(if progress.first { "[]" } else { "]" });
                }
            }
            Ok(Some((Bytes::from(piece), progress)))
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The Hub's own form of a cursor, so that clients which build theirs (text-generation-webui)
/// and stored ones work: base64 of (base64 of `{"file_name":…}`, `:`, limit).
fn encode_cursor(path: &RepoPath, limit: u64) -> String {
    let base64 = base64::engine::general_purpose::STANDARD;
    let inner = base64.encode(json!({ "file_name": path.as_str() }).to_string());
    base64.encode(format!("{inner}:{limit}"))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Cursor {
    /// The last path of the page before.
    after: String,
    /// Upstream's cursors name the tree object too.
    is_upstreams: bool,
}

fn decode_cursor(cursor: &str) -> Option<Cursor> {
    let base64 = base64::engine::general_purpose::STANDARD;
    let outer = String::from_utf8(base64.decode(cursor).ok()?).ok()?;
    let inner = base64.decode(outer.split_once(':')?.0).ok()?;
    let value: Value = serde_json::from_slice(&inner).ok()?;
    let after = value.get("file_name")?.as_str()?.to_owned();
    Some(Cursor { after, is_upstreams: value.get("tree_oid").is_some() })
}

/// `Link` to the page after `last`; huggingface.js needs an absolute URL and the blank.
fn next_link(call: &Call, last: &RepoPath, limit: u64) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in url::form_urlencoded::parse(call.query.raw.as_bytes()) {
        if key != "cursor" && key != "limit" {
            query.append_pair(&key, &value);
        }
    }
    query.append_pair("limit", &limit.to_string()).append_pair("cursor", &encode_cursor(last, limit));
    format!("<{}{}?{}>; rel=\"next\"", call.base, call.parts.uri.path(), query.finish())
}

pub(super) async fn paths_info(hub: &Hub, call: Call, key: &RepoKey, revision: &Revision) -> Result<Answer> {
    let content_type = call.parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let is_json = content_type.contains("json");
    let body = Limited::new(call.body, MAX_BODY).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return Error::TooLong { most: ByteSize(MAX_BODY as u64), rule: "ask for fewer paths in one request" };
        }
        Error::Invalid("request body was cut off".into())
    });
    let body = body?.to_bytes();
    let (paths, expand) = if is_json { json_paths(&body)? } else { form_paths(&body) };
    if paths.len() > MAX_PATHS {
        return Err(Error::Invalid(format!("{} paths in one request; at most {MAX_PATHS} are allowed", paths.len())));
    }
    let (resolved, items) = hub.catalog.paths_info(&call.caller, key, revision, &paths, expand).await?;
    let mut response = respond::json(&Value::Array(items).to_string(), &call.base);
    set_commit(&mut response, &resolved);
    Ok((response, resolved.served))
}

/// huggingface.js and hf-hub: `{"paths": ["a"], "expand": true}`.
fn json_paths(body: &[u8]) -> Result<(Vec<String>, bool)> {
    let wrong =
        |text: &str| Error::Invalid(format!("{text}; expected {{\"paths\": [\"a\", \"b\"], \"expand\": false}}"));
    let value: Value =
        serde_json::from_slice(body).map_err(|e| wrong(&format!("request body is not valid JSON ({e})")))?;
    let paths = match value.get("paths") {
        Some(Value::String(path)) => vec![path.clone()],
        Some(Value::Array(paths)) => {
            let paths: Option<Vec<_>> = paths.iter().map(|path| path.as_str().map(str::to_owned)).collect();
            paths.ok_or_else(|| wrong("`paths` must be a list of strings"))?
        }
        _ => return Err(wrong("`paths` is missing")),
    };
    Ok((paths, value.get("expand").and_then(Value::as_bool).unwrap_or(false)))
}

/// huggingface_hub: `paths=a&paths=b&expand=true`.
fn form_paths(body: &[u8]) -> (Vec<String>, bool) {
    let mut paths = Vec::new();
    let mut expand = false;
    for (key, value) in url::form_urlencoded::parse(body) {
        match key.as_ref() {
            "paths" | "paths[]" => paths.push(value.into_owned()),
            "expand" => expand = extract::is_true(&value),
            _ => {}
        }
    }
    (paths, expand)
}

/// Parameters of a list that leave nothing out, or that are understood here.
const UNDERSTOOD: [&str; 11] = [
    "search",
    "author",
    "filter",
    "limit",
    "sort",
    "direction",
    "full",
    "config",
    "cardData",
    "fetch_config",
    "expand",
];

/// Lists and searches are upstream's, with what was made here on the first page; while it is away, what is known here.
pub(super) async fn list(hub: &Hub, call: Call, kind: RepoKind) -> Result<Answer> {
    let path = call.parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let wanted = Wanted {
        search: call.query.get("search").unwrap_or_default(),
        author: call.query.get("author").unwrap_or_default(),
        tags: call.query.all("filter"),
        limit: call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100),
        only_local: false,
    };
    match hub.catalog.pass_general(&call.caller, path).await {
        Ok(passed) => {
            // Another filter may leave out what is ours, and so does a cursor.
            let query = call.parts.uri.query().unwrap_or_default();
            let mut names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
            let passed = if names.all(|name| UNDERSTOOD.contains(&name.trim_end_matches("[]"))) {
                hub.catalog.with_local(passed, kind, &wanted).await?
            } else {
                passed
            };
            Ok((respond::passed(&passed, &call.base), passed.served))
        }
        Err(
            Error::Offline { .. }
            | Error::UpstreamUnavailable { .. }
            | Error::RateLimited { .. }
            | Error::NotAllowed(_)
            | Error::BadUpstream(_),
        ) => {
            let repos = hub.catalog.known_repos(kind, &wanted).await?;
            Ok((respond::json(&Value::Array(repos).to_string(), &call.base), Served::Stale))
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn auth_check(hub: &Hub, call: Call, key: &RepoKey, write: bool) -> Result<Answer> {
    if write {
        let passed = hub.catalog.pass_repo(&call.caller, key, "auth-check/write").await?;
        return Ok((respond::passed(&passed, &call.base), Served::Bypass));
    }
    hub.repos.check_access(&call.caller, key).await?;
    Ok((respond::own(StatusCode::OK, "text/plain; charset=utf-8", "OK"), Served::Hit))
}

pub(super) async fn who_am_i(hub: &Hub, call: Call) -> Result<Answer> {
    let unknown = || Error::Unauthenticated { message: "Invalid username or password.".into() };
    if call.caller.principal.is_anonymous() {
        return Err(unknown());
    }
    match hub.catalog.who_am_i(&call.caller).await {
        Ok(passed) => Ok((respond::passed(&passed, &call.base), passed.served)),
        // Upstream's bare 401 means "no such repository" everywhere but here.
        Err(Error::RepoNotFound) => Err(unknown()),
        Err(error) => Err(error),
    }
}

/// Usage reports of clients: answered immediately; passed on only if the settings say so.
pub(super) async fn telemetry(hub: &Hub, call: Call) -> Result<Answer> {
    if hub.serve.forwards_telemetry() && call.parts.method != Method::POST {
        let path = call.parts.uri.path_and_query().map_or("/", |path| path.as_str());
        // The client would not act on whether upstream accepted it.
        let _ = hub.catalog.pass_general(&call.caller, path).await;
    }
    Ok((respond::own(StatusCode::OK, "text/plain; charset=utf-8", ""), Served::Bypass))
}

fn set_commit(response: &mut Response<Body>, resolved: &ResolvedRevision) {
    if let Ok(value) = HeaderValue::from_str(resolved.commit.as_str()) {
        response.headers_mut().insert(HeaderName::from_static("x-repo-commit"), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_of_the_hub_and_of_clients_are_understood() {
        let path = RepoPath::parse("a/b c.bin").unwrap();
        let ours = |after: &str| Some(Cursor { after: after.into(), is_upstreams: false });
        assert_eq!(decode_cursor(&encode_cursor(&path, 50)), ours("a/b c.bin"));
        // What text-generation-webui builds itself.
        let base64 = base64::engine::general_purpose::STANDARD;
        let own = base64.encode(format!("{}:50", base64.encode(r#"{"file_name":"x.bin"}"#)));
        assert_eq!(decode_cursor(&own), ours("x.bin"));
        let inner = base64.encode(r#"{"file_name":"x.bin","tree_oid":"f"}"#);
        let upstreams = decode_cursor(&base64.encode(format!("{inner}:50")));
        assert!(upstreams.is_some_and(|cursor| cursor.is_upstreams));
        assert_eq!(decode_cursor("nonsense"), None);
    }
}
