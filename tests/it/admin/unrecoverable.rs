//! What could not be downloaded again stays in the store until somebody says that it may go.

use std::path::Path;

use mock_hf::Content;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{each, list, number, small_model, text};
use crate::harness::TestHub;
use crate::harness::repos::{MIB, README};

const EVERYTHING: u64 = 1 << 40;
const OWN: &str = "/org/own/resolve/main/model.safetensors";

fn own_weights() -> Content {
    Content::random(77, 2 * MIB)
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A folder that holds org/own, which upstream does not have. A file of it is org/model's too.
fn folder() -> TempDir {
    let disk = tempfile::tempdir().unwrap();
    write(&disk.path().join("org/own/model_index.json"), b"{}");
    write(&disk.path().join("org/own/model.safetensors"), &own_weights().read_all());
    write(&disk.path().join("org/own/README.md"), README.as_bytes());
    disk
}

async fn scanned(hub: &TestHub, disk: &TempDir) {
    hub.done(&hub.order("/v1/scans", json!({"path": disk.path().to_str().unwrap()})).await).await;
}

/// A hub with org/model of upstream's and org/own of a folder.
async fn with_own() -> TestHub {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    hub.done(&hub.download("org/model", json!({})).await).await;
    scanned(&hub, &folder()).await;
    hub
}

async fn evicted(hub: &TestHub, path: &str, body: Value) -> String {
    text(&hub.done(&hub.order(path, body).await).await["outcome"]).to_owned()
}

/// Files and bytes of one part of a plan.
#[track_caller]
fn sum(plan: &Value, part: &str) -> (u64, u64) {
    let name = |unit: &str| if part.is_empty() { unit.to_owned() } else { format!("{part}_{unit}") };
    (number(&plan[name("files")]), number(&plan[name("bytes")]))
}

/// One model's line of a plan.
#[track_caller]
fn line<'a>(plan: &'a Value, name: &str) -> &'a Value {
    let line = list(&plan["models"]).iter().find(|line| line["name"] == name);
    line.unwrap_or_else(|| panic!("no {name}: {plan:#}"))
}

#[tokio::test]
async fn an_eviction_of_the_store_keeps_imported_models_whole() {
    let hub = with_own().await;
    for _ in 0..2 {
        let outcome = evicted(&hub, "/v1/storage/evict", json!({"free_bytes": EVERYTHING})).await;
        hub.get(OWN).await.assert_is(200, &own_weights().read_all());
        // org/model could fetch this again, org/own could not.
        hub.get("/org/own/resolve/main/README.md").await.assert_is(200, README.as_bytes());
        assert_eq!(hub.look("/v1/models/org/own").await["download"], "complete");
        let model = hub.look("/v1/models/org/model/files?flat=true&download_status=completed").await;
        assert_eq!(each(&model["files"], "file_path"), ["README.md"]);
        assert!(outcome.contains("kept 3 files that cannot be downloaded again (2"), "{outcome}");
    }
    let body = json!({"free_bytes": EVERYTHING, "include_unrecoverable": true});
    let outcome = evicted(&hub, "/v1/storage/evict", body).await;
    assert!(outcome.contains("(3 files)") && !outcome.contains("kept"), "{outcome}");
    assert!(outcome.contains("3 of them cannot be downloaded again (2"), "{outcome}");
    assert_eq!(hub.get(OWN).await.status, 504);
    assert_eq!(hub.look("/v1/models/org/own").await["download"], "none");
    hub.finish().await;
}

#[tokio::test]
async fn what_a_forgotten_model_was_imported_with_stays_too() {
    let hub = with_own().await;
    hub.ask("DELETE", "/v1/models/org/own", Value::Null).await;
    let plan = hub.order("/v1/storage/evict/plan", json!({"free_bytes": EVERYTHING})).await;
    let nobodys = &plan["unreferenced"];
    assert_eq!((sum(nobodys, ""), sum(nobodys, "kept")), ((0, 0), (2, 2 * MIB + 2)), "{plan:#}");
    evicted(&hub, "/v1/storage/evict", json!({"free_bytes": EVERYTHING})).await;
    assert_eq!(number(&hub.look("/v1/storage").await["bytes"]), 2 * MIB + 2, "what org/model has too is gone");
    evicted(&hub, "/v1/storage/evict", json!({"free_bytes": EVERYTHING, "include_unrecoverable": true})).await;
    assert_eq!(number(&hub.look("/v1/storage").await["bytes"]), 0);
    hub.finish().await;
}

