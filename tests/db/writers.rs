//! Many who write the same rows at once, over several connections, as several requests do.

use std::sync::Arc;
use std::time::Duration;

use modelhub::db::{Grant, RememberedAnswer};
use modelhub::domain::job::NewJob;
use modelhub::domain::{Entry, JobId, Visibility, Work, work};
use tokio::task::JoinSet;

use crate::database::{
    TestDatabase, commit, delete_blob, digest, file, id, key, lfs, oid, on_both, path, put_blob, repo_with_commit, xet,
    xet_hash_of,
};

on_both!(
    a_repository_seen_by_many_at_once_is_one,
    pages_of_one_tree_in_any_order_do_not_block_each_other,
    a_file_listed_while_its_content_is_published_has_the_xet_hash,
    uses_recorded_in_any_order_do_not_block_each_other,
    everything_at_once,
    who_gives_up_in_the_middle_takes_along_nothing_of_others,
    a_transaction_that_the_database_ends_by_itself_is_the_only_one,
);

async fn a_repository_seen_by_many_at_once_is_one(base: &TestDatabase) {
    let db = base.open().await;
    let mut seeing = JoinSet::new();
    for n in 0..32 {
        let db = db.clone();
        seeing.spawn(async move {
            let row = db.put_repo(&key("org/model"), Visibility::Public, &id(&format!("id-{n}")), n).await.unwrap();
            db.put_revision(&row.id, Some("main"), &commit('1'), None, n).await.unwrap();
            row.id
        });
    }
    let ids = seeing.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(db.revisions(&ids[0]).await.unwrap().len(), 1);
}

async fn pages_of_one_tree_in_any_order_do_not_block_each_other(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    let forwards: Arc<Vec<Entry>> = Arc::new((0..2000).map(|n| file(&format!("{n:04}"))).collect());
    let backwards: Arc<Vec<Entry>> = Arc::new(forwards.iter().rev().cloned().collect());
    let mut writing = JoinSet::new();
    for n in 0..12 {
        let (db, row, commit) = (db.clone(), row.clone(), commit.clone());
        let page = Arc::clone(if n % 2 == 0 { &forwards } else { &backwards });
        writing.spawn(async move { db.put_entries(&row, &commit, &page).await });
    }
    for outcome in writing.join_all().await {
        outcome.unwrap();
    }
}

async fn a_file_listed_while_its_content_is_published_has_the_xet_hash(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    // Enough other entries that the listing takes as long as the publishing.
    let others: Vec<Entry> = (0..300).map(|n| file(&format!("other {n}"))).collect();
    for content in 0..100 {
        let name = format!("model-{content}.bin");
        let mut entries = others.clone();
        entries.push(lfs(&name, content));
        let publish = async {
            put_blob(&db, digest(content), None, 1 << 40, 1).await.unwrap();
            db.put_xet_hash(digest(content), xet(5)).await.unwrap();
        };
        let (listed, ()) = tokio::join!(db.put_entries(&row, &commit, &entries), publish);
        listed.unwrap();
        let entry = db.entry(&row, &commit, &path(&name)).await.unwrap().unwrap();
        assert_eq!(xet_hash_of(&entry), Some(xet(5)), "{name}");
    }
}

async fn uses_recorded_in_any_order_do_not_block_each_other(base: &TestDatabase) {
    let db = base.open().await;
    for byte in 0..100 {
        put_blob(&db, digest(byte), None, 1, 1).await.unwrap();
    }
    let mut recording = JoinSet::new();
    for n in 0..12 {
        let db = db.clone();
        recording.spawn(async move {
            let mut uses: Vec<_> = (0..100).map(|byte| (digest(byte), 10 + n)).collect();
            if n % 2 == 0 {
                uses.reverse();
            }
            db.touch_blobs(&uses).await
        });
    }
    for outcome in recording.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(base.texts("select distinct cast(last_used_at as text) from blob").await, ["21"]);
}

