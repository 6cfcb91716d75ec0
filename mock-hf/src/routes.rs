//! The hub's routes. `{kind}` is models, datasets, spaces or kernels; `{id}` has one or two segments; paths are split raw and
//! decoded afterwards, so `%2F` stays inside its segment.
//!
//! | path | behaviour |
//! |---|---|
//! | `HEAD,GET /[datasets/, spaces/ or kernels/]{id}/resolve/{rev}/{path}` | small files: relative 307 to `resolve-cache`; LFS: 302 to the signed CDN URL, with commit, size, sha256 and Xet headers |
//! | `HEAD,GET …/raw/{rev}/{path}` | 200; the pointer text for LFS files |
//! | `GET …/blob/{rev}/{path}`, `GET /{id}` | a web page |
//! | `HEAD,GET /api/resolve-cache/{kind}/{id}/{commit}/{path}` | 200, 206, 304; text is gzip-encoded and chunked for who accepts it |
//! | `GET /api/{kind}` | list: `search`, `author`, `filter`, `sort`, `limit`, `full`, `cursor`; Link |
//! | `GET /api/{kind}/{id}[/revision/{rev}]` | info: `blobs`, `securityStatus`, `expand` |
//! | `GET /api/{kind}/{id}/tree/{rev}[/{path}]` | `recursive`, `expand`, `limit`, `cursor`; Link; masked hashes for gated repos |
//! | `POST /api/{kind}/{id}/paths-info/{rev}` | form or JSON |
//! | `GET /api/{kind}/{id}/refs` | `include_prs` |
//! | `GET /api/{kind}/{id}/commits/{rev}` | `p`, `limit`, `expand[]=formatted`; Link, `X-Total-Count` |
//! | `GET /api/{kind}/{id}/auth-check`, `xet-read-token/{rev}`, `discussions`, `treesize/{rev}[/{path}]` | as the Hub; the CAS URL is a canary |
//! | `GET /api/whoami-v2`, `quicksearch`, `trending`, `{kind}-tags-by-type`, `agent-harnesses`, `/api/telemetry/…` | minimal |
//! | writes | 403 |
//! | renamed or wrongly spelt `{id}` | relative 307 on `/api`; on `resolve` served, or 307 as the options say |
//! | `/_mock/…` | the mock itself, see `control` |

use crate::access::{self, Caller};
use crate::content::Content;
use crate::options::RateLimit;
use crate::query::{decode, encode_path};
use crate::reply::{Refusal, Reply, not_a_route};
use crate::repo::{Change, Kind};
use crate::request::Request;
use crate::shared::Shared;
use crate::store::Found;
use crate::{info, listing, lists, resolve, small};

/// A file position in a repo, as URLs under `resolve`, `raw` and `blob` name it.
struct FilePath {
    kind: Kind,
    id: String,
    verb: String,
    revision: String,
    path: String,
}

/// Answers a request to the hub.
pub(crate) fn route(shared: &Shared, request: &Request) -> Reply {
    if let Some(reply) = over_limit(shared, request) {
        return reply;
    }
    let segments: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let is_api = segments.first() == Some(&"api");
    let bad = |segment: &&str| {
        segment.contains('\\') || segment.contains("%00") || decode(segment).split('/').any(|part| part == "..")
    };
    if segments.iter().any(bad) {
        return Refusal::Other(400, "Bad path".to_owned()).reply(is_api);
    }
    if request.method == "OPTIONS" {
        return Reply::new(204).header("access-control-allow-methods", "GET, HEAD, POST, OPTIONS");
    }
    let caller = Caller::of(shared, request);
    let answer = if is_api {
        api(shared, request, &caller, &segments[1..])
    } else {
        page_or_file(shared, request, &caller, &segments)
    };
    answer.unwrap_or_else(|refusal| refusal.reply(is_api))
}

fn page_or_file(shared: &Shared, request: &Request, caller: &Caller, segments: &[&str]) -> Result<Reply, Refusal> {
    if segments == [""] {
        return Ok(Reply::html(200, "<!DOCTYPE html><title>mock-hf</title><h1>mock of the Hugging Face Hub</h1>\n"));
    }
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Err(Refusal::Other(403, "mock-hf is read-only; change it through /_mock".to_owned()));
    }
    let Some(file) = file_path(shared, segments) else {
        let (kind, rest) = prefix(segments);
        let id = decode(&rest.join("/"));
        let (Found::Repo(repo) | Found::Moved(repo)) = access::see(shared, kind, &id, caller)?;
        return Ok(Reply::html(200, format!("<!DOCTYPE html><title>{0}</title><h1>{0}</h1>\n", repo.id)));
    };
    let repo = match access::see(shared, file.kind, &file.id, caller)? {
        Found::Moved(repo) if shared.options.redirect_renamed_resolve => {
            let rest = request.path.split_once(&format!("/{}/", file.verb)).map_or("", |(_, rest)| rest);
            let prefix = if file.kind == Kind::Model { String::new() } else { format!("/{}", file.kind.plural()) };
            let location = format!("{prefix}/{}/{}/{rest}", encode_path(&repo.id), file.verb);
            return Ok(Reply::redirect(307, &with_query(location, &request.query)));
        }
        Found::Repo(repo) | Found::Moved(repo) => repo,
    };
    match file.verb.as_str() {
        "resolve" => resolve::resolve(shared, request, &repo, caller, &file.revision, &file.path),
        "raw" => resolve::raw(shared, request, &repo, caller, &file.revision, &file.path),
        _ => Ok(Reply::html(200, format!("<!DOCTYPE html><title>{0}</title><h1>{0}</h1>\n", file.path))),
    }
}