#[tokio::test]
async fn a_cache_that_upstream_did_not_confirm_stays() {
    let hub = TestHub::builder().set("upstream.offline", "true").start().await;
    let (disk, commit) = (tempfile::tempdir().unwrap(), "a".repeat(40));
    let repo = disk.path().join("models--org--cached");
    write(&repo.join("refs/main"), commit.as_bytes());
    write(&repo.join("blobs").join(own_weights().sha256()), &own_weights().read_all());
    let snapshot = repo.join("snapshots").join(&commit);
    std::fs::create_dir_all(&snapshot).unwrap();
    let target = format!("../../blobs/{}", own_weights().sha256());
    std::os::unix::fs::symlink(target, snapshot.join("model.safetensors")).unwrap();
    scanned(&hub, &disk).await;
    let outcome = evicted(&hub, "/v1/storage/evict", json!({"unused_seconds": 0, "free_bytes": EVERYTHING})).await;
    let path = "/org/cached/resolve/main/model.safetensors";
    hub.get(path).await.assert_is(200, &own_weights().read_all());
    assert!(outcome.contains("kept 1 file that cannot be downloaded again"), "{outcome}");
    hub.finish().await;
}

#[tokio::test]
async fn an_eviction_of_one_model_keeps_what_could_not_be_downloaded_again() {
    let hub = with_own().await;
    let path = "/v1/models/org/own/evict";
    for _ in 0..2 {
        let outcome = evicted(&hub, path, json!({})).await;
        hub.get(OWN).await.assert_is(200, &own_weights().read_all());
        assert!(outcome.contains("(0 files)") && outcome.contains("kept 2 files"), "{outcome}");
    }
    let some = json!({"selection": {"include": ["*.safetensors"]}, "include_unrecoverable": true});
    let job = hub.done(&hub.order(path, some).await).await;
    assert_eq!(job["payload"]["include_unrecoverable"], true, "{job:#}");
    let outcome = text(&job["outcome"]);
    assert!(outcome.contains("(1 file)") && outcome.contains("1 of them cannot be downloaded again"), "{outcome}");
    assert_eq!(hub.get(OWN).await.status, 504);
    hub.get("/org/own/resolve/main/model_index.json").await.assert_is(200, b"{}");
    scanned(&hub, &folder()).await;
    hub.get(OWN).await.assert_is(200, &own_weights().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn the_plan_says_what_is_kept_and_what_could_not_be_downloaded_again() {
    let hub = with_own().await;
    let stored = number(&hub.look("/v1/storage").await["bytes"]);
    let shared = README.len() as u64;
    let (path, alone) = ("/v1/storage/evict/plan", (2, 2 * MIB + 2));
    let own = (3, alone.1 + shared);
    let plan = hub.order(path, json!({"free_bytes": EVERYTHING})).await;
    assert_eq!((sum(&plan, ""), sum(&plan, "kept")), ((2, stored - own.1), own), "{plan:#}");
    assert_eq!(sum(&plan, "unrecoverable"), (0, 0));
    let (model, kept) = (line(&plan, "org/model"), line(&plan, "org/own"));
    assert_eq!((sum(model, ""), sum(model, "kept"), sum(model, "unrecoverable")), (sum(&plan, ""), (0, 0), (0, 0)));
    assert_eq!((sum(kept, ""), sum(kept, "kept"), number(&kept["own_bytes"])), ((0, 0), own, 0));

    let plan = hub.order(path, json!({"free_bytes": EVERYTHING, "include_unrecoverable": true})).await;
    assert_eq!((sum(&plan, ""), sum(&plan, "kept"), sum(&plan, "unrecoverable")), ((5, stored), (0, 0), own));
    let lost = line(&plan, "org/own");
    assert_eq!((sum(lost, ""), sum(lost, "unrecoverable"), number(&lost["own_bytes"])), (own, own, alone.1));
    let model = line(&plan, "org/model");
    assert_eq!((sum(model, ""), sum(model, "unrecoverable")), ((3, stored - alone.1), (0, 0)));

    // Of one model: what another one uses too stays anyway.
    let plan = hub.order("/v1/models/org/own/evict/plan", json!({})).await;
    assert_eq!((sum(&plan, ""), sum(&plan, "kept"), sum(&plan, "unrecoverable")), ((0, 0), alone, (0, 0)));
    let plan = hub.order("/v1/models/org/own/evict/plan", json!({"include_unrecoverable": true})).await;
    assert_eq!((sum(&plan, ""), sum(&plan, "kept"), sum(&plan, "unrecoverable")), (alone, (0, 0), alone));
    let plan = hub.order("/v1/models/org/model/evict/plan", json!({"selection": {"include": ["*.safetensors"]}})).await;
    assert_eq!((sum(&plan, ""), sum(&plan, "kept"), sum(&plan, "unrecoverable")), ((1, 3 * MIB), (0, 0), (0, 0)));
    assert_eq!(sum(line(&plan, "org/model"), ""), (1, 3 * MIB), "{plan:#}");
    // Nothing was removed by planning.
    assert_eq!(number(&hub.look("/v1/storage").await["bytes"]), stored);
    hub.finish().await;
}
