//! SQL: what is known about repositories, commits, artifacts, blobs and access.
//!
//! One SQL text runs on SQLite and PostgreSQL (`sql.rs` is the only file that knows two
//! drivers). Absence is `Option`; time and ids come in as parameters. Store functions are
//! methods of `Db`, one file per subject.

mod access;
mod answers;
mod artifacts;
mod blobs;
mod error;
mod migrate;
mod repos;
mod revisions;
mod settings;
mod sql;

pub use access::Grant;
pub use answers::RememberedAnswer;
pub use artifacts::TreePage;
pub use blobs::{BlobRow, StoreTotals};
pub use error::{Error, Result};
pub use repos::{RepoListing, RepoRow};
pub use revisions::Pin;
pub use sql::Db;
