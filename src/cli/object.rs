//! The object store, in words.

use super::format::{bytes, counted};
use super::output::Tone;
use super::table::Cell;
use crate::pb;

/// What is there, and what is on its way; empty without an object store.
pub(super) fn state(object: Option<&pb::ObjectStore>) -> Cell {
    let Some(object) = object else { return "".into() };
    let there = there(object);
    if object.problem.is_empty() {
        return there.into();
    }
    Cell::new(format!("{there}; cannot be used: {}", object.problem), Tone::Bad)
}

/// `s3://models/hub at https://s3.example.com: 10 GiB in 4 files; 3 files (2 GiB) wait for their upload`.
pub(super) fn there(object: &pb::ObjectStore) -> String {
    let (size, files) = (bytes(object.bytes), counted(object.objects, "file"));
    format!("{}: {size} in {files}{}", object.name, waiting(object))
}

/// `; 3 files (2 GiB) wait for their upload`.
fn waiting(object: &pb::ObjectStore) -> String {
    match object.waiting_files {
        0 => String::new(),
        1 => format!("; 1 file ({}) waits for its upload", bytes(object.waiting_bytes)),
        files => format!("; {} ({}) wait for their upload", counted(files, "file"), bytes(object.waiting_bytes)),
    }
}
