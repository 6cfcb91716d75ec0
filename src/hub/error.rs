//! What a use case says to its caller. The edge turns each meaning into a status, once.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{ByteSize, CommitId, ParseError};
use crate::{blob, db, upstream};

/// Cloned to everyone who waits for the same thing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Unknown here and upstream, or hidden from this caller.
    #[error("Repository not found")]
    RepoNotFound,
    #[error("Invalid rev id: {revision}")]
    RevisionNotFound { revision: String },
    /// `commit` is known whenever the revision was resolved; clients remember absence by it.
    #[error("Entry not found")]
    EntryNotFound { commit: Option<CommitId> },
    #[error("{message}")]
    Gated { message: String },
    /// The exact text that huggingface_hub looks for.
    #[error("Access to this resource is disabled.")]
    Disabled,
    #[error("{message}")]
    Unauthenticated { message: String },
    #[error("{message}")]
    Forbidden { message: String },
    #[error("{0}")]
    Invalid(String),
    /// One field of an admin request, and what would be right.
    #[error("{field}: {rule}")]
    InvalidField { field: &'static str, rule: String },
    #[error("{0}")]
    NotSupported(String),
    /// Deliberately offline, and the answer is not here.
    #[error("this hub is offline and does not have {what}")]
    Offline { what: String },
    #[error("{what} is not here, and upstream is not available: {reason}")]
    UpstreamUnavailable { what: String, reason: String },
    #[error("upstream limits the rate of requests; try again in {} s", retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    /// Upstream's bytes or answers were not what they should be.
    #[error("{0}")]
    BadUpstream(String),
    /// A wrong body was sent to clients of this content; only whole files are served for now.
    #[error("this file is being fetched again because upstream sent wrong bytes; download it as a whole")]
    Tainted,
    /// Upstream's own refusal of a passed-through call.
    #[error("{message}")]
    Rejected { status: u16, message: String },
    /// The answer is a file: ask for it under this path of ours.
    #[error("see {path}")]
    Moved { path: String },
    #[error("the disk of this hub is full")]
    NoSpace,
    #[error("it needs {} of disk space, and {} is free", ByteSize(*needed), ByteSize(*free))]
    NoRoom { needed: u64, free: u64 },
    /// The disk may have room; the store is not to take it.
    #[error("it needs {}, and the store's limit of {} leaves {}", ByteSize(*needed), ByteSize(*limit), ByteSize(*left))]
    OverLimit { needed: u64, limit: u64, left: u64 },
    /// Another process put the content into the store meanwhile: look again.
    #[error("another process has fetched it")]
    CameElsewhere,
    /// For the admin API: what it names is not known here.
    #[error("there is no {what}")]
    NoSuch { what: String },
    #[error("{0}")]
    Conflict(String),
    #[error("too much at once: {what}")]
    Busy { what: String },
    /// A look at the store found files that are missing or wrong.
    #[error("{files} stored files were damaged; {}", after_damage(*files, *lost))]
    Damaged {
        files: u64,
        /// Those that upstream does not have.
        lost: u64,
    },
    #[error("this hub is stopping")]
    Stopping,
    /// A cause that only the log sees.
    #[error("internal error")]
    Internal(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

fn after_damage(files: u64, lost: u64) -> String {
    match lost {
        0 => "they are fetched again when they are asked for".into(),
        _ if lost == files => "they are known from a folder only: import that again".into(),
        _ => format!(
            "{lost} are known from a folder only: import that again; the others are fetched when they are asked for"
        ),
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(super) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(error))
    }

    /// Reads upstream's refusal, naming what was wanted (`a file`, `the listing of …`).
    pub(super) fn upstream(error: upstream::Error, what: impl Into<String>) -> Self {
        use upstream::Error as U;
        match error {
            U::Offline => Self::Offline { what: what.into() },
            U::Unavailable { reason } => Self::UpstreamUnavailable { what: what.into(), reason },
            U::RateLimited { retry_after } => Self::RateLimited { retry_after },
            U::RepoNotFound => Self::RepoNotFound,
            U::RevisionNotFound { revision } => {
                Self::RevisionNotFound { revision: revision.unwrap_or_else(|| what.into()) }
            }
            U::EntryNotFound { commit } => Self::EntryNotFound { commit },
            U::Gated { message } => Self::Gated { message },
            U::Disabled => Self::Disabled,
            U::Unauthenticated { message } => Self::Unauthenticated { message },
            U::Forbidden { message } => Self::Forbidden { message },
            U::Rejected { status, message } => Self::Rejected { status, message },
            U::Moved { path } => Self::Moved { path },
            U::Expired => Self::UpstreamUnavailable { what: what.into(), reason: "its address expired".into() },
            U::Refused => Self::BadUpstream(U::Refused.to_string()),
            U::Protocol(text) => Self::BadUpstream(format!("upstream's answer is not usable: {text}")),
        }
    }
}

/// Whether an older answer may stand in for this failure.
pub(super) fn is_outage(error: &Error) -> bool {
    matches!(
        error,
        Error::Offline { .. } | Error::UpstreamUnavailable { .. } | Error::RateLimited { .. } | Error::BadUpstream(_)
    )
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        if error.is_full() {
            tracing::error!("the disk of the database is full");
            return Self::NoSpace;
        }
        Self::internal(error)
    }
}

impl From<blob::Error> for Error {
    fn from(error: blob::Error) -> Self {
        match error {
            blob::Error::NoSpace { path } => {
                tracing::error!(path = %path.display(), "the disk is full");
                Self::NoSpace
            }
            error => Self::internal(error),
        }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error)
    }
}
