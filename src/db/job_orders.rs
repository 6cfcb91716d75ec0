//! What people order jobs to do.

use super::jobs::{JobRow, with_columns};
use super::sql::{Pick, args};
use super::{Db, Result};
use crate::domain::job::{Job, JobStatus, Order};
use crate::domain::{JobId, Millis};

/// The result of an order.
#[derive(Debug, Clone)]
pub enum Obeyed {
    /// The job as it is now. A running one obeys when its worker sees the order.
    Yes(Job),
    /// It was so before.
    Already(Job),
    NotFound,
    /// The job's status does not allow it.
    No(Job),
    /// The same work is under way as another job.
    Duplicate(Job),
}

impl Db {
    /// Carries out an order for a job, or says why that is not possible.
    pub async fn order_job(&self, id: &JobId, order: Order, now: Millis) -> Result<Obeyed> {
        let mut tx = self.begin().await?;
        let sql = Pick {
            sqlite: with_columns!("select", "from job where id = $1"),
            postgres: with_columns!("select", "from job where id = $1 for update"),
        };
        let Some(row) = tx.optional::<JobRow>(sql, args![id]).await? else { return Ok(Obeyed::NotFound) };
        let job = Job::from(row);
        use JobStatus as S;
        let change = match (order, job.status) {
            (Order::Cancel, S::Pending | S::Paused) => {
                "update job set version = version + 1, status = 'cancelled', finished_at = $2, waiting_for = '' where id = $1"
            }
            (Order::Cancel, S::Running) => {
                "update job set version = version + 1, wanted = 'cancel', run_at = $2 where id = $1"
            }
            (Order::Pause, S::Pending) => {
                "update job set version = version + 1, status = 'paused', run_at = $2, waiting_for = 'paused' where id = $1"
            }
            (Order::Pause, S::Running) => {
                "update job set version = version + 1, wanted = coalesce(wanted, 'pause'), run_at = $2 where id = $1"
            }
            (Order::Resume, S::Paused) => {
                "update job set version = version + 1, status = 'pending', run_at = $2, waiting_for = '' where id = $1"
            }
            // Takes a pause back; a cancellation stays.
            (Order::Resume, S::Running) => {
                "update job set version = version + 1, wanted = nullif(wanted, 'pause'), run_at = $2 where id = $1"
            }
            (Order::Retry, S::Failed | S::Cancelled) => {
                let sql = with_columns!(
                    "select",
                    "from job where status in ('pending', 'running', 'paused') and dedup_key = (select dedup_key from job where id = $1)"
                );
                if let Some(other) = tx.optional::<JobRow>(sql, args![id]).await? {
                    return Ok(Obeyed::Duplicate(other.into()));
                }
                "update job set version = version + 1, status = 'pending', run_at = $2, attempts = 0, finished_at = null, dismissed_at = null,
                    waiting_for = '' where id = $1"
            }
            (Order::Dismiss, S::Failed) if job.dismissed_at.is_none() => {
                "update job set version = version + 1, dismissed_at = $2 where id = $1"
            }
            // Already so.
            (Order::Cancel, S::Cancelled)
            | (Order::Pause, S::Paused)
            | (Order::Resume, S::Pending)
            | (Order::Dismiss, S::Failed) => {
                return Ok(Obeyed::Already(job));
            }
            _ => return Ok(Obeyed::No(job)),
        };
        tx.execute(change, args![id, now]).await?;
        let row: Option<JobRow> = tx.optional(with_columns!("select", "from job where id = $1"), args![id]).await?;
        tx.commit().await?;
        Ok(row.map_or(Obeyed::NotFound, |row| Obeyed::Yes(row.into())))
    }

    /// Dismisses failed jobs that were not dismissed before, at most `limit` of them; they, as they are now.
    pub async fn dismiss_failed_jobs(&self, limit: u64, now: Millis) -> Result<Vec<Job>> {
        const SQL: &str = with_columns!(
            "update job set version = version + 1, dismissed_at = $1 where id in
                (select id from job where status = 'failed' and dismissed_at is null limit $2) returning",
            ""
        );
        let mut tx = self.begin().await?;
        let rows: Vec<JobRow> = tx.all(SQL, args![now, limit]).await?;
        tx.commit().await?;
        Ok(rows.into_iter().map(Job::from).collect())
    }
}
