//! How a chunk is stored in a xorb (public Xet specification).
//!
//! A head of eight bytes: version, packed length, scheme, length (little endian, three bytes each). Then
//! the bytes: as they are, as an LZ4 frame, or as an LZ4 frame of the bytes in four groups, as for numbers
//! of four bytes: all first bytes, all second ones, and so on.

use std::io::Read as _;

use bytes::Bytes;
use lz4_flex::frame::FrameDecoder;

/// Bytes of a head.
pub(super) const HEAD: usize = 8;
/// The largest chunk (xet-core `MAX_CHUNK_SIZE`).
const LARGEST: usize = 128 * 1024;

/// The header of a chunk.
#[derive(Debug)]
pub(super) struct Head {
    /// Bytes that follow.
    pub(super) packed: usize,
    scheme: Scheme,
    length: usize,
}

#[derive(Debug, Clone, Copy)]
enum Scheme {
    Plain,
    Lz4,
    GroupedLz4,
}

impl Head {
    /// Refuses invalid headers: the size of a chunk is bounded by its header.
    pub(super) fn parse([version, p0, p1, p2, scheme, l0, l1, l2]: [u8; HEAD]) -> Result<Self, &'static str> {
        let number = |low, middle, high| u32::from_le_bytes([low, middle, high, 0]) as usize;
        let (packed, length) = (number(p0, p1, p2), number(l0, l1, l2));
        let scheme = match scheme {
            0 => Scheme::Plain,
            1 => Scheme::Lz4,
            2 => Scheme::GroupedLz4,
            _ => return Err("unknown compression of a chunk"),
        };
        if version != 0 {
            return Err("unknown version of a chunk");
        }
        if length > LARGEST || packed > 2 * LARGEST {
            return Err("a chunk is too large");
        }
        Ok(Self { packed, scheme, length })
    }

    /// The chunk itself, which has the length that its head says.
    pub(super) fn unpack(&self, packed: Bytes) -> Result<Bytes, &'static str> {
        let chunk = match self.scheme {
            Scheme::Plain => packed,
            Scheme::Lz4 => self.unpack_lz4(&packed)?.into(),
            Scheme::GroupedLz4 => ungroup(&self.unpack_lz4(&packed)?).into(),
        };
        if chunk.len() == self.length { Ok(chunk) } else { Err("the length of a chunk does not match its header") }
    }

    fn unpack_lz4(&self, packed: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut chunk = Vec::with_capacity(self.length + 1);
        // One byte more than it may have: a frame can unfold to very much.
        let mut frame = FrameDecoder::new(packed).take(self.length as u64 + 1);
        frame.read_to_end(&mut chunk).map_err(|_| "a chunk cannot be decompressed")?;
        Ok(chunk)
    }
}

/// Puts bytes in four groups back into their order. A remainder of less than four bytes went to the first groups.
fn ungroup(grouped: &[u8]) -> Vec<u8> {
    let mut chunk = vec![0; grouped.len()];
    let mut rest = grouped;
    for group in 0..4 {
        let (bytes, others) = rest.split_at((grouped.len() + 3 - group) / 4);
        rest = others;
        for (at, byte) in chunk.iter_mut().skip(group).step_by(4).zip(bytes) {
            *at = *byte;
        }
    }
    chunk
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lz4(bytes: &[u8]) -> Vec<u8> {
        let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
        frame.write_all(bytes).unwrap();
        frame.finish().unwrap()
    }

    fn unpack(scheme: u8, length: u8, packed: Vec<u8>) -> Result<Bytes, &'static str> {
        Head::parse([0, packed.len() as u8, 0, 0, scheme, length, 0, 0])?.unpack(packed.into())
    }

    #[test]
    fn every_scheme_gives_the_chunk_back() {
        let chunk: Vec<u8> = (0..10).collect();
        assert_eq!(unpack(0, 10, chunk.clone()).unwrap(), chunk);
        assert_eq!(unpack(1, 10, lz4(&chunk)).unwrap(), chunk);
        assert_eq!(unpack(2, 10, lz4(&[0, 4, 8, 1, 5, 9, 2, 6, 3, 7])).unwrap(), chunk);
        for length in 0..10 {
            let grouped: Vec<u8> = (0..4).flat_map(|group| (group..length).step_by(4)).collect();
            assert_eq!(ungroup(&grouped), (0..length).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        assert!(unpack(0, 9, vec![0; 10]).is_err());
        assert!(unpack(1, 9, lz4(&[0; 10])).is_err());
        assert!(unpack(1, 11, lz4(&[0; 10])).is_err());
        assert!(unpack(1, 10, vec![7; 10]).is_err());
        assert!(unpack(3, 10, vec![0; 10]).is_err());
        assert!(Head::parse([1, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(Head::parse([0, 0, 0, 0, 0, 1, 0, 2]).is_err());
        assert!(Head::parse([0, 1, 0, 4, 0, 0, 0, 0]).is_err());
        assert!(Head::parse(*b"XETBLOB\0").is_err(), "the footer of a xorb is no chunk");
    }
}
