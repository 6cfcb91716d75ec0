//! Repositories, aliases, pins, grants, remembered answers, settings.

use modelhub::db::{Grant, NamedCommit, Registration, RememberedAnswer};
use modelhub::domain::{RepoId, RepoKey, RepoKind, Visibility};

use crate::database::{TestDatabase, commit, id, key, lfs, on_both, repo, repo_with_commit};
use crate::models::{registration, sync_of};

on_both!(
    a_repository_is_what_upstream_last_said,
    an_alias_leads_to_the_newest_target,
    a_renamed_repository_keeps_its_row,
    two_rows_of_one_repository_become_one,
    a_search_finds_what_it_says_in_any_letter_case_in_the_order_of_bytes,
    a_search_takes_the_wildcards_of_sql_as_they_are,
    a_search_for_what_no_name_can_hold_finds_nothing,
    a_list_shows_the_commit_and_info_of_main_and_nothing_private,
    a_pin_is_what_upstream_last_said,
    a_commit_keeps_its_info_when_it_is_seen_again_without,
    names_differ_by_letter_case_and_have_the_order_of_bytes,
    a_grant_is_upstreams_last_word_for_one_token,
    an_answer_is_kept_byte_for_byte,
    an_answer_with_a_very_long_name_is_not_kept,
    only_the_newest_answers_are_kept,
    a_setting_is_made_once,
);

async fn a_repository_is_what_upstream_last_said(base: &TestDatabase) {
    let db = base.open().await;
    assert!(db.repo(&key("org/model")).await.unwrap().is_none());
    let row = db.put_repo(&key("org/model"), Visibility::Public, &id("id-1"), 10).await.unwrap();
    assert_eq!((row.id.as_str(), row.visibility, row.checked_at), ("id-1", Visibility::Public, 10));
    let row = db.put_repo(&key("org/model"), Visibility::Gated, &id("id-2"), 20).await.unwrap();
    assert_eq!((row.id.as_str(), row.visibility, row.checked_at), ("id-1", Visibility::Gated, 20));
    // The same name as another kind or in other letters is another repository.
    let dataset = RepoKey::new(RepoKind::Dataset, RepoId::parse("org/model").unwrap());
    assert_eq!(db.put_repo(&dataset, Visibility::Private, &id("id-3"), 30).await.unwrap().id, "id-3");
    assert_eq!(db.put_repo(&key("Org/Model"), Visibility::Private, &id("id-4"), 30).await.unwrap().id, "id-4");
    assert_eq!(db.repo(&key("org/model")).await.unwrap().unwrap().id, "id-1");
    // Without an owner.
    db.put_repo(&key("gpt2"), Visibility::Public, &id("id-5"), i64::MAX).await.unwrap();
    assert_eq!(db.repo(&key("gpt2")).await.unwrap().unwrap().checked_at, i64::MAX);
}

async fn an_alias_leads_to_the_newest_target(base: &TestDatabase) {
    let db = base.open().await;
    assert_eq!(db.alias(&key("old/name")).await.unwrap(), None);
    for target in ["org/first", "org/second"] {
        let target = RepoId::parse(target).unwrap();
        db.put_alias(&key("old/name"), &target, 1).await.unwrap();
        assert_eq!(db.alias(&key("old/name")).await.unwrap(), Some(target));
    }
    assert_eq!(db.alias(&key("Old/name")).await.unwrap(), None);
}

async fn a_renamed_repository_keeps_its_row(base: &TestDatabase) {
    let db = base.open().await;
    let (row, one) = repo_with_commit(&db).await;
    let target = key("other/name");
    db.put_alias(&key("first/name"), &key("org/model").id, 1).await.unwrap();
    db.put_alias(&key("org/model"), &target.id, 2).await.unwrap();
    for name in ["first/name", "org/model", "other/name"] {
        let found = db.model_named(&key(name)).await.unwrap().unwrap();
        assert_eq!((found.id.as_str(), &found.key), (row.as_str(), &target));
    }
    assert_eq!(db.repo(&target).await.unwrap().unwrap().id, row);
    assert_eq!(db.revision(&row, "main").await.unwrap().unwrap().commit, one);
}

async fn two_rows_of_one_repository_become_one(base: &TestDatabase) {
    let db = base.open().await;
    let (old, one) = repo_with_commit(&db).await;
    let new = repo(&db, "other/name").await.id;
    db.put_entries(&old, &one, &[lfs("a.bin", 1)]).await.unwrap();
    db.complete_tree(&old, &one).await.unwrap();
    db.put_revision(&new, Some("main"), &commit('2'), None, 2).await.unwrap();
    db.put_revision(&old, Some("v1"), &one, None, 2).await.unwrap();
    db.put_revision(&new, None, &one, Some("{}"), 2).await.unwrap();
    let from = key("org/model");
    let (none, job) = (id(""), sync_of(&from, "job"));
    let asked = registration(&from, &none, &job, 5);
    db.register(&Registration { revision: Some("v1"), sync_every_ms: Some(60_000), ..asked }).await.unwrap();
    db.put_pinned(&old, Some(true), None).await.unwrap();
    db.put_alias(&from, &key("other/name").id, 3).await.unwrap();
    assert_eq!(db.model(&old).await.unwrap(), None);
    db.recount_models(10).await.unwrap();
    let found = db.model_named(&from).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.pinned, found.registered_at), (new.as_str(), true, Some(5)));
    assert_eq!((found.revision.as_str(), found.sync_every_ms, found.files), ("v1", 60_000, 1));
    assert!(db.tree_is_complete(&new, &one).await.unwrap());
    assert_eq!(db.revision(&new, "main").await.unwrap().unwrap().commit, commit('2'), "the newer answer");
    assert_eq!(db.commit_info(&new, &one).await.unwrap().as_deref(), Some("{}"));
}

