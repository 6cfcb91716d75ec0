//! Metadata routes that are upstream's business: passed through, cleaned, remembered.
//!
//! A response is reused for a short time; while upstream is down the last one stands in. A
//! response to anonymous callers about public things is kept in the database; a response
//! to a token is kept in memory, for that token only.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{Catalog, Result};
use crate::db::RememberedAnswer;
use crate::domain::{CommitId, RepoKey, RepoKind, Visibility};
use crate::hub::repos::Repo;
use crate::hub::{Caller, Error, Served, is_outage};
use crate::upstream::{self, Impact};

/// The tag of a repository that was made here of a folder, in lists.
const LOCAL_TAG: &str = "modelhub:local";

/// Who may get the same response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) enum Scope {
    Everybody,
    Caller,
}

impl Scope {
    pub(in crate::hub) fn of(repo: &Repo) -> Self {
        if repo.visibility == Visibility::Public { Self::Everybody } else { Self::Caller }
    }
}

/// A passed-through answer. `BASE_MARK` in link and body stands for this hub's address.
#[derive(Debug, Clone)]
pub struct Passed {
    pub content_type: String,
    pub link: Option<String>,
    pub total_count: Option<String>,
    pub commit: Option<CommitId>,
    pub body: Bytes,
    pub served: Served,
}

impl Passed {
    fn remembered(answer: RememberedAnswer) -> Self {
        let RememberedAnswer { content_type, link, body, .. } = answer;
        Self { content_type, link, total_count: None, commit: None, body: body.into(), served: Served::Stale }
    }
}

#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) passed: Passed,
    /// On the monotonic clock.
    stored: Duration,
}

/// Path with query, and the digest of the token it was asked with (empty: everybody's).
pub(super) type Key = (String, String);

impl Catalog {
    /// A route that names no repository: lists, searches, users, collections, … Asked with what
    /// this caller may see; this hub's own token never widens it.
    pub async fn pass_general(&self, caller: &Caller, path: &str) -> Result<Passed> {
        let scope = if caller.principal.is_anonymous() { Scope::Everybody } else { Scope::Caller };
        self.pass(caller, path, scope).await
    }

    /// The route `whoami-v2`, which upstream limits strictly: one answer a token for minutes.
    pub async fn who_am_i(&self, caller: &Caller) -> Result<Passed> {
        let ttl = Duration::from_secs(300);
        self.pass_for(caller, "/api/whoami-v2", Scope::Caller, ttl).await
    }

    /// A route below a repository: whoever may see its metadata. Routes that are not known to
    /// say the same to everybody (a space's variables, say) are asked and kept per token.
    pub async fn pass_repo(&self, caller: &Caller, key: &RepoKey, rest: &str) -> Result<Passed> {
        const SAME_FOR_ALL: [&str; 3] = ["commits", "discussions", "treesize"];
        let repo = self.repos.repo(caller, key).await?;
        let verb = rest.split(['/', '?']).next().unwrap_or_default();
        if repo.is_local {
            return Err(Error::NotSupported(format!("{key} was imported from a folder and has no {verb}")));
        }
        let is_shared = caller.principal.is_anonymous() || SAME_FOR_ALL.contains(&verb);
        let scope = if is_shared { Scope::of(&repo) } else { Scope::Caller };
        self.pass(caller, &format!("{}/{rest}", repo.key.api_path()), scope).await
    }

    pub(in crate::hub) async fn pass(&self, caller: &Caller, path: &str, scope: Scope) -> Result<Passed> {
        self.pass_for(caller, path, scope, self.settings.cache.listing_ttl.duration()).await
    }

    async fn pass_for(&self, caller: &Caller, path: &str, scope: Scope, ttl: Duration) -> Result<Passed> {
        let digest = match scope {
            Scope::Everybody => String::new(),
            // A caller without a token still must not share with those that have one.
            Scope::Caller => format!("token:{}", self.digests.of(&caller.principal)),
        };
        let key: Key = (path.to_owned(), digest);
        let kept = self.answers.get(&key);
        if let Some(kept) = &kept
            && self.clock.elapsed().saturating_sub(kept.stored) < ttl
        {
            return Ok(Passed { served: Served::Hit, ..kept.passed.clone() });
        }
        let older = match kept {
            Some(kept) => Some(Passed { served: Served::Stale, ..kept.passed }),
            None if scope == Scope::Everybody => self.db.answer(path).await?.map(Passed::remembered),
            None => None,
        };
        let (catalog, caller, call_key) = (self.clone(), caller.clone(), key.clone());
        let call = self.passing.run(key, || async move { catalog.ask(&caller, call_key, scope).await });
        let Some(older) = older else { return call.await };
        match self.upstream.in_time(Impact::Ignored, call).await {
            Some(Err(error)) if is_outage(&error) => Ok(older),
            Some(outcome) => outcome,
            None => Ok(older),
        }
    }

