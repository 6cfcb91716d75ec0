//! The entries of commits, and paths that are not there.

use modelhub::db::{Db, ReadingId, TreePage};
use modelhub::domain::{Artifact, CommitId, ContentId, Entry, ModelId};

use crate::database::{TestDatabase, commit, digest, file, folder, lfs, names, oid, on_both, path, put_blob};
use crate::database::{by_xet, repo_with_commit, xet, xet_hash_of};

on_both!(
    every_kind_of_entry_comes_back_as_it_was,
    an_entry_seen_again_is_updated_and_forgets_nothing,
    a_path_that_comes_twice_in_one_page_is_what_it_was_last,
    odd_names_are_kept_exactly_and_listed_in_the_order_of_bytes,
    a_tree_is_read_page_by_page_without_a_gap,
    a_folder_holds_its_own_entries_and_all_that_is_below,
    sizes_up_to_the_largest_are_kept,
    the_longest_paths_are_kept,
    absence_is_remembered_until_the_tree_is_whole,
    a_file_is_found_by_its_xet_hash_within_its_repository,
    entries_of_an_unknown_commit_are_refused,
    a_tree_of_many_entries_is_written_and_read,
    a_reading_that_failed_takes_back_what_it_alone_has_brought,
    readings_of_processes_that_died_are_taken_back_later,
);

async fn tree(db: &Db, row: &ModelId, commit: &CommitId, folder: &str, recursive: bool) -> Vec<Entry> {
    let page = TreePage { folder: folder.into(), recursive, after: String::new(), limit: 10_000 };
    db.tree_page(row, commit, &page).await.unwrap()
}

async fn every_kind_of_entry_comes_back_as_it_was(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    let head_only = |name: &str, content| {
        Entry::File(Artifact { path: path(name), size: 0, content, oid: None, xet_hash: Some(xet(5)) })
    };
    let entries = [
        file("config.json"),
        folder("folder"),
        head_only("folder/from-head.bin", ContentId::Sha256(digest(4))),
        lfs("folder/model.bin", 3),
    ];
    db.put_entries(&row, &commit, &entries).await.unwrap();
    db.put_entries(&row, &commit, &[]).await.unwrap();
    for entry in &entries {
        assert_eq!(db.entry(&row, &commit, entry.path()).await.unwrap().as_ref(), Some(entry));
    }
    assert_eq!(tree(&db, &row, &commit, "", true).await, entries);
    assert_eq!(db.entry(&row, &commit, &path("Config.json")).await.unwrap(), None);
    assert_eq!(db.entry(&row, &super::database::commit('2'), &path("config.json")).await.unwrap(), None);
}

async fn an_entry_seen_again_is_updated_and_forgets_nothing(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    let artifact = |size, oid, xet_hash| {
        let content = ContentId::Sha256(digest(1));
        Entry::File(Artifact { path: path("a"), size, content, oid, xet_hash })
    };
    db.put_entries(&row, &commit, &[artifact(1, Some(oid(1)), Some(xet(5)))]).await.unwrap();
    db.put_entries(&row, &commit, &[artifact(2, None, None)]).await.unwrap();
    let entry = db.entry(&row, &commit, &path("a")).await.unwrap();
    assert_eq!(entry, Some(artifact(2, Some(oid(1)), Some(xet(5)))));
}

async fn a_path_that_comes_twice_in_one_page_is_what_it_was_last(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    db.put_entries(&row, &commit, &[lfs("a", 1), file("b"), lfs("a", 2), file("b")]).await.unwrap();
    assert_eq!(tree(&db, &row, &commit, "", true).await, [lfs("a", 2), file("b")]);
}

/// In the order of their bytes, which no dictionary has.
const ODD: [&str; 26] = [
    " ",
    "\"quoted\" \u{201c}and\u{201d} 'more'",
    "$1",
    "%2F",
    "(a)",
    "--",
    "-dash",
    ".hidden",
    "0",
    "10",
    "9",
    "A",
    "B",
    "Z",
    "[a]",
    "_under",
    "a",
    "a b",
    "a-b",
    "a.b",
    "a_b",
    "b",
    "e\u{301}",
    "\u{e9}",
    "\u{65e5}\u{672c}.bin",
    "\u{1f600}",
];

async fn odd_names_are_kept_exactly_and_listed_in_the_order_of_bytes(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    assert!(ODD.is_sorted());
    if base.is_postgres() {
        // The proof that this database would order otherwise if it were left to itself.
        let by_itself = base.texts("select t from (values ('a'), ('B'), ('_')) as x (t) order by t").await;
        assert_eq!(by_itself, ["_", "a", "B"]);
    }
    let mut entries: Vec<Entry> = ODD.iter().map(|name| file(name)).collect();
    entries.reverse();
    db.put_entries(&row, &commit, &entries).await.unwrap();
    for recursive in [true, false] {
        assert_eq!(names(&tree(&db, &row, &commit, "", recursive).await), ODD, "recursive: {recursive}");
    }
    for name in ODD {
        assert!(db.entry(&row, &commit, &path(name)).await.unwrap().is_some(), "{name:?} is not found");
    }
}

