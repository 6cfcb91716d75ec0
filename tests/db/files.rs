//! The files of a commit with what is here of each: folders with sums, flat lists, searches, pages.

use modelhub::db::{Db, FilePage, FileRow, FileTotals};
use modelhub::domain::{Artifact, CommitId, ContentId, Digest, Entry, ModelId};

use crate::database::{
    TestDatabase, commit, delete_blob, digest, file, folder, id, lfs, oid, on_both, path, put_blob, repo_with_commit,
};

on_both!(
    a_folder_shows_its_own_entries_and_the_sums_of_its_folders,
    sums_of_folders_are_right_on_every_page_whatever_their_names,
    a_flat_list_has_every_file_below_page_by_page,
    a_file_is_stored_when_its_content_is_by_either_hash,
    a_flat_list_is_narrowed_to_what_is_here_or_is_not,
    a_search_in_a_flat_list_takes_wildcards_as_they_are,
    a_search_finds_a_name_as_it_is_written_and_in_other_ascii_letters,
    an_unknown_commit_or_folder_has_no_files,
    the_files_that_were_used_last_come_first,
);

const TIB: u64 = 1 << 40;
/// The sha256 of no bytes.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn sized(name: &str, content: u8, size: u64) -> Entry {
    let content = ContentId::Sha256(if size == 0 { Digest::parse(NOTHING).unwrap() } else { digest(content) });
    Entry::File(Artifact { path: path(name), size, content, oid: None, xet_hash: None })
}

/// A commit with these entries.
async fn with(db: &Db, entries: &[Entry]) -> (ModelId, CommitId) {
    let (row, one) = repo_with_commit(db).await;
    db.put_entries(&row, &one, entries).await.unwrap();
    db.complete_tree(&row, &one).await.unwrap();
    // The same paths at another commit are none of our business.
    db.put_revision(&row, Some("dev"), &commit('2'), None, 1).await.unwrap();
    db.put_entries(&row, &commit('2'), entries).await.unwrap();
    (row, one)
}

async fn page(db: &Db, row: &ModelId, commit: &CommitId, page: FilePage) -> Vec<FileRow> {
    let limit = if page.limit == 0 { 1000 } else { page.limit };
    db.file_page(row, commit, &FilePage { limit, ..page }).await.unwrap()
}

fn names(rows: &[FileRow]) -> Vec<&str> {
    rows.iter().map(|row| row.entry.path().as_str()).collect()
}

fn totals(files: u64, bytes: u64, files_here: u64, bytes_here: u64) -> FileTotals {
    FileTotals { files, bytes, files_here, bytes_here }
}

fn shown(rows: &[FileRow]) -> Vec<(&str, FileTotals)> {
    rows.iter().map(|row| (row.entry.path().as_str(), row.totals)).collect()
}

async fn a_folder_shows_its_own_entries_and_the_sums_of_its_folders(base: &TestDatabase) {
    let db = base.open().await;
    let entries = [
        sized("a.bin", 1, 10),
        folder("f"),
        sized("f/a.bin", 1, 10),
        folder("f/g"),
        sized("f/g/b.bin", 2, 20),
        sized("f/g/empty", 3, 0),
        folder("hollow"),
        sized("z.bin", 4, 40),
    ];
    let (row, one) = with(&db, &entries).await;
    put_blob(&db, digest(1), None, 10, 5).await.unwrap();
    let root = page(&db, &row, &one, FilePage::default()).await;
    assert_eq!(
        shown(&root),
        [
            ("a.bin", totals(1, 10, 1, 10)),
            // The empty file is here without being stored.
            ("f", totals(3, 30, 2, 10)),
            ("hollow", totals(0, 0, 0, 0)),
            ("z.bin", totals(1, 40, 0, 0)),
        ]
    );
    assert_eq!((root[0].stored, root[0].verified_at), (Some(digest(1)), Some(5)));
    assert_eq!((root[3].stored, root[3].verified_at), (None, None));
    let f = page(&db, &row, &one, FilePage { folder: "f".into(), ..FilePage::default() }).await;
    assert_eq!(shown(&f), [("f/a.bin", totals(1, 10, 1, 10)), ("f/g", totals(2, 20, 1, 0))]);
    let g = page(&db, &row, &one, FilePage { folder: "f/g".into(), ..FilePage::default() }).await;
    assert_eq!(names(&g), ["f/g/b.bin", "f/g/empty"]);
}

/// Names that a database could take apart in the wrong place, in the order of their bytes.
const FOLDERS: [&str; 12] =
    [" ", "%", "-", "A", "_", "a", "a b", "a-b", "a0", "e\u{301}\u{65e5}\u{672c}", "\u{e9}", "\u{1f600}\u{1f600}"];

