//! A file's Xet hash: the identifier under which Xet clients ask for its content.
//!
//! Steps (public Xet specification; constants of xet-core 1.8): cut the bytes into chunks where a
//! rolling hash says so → hash each chunk → merge the hashes level by level into one root → hash
//! the root once more. Memory is constant: a level keeps its open group only. Whether it is right
//! is tested against xet-core's own crates (`tests/xet`); they are not used here because they
//! bring a whole runtime that reads its settings from the environment.

use crate::domain::XetHash;

const MIN_CHUNK: usize = 8 * 1024;
const MAX_CHUNK: usize = 128 * 1024;
/// Before this no cut is possible, and the rolling hash has forgotten it at the earliest cut.
const SKIP: usize = MIN_CHUNK - 64 - 1;
const CUT_MASK: u64 = 0xffff_0000_0000_0000;

const CHUNK_KEY: [u8; 32] = [
    102, 151, 245, 119, 91, 149, 80, 222, 49, 53, 203, 172, 165, 151, 24, 28, 157, 228, 33, 16, 155, 235, 43, 88, 180,
    208, 176, 75, 147, 173, 242, 41,
];
const NODE_KEY: [u8; 32] = [
    1, 126, 197, 199, 165, 71, 41, 150, 253, 148, 102, 102, 180, 138, 2, 230, 93, 221, 83, 111, 55, 199, 109, 210, 248,
    99, 82, 230, 74, 83, 113, 63,
];
const FILE_KEY: [u8; 32] = [0; 32];

/// A group has at least and at most so many members.
const GROUP: std::ops::RangeInclusive<usize> = 3..=9;
/// A group ends with a member whose last word is a multiple of this.
const GROUP_MODULUS: u64 = 4;

#[derive(Clone, Copy)]
struct Node {
    hash: [u8; 32],
    size: u64,
}

#[derive(Default)]
struct Level {
    /// Nodes that this level has had.
    count: u64,
    open: Vec<Node>,
}

/// See the module's text.
pub struct XetHasher {
    rolling: gearhash::Hasher<'static>,
    chunk: blake3::Hasher,
    chunk_len: usize,
    levels: Vec<Level>,
}

impl Default for XetHasher {
    fn default() -> Self {
        Self {
            rolling: gearhash::Hasher::default(),
            chunk: blake3::Hasher::new_keyed(&CHUNK_KEY),
            chunk_len: 0,
            levels: Vec::new(),
        }
    }
}

impl XetHasher {
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (taken, is_cut) = if self.chunk_len < SKIP {
                (bytes.len().min(SKIP - self.chunk_len), false)
            } else {
                let window = &bytes[..bytes.len().min(MAX_CHUNK - self.chunk_len)];
                match self.rolling.next_match(window, CUT_MASK) {
                    Some(taken) => (taken, self.chunk_len + taken >= MIN_CHUNK),
                    None => (window.len(), self.chunk_len + window.len() == MAX_CHUNK),
                }
            };
            self.chunk.update(&bytes[..taken]);
            self.chunk_len += taken;
            bytes = &bytes[taken..];
            if is_cut {
                self.end_chunk();
            }
        }
    }

    fn end_chunk(&mut self) {
        let hash = *self.chunk.finalize().as_bytes();
        self.add(0, Node { hash, size: self.chunk_len as u64 });
        self.chunk = blake3::Hasher::new_keyed(&CHUNK_KEY);
        self.chunk_len = 0;
        self.rolling.set_hash(0);
    }

    /// Adds a node to a level; a group that is complete becomes a node of the next one.
    fn add(&mut self, level: usize, node: Node) {
        if self.levels.len() == level {
            self.levels.push(Level::default());
        }
        let Some(this) = self.levels.get_mut(level) else { return };
        this.count += 1;
        this.open.push(node);
        let [.., a, b, c, d, e, f, g, h] = node.hash;
        let ends = u64::from_le_bytes([a, b, c, d, e, f, g, h]).is_multiple_of(GROUP_MODULUS);
        if this.open.len() >= *GROUP.end() || this.open.len() >= *GROUP.start() && ends {
            let group = std::mem::take(&mut this.open);
            self.add(level + 1, merged(&group));
        }
    }

    /// The hash as clients write it; all zeros for no bytes at all.
    pub fn finish(mut self) -> XetHash {
        if self.chunk_len > 0 {
            self.end_chunk();
        }
        let mut level = 0;
        while let Some(this) = self.levels.get_mut(level) {
            let group = std::mem::take(&mut this.open);
            if this.count == 1
                && let [root] = group[..]
            {
                return XetHash::from_hash(*blake3::keyed_hash(&FILE_KEY, &root.hash).as_bytes());
            }
            if !group.is_empty() {
                self.add(level + 1, merged(&group));
            }
            level += 1;
        }
        XetHash::from_hash([0; 32])
    }
}

fn merged(group: &[Node]) -> Node {
    let mut hasher = blake3::Hasher::new_keyed(&NODE_KEY);
    for node in group {
        hasher.update(format!("{} : {}\n", XetHash::from_hash(node.hash), node.size).as_bytes());
    }
    Node { hash: *hasher.finalize().as_bytes(), size: group.iter().map(|node| node.size).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_does_not_depend_on_how_the_bytes_come() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        let of = |step: usize| {
            let mut hasher = XetHasher::default();
            bytes.chunks(step).for_each(|piece| hasher.update(piece));
            hasher.finish()
        };
        let whole = of(bytes.len());
        for step in [1, 1000, 8127, 65_536, 131_072, 1_000_000] {
            assert_eq!(of(step), whole, "in steps of {step}");
        }
    }

    #[test]
    fn words_are_written_as_clients_write_them() {
        let mut bytes = [0; 32];
        (0..).zip(&mut bytes).for_each(|(i, byte)| *byte = i);
        assert_eq!(
            XetHash::from_hash(bytes).to_string(),
            "07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918"
        );
        assert_eq!(XetHasher::default().finish().to_string(), "0".repeat(64));
    }
}
