//! The three scenarios of the design document: register, sync, download; by both spellings of the routes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use mock_hf::{Change, Content, Fault, Rule};
use serde_json::{Value, json};

use super::{each, list, number, small_model, text, weights};
use crate::harness::repos::{CONFIG, MIB, README, git_oid};
use crate::harness::{TestHub, store};

#[tokio::test]
async fn a_registered_model_is_in_the_database_and_its_sync_is_enqueued() {
    let hub = TestHub::builder().set("jobs.run", "false").repo(small_model("Wan-AI/Wan2.1")).start().await;
    let model = hub
        .order("/v1/models", json!({"source_repo_id": "Wan-AI/Wan2.1", "revision": "main", "sync_every_seconds": 3600}))
        .await;
    for (member, value) in [
        ("kind", "model"),
        ("vendor", "Wan-AI"),
        ("name", "Wan2.1"),
        ("repo_id", "Wan-AI/Wan2.1"),
        ("source", "huggingface"),
        ("status", "registered"),
        ("revision", "main"),
        ("download", "none"),
    ] {
        assert_eq!(model[member], value, "{member}");
    }
    assert_eq!(model["url"], format!("{}/Wan-AI/Wan2.1", hub.mock.url()));
    assert!(model["registered_at"].is_string() && model["synced_at"].is_null(), "{model:#}");
    assert_eq!(number(&model["sync_every_seconds"]), 3600);
    let job = hub.job(text(&model["active_job_id"])).await;
    assert_eq!((text(&job["kind"]), text(&job["status"])), ("sync", "pending"));
    assert_eq!((&job["model_id"], text(&job["repo_id"])), (&model["id"], "Wan-AI/Wan2.1"));
    assert_eq!(job["priority"], 100);
    // Also after a restart, which runs it.
    let hub = hub.restart_with(&[("jobs.run", "true")]).await;
    hub.done(&job).await;
    let id = text(&model["id"]);
    assert_eq!(hub.look(&format!("/v1/models/{id}")).await["status"], "synced");
    hub.finish().await;
}

#[tokio::test]
async fn a_sync_lists_exactly_what_upstream_has() {
    let hub = TestHub::builder().repo(small_model("org/model").branch("dev").tag("v1")).start().await;
    let model = hub.synced("org/model").await;
    let commit = hub.commit_of("main").await;
    assert_eq!(model["commit"], commit);
    let size = 3 * MIB + (CONFIG.len() + README.len()) as u64;
    assert_eq!((number(&model["files"]), number(&model["bytes"])), (3, size));
    assert_eq!((number(&model["files_here"]), text(&model["visibility"])), (0, "public"));

    let files = hub.look("/v1/models/org/model/files?flat=true").await;
    assert_eq!(files["commit"], commit);
    let shown: Vec<(&str, u64, &str, &str, &str)> = list(&files["files"])
        .iter()
        .map(|file| {
            (
                text(&file["file_path"]),
                number(&file["size_bytes"]),
                text(&file["content_hash"]),
                text(&file["file_type"]),
                text(&file["download_status"]),
            )
        })
        .collect();
    let (readme, config, sha) = (
        format!("git:{}", git_oid(README)),
        format!("git:{}", git_oid(CONFIG)),
        format!("sha256:{}", weights().sha256()),
    );
    assert_eq!(
        shown,
        [
            ("README.md", README.len() as u64, readme.as_str(), "document", "pending"),
            ("config.json", CONFIG.len() as u64, config.as_str(), "config", "pending"),
            ("model.safetensors", 3 * MIB, sha.as_str(), "model", "pending"),
        ]
    );
    let revisions = hub.look("/v1/models/org/model/revisions").await;
    assert_eq!(each(&revisions["revisions"], "name"), ["dev", "main", "v1"]);
    assert!(list(&revisions["revisions"]).iter().all(|revision| revision["commit"] == commit));

    // What is committed upstream is what the next sync says.
    let changes = vec![Change::put("config.json", "{}"), Change::put("new.txt", "new"), Change::delete("README.md")];
    let next = hub.mock.commit("model", "org/model", "main", changes);
    let job = hub.done(&hub.order("/v1/hub/sync", json!({"repo_id": "org/model"})).await).await;
    let said = &job["changes"];
    assert_eq!((&said["from_commit"], text(&said["to_commit"])), (&json!(commit), next.as_str()));
    assert_eq!([&said["added"], &said["changed"], &said["removed"]].map(number), [1, 1, 1]);
    assert_eq!(each(&said["changes"], "file_path"), ["README.md", "config.json", "new.txt"]);
    assert_eq!(each(&said["changes"], "kind"), ["removed", "changed", "added"]);
    assert_eq!(hub.look("/v1/models/org/model").await["commit"], next);
    hub.finish().await;
}