async fn a_tree_is_read_page_by_page_without_a_gap(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    let mut entries: Vec<Entry> = ODD.iter().map(|name| file(&format!("folder/{name}"))).collect();
    entries.push(folder("folder"));
    // Neighbours of the folder: their names begin with its name, or would if `/` sorted elsewhere.
    entries.extend(["folder ", "folder!", "folder-1", "folder.d", "folder0", "folderA", "Folder"].map(file));
    db.put_entries(&row, &commit, &entries).await.unwrap();
    for recursive in [true, false] {
        for limit in [1, 2, 7] {
            let mut seen = Vec::new();
            let mut after = String::new();
            loop {
                let page = TreePage { folder: "folder".into(), recursive, after, limit };
                let entries = db.tree_page(&row, &commit, &page).await.unwrap();
                let Some(last) = entries.last() else { break };
                after = last.path().as_str().to_owned();
                seen.extend(names(&entries).into_iter().map(|name| name.strip_prefix("folder/").unwrap().to_owned()));
            }
            assert_eq!(seen, ODD, "recursive: {recursive}, limit: {limit}");
        }
    }
}

async fn a_folder_holds_its_own_entries_and_all_that_is_below(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    let entries = [
        folder("A"),
        file("A/x"),
        folder("a"),
        file("a-b"),
        file("a/_"),
        folder("a/b"),
        file("a/b/c"),
        file("a/z"),
        file("a0"),
        file("a_b"),
        file("\u{10fffd}"),
    ];
    db.put_entries(&row, &commit, &entries).await.unwrap();
    assert_eq!(names(&tree(&db, &row, &commit, "", true).await), names(&entries));
    assert_eq!(names(&tree(&db, &row, &commit, "", false).await), ["A", "a", "a-b", "a0", "a_b", "\u{10fffd}"]);
    assert_eq!(names(&tree(&db, &row, &commit, "a", true).await), ["a/_", "a/b", "a/b/c", "a/z"]);
    assert_eq!(names(&tree(&db, &row, &commit, "a", false).await), ["a/_", "a/b", "a/z"]);
    assert_eq!(names(&tree(&db, &row, &commit, "A", true).await), ["A/x"]);
    assert!(tree(&db, &row, &commit, "b", true).await.is_empty());
}

async fn a_reading_that_failed_takes_back_what_it_alone_has_brought(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    let left = async || -> Vec<String> {
        let entries = tree(&db, &row, &commit, "", true).await;
        names(&entries).into_iter().map(|name| name.to_string()).collect()
    };
    let (one, other) = (ReadingId::at(1, "one"), ReadingId::at(1, "other"));
    // Known before, asked for alone meanwhile, looked up, and seen by another reading.
    db.put_entries(&row, &commit, &[file("before")]).await.unwrap();
    for page in [["before", "a"], ["asked", "b"], ["looked-up", "shared"]] {
        db.put_page(&row, &commit, &page.map(file), &one).await.unwrap();
    }
    db.put_page(&row, &commit, &["a", "b"].map(file), &one).await.unwrap();
    db.put_entries(&row, &commit, &[file("asked")]).await.unwrap();
    db.keep_entry(&row, &commit, &path("looked-up")).await.unwrap();
    db.put_page(&row, &commit, &["shared", "others"].map(file), &other).await.unwrap();
    db.delete_reading(&row, &commit, &one).await.unwrap();
    assert_eq!(left().await, ["asked", "before", "looked-up", "others", "shared"]);
    // The other one comes to the end: nothing of it is taken back any more.
    db.complete_tree(&row, &commit).await.unwrap();
    db.delete_reading(&row, &commit, &other).await.unwrap();
    assert_eq!(left().await, ["asked", "before", "looked-up", "others", "shared"]);
}

async fn readings_of_processes_that_died_are_taken_back_later(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    db.put_page(&row, &commit, &["a", "b"].map(file), &ReadingId::at(1000, "x")).await.unwrap();
    db.put_page(&row, &commit, &["c"].map(file), &ReadingId::at(20_000, "y")).await.unwrap();
    db.prune_readings(1000).await.unwrap();
    assert_eq!(names(&tree(&db, &row, &commit, "", true).await), ["a", "b", "c"]);
    db.prune_readings(1001).await.unwrap();
    assert_eq!(names(&tree(&db, &row, &commit, "", true).await), ["c"]);
}

async fn sizes_up_to_the_largest_are_kept(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    let largest = u64::try_from(i64::MAX).unwrap();
    for (size, kept) in
        [(0, 0), (1 << 53, 1 << 53), ((1 << 53) + 1, (1 << 53) + 1), (largest, largest), (u64::MAX, largest)]
    {
        let Entry::File(artifact) = lfs("big", 1) else { unreachable!() };
        db.put_entries(&row, &commit, &[Entry::File(Artifact { size, ..artifact.clone() })]).await.unwrap();
        let entry = db.entry(&row, &commit, &path("big")).await.unwrap();
        assert_eq!(entry, Some(Entry::File(Artifact { size: kept, ..artifact })));
    }
}

