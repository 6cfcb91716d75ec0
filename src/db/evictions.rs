//! What an eviction of the store takes: the least recently used blobs first, none of a pinned model.

use super::blobs::{Row, blob_of};
use super::sql::{Pick, Value, args};
use super::storage::{Amount, UsageRow, is_named, unless_named, unrecoverable, usage_of};
use super::{BlobRow, Db, Result};
use crate::domain::Millis;
use crate::domain::work::Chosen;

/// Which blobs an eviction takes.
#[derive(Debug, Clone)]
pub struct EvictionRule {
    /// What was used since then stays.
    pub unused_since: Millis,
    /// It ends when so much is freed; 0: with the last one.
    pub free_bytes: u64,
    /// Also what could not be downloaded again.
    pub include_unrecoverable: bool,
    /// If given, only these.
    pub only: Option<Chosen>,
}

/// What an eviction means for the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Eviction {
    /// What is removed.
    pub goes: Amount,
    /// Of what is removed: what could not be downloaded again.
    pub unrecoverable: Amount,
    /// What stays because it could not be downloaded again.
    pub kept: Amount,
}

/// Blobs `b` that a rule is about: not used since `$1`, of no model that is pinned or outside of `$2`, if that is given,
/// and if `$3` is 0 of some model.
macro_rules! may_go {
    ($stays:expr) => {
        concat!("b.last_used_at < $1 and ", unless_named!($stays), " and ($3 = 1 or ", is_named!(), ")")
    };
}

/// Whether the model `r` keeps its files.
macro_rules! stays {
    ($pinned:literal, $chosen:literal) => {
        concat!("(", $pinned, " or cast($2 as text) is not null and r.id not in (select c.value from ", $chosen, "))")
    };
}
macro_rules! stays_sqlite {
    () => {
        stays!("r.pinned = 1", "json_each($2) as c")
    };
}
macro_rules! stays_postgres {
    () => {
        stays!("r.pinned", "json_array_elements_text(cast($2 as json)) as c (value)")
    };
}

