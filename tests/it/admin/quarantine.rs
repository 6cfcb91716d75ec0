//! What was set aside because its bytes were wrong: it takes space, is seen, is emptied, and does not stay for ever.

use std::time::Duration;

use mock_hf::{Content, Fault, Repo, Rule};
use serde_json::{Value, json};

use super::{assert_refused, each, list, number, one_file, small_model, text, weights};
use crate::harness::repos::{CONFIG, MIB};
use crate::harness::{TestHub, store};

const QUARANTINE: &str = "/v1/storage/quarantine";
const WEIGHTS: &str = "/org/model/resolve/main/model.safetensors";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A hub whose only model is not registered, with its weights stored, then damaged and set aside.
async fn with_one_set_aside(hub: crate::harness::Builder) -> TestHub {
    let hub = hub.repo(small_model("org/model")).start().await;
    hub.get(WEIGHTS).await.assert_is(200, &weights().read_all());
    hub.landed().await;
    set_aside(&hub, &weights()).await;
    hub
}

async fn set_aside(hub: &TestHub, content: &Content) {
    store::damage(hub.data_dir(), &content.sha256(), 100_000);
    let job = hub.ended(&hub.order("/v1/storage/verify", json!({})).await).await;
    assert_eq!(job["status"], "failed", "{job:#}");
}

/// What the limit of the store is compared with is one number wherever it is shown; it is returned.
async fn used(hub: &TestHub) -> u64 {
    let (storage, overview) = (hub.look("/v1/storage").await, hub.look("/v1/overview").await);
    let quarantine = hub.look(QUARANTINE).await;
    assert_eq!(number(&quarantine["bytes"]), number(&storage["quarantine_bytes"]));
    let sizes: u64 = list(&quarantine["files"]).iter().map(|file| number(&file["size_bytes"])).sum();
    assert_eq!(sizes, number(&quarantine["bytes"]), "{quarantine:#}");
    let used = number(&storage["used_bytes"]);
    assert_eq!(used, number(&storage["bytes"]) + number(&storage["quarantine_bytes"]));
    assert_eq!(used, number(&overview["bytes_used"]));
    used
}

#[tokio::test]
async fn what_is_in_quarantine_counts_until_it_is_emptied() {
    let hub = TestHub::builder().repo(one_file("org/big", 80, 3 * MIB)).set("store.limit", "8MiB");
    let hub = with_one_set_aside(hub).await;
    hub.get(WEIGHTS).await.assert_is(200, &weights().read_all());
    hub.landed().await;
    hub.synced("org/big").await;
    let mut hub = hub;
    for _ in 0..2 {
        // 3 MiB stored, 3 MiB set aside: 3 MiB more are too much.
        let plan = hub.order("/v1/models/org/big/plan", json!({})).await;
        assert_eq!((&plan["fits"], number(&plan["disk_free"])), (&json!(false), 2 * MIB), "{plan:#}");
        let warnings = plan["warnings"].to_string();
        assert!(warnings.contains("store limit of 8 MiB") && warnings.contains("3 MiB is quarantined"), "{warnings}");
        assert_eq!(used(&hub).await, 6 * MIB);
        hub = hub.restart().await;
    }
    let job = hub.download("org/big", json!({})).await;
    let waits = hub.job_until(&job, "it waits", |job| job["waiting_for"] != "" && job["status"] == "pending").await;
    let waits = hub
        .job_until(&waits, "it waits for space", |job| text(&job["waiting_for"]).contains("space in the store"))
        .await;
    assert!(text(&waits["waiting_for"]).contains("3 MiB is quarantined"), "{waits:#}");
    hub.order(&format!("/v1/jobs/{}/cancel", text(&job["id"])), json!({})).await;
    let gone = hub.ask("DELETE", QUARANTINE, Value::Null).await;
    assert_eq!((number(&gone["files"]), number(&gone["bytes"])), (1, 3 * MIB));
    assert_eq!((used(&hub).await, store::quarantined(hub.data_dir())), (3 * MIB, 0));
    hub.done(&hub.download("org/big", json!({})).await).await;
    assert_eq!(used(&hub).await, 6 * MIB);
    hub.finish().await;
}