#[tokio::test]
async fn a_download_brings_every_file_and_proves_it() {
    let hub = TestHub::builder().small_segments().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    let job = hub.done(&hub.download("org/model", json!({})).await).await;
    let progress = &job["progress"];
    let size = 3 * MIB + (CONFIG.len() + README.len()) as u64;
    assert_eq!([&progress["files_done"], &progress["files_total"]].map(number), [3, 3], "{job:#}");
    assert_eq!([&progress["bytes_done"], &progress["bytes_total"]].map(number), [size, size], "{job:#}");
    assert!(text(&job["error"]).is_empty() && !text(&job["outcome"]).is_empty());
    assert!(job["started_at"].is_string() && job["finished_at"].is_string());

    let model = hub.look("/v1/models/org/model").await;
    assert_eq!((text(&model["download"]), number(&model["bytes_here"])), ("complete", size));
    let files = hub.look("/v1/models/org/model/files?flat=true").await;
    for (file, right) in list(&files["files"]).iter().zip([README.into(), CONFIG.into(), weights()]) {
        let right: Content = right;
        assert_eq!(file["download_status"], "completed", "{file:#}");
        assert_eq!(file["content_hash"], format!("sha256:{}", right.sha256()));
        let path = Path::new(text(&file["local_path"]));
        assert!(path.starts_with(hub.data_dir()), "{}", path.display());
        assert!(std::fs::read(path).unwrap() == right.read_all(), "{}", path.display());
        assert!(file["last_verified_at"].is_string());
    }
    // From here it is served without upstream.
    hub.mock.stop().await;
    hub.get("/org/model/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn wrong_bytes_once_are_fetched_again_and_wrong_bytes_for_ever_fail_the_job_with_a_reason() {
    let hub = TestHub::builder().small_segments().manual_clock().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    let wrong = Rule::on_cdn("model.safetensors").fault(Fault::FlipByte(9000));
    hub.mock.fault(wrong);
    let job = hub.download("org/model", json!({})).await;
    let failed = hub.let_time_pass_until(&job, "it is given up", |job| job["status"] == "failed").await;
    let error = text(&failed["error"]);
    assert!(error.contains("hash") || error.contains("wrong bytes") || error.contains("sha256"), "{error}");
    assert_eq!(failed["attempts"], failed["max_attempts"]);
    // It is said which file it was.
    let log = hub.look(&format!("/v1/jobs/{}/log", text(&job["id"]))).await;
    assert!(each(&log["lines"], "text").iter().any(|line| line.contains("model.safetensors")), "{log:#}");
    // The others came, the wrong one did not.
    assert_eq!(store::blobs(hub.data_dir()).len(), 2);
    let files = hub.look("/v1/models/org/model/files?flat=true&download_status=pending").await;
    assert_eq!(each(&files["files"], "file_path"), ["model.safetensors"]);

    hub.mock.clear_faults();
    hub.mock.fault(Rule::on_cdn("model.safetensors").times(1).fault(Fault::FlipByte(9000)));
    let again = hub.order(&format!("/v1/jobs/{}/retry", text(&job["id"])), json!({})).await;
    assert_eq!(again["id"], job["id"]);
    let done = hub.let_time_pass_until(&job, "it succeeds", |job| job["status"] == "completed").await;
    assert_eq!(done["error"], "", "what went wrong before is not what it ended with");
    hub.get("/org/model/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn progress_falls_by_a_wrong_body_that_is_thrown_away() {
    let hub = TestHub::builder().small_segments().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    let size = weights().size();
    hub.mock.fault(Rule::on_cdn("model.safetensors").times(1).fault(Fault::FlipByte(9000)));
    let job = hub.download("org/model", json!({"bytes_per_second": MIB})).await;
    let bytes = |job: &Value| number(&job["progress"]["bytes_done"]);
    hub.job_until(&job, "most of it came", |job| bytes(job) > size / 2).await;
    hub.job_until(&job, "it comes again", |job| (1..size / 2).contains(&bytes(job))).await;
    let done = hub.done(&job).await;
    assert_eq!(bytes(&done), number(&done["progress"]["bytes_total"]));
    // For ever wrong, it has none of it when it is given up.
    hub.done(&hub.order("/v1/models/org/model/evict", json!({"selection": {"paths": ["model.safetensors"]}})).await)
        .await;
    hub.mock.fault(Rule::on_cdn("model.safetensors").fault(Fault::FlipByte(9000)));
    let job = hub.download("org/model", json!({"bytes_per_second": 3 * MIB})).await;
    let waits = hub.job_until(&job, "it waits for another try", |job| text(&job["error"]).contains("hash")).await;
    assert!(bytes(&waits) < size / 2, "{waits:#}");
    hub.finish().await;
}

#[tokio::test]
async fn both_spellings_of_the_routes_do_the_same() {
    let hub = TestHub::builder().repo(small_model("org/one")).repo(small_model("org/two")).start().await;
    let one = hub.order("/v1/hub/register", json!({"vendor": "org", "name": "one"})).await;
    assert_eq!(one["id"], hub.register("org/one").await["id"]);
    hub.done(&json!({"id": one["active_job_id"]})).await;
    assert_eq!(hub.look("/v1/hub/models").await, hub.look("/v1/models").await);
    let sync = hub.done(&hub.order("/v1/hub/sync", json!({"model": one["id"]})).await).await;
    assert_eq!(sync["kind"], "sync");
    let body = json!({"repo_id": "org/one", "kind": "model", "selection": {"paths": ["config.json"]}});
    let download = hub.done(&hub.order("/v1/hub/download", body).await).await;
    assert_eq!((text(&download["kind"]), number(&download["progress"]["files_done"])), ("download", 1));
    assert_eq!(hub.look("/v1/hub/jobs").await, hub.look("/v1/jobs").await);
    let empty = tempfile::tempdir().unwrap();
    let scan = json!({"path": empty.path().to_str().unwrap(), "placement": "copy"});
    for path in ["/v1/hub/scan", "/v1/scans"] {
        let reply = hub.admin("POST", path, &scan).await;
        assert!([200, 501].contains(&reply.status), "{path}: {}", reply.text());
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_scan_that_takes_nothing_fails_and_says_why_as_its_preview_does() {
    let hub = TestHub::builder().start().await;
    let disk = tempfile::tempdir().unwrap();
    let folder = disk.path().canonicalize().unwrap().join("org/model");
    std::fs::create_dir_all(&folder).unwrap();
    for name in (100..220).map(|number| format!("{number}.bin")).chain(["config.json".to_owned()]) {
        std::os::unix::fs::symlink("/etc/hostname", folder.join(name)).unwrap();
    }
    let path = json!({"path": disk.path().to_str().unwrap()});
    let first = format!("{}/100.bin: link to something outside the scanned folder", folder.display());
    let preview = hub.order("/v1/scans/preview", path.clone()).await;
    assert_eq!((list(&preview["findings"]).len(), number(&preview["files"])), (0, 0), "{preview:#}");
    assert!(text(&preview["problems"][0]["text"]).contains("outside"), "{preview:#}");
    let job = hub.ended(&hub.order("/v1/scans", path.clone()).await).await;
    assert_eq!((text(&job["status"]), text(&job["error"])), ("failed", &*format!("nothing was imported: {first}")));
    let log = hub.look(&format!("/v1/jobs/{}/log?page_size=500", text(&job["id"]))).await;
    assert!(each(&log["lines"], "text").contains(&"71 more skipped, which are not listed"), "{log:#}");

    File::create(folder.join("weights.bin")).unwrap().write_all(b"right").unwrap();
    let preview = hub.order("/v1/scans/preview", path.clone()).await;
    assert_eq!((list(&preview["findings"]).len(), number(&preview["files"])), (1, 1), "{preview:#}");
    let job = hub.done(&hub.order("/v1/scans", path).await).await;
    let outcome = text(&job["outcome"]);
    assert!(outcome.starts_with("1 repository, 1 file;") && outcome.ends_with(&first), "{outcome}");
    hub.finish().await;
}

#[tokio::test]
async fn a_model_with_a_name_of_one_part_is_named_in_every_way() {
    let hub = TestHub::builder().repo(small_model("gpt2")).start().await;
    let model = hub.synced("gpt2").await;
    let id = text(&model["id"]);
    for path in ["gpt2", id, &id.to_uppercase()] {
        assert_eq!(hub.look(&format!("/v1/models/{path}")).await["id"], id, "{path}");
    }
    for body in [json!({"repo_id": "gpt2"}), json!({"repo_id": "gpt2", "kind": "model"}), json!({"model": "gpt2"})] {
        let job = hub.done(&hub.order("/v1/hub/sync", body.clone()).await).await;
        assert_eq!(job["repo_id"], "gpt2", "{body}");
    }
    hub.done(&hub.order("/v1/hub/download", json!({"repo_id": "gpt2"})).await).await;
    hub.finish().await;
}

#[tokio::test]
async fn a_repository_that_upstream_does_not_show_fails_its_sync_and_says_so() {
    let hub = TestHub::builder().start().await;
    let model = hub.register("org/absent").await;
    let job = hub.ended(&json!({"id": model["active_job_id"]})).await;
    assert_eq!(job["status"], "failed");
    assert!(!text(&job["error"]).is_empty());
    let model = hub.look("/v1/models/org/absent").await;
    assert_eq!((text(&model["status"]), &model["problem"]), ("error", &job["error"]));
    // When it is there it is found.
    hub.mock.put(small_model("org/absent"));
    hub.done(&hub.order("/v1/models/org/absent/sync", Value::Null).await).await;
    let model = hub.look("/v1/models/org/absent").await;
    assert_eq!((text(&model["status"]), text(&model["problem"])), ("synced", ""));
    hub.finish().await;
}
