//! Downloads that failed: why, which files they leave out, and how they are dismissed.

use mock_hf::{Content, Fault, Rule};
use serde_json::{Value, json};

use super::jobs::{bytes_done, kept, quiet, slow};
use super::{assert_refused, each, list, number, one_file, small_model, text, weights};
use crate::harness::repos::MIB;
use crate::harness::{TestHub, store};

/// A model whose download fails: upstream refuses its file and gives no reason.
async fn with_failed_download() -> (TestHub, Value) {
    let hub = TestHub::builder().repo(small_model("org/model")).repo(small_model("org/other")).start().await;
    hub.synced("org/model").await;
    let refused =
        || Fault::Status { code: 403, error_code: None, message: String::new(), retry_after: None, ratelimit: None };
    hub.mock.fault(Rule::on_hub("model.safetensors").fault(refused()));
    let job = hub.ended(&hub.download("org/model", json!({})).await).await;
    assert_eq!(job["status"], "failed", "{job:#}");
    (hub, job)
}

#[tokio::test]
async fn a_download_brings_what_is_gone_from_the_disk() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    hub.done(&hub.download("org/model", json!({})).await).await;
    let blob = store::blob_path(hub.data_dir(), &weights().sha256());
    for _ in 0..2 {
        std::fs::remove_file(&blob).unwrap();
        hub.mock.clear_log();
        hub.done(&hub.download("org/model", json!({})).await).await;
        hub.landed().await;
        assert!(blob.exists());
        assert_eq!(hub.cdn_bytes(), 3 * MIB);
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_refusal_without_a_reason_is_no_empty_error() {
    let (hub, job) = with_failed_download().await;
    assert_eq!(text(&job["error"]), "upstream returned 403 Forbidden");
    let again = hub.order(&format!("/v1/jobs/{}/retry", text(&job["id"])), json!({})).await;
    assert_eq!(text(&hub.ended(&again).await["error"]), "upstream returned 403 Forbidden");
    let reply = hub.get("/org/model/resolve/main/model.safetensors").await;
    assert_eq!(reply.error(), (403, "", "upstream returned 403 Forbidden"));
    hub.finish().await;
}

#[tokio::test]
async fn a_failed_job_is_dismissed_and_counts_no_more_until_it_fails_again() {
    let (hub, job) = with_failed_download().await;
    let failed = async || number(&hub.look("/v1/overview").await["jobs_failed"]);
    let path = |verb: &str| format!("/v1/jobs/{}/{verb}", text(&job["id"]));
    assert_eq!(failed().await, 1);
    let dismissed = hub.order(&path("dismiss"), json!({})).await;
    assert_eq!((text(&dismissed["status"]), &dismissed["error"]), ("failed", &job["error"]));
    assert!(dismissed["dismissed_at"].is_string() && number(&dismissed["version"]) > number(&job["version"]));
    assert_eq!(failed().await, 0);
    // Again it stays as it is.
    assert_eq!(hub.order(&path("dismiss"), json!({})).await, dismissed);
    assert_eq!(each(&hub.look("/v1/jobs?status=failed").await["jobs"], "id"), [text(&job["id"])], "it stays listed");
    let hub = hub.restart().await;
    assert_eq!(hub.job(text(&job["id"])).await["dismissed_at"], dismissed["dismissed_at"]);

    let again = hub.ended(&hub.order(&path("retry"), json!({})).await).await;
    assert_eq!((text(&again["status"]), &again["dismissed_at"]), ("failed", &Value::Null));
    assert_eq!(number(&hub.look("/v1/overview").await["jobs_failed"]), 1);
    // What did not fail cannot be dismissed, and what is unknown cannot either.
    hub.mock.clear_faults();
    let done = hub.done(&hub.order(&path("retry"), json!({})).await).await;
    assert_refused(&hub.admin("POST", &path("dismiss"), &json!({})).await, 409, "");
    assert_eq!(hub.job(text(&done["id"])).await["dismissed_at"], Value::Null);
    let none = "/v1/jobs/00000000-0000-7000-8000-000000000000/dismiss";
    assert_refused(&hub.admin("POST", none, &json!({})).await, 404, "");
    hub.finish().await;
}

#[tokio::test]
async fn all_failed_jobs_are_dismissed_in_one_call() {
    let (hub, _) = with_failed_download().await;
    hub.synced("org/other").await;
    hub.ended(&hub.download("org/other", json!({})).await).await;
    let failed = async || number(&hub.look("/v1/overview").await["jobs_failed"]);
    assert_eq!(failed().await, 2);
    assert_eq!(number(&hub.order("/v1/jobs/dismiss", json!({})).await["dismissed"]), 2);
    assert_eq!(failed().await, 0);
    assert_eq!(number(&hub.order("/v1/jobs/dismiss", json!({})).await["dismissed"]), 0);
    // A later failure counts.
    hub.ended(&hub.download("org/other", json!({"selection": {"paths": ["model.safetensors"]}})).await).await;
    assert_eq!(failed().await, 1);
    hub.finish().await;
}

#[tokio::test]
async fn files_tell_which_download_of_them_failed_and_which_part_is_here() {
    let (hub, job) = with_failed_download().await;
    let states = async || {
        let files = hub.look("/v1/models/org/model/files").await["files"].clone();
        let state = |file: &Value| format!("{} {}", text(&file["file_path"]), text(&file["download_status"]));
        list(&files).iter().map(state).collect::<Vec<_>>()
    };
    let one = |state: &str| {
        ["README.md completed", "config.json completed", &format!("model.safetensors {state}")].map(str::to_owned)
    };
    for _ in 0..2 {
        assert_eq!(states().await, one("failed"));
    }
    // A later job about other files says nothing of this one.
    hub.done(&hub.download("org/model", json!({"selection": {"paths": ["README.md"]}})).await).await;
    assert_eq!(states().await, one("failed"));
    // What was dismissed is only not here.
    hub.order(&format!("/v1/jobs/{}/dismiss", text(&job["id"])), json!({})).await;
    assert_eq!(states().await, one("pending"));
    hub.ended(&hub.order(&format!("/v1/jobs/{}/retry", text(&job["id"])), json!({})).await).await;
    assert_eq!(states().await, one("failed"));
    hub.mock.clear_faults();
    hub.done(&hub.download("org/model", json!({})).await).await;
    assert_eq!(states().await, one("completed"));
    // Evicted since: it is missing, and nothing failed.
    hub.done(&hub.order("/v1/models/org/model/evict", json!({"selection": {"paths": ["model.safetensors"]}})).await)
        .await;
    assert_eq!(states().await, one("pending"));
    hub.finish().await;
}

#[tokio::test]
async fn a_part_that_a_stopped_download_left_is_told() {
    let content = Content::random(43, 6 * MIB);
    let hub = slow().repo(one_file("org/big", 43, 6 * MIB)).start().await;
    hub.synced("org/big").await;
    let job = hub.download("org/big", json!({})).await;
    hub.job_until(&job, "a part is here", |job| bytes_done(job) > MIB).await;
    let file = async || hub.look("/v1/models/org/big/files").await["files"][0].clone();
    assert_eq!(text(&file().await["download_status"]), "downloading");
    hub.order(&format!("/v1/jobs/{}/cancel", text(&job["id"])), json!({})).await;
    hub.ended(&job).await;
    quiet(&hub).await;
    for _ in 0..2 {
        let file = file().await;
        let here = (text(&file["download_status"]), number(&file["bytes_here"]));
        assert_eq!(here, ("partial", kept(&hub, &content)), "{file:#}");
    }
    hub.finish().await;
}