async fn search(base: &TestDatabase, words: &str) -> Vec<String> {
    let found = base.open().await.public_repos(RepoKind::Model, words, false, 10).await.unwrap();
    found.into_iter().map(|repo| repo.repo_id).collect()
}

async fn a_search_finds_what_it_says_in_any_letter_case_in_the_order_of_bytes(base: &TestDatabase) {
    let db = base.open().await;
    for id in ["a-org/bert", "Z/BERT-large", "a/Bert_x", "a_org/bert", "aa/other"] {
        repo(&db, id).await;
    }
    assert_eq!(search(base, "bErT").await, ["Z/BERT-large", "a-org/bert", "a/Bert_x", "a_org/bert"]);
    assert_eq!(search(base, "").await.len(), 5);
    assert_eq!(db.public_repos(RepoKind::Model, "", false, 2).await.unwrap().len(), 2);
    assert!(db.public_repos(RepoKind::Dataset, "", false, 2).await.unwrap().is_empty());
}

async fn a_search_takes_the_wildcards_of_sql_as_they_are(base: &TestDatabase) {
    let db = base.open().await;
    repo(&db, "org/a_b").await;
    repo(&db, "org/axb").await;
    assert_eq!(search(base, "a_b").await, ["org/a_b"]);
    for nothing in ["%", "a%b", "\\", "a\\_b", "'", "\"", "$1", "--"] {
        assert!(search(base, nothing).await.is_empty(), "{nothing} found something");
    }
}

async fn a_search_for_what_no_name_can_hold_finds_nothing(base: &TestDatabase) {
    repo(&base.open().await, "org/model").await;
    for nothing in ["\0", "model\0", "mo\u{10ffff}del", "m\u{f6}del", "\u{1f600}", "org\nmodel"] {
        assert!(search(base, nothing).await.is_empty(), "{nothing:?} found something");
    }
}

