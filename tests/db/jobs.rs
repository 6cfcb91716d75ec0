//! The queue of jobs: what is enqueued once, claimed once, and never lost or undone by who has lost it.

use std::collections::BTreeSet;

use modelhub::db::{Claimant, Db, Obeyed, Settled};
use modelhub::domain::job::{
    ChangeKind, Changes, FileProgress, Job, JobFilter, JobKind, JobStatus, Level, NewJob, Order, Payload, Progress,
};
use modelhub::domain::{Preset, Selection};

use crate::database::{TestDatabase, on_both, repo};

on_both!(
    a_job_comes_back_as_it_was_enqueued,
    the_same_work_is_one_job_while_it_lives_and_the_more_urgent_wish_counts,
    the_same_work_enqueued_by_many_at_once_is_one_job,
    work_that_is_enqueued_while_the_same_ends_is_never_refused,
    jobs_are_claimed_by_priority_then_by_age_when_their_time_has_come,
    a_worker_is_given_only_the_kinds_that_it_asks_for,
    two_hundred_jobs_are_claimed_once_each_by_eight_claimants,
    no_more_downloads_run_than_are_allowed_whoever_claims,
    a_lease_is_kept_only_by_who_has_it_and_tells_what_was_ordered,
    a_worker_that_lost_its_lease_changes_nothing,
    a_job_of_a_silent_worker_goes_back_and_takes_its_orders_along,
    how_a_job_ended_is_kept,
    orders_do_what_each_status_allows,
    a_pause_that_was_taken_back_is_not_obeyed,
    a_cancellation_is_not_undone_by_a_later_order_or_by_a_failure,
    a_retry_gives_way_to_the_same_work_under_way,
    a_log_is_numbered_bounded_and_read_in_pages,
    a_log_ends_with_its_job,
    jobs_are_listed_newest_first_page_by_page,
    a_list_is_narrowed_by_status_kind_repository_and_time,
    a_search_looks_into_names_errors_and_outcomes,
    why_jobs_wait_is_said_of_the_kind_that_waits,
    counts_are_of_what_is_not_done,
    only_old_ended_jobs_are_forgotten,
    a_job_outlives_its_repository,
);

const ALL: &[JobKind] = JobKind::ALL;

fn job(kind: JobKind, repo_name: &str) -> NewJob {
    NewJob { kind, repo: None, repo_name: repo_name.into(), payload: Payload::default(), priority: 50 }
}

/// A job of its own, `job-0007`, created at its number.
async fn add(db: &Db, number: u64, kind: JobKind) -> Job {
    add_with(db, number, job(kind, &format!("models/org/{number}"))).await
}

async fn add_with(db: &Db, number: u64, job: NewJob) -> Job {
    let (job, added) = db.enqueue(&job, &format!("job-{number:04}"), 5, number as i64).await.unwrap();
    assert!(added);
    job
}

fn claimant<'a>(worker: &'a str, kinds: &'a [JobKind], now: i64) -> Claimant<'a> {
    Claimant { worker, kinds, max_downloads: 1000, lease_until: now + 100, now }
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
    db.job(id).await.unwrap().unwrap().status
}

async fn order(db: &Db, id: &str, order: Order, now: i64) -> Obeyed {
    db.order_job(id, order, now).await.unwrap()
}

