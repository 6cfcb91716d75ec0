//! Lists, searches, counts and logs of jobs.

use modelhub::db::Settled;
use modelhub::domain::job::{JobFilter, JobKind, JobOrder, JobStatus, Level, NewJob, Order};

use super::{add, add_with, all, bring_to, by, claim, claimant, end, ids, job, job_id, order};
use crate::database::{TestDatabase, id, on_both, repo};

on_both!(
    a_log_is_numbered_bounded_and_read_in_pages,
    a_log_ends_with_its_job,
    jobs_are_listed_newest_first_page_by_page,
    ended_jobs_are_listed_by_their_ends_page_by_page,
    a_list_is_narrowed_by_status_kind_repository_and_time,
    a_search_looks_into_names_errors_and_outcomes,
    why_jobs_wait_is_said_of_the_kind_that_waits,
    counts_are_of_what_is_not_done,
    only_old_ended_jobs_are_forgotten,
    a_job_outlives_its_repository,
);

async fn a_log_is_numbered_bounded_and_read_in_pages(base: &TestDatabase) {
    let db = base.open().await;
    add(&db, 1, JobKind::Sync).await;
    add(&db, 2, JobKind::Sync).await;
    db.log_job(&job_id("job-0001"), Level::Info, "nul \0 is left out, é stays", 10).await.unwrap();
    db.log_job(&job_id("job-0002"), Level::Error, &"x".repeat(10_000), 11).await.unwrap();
    db.log_job(&job_id("job-0001"), Level::Warning, "two", 12).await.unwrap();
    db.log_job(&job_id("no such job"), Level::Info, "lost", 12).await.unwrap();
    let lines = db.job_log(&job_id("job-0001"), 0, 100).await.unwrap();
    let shown: Vec<_> = lines.iter().map(|line| (line.number, line.at, line.level, line.text.as_str())).collect();
    assert_eq!(shown, [(1, 10, Level::Info, "nul  is left out, é stays"), (2, 12, Level::Warning, "two")]);
    assert_eq!(db.job_log(&job_id("job-0001"), 1, 100).await.unwrap().len(), 1);
    assert_eq!(db.job_log(&job_id("job-0001"), 0, 1).await.unwrap()[0].number, 1);
    assert!(db.job_log(&job_id("job-0001"), u64::MAX, 100).await.unwrap().is_empty());
    assert_eq!(db.job_log(&job_id("job-0002"), 0, 100).await.unwrap()[0].text.len(), 4000);
    // The last lines before the bound, and none behind it.
    base.execute("insert into job_log (job, number, at, level, text) values ('job-0001', 9999, 1, 'info', 'near')")
        .await;
    for _ in 0..5 {
        db.log_job(&job_id("job-0001"), Level::Info, "more", 13).await.unwrap();
    }
    let last = db.job_log(&job_id("job-0001"), 2, 100).await.unwrap();
    assert_eq!(last.iter().map(|line| line.number).collect::<Vec<_>>(), [9999, 10_000]);
}

async fn a_log_ends_with_its_job(base: &TestDatabase) {
    let db = base.open().await;
    let id = bring_to(&db, 1, JobStatus::Completed).await;
    db.log_job(&id, Level::Info, "a line", 1).await.unwrap();
    assert_eq!(db.prune_jobs(i64::MAX).await.unwrap(), 1);
    assert_eq!(base.texts("select cast(count(*) as text) from job_log").await, ["0"]);
}

async fn jobs_are_listed_newest_first_page_by_page(base: &TestDatabase) {
    let db = base.open().await;
    for number in 0..25 {
        add(&db, number, JobKind::Sync).await;
    }
    for limit in [1, 7, 25, 100] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = db.jobs(&JobFilter { before, limit, ..JobFilter::default() }).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some((last.created_at, last.id.clone()));
            seen.extend(page.into_iter().map(|job| job.id.to_string()));
        }
        let right: Vec<String> = (0..25).rev().map(|number| format!("job-{number:04}")).collect();
        assert_eq!(seen, right, "pages of {limit}");
    }
}

