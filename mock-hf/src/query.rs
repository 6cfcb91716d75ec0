//! Query strings, forms and percent encoding. Paths are split before they are decoded, so that `%2F` stays in its segment.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-decodes; what is not UTF-8 becomes a replacement character.
pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Percent-encodes everything but unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Percent-encodes a path, keeping its slashes.
pub(crate) fn encode_path(path: &str) -> String {
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

/// A parsed query or form, in order, with repeated names.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Query {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        };
        Query(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All values of `name` and of `name[]`.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let same = |n: &str| n.strip_suffix("[]").unwrap_or(n) == name;
        self.0.iter().filter(|(n, _)| same(n)).map(|(_, value)| value.as_str()).collect()
    }

    /// `true`, `True` and `1` are true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.all(name).last().is_some_and(|value| matches!(*value, "true" | "True" | "1"))
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.parse().ok()
    }

    /// The query again as text, with some names replaced by new values.
    pub(crate) fn with(&self, replaced: &[(&str, &str)]) -> String {
        let kept = self.0.iter().filter(|(name, _)| !replaced.iter().any(|(n, _)| n == name));
        let pairs = kept.map(|(name, value)| (name.as_str(), value.as_str())).chain(replaced.iter().copied());
        pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
    }
}
