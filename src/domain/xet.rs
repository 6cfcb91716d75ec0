//! How this hub cuts a file into xorbs, and where in a xorb each byte stands.
//!
//! Xet serves files as terms: runs of chunks of xorbs (public Xet specification). Ours are
//! arithmetic: every chunk holds 128 KiB of the file, uncompressed, after a header of 8 bytes;
//! every xorb holds 64 chunks. Clients check lengths, not chunk boundaries, so the boundaries of
//! upstream's own cutting need not be known, and nothing is stored twice.

use std::ops::Range;

/// The most that clients accept in a chunk (xet-core `MAX_CHUNK_SIZE`).
pub const CHUNK: u64 = 128 * 1024;
/// Version, stored length, scheme, length.
pub const CHUNK_HEADER: u64 = 8;
/// 8 MiB of the file: enough that requests do not show, little enough to fetch again.
pub const XORB_CHUNKS: u64 = 64;
const XORB: u64 = CHUNK * XORB_CHUNKS;

/// Part of a file as a run of chunks of one xorb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Which xorb of the file.
    pub xorb: u64,
    /// Chunks within the xorb.
    pub chunks: Range<u64>,
    /// Bytes of the file in those chunks.
    pub len: u64,
    /// Where those chunks stand in the serialised xorb.
    pub bytes: Range<u64>,
}

/// The layout of a file of this size.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub size: u64,
}

/// What a part of a serialised xorb consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A part of a chunk's header.
    Header(Vec<u8>),
    /// Bytes of the file; never more than a chunk.
    File(Range<u64>),
}

impl Layout {
    /// The terms that cover a non-empty range of the file, in order, and how many bytes of the
    /// first one precede it. Only the chunks that the range touches are in them.
    pub fn terms(self, range: Range<u64>) -> impl Iterator<Item = Term> {
        let (first, last) = (range.start / XORB, range.end.saturating_sub(1) / XORB);
        (first..=last).map(move |xorb| {
            let start = xorb * XORB;
            let from = range.start.max(start) - start;
            let to = range.end.min(start + XORB) - start;
            let chunks = from / CHUNK..to.div_ceil(CHUNK);
            self.term(xorb, chunks)
        })
    }

    pub fn offset_into_first(self, range: &Range<u64>) -> u64 {
        range.start % CHUNK
    }

    /// `None` if there is no such xorb, or it has not so many chunks.
    pub fn checked_term(self, xorb: u64, chunks: Range<u64>) -> Option<Term> {
        let exists = xorb < self.size.div_ceil(XORB) && chunks.start < chunks.end;
        (exists && chunks.end <= self.chunks_of(xorb)).then(|| self.term(xorb, chunks))
    }

    fn term(self, xorb: u64, chunks: Range<u64>) -> Term {
        let start = xorb * XORB;
        let end = (start + chunks.end * CHUNK).min(self.size);
        let len = end - (start + chunks.start * CHUNK);
        let at = chunks.start * (CHUNK + CHUNK_HEADER);
        let bytes = at..at + len + (chunks.end - chunks.start) * CHUNK_HEADER;
        Term { xorb, chunks, len, bytes }
    }

    fn chunks_of(self, xorb: u64) -> u64 {
        (self.size - xorb * XORB).min(XORB).div_ceil(CHUNK)
    }

    /// What stands at `bytes` of a serialised xorb; they must lie within it.
    pub fn pieces(self, xorb: u64, bytes: Range<u64>) -> Vec<Piece> {
        const STRIDE: u64 = CHUNK + CHUNK_HEADER;
        let mut pieces = Vec::new();
        let mut at = bytes.start;
        while at < bytes.end {
            let chunk = at / STRIDE;
            let start = xorb * XORB + chunk * CHUNK;
            let len = CHUNK.min(self.size - start);
            let within = at - chunk * STRIDE;
            let left = bytes.end - at;
            if within < CHUNK_HEADER {
                let to = CHUNK_HEADER.min(within + left);
                pieces.push(Piece::Header(header(len)[within as usize..to as usize].to_vec()));
                at += to - within;
            } else {
                let from = within - CHUNK_HEADER;
                let to = len.min(from + left);
                pieces.push(Piece::File(start + from..start + to));
                at += to - from;
            }
        }
        pieces
    }
}

