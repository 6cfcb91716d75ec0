//! Why the beginning of a file gave no facts, in words for the person who looks at the file.

use std::fmt;

/// What was wrong, at which byte, and what would be right. Texts from the file are cut and made
/// printable: they end up in logs and pages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, byte {at}: {wrong}; {rule}")]
pub struct FactsError {
    file: &'static str,
    at: u64,
    wrong: String,
    rule: &'static str,
}

impl FactsError {
    /// `at` counts from the start of the file; `rule` says what would be right.
    pub(super) fn new(file: &'static str, at: u64, wrong: impl fmt::Display, rule: &'static str) -> Self {
        Self { file, at, wrong: printable(&wrong.to_string(), 300), rule }
    }

    /// From JSON that starts at byte `start` of the file. `serde_json` counts lines and columns.
    pub(super) fn json(file: &'static str, start: u64, text: &[u8], error: &serde_json::Error) -> Self {
        let before = text.split_inclusive(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len);
        let at = start + (before.sum::<usize>() + error.column().saturating_sub(1)).min(text.len()) as u64;
        let words = error.to_string();
        let wrong = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
        let rule = if error.is_data() { "each field has the type that its format asks for" } else { "it is JSON" };
        Self::new(file, at, wrong, rule)
    }

    /// The byte of the file at which reading stopped.
    pub fn at(&self) -> u64 {
        self.at
    }
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
