//! Finding repositories below a folder.
//!
//! Steps for each folder: read it → is it a repository of a Hugging Face cache? → Ollama's store? → what
//! `hf download --local-dir` made? → a model's folder? → else its subfolders come next, and weights that
//! lie in it are repositories of their own.
//!
//! No link is followed, and nothing is opened but the small files by which a model is known. The walk holds the folders
//! that are still to be looked at, and of one folder its names.

use std::collections::HashMap;
use std::fs::FileType;
use std::path::{Path, PathBuf};

use super::folder::{Item, MAX_ENTRIES, UNFINISHED, extension, is_folder, read_folder};
use super::names::{cache_key, legal, stem};
use super::report::{Layout, ProblemKind, Problems};
use super::{marks, ollama};
use crate::domain::{RepoId, RepoKey, RepoKind, RepoPath};

/// Folders below the scanned one.
const MAX_DEPTH: usize = 16;
/// Folders that hold no models, whatever lies in them.
const SKIPPED: [&str; 6] = [".git", ".locks", ".no_exist", "node_modules", "__pycache__", "lost+found"];
const NO_NAME: &str = "not a valid repository name; specify the repository";
/// What lies beside loose weights and has their name: settings, descriptions, previews.
const BESIDE: [&str; 10] = ["yaml", "yml", "json", "txt", "md", "png", "jpg", "jpeg", "webp", "info"];

/// A repository on disk.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) layout: Layout,
    pub(super) key: RepoKey,
    pub(super) folder: PathBuf,
    /// The files of `LooseFiles` and of `Ollama`: their paths in the repository, and where they lie.
    pub(super) files: ollama::Files,
}

/// A folder that is still to be looked at.
struct Waiting {
    folder: PathBuf,
    depth: usize,
    /// What weights are sorted by, and the folders below that as the beginning of a name: `loras`, `SDXL-`.
    shelf: Option<(String, String)>,
}

pub(super) struct Walk {
    /// Folders of our own store.
    own: Vec<PathBuf>,
    repo: Option<RepoKey>,
    kind: RepoKind,
    waiting: Vec<Waiting>,
    /// Of one folder, to be given out one by one.
    found: Vec<Found>,
    pub(super) problems: Problems,
    /// Folders that hold no model, and why: of interest if nothing else was found.
    pub(super) passed: Problems,
}

impl Walk {
    pub(super) fn new(root: PathBuf, own: Vec<PathBuf>, repo: Option<RepoKey>, kind: RepoKind) -> Self {
        let waiting = vec![Waiting { folder: root, depth: 0, shelf: None }];
        let (problems, passed) = (Problems::default(), Problems::default());
        Self { own, repo, kind, waiting, found: Vec::new(), problems, passed }
    }

