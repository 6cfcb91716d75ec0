//! What an installation keeps of its own life: workers, activities, sums, changed settings.

use modelhub::db::WorkerRow;
use modelhub::domain::{Activity, JobId, WorkerId};

use crate::database::{TestDatabase, on_both};

on_both!(
    a_worker_is_known_from_its_first_word_until_it_is_silent_or_leaves,
    activities_come_newest_first_and_are_forgotten_in_time,
    sums_grow_whoever_adds_to_them,
    changed_settings_are_found_by_their_prefix,
);

fn worker(id: &str, seen_at: i64) -> WorkerRow {
    let (address, hostname) = (String::new(), "höst".into());
    WorkerRow { id: WorkerId::new(id), address, hostname, started_at: 1, seen_at, running: 2, max_downloads: 3 }
}

async fn a_worker_is_known_from_its_first_word_until_it_is_silent_or_leaves(base: &TestDatabase) {
    let db = base.open().await;
    assert!(db.workers(0).await.unwrap().is_empty());
    db.put_worker(&worker("b", 10)).await.unwrap();
    db.put_worker(&worker("a", 10)).await.unwrap();
    let busy = WorkerRow { address: "http://x".into(), seen_at: 30, running: 5, max_downloads: 0, ..worker("b", 0) };
    db.put_worker(&busy).await.unwrap();
    assert_eq!(db.workers(5).await.unwrap(), [worker("a", 10), busy.clone()]);
    // Silent since before 20: forgotten.
    assert_eq!(db.workers(20).await.unwrap(), [busy]);
    assert_eq!(db.workers(0).await.unwrap().len(), 1);
    db.delete_worker(&WorkerId::new("b")).await.unwrap();
    db.delete_worker(&WorkerId::new("b")).await.unwrap();
    assert!(db.workers(0).await.unwrap().is_empty());
}

fn activity(at: i64, text: &str) -> Activity {
    Activity {
        at,
        kind: "job.completed".into(),
        text: text.into(),
        repo_name: "org/é".into(),
        job: Some(JobId::new("j")),
    }
}

async fn activities_come_newest_first_and_are_forgotten_in_time(base: &TestDatabase) {
    let db = base.open().await;
    for n in 0..5 {
        db.put_activity(&format!("id-{n}"), &activity(n, &format!("n\0umber {n}"))).await.unwrap();
    }
    let without = Activity { job: None, ..activity(9, &"é".repeat(2000)) };
    db.put_activity("id-9", &without).await.unwrap();
    let found = db.activities(3).await.unwrap();
    assert_eq!((found[0].job.as_ref(), found[0].text.chars().count()), (None, 1000));
    assert_eq!(found[1..], [activity(4, "number 4"), activity(3, "number 3")]);
    assert_eq!(db.prune_activities(3).await.unwrap(), 3);
    assert_eq!(db.activities(100).await.unwrap().len(), 3);
}

async fn sums_grow_whoever_adds_to_them(base: &TestDatabase) {
    let db = base.open().await;
    assert!(db.counters().await.unwrap().is_empty());
    let mut adding = tokio::task::JoinSet::new();
    for n in 1..=20 {
        let db = db.clone();
        adding.spawn(async move {
            db.add_to_counter("bytes", n << 40).await.unwrap();
            db.add_to_counter("hits", 1).await.unwrap();
        });
    }
    adding.join_all().await;
    let mut counters = db.counters().await.unwrap();
    counters.sort_unstable();
    assert_eq!(counters, [("bytes".to_owned(), 210 << 40), ("hits".to_owned(), 20)]);
}

async fn changed_settings_are_found_by_their_prefix(base: &TestDatabase) {
    let db = base.open().await;
    db.setting_or("live", || "not ours".into()).await.unwrap();
    for (name, value) in [("live.offline", "true"), ("live.hours", ""), ("alive.x", "y"), ("live.offline", "false")] {
        db.put_settings(&[(name.to_owned(), value.to_owned())]).await.unwrap();
    }
    let found = db.settings("live.").await.unwrap();
    let right = [("hours", ""), ("offline", "false")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(found, right);
    db.close().await;
    assert_eq!(base.open().await.settings("live.").await.unwrap(), right);
}
