//! The object store, in words.

use super::format::{bytes, counted};
use super::output::Tone;
use super::table::Cell;
use crate::pb;

/// What is there, and what is on its way; empty without an object store.
pub(super) fn state(object: Option<&pb::ObjectStore>) -> Cell {
    let Some(object) = object else { return "".into() };
    let there = format!("{} in {} at {}", bytes(object.bytes), counted(object.objects, "file"), object.name);
    if object.problem.is_empty() {
        return format!("{there}{}", waiting(object)).into();
    }
    Cell::new(format!("{there}{}; cannot be used: {}", waiting(object), object.problem), Tone::Bad)
}

/// `; 3 files (2 GiB) wait for their upload`.
pub(super) fn waiting(object: &pb::ObjectStore) -> String {
    match object.waiting_files {
        0 => String::new(),
        1 => format!("; 1 file ({}) waits for its upload", bytes(object.waiting_bytes)),
        files => format!("; {} ({}) wait for their upload", counted(files, "file"), bytes(object.waiting_bytes)),
    }
}