async fn sums_of_folders_are_right_on_every_page_whatever_their_names(base: &TestDatabase) {
    let db = base.open().await;
    assert!(FOLDERS.is_sorted());
    for parent in ["", "\u{e4}\u{1f600}/p"] {
        let below = |name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
        let mut entries = Vec::new();
        if !parent.is_empty() {
            entries.extend([folder("\u{e4}\u{1f600}"), folder(parent)]);
        }
        for (n, name) in FOLDERS.iter().enumerate() {
            entries.push(folder(&below(name)));
            for file in 0..=n {
                let deep = if file % 2 == 0 { format!("{name}/\u{1f600}{file}") } else { format!("{name}/d/{file}") };
                entries.push(sized(&below(&deep), n as u8, 100));
            }
            entries.push(folder(&below(&format!("{name}/d"))));
            // A neighbour whose name goes on where the folder's ends.
            entries.push(sized(&below(&format!("{name}.x")), 200, 1));
        }
        let (row, one) = with(&db, &entries).await;
        put_blob(&db, digest(3), None, 100, 1).await.unwrap();
        for limit in [1, 2, 5, 100] {
            let (mut sums, mut after) = (Vec::new(), String::new());
            loop {
                let rows =
                    page(&db, &row, &one, FilePage { folder: parent.into(), after, limit, ..FilePage::default() })
                        .await;
                let Some(last) = rows.last() else { break };
                after = last.entry.path().to_string();
                let folders = rows.iter().filter(|row| matches!(row.entry, Entry::Directory { .. }));
                sums.extend(folders.map(|row| (row.entry.path().to_string(), row.totals)));
            }
            if parent.is_empty() {
                sums.retain(|(name, _)| name != "\u{e4}\u{1f600}");
            }
            let right: Vec<_> = FOLDERS
                .iter()
                .enumerate()
                .map(|(n, name)| {
                    let (files, here) = (n as u64 + 1, if n == 3 { 4 } else { 0 });
                    (below(name), totals(files, files * 100, here, here * 100))
                })
                .collect();
            assert_eq!(sums, right, "below {parent:?}, pages of {limit}");
        }
    }
}

async fn a_flat_list_has_every_file_below_page_by_page(base: &TestDatabase) {
    let db = base.open().await;
    let files = ["a", "f/1", "f/g/2", "f/g/3", "f/h", "f-", "f.x", "f0", "g/f/4", "\u{10fffd}"];
    let mut entries: Vec<Entry> = files.iter().map(|name| file(name)).collect();
    entries.extend(["f", "f/g", "g", "g/f"].map(folder));
    let (row, one) = with(&db, &entries).await;
    for (below, right) in
        [("", &files.to_vec()), ("f", &vec!["f/1", "f/g/2", "f/g/3", "f/h"]), ("f/g", &vec!["f/g/2", "f/g/3"])]
    {
        let mut right = right.clone();
        right.sort_unstable();
        for limit in [1, 3, 100] {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let asked = FilePage { folder: below.into(), flat: true, after, limit, ..FilePage::default() };
                let rows = page(&db, &row, &one, asked).await;
                let Some(last) = rows.last() else { break };
                after = last.entry.path().to_string();
                seen.extend(rows.iter().map(|row| row.entry.path().to_string()));
            }
            assert_eq!(seen, right, "below {below:?}, pages of {limit}");
        }
    }
}

async fn a_file_is_stored_when_its_content_is_by_either_hash(base: &TestDatabase) {
    let db = base.open().await;
    let (row, one) = with(&db, &[file("git.txt"), lfs("lfs.bin", 1)]).await;
    // Of the same git id and another size: of another file, as far as anybody knows.
    put_blob(&db, digest(20), Some(oid(7)), 8, 10).await.unwrap();
    let rows = page(&db, &row, &one, FilePage::default()).await;
    assert_eq!([rows[0].stored, rows[1].stored], [None, None]);
    put_blob(&db, digest(21), Some(oid(7)), 7, 10).await.unwrap();
    put_blob(&db, digest(1), None, TIB, 20).await.unwrap();
    for flat in [false, true] {
        let rows = page(&db, &row, &one, FilePage { flat, ..FilePage::default() }).await;
        assert_eq!([rows[0].stored, rows[1].stored], [Some(digest(21)), Some(digest(1))]);
        assert_eq!(rows[1].totals, totals(1, TIB, 1, TIB));
        assert_eq!([rows[0].verified_at, rows[1].verified_at], [Some(10), Some(20)]);
    }
    let blob = db.blob(ContentId::Sha256(digest(1)), TIB).await.unwrap().unwrap();
    db.put_verified(&blob, None, 30).await.unwrap();
    delete_blob(&db, digest(21)).await.unwrap();
    let rows = page(&db, &row, &one, FilePage::default()).await;
    assert_eq!([rows[0].stored, rows[1].stored], [None, Some(digest(1))]);
    assert_eq!(rows[1].verified_at, Some(30));
}

