//! Repositories as people see them: what is registered, how much of each is stored, when it was used.
//!
//! Counting what is stored means reading every file of a repository, so it is done once after something changed
//! (`stale`) and kept in the row.

use super::files::{is_here, with_blob};
use super::jobs::enqueue_in;
use super::sql::{Pick, args};
use super::tx::Tx;
use super::{Change, Db, Error, Result, like};
use crate::domain::job::{Job, NewJob};
use crate::domain::{
    CommitId, Digest, GitOid, JobId, Millis, ModelId, ModelSource, ModelStatus, RepoId, RepoKey, RepoKind, Visibility,
    Work, work,
};

/// A repository with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    pub id: ModelId,
    pub key: RepoKey,
    pub source: ModelSource,
    pub status: ModelStatus,
    pub problem: String,
    /// `None` while upstream has not said it; nobody may see it then.
    pub visibility: Option<Visibility>,
    pub pinned: bool,
    pub registered_at: Option<Millis>,
    pub revision: String,
    /// The commit that the counts are about; empty before the first sync.
    pub commit: String,
    pub files: u64,
    pub files_here: u64,
    pub bytes: u64,
    pub bytes_here: u64,
    pub created_at: Millis,
    pub synced_at: Option<Millis>,
    pub last_used_at: Option<Millis>,
    pub sync_every_ms: u64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    kind: String,
    repo_id: String,
    source: String,
    status: String,
    problem: String,
    visibility: String,
    checked_at: i64,
    pinned: bool,
    registered_at: Option<i64>,
    revision: String,
    tip: String,
    files: i64,
    files_here: i64,
    bytes: i64,
    bytes_here: i64,
    created_at: i64,
    synced_at: Option<i64>,
    last_used_at: Option<i64>,
    sync_every_ms: i64,
}

impl TryFrom<Row> for ModelRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let id = RepoId::parse(&row.repo_id).map_err(|source| Error::Corrupt { what: "repository id", source })?;
        let kind = RepoKind::parse(&row.kind).unwrap_or(RepoKind::Model);
        Ok(Self {
            id: ModelId::new(row.id),
            key: RepoKey::new(kind, id),
            // A word of a later version is as good as the most common one.
            source: ModelSource::parse(&row.source).unwrap_or(ModelSource::HuggingFace),
            status: ModelStatus::parse(&row.status).unwrap_or(ModelStatus::Synced),
            problem: row.problem,
            visibility: (row.checked_at != 0).then(|| Visibility::parse(&row.visibility)),
            pinned: row.pinned,
            registered_at: row.registered_at,
            revision: row.revision,
            commit: row.tip,
            files: row.files.max(0) as u64,
            files_here: row.files_here.max(0) as u64,
            bytes: row.bytes.max(0) as u64,
            bytes_here: row.bytes_here.max(0) as u64,
            created_at: row.created_at,
            synced_at: row.synced_at,
            last_used_at: row.last_used_at,
            sync_every_ms: row.sync_every_ms.max(0) as u64,
        })
    }
}

/// All columns of `Row`, from `model_repo`.
macro_rules! select {
    ($after:literal) => {
        concat!(
            "select id, kind, repo_id, source, status, problem, visibility, checked_at, pinned, registered_at, revision, tip, files, files_here,",
            " bytes, bytes_here, created_at, synced_at, last_used_at, sync_every_ms from model_repo ",
            $after
        )
    };
}

/// The files of repository `$1` that differ between the commits `$2` and `$3`.
macro_rules! differences {
    () => {
        "select case when o.file_path is null then 'added' else 'changed' end as what, n.file_path as path, n.size_bytes as size
        from model_artifact n left join model_artifact o on o.repo = n.repo and o.commit_id = $2 and o.file_path = n.file_path and o.entry = 'file'
        where n.repo = $1 and n.commit_id = $3 and n.entry = 'file'
            and (o.file_path is null or coalesce(o.sha256, o.oid) <> coalesce(n.sha256, n.oid))
        union all
        select 'removed', o.file_path, o.size_bytes
        from model_artifact o left join model_artifact n on n.repo = o.repo and n.commit_id = $3 and n.file_path = o.file_path and n.entry = 'file'
        where o.repo = $1 and o.commit_id = $2 and o.entry = 'file' and n.file_path is null"
    };
}

/// How much of a model is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Nothing,
    Some,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModelOrder {
    #[default]
    Name,
    Size,
    Used,
    Created,
}

