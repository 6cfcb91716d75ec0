//! What lies in the object store, and who uploads what.

use modelhub::db::{LeftUpload, ObjectTotals};
use modelhub::domain::ContentId;

use crate::database::{TestDatabase, delete_blob, digest, oid, on_both, put_blob};

on_both!(
    an_object_is_what_an_upload_ended_with,
    one_process_uploads_a_content_until_it_says_nothing_more,
    what_is_not_there_is_listed_unless_somebody_uploads_it,
);

async fn an_object_is_what_an_upload_ended_with(base: &TestDatabase) {
    let db = base.open().await;
    put_blob(&db, digest(1), Some(oid(2)), 5, 10).await.unwrap();
    let (sha, git) = (ContentId::Sha256(digest(1)), ContentId::Git(oid(2)));
    assert!(!db.put_object(digest(1), None, 5, "me", 20).await.unwrap(), "nobody uploads it");
    for _ in 0..2 {
        db.take_upload(digest(1), "me", 50, 20).await.unwrap().unwrap();
        assert!(db.put_object(digest(1), None, 5, "me", 20).await.unwrap());
        assert!(!db.put_object(digest(1), None, 5, "me", 20).await.unwrap(), "the upload is over");
        assert_eq!(db.object(sha, 5).await.unwrap(), Some(digest(1)));
        assert_eq!(db.object(git, 5).await.unwrap(), Some(digest(1)), "the blob's other name is known");
        assert_eq!((db.object(sha, 6).await.unwrap(), db.object(git, 6).await.unwrap()), (None, None));
    }
    // It stays when the file leaves the disk.
    delete_blob(&db, digest(1)).await.unwrap();
    assert_eq!(db.object(git, 5).await.unwrap(), Some(digest(1)));
    put_blob(&db, digest(3), None, 7, 10).await.unwrap();
    let totals = ObjectTotals { objects: 1, bytes: 5, waiting: 1, waiting_bytes: 7 };
    assert_eq!(db.object_totals().await.unwrap(), totals);
    assert!(db.delete_object(digest(1)).await.unwrap());
    assert!(!db.delete_object(digest(1)).await.unwrap());
    assert_eq!(db.object(sha, 5).await.unwrap(), None);
}

async fn one_process_uploads_a_content_until_it_says_nothing_more(base: &TestDatabase) {
    let db = base.open().await;
    let left = |upload_id: Option<&str>| LeftUpload { digest: digest(1), upload_id: upload_id.map(str::to_owned) };
    assert_eq!(db.take_upload(digest(1), "one", 50, 20).await.unwrap(), Some(left(None)));
    assert!(db.keep_upload(digest(1), "one", Some("id"), 60).await.unwrap());
    assert!(db.keep_upload(digest(1), "one", None, 60).await.unwrap(), "its name stays");
    assert_eq!(db.take_upload(digest(1), "two", 99, 59).await.unwrap(), None);
    assert_eq!(db.left_uploads(59, 9).await.unwrap(), []);
    // The first says nothing for too long.
    assert_eq!(db.left_uploads(60, 9).await.unwrap(), [left(Some("id"))]);
    assert_eq!(db.take_upload(digest(1), "two", 99, 60).await.unwrap(), Some(left(Some("id"))));
    assert!(!db.keep_upload(digest(1), "one", None, 200).await.unwrap());
    assert!(!db.put_object(digest(1), None, 5, "one", 70).await.unwrap(), "a process that has lost it makes no object");
    db.end_upload(digest(1), "one").await.unwrap();
    db.leave_upload(digest(1), "one").await.unwrap();
    assert_eq!(db.take_upload(digest(1), "three", 99, 70).await.unwrap(), None, "nor does it end the other's");
    // Handed over at a stop, and by the death of the only process.
    for owner in [Some("two"), None] {
        db.leave_uploads(owner).await.unwrap();
        assert!(db.take_upload(digest(1), "two", 99, 70).await.unwrap().is_some());
    }
    db.end_upload(digest(1), "two").await.unwrap();
    assert_eq!(db.take_upload(digest(1), "three", 99, 70).await.unwrap(), Some(left(None)));
    db.forget_upload(digest(1), 98).await.unwrap();
    assert_eq!(db.take_upload(digest(1), "four", 99, 70).await.unwrap(), None);
    db.forget_upload(digest(1), 99).await.unwrap();
    assert!(db.take_upload(digest(1), "four", 99, 70).await.unwrap().is_some());
}

async fn what_is_not_there_is_listed_unless_somebody_uploads_it(base: &TestDatabase) {
    let db = base.open().await;
    for n in 1..=4 {
        put_blob(&db, digest(n), None, 5, 10).await.unwrap();
    }
    let listed = async |after, limit, now| {
        let rows = db.not_durable(after, limit, now).await.unwrap();
        rows.iter().map(|row| row.digest).collect::<Vec<_>>()
    };
    db.take_upload(digest(1), "me", 50, 20).await.unwrap().unwrap();
    db.put_object(digest(1), None, 5, "me", 20).await.unwrap();
    db.take_upload(digest(3), "me", 50, 20).await.unwrap().unwrap();
    assert_eq!(listed(None, 9, 49).await, [digest(2), digest(4)]);
    assert_eq!(listed(None, 1, 49).await, [digest(2)]);
    assert_eq!(listed(Some(digest(2)), 9, 50).await, [digest(3), digest(4)], "the upload was left");
    assert_eq!(db.objects(None, 9).await.unwrap(), [(digest(1), 5)]);
    assert_eq!(db.objects(Some(digest(1)), 9).await.unwrap(), []);
}
