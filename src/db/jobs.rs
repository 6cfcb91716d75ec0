//! The queue of jobs; `job_orders` is what people order them to do, `job_lists` is about looking at them.
//!
//! A job is claimed with one statement, under a lease that its worker renews; every write of a worker holds only
//! while it still has the lease, so a worker that was thought dead cannot undo what another did. Enqueuing the same
//! work twice gives the job that is there (`job_live` in the migration).

use super::sql::{Pick, args};
use super::tx::{Lock, Sharing, Tx};
use super::{Db, Result};
use crate::domain::job::{Changes, Job, JobKind, JobStatus, NewJob, Order, Progress};
use crate::domain::{JobId, Millis, ModelId, Work, WorkerId};

/// `select`/`returning` with all columns of a job, made once per statement.
macro_rules! with_columns {
    ($before:expr, $after:literal) => {
        concat!(
            $before,
            " id, version, kind, status, repo, repo_name, payload, priority, attempts, max_attempts, progress, waiting_for,",
            " error, outcome, changes, worker, created_at, run_at, started_at, finished_at, dismissed_at ",
            $after
        )
    };
}
pub(super) use with_columns;

#[derive(sqlx::FromRow)]
pub(super) struct JobRow {
    id: String,
    version: i64,
    kind: String,
    status: String,
    repo: Option<String>,
    repo_name: String,
    payload: String,
    priority: i64,
    attempts: i64,
    max_attempts: i64,
    progress: String,
    waiting_for: String,
    error: String,
    outcome: String,
    changes: Option<String>,
    worker: String,
    created_at: i64,
    run_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    dismissed_at: Option<i64>,
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        // What a later version wrote and this one cannot read is shown as far as it can be.
        let status = JobStatus::parse(&row.status).unwrap_or(JobStatus::Failed);
        let progress: Progress = serde_json::from_str(&row.progress).unwrap_or_default();
        // A worker that died has left its last speed.
        let is_running = status == JobStatus::Running;
        let kind = JobKind::parse(&row.kind).unwrap_or(JobKind::Verify);
        Self {
            work: Work::read(kind, &row.payload),
            status,
            progress: if is_running { progress } else { progress.at_rest() },
            changes: row.changes.and_then(|text| serde_json::from_str(&text).ok()),
            attempts: u32::try_from(row.attempts).unwrap_or(0),
            max_attempts: u32::try_from(row.max_attempts).unwrap_or(0),
            id: JobId::new(row.id),
            version: row.version.max(0) as u64,
            repo: row.repo.map(ModelId::new),
            repo_name: row.repo_name,
            priority: row.priority,
            waiting_for: row.waiting_for,
            error: row.error,
            outcome: row.outcome,
            worker: (!row.worker.is_empty()).then(|| WorkerId::new(row.worker)),
            created_at: row.created_at,
            run_at: row.run_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            dismissed_at: row.dismissed_at,
        }
    }
}

/// The statement of a claim, up to its `returning`. A download is taken if all workers together and this one have room,
/// and no other that has room runs fewer: the emptiest takes it, and of equals the first.
macro_rules! claim {
    ($from:literal, $one:literal) => {
        concat!(
            "with busy (worker, downloads) as (
                select worker, count(*) from job where status = 'running' and kind = 'download' group by worker
            ), own (downloads) as (
                select coalesce(max(downloads), 0) from busy where worker = $1
            ), emptier (id) as (
                select w.id from worker w left join busy b on b.worker = w.id where w.id <> $1 and w.seen_at > $7
                and coalesce(b.downloads, 0) < w.max_downloads and coalesce(b.downloads, 0) < (select downloads from own)
            )
            update job set version = version + 1, status = 'running', worker = $1, lease_until = $2, started_at = $3, attempts = attempts + 1,
                waiting_for = '', wanted = null
            where id = (select id from ",
            $from,
            " where status = 'pending' and run_at <= $3 and $4 like '%,' || kind || ',%'
                and (kind <> 'download' or (
                    (select coalesce(sum(downloads), 0) from busy) < $5
                    and (select downloads from own) < $6
                    and not exists (select id from emptier)
                ))
                order by priority desc, id ",
            $one,
            ") returning"
        )
    };
}

/// Who claims, and what it may take.
#[derive(Debug, Clone)]
pub struct Claimant<'a> {
    pub worker: WorkerId,
    pub kinds: &'a [JobKind],
    /// Downloads that may run concurrently, in all workers together.
    pub max_downloads: u64,
    /// Concurrent downloads that this worker may run.
    pub max_own_downloads: u64,
    /// A worker that was heard of after this takes a download before one that runs more of them.
    pub heard_after: Millis,
    pub lease_until: Millis,
    pub now: Millis,
}

