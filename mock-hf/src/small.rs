//! The small routes: tokens, searches, telemetry, and what else clients ask in passing.

use serde_json::{Value, json};

use crate::access::{self, Caller};
use crate::content::sha1_hex;
use crate::info::summary;
use crate::lists::visible;
use crate::options::{TOKEN_ALICE, TOKEN_BOB};
use crate::reply::{Refusal, Reply, not_a_route};
use crate::repo::Kind;
use crate::request::Request;
use crate::shared::Shared;
use crate::store::RepoState;

/// Routes under `/api` that are about no repo.
pub(crate) fn route(shared: &Shared, request: &Request, caller: &Caller, segments: &[&str]) -> Result<Reply, Refusal> {
    match segments {
        ["whoami-v2"] => whoami(caller),
        ["telemetry", ..] => Ok(Reply::text(200, "")),
        // An object, not a list: huggingface_hub (utils/_detect_agent.py) fails to import on anything else.
        ["agent-harnesses"] => Ok(Reply::json(&json!({"standardEnvVars": ["AI_AGENT", "AGENT"], "harnesses": {}}))),
        ["quicksearch"] => Ok(quicksearch(shared, request, caller)),
        ["trending"] => {
            let line =
                |repo: &RepoState| json!({"repoData": summary(repo, repo.head()), "repoType": repo.kind.singular()});
            let repos = visible(shared, caller, Kind::Model);
            Ok(Reply::json(&json!({"recentlyTrending": repos.iter().map(|repo| line(repo)).collect::<Value>()})))
        }
        ["models-tags-by-type"] => Ok(Reply::json(&json!({
            "pipeline_tag": [{"id": "text-generation", "label": "Text Generation", "type": "pipeline_tag"}],
            "library": [{"id": "transformers", "label": "Transformers", "type": "library"}],
            "license": [{"id": "license:mit", "label": "mit", "type": "license"}],
        }))),
        ["datasets-tags-by-type"] => Ok(Reply::json(&json!({
            "task_categories": [{"id": "task_categories:question-answering", "label": "Question Answering", "type": "task_categories"}],
            "license": [{"id": "license:mit", "label": "mit", "type": "license"}],
        }))),
        _ => Err(not_a_route()),
    }
}

fn whoami(caller: &Caller) -> Result<Reply, Refusal> {
    let token = match caller {
        Caller::Known(token) => token,
        Caller::Anonymous => return Err(Refusal::Unauthenticated),
        Caller::Invalid => return Err(Refusal::InvalidToken),
    };
    let id = &sha1_hex(token)[..24];
    let name = match token.as_str() {
        TOKEN_ALICE => "alice".to_owned(),
        TOKEN_BOB => "bob".to_owned(),
        _ => format!("user-{}", &id[..6]),
    };
    Ok(Reply::json(&json!({
        "type": "user", "id": id, "name": name, "fullname": name, "email": format!("{name}@example.com"), "emailVerified": true,
        "canPay": false, "isPro": false, "periodEnd": null, "avatarUrl": "/avatars/mock.svg", "orgs": [],
        "auth": {"type": "access_token", "accessToken": {"displayName": "mock", "role": "read", "createdAt": "2026-01-01T00:00:00.000Z"}},
    })))
}

fn quicksearch(shared: &Shared, request: &Request, caller: &Caller) -> Reply {
    let query = request.query();
    let words = query.get("q").unwrap_or_default().to_lowercase();
    let limit = query.number("limit").unwrap_or(5);
    let kinds = query.all("type");
    let mut value = json!({"models": [], "datasets": [], "spaces": [], "kernels": [], "users": [], "orgs": []});
    for kind in Kind::ALL {
        if kinds.is_empty() || kinds.contains(&kind.singular()) {
            let mut repos = visible(shared, caller, kind);
            repos.retain(|repo| repo.id.to_lowercase().contains(&words));
            let line = |repo: &std::sync::Arc<RepoState>| json!({"_id": crate::info::internal_id(repo), "id": repo.id, "trendingWeight": 0});
            value[kind.plural()] = repos.iter().take(limit).map(line).collect();
        }
    }
    Reply::json(&value)
}

/// `xet-read-token/{rev}`: for the Xet store, or well-formed for a host that does not exist.
pub(crate) fn xet_token(
    shared: &Shared,
    repo: &std::sync::Arc<RepoState>,
    caller: &Caller,
    revision: &str,
) -> Result<Reply, Refusal> {
    access::contents(repo, caller)?;
    if !shared.options.xet {
        return Err(not_a_route());
    }
    let commit = repo.resolve(revision).ok_or_else(|| Refusal::RevisionNotFound(revision.to_owned()))?;
    let exp = crate::time::now() + 900;
    let token = format!("mock-xet-token-{}", &commit.id[..12]);
    let reply = Reply::json(&json!({"casUrl": shared.xet_url(), "exp": exp, "accessToken": token}));
    Ok(reply
        .header("x-xet-cas-url", shared.xet_url())
        .header("x-xet-access-token", token)
        .header("x-xet-token-expiration", exp.to_string()))
}

/// `discussions`: the pull requests.
pub(crate) fn discussions(repo: &RepoState) -> Reply {
    let line = |(number, at): (&u64, &usize)| {
        json!({
            "num": number, "title": repo.log[*at].title, "status": "open", "isPullRequest": true,
            "author": {"name": "mock"}, "createdAt": repo.log[*at].date,
            "repo": {"name": repo.id, "type": repo.kind.singular()},
        })
    };
    let list: Value = repo.pull_requests.iter().map(line).collect();
    Reply::json(&json!({"discussions": list, "count": repo.pull_requests.len(), "start": 0}))
}

/// `treesize/{rev}[/{path}]`.
pub(crate) fn treesize(repo: &RepoState, revision: &str, path: &str) -> Result<Reply, Refusal> {
    let commit = repo.resolve(revision).ok_or_else(|| Refusal::RevisionNotFound(revision.to_owned()))?;
    let below = if path.is_empty() { String::new() } else { format!("{}/", path.trim_end_matches('/')) };
    let files = commit.tree.files.iter().filter(|(name, _)| name.starts_with(&below) || name.as_str() == path);
    let size: u64 = files.map(|(_, file)| file.size).sum();
    Ok(Reply::json(&json!({"path": format!("/{path}"), "size": size})))
}
