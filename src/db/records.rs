//! What this installation records about itself: workers, activities, totals, changed settings.

use super::sql::args;
use super::{Change, Db, Result};
use crate::domain::{Activity, JobId, Millis, WorkerId};

/// A process that runs jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    pub id: WorkerId,
    pub address: String,
    pub hostname: String,
    pub started_at: Millis,
    pub seen_at: Millis,
    pub running: u64,
    /// Concurrent downloads that it would run now.
    pub max_downloads: u64,
}

impl Db {
    /// The heartbeat of a worker.
    pub async fn put_worker(&self, worker: &WorkerRow) -> Result<()> {
        let sql = "insert into worker (id, address, hostname, started_at, seen_at, running, max_downloads)
            values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (id) do update set address = excluded.address, hostname = excluded.hostname,
                started_at = excluded.started_at, seen_at = excluded.seen_at, running = excluded.running,
                max_downloads = excluded.max_downloads";
        let (id, address, hostname) = (&worker.id, worker.address.as_str(), worker.hostname.as_str());
        let times = (worker.started_at, worker.seen_at);
        self.execute(sql, args![id, address, hostname, times.0, times.1, worker.running, worker.max_downloads]).await?;
        Ok(())
    }

    /// Workers seen after `seen_after`; removes those silent since `forget_before`.
    pub async fn workers(&self, forget_before: Millis) -> Result<Vec<WorkerRow>> {
        self.execute("delete from worker where seen_at < $1", args![forget_before]).await?;
        let sql = "select id, address, hostname, started_at, seen_at, running, max_downloads from worker order by started_at, id limit 1000";
        type Row = (String, String, String, i64, i64, i64, i64);
        let rows: Vec<Row> = self.all(sql, vec![]).await?;
        let worker = |(id, address, hostname, started_at, seen_at, running, max_downloads): Row| WorkerRow {
            id: WorkerId::new(id),
            address,
            hostname,
            started_at,
            seen_at,
            running: running.max(0) as u64,
            max_downloads: max_downloads.max(0) as u64,
        };
        Ok(rows.into_iter().map(worker).collect())
    }

    pub async fn delete_worker(&self, id: &WorkerId) -> Result<()> {
        self.execute("delete from worker where id = $1", args![id]).await?;
        Ok(())
    }

    pub async fn put_activity(&self, id: &str, activity: &Activity) -> Result<()> {
        let sql = "insert into activity (id, at, kind, text, repo_name, job) values ($1, $2, $3, $4, $5, $6)";
        let (kind, repo_name) = (activity.kind.as_str(), activity.repo_name.as_str());
        let text: String = activity.text.chars().filter(|c| *c != '\0').take(1000).collect();
        self.execute(sql, args![id, activity.at, kind, text, repo_name, activity.job.clone().map(String::from)])
            .await?;
        Ok(())
    }

    /// What happened lately, the newest first.
    pub async fn activities(&self, limit: u64) -> Result<Vec<Activity>> {
        let sql = "select at, kind, text, repo_name, job from activity order by id desc limit $1";
        type Row = (i64, String, String, String, Option<String>);
        let rows: Vec<Row> = self.all(sql, args![limit]).await?;
        let activity =
            |(at, kind, text, repo_name, job): Row| Activity { at, kind, text, repo_name, job: job.map(JobId::new) };
        Ok(rows.into_iter().map(activity).collect())
    }

    pub async fn prune_activities(&self, before: Millis) -> Result<u64> {
        self.execute("delete from activity where at < $1", args![before]).await
    }

    /// Adds to a total.
    pub async fn add_to_counter(&self, name: &str, by: u64) -> Result<()> {
        let sql = "insert into counter (name, value) values ($1, $2) on conflict (name) do update set value = counter.value + excluded.value";
        self.execute(sql, args![name, by]).await?;
        Ok(())
    }

    pub async fn counters(&self) -> Result<Vec<(String, u64)>> {
        let rows: Vec<(String, i64)> = self.all("select name, value from counter", vec![]).await?;
        Ok(rows.into_iter().map(|(name, value)| (name, value.max(0) as u64)).collect())
    }

    /// All settings whose names begin with `prefix`.
    pub async fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let rows: Vec<(String, String)> = self.all("select name, value from setting order by name", vec![]).await?;
        let own = |(name, value): (String, String)| Some((name.strip_prefix(prefix)?.to_owned(), value));
        Ok(rows.into_iter().filter_map(own).collect())
    }

    /// Changes settings, all or none.
    pub async fn put_settings(&self, settings: &[(String, String)]) -> Result<()> {
        let mut tx = self.begin().await?;
        for (name, value) in settings {
            let sql = "insert into setting (name, value) values ($1, $2)
                on conflict (name) do update set value = excluded.value";
            tx.execute(sql, args![name.as_str(), value.as_str()]).await?;
        }
        tx.tells(Change::Settings);
        tx.commit().await
    }
}
