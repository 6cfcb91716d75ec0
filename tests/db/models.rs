//! Models as people see them: registered once, counted right whatever comes and goes, listed in every order.

use std::collections::BTreeMap;

use modelhub::db::{Db, Held, ModelFilter, ModelOrder, ModelRow, Registered, Registration};
use modelhub::domain::job::{JobKind, NewJob};
use modelhub::domain::{
    CommitId, ContentId, JobId, ModelId, ModelSource, ModelStatus, RepoId, RepoKey, RepoKind, Visibility, Work, work,
};

use crate::database::{
    TestDatabase, commit, delete_blob, digest, file, folder, id, key, lfs, oid, on_both, put_blob, repo,
    repo_with_commit,
};

on_both!(
    a_model_is_registered_with_its_job_or_not_at_all,
    registering_again_changes_what_is_given_and_syncs_what_is_not_synced,
    a_model_registered_by_many_at_once_is_one_with_one_job,
    a_model_that_was_only_downloaded_from_can_be_registered,
    models_of_other_kinds_and_letter_cases_are_others,
    counts_follow_every_blob_that_comes_or_goes,
    a_blob_counts_in_every_model_that_has_it,
    counts_follow_the_revision_to_its_new_commit,
    an_empty_file_is_always_here,
    counts_are_made_again_for_a_few_models_at_a_time,
    the_outcome_of_a_sync_is_kept,
    a_pin_and_a_schedule_are_changed_one_by_one,
    syncs_are_due_when_their_time_has_come,
    models_are_listed_in_every_order_both_ways_page_by_page,
    a_list_of_models_is_narrowed_by_every_filter,
    a_search_takes_wildcards_as_they_are,
    a_forgotten_model_leaves_nothing_but_its_blobs,
    changes_between_commits_are_counted_and_named,
);

pub(crate) fn registration<'a>(
    key: &'a RepoKey,
    new_id: &'a ModelId,
    (job, new_job_id): &'a (NewJob, JobId),
    now: i64,
) -> Registration<'a> {
    Registration { key, revision: None, sync_every_ms: None, new_id, job, new_job_id, max_attempts: 5, now }
}

pub(crate) fn sync_of(key: &RepoKey, id: &str) -> (NewJob, JobId) {
    let job = NewJob { work: Work::Sync(work::Sync::default()), repo: None, repo_name: key.to_string(), priority: 100 };
    (job, JobId::new(id))
}

fn at_revision(revision: &str) -> Work {
    Work::Sync(work::Sync { revision: revision.into() })
}

async fn model(db: &Db, id: &ModelId) -> ModelRow {
    db.recount_models(100).await.unwrap();
    db.model(id).await.unwrap().unwrap()
}

/// Files, files here, bytes, bytes here.
async fn counts(db: &Db, id: &ModelId) -> (u64, u64, u64, u64) {
    let row = model(db, id).await;
    (row.files, row.files_here, row.bytes, row.bytes_here)
}

async fn a_model_is_registered_with_its_job_or_not_at_all(base: &TestDatabase) {
    let db = base.open().await;
    let key = key("org/model");
    let (new, job) = (id("row-1"), sync_of(&key, "job-1"));
    let what =
        Registration { revision: Some("dev"), sync_every_ms: Some(60_000), ..registration(&key, &new, &job, 10) };
    let made = db.register(&what).await.unwrap();
    assert_eq!((&made.id, made.again), (&new, false));
    let job = made.job.unwrap();
    assert_eq!((job.id.as_str(), job.repo.as_ref(), job.kind()), ("job-1", Some(&new), JobKind::Sync));
    let row = db.model(&new).await.unwrap().unwrap();
    assert_eq!(db.model_named(&key).await.unwrap().as_ref(), Some(&row));
    assert_eq!(
        row,
        ModelRow {
            id: new,
            key: key.clone(),
            source: ModelSource::HuggingFace,
            status: ModelStatus::Registered,
            problem: String::new(),
            // Upstream has not said who may see it.
            visibility: None,
            pinned: false,
            registered_at: Some(10),
            revision: "dev".into(),
            commit: String::new(),
            files: 0,
            files_here: 0,
            bytes: 0,
            bytes_here: 0,
            created_at: 10,
            synced_at: None,
            last_used_at: None,
            sync_every_ms: 60_000,
        }
    );
    // A job whose id is taken stands for whatever may go wrong.
    let other = RepoKey::new(RepoKind::Dataset, RepoId::parse("org/other").unwrap());
    let job = sync_of(&other, "job-1");
    assert!(db.register(&registration(&other, &id("row-2"), &job, 20)).await.is_err());
    assert_eq!(db.model_named(&other).await.unwrap(), None, "it was registered without its job");
}

