//! What is told of changes: in their order, when they are there, to every process.

use std::sync::{Arc, Mutex};

use modelhub::db::{Change, Db, Feed};
use modelhub::domain::{ContentId, Visibility};

use crate::database::{TestDatabase, commit, delete_blob, digest, id, key, oid, on_both, put_blob, repo, xet};

on_both!(what_is_changed_is_told_when_it_is_there, what_stays_as_it_was_is_not_told);

/// What the listener of this handle is told.
fn heard(db: &Db) -> Arc<Mutex<Vec<Change>>> {
    let heard = Arc::<Mutex<Vec<Change>>>::default();
    let kept = Arc::clone(&heard);
    db.on_change(Box::new(move |changes| kept.lock().unwrap().extend_from_slice(changes)));
    heard
}

fn take(heard: &Mutex<Vec<Change>>) -> Vec<Change> {
    std::mem::take(&mut heard.lock().unwrap())
}

async fn what_is_changed_is_told_when_it_is_there(base: &TestDatabase) {
    let db = base.open().await;
    let heard = heard(&db);
    let row = repo(&db, "org/model").await;
    assert_eq!(take(&heard), []);

    let content = digest(1);
    let first = put_blob(&db, content, Some(oid(1)), 5, 1).await.unwrap();
    assert_eq!(take(&heard), [], "nobody can know of a blob that was not there");
    let second = put_blob(&db, content, None, 5, 2).await.unwrap();
    assert!(second.generation > first.generation);
    let gone = |generation| Change::Blob { digest: content, git: Some(oid(1)), generation };
    assert_eq!(take(&heard), [gone(first.generation)]);
    // Who speaks of the file before says nothing about this one.
    assert!(!db.delete_blob(&first).await.unwrap());
    assert_eq!(take(&heard), []);
    assert!(db.delete_blob(&second).await.unwrap());
    assert_eq!(take(&heard), [gone(second.generation)]);
    assert!(!delete_blob(&db, content).await.unwrap());
    let third = put_blob(&db, content, None, 5, 3).await.unwrap();
    assert!(third.generation > second.generation, "a generation never comes again");
    assert_eq!(take(&heard), []);

    db.put_repo(&key("org/model"), Visibility::Private, &id("new"), 2).await.unwrap();
    db.put_revision(&row.id, Some("main"), &commit('1'), None, 2).await.unwrap();
    db.put_revision(&row.id, Some("main"), &commit('2'), None, 3).await.unwrap();
    db.put_taint(ContentId::Sha256(content), 9).await.unwrap();
    db.put_settings(&[]).await.unwrap();
    db.put_xet_hash(content, xet(5)).await.unwrap();
    db.put_alias(&key("org/old"), &key("org/model").id, 1).await.unwrap();
    db.delete_model(&row.id).await.unwrap();
    let main = || Change::Revision { repo: row.id.clone(), name: "main".into() };
    let told = [
        Change::Repo(key("org/model")),
        main(),
        main(),
        Change::Taint { content: ContentId::Sha256(content), until: 9 },
        Change::Settings,
        Change::XetHash(content),
        Change::Repo(key("org/old")),
        Change::Repo(key("org/model")),
        Change::Repo(key("org/model")),
    ];
    assert_eq!(take(&heard), told);
}

async fn what_stays_as_it_was_is_not_told(base: &TestDatabase) {
    let db = base.open().await;
    let row = repo(&db, "org/model").await;
    db.put_revision(&row.id, Some("main"), &commit('1'), None, 2).await.unwrap();
    let heard = heard(&db);
    db.put_repo(&key("org/model"), row.visibility, &id("new"), 5).await.unwrap();
    db.put_revision(&row.id, Some("main"), &commit('1'), None, 6).await.unwrap();
    db.put_revision(&row.id, None, &commit('3'), None, 6).await.unwrap();
    assert_eq!(take(&heard), []);
}

/// Reads until `count` changes have come.
async fn read(feed: &mut Feed, count: usize) -> Vec<Change> {
    let mut changes = Vec::new();
    while changes.len() < count {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), feed.next());
        changes.extend(next.await.unwrap_or_else(|_| panic!("only {} of {count} came", changes.len())).unwrap());
    }
    changes
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_tells_every_process_in_the_order_of_the_commits() {
    let base = TestDatabase::postgres().await;
    let (here, there) = (base.open().await, base.open().await);
    here.put_settings(&[]).await.unwrap();
    let mut feed = there.changes().await.unwrap().unwrap();
    // Many at once: a number that was taken earlier and comes to light later would be missed.
    let mut writing = tokio::task::JoinSet::new();
    for byte in 0..40 {
        let db = here.clone();
        writing.spawn(async move { db.put_taint(ContentId::Sha256(digest(byte)), i64::from(byte)).await.unwrap() });
    }
    let reading = tokio::spawn(async move {
        let changes = read(&mut feed, 40).await;
        (feed, changes)
    });
    writing.join_all().await;
    let (mut feed, mut changes) = reading.await.unwrap();
    changes.sort_by_key(|change| match change {
        Change::Taint { until, .. } => *until,
        other => panic!("{other:?}"),
    });
    assert_eq!(changes.len(), 40);
    for (byte, change) in (0..40).zip(&changes) {
        let content = ContentId::Sha256(digest(byte));
        assert_eq!(*change, Change::Taint { content, until: i64::from(byte) });
    }
    // The second time; of its own changes a process was told before.
    there.put_xet_hash(digest(1), xet(5)).await.unwrap();
    here.put_settings(&[]).await.unwrap();
    assert_eq!(read(&mut feed, 1).await, [Change::Settings]);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_tells_who_is_too_far_behind_to_drop_everything() {
    let base = TestDatabase::postgres().await;
    let (db, reader) = (base.open().await, base.open().await);
    db.put_settings(&[]).await.unwrap();
    let mut feed = reader.changes().await.unwrap().unwrap();
    db.put_settings(&[]).await.unwrap();
    db.put_settings(&[]).await.unwrap();
    let pool = db.postgres().unwrap();
    sqlx::raw_sql("delete from invalidation where seq < (select max(seq) from invalidation)")
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(read(&mut feed, 2).await, [Change::Everything, Change::Settings]);
    db.prune_changes().await.unwrap();
    db.put_settings(&[]).await.unwrap();
    assert_eq!(read(&mut feed, 1).await, [Change::Settings]);
}

#[tokio::test]
async fn sqlite_has_no_other_processes() {
    assert!(TestDatabase::sqlite().open().await.changes().await.unwrap().is_none());
}
