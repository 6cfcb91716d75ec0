//! What a use case says to its caller. The edge turns each meaning into a status, once.

use std::sync::Arc;
use std::time::Duration;

use crate::db::Outage;
use crate::domain::{ByteSize, CommitId, JobId, ParseError, counted};
use crate::telemetry::{DATABASE_AWAY, DISK_FULL};
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
    /// The request is longer than anything that is asked so.
    #[error("request body exceeds {most}; {rule}")]
    TooLong { most: ByteSize, rule: &'static str },
    /// One field of an admin request, and what was expected.
    #[error("{field}: {rule}")]
    InvalidField { field: &'static str, rule: String },
    #[error("{0}")]
    NotSupported(String),
    /// Offline mode, and the response is not cached.
    #[error("this hub is offline and has not cached {what}")]
    Offline { what: String },
    #[error("{what} is not cached, and upstream is unavailable: {reason}")]
    UpstreamUnavailable { what: String, reason: String },
    #[error("rate-limited by upstream; try again in {} s", retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    /// Upstream sent wrong bytes or an invalid response.
    #[error("{0}")]
    BadUpstream(String),
    /// Upstream leads where this hub does not go, and will do so again; says which setting would change that.
    #[error("invalid response from upstream: {0}")]
    NotAllowed(String),
    /// A wrong body was sent to clients of this content; only whole files are served for now.
    #[error("upstream sent wrong bytes and this file is being downloaded again; request it as a whole")]
    Tainted,
    /// Upstream's own refusal of a passed-through call.
    #[error("{message}")]
    Rejected { status: u16, message: String },
    /// The response is a file: it is at this path of ours.
    #[error("see {path}")]
    Moved { path: String },
    /// The object store, where only it has what is asked for, or an upload waits for it.
    #[error("the object store: {reason}")]
    ObjectStore { reason: String },
    #[error("this hub's disk is full")]
    NoSpace,
    /// For people: what is the matter with the database, and what helps.
    #[error("this hub's database {why}; {help}")]
    DatabaseAway { why: &'static str, help: &'static str },
    #[error("needs {} of disk space, but only {} is free", ByteSize(*needed), ByteSize(*free))]
    NoRoom { needed: u64, free: u64 },
    /// The disk may have space, but the store has a limit.
    #[error(
        "needs {}, but the store limit of {} leaves only {}{}",
        ByteSize(*needed), ByteSize(*limit), ByteSize(*left), of_which(*quarantined)
    )]
    OverLimit { needed: u64, limit: u64, left: u64, quarantined: u64 },
    /// Another process put the content into the store meanwhile: look it up again.
    #[error("another process has downloaded it")]
    CameElsewhere,
    /// For the admin API: what the request names is unknown.
    #[error("{what}")]
    NotFound { what: String },
    #[error("{0}")]
    Conflict(String),
    #[error("too busy: {what}")]
    Busy { what: String },
    /// A verification found files that are missing or corrupt.
    #[error("{}{}; {}", counted(*files, "damaged file"), list_of(named, *files), after_damage(*files, *again, jobs, *lost))]
    Damaged {
        files: u64,
        /// Those that are downloaded again by these jobs.
        again: u64,
        jobs: Vec<JobId>,
        /// Those that upstream does not have.
        lost: u64,
        /// The first of them, as people call them.
        named: Vec<String>,
    },
    #[error("this hub is shutting down")]
    Stopping,
    /// A cause that only the log sees.
    #[error("internal error")]
    Internal(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// `: this, that, …`
fn list_of(named: &[String], all: u64) -> String {
    match named {
        [] => String::new(),
        named if (named.len() as u64) < all => format!(": {}, …", named.join(", ")),
        named => format!(": {}", named.join(", ")),
    }
}

/// Jobs that a sentence names.
const NAMED_JOBS: usize = 3;

/// What becomes of damaged files: each kind with its number, if there are several.
fn after_damage(files: u64, again: u64, jobs: &[JobId], lost: u64) -> String {
    let parts = [
        (again, format!("{} again as {}", if again == 1 { "downloads" } else { "download" }, job_names(jobs))),
        (lost, "imported from a folder: import that folder again".to_owned()),
        (files.saturating_sub(again + lost), "will be downloaded again on the next request".to_owned()),
    ];
    let some: Vec<_> = parts.into_iter().filter(|(count, _)| *count > 0).collect();
    match some.as_slice() {
        [(_, text)] => text.clone(),
        several => several.iter().map(|(count, text)| format!("{count} {text}")).collect::<Vec<_>>().join("; "),
    }
}

/// `job A`, or `jobs A, B and 5 more`.
fn job_names(jobs: &[JobId]) -> String {
    let named = jobs.iter().take(NAMED_JOBS).map(JobId::as_str).collect::<Vec<_>>().join(", ");
    match jobs.len() {
        0 | 1 => format!("job {named}"),
        all if all > NAMED_JOBS => format!("jobs {named} and {} more", all - NAMED_JOBS),
        _ => format!("jobs {named}"),
    }
}

/// Said after a limit that is reached, if emptying the quarantine would help.
pub(super) fn of_which(quarantined: u64) -> String {
    if quarantined == 0 {
        String::new()
    } else {
        format!("; {} is quarantined and can be removed", ByteSize(quarantined))
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Logs what could not be done; a full disk or a database that cannot be used, which are told once, not again.
    pub(crate) fn warn(&self, what: &str) {
        if !matches!(self, Self::NoSpace | Self::DatabaseAway { .. }) {
            tracing::warn!(error = %self, "{what}");
        }
    }

    /// Whether the disk or the store has no space for it.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace | Self::NoRoom { .. } | Self::OverLimit { .. })
    }

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
            U::Expired => Self::UpstreamUnavailable { what: what.into(), reason: "its URL expired".into() },
            U::Busy => Self::Busy { what: format!("{}; try again in a moment", U::Busy) },
            U::Refused => Self::BadUpstream(U::Refused.to_string()),
            U::NotAllowed(text) => Self::NotAllowed(text),
            U::Protocol(text) => Self::BadUpstream(format!("invalid response from upstream: {text}")),
        }
    }
}

