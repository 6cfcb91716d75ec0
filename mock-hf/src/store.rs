//! The state of the mock Hub: repositories, their refs and commits, renames, and the objects of the CDN.
//! Repositories are immutable snapshots behind `Arc`: a request works on one snapshot from begin to end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::content::{Content, sha1_hex};
use crate::options::{TOKEN_ALICE, TOKEN_BOB, TOKEN_REVOKED};
use crate::repo::{Change, Kind, Repo};
use crate::tree::{FileEntry, Tree};

/// One commit; `number` is its position in the repo's log.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) parent: Option<usize>,
    pub(crate) title: String,
    pub(crate) date: String,
    pub(crate) tree: Arc<Tree>,
}

/// One snapshot of a repository.
#[derive(Clone, Debug)]
pub(crate) struct RepoState {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) private: bool,
    pub(crate) gated: Option<String>,
    pub(crate) disabled: bool,
    pub(crate) readers: HashSet<String>,
    pub(crate) card: serde_json::Value,
    pub(crate) fields: serde_json::Map<String, serde_json::Value>,
    /// Name -> number of the commit.
    pub(crate) branches: BTreeMap<String, usize>,
    pub(crate) tags: BTreeMap<String, usize>,
    pub(crate) converts: BTreeMap<String, usize>,
    pub(crate) pull_requests: BTreeMap<u64, usize>,
    pub(crate) log: Vec<Arc<Commit>>,
    by_id: BTreeMap<String, usize>,
}

impl RepoState {
    fn new(repo: &Repo) -> RepoState {
        let mut state = RepoState {
            kind: repo.kind,
            id: repo.id.clone(),
            private: repo.private,
            gated: repo.gated.clone(),
            disabled: repo.disabled,
            readers: repo.readers.iter().cloned().collect(),
            card: repo.card.clone(),
            fields: repo.fields.clone(),
            branches: BTreeMap::new(),
            tags: BTreeMap::new(),
            converts: BTreeMap::new(),
            pull_requests: BTreeMap::new(),
            log: Vec::new(),
            by_id: BTreeMap::new(),
        };
        let first = repo.history;
        let entry = |(path, (content, lfs)): (&String, &(Content, bool))| {
            (path.clone(), Arc::new(FileEntry::new(content.clone(), *lfs, first)))
        };
        let tree = Arc::new(Tree::new(repo.files.iter().map(entry).collect()));
        for number in 0..=first {
            let title = if number == 0 { "initial commit".to_owned() } else { format!("Change number {number}") };
            state.append(number.checked_sub(1), title, Arc::clone(&tree));
        }
        state.branches.insert("main".to_owned(), first);
        for name in &repo.branches {
            state.branches.insert(name.clone(), first);
        }
        for name in &repo.tags {
            state.tags.insert(name.clone(), first);
        }
        for number in &repo.pull_requests {
            let change = Change::put(format!("pr-{number}.md"), format!("pull request {number}\n"));
            let commit = state.change(first, &[change], &format!("Pull request {number}"));
            state.pull_requests.insert(*number, commit);
        }
        for name in &repo.converts {
            let content = Content::random(u64::from(name.len() as u32), 4096);
            let change = Change::put_lfs(format!("default/train/0000.{name}"), content);
            let commit = state.change(first, &[change], &format!("Convert to {name}"));
            state.converts.insert(name.clone(), commit);
        }
        state
    }

    fn append(&mut self, parent: Option<usize>, title: String, tree: Arc<Tree>) -> usize {
        let number = self.log.len();
        let parent_id = parent.map_or("", |parent| self.log[parent].id.as_str());
        let id = sha1_hex(&format!("commit {}/{} {} {number} {parent_id} {title}", self.kind, self.id, tree.oid));
        self.by_id.insert(id.clone(), number);
        let date = crate::time::iso(crate::time::FIRST_COMMIT + 3600 * number as u64);
        self.log.push(Arc::new(Commit { id, parent, title, date, tree }));
        number
    }

    /// Adds a commit on top of `parent`; the caller moves a ref to it.
    fn change(&mut self, parent: usize, changes: &[Change], title: &str) -> usize {
        let number = self.log.len();
        let mut files = self.log[parent].tree.files.clone();
        for change in changes {
            match change {
                Change::Put { path, content, lfs } => {
                    files.insert(path.clone(), Arc::new(FileEntry::new(content.clone(), *lfs, number)));
                }
                Change::Delete { path } => {
                    files.remove(path);
                }
            }
        }
        self.append(Some(parent), title.to_owned(), Arc::new(Tree::new(files)))
    }

