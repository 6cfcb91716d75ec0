//! Which commit a name meant when, and what is known of a commit as a whole.

use super::sql::args;
use super::{Change, Db, Error, Result};
use crate::domain::{CommitId, Millis, ModelId};

/// A name and the commit that it meant at `checked_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCommit {
    pub name: String,
    pub commit: CommitId,
    pub checked_at: Millis,
}

impl Db {
    pub async fn revision(&self, repo: &ModelId, name: &str) -> Result<Option<NamedCommit>> {
        let sql = "select name, commit_id, checked_at from repo_revision where repo = $1 and name = $2";
        let row: Option<(String, String, i64)> = self.optional(sql, args![repo, name]).await?;
        row.map(named_commit_of).transpose()
    }

    pub async fn revisions(&self, repo: &ModelId) -> Result<Vec<NamedCommit>> {
        let sql = "select name, commit_id, checked_at from repo_revision where repo = $1 order by name limit 1000";
        let rows: Vec<(String, String, i64)> = self.all(sql, args![repo]).await?;
        rows.into_iter().map(named_commit_of).collect()
    }

    /// Removes a name, unless it now means another commit, or one that upstream did not report.
    pub async fn delete_revision(&self, repo: &ModelId, known: &NamedCommit) -> Result<()> {
        let sql = "delete from repo_revision where repo = $1 and name = $2 and commit_id = $3 and checked_at = $4
            and not exists (select 1 from repo_commit c where c.repo = $1 and c.commit_id = $3 and c.origin is not null)";
        let mut tx = self.begin().await?;
        let gone = tx.execute(sql, args![repo, known.name.as_str(), known.commit.as_str(), known.checked_at]).await?;
        if gone > 0 {
            tx.tells(Change::Revision { repo: repo.to_owned(), name: known.name.clone() });
        }
        tx.commit().await
    }

    /// Records what upstream said in one transaction: the commit's info (if there is one) and,
    /// for a named revision, the commit that it means now.
    pub async fn put_revision(
        &self,
        repo: &ModelId,
        name: Option<&str>,
        commit: &CommitId,
        info: Option<&str>,
        now: Millis,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let sql = "insert into repo_commit (repo, commit_id, info, tree_complete) values ($1, $2, $3, $4)
            on conflict (repo, commit_id) do update set info = coalesce(excluded.info, repo_commit.info)";
        tx.execute(sql, args![repo, commit.as_str(), info.map(str::to_owned), false]).await?;
        if let Some(name) = name {
            let known = "select commit_id from repo_revision where repo = $1 and name = $2";
            let known: Option<(String,)> = tx.optional(known, args![repo, name]).await?;
            if known.is_none_or(|(known,)| known != commit.as_str()) {
                tx.tells(Change::Revision { repo: repo.to_owned(), name: name.to_owned() });
            }
            let sql = "insert into repo_revision (repo, name, commit_id, checked_at) values ($1, $2, $3, $4)
                on conflict (repo, name) do update set commit_id = excluded.commit_id, checked_at = excluded.checked_at";
            tx.execute(sql, args![repo, name, commit.as_str(), now]).await?;
            let sql = "update model_repo set stale = $3 where id = $1 and revision = $2 and tip <> $4";
            tx.execute(sql, args![repo, name, true, commit.as_str()]).await?;
        }
        tx.commit().await
    }

    /// Whether anything is known of a commit.
    pub async fn knows_commit(&self, repo: &ModelId, commit: &CommitId) -> Result<bool> {
        let sql = "select commit_id from repo_commit where repo = $1 and commit_id = $2";
        let row: Option<(String,)> = self.optional(sql, args![repo, commit.as_str()]).await?;
        Ok(row.is_some())
    }

    /// The info of a commit, as stored by `put_revision`.
    pub async fn commit_info(&self, repo: &ModelId, commit: &CommitId) -> Result<Option<String>> {
        let sql = "select info from repo_commit where repo = $1 and commit_id = $2";
        let row: Option<(Option<String>,)> = self.optional(sql, args![repo, commit.as_str()]).await?;
        Ok(row.and_then(|(info,)| info))
    }
}

fn named_commit_of((name, commit, checked_at): (String, String, i64)) -> Result<NamedCommit> {
    let commit = CommitId::parse(&commit).map_err(|source| Error::Corrupt { what: "commit", source })?;
    Ok(NamedCommit { name, commit, checked_at })
}
