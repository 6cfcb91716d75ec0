//! What takes the space of the store, and what may leave it.

use modelhub::db::{BlobRow, Db, Eviction, EvictionRule, ScannedFile, UsageRow, VictimFilter};
use modelhub::domain::job::NewJob;
use modelhub::domain::{Artifact, ContentId, Digest, Entry, JobId, ModelId, NamePattern, Origin, Work, work};

use crate::database::{TestDatabase, commit, digest, file, id, key, oid, on_both, path, put_blob, repo};

on_both!(
    usage_counts_each_content_once_and_tells_what_a_model_has_alone,
    usage_is_of_all_known_commits_and_is_listed_largest_first,
    what_no_file_names_is_unreferenced,
    what_is_pinned_stays_and_the_rest_goes_least_recently_used_first,
    what_could_not_be_downloaded_again_stays_unless_it_is_included,
    what_is_unrecoverable_is_decided_by_who_names_a_blob,
    content_that_another_model_has_is_used_elsewhere,
    blobs_are_read_in_pages,
    each_stored_content_has_a_name_for_sums_by_format,
    a_blob_that_was_read_again_says_when,
    what_the_store_may_remove_is_nobodys_need,
    what_is_of_a_whole_model_and_whose_it_is_are_told,
);

pub(crate) fn sized(name: &str, content: u8, size: u64) -> Entry {
    let content = ContentId::Sha256(digest(content));
    Entry::File(Artifact { path: path(name), size, content, oid: None, xet_hash: None })
}

pub(crate) async fn model(db: &Db, id: &str, entries: &[Entry]) -> ModelId {
    let row = repo(db, id).await.id;
    add_commit(db, &row, '1', entries).await;
    row
}

async fn add_commit(db: &Db, row: &ModelId, digit: char, entries: &[Entry]) {
    db.put_revision(row, Some("main"), &commit(digit), None, 1).await.unwrap();
    db.put_entries(row, &commit(digit), entries).await.unwrap();
    db.complete_tree(row, &commit(digit)).await.unwrap();
}

pub(crate) async fn blob(db: &Db, content: u8, size: u64, used: i64) {
    put_blob(db, digest(content), None, size, used).await.unwrap();
}

/// Name, files, bytes, own bytes, last use.
async fn usage(db: &Db) -> Vec<(String, u64, u64, u64, Option<i64>)> {
    let rows = db.usage(100).await.unwrap();
    rows.into_iter().map(|row| (row.name, row.files, row.bytes, row.own_bytes, row.last_used_at)).collect()
}

async fn usage_counts_each_content_once_and_tells_what_a_model_has_alone(base: &TestDatabase) {
    let db = base.open().await;
    assert!(db.usage(100).await.unwrap().is_empty());
    let a = model(&db, "org/a", &[sized("1", 1, 100), sized("twice", 1, 100), sized("2", 2, 20), sized("far", 9, 900)])
        .await;
    model(&db, "org/b", &[sized("x", 1, 100), file("git.txt")]).await;
    model(&db, "org/empty", &[sized("far", 9, 900)]).await;
    blob(&db, 1, 100, 5).await;
    blob(&db, 2, 20, 7).await;
    put_blob(&db, digest(3), Some(oid(7)), 7, 6).await.unwrap();
    let (one, other) = ("org/a".to_owned(), "org/b".to_owned());
    assert_eq!(usage(&db).await, [(one, 2, 120, 20, None), (other, 2, 107, 7, None)], "nobody used them yet");
    assert_eq!(db.usage(1).await.unwrap().len(), 1);
    assert!(!db.usage(1).await.unwrap()[0].pinned);
    db.put_pinned(&a, Some(true), None).await.unwrap();
    let first = &db.usage(1).await.unwrap()[0];
    assert_eq!((first.pinned, first.id.as_str()), (true, a.as_str()));
}

