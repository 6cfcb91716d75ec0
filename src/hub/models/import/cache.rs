//! A repository of a Hugging Face cache: refs, snapshots, and what the cache knows of their listings.
//!
//! Steps: ask upstream what it knows of the repository → for each snapshot: its listing, by upstream, else as
//! the cache has noted it, else none → each file, which has to match the listing, or the name of
//! its blob → the artifacts → the names.
//!
//! Without a listing, a file that the snapshot names and that cannot be taken is recorded as lost: clients that download
//! everything are to fail, not to end without it.
//!
//! Without upstream the commit is `Scanned`: good until upstream can be asked (`hub/repos/origin.rs`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::commit::{artifact, folders};
use super::files::{self, FoundFile};
use super::folder::{MAX_ENTRIES, is_folder, read_folder, read_small};
use super::report::{ImportedRepo, ProblemKind, Problems};
use super::take::Wanted;
use super::walk::Found;
use super::{Asked, Result, Run};
use crate::domain::{
    Artifact, CommitId, ContentId, Digest, Entry, GitOid, Origin, RepoPath, Revision, Visibility, XetHash,
};
use crate::hub::repos::Repo;

/// A ref holds 40 digits.
const MAX_REF: u64 = 200;
const MAX_TREE: u64 = 64 << 20;

/// What became of a file of a snapshot.
enum Outcome {
    /// It is not the commit's.
    LeftOut,
    Listed(Artifact),
    New(Artifact),
    /// No listing names it, and its bytes are not here.
    Lost(Artifact),
}

/// What a cache says of a repository.
struct Noted {
    refs: Vec<(String, CommitId)>,
    snapshots: Vec<CommitId>,
}

