//! What a verification found damaged or missing comes back by itself, if upstream can give it.

use std::path::Path;

use mock_hf::{Change, Content, Repo};
use serde_json::{Value, json};

use super::{each, list, number, small_model, text, weights};
use crate::harness::repos::{CONFIG, MIB, README};
use crate::harness::{TestHub, store};

fn damage(hub: &TestHub, content: &Content) {
    store::damage(hub.data_dir(), &content.sha256(), 0);
}

/// A hub that has all of these models, registered.
async fn with_models(repos: Vec<Repo>, ids: &[&str]) -> TestHub {
    let hub = repos.into_iter().fold(TestHub::builder(), |hub, repo| hub.repo(repo)).start().await;
    for id in ids {
        hub.synced(id).await;
        hub.done(&hub.download(id, json!({})).await).await;
    }
    hub
}

/// What became of a verification that found damage, and the lines of its log.
async fn verified(hub: &TestHub, path: &str) -> (Value, Vec<String>) {
    let job = hub.ended(&hub.order(path, json!({})).await).await;
    assert_eq!(job["status"], "failed", "{job:#}");
    let log = hub.look(&format!("/v1/jobs/{}/log", text(&job["id"]))).await;
    (job, each(&log["lines"], "text").into_iter().map(str::to_owned).collect())
}

/// The downloads that are not among those of before, oldest first.
async fn downloads(hub: &TestHub, before: &[String]) -> Vec<Value> {
    let jobs = hub.look("/v1/jobs?kind=download").await;
    let new = list(&jobs["jobs"]).iter().rev().filter(|job| !before.iter().any(|id| id == text(&job["id"])));
    new.cloned().collect()
}

async fn known(hub: &TestHub) -> Vec<String> {
    downloads(hub, &[]).await.iter().map(|job| text(&job["id"]).to_owned()).collect()
}

#[tokio::test]
async fn the_damaged_files_of_a_model_come_back_by_one_job() {
    let mut hub = with_models(vec![small_model("org/model")], &["org/model"]).await;
    for path in ["/v1/storage/verify", "/v1/models/org/model/verify"] {
        let before = known(&hub).await;
        hub.mock.clear_log();
        damage(&hub, &weights());
        damage(&hub, &Content::from(CONFIG));
        std::fs::remove_file(store::blob_path(hub.data_dir(), &Content::from(README).sha256())).unwrap();
        let (job, log) = verified(&hub, path).await;
        let jobs = downloads(&hub, &before).await;
        assert_eq!(jobs.len(), 1, "{jobs:#?}");
        let id = text(&jobs[0]["id"]);
        let said = text(&job["error"]);
        assert!(said.starts_with("3 damaged files: ") && said.contains("config.json of org/model"), "{said}");
        assert!(said.ends_with(&format!("; download again as job {id}")), "{said}");
        let said = format!("org/model: 3 files download again as job {id}");
        assert!(log.iter().any(|line| line.starts_with(&said)), "{log:#?}");
        assert!(log.iter().any(|line| line.contains(&weights().sha256()) && line.contains("model.safetensors")));
        let payload = &jobs[0]["payload"];
        assert_eq!(payload["selection"]["paths"], json!(["README.md", "config.json", "model.safetensors"]));
        assert_eq!(payload["revision"], "main");
        hub.done(&jobs[0]).await;
        assert_eq!(hub.look("/v1/models/org/model").await["download"], "complete");
        let small = (CONFIG.len() + README.len()) as u64;
        assert!((3 * MIB..=3 * MIB + small).contains(&hub.cdn_bytes()), "fetched once: {}", hub.cdn_bytes());
        hub.allow_upstream_calls(0);
        let answers = [("model.safetensors", weights().read_all()), ("config.json", CONFIG.into())];
        for (file, right) in answers.iter().chain(&answers) {
            let reply = hub.get(&format!("/org/model/resolve/main/{file}")).await;
            assert_eq!(reply.served(), "hit", "{file}");
            reply.assert_is(200, right);
        }
        hub.done(&hub.order("/v1/storage/verify", json!({})).await).await;
        hub = hub.restart().await;
    }
    hub.finish().await;
}