async fn usage_is_of_all_known_commits_and_is_listed_largest_first(base: &TestDatabase) {
    let db = base.open().await;
    let a = model(&db, "org/a", &[sized("w", 1, 100)]).await;
    add_commit(&db, &a, '2', &[sized("w", 2, 1 << 50)]).await;
    model(&db, "org/b", &[sized("w", 3, 1000)]).await;
    for (content, size) in [(1, 100), (2, 1 << 50), (3, 1000)] {
        blob(&db, content, size, 1).await;
    }
    let bytes: Vec<u64> = usage(&db).await.into_iter().map(|row| row.2).collect();
    assert_eq!(bytes, [(1 << 50) + 100, 1000]);
}

async fn what_no_file_names_is_unreferenced(base: &TestDatabase) {
    let db = base.open().await;
    assert_eq!(db.unreferenced_bytes().await.unwrap(), 0);
    let row = model(&db, "org/a", &[sized("w", 1, 100), file("git.txt")]).await;
    blob(&db, 1, 100, 1).await;
    put_blob(&db, digest(2), Some(oid(7)), 7, 1).await.unwrap();
    assert_eq!(db.unreferenced_bytes().await.unwrap(), 0);
    // Of the same git id, but not of the size that the file has.
    put_blob(&db, digest(3), Some(oid(7)), 8, 1).await.unwrap();
    blob(&db, 4, 1000, 1).await;
    assert_eq!(db.unreferenced_bytes().await.unwrap(), 1008);
    db.delete_model(&row).await.unwrap();
    assert_eq!(db.unreferenced_bytes().await.unwrap(), 1115);
}

pub(crate) fn row(content: u8, size: u64) -> (Digest, u64) {
    (digest(content), size)
}

pub(crate) fn named(rows: Vec<BlobRow>) -> Vec<(Digest, u64)> {
    rows.iter().map(|row| (row.digest, row.size)).collect()
}

pub(crate) fn rule(unused_since: i64, free_bytes: u64, include_unrecoverable: bool) -> EvictionRule {
    EvictionRule { unused_since, free_bytes, include_unrecoverable, only: None }
}

async fn what_is_pinned_stays_and_the_rest_goes_least_recently_used_first(base: &TestDatabase) {
    let db = base.open().await;
    let pinned = model(&db, "org/pinned", &[sized("w", 1, 100), file("git.txt")]).await;
    model(&db, "org/other", &[sized("shared", 1, 100), sized("own", 2, 20)]).await;
    blob(&db, 1, 100, 10).await;
    blob(&db, 2, 20, 30).await;
    put_blob(&db, digest(3), Some(oid(7)), 7, 5).await.unwrap();
    // Nobody names it.
    blob(&db, 4, 40, 20).await;
    let all = [row(3, 7), row(1, 100), row(4, 40), row(2, 20)];
    assert_eq!(named(db.evictable(&rule(i64::MAX, 0, false), 100).await.unwrap()), all);
    assert_eq!(named(db.evictable(&rule(i64::MAX, 0, false), 2).await.unwrap()), all[..2]);
    // Strictly before: what was used just then is in use.
    assert_eq!(named(db.evictable(&rule(20, 0, false), 100).await.unwrap()), all[..2]);
    // The plan is the same list, cut where enough is freed: 7, 100 (which two models lose), 40, 20.
    let plan = async |before, free| {
        let rule = rule(before, free, false);
        let goes = db.eviction(&rule).await.unwrap().0.goes;
        let models = db.eviction_by_repo(&rule, 100).await.unwrap();
        (goes.files, goes.bytes, models.into_iter().map(|model| model.bytes).sum::<u64>())
    };
    assert_eq!(plan(i64::MAX, 0).await, (4, 167, 227));
    assert_eq!(plan(i64::MAX, 7).await, (1, 7, 7));
    assert_eq!(plan(i64::MAX, 8).await, (2, 107, 207));
    assert_eq!(plan(20, 0).await, (2, 107, 207));
    let losses = db.eviction_by_repo(&rule(i64::MAX, 0, false), 100).await.unwrap();
    let own: Vec<_> = losses.iter().map(|model| (model.name.as_str(), model.bytes, model.own_bytes)).collect();
    let right = [("org/pinned", 107, 7), ("org/other", 120, 20)];
    assert_eq!(own, right, "what they share is nobody's own; who loses the first file comes first");
    db.put_pinned(&pinned, Some(true), None).await.unwrap();
    assert_eq!(named(db.evictable(&rule(i64::MAX, 0, false), 100).await.unwrap()), all[2..]);
    assert_eq!(plan(i64::MAX, 0).await.0, 2);
    // At an older commit it is as pinned.
    add_commit(&db, &pinned, '2', &[sized("w", 9, 900)]).await;
    assert_eq!(named(db.evictable(&rule(i64::MAX, 0, false), 100).await.unwrap()), all[2..]);
    db.touch_blobs(&[(digest(4), 99)]).await.unwrap();
    assert_eq!(named(db.evictable(&rule(i64::MAX, 0, false), 100).await.unwrap()), [row(2, 20), row(4, 40)]);
}