impl Run<'_> {
    pub(super) async fn cache(&mut self, found: &Found) -> Result<Option<ImportedRepo>> {
        let (folder, mut problems) = (found.folder.clone(), Problems::default());
        let (noted, problems) = tokio::task::spawn_blocking(move || (noted(&folder, &mut problems), problems)).await?;
        self.report.problems.merge(problems);
        if noted.snapshots.is_empty() {
            return Ok(None);
        }
        let Some((repo, knows)) = self.cached_repo(found).await? else { return Ok(None) };
        let mut imported = self.imported(found, &repo.key, knows);
        for commit in noted.snapshots {
            let snapshot = found.folder.join("snapshots").join(commit.as_str());
            let list = move || {
                let mut problems = Problems::default();
                (files::tree(&snapshot, &mut problems), problems)
            };
            let (files, problems) = tokio::task::spawn_blocking(list).await?;
            self.report.problems.merge(problems);
            let attached = self.snapshot(found, &repo, &commit, files, knows).await?;
            if attached > 0 {
                self.absent(found, &repo, &commit).await?;
                imported.commits.push(commit.to_string());
            }
            imported.attached += attached;
        }
        for (name, commit) in noted.refs {
            if imported.commits.iter().any(|known| known == commit.as_str()) {
                self.name(&repo, &name, &commit).await?;
            }
        }
        Ok(Some(imported))
    }

    /// The repository's row, and whether upstream was asked and knows it.
    async fn cached_repo(&mut self, found: &Found) -> Result<Option<(Arc<Repo>, bool)>> {
        let repos = &self.models.repos;
        let known = repos.known_repo(&found.key).await?;
        match self.ask(&found.key).await? {
            Asked::Knows(repo, _) => Ok(Some((repo, true))),
            // Private from now on: only callers whom upstream accepts may have it.
            Asked::Hides if known.is_none_or(|known| !known.is_local) => {
                self.report.problems.add(ProblemKind::NotVisible, &found.folder, HIDDEN);
                Ok(Some((repos.note_repo(&found.key, Visibility::Private).await?, false)))
            }
            Asked::Hides => {
                self.report.problems.add(
                    ProblemKind::Twice,
                    &found.folder,
                    "a folder was already imported under this name",
                );
                Ok(None)
            }
            Asked::Away => Ok(Some((self.add_repo(&found.key, Origin::Scanned).await?, false))),
        }
    }

    /// Imports the files of one snapshot; how many belong to the commit now.
    async fn snapshot(
        &mut self,
        found: &Found,
        repo: &Arc<Repo>,
        commit: &CommitId,
        files: Vec<FoundFile>,
        knows: bool,
    ) -> Result<u64> {
        let is_listed = knows && self.listing(repo, commit).await?;
        if !is_listed {
            self.noted_tree(found, repo, commit).await?;
        }
        let is_complete = self.models.catalog.has_tree(repo, commit).await?;
        let (mut artifacts, mut new, mut named) = (Vec::new(), Vec::new(), Vec::new());
        let mut outcome = Ok(());
        for file in files {
            match self.snapshot_file(repo, commit, &file, is_complete).await {
                Ok(Outcome::LeftOut) => {}
                Ok(Outcome::Listed(artifact)) => artifacts.push(artifact),
                Ok(Outcome::New(artifact)) => {
                    new.push(Entry::File(artifact.clone()));
                    artifacts.push(artifact);
                }
                Ok(Outcome::Lost(artifact)) => {
                    new.push(Entry::File(artifact.clone()));
                    named.push(artifact);
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        let attached = artifacts.len() as u64;
        // Including what was imported before it was stopped. Names alone are of no use.
        if !new.is_empty() && attached > 0 {
            if outcome.is_ok() {
                artifacts.append(&mut named);
                new.extend(folders(&artifacts));
            }
            self.models.db.add_commit(&repo.row, commit, Origin::Scanned).await?;
            for batch in new.chunks(1000) {
                self.models.db.put_entries(&repo.row, commit, batch).await?;
            }
        }
        self.report.attached += attached;
        outcome.map(|()| attached)
    }

    /// One file of a snapshot as an artifact of its commit.
    async fn snapshot_file(
        &mut self,
        repo: &Repo,
        commit: &CommitId,
        file: &FoundFile,
        is_complete: bool,
    ) -> Result<Outcome> {
        let listed = match self.models.db.entry(&repo.row, commit, &file.path).await? {
            Some(Entry::File(artifact)) if !artifact.is_lost() => Some(artifact),
            Some(Entry::Directory { .. }) => {
                self.report.files += 1;
                self.different(file, None, "it is a folder there");
                return Ok(Outcome::LeftOut);
            }
            _ if is_complete => {
                self.report.files += 1;
                self.different(file, None, "the file is missing there");
                return Ok(Outcome::LeftOut);
            }
            _ => None,
        };
        let wanted = match &listed {
            Some(artifact) => {
                Some(Wanted { content: artifact.content, size: Some(artifact.size), by: "the commit's listing" })
            }
            None => file.promised.map(|content| Wanted { content, size: None, by: "its name in the cache" }),
        };
        let taken = self.take(file, wanted, listed.as_ref()).await?;
        Ok(match (taken, listed) {
            (Some(_), Some(artifact)) => Outcome::Listed(artifact),
            (Some(taken), None) => Outcome::New(artifact(file.path.clone(), taken, file.promised)),
            (None, Some(_)) => Outcome::LeftOut,
            (None, None) => {
                let content = file.promised.unwrap_or_else(|| nobodys(&file.path));
                Outcome::Lost(Artifact::lost(file.path.clone(), content))
            }
        })
    }

    /// The listing that the cache has noted, for a commit whose listing is not known yet.
    async fn noted_tree(&self, found: &Found, repo: &Repo, commit: &CommitId) -> Result<()> {
        if self.models.catalog.has_tree(repo, commit).await? {
            return Ok(());
        }
        let path = found.folder.join("trees").join(format!("{commit}.json"));
        let within = self.within.clone();
        let read = move || noted_files(&read_small(&path, &within, MAX_TREE)?);
        let Some(files) = tokio::task::spawn_blocking(read).await? else { return Ok(()) };
        let mut entries = folders(&files);
        entries.extend(files.into_iter().map(Entry::File));
        let row = &repo.row;
        self.models.db.add_commit(row, commit, Origin::Scanned).await?;
        for batch in entries.chunks(1000) {
            self.models.db.put_entries(row, commit, batch).await?;
        }
        self.models.db.complete_scanned_tree(row, commit).await?;
        Ok(())
    }

    /// Files that are not in the commit, as upstream told this cache.
    async fn absent(&self, found: &Found, repo: &Repo, commit: &CommitId) -> Result<()> {
        if self.models.catalog.has_tree(repo, commit).await? {
            return Ok(());
        }
        let folder = found.folder.join(".no_exist").join(commit.as_str());
        let list = move || if is_folder(&folder) { files::tree(&folder, &mut Problems::default()) } else { Vec::new() };
        for file in tokio::task::spawn_blocking(list).await? {
            self.models.db.put_missing(&repo.row, commit, &file.path, self.models.clock.now()).await?;
        }
        Ok(())
    }

    /// What upstream or an earlier scan said about a name stays, unless it is a folder's.
    async fn name(&self, repo: &Repo, name: &str, commit: &CommitId) -> Result<()> {
        if let Some((resolved, checked_at)) = self.models.repos.known_revision(repo, name).await? {
            let is_local = self.models.repos.origin(repo, &resolved).await? == Some(Origin::Local);
            if checked_at != 0 && !is_local {
                return Ok(());
            }
        }
        // As old as can be: upstream is asked at the next opportunity.
        self.models.db.put_revision(&repo.row, Some(name), commit, None, 0).await?;
        Ok(())
    }
}

/// Stands for the content of a file of which the cache does not say what it was.
fn nobodys(path: &RepoPath) -> ContentId {
    let hash = Sha256::digest(format!("modelhub lost file\n{path}"));
    ContentId::Sha256(Digest::from_bytes(hash.into()))
}

const HIDDEN: &str = "upstream does not show this repository; it is served only to callers whose token has access";

/// Reads refs and the names of snapshots. Blocks.
fn noted(folder: &Path, problems: &mut Problems) -> Noted {
    let mut refs = Vec::new();
    let base = folder.join("refs");
    let mut waiting = if is_folder(&base) { vec![base.clone()] } else { Vec::new() };
    while let Some(at) = waiting.pop() {
        for item in read_folder(&at, problems) {
            if item.kind.is_dir() && waiting.len() < 1000 {
                waiting.push(item.path);
                continue;
            }
            match read_ref(&item.path, &base, folder) {
                Some(named) if refs.len() < MAX_ENTRIES => refs.push(named),
                _ => problems.add(ProblemKind::Name, &item.path, "not a ref; expected a file with 40 hex digits"),
            }
        }
    }
    let mut snapshots = Vec::new();
    let base = folder.join("snapshots");
    if is_folder(&base) {
        for item in read_folder(&base, problems) {
            match CommitId::parse(&item.name) {
                Ok(commit) if item.kind.is_dir() => snapshots.push(commit),
                _ => problems.add(
                    ProblemKind::Name,
                    &item.path,
                    "not a snapshot; expected a folder named after its commit",
                ),
            }
        }
    }
    Noted { refs, snapshots }
}

fn read_ref(path: &Path, base: &Path, folder: &Path) -> Option<(String, CommitId)> {
    let name = path.strip_prefix(base).ok()?.to_str()?;
    let Revision::Named(name) = Revision::parse(name).ok()? else { return None };
    let within: [PathBuf; 1] = [folder.to_owned()];
    let text = String::from_utf8(read_small(path, &within, MAX_REF)?).ok()?;
    Some((name, CommitId::parse(text.trim()).ok()?))
}

#[derive(Deserialize)]
struct TreeNote {
    format_version: u64,
    files: BTreeMap<String, FileNote>,
}

#[derive(Deserialize)]
struct FileNote {
    size: u64,
    blob_id: String,
    lfs_sha256: Option<String>,
    lfs_size: Option<u64>,
    xet_hash: Option<String>,
}

/// `trees/<commit>.json` of huggingface_hub from 1.22 on; `None` if any of it is not as expected.
fn noted_files(json: &[u8]) -> Option<Vec<Artifact>> {
    let note: TreeNote = serde_json::from_slice(json).ok().filter(|note: &TreeNote| note.format_version == 1)?;
    let files = note.files.into_iter().map(|(path, file)| {
        let oid = GitOid::parse(&file.blob_id).ok()?;
        let content = match &file.lfs_sha256 {
            Some(sha256) => ContentId::Sha256(Digest::parse(sha256).ok()?),
            None => ContentId::Git(oid),
        };
        let size = file.lfs_size.unwrap_or(file.size);
        let xet_hash = file.xet_hash.filter(|_| content.is_lfs()).and_then(|hash| XetHash::parse(&hash).ok());
        Some(Artifact { path: RepoPath::parse(&path).ok()?, size, content, oid: Some(oid), xet_hash })
    });
    files.collect()
}