#[tokio::test]
async fn it_is_listed_by_content_time_and_names_and_removed_one_by_one() {
    let hub = with_one_set_aside(TestHub::builder().repo(Repo::model("org/git").file("config.json", CONFIG))).await;
    // Of a file outside LFS, as upstream sent it.
    hub.mock.fault(Rule::on_hub("/api/resolve-cache/").fault(Fault::FlipByte(5)));
    assert!(hub.get("/org/git/resolve/main/config.json").await.status >= 500);
    hub.landed().await;
    hub.mock.clear_faults();
    // Of somebody else.
    let folder = hub.data_dir().join("quarantine");
    let foreign = ["notes.txt", &format!("{}.0{}", weights().sha256(), 7), &format!("{}.x", weights().sha256())];
    for name in foreign {
        std::fs::write(folder.join(name), "mine").unwrap();
    }
    std::fs::create_dir(folder.join(format!("{}.7", weights().sha256()))).unwrap();
    let mut hub = hub;
    for _ in 0..2 {
        let quarantine = hub.look(QUARANTINE).await;
        let files = list(&quarantine["files"]);
        assert_eq!((files.len(), number(&quarantine["total"])), (6, 6), "{quarantine:#}");
        let git = format!("git:{}", crate::harness::repos::git_oid(CONFIG));
        let (small, large) = (&files[0], &files[1]);
        assert_eq!((text(&small["content_hash"]), number(&small["size_bytes"])), (git.as_str(), CONFIG.len() as u64));
        assert_eq!(text(&large["content_hash"]), format!("sha256:{}", weights().sha256()));
        assert_eq!(number(&large["size_bytes"]), 3 * MIB);
        for (file, repo, path) in [(small, "org/git", "config.json"), (large, "org/model", "model.safetensors")] {
            let names = list(&file["named_by"]);
            let name = |name: &Value| format!("{} {}", text(&name["repo_id"]), text(&name["file_path"]));
            assert!(names.iter().any(|one| name(one) == format!("{repo} {path}")), "{file:#}");
            assert_eq!((names[0]["kind"].as_str(), text(&names[0]["model_id"]).len()), (Some("model"), 36));
            let [at, until] = ["quarantined_at", "expires_at"]
                .map(|field| chrono::DateTime::parse_from_rfc3339(text(&file[field])).unwrap().timestamp_millis());
            assert_eq!(until - at, 14 * 24 * 3600 * 1000);
            assert!(text(&file["name"]).ends_with(&format!(".{at}")), "{file:#}");
        }
        for file in &files[2..] {
            assert_eq!((text(&file["content_hash"]), &file["quarantined_at"]), ("", &Value::Null), "{file:#}");
        }
        let names = each(&quarantine["files"], "name");
        assert!(foreign.iter().all(|name| names.contains(name)), "{names:?}");
        hub = hub.restart().await;
    }
    let of = |name: &str| format!("{QUARANTINE}/{name}");
    let first = text(&hub.look(QUARANTINE).await["files"][0]["name"]).to_owned();
    let gone = hub.ask("DELETE", &of(&first), Value::Null).await;
    assert_eq!((number(&gone["files"]), number(&gone["bytes"])), (1, CONFIG.len() as u64));
    assert_refused(&hub.admin("DELETE", &of(&first), &Value::Null).await, 404, "");
    for name in foreign.into_iter().chain(["..%2FVERSION", "..%2F..%2Fx.7"]) {
        assert_refused(&hub.admin("DELETE", &of(name), &Value::Null).await, 400, "name");
    }
    // A folder is nothing that the hub put there, whatever its name.
    assert_refused(&hub.admin("DELETE", &of(&format!("{}.7", weights().sha256())), &Value::Null).await, 404, "");
    let large = hub.ask("DELETE", QUARANTINE, Value::Null).await;
    assert_eq!((number(&large["files"]), number(&large["bytes"])), (1, 3 * MIB));
    // What is not the hub's stays.
    let again = hub.ask("DELETE", QUARANTINE, Value::Null).await;
    assert_eq!((number(&again["files"]), store::quarantined(hub.data_dir())), (0, 4));
    let said = each(&hub.look("/v1/overview").await["recent"], "text").join("\n");
    assert!(said.contains("removed 1 quarantined file (3 MiB)"), "{said}");
    hub.finish().await;
}

#[tokio::test]
async fn it_does_not_stay_longer_than_two_weeks() {
    let mut hub = with_one_set_aside(TestHub::builder().manual_clock()).await;
    std::fs::write(hub.data_dir().join("quarantine/notes.txt"), "mine").unwrap();
    for round in 0..2 {
        hub.clock.advance(13 * DAY);
        hub.hub().models.expire_quarantine().await.unwrap();
        assert_eq!(store::quarantined(hub.data_dir()), 2, "round {round}");
        hub.clock.advance(DAY);
        // By itself.
        crate::harness::eventually("it is removed", || store::quarantined(hub.data_dir()) == 1).await;
        let files = hub.look(QUARANTINE).await;
        assert_eq!(each(&files["files"], "name"), ["notes.txt"]);
        if round == 0 {
            hub.get(WEIGHTS).await.assert_is(200, &weights().read_all());
            hub.landed().await;
            set_aside(&hub, &weights()).await;
            // One that was set aside before the restart has its time too.
            hub = hub.restart().await;
        }
    }
    hub.finish().await;
}