/// A commit of files that were found on disk.
async fn found(db: &Db, name: &str, origin: Origin, entries: &[Entry]) -> ModelId {
    let row = db.add_repo(&key(name), origin, &id(name), 1).await.unwrap().id;
    db.add_commit(&row, &commit('1'), origin).await.unwrap();
    db.put_entries(&row, &commit('1'), entries).await.unwrap();
    row
}

async fn imported(db: &Db, content: u8) {
    let file = ScannedFile {
        path: format!("/{content}"),
        size: 1,
        modified_ns: 1,
        device: 1,
        inode: 1,
        sha256: digest(content),
        git_oid: oid(content),
        scanned_at: 1,
    };
    db.put_scanned_files(&[file]).await.unwrap();
}

async fn what_could_not_be_downloaded_again_stays_unless_it_is_included(base: &TestDatabase) {
    let db = base.open().await;
    model(&db, "org/model", &[sized("w", 1, 100), sized("shared", 2, 20), sized("late", 5, 5)]).await;
    let own = [sized("w", 3, 1000), sized("shared", 2, 20), file("git.txt")];
    let local = found(&db, "org/own", Origin::Local, &own).await;
    blob(&db, 3, 1000, 10).await;
    blob(&db, 2, 20, 20).await;
    blob(&db, 1, 100, 30).await;
    put_blob(&db, digest(4), Some(oid(7)), 7, 40).await.unwrap();
    blob(&db, 5, 5, 50).await;
    let evictable = async |included, limit| named(db.evictable(&rule(i64::MAX, 0, included), limit).await.unwrap());
    assert_eq!(evictable(false, 100).await, [row(1, 100), row(5, 5)]);
    assert_eq!(evictable(false, 1).await, [row(1, 100)]);
    assert_eq!(evictable(true, 100).await, [row(3, 1000), row(2, 20), row(1, 100), row(4, 7), row(5, 5)]);
    // Goes, lost of it, kept: files and bytes of each.
    let plan = async |before, free, included| {
        let (Eviction { goes, unrecoverable, kept }, _) = db.eviction(&rule(before, free, included)).await.unwrap();
        [goes, unrecoverable, kept].map(|amount| (amount.files, amount.bytes))
    };
    assert_eq!(plan(i64::MAX, 0, false).await, [(2, 105), (0, 0), (3, 1027)]);
    assert_eq!(plan(i64::MAX, 0, true).await, [(5, 1132), (3, 1027), (0, 0)]);
    // What is kept frees nothing, and what comes after enough is freed is not passed by.
    assert_eq!(plan(i64::MAX, 100, false).await, [(1, 100), (0, 0), (2, 1020)]);
    assert_eq!(plan(i64::MAX, 101, false).await, [(2, 105), (0, 0), (3, 1027)]);
    assert_eq!(plan(i64::MAX, 21, true).await, [(1, 1000), (1, 1000), (0, 0)]);
    assert_eq!(plan(30, 0, false).await, [(0, 0), (0, 0), (2, 1020)]);
    // Of each model: loses, alone, lost, kept. What they share, org/model could fetch again, and org/own could not.
    let by_repo = async |included| {
        let rows = db.eviction_by_repo(&rule(i64::MAX, 0, included), 100).await.unwrap();
        let line = |row: UsageRow| (row.name, row.bytes, row.own_bytes, row.unrecoverable.bytes, row.kept.bytes);
        rows.into_iter().map(line).collect::<Vec<_>>()
    };
    let (one, other) = ("org/model".to_owned(), "org/own".to_owned());
    assert_eq!(by_repo(false).await, [(one.clone(), 105, 105, 0, 0), (other.clone(), 0, 0, 0, 1027)]);
    assert_eq!(by_repo(true).await, [(other, 1027, 1007, 1027, 0), (one, 125, 105, 0, 0)]);
    // Pinned it is no eviction's concern at all.
    db.put_pinned(&local, Some(true), None).await.unwrap();
    assert_eq!(evictable(true, 100).await, [row(1, 100), row(5, 5)]);
    assert_eq!(plan(i64::MAX, 0, false).await, [(2, 105), (0, 0), (0, 0)]);
}

