//! Bytes of files as the hub gives them: `resolve` (redirects), `resolve-cache` (the bytes of small files), `raw`.

use std::sync::Arc;

use serde_json::json;

use crate::access::{self, Caller};
use crate::cdn;
use crate::query::{encode, encode_path};
use crate::reply::{Refusal, Reply, disposition, file};
use crate::request::Request;
use crate::shape;
use crate::shared::Shared;
use crate::store::{Commit, RepoState};
use crate::tree::{FileEntry, Lfs};

fn find<'a>(
    repo: &'a RepoState,
    caller_may: Result<(), Refusal>,
    revision: &str,
    path: &str,
) -> Result<(&'a Arc<Commit>, &'a Arc<FileEntry>), Refusal> {
    caller_may?;
    let commit = repo.resolve(revision).ok_or_else(|| Refusal::RevisionNotFound(revision.to_owned()))?;
    let entry = commit.tree.files.get(path).ok_or_else(|| Refusal::EntryNotFound(commit.id.clone()))?;
    Ok((commit, entry))
}

/// `resolve/{rev}/{path}`.
pub(crate) fn resolve(
    shared: &Shared,
    request: &Request,
    repo: &Arc<RepoState>,
    caller: &Caller,
    revision: &str,
    path: &str,
) -> Result<Reply, Refusal> {
    let (commit, entry) = find(repo, access::contents(repo, caller), revision, path)?;
    if let Some(lfs) = &entry.lfs {
        return Ok(redirect_to_cdn(shared, request, repo, commit, entry, lfs, path));
    }
    if !shared.options.redirect_small {
        return Ok(bytes(shared, request, commit, entry, path));
    }
    let location = format!(
        "/api/resolve-cache/{}/{}/{}/{}?{}=&etag={}",
        repo.kind.plural(),
        encode_path(&repo.id),
        commit.id,
        encode_path(path),
        encode(&request.path),
        encode(&format!("\"{}\"", entry.oid)),
    );
    let reply = Reply::redirect(307, &location)
        .header("x-repo-commit", &commit.id)
        .header("x-linked-etag", format!("\"{}\"", entry.oid))
        .header("accept-ranges", "bytes")
        .header("content-disposition", disposition(path));
    Ok(reply)
}

fn redirect_to_cdn(
    shared: &Shared,
    request: &Request,
    repo: &RepoState,
    commit: &Commit,
    entry: &FileEntry,
    lfs: &Lfs,
    path: &str,
) -> Reply {
    let refresh = format!(
        "https://huggingface.co/api/{}/{}/xet-read-token/{}",
        repo.kind.plural(),
        encode_path(&repo.id),
        commit.id
    );
    let reconstruction = format!("{}/v1/reconstructions/{}", shared.xet_url(), lfs.xet);
    let wants_info =
        request.header("accept").is_some_and(|accept| accept.contains("application/vnd.xet-fileinfo+json"));
    let mut reply = if wants_info && shared.options.xet {
        let info = json!({
            "hash": lfs.xet, "size": entry.size, "etag": format!("\"{}\"", lfs.sha256),
            "refreshUrl": refresh, "reconstructionUrl": reconstruction,
        });
        Reply::new(200).header("content-type", "application/vnd.xet-fileinfo+json").body(info.to_string())
    } else {
        let ollama = request.header("user-agent").is_some_and(|agent| agent.starts_with("ollama/"));
        Reply::redirect(if ollama { 307 } else { 302 }, &cdn::signed_url(shared, repo, path, lfs, entry))
    };
    if shared.options.xet {
        reply.set("x-xet-hash", &lfs.xet);
        let link = format!("<{refresh}>; rel=\"xet-auth\", <{reconstruction}>; rel=\"xet-reconstruction-info\"");
        reply.set("link", &link);
    }
    reply
        .header("x-repo-commit", &commit.id)
        .header("x-linked-size", entry.size.to_string())
        .header("x-linked-etag", format!("\"{}\"", lfs.sha256))
        .header("accept-ranges", "bytes")
        .header("cache-control", "no-store")
        .header("content-disposition", disposition(path))
}

/// `/api/resolve-cache/…`: the bytes, also of LFS files, which the real Hub does not hold there.
pub(crate) fn cached(
    shared: &Shared,
    request: &Request,
    repo: &Arc<RepoState>,
    caller: &Caller,
    commit: &str,
    path: &str,
) -> Result<Reply, Refusal> {
    let (commit, entry) = find(repo, access::contents(repo, caller), commit, path)?;
    Ok(bytes(shared, request, commit, entry, path).header("x-hub-cache", "MISS"))
}

fn bytes(shared: &Shared, request: &Request, commit: &Commit, entry: &FileEntry, path: &str) -> Reply {
    let text = is_text(entry);
    let etag = format!("\"{}\"", entry.etag());
    let head = Reply::new(200)
        .header("content-type", if text { "text/plain; charset=utf-8" } else { "application/octet-stream" })
        .header("etag", &etag)
        .header("x-repo-commit", &commit.id)
        .header("content-disposition", disposition(path));
    let current = request.header("if-range").is_none_or(|condition| condition == etag);
    let range = if current { request.header("range") } else { None };
    let mut reply = file(&entry.content, entry.size, range, head);
    let accepts_gzip = request.header("accept-encoding").is_some_and(|accepted| accepted.contains("gzip"));
    let not_modified = request.header("if-none-match").is_some_and(|wanted| wanted.contains(&etag));
    if shared.options.gzip_text && text && accepts_gzip && reply.status == 200 && entry.size > 0 && !not_modified {
        shape::gzip_encode(&mut reply);
        reply.set("etag", &format!("W/{etag}"));
        reply.set("vary", "Accept-Encoding, Origin, Accept");
        reply.chunked = true;
    }
    reply
}

/// `raw/{rev}/{path}`: what git has, hence the pointer of an LFS file.
pub(crate) fn raw(
    shared: &Shared,
    request: &Request,
    repo: &Arc<RepoState>,
    caller: &Caller,
    revision: &str,
    path: &str,
) -> Result<Reply, Refusal> {
    let (commit, entry) = find(repo, access::contents(repo, caller), revision, path)?;
    let Some(lfs) = &entry.lfs else { return Ok(bytes(shared, request, commit, entry, path)) };
    let reply = Reply::text(200, lfs.pointer.clone());
    Ok(reply.header("x-repo-commit", &commit.id).header("etag", format!("\"{}\"", entry.oid)))
}

fn is_text(entry: &FileEntry) -> bool {
    let start = entry.content.read_range(0, 1024);
    // A character may be cut at the end of the sample: then the error has no length.
    let utf8 = std::str::from_utf8(&start).map_or_else(|error| error.error_len().is_none(), |_| true);
    utf8 && !start.contains(&0)
}
