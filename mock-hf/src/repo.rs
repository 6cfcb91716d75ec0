//! The description of a repository that a test hands to the mock, and changes to it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::content::Content;

/// What a repository is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Model,
    Dataset,
    Space,
    Kernel,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Model, Kind::Dataset, Kind::Space, Kind::Kernel];

    /// `models`, `datasets`, `spaces` or `kernels`: the word in `/api/…` paths.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Model => "models",
            Kind::Dataset => "datasets",
            Kind::Space => "spaces",
            Kind::Kernel => "kernels",
        }
    }

    /// `model`, `dataset`, `space` or `kernel`.
    pub fn singular(self) -> &'static str {
        let plural = self.plural();
        &plural[..plural.len() - 1]
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.singular())
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    /// Accepts the singular and the plural.
    fn from_str(text: &str) -> Result<Kind, Self::Err> {
        match text {
            "model" | "models" => Ok(Kind::Model),
            "dataset" | "datasets" => Ok(Kind::Dataset),
            "space" | "spaces" => Ok(Kind::Space),
            "kernel" | "kernels" => Ok(Kind::Kernel),
            other => anyhow::bail!("unknown kind of repo `{other}`: use model, dataset, space or kernel"),
        }
    }
}

/// A repository to be served; built by chaining, handed over with `MockHf::put`.
#[derive(Clone, Debug)]
pub struct Repo {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) files: BTreeMap<String, (Content, bool)>,
    pub(crate) private: bool,
    pub(crate) gated: Option<String>,
    pub(crate) disabled: bool,
    pub(crate) readers: Vec<String>,
    pub(crate) branches: Vec<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) pull_requests: Vec<u64>,
    pub(crate) converts: Vec<String>,
    pub(crate) history: usize,
    pub(crate) card: Value,
    pub(crate) fields: serde_json::Map<String, Value>,
}

impl Repo {
    /// A repository of the given kind; `id` is `namespace/name` or one legacy segment.
    pub fn new(kind: Kind, id: impl Into<String>) -> Repo {
        Repo {
            kind,
            id: id.into(),
            files: BTreeMap::new(),
            private: false,
            gated: None,
            disabled: false,
            readers: Vec::new(),
            branches: Vec::new(),
            tags: Vec::new(),
            pull_requests: Vec::new(),
            converts: Vec::new(),
            history: 0,
            card: Value::Null,
            fields: serde_json::Map::new(),
        }
    }

    /// A model.
    pub fn model(id: impl Into<String>) -> Repo {
        Repo::new(Kind::Model, id)
    }

    /// A dataset.
    pub fn dataset(id: impl Into<String>) -> Repo {
        Repo::new(Kind::Dataset, id)
    }

    /// A space.
    pub fn space(id: impl Into<String>) -> Repo {
        Repo::new(Kind::Space, id)
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A file in git: its ETag is the git blob id, and it is served by the hub itself.
    pub fn file(mut self, path: impl Into<String>, content: impl Into<Content>) -> Repo {
        self.files.insert(path.into(), (content.into(), false));
        self
    }

    /// A file in LFS: its ETag is the sha256, and it is served by the CDN.
    pub fn lfs(mut self, path: impl Into<String>, content: impl Into<Content>) -> Repo {
        self.files.insert(path.into(), (content.into(), true));
        self
    }

    /// `n` tiny files in folders of 1000: `many/000/file-000000.txt` …
    pub fn many_small(mut self, n: usize) -> Repo {
        for i in 0..n {
            let path = format!("many/{:03}/file-{i:06}.txt", i / 1000);
            self.files.insert(path, (Content::from(format!("small file {i}\n")), false));
        }
        self
    }

    /// Only readers see it at all.
    pub fn private(mut self) -> Repo {
        self.private = true;
        self
    }

    /// Everyone sees it, only readers get contents; `mode` is `auto` or `manual`.
    pub fn gated(mut self, mode: impl Into<String>) -> Repo {
        self.gated = Some(mode.into());
        self
    }

    /// Disabled by moderation: everything answers 403.
    pub fn disabled(mut self) -> Repo {
        self.disabled = true;
        self
    }

    /// A token that may read it. The token becomes known, hence valid everywhere.
    pub fn reader(mut self, token: impl Into<String>) -> Repo {
        self.readers.push(token.into());
        self
    }

    /// A branch at the head of main.
    pub fn branch(mut self, name: impl Into<String>) -> Repo {
        self.branches.push(name.into());
        self
    }

    /// A tag at the head of main.
    pub fn tag(mut self, name: impl Into<String>) -> Repo {
        self.tags.push(name.into());
        self
    }

    /// `refs/pr/{n}`: a commit on top of main that adds `pr-{n}.md`.
    pub fn pr(mut self, n: u64) -> Repo {
        self.pull_requests.push(n);
        self
    }

    /// `refs/convert/{name}`: a commit with `default/train/0000.{name}` only added to main.
    pub fn convert(mut self, name: impl Into<String>) -> Repo {
        self.converts.push(name.into());
        self
    }

    /// `n` earlier commits under the head of main, for long histories.
    pub fn history(mut self, n: usize) -> Repo {
        self.history = n;
        self
    }

    /// The `cardData` of the info answer.
    pub fn card(mut self, card: Value) -> Repo {
        self.card = card;
        self
    }

    /// Any further field of the info answer, such as `pipeline_tag`, `library_name`, `tags`, `config`, `downloads`.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Repo {
        self.fields.insert(name.into(), value.into());
        self
    }
}

/// One change of a commit.
#[derive(Clone, Debug)]
pub enum Change {
    /// Adds or replaces a file.
    Put { path: String, content: Content, lfs: bool },
    /// Removes a file.
    Delete { path: String },
}

impl Change {
    /// Adds or replaces a git file.
    pub fn put(path: impl Into<String>, content: impl Into<Content>) -> Change {
        Change::Put { path: path.into(), content: content.into(), lfs: false }
    }

    /// Adds or replaces an LFS file.
    pub fn put_lfs(path: impl Into<String>, content: impl Into<Content>) -> Change {
        Change::Put { path: path.into(), content: content.into(), lfs: true }
    }

    /// Removes a file.
    pub fn delete(path: impl Into<String>) -> Change {
        Change::Delete { path: path.into() }
    }
}
