//! SQL: what is known about repositories, commits, artifacts, blobs and access.
//!
//! One SQL text runs on SQLite and PostgreSQL (`sql.rs`, `tx.rs` and `pools.rs` are the only files that know two
//! drivers). Absence is `Option`; time and ids come in as parameters. Store functions are
//! methods of `Db`, one file per subject.

mod access;
mod answers;
mod artifacts;
mod aside;
mod blobs;
mod changes;
mod contents;
mod error;
mod evictions;
mod files;
mod job_lists;
mod job_orders;
mod jobs;
mod migrate;
mod models;
mod objects;
mod pools;
mod records;
mod repos;
mod revisions;
mod scans;
mod scrub;
mod settings;
mod sql;
mod sqlite;
mod storage;
mod tx;
mod victims;

pub use access::Grant;
pub use answers::RememberedAnswer;
pub use artifacts::{ReadingId, TreePage};
pub use blobs::{BlobRow, NewBlob, StoreTotals};
pub use changes::{Change, Feed, Listener};
pub use contents::{NamedFile, Recoverable};
pub use error::{Error, Outage, Result};
pub use evictions::{Eviction, EvictionRule};
pub use files::{FilePage, FileRow, FileTotals};
pub use job_orders::Obeyed;
pub use jobs::{Claimant, Gone, Settled};
pub use models::{Held, ModelFilter, ModelOrder, ModelRow, Registered, Registration};
pub use objects::{LeftUpload, ObjectTotals};
pub use records::WorkerRow;
pub use repos::{RepoListing, RepoRow};
pub use revisions::NamedCommit;
pub use scans::ScannedFile;
pub use scrub::{ScrubMark, SizesLook, Verified};
pub use sql::Db;
pub use storage::{Amount, UsageRow};
pub use victims::{Victim, VictimFilter};

/// The pattern of `lower(column) like … escape '\'` that finds `part` anywhere; empty for an empty part. Only ASCII
/// letters are alike in upper and lower case: SQLite's `lower` knows no others, PostgreSQL's none where text is
/// ordered byte by byte (`collate "C"`). `None` if
/// nothing can hold it: PostgreSQL refuses NUL, and SQLite would stop reading there.
fn like(part: &str) -> Option<String> {
    if part.is_empty() || part.contains('\0') {
        return part.is_empty().then(String::new);
    }
    let mut pattern = String::from("%");
    for c in part.to_ascii_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    Some(pattern)
}