async fn a_job_comes_back_as_it_was_enqueued(base: &TestDatabase) {
    let db = base.open().await;
    let row = repo(&db, "org/model").await.id;
    let payload = Payload {
        revision: "réfs/\u{1f600}".into(),
        selection: Selection {
            paths: vec!["a \"b\"".into()],
            include: vec!["*.gguf".into()],
            exclude: vec!["x'y".into()],
            preset: Some(Preset::Gguf),
            quantisation: "Q4_K_M".into(),
        },
        bytes_per_second: u64::MAX,
        ..Payload::default()
    };
    let new = NewJob {
        kind: JobKind::Download,
        repo: Some(row.clone()),
        repo_name: "models/org/model".into(),
        payload: payload.clone(),
        priority: 100,
    };
    let (made, added) = db.enqueue(&new, "job-1", 7, 10).await.unwrap();
    assert!(added);
    assert_eq!(
        made,
        Job {
            id: "job-1".into(),
            kind: JobKind::Download,
            status: JobStatus::Pending,
            repo: Some(row),
            repo_name: "models/org/model".into(),
            payload,
            priority: 100,
            attempts: 0,
            max_attempts: 7,
            progress: Progress::default(),
            waiting_for: String::new(),
            error: String::new(),
            outcome: String::new(),
            worker: String::new(),
            changes: None,
            created_at: 10,
            run_at: 10,
            started_at: None,
            finished_at: None,
        }
    );
    assert_eq!(db.job("job-1").await.unwrap(), Some(made));
    assert_eq!(db.job("job-2").await.unwrap(), None);
}

async fn the_same_work_is_one_job_while_it_lives_and_the_more_urgent_wish_counts(base: &TestDatabase) {
    let db = base.open().await;
    let wish = |priority| NewJob { priority, ..job(JobKind::Sync, "models/org/model") };
    add_with(&db, 1, wish(50)).await;
    for (number, priority, expected) in [(2, 0, 50), (3, 100, 100), (4, 50, 100)] {
        let (found, added) = db.enqueue(&wish(priority), &format!("job-{number:04}"), 5, 20).await.unwrap();
        assert_eq!((found.id.as_str(), added, found.priority), ("job-0001", false, expected));
    }
    // Other files, another kind and another repository are other work.
    let payload = Payload { revision: "dev".into(), ..Payload::default() };
    add_with(&db, 5, NewJob { payload, ..wish(50) }).await;
    add_with(&db, 6, job(JobKind::Verify, "models/org/model")).await;
    add_with(&db, 7, job(JobKind::Sync, "datasets/org/model")).await;
    // While it runs or is paused it is the same; when it has ended it is work again.
    let running = claim(&db, "w", 30).await.unwrap();
    assert_eq!(running.id, "job-0001");
    assert_eq!(db.enqueue(&wish(50), "job-0008", 5, 30).await.unwrap().0.id, "job-0001");
    db.settle_job("job-0001", "w", &end(JobStatus::Completed), 31).await.unwrap().unwrap();
    assert_eq!(add_with(&db, 9, wish(50)).await.id, "job-0009");
    assert!(matches!(order(&db, "job-0009", Order::Pause, 40).await, Obeyed::Yes(_)));
    assert_eq!(db.enqueue(&wish(50), "job-0010", 5, 50).await.unwrap().0.id, "job-0009");
}

async fn the_same_work_enqueued_by_many_at_once_is_one_job(base: &TestDatabase) {
    let db = base.open().await;
    let mut adding = tokio::task::JoinSet::new();
    for n in 0..32 {
        let db = db.clone();
        adding.spawn(async move {
            db.enqueue(&job(JobKind::Sync, "models/org/model"), &format!("job-{n}"), 5, n).await.unwrap()
        });
    }
    let found = adding.join_all().await;
    assert_eq!(found.iter().filter(|(_, added)| *added).count(), 1);
    assert!(found.iter().all(|(job, _)| job.id == found[0].0.id));
    assert_eq!(db.jobs(&all()).await.unwrap().len(), 1);
}

async fn work_that_is_enqueued_while_the_same_ends_is_never_refused(base: &TestDatabase) {
    let db = base.open().await;
    let ending = async {
        let mut ended = 0;
        while ended < 100 {
            if let Some(job) = claim(&db, "w", i64::MAX - 1000).await {
                db.settle_job(&job.id, "w", &end(JobStatus::Completed), 1).await.unwrap();
                ended += 1;
            } else {
                tokio::task::yield_now().await;
            }
        }
    };
    let enqueuing = async {
        for n in 0u64.. {
            let (job, _) = db
                .enqueue(&job(JobKind::Sync, "models/org/model"), &format!("job-{n:06}"), 5, 1)
                .await
                .unwrap_or_else(|error| panic!("enqueuing for the {n}th time: {error}"));
            assert!(!job.status.is_final(), "{job:?}");
        }
    };
    tokio::select! { () = ending => {}, () = enqueuing => {} }
}