async fn everything_at_once(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    let mut working = JoinSet::new();
    for n in 0..24_u8 {
        let (db, row, commit) = (db.clone(), row.clone(), commit.clone());
        working.spawn(async move {
            for round in 0..10 {
                let content = digest((n + round) % 6);
                let entries: Vec<Entry> = (0..6).map(|c| lfs(&format!("{}", (c + n) % 6), (c + n) % 6)).collect();
                db.put_repo(&key("org/model"), Visibility::Public, &id("another"), 1).await?;
                db.put_revision(&row, Some(&format!("branch {}", n % 3)), &commit, Some("{}"), 1).await?;
                db.put_entries(&row, &commit, &entries).await?;
                put_blob(&db, content, Some(oid(1)), 1 << 40, 1).await?;
                db.put_xet_hash(content, xet(5)).await?;
                db.touch_blobs(&[(digest(round % 6), i64::from(n)), (digest(n % 6), i64::from(n))]).await?;
                db.put_missing(&row, &commit, &path("gone"), 1).await?;
                db.complete_tree(&row, &commit).await?;
                db.put_grant(&row, "token", Grant { allowed: n % 2 == 0, checked_at: 1 }).await?;
                let (content_type, body) = ("text/plain".to_owned(), vec![n; 1000]);
                db.put_answer("/api", RememberedAnswer { content_type, link: None, body, stored_at: 1 }).await?;
                if round == 5 {
                    delete_blob(&db, content).await?;
                    db.prune_answers().await?;
                }
                db.store_totals().await?;
            }
            Ok::<_, modelhub::db::Error>(())
        });
    }
    for outcome in working.join_all().await {
        outcome.unwrap();
    }
}

/// A request whose client leaves is dropped wherever it is, also between a transaction's beginning and its first
/// statement. What others write over the same connection afterwards is there for everybody.
async fn who_gives_up_in_the_middle_takes_along_nothing_of_others(base: &TestDatabase) {
    let (db, other) = (base.open().await, base.open().await);
    for n in 0..200 {
        let row = format!("row {n}");
        let model = key(&format!("org/m{n}"));
        let job =
            NewJob { work: Work::Sync(work::Sync::default()), repo: None, repo_name: model.to_string(), priority: 50 };
        let patience = Duration::from_micros(n * 10);
        let _ = tokio::time::timeout(patience, db.enqueue(&job, &JobId::new(row), 5, 1)).await;
        db.put_settings(&[("test.round".to_owned(), n.to_string())]).await.unwrap();
        let seen = other.settings("test.").await.unwrap();
        assert_eq!(seen, [("round".to_owned(), n.to_string())], "after a wait of {patience:?}");
    }
}

/// As a full disk or a failing one makes SQLite do in the middle, and PostgreSQL at the commit.
async fn a_transaction_that_the_database_ends_by_itself_is_the_only_one(base: &TestDatabase) {
    let db = base.open().await;
    base.execute(if base.is_postgres() {
        "create function refuse() returns trigger language plpgsql as $$ begin raise disk_full; end $$;
        create constraint trigger refuse after insert on model_repo deferrable initially deferred
        for each row execute function refuse()"
    } else {
        "create trigger refuse before insert on model_repo begin select raise(rollback, 'no'); end"
    })
    .await;
    let job =
        |n| NewJob { work: Work::Sync(work::Sync::default()), repo: None, repo_name: format!("{n}"), priority: 50 };
    for n in 0..20 {
        db.put_repo(&key("org/model"), Visibility::Public, &id("id"), 1).await.unwrap_err();
        db.enqueue(&job(n), &JobId::new(format!("job {n}")), 5, 1).await.unwrap();
    }
    base.execute(if base.is_postgres() { "drop trigger refuse on model_repo" } else { "drop trigger refuse" }).await;
    db.put_repo(&key("org/model"), Visibility::Public, &id("id"), 1).await.unwrap();
    assert_eq!(base.texts("select id from job").await.len(), 20);
}
