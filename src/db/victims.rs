//! What the store may remove by itself to make room: never what is pinned, what a download job is about, or what could not be
//! downloaded again.

use super::blobs::{Row, blob_of};
use super::sql::{Pick, args};
use super::storage::{is_named, unless_named, unrecoverable};
use super::{BlobRow, Db, Result};
use crate::domain::{Digest, Millis, ModelId, NamePattern, RepoKind};

/// A blob that may go.
#[derive(Debug, Clone)]
pub struct Victim {
    pub blob: BlobRow,
    pub last_used_at: Millis,
    /// A model that is here as a whole has it at the revision that it follows.
    pub is_of_whole: bool,
    /// One of the models that name it, and what people call that.
    pub model: Option<(ModelId, String)>,
}

/// Which blobs may go.
#[derive(Debug, Clone, Copy)]
pub struct VictimFilter<'a> {
    /// Clients used them before this.
    pub used_before: Millis,
    /// Not those of models of these names.
    pub pinned: &'a [NamePattern],
    /// If given, only those that nothing but models of this name has.
    pub of: Option<&'a NamePattern>,
    /// Not those of this model.
    pub but: Option<&'a ModelId>,
    /// Only those that the object store has.
    pub durable: bool,
}

/// The name of the repository `r` as URLs have it, in lower case.
macro_rules! name {
    () => {
        "lower(case r.kind when 'model' then '' else r.kind || 's/' end || r.repo_id)"
    };
}

/// Whether `r` keeps its blobs: it is pinned, by itself or by a name of `$2`, or a download job is about it; or it is
/// outside of `$3`, if that is not empty; or it is `$4`.
macro_rules! keeps {
    ($pinned:literal, $patterns:literal) => {
        concat!(
            "(",
            $pinned,
            " or exists (select 1 from ",
            $patterns,
            " where ",
            name!(),
            " like p.value escape '\\')",
            " or r.id in (select j.repo from job j where j.repo is not null and j.kind = 'download' and j.status in ('pending', 'running'))",
            " or ($3 <> '' and not (",
            name!(),
            " like $3 escape '\\')) or r.id = $4)"
        )
    };
}
macro_rules! keeps_sqlite {
    () => {
        keeps!("r.pinned = 1", "json_each($2) as p")
    };
}
macro_rules! keeps_postgres {
    () => {
        keeps!("r.pinned", "json_array_elements_text(cast($2 as json)) as p (value)")
    };
}

/// Blobs `b` that may go.
macro_rules! may_go {
    ($keeps:expr) => {
        concat!(
            "b.last_used_at < $1 and ",
            unless_named!($keeps),
            " and ($5 = 0 or exists (select 1 from object d where d.sha256 = b.sha256)) and ($3 = '' or ",
            is_named!(),
            ") and not ",
            unrecoverable!()
        )
    };
}

macro_rules! victims {
    ($keeps:expr) => {
        concat!(
            "select v.sha256, v.size_bytes, v.generation, v.modified_ns, v.is_linked, v.last_used_at, v.is_of_whole, r.id, r.kind, r.repo_id
            from (select b.sha256, b.size_bytes, b.generation, b.modified_ns, b.is_linked, b.last_used_at,
                cast(case when exists (select 1 from model_artifact a join model_repo m on m.id = a.repo and m.tip = a.commit_id
                    where a.sha256 = b.sha256 and m.files > 0 and m.files_here >= m.files) then 1 else 0 end as bigint) as is_of_whole,
                (select min(n.repo) from (
                    select a.repo from model_artifact a where a.sha256 = b.sha256
                    union all select a.repo from model_artifact a
                        where a.sha256 is null and a.oid = b.git_oid and a.size_bytes = b.size_bytes) n) as repo
                from blob b where (b.last_used_at > $6 or (b.last_used_at = $6 and b.sha256 > $7)) and ",
            may_go!($keeps),
            " order by b.last_used_at, b.sha256 limit $8) v left join model_repo r on r.id = v.repo
            order by v.last_used_at, v.sha256"
        )
    };
}

macro_rules! removable {
    ($keeps:expr) => {
        concat!("select cast(coalesce(sum(b.size_bytes), 0) as bigint) from blob b where ", may_go!($keeps))
    };
}

impl VictimFilter<'_> {
    /// `$2`, `$3` and `$4`.
    fn names(self) -> (String, String, String) {
        let pinned: Vec<String> = self.pinned.iter().map(like).collect();
        let pinned = serde_json::to_string(&pinned).unwrap_or_else(|_| "[]".into());
        let but = self.but.map_or_else(String::new, |model| model.as_str().to_owned());
        (pinned, self.of.map(like).unwrap_or_default(), but)
    }
}

/// The pattern of `like` that a name pattern is.
fn like(pattern: &NamePattern) -> String {
    pattern.as_str().replace('_', "\\_").replace('*', "%")
}

impl Db {
    /// Blobs that may go, those that clients have not used for longest first, after the one that was used at `after` last.
    pub async fn victims(
        &self,
        filter: VictimFilter<'_>,
        after: Option<(Millis, Digest)>,
        limit: u64,
    ) -> Result<Vec<Victim>> {
        const SQL: Pick = Pick { sqlite: victims!(keeps_sqlite!()), postgres: victims!(keeps_postgres!()) };
        type Found = (String, i64, i64, Option<i64>, bool, i64, i64, Option<String>, Option<String>, Option<String>);
        let (pinned, of, but) = filter.names();
        let (at, digest) = after.map_or((-1, String::new()), |(at, digest)| (at, digest.to_hex()));
        let values = args![filter.used_before, pinned, of, but, u64::from(filter.durable), at, digest, limit];
        let rows: Vec<Found> = self.all(SQL, values).await?;
        let victim = |(sha256, size, generation, modified, linked, used, whole, id, kind, name): Found| {
            let row: Row = (sha256, size, generation, modified, linked);
            let prefix = kind.and_then(|kind| RepoKind::parse(&kind)).unwrap_or(RepoKind::Model).url_prefix();
            Ok(Victim {
                blob: blob_of(row)?,
                last_used_at: used,
                is_of_whole: whole != 0,
                model: id.zip(name).map(|(id, name)| (ModelId::new(id), format!("{prefix}{name}"))),
            })
        };
        rows.into_iter().map(victim).collect()
    }

    /// The bytes of all blobs that may go. Reads every row.
    pub async fn removable_bytes(&self, filter: VictimFilter<'_>) -> Result<u64> {
        const SQL: Pick = Pick { sqlite: removable!(keeps_sqlite!()), postgres: removable!(keeps_postgres!()) };
        let (pinned, of, but) = filter.names();
        let row: Option<(i64,)> =
            self.optional(SQL, args![filter.used_before, pinned, of, but, u64::from(filter.durable)]).await?;
        Ok(row.map_or(0, |(bytes,)| bytes.max(0) as u64))
    }
}
