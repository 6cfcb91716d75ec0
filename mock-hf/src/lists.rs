//! `GET /api/{kind}`: what is there, of what the caller may see.

use std::cmp::Reverse;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::access::Caller;
use crate::info::summary;
use crate::listing::next;
use crate::query::Query;
use crate::reply::Reply;
use crate::repo::Kind;
use crate::request::Request;
use crate::shared::Shared;
use crate::store::RepoState;

const SHORT: &[&str] = &[
    "_id",
    "id",
    "modelId",
    "author",
    "likes",
    "trendingScore",
    "private",
    "gated",
    "downloads",
    "tags",
    "pipeline_tag",
    "library_name",
    "createdAt",
    "lastModified",
    "sdk",
];

/// Repos that the caller may see, of one kind, by name.
pub(crate) fn visible(shared: &Shared, caller: &Caller, kind: Kind) -> Vec<Arc<RepoState>> {
    let mut repos = shared.store.list(kind);
    repos.retain(|repo| !repo.disabled && (!repo.private || repo.is_reader(caller.token())));
    repos
}

/// One page of the list.
pub(crate) fn list(shared: &Shared, request: &Request, caller: &Caller, kind: Kind) -> Reply {
    let query = request.query();
    let mut repos = visible(shared, caller, kind);
    repos.retain(|repo| matches(repo, &query));
    if let Some(field) = query.get("sort") {
        repos.sort_by_key(|repo| Reverse(sort_key(repo, field)));
    }
    let limit = query.number("limit").unwrap_or(1000).clamp(1, 1000);
    let start = query.get("cursor").and_then(read_cursor).unwrap_or(0).min(repos.len());
    let end = (start + limit).min(repos.len());
    let page: Value = repos[start..end].iter().map(|repo| Value::Object(line(repo, &query))).collect();
    let mut reply = Reply::json(&page);
    if end < repos.len() {
        let cursor = STANDARD.encode(json!({"offset": end}).to_string());
        reply.set("link", &next(shared, &request.path, &query, &[("cursor", &cursor)]));
    }
    reply
}

fn line(repo: &RepoState, query: &Query) -> Map<String, Value> {
    let mut fields = summary(repo, repo.head());
    let expand = query.all("expand");
    if !expand.is_empty() {
        fields.retain(|name, _| name == "_id" || name == "id" || expand.contains(&name.as_str()));
    } else if query.flag("full") {
        let files = repo.head().tree.files.keys();
        fields.insert("siblings".to_owned(), files.map(|path| json!({"rfilename": path})).collect());
    } else {
        let card = query.flag("cardData");
        fields.retain(|name, _| SHORT.contains(&name.as_str()) || card && name == "cardData");
    }
    fields
}

fn matches(repo: &RepoState, query: &Query) -> bool {
    let found = |words: &str| repo.id.to_lowercase().contains(&words.to_lowercase());
    let by = |author: &str| repo.id.split_once('/').is_some_and(|(name, _)| name.eq_ignore_ascii_case(author));
    let fields = summary(repo, repo.head());
    let has = |wanted: &&str| {
        let tags = fields.get("tags").and_then(Value::as_array);
        tags.is_some_and(|tags| tags.iter().any(|tag| tag == wanted))
            || ["pipeline_tag", "library_name"]
                .iter()
                .any(|name| fields.get(*name).is_some_and(|value| value == wanted))
    };
    query.get("search").is_none_or(found)
        && query.get("author").is_none_or(by)
        && query.all("filter").iter().all(has)
        && query.all("pipeline_tag").iter().all(has)
}

fn sort_key(repo: &RepoState, field: &str) -> (u64, String) {
    let fields = summary(repo, repo.head());
    let value = fields.get(field);
    (value.and_then(Value::as_u64).unwrap_or(0), value.and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn read_cursor(text: &str) -> Option<usize> {
    let value: Value = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
    usize::try_from(value.get("offset")?.as_u64()?).ok()
}
