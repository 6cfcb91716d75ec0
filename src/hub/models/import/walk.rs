//! Finding repositories below a folder.
//!
//! Steps for each folder: read it → is it a repository of a Hugging Face cache? → what
//! `hf download --local-dir` made? → a model's folder? → else its subfolders come next, and weights that
//! lie in it belong to nobody.
//!
//! No link is followed, and nothing is opened but `config.json`. The walk holds the folders that are still
//! to be looked at, and of one folder its names.

use std::fs::FileType;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::report::{Layout, ProblemKind, Problems};
use crate::blob::{Refusal, Source};
use crate::domain::{RepoId, RepoKey, RepoKind};

/// Folders below the scanned one.
const MAX_DEPTH: usize = 16;
/// Entries of one folder, and folders that wait.
pub(super) const MAX_ENTRIES: usize = 200_000;
/// A longer `config.json` does not count.
const MAX_CONFIG: u64 = 4 << 20;
/// Folders that hold no models, whatever lies in them.
const SKIPPED: [&str; 6] = [".git", ".locks", ".no_exist", "node_modules", "__pycache__", "lost+found"];
const WEIGHTS: [&str; 9] = ["safetensors", "gguf", "bin", "pt", "pth", "ckpt", "onnx", "h5", "msgpack"];
const NO_NAME: &str = "not a valid repository name; specify the repository";
const LOOSE: [&str; 2] = ["safetensors", "gguf"];

/// A repository on disk.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) layout: Layout,
    pub(super) key: RepoKey,
    pub(super) folder: PathBuf,
    /// The files of `LooseFiles`.
    pub(super) files: Vec<PathBuf>,
}

pub(super) struct Walk {
    /// Folders of our own store.
    own: Vec<PathBuf>,
    repo: Option<RepoKey>,
    kind: RepoKind,
    waiting: Vec<(PathBuf, usize)>,
    /// Of one folder, to be given out one by one.
    found: Vec<Found>,
    pub(super) problems: Problems,
}

pub(super) struct Item {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) kind: FileType,
}

impl Walk {
    pub(super) fn new(root: PathBuf, own: Vec<PathBuf>, repo: Option<RepoKey>, kind: RepoKind) -> Self {
        let waiting = vec![(root, 0)];
        Self { own, repo, kind, waiting, found: Vec::new(), problems: Problems::default() }
    }

