//! `tree`, `paths-info`, `refs`, `commits`.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::access::{self, Caller};
use crate::info::MASK;
use crate::query::{Query, encode_path};
use crate::reply::{Refusal, Reply};
use crate::request::Request;
use crate::shared::Shared;
use crate::store::{Commit, RepoState};
use crate::tree::Node;

fn commit_of<'a>(repo: &'a RepoState, revision: &str) -> Result<&'a Arc<Commit>, Refusal> {
    repo.resolve(revision).ok_or_else(|| Refusal::RevisionNotFound(revision.to_owned()))
}

/// How entries of this answer are written.
struct Style<'a> {
    shared: &'a Shared,
    repo: &'a RepoState,
    expand: bool,
    masked: bool,
}

impl Style<'_> {
    fn entry(&self, node: &Node) -> Value {
        let (mut value, changed_by) = match node {
            Node::Directory { path, oid, changed_by } => {
                (json!({"type": "directory", "oid": oid, "size": 0, "path": path}), *changed_by)
            }
            Node::File { path, file } => {
                let mut value = json!({"type": "file", "oid": file.oid, "size": file.size});
                if let Some(lfs) = &file.lfs {
                    let oid = if self.masked && self.shared.options.mask_lfs_oid { MASK } else { &lfs.sha256 };
                    value["lfs"] = json!({"oid": oid, "size": file.size, "pointerSize": lfs.pointer.len()});
                    if self.shared.options.xet {
                        let hash = if self.masked { MASK } else { &lfs.xet };
                        value["xetHash"] = hash.into();
                        if self.expand {
                            // Deeper than the usual place, for who must find every mention of Xet.
                            value["securityFileStatus"] = json!({"blob": {"xetHash": hash}});
                        }
                    }
                }
                value["path"] = path.as_str().into();
                if self.expand {
                    value["securityFileStatus"]["status"] = "safe".into();
                    for scan in ["jFrogScan", "protectAiScan", "avScan", "pickleImportScan", "virusTotalScan"] {
                        value["securityFileStatus"][scan] = Value::Null;
                    }
                }
                (value, file.changed_by)
            }
        };
        if self.expand {
            let commit = &self.repo.log[changed_by];
            value["lastCommit"] = json!({"id": commit.id, "title": commit.title, "date": commit.date});
        }
        value
    }
}

/// A page of files that do not exist, and a link to the next one.
pub(crate) fn endless(shared: &Shared, request: &Request, entries: u64) -> Reply {
    let page: u64 = request.query().number("cursor").unwrap_or(0) as u64;
    let oid = "0123456789abcdef0123456789abcdef01234567";
    let entry = |number| json!({"type": "file", "oid": oid, "size": 1, "path": format!("{page}/{number}.txt")});
    let text = Value::Array((0..entries).map(entry).collect()).to_string();
    let next =
        format!("<{}{}?recursive=true&expand=false&cursor={}>; rel=\"next\"", shared.url(), request.path, page + 1);
    Reply::new(200).header("content-type", "application/json").header("link", next).body(text)
}

/// `GET tree/{rev}[/{path}]`.
pub(crate) fn tree(
    shared: &Shared,
    request: &Request,
    repo: &Arc<RepoState>,
    caller: &Caller,
    revision: &str,
    path: &str,
) -> Result<Reply, Refusal> {
    let commit = commit_of(repo, revision)?;
    let query = request.query();
    let expand = query.flag("expand");
    let most = if expand { 100 } else { 1000.max(shared.options.tree_page) };
    let usual = if expand { shared.options.tree_page.min(50) } else { shared.options.tree_page };
    let limit = query.number("limit").unwrap_or(usual).clamp(1, most);
    let cursor = match query.get("cursor") {
        Some(text) => Some(read_cursor(text).ok_or_else(|| Refusal::Other(400, "Invalid cursor".to_owned()))?),
        None => None,
    };
    let page = commit.tree.page(path.trim_end_matches('/'), query.flag("recursive"), cursor.as_deref(), limit);
    let (nodes, more) = page.ok_or_else(|| Refusal::EntryNotFound(commit.id.clone()))?;
    let style = Style { shared, repo, expand, masked: access::contents(repo, caller).is_err() };
    let entries: Value = nodes.iter().map(|node| style.entry(node)).collect();
    let mut reply = Reply::json(&entries).header("x-repo-commit", &commit.id);
    if let Some(last) = nodes.last().filter(|_| more) {
        let cursor = write_cursor(last.path(), &commit.tree.oid, limit);
        reply.set("link", &next(shared, &request.path, &query, &[("cursor", &cursor)]));
    }
    Ok(reply)
}

/// `<absolute url>; rel="next"`.
pub(crate) fn next(shared: &Shared, path: &str, query: &Query, replaced: &[(&str, &str)]) -> String {
    format!("<{}{path}?{}>; rel=\"next\"", shared.url(), query.with(replaced))
}

