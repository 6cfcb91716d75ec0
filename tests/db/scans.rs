//! What scans have found.

use modelhub::db::ScannedFile;
use modelhub::domain::{ContentId, Origin, Visibility};

use crate::database::{
    TestDatabase, commit, digest, file, id, key, lfs, names, oid, on_both, path, put_blob, repo, repo_with_commit,
};
use crate::models::{registration, sync_of};

on_both!(
    a_scanned_file_is_known_until_it_is_another,
    many_files_are_noted_at_once_and_very_long_paths_are_not,
    a_repository_that_was_found_is_public_and_never_asked_about,
    what_upstream_said_of_a_repository_stays,
    what_upstream_said_nothing_of_is_public_once_it_is_found,
    a_local_repository_becomes_upstreams,
    a_commit_is_known_from_somewhere,
    a_commit_whose_tree_is_known_stays_upstreams,
    entries_are_taken_out,
    a_blob_gets_its_git_id_once,
);

fn scanned(path: &str, modified_ns: i64) -> ScannedFile {
    ScannedFile {
        path: path.to_owned(),
        size: 1 << 40,
        modified_ns,
        device: u64::MAX,
        inode: 1 << 63,
        sha256: digest(1),
        git_oid: oid(2),
        scanned_at: 5,
    }
}

async fn a_scanned_file_is_known_until_it_is_another(base: &TestDatabase) {
    let db = base.open().await;
    assert_eq!(db.scanned_file("/a").await.unwrap(), None);
    let old = scanned("/a", -1);
    db.put_scanned_files(std::slice::from_ref(&old)).await.unwrap();
    assert_eq!(db.scanned_file("/a").await.unwrap(), Some(old));
    let new = ScannedFile { size: 7, sha256: digest(3), git_oid: oid(4), scanned_at: 9, ..scanned("/a", i64::MAX) };
    db.put_scanned_files(std::slice::from_ref(&new)).await.unwrap();
    assert_eq!(db.scanned_file("/a").await.unwrap(), Some(new));
    assert_eq!(db.scanned_file("/A").await.unwrap(), None, "letter case counts");
}

async fn many_files_are_noted_at_once_and_very_long_paths_are_not(base: &TestDatabase) {
    let db = base.open().await;
    db.put_scanned_files(&[]).await.unwrap();
    let long = format!("/{}", "x".repeat(4000));
    let mut files: Vec<_> = (0..500).rev().map(|number| scanned(&format!("/{number}"), number)).collect();
    files.push(scanned(&long, 1));
    db.put_scanned_files(&files).await.unwrap();
    assert_eq!(db.scanned_file("/77").await.unwrap(), Some(scanned("/77", 77)));
    assert_eq!(db.scanned_file(&long).await.unwrap(), None);
}

async fn a_repository_that_was_found_is_public_and_never_asked_about(base: &TestDatabase) {
    let db = base.open().await;
    let row = db.add_repo(&key("org/model"), Origin::Scanned, &id("one"), 9).await.unwrap();
    assert_eq!((row.id.as_str(), row.visibility, row.checked_at), ("one", Visibility::Public, 1));
    assert!(!row.is_local);
    let row = db.add_repo(&key("org/folder"), Origin::Local, &id("two"), 9).await.unwrap();
    assert!(row.is_local);
    // Found again.
    assert_eq!(db.add_repo(&key("org/folder"), Origin::Local, &id("three"), 10).await.unwrap().id, "two");
}

async fn what_upstream_said_of_a_repository_stays(base: &TestDatabase) {
    let db = base.open().await;
    db.put_repo(&key("org/model"), Visibility::Private, &id("one"), 5).await.unwrap();
    for origin in [Origin::Scanned, Origin::Local] {
        let row = db.add_repo(&key("org/model"), origin, &id("two"), 9).await.unwrap();
        assert_eq!((row.id.as_str(), row.visibility, row.checked_at), ("one", Visibility::Private, 5));
        assert!(!row.is_local);
    }
}

