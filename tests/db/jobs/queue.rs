//! Enqueued once, claimed once, kept under a lease.

use std::collections::BTreeSet;

use modelhub::db::{Claimant, Gone, Obeyed, Settled, WorkerRow};
use modelhub::domain::job::{Job, JobFilter, JobKind, JobStatus, NewJob, Order, Progress};
use modelhub::domain::{JobId, Preset, Selection, Work, WorkerId, work};

use super::{ALL, add, add_with, all, by, claim, claimant, end, ids, job, job_id, order, some_progress};
use crate::database::{TestDatabase, on_both, repo};

on_both!(
    a_job_comes_back_as_it_was_enqueued,
    a_job_that_an_earlier_version_enqueued_is_read,
    the_same_work_is_one_job_while_it_lives_and_the_more_urgent_wish_counts,
    the_same_work_enqueued_by_many_at_once_is_one_job,
    work_that_is_enqueued_while_the_same_ends_is_never_refused,
    jobs_are_claimed_by_priority_then_by_age_when_their_time_has_come,
    a_worker_is_given_only_the_kinds_that_it_asks_for,
    two_hundred_jobs_are_claimed_once_each_by_eight_claimants,
    no_more_downloads_run_than_are_allowed_whoever_claims,
    a_worker_runs_no_more_downloads_than_it_may_itself,
    a_download_goes_to_the_worker_that_runs_the_fewest_if_that_is_alive_and_has_room,
    a_lease_is_kept_only_by_who_has_it_and_tells_what_was_ordered,
    a_worker_that_lost_its_lease_changes_nothing,
    a_job_of_a_silent_worker_goes_back_and_takes_its_orders_along,
    jobs_of_one_worker_or_of_all_go_back_before_their_leases_end,
);

/// Who has a job; empty if nobody has it.
fn by_whom(job: &Job) -> &str {
    job.worker.as_ref().map_or("", WorkerId::as_str)
}

async fn a_job_comes_back_as_it_was_enqueued(base: &TestDatabase) {
    let db = base.open().await;
    let row = repo(&db, "org/model").await.id;
    let work = Work::Download(work::Download {
        revision: "réfs/\u{1f600}".into(),
        selection: Selection {
            paths: vec!["a \"b\"".into()],
            include: vec!["*.gguf".into()],
            exclude: vec!["x'y".into()],
            preset: Some(Preset::Gguf),
            quantisation: "Q4_K_M".into(),
        },
        commit: String::new(),
        bytes_per_second: u64::MAX,
    });
    let new =
        NewJob { work: work.clone(), repo: Some(row.clone()), repo_name: "models/org/model".into(), priority: 100 };
    let (made, added) = db.enqueue(&new, &job_id("job-1"), 7, 10).await.unwrap();
    assert!(added);
    assert_eq!(
        made,
        Job {
            id: job_id("job-1"),
            version: 0,
            work,
            status: JobStatus::Pending,
            repo: Some(row),
            repo_name: "models/org/model".into(),
            priority: 100,
            attempts: 0,
            max_attempts: 7,
            progress: Progress::default(),
            waiting_for: String::new(),
            error: String::new(),
            outcome: String::new(),
            worker: None,
            changes: None,
            created_at: 10,
            run_at: 10,
            started_at: None,
            finished_at: None,
            dismissed_at: None,
        }
    );
    assert_eq!(db.job(&job_id("job-1")).await.unwrap(), Some(made));
    assert_eq!(db.job(&job_id("job-2")).await.unwrap(), None);
}

async fn a_job_that_an_earlier_version_enqueued_is_read(base: &TestDatabase) {
    let db = base.open().await;
    base.execute(
        r#"insert into job (id, kind, status, repo_name, payload, priority, attempts, max_attempts, progress, waiting_for,
            error, outcome, dedup_key, worker, lease_until, created_at, run_at)
        values ('old', 'download', 'pending', 'models/org/model',
            '{"revision":"main","commit":"c0ffee","selection":{"preset":"gguf"},"bytes_per_second":9}', 50, 0, 5, '{}', '', '', '',
            'download models/org/model {"revision":"main","bytes_per_second":9}', '', 0, 10, 10)"#,
    )
    .await;
    let selection = Selection { preset: Some(Preset::Gguf), ..Selection::default() };
    let download = work::Download { revision: "main".into(), commit: "c0ffee".into(), selection, bytes_per_second: 9 };
    assert_eq!(db.job(&job_id("old")).await.unwrap().unwrap().work, Work::Download(download.clone()));
    // The same wish is the same job, whichever version was asked.
    let again = work::Download { commit: String::new(), selection: Selection::default(), ..download };
    let again = NewJob { work: Work::Download(again), ..job(JobKind::Download, "models/org/model") };
    assert_eq!(db.enqueue(&again, &job_id("new"), 5, 20).await.unwrap().0.id, "old");
}