async fn jobs_are_claimed_by_priority_then_by_age_when_their_time_has_come(base: &TestDatabase) {
    let db = base.open().await;
    for (number, priority) in [(1, 0), (2, 50), (3, 100), (4, 100), (5, 0), (6, i64::from(i32::MAX))] {
        add_with(&db, number, NewJob { priority, ..job(JobKind::Sync, &format!("models/org/{number}")) }).await;
    }
    // Number 6, the most urgent, is not to run before 1000.
    assert_eq!(claim(&db, "w", 10).await.unwrap().id, "job-0006");
    let later = Settled { run_at: 1000, waiting_for: "the next try".into(), ..end(JobStatus::Pending) };
    db.settle_job("job-0006", "w", &later, 10).await.unwrap().unwrap();
    let mut claimed = Vec::new();
    while let Some(job) = claim(&db, "w", 20).await {
        assert_eq!((job.status, job.worker.as_str(), job.attempts), (JobStatus::Running, "w", 1));
        assert_eq!(job.started_at, Some(20));
        claimed.push(job.id);
    }
    assert_eq!(claimed, ["job-0003", "job-0004", "job-0002", "job-0001", "job-0005"]);
    assert_eq!(claim(&db, "w", 999).await, None);
    let again = claim(&db, "w", 1000).await.unwrap();
    assert_eq!((again.id.as_str(), again.attempts, again.waiting_for.as_str()), ("job-0006", 2, ""));
}

async fn a_worker_is_given_only_the_kinds_that_it_asks_for(base: &TestDatabase) {
    let db = base.open().await;
    for (number, kind) in ALL.iter().enumerate() {
        add(&db, number as u64, *kind).await;
    }
    for kind in ALL {
        let job = db.claim_job(&claimant("w", &[*kind], 100)).await.unwrap().unwrap();
        assert_eq!(job.kind, *kind);
        assert_eq!(db.claim_job(&claimant("w", &[*kind], 100)).await.unwrap(), None);
    }
    add(&db, 100, JobKind::Sync).await;
    assert_eq!(db.claim_job(&claimant("w", &[], 100)).await.unwrap(), None);
}

async fn two_hundred_jobs_are_claimed_once_each_by_eight_claimants(base: &TestDatabase) {
    let db = base.open().await;
    for number in 0..200 {
        add(&db, number, ALL[number as usize % ALL.len()]).await;
    }
    let mut claiming = tokio::task::JoinSet::new();
    for n in 0..8 {
        // A process of its own.
        let db = base.open().await;
        claiming.spawn(async move {
            let worker = format!("worker-{n}");
            let mut mine = Vec::new();
            while let Some(job) = claim(&db, &worker, 1000).await {
                assert_eq!((job.worker.as_str(), job.attempts), (worker.as_str(), 1));
                mine.push(job.id);
            }
            db.close().await;
            mine
        });
    }
    let claimed: Vec<String> = claiming.join_all().await.concat();
    assert_eq!(claimed.len(), 200, "a job was claimed twice or not at all");
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 200);
}

