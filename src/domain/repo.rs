//! Repositories: their kind and their id.

use std::fmt;

use super::ParseError;

/// What a repository holds. The kind decides the URL prefix (hf-hub routes: models have none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RepoKind {
    Model,
    Dataset,
    Space,
    /// A compute kernel, since huggingface_hub 1.10.
    Kernel,
}

impl RepoKind {
    pub const ALL: [RepoKind; 4] = [Self::Model, Self::Dataset, Self::Space, Self::Kernel];
    /// The words of `as_str`, for whoever chooses one.
    pub const WORDS: [&str; 4] =
        [Self::Model.as_str(), Self::Dataset.as_str(), Self::Space.as_str(), Self::Kernel.as_str()];
    /// The same as people read it in an error.
    pub const EXPECTED: &str = "expected model, dataset, space or kernel";

    /// The word in `/api/{plural}/…` and, except for models, in front of `/{id}/resolve/…`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
            Self::Space => "spaces",
            Self::Kernel => "kernels",
        }
    }

    /// The word stored in the database and shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
            Self::Space => "space",
            Self::Kernel => "kernel",
        }
    }

    pub fn from_plural(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == word)
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// What stands before `{id}/resolve/…` in a URL path, with its trailing slash.
    pub fn url_prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
            Self::Space => "spaces/",
            Self::Kernel => "kernels/",
        }
    }
}

impl fmt::Display for RepoKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `namespace/name`, or one legacy segment such as `gpt2`.
///
/// Each segment has at most 96 characters of `[A-Za-z0-9._-]`, neither begins nor ends with
/// `-` or `.`, and holds no `--` or `..` (huggingface_hub `validate_repo_id`). Letter case is
/// kept: the Hub answers wrong case with a redirect, which is followed like a rename.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoId(String);

impl RepoId {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fail = |rule| Err(ParseError::new("repository id", text, rule));
        let segments: Vec<&str> = text.split('/').collect();
        if segments.len() > 2 {
            return fail("expected `namespace/name`, or a single legacy name");
        }
        for segment in segments {
            if segment.is_empty() || segment.len() > 96 {
                return fail("each part must have 1 to 96 characters");
            }
            if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
                return fail("only letters, digits, `.`, `_` and `-` are allowed");
            }
            let edge = |c: char| c == '-' || c == '.';
            if segment.starts_with(edge) || segment.ends_with(edge) {
                return fail("a part must not begin or end with `-` or `.`");
            }
            if segment.contains("--") || segment.contains("..") {
                return fail("`--` and `..` are not allowed");
            }
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The namespace, empty for a legacy one-segment id.
    pub fn vendor(&self) -> &str {
        self.0.split_once('/').map_or("", |(vendor, _)| vendor)
    }

    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository as it is asked for: kind and id together name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoKey {
    pub kind: RepoKind,
    pub id: RepoId,
}

impl RepoKey {
    pub fn new(kind: RepoKind, id: RepoId) -> Self {
        Self { kind, id }
    }

    /// `name`, `namespace/name`, or either behind a kind: `dataset/namespace/name`, `datasets/namespace/name`. No model
    /// whose namespace is another kind's word: it is shown as that kind's repositories are.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let kind_of = |word: &str| RepoKind::parse(word).or(RepoKind::from_plural(word));
        // `model/x` may be a name of two parts; three parts are not a name.
        let (kind, id) = match text.split_once('/').and_then(|(first, rest)| Some((kind_of(first)?, rest))) {
            Some((kind, rest)) if rest.contains('/') || kind != RepoKind::Model => (kind, RepoId::parse(rest)?),
            _ => (RepoKind::Model, RepoId::parse(text)?),
        };
        if kind == RepoKind::Model && kind_of(id.vendor()).is_some_and(|other| other != kind) {
            return Err(ParseError::new("repository", text, "the namespace of a model must not be a repository kind"));
        }
        Ok(Self::new(kind, id))
    }

    /// `/api/{plural}/{id}`, the root of this repository's metadata routes.
    pub fn api_path(&self) -> String {
        format!("/api/{}/{}", self.kind.plural(), self.id)
    }
}

impl fmt::Display for RepoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind.url_prefix(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_and_two_segments_are_accepted() {
        for good in ["gpt2", "openai-community/gpt2", "a/b", "Wan-AI/Wan2.1-T2V-1.3B", "a_b/c.d"] {
            assert_eq!(RepoId::parse(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
    }

    #[test]
    fn ids_that_could_leave_their_place_are_refused() {
        let long = "x".repeat(97);
        for bad in ["", "/", "a/", "/a", "a/b/c", "..", "a/..", "a/.b", "a--b/c", "a b", "a\\b", "a/b\0", "é/x", &long]
        {
            assert!(RepoId::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_name_is_read_as_it_is_shown() {
        let texts = [
            "gpt2",
            "ns/m",
            "model/x",
            "models/model/x",
            "dataset/x",
            "datasets/ns/d",
            "spaces/spaces/x",
            "kernels/k/x",
        ];
        for key in texts.map(|text| RepoKey::parse(text).unwrap()) {
            assert_eq!(RepoKey::parse(&key.to_string()), Ok(key));
        }
        for bad in ["models/datasets/x", "model/space/x"] {
            assert!(RepoKey::parse(bad).is_err(), "{bad} would be shown as the name of another");
        }
    }
}