async fn what_is_unrecoverable_is_decided_by_who_names_a_blob(base: &TestDatabase) {
    let db = base.open().await;
    let lost = async |content| {
        let lost = db.is_unrecoverable(digest(content)).await.unwrap();
        let goes = named(db.evictable(&rule(i64::MAX, 0, false), 100).await.unwrap());
        assert_eq!(goes.iter().any(|blob| blob.0 == digest(content)), !lost, "both say the same");
        lost
    };
    assert!(!db.is_unrecoverable(digest(1)).await.unwrap(), "it is not here");
    blob(&db, 1, 100, 1).await;
    assert!(!lost(1).await, "nothing names it, and it came from upstream");
    imported(&db, 1).await;
    assert!(lost(1).await, "nothing names it, and it was imported");
    // A cache's commit, until upstream confirms it.
    let cache = found(&db, "org/cached", Origin::Scanned, &[sized("w", 1, 100), sized("v", 2, 20)]).await;
    blob(&db, 2, 20, 1).await;
    assert!(lost(1).await && lost(2).await);
    db.complete_scanned_tree(&cache, &commit('1')).await.unwrap();
    assert!(lost(1).await && lost(2).await);
    db.complete_tree(&cache, &commit('1')).await.unwrap();
    assert!(!lost(1).await && !lost(2).await);
    // A folder's commit stays one, and never asks upstream, whatever other models have.
    let own = found(&db, "org/own", Origin::Local, &[sized("v", 2, 20), sized("own", 3, 30), file("git.txt")]).await;
    db.complete_tree(&own, &commit('1')).await.unwrap();
    blob(&db, 3, 30, 1).await;
    put_blob(&db, digest(4), Some(oid(7)), 7, 1).await.unwrap();
    assert!(lost(2).await && lost(3).await && lost(4).await);
    let other = model(&db, "org/model", &[sized("w", 3, 30), file("git.txt")]).await;
    assert!(lost(3).await && lost(4).await);
    // Upstream turns out to have such a repository, with some of it: one file by its sha256, which is known by its git id.
    add_commit(&db, &own, '2', &[sized("own", 3, 30), sized("git.txt", 4, 7)]).await;
    assert!(lost(2).await && !lost(3).await && !lost(4).await);
    // Of that git id, but of another size.
    put_blob(&db, digest(5), Some(oid(7)), 8, 1).await.unwrap();
    imported(&db, 5).await;
    assert!(lost(5).await);
    db.delete_model(&own).await.unwrap();
    db.delete_model(&other).await.unwrap();
    assert!(!lost(2).await, "of the cache");
    assert!(!lost(3).await && !lost(4).await, "nobody can ask for them any more, and no scan told of them");
}