async fn no_more_downloads_run_than_are_allowed_whoever_claims(base: &TestDatabase) {
    let db = base.open().await;
    for number in 0..40 {
        add(&db, number, JobKind::Download).await;
    }
    add(&db, 100, JobKind::Sync).await;
    let mut claiming = tokio::task::JoinSet::new();
    for n in 0..8 {
        let db = db.clone();
        claiming.spawn(async move {
            let (worker, mut mine) = (format!("worker-{n}"), Vec::new());
            let who = |kinds| Claimant { max_downloads: 3, ..claimant(&worker, kinds, 1000) };
            for _ in 0..10 {
                mine.extend(db.claim_job(&who(&[JobKind::Download])).await.unwrap());
            }
            mine
        });
    }
    let claimed: Vec<Job> = claiming.join_all().await.concat();
    assert_eq!(claimed.len(), 3, "{:?}", ids(&claimed));
    // Other work is not held up by downloads that wait, though they are older.
    let who = Claimant { max_downloads: 3, ..claimant("w", ALL, 1000) };
    assert_eq!(db.claim_job(&who).await.unwrap().unwrap().id, "job-0100");
    assert_eq!(db.claim_job(&who).await.unwrap(), None);
    // As soon as one has ended another may run.
    db.settle_job(&claimed[0].id, &claimed[0].worker, &end(JobStatus::Completed), 1).await.unwrap().unwrap();
    assert_eq!(db.claim_job(&who).await.unwrap().unwrap().id, "job-0003");
    // One limit that was lowered meanwhile stops nothing and begins nothing.
    let who = Claimant { max_downloads: 1, ..who };
    assert_eq!(db.claim_job(&who).await.unwrap(), None);
    assert_eq!(db.jobs(&JobFilter { statuses: vec![JobStatus::Running], ..all() }).await.unwrap().len(), 4);
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

async fn a_lease_is_kept_only_by_who_has_it_and_tells_what_was_ordered(base: &TestDatabase) {
    let db = base.open().await;
    add(&db, 1, JobKind::Download).await;
    assert_eq!(db.renew_job("job-0001", "w", 500, &some_progress()).await.unwrap(), None, "it was never claimed");
    claim(&db, "w", 10).await.unwrap();
    assert_eq!(db.renew_job("job-0001", "other", 500, &Progress::default()).await.unwrap(), None);
    assert_eq!(db.renew_job("job-0001", "w", 500, &some_progress()).await.unwrap(), Some(None));
    assert_eq!(db.job("job-0001").await.unwrap().unwrap().progress, some_progress());
    // Renewed to 500: at 400 it is not taken away.
    assert!(db.reclaim_jobs(400).await.unwrap().is_empty());
    for wish in [Order::Pause, Order::Cancel] {
        assert!(matches!(order(&db, "job-0001", wish, 20).await, Obeyed::Yes(job) if job.status == JobStatus::Running));
        assert_eq!(db.renew_job("job-0001", "w", 600, &some_progress()).await.unwrap(), Some(Some(wish)));
    }
}

async fn a_worker_that_lost_its_lease_changes_nothing(base: &TestDatabase) {
    let db = base.open().await;
    add(&db, 1, JobKind::Download).await;
    claim(&db, "old", 10).await.unwrap();
    assert_eq!(ids(&db.reclaim_jobs(200).await.unwrap()), ["job-0001"]);
    let second = claim(&db, "new", 210).await.unwrap();
    assert_eq!((second.id.as_str(), second.attempts), ("job-0001", 2));
    assert_eq!(db.renew_job("job-0001", "old", 900, &some_progress()).await.unwrap(), None);
    let payload = Payload { commit: "1".repeat(40), ..Payload::default() };
    assert!(!db.put_job_payload("job-0001", "old", &payload).await.unwrap());
    assert_eq!(db.settle_job("job-0001", "old", &end(JobStatus::Failed), 220).await.unwrap(), None);
    assert_eq!(db.job("job-0001").await.unwrap(), Some(second));
    assert!(db.put_job_payload("job-0001", "new", &payload).await.unwrap());
    let ended = db.settle_job("job-0001", "new", &end(JobStatus::Completed), 230).await.unwrap().unwrap();
    assert_eq!((ended.payload, ended.finished_at), (payload, Some(230)));
    // Nor does the new one, a second time.
    assert_eq!(db.settle_job("job-0001", "new", &end(JobStatus::Failed), 240).await.unwrap(), None);
}

async fn a_job_of_a_silent_worker_goes_back_and_takes_its_orders_along(base: &TestDatabase) {
    let db = base.open().await;
    for number in 1..=4 {
        add(&db, number, JobKind::Sync).await;
        claim(&db, "w", 10).await.unwrap();
    }
    order(&db, "job-0002", Order::Cancel, 20).await;
    order(&db, "job-0003", Order::Pause, 20).await;
    db.renew_job("job-0004", "w", 500, &some_progress()).await.unwrap();
    let mut back = db.reclaim_jobs(300).await.unwrap();
    back.sort_by(|a, b| a.id.cmp(&b.id));
    let states: Vec<_> = back.iter().map(|job| (job.id.as_str(), job.status, job.worker.as_str())).collect();
    use JobStatus::{Cancelled, Paused, Pending};
    assert_eq!(states, [("job-0001", Pending, ""), ("job-0002", Cancelled, ""), ("job-0003", Paused, "")]);
    assert_eq!(back[1].finished_at, Some(300));
    assert_eq!(back[2].waiting_for, "paused");
    assert!(db.reclaim_jobs(300).await.unwrap().is_empty());
    assert_eq!(claim(&db, "x", 301).await.unwrap().id, "job-0001");
    assert_eq!(claim(&db, "x", 301).await, None);
}

async fn how_a_job_ended_is_kept(base: &TestDatabase) {
    let db = base.open().await;
    for (number, status) in [(1, JobStatus::Completed), (2, JobStatus::Failed), (3, JobStatus::Cancelled)] {
        add(&db, number, JobKind::Sync).await;
        let id = claim(&db, "w", 10).await.unwrap().id;
        let settled = Settled {
            run_at: 77,
            waiting_for: String::new(),
            error: "wéll".into(),
            outcome: "done".into(),
            changes: Some(Changes {
                from: "a".into(),
                to: "b".into(),
                added: 1,
                removed: 2,
                changed: 3,
                first: vec![(ChangeKind::Removed, "x \u{1f600}".into(), 1 << 60)],
            }),
            progress: some_progress(),
            ..end(status)
        };
        let job = db.settle_job(&id, "w", &settled, 99).await.unwrap().unwrap();
        assert_eq!((job.status, job.error.as_str(), job.outcome.as_str()), (status, "wéll", "done"));
        assert_eq!((job.changes, job.progress, job.finished_at), (settled.changes, settled.progress, Some(99)));
        assert_eq!(job.attempts, 1);
        assert_eq!(claim(&db, "w", i64::MAX - 1000).await, None, "what has ended is not run again");
    }
    // What was interrupted is not counted as a try, and is no end.
    add(&db, 4, JobKind::Sync).await;
    claim(&db, "w", 10).await.unwrap();
    let interrupted = Settled { keep_attempt: true, ..end(JobStatus::Pending) };
    let job = db.settle_job("job-0004", "w", &interrupted, 99).await.unwrap().unwrap();
    assert_eq!((job.attempts, job.finished_at), (0, None));
}

/// A new job brought to a status.
async fn bring_to(db: &Db, number: u64, status: JobStatus) -> String {
    let id = add(db, number, JobKind::Sync).await.id;
    match status {
        JobStatus::Pending => {}
        JobStatus::Paused => drop(order(db, &id, Order::Pause, 1).await),
        JobStatus::Running => drop(claim(db, "w", 10_000).await.unwrap()),
        status => {
            claim(db, "w", 10_000).await.unwrap();
            db.settle_job(&id, "w", &Settled { error: "before".into(), ..end(status) }, 20_000).await.unwrap().unwrap();
        }
    }
    id
}

async fn orders_do_what_each_status_allows(base: &TestDatabase) {
    use JobStatus::{Cancelled, Completed, Failed, Paused, Pending, Running};
    let db = base.open().await;
    let expected = |wish, status| match (wish, status) {
        (Order::Cancel, Pending | Paused | Cancelled) => Some(Cancelled),
        (Order::Pause, Pending | Paused) => Some(Paused),
        (Order::Resume, Paused | Pending) => Some(Pending),
        (Order::Retry, Failed | Cancelled) => Some(Pending),
        // The worker obeys later.
        (Order::Cancel | Order::Pause | Order::Resume, Running) => Some(Running),
        _ => None,
    };
    let mut number = 0;
    for before in [Pending, Running, Paused, Completed, Failed, Cancelled] {
        for wish in Order::ALL {
            number += 1;
            let id = bring_to(&db, number, before).await;
            match (order(&db, &id, *wish, 30_000).await, expected(*wish, before)) {
                (Obeyed::Yes(job), Some(after)) => {
                    assert_eq!(job.status, after, "{wish:?} of a job that is {before:?}");
                    assert_eq!(job.finished_at.is_some(), after == Cancelled, "{wish:?} {before:?}");
                    if before != after && after == Pending {
                        assert_eq!((job.run_at, job.waiting_for.as_str()), (30_000, ""));
                    }
                    if *wish == Order::Retry {
                        assert_eq!(job.attempts, 0, "a person gives it all its tries again");
                    }
                }
                (Obeyed::No(job), None) => assert_eq!(job.status, before, "{wish:?} of a job that is {before:?}"),
                (found, _) => panic!("{wish:?} of a job that is {before:?}: {found:?}"),
            }
            // Nothing waits for the next round.
            order(&db, &id, Order::Cancel, 30_000).await;
            while claim(&db, "w", 40_000).await.is_some() {}
        }
    }
    assert!(matches!(order(&db, "none", Order::Cancel, 1).await, Obeyed::NoSuchJob));
}

async fn a_pause_that_was_taken_back_is_not_obeyed(base: &TestDatabase) {
    let db = base.open().await;
    let id = bring_to(&db, 1, JobStatus::Running).await;
    order(&db, &id, Order::Pause, 10).await;
    // The worker has begun to put things down when the person thinks again.
    assert!(matches!(order(&db, &id, Order::Resume, 11).await, Obeyed::Yes(_)));
    let paused = Settled { waiting_for: "paused".into(), keep_attempt: true, ..end(JobStatus::Paused) };
    let job = db.settle_job(&id, "w", &paused, 20).await.unwrap().unwrap();
    assert_eq!((job.status, job.waiting_for.as_str()), (JobStatus::Pending, ""), "the resumption was acknowledged");
}

async fn a_cancellation_is_not_undone_by_a_later_order_or_by_a_failure(base: &TestDatabase) {
    let db = base.open().await;
    for (number, later) in [(1, Some(Order::Pause)), (2, Some(Order::Resume)), (3, None)] {
        let id = bring_to(&db, number, JobStatus::Running).await;
        order(&db, &id, Order::Cancel, 10).await;
        if let Some(later) = later {
            order(&db, &id, later, 11).await;
        }
        // It failed for another reason just then, and would be tried again.
        let again = Settled { run_at: 5000, waiting_for: "the next try".into(), ..end(JobStatus::Pending) };
        let job = db.settle_job(&id, "w", &again, 20).await.unwrap().unwrap();
        assert_eq!((job.status, job.finished_at), (JobStatus::Cancelled, Some(20)), "then {later:?}");
    }
}

async fn a_retry_gives_way_to_the_same_work_under_way(base: &TestDatabase) {
    let db = base.open().await;
    let wish = job(JobKind::Sync, "models/org/model");
    add_with(&db, 1, wish.clone()).await;
    claim(&db, "w", 10).await.unwrap();
    db.settle_job("job-0001", "w", &end(JobStatus::Failed), 20).await.unwrap().unwrap();
    add_with(&db, 2, wish).await;
    assert!(matches!(order(&db, "job-0001", Order::Retry, 30).await, Obeyed::Duplicate(job) if job.id == "job-0002"));
    assert_eq!(status(&db, "job-0001").await, JobStatus::Failed);
    order(&db, "job-0002", Order::Cancel, 40).await;
    assert!(matches!(order(&db, "job-0001", Order::Retry, 50).await, Obeyed::Yes(_)));
}

async fn a_log_is_numbered_bounded_and_read_in_pages(base: &TestDatabase) {
    let db = base.open().await;
    add(&db, 1, JobKind::Sync).await;
    add(&db, 2, JobKind::Sync).await;
    db.log_job("job-0001", Level::Info, "nul \0 is left out, é stays", 10).await.unwrap();
    db.log_job("job-0002", Level::Error, &"x".repeat(10_000), 11).await.unwrap();
    db.log_job("job-0001", Level::Warning, "two", 12).await.unwrap();
    db.log_job("no such job", Level::Info, "lost", 12).await.unwrap();
    let lines = db.job_log("job-0001", 0, 100).await.unwrap();
    let shown: Vec<_> = lines.iter().map(|line| (line.number, line.at, line.level, line.text.as_str())).collect();
    assert_eq!(shown, [(1, 10, Level::Info, "nul  is left out, é stays"), (2, 12, Level::Warning, "two")]);
    assert_eq!(db.job_log("job-0001", 1, 100).await.unwrap().len(), 1);
    assert_eq!(db.job_log("job-0001", 0, 1).await.unwrap()[0].number, 1);
    assert!(db.job_log("job-0001", u64::MAX, 100).await.unwrap().is_empty());
    assert_eq!(db.job_log("job-0002", 0, 100).await.unwrap()[0].text.len(), 4000);
    // The last lines before the bound, and none behind it.
    base.execute("insert into job_log (job, number, at, level, text) values ('job-0001', 9999, 1, 'info', 'near')")
        .await;
    for _ in 0..5 {
        db.log_job("job-0001", Level::Info, "more", 13).await.unwrap();
    }
    let last = db.job_log("job-0001", 2, 100).await.unwrap();
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
            before = Some(last.id.clone());
            seen.extend(page.into_iter().map(|job| job.id));
        }
        let right: Vec<String> = (0..25).rev().map(|number| format!("job-{number:04}")).collect();
        assert_eq!(seen, right, "pages of {limit}");
    }
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
        db.jobs(&filter).await.unwrap().into_iter().map(|job| job.id).collect()
    };
    use JobStatus::{Failed, Paused, Running};
    assert_eq!(list(JobFilter { statuses: vec![Failed, Paused], ..all() }).await, ["job-0003", "job-0002"]);
    assert!(list(JobFilter { statuses: vec![Running], ..all() }).await.is_empty());
    let kinds = vec![JobKind::Download, JobKind::Verify];
    assert_eq!(list(JobFilter { kinds: kinds.clone(), ..all() }).await, ["job-0005", "job-0004"]);
    assert_eq!(list(JobFilter { repo: Some(row.clone()), ..all() }).await, ["job-0005"]);
    assert!(list(JobFilter { repo: Some("none".into()), ..all() }).await.is_empty());
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
        db.settle_job(&id, "w", &ended, 1).await.unwrap().unwrap();
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
    db.settle_job("job-0001", "w", &later, 6).await.unwrap().unwrap();
    db.put_waiting_for(JobKind::Download, "the hours", 10).await.unwrap();
    let mut reasons = Vec::new();
    for id in ["job-0001", "job-0002", "job-0003", "job-0004"] {
        reasons.push(db.job(id).await.unwrap().unwrap().waiting_for);
    }
    assert_eq!(reasons, ["disk space", "", "paused", "the hours"]);
    db.put_waiting_for(JobKind::Download, "", 10).await.unwrap();
    assert_eq!(db.job("job-0004").await.unwrap().unwrap().waiting_for, "");
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
    assert_eq!(db.live_job_of(&row).await.unwrap().as_deref(), Some("job-0001"));
    order(&db, "job-0001", Order::Pause, 5).await;
    assert_eq!(db.live_job_of(&row).await.unwrap().as_deref(), Some("job-0001"));
    order(&db, "job-0001", Order::Cancel, 5).await;
    assert_eq!(db.live_job_of(&row).await.unwrap(), None);
    assert!(db.delete_model(&row).await.unwrap());
    let job = db.job("job-0001").await.unwrap().unwrap();
    assert_eq!((job.repo, job.repo_name.as_str()), (None, "models/org/model"));
}