    async fn ask(&self, caller: &Caller, key: Key, scope: Scope) -> Result<Passed> {
        // What is shared with everybody is requested anonymously.
        let eyes = match scope {
            Scope::Everybody => upstream::Caller { token: None, ..caller.without_hub_token() },
            Scope::Caller => caller.without_hub_token(),
        };
        let answer = self.upstream.get_uncounted(&key.0, eyes).await;
        let answer =
            answer.map_err(|error| Error::upstream(error, format!("the response to {}", without_query(&key.0))))?;
        let upstream::Answer { content_type, link, total_count, commit, body, .. } = answer;
        let body = if content_type.contains("json") {
            let mut value: Value = serde_json::from_slice(&body)
                .map_err(|e| Error::BadUpstream(format!("upstream's response is not JSON: {e}")))?;
            self.upstream.sanitiser().json(&mut value);
            Bytes::from(value.to_string())
        } else if content_type.starts_with("text/") {
            let text = String::from_utf8_lossy(&body);
            self.upstream.sanitiser().text(&text).map_or(body.clone(), Bytes::from)
        } else {
            body
        };
        let passed = Passed { content_type, link, total_count, commit, body, served: Served::Miss };
        if scope == Scope::Everybody && passed.body.len() <= 4 << 20 {
            let answer = RememberedAnswer {
                content_type: passed.content_type.clone(),
                link: passed.link.clone(),
                body: passed.body.to_vec(),
                stored_at: self.clock.now(),
            };
            self.db.put_answer(&key.0, answer).await?;
        }
        self.answers.insert(key, Remembered { passed: passed.clone(), stored: self.clock.elapsed() });
        Ok(passed)
    }

    /// Adds the repositories that were made here to the first page of upstream's list, before upstream's own: its next
    /// pages continue after those.
    pub async fn with_local(&self, passed: Passed, kind: RepoKind, wanted: &Wanted<'_>) -> Result<Passed> {
        let local = self.known_repos(kind, &Wanted { only_local: true, ..wanted.clone() }).await?;
        if local.is_empty() {
            return Ok(passed);
        }
        let Ok(Value::Array(theirs)) = serde_json::from_slice(&passed.body) else { return Ok(passed) };
        let is_ours = |other: &Value| local.iter().any(|own| own["id"] == other["id"]);
        let theirs: Vec<Value> = theirs.into_iter().filter(|other| !is_ours(other)).collect();
        let all = Value::Array(local.into_iter().chain(theirs).collect());
        Ok(Passed { body: all.to_string().into(), ..passed })
    }

    /// The repositories known here, for lists while upstream is down: short infos, as JSON. Those that were made here
    /// have the tag `LOCAL_TAG`.
    pub async fn known_repos(&self, kind: RepoKind, wanted: &Wanted<'_>) -> Result<Vec<Value>> {
        let limit = wanted.limit.min(1000);
        let by_author = format!("{}/", wanted.author.to_ascii_lowercase());
        let is_whole = wanted.tags.is_empty() && wanted.author.is_empty();
        let search = if wanted.search.is_empty() && !wanted.author.is_empty() { &by_author } else { wanted.search };
        // Authors and tags are looked at here, in all that is left.
        let repos = self.db.public_repos(kind, search, wanted.only_local, if is_whole { limit } else { 1000 }).await?;
        let is_theirs = |repo: &crate::db::RepoListing| {
            wanted.author.is_empty() || repo.repo_id.to_ascii_lowercase().starts_with(&by_author)
        };
        let info = |repo: crate::db::RepoListing| {
            let info = repo.info.and_then(|info| serde_json::from_str(&info).ok());
            let mut value = info.unwrap_or_else(|| serde_json::json!({"id": repo.repo_id, "sha": repo.commit}));
            if let Some(map) = value.as_object_mut() {
                map.remove("siblings");
                if repo.is_local {
                    let tags = map.entry("tags").or_insert_with(|| Value::Array(Vec::new()));
                    if let Some(tags) = tags.as_array_mut() {
                        tags.push(LOCAL_TAG.into());
                    }
                    map.entry("private").or_insert(Value::Bool(false));
                }
            }
            value
        };
        let has_tags = |info: &Value| {
            let tags = info["tags"].as_array();
            wanted.tags.iter().all(|tag| tags.is_some_and(|tags| tags.iter().any(|own| own == tag.as_str())))
        };
        Ok(repos
            .into_iter()
            .filter(is_theirs)
            .map(info)
            .filter(has_tags)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect())
    }
}

/// What a list of repositories is asked for.
#[derive(Clone)]
pub struct Wanted<'a> {
    /// A part of the id, in any letter case; everything if empty.
    pub search: &'a str,
    /// The first segment of the id; anybody's if empty.
    pub author: &'a str,
    /// All of these.
    pub tags: Vec<String>,
    pub limit: u64,
    /// Only what was made here of folders.
    pub only_local: bool,
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}
