//! How jobs end, and what people order meanwhile.

use modelhub::db::{Gone, Obeyed, Settled};
use modelhub::domain::Work;
use modelhub::domain::job::{ChangeKind, Changes, JobKind, JobStatus, Order};

use super::{add, add_with, bring_to, by, claim, end, job, job_id, order, some_progress, status};
use crate::database::{TestDatabase, on_both};

on_both!(
    how_a_job_ended_is_kept,
    each_change_of_a_job_makes_it_newer,
    orders_do_what_each_status_allows,
    a_pause_that_was_taken_back_is_not_obeyed,
    a_cancellation_is_not_undone_by_a_later_order_or_by_a_failure,
    a_retry_gives_way_to_the_same_work_under_way,
    a_failed_job_is_dismissed_once_and_a_retry_takes_that_back,
);

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
        let job = db.settle_job(&id, &by("w"), &settled, 99).await.unwrap().unwrap();
        assert_eq!((job.status, job.error.as_str(), job.outcome.as_str()), (status, "wéll", "done"));
        assert_eq!(
            (job.changes, job.progress, job.finished_at),
            (settled.changes, settled.progress.at_rest(), Some(99))
        );
        assert_eq!(job.attempts, 1);
        assert_eq!(claim(&db, "w", i64::MAX - 1000).await, None, "what has ended is not run again");
    }
    // What was interrupted is not counted as a try, and is no end.
    add(&db, 4, JobKind::Sync).await;
    claim(&db, "w", 10).await.unwrap();
    let interrupted = Settled { keep_attempt: true, ..end(JobStatus::Pending) };
    let job = db.settle_job(&job_id("job-0004"), &by("w"), &interrupted, 99).await.unwrap().unwrap();
    assert_eq!((job.attempts, job.finished_at), (0, None));
}