async fn registering_again_changes_what_is_given_and_syncs_what_is_not_synced(base: &TestDatabase) {
    let db = base.open().await;
    let key = key("org/model");
    let row = id("row-1");
    db.register(&registration(&key, &row, &sync_of(&key, "job-1"), 10)).await.unwrap();
    let before = db.model(&row).await.unwrap();
    let (other_row, job) = (id("row-2"), sync_of(&key, "job-2"));
    let same = registration(&key, &other_row, &job, 20);
    let Registered { id, job, again } = db.register(&same).await.unwrap();
    assert_eq!((&id, job, again), (&row, None, true));
    assert_eq!(db.model(&row).await.unwrap(), before);
    assert_eq!(base.texts("select id from job").await, ["job-1"]);
    let other = Registration { revision: Some("dev"), sync_every_ms: Some(1), ..same.clone() };
    let dev = db.register(&other).await.unwrap().job.unwrap();
    assert_eq!((dev.id.as_str(), &dev.work), ("job-2", &at_revision("dev")));
    let found = db.model(&row).await.unwrap().unwrap();
    assert_eq!((found.revision.as_str(), found.sync_every_ms, found.registered_at), ("dev", 1, Some(10)));
    db.put_synced(&row, Some("it is gone"), 30).await.unwrap();
    let failed = db.register(&same).await.unwrap().job;
    assert_eq!(failed.unwrap().work, at_revision("dev"), "what failed is tried again");
}

async fn a_model_registered_by_many_at_once_is_one_with_one_job(base: &TestDatabase) {
    let db = base.open().await;
    let mut registering = tokio::task::JoinSet::new();
    for n in 0..16 {
        let db = db.clone();
        registering.spawn(async move {
            let key = key("org/model");
            let (row, job) = (id(&format!("row-{n}")), sync_of(&key, &format!("job-{n}")));
            db.register(&registration(&key, &row, &job, n)).await.unwrap()
        });
    }
    let all = registering.join_all().await;
    assert!(all.iter().all(|made| made.id == all[0].id));
    assert_eq!(base.texts("select cast(count(*) as text) from job").await, ["1"]);
    let live = db.live_job_of(&all[0].id).await.unwrap().unwrap();
    assert!(all.iter().all(|made| made.job.as_ref().is_none_or(|job| job.id == live)), "{all:?}");
    assert!(all.iter().any(|made| !made.again));
}

async fn a_model_that_was_only_downloaded_from_can_be_registered(base: &TestDatabase) {
    let db = base.open().await;
    let (row, _) = repo_with_commit(&db).await;
    assert_eq!(model(&db, &row).await.registered_at, None);
    let key = key("org/model");
    let job = sync_of(&key, "job-1");
    let Registered { id, job, again } = db.register(&registration(&key, &id("row-2"), &job, 20)).await.unwrap();
    assert_eq!((&id, job.unwrap().repo.as_ref(), again), (&row, Some(&row), false));
    let found = model(&db, &row).await;
    assert_eq!((found.registered_at, found.visibility, found.created_at), (Some(20), Some(Visibility::Public), 1));
}

async fn models_of_other_kinds_and_letter_cases_are_others(base: &TestDatabase) {
    let db = base.open().await;
    let name = || RepoId::parse("org/model").unwrap();
    let keys = [
        RepoKey::new(RepoKind::Model, name()),
        RepoKey::new(RepoKind::Dataset, name()),
        RepoKey::new(RepoKind::Space, name()),
        key("Org/Model"),
        key("model"),
    ];
    for (n, key) in keys.iter().enumerate() {
        let (row, job) = (id(&format!("row-{n}")), sync_of(key, &format!("job-{n}")));
        db.register(&registration(key, &row, &job, 1)).await.unwrap();
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(db.model_named(key).await.unwrap().unwrap().id, id(&format!("row-{n}")));
    }
    assert_eq!(db.models(&ModelFilter { limit: 10, ..ModelFilter::default() }).await.unwrap().1, 5);
}