fn prefix<'a, 'b>(segments: &'a [&'b str]) -> (Kind, &'a [&'b str]) {
    match segments.first() {
        Some(&"datasets") => (Kind::Dataset, &segments[1..]),
        Some(&"spaces") => (Kind::Space, &segments[1..]),
        Some(&"kernels") => (Kind::Kernel, &segments[1..]),
        _ => (Kind::Model, segments),
    }
}

/// By position: optional prefix, one or two id segments, the verb. Two segments win if there is such a repo, or if
/// one segment does not fit.
fn file_path(shared: &Shared, segments: &[&str]) -> Option<FilePath> {
    let (kind, rest) = prefix(segments);
    let fits = |n: usize| rest.len() > n + 2 && matches!(rest[n], "resolve" | "raw" | "blob");
    let two = rest.get(..2).map(|id| decode(&id.join("/")));
    let exists = two.as_ref().is_some_and(|id| shared.store.find(kind, id).is_some());
    let n = match (fits(1), fits(2)) {
        (_, true) if exists => 2,
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => return None,
    };
    let after = &rest[n + 1..];
    let width = match after {
        ["refs", "pr" | "convert", _, _, ..] => 3,
        _ => 1,
    };
    Some(FilePath {
        kind,
        id: decode(&rest[..n].join("/")),
        verb: rest[n].to_owned(),
        revision: decode(&after[..width].join("/")),
        path: decode(&after[width..].join("/")),
    })
}

const VERBS: &[&str] = &[
    "revision",
    "tree",
    "paths-info",
    "refs",
    "commits",
    "auth-check",
    "xet-read-token",
    "discussions",
    "treesize",
    "scan",
];

fn api(shared: &Shared, request: &Request, caller: &Caller, segments: &[&str]) -> Result<Reply, Refusal> {
    let [first, rest @ ..] = segments else { return Err(not_a_route()) };
    if *first == "resolve-cache" {
        return resolve_cache(shared, request, caller, rest);
    }
    let Ok(kind) = first.parse::<Kind>() else { return small::route(shared, request, caller, segments) };
    if rest.is_empty() {
        return Ok(lists::list(shared, request, caller, kind));
    }
    let two = rest.get(..2).map(|id| decode(&id.join("/")));
    let exists = two.as_ref().is_some_and(|id| shared.store.find(kind, id).is_some());
    let width = if rest.len() == 1 || (!exists && VERBS.contains(&rest[1])) { 1 } else { 2 };
    let (id, rest) = rest.split_at(width);
    let id = decode(&id.join("/"));
    let repo = match access::see(shared, kind, &id, caller)? {
        Found::Repo(repo) => repo,
        Found::Moved(repo) => {
            let location = format!("/api/{}/{}", kind.plural(), encode_path(&repo.id));
            let location = rest.iter().fold(location, |location, segment| format!("{location}/{segment}"));
            return Ok(Reply::redirect(307, &with_query(location, &request.query)));
        }
    };
    match (request.method.as_str(), rest) {
        ("GET" | "HEAD", []) => info::info(shared, request, &repo, caller, "main"),
        ("GET" | "HEAD", ["revision", revision]) => info::info(shared, request, &repo, caller, &decode(revision)),
        ("GET" | "HEAD", ["tree", revision, path @ ..]) => {
            listing::tree(shared, request, &repo, caller, &decode(revision), &decode(&path.join("/")))
        }
        ("POST", ["paths-info", revision]) => listing::paths_info(shared, request, &repo, caller, &decode(revision)),
        ("GET" | "HEAD", ["refs"]) => Ok(listing::refs(request, &repo)),
        ("GET" | "HEAD", ["commits", revision]) => listing::commits(shared, request, &repo, &decode(revision)),
        ("GET" | "HEAD", ["auth-check"]) => access::contents(&repo, caller).map(|()| Reply::text(200, "OK")),
        ("GET" | "HEAD", ["xet-read-token", revision]) => small::xet_token(shared, &repo, caller, &decode(revision)),
        ("GET" | "HEAD", ["discussions"]) => Ok(small::discussions(&repo)),
        ("GET" | "HEAD", ["treesize", revision, path @ ..]) => {
            small::treesize(&repo, &decode(revision), &decode(&path.join("/")))
        }
        // The real Hub knows no unencoded refs/pr/N here.
        ("GET" | "HEAD", _) => Err(not_a_route()),
        _ => Err(Refusal::Other(403, "mock-hf is read-only; change it through /_mock".to_owned())),
    }
}