async fn a_list_shows_the_commit_and_info_of_main_and_nothing_private(base: &TestDatabase) {
    let db = base.open().await;
    let known = repo(&db, "org/known").await.id;
    db.put_revision(&known, Some("main"), &commit('1'), Some(r#"{"id":"org/known"}"#), 1).await.unwrap();
    db.put_revision(&known, Some("dev"), &commit('2'), Some("{}"), 1).await.unwrap();
    repo(&db, "org/seen").await;
    db.put_repo(&key("org/gated"), Visibility::Gated, &id("gated"), 1).await.unwrap();
    db.put_repo(&key("org/private"), Visibility::Private, &id("private"), 1).await.unwrap();
    let list = db.public_repos(RepoKind::Model, "", false, 10).await.unwrap();
    let list: Vec<_> = list.iter().map(|r| (r.repo_id.as_str(), r.commit.as_deref(), r.info.as_deref())).collect();
    let ones = commit('1');
    let known = ("org/known", Some(ones.as_str()), Some(r#"{"id":"org/known"}"#));
    assert_eq!(list, [("org/gated", None, None), known, ("org/seen", None, None)]);
}

async fn a_pin_is_what_upstream_last_said(base: &TestDatabase) {
    let db = base.open().await;
    let row = repo(&db, "org/model").await.id;
    assert_eq!(db.revision(&row, "main").await.unwrap(), None);
    for (digit, checked_at) in [('1', 10), ('2', 20)] {
        db.put_revision(&row, Some("main"), &commit(digit), None, checked_at).await.unwrap();
        let pin = NamedCommit { name: "main".into(), commit: commit(digit), checked_at };
        assert_eq!(db.revision(&row, "main").await.unwrap(), Some(pin));
    }
    // A commit alone pins nothing.
    db.put_revision(&row, None, &commit('3'), Some("{}"), 30).await.unwrap();
    assert_eq!(db.revisions(&row).await.unwrap().len(), 1);
    assert!(db.put_revision(&id("no such row"), Some("main"), &commit('1'), None, 1).await.is_err());
    assert_eq!(db.revision(&id("no such row"), "main").await.unwrap(), None);
}

async fn a_commit_keeps_its_info_when_it_is_seen_again_without(base: &TestDatabase) {
    let db = base.open().await;
    let row = repo(&db, "org/model").await.id;
    // JSON's own way to write what PostgreSQL cannot keep in a text stays as it is.
    let info = r#"{"cardData":{"text":"nul \u0000, lone \ud800, é, 😀"}}"#;
    db.put_revision(&row, Some("main"), &commit('1'), Some(info), 1).await.unwrap();
    db.put_revision(&row, Some("v1"), &commit('1'), None, 2).await.unwrap();
    assert_eq!(db.commit_info(&row, &commit('1')).await.unwrap().as_deref(), Some(info));
    db.put_revision(&row, Some("main"), &commit('1'), Some("{}"), 3).await.unwrap();
    assert_eq!(db.commit_info(&row, &commit('1')).await.unwrap().as_deref(), Some("{}"));
    assert_eq!(db.commit_info(&row, &commit('2')).await.unwrap(), None);
}

async fn names_differ_by_letter_case_and_have_the_order_of_bytes(base: &TestDatabase) {
    let db = base.open().await;
    let row = repo(&db, "org/model").await.id;
    let ordered = ["Main", "Z", "a", "a-b", "a.b", "a/b", "a_b", "ab", "main", "refs/pr/1", "é", "ö", "日本", "😀"];
    for name in ordered.iter().rev() {
        db.put_revision(&row, Some(name), &commit('1'), None, 1).await.unwrap();
    }
    let pins = db.revisions(&row).await.unwrap();
    assert_eq!(pins.iter().map(|pin| pin.name.as_str()).collect::<Vec<_>>(), ordered);
    // The same letter written in two ways is two names.
    assert_eq!(db.revision(&row, "e\u{301}").await.unwrap(), None);
}

async fn a_grant_is_upstreams_last_word_for_one_token(base: &TestDatabase) {
    let db = base.open().await;
    let (one, other) = (repo(&db, "org/one").await.id, repo(&db, "org/other").await.id);
    assert_eq!(db.grant(&one, "token").await.unwrap(), None);
    for grant in [Grant { allowed: true, checked_at: 10 }, Grant { allowed: false, checked_at: 20 }] {
        db.put_grant(&one, "token", grant).await.unwrap();
        assert_eq!(db.grant(&one, "token").await.unwrap(), Some(grant));
    }
    assert_eq!(db.grant(&one, "Token").await.unwrap(), None);
    assert_eq!(db.grant(&other, "token").await.unwrap(), None);
}

fn answer(body: Vec<u8>, stored_at: i64) -> RememberedAnswer {
    RememberedAnswer { content_type: "application/json".into(), link: None, body, stored_at }
}

async fn an_answer_is_kept_byte_for_byte(base: &TestDatabase) {
    let db = base.open().await;
    assert_eq!(db.answer("/api/models").await.unwrap(), None);
    let every_byte: Vec<u8> = (0..=255).cycle().take(4 << 20).collect();
    let link = Some("</api/models?cursor=x>; rel=\"next\"".to_owned());
    for answer in [RememberedAnswer { link, ..answer(every_byte, 10) }, answer(Vec::new(), 20)] {
        db.put_answer("/api/models", answer.clone()).await.unwrap();
        assert_eq!(db.answer("/api/models").await.unwrap(), Some(answer));
    }
    assert_eq!(db.answer("/api/Models").await.unwrap(), None);
}

async fn an_answer_with_a_very_long_name_is_not_kept(base: &TestDatabase) {
    let db = base.open().await;
    // What a client asks for has no pattern that a database could shorten.
    let noise = |length: usize| -> String {
        let digits = (0_u64..).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        digits.map(|byte| char::from(b'!' + byte % 90)).take(length).collect()
    };
    for (length, is_kept) in [(2560, true), (2561, false), (20_000, false)] {
        let name = noise(length);
        db.put_answer(&name, answer(b"[]".to_vec(), 1)).await.unwrap();
        assert_eq!(db.answer(&name).await.unwrap().is_some(), is_kept, "{length}");
    }
}

async fn only_the_newest_answers_are_kept(base: &TestDatabase) {
    let db = base.open().await;
    db.prune_answers().await.unwrap();
    let empty = if base.is_postgres() { "''" } else { "x''" };
    base.execute(&format!(
        "insert into remembered_answer (name, content_type, body, stored_at)
            with recursive n (i) as (select 1 union all select i + 1 from n where i < 10005)
            select cast(i as text), 'text/plain', {empty}, i from n"
    ))
    .await;
    db.prune_answers().await.unwrap();
    assert_eq!(base.texts("select cast(count(*) as text) from remembered_answer").await, ["10000"]);
    assert!(db.answer("5").await.unwrap().is_none());
    assert!(db.answer("6").await.unwrap().is_some());
}

async fn a_setting_is_made_once(base: &TestDatabase) {
    let db = base.open().await;
    assert_eq!(db.setting_or("key", || "made".into()).await.unwrap(), "made");
    assert_eq!(db.setting_or("key", || unreachable!("it is there")).await.unwrap(), "made");
    db.close().await;
    assert_eq!(base.open().await.setting_or("key", || unreachable!("it is there")).await.unwrap(), "made");
    // Many who start at once agree.
    let mut starting = tokio::task::JoinSet::new();
    for n in 0..16 {
        let db = base.open().await;
        starting.spawn(async move { db.setting_or("shared", || n.to_string()).await.unwrap() });
    }
    let values = starting.join_all().await;
    assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
}
