//! Blobs, their uses and totals, and tainted contents.

use modelhub::db::{BlobRow, NewBlob, StoreTotals};
use modelhub::domain::ContentId;

use crate::database::{
    TestDatabase, delete_blob, digest, lfs, oid, on_both, path, put_blob, repo_with_commit, xet, xet_hash_of,
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
fn served(size: u64, is_linked: bool) -> BlobRow {
    BlobRow { digest: digest(1), size, generation: 1, modified_ns: Some(7), is_linked }
}

async fn a_blob_is_found_by_either_hash_and_its_size(base: &TestDatabase) {
    let db = base.open().await;
    let row = Some(served(5, false));
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
    assert_eq!(db.blob(git(), 5).await.unwrap(), Some(BlobRow { generation: 3, ..served(5, false) }));
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
    db.touch_blobs(&[]).await.unwrap();
    db.touch_blobs(&[(digest(1), 20), (digest(2), 20), (digest(9), 20), (digest(1), 19)]).await.unwrap();
    db.touch_blobs(&[(digest(2), 5), (digest(3), 5)]).await.unwrap();
    let used = base.texts("select cast(last_used_at as text) from blob order by sha256").await;
    assert_eq!(used, ["20", "20", "10"]);
    // In the moment that it came, which is when a client got it that waited for it.
    for _ in 0..2 {
        db.touch_blobs(&[(digest(3), 10)]).await.unwrap();
        let used = base.texts("select cast(last_used_at as text) from blob order by sha256").await;
        assert_eq!(used, ["20", "20", "11"]);
    }
}

async fn a_xet_hash_reaches_every_artifact_of_the_content(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    db.put_entries(&row, &commit, &[lfs("a", 1), lfs("b", 1), lfs("c", 2)]).await.unwrap();
    put_blob(&db, digest(1), None, 1 << 40, 1).await.unwrap();
    db.put_xet_hash(digest(1), xet(5)).await.unwrap();
    for (name, hash) in [("a", Some(xet(5))), ("b", Some(xet(5))), ("c", None)] {
        let entry = db.entry(&row, &commit, &path(name)).await.unwrap().unwrap();
        assert_eq!(xet_hash_of(&entry), hash, "{name}");
    }
    // A blob that is published again keeps it.
    put_blob(&db, digest(1), None, 1 << 40, 2).await.unwrap();
    assert_eq!(base.texts("select xet_hash from blob").await, [xet(5).to_string()]);
}

async fn a_blob_knows_whether_it_is_a_link(base: &TestDatabase) {
    let db = base.open().await;
    let blob = NewBlob { digest: digest(1), git: None, size: 1, modified_ns: 7, is_linked: true, xet_hash: None };
    db.put_blob(&blob, 1).await.unwrap();
    assert_eq!(db.blob(sha(), 1).await.unwrap(), Some(served(1, true)));
    // Published again it is the store's alone.
    put_blob(&db, digest(1), None, 1, 2).await.unwrap();
    assert_eq!(db.blob(sha(), 1).await.unwrap(), Some(BlobRow { generation: 2, ..served(1, false) }));
    // What was proven of the file before says nothing about this one.
    db.put_modified(&served(1, true), 8).await.unwrap();
    assert_eq!(db.blob(sha(), 1).await.unwrap().unwrap().modified_ns, Some(7));
    db.put_modified(&BlobRow { generation: 2, ..served(1, false) }, 9).await.unwrap();
    assert_eq!(db.blob(sha(), 1).await.unwrap().unwrap().modified_ns, Some(9));
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