/// `/api/resolve-cache/{kind}/{id}/{commit}/{path}`: the commit, 40 hex digits, shows where the id ends.
fn resolve_cache(shared: &Shared, request: &Request, caller: &Caller, segments: &[&str]) -> Result<Reply, Refusal> {
    let [kind, rest @ ..] = segments else { return Err(not_a_route()) };
    let Ok(kind) = kind.parse::<Kind>() else { return Err(not_a_route()) };
    let is_commit = |segment: &&str| segment.len() == 40 && segment.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(at) = rest.iter().take(3).position(is_commit).filter(|at| *at > 0) else { return Err(not_a_route()) };
    let id = decode(&rest[..at].join("/"));
    let (Found::Repo(repo) | Found::Moved(repo)) = access::see(shared, kind, &id, caller)?;
    resolve::cached(shared, request, &repo, caller, rest[at], &decode(&rest[at + 1..].join("/")))
}

fn with_query(location: String, query: &str) -> String {
    if query.is_empty() { location } else { format!("{location}?{query}") }
}

fn bucket(path: &str) -> Option<(&'static str, u64)> {
    // The second step of a small file is part of the first one's request.
    if path.starts_with("/api/resolve-cache/") {
        None
    } else if path.starts_with("/api/") {
        Some(("api", 500))
    } else if path.contains("/resolve/") {
        Some(("resolvers", 3000))
    } else {
        None
    }
}

fn quota(shared: &Shared, path: &str) -> Option<(&'static str, u64, RateLimit)> {
    let (name, default) = bucket(path)?;
    let none = RateLimit { api: 500, resolvers: 3000, window: std::time::Duration::from_secs(300), retry_after: false };
    let limit = shared.options.rate_limit.unwrap_or(none);
    let quota = match (shared.options.rate_limit, name) {
        (None, _) => default,
        (Some(limit), "api") => limit.api,
        (Some(limit), _) => limit.resolvers,
    };
    Some((name, quota, limit))
}

fn over_limit(shared: &Shared, request: &Request) -> Option<Reply> {
    let (name, quota, limit) = quota(shared, &request.path)?;
    let caller = request.header("authorization").unwrap_or("anonymous");
    if shared.count(name, caller, quota, limit.window) {
        return None;
    }
    let message = "We had to rate limit your IP. To continue using our service, create a HF account or login.";
    let mut reply = Refusal::Other(429, message.to_owned()).reply(name == "api");
    let (_, reset) = shared.left(name, caller, quota, limit.window);
    reply.set("ratelimit", &format!("\"{name}\";r=0;t={reset}"));
    if limit.retry_after {
        reply.set("retry-after", &reset.to_string());
    }
    Some(reply)
}

/// The headers that every answer of the hub has. What a fault has set or an answer already has stays.
pub(crate) fn decorate(shared: &Shared, request: &Request, reply: &mut Reply) {
    let mut add = |name: &'static str, value: &str| {
        if !reply.headers.contains_key(name) {
            reply.set(name, value);
        }
    };
    add("x-powered-by", "huggingface-moon");
    add("x-request-id", &shared.request_id());
    add("vary", "Origin, Accept");
    add("access-control-allow-origin", "https://huggingface.co");
    add(
        "access-control-expose-headers",
        "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash",
    );
    if let Some((name, quota, limit)) = quota(shared, &request.path) {
        let window = limit.window.as_secs().max(1);
        let caller = request.header("authorization").unwrap_or("anonymous");
        let (left, reset) = shared.left(name, caller, quota, limit.window);
        add("ratelimit", &format!("\"{name}\";r={left};t={reset}"));
        add("ratelimit-policy", &format!("\"fixed window\";\"{name}\";q={quota};w={window}"));
    }
    let matches = request.header("if-none-match").zip(reply.headers.get("etag").and_then(|etag| etag.to_str().ok()));
    if reply.status == 200 && matches.is_some_and(|(wanted, etag)| wanted == "*" || wanted.contains(etag)) {
        reply.status = 304;
    }
}

/// A commit to main that changes the very file that a `resolve` path names.
pub(crate) fn move_ref(shared: &Shared, path: &str) {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let Some(file) = file_path(shared, &segments) else { return };
    let Some(Found::Repo(repo) | Found::Moved(repo)) = shared.store.find(file.kind, &file.id) else { return };
    let Some(entry) = repo.head().tree.files.get(&file.path) else { return };
    let number = repo.log.len() as u64;
    let change = if entry.lfs.is_some() {
        Change::put_lfs(&file.path, Content::random(0x4d4f_5645 + number, entry.size))
    } else {
        Change::put(&file.path, format!("{{\"moved\": {number}}}\n"))
    };
    shared.store.commit(file.kind, &repo.id, "main", &[change], "Moved between HEAD and GET");
}
