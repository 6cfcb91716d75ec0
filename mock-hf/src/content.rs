//! What a file of the mock is made of. Content is read by range and never held whole (except `Bytes`),
//! so a repository of many gigabytes costs no memory.
//!
//! [`Content::Random`] is copied from a pseudo-random pool in 4 KiB blocks; every block begins with a stamp of the
//! seed and its own number, so that a block at the wrong place, or of the wrong file, never goes unnoticed.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// How much is read, hashed or sent at a time.
pub(crate) const CHUNK: u64 = 1 << 20;
const BLOCK: usize = 4096;
const POOL: usize = 1 << 20;
/// Beyond this size no test should wait until a sparse file is hashed: its digest is made up (and documented so).
const SPARSE_HASH_LIMIT: u64 = 64 << 20;

/// Names a generated content: which generator, seed, size.
type Generated = (u8, u64, u64);

/// The bytes of a file.
#[derive(Clone, Debug)]
pub enum Content {
    /// Literal bytes.
    Bytes(Bytes),
    /// Deterministic noise, generated while it is sent.
    Random { seed: u64, size: u64 },
    /// Zeros. Above 64 MiB the sha256 is a stand-in, not the digest of the zeros: such files are for tests of sizes.
    Sparse { size: u64 },
    /// A file on disk, read while it is sent. It must not change while the mock serves it.
    File(PathBuf),
}

impl Content {
    /// Deterministic noise of `size` bytes.
    pub fn random(seed: u64, size: u64) -> Content {
        Content::Random { seed, size }
    }

    /// The length in bytes; 0 for a file that cannot be read.
    pub fn size(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Random { size, .. } | Content::Sparse { size } => *size,
            Content::File(path) => std::fs::metadata(path).map_or(0, |meta| meta.len()),
        }
    }

    /// The bytes `offset .. offset + len`, cut at the end of the content.
    pub fn read_range(&self, offset: u64, len: u64) -> Bytes {
        let size = self.size();
        let start = offset.min(size);
        let end = start.saturating_add(len).min(size);
        match self {
            Content::Bytes(bytes) => bytes.slice(start as usize..end as usize),
            Content::Random { seed, .. } => noise(*seed, start, end),
            Content::Sparse { .. } => BytesMut::zeroed((end - start) as usize).freeze(),
            Content::File(path) => read_file(path, start, end - start),
        }
    }

    /// Everything at once; for small contents and comparisons in tests.
    pub fn read_all(&self) -> Bytes {
        self.read_range(0, self.size())
    }

    /// The sha256 in hex. Generated contents are hashed once per process.
    pub fn sha256(&self) -> String {
        static KNOWN: LazyLock<Mutex<HashMap<Generated, String>>> = LazyLock::new(Mutex::default);
        let key = match self {
            Content::Random { seed, size } => (0, *seed, *size),
            Content::Sparse { size } if *size > SPARSE_HASH_LIMIT => {
                return hex_of(&Sha256::digest(format!("sparse stand-in {size}")));
            }
            Content::Sparse { size } => (1, 0, *size),
            Content::Bytes(_) | Content::File(_) => return hex_of(&self.digest(Sha256::new())),
        };
        if let Some(known) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let digest = hex_of(&self.digest(Sha256::new()));
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(key, digest.clone());
        digest
    }

    /// The git blob id: sha1 over `blob <length> NUL <content>`.
    pub fn git_oid(&self) -> String {
        let mut hash = Sha1::new();
        hash.update(format!("blob {}\0", self.size()));
        hex_of(&self.digest(hash))
    }

    fn digest<D: Digest>(&self, mut hash: D) -> Vec<u8> {
        let size = self.size();
        let mut at = 0;
        while at < size {
            let chunk = self.read_range(at, CHUNK);
            if chunk.is_empty() {
                break;
            }
            hash.update(&chunk);
            at += chunk.len() as u64;
        }
        hash.finalize().to_vec()
    }
}

/// Lower-case hex.
pub(crate) fn hex_of(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// sha1 of a text in hex: ids of commits and directories.
pub(crate) fn sha1_hex(text: &str) -> String {
    hex_of(&Sha1::digest(text))
}

/// sha256 of a text in hex: signatures and stand-ins for Xet hashes.
pub(crate) fn sha256_hex(text: &str) -> String {
    hex_of(&Sha256::digest(text))
}

/// A step of splitmix64: a good mixer for counters.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn noise(seed: u64, start: u64, end: u64) -> Bytes {
    static POOL_BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut pool = Vec::with_capacity(POOL);
        let mut word = 0;
        while pool.len() < POOL {
            pool.extend_from_slice(&mix(word).to_le_bytes());
            word += 1;
        }
        pool
    });
    let pool = POOL_BYTES.as_slice();
    let mut out = BytesMut::with_capacity((end - start) as usize);
    let mut at = start;
    while at < end {
        let number = at / BLOCK as u64;
        let mixed = mix(seed ^ mix(number));
        let from = mixed as usize % (POOL - BLOCK);
        let skip = (at % BLOCK as u64) as usize;
        let take = (BLOCK - skip).min((end - at) as usize);
        let before = out.len();
        out.extend_from_slice(&pool[from + skip..from + skip + take]);
        let mut stamp = [0u8; 16];
        stamp[..8].copy_from_slice(&mixed.to_le_bytes());
        stamp[8..].copy_from_slice(&mix(mixed ^ seed).to_le_bytes());
        if skip < stamp.len() {
            let stamped = (stamp.len() - skip).min(take);
            out[before..before + stamped].copy_from_slice(&stamp[skip..skip + stamped]);
        }
        at += take as u64;
    }
    out.freeze()
}

fn read_file(path: &Path, start: u64, len: u64) -> Bytes {
    let mut buffer = BytesMut::zeroed(len as usize);
    let read = std::fs::File::open(path).and_then(|file| file.read_exact_at(&mut buffer, start));
    match read {
        Ok(()) => buffer.freeze(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "could not read a served file");
            Bytes::new()
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Content {
        Content::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Content {
        Content::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl From<String> for Content {
    fn from(text: String) -> Content {
        Content::Bytes(text.into())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Content {
        Content::Bytes(bytes.into())
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Content {
        Content::Bytes(bytes)
    }
}

impl From<PathBuf> for Content {
    fn from(path: PathBuf) -> Content {
        Content::File(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_reads_the_same_at_any_offset() {
        let content = Content::random(7, 20_000);
        let all = content.read_all();
        for (offset, len) in [(0, 20_000), (1, 17), (4090, 30), (4096, 4096), (8191, 2), (19_999, 10)] {
            let end = (offset + len).min(20_000);
            assert_eq!(content.read_range(offset, len), all.slice(offset as usize..end as usize));
        }
        assert_ne!(all, Content::random(8, 20_000).read_all());
        assert_ne!(all[..4096], all[4096..8192]);
    }

    #[test]
    fn hashes_are_those_of_git_and_sha256() {
        assert_eq!(Content::from("hello\n").git_oid(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(Content::from("").sha256(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