async fn the_same_work_is_one_job_while_it_lives_and_the_more_urgent_wish_counts(base: &TestDatabase) {
    let db = base.open().await;
    let wish = |priority| NewJob { priority, ..job(JobKind::Sync, "models/org/model") };
    add_with(&db, 1, wish(50)).await;
    for (number, priority, expected) in [(2, 0, 50), (3, 100, 100), (4, 50, 100)] {
        let (found, added) = db.enqueue(&wish(priority), &job_id(&format!("job-{number:04}")), 5, 20).await.unwrap();
        assert_eq!((found.id.as_str(), added, found.priority), ("job-0001", false, expected));
    }
    // Other files, another kind and another repository are other work.
    let work = Work::Sync(work::Sync { revision: "dev".into() });
    add_with(&db, 5, NewJob { work, ..wish(50) }).await;
    add_with(&db, 6, job(JobKind::Verify, "models/org/model")).await;
    add_with(&db, 7, job(JobKind::Sync, "datasets/org/model")).await;
    // However much there is to say of it: no index holds a key of that size.
    let long = |last: char| {
        let paths = (0..5000).map(|number| format!("{number:032x}")).chain([last.into()]).collect();
        let selection = Selection { paths, ..Selection::default() };
        NewJob { work: Work::Verify(work::Verify { selection, ..Default::default() }), ..wish(50) }
    };
    for (number, last, expected) in [(11, 'a', "job-0011"), (12, 'a', "job-0011"), (13, 'b', "job-0013")] {
        let id = job_id(&format!("job-{number:04}"));
        assert_eq!(db.enqueue(&long(last), &id, 5, 20).await.unwrap().0.id, expected);
    }
    // While it runs or is paused it is the same; when it has ended it is work again.
    let running = claim(&db, "w", 30).await.unwrap();
    assert_eq!(running.id, "job-0001");
    assert_eq!(db.enqueue(&wish(50), &job_id("job-0008"), 5, 30).await.unwrap().0.id, "job-0001");
    db.settle_job(&job_id("job-0001"), &by("w"), &end(JobStatus::Completed), 31).await.unwrap().unwrap();
    assert_eq!(add_with(&db, 9, wish(50)).await.id, "job-0009");
    assert!(matches!(order(&db, "job-0009", Order::Pause, 40).await, Obeyed::Yes(_)));
    assert_eq!(db.enqueue(&wish(50), &job_id("job-0010"), 5, 50).await.unwrap().0.id, "job-0009");
}

async fn the_same_work_enqueued_by_many_at_once_is_one_job(base: &TestDatabase) {
    let db = base.open().await;
    let mut adding = tokio::task::JoinSet::new();
    for n in 0..32 {
        let db = db.clone();
        adding.spawn(async move {
            db.enqueue(&job(JobKind::Sync, "models/org/model"), &job_id(&format!("job-{n}")), 5, n).await.unwrap()
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
                db.settle_job(&job.id, &by("w"), &end(JobStatus::Completed), 1).await.unwrap();
                ended += 1;
            } else {
                tokio::task::yield_now().await;
            }
        }
    };
    let enqueuing = async {
        for n in 0u64.. {
            let (job, _) = db
                .enqueue(&job(JobKind::Sync, "models/org/model"), &job_id(&format!("job-{n:06}")), 5, 1)
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
    db.settle_job(&job_id("job-0006"), &by("w"), &later, 10).await.unwrap().unwrap();
    let mut claimed = Vec::new();
    while let Some(job) = claim(&db, "w", 20).await {
        assert_eq!((job.status, by_whom(&job), job.attempts), (JobStatus::Running, "w", 1));
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
        assert_eq!(job.kind(), *kind);
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
                assert_eq!((by_whom(&job), job.attempts), (worker.as_str(), 1));
                mine.push(job.id);
            }
            db.close().await;
            mine
        });
    }
    let claimed: Vec<JobId> = claiming.join_all().await.concat();
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
    db.settle_job(&claimed[0].id, claimed[0].worker.as_ref().unwrap(), &end(JobStatus::Completed), 1)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(db.claim_job(&who).await.unwrap().unwrap().id, "job-0003");
    // One limit that was lowered meanwhile stops nothing and begins nothing.
    let who = Claimant { max_downloads: 1, ..who };
    assert_eq!(db.claim_job(&who).await.unwrap(), None);
    assert_eq!(db.jobs(&JobFilter { statuses: vec![JobStatus::Running], ..all() }).await.unwrap().len(), 4);
}

