//! How well stored files are looked after, in words.

use super::format::{ago, count, counted, span};
use super::output::Tone;
use super::table::Cell;
use crate::pb;

/// How many files were verified within their time, of all `files`.
pub(super) fn verified(scrub: Option<&pb::Scrub>, files: u64, now: i64) -> Cell {
    let Some(scrub) = scrub else { return "".into() };
    let oldest = match &scrub.oldest_verified_at {
        None => String::new(),
        oldest => format!("; the oldest {}", ago(oldest.as_ref(), now)),
    };
    if scrub.every_seconds == 0 {
        return Cell::new(format!("not by itself (scrub.every is 0){oldest}"), Tone::Faint);
    }
    let within = format!("{} of {} within {}", count(scrub.verified_files), counted(files, "file"), every(scrub));
    let tone = if overdue(scrub, files) == 0 { Tone::Plain } else { Tone::Warning };
    Cell::new(format!("{within}{oldest}"), tone)
}

/// What was found damaged so far; empty if nothing was.
pub(super) fn damaged(scrub: Option<&pb::Scrub>) -> Cell {
    match scrub.map_or(0, |scrub| scrub.damaged_files) {
        0 => "".into(),
        found => Cell::new(format!("{} found by the scrub so far", counted(found, "file")), Tone::Bad),
    }
}

/// Files that were not verified within their time.
pub(super) fn overdue(scrub: &pb::Scrub, files: u64) -> u64 {
    if scrub.every_seconds == 0 { 0 } else { files.saturating_sub(scrub.verified_files) }
}

pub(super) fn every(scrub: &pb::Scrub) -> String {
    span(scrub.every_seconds)
}
