//! What the store keeps of itself: how much of the disk it leaves free, and what people say of models by their names.

use std::fmt;
use std::time::Duration;

use super::glob::Glob;
use super::{ByteSize, ParseError, RepoKey};

/// Space of a disk that the store leaves free, of which the larger counts. Nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeepFree {
    pub bytes: u64,
    /// Of the whole disk, 0 to 99.
    pub percent: u8,
}

impl KeepFree {
    /// What has to stay free of a disk of this size.
    pub fn of(self, disk: u64) -> u64 {
        self.bytes.max((u128::from(disk) * u128::from(self.percent) / 100) as u64)
    }

    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for KeepFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bytes, self.percent) {
            (bytes, 0) => write!(f, "{}", ByteSize(bytes)),
            (0, percent) => write!(f, "{percent} %"),
            (bytes, percent) => write!(f, "{percent} % or {}", ByteSize(bytes)),
        }
    }
}

/// Models by their names as URLs have them: `org/name`, `datasets/org/name`. `*` stands for any characters; case does
/// not matter, as it does not upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '*');
        if text.is_empty() || text.len() > 200 || !text.chars().all(is_name) {
            let rule =
                "expected the name of a model in which * stands for any characters, such as org/* or datasets/org/name";
            return Err(ParseError::new("pattern", text, rule));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    pub fn matches(&self, repo: &RepoKey) -> bool {
        Glob::parse(&self.0).is_ok_and(|glob| glob.matches(&repo.to_string().to_ascii_lowercase()))
    }

    /// In lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How long models are kept that clients do not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    pub models: NamePattern,
    pub after: Duration,
}

/// What people want kept, and what not. A pin wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keeping {
    pub keep_free: KeepFree,
    /// What clients used within this time is not removed by itself.
    pub keep_used: Duration,
    pub pinned: Vec<NamePattern>,
    pub never_stored: Vec<NamePattern>,
    pub expiries: Vec<Expiry>,
}

impl Keeping {
    pub fn is_never_stored(&self, repo: &RepoKey) -> bool {
        self.never_stored.iter().any(|pattern| pattern.matches(repo))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{RepoId, RepoKind};

    #[test]
    fn patterns_are_about_names_as_urls_have_them() {
        let matches = |pattern: &str, kind, id: &str| {
            NamePattern::parse(pattern).unwrap().matches(&RepoKey::new(kind, RepoId::parse(id).unwrap()))
        };
        assert!(matches("Org/*", RepoKind::Model, "org/Name"), "case does not matter");
        assert!(matches("datasets/*", RepoKind::Dataset, "org/d") && !matches("datasets/*", RepoKind::Model, "org/d"));
        assert!(!matches("org/*", RepoKind::Dataset, "org/d"));
        assert!(matches("*", RepoKind::Space, "org/d") && matches("gpt2", RepoKind::Model, "gpt2"));
        assert!(!matches("org/a", RepoKind::Model, "org/ab"));
        for wrong in ["", "org/[ab]", "org/a b", "org/?", "a%"] {
            assert!(NamePattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_bytes_and_percent_the_larger_stays_free() {
        let keep = KeepFree { bytes: 50, percent: 10 };
        assert_eq!((keep.of(100), keep.of(1000), keep.of(u64::MAX)), (50, 100, u64::MAX / 10));
        assert_eq!(KeepFree::default().of(1000), 0);
    }
}
