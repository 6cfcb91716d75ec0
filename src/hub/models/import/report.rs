//! The request for an import, its progress, and its report.
//!
//! Lists are bounded, counts are not: a folder with a million bad files fits into one report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::blob::{Placed, Placement, Refusal};
use crate::domain::{RepoKey, RepoKind};

/// Problems of each kind that are named one by one, so that many of one kind leave room for the others.
const MOST_PROBLEMS: usize = 50;
/// Repositories that are.
const MOST_REPOS: usize = 10_000;

/// Import what is in a folder.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// An absolute path: a cache, a store, one repository, or anything above.
    pub path: PathBuf,
    pub how: Placement,
    /// The repository of files that do not name one.
    pub repo: Option<RepoKey>,
    /// The kind of repositories that are named by their folder.
    pub kind: RepoKind,
    /// Limit of the reading speed.
    pub bytes_per_second: Option<u64>,
    /// Whether upstream may be asked about the repositories that are found.
    pub ask_upstream: bool,
}

impl ImportRequest {
    /// A request with default options.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            how: Placement::Auto,
            repo: None,
            kind: RepoKind::Model,
            bytes_per_second: None,
            ask_upstream: true,
        }
    }
}

/// By what a repository on disk is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// A repository of a Hugging Face cache: `models--org--name`.
    Cache,
    /// A folder with `config.json` or another file of a model, or one that is named after its weights: `vendor/name`, by its
    /// place.
    Folder,
    /// What `hf download --local-dir` made.
    LocalDir,
    /// Weights in a folder that says nothing about them.
    LooseFiles,
    /// All tags of a name in Ollama's store.
    Ollama,
}

impl Layout {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "huggingface_cache",
            Self::Folder => "vendor_name",
            Self::LocalDir => "local_dir",
            Self::LooseFiles => "loose_files",
            Self::Ollama => "ollama",
        }
    }
}

/// The progress of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportProgress {
    pub repos: u64,
    pub files: u64,
    /// Bytes of the files that are done.
    pub bytes: u64,
    /// Bytes that were read, the file at hand included.
    pub bytes_read: u64,
    /// The repository at hand.
    pub current: String,
}

/// What an import has done.
#[derive(Debug, Clone, Default)]
pub struct ImportReport {
    /// It was stopped before its end; what was done until then stays, and is not done again.
    pub cancelled: bool,
    pub repos: Vec<ImportedRepo>,
    /// Repositories that were found, also those that `repos` has no room for.
    pub repos_found: u64,
    /// Files that were found, and what became of them.
    pub files: u64,
    pub bytes: u64,
    /// Files of which every byte was read.
    pub hashed: u64,
    pub bytes_hashed: u64,
    /// Files that are as they were at an earlier scan: not read.
    pub unchanged: u64,
    /// Files whose content the store had already.
    pub already_stored: u64,
    pub reflinked: u64,
    pub hard_linked: u64,
    pub copied: u64,
    /// Bytes that were added to the store.
    pub bytes_added: u64,
    /// Files that now belong to a commit here.
    pub attached: u64,
    /// Files that are not what the listing, or their own name, says: not attached.
    pub different: u64,
    pub problems: Problems,
}

/// One repository of a report.
#[derive(Debug, Clone)]
pub struct ImportedRepo {
    pub repo: RepoKey,
    pub layout: Layout,
    pub path: PathBuf,
    pub files: u64,
    pub bytes: u64,
    pub attached: u64,
    /// The commits that it has here.
    pub commits: Vec<String>,
    /// Its files make a revision of their own, under this name.
    pub local_revision: Option<String>,
    /// Whether upstream was asked and knows it.
    pub known_upstream: bool,
}

/// What an import would find. Nothing was hashed, and upstream was not asked.
#[derive(Debug, Clone, Default)]
pub struct ImportPreview {
    pub repos: Vec<PreviewedRepo>,
    pub repos_found: u64,
    pub files: u64,
    pub bytes: u64,
    pub problems: Problems,
}

/// One repository of a preview.
#[derive(Debug, Clone)]
pub struct PreviewedRepo {
    pub repo: RepoKey,
    pub layout: Layout,
    pub path: PathBuf,
    pub files: u64,
    pub bytes: u64,
}

/// The kind of a problem with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// A link that leads out of the folder, to nothing, or to a folder.
    Link,
    /// A FIFO, a socket or a device.
    Special,
    Unreadable,
    /// A download that was not finished.
    Unfinished,
    /// A name that is not valid for a repository, a revision or a file.
    Name,
    /// Deeper, or more in number, than is looked at.
    TooMuch,
    /// It changed while it was read.
    Changed,
    /// Not what upstream's listing, or its name in a cache, says.
    Different,
    /// A pointer of Git LFS instead of the file.
    Pointer,
    /// It cannot be linked or cloned into the store.
    CannotPlace,
    /// Two folders are the same repository; the first one counts.
    Twice,
    /// Upstream knows the repository, but not for us.
    NotVisible,
    /// A part of what belongs together is missing: all of it is left out.
    Incomplete,
    /// Beside a model, and not of it: work files of other programs, and what a download did not bring.
    Aside,
    /// A folder in which nothing is known to be a model's.
    NoModel,
}

impl ProblemKind {
    /// What a walk meets on its way through any folders, and says nothing of models.
    pub fn is_by_the_way(self) -> bool {
        matches!(self, Self::Link | Self::Special | Self::Unreadable | Self::TooMuch | Self::Aside | Self::NoModel)
    }

    /// Why a file is skipped; `None` if nothing is wrong with the file.
    pub(super) fn of(refusal: &Refusal) -> Option<Self> {
        match refusal {
            Refusal::Outside => Some(Self::Link),
            Refusal::NotAFile => Some(Self::Special),
            Refusal::Unreadable(_) => Some(Self::Unreadable),
            Refusal::Changed => Some(Self::Changed),
            Refusal::CannotPlace(_) => Some(Self::CannotPlace),
            Refusal::Stopped | Refusal::Store(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Problem {
    pub kind: ProblemKind,
    pub path: PathBuf,
    pub message: String,
}

/// All problems counted, the first of each kind named.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    pub counts: BTreeMap<ProblemKind, u64>,
    pub first: Vec<Problem>,
}

impl Problems {
    pub(super) fn add(&mut self, kind: ProblemKind, path: &Path, message: impl Into<String>) {
        *self.counts.entry(kind).or_default() += 1;
        self.name(Problem { kind, path: path.to_owned(), message: message.into() });
    }

    fn name(&mut self, problem: Problem) {
        if self.first.iter().filter(|named| named.kind == problem.kind).count() < MOST_PROBLEMS {
            self.first.push(problem);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
        other.first.into_iter().for_each(|problem| self.name(problem));
    }

    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many of this kind there are.
    pub fn count(&self, kind: ProblemKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }
}

impl ImportReport {
    pub(super) fn placed(&mut self, how: Placed, size: u64) {
        match how {
            Placed::Reflink => self.reflinked += 1,
            Placed::HardLink => self.hard_linked += 1,
            Placed::Copy => self.copied += 1,
        }
        self.bytes_added += size;
    }

    pub(super) fn add_repo(&mut self, repo: ImportedRepo) {
        self.repos_found += 1;
        if self.repos.len() < MOST_REPOS {
            self.repos.push(repo);
        }
    }
}

impl ImportPreview {
    pub(super) fn add_repo(&mut self, repo: PreviewedRepo) {
        self.repos_found += 1;
        self.files += repo.files;
        self.bytes += repo.bytes;
        if self.repos.len() < MOST_REPOS {
            self.repos.push(repo);
        }
    }
}
