//! Jobs: long work that is done once, whatever happens meanwhile. Here are their types; rows are in `db::jobs`,
//! what they do in `hub`, and when they run in `worker`.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::clock::Millis;
use super::id::{JobId, ModelId, WorkerId};
use super::work::Work;

/// Declares an enum with the words that tables, logs, JSON and the command line share.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }
    };
}

pub(super) use words;

words! {
    JobKind {
        /// Refreshes refs and the file list from upstream.
        Sync = "sync",
        /// Downloads files from upstream into the store.
        Download = "download",
        /// Imports models on this machine's disk into the store.
        Scan = "scan",
        /// Verifies the hashes of stored files.
        Verify = "verify",
        /// Files are removed from the store.
        Evict = "evict",
    }
}

words! {
    JobStatus {
        Pending = "pending",
        Running = "running",
        Completed = "completed",
        Failed = "failed",
        Cancelled = "cancelled",
        Paused = "paused",
    }
}

impl JobStatus {
    /// Nothing more happens without an order.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

words! {
    /// An order for a job.
    Order {
        Cancel = "cancel",
        Pause = "pause",
        Resume = "resume",
        Retry = "retry",
        /// Of a failed one: nobody needs to look at it any more.
        Dismiss = "dismiss",
    }
}

words! {
    Level {
        Info = "info",
        Warning = "warning",
        Error = "error",
    }
}

/// Priorities: higher goes first.
pub mod priority {
    /// Work on a schedule.
    pub const SCHEDULED: i64 = 0;
    pub const PREFETCH: i64 = 50;
    /// A person waits for it.
    pub const WAITING: i64 = 100;
}

/// How far a job is. Written to its row about once a second, and sent to whoever watches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    pub files_done: u64,
    pub files_total: u64,
    pub bytes_done: u64,
    pub bytes_total: u64,
    /// Average of the last seconds.
    pub bytes_per_second: u64,
    /// The files being worked on.
    pub files: Vec<FileProgress>,
    /// What is being done now, in a few words.
    pub doing: String,
}

impl Progress {
    /// The same of a job that does not run: it has no speed, and is doing nothing.
    pub fn at_rest(self) -> Self {
        Self { bytes_per_second: 0, files: Vec::new(), doing: String::new(), ..self }
    }

    /// Seconds until it is done at this speed; 0 if that cannot be said.
    pub fn seconds_left(&self) -> u64 {
        let left = self.bytes_total.saturating_sub(self.bytes_done);
        if self.bytes_per_second == 0 { 0 } else { left.div_ceil(self.bytes_per_second) }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProgress {
    pub path: String,
    pub bytes_done: u64,
    pub bytes_total: u64,
}

/// What changed between two commits, as a sync found it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub from: String,
    pub to: String,
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    /// The first of them: what happened, the path, the size.
    pub first: Vec<(ChangeKind, String, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Added,
    Removed,
    Changed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    /// Grows with every change: of two copies of a job, the one with the greater version is the newer.
    pub version: u64,
    pub work: Work,
    pub status: JobStatus,
    /// The row of the repository, if it is about one, and its name at the time.
    pub repo: Option<ModelId>,
    /// `kind/namespace/name`; empty for jobs about the whole store.
    pub repo_name: String,
    pub priority: i64,
    /// How often it was started.
    pub attempts: u32,
    pub max_attempts: u32,
    pub progress: Progress,
    /// Why it does not run now.
    pub waiting_for: String,
    /// What went wrong the last time.
    pub error: String,
    /// What it did, in a sentence.
    pub outcome: String,
    /// Who runs it, or ran it last.
    pub worker: Option<WorkerId>,
    pub changes: Option<Changes>,
    pub created_at: Millis,
    pub run_at: Millis,
    pub started_at: Option<Millis>,
    pub finished_at: Option<Millis>,
    /// When its failure was dismissed.
    pub dismissed_at: Option<Millis>,
}

impl Job {
    pub fn kind(&self) -> JobKind {
        self.work.kind()
    }
}

/// A job that does not exist yet.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub work: Work,
    pub repo: Option<ModelId>,
    pub repo_name: String,
    pub priority: i64,
}

/// An index of PostgreSQL holds keys of up to 2 700 bytes; longer work is hashed in it.
const LONGEST_WORK: usize = 1000;

impl NewJob {
    /// Two live jobs never have the same key: asking again returns the existing job.
    pub fn dedup_key(&self) -> String {
        let work = serde_json::to_string(&self.work).unwrap_or_default();
        let work = if work.len() > LONGEST_WORK { hex::encode(Sha256::digest(&work)) } else { work };
        format!("{} {} {work}", self.work.kind().as_str(), self.repo_name)
    }
}

/// Which jobs a list is about.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Any of these; any at all if empty.
    pub statuses: Vec<JobStatus>,
    pub kinds: Vec<JobKind>,
    pub repo: Option<ModelId>,
    /// A part of the repository's name, the error or the outcome, in any letter case.
    pub search: String,
    pub created_after: Option<Millis>,
    pub created_before: Option<Millis>,
    pub finished_after: Option<Millis>,
    pub order: JobOrder,
    /// Only jobs that come after the last of the page before: the time that it was sorted by, and its id.
    pub before: Option<(Millis, JobId)>,
    pub limit: u64,
}

/// What a list of jobs is sorted by; the newest come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JobOrder {
    #[default]
    Created,
    /// Only jobs that have ended are listed.
    Finished,
}

/// A line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub number: u64,
    pub at: Millis,
    pub level: Level,
    pub text: String,
}