async fn a_flat_list_is_narrowed_to_what_is_here_or_is_not(base: &TestDatabase) {
    let db = base.open().await;
    let entries = [file("git.txt"), lfs("lfs.bin", 1), lfs("other.bin", 2), sized("empty", 3, 0)];
    let (row, one) = with(&db, &entries).await;
    put_blob(&db, digest(1), None, TIB, 1).await.unwrap();
    let list = async |stored| page(&db, &row, &one, FilePage { flat: true, stored, ..FilePage::default() }).await;
    assert_eq!(names(&list(Some(true)).await), ["empty", "lfs.bin"]);
    assert_eq!(names(&list(Some(false)).await), ["git.txt", "other.bin"]);
    assert_eq!(list(None).await.len(), 4);
}

async fn search(db: &Db, row: &ModelId, commit: &CommitId, text: &str) -> Vec<String> {
    let asked = FilePage { flat: true, search: text.into(), ..FilePage::default() };
    page(db, row, commit, asked).await.iter().map(|row| row.entry.path().to_string()).collect()
}

async fn a_search_in_a_flat_list_takes_wildcards_as_they_are(base: &TestDatabase) {
    let db = base.open().await;
    let entries = [file("100%.txt"), file("a_b.txt"), file("axb.txt"), folder("a_b"), file("a_b/c'd")];
    let (row, one) = with(&db, &entries).await;
    for (text, right) in [
        ("%", vec!["100%.txt"]),
        ("a_B", vec!["a_b.txt", "a_b/c'd"]),
        ("\\", vec![]),
        ("C'D", vec!["a_b/c'd"]),
        ("_b/", vec!["a_b/c'd"]),
        ("b%t", vec![]),
        ("\0", vec![]),
        ("$5", vec![]),
    ] {
        assert_eq!(search(&db, &row, &one, text).await, right, "a search for {text:?}");
    }
    let below = FilePage { folder: "a_b".into(), flat: true, search: "C".into(), ..FilePage::default() };
    assert_eq!(names(&page(&db, &row, &one, below).await), ["a_b/c'd"]);
}

async fn a_search_finds_a_name_as_it_is_written_and_in_other_ascii_letters(base: &TestDatabase) {
    let db = base.open().await;
    let name = "\u{c4}pfel/\u{c9}TUDE-Model.bin";
    let (row, one) = with(&db, &[file(name)]).await;
    for text in [name, "\u{c4}", "\u{c4}PFEL", "\u{c9}tude", "MODEL", "model"] {
        assert_eq!(search(&db, &row, &one, text).await, [name], "a search for {text:?}");
    }
}

async fn an_unknown_commit_or_folder_has_no_files(base: &TestDatabase) {
    let db = base.open().await;
    let (row, one) = with(&db, &[folder("f"), file("f/a")]).await;
    for flat in [false, true] {
        for folder in ["f/a", "g", "F"] {
            let asked = FilePage { folder: folder.into(), flat, ..FilePage::default() };
            assert!(page(&db, &row, &one, asked).await.is_empty(), "{folder}");
        }
        assert!(page(&db, &row, &commit('3'), FilePage { flat, ..FilePage::default() }).await.is_empty());
        assert!(page(&db, &id("none"), &one, FilePage { flat, ..FilePage::default() }).await.is_empty());
    }
}

async fn the_files_that_were_used_last_come_first(base: &TestDatabase) {
    let db = base.open().await;
    let git = Entry::File(Artifact {
        path: path("git.json"),
        size: 3,
        content: ContentId::Git(oid(3)),
        oid: Some(oid(3)),
        xet_hash: None,
    });
    let entries = [folder("f"), sized("f/1.bin", 1, 10), sized("f/one.bin", 1, 10), sized("2.bin", 2, 20), git];
    let (row, one) = with(&db, &entries).await;
    assert_eq!(db.last_used_files(&row, &one, 10).await.unwrap(), []);
    put_blob(&db, digest(1), None, 10, 100).await.unwrap();
    put_blob(&db, digest(3), Some(oid(3)), 3, 300).await.unwrap();
    let used = |files: &[(&str, u64, i64)]| -> Vec<(String, u64, i64)> {
        files.iter().map(|(path, size, at)| ((*path).to_owned(), *size, *at)).collect()
    };
    let first = used(&[("git.json", 3, 300), ("f/1.bin", 10, 100), ("f/one.bin", 10, 100)]);
    assert_eq!(db.last_used_files(&row, &one, 10).await.unwrap(), first);
    db.touch_blobs(&[digest(1)], 400).await.unwrap();
    let then = used(&[("f/1.bin", 10, 400), ("f/one.bin", 10, 400), ("git.json", 3, 300)]);
    assert_eq!(db.last_used_files(&row, &one, 10).await.unwrap(), then);
    assert_eq!(db.last_used_files(&row, &one, 1).await.unwrap(), then[..1]);
}
