//! The JSON that we read. Only what we use; the rest passes through as it is.

use serde::Deserialize;
use serde_json::Value;

use super::{Error, Result};
use crate::domain::{Artifact, CommitId, ContentId, Digest, Entry, GitOid, RepoPath, Visibility, XetHash};

/// What an info answer says about a repository.
#[derive(Debug, Clone)]
pub struct ApiInfo {
    pub commit: CommitId,
    pub visibility: Visibility,
}

#[derive(Deserialize)]
struct InfoWire {
    sha: Option<String>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    gated: Value,
}

/// Reads the fields of an info answer that decide something.
pub fn parse_info(value: &Value) -> Result<ApiInfo> {
    let wire = InfoWire::deserialize(value).map_err(|e| Error::Protocol(format!("info: {e}")))?;
    let sha = wire.sha.unwrap_or_default();
    let commit = CommitId::parse(&sha).map_err(|e| Error::Protocol(format!("info: {e}")))?;
    let gated = !matches!(wire.gated, Value::Null | Value::Bool(false));
    let visibility = match (wire.private, gated) {
        (true, _) => Visibility::Private,
        (false, true) => Visibility::Gated,
        (false, false) => Visibility::Public,
    };
    Ok(ApiInfo { commit, visibility })
}

/// One row of a `tree` or `paths-info` answer.
#[derive(Debug, Clone, Deserialize)]
pub struct TreeItem {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<LfsWire>,
    #[serde(rename = "xetHash")]
    xet_hash: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct LfsWire {
    #[serde(alias = "sha256")]
    oid: String,
    #[serde(default)]
    size: u64,
}

impl TreeItem {
    /// Whether a hash is hidden from the caller (64 asterisks): such a listing is that caller's
    /// only, and never the listing of the commit.
    pub fn is_masked(&self) -> bool {
        let masked = |text: &str| text.starts_with('*');
        masked(&self.oid)
            || self.lfs.as_ref().is_some_and(|lfs| masked(&lfs.oid))
            || self.xet_hash.as_deref().is_some_and(masked)
    }

    /// The entry, or `None` if its path or hashes must not reach clients:
    /// a name like `../x` would be written outside their cache.
    pub fn entry(self) -> Option<Entry> {
        let path = RepoPath::parse(&self.path).ok()?;
        let oid = GitOid::parse(&self.oid).ok();
        if self.kind == "directory" {
            return Some(Entry::Directory { path, oid: oid? });
        }
        let (content, size) = match &self.lfs {
            Some(lfs) => (ContentId::Sha256(Digest::parse(&lfs.oid).ok()?), lfs.size.max(self.size)),
            None => (ContentId::Git(oid?), self.size),
        };
        let xet_hash = self.xet_hash.and_then(|hash| XetHash::parse(&hash).ok());
        Some(Entry::File(Artifact { path, size, content, oid, xet_hash }))
    }
}