async fn a_worker_runs_no_more_downloads_than_it_may_itself(base: &TestDatabase) {
    let db = base.open().await;
    for number in 0..10 {
        add(&db, number, JobKind::Download).await;
    }
    for (worker, limit) in [("one", 1), ("two", 3)] {
        let who = Claimant { max_own_downloads: limit, ..claimant(worker, ALL, 1000) };
        for _ in 0..limit {
            db.claim_job(&who).await.unwrap().unwrap();
        }
        assert_eq!(db.claim_job(&who).await.unwrap(), None, "{worker}");
    }
    add(&db, 100, JobKind::Sync).await;
    let who = Claimant { max_own_downloads: 1, ..claimant("one", ALL, 1000) };
    assert_eq!(db.claim_job(&who).await.unwrap().unwrap().id, "job-0100", "other work is not held up");
}

async fn a_download_goes_to_the_worker_that_runs_the_fewest_if_that_is_alive_and_has_room(base: &TestDatabase) {
    let db = base.open().await;
    for number in 0..20 {
        add(&db, number, JobKind::Download).await;
    }
    let heard_of = async |id: &str, seen_at, max_downloads| {
        let (address, hostname) = (String::new(), String::new());
        let worker = WorkerRow { id: by(id), address, hostname, started_at: 1, seen_at, running: 0, max_downloads };
        db.put_worker(&worker).await.unwrap();
    };
    let takes = async |worker: &str, now| claim(&db, worker, now).await.is_some();
    heard_of("busy", 100, 9).await;
    heard_of("idle", 100, 2).await;
    // Of equals, whoever comes first; then the other one, until it has as many.
    assert!(takes("busy", 100).await);
    assert!(!takes("busy", 100).await);
    assert!(takes("idle", 100).await && takes("idle", 100).await);
    assert!(!takes("idle", 100).await);
    assert!(takes("busy", 100).await);
    // The other one has no more room: nothing is left to it.
    assert!(takes("busy", 100).await && takes("busy", 100).await);
    // It has room again, and for as long as it is heard of; other work is never held back.
    heard_of("idle", 200, 9).await;
    assert!(!takes("busy", 209).await);
    add(&db, 100, JobKind::Sync).await;
    assert_eq!(claim(&db, "busy", 209).await.unwrap().id, "job-0100");
    assert!(takes("busy", 210).await, "a silent worker holds nothing back");
    // Nor does one whose hours are over, or one that has signed off.
    heard_of("idle", 300, 0).await;
    assert!(takes("busy", 300).await);
    heard_of("idle", 400, 9).await;
    db.delete_worker(&by("idle")).await.unwrap();
    assert!(takes("busy", 400).await);
}

async fn a_lease_is_kept_only_by_who_has_it_and_tells_what_was_ordered(base: &TestDatabase) {
    let db = base.open().await;
    add(&db, 1, JobKind::Download).await;
    assert_eq!(
        db.renew_job(&job_id("job-0001"), &by("w"), 500, &some_progress()).await.unwrap(),
        None,
        "it was never claimed"
    );
    claim(&db, "w", 10).await.unwrap();
    assert_eq!(db.renew_job(&job_id("job-0001"), &by("other"), 500, &Progress::default()).await.unwrap(), None);
    let (renewed, wanted) = db.renew_job(&job_id("job-0001"), &by("w"), 500, &some_progress()).await.unwrap().unwrap();
    assert_eq!((renewed.progress, wanted), (some_progress(), None));
    assert_eq!(db.job(&job_id("job-0001")).await.unwrap().unwrap().progress, some_progress());
    // Renewed to 500: at 400 it is not taken away.
    assert!(db.reclaim_jobs(Gone::Silent, 400).await.unwrap().is_empty());
    for wish in [Order::Pause, Order::Cancel] {
        assert!(matches!(order(&db, "job-0001", wish, 20).await, Obeyed::Yes(job) if job.status == JobStatus::Running));
        let (_, wanted) = db.renew_job(&job_id("job-0001"), &by("w"), 600, &some_progress()).await.unwrap().unwrap();
        assert_eq!(wanted, Some(wish));
    }
}

