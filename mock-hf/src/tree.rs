//! The files of one commit: an ordered map of files, and an index built once per commit that makes every page of a
//! listing a slice. Nothing here costs more than O(page) per request, also with 100 000 files.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::content::{Content, sha1_hex, sha256_hex};

/// One file at one commit.
#[derive(Debug)]
pub(crate) struct FileEntry {
    pub(crate) content: Content,
    pub(crate) size: u64,
    /// Git blob id; for LFS files that of the pointer text.
    pub(crate) oid: String,
    pub(crate) lfs: Option<Lfs>,
    /// Number of the commit (in the repo's log) that last touched the file.
    pub(crate) changed_by: usize,
}

/// What only LFS files have.
#[derive(Debug)]
pub(crate) struct Lfs {
    pub(crate) sha256: String,
    /// The Xet hash, if the content is in a real Xet store; else a stand-in of the same shape.
    pub(crate) xet: String,
    pub(crate) pointer: String,
}

#[cfg(feature = "xet")]
use crate::xet::hash_of as real_xet_hash;

#[cfg(not(feature = "xet"))]
fn real_xet_hash(_sha256: &str) -> Option<String> {
    None
}

impl FileEntry {
    pub(crate) fn new(content: Content, lfs: bool, changed_by: usize) -> FileEntry {
        let size = content.size();
        if !lfs {
            return FileEntry { oid: content.git_oid(), size, content, lfs: None, changed_by };
        }
        let sha256 = content.sha256();
        let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n");
        let xet = real_xet_hash(&sha256).unwrap_or_else(|| sha256_hex(&format!("xet:{sha256}")));
        let oid = Content::from(pointer.as_str()).git_oid();
        FileEntry { content, size, oid, lfs: Some(Lfs { sha256, xet, pointer }), changed_by }
    }

    /// The value that clients take as ETag: sha256 of LFS files, the git blob id of others.
    pub(crate) fn etag(&self) -> &str {
        self.lfs.as_ref().map_or(&self.oid, |lfs| &lfs.sha256)
    }
}

/// A line of a listing.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    File { path: String, file: Arc<FileEntry> },
    Directory { path: String, oid: String, changed_by: usize },
}

impl Node {
    pub(crate) fn path(&self) -> &str {
        match self {
            Node::File { path, .. } | Node::Directory { path, .. } => path,
        }
    }
}

/// All files of one commit with the listing index.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, Arc<FileEntry>>,
    /// Files and directories, ordered by path.
    pub(crate) nodes: Vec<Node>,
    /// Directory ("" is the root) -> positions of its direct children in `nodes`, in order.
    children: HashMap<String, Vec<usize>>,
    pub(crate) oid: String,
}

impl Tree {
    pub(crate) fn new(files: BTreeMap<String, Arc<FileEntry>>) -> Tree {
        let directories = directories(&files);
        let mut nodes: Vec<Node> = Vec::with_capacity(files.len() + directories.len());
        for (path, file) in &files {
            nodes.push(Node::File { path: path.clone(), file: Arc::clone(file) });
        }
        for (path, (text, changed_by)) in &directories {
            if !path.is_empty() {
                let oid = sha1_hex(text);
                nodes.push(Node::Directory { path: path.clone(), oid, changed_by: *changed_by });
            }
        }
        nodes.sort_by(|a, b| a.path().cmp(b.path()));
        let mut children: HashMap<String, Vec<usize>> = HashMap::from([(String::new(), Vec::new())]);
        for (at, node) in nodes.iter().enumerate() {
            let parent = node.path().rsplit_once('/').map_or("", |(parent, _)| parent);
            match children.get_mut(parent) {
                Some(list) => list.push(at),
                None => {
                    children.insert(parent.to_owned(), vec![at]);
                }
            }
        }
        let oid = sha1_hex(directories.get("").map_or("", |(text, _)| text));
        Tree { files, nodes, children, oid }
    }

