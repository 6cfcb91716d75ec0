//! Who names a content.

use modelhub::db::{Db, NamedFile};
use modelhub::domain::{Artifact, ContentId, Entry, ModelId};

use crate::database::{TestDatabase, commit, digest, file, oid, on_both, path, put_blob, repo};

on_both!(a_content_is_named_by_files_of_all_commits_each_once, a_blob_of_git_is_found_by_both_of_its_names,);

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

fn paths(files: &[NamedFile]) -> Vec<String> {
    files.iter().map(|file| format!("{} {}", file.key, file.path)).collect()
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
    let git = ContentId::Git(oid(7));
    assert_eq!(paths(&db.files_named(git, 10).await.unwrap()), ["org/a git.txt"]);
    assert!(db.files_named(ContentId::Sha256(digest(3)), 10).await.unwrap().is_empty());
    put_blob(&db, digest(3), Some(oid(7)), 7, 1).await.unwrap();
    assert_eq!(paths(&db.files_named(ContentId::Sha256(digest(3)), 10).await.unwrap()), ["org/a git.txt"]);
}