async fn the_longest_paths_are_kept(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    // 1024 bytes that no database can shorten, in folders of the longest names.
    let mut noise = (1_u64..).map(|n| char::from(b'a' + (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as u8 % 26));
    let parts: Vec<String> = (0..4).map(|_| noise.by_ref().take(255).collect()).collect();
    let long = parts.join("/");
    db.put_entries(&row, &commit, &[file(&long)]).await.unwrap();
    assert_eq!(names(&tree(&db, &row, &commit, &parts[..3].join("/"), false).await), [long.as_str()]);
    db.put_missing(&row, &commit, &path(&long), 1).await.unwrap();
    assert!(db.is_missing(&row, &commit, &path(&long)).await.unwrap());
}

async fn absence_is_remembered_until_the_tree_is_whole(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    let gone = path("gone \u{e9}.bin");
    assert!(!db.is_missing(&row, &commit, &gone).await.unwrap());
    db.put_missing(&row, &commit, &gone, 1).await.unwrap();
    db.put_missing(&row, &commit, &gone, 2).await.unwrap();
    assert!(db.is_missing(&row, &commit, &gone).await.unwrap());
    assert!(!db.tree_is_complete(&row, &commit).await.unwrap());
    db.complete_tree(&row, &commit).await.unwrap();
    assert!(db.tree_is_complete(&row, &commit).await.unwrap());
    assert!(!db.is_missing(&row, &commit, &gone).await.unwrap());
    // The commit seen again stays whole; one that was never seen is not.
    db.put_revision(&row, Some("main"), &commit, Some("{}"), 3).await.unwrap();
    assert!(db.tree_is_complete(&row, &commit).await.unwrap());
    assert!(!db.tree_is_complete(&row, &super::database::commit('2')).await.unwrap());
}

async fn a_file_is_found_by_its_xet_hash_within_its_repository(base: &TestDatabase) {
    let db = base.open().await;
    let (row, first) = repo_with_commit(&db).await;
    let other = crate::database::repo(&db, "org/other").await.id;
    db.put_revision(&other, Some("main"), &first, None, 1).await.unwrap();
    db.put_entries(&row, &first, &[lfs("b", 1), lfs("a", 1), lfs("c", 2), file("d")]).await.unwrap();
    let hash = xet(8);
    assert_eq!(by_xet(&db, &row, hash).await, None);
    put_blob(&db, digest(1), None, 1 << 40, 1).await.unwrap();
    db.put_xet_hash(digest(1), hash).await.unwrap();
    // What is learned later has the hash as well.
    let second = commit('0');
    db.put_revision(&row, None, &second, None, 1).await.unwrap();
    db.put_entries(&row, &second, &[lfs("z", 1)]).await.unwrap();
    let (found, artifact) = by_xet(&db, &row, hash).await.unwrap();
    assert_eq!((found, artifact.path, artifact.xet_hash), (second, path("z"), Some(hash)));
    let preferred = db.artifact_by_xet(&row, hash, first.as_str()).await.unwrap().unwrap();
    assert_eq!((preferred.0, preferred.1.path), (first.clone(), path("a")));
    let tree = tree(&db, &row, &first, "", true).await;
    assert_eq!(tree.iter().map(xet_hash_of).collect::<Vec<_>>(), [Some(hash), Some(hash), None, None]);
    assert_eq!(by_xet(&db, &other, hash).await, None);
    // Upstream's own word is not overwritten.
    let Entry::File(named) = lfs("named", 3) else { unreachable!() };
    let named = Entry::File(Artifact { xet_hash: Some(xet(9)), ..named });
    db.put_entries(&row, &first, std::slice::from_ref(&named)).await.unwrap();
    db.put_xet_hash(digest(3), hash).await.unwrap();
    assert_eq!(db.entry(&row, &first, named.path()).await.unwrap().as_ref(), Some(&named));
}

async fn entries_of_an_unknown_commit_are_refused(base: &TestDatabase) {
    let db = base.open().await;
    let (row, _) = repo_with_commit(&db).await;
    let unknown = commit('f');
    assert!(db.put_entries(&row, &unknown, &[file("a")]).await.is_err());
    assert!(db.put_missing(&row, &unknown, &path("a"), 1).await.is_err());
    db.complete_tree(&row, &unknown).await.unwrap();
    assert!(!db.tree_is_complete(&row, &unknown).await.unwrap());
}

async fn a_tree_of_many_entries_is_written_and_read(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    let entries: Vec<Entry> = (0..20_000).map(|n| file(&format!("folder {}/{n:05}.bin", n % 7))).collect();
    for page in entries.chunks(5000) {
        db.put_entries(&row, &commit, page).await.unwrap();
    }
    let page = TreePage { folder: "folder 3".into(), recursive: true, after: String::new(), limit: 100_000 };
    assert_eq!(db.tree_page(&row, &commit, &page).await.unwrap().len(), 20_000 / 7);
}
