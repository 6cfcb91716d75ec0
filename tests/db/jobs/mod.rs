//! Jobs: what is enqueued once, claimed once, and never lost or undone by who has lost it.

mod lists;
mod orders;
mod queue;

use modelhub::db::{Claimant, Db, Obeyed, Settled};
use modelhub::domain::job::{FileProgress, Job, JobFilter, JobKind, JobStatus, NewJob, Order, Progress};
use modelhub::domain::{JobId, Work, WorkerId};

fn job_id(text: &str) -> JobId {
    JobId::new(text)
}

fn by(worker: &str) -> WorkerId {
    WorkerId::new(worker)
}

const ALL: &[JobKind] = JobKind::ALL;

fn job(kind: JobKind, repo_name: &str) -> NewJob {
    NewJob { work: Work::read(kind, "{}"), repo: None, repo_name: repo_name.into(), priority: 50 }
}

/// A job of its own, `job-0007`, created at its number.
async fn add(db: &Db, number: u64, kind: JobKind) -> Job {
    add_with(db, number, job(kind, &format!("models/org/{number}"))).await
}

async fn add_with(db: &Db, number: u64, job: NewJob) -> Job {
    let (job, added) = db.enqueue(&job, &job_id(&format!("job-{number:04}")), 5, number as i64).await.unwrap();
    assert!(added);
    job
}

fn claimant<'a>(worker: &str, kinds: &'a [JobKind], now: i64) -> Claimant<'a> {
    let (max_downloads, max_own_downloads) = (1000, 1000);
    let worker = by(worker);
    Claimant { worker, kinds, max_downloads, max_own_downloads, heard_after: now - 10, lease_until: now + 100, now }
}

async fn claim(db: &Db, worker: &str, now: i64) -> Option<Job> {
    db.claim_job(&claimant(worker, ALL, now)).await.unwrap()
}

fn end(status: JobStatus) -> Settled {
    Settled {
        status,
        run_at: 0,
        waiting_for: String::new(),
        error: String::new(),
        outcome: String::new(),
        changes: None,
        progress: Progress::default(),
        keep_attempt: false,
    }
}

fn ids(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.id.as_str()).collect()
}

fn all() -> JobFilter {
    JobFilter { limit: 1000, ..JobFilter::default() }
}

async fn status(db: &Db, id: &str) -> JobStatus {
    db.job(&job_id(id)).await.unwrap().unwrap().status
}

async fn order(db: &Db, id: &str, order: Order, now: i64) -> Obeyed {
    db.order_job(&job_id(id), order, now).await.unwrap()
}

fn some_progress() -> Progress {
    Progress {
        files_done: 1,
        files_total: 2,
        bytes_done: 3,
        bytes_total: u64::MAX,
        bytes_per_second: 5,
        files: vec![FileProgress { path: "a/\u{e9}.bin".into(), bytes_done: 1, bytes_total: 2 }],
        doing: "reading".into(),
    }
}

/// A new job brought to a status.
async fn bring_to(db: &Db, number: u64, status: JobStatus) -> JobId {
    let id = add(db, number, JobKind::Sync).await.id;
    match status {
        JobStatus::Pending => {}
        JobStatus::Paused => drop(order(db, id.as_str(), Order::Pause, 1).await),
        JobStatus::Running => drop(claim(db, "w", 10_000).await.unwrap()),
        status => {
            claim(db, "w", 10_000).await.unwrap();
            db.settle_job(&id, &by("w"), &Settled { error: "before".into(), ..end(status) }, 20_000)
                .await
                .unwrap()
                .unwrap();
        }
    }
    id
}