/// Which models a list is about.
#[derive(Debug, Clone, Default)]
pub struct ModelFilter {
    pub search: String,
    pub kind: Option<RepoKind>,
    pub status: Option<ModelStatus>,
    pub held: Option<Held>,
    pub pinned: Option<bool>,
    pub order: ModelOrder,
    pub descending: bool,
    /// The place in the order that the page before ended at: the sort value and the id.
    pub after: Option<(String, String)>,
    pub limit: u64,
}

/// What somebody registers.
#[derive(Debug, Clone)]
pub struct Registration<'a> {
    pub key: &'a RepoKey,
    /// Without it `main`, or what it was registered with before.
    pub revision: Option<&'a str>,
    /// Without it never, or as it was.
    pub sync_every_ms: Option<u64>,
    pub new_id: &'a ModelId,
    /// Its sync.
    pub job: &'a NewJob,
    pub new_job_id: &'a JobId,
    pub max_attempts: u32,
    pub now: Millis,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Registered {
    pub id: ModelId,
    /// The sync, unless it would have no point.
    pub job: Option<Job>,
    /// It was registered before.
    pub again: bool,
}

impl Db {
    /// Registers a repository and enqueues its sync, both or neither. Again, what is
    /// given is changed, and it is synced again if its revision is another one or its last sync failed.
    pub async fn register(&self, what: &Registration<'_>) -> Result<Registered> {
        let mut tx = self.begin().await?;
        let (key, now) = (what.key, what.now);
        let known: Option<(Option<i64>, String, String)> = tx
            .optional(
                "select registered_at, revision, status from model_repo where kind = $1 and repo_id = $2",
                args![key.kind.as_str(), key.id.as_str()],
            )
            .await?;
        // Visible to nobody before upstream has said who may see it.
        let sql = "insert into model_repo (id, kind, vendor, name, repo_id, source, status, visibility, checked_at, created_at)
            values ($1, $2, $3, $4, $5, 'huggingface', 'registered', 'private', 0, $6) on conflict (kind, repo_id) do nothing";
        let id = &key.id;
        tx.execute(sql, args![what.new_id, key.kind.as_str(), id.vendor(), id.name(), id.as_str(), now]).await?;
        let sql =
            "update model_repo set registered_at = coalesce(registered_at, $3), revision = coalesce($4, revision),
            sync_every_ms = coalesce($5, sync_every_ms), stale = $6 where kind = $1 and repo_id = $2";
        let (revision, every) = (what.revision.map(str::to_owned), what.sync_every_ms.map(u64::cast_signed));
        tx.execute(sql, args![key.kind.as_str(), id.as_str(), now, revision, every, true]).await?;
        let row: Option<(String, String)> = tx
            .optional(
                "select id, revision from model_repo where kind = $1 and repo_id = $2",
                args![key.kind.as_str(), id.as_str()],
            )
            .await?;
        let (id, revision) = row.ok_or(Error::Driver(sqlx::Error::RowNotFound))?;
        let id = ModelId::new(id);
        let again = matches!(known, Some((Some(_), ..)));
        let is_synced = again
            && known.is_some_and(|(_, before, status)| before == revision && status != ModelStatus::Error.as_str());
        let mut job = None;
        if !is_synced {
            let work = Work::Sync(work::Sync { revision });
            let sync = NewJob { work, repo: Some(id.clone()), ..what.job.clone() };
            job = Some(enqueue_in(&mut tx, &sync, what.new_job_id, what.max_attempts, now).await?.0);
        }
        tx.commit().await?;
        Ok(Registered { id, job, again })
    }

    pub async fn model(&self, id: &ModelId) -> Result<Option<ModelRow>> {
        let row: Option<Row> = self.optional(select!("where id = $1"), args![id]).await?;
        row.map(ModelRow::try_from).transpose()
    }

    /// A repository by its name, or by one that upstream redirects to it.
    pub async fn model_named(&self, key: &RepoKey) -> Result<Option<ModelRow>> {
        let sql = select!(
            "where kind = $1 and repo_id in ($2, (select a.repo_id from repo_alias a where a.kind = $1 and a.alias = $2))
            order by case when repo_id = $2 then 1 else 0 end limit 1"
        );
        let row: Option<Row> = self.optional(sql, args![key.kind.as_str(), key.id.as_str()]).await?;
        row.map(ModelRow::try_from).transpose()
    }

