//! Care of the store: read again, made room in, and what it says of itself.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use mock_hf::Content;
use serde_json::json;

use super::{assert_refused, each, list, number, one_file, small_model, text, weights};
use crate::harness::repos::{CONFIG, MIB};
use crate::harness::{TestHub, store};

fn blob(hub: &TestHub, content: &Content) -> PathBuf {
    let hex = content.sha256();
    hub.data_dir().join("blobs/sha256").join(&hex[..2]).join(hex)
}

async fn with_models(ids: &[&str]) -> TestHub {
    let hub = ids.iter().fold(TestHub::builder(), |hub, id| hub.repo(small_model(id))).start().await;
    for id in ids {
        hub.synced(id).await;
        hub.done(&hub.download(id, json!({})).await).await;
    }
    hub
}

/// One byte of a stored file becomes another, as a failing disk does it.
fn flip(path: &std::path::Path) {
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
    let mut permissions = path.metadata().unwrap().permissions();
    permissions.set_mode(0o644);
    std::fs::set_permissions(path, permissions).unwrap();
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let (mut byte, middle) = ([0], file.metadata().unwrap().len() / 2);
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[!byte[0]], middle).unwrap();
}

#[tokio::test]
async fn a_verification_finds_a_flipped_byte_sets_it_aside_and_the_next_reader_gets_right_bytes() {
    let hub = with_models(&["org/model"]).await;
    let right = hub.done(&hub.order("/v1/models/org/model/verify", json!({})).await).await;
    assert!(text(&right["outcome"]).contains('3'), "{right:#}");
    flip(&blob(&hub, &weights()));
    for (path, body) in [("/v1/storage/verify", json!({})), ("/v1/models/org/model/verify", json!({}))] {
        if path.contains("models") {
            // Fetched again since, by itself, and broken again.
            flip(&blob(&hub, &weights()));
        }
        let aside = store::quarantined(hub.data_dir());
        let before = list(&hub.look("/v1/jobs?kind=download").await["jobs"]).len();
        hub.mock.clear_log();
        let job = hub.ended(&hub.order(path, body).await).await;
        assert_eq!(job["status"], "failed", "{job:#}");
        let said = "1 damaged file: model.safetensors of org/model; downloads again as job ";
        assert!(text(&job["error"]).starts_with(said), "{job:#}");
        let log = hub.look(&format!("/v1/jobs/{}/log", text(&job["id"]))).await;
        assert!(each(&log["lines"], "text").iter().any(|line| line.contains(&weights().sha256())), "{log:#}");
        let named = |line: &&str| line.starts_with("model.safetensors of org/model: sha256:");
        assert!(each(&log["lines"], "text").iter().any(named), "{log:#}");
        assert_eq!(store::quarantined(hub.data_dir()), aside + 1);
        // Whoever asks first, a client or the job that fetches it again: right bytes, fetched once.
        hub.get("/org/model/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
        let downloads = hub.look("/v1/jobs?kind=download").await;
        assert_eq!(list(&downloads["jobs"]).len(), before + 1, "{downloads:#}");
        let again = hub.done(&downloads["jobs"][0]).await;
        assert_eq!(again["payload"]["selection"]["paths"], json!(["model.safetensors"]));
        hub.landed().await;
        assert_eq!(hub.cdn_bytes(), 3 * MIB, "it is fetched again, once");
        assert_eq!(hub.get("/org/model/resolve/main/model.safetensors").await.served(), "hit");
        assert_eq!(hub.look("/v1/models/org/model").await["download"], "complete");
    }
    assert_eq!(number(&hub.look("/v1/storage").await["quarantine_bytes"]), 6 * MIB);
    hub.done(&hub.order("/v1/storage/verify", json!({})).await).await;
    hub.finish().await;
}

#[tokio::test]
async fn a_verification_says_what_has_to_be_imported_again() {
    let hub = TestHub::builder().start().await;
    let disk = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(disk.path().join("org/own")).unwrap();
    File::create(disk.path().join("org/own/model_index.json")).unwrap().write_all(b"{}").unwrap();
    File::create(disk.path().join("org/own/model.safetensors")).unwrap().write_all(&weights().read_all()).unwrap();
    hub.done(&hub.order("/v1/scans", json!({"path": disk.path().to_str().unwrap()})).await).await;
    flip(&blob(&hub, &weights()));
    let job = hub.ended(&hub.order("/v1/storage/verify", json!({})).await).await;
    let said = "1 damaged file: model.safetensors of org/own; imported from a folder: import that folder again";
    assert_eq!((text(&job["status"]), text(&job["error"])), ("failed", said));
    hub.done(&hub.order("/v1/scans", json!({"path": disk.path().to_str().unwrap()})).await).await;
    hub.get("/org/own/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_verification_notes_what_is_missing_and_comes_to_an_end() {
    let hub = with_models(&["org/model"]).await;
    std::fs::remove_file(blob(&hub, &weights())).unwrap();
    let job = hub.ended(&hub.order("/v1/storage/verify", json!({})).await).await;
    assert_eq!((text(&job["status"]), &job["attempts"]), ("failed", &json!(1)), "{job:#}");
    let log = hub.look(&format!("/v1/jobs/{}/log", text(&job["id"]))).await;
    assert!(each(&log["lines"], "text").iter().any(|line| line.contains("missing")), "{log:#}");
    // It comes back by a job of its own.
    hub.done(&hub.look("/v1/jobs?kind=download").await["jobs"][0]).await;
    assert_eq!(hub.look("/v1/models/org/model").await["download"], "complete");
    hub.get("/org/model/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn only_the_selected_files_are_verified_and_say_when() {
    let hub = with_models(&["org/model"]).await;
    flip(&blob(&hub, &weights()));
    let body = json!({"selection": {"include": ["*.json"]}});
    let job = hub.done(&hub.order("/v1/models/org/model/verify", body).await).await;
    assert_eq!(number(&job["progress"]["files_done"]), 1, "{job:#}");
    // What nobody looked at is still taken for right; put it right for the last check of this test.
    std::fs::remove_file(blob(&hub, &weights())).unwrap();
    hub.finish().await;
}

#[tokio::test]
async fn evicting_a_model_frees_its_own_files_and_keeps_what_others_use() {
    let mut hub = with_models(&["org/a", "org/b"]).await;
    hub.mock.commit("model", "org/a", "main", vec![mock_hf::Change::put_lfs("own.bin", Content::random(5, MIB))]);
    hub.done(&hub.order("/v1/models/org/a/sync", json!({})).await).await;
    hub.done(&hub.download("org/a", json!({})).await).await;
    let stored = number(&hub.look("/v1/storage").await["bytes"]);
    let job = hub.done(&hub.order("/v1/models/org/a/evict", json!({})).await).await;
    assert!(text(&job["outcome"]).contains("(1 file); kept 3 files that other models use"), "{job:#}");
    assert_eq!(number(&hub.look("/v1/storage").await["bytes"]), stored - MIB);
    assert!(!blob(&hub, &Content::random(5, MIB)).exists() && blob(&hub, &weights()).exists());
    assert_eq!(hub.look("/v1/models/org/b").await["download"], "complete");
    hub.allow_upstream_calls(0);
    hub.get("/org/b/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_pinned_model_is_never_evicted() {
    let hub = with_models(&["org/model"]).await;
    // Asked before it was pinned, run after.
    let hub = hub.restart_with(&[("jobs.run", "false")]).await;
    let job = hub.order("/v1/models/org/model/evict", json!({})).await;
    hub.order("/v1/models/org/model/pin", json!({})).await;
    let refused = hub.admin("POST", "/v1/models/org/model/evict", &json!({"revision": "main"})).await;
    assert_refused(&refused, 409, "");
    assert!(text(&refused.json()["detail"]).contains("pinned"));
    let hub = hub.restart_with(&[("jobs.run", "true")]).await;
    let job = hub.ended(&job).await;
    assert_eq!(hub.look("/v1/models/org/model").await["download"], "complete", "{job:#}");
    assert_eq!(job["status"], "failed", "{job:#}");
    let everything = json!({"free_bytes": 1u64 << 40});
    let plan = hub.order("/v1/storage/evict/plan", everything.clone()).await;
    assert_eq!((number(&plan["files"]), number(&plan["bytes"])), (0, 0));
    hub.done(&hub.order("/v1/storage/evict", everything.clone()).await).await;
    assert_eq!(hub.look("/v1/models/org/model").await["download"], "complete");
    hub.order("/v1/models/org/model/pin", json!({"pinned": false})).await;
    hub.done(&hub.order("/v1/storage/evict", everything).await).await;
    assert_eq!(number(&hub.look("/v1/storage").await["bytes"]), 0);
    assert_eq!(hub.look("/v1/models/org/model").await["download"], "none");
    hub.finish().await;
}

#[tokio::test]
async fn the_store_is_freed_least_recently_used_first_until_it_is_enough() {
    let hub = TestHub::builder().manual_clock();
    let hub = (0..4).fold(hub, |hub, n| hub.repo(one_file(&format!("org/m{n}"), 80 + n, MIB))).start().await;
    for n in 0..4 {
        hub.synced(&format!("org/m{n}")).await;
        hub.done(&hub.download(&format!("org/m{n}"), json!({})).await).await;
        hub.clock.advance(std::time::Duration::from_secs(3600));
    }
    let plan = hub.order("/v1/storage/evict/plan", json!({"free_bytes": MIB + 1})).await;
    assert_eq!((number(&plan["files"]), number(&plan["bytes"])), (2, 2 * MIB));
    let losers: Vec<(&str, u64)> =
        list(&plan["models"]).iter().map(|line| (text(&line["name"]), number(&line["bytes"]))).collect();
    assert_eq!(losers, [("org/m0", MIB), ("org/m1", MIB)]);
    let unused = hub.order("/v1/storage/evict/plan", json!({"unused_seconds": 5400})).await;
    assert_eq!(number(&unused["files"]), 3, "{unused:#}");
    // Of these only what was chosen, as the lines of the plan name it.
    let id = text(&list(&plan["models"])[1]["model_id"]).to_owned();
    let second = json!({"free_bytes": MIB + 1, "only": {"model_ids": [id]}});
    let chosen = hub.order("/v1/storage/evict/plan", second.clone()).await;
    assert_eq!(each(&chosen["models"], "name"), ["org/m1"]);
    let nothing = hub.admin("POST", "/v1/storage/evict", &json!({"unused_seconds": 1, "only": {}})).await;
    assert_refused(&nothing, 400, "only");
    let job = hub.done(&hub.order("/v1/storage/evict", second).await).await;
    assert!(text(&job["outcome"]).contains("1 file"), "{job:#}");
    assert_eq!(hub.look("/v1/models/org/m0").await["download"], "complete");
    let job = hub.done(&hub.order("/v1/storage/evict", json!({"free_bytes": 1})).await).await;
    assert!(text(&job["outcome"]).contains("1 file"), "{job:#}");
    let mut left = Vec::new();
    for n in 0..4 {
        left.push(hub.look(&format!("/v1/models/org/m{n}")).await["download"].clone());
    }
    assert_eq!(left, ["none", "none", "complete", "complete"]);
    hub.finish().await;
}

#[tokio::test]
async fn who_reads_a_file_that_is_evicted_reads_to_its_end() {
    let content = Content::random(90, 8 * MIB);
    let hub = TestHub::builder().repo(one_file("org/big", 90, 8 * MIB)).start().await;
    hub.synced("org/big").await;
    hub.done(&hub.download("org/big", json!({})).await).await;
    let url = hub.at("/org/big/resolve/main/big.bin");
    let mut response = hub.client.send("GET", &url, &[], "").await.unwrap();
    let mut got = response.chunk().await.unwrap().unwrap().to_vec();
    hub.done(&hub.order("/v1/models/org/big/evict", json!({})).await).await;
    assert!(!blob(&hub, &content).exists());
    while let Some(chunk) = response.chunk().await.unwrap() {
        got.extend_from_slice(&chunk);
    }
    assert!(got == content.read_all());
    hub.finish().await;
}

#[tokio::test]
async fn the_storage_says_what_takes_the_space() {
    let hub = with_models(&["org/a", "org/b"]).await;
    hub.mock.commit("model", "org/a", "main", vec![mock_hf::Change::put_lfs("own.gguf", Content::random(5, MIB))]);
    hub.done(&hub.order("/v1/models/org/a/sync", json!({})).await).await;
    hub.done(&hub.download("org/a", json!({})).await).await;
    let storage = hub.look("/v1/storage").await;
    let small = number(&storage["bytes"]) - 4 * MIB;
    assert_eq!(number(&storage["blobs"]), 4);
    let models: Vec<(&str, u64, u64)> = list(&storage["models"])
        .iter()
        .map(|line| (text(&line["name"]), number(&line["bytes"]), number(&line["own_bytes"])))
        .collect();
    assert_eq!(models, [("org/a", 4 * MIB + small, MIB), ("org/b", 3 * MIB + small, 0)]);
    let formats: Vec<(&str, u64)> =
        list(&storage["formats"]).iter().map(|line| (text(&line["name"]), number(&line["bytes"]))).collect();
    assert!(formats.contains(&("gguf", MIB)) && formats.contains(&("safetensors", 3 * MIB)), "{formats:?}");
    let sum: u64 = formats.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(sum, number(&storage["bytes"]), "{formats:?}");
    assert_eq!(number(&storage["unreferenced_bytes"]), 0);
    assert!(number(&storage["disk_total"]) >= number(&storage["disk_free"]));
    assert_eq!(storage["models"][0]["model_id"], hub.look("/v1/models/org/a").await["id"]);
    let overview = hub.look("/v1/overview").await;
    assert_eq!(number(&overview["bytes_shared"]), 3 * MIB + small);
    hub.finish().await;
}

#[tokio::test]
async fn a_verification_names_the_models_of_what_it_finds() {
    let hub = with_models(&["org/a", "org/b"]).await;
    for round in ["first", "second"] {
        for content in [weights(), Content::from(CONFIG)] {
            flip(&blob(&hub, &content));
        }
        let job = hub.ended(&hub.order("/v1/storage/verify", json!({})).await).await;
        let (shared, small) = ("model.safetensors of org/a and model.safetensors of org/b", "config.json of org/a and");
        let error = text(&job["error"]);
        assert!(
            error.starts_with("2 damaged files: ") && error.contains(shared) && error.contains(small),
            "{round} {error}"
        );
        let log = hub.look(&format!("/v1/jobs/{}/log", text(&job["id"]))).await;
        let named = each(&log["lines"], "text").iter().filter(|line| line.contains("org/a and")).count();
        // One line for each, and the last one with both.
        assert_eq!(named, 3, "{log:#}");
        for id in ["org/a", "org/b"] {
            hub.done(&hub.download(id, json!({})).await).await;
        }
    }
    hub.finish().await;
}
