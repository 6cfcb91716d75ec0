//! An entry of a tree as the Hub writes it.

use serde_json::{Value, json};

use super::Catalog;
use crate::domain::{Artifact, CommitId, Entry, XetHash};

impl Catalog {
    /// An entry as the Hub writes it. `last_commit` stands in for the commit dates of `expand`,
    /// which are not kept.
    pub fn entry_json(&self, entry: &Entry, last_commit: Option<&CommitId>) -> Value {
        let mut value = match entry {
            Entry::Directory { path, oid } => {
                json!({"type": "directory", "oid": oid.to_hex(), "size": 0, "path": path.as_str()})
            }
            Entry::File(artifact) => {
                let oid = object_id(artifact);
                let mut value = json!({"type": "file", "oid": oid, "size": artifact.size});
                if let Some(pointer) = artifact.pointer() {
                    value["lfs"] =
                        json!({"oid": artifact.content.to_hex(), "size": artifact.size, "pointerSize": pointer.len()});
                    if let Some(hash) = self.listed_xet_hash(artifact) {
                        value["xetHash"] = hash.to_string().into();
                    }
                }
                value["path"] = artifact.path.as_str().into();
                value
            }
        };
        if let Some(commit) = last_commit {
            value["lastCommit"] = json!({"id": commit.as_str(), "title": "", "date": "1970-01-01T00:00:00.000Z"});
        }
        value
    }

    /// The Xet hash that a listing names; `None` if the file is not offered. While upstream is
    /// down none is: clients then ask for each file, and plain HTTP refuses one that is not cached
    /// immediately, Xet late.
    fn listed_xet_hash(&self, artifact: &Artifact) -> Option<XetHash> {
        (!self.upstream.is_away()).then(|| self.offered(artifact)).flatten()
    }

    /// The Xet hash under which a file is offered. Files outside LFS are not, as at the Hub: they are small.
    pub(in crate::hub) fn offered(&self, artifact: &Artifact) -> Option<XetHash> {
        let is_worth_it = artifact.content.is_lfs() && artifact.size > 0;
        artifact.xet_hash.filter(|_| self.settings.xet.serve && is_worth_it)
    }
}

/// The git blob id of an entry: for an LFS file that of its pointer, which is computed where a
/// listing did not tell it.
pub(in crate::hub) fn object_id(artifact: &Artifact) -> String {
    use sha1::{Digest as _, Sha1};
    match (artifact.oid, artifact.pointer()) {
        (Some(oid), _) => oid.to_hex(),
        (None, Some(pointer)) => {
            let mut sha1 = Sha1::new();
            sha1.update(format!("blob {}\0{pointer}", pointer.len()));
            hex::encode(sha1.finalize())
        }
        (None, None) => artifact.content.to_hex(),
    }
}