/// Whose jobs are nobody's any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone<'a> {
    /// Those of workers that were silent for too long: their leases have ended.
    Silent,
    /// Those of a worker that is known to be gone.
    Worker(&'a WorkerId),
    /// All: no process has this database but this one, which runs none yet.
    Everyone,
}

/// How a worker leaves a job.
#[derive(Debug, Clone)]
pub struct Settled {
    pub status: JobStatus,
    /// When a pending one may run again.
    pub run_at: Millis,
    pub waiting_for: String,
    pub error: String,
    pub outcome: String,
    pub changes: Option<Changes>,
    pub progress: Progress,
    /// This run does not count as an attempt: it was interrupted from outside.
    pub keep_attempt: bool,
}

impl Db {
    /// Adds a job, or finds the live one for the same work; `true` if it was added.
    pub async fn enqueue(&self, job: &NewJob, id: &JobId, max_attempts: u32, now: Millis) -> Result<(Job, bool)> {
        let mut tx = self.begin().await?;
        let found = enqueue_in(&mut tx, job, id, max_attempts, now).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// Takes the first job that this worker may run.
    pub async fn claim_job(&self, who: &Claimant<'_>) -> Result<Option<Job>> {
        // By itself SQLite sorts all jobs that wait, for each claim.
        const SQL: Pick = Pick {
            sqlite: with_columns!(claim!("job indexed by job_claim", "limit 1"), ""),
            postgres: with_columns!(claim!("job", "limit 1 for update skip locked"), ""),
        };
        let mut tx = self.begin().await?;
        tx.lock(Lock::JOB_CLAIMS, Sharing::Alone).await?;
        let kinds = words(who.kinds.iter().map(|kind| kind.as_str()));
        let row: Option<JobRow> = tx
            .optional(
                SQL,
                args![
                    &who.worker,
                    who.lease_until,
                    who.now,
                    kinds,
                    who.max_downloads,
                    who.max_own_downloads,
                    who.heard_after
                ],
            )
            .await?;
        tx.commit().await?;
        Ok(row.map(Job::from))
    }

    /// Keeps the lease and notes the progress. `None`: the lease is lost. Else the job as it is now, and what a person
    /// asked for meanwhile.
    pub async fn renew_job(
        &self,
        id: &JobId,
        worker: &WorkerId,
        lease_until: Millis,
        progress: &Progress,
    ) -> Result<Option<(Job, Option<Order>)>> {
        #[derive(sqlx::FromRow)]
        struct Renewed {
            #[sqlx(flatten)]
            job: JobRow,
            wanted: Option<String>,
        }
        let sql = with_columns!(
            "update job set version = version + 1, lease_until = $3, progress = $4
            where id = $1 and worker = $2 and status = 'running' returning wanted,",
            ""
        );
        let mut tx = self.begin().await?;
        let row: Option<Renewed> = tx.optional(sql, args![id, worker, lease_until, json(progress)]).await?;
        tx.commit().await?;
        Ok(row.map(|row| (row.job.into(), row.wanted.as_deref().and_then(Order::parse))))
    }

    /// What a job is about from now on.
    pub async fn put_job_work(&self, id: &JobId, worker: &WorkerId, work: &Work) -> Result<bool> {
        let sql =
            "update job set version = version + 1, payload = $3 where id = $1 and worker = $2 and status = 'running'";
        Ok(self.execute(sql, args![id, worker, json(work)]).await? == 1)
    }

    /// Ends this worker's lease on a job; `None` if it had lost it before.
    pub async fn settle_job(&self, id: &JobId, worker: &WorkerId, end: &Settled, now: Millis) -> Result<Option<Job>> {
        const SQL: &str = with_columns!(
            "update job set version = version + 1, status = $3, run_at = $4, waiting_for = $5, error = $6, outcome = $7, changes = $8, progress = $9,
                attempts = attempts - $10, finished_at = $11, lease_until = 0, wanted = null
            where id = $1 and worker = $2 and status = 'running' returning",
            ""
        );
        let mut tx = self.begin().await?;
        let wanted = Pick {
            sqlite: "select wanted from job where id = $1 and worker = $2 and status = 'running'",
            postgres: "select wanted from job where id = $1 and worker = $2 and status = 'running' for update",
        };
        let Some((wanted,)) = tx.optional::<(Option<String>,)>(wanted, args![id, worker]).await? else {
            return Ok(None);
        };
        // An order may have come, or been taken back, after the worker had made up its mind.
        let (status, waiting_for) = match (end.status, wanted.as_deref().and_then(Order::parse)) {
            (JobStatus::Pending | JobStatus::Paused, Some(Order::Cancel)) => (JobStatus::Cancelled, ""),
            (JobStatus::Pending, Some(Order::Pause)) => (JobStatus::Paused, "paused"),
            (JobStatus::Paused, None) => (JobStatus::Pending, ""),
            (status, _) => (status, end.waiting_for.as_str()),
        };
        let changes = end.changes.as_ref().map(json);
        let finished_at = status.is_final().then_some(now);
        let row: Option<JobRow> = tx
            .optional(
                SQL,
                args![
                    id,
                    worker,
                    status.as_str(),
                    end.run_at,
                    waiting_for,
                    end.error.as_str(),
                    end.outcome.as_str(),
                    changes,
                    json(&end.progress),
                    i64::from(end.keep_attempt),
                    finished_at
                ],
            )
            .await?;
        tx.commit().await?;
        Ok(row.map(Job::from))
    }

    /// Gives back the jobs whose workers are gone.
    pub async fn reclaim_jobs(&self, whose: Gone<'_>, now: Millis) -> Result<Vec<Job>> {
        const SQL: &str = with_columns!(
            "update job set version = version + 1, worker = '', lease_until = 0,
                status = case wanted when 'cancel' then 'cancelled' when 'pause' then 'paused' else 'pending' end,
                waiting_for = case wanted when 'pause' then 'paused' else '' end,
                finished_at = case wanted when 'cancel' then $1 else null end, wanted = null
            where status = 'running' and (lease_until < $2 or worker = $3) returning",
            ""
        );
        let (ended_before, worker) = match whose {
            Gone::Silent => (now, ""),
            Gone::Worker(worker) => (Millis::MIN, worker.as_str()),
            Gone::Everyone => (Millis::MAX, ""),
        };
        let mut tx = self.begin().await?;
        let rows: Vec<JobRow> = tx.all(SQL, args![now, ended_before, worker]).await?;
        tx.commit().await?;
        Ok(rows.into_iter().map(Job::from).collect())
    }

    /// Why jobs of a kind that could run do not; shown with each.
    pub async fn put_waiting_for(&self, kind: JobKind, reason: &str, now: Millis) -> Result<()> {
        let sql = "update job set version = version + 1, waiting_for = $2 where status = 'pending' and kind = $1 and waiting_for <> $2 and run_at <= $3";
        self.execute(sql, args![kind.as_str(), reason, now]).await?;
        Ok(())
    }

    pub async fn job(&self, id: &JobId) -> Result<Option<Job>> {
        let sql = with_columns!("select", "from job where id = $1");
        let row: Option<JobRow> = self.optional(sql, args![id]).await?;
        Ok(row.map(Job::from))
    }
}

/// As `Db::enqueue`, within the transaction of the job's cause.
pub(super) async fn enqueue_in(
    tx: &mut Tx,
    job: &NewJob,
    id: &JobId,
    max_attempts: u32,
    now: Millis,
) -> Result<(Job, bool)> {
    // One statement, so that the job that is there cannot end before it is looked at. Who asks more urgently pulls it
    // to the front.
    const SQL: &str = with_columns!(
        "insert into job (id, kind, status, repo, repo_name, payload, priority, attempts, max_attempts, progress,
            waiting_for, error, outcome, dedup_key, worker, lease_until, created_at, run_at)
        values ($1, $2, 'pending', $3, $4, $5, $6, 0, $7, '{}', '', '', '', $8, '', 0, $9, $9)
        on conflict (dedup_key) where status in ('pending', 'running', 'paused')
        do update set version = job.version + 1, priority = case when excluded.priority > job.priority then excluded.priority else job.priority end
        returning",
        ""
    );
    let row: Option<JobRow> = tx
        .optional(
            SQL,
            args![
                id,
                job.work.kind().as_str(),
                job.repo.clone().map(String::from),
                job.repo_name.as_str(),
                json(&job.work),
                job.priority,
                i64::from(max_attempts),
                job.dedup_key(),
                now
            ],
        )
        .await?;
    let row = row.ok_or(super::Error::Driver(sqlx::Error::RowNotFound))?;
    let added = row.id == id.as_str();
    Ok((row.into(), added))
}

/// `,a,b,`: matched with `like '%,' || column || ',%'`. Empty for none.
pub(super) fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let list = words.fold(String::new(), |list, word| list + word + ",");
    if list.is_empty() { list } else { format!(",{list}") }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    // Without NUL: PostgreSQL's text has none, and JSON writes it as an escape.
    serde_json::to_string(value).unwrap_or_else(|_| "{}".into())
}
