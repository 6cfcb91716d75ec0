//! All names of a content in one pass.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::XetHasher;
use crate::domain::{ContentId, Digest, GitOid, XetHash};

/// Hashes a file of known size. The sha256 names the blob in the store; the git blob id is
/// computed as well when that is what upstream promised, or when the file is small.
pub struct ContentHasher {
    expected: ContentId,
    sha256: Sha256,
    sha1: Option<Sha1>,
    xet: Option<XetHasher>,
}

/// What a content was proven to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    pub digest: Digest,
    /// If it was wanted.
    pub xet_hash: Option<XetHash>,
}

impl ContentHasher {
    pub fn new(expected: ContentId, size: u64) -> Self {
        let sha1 = (!expected.is_lfs()).then(|| {
            let mut sha1 = Sha1::new();
            // git hashes a header before the content (git-hash-object).
            sha1.update(format!("blob {size}\0"));
            sha1
        });
        Self { expected, sha256: Sha256::new(), sha1, xet: None }
    }

    /// Computes the Xet hash too: about as much work again.
    pub fn with_xet(mut self) -> Self {
        self.xet = Some(XetHasher::default());
        self
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
        if let Some(xet) = &mut self.xet {
            xet.update(bytes);
        }
    }

    /// `Err` holds what the content is instead of what was expected.
    pub fn finish(self) -> Result<Proven, ContentId> {
        let digest = Digest::from_bytes(self.sha256.finalize().into());
        let actual = match self.sha1 {
            Some(sha1) => ContentId::Git(GitOid::from_bytes(sha1.finalize().into())),
            None => ContentId::Sha256(digest),
        };
        if actual != self.expected {
            return Err(actual);
        }
        Ok(Proven { digest, xet_hash: self.xet.map(XetHasher::finish) })
    }
}

/// Both names of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub sha256: Digest,
    pub git_oid: GitOid,
    /// If it was wanted.
    pub xet_hash: Option<XetHash>,
}

impl Names {
    /// Whether these are the bytes that upstream, or the name of a file in a cache, promises.
    pub fn are(&self, content: ContentId) -> bool {
        match content {
            ContentId::Sha256(digest) => digest == self.sha256,
            ContentId::Git(oid) => oid == self.git_oid,
        }
    }
}

/// Computes both names of a file of known size of which nothing is promised, and its Xet hash if that is wanted.
pub(super) struct NameHasher {
    sha256: Sha256,
    sha1: Sha1,
    xet: Option<XetHasher>,
}

impl NameHasher {
    pub(super) fn new(size: u64, with_xet: bool) -> Self {
        let mut sha1 = Sha1::new();
        sha1.update(format!("blob {size}\0"));
        Self { sha256: Sha256::new(), sha1, xet: with_xet.then(XetHasher::default) }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.sha1.update(bytes);
        if let Some(xet) = &mut self.xet {
            xet.update(bytes);
        }
    }

    pub(super) fn finish(self) -> Names {
        let sha256 = Digest::from_bytes(self.sha256.finalize().into());
        let git_oid = GitOid::from_bytes(self.sha1.finalize().into());
        Names { sha256, git_oid, xet_hash: self.xet.map(XetHasher::finish) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_ids_are_those_of_git_hash_object() {
        // printf 'hello\n' | git hash-object --stdin
        let oid = GitOid::parse("ce013625030ba8dba906f756967f9e9ca394464a").unwrap();
        let mut hasher = ContentHasher::new(ContentId::Git(oid), 6);
        hasher.update(b"hello\n");
        // printf 'hello\n' | sha256sum
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(hasher.finish().map(|proven| proven.digest.to_hex()), Ok(sha256.to_owned()));

        let mut wrong = ContentHasher::new(ContentId::Git(oid), 6);
        wrong.update(b"hellO\n");
        assert!(wrong.finish().is_err());
    }
}
