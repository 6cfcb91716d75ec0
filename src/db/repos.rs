//! Repositories and the other names that upstream knows them by.

use super::sql::{Tx, args};
use super::{Change, Db, Error, Result, like};
use crate::domain::{Millis, ModelId, ModelSource, RepoId, RepoKey, RepoKind, Visibility};

/// A repository that upstream has shown to somebody, or that a scan has found.
#[derive(Debug, Clone)]
pub struct RepoRow {
    /// UUIDv7; what all other tables refer to.
    pub id: ModelId,
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
    /// Made here of a folder.
    pub is_local: bool,
}

impl Db {
    pub async fn repo(&self, key: &RepoKey) -> Result<Option<RepoRow>> {
        let sql = "select id, visibility, checked_at, source from model_repo where kind = $1 and repo_id = $2";
        let row: Option<(String, String, i64, String)> =
            self.optional(sql, args![key.kind.as_str(), key.id.as_str()]).await?;
        Ok(row.map(|(id, visibility, checked_at, source)| RepoRow {
            id: ModelId::new(id),
            visibility: Visibility::parse(&visibility),
            checked_at,
            is_local: source == ModelSource::Local.as_str(),
        }))
    }

    /// Records that upstream showed this repository with this visibility, also if it was local so far.
    pub async fn put_repo(
        &self,
        key: &RepoKey,
        visibility: Visibility,
        new_id: &ModelId,
        now: Millis,
    ) -> Result<RepoRow> {
        let sql = "insert into model_repo (id, kind, vendor, name, repo_id, source, status, visibility, checked_at, created_at)
            values ($1, $2, $3, $4, $5, 'huggingface', 'synced', $6, $7, $7)
            on conflict (kind, repo_id) do update set visibility = excluded.visibility, checked_at = excluded.checked_at,
                source = excluded.source";
        let (kind, id) = (key.kind.as_str(), &key.id);
        let mut tx = self.begin().await?;
        let seen = "select visibility, source from model_repo where kind = $1 and repo_id = $2";
        let was: Option<(String, String)> = tx.optional(seen, args![kind, id.as_str()]).await?;
        let word = visibility.as_str();
        tx.execute(sql, args![new_id, kind, id.vendor(), id.name(), id.as_str(), word, now]).await?;
        if was.is_some_and(|(was, source)| was != word || source == "local") {
            tx.tells(Change::Repo(key.clone()));
        }
        tx.commit().await?;
        self.repo(key).await?.ok_or(Error::Driver(sqlx::Error::RowNotFound))
    }

    /// The id that upstream redirects `alias` to.
    pub async fn alias(&self, alias: &RepoKey) -> Result<Option<RepoId>> {
        let sql = "select repo_id from repo_alias where kind = $1 and alias = $2";
        let row: Option<(String,)> = self.optional(sql, args![alias.kind.as_str(), alias.id.as_str()]).await?;
        row.map(|(id,)| RepoId::parse(&id).map_err(|source| Error::Corrupt { what: "repository id", source }))
            .transpose()
    }

    /// Notes that upstream redirects `alias` to `target`. What was known here under the alias, registration and pin
    /// too, belongs to the target from now on.
    pub async fn put_alias(&self, alias: &RepoKey, target: &RepoId, now: Millis) -> Result<()> {
        let mut tx = self.begin().await?;
        let sql = "insert into repo_alias (kind, alias, repo_id, seen_at) values ($1, $2, $3, $4)
            on conflict (kind, alias) do update set repo_id = excluded.repo_id, seen_at = excluded.seen_at";
        tx.execute(sql, args![alias.kind.as_str(), alias.id.as_str(), target.as_str(), now]).await?;
        if alias.id != *target {
            move_repo(&mut tx, alias, target).await?;
        }
        tx.tells(Change::Repo(alias.clone()));
        tx.tells(Change::Repo(RepoKey::new(alias.kind, target.clone())));
        tx.commit().await
    }

