//! What upstream's answers mean.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::resolver::AddressRefused;
use crate::domain::CommitId;

/// Cloned to everyone who shares one call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// `upstream.offline` is set: nothing was asked.
    #[error("this hub is offline")]
    Offline,
    /// No valid response: network, timeout, 5xx, or not asked because it just failed repeatedly.
    #[error("upstream is unavailable: {reason}")]
    Unavailable { reason: String },
    #[error("rate-limited by upstream; try again in {} s", retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    /// Unknown, or hidden from this caller; upstream does not say which.
    #[error("repository not found")]
    RepoNotFound,
    #[error("revision not found")]
    RevisionNotFound { revision: Option<String> },
    #[error("entry not found")]
    EntryNotFound { commit: Option<CommitId> },
    #[error("access is restricted: {message}")]
    Gated { message: String },
    #[error("access to this resource is disabled")]
    Disabled,
    /// The caller's token is not valid.
    #[error("not authenticated: {message}")]
    Unauthenticated { message: String },
    #[error("forbidden: {message}")]
    Forbidden { message: String },
    /// An answer with another status, e.g. 400 for a bad parameter.
    #[error("upstream returned {status}: {message}")]
    Rejected { status: u16, message: String },
    /// A metadata route that leads to a file: its path, relative to upstream's base.
    #[error("the response is a file")]
    Moved { path: String },
    /// A signed URL that no longer works: resolve again.
    #[error("the download URL has expired")]
    Expired,
    /// What the Hub's download host answers for files above 50 GB: it cannot put them together.
    #[error("the download host refused this file (status 400); files above 50 GB are available through Xet only")]
    Refused,
    /// Too many large answers are being read at once; nothing was wrong with this one.
    #[error("too many large responses are being read at once")]
    Busy,
    /// It leads where this hub does not go: another try would end the same way.
    #[error("{0}")]
    NotAllowed(String),
    /// An answer that breaks the protocol; never stored.
    #[error("invalid response from upstream: {0}")]
    Protocol(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether an older answer may stand in: upstream said nothing about the thing itself.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Offline
                | Self::Unavailable { .. }
                | Self::RateLimited { .. }
                | Self::NotAllowed(_)
                | Self::Protocol(_)
                | Self::Busy
        )
    }

    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::RateLimited { .. }
                | Self::Protocol(_)
                | Self::Expired
                | Self::Refused
                | Self::Busy
        )
    }

    /// Rewrites the text that upstream sent along.
    pub(super) fn map_message(mut self, clean: impl FnOnce(&str) -> String) -> Self {
        if let Self::Gated { message }
        | Self::Unauthenticated { message }
        | Self::Forbidden { message }
        | Self::Rejected { message, .. } = &mut self
        {
            *message = clean(message);
        }
        self
    }

    pub(super) fn network(error: &reqwest::Error) -> Self {
        let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
        if let Some(refused) = causes.into_iter().find_map(|cause| cause.downcast_ref::<AddressRefused>()) {
            return Self::NotAllowed(refused.to_string());
        }
        // reqwest's text may hold the URL with its signature: say only what kind it was.
        let reason = if error.is_timeout() {
            "timeout"
        } else if error.is_connect() {
            "cannot connect"
        } else if error.is_body() || error.is_decode() {
            "connection lost"
        } else {
            "request failed"
        };
        Self::Unavailable { reason: reason.into() }
    }

    /// Reads an answer of status 4xx/5xx, in the order of huggingface_hub `hf_raise_for_status`.
    pub(super) fn from_answer(status: StatusCode, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let message = text("x-error-message").chars().take(500).collect::<String>();
        // Proxies and firewalls give no reason, and no error may be empty.
        let message = if message.trim().is_empty() { format!("upstream returned {status}") } else { message };
        match text("x-error-code") {
            "RepoNotFound" => return Self::RepoNotFound,
            "RevisionNotFound" => {
                let revision = message.strip_prefix("Invalid rev id: ").map(str::to_owned);
                return Self::RevisionNotFound { revision };
            }
            "EntryNotFound" => {
                return Self::EntryNotFound { commit: CommitId::parse(text("x-repo-commit")).ok() };
            }
            "GatedRepo" => return Self::Gated { message },
            _ => {}
        }
        match status {
            StatusCode::UNAUTHORIZED if message.contains("Invalid credentials") => Self::Unauthenticated { message },
            // An anonymous caller is told this for unknown and for private repositories.
            StatusCode::UNAUTHORIZED => Self::RepoNotFound,
            StatusCode::FORBIDDEN if message.starts_with("Access to this resource is disabled") => Self::Disabled,
            StatusCode::FORBIDDEN => Self::Forbidden { message },
            StatusCode::TOO_MANY_REQUESTS => {
                Self::RateLimited { retry_after: retry_after(headers).unwrap_or(Duration::from_secs(60)) }
            }
            StatusCode::REQUEST_TIMEOUT => Self::Unavailable { reason: "upstream returned 408".into() },
            status if status.is_server_error() => {
                Self::Unavailable { reason: format!("upstream returned {}", status.as_u16()) }
            }
            status => Self::Rejected { status: status.as_u16(), message },
        }
    }
}

/// How long upstream asks us to wait: `Retry-After` in seconds or as a date, else `t` of `RateLimit`.
/// Absurd values are cut to five minutes, the Hub's window.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(300);
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    if let Some(value) = text("retry-after") {
        if let Ok(seconds) = value.parse::<u64>() {
            return Some(Duration::from_secs(seconds).min(LONGEST));
        }
        if let (Ok(at), Some(Ok(now))) = (httpdate::parse_http_date(value), text("date").map(httpdate::parse_http_date))
        {
            return Some(at.duration_since(now).unwrap_or_default().min(LONGEST));
        }
    }
    let reset = super::budget::parse_ratelimit(text("ratelimit")?)?.reset;
    Some((reset + Duration::from_secs(1)).min(LONGEST))
}
