//! Blobs, their uses and totals, and tainted contents.

use modelhub::db::{BlobRow, NewBlob, StoreTotals};
use modelhub::domain::ContentId;

use crate::database::{
    TestDatabase, delete_blob, digest, lfs, oid, on_both, path, put_blob, repo_with_commit, xet_hash_of,
};

on_both!(
    a_blob_is_found_by_either_hash_and_its_size,
    a_blob_published_again_keeps_its_git_id,
    totals_count_more_than_any_disk_holds,
    a_use_is_recorded_and_never_earlier,
    a_xet_hash_reaches_every_artifact_of_the_content,
    a_blob_knows_whether_it_is_a_link,
    a_taint_lasts_until_its_time,
);

fn sha() -> ContentId {
    ContentId::Sha256(digest(1))
}

fn git() -> ContentId {
    ContentId::Git(oid(2))
}

/// The first file that got a name.
fn served(size: u64, linked_ns: Option<i64>) -> BlobRow {
    BlobRow { digest: digest(1), size, generation: 1, linked_ns }
}

async fn a_blob_is_found_by_either_hash_and_its_size(base: &TestDatabase) {
    let db = base.open().await;
    let row = Some(served(5, None));
    assert_eq!(db.blob(sha(), 5).await.unwrap(), None);
    put_blob(&db, digest(1), Some(oid(2)), 5, 10).await.unwrap();
    assert_eq!(db.blob(sha(), 5).await.unwrap(), row);
    assert_eq!(db.blob(git(), 5).await.unwrap(), row);
    assert_eq!(db.blob(sha(), 6).await.unwrap(), None);
    assert_eq!(db.blob(git(), 6).await.unwrap(), None);
    delete_blob(&db, digest(1)).await.unwrap();
    delete_blob(&db, digest(1)).await.unwrap();
    assert_eq!(db.blob(sha(), 5).await.unwrap(), None);
}

async fn a_blob_published_again_keeps_its_git_id(base: &TestDatabase) {
    let db = base.open().await;
    put_blob(&db, digest(1), None, 5, 10).await.unwrap();
    assert_eq!(db.blob(git(), 5).await.unwrap(), None);
    put_blob(&db, digest(1), Some(oid(2)), 5, 20).await.unwrap();
    put_blob(&db, digest(1), None, 5, 30).await.unwrap();
    assert_eq!(db.blob(git(), 5).await.unwrap(), Some(BlobRow { generation: 3, ..served(5, None) }));
    let times = "select cast(created_at as text) || ' ' || cast(verified_at as text) from blob";
    assert_eq!(base.texts(times).await, ["10 30"]);
}

async fn totals_count_more_than_any_disk_holds(base: &TestDatabase) {
    let db = base.open().await;
    assert_eq!(db.store_totals().await.unwrap(), StoreTotals::default());
    for byte in 1..=4 {
        put_blob(&db, digest(byte), None, 1 << 60, 1).await.unwrap();
    }
    assert_eq!(db.store_totals().await.unwrap(), StoreTotals { blobs: 4, bytes: 1 << 62 });
}

async fn a_use_is_recorded_and_never_earlier(base: &TestDatabase) {
    let db = base.open().await;
    for byte in 1..=3 {
        put_blob(&db, digest(byte), None, 1, 10).await.unwrap();
    }
    db.touch_blobs(&[], 15).await.unwrap();
    db.touch_blobs(&[digest(1), digest(2), digest(9), digest(1)], 20).await.unwrap();
    db.touch_blobs(&[digest(2), digest(3)], 5).await.unwrap();
    let used = base.texts("select cast(last_used_at as text) from blob order by sha256").await;
    assert_eq!(used, ["20", "20", "10"]);
}

async fn a_xet_hash_reaches_every_artifact_of_the_content(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    db.put_entries(&row, &commit, &[lfs("a", 1), lfs("b", 1), lfs("c", 2)]).await.unwrap();
    put_blob(&db, digest(1), None, 1 << 40, 1).await.unwrap();
    db.put_xet_hash(digest(1), "xet").await.unwrap();
    for (name, hash) in [("a", Some("xet")), ("b", Some("xet")), ("c", None)] {
        let entry = db.entry(&row, &commit, &path(name)).await.unwrap().unwrap();
        assert_eq!(xet_hash_of(&entry), hash, "{name}");
    }
    // A blob that is published again keeps it.
    put_blob(&db, digest(1), None, 1 << 40, 2).await.unwrap();
    assert_eq!(base.texts("select xet_hash from blob").await, ["xet"]);
}

async fn a_blob_knows_whether_it_is_a_link(base: &TestDatabase) {
    let db = base.open().await;
    let blob = NewBlob { digest: digest(1), git: None, size: 1, linked_ns: Some(7), xet_hash: None };
    db.put_blob(&blob, 1).await.unwrap();
    assert_eq!(db.blob(sha(), 1).await.unwrap(), Some(served(1, Some(7))));
    // Published again it is the store's alone.
    put_blob(&db, digest(1), None, 1, 2).await.unwrap();
    assert_eq!(db.blob(sha(), 1).await.unwrap(), Some(BlobRow { generation: 2, ..served(1, None) }));
}

async fn a_taint_lasts_until_its_time(base: &TestDatabase) {
    let db = base.open().await;
    db.put_taint(sha(), 10).await.unwrap();
    db.put_taint(git(), 20).await.unwrap();
    assert_eq!(db.taints(9).await.unwrap().len(), 2);
    assert_eq!(db.taints(10).await.unwrap(), [(git(), 20)]);
    db.put_taint(git(), 30).await.unwrap();
    assert_eq!(db.taints(20).await.unwrap(), [(git(), 30)]);
    assert!(db.taints(i64::MAX).await.unwrap().is_empty());
}
