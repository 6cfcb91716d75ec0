//! Why the beginning of a file could not be read, in words for people.

use std::fmt;

/// What was wrong, at which byte, and what was expected. Texts from the file are cut and made
/// printable: they end up in logs and pages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FactsError {
    at: u64,
    message: String,
}

impl FactsError {
    /// `part` is the part of the file that was read, empty for all of it; `at` counts from the start of the file;
    /// `rule` says what was expected.
    pub(super) fn new(part: &str, at: u64, wrong: impl fmt::Display, rule: &str) -> Self {
        let (part, wrong) = (named(part), printable(&wrong.to_string(), 300));
        Self { at, message: format!("{part}byte {at}: {wrong}; {rule}") }
    }

    /// From JSON that starts at byte `start` of the file. `serde_json` counts lines and columns.
    pub(super) fn json(part: &str, start: u64, text: &[u8], error: &serde_json::Error) -> Self {
        let before = text.split_inclusive(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len);
        let at = start + (before.sum::<usize>() + error.column().saturating_sub(1)).min(text.len()) as u64;
        let words = error.to_string();
        let wrong = printable(words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words), 300);
        let part = named(part);
        let message = match error.is_data() {
            true => format!("{part}byte {at}: {wrong}"),
            false => format!("{part}not valid JSON (byte {at}: {wrong})"),
        };
        Self { at, message }
    }

    /// The byte of the file at which reading stopped.
    pub fn at(&self) -> u64 {
        self.at
    }
}

/// `GGUF header, `, in front of a message.
fn named(part: &str) -> String {
    if part.is_empty() { String::new() } else { format!("{part}, ") }
}

/// At most `bytes` bytes of a text, whole characters, without control characters.
pub(super) fn printable(text: &str, bytes: usize) -> String {
    cut(text, bytes).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The longest beginning of a text with whole characters and at most `bytes` bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}