async fn counts_follow_every_blob_that_comes_or_goes(base: &TestDatabase) {
    let db = base.open().await;
    let (row, one) = repo_with_commit(&db).await;
    let tib = 1u64 << 40;
    // Two names of one content, a file of git, and folders, which are no files.
    let entries = [file("config.json"), folder("f"), lfs("f/a.bin", 1), lfs("f/b.bin", 1), lfs("c.bin", 2)];
    db.put_entries(&row, &one, &entries).await.unwrap();
    db.complete_tree(&row, &one).await.unwrap();
    assert_eq!(counts(&db, &row).await, (4, 0, 7 + 3 * tib, 0));
    assert_eq!(model(&db, &row).await.commit, one.as_str());
    put_blob(&db, digest(1), None, tib, 50).await.unwrap();
    assert_eq!(counts(&db, &row).await, (4, 2, 7 + 3 * tib, 2 * tib));
    // A file of git is found by its git id with its size, and by nothing less.
    put_blob(&db, digest(9), Some(oid(7)), 8, 60).await.unwrap();
    assert_eq!(counts(&db, &row).await.1, 2, "of another size");
    put_blob(&db, digest(8), Some(oid(7)), 7, 60).await.unwrap();
    assert_eq!(counts(&db, &row).await, (4, 3, 7 + 3 * tib, 2 * tib + 7));
    assert_eq!(model(&db, &row).await.last_used_at, None, "that files came is no use");
    db.touch_blobs(&[(digest(8), 61)]).await.unwrap();
    assert_eq!(model(&db, &row).await.last_used_at, Some(61));
    delete_blob(&db, digest(1)).await.unwrap();
    assert_eq!(counts(&db, &row).await, (4, 1, 7 + 3 * tib, 7));
    delete_blob(&db, digest(8)).await.unwrap();
    assert_eq!(counts(&db, &row).await, (4, 0, 7 + 3 * tib, 0));
    assert_eq!(model(&db, &row).await.last_used_at, Some(61), "when it was used does not go with its blobs");
    assert_eq!(db.recount_models(100).await.unwrap(), 0, "nothing changed since");
}

async fn a_blob_counts_in_every_model_that_has_it(base: &TestDatabase) {
    let db = base.open().await;
    let mut rows = Vec::new();
    for id in ["org/a", "org/b", "org/c"] {
        let row = repo(&db, id).await.id;
        db.put_revision(&row, Some("main"), &commit('1'), None, 1).await.unwrap();
        let content = if id == "org/c" { 3 } else { 1 };
        db.put_entries(&row, &commit('1'), &[lfs("w.bin", content)]).await.unwrap();
        db.complete_tree(&row, &commit('1')).await.unwrap();
        rows.push(row);
    }
    db.recount_models(100).await.unwrap();
    put_blob(&db, digest(1), None, 1 << 40, 1).await.unwrap();
    assert_eq!(db.recount_models(100).await.unwrap(), 2, "only those that have it are counted again");
    let mut here = Vec::new();
    for row in &rows {
        here.push(counts(&db, row).await.1);
    }
    assert_eq!(here, [1, 1, 0]);
    assert_eq!(db.named_bytes().await.unwrap(), 2 << 40);
}

async fn counts_follow_the_revision_to_its_new_commit(base: &TestDatabase) {
    let db = base.open().await;
    let (row, one) = repo_with_commit(&db).await;
    db.put_entries(&row, &one, &[lfs("a.bin", 1)]).await.unwrap();
    db.complete_tree(&row, &one).await.unwrap();
    assert_eq!(counts(&db, &row).await.0, 1);
    let two = commit('2');
    db.put_revision(&row, Some("main"), &two, None, 2).await.unwrap();
    db.put_entries(&row, &two, &[lfs("a.bin", 1), lfs("b.bin", 2)]).await.unwrap();
    db.complete_tree(&row, &two).await.unwrap();
    let found = model(&db, &row).await;
    assert_eq!((found.commit.as_str(), found.files), (two.as_str(), 2));
    // Another name that moves is no news for a model at main.
    db.put_revision(&row, Some("dev"), &one, None, 3).await.unwrap();
    assert_eq!(model(&db, &row).await.commit, two.as_str());
    // A model that was registered at a commit stays there.
    let (key, fixed) = (key("org/fixed"), id("fixed"));
    let job = sync_of(&key, "job");
    let what = Registration { revision: Some(one.as_str()), ..registration(&key, &fixed, &job, 1) };
    db.register(&what).await.unwrap();
    db.put_revision(&fixed, None, &one, None, 1).await.unwrap();
    db.put_entries(&fixed, &one, &[lfs("a.bin", 1)]).await.unwrap();
    db.complete_tree(&fixed, &one).await.unwrap();
    let found = model(&db, &fixed).await;
    assert_eq!((found.commit.as_str(), found.files), (one.as_str(), 1));
}

