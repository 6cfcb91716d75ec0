//! What a Xet store says of a range of a file: which chunks of which xorbs, and where they are.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;

/// Terms in the order of the file, and the pieces that hold their chunks, by xorb.
pub(super) struct Recipe {
    /// Bytes of the first term that precede the range.
    pub(super) skip: u64,
    pub(super) terms: Vec<Term>,
    pub(super) pieces: HashMap<String, Vec<Piece>>,
}

/// Chunks of one xorb that belong into the file one after the other.
#[derive(Deserialize)]
pub(super) struct Term {
    pub(super) hash: String,
    pub(super) unpacked_length: u64,
    pub(super) range: Chunks,
}

/// Numbers of chunks in a xorb, half-open.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Chunks {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Chunks {
    pub(super) fn holds(self, number: u32) -> bool {
        self.start <= number && number < self.end
    }
}

/// Where a run of a xorb's chunks is. The address is signed: it is not shown or logged.
pub(super) struct Piece {
    pub(super) url: Arc<str>,
    pub(super) chunks: Chunks,
    pub(super) bytes: Range<u64>,
}

/// `GET /v2/reconstructions/{hash}`, and `/v1/`, which has `fetch_info` in the place of `xorbs`.
#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    offset_into_first_range: u64,
    terms: Vec<Term>,
    #[serde(default)]
    xorbs: HashMap<String, Vec<FetchWire>>,
    #[serde(default)]
    fetch_info: HashMap<String, Vec<OldFetchWire>>,
}

#[derive(Deserialize)]
struct FetchWire {
    url: String,
    ranges: Vec<RangeWire>,
}

#[derive(Deserialize)]
struct RangeWire {
    chunks: Chunks,
    bytes: BytesWire,
}

#[derive(Deserialize)]
struct OldFetchWire {
    url: String,
    range: Chunks,
    url_range: BytesWire,
}

/// The last byte is included, as in HTTP.
#[derive(Deserialize)]
struct BytesWire {
    start: u64,
    end: u64,
}

impl BytesWire {
    fn half_open(&self) -> Range<u64> {
        self.start..self.end.saturating_add(1)
    }
}

impl Recipe {
    /// Reads either form. The parser's own error could hold a signed URL, so there is none.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(text).ok()?;
        let mut pieces: HashMap<String, Vec<Piece>> = HashMap::new();
        for (hash, fetches) in wire.xorbs {
            let run = fetches.into_iter().flat_map(|FetchWire { url, ranges }| {
                // Shared: a copy for each of its ranges could be far more than was received.
                let url: Arc<str> = url.into();
                let piece = move |range: RangeWire| Piece {
                    url: url.clone(),
                    chunks: range.chunks,
                    bytes: range.bytes.half_open(),
                };
                ranges.into_iter().map(piece)
            });
            pieces.entry(hash).or_default().extend(run);
        }
        for (hash, fetches) in wire.fetch_info {
            let run = fetches.into_iter();
            let run = run.map(|old| Piece { url: old.url.into(), chunks: old.range, bytes: old.url_range.half_open() });
            pieces.entry(hash).or_default().extend(run);
        }
        Some(Self { skip: wire.offset_into_first_range, terms: wire.terms, pieces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_pieces() {
        let term = r#""terms":[{"hash":"aa","unpacked_length":9,"range":{"start":2,"end":4}}]"#;
        let new = r#""xorbs":{"aa":[{"url":"http://x/1","ranges":[{"chunks":{"start":2,"end":4},"bytes":{"start":10,"end":19}}]}]}"#;
        let old = r#""fetch_info":{"aa":[{"url":"http://x/1","range":{"start":2,"end":4},"url_range":{"start":10,"end":19}}]}"#;
        for form in [new, old] {
            let text = format!("{{\"offset_into_first_range\":3,{term},{form}}}");
            let recipe = Recipe::parse(text.as_bytes()).unwrap();
            let piece = &recipe.pieces["aa"][0];
            assert_eq!((&*piece.url, piece.chunks.start, piece.chunks.end), ("http://x/1", 2, 4));
            assert_eq!((piece.bytes.clone(), recipe.skip), (10..20, 3));
        }
    }

    #[test]
    fn the_address_of_many_ranges_is_kept_once() {
        let range = r#"{"chunks":{"start":0,"end":1},"bytes":{"start":0,"end":9}}"#;
        let text = format!(r#"{{"terms":[],"xorbs":{{"aa":[{{"url":"http://x/1","ranges":[{range},{range}]}}]}}}}"#);
        let recipe = Recipe::parse(text.as_bytes()).unwrap();
        let [first, second] = &recipe.pieces["aa"][..] else { panic!("{text}") };
        assert_eq!(first.url.as_ptr(), second.url.as_ptr());
    }
}