fn write_cursor(file_name: &str, tree_oid: &str, limit: usize) -> String {
    let inner = STANDARD.encode(json!({"file_name": file_name, "tree_oid": tree_oid}).to_string());
    STANDARD.encode(format!("{inner}:{limit}"))
}

fn read_cursor(text: &str) -> Option<String> {
    let outer = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let inner = STANDARD.decode(outer.split(':').next()?).ok()?;
    let value: Value = serde_json::from_slice(&inner).ok()?;
    value.get("file_name")?.as_str().map(str::to_owned)
}

/// `POST paths-info/{rev}`, form or JSON.
pub(crate) fn paths_info(
    shared: &Shared,
    request: &Request,
    repo: &Arc<RepoState>,
    caller: &Caller,
    revision: &str,
) -> Result<Reply, Refusal> {
    let commit = commit_of(repo, revision)?;
    let (paths, expand) = if request.header("content-type").is_some_and(|kind| kind.contains("json")) {
        let value: Value = serde_json::from_slice(&request.body)
            .map_err(|error| Refusal::Other(400, format!("The body is not JSON: {error}")))?;
        let paths = value["paths"].as_array().into_iter().flatten().filter_map(Value::as_str);
        (paths.map(str::to_owned).collect::<Vec<_>>(), value["expand"].as_bool().unwrap_or(false))
    } else {
        let form = Query::parse(&String::from_utf8_lossy(&request.body));
        (form.all("paths").into_iter().map(str::to_owned).collect(), form.flag("expand"))
    };
    if paths.len() > 2000 {
        return Err(Refusal::Other(400, "Too many paths".to_owned()));
    }
    let style = Style { shared, repo, expand, masked: access::contents(repo, caller).is_err() };
    let mut seen = HashSet::new();
    let nodes = paths.iter().filter(|path| seen.insert(path.as_str()));
    let entries: Value = nodes.filter_map(|path| commit.tree.node(path)).map(|node| style.entry(node)).collect();
    Ok(Reply::json(&entries).header("x-repo-commit", &commit.id))
}

/// `GET refs`.
pub(crate) fn refs(request: &Request, repo: &RepoState) -> Reply {
    let line = |name: &str, reference: String, number: usize| json!({"name": name, "ref": reference, "targetCommit": repo.log[number].id});
    let tags: Value = repo.tags.iter().map(|(name, n)| line(name, format!("refs/tags/{name}"), *n)).collect();
    let branches: Value = repo.branches.iter().map(|(name, n)| line(name, format!("refs/heads/{name}"), *n)).collect();
    let converts: Value =
        repo.converts.iter().map(|(name, n)| line(name, format!("refs/convert/{name}"), *n)).collect();
    let mut value = json!({"tags": tags, "branches": branches, "converts": converts});
    if request.query().flag("include_prs") {
        let pull_requests = repo.pull_requests.iter();
        value["pullRequests"] =
            pull_requests.map(|(n, at)| line(&n.to_string(), format!("refs/pr/{n}"), *at)).collect();
    }
    Reply::json(&value)
}

/// `GET commits/{rev}`, newest first.
pub(crate) fn commits(shared: &Shared, request: &Request, repo: &RepoState, revision: &str) -> Result<Reply, Refusal> {
    let mut history = vec![commit_of(repo, revision)?];
    while let Some(parent) = history.last().and_then(|commit| commit.parent) {
        history.push(&repo.log[parent]);
    }
    let query = request.query();
    let page = query.number("p").unwrap_or(0);
    let limit = query.number("limit").unwrap_or(50).clamp(1, 1000);
    let formatted = query.all("expand").contains(&"formatted");
    let start = page.saturating_mul(limit).min(history.len());
    let end = (start + limit).min(history.len());
    let entry = |commit: &&Arc<Commit>| {
        let author = json!({"user": "mock", "avatar": "/avatars/mock.svg"});
        let mut value = json!({
            "id": commit.id, "title": commit.title, "message": "", "authors": [author], "date": commit.date,
        });
        if formatted {
            value["formatted"] = json!({"title": commit.title, "message": ""});
        }
        value
    };
    let entries: Value = history[start..end].iter().map(entry).collect();
    let mut reply = Reply::json(&entries)
        .header("x-total-count", history.len().to_string())
        .header("x-repo-commit", &history[0].id);
    if end < history.len() {
        let replaced = [("p", (page + 1).to_string())];
        let path =
            format!("/api/{}/{}/commits/{}", repo.kind.plural(), encode_path(&repo.id), crate::query::encode(revision));
        reply.set("link", &next(shared, &path, &query, &[(replaced[0].0, &replaced[0].1)]));
    }
    Ok(reply)
}