async fn each_change_of_a_job_makes_it_newer(base: &TestDatabase) {
    let db = base.open().await;
    add(&db, 1, JobKind::Download).await;
    let mut versions = Vec::new();
    let mut note = async || versions.push(db.job(&job_id("job-0001")).await.unwrap().unwrap().version);
    note().await;
    db.put_waiting_for(JobKind::Download, "its hours", 10).await.unwrap();
    note().await;
    for wish in [Order::Pause, Order::Resume, Order::Cancel, Order::Retry] {
        order(&db, "job-0001", wish, 10).await;
        note().await;
    }
    claim(&db, "w", 10).await.unwrap();
    note().await;
    assert!(db.put_job_work(&job_id("job-0001"), &by("w"), &Work::read(JobKind::Download, "{}")).await.unwrap());
    note().await;
    db.renew_job(&job_id("job-0001"), &by("w"), 50, &some_progress()).await.unwrap().unwrap();
    note().await;
    order(&db, "job-0001", Order::Pause, 10).await;
    note().await;
    assert_eq!(db.reclaim_jobs(Gone::Silent, 1_000).await.unwrap().len(), 1);
    note().await;
    order(&db, "job-0001", Order::Resume, 10).await;
    note().await;
    claim(&db, "w", 10).await.unwrap();
    note().await;
    db.settle_job(&job_id("job-0001"), &by("w"), &end(JobStatus::Completed), 20).await.unwrap().unwrap();
    note().await;
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

async fn orders_do_what_each_status_allows(base: &TestDatabase) {
    use JobStatus::{Cancelled, Completed, Failed, Paused, Pending, Running};
    let db = base.open().await;
    let expected = |wish, status| match (wish, status) {
        (Order::Cancel, Pending | Paused | Cancelled) => Some(Cancelled),
        (Order::Pause, Pending | Paused) => Some(Paused),
        (Order::Resume, Paused | Pending) => Some(Pending),
        (Order::Retry, Failed | Cancelled) => Some(Pending),
        (Order::Dismiss, Failed) => Some(Failed),
        // The worker obeys later.
        (Order::Cancel | Order::Pause | Order::Resume, Running) => Some(Running),
        _ => None,
    };
    let mut number = 0;
    for before in [Pending, Running, Paused, Completed, Failed, Cancelled] {
        for wish in Order::ALL {
            number += 1;
            let id = bring_to(&db, number, before).await;
            match (order(&db, id.as_str(), *wish, 30_000).await, expected(*wish, before)) {
                (Obeyed::Yes(job), Some(after)) => {
                    assert_eq!(job.status, after, "{wish:?} of a job that is {before:?}");
                    assert_eq!(job.finished_at.is_some(), after.is_final(), "{wish:?} {before:?}");
                    if before != after && after == Pending {
                        assert_eq!((job.run_at, job.waiting_for.as_str()), (30_000, ""));
                    }
                    if *wish == Order::Retry {
                        assert_eq!(job.attempts, 0, "a person gives it all its tries again");
                    }
                }
                (Obeyed::Already(job), Some(after)) => assert_eq!((before, job.status), (after, after), "{wish:?}"),
                (Obeyed::No(job), None) => assert_eq!(job.status, before, "{wish:?} of a job that is {before:?}"),
                (found, _) => panic!("{wish:?} of a job that is {before:?}: {found:?}"),
            }
            // Nothing waits for the next round.
            order(&db, id.as_str(), Order::Cancel, 30_000).await;
            while claim(&db, "w", 40_000).await.is_some() {}
        }
    }
    assert!(matches!(order(&db, "none", Order::Cancel, 1).await, Obeyed::NotFound));
}

async fn a_pause_that_was_taken_back_is_not_obeyed(base: &TestDatabase) {
    let db = base.open().await;
    let id = bring_to(&db, 1, JobStatus::Running).await;
    order(&db, id.as_str(), Order::Pause, 10).await;
    // The worker has begun to put things down when the person thinks again.
    assert!(matches!(order(&db, id.as_str(), Order::Resume, 11).await, Obeyed::Yes(_)));
    let paused = Settled { waiting_for: "paused".into(), keep_attempt: true, ..end(JobStatus::Paused) };
    let job = db.settle_job(&id, &by("w"), &paused, 20).await.unwrap().unwrap();
    assert_eq!((job.status, job.waiting_for.as_str()), (JobStatus::Pending, ""), "the resumption was acknowledged");
}

async fn a_cancellation_is_not_undone_by_a_later_order_or_by_a_failure(base: &TestDatabase) {
    let db = base.open().await;
    for (number, later) in [(1, Some(Order::Pause)), (2, Some(Order::Resume)), (3, None)] {
        let id = bring_to(&db, number, JobStatus::Running).await;
        order(&db, id.as_str(), Order::Cancel, 10).await;
        if let Some(later) = later {
            order(&db, id.as_str(), later, 11).await;
        }
        // It failed for another reason just then, and would be tried again.
        let again = Settled { run_at: 5000, waiting_for: "the next try".into(), ..end(JobStatus::Pending) };
        let job = db.settle_job(&id, &by("w"), &again, 20).await.unwrap().unwrap();
        assert_eq!((job.status, job.finished_at), (JobStatus::Cancelled, Some(20)), "then {later:?}");
    }
}

async fn a_retry_gives_way_to_the_same_work_under_way(base: &TestDatabase) {
    let db = base.open().await;
    let wish = job(JobKind::Sync, "models/org/model");
    add_with(&db, 1, wish.clone()).await;
    claim(&db, "w", 10).await.unwrap();
    db.settle_job(&job_id("job-0001"), &by("w"), &end(JobStatus::Failed), 20).await.unwrap().unwrap();
    add_with(&db, 2, wish).await;
    assert!(matches!(order(&db, "job-0001", Order::Retry, 30).await, Obeyed::Duplicate(job) if job.id == "job-0002"));
    assert_eq!(status(&db, "job-0001").await, JobStatus::Failed);
    order(&db, "job-0002", Order::Cancel, 40).await;
    assert!(matches!(order(&db, "job-0001", Order::Retry, 50).await, Obeyed::Yes(_)));
}

async fn a_failed_job_is_dismissed_once_and_a_retry_takes_that_back(base: &TestDatabase) {
    use JobStatus::{Cancelled, Completed, Failed, Paused, Pending};
    let db = base.open().await;
    for (number, status) in [Failed, Failed, Completed, Cancelled, Paused, Pending].into_iter().enumerate() {
        bring_to(&db, number as u64, status).await;
    }
    let failed = async || {
        let counts = db.job_counts().await.unwrap();
        counts.into_iter().find(|(status, _)| *status == Failed).map_or(0, |(_, count)| count)
    };
    let (first, second) = (job_id("job-0000"), job_id("job-0001"));
    assert_eq!(failed().await, 2);
    let Obeyed::Yes(once) = db.order_job(&first, Order::Dismiss, 70).await.unwrap() else { panic!("it failed") };
    assert_eq!((once.status, once.dismissed_at), (Failed, Some(70)));
    // Again it stays as it is, time and version too.
    let Obeyed::Already(twice) = db.order_job(&first, Order::Dismiss, 80).await.unwrap() else { panic!("it was") };
    assert_eq!((twice, failed().await), (once, 1));
    // Only what failed is dismissed.
    for number in 2..=5 {
        let id = job_id(&format!("job-{number:04}"));
        assert!(matches!(db.order_job(&id, Order::Dismiss, 90).await.unwrap(), Obeyed::No(_)), "{id}");
    }
    let rest = db.dismiss_failed_jobs(10, 95).await.unwrap();
    assert_eq!(rest.iter().map(|job| (&job.id, job.dismissed_at)).collect::<Vec<_>>(), [(&second, Some(95))]);
    assert!(db.dismiss_failed_jobs(10, 99).await.unwrap().is_empty());
    assert_eq!(failed().await, 0);
    let Obeyed::Yes(again) = db.order_job(&second, Order::Retry, 100).await.unwrap() else { panic!("it failed") };
    assert_eq!((again.status, again.dismissed_at), (Pending, None));
    assert_eq!(db.job(&first).await.unwrap().unwrap().dismissed_at, Some(70));
}
