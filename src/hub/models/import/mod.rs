//! Importing models that are already on disk: caches, folders, loose weights.
//!
//! Steps: walk the folder (`walk`) → for each repository list its files (`files`) → import each into the
//! store (`take`: hash, compare, clone or copy, publish) → record what it is: an artifact of upstream's commit
//! (`cache`), or of a commit of our own (`local`, `commit`) → report.
//!
//! Nothing in the folder is changed. No name is trusted: only the bytes say what a file is. A second import reads
//! only what has changed, and resumes where one that was stopped left off.

mod cache;
mod commit;
mod files;
mod folder;
mod local;
mod marks;
mod names;
mod ollama;
mod report;
mod take;
mod walk;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::{Models, Result};
use crate::blob::{Pace, Placement, Source};
use crate::db::ScannedFile;
use crate::domain::{CommitId, ModelId, Origin, RepoKey, Revision};
use crate::hub::repos::Repo;
use crate::hub::{Caller, Error};

use folder::{is_folder, read_folder};
pub use report::{
    ImportPreview, ImportProgress, ImportReport, ImportRequest, ImportedRepo, Layout, PreviewedRepo, Problem,
    ProblemKind, Problems,
};
use walk::{Found, Walk};

/// One import.
struct Run<'a> {
    models: Models,
    how: Placement,
    ask_upstream: bool,
    root: PathBuf,
    /// Where files may lie: the scanned folder, and what the cache at hand shares.
    within: Vec<PathBuf>,
    pace: Arc<Pace>,
    report: ImportReport,
    progress: ImportProgress,
    tell: &'a (dyn Fn(ImportProgress) + Send + Sync),
    /// Hashes that are not in the database yet.
    notes: Vec<ScannedFile>,
    /// Repositories that were named by a folder.
    folders: HashSet<RepoKey>,
}

/// What upstream says of a repository.
enum Asked {
    /// It is there, and this is its `main`.
    Knows(Arc<Repo>, CommitId),
    /// It is not there, or not for us.
    Hides,
    /// Nothing, or it was not to be asked.
    Away,
}

impl Models {
    /// See the module's text. Reports `progress` after each file and occasionally in between. An import that was
    /// stopped is not an error: its report says so.
    pub async fn import(
        &self,
        request: ImportRequest,
        progress: &(dyn Fn(ImportProgress) + Send + Sync),
        cancel: CancellationToken,
    ) -> Result<ImportReport> {
        let (root, walk) = self.start_walk(&request).await?;
        let cancel = cancel.child_token();
        // Reading ends also when whoever waits for this leaves.
        let _stops = cancel.clone().drop_guard();
        let ImportRequest { how, bytes_per_second, ask_upstream, .. } = request;
        let mut run = Run {
            models: self.clone(),
            how,
            ask_upstream: ask_upstream && !self.upstream.is_offline(),
            within: vec![root.clone()],
            root,
            pace: Arc::new(Pace { bytes_per_second, cancel: cancel.clone(), bytes_read: AtomicU64::new(0) }),
            report: ImportReport::default(),
            progress: ImportProgress::default(),
            tell: progress,
            notes: Vec::new(),
            folders: HashSet::new(),
        };
        let outcome = {
            let all = Box::pin(run.all(walk));
            tokio::pin!(all);
            tokio::select! {
                outcome = &mut all => outcome,
                () = self.stop.cancelled() => {
                    cancel.cancel();
                    all.await
                }
            }
        };
        let noted = run.write_notes().await;
        match outcome {
            Err(Error::Stopping) if cancel.is_cancelled() => run.report.cancelled = true,
            outcome => outcome?,
        }
        noted?;
        let report = run.report;
        tracing::info!(path = %request.path.display(), cancelled = report.cancelled, repos = report.repos_found, files = report.files, hashed = report.hashed, added_bytes = report.bytes_added, different = report.different, "an import has ended");
        Ok(report)
    }