    /// The next repository. Blocks.
    pub(super) fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.found.pop() {
                return Some(found);
            }
            let (folder, depth) = self.waiting.pop()?;
            self.look_at(folder, depth);
        }
    }

    fn look_at(&mut self, folder: PathBuf, depth: usize) {
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
        if has(".cache", FileType::is_dir) && is_folder(&folder.join(".cache/huggingface/download")) {
            return self.add_named(Layout::LocalDir, folder, depth);
        }
        if has("model_index.json", FileType::is_file) || is_model(&folder, &items, &mut self.problems) {
            return self.add_named(Layout::Folder, folder, depth);
        }

        let mut loose: Vec<(String, Vec<PathBuf>)> = Vec::new();
        for item in items.into_iter().rev() {
            if item.kind.is_dir() {
                self.wait(item, depth + 1);
            } else if item.kind.is_symlink() {
                self.problems.add(
                    ProblemKind::Link,
                    &item.path,
                    "links are not followed when searching for repositories",
                );
            } else if !item.kind.is_file() {
                self.problems.add(ProblemKind::Special, &item.path, "neither a file nor a folder");
            } else if LOOSE.contains(&extension(&item.name)) {
                let stem = stem(&item.name);
                match loose.iter_mut().find(|(known, _)| *known == stem || self.repo.is_some()) {
                    Some((_, files)) => files.push(item.path),
                    None => loose.push((stem, vec![item.path])),
                }
            }
        }
        for (stem, files) in loose {
            let key = self.repo.clone().or_else(|| self.named("local", &stem));
            match key {
                Some(key) => self.add(Layout::LooseFiles, key, folder.clone(), files),
                None => self.problems.add(ProblemKind::Name, &folder.join(stem), NO_NAME),
            }
        }
    }

    fn wait(&mut self, item: Item, depth: usize) {
        if SKIPPED.contains(&item.name.as_str()) {
            return;
        }
        if depth > MAX_DEPTH || self.waiting.len() >= MAX_ENTRIES {
            self.problems.add(ProblemKind::TooMuch, &item.path, "nested too deeply, or too many folders");
            return;
        }
        self.waiting.push((item.path, depth));
    }

    fn add(&mut self, layout: Layout, key: RepoKey, folder: PathBuf, files: Vec<PathBuf>) {
        self.found.push(Found { layout, key, folder, files });
    }

    fn add_named(&mut self, layout: Layout, folder: PathBuf, depth: usize) {
        match self.key_by_place(&folder, depth) {
            Some(key) => self.add(layout, key, folder, Vec::new()),
            None => self.problems.add(ProblemKind::Name, &folder, NO_NAME),
        }
    }

    /// `vendor/name` by the last two folders of the path. A model right below the scanned folder has that as its
    /// vendor, as the scanned folder may be one vendor's.
    fn key_by_place(&self, folder: &Path, depth: usize) -> Option<RepoKey> {
        // One name for several folders would mix them up; for the scanned folder itself it is meant.
        if let Some(repo) = self.repo.clone().filter(|_| depth == 0) {
            return Some(repo);
        }
        let part = |path: Option<&Path>| path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        self.named(&part(folder.parent()).unwrap_or_default(), &part(Some(folder)).unwrap_or_default())
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

/// `models--org--name`, `datasets--name`, …; `None` for any other name.
fn cache_key(name: &str) -> Option<Result<RepoKey, String>> {
    let (kind, id) = name.split_once("--")?;
    let kind = RepoKind::from_plural(kind)?;
    let id = RepoId::parse(&id.replacen("--", "/", 1));
    Some(id.map(|id| RepoKey::new(kind, id)).map_err(|error| error.to_string()))
}

/// `config.json` is a name that many programs use: a model's says so, or lies next to weights.
fn is_model(folder: &Path, items: &[Item], problems: &mut Problems) -> bool {
    let is_config = |item: &&Item| item.name == "config.json" && (item.kind.is_file() || item.kind.is_symlink());
    let Some(config) = items.iter().find(is_config) else { return false };
    if items.iter().any(|item| WEIGHTS.contains(&extension(&item.name))) {
        return true;
    }
    let within = [folder.to_owned()];
    // A link is reported as such where it is left out.
    if config.kind.is_file()
        && let Err(refusal @ Refusal::Unreadable(_)) = Source::open(&config.path, &within)
    {
        problems.add(ProblemKind::Unreadable, &config.path, refusal.to_string());
        return false;
    }
    let config = read_small(&config.path, &within, MAX_CONFIG);
    let config: Option<serde_json::Value> = config.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let says = |config: &serde_json::Value, key: &str| config.get(key).is_some();
    config.is_some_and(|config| ["model_type", "architectures", "_class_name"].iter().any(|key| says(&config, key)))
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

/// A file's name without its extension, and without the number of a part: `model-00001-of-00003`.
fn stem(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    let part = stem.rsplit_once("-of-").filter(|(_, total)| is_number(total));
    let whole = part.and_then(|(rest, _)| rest.rsplit_once('-')).filter(|(_, number)| is_number(number));
    whole.map_or(stem, |(whole, _)| whole).to_owned()
}

/// The nearest legal part of a repository's id; `None` if nothing is left.
fn legal(text: &str) -> Option<String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut out: String = text.chars().map(|c| if is_legal(c) { c } else { '-' }).take(96).collect();
    for double in ["--", ".."] {
        while out.contains(double) {
            out = out.replace(double, &double[..1]);
        }
    }
    let out = out.trim_matches(['-', '.']);
    (!out.is_empty()).then(|| out.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cache_folders_are_ids() {
        let id = |name: &str| cache_key(name).map(|key| key.map(|key| key.to_string()).map_err(drop));
        assert_eq!(id("models--openai-community--gpt2"), Some(Ok("openai-community/gpt2".into())));
        assert_eq!(id("models--gpt2"), Some(Ok("gpt2".into())));
        assert_eq!(id("datasets--a--b"), Some(Ok("datasets/a/b".into())));
        assert_eq!(id("models--a--b--c"), Some(Err(())));
        assert_eq!(id("models--..--b"), Some(Err(())));
        assert_eq!(id("blobs"), None);
        assert_eq!(id("kernels--a--b"), Some(Ok("kernels/a/b".into())));
    }

    #[test]
    fn any_name_becomes_a_legal_one_or_none() {
        for (name, wanted) in [
            ("My Model (v2)", "My-Model-v2"),
            ("a--b", "a-b"),
            (".hidden", "hidden"),
            ("x...y", "x.y"),
            ("模型-7b", "7b"),
        ] {
            assert_eq!(legal(name).as_deref(), Some(wanted));
            assert!(RepoId::parse(wanted).is_ok());
        }
        assert_eq!(legal("模型"), None);
        assert_eq!(stem("llama-00001-of-00003.gguf"), "llama");
        assert_eq!(stem("llama-3.gguf"), "llama-3");
    }
}