async fn content_that_another_model_has_is_used_elsewhere(base: &TestDatabase) {
    let db = base.open().await;
    let a = model(&db, "org/a", &[sized("w", 1, 100), sized("own", 2, 20), file("git.txt")]).await;
    let b = model(&db, "org/b", &[sized("w", 1, 100), file("text.md")]).await;
    put_blob(&db, digest(3), Some(oid(7)), 7, 1).await.unwrap();
    let elsewhere = async |content, repo| db.is_used_elsewhere(digest(content), repo).await.unwrap();
    assert!(elsewhere(1, &a).await && elsewhere(1, &b).await);
    assert!(!elsewhere(2, &a).await && elsewhere(2, &b).await);
    assert!(elsewhere(3, &a).await, "by its git id");
    assert!(!elsewhere(4, &a).await);
    db.delete_model(&b).await.unwrap();
    assert!(!elsewhere(1, &a).await && !elsewhere(3, &a).await);
}

async fn blobs_are_read_in_pages(base: &TestDatabase) {
    let db = base.open().await;
    for content in (1..=7).rev() {
        blob(&db, content, u64::from(content), 1).await;
    }
    let (mut seen, mut after) = (Vec::new(), None::<Digest>);
    loop {
        let page = named(db.blob_page(after, 3).await.unwrap());
        let Some(last) = page.last() else { break };
        after = Some(last.0);
        seen.extend(page);
    }
    assert_eq!(seen, (1..=7).map(|content| row(content, u64::from(content))).collect::<Vec<_>>());
}

async fn each_stored_content_has_a_name_for_sums_by_format(base: &TestDatabase) {
    let db = base.open().await;
    model(&db, "org/a", &[sized("z.bin", 1, 100), sized("a.gguf", 1, 100), sized("far", 9, 900), file("git.txt")])
        .await;
    model(&db, "org/b", &[sized("b.gguf", 1, 100)]).await;
    blob(&db, 1, 100, 1).await;
    put_blob(&db, digest(2), Some(oid(7)), 7, 1).await.unwrap();
    // Nothing names it.
    blob(&db, 4, 40, 1).await;
    let names = db.stored_names("", 100).await.unwrap();
    let hex = |content| digest(content).to_hex();
    assert_eq!(names, [(hex(1), "a.gguf".to_owned(), 100), (hex(2), "git.txt".to_owned(), 7)]);
    assert_eq!(db.stored_names("", 1).await.unwrap().len(), 1);
    assert_eq!(db.stored_names(&hex(1), 100).await.unwrap(), names[1..]);
}

async fn a_blob_that_was_read_again_says_when(base: &TestDatabase) {
    let db = base.open().await;
    blob(&db, 1, 100, 1).await;
    let row = db.blob(ContentId::Sha256(digest(1)), 100).await.unwrap().unwrap();
    db.put_verified(&row, None, 50).await.unwrap();
    // Another file has its name by now.
    db.put_verified(&BlobRow { generation: row.generation + 1, ..row }, Some(9), 60).await.unwrap();
    let times = "select cast(created_at as text) || ' ' || cast(verified_at as text) || ' ' || cast(last_used_at as text) from blob";
    assert_eq!(base.texts(times).await, ["1 50 1"]);
}

/// Contents that the store may remove, the longest unused first.
async fn removable(db: &Db, filter: VictimFilter<'_>) -> Vec<u8> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        // In pages of two, so that each list has several.
        let page = db.victims(filter, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.last_used_at, last.blob.digest));
        found.extend(page);
    }
    let bytes: u64 = found.iter().map(|victim| victim.blob.size).sum();
    assert_eq!(db.removable_bytes(filter).await.unwrap(), bytes);
    let content = |blob: Digest| (1..=20).find(|n| digest(*n) == blob).unwrap();
    found.iter().map(|victim| content(victim.blob.digest)).collect()
}