    /// The page of a listing under `directory` after `cursor`, and whether more follows.
    /// `None`: there is no such directory.
    pub(crate) fn page(
        &self,
        directory: &str,
        recursive: bool,
        cursor: Option<&str>,
        limit: usize,
    ) -> Option<(Vec<&Node>, bool)> {
        let children = self.children.get(directory)?;
        if !recursive {
            let start = cursor.map_or(0, |cursor| children.partition_point(|at| self.nodes[*at].path() <= cursor));
            let page = children[start..].iter().take(limit).map(|at| &self.nodes[*at]).collect();
            return Some((page, children.len() - start > limit));
        }
        // Everything below `dir/` is contiguous in path order: from "dir/" up to, not including, "dir0".
        let (from, to) = match directory {
            "" => (0, self.nodes.len()),
            directory => {
                let (low, high) = (format!("{directory}/"), format!("{directory}0"));
                let from = self.nodes.partition_point(|node| node.path() < low.as_str());
                (from, self.nodes.partition_point(|node| node.path() < high.as_str()))
            }
        };
        let after = cursor.map_or(0, |cursor| self.nodes.partition_point(|node| node.path() <= cursor));
        let start = from.max(after).min(to);
        let page = self.nodes[start..to].iter().take(limit).collect();
        Some((page, to - start > limit))
    }

    /// A file or directory by its path.
    pub(crate) fn node(&self, path: &str) -> Option<&Node> {
        let at = self.nodes.partition_point(|node| node.path() < path);
        self.nodes.get(at).filter(|node| node.path() == path)
    }
}

/// For each directory, the root included: a text that stands for its content, and its latest change.
fn directories(files: &BTreeMap<String, Arc<FileEntry>>) -> BTreeMap<String, (String, usize)> {
    let mut found: BTreeMap<String, (String, usize)> = BTreeMap::new();
    found.insert(String::new(), (String::new(), 0));
    for (path, file) in files {
        let name_at = path.rfind('/');
        let parent = name_at.map_or("", |at| &path[..at]);
        let line = |text: &mut String| {
            text.push_str(path);
            text.push(' ');
            text.push_str(&file.oid);
            text.push('\n');
        };
        // The root's text covers every file; that of other directories only their own files and, cheaply, the paths below.
        if let Some((text, _)) = found.get_mut("") {
            line(text);
        }
        let mut directory = parent;
        while !directory.is_empty() {
            let slot = match found.get_mut(directory) {
                Some(slot) => slot,
                None => found.entry(directory.to_owned()).or_insert_with(|| (directory.to_owned(), 0)),
            };
            line(&mut slot.0);
            slot.1 = slot.1.max(file.changed_by);
            directory = directory.rfind('/').map_or("", |at| &directory[..at]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let file = Arc::new(FileEntry::new(Content::from("x"), false, 0));
        Tree::new(paths.iter().map(|path| ((*path).to_owned(), Arc::clone(&file))).collect())
    }

    fn paths(page: Option<(Vec<&Node>, bool)>) -> (Vec<String>, bool) {
        let (nodes, more) = page.expect("the directory exists");
        (nodes.iter().map(|node| node.path().to_owned()).collect(), more)
    }

    #[test]
    fn pages_continue_strictly_after_the_cursor() {
        let tree = tree(&["a/b/c.txt", "a/d.txt", "a-x.txt", "z.txt"]);
        assert_eq!(paths(tree.page("", false, None, 9)), (vec!["a".into(), "a-x.txt".into(), "z.txt".into()], false));
        assert_eq!(paths(tree.page("", false, Some("a"), 1)), (vec!["a-x.txt".into()], true));
        assert_eq!(
            paths(tree.page("a", true, None, 9)),
            (vec!["a/b".into(), "a/b/c.txt".into(), "a/d.txt".into()], false)
        );
        assert_eq!(paths(tree.page("a", true, Some("a/b"), 1)), (vec!["a/b/c.txt".into()], true));
        assert!(tree.page("a/d.txt", false, None, 9).is_none());
    }
}
