//! Repositories and the other names that upstream knows them by.

use super::sql::args;
use super::{Db, Error, Result, like};
use crate::domain::{Millis, RepoId, RepoKey, RepoKind, Visibility};

/// A repository that upstream has shown to somebody, or that a scan has found.
#[derive(Debug, Clone)]
pub struct RepoRow {
    /// UUIDv7; what all other tables refer to.
    pub id: String,
    pub visibility: Visibility,
    pub checked_at: Millis,
    /// Made here of a folder: upstream is never asked about it.
    pub is_local: bool,
}

/// One line of a list of what is known here.
#[derive(Debug, Clone)]
pub struct RepoListing {
    pub repo_id: String,
    pub commit: Option<String>,
    pub info: Option<String>,
}

impl Db {
    pub async fn repo(&self, key: &RepoKey) -> Result<Option<RepoRow>> {
        let sql = "select id, visibility, checked_at, source from model_repo where kind = $1 and repo_id = $2";
        let row: Option<(String, String, i64, String)> =
            self.optional(sql, args![key.kind.as_str(), key.id.as_str()]).await?;
        Ok(row.map(|(id, visibility, checked_at, source)| RepoRow {
            id,
            visibility: Visibility::parse(&visibility),
            checked_at,
            is_local: source == "local",
        }))
    }

    /// Records that upstream showed this repository with this visibility, also if it was local so far.
    pub async fn put_repo(&self, key: &RepoKey, visibility: Visibility, new_id: &str, now: Millis) -> Result<RepoRow> {
        let sql = "insert into model_repo (id, kind, vendor, name, repo_id, source, status, visibility, checked_at, created_at)
            values ($1, $2, $3, $4, $5, 'huggingface', 'synced', $6, $7, $7)
            on conflict (kind, repo_id) do update set visibility = excluded.visibility, checked_at = excluded.checked_at,
                source = excluded.source";
        let id = &key.id;
        let visibility = visibility.as_str();
        self.execute(sql, args![new_id, key.kind.as_str(), id.vendor(), id.name(), id.as_str(), visibility, now])
            .await?;
        self.repo(key).await?.ok_or(Error::Driver(sqlx::Error::RowNotFound))
    }

    /// The id that upstream redirects `alias` to.
    pub async fn alias(&self, alias: &RepoKey) -> Result<Option<RepoId>> {
        let sql = "select repo_id from repo_alias where kind = $1 and alias = $2";
        let row: Option<(String,)> = self.optional(sql, args![alias.kind.as_str(), alias.id.as_str()]).await?;
        row.map(|(id,)| RepoId::parse(&id).map_err(|source| Error::Corrupt { what: "repository id", source }))
            .transpose()
    }

    pub async fn put_alias(&self, alias: &RepoKey, target: &RepoId, now: Millis) -> Result<()> {
        let sql = "insert into repo_alias (kind, alias, repo_id, seen_at) values ($1, $2, $3, $4)
            on conflict (kind, alias) do update set repo_id = excluded.repo_id, seen_at = excluded.seen_at";
        self.execute(sql, args![alias.kind.as_str(), alias.id.as_str(), target.as_str(), now]).await?;
        Ok(())
    }

    /// Public repositories known here whose id contains `search` (any letter case), by id.
    pub async fn public_repos(&self, kind: RepoKind, search: &str, limit: u64) -> Result<Vec<RepoListing>> {
        let sql = "select r.repo_id, v.commit_id, c.info from model_repo r
            left join repo_revision v on v.repo = r.id and v.name = 'main'
            left join repo_commit c on c.repo = r.id and c.commit_id = v.commit_id
            where r.kind = $1 and r.visibility <> 'private' and ($2 = '' or lower(r.repo_id) like $2 escape '\\')
            order by r.repo_id limit $3";
        let Some(pattern) = like(search) else { return Ok(Vec::new()) };
        let rows: Vec<(String, Option<String>, Option<String>)> =
            self.all(sql, args![kind.as_str(), pattern, limit]).await?;
        Ok(rows.into_iter().map(|(repo_id, commit, info)| RepoListing { repo_id, commit, info }).collect())
    }
}