    /// The commit that a revision means: branch, tag, `refs/…`, `HEAD`, full or short (at least 7 digits) commit id.
    pub(crate) fn resolve(&self, revision: &str) -> Option<&Arc<Commit>> {
        let number = match revision.strip_prefix("refs/") {
            Some(rest) => match rest.split_once('/')? {
                ("heads", name) => self.branches.get(name),
                ("tags", name) => self.tags.get(name),
                ("convert", name) => self.converts.get(name),
                ("pr", number) => self.pull_requests.get(&number.parse().ok()?),
                _ => None,
            },
            None if revision == "HEAD" => self.branches.get("main"),
            None => self.branches.get(revision).or_else(|| self.tags.get(revision)),
        };
        if let Some(number) = number {
            return self.log.get(*number);
        }
        let is_hash = (7..=40).contains(&revision.len()) && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash {
            return None;
        }
        let low = revision.to_ascii_lowercase();
        let mut hits = self.by_id.range(low.clone()..).take_while(|(id, _)| id.starts_with(&low));
        let (_, number) = hits.next()?;
        if hits.next().is_some() { None } else { self.log.get(*number) }
    }

    /// The head of main.
    pub(crate) fn head(&self) -> &Arc<Commit> {
        // `new` inserts main, and nothing removes a branch.
        &self.log[self.branches.get("main").copied().unwrap_or_default()]
    }

    /// May this token read contents of a private or gated repo?
    pub(crate) fn is_reader(&self, token: Option<&str>) -> bool {
        token.is_some_and(|token| self.readers.contains(token))
    }
}

/// What a lookup by name found.
pub(crate) enum Found {
    Repo(Arc<RepoState>),
    /// The name is an old one, or has the wrong letter case.
    Moved(Arc<RepoState>),
}

#[derive(Default)]
struct Inner {
    repos: BTreeMap<(Kind, String), Arc<RepoState>>,
    /// Lower-cased name -> name.
    spelling: HashMap<(Kind, String), String>,
    renames: HashMap<(Kind, String), String>,
    tokens: HashSet<String>,
    /// Xet hash -> content, and a name for messages.
    objects: HashMap<String, Content>,
}

/// The store, shared by both origins. Locks are held for lookups only.
#[derive(Default)]
pub(crate) struct Store {
    inner: Mutex<Inner>,
    /// One commit at a time: each builds on the one before.
    committing: Mutex<()>,
}

