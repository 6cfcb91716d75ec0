//! Jobs that wait say why, and go on when what they wait for has come.

use std::time::Duration;

use mock_hf::{Fault, Rule};
use serde_json::{Value, json};

use super::{each, list, number, one_file, small_model, text};
use crate::harness::TestHub;
use crate::harness::repos::MIB;

fn waits_for<'a>(word: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |job| job["status"] == "pending" && text(&job["waiting_for"]).contains(word)
}

#[tokio::test]
async fn a_store_that_is_full_is_said_and_the_job_goes_on_when_there_is_room() {
    let hub = TestHub::builder().manual_clock().repo(one_file("org/big", 71, 4 * MIB)).start().await;
    hub.synced("org/big").await;
    hub.ask("PATCH", "/v1/settings", json!({"store_limit_bytes": MIB})).await;
    let job = hub.download("org/big", json!({})).await;
    let waiting = hub.job_until(&job, "it waits", waits_for("the store limit of 1 MiB")).await;
    assert!(text(&waiting["waiting_for"]).contains("4 MiB"), "{waiting:#}");
    assert_eq!(waiting["attempts"], 0, "waiting is no try");
    assert_eq!(hub.cdn_bytes(), 0, "nothing was begun that cannot end");
    // However long it takes.
    for _ in 0..6 {
        let waiting = hub.next_try(&job).await;
        assert!(waits_for("limit")(&waiting), "{waiting:#}");
    }
    hub.ask("PATCH", "/v1/settings", json!({"store_limit_bytes": 0})).await;
    hub.let_time_pass_until(&job, "it goes on", |job| job["status"] == "completed").await;
    hub.finish().await;
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_as_long_as_upstream_says() {
    let hub = TestHub::builder().manual_clock().repo(small_model("org/model")).start().await;
    let limited = Fault::Status {
        code: 429,
        error_code: None,
        message: "slow down".into(),
        retry_after: Some("120".into()),
        ratelimit: None,
    };
    hub.mock.fault(Rule::on_hub("/api/models/org/model").times(1).fault(limited));
    let model = hub.register("org/model").await;
    let job = json!({"id": model["active_job_id"]});
    let waiting = hub.job_until(&job, "it waits", waits_for("rate limit")).await;
    assert_eq!(waiting["attempts"], 0);
    assert_eq!(hub.look("/v1/overview").await["upstream"]["state"], "rate_limited");
    hub.mock.clear_log();
    hub.clock.advance(Duration::from_secs(100));
    hub.job_until(&job, "it still waits", waits_for("rate limit")).await;
    assert_eq!(hub.upstream_calls(), 0, "upstream was asked before its time");
    hub.let_time_pass_until(&job, "it goes on", |job| job["status"] == "completed").await;
    assert_eq!(hub.look("/v1/overview").await["upstream"]["state"], "ok");
    hub.finish().await;
}

#[tokio::test]
async fn an_upstream_that_is_down_for_an_hour_fails_no_job() {
    let hub = TestHub::builder().manual_clock().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    hub.mock.stop().await;
    let sync = hub.order("/v1/models/org/model/sync", json!({})).await;
    let download = hub.download("org/model", json!({})).await;
    for _ in 0..7 {
        for job in [&sync, &download] {
            let waiting = hub.next_try(job).await;
            assert!(waits_for("upstream")(&waiting), "{waiting:#}");
        }
    }
    // Also between the tries, when a call may go out again: nothing has answered.
    hub.clock.advance(Duration::from_secs(60));
    assert_eq!(hub.look("/v1/overview").await["upstream"]["state"], "down");
    // Nothing is wrong with the model.
    assert_eq!(hub.look("/v1/models/org/model").await["status"], "synced");
    hub.mock.restart().await.unwrap();
    for job in [&sync, &download] {
        hub.let_time_pass_until(job, "it goes on", |job| job["status"] == "completed").await;
    }
    assert_eq!(hub.look("/v1/overview").await["upstream"]["state"], "ok");
    hub.finish().await;
}

#[tokio::test]
async fn a_file_that_upstream_never_gives_fails_after_its_tries() {
    let hub = TestHub::builder().manual_clock().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    hub.mock.fault(Rule::on_cdn("model.safetensors").fault(Fault::Status {
        code: 404,
        error_code: None,
        message: "gone".into(),
        retry_after: None,
        ratelimit: None,
    }));
    let job = hub.download("org/model", json!({})).await;
    let failed = hub.let_time_pass_until(&job, "it is given up", |job| job["status"] == "failed").await;
    assert!(!text(&failed["error"]).is_empty());
    assert_eq!(number(&failed["progress"]["files_done"]), 2, "the others came: {failed:#}");
    hub.finish().await;
}

#[tokio::test]
async fn downloads_wait_for_their_hours_and_nothing_else_does() {
    let hub = TestHub::builder().manual_clock().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    // The hour after next, local time.
    let minute = u64::from(hub.clock.minute_of_day());
    let clock = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let hours = format!("{}-{}", clock(minute + 60), clock(minute + 120));
    let settings = hub.ask("PATCH", "/v1/settings", json!({"download_hours": hours})).await;
    assert_eq!(settings["download_hours"], hours);
    let job = hub.download("org/model", json!({})).await;
    let waiting = hub.job_until(&job, "it waits", waits_for("download window")).await;
    assert!(text(&waiting["waiting_for"]).contains(&hours), "{waiting:#}");
    hub.done(&hub.order("/v1/models/org/model/sync", json!({})).await).await;
    // Who reads does not wait for any hours.
    assert_eq!(hub.get("/org/model/resolve/main/config.json").await.status, 200);
    hub.clock.advance(Duration::from_secs(61 * 60));
    hub.done(&job).await;
    // And without hours there is nothing to wait for.
    hub.clock.advance(Duration::from_secs(2 * 3600));
    hub.ask("PATCH", "/v1/settings", json!({"download_hours": ""})).await;
    let body = json!({"selection": {"paths": ["config.json"]}});
    hub.done(&hub.download("org/model", body).await).await;
    hub.finish().await;
}

#[tokio::test]
async fn a_download_that_runs_when_the_hours_end_goes_on_where_it_was_when_they_begin_again() {
    let hub = TestHub::builder().manual_clock().small_segments().set("flight.connections", "1");
    // The clock goes faster than a worker can say that it lives.
    let hub = hub.set("jobs.lease", "2h").repo(one_file("org/big", 72, 4 * MIB)).start().await;
    hub.synced("org/big").await;
    // Hours that end in an hour, and a speed at which it does not end by itself.
    let minute = u64::from(hub.clock.minute_of_day());
    let clock = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let hours = format!("{}-{}", clock(minute + 23 * 60), clock(minute + 60));
    let slowly = json!({"download_hours": hours, "download_bytes_per_second": 64 * 1024});
    hub.ask("PATCH", "/v1/settings", slowly).await;
    let job = hub.download("org/big", json!({})).await;
    let some = |job: &Value| number(&job["progress"]["bytes_done"]) > 0;
    hub.job_until(&job, "it brings something", |job| job["status"] == "running" && some(job)).await;
    hub.clock.advance(Duration::from_secs(61 * 60));
    let waiting = hub.job_until(&job, "it waits", waits_for("download window")).await;
    assert!(some(&waiting) && waiting["attempts"] == 0, "{waiting:#}");
    let log = hub.look(&format!("/v1/jobs/{}/log", text(&job["id"]))).await;
    let said = format!("suspended: outside the download window; resumes at {}", clock(minute + 23 * 60));
    assert!(each(&log["lines"], "text").contains(&&*said), "{log:#}");
    hub.ask("PATCH", "/v1/settings", json!({"download_bytes_per_second": 0})).await;
    hub.clock.advance(Duration::from_secs(22 * 3600));
    hub.done(&job).await;
    let fetched = hub.cdn_bytes();
    assert!(fetched < 5 * MIB, "{fetched} bytes were fetched: more than what was in the air came twice");
    hub.finish().await;
}

#[tokio::test]
async fn offline_by_the_settings_asks_upstream_for_nothing_and_back_online_jobs_go_on() {
    let mut hub = TestHub::builder().manual_clock().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    hub.get("/org/model/resolve/main/config.json").await;
    assert_eq!(hub.ask("PATCH", "/v1/settings", json!({"offline": true})).await["offline"], true);
    hub.mock.clear_log();
    assert_eq!(hub.look("/v1/overview").await["upstream"]["state"], "offline");
    assert_eq!(hub.get("/org/model/resolve/main/config.json").await.status, 200);
    let sync = hub.order("/v1/models/org/model/sync", json!({})).await;
    let download = hub.download("org/model", json!({})).await;
    for job in [&sync, &download] {
        let waiting = hub.job_until(job, "it waits", waits_for("online")).await;
        assert_eq!(waiting["attempts"], 0);
    }
    let lookup = hub.admin("POST", "/v1/lookup", &json!({"source": "org/other"})).await;
    assert_eq!(lookup.status, 503, "{}", lookup.text());
    assert_eq!(hub.upstream_calls(), 0);
    // It stays so after a restart.
    hub = hub.restart().await;
    assert_eq!(hub.look("/v1/settings").await["offline"], true);
    hub.ask("PATCH", "/v1/settings", json!({"offline": false})).await;
    for job in [&sync, &download] {
        hub.let_time_pass_until(job, "it goes on", |job| job["status"] == "completed").await;
    }
    assert_eq!(each(&hub.look("/v1/jobs?status=pending").await["jobs"], "id").len(), 0);
    assert!(list(&hub.look("/v1/jobs?status=failed").await["jobs"]).is_empty());
    hub.finish().await;
}