async fn ended_jobs_are_listed_by_their_ends_page_by_page(base: &TestDatabase) {
    let db = base.open().await;
    // The first that was added ends last; two end at the same time.
    for (number, ended) in [(1, 40), (2, 30), (3, 30), (4, 20)] {
        let id = add(&db, number, JobKind::Sync).await.id;
        claim(&db, "w", 10_000).await.unwrap();
        db.settle_job(&id, &by("w"), &end(JobStatus::Completed), ended).await.unwrap().unwrap();
    }
    add(&db, 5, JobKind::Sync).await;
    let by_end = JobFilter { order: JobOrder::Finished, ..all() };
    for limit in [1, 2, 3, 100] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = db.jobs(&JobFilter { before, limit, ..by_end.clone() }).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some((last.finished_at.unwrap(), last.id.clone()));
            seen.extend(page.into_iter().map(|job| job.id.to_string()));
        }
        assert_eq!(seen, ["job-0001", "job-0003", "job-0002", "job-0004"], "pages of {limit}");
    }
    let late = JobFilter { finished_after: Some(30), ..by_end };
    assert_eq!(ids(&db.jobs(&late).await.unwrap()), ["job-0001"]);
}

async fn a_list_is_narrowed_by_status_kind_repository_and_time(base: &TestDatabase) {
    let db = base.open().await;
    let row = repo(&db, "org/model").await.id;
    bring_to(&db, 1, JobStatus::Completed).await;
    bring_to(&db, 2, JobStatus::Failed).await;
    bring_to(&db, 3, JobStatus::Paused).await;
    add(&db, 4, JobKind::Download).await;
    add_with(&db, 5, NewJob { repo: Some(row.clone()), ..job(JobKind::Verify, "models/org/model") }).await;
    let list = async |filter: JobFilter| -> Vec<String> {
        db.jobs(&filter).await.unwrap().into_iter().map(|job| job.id.to_string()).collect()
    };
    use JobStatus::{Failed, Paused, Running};
    assert_eq!(list(JobFilter { statuses: vec![Failed, Paused], ..all() }).await, ["job-0003", "job-0002"]);
    assert!(list(JobFilter { statuses: vec![Running], ..all() }).await.is_empty());
    let kinds = vec![JobKind::Download, JobKind::Verify];
    assert_eq!(list(JobFilter { kinds: kinds.clone(), ..all() }).await, ["job-0005", "job-0004"]);
    assert_eq!(list(JobFilter { repo: Some(row.clone()), ..all() }).await, ["job-0005"]);
    assert!(list(JobFilter { repo: Some(id("none")), ..all() }).await.is_empty());
    // Strictly between.
    let between = JobFilter { created_after: Some(2), created_before: Some(5), ..all() };
    assert_eq!(list(between.clone()).await, ["job-0004", "job-0003"]);
    assert_eq!(list(JobFilter { kinds, ..between }).await, ["job-0004"]);
}

async fn a_search_looks_into_names_errors_and_outcomes(base: &TestDatabase) {
    let db = base.open().await;
    add_with(&db, 1, job(JobKind::Sync, "models/Org/Model_A")).await;
    for (number, error, outcome) in [(2, "Disk 100% full: \\x of \u{c9}tude", ""), (3, "", "27 files of a_b")] {
        let id = add(&db, number, JobKind::Download).await.id;
        db.claim_job(&claimant("w", &[JobKind::Download], 100)).await.unwrap().unwrap();
        let ended = Settled { error: error.into(), outcome: outcome.into(), ..end(JobStatus::Failed) };
        db.settle_job(&id, &by("w"), &ended, 1).await.unwrap().unwrap();
    }
    for (search, found) in [
        ("oRG/mODEL", vec!["job-0001"]),
        ("100% FULL", vec!["job-0002"]),
        ("%", vec!["job-0002"]),
        ("_", vec!["job-0003", "job-0001"]),
        ("a_b", vec!["job-0003"]),
        ("\\", vec!["job-0002"]),
        ("\u{c9}TUDE", vec!["job-0002"]),
        ("'", vec![]),
        ("\0", vec![]),
        ("", vec!["job-0003", "job-0002", "job-0001"]),
    ] {
        let jobs = db.jobs(&JobFilter { search: search.into(), ..all() }).await.unwrap();
        assert_eq!(ids(&jobs), found, "a search for {search:?}");
    }
}