/// Version 0, both lengths as 24 bits (little endian) around scheme 0, which is "as it is".
fn header(len: u64) -> [u8; CHUNK_HEADER as usize] {
    let [a, b, c, ..] = len.to_le_bytes();
    [0, a, b, c, 0, a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client makes of the pieces of a term.
    fn unpacked(layout: Layout, term: &Term) -> u64 {
        let mut total = 0;
        let mut expected = 0;
        for piece in layout.pieces(term.xorb, term.bytes.clone()) {
            match piece {
                Piece::Header(header) => {
                    assert_eq!(expected, 0, "a chunk is as long as its header says");
                    assert_eq!((header[0], header[4]), (0, 0));
                    assert_eq!(header[1..4], header[5..8]);
                    expected = u64::from(u32::from_le_bytes([header[1], header[2], header[3], 0]));
                }
                Piece::File(range) => {
                    assert_eq!(range.end - range.start, expected);
                    total += expected;
                    expected = 0;
                }
            }
        }
        total
    }

    #[test]
    fn terms_cover_exactly_what_is_asked_for() {
        for size in [1, CHUNK - 1, CHUNK, CHUNK + 1, XORB - 1, XORB, XORB + 1, 3 * XORB + 5 * CHUNK + 7] {
            let layout = Layout { size };
            for range in [0..size, 0..1, size - 1..size, size / 3..size / 2 + 1, size / 2..size] {
                let terms: Vec<Term> = layout.terms(range.clone()).collect();
                let total: u64 = terms.iter().map(|term| term.len).sum();
                let before = layout.offset_into_first(&range);
                assert!(before < CHUNK && before <= terms[0].len);
                assert!(total - before >= range.end - range.start, "{size} {range:?}");
                assert!(
                    total - before - (range.end - range.start) < CHUNK,
                    "{size} {range:?}: more than a chunk too much"
                );
                for term in &terms {
                    assert_eq!(unpacked(layout, term), term.len);
                    assert_eq!(layout.checked_term(term.xorb, term.chunks.clone()).as_ref(), Some(term));
                }
            }
        }
    }

    #[test]
    fn parts_of_a_xorb_join_to_the_whole() {
        let layout = Layout { size: 2 * CHUNK + 100 };
        let whole = layout.checked_term(0, 0..3).unwrap();
        let flat = |bytes: Range<u64>| -> Vec<(bool, u64)> {
            let pieces = layout.pieces(0, bytes);
            let each = pieces.into_iter().flat_map(|piece| match piece {
                Piece::Header(bytes) => bytes.into_iter().map(|b| (true, u64::from(b))).collect::<Vec<_>>(),
                Piece::File(range) => range.map(|at| (false, at)).collect(),
            });
            each.collect()
        };
        let all = flat(whole.bytes.clone());
        assert_eq!(all.len() as u64, whole.bytes.end);
        for cut in [1, 7, 8, 9, CHUNK, CHUNK + 8, CHUNK + 11, 2 * CHUNK + 16, whole.bytes.end - 1] {
            let joined = [flat(0..cut), flat(cut..whole.bytes.end)].concat();
            assert!(joined == all, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_not_there_has_no_term() {
        let layout = Layout { size: XORB + 1 };
        assert!(layout.checked_term(1, 0..1).is_some());
        for (xorb, chunks) in [(1, 0..2), (1, 1..1), (2, 0..1), (0, 0..65), (u64::MAX / XORB, 0..1)] {
            assert_eq!(layout.checked_term(xorb, chunks), None);
        }
        assert_eq!(Layout { size: 0 }.checked_term(0, 0..1), None);
    }
}