/// `with passed`: the blobs that an eviction comes by, each with its `turn`, until `$4` bytes (0: all) are freed. Those
/// with `goes` 1 are removed; `lost` are those of them that could not be downloaded again, `kept` those that stay for
/// that reason, unless `$5` says that they go too.
macro_rules! passed {
    ($stays:expr) => {
        concat!(
            "with passed as (select sha256, size_bytes, goes, goes * unrecoverable as lost, 1 - goes as kept, unnamed, turn from (
                select v.*, sum(v.goes * v.size_bytes) over (order by v.last_used_at, v.sha256) - v.goes * v.size_bytes as freed_before,
                    row_number() over (order by v.last_used_at, v.sha256) as turn
                from (select u.*, case when u.unrecoverable = 1 and $5 = 0 then 0 else 1 end as goes
                    from (select b.sha256, b.size_bytes, b.last_used_at, case when ",
            is_named!(),
            " then 0 else 1 end as unnamed, case when ",
            unrecoverable!(),
            " then 1 else 0 end as unrecoverable from blob b where ",
            may_go!($stays),
            ") u) v) w where $4 = 0 or freed_before < $4) "
        )
    };
}

impl EvictionRule {
    /// `$1` to `$3`.
    fn bounds(&self) -> Vec<Value> {
        let models = self.only.as_ref().map(|only| serde_json::json!(only.models).to_string());
        let unreferenced = self.only.as_ref().is_none_or(|only| only.unreferenced);
        args![self.unused_since, models, u64::from(unreferenced)]
    }

    /// `$1` to `$5` of `passed`.
    fn all(&self) -> Vec<Value> {
        let mut values = self.bounds();
        values.extend(args![self.free_bytes, u64::from(self.include_unrecoverable)]);
        values
    }
}

impl Db {
    /// Blobs that may go by a rule, in their order, as if it had no end.
    pub async fn evictable(&self, rule: &EvictionRule, limit: u64) -> Result<Vec<BlobRow>> {
        macro_rules! evictable {
            ($stays:expr) => {
                concat!(
                    "select b.sha256, b.size_bytes, b.generation, b.modified_ns, b.is_linked from blob b where ",
                    may_go!($stays),
                    " and ($4 = 1 or not ",
                    unrecoverable!(),
                    ") order by b.last_used_at, b.sha256 limit $5"
                )
            };
        }
        const SQL: Pick = Pick { sqlite: evictable!(stays_sqlite!()), postgres: evictable!(stays_postgres!()) };
        let mut values = rule.bounds();
        values.extend(args![u64::from(rule.include_unrecoverable), limit]);
        let rows: Vec<Row> = self.all(SQL, values).await?;
        rows.into_iter().map(blob_of).collect()
    }

    /// What an eviction would remove and keep; and of that, what no model has.
    pub async fn eviction(&self, rule: &EvictionRule) -> Result<(Eviction, Eviction)> {
        macro_rules! sums {
            ($stays:expr) => {
                concat!(
                    passed!($stays),
                    "select cast(unnamed as bigint), cast(sum(goes) as bigint), cast(sum(goes * size_bytes) as bigint),
                        cast(sum(lost) as bigint), cast(sum(lost * size_bytes) as bigint),
                        cast(sum(kept) as bigint), cast(sum(kept * size_bytes) as bigint)
                    from passed group by unnamed"
                )
            };
        }
        const SQL: Pick = Pick { sqlite: sums!(stays_sqlite!()), postgres: sums!(stays_postgres!()) };
        type Row = (i64, i64, i64, i64, i64, i64, i64);
        let rows: Vec<Row> = self.all(SQL, rule.all()).await?;
        let sums = |counts: fn(&Row) -> bool| {
            let sum = |of: fn(&Row) -> (i64, i64)| {
                let amounts = rows.iter().filter(|row| counts(row)).map(of);
                Amount::of(amounts.fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1)))
            };
            Eviction {
                goes: sum(|row| (row.1, row.2)),
                unrecoverable: sum(|row| (row.3, row.4)),
                kept: sum(|row| (row.5, row.6)),
            }
        };
        Ok((sums(|_| true), sums(|row| row.0 == 1)))
    }

    /// What each repository would lose and keep by the same eviction, in the order in which they lose their first; those that
    /// only keep come last.
    pub async fn eviction_by_repo(&self, rule: &EvictionRule, limit: u64) -> Result<Vec<UsageRow>> {
        macro_rules! by_repo {
            ($stays:expr) => {
                concat!(
                    passed!($stays),
                    ", content as (
                        select a.repo, b.sha256, b.size_bytes, b.last_used_at,
                            case when count(*) = count(c.origin)
                                and not exists (select 1 from object o where o.sha256 = b.sha256) then 1 else 0 end as only_here
                        from model_artifact a join repo_commit c on c.repo = a.repo and c.commit_id = a.commit_id
                        join blob b on b.sha256 = coalesce(a.sha256,
                            (select g.sha256 from blob g where g.git_oid = a.oid and g.size_bytes = a.size_bytes limit 1))
                        where a.entry = 'file' group by a.repo, b.sha256, b.size_bytes, b.last_used_at
                    ), hit as (
                        select c.*, p.goes, p.turn from content c join passed p on p.sha256 = c.sha256
                    ), shared as (select sha256, count(*) as n from hit group by sha256)
                    select r.id, r.kind, r.repo_id, cast(sum(h.goes) as bigint), cast(sum(h.goes * h.size_bytes) as bigint),
                        cast(sum(case when s.n = 1 then h.goes * h.size_bytes else 0 end) as bigint), r.pinned, r.last_used_at,
                        cast(sum(h.goes * h.only_here) as bigint), cast(sum(h.goes * h.only_here * h.size_bytes) as bigint),
                        cast(sum((1 - h.goes) * h.only_here) as bigint),
                        cast(sum((1 - h.goes) * h.only_here * h.size_bytes) as bigint)
                    from hit h join shared s on s.sha256 = h.sha256 join model_repo r on r.id = h.repo
                    group by r.id, r.kind, r.repo_id, r.pinned, r.last_used_at
                    order by max(h.goes) desc, min(case when h.goes = 1 then h.turn end), r.id limit $6"
                )
            };
        }
        const SQL: Pick = Pick { sqlite: by_repo!(stays_sqlite!()), postgres: by_repo!(stays_postgres!()) };
        type Row = (String, String, String, i64, i64, i64, bool, Option<i64>, i64, i64, i64, i64);
        let mut values = rule.all();
        values.extend(args![limit]);
        let rows: Vec<Row> = self.all(SQL, values).await?;
        let row =
            |(id, kind, repo, files, bytes, own, pinned, used, lost, lost_bytes, kept, kept_bytes): Row| UsageRow {
                unrecoverable: Amount::of((lost, lost_bytes)),
                kept: Amount::of((kept, kept_bytes)),
                ..usage_of((id, kind, repo, files, bytes, own, pinned, used))
            };
        Ok(rows.into_iter().map(row).collect())
    }
}
