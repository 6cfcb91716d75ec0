//! Bytes: the content-addressed store on the local disk, and blobs that are still being downloaded.
//!
//! A name in the store is a promise about its content: a file appears under
//! `blobs/sha256/` only complete, hashed and synced (`LocalStore::publish`).

#![expect(clippy::disallowed_methods, reason = "this is the one place that writes and removes files of the store")]

mod care;
mod error;
mod hasher;
mod inventory;
mod journal;
mod local;
mod mapped;
mod partial;
mod place;
mod quarantine;
mod read;
mod reread;
mod secrets;
mod source;
mod xet_hasher;

pub use care::Check;
pub use error::{Error, Result};
pub use hasher::{ContentHasher, Names, Proven};
pub use inventory::{Inventory, Read};
pub use local::{LocalStore, OnLoss, Sharing};
pub use mapped::MappedFile;
pub use partial::{Claim, Partial, Room};
pub use place::{Placed, Placement, Staged};
pub use quarantine::{QuarantineName, Quarantined};
pub use read::read_at;
pub use reread::{Mark, Outside, Piece, Rereading};
pub use source::{Pace, Refusal, Source, Stamp, modified};
pub use xet_hasher::XetHasher;