    /// What an import of this folder would find. Nothing is hashed, written or asked.
    pub async fn preview_import(&self, request: ImportRequest) -> Result<ImportPreview> {
        let (root, mut walk) = self.start_walk(&request).await?;
        let mut preview = ImportPreview::default();
        let mut folders = HashSet::new();
        let stop = self.stop.clone();
        let look = move || {
            while let Some(found) = walk.next() {
                if stop.is_cancelled() {
                    return Err(Error::Stopping);
                }
                if found.layout != Layout::Cache && !folders.insert(found.key.clone()) {
                    local::twice(&found, &mut walk.problems);
                    continue;
                }
                let repo = previewed(&root, &found, &mut walk.problems);
                if repo.files > 0 {
                    preview.add_repo(repo);
                }
            }
            preview.problems = walk.problems;
            if preview.repos.is_empty() {
                preview.problems.merge(walk.passed);
            }
            Ok(preview)
        };
        tokio::task::spawn_blocking(look).await?
    }

    async fn start_walk(&self, request: &ImportRequest) -> Result<(PathBuf, Walk)> {
        let (given, own) = (request.path.clone(), self.store.own_folders());
        let look = move || {
            let root = given.canonicalize().and_then(|root| std::fs::read_dir(&root).map(|_| root));
            let root = root.map_err(|e| Error::Invalid(format!("cannot import {}: {e}", given.display())))?;
            let own = own.map(|folder| folder.canonicalize());
            Ok::<_, Error>((root, own.into_iter().flatten().collect()))
        };
        let (root, own): (PathBuf, Vec<PathBuf>) = tokio::task::spawn_blocking(look).await??;
        if own.iter().any(|own| root.starts_with(own)) {
            return Err(Error::Invalid(format!("{} is this hub's own store", root.display())));
        }
        Ok((root.clone(), Walk::new(root, own, request.repo.clone(), request.kind)))
    }
}

/// Counts the files of a repository that can be taken. Blocks.
fn previewed(root: &Path, found: &Found, problems: &mut Problems) -> PreviewedRepo {
    let mut within = vec![root.to_owned()];
    within.extend(if found.layout == Layout::Cache { shared_blobs(found) } else { None });
    let folders = match found.layout {
        Layout::Cache => {
            let snapshots = found.folder.join("snapshots");
            let items = if is_folder(&snapshots) { read_folder(&snapshots, problems) } else { Vec::new() };
            items.into_iter().filter(|item| item.kind.is_dir()).map(|item| item.path).collect()
        }
        _ => vec![found.folder.clone()],
    };
    let (mut files, mut bytes) = (0, 0);
    for folder in folders {
        for file in files::files(&Found { folder, ..found.clone() }, problems) {
            match Source::open(&file.place, &within) {
                Ok(source) => (files, bytes) = (files + 1, bytes + source.stamp().size),
                Err(refusal) => {
                    let kind = ProblemKind::of(&refusal).unwrap_or(ProblemKind::Unreadable);
                    problems.add(kind, &file.place, refusal.to_string());
                }
            }
        }
    }
    let (repo, path) = (found.key.clone(), found.folder.clone());
    PreviewedRepo { repo, layout: found.layout, path, files, bytes }
}