async fn a_worker_that_lost_its_lease_changes_nothing(base: &TestDatabase) {
    let db = base.open().await;
    add(&db, 1, JobKind::Download).await;
    claim(&db, "old", 10).await.unwrap();
    assert_eq!(ids(&db.reclaim_jobs(Gone::Silent, 200).await.unwrap()), ["job-0001"]);
    let second = claim(&db, "new", 210).await.unwrap();
    assert_eq!((second.id.as_str(), second.attempts), ("job-0001", 2));
    assert_eq!(db.renew_job(&job_id("job-0001"), &by("old"), 900, &some_progress()).await.unwrap(), None);
    let work = Work::Download(work::Download { commit: "1".repeat(40), ..work::Download::default() });
    assert!(!db.put_job_work(&job_id("job-0001"), &by("old"), &work).await.unwrap());
    assert_eq!(db.settle_job(&job_id("job-0001"), &by("old"), &end(JobStatus::Failed), 220).await.unwrap(), None);
    assert_eq!(db.job(&job_id("job-0001")).await.unwrap(), Some(second));
    assert!(db.put_job_work(&job_id("job-0001"), &by("new"), &work).await.unwrap());
    let ended = db.settle_job(&job_id("job-0001"), &by("new"), &end(JobStatus::Completed), 230).await.unwrap().unwrap();
    assert_eq!((ended.work, ended.finished_at), (work, Some(230)));
    // Nor does the new one, a second time.
    assert_eq!(db.settle_job(&job_id("job-0001"), &by("new"), &end(JobStatus::Failed), 240).await.unwrap(), None);
}

async fn a_job_of_a_silent_worker_goes_back_and_takes_its_orders_along(base: &TestDatabase) {
    let db = base.open().await;
    for number in 1..=4 {
        add(&db, number, JobKind::Sync).await;
        claim(&db, "w", 10).await.unwrap();
    }
    order(&db, "job-0002", Order::Cancel, 20).await;
    order(&db, "job-0003", Order::Pause, 20).await;
    db.renew_job(&job_id("job-0004"), &by("w"), 500, &some_progress()).await.unwrap();
    let mut back = db.reclaim_jobs(Gone::Silent, 300).await.unwrap();
    back.sort_by(|a, b| a.id.cmp(&b.id));
    let states: Vec<_> = back.iter().map(|job| (job.id.as_str(), job.status, by_whom(job))).collect();
    use JobStatus::{Cancelled, Paused, Pending};
    assert_eq!(states, [("job-0001", Pending, ""), ("job-0002", Cancelled, ""), ("job-0003", Paused, "")]);
    assert_eq!(back[1].finished_at, Some(300));
    assert_eq!(back[2].waiting_for, "paused");
    assert!(db.reclaim_jobs(Gone::Silent, 300).await.unwrap().is_empty());
    assert_eq!(claim(&db, "x", 301).await.unwrap().id, "job-0001");
    assert_eq!(claim(&db, "x", 301).await, None);
}

async fn jobs_of_one_worker_or_of_all_go_back_before_their_leases_end(base: &TestDatabase) {
    let db = base.open().await;
    for number in 1..=4 {
        add(&db, number, JobKind::Sync).await;
    }
    for worker in ["one", "one", "two", "three"] {
        let job = claim(&db, worker, 10).await.unwrap();
        db.renew_job(&job.id, &by(worker), 1_000_000, &some_progress()).await.unwrap().unwrap();
    }
    let gone = async |whose: Gone<'_>| {
        let mut back: Vec<_> = db.reclaim_jobs(whose, 20).await.unwrap().into_iter().map(|job| job.id).collect();
        back.sort();
        back
    };
    assert!(gone(Gone::Silent).await.is_empty());
    assert!(gone(Gone::Worker(&by("nobody"))).await.is_empty());
    assert_eq!(gone(Gone::Worker(&by("one"))).await, ["job-0001", "job-0002"]);
    let back = db.job(&job_id("job-0001")).await.unwrap().unwrap();
    assert_eq!((back.status, by_whom(&back)), (JobStatus::Pending, ""));
    // It has come as far as it was, and is not faster than it stands.
    assert_eq!(back.progress, some_progress().at_rest());
    assert_eq!(gone(Gone::Everyone).await, ["job-0003", "job-0004"]);
    assert!(gone(Gone::Everyone).await.is_empty());
}