async fn what_the_store_may_remove_is_nobodys_need(base: &TestDatabase) {
    let db = base.open().await;
    let a = model(&db, "Org/a", &[sized("w", 1, 100), sized("shared", 2, 20), file("git.txt")]).await;
    let b = model(&db, "org/b_1", &[sized("shared", 2, 20), sized("own", 3, 30)]).await;
    model(&db, "org/bx1", &[sized("w", 6, 60)]).await;
    blob(&db, 1, 100, 40).await;
    blob(&db, 2, 20, 30).await;
    blob(&db, 3, 30, 20).await;
    blob(&db, 6, 60, 60).await;
    put_blob(&db, digest(4), Some(oid(7)), 7, 10).await.unwrap();
    // Nobody names it.
    blob(&db, 5, 50, 5).await;
    let all = VictimFilter { used_before: i64::MAX, pinned: &[], of: None, but: None, durable: false };
    let pattern = |text: &str| NamePattern::parse(text).unwrap();
    assert_eq!(removable(&db, all).await, [5, 4, 3, 2, 1, 6]);
    assert_eq!(removable(&db, VictimFilter { used_before: 30, ..all }).await, [5, 4, 3], "strictly before");
    let durable = VictimFilter { durable: true, ..all };
    assert!(removable(&db, durable).await.is_empty(), "the object store has nothing");
    for n in [4, 6] {
        db.take_upload(digest(n), "me", 50, 20).await.unwrap();
        assert!(db.put_object(digest(n), None, 60, "me", 20).await.unwrap());
    }
    assert_eq!(removable(&db, durable).await, [4, 6]);
    let pins = [pattern("ORG/A"), pattern("nobody/*")];
    assert_eq!(removable(&db, VictimFilter { pinned: &pins, ..all }).await, [5, 3, 6], "case does not matter");
    assert_eq!(
        removable(&db, VictimFilter { pinned: &[pattern("org/b_1")], ..all }).await,
        [5, 4, 1, 6],
        "_ is itself"
    );
    assert_eq!(removable(&db, VictimFilter { but: Some(&b), ..all }).await, [5, 4, 1, 6]);
    // Only what nobody else has.
    let of = pattern("org/b*");
    assert_eq!(removable(&db, VictimFilter { of: Some(&of), ..all }).await, [3, 6]);
    let everyone = pattern("*");
    assert_eq!(removable(&db, VictimFilter { of: Some(&everyone), ..all }).await, [4, 3, 2, 1, 6]);
    db.put_pinned(&a, Some(true), None).await.unwrap();
    assert_eq!(removable(&db, all).await, [5, 3, 6]);
    db.put_pinned(&a, Some(false), None).await.unwrap();
    // A job is about the model, also one that waits.
    let work = Work::Download(work::Download::default());
    let job = NewJob { work, repo: Some(b.clone()), repo_name: "org/b_1".into(), priority: 0 };
    db.enqueue(&job, &JobId::new("a"), 3, 1).await.unwrap();
    assert_eq!(removable(&db, all).await, [5, 4, 1, 6]);
}

async fn what_is_of_a_whole_model_and_whose_it_is_are_told(base: &TestDatabase) {
    let db = base.open().await;
    model(&db, "org/whole", &[sized("w", 1, 100)]).await;
    model(&db, "org/half", &[sized("w", 2, 20), sized("missing", 9, 90)]).await;
    blob(&db, 1, 100, 1).await;
    blob(&db, 2, 20, 2).await;
    blob(&db, 3, 30, 3).await;
    db.recount_models(100).await.unwrap();
    let filter = VictimFilter { used_before: i64::MAX, pinned: &[], of: None, but: None, durable: false };
    let found = db.victims(filter, None, 10).await.unwrap();
    let told: Vec<_> =
        found.iter().map(|victim| (victim.is_of_whole, victim.model.as_ref().map(|(_, name)| name.as_str()))).collect();
    assert_eq!(told, [(true, Some("org/whole")), (false, Some("org/half")), (false, None)]);
}