/// Whether an older answer may stand in for this failure.
pub(super) fn is_outage(error: &Error) -> bool {
    matches!(
        error,
        Error::Offline { .. }
            | Error::UpstreamUnavailable { .. }
            | Error::RateLimited { .. }
            | Error::BadUpstream(_)
            | Error::NotAllowed(_)
            | Error::Busy { .. }
    )
}

/// Whether this hub's own disk or database is at fault, so that everything else would fail too.
pub(super) fn is_own_trouble(error: &Error) -> bool {
    matches!(error, Error::Internal(_) | Error::NoSpace | Error::DatabaseAway { .. })
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        let Some(outage) = error.outage() else { return Self::internal(error) };
        if outage == Outage::Full {
            DISK_FULL.met("the database could not be written");
            return Self::NoSpace;
        }
        // Damage is told where it is met first.
        if outage != Outage::Damaged {
            DATABASE_AWAY.met(&error);
        }
        let later = "try again later";
        let (why, help) = match outage {
            Outage::Full => return Self::NoSpace,
            Outage::ReadOnly => ("is read-only", later),
            Outage::Away => ("does not respond", later),
            Outage::Locked => ("is locked by another process, such as a backup", later),
            Outage::Damaged => ("is damaged", "stop the hub, then restore a backup or run `modelhub store rebuild`"),
        };
        Self::DatabaseAway { why, help }
    }
}

impl From<blob::Error> for Error {
    fn from(error: blob::Error) -> Self {
        match error {
            blob::Error::NoSpace { path } => {
                DISK_FULL.met(path.display());
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
