//! Untrusted JSON, read into a small tree.
//!
//! Configurations hold a few dozen values that matter and sometimes megabytes that do not (names
//! of 21 000 classes, long lists). Steps: refuse what is too long, replace the numbers that
//! Python writes and JSON does not have, then keep values until the caps are reached and skip the
//! rest, still checking that it is JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::FactsError;
use super::error::cut;

/// Bytes of a file. Real ones have some KiB; the largest tokenizer configurations, 1 or 2 MiB.
pub(super) const SIZE_LIMIT: usize = 4 << 20;
/// Objects and lists inside each other that are kept; deeper ones are `Skipped`.
const DEPTH: usize = 8;
/// Values that are kept of one file, of one object below the top, and of one list.
const KEPT: usize = 10_000;
const KEPT_OF_OBJECT: usize = 256;
/// Lists hold a value for each layer, of which the largest models have some hundred.
const KEPT_OF_LIST: usize = 512;
/// Bytes that are kept of a text or a key.
const KEPT_OF_TEXT: usize = 256;

/// A value, as far as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Unsigned(u64),
    /// Negative, fractional, or larger than 64 bits.
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
    /// Too deep, or past the caps.
    Skipped,
}

/// Reads one file. Errors: longer than 4 MiB, not JSON, or not an object.
pub(super) fn read(bytes: &[u8]) -> Result<Node, FactsError> {
    if bytes.len() > SIZE_LIMIT {
        let wrong = format!("the file has {} bytes", bytes.len());
        return Err(FactsError::new("", SIZE_LIMIT as u64, wrong, "at most 4 MiB are supported"));
    }
    let text = without_python_numbers(bytes);
    let mut kept = 0;
    let mut json = serde_json::Deserializer::from_slice(&text);
    let seed = Seed { depth: 0, kept: &mut kept };
    let node = seed.deserialize(&mut json).and_then(|node| json.end().map(|()| node));
    match node.map_err(|error| FactsError::json("", 0, &text, &error))? {
        node @ Node::Object(_) => Ok(node),
        _ => Err(FactsError::new("", 0, "not a JSON object", "expected `{`")),
    }
}

/// `NaN` and `Infinity` (Python's `json.dump` writes them) become `0` and `null`, in place.
fn without_python_numbers(bytes: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [(&[u8], &[u8]); 3] = [(b"-Infinity", b"null     "), (b"Infinity", b"null    "), (b"NaN", b"0  ")];
    if !bytes.windows(3).any(|three| three == b"NaN" || three == b"Inf") {
        return Cow::Borrowed(bytes);
    }
    let mut text = bytes.to_vec();
    let (mut at, mut quoted) = (0, false);
    while let Some(rest) = text.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let word = WORDS.iter().find(|(word, _)| !quoted && rest.starts_with(word));
        at += match (word, rest.first()) {
            (Some((word, instead)), _) => {
                rest[..word.len()].copy_from_slice(instead);
                word.len()
            }
            (None, Some(b'\\')) if quoted => 2,
            (None, first) => {
                quoted ^= first == Some(&b'"');
                1
            }
        };
    }
    Cow::Owned(text)
}

impl Node {
    /// The value of a key of an object; the first, if there are several.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    pub(super) fn entries(&self) -> &[(String, Node)] {
        if let Self::Object(entries) = self { entries } else { &[] }
    }

    pub(super) fn items(&self) -> &[Node] {
        if let Self::List(items) = self { items } else { &[] }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// A whole number; `2048.0`, as some tools write it, is one.
    pub(super) fn whole(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            Self::Float(number) if *number >= 0.0 && number.fract() == 0.0 && *number < 9e15 => Some(*number as u64),
            _ => None,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }
}

struct Seed<'a> {
    depth: usize,
    /// Values kept so far, of the whole file.
    kept: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        if self.depth > DEPTH || *self.kept >= KEPT {
            // Skipping takes no stack, however deep the value is.
            return from.deserialize_ignored_any(IgnoredAny).map(|_| Node::Skipped);
        }
        *self.kept += 1;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(u64::try_from(value).map_or(Node::Float(value as f64), Node::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(cut(value, KEPT_OF_TEXT).to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while items.len() < KEPT_OF_LIST {
            let Some(item) = list.next_element_seed(Seed { depth: self.depth + 1, kept: &mut *self.kept })? else {
                return Ok(Node::List(items));
            };
            items.push(item);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let most = if self.depth == 0 { KEPT } else { KEPT_OF_OBJECT };
        let mut entries = Vec::new();
        while entries.len() < most && *self.kept < KEPT {
            let Some(Key(key)) = map.next_key()? else {
                return Ok(Node::Object(entries));
            };
            let node = map.next_value_seed(Seed { depth: self.depth + 1, kept: &mut *self.kept })?;
            entries.push((key, node));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Node::Object(entries))
    }
}

/// A key, cut.
struct Key(String);

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Cut;
        impl Visitor<'_> for Cut {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, value: &str) -> Result<Key, E> {
                Ok(Key(cut(value, KEPT_OF_TEXT).to_owned()))
            }
        }
        from.deserialize_str(Cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(node: &Node) -> usize {
        1 + node.items().iter().chain(node.entries().iter().map(|(_, node)| node)).map(count).sum::<usize>()
    }

    #[test]
    fn pythons_numbers_are_read_but_not_inside_texts() {
        let node = read(br#"{"a":[0.0, Infinity],"b":-Infinity,"c":NaN,"d":"NaN \" Infinity","e":1e3}"#).unwrap();
        assert_eq!(node.get("a").unwrap().items(), [Node::Float(0.0), Node::Null]);
        assert_eq!((node.get("b"), node.get("c")), (Some(&Node::Null), Some(&Node::Unsigned(0))));
        assert_eq!(node.get("d").unwrap().text(), Some("NaN \" Infinity"));
        assert_eq!(node.get("e").unwrap().whole(), Some(1000));
    }

    #[test]
    fn long_and_deep_values_are_skipped_and_what_follows_is_kept() {
        let classes: Vec<String> = (0..21_000).map(|n| format!(r#""{n}":"{}""#, "x".repeat(90))).collect();
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let list = vec!["1"; 100_000].join(",");
        let text = format!(r#"{{"id2label":{{{}}},"deep":{deep},"list":[{list}],"last":7}}"#, classes.join(","));
        let node = read(text.as_bytes()).unwrap();
        assert_eq!(node.get("last"), Some(&Node::Unsigned(7)));
        assert!(count(&node) < 900, "{}", count(&node));
        let wide = format!("{{{}}}", (0..200_000).map(|n| format!(r#""k{n}":{n}"#)).collect::<Vec<_>>().join(","));
        assert!(count(&read(wide.as_bytes()).unwrap()) <= KEPT);
    }

    #[test]
    fn errors_say_where_and_what_would_be_right() {
        let error = |text: &[u8]| read(text).unwrap_err().to_string();
        assert_eq!(error(b"{\n  \"a\": }"), "not valid JSON (byte 9: expected value)");
        assert_eq!(error(b"[1]"), "byte 0: not a JSON object; expected `{`");
        assert!(error(b"{} x").contains("trailing characters"));
        assert!(error(&vec![b' '; SIZE_LIMIT + 1]).contains("at most 4 MiB"));
        assert!(read(b"{\"a\":\"\xff\"}").is_err());
    }
}