    /// Public repositories known here whose id contains `search` (any letter case), by id; all, or only those that were
    /// made here.
    pub async fn public_repos(
        &self,
        kind: RepoKind,
        search: &str,
        only_local: bool,
        limit: u64,
    ) -> Result<Vec<RepoListing>> {
        let sql = "select r.repo_id, v.commit_id, c.info, r.source from model_repo r
            left join repo_revision v on v.repo = r.id and v.name = 'main'
            left join repo_commit c on c.repo = r.id and c.commit_id = v.commit_id
            where r.kind = $1 and r.visibility <> 'private' and ($2 = '' or lower(r.repo_id) like $2 escape '\\')
            and ($4 = '' or r.source = $4) order by r.repo_id limit $3";
        let Some(pattern) = like(search) else { return Ok(Vec::new()) };
        let local = ModelSource::Local.as_str();
        let source = if only_local { local } else { "" };
        let rows: Vec<(String, Option<String>, Option<String>, String)> =
            self.all(sql, args![kind.as_str(), pattern, limit, source]).await?;
        let listing = |(repo_id, commit, info, source): (String, Option<String>, Option<String>, String)| RepoListing {
            repo_id,
            commit,
            info,
            is_local: source == local,
        };
        Ok(rows.into_iter().map(listing).collect())
    }
}

/// Renames the repository `from` to its true name; if that already has a row, the two are merged.
async fn move_repo(tx: &mut Tx, from: &RepoKey, to: &RepoId) -> Result<()> {
    let kind = from.kind.as_str();
    // Both rows first, in the order of their keys: others touch several of them in that order.
    if tx.is_postgres() {
        let sql = "select id from model_repo where kind = $1 and repo_id in ($2, $3) order by id for update";
        tx.all::<(String,)>(sql, args![kind, from.id.as_str(), to.as_str()]).await?;
    }
    // What led to the old name leads to the new one.
    let sql = "update repo_alias set repo_id = $3 where kind = $1 and repo_id = $2";
    tx.execute(sql, args![kind, from.id.as_str(), to.as_str()]).await?;
    let sql = "select id from model_repo where kind = $1 and repo_id = $2";
    let old: Option<(String,)> = tx.optional(sql, args![kind, from.id.as_str()]).await?;
    let Some((old,)) = old else { return Ok(()) };
    let new: Option<(String,)> = tx.optional(sql, args![kind, to.as_str()]).await?;
    let Some((new,)) = new else {
        let sql = "update model_repo set repo_id = $2, vendor = $3, name = $4 where id = $1";
        tx.execute(sql, args![old, to.as_str(), to.vendor(), to.name()]).await?;
        return Ok(());
    };
    let sql = "update model_repo as n set pinned = (n.pinned or o.pinned), stale = $3,
            revision = case when n.registered_at is null and o.registered_at is not null then o.revision else n.revision end,
            sync_every_ms = case when n.sync_every_ms = 0 then o.sync_every_ms else n.sync_every_ms end,
            registered_at = coalesce(n.registered_at, o.registered_at)
        from model_repo as o where n.id = $1 and o.id = $2";
    tx.execute(sql, args![new.as_str(), old.as_str(), true]).await?;
    for sql in [
        "insert into repo_commit (repo, commit_id, info, tree_complete, origin)
            select $1, commit_id, info, tree_complete, origin from repo_commit where repo = $2
            on conflict (repo, commit_id) do update set info = coalesce(repo_commit.info, excluded.info),
                tree_complete = (repo_commit.tree_complete or excluded.tree_complete)",
        "insert into model_artifact (repo, commit_id, file_path, parent, entry, size_bytes, oid, sha256, xet_hash)
            select $1, commit_id, file_path, parent, entry, size_bytes, oid, sha256, xet_hash from model_artifact where repo = $2
            on conflict (repo, commit_id, file_path) do nothing",
        "insert into repo_revision (repo, name, commit_id, checked_at)
            select $1, name, commit_id, checked_at from repo_revision where repo = $2
            on conflict (repo, name) do nothing",
        "update job set repo = $1 where repo = $2",
    ] {
        tx.execute(sql, args![new.as_str(), old.as_str()]).await?;
    }
    tx.execute("delete from model_repo where id = $1", args![old]).await?;
    Ok(())
}
