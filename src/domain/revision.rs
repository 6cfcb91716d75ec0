//! What was asked for (a revision) and what it resolved to (a commit).

use std::fmt;

use super::ParseError;

/// The 40 lower-case hex digits of a git commit. Only a `CommitId` is stored with artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId(String);

impl CommitId {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new("commit", text, "expected 40 lower-case hex digits"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a commit is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Reported by upstream.
    Upstream,
    /// Found in a cache on disk; upstream has not been asked for its listing yet.
    Scanned,
    /// Made here from the files of a folder; unknown to upstream.
    Local,
}

impl Origin {
    /// The word in the database; `None` for what upstream reported.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Upstream => None,
            Self::Scanned => Some("scanned"),
            Self::Local => Some("local"),
        }
    }

    pub fn parse(word: Option<&str>) -> Self {
        match word {
            Some("scanned") => Self::Scanned,
            Some("local") => Self::Local,
            _ => Self::Upstream,
        }
    }
}

/// A revision as a client names it.
///
/// A full commit is immutable and needs no upstream; everything else (branch, tag,
/// `refs/pr/1`, `refs/convert/parquet`, a short hash, `HEAD`) is a name that has to be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revision {
    Commit(CommitId),
    Named(String),
}

impl Revision {
    /// The name that a request without a revision means.
    pub const DEFAULT: &'static str = "main";

    /// The name of what a folder held, in a repository whose other names are upstream's.
    pub const LOCAL: &'static str = "local";

    /// Accepts what git accepts as a ref name, as far as it can matter here.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if let Ok(commit) = CommitId::parse(text) {
            return Ok(Self::Commit(commit));
        }
        let fail = |rule| Err(ParseError::new("revision", text, rule));
        if text.is_empty() || text.len() > 255 {
            return fail("a revision must have 1 to 255 characters");
        }
        if text.chars().any(|c| c.is_control() || matches!(c, '\\' | ' ' | '~' | '^' | ':' | '?' | '*' | '[')) {
            return fail("it has a character that git does not allow in a ref name");
        }
        if text.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.contains("..")) {
            return fail("parts between `/` must not be empty, begin with `.` or contain `..`");
        }
        // The Hub calls the tip of the default branch HEAD (huggingface.js modelInfo asks for it).
        Ok(Self::Named(if text == "HEAD" { Self::DEFAULT } else { text }.to_owned()))
    }

    pub fn main() -> Self {
        Self::Named(Self::DEFAULT.to_owned())
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Commit(commit) => commit.as_str(),
            Self::Named(name) => name,
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_commit_is_told_from_a_name() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert!(matches!(Revision::parse(commit), Ok(Revision::Commit(_))));
        for name in ["main", "v1.0", "refs/pr/1", "refs/convert/parquet", "0123456", "feature/x"] {
            assert_eq!(Revision::parse(name), Ok(Revision::Named(name.to_owned())));
        }
        assert_eq!(Revision::parse("HEAD"), Ok(Revision::main()));
    }

    #[test]
    fn names_that_git_refuses_are_refused() {
        for bad in ["", "a..b", "../x", "a//b", "/a", "a/", ".x", "a b", "a\\b", "a\0", "x^", "a:b"] {
            assert!(Revision::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