async fn why_jobs_wait_is_said_of_the_kind_that_waits(base: &TestDatabase) {
    let db = base.open().await;
    add(&db, 1, JobKind::Download).await;
    add(&db, 2, JobKind::Sync).await;
    bring_to(&db, 3, JobStatus::Paused).await;
    // Waits for something else, until 1000.
    add(&db, 4, JobKind::Download).await;
    claim(&db, "w", 5).await.unwrap();
    let later = Settled { run_at: 1000, waiting_for: "disk space".into(), ..end(JobStatus::Pending) };
    db.settle_job(&job_id("job-0001"), &by("w"), &later, 6).await.unwrap().unwrap();
    db.put_waiting_for(JobKind::Download, "the hours", 10).await.unwrap();
    let mut reasons = Vec::new();
    for id in ["job-0001", "job-0002", "job-0003", "job-0004"] {
        reasons.push(db.job(&job_id(id)).await.unwrap().unwrap().waiting_for);
    }
    assert_eq!(reasons, ["disk space", "", "paused", "the hours"]);
    db.put_waiting_for(JobKind::Download, "", 10).await.unwrap();
    assert_eq!(db.job(&job_id("job-0004")).await.unwrap().unwrap().waiting_for, "");
}

async fn counts_are_of_what_is_not_done(base: &TestDatabase) {
    let db = base.open().await;
    assert!(db.job_counts().await.unwrap().is_empty());
    use JobStatus::{Cancelled, Completed, Failed, Paused, Pending, Running};
    for (number, status) in [Completed, Cancelled, Failed, Failed, Running, Paused, Pending].into_iter().enumerate() {
        bring_to(&db, number as u64, status).await;
    }
    let mut counts: Vec<_> =
        db.job_counts().await.unwrap().into_iter().map(|(status, count)| (status.as_str(), count)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [("failed", 2), ("paused", 1), ("pending", 1), ("running", 1)]);
}

async fn only_old_ended_jobs_are_forgotten(base: &TestDatabase) {
    use JobStatus::{Cancelled, Completed, Failed, Paused, Pending, Running};
    let db = base.open().await;
    for (number, status) in [Completed, Failed, Cancelled, Running, Paused, Pending].into_iter().enumerate() {
        bring_to(&db, number as u64, status).await;
    }
    // They ended at 20 000.
    assert_eq!(db.prune_jobs(20_000).await.unwrap(), 0);
    assert_eq!(db.prune_jobs(20_001).await.unwrap(), 3);
    assert_eq!(ids(&db.jobs(&all()).await.unwrap()), ["job-0005", "job-0004", "job-0003"]);
}

async fn a_job_outlives_its_repository(base: &TestDatabase) {
    let db = base.open().await;
    let row = repo(&db, "org/model").await.id;
    add_with(&db, 1, NewJob { repo: Some(row.clone()), ..job(JobKind::Sync, "models/org/model") }).await;
    assert_eq!(db.live_job_of(&row).await.unwrap(), Some(job_id("job-0001")));
    order(&db, "job-0001", Order::Pause, 5).await;
    assert_eq!(db.live_job_of(&row).await.unwrap(), Some(job_id("job-0001")));
    order(&db, "job-0001", Order::Cancel, 5).await;
    assert_eq!(db.live_job_of(&row).await.unwrap(), None);
    assert!(db.delete_model(&row).await.unwrap());
    let job = db.job(&job_id("job-0001")).await.unwrap().unwrap();
    assert_eq!((job.repo, job.repo_name.as_str()), (None, "models/org/model"));
}
