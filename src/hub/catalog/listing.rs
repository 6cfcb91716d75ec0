//! Reading a listing from upstream to its end.
//!
//! Steps: ask for a page → check that it is within the limits → record its entries → go on where it says. At the end the
//! tree is complete. Entries are found by whoever asks for them from the moment when they are recorded. A reading that does
//! not come to the end takes back what it alone has brought, so that a listing without an end leaves nothing; that of a process
//! that died is taken back later (`Db::prune_readings`).

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use super::{Catalog, Result};
use crate::db::ReadingId;
use crate::domain::{CommitId, Entry, Millis, RepoPath, millis};
use crate::hub::repos::Repo;
use crate::hub::{Caller, Error};
use crate::upstream::{self, BASE_MARK, TreeItem};

/// The largest real repositories have about a million files.
const MOST_ENTRIES: usize = 2_000_000;
/// The Hub's pages hold 1000 entries: a thousand pages for a million files.
const MOST_PAGES: usize = 10_000;
/// A page takes about a second, so a million files take about 20 minutes.
const LONGEST: Duration = Duration::from_secs(3600);

/// What was read of a listing so far.
#[derive(Default)]
struct Progress {
    hasher: RandomState,
    /// Hashes of their paths, which may be long.
    pages: HashSet<u64>,
    entries: usize,
}

impl Progress {
    /// The page at `path` is about to be read; the error names the limit.
    fn begin(&mut self, path: &str) -> Result<(), String> {
        if self.pages.len() == MOST_PAGES {
            return Err(format!("it has more than {MOST_PAGES} pages, which is the limit"));
        }
        if !self.pages.insert(self.hasher.hash_one(path)) {
            return Err("its next page is one that was read before".into());
        }
        Ok(())
    }

    fn add(&mut self, entries: usize) -> Result<(), String> {
        self.entries += entries;
        match self.entries > MOST_ENTRIES {
            true => Err(format!("it has more than {MOST_ENTRIES} entries, which is the limit")),
            false => Ok(()),
        }
    }

    fn is_first_page(&self) -> bool {
        self.pages.len() == 1
    }
}

impl Catalog {
    /// Reads and records the whole tree; `false` if upstream masks it for this caller.
    pub(super) async fn read_tree(&self, caller: &Caller, repo: &Repo, commit: &CommitId) -> Result<bool> {
        let reading = ReadingId::at(self.clock.now(), &uuid::Uuid::new_v4().simple().to_string());
        let outcome = match self.clock.timeout(LONGEST, self.read_pages(caller, repo, commit, &reading)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let text =
                    format!("its end was not reached within {} minutes, which is the limit", LONGEST.as_secs() / 60);
                Err(invalid(repo, &text))
            }
        };
        if !matches!(outcome, Ok(true))
            && let Err(error) = self.db.delete_reading(&repo.row, commit, &reading).await
        {
            tracing::warn!(repo.id = %repo.key, %commit, %error, "could not remove what was read of a listing");
        }
        outcome
    }

    async fn read_pages(&self, caller: &Caller, repo: &Repo, commit: &CommitId, reading: &ReadingId) -> Result<bool> {
        let fail = |error: upstream::Error| {
            let what = match &error {
                upstream::Error::RevisionNotFound { .. } => commit.to_string(),
                _ => format!("the listing of {} at {commit}", repo.key),
            };
            Error::upstream(error, what)
        };
        let bad = |text: String| invalid(repo, &text);
        let mut path = format!("{}/tree/{commit}?recursive=true&expand=false", repo.key.api_path());
        let mut progress = Progress::default();
        let mut dropped = 0usize;
        let mut unlisted = self.repos.scanned_paths(repo, commit).await?;
        loop {
            progress.begin(&path).map_err(bad)?;
            let answer = self.upstream.get(&path, caller.upstream()).await.map_err(fail)?;
            let items: Vec<TreeItem> = serde_json::from_slice(&answer.body).map_err(|e| bad(e.to_string()))?;
            progress.add(items.len()).map_err(bad)?;
            if items.iter().any(TreeItem::is_masked) {
                return Ok(false);
            }
            if progress.is_first_page() {
                self.db.put_revision(&repo.row, None, commit, None, self.clock.now()).await?;
            }
            let count = items.len();
            let entries: Vec<Entry> = items.into_iter().filter_map(TreeItem::entry).collect();
            dropped += count - entries.len();
            if let Some(unlisted) = &mut unlisted {
                for entry in &entries {
                    unlisted.remove(entry.path());
                }
            }
            for batch in entries.chunks(1000) {
                self.db.put_page(&repo.row, commit, batch, reading).await?;
            }
            let next = answer
                .link
                .as_deref()
                .and_then(|link| link.split_once('>')?.0.strip_prefix('<')?.strip_prefix(BASE_MARK));
            match next {
                Some(next) => next.clone_into(&mut path),
                None => break,
            }
        }
        if dropped > 0 {
            tracing::warn!(repo.id = %repo.key, %commit, dropped, "skipped entries with unsafe names or invalid hashes");
        }
        if let Some(unlisted) = &unlisted {
            let unlisted: Vec<RepoPath> = unlisted.iter().cloned().collect();
            self.db.delete_entries(&repo.row, commit, &unlisted).await?;
        }
        self.db.complete_tree(&repo.row, commit).await?;
        self.complete.insert((repo.row.clone(), commit.clone()), ());
        Ok(true)
    }

    /// Removes what readings of processes that died have brought.
    pub(in crate::hub) async fn prune_readings(&self, now: Millis) -> Result<()> {
        Ok(self.db.prune_readings(now - 2 * millis(LONGEST)).await?)
    }
}

fn invalid(repo: &Repo, text: &str) -> Error {
    Error::BadUpstream(format!("invalid listing of {} from upstream: {text}", repo.key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_ends_at_the_limits_and_where_it_began() {
        let mut progress = Progress::default();
        for page in 0..MOST_PAGES {
            assert_eq!(progress.begin(&format!("/page/{page}")), Ok(()));
        }
        assert_eq!(progress.begin("/page/more"), Err("it has more than 10000 pages, which is the limit".into()));
        let mut progress = Progress::default();
        progress.begin("/a").unwrap();
        progress.begin("/b").unwrap();
        assert_eq!(progress.begin("/a"), Err("its next page is one that was read before".into()));
        let mut progress = Progress::default();
        assert_eq!(progress.add(MOST_ENTRIES), Ok(()));
        assert_eq!(progress.add(1), Err("it has more than 2000000 entries, which is the limit".into()));
    }
}