async fn an_empty_file_is_always_here(base: &TestDatabase) {
    let db = base.open().await;
    let (row, one) = repo_with_commit(&db).await;
    let modelhub::domain::Entry::File(mut empty) = file("empty.txt") else { unreachable!() };
    let nothing = modelhub::domain::GitOid::parse("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391").unwrap();
    (empty.size, empty.content, empty.oid) = (0, ContentId::Git(nothing), None);
    // One that a cache has lost: only its name is known.
    let modelhub::domain::Entry::File(mut lost) = file("lost.txt") else { unreachable!() };
    (lost.size, lost.content, lost.oid) = (0, ContentId::Git(oid(3)), None);
    let entries = [empty, lost].map(modelhub::domain::Entry::File);
    db.put_entries(&row, &one, &entries).await.unwrap();
    db.complete_tree(&row, &one).await.unwrap();
    assert_eq!(counts(&db, &row).await, (2, 1, 0, 0));
}

async fn counts_are_made_again_for_a_few_models_at_a_time(base: &TestDatabase) {
    let db = base.open().await;
    for n in 0..5 {
        repo(&db, &format!("org/{n}")).await;
    }
    assert_eq!(db.recount_models(2).await.unwrap(), 2);
    assert_eq!(db.recount_models(2).await.unwrap(), 2);
    assert_eq!(db.recount_models(2).await.unwrap(), 1);
    assert_eq!(db.recount_models(2).await.unwrap(), 0);
}

async fn the_outcome_of_a_sync_is_kept(base: &TestDatabase) {
    let db = base.open().await;
    let (row, _) = repo_with_commit(&db).await;
    db.put_synced(&row, Some("it is gone"), 10).await.unwrap();
    let found = model(&db, &row).await;
    assert_eq!((found.status.as_str(), found.problem.as_str(), found.synced_at), ("error", "it is gone", None));
    db.put_synced(&row, None, 20).await.unwrap();
    let found = model(&db, &row).await;
    assert_eq!((found.status, found.problem.as_str(), found.synced_at), (ModelStatus::Synced, "", Some(20)));
    db.put_synced(&row, Some("away"), 30).await.unwrap();
    assert_eq!(model(&db, &row).await.synced_at, Some(20), "what failed is no sync");
}

async fn a_pin_and_a_schedule_are_changed_one_by_one(base: &TestDatabase) {
    let db = base.open().await;
    let row = repo(&db, "org/model").await.id;
    for (pinned, every, expected) in [
        (Some(true), None, (true, 0)),
        (None, Some(60_000), (true, 60_000)),
        (None, None, (true, 60_000)),
        (Some(false), Some(0), (false, 0)),
    ] {
        db.put_pinned(&row, pinned, every).await.unwrap();
        let found = model(&db, &row).await;
        assert_eq!((found.pinned, found.sync_every_ms), expected);
    }
}

