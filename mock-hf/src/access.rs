//! Who asks, and what they may see. The order of the checks is the Hub's: visible, disabled, gated.

use std::sync::Arc;

use base64::Engine;

use crate::reply::Refusal;
use crate::repo::Kind;
use crate::request::Request;
use crate::shared::Shared;
use crate::store::{Found, RepoState};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Anonymous,
    Known(String),
    Invalid,
}

impl Caller {
    /// From `Authorization`: Bearer, or Basic with the token as password.
    pub(crate) fn of(shared: &Shared, request: &Request) -> Caller {
        let Some(value) = request.header("authorization") else { return Caller::Anonymous };
        let token = match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim().to_owned()),
            Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => base64::engine::general_purpose::STANDARD
                .decode(pair.trim())
                .ok()
                .and_then(|pair| String::from_utf8(pair).ok())
                .and_then(|pair| pair.split_once(':').map(|(_, password)| password.to_owned())),
            _ => None,
        };
        match token {
            Some(token) if shared.store.knows_token(&token) => Caller::Known(token),
            _ => Caller::Invalid,
        }
    }

    pub(crate) fn token(&self) -> Option<&str> {
        match self {
            Caller::Known(token) => Some(token),
            Caller::Anonymous | Caller::Invalid => None,
        }
    }

    fn unknown_repo(&self) -> Refusal {
        match self {
            Caller::Anonymous => Refusal::Unauthenticated,
            Caller::Known(_) => Refusal::RepoNotFound,
            Caller::Invalid => Refusal::InvalidToken,
        }
    }
}

/// The repo, if the caller may know that it exists.
pub(crate) fn see(shared: &Shared, kind: Kind, id: &str, caller: &Caller) -> Result<Found, Refusal> {
    if *caller == Caller::Invalid && shared.options.strict_tokens {
        return Err(Refusal::InvalidToken);
    }
    let found = shared.store.find(kind, id).ok_or_else(|| caller.unknown_repo())?;
    let (Found::Repo(repo) | Found::Moved(repo)) = &found;
    if repo.private && !repo.is_reader(caller.token()) {
        return Err(caller.unknown_repo());
    }
    if repo.disabled {
        return Err(Refusal::Disabled);
    }
    Ok(found)
}

/// May the caller read contents of a repo that it can see?
pub(crate) fn contents(repo: &Arc<RepoState>, caller: &Caller) -> Result<(), Refusal> {
    if repo.gated.is_none() || repo.is_reader(caller.token()) {
        return Ok(());
    }
    let name = format!("{} {}", repo.kind, repo.id);
    Err(match caller {
        Caller::Anonymous => Refusal::GatedAnonymous(name),
        Caller::Known(_) => Refusal::GatedDenied(name),
        Caller::Invalid => Refusal::InvalidToken,
    })
}
