//! The scrub: whose turn it is, who does it, and how far it is.

use modelhub::db::{BlobRow, Db, ScrubMark, SizesLook, Verified};
use modelhub::domain::{ContentId, Digest, Millis, WorkerId};

use crate::database::{TestDatabase, delete_blob, digest, on_both, put_blob};

on_both!(
    one_process_scrubs_until_it_says_nothing_any_more,
    what_was_verified_longest_ago_has_its_turn_first,
    how_far_a_file_was_read_is_known_until_it_was_verified_or_replaced,
    the_look_at_sizes_goes_on_where_it_was,
    what_was_verified_lately_is_counted,
);

async fn row(db: &Db, byte: u8) -> BlobRow {
    db.blob(ContentId::Sha256(digest(byte)), 10).await.unwrap().unwrap()
}

async fn one_process_scrubs_until_it_says_nothing_any_more(base: &TestDatabase) {
    let db = base.open().await;
    let [one, two] = ["box-1", "box-2"].map(WorkerId::new);
    assert!(db.lease_scrub(&one, 30, 1).await.unwrap());
    assert!(!db.lease_scrub(&two, 40, 29).await.unwrap());
    assert!(db.lease_scrub(&one, 50, 29).await.unwrap());
    assert!(!db.lease_scrub(&two, 60, 49).await.unwrap());
    assert!(db.lease_scrub(&two, 80, 50).await.unwrap());
    assert!(!db.lease_scrub(&one, 90, 51).await.unwrap(), "it is another's by now");
    // Only its own.
    db.release_scrub(&one).await.unwrap();
    assert!(!db.lease_scrub(&one, 90, 51).await.unwrap());
    db.release_scrub(&two).await.unwrap();
    assert!(db.lease_scrub(&one, 90, 51).await.unwrap());
}

async fn what_was_verified_longest_ago_has_its_turn_first(base: &TestDatabase) {
    let db = base.open().await;
    for (byte, at) in [(1, 30), (2, 10), (3, 20), (4, 20), (5, 40)] {
        put_blob(&db, digest(byte), None, 10, at).await.unwrap();
    }
    let page = async |until: Millis, after: Option<(Millis, Digest)>, limit| {
        let page = db.scrub_page(until, after, limit).await.unwrap();
        page.into_iter().map(|(row, at)| (row.digest.bytes()[0], at)).collect::<Vec<_>>()
    };
    assert!(page(9, None, 10).await.is_empty());
    assert_eq!(page(30, None, 10).await, [(2, 10), (3, 20), (4, 20), (1, 30)]);
    assert_eq!(page(30, None, 2).await, [(2, 10), (3, 20)]);
    assert_eq!(page(30, Some((20, digest(3))), 10).await, [(4, 20), (1, 30)]);
    db.put_verified(&row(&db, 2).await, Some(77), 50).await.unwrap();
    db.put_unverified(&row(&db, 5).await).await.unwrap();
    assert_eq!(page(30, None, 2).await, [(5, 0), (3, 20)]);
    assert_eq!(row(&db, 2).await.modified_ns, Some(77));
    // What is known of a file is not of the one that has its name now.
    let was = row(&db, 3).await;
    put_blob(&db, digest(3), None, 10, 25).await.unwrap();
    db.put_verified(&was, Some(78), 60).await.unwrap();
    db.put_unverified(&was).await.unwrap();
    assert_eq!(page(30, None, 9).await, [(5, 0), (4, 20), (3, 25), (1, 30)]);
    assert_eq!(row(&db, 3).await.modified_ns, Some(7));
    let used =
        base.texts("select cast(last_used_at as text) from blob where verified_at in (0, 50) order by sha256").await;
    assert_eq!(used, ["10", "40"], "it is no use");
}

async fn how_far_a_file_was_read_is_known_until_it_was_verified_or_replaced(base: &TestDatabase) {
    let db = base.open().await;
    for byte in [1, 2] {
        put_blob(&db, digest(byte), None, 10, 10).await.unwrap();
    }
    let (one, two) = (row(&db, 1).await, row(&db, 2).await);
    let mark = |position| ScrubMark { position, modified_ns: -7, hasher: vec![0, 255, 3] };
    assert_eq!(db.scrub_mark(&one, 0).await.unwrap(), None);
    db.put_scrub_mark(&one, &mark(1 << 40), 20).await.unwrap();
    assert_eq!(db.scrub_mark(&one, 20).await.unwrap(), Some(mark(1 << 40)));
    assert_eq!(db.scrub_mark(&one, 21).await.unwrap(), None, "too old to go on from");
    assert_eq!(db.scrub_mark(&two, 0).await.unwrap(), None);
    db.put_scrub_mark(&one, &mark(9), 30).await.unwrap();
    assert_eq!(db.scrub_mark(&one, 0).await.unwrap(), Some(mark(9)));
    db.put_verified(&one, None, 30).await.unwrap();
    assert_eq!(db.scrub_mark(&one, 0).await.unwrap(), None);
    db.put_scrub_mark(&two, &mark(5), 40).await.unwrap();
    put_blob(&db, digest(2), None, 10, 11).await.unwrap();
    for of in [two, row(&db, 2).await] {
        assert_eq!(db.scrub_mark(&of, 0).await.unwrap(), None, "of another file");
    }
    db.put_scrub_mark(&row(&db, 2).await, &mark(5), 50).await.unwrap();
    let gone = row(&db, 2).await;
    delete_blob(&db, digest(2)).await.unwrap();
    assert_eq!(db.scrub_mark(&gone, 0).await.unwrap(), None);
}

async fn the_look_at_sizes_goes_on_where_it_was(base: &TestDatabase) {
    let db = base.open().await;
    for look in [
        SizesLook::default(),
        SizesLook { ended_at: 5, after: Some(digest(3)) },
        SizesLook { ended_at: 1 << 42, after: None },
    ] {
        db.put_sizes_look(&look).await.unwrap();
        assert_eq!(db.sizes_look().await.unwrap(), look);
    }
}

async fn what_was_verified_lately_is_counted(base: &TestDatabase) {
    let db = base.open().await;
    assert_eq!(db.verified(0).await.unwrap(), Verified::default());
    for (byte, at) in [(1, 30), (2, 10), (3, 20)] {
        put_blob(&db, digest(byte), None, 10, at).await.unwrap();
    }
    let verified = |files, oldest| Verified { files, bytes: files * 10, oldest_at: Some(oldest) };
    assert_eq!(db.verified(10).await.unwrap(), verified(2, 10));
    db.put_unverified(&row(&db, 2).await).await.unwrap();
    assert_eq!(db.verified(0).await.unwrap(), verified(2, 20), "one was never verified as it is now");
}
