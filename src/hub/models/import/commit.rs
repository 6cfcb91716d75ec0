//! What git would make of some files: the ids of their folders, and the id of a commit of our own.

use std::collections::{BTreeMap, BTreeSet};

use sha1::{Digest as _, Sha1};

use super::Result;
use super::take::{Taken, is_lfs};
use crate::domain::{Artifact, CommitId, ContentId, Entry, GitOid, RepoPath};
use crate::hub::catalog::object_id;

/// The artifact of a file that no listing names. `promised` tells whether it was in LFS. A Xet hash that is not known here
/// comes with its blob's row.
pub(super) fn artifact(path: RepoPath, taken: Taken, promised: Option<ContentId>) -> Artifact {
    let Taken { names, size } = taken;
    let is_lfs = is_lfs(promised, size);
    let content = if is_lfs { ContentId::Sha256(names.sha256) } else { ContentId::Git(names.git_oid) };
    let oid = (!is_lfs).then_some(names.git_oid);
    Artifact { path, size, content, oid, xet_hash: names.xet_hash.filter(|_| is_lfs) }
}

/// The commit of files that upstream has no commit of: the same files are the same commit.
pub(super) fn local_commit(files: &[(RepoPath, Taken)]) -> Result<CommitId> {
    let lines: BTreeSet<String> =
        files.iter().map(|(path, taken)| format!("{path} {}\n", taken.names.sha256.to_hex())).collect();
    let mut sha1 = Sha1::new();
    sha1.update("modelhub local revision 1\n");
    lines.iter().for_each(|line| sha1.update(line));
    Ok(CommitId::parse(&hex::encode(sha1.finalize()))?)
}

/// The folders of some files. Their ids are git's, if no file is executable and all files are there.
pub(super) fn folders(files: &[Artifact]) -> Vec<Entry> {
    // By folder its entries: git sorts a folder's name as if it ended with a slash.
    let mut contents: BTreeMap<String, BTreeMap<String, (bool, String)>> = BTreeMap::new();
    for file in files {
        let (mut folder, name) = split(file.path.as_str());
        contents.entry(folder.to_owned()).or_default().insert(name.to_owned(), (false, object_id(file)));
        while !folder.is_empty() {
            let (parent, name) = split(folder);
            contents.entry(parent.to_owned()).or_default().entry(format!("{name}/")).or_insert((true, String::new()));
            folder = parent;
        }
    }
    let mut entries = Vec::new();
    // A folder comes after its parent in this order: from the end, each is done before its parent.
    let paths: Vec<String> = contents.keys().filter(|path| !path.is_empty()).cloned().collect();
    for path in paths.into_iter().rev() {
        let Some(items) = contents.remove(&path) else { continue };
        let oid = tree_id(&items);
        let (parent, name) = split(&path);
        if let Some(slot) = contents.get_mut(parent).and_then(|items| items.get_mut(&format!("{name}/"))) {
            slot.1 = oid.to_hex();
        }
        if let Ok(path) = RepoPath::parse(&path) {
            entries.push(Entry::Directory { path, oid });
        }
    }
    entries
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// git-mktree(1).
fn tree_id(items: &BTreeMap<String, (bool, String)>) -> GitOid {
    let mut body = Vec::new();
    for (name, (is_folder, oid)) in items {
        let mode = if *is_folder { "40000" } else { "100644" };
        body.extend_from_slice(format!("{mode} {}\0", name.trim_end_matches('/')).as_bytes());
        body.extend(hex::decode(oid).unwrap_or_default());
    }
    let mut sha1 = Sha1::new();
    sha1.update(format!("tree {}\0", body.len()));
    sha1.update(body);
    GitOid::from_bytes(sha1.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_the_ids_of_git() {
        let file = |path: &str| Artifact {
            path: RepoPath::parse(path).unwrap(),
            size: 6,
            content: ContentId::Git(GitOid::parse("ce013625030ba8dba906f756967f9e9ca394464a").unwrap()),
            oid: None,
            xet_hash: None,
        };
        let entries = folders(&[file("a/b/hello"), file("a/b.txt"), file("top")]);
        let shown: Vec<String> = entries
            .iter()
            .map(|entry| match entry {
                Entry::Directory { path, oid } => format!("{path} {}", oid.to_hex()),
                Entry::File(_) => unreachable!("only folders"),
            })
            .collect();
        // mkdir -p a/b; echo hello | tee a/b/hello a/b.txt; git add .; git write-tree --prefix=a/b/ (and a/)
        assert_eq!(
            shown,
            ["a/b b4d01e9b0c4a9356736dfddf8830ba9a54f5271c", "a 64695c416e30a46f0ac538fcc7ae507ad4121882"]
        );
    }
}
