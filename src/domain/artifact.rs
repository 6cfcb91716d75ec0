//! Entries of a commit's tree, and who may see a repository.

use super::{ContentId, GitOid, RepoPath, XetHash};

/// One file of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub path: RepoPath,
    /// Bytes of the content, also for LFS files.
    pub size: u64,
    /// What the content hashes to: sha256 for LFS files, git blob id for all others.
    pub content: ContentId,
    /// The git blob id in the tree: of the content, or of the pointer text of an LFS file.
    /// Unknown when the file was learned from a HEAD instead of a listing.
    pub oid: Option<GitOid>,
    /// The name of the content for Xet: upstream's, or computed here when the file was published.
    pub xet_hash: Option<XetHash>,
}

impl Artifact {
    /// A file of which an imported cache has the name and not the bytes. Its size is not known, which 0 says: only the
    /// content of no bytes has that.
    pub fn lost(path: RepoPath, content: ContentId) -> Self {
        let oid = match content {
            ContentId::Git(oid) => Some(oid),
            ContentId::Sha256(_) => None,
        };
        Self { path, size: 0, content, oid, xet_hash: None }
    }

    pub fn is_lost(&self) -> bool {
        self.size == 0 && !self.content.is_of_no_bytes()
    }

    /// An empty file, of which nothing has to be stored.
    pub fn is_of_no_bytes(&self) -> bool {
        self.size == 0 && self.content.is_of_no_bytes()
    }

    /// The LFS pointer text, which is what git stores for an LFS file and `/raw/` returns.
    pub fn pointer(&self) -> Option<String> {
        match self.content {
            ContentId::Sha256(digest) => {
                Some(format!("version https://git-lfs.github.com/spec/v1\noid {digest}\nsize {}\n", self.size))
            }
            ContentId::Git(_) => None,
        }
    }
}

/// One row of a tree listing. Recursive listings of the Hub contain directories too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Directory { path: RepoPath, oid: GitOid },
    File(Artifact),
}

impl Entry {
    pub fn path(&self) -> &RepoPath {
        match self {
            Self::Directory { path, .. } => path,
            Self::File(artifact) => &artifact.path,
        }
    }
}

/// Who may see a repository, as upstream says in its info.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Metadata and bytes for everybody.
    Public,
    /// Metadata for everybody (though hashes may be masked), bytes only for accepted callers.
    Gated,
    /// Nothing but for accepted callers.
    Private,
}

impl Visibility {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Gated => "gated",
            Self::Private => "private",
        }
    }

    /// Reads the database's word; an unknown one is the strictest.
    pub fn parse(word: &str) -> Self {
        match word {
            "public" => Self::Public,
            "gated" => Self::Gated,
            _ => Self::Private,
        }
    }
}
