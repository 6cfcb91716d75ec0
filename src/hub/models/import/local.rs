//! Files that do not say what they are: a model's folder, what `--local-dir` left, loose weights, Ollama's store.
//!
//! Steps: ask upstream what it knows of the repository → take every file → those that a listing of
//! upstream's has, with this content, are that commit's → if they are not all of them, the files as they lie
//! here make a local revision: a commit of our own, complete, about which upstream is never asked.
//!
//! It is `main` of a repository that upstream does not know, and `local` beside upstream's names in one that
//! it does.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::commit::{artifact, folders, local_commit};
use super::files::{self, FoundFile};
use super::report::{ImportedRepo, Layout, ProblemKind, Problems};
use super::take::{Taken, Wanted};
use super::walk::Found;
use super::{Asked, Result, Run};
use crate::domain::{Artifact, CommitId, Entry, Origin, RepoKey, RepoPath, Revision};
use crate::hub::repos::Repo;

/// Pointers of Git LFS are not longer.
const MAX_POINTER: u64 = 1024;

/// The folder of an Ollama tag.
fn tag_of(path: &RepoPath) -> String {
    path.as_str().split('/').next().unwrap_or_default().to_owned()
}

/// A second folder of the same name is skipped.
pub(super) fn twice(found: &Found, problems: &mut Problems) {
    problems.add(ProblemKind::Twice, &found.folder, format!("{} was already found in another folder", found.key));
}

impl Run<'_> {
    pub(super) async fn folder(&mut self, found: &Found) -> Result<Option<ImportedRepo>> {
        if !self.folders.insert(found.key.clone()) {
            twice(found, &mut self.report.problems);
            return Ok(None);
        }
        let list = {
            let found = found.clone();
            move || {
                let mut problems = Problems::default();
                (files::files(&found, &mut problems), problems)
            }
        };
        let (files, problems) = tokio::task::spawn_blocking(list).await?;
        self.report.problems.merge(problems);
        if files.is_empty() {
            return Ok(None);
        }

        let asked = self.ask(&found.key).await?;
        let knows = matches!(asked, Asked::Knows(..));
        let listing = self.listing_for(&found.key, asked, &files).await?;
        let key = listing.as_ref().map_or(&found.key, |(repo, _)| &repo.key);
        let mut imported = self.imported(found, key, knows);
        let (mut taken, mut is_all) = (Vec::new(), true);
        // Tags of which a layer could not be taken: half of one would look like all of it.
        let mut halves: BTreeSet<String> = BTreeSet::new();
        for file in files {
            let listed = match &listing {
                Some((repo, commit)) => self.models.db.entry(&repo.row, commit, &file.path).await?,
                None => None,
            };
            let listed = match listed {
                Some(Entry::File(artifact)) => Some(artifact),
                _ => None,
            };
            // A blob of Ollama's store is what its name says. Links of a folder prove nothing.
            let promised = file.promised.filter(|_| found.layout == Layout::Ollama);
            let wanted = promised.map(|content| Wanted { content, size: None, by: "its name in Ollama's store" });
            let Some(mut this) = self.take(&file, wanted, listed.as_ref()).await? else {
                halves.extend((found.layout == Layout::Ollama).then(|| tag_of(&file.path)));
                continue;
            };
            let listed = listed.filter(|listed| listed.size == this.size && this.names.are(listed.content));
            let matches = listed.is_some();
            // Upstream's own stays what it is known by, also in a local revision.
            this.names.xet_hash = listed.and_then(|listed| listed.xet_hash).or(this.names.xet_hash);
            if this.size <= MAX_POINTER && !matches && self.is_pointer(&file).await? {
                self.report.problems.add(ProblemKind::Pointer, &file.place, "a Git LFS pointer, not the file itself");
                continue;
            }
            if matches {
                imported.attached += 1;
            } else {
                is_all = false;
                if listing.is_some() {
                    self.different(&file, None, "different content or name");
                }
            }
            taken.push((file.path, this));
        }
        for tag in &halves {
            let text = format!("a layer of {}:{tag} is damaged, so none is imported: pull it again", found.key);
            self.report.problems.add(ProblemKind::Incomplete, &found.folder, text);
        }
        taken.retain(|(path, _)| !halves.contains(&tag_of(path)));
        self.report.attached += imported.attached;
        if let Some((_, commit)) = listing.filter(|_| imported.attached > 0) {
            imported.commits.push(commit.to_string());
        }
        if taken.is_empty() {
            return Ok(None);
        }
        if !is_all {
            self.local_revision(&found.key, taken, &mut imported).await?;
        }
        Ok(Some(imported))
    }

    /// The commit whose listing the files may match: the one that they say they are from, or upstream's `main`.
    async fn listing_for(
        &self,
        key: &RepoKey,
        asked: Asked,
        files: &[FoundFile],
    ) -> Result<Option<(Arc<Repo>, CommitId)>> {
        let (repo, main) = match asked {
            Asked::Knows(repo, main) => (repo, Some(main)),
            Asked::Hides => return Ok(None),
            Asked::Away => match self.models.repos.known_repo(key).await? {
                Some(repo) if !repo.is_local => {
                    let main = self.models.repos.known_revision(&repo, Revision::DEFAULT).await?;
                    (repo, main.map(|(commit, _)| commit))
                }
                _ => return Ok(None),
            },
        };
        let mut votes: HashMap<&CommitId, usize> = HashMap::new();
        for commit in files.iter().filter_map(|file| file.commit.as_ref()) {
            *votes.entry(commit).or_default() += 1;
        }
        let named = votes.into_iter().max_by_key(|(commit, count)| (*count, commit.as_str())).map(|(c, _)| c.clone());
        for commit in named.into_iter().chain(main) {
            if self.listing(&repo, &commit).await? {
                return Ok(Some((repo, commit)));
            }
        }
        Ok(None)
    }

    /// Makes a commit of the files as they lie here.
    async fn local_revision(
        &mut self,
        key: &RepoKey,
        taken: Vec<(RepoPath, Taken)>,
        imported: &mut ImportedRepo,
    ) -> Result<()> {
        let repo = self.add_repo(key, Origin::Local).await?;
        let commit = local_commit(&taken)?;
        let count = taken.len() as u64;
        let artifacts: Vec<Artifact> = taken.into_iter().map(|(path, taken)| artifact(path, taken, None)).collect();
        let mut entries = folders(&artifacts);
        entries.extend(artifacts.into_iter().map(Entry::File));
        let (db, row) = (&self.models.db, &repo.row);
        db.add_commit(row, &commit, Origin::Local).await?;
        for batch in entries.chunks(1000) {
            db.put_entries(row, &commit, batch).await?;
        }
        db.complete_tree(row, &commit).await?;
        let name = if repo.is_local { Revision::DEFAULT } else { Revision::LOCAL };
        db.put_revision(row, Some(name), &commit, None, self.models.clock.now()).await?;

        // Those that match upstream's listing are counted already.
        self.report.attached += count - imported.attached.min(count);
        imported.attached = count;
        imported.commits.push(commit.to_string());
        imported.local_revision = Some(name.to_owned());
        Ok(())
    }
}