#[tokio::test]
async fn each_model_that_has_it_asks_for_it_and_it_is_fetched_once() {
    let (a, b) = (small_model("org/a"), small_model("org/b"));
    let hub = with_models(vec![a, b, small_model("org/unregistered")], &["org/a", "org/b"]).await;
    hub.get("/org/unregistered/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    for _ in 0..2 {
        let before = known(&hub).await;
        damage(&hub, &weights());
        hub.mock.clear_log();
        let (job, _) = verified(&hub, "/v1/storage/verify").await;
        let jobs = downloads(&hub, &before).await;
        let (mut names, mut ids) = (each(&json!(jobs), "repo_id").join(" "), each(&json!(jobs), "id").join(", "));
        if names.starts_with("org/b") {
            names = "org/a org/b".to_owned();
            ids = each(&json!(jobs.iter().rev().collect::<Vec<_>>()), "id").join(", ");
        }
        assert_eq!(names, "org/a org/b");
        let said = text(&job["error"]);
        let whose = "1 damaged file: model.safetensors of org/a and model.safetensors of org/b and others";
        assert!(said.starts_with(&format!("{whose}; downloads again as jobs ")), "{said}");
        assert!(ids.split(", ").all(|id| said.contains(id)), "{said} {ids}");
        for job in &jobs {
            hub.done(job).await;
        }
        assert_eq!(hub.cdn_bytes(), 3 * MIB);
        assert_eq!(hub.get("/org/unregistered/resolve/main/model.safetensors").await.served(), "hit");
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_file_of_an_older_commit_comes_back_from_that_commit() {
    let hub = with_models(vec![small_model("org/model")], &["org/model"]).await;
    let old = text(&hub.look("/v1/models/org/model").await["commit"]).to_owned();
    let new = Content::random(32, MIB);
    hub.mock.commit("model", "org/model", "main", vec![Change::put_lfs("model.safetensors", new.clone())]);
    hub.done(&hub.order("/v1/models/org/model/sync", json!({})).await).await;
    hub.done(&hub.download("org/model", json!({})).await).await;
    for _ in 0..2 {
        let before = known(&hub).await;
        damage(&hub, &weights());
        damage(&hub, &new);
        verified(&hub, "/v1/storage/verify").await;
        let jobs = downloads(&hub, &before).await;
        let mut revisions =
            each(&json!(jobs.iter().map(|job| &job["payload"]).collect::<Vec<_>>()), "revision").join(" ");
        if revisions.starts_with("main") {
            revisions = format!("{old} main");
        }
        assert_eq!(revisions, format!("{old} main"));
        for job in &jobs {
            assert_eq!(job["payload"]["selection"]["paths"], json!(["model.safetensors"]));
            hub.done(job).await;
        }
        for (revision, right) in [(old.as_str(), &weights()), ("main", &new)] {
            let reply = hub.get(&format!("/org/model/resolve/{revision}/model.safetensors")).await;
            assert_eq!(reply.served(), "hit");
            reply.assert_is(200, &right.read_all());
        }
    }
    hub.finish().await;
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn what_upstream_cannot_give_again_is_named_and_what_nobody_registered_waits_for_a_request() {
    let other = Content::random(33, MIB);
    let unregistered = Repo::model("org/other").lfs("other.bin", other.clone());
    let hub = with_models(vec![small_model("org/model"), unregistered], &["org/model"]).await;
    hub.get("/org/other/resolve/main/other.bin").await.assert_is(200, &other.read_all());
    hub.landed().await;
    let (disk, own) = (tempfile::tempdir().unwrap(), Content::random(34, MIB));
    write(&disk.path().join("org/own/model_index.json"), b"{}");
    write(&disk.path().join("org/own/own.safetensors"), &own.read_all());
    hub.done(&hub.order("/v1/scans", json!({"path": disk.path().to_str().unwrap()})).await).await;
    let before = known(&hub).await;
    for content in [&weights(), &other, &own] {
        damage(&hub, content);
    }
    let (job, log) = verified(&hub, "/v1/storage/verify").await;
    let jobs = downloads(&hub, &before).await;
    assert_eq!(each(&json!(jobs), "repo_id"), ["org/model"]);
    let (error, said) = (
        text(&job["error"]),
        format!(
            "; 1 downloads again as job {}; 1 imported from a folder: import that folder again; 1 will be downloaded again on the next request",
            text(&jobs[0]["id"])
        ),
    );
    assert!(error.starts_with("3 damaged files: ") && error.ends_with(&said), "{error}");
    let line = |part: &str| log.iter().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{log:#?}"));
    assert!(
        line(&own.sha256()).contains("own.safetensors of org/own") && line(&own.sha256()).contains("import it again")
    );
    assert!(line(&other.sha256()).contains("on the next request"), "{log:#?}");
    hub.done(&jobs[0]).await;
    for _ in 0..2 {
        hub.get("/org/model/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
        hub.get("/org/other/resolve/main/other.bin").await.assert_is(200, &other.read_all());
        assert_eq!(hub.get("/org/own/resolve/main/own.safetensors").await.status, 504);
    }
    hub.finish().await;
}

#[tokio::test]
async fn offline_nothing_is_ordered_and_the_next_request_brings_it() {
    let hub = with_models(vec![small_model("org/model")], &["org/model"]).await;
    let before = known(&hub).await;
    hub.ask("PATCH", "/v1/settings", json!({"offline": true})).await;
    damage(&hub, &weights());
    let (job, _) = verified(&hub, "/v1/storage/verify").await;
    assert_eq!(
        text(&job["error"]),
        "1 damaged file: model.safetensors of org/model; will be downloaded again on the next request"
    );
    assert_eq!(downloads(&hub, &before).await, Vec::<Value>::new());
    hub.ask("PATCH", "/v1/settings", json!({"offline": false})).await;
    for served in ["miss", "hit"] {
        let reply = hub.get("/org/model/resolve/main/model.safetensors").await;
        assert_eq!(reply.served(), served);
        reply.assert_is(200, &weights().read_all());
        hub.landed().await;
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_verification_that_is_cancelled_orders_what_it_found_so_far() {
    let hub = with_models(vec![small_model("org/model")], &["org/model"]).await;
    let before = known(&hub).await;
    for content in [weights(), Content::from(CONFIG), Content::from(README)] {
        damage(&hub, &content);
    }
    // The first is read at once, and after it nothing for a long time.
    let job = hub.order("/v1/storage/verify", json!({"bytes_per_second": 1})).await;
    let log = format!("/v1/jobs/{}/log", text(&job["id"]));
    let deadline = tokio::time::Instant::now() + super::PATIENCE;
    while !each(&hub.look(&log).await["lines"], "text").iter().any(|line| line.contains("quarantined")) {
        assert!(tokio::time::Instant::now() < deadline, "nothing was found");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    hub.order(&format!("/v1/jobs/{}/cancel", text(&job["id"])), json!({})).await;
    assert_eq!(hub.ended(&job).await["status"], "cancelled");
    let jobs = downloads(&hub, &before).await;
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    assert!(number(&hub.done(&jobs[0]).await["progress"]["files_done"]) >= 1);
    // The rest is found by the next one, in its time.
    let before = known(&hub).await;
    verified(&hub, "/v1/storage/verify").await;
    for job in downloads(&hub, &before).await {
        hub.done(&job).await;
    }
    hub.done(&hub.order("/v1/storage/verify", json!({})).await).await;
    hub.finish().await;
}