async fn syncs_are_due_when_their_time_has_come(base: &TestDatabase) {
    let db = base.open().await;
    for (id, every, synced) in
        [("never", 0, Some(1)), ("old", 100, Some(1000)), ("new", 1000, Some(1000)), ("not-yet", 100, None)]
    {
        let row = repo(&db, id).await.id;
        db.put_pinned(&row, None, Some(every)).await.unwrap();
        if let Some(at) = synced {
            db.put_synced(&row, None, at).await.unwrap();
        }
    }
    let due = async |now, limit| {
        let mut names: Vec<String> =
            db.due_syncs(now, limit).await.unwrap().into_iter().map(|row| row.key.id.to_string()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(due(1099, 10).await, ["not-yet"]);
    assert_eq!(due(1100, 10).await, ["not-yet", "old"]);
    assert_eq!(due(2000, 10).await, ["new", "not-yet", "old"]);
    assert_eq!(due(2000, 1).await.len(), 1);
}

/// Models with equal and unequal sizes, times and names.
async fn some_models(db: &Db) {
    for (n, name) in ["b/x", "a/y", "A/y", "c_d/z", "c-d/z", "z", "a/y-2"].into_iter().enumerate() {
        let n = n as i64;
        let new = id(&format!("row-{n}"));
        let row = db.put_repo(&key(name), Visibility::Public, &new, 100 - n / 2).await.unwrap().id;
        db.put_revision(&row, Some("main"), &commit('1'), None, 1).await.unwrap();
        let content = 10 + (n % 3) as u8;
        db.put_entries(&row, &commit('1'), &[lfs("w.bin", content), lfs("v.bin", 50 + n as u8)]).await.unwrap();
        db.complete_tree(&row, &commit('1')).await.unwrap();
        db.put_synced(&row, (n == 4).then_some("broken"), 1).await.unwrap();
        db.put_pinned(&row, Some(n % 2 == 0), None).await.unwrap();
    }
    put_blob(db, digest(10), None, 1 << 40, 700).await.unwrap();
    put_blob(db, digest(11), None, 1 << 40, 800).await.unwrap();
    put_blob(db, digest(51), None, 1 << 40, 900).await.unwrap();
    db.recount_models(100).await.unwrap();
}

fn place(order: ModelOrder, row: &ModelRow) -> String {
    match order {
        ModelOrder::Name => row.key.id.to_string(),
        ModelOrder::Size => row.bytes.to_string(),
        ModelOrder::Used => row.last_used_at.unwrap_or(0).to_string(),
        ModelOrder::Created => row.created_at.to_string(),
    }
}

async fn models_are_listed_in_every_order_both_ways_page_by_page(base: &TestDatabase) {
    let db = base.open().await;
    some_models(&db).await;
    for order in [ModelOrder::Name, ModelOrder::Size, ModelOrder::Used, ModelOrder::Created] {
        for descending in [false, true] {
            let whole = ModelFilter { order, descending, limit: 100, ..ModelFilter::default() };
            let (all, total) = db.models(&whole).await.unwrap();
            assert_eq!((all.len(), total), (7, 7));
            let key = |row: &ModelRow| {
                let number = place(order, row).parse::<u64>().unwrap_or(0);
                let name = if order == ModelOrder::Name { place(order, row) } else { String::new() };
                (number, name, row.id.clone())
            };
            let mut sorted = all.clone();
            sorted.sort_by_key(key);
            if descending {
                sorted.reverse();
            }
            assert_eq!(all, sorted, "{order:?}, descending: {descending}");
            for limit in [1, 2, 3] {
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let page = ModelFilter { after, limit, ..whole.clone() };
                    let (rows, total) = db.models(&page).await.unwrap();
                    assert_eq!(total, 7, "the total is of all pages");
                    let Some(last) = rows.last() else { break };
                    after = Some((place(order, last), last.id.to_string()));
                    seen.extend(rows);
                }
                assert_eq!(seen, all, "{order:?}, descending: {descending}, pages of {limit}");
            }
        }
    }
}

async fn a_list_of_models_is_narrowed_by_every_filter(base: &TestDatabase) {
    let db = base.open().await;
    some_models(&db).await;
    let dataset = RepoKey::new(RepoKind::Dataset, RepoId::parse("b/x").unwrap());
    db.put_repo(&dataset, Visibility::Public, &id("data"), 1).await.unwrap();
    db.recount_models(100).await.unwrap();
    let list = async |filter: ModelFilter| -> Vec<String> {
        let filter = ModelFilter { limit: 100, ..filter };
        let (rows, total) = db.models(&filter).await.unwrap();
        assert_eq!(rows.len() as u64, total);
        rows.into_iter().map(|row| row.id.as_str().trim_start_matches("row-").to_owned()).collect()
    };
    let none = ModelFilter::default;
    assert_eq!(list(ModelFilter { kind: Some(RepoKind::Dataset), ..none() }).await, ["data"]);
    assert_eq!(list(ModelFilter { status: Some(ModelStatus::Error), ..none() }).await, ["4"]);
    let pinned = list(ModelFilter { pinned: Some(true), kind: Some(RepoKind::Model), ..none() }).await;
    assert_eq!(pinned, sorted_by_name(&db, &["0", "2", "4", "6"]).await);
    // 0, 3 and 6 have content 10, 1 and 4 have content 11, of 1 there is all.
    assert_eq!(list(ModelFilter { held: Some(Held::All), ..none() }).await, ["1"]);
    let partial = list(ModelFilter { held: Some(Held::Some), ..none() }).await;
    assert_eq!(partial, sorted_by_name(&db, &["0", "3", "4", "6"]).await);
    let nothing = list(ModelFilter { held: Some(Held::Nothing), kind: Some(RepoKind::Model), ..none() }).await;
    assert_eq!(nothing, sorted_by_name(&db, &["2", "5"]).await);
    let both = ModelFilter { held: Some(Held::Some), pinned: Some(false), search: "C_".into(), ..none() };
    assert_eq!(list(both).await, ["3"]);
}

/// These rows in the order of a list by name.
async fn sorted_by_name(db: &Db, ids: &[&str]) -> Vec<String> {
    let mut names = BTreeMap::new();
    for number in ids {
        let row = db.model(&id(&format!("row-{number}"))).await.unwrap().unwrap();
        names.insert(row.key.id.to_string(), (*number).to_owned());
    }
    names.into_values().collect()
}

async fn a_search_takes_wildcards_as_they_are(base: &TestDatabase) {
    let db = base.open().await;
    some_models(&db).await;
    for (search, found) in [("C_D", 1), ("%", 0), ("a/Y", 3), ("\\", 0), ("\0", 0), ("", 7), ("'", 0), ("ä", 0)] {
        let filter = ModelFilter { search: search.into(), limit: 100, ..ModelFilter::default() };
        let (rows, total) = db.models(&filter).await.unwrap();
        assert_eq!((rows.len(), total), (found, found as u64), "a search for {search:?}");
    }
}

async fn a_forgotten_model_leaves_nothing_but_its_blobs(base: &TestDatabase) {
    let db = base.open().await;
    let (row, one) = repo_with_commit(&db).await;
    db.put_entries(&row, &one, &[lfs("a.bin", 1)]).await.unwrap();
    db.complete_tree(&row, &one).await.unwrap();
    put_blob(&db, digest(1), None, 1 << 40, 1).await.unwrap();
    db.put_missing(&row, &one, &crate::database::path("x"), 1).await.unwrap();
    assert!(db.delete_model(&row).await.unwrap());
    assert!(!db.delete_model(&row).await.unwrap());
    for table in ["model_repo", "model_artifact", "repo_commit", "repo_revision", "missing_path"] {
        assert_eq!(base.texts(&format!("select cast(count(*) as text) from {table}")).await, ["0"], "{table}");
    }
    assert_eq!(db.store_totals().await.unwrap().blobs, 1);
    assert_eq!(db.unreferenced_bytes().await.unwrap(), 1 << 40);
}

async fn changes_between_commits_are_counted_and_named(base: &TestDatabase) {
    let db = base.open().await;
    let (row, one) = repo_with_commit(&db).await;
    let two: CommitId = commit('2');
    db.put_revision(&row, Some("main"), &two, None, 2).await.unwrap();
    let before = [
        file("same.txt"),
        lfs("same.bin", 1),
        lfs("changed.bin", 2),
        lfs("gone.bin", 3),
        folder("f"),
        lfs("ä/é.bin", 4),
    ];
    let after = [
        file("same.txt"),
        lfs("same.bin", 1),
        lfs("changed.bin", 5),
        lfs("f", 6),
        folder("new"),
        lfs("new/\u{1f600}", 7),
    ];
    db.put_entries(&row, &one, &before).await.unwrap();
    db.put_entries(&row, &two, &after).await.unwrap();
    let counted: BTreeMap<String, u64> = db.count_changes(&row, &one, &two).await.unwrap().into_iter().collect();
    let right = [("added", 2), ("changed", 1), ("removed", 2)].map(|(what, n)| (what.to_owned(), n));
    assert_eq!(counted, BTreeMap::from(right));
    let named = db.first_changes(&row, &one, &two, 100).await.unwrap();
    let shown: Vec<_> = named.iter().map(|(what, path, size)| (what.as_str(), path.as_str(), *size)).collect();
    let tib = 1u64 << 40;
    assert_eq!(
        shown,
        [
            ("changed", "changed.bin", tib),
            ("added", "f", tib),
            ("removed", "gone.bin", tib),
            ("added", "new/\u{1f600}", tib),
            ("removed", "ä/é.bin", tib),
        ]
    );
    assert_eq!(db.first_changes(&row, &one, &two, 2).await.unwrap(), named[..2]);
    assert!(db.count_changes(&row, &two, &two).await.unwrap().is_empty());
}
