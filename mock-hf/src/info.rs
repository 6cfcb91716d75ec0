//! `GET /api/{kind}/{id}[/revision/{rev}]`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::access::{self, Caller};
use crate::content::sha1_hex;
use crate::reply::{Refusal, Reply};
use crate::repo::Kind;
use crate::request::Request;
use crate::shared::Shared;
use crate::store::{Commit, RepoState};
use crate::tree::FileEntry;

/// 64 asterisks: what callers without access see instead of a hash.
pub(crate) const MASK: &str = "****************************************************************";

/// The `_id`: 24 hex digits, the same in every run.
pub(crate) fn internal_id(repo: &RepoState) -> String {
    sha1_hex(&format!("{} {}", repo.kind, repo.id))[..24].to_owned()
}

/// The info answer of a revision.
pub(crate) fn info(
    shared: &Shared,
    request: &Request,
    repo: &Arc<RepoState>,
    caller: &Caller,
    revision: &str,
) -> Result<Reply, Refusal> {
    let commit = repo.resolve(revision).ok_or_else(|| Refusal::RevisionNotFound(revision.to_owned()))?;
    let query = request.query();
    let fields = query.all("expand");
    let mut full = summary(repo, commit);
    let masked = access::contents(repo, caller).is_err();
    let blobs = query.flag("blobs");
    let sibling = |(path, file): (&String, &Arc<FileEntry>)| sibling(shared, path, file, blobs, masked);
    full.insert("siblings".to_owned(), commit.tree.files.iter().map(sibling).collect());
    if query.flag("securityStatus") || fields.contains(&"securityRepoStatus") {
        full.insert("securityRepoStatus".to_owned(), json!({"scansDone": true, "filesWithIssues": []}));
    }
    if !fields.is_empty() {
        full.retain(|name, _| name == "_id" || name == "id" || fields.contains(&name.as_str()));
    }
    Ok(Reply::json(&Value::Object(full)))
}

/// All fields but the siblings.
pub(crate) fn summary(repo: &RepoState, commit: &Commit) -> Map<String, Value> {
    let used: u64 = commit.tree.files.values().map(|file| file.size).sum();
    let mut tags: Vec<Value> = Vec::new();
    if let Some(license) = repo.card.get("license").and_then(Value::as_str) {
        tags.push(format!("license:{license}").into());
    }
    let all = json!({
        "_id": internal_id(repo),
        "id": repo.id,
        "author": repo.id.split_once('/').map(|(author, _)| author),
        "sha": commit.id,
        "lastModified": commit.date,
        "createdAt": repo.log[0].date,
        "private": repo.private,
        "gated": repo.gated.as_deref().map_or(Value::Bool(false), Value::from),
        "disabled": repo.disabled,
        "downloads": 0,
        "likes": 0,
        "trendingScore": 0,
        "tags": tags,
        "cardData": repo.card,
        "usedStorage": used,
    });
    let Value::Object(mut fields) = all else { return Map::new() };
    match repo.kind {
        Kind::Model => {
            fields.insert("modelId".to_owned(), repo.id.clone().into());
            fields.insert("spaces".to_owned(), json!([]));
        }
        Kind::Dataset => {
            fields.insert("description".to_owned(), "".into());
        }
        Kind::Space => {
            fields.insert("sdk".to_owned(), "static".into());
            fields.insert("subdomain".to_owned(), repo.id.replace('/', "-").into());
        }
        Kind::Kernel => {}
    }
    fields.extend(repo.fields.clone());
    if repo.card.is_null() {
        fields.remove("cardData");
    }
    fields
}

fn sibling(shared: &Shared, path: &str, file: &FileEntry, blobs: bool, masked: bool) -> Value {
    if !blobs {
        return json!({"rfilename": path});
    }
    let mut value = json!({"rfilename": path, "blobId": file.oid, "size": file.size});
    if let Some(lfs) = &file.lfs {
        let sha256 = if masked && shared.options.mask_lfs_oid { MASK } else { &lfs.sha256 };
        value["lfs"] = json!({"sha256": sha256, "size": file.size, "pointerSize": lfs.pointer.len()});
        if shared.options.xet {
            // A place that is deeper than the usual one, for who must find every mention of Xet.
            value["lfs"]["xetHash"] = if masked { MASK.into() } else { lfs.xet.clone().into() };
        }
    }
    value
}
