//! Byte ranges of HTTP (RFC 9110, section 14), as far as the Hub and its clients use them.

use std::ops::Range;

/// One `bytes=` range as asked, before the length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `a-b`, both ends included. `b` may lie past the end; several clients ask so.
    Bounded(u64, u64),
    /// `a-`: from here to the end. What a client sends that resumes a whole file.
    From(u64),
    /// `-n`: the last n bytes.
    Suffix(u64),
}

impl ByteRange {
    /// Reads a `Range` header. `None` means that it is to be ignored (200 with everything):
    /// other units, malformed text, and several ranges, which RFC 9110 lets a server ignore.
    pub fn parse(header: &str) -> Option<Self> {
        let (unit, spec) = header.trim().split_once('=')?;
        let spec = unit.eq_ignore_ascii_case("bytes").then_some(spec.trim())?;
        if spec.contains(',') {
            return None;
        }
        let (first, last) = spec.split_once('-')?;
        let number = |text: &str| -> Option<u64> {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            // Numbers past u64 are legal text; they mean "beyond any end".
            digits.then(|| text.parse().unwrap_or(u64::MAX))
        };
        match (first.trim(), last.trim()) {
            ("", last) => Some(Self::Suffix(number(last)?)),
            (first, "") => Some(Self::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Bounded(first, last))
            }
        }
    }

    /// The half-open range of a body of `size` bytes; `None` is 416. Ends are clamped.
    pub fn resolve(self, size: u64) -> Option<Range<u64>> {
        match self {
            Self::Bounded(first, last) => (first < size).then(|| first..last.saturating_add(1).min(size)),
            Self::From(first) => (first < size).then_some(first..size),
            Self::Suffix(count) => (count > 0 && size > 0).then(|| size.saturating_sub(count)..size),
        }
    }

    /// Whether the client may put a whole file together from this answer and check only its
    /// size: `a-`, and `a-b` with `b` past the end (hf_transfer and hf-hub 0.4 ask so).
    /// Such an answer must not end before the digest is known to be right.
    pub fn finishes_a_file(self, size: u64) -> bool {
        match self {
            Self::From(_) => true,
            Self::Bounded(_, last) => last >= size,
            Self::Suffix(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_no_letter_case() {
        assert_eq!(ByteRange::parse("Bytes=0-1"), Some(ByteRange::Bounded(0, 1)));
        assert_eq!(ByteRange::parse("items=0-1"), None);
    }

    #[test]
    fn ranges_are_clamped_to_the_size() {
        let resolve = |text: &str, size| ByteRange::parse(text).map(|r| r.resolve(size));
        assert_eq!(resolve("bytes=0-0", 10), Some(Some(0..1)));
        assert_eq!(resolve("bytes=2-", 10), Some(Some(2..10)));
        assert_eq!(resolve("bytes=2-99", 10), Some(Some(2..10)));
        assert_eq!(resolve("bytes=-3", 10), Some(Some(7..10)));
        assert_eq!(resolve("bytes=-30", 10), Some(Some(0..10)));
        assert_eq!(resolve("bytes=5-99999999999999999999999", 10), Some(Some(5..10)));
    }

    #[test]
    fn ranges_beyond_the_end_are_not_satisfiable() {
        for text in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(ByteRange::parse(text).and_then(|r| r.resolve(10)), None, "{text}");
        }
        assert_eq!(ByteRange::parse("bytes=0-0").and_then(|r| r.resolve(0)), None);
    }

    #[test]
    fn malformed_and_multiple_ranges_are_ignored() {
        for text in
            ["", "bytes", "bytes=", "bytes=a-b", "bytes=5-2", "bytes=0-1,3-4", "items=0-1", "bytes=--1", "bytes=+1-2"]
        {
            assert_eq!(ByteRange::parse(text), None, "{text}");
        }
    }
}
