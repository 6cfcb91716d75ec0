//! The files of one repository on disk.
//!
//! Each has its path in the repository and its place on disk. Names are looked at, contents are not:
//! whatever a name promises is verified later. Links to folders are not followed, and what a download has not
//! finished is skipped.

use std::path::{Path, PathBuf};

use super::folder::{Item, MAX_ENTRIES, UNFINISHED, extension, is_folder, read_folder, read_small};
use super::ollama;
use super::report::{Layout, ProblemKind, Problems};
use super::walk::Found;
use crate::domain::{CommitId, ContentId, RepoPath};

/// Folders within a repository.
const MAX_DEPTH: usize = 32;
const SKIPPED_FOLDERS: [&str; 6] =
    [".git", ".cache", "__pycache__", ".ipynb_checkpoints", ".huggingface", "._____temp"];
const SKIPPED_FILES: [&str; 6] = [".DS_Store", "CACHEDIR.TAG", "Thumbs.db", ".mdl", ".msc", ".mv"];
/// Three lines: commit, etag, time.
const MAX_METADATA: u64 = 4096;

#[derive(Debug, Clone)]
pub(super) struct FoundFile {
    pub(super) path: RepoPath,
    /// May be a link.
    pub(super) place: PathBuf,
    /// The content that its name promises, unverified.
    pub(super) promised: Option<ContentId>,
    /// The commit that it was downloaded from.
    pub(super) commit: Option<CommitId>,
}

/// The files of a repository that the walk has found. Blocks.
pub(super) fn files(found: &Found, problems: &mut Problems) -> Vec<FoundFile> {
    match found.layout {
        Layout::LocalDir => downloaded(&found.folder, problems),
        Layout::LooseFiles | Layout::Ollama => {
            let is_store = found.layout == Layout::Ollama;
            let file = |(path, place): &(RepoPath, PathBuf)| {
                let promised = if is_store { ollama::promised(place) } else { None };
                FoundFile { path: path.clone(), place: place.clone(), promised, commit: None }
            };
            found.files.iter().map(file).collect()
        }
        Layout::Cache | Layout::Folder => tree(&found.folder, problems),
    }
}

/// All files below a folder. Blocks.
pub(super) fn tree(folder: &Path, problems: &mut Problems) -> Vec<FoundFile> {
    let mut files = Vec::new();
    let mut waiting = vec![(folder.to_owned(), 0)];
    while let Some((at, depth)) = waiting.pop() {
        for Item { name, path: place, kind } in read_folder(&at, problems).into_iter().rev() {
            if kind.is_dir() {
                if SKIPPED_FOLDERS.contains(&name.as_str()) {
                    // What hf download notes is used, not skipped.
                    if !is_folder(&place.join("huggingface")) {
                        problems.add(ProblemKind::Aside, &place, "work files of other programs are not imported");
                    }
                    continue;
                }
                if depth == MAX_DEPTH {
                    problems.add(ProblemKind::TooMuch, &place, "nested too deeply");
                } else {
                    waiting.push((place, depth + 1));
                }
                continue;
            }
            if SKIPPED_FILES.contains(&name.as_str()) {
                problems.add(ProblemKind::Aside, &place, "work files of other programs are not imported");
                continue;
            }
            if UNFINISHED.contains(&extension(&name)) {
                problems.add(ProblemKind::Unfinished, &place, "an unfinished download");
                continue;
            }
            if kind.is_symlink() && place.is_dir() {
                problems.add(ProblemKind::Link, &place, "links to folders are not followed");
                continue;
            }
            if !kind.is_file() && !kind.is_symlink() {
                problems.add(ProblemKind::Special, &place, "neither a file nor a folder");
                continue;
            }
            let path = place.strip_prefix(folder).ok().and_then(Path::to_str).map(RepoPath::parse);
            let Some(Ok(path)) = path else {
                problems.add(ProblemKind::Name, &place, "not a valid path in a repository");
                continue;
            };
            if files.len() >= MAX_ENTRIES {
                problems.add(ProblemKind::TooMuch, folder, format!("more than {MAX_ENTRIES} files"));
                return files;
            }
            let promised = if kind.is_symlink() { promised_by_link(&place) } else { None };
            files.push(FoundFile { path, place, promised, commit: None });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// In a cache the entry of a snapshot is a link to `blobs/<etag>`.
fn promised_by_link(place: &Path) -> Option<ContentId> {
    let target = std::fs::read_link(place).ok()?;
    let is_blob = target.parent().and_then(Path::file_name).is_some_and(|name| name == "blobs");
    ContentId::parse(target.file_name().filter(|_| is_blob)?.to_str()?).ok()
}

/// What `hf download --local-dir` has noted in `.cache/huggingface/download`: one file of metadata for each
/// file. Other files in the folder are not part of the download, and are told.
fn downloaded(folder: &Path, problems: &mut Problems) -> Vec<FoundFile> {
    let notes = folder.join(".cache/huggingface/download");
    let mut files = Vec::new();
    let mut waiting = vec![(notes.clone(), 0)];
    while let Some((at, depth)) = waiting.pop() {
        for item in read_folder(&at, problems).into_iter().rev() {
            if item.kind.is_dir() && depth < MAX_DEPTH {
                waiting.push((item.path, depth + 1));
                continue;
            }
            if extension(&item.name) == "incomplete" {
                problems.add(ProblemKind::Unfinished, &item.path, "an unfinished download");
            }
            if extension(&item.name) != "metadata" || !item.kind.is_file() || files.len() >= MAX_ENTRIES {
                continue;
            }
            let path = item.path.strip_prefix(&notes).ok().and_then(Path::to_str);
            let path = path.and_then(|path| RepoPath::parse(path.strip_suffix(".metadata")?).ok());
            let Some(path) = path else {
                problems.add(ProblemKind::Name, &item.path, "not a valid path in a repository");
                continue;
            };
            let place = folder.join(path.as_str());
            if is_folder(&place) || place.symlink_metadata().is_err() {
                // Deleted since.
                continue;
            }
            let note = read_small(&item.path, &[folder.to_owned()], MAX_METADATA).unwrap_or_default();
            let note = String::from_utf8_lossy(&note).into_owned();
            let mut lines = note.lines().map(str::trim);
            let commit = lines.next().and_then(|line| CommitId::parse(line).ok());
            // A file that was edited since is another one: the note promises nothing that is not proven anyway.
            files.push(FoundFile { path, place, promised: None, commit });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for file in tree(folder, problems) {
        if files.binary_search_by(|known| known.path.cmp(&file.path)).is_err() {
            problems.add(ProblemKind::Aside, &file.place, "not part of the download that the folder notes");
        }
    }
    files
}