impl Run<'_> {
    async fn all(&mut self, mut walk: Walk) -> Result<()> {
        loop {
            if self.pace.cancel.is_cancelled() {
                return Err(Error::Stopping);
            }
            let step = move || {
                let found = walk.next();
                (walk, found)
            };
            let (next, found) = tokio::task::spawn_blocking(step).await?;
            walk = next;
            self.report.problems.merge(std::mem::take(&mut walk.problems));
            let Some(found) = found else {
                // Who gets nothing wants to know why, folder by folder.
                if self.report.attached == 0 {
                    self.report.problems.merge(walk.passed);
                }
                return Ok(());
            };
            self.repo(&found).await?;
        }
    }

    async fn repo(&mut self, found: &Found) -> Result<()> {
        self.progress.current = found.key.to_string();
        self.progress.repos += 1;
        self.tell();
        self.within = vec![self.root.clone()];
        let before = (self.report.files, self.report.bytes);
        let imported = match found.layout {
            Layout::Cache => {
                self.within.extend(shared_blobs(found));
                Box::pin(self.cache(found)).await?
            }
            Layout::Folder | Layout::LocalDir | Layout::LooseFiles | Layout::Ollama => {
                Box::pin(self.folder(found)).await?
            }
        };
        if let Some(mut imported) = imported {
            imported.files = self.report.files - before.0;
            imported.bytes = self.report.bytes - before.1;
            self.report.add_repo(imported);
        }
        self.tell();
        Ok(())
    }

    /// What upstream knows of a repository. What it says of its visibility counts from now on.
    async fn ask(&self, key: &RepoKey) -> Result<Asked> {
        if !self.ask_upstream {
            return Ok(Asked::Away);
        }
        let known = self.models.repos.known_repo(key).await?;
        let local = match &known {
            Some(repo) if repo.is_local => self.models.repos.known_revision(repo, Revision::DEFAULT).await?,
            _ => None,
        };
        // A local repository that upstream does not know is not secret.
        let known = known.filter(|repo| !repo.is_local);
        let asked = self.models.repos.ask_revision(&Caller::owner(), key, &Revision::main(), known.as_ref()).await;
        Ok(match asked {
            Ok((repo, main)) => {
                if let Some((commit, _)) = local {
                    self.keep_as_local(&repo, &commit).await?;
                }
                Asked::Knows(repo, main)
            }
            Err(error @ (Error::Internal(_) | Error::NoSpace | Error::Stopping)) => return Err(error),
            Err(Error::RepoNotFound | Error::Gated { .. } | Error::Disabled | Error::Forbidden { .. }) => Asked::Hides,
            // Down, or it says nothing about the repository: it has no `main`, or our own token is wrong.
            Err(error) => {
                tracing::debug!(repo.id = %key, %error, "upstream did not confirm a repository that was found");
                Asked::Away
            }
        })
    }

    /// Whether upstream's listing of a commit is here, now.
    async fn listing(&self, repo: &Arc<Repo>, commit: &CommitId) -> Result<bool> {
        let models = &self.models;
        let kept = match models.repos.origin(repo, commit).await? {
            Some(Origin::Scanned) if self.ask_upstream => models.catalog.ask_tree(&Caller::owner(), repo, commit).await,
            _ if self.ask_upstream => models.catalog.keep_tree(&Caller::owner(), repo, commit).await,
            _ => models.catalog.has_tree(repo, commit).await,
        };
        match kept {
            Err(error @ (Error::Internal(_) | Error::NoSpace | Error::Stopping)) => Err(error),
            kept => Ok(kept.unwrap_or(false)),
        }
    }

    async fn add_repo(&self, key: &RepoKey, origin: Origin) -> Result<Arc<Repo>> {
        let known = self.models.repos.known_repo(key).await?;
        let local = match &known {
            Some(repo) if repo.is_local => self.models.repos.known_revision(repo, Revision::DEFAULT).await?,
            _ => None,
        };
        let new_id = ModelId::generate();
        self.models.db.add_repo(key, origin, &new_id, self.models.clock.now()).await?;
        let repo = self.models.repos.known_repo(key).await?.ok_or(Error::RepoNotFound)?;
        if let Some((commit, _)) = local.filter(|_| !repo.is_local) {
            self.keep_as_local(&repo, &commit).await?;
        }
        Ok(repo)
    }

    /// What was `main` of a local repository, now that the repository is upstream's.
    async fn keep_as_local(&self, repo: &Repo, commit: &CommitId) -> Result<()> {
        self.models.db.put_revision(&repo.row, Some(Revision::LOCAL), commit, None, self.models.clock.now()).await?;
        Ok(())
    }

    fn imported(&self, found: &Found, key: &RepoKey, known_upstream: bool) -> ImportedRepo {
        ImportedRepo {
            repo: key.clone(),
            layout: found.layout,
            path: found.folder.clone(),
            files: 0,
            bytes: 0,
            attached: 0,
            commits: Vec::new(),
            local_revision: None,
            known_upstream,
        }
    }

    fn tell(&mut self) {
        self.progress.bytes_read = self.pace.bytes_read.load(Ordering::Relaxed);
        (self.tell)(self.progress.clone());
    }
}

/// Newer caches keep content of several repositories in one folder, which says that it is that.
fn shared_blobs(found: &Found) -> Option<PathBuf> {
    let blobs = found.folder.parent()?.join("blobs");
    let is_marked = blobs.join(".huggingface-shared-blobs").symlink_metadata().is_ok_and(|mark| mark.is_file());
    (is_folder(&blobs) && is_marked).then_some(blobs)
}