    /// One page of models, and how many there are on all pages.
    pub async fn models(&self, filter: &ModelFilter) -> Result<(Vec<ModelRow>, u64)> {
        macro_rules! filtered {
            () => {
                "($1 = '' or lower(repo_id) like $1 escape '\\') and ($2 = '' or kind = $2) and ($3 = '' or status = $3)
                and ($4 = '' or $4 = case when files_here = 0 then 'none' when files_here < files then 'partial' else 'complete' end)
                and ($5 = '' or $5 = case when pinned then 'yes' else 'no' end)"
            };
        }
        macro_rules! pages {
            ($($order:ident => $value:literal, $cast:literal;)*) => {
                match (filter.order, filter.descending) {
                    $(
                        (ModelOrder::$order, false) => concat!(select!(""), "where ", filtered!(), " and ($6 = '' or (", $value, ", id) > (", $cast, ", $7)) order by ", $value, ", id limit $8"),
                        (ModelOrder::$order, true) => concat!(select!(""), "where ", filtered!(), " and ($6 = '' or (", $value, ", id) < (", $cast, ", $7)) order by ", $value, " desc, id desc limit $8"),
                    )*
                }
            };
        }
        let sql: &'static str = pages! {
            Name => "repo_id", "$6";
            Size => "bytes", "cast($6 as bigint)";
            Used => "coalesce(last_used_at, 0)", "cast($6 as bigint)";
            Created => "created_at", "cast($6 as bigint)";
        };
        let Some(search) = like(&filter.search) else { return Ok((Vec::new(), 0)) };
        let kind = filter.kind.map_or("", RepoKind::as_str);
        let status = filter.status.map_or("", ModelStatus::as_str);
        let held = match filter.held {
            None => "",
            Some(Held::Nothing) => "none",
            Some(Held::Some) => "partial",
            Some(Held::All) => "complete",
        };
        let pinned = filter.pinned.map_or("", |pinned| if pinned { "yes" } else { "no" });
        let (value, id) = filter.after.clone().unwrap_or_default();
        let list = args![search.as_str(), kind, status, held, pinned, value, id, filter.limit];
        let rows: Vec<Row> = self.all(sql, list).await?;
        let count = concat!("select count(*) from model_repo where ", filtered!());
        let row: Option<(i64,)> = self.optional(count, args![search, kind, status, held, pinned]).await?;
        let total = row.map_or(0, |(n,)| n.max(0) as u64);
        Ok((rows.into_iter().map(ModelRow::try_from).collect::<Result<_>>()?, total))
    }

    /// Counts again what is there of repositories about which something changed; at most `limit` of them.
    pub async fn recount_models(&self, limit: u64) -> Result<u64> {
        let sql = Pick {
            sqlite: "select id from model_repo where stale = 1 limit $1",
            postgres: "select id from model_repo where stale order by id limit $1",
        };
        let rows: Vec<(String,)> = self.all(sql, args![limit]).await?;
        let count = rows.len() as u64;
        for (id,) in rows {
            self.recount_model(&ModelId::new(id)).await?;
        }
        Ok(count)
    }

    async fn recount_model(&self, id: &ModelId) -> Result<()> {
        let mut tx = self.begin().await?;
        // Not stale before the count: what changes while counting makes it stale again.
        let tip = "update model_repo set stale = $2, tip = coalesce(
                (select commit_id from repo_revision where repo = $1 and name = model_repo.revision),
                (select commit_id from repo_commit where repo = $1 and commit_id = model_repo.revision), tip)
            where id = $1";
        tx.execute(tip, args![id, false]).await?;
        let sql = with_blob!(
            [
                "count(*), cast(coalesce(sum(a.size_bytes), 0) as bigint),
                cast(coalesce(sum(case when ",
                is_here!(),
                " then 1 else 0 end), 0) as bigint),
                cast(coalesce(sum(case when coalesce(b.sha256, o.sha256) is not null then a.size_bytes else 0 end), 0) as bigint),
                max(case when b.last_used_at > b.created_at then b.last_used_at end)"
            ],
            ["where a.repo = $1 and a.commit_id = (select tip from model_repo where id = $1) and a.entry = 'file'"]
        );
        let row: Option<(i64, i64, i64, i64, Option<i64>)> = tx.optional(sql, args![id]).await?;
        let (files, bytes, files_here, bytes_here, used) = row.unwrap_or_default();
        let sql = "update model_repo set files = $2, bytes = $3, files_here = $4, bytes_here = $5, last_used_at = coalesce($6, last_used_at) where id = $1";
        tx.execute(sql, args![id, files, bytes, files_here, bytes_here, used]).await?;
        tx.commit().await
    }

    /// The outcome of a sync.
    pub async fn put_synced(&self, id: &ModelId, problem: Option<&str>, now: Millis) -> Result<()> {
        let (status, problem) = match problem {
            None => (ModelStatus::Synced, ""),
            Some(problem) => (ModelStatus::Error, problem),
        };
        let sql = "update model_repo set status = $2, problem = $3, stale = $4,
            synced_at = case when $2 = 'synced' then $5 else synced_at end where id = $1";
        self.execute(sql, args![id, status.as_str(), problem, true, now]).await?;
        Ok(())
    }

    pub async fn put_pinned(&self, id: &ModelId, pinned: Option<bool>, sync_every_ms: Option<u64>) -> Result<()> {
        if let Some(pinned) = pinned {
            self.execute("update model_repo set pinned = $2 where id = $1", args![id, pinned]).await?;
        }
        if let Some(every) = sync_every_ms {
            self.execute("update model_repo set sync_every_ms = $2 where id = $1", args![id, every]).await?;
        }
        Ok(())
    }

    /// Removes a repository with everything that is known about it. Blobs stay.
    pub async fn delete_model(&self, id: &ModelId) -> Result<bool> {
        let mut tx = self.begin().await?;
        let sql = "delete from model_repo where id = $1 returning kind, repo_id";
        let row: Option<(String, String)> = tx.optional(sql, args![id]).await?;
        let Some((kind, name)) = row else { return Ok(false) };
        if let (Some(kind), Ok(name)) = (RepoKind::parse(&kind), RepoId::parse(&name)) {
            tx.tells(Change::Repo(RepoKey::new(kind, name)));
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Registered repositories whose next sync is due.
    pub async fn due_syncs(&self, now: Millis, limit: u64) -> Result<Vec<ModelRow>> {
        let sql = select!(
            "where sync_every_ms > 0 and coalesce(synced_at, 0) + sync_every_ms <= $1 order by synced_at, id limit $2"
        );
        let rows: Vec<Row> = self.all(sql, args![now, limit]).await?;
        rows.into_iter().map(ModelRow::try_from).collect()
    }

    /// How many files were `added`, `removed` and `changed` between two commits of a repository.
    pub async fn count_changes(&self, repo: &ModelId, from: &CommitId, to: &CommitId) -> Result<Vec<(String, u64)>> {
        const SQL: &str = concat!("select what, count(*) from (", differences!(), ") d group by what");
        let rows: Vec<(String, i64)> = self.all(SQL, args![repo, from.as_str(), to.as_str()]).await?;
        Ok(rows.into_iter().map(|(what, count)| (what, count.max(0) as u64)).collect())
    }

    /// The first files that differ: what happened, path, size.
    pub async fn first_changes(
        &self,
        repo: &ModelId,
        from: &CommitId,
        to: &CommitId,
        limit: u64,
    ) -> Result<Vec<(String, String, u64)>> {
        const SQL: &str = concat!("select what, path, size from (", differences!(), ") d order by path limit $4");
        let rows: Vec<(String, String, i64)> = self.all(SQL, args![repo, from.as_str(), to.as_str(), limit]).await?;
        Ok(rows.into_iter().map(|(what, path, size)| (what, path, size.max(0) as u64)).collect())
    }
}

impl Tx {
    /// The counts of whoever has this content are out of date.
    pub(super) async fn mark_stale(&mut self, digest: Digest, git: Option<GitOid>) -> Result<()> {
        // In the order of their keys, so that two transactions never wait for each other.
        let sql = "select repo from model_artifact where sha256 = $1
            union select repo from model_artifact where sha256 is null and oid = $2 order by 1";
        let oid = git.map(GitOid::to_hex).unwrap_or_default();
        let rows: Vec<(String,)> = self.all(sql, args![digest.to_hex(), oid]).await?;
        for (id,) in rows {
            let sql = Pick {
                sqlite: "update model_repo set stale = 1 where id = $1 and stale = 0",
                postgres: "update model_repo set stale = true where id = $1 and not stale",
            };
            self.execute(sql, args![id]).await?;
        }
        Ok(())
    }
}