async fn what_upstream_said_nothing_of_is_public_once_it_is_found(base: &TestDatabase) {
    let db = base.open().await;
    let org = key("org/model");
    db.register(&registration(&org, &id("one"), &sync_of(&org, "job"), 5)).await.unwrap();
    assert_eq!(db.repo(&org).await.unwrap().unwrap().visibility, Visibility::Private);
    let row = db.add_repo(&org, Origin::Scanned, &id("two"), 9).await.unwrap();
    assert_eq!((row.id.as_str(), row.visibility, row.checked_at), ("one", Visibility::Public, 1));
}

async fn a_local_repository_becomes_upstreams(base: &TestDatabase) {
    let db = base.open().await;
    for name in ["org/told", "org/found"] {
        assert!(db.add_repo(&key(name), Origin::Local, &id(name), 9).await.unwrap().is_local);
    }
    let told = db.put_repo(&key("org/told"), Visibility::Gated, &id("new"), 10).await.unwrap();
    assert_eq!((told.id.as_str(), told.is_local, told.visibility), ("org/told", false, Visibility::Gated));
    let found = db.add_repo(&key("org/found"), Origin::Scanned, &id("new"), 10).await.unwrap();
    assert_eq!((found.id.as_str(), found.is_local, found.checked_at), ("org/found", false, 1));
}

async fn a_commit_is_known_from_somewhere(base: &TestDatabase) {
    let db = base.open().await;
    let row = repo(&db, "org/model").await.id;
    assert_eq!(db.commit_origin(&row, &commit('1')).await.unwrap(), None);
    db.put_revision(&row, Some("main"), &commit('1'), None, 1).await.unwrap();
    assert_eq!(db.commit_origin(&row, &commit('1')).await.unwrap(), Some(Origin::Upstream));
    // Only its name was known so far.
    for (digit, origin) in [('1', Origin::Scanned), ('2', Origin::Scanned), ('3', Origin::Local)] {
        db.add_commit(&row, &commit(digit), origin).await.unwrap();
        assert_eq!(db.commit_origin(&row, &commit(digit)).await.unwrap(), Some(origin));
    }
    db.complete_scanned_tree(&row, &commit('2')).await.unwrap();
    assert!(db.tree_is_complete(&row, &commit('2')).await.unwrap());
    assert_eq!(db.commit_origin(&row, &commit('2')).await.unwrap(), Some(Origin::Scanned));
    // Upstream's listing was read; a local commit stays one.
    for (digit, origin) in [('1', Origin::Upstream), ('2', Origin::Upstream), ('3', Origin::Local)] {
        db.complete_tree(&row, &commit(digit)).await.unwrap();
        assert_eq!(db.commit_origin(&row, &commit(digit)).await.unwrap(), Some(origin));
    }
}

async fn a_commit_whose_tree_is_known_stays_upstreams(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    db.complete_tree(&row, &commit).await.unwrap();
    db.add_commit(&row, &commit, Origin::Scanned).await.unwrap();
    assert_eq!(db.commit_origin(&row, &commit).await.unwrap(), Some(Origin::Upstream));
    assert!(db.tree_is_complete(&row, &commit).await.unwrap());
}

async fn entries_are_taken_out(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    db.put_entries(&row, &commit, &[file("a"), file("b"), lfs("c", 1)]).await.unwrap();
    db.delete_entries(&row, &commit, &[]).await.unwrap();
    db.delete_entries(&row, &commit, &[path("a"), path("c"), path("never")]).await.unwrap();
    let page = modelhub::db::TreePage { recursive: true, limit: 10, ..Default::default() };
    assert_eq!(names(&db.tree_page(&row, &commit, &page).await.unwrap()), ["b"]);
}

async fn a_blob_gets_its_git_id_once(base: &TestDatabase) {
    let db = base.open().await;
    db.add_git_oid(digest(1), oid(2)).await.unwrap();
    put_blob(&db, digest(1), None, 5, 1).await.unwrap();
    assert!(db.blob(ContentId::Git(oid(2)), 5).await.unwrap().is_none());
    db.add_git_oid(digest(1), oid(2)).await.unwrap();
    db.add_git_oid(digest(1), oid(3)).await.unwrap();
    assert!(db.blob(ContentId::Git(oid(2)), 5).await.unwrap().is_some());
    assert!(db.blob(ContentId::Git(oid(3)), 5).await.unwrap().is_none());
    assert_eq!(base.texts("select cast(verified_at as text) from blob").await, ["1"]);
}