    /// The next repository. Blocks.
    pub(super) fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.found.pop() {
                return Some(found);
            }
            let waiting = self.waiting.pop()?;
            self.look_at(waiting);
        }
    }

    fn look_at(&mut self, Waiting { folder, depth, shelf }: Waiting) {
        if self.own.contains(&folder) {
            return;
        }
        let items = read_folder(&folder, &mut self.problems);
        let has = |name: &str, test: fn(&FileType) -> bool| items.iter().any(|i| i.name == name && test(&i.kind));
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();

        let is_cache = ["snapshots", "refs", "blobs"].iter().any(|name| has(name, FileType::is_dir));
        if is_cache && let Some(key) = cache_key(&name) {
            match key {
                Ok(key) => self.add(Layout::Cache, key, folder, Vec::new()),
                Err(rule) => self.problems.add(ProblemKind::Name, &folder, rule),
            }
            return;
        }
        if ollama::is_store(&items) {
            for (id, files) in ollama::repositories(&folder, &mut self.problems) {
                self.add(Layout::Ollama, RepoKey::new(RepoKind::Model, id), folder.clone(), files);
            }
            return;
        }
        if has(".cache", FileType::is_dir) && is_folder(&folder.join(".cache/huggingface/download")) {
            return self.add_named(Layout::LocalDir, folder, depth);
        }
        if marks::is_model(&folder, &items, &mut self.problems)
            || (shelf.is_none() && marks::is_publishers(&folder, &name, &items))
        {
            return self.add_named(Layout::Folder, folder, depth);
        }
        if let Some(why) = marks::why_not(&folder, &items) {
            self.passed.add(ProblemKind::NoModel, &folder, why);
        }
        let has_shelves = marks::has_shelves(&items);
        let (folders, files): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| item.kind.is_dir());
        self.loose(&folder, shelf.as_ref(), files);
        for item in folders.into_iter().rev() {
            let shelf = match &shelf {
                Some((shelf, below)) => Some((shelf.clone(), format!("{below}{}-", item.name))),
                None => has_shelves.then(|| (item.name.clone(), String::new())),
            };
            self.wait(item, depth + 1, shelf);
        }
    }

    /// Weights of which nothing else tells what they are: each a repository, with what has its name.
    fn loose(&mut self, folder: &Path, shelf: Option<&(String, String)>, items: Vec<Item>) {
        let is_weights = |item: &Item| {
            let end = extension(&item.name);
            marks::LOOSE.contains(&end) || (shelf.is_some() && marks::WEIGHTS.contains(&end))
        };
        let mut loose: Vec<(String, Vec<PathBuf>)> = Vec::new();
        // Where in it the files of a stem are: in one place if one name was given for all.
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut others = Vec::new();
        for item in items.into_iter().rev() {
            if item.kind.is_symlink() {
                self.problems.add(
                    ProblemKind::Link,
                    &item.path,
                    "links are not followed when searching for repositories",
                );
            } else if !item.kind.is_file() {
                self.problems.add(ProblemKind::Special, &item.path, "neither a file nor a folder");
            } else if is_weights(&item) {
                let at = *places.entry(stem(&item.name)).or_insert_with_key(|stem| {
                    if self.repo.is_none() || loose.is_empty() {
                        loose.push((stem.clone(), Vec::new()));
                    }
                    loose.len() - 1
                });
                loose[at].1.push(item.path);
            } else {
                others.push(item);
            }
        }
        for Item { name, path, .. } in others {
            // `a.b.json` is of `a.b`, where that is there too.
            let place = || name.rmatch_indices('.').find_map(|(end, _)| places.get(&name[..end]));
            if UNFINISHED.contains(&extension(&name)) {
                self.problems.add(ProblemKind::Unfinished, &path, "an unfinished download");
            } else if BESIDE.contains(&extension(&name))
                && let Some(at) = place()
            {
                loose[*at].1.push(path);
            }
        }
        for (stem, files) in loose {
            let key = self.repo.clone().or_else(|| match shelf {
                Some((shelf, below)) => self.named(shelf, &format!("{below}{stem}")),
                None => self.named("local", &stem),
            });
            let named = |place: PathBuf| Some((RepoPath::parse(place.file_name()?.to_str()?).ok()?, place));
            match key {
                Some(key) => {
                    let files = files.into_iter().filter_map(named).collect();
                    self.add(Layout::LooseFiles, key, folder.to_owned(), files);
                }
                None => self.problems.add(ProblemKind::Name, &folder.join(stem), NO_NAME),
            }
        }
    }

    fn wait(&mut self, item: Item, depth: usize, shelf: Option<(String, String)>) {
        if SKIPPED.contains(&item.name.as_str()) {
            return;
        }
        if depth > MAX_DEPTH || self.waiting.len() >= MAX_ENTRIES {
            self.problems.add(ProblemKind::TooMuch, &item.path, "nested too deeply, or too many folders");
            return;
        }
        self.waiting.push(Waiting { folder: item.path, depth, shelf });
    }

    fn add(&mut self, layout: Layout, key: RepoKey, folder: PathBuf, files: ollama::Files) {
        self.found.push(Found { layout, key, folder, files });
    }

    fn add_named(&mut self, layout: Layout, folder: PathBuf, depth: usize) {
        match self.key_by_place(&folder, depth) {
            Some(key) => self.add(layout, key, folder, Vec::new()),
            None => self.problems.add(ProblemKind::Name, &folder, NO_NAME),
        }
    }

    /// As the folder itself tells, else `vendor/name` by the last two folders of the path. A model right below the scanned
    /// folder has that as its vendor, as the scanned folder may be one vendor's.
    fn key_by_place(&self, folder: &Path, depth: usize) -> Option<RepoKey> {
        // One name for several folders would mix them up; for the scanned folder itself it is meant.
        if let Some(repo) = self.repo.clone().filter(|_| depth == 0) {
            return Some(repo);
        }
        if let Some(id) = marks::told_id(folder) {
            return Some(RepoKey::new(self.kind, id));
        }
        let vendor = folder.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        self.named(&vendor.unwrap_or_default(), &marks::name_of(folder))
    }

    fn named(&self, vendor: &str, name: &str) -> Option<RepoKey> {
        let id = match (legal(vendor), legal(name)) {
            (Some(vendor), Some(name)) => format!("{vendor}/{name}"),
            (None, Some(name)) => format!("local/{name}"),
            (_, None) => return None,
        };
        Some(RepoKey::new(self.kind, RepoId::parse(&id).ok()?))
    }
}
