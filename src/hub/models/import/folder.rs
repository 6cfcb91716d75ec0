//! Reading folders of somebody else's: their entries by name, and small files whole. Everything here blocks.

use std::fs::FileType;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::report::{ProblemKind, Problems};
use crate::blob::Source;

/// Entries of one folder.
pub(super) const MAX_ENTRIES: usize = 200_000;
/// By these ends of names a download that is not finished is known.
pub(super) const UNFINISHED: [&str; 5] = ["incomplete", "part", "downloadInProgress", "crdownload", "aria2"];

pub(super) struct Item {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) kind: FileType,
}

impl Item {
    /// Whether it is a file of this name; a link may lead to one.
    pub(super) fn is_file(&self, name: &str) -> bool {
        self.name == name && (self.kind.is_file() || self.kind.is_symlink())
    }
}

/// The entries of a folder by name; what cannot be read, or has no name that is text, is a problem.
pub(super) fn read_folder(folder: &Path, problems: &mut Problems) -> Vec<Item> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            problems.add(ProblemKind::Unreadable, folder, error.to_string());
            return Vec::new();
        }
    };
    let mut items = Vec::new();
    for entry in entries {
        let entry = match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
            Ok(entry) => entry,
            Err(error) => {
                problems.add(ProblemKind::Unreadable, folder, error.to_string());
                continue;
            }
        };
        let (path, kind) = entry;
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
            problems.add(ProblemKind::Name, &path, "the name is not UTF-8");
            continue;
        };
        if items.len() >= MAX_ENTRIES {
            problems.add(ProblemKind::TooMuch, folder, format!("more than {MAX_ENTRIES} entries"));
            break;
        }
        items.push(Item { name, path, kind });
    }
    items.sort_by(|a, b| a.name.cmp(&b.name));
    items
}

pub(super) fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

/// A whole small file within some folders; `None` if it is anything else.
pub(super) fn read_small(path: &Path, within: &[PathBuf], most: u64) -> Option<Vec<u8>> {
    let source = Source::open(path, within).ok().filter(|source| source.stamp().size <= most)?;
    let mut bytes = Vec::new();
    source.into_file().take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

pub(super) fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}
