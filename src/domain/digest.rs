//! Names of content: sha256 (blobs, LFS files) and git blob ids (all other files).

use std::fmt;

use super::ParseError;

fn decode<const N: usize>(what: &'static str, text: &str, rule: &'static str) -> Result<[u8; N], ParseError> {
    let mut bytes = [0u8; N];
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() == 2 * N && lower && hex::decode_to_slice(text, &mut bytes).is_ok() {
        return Ok(bytes);
    }
    Err(ParseError::new(what, text, rule))
}

/// The sha256 of some bytes; the name of a blob in the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 lower-case hex digits, without a `sha256:` prefix.
    pub fn bytes(self) -> [u8; 32] {
        self.0
    }

    pub fn parse(text: &str) -> Result<Self, ParseError> {
        decode("sha256", text, "expected 64 lower-case hex digits").map(Self)
    }

    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `sha1("blob <decimal length>\0" + content)`: git's name of a blob, and the Hub's etag of
/// every file that is not in LFS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GitOid([u8; 20]);

impl GitOid {
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    pub fn parse(text: &str) -> Result<Self, ParseError> {
        decode("git object id", text, "expected 40 lower-case hex digits").map(Self)
    }

    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for GitOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "git:{}", self.to_hex())
    }
}

impl fmt::Debug for GitOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name of a content for Xet (public Xet specification, file hashes), as text of 64 lower-case hex digits. That text
/// has the bytes of the hash in another order; nobody here needs the hash itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct XetHash([u8; 32]);

impl XetHash {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        decode("Xet hash", text, "expected 64 lower-case hex digits").map(Self)
    }

    /// From the bytes of a hash: each 8 of them are a number in little-endian order, written down in hex.
    pub fn from_hash(hash: [u8; 32]) -> Self {
        let mut text = hash;
        text.chunks_exact_mut(8).for_each(<[u8]>::reverse);
        Self(text)
    }
}

impl fmt::Display for XetHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for XetHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xet:{self}")
    }
}

/// What the bytes of a file must hash to, learned from metadata before they are fetched.
///
/// It keys flights and blobs: two repositories that name the same content share both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContentId {
    /// An LFS file: the sha256 of its content.
    Sha256(Digest),
    /// Any other file: its git blob id.
    Git(GitOid),
}

impl ContentId {
    /// Reads the value of an etag without its quotes, or a `partial` file's stem.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match text.len() {
            64 => Digest::parse(text).map(Self::Sha256),
            _ => GitOid::parse(text).map(Self::Git),
        }
    }

    /// The hex text that the Hub uses as etag. Clients name their cached files after it.
    pub fn to_hex(self) -> String {
        match self {
            Self::Sha256(digest) => digest.to_hex(),
            Self::Git(oid) => oid.to_hex(),
        }
    }

    /// The strong, quoted `ETag` that clients get.
    pub fn etag(self) -> String {
        format!("\"{}\"", self.to_hex())
    }

    /// Whether it is the name of the content of an empty file.
    pub fn is_of_no_bytes(self) -> bool {
        let name = match self {
            Self::Sha256(_) => "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            Self::Git(_) => "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
        };
        self.to_hex() == name
    }

    pub fn is_lfs(self) -> bool {
        matches!(self, Self::Sha256(_))
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => digest.fmt(f),
            Self::Git(oid) => oid.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ids_are_told_apart_by_length_and_refuse_masks() {
        let sha = "a".repeat(64);
        let oid = "b".repeat(40);
        assert!(ContentId::parse(&sha).is_ok_and(ContentId::is_lfs));
        assert!(ContentId::parse(&oid).is_ok_and(|id| !id.is_lfs()));
        for bad in ["", &"*".repeat(64), &"A".repeat(64), &"a".repeat(63), &"b".repeat(41)] {
            assert!(ContentId::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
