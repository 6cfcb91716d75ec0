//! Who names a content, and which registered models could download it again.

use modelhub::db::{Db, NamedFile, Recoverable};
use modelhub::domain::{Artifact, ContentId, Entry, ModelId, Origin};

use crate::database::{TestDatabase, commit, digest, file, id, key, oid, on_both, path, put_blob, repo};
use crate::models::{registration, sync_of};

on_both!(
    a_content_is_named_by_files_of_all_commits_each_once,
    a_blob_of_git_is_found_by_both_of_its_names,
    registered_models_could_download_again_what_upstream_told_them,
    the_commit_that_a_model_is_at_comes_before_its_others,
);

fn sized(name: &str, content: u8) -> Entry {
    let content = ContentId::Sha256(digest(content));
    Entry::File(Artifact { path: path(name), size: 100, content, oid: None, xet_hash: None })
}

async fn add_commit(db: &Db, row: &ModelId, digit: char, entries: &[Entry]) {
    db.put_revision(row, Some("main"), &commit(digit), None, 1).await.unwrap();
    db.put_entries(row, &commit(digit), entries).await.unwrap();
}

async fn model(db: &Db, name: &str, entries: &[Entry]) -> ModelId {
    let row = repo(db, name).await.id;
    add_commit(db, &row, '1', entries).await;
    row
}

async fn register(db: &Db, name: &str) {
    let (key, new_id, job) = (key(name), id("unused"), sync_of(&key(name), &format!("job of {name}")));
    db.register(&registration(&key, &new_id, &job, 10)).await.unwrap();
}

fn paths(files: &[NamedFile]) -> Vec<String> {
    files.iter().map(|file| format!("{} {}", file.key, file.path)).collect()
}

fn again(found: &[Recoverable]) -> Vec<String> {
    found.iter().map(|one| format!("{} {} {}", one.file.key, one.revision, one.file.path)).collect()
}

async fn a_content_is_named_by_files_of_all_commits_each_once(base: &TestDatabase) {
    let db = base.open().await;
    let b = model(&db, "org/b", &[sized("w", 1), sized("twice", 1), sized("other", 2)]).await;
    add_commit(&db, &b, '2', &[sized("w", 1), sized("moved", 1)]).await;
    model(&db, "org/a", &[sized("z", 1)]).await;
    let named = async |most| paths(&db.files_named(ContentId::Sha256(digest(1)), most).await.unwrap());
    // Without a blob too: it may have been set aside.
    assert_eq!(named(10).await, ["org/a z", "org/b moved", "org/b twice", "org/b w"]);
    assert_eq!(named(2).await, ["org/a z", "org/b moved"]);
    assert!(db.files_named(ContentId::Sha256(digest(9)), 10).await.unwrap().is_empty());
}

async fn a_blob_of_git_is_found_by_both_of_its_names(base: &TestDatabase) {
    let db = base.open().await;
    model(&db, "org/a", &[file("git.txt")]).await;
    register(&db, "org/a").await;
    let git = ContentId::Git(oid(7));
    assert_eq!(paths(&db.files_named(git, 10).await.unwrap()), ["org/a git.txt"]);
    assert!(db.files_named(ContentId::Sha256(digest(3)), 10).await.unwrap().is_empty());
    assert!(db.recoverable(digest(3)).await.unwrap().is_empty());
    put_blob(&db, digest(3), Some(oid(7)), 7, 1).await.unwrap();
    assert_eq!(paths(&db.files_named(ContentId::Sha256(digest(3)), 10).await.unwrap()), ["org/a git.txt"]);
    assert_eq!(again(&db.recoverable(digest(3)).await.unwrap()), ["org/a main git.txt"]);
    // Of the same git id, but not of the size that the file has.
    put_blob(&db, digest(4), Some(oid(7)), 8, 1).await.unwrap();
    assert!(db.recoverable(digest(4)).await.unwrap().is_empty());
}

async fn registered_models_could_download_again_what_upstream_told_them(base: &TestDatabase) {
    let db = base.open().await;
    put_blob(&db, digest(1), None, 100, 1).await.unwrap();
    for name in ["org/a", "org/b", "org/unregistered"] {
        model(&db, name, &[sized("w", 1), sized("x", 1)]).await;
    }
    for (name, origin) in [("org/own", Origin::Local), ("org/cached", Origin::Scanned)] {
        let row = db.add_repo(&key(name), origin, &id(name), 1).await.unwrap().id;
        db.add_commit(&row, &commit('1'), origin).await.unwrap();
        db.put_entries(&row, &commit('1'), &[sized("w", 1)]).await.unwrap();
        register(&db, name).await;
    }
    assert!(db.recoverable(digest(1)).await.unwrap().is_empty());
    register(&db, "org/a").await;
    register(&db, "org/b").await;
    // One file of each is enough: the content is the same.
    assert_eq!(again(&db.recoverable(digest(1)).await.unwrap()), ["org/a main w", "org/b main w"]);
    // Upstream has confirmed the cache.
    db.complete_tree(&id("org/cached"), &commit('1')).await.unwrap();
    assert_eq!(db.recoverable(digest(1)).await.unwrap().len(), 3);
}

async fn the_commit_that_a_model_is_at_comes_before_its_others(base: &TestDatabase) {
    let db = base.open().await;
    put_blob(&db, digest(1), None, 100, 1).await.unwrap();
    let row = model(&db, "org/a", &[sized("old", 1)]).await;
    register(&db, "org/a").await;
    add_commit(&db, &row, '2', &[sized("new", 1)]).await;
    assert_eq!(again(&db.recoverable(digest(1)).await.unwrap()), ["org/a main new"]);
    add_commit(&db, &row, '3', &[sized("new", 2)]).await;
    let found = db.recoverable(digest(1)).await.unwrap();
    assert_eq!(again(&found), [format!("org/a {} old", commit('1'))]);
    assert_eq!(found[0].commit, commit('1'));
}
