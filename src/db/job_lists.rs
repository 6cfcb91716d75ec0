//! Reading jobs: lists, counts, logs; and removing old ones.

use super::jobs::{JobRow, with_columns, words};
use super::sql::{Pick, args};
use super::{Db, Result, like};
use crate::domain::job::{Job, JobFilter, JobOrder, JobStatus, Level, LogLine};
use crate::domain::{JobId, Millis, ModelId};

/// A job's log is cut off here: nobody reads more, and a loop must not fill the disk.
const MAX_LOG_LINES: u64 = 10_000;

impl Db {
    /// One page of jobs, the newest first.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        macro_rules! listed {
            ($bytewise:literal, $after_and_order:literal) => {
                concat!(
                    with_columns!("select", "from job where"),
                    " ($1 = '' or $1 like '%,' || status || ',%') and ($2 = '' or $2 like '%,' || kind || ',%')
                    and ($3 = '' or repo = $3)
                    and ($4 = '' or lower(repo_name",
                    $bytewise,
                    ") like $4 escape '\\' or lower(error",
                    $bytewise,
                    ") like $4 escape '\\' or lower(outcome",
                    $bytewise,
                    ") like $4 escape '\\')
                    and created_at > $5 and created_at < $6 and ($7 = 0 or finished_at > $7) and ",
                    $after_and_order,
                    " limit $10"
                )
            };
        }
        macro_rules! by_creation {
            ($bytewise:literal) => {
                listed!($bytewise, "($9 = '' or id < $9) order by id desc")
            };
        }
        macro_rules! by_end {
            ($bytewise:literal) => {
                listed!(
                    $bytewise,
                    "finished_at is not null and ($9 = '' or finished_at < $8 or (finished_at = $8 and id < $9))
                    order by finished_at desc, id desc"
                )
            };
        }
        let sql = match filter.order {
            JobOrder::Created => Pick { sqlite: by_creation!(""), postgres: by_creation!(" collate \"C\"") },
            JobOrder::Finished => Pick { sqlite: by_end!(""), postgres: by_end!(" collate \"C\"") },
        };
        let Some(search) = like(&filter.search) else { return Ok(Vec::new()) };
        let statuses = words(filter.statuses.iter().map(|status| status.as_str()));
        let kinds = words(filter.kinds.iter().map(|kind| kind.as_str()));
        let (at, id) = filter.before.as_ref().map_or((0, ""), |(at, id)| (*at, id.as_str()));
        let rows: Vec<JobRow> = self
            .all(
                sql,
                args![
                    statuses,
                    kinds,
                    filter.repo.as_ref().map_or("", ModelId::as_str),
                    search,
                    filter.created_after.unwrap_or(i64::MIN),
                    filter.created_before.unwrap_or(i64::MAX),
                    filter.finished_after.unwrap_or(0),
                    at,
                    id,
                    filter.limit
                ],
            )
            .await?;
        Ok(rows.into_iter().map(Job::from).collect())
    }

    /// How many jobs have each status, of those that are not completed, cancelled or dismissed.
    pub async fn job_counts(&self) -> Result<Vec<(JobStatus, u64)>> {
        let sql = "select status, count(*) from job where status in ('pending', 'running', 'paused', 'failed')
            and dismissed_at is null group by status";
        let rows: Vec<(String, i64)> = self.all(sql, vec![]).await?;
        Ok(rows.into_iter().filter_map(|(word, n)| Some((JobStatus::parse(&word)?, n.max(0) as u64))).collect())
    }

    /// The live job of each of these repositories, if there is one.
    pub async fn live_job_of(&self, repo: &ModelId) -> Result<Option<JobId>> {
        let sql = "select id from job where repo = $1 and status in ('pending', 'running', 'paused') order by id desc limit 1";
        let row: Option<(String,)> = self.optional(sql, args![repo]).await?;
        Ok(row.map(|(id,)| JobId::new(id)))
    }

    /// Adds a line to a job's log, unless the log is very long already.
    pub async fn log_job(&self, id: &JobId, level: Level, text: &str, now: Millis) -> Result<()> {
        let sql = "insert into job_log (job, number, at, level, text)
            select $1, coalesce(max(number), 0) + 1, $2, $3, $4 from job_log where job = $1
            having coalesce(max(number), 0) < $5 and exists (select 1 from job where id = $1)";
        // A line is for people; PostgreSQL refuses NUL.
        let text: String = text.chars().filter(|c| *c != '\0').take(4000).collect();
        self.execute(sql, args![id, now, level.as_str(), text, MAX_LOG_LINES]).await?;
        Ok(())
    }

    /// Lines of a job's log after a number, in order.
    pub async fn job_log(&self, id: &JobId, after: u64, limit: u64) -> Result<Vec<LogLine>> {
        let sql = "select number, at, level, text from job_log where job = $1 and number > $2 order by number limit $3";
        let rows: Vec<(i64, i64, String, String)> = self.all(sql, args![id, after, limit]).await?;
        let line = |(number, at, level, text): (i64, i64, String, String)| LogLine {
            number: number.max(0) as u64,
            at,
            level: Level::parse(&level).unwrap_or(Level::Info),
            text,
        };
        Ok(rows.into_iter().map(line).collect())
    }

    /// Removes jobs that ended before `before`, a few at a time; returns how many.
    pub async fn prune_jobs(&self, before: Millis) -> Result<u64> {
        let sql = "delete from job where id in (select id from job where status in ('completed', 'failed', 'cancelled')
            and finished_at < $1 order by id limit 1000)";
        self.execute(sql, args![before]).await
    }
}