impl Store {
    pub(crate) fn new(tokens: &[String]) -> Store {
        let known = [TOKEN_ALICE, TOKEN_BOB].iter().map(|token| (*token).to_owned());
        let inner = Inner { tokens: known.chain(tokens.iter().cloned()).collect(), ..Inner::default() };
        Store { inner: Mutex::new(inner), committing: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds or replaces a repo; the commit of main.
    pub(crate) fn put(&self, repo: &Repo) -> String {
        // Hashing happens before the lock is taken.
        let state = Arc::new(RepoState::new(repo));
        let id = state.head().id.clone();
        let mut inner = self.lock();
        inner.tokens.extend(repo.readers.iter().cloned());
        inner.renames.remove(&(repo.kind, repo.id.clone()));
        inner.publish(state, 0);
        id
    }

    /// Adds a commit to a branch, which is created at main when it is new. `None`: no such repo.
    pub(crate) fn commit(&self, kind: Kind, id: &str, branch: &str, changes: &[Change], title: &str) -> Option<String> {
        let _one_at_a_time = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = match self.find(kind, id)? {
            Found::Repo(state) | Found::Moved(state) => RepoState::clone(&state),
        };
        let parent = match branch.strip_prefix("refs/pr/").and_then(|number| number.parse().ok()) {
            Some(number) => state.pull_requests.get(&number),
            None => state.branches.get(branch),
        };
        let parent = parent.or_else(|| state.branches.get("main")).copied()?;
        let number = state.change(parent, changes, title);
        match branch.strip_prefix("refs/pr/").and_then(|number| number.parse().ok()) {
            Some(pull_request) => state.pull_requests.insert(pull_request, number),
            None => state.branches.insert(branch.to_owned(), number),
        };
        let commit = state.log[number].id.clone();
        self.lock().publish(Arc::new(state), number);
        Some(commit)
    }

    /// Gives a repo a new name; the old one answers with a redirect from now on.
    pub(crate) fn rename(&self, kind: Kind, old: &str, new: &str) -> bool {
        let mut inner = self.lock();
        let Some(state) = inner.repos.remove(&(kind, old.to_owned())) else { return false };
        inner.spelling.remove(&(kind, old.to_lowercase()));
        let mut state = RepoState::clone(&state);
        state.id = new.to_owned();
        inner.renames.insert((kind, old.to_owned()), new.to_owned());
        inner.renames.remove(&(kind, new.to_owned()));
        let known = state.log.len();
        inner.publish(Arc::new(state), known);
        true
    }

    /// Removes a repo, as if its owner had deleted it.
    pub(crate) fn remove(&self, kind: Kind, id: &str) -> bool {
        let mut inner = self.lock();
        inner.spelling.remove(&(kind, id.to_lowercase()));
        inner.repos.remove(&(kind, id.to_owned())).is_some()
    }

    /// Changes who may see a repo.
    pub(crate) fn set_visibility(
        &self,
        kind: Kind,
        id: &str,
        private: bool,
        gated: Option<&str>,
        readers: Vec<String>,
    ) -> bool {
        let mut inner = self.lock();
        let Some(state) = inner.repos.get(&(kind, id.to_owned())) else { return false };
        let mut state = RepoState::clone(state);
        state.private = private;
        state.gated = gated.map(str::to_owned);
        inner.tokens.extend(readers.iter().cloned());
        state.readers = readers.into_iter().collect();
        let known = state.log.len();
        inner.publish(Arc::new(state), known);
        true
    }

    /// Moderation on or off.
    pub(crate) fn set_disabled(&self, kind: Kind, id: &str, disabled: bool) -> bool {
        let mut inner = self.lock();
        let Some(state) = inner.repos.get(&(kind, id.to_owned())) else { return false };
        let mut state = RepoState::clone(state);
        state.disabled = disabled;
        let known = state.log.len();
        inner.publish(Arc::new(state), known);
        true
    }

    /// Looks a repo up by name, old name or wrongly spelt name.
    pub(crate) fn find(&self, kind: Kind, id: &str) -> Option<Found> {
        let inner = self.lock();
        let mut name = id.to_owned();
        if let Some(state) = inner.repos.get(&(kind, name.clone())) {
            return Some(Found::Repo(Arc::clone(state)));
        }
        for _ in 0..8 {
            match inner.renames.get(&(kind, name.clone())) {
                Some(next) => name.clone_from(next),
                None => break,
            }
        }
        let spelt = inner.spelling.get(&(kind, name.to_lowercase()))?;
        inner.repos.get(&(kind, spelt.clone())).map(|state| Found::Moved(Arc::clone(state)))
    }

    /// All repos of a kind, ordered by name.
    pub(crate) fn list(&self, kind: Kind) -> Vec<Arc<RepoState>> {
        self.lock().repos.iter().filter(|((k, _), _)| *k == kind).map(|(_, state)| Arc::clone(state)).collect()
    }

    /// The object that the CDN has under a Xet hash.
    pub(crate) fn object(&self, hash: &str) -> Option<Content> {
        self.lock().objects.get(hash).cloned()
    }

    /// Valid tokens are alice's, bob's, those of the options and those of readers; never the revoked one.
    pub(crate) fn knows_token(&self, token: &str) -> bool {
        token != TOKEN_REVOKED && self.lock().tokens.contains(token)
    }
}

impl Inner {
    /// Makes a snapshot current; objects of the commits from number `from` on become known to the CDN.
    fn publish(&mut self, state: Arc<RepoState>, from: usize) {
        let mut last: Option<&Arc<Tree>> = None;
        for commit in &state.log[from..] {
            if last.is_some_and(|tree| Arc::ptr_eq(tree, &commit.tree)) {
                continue;
            }
            last = Some(&commit.tree);
            for file in commit.tree.files.values() {
                if let Some(lfs) = &file.lfs
                    && !self.objects.contains_key(&lfs.xet)
                {
                    self.objects.insert(lfs.xet.clone(), file.content.clone());
                }
            }
        }
        self.spelling.insert((state.kind, state.id.to_lowercase()), state.id.clone());
        self.repos.insert((state.kind, state.id.clone()), state);
    }
}
