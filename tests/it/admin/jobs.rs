//! Jobs in the hands of people: paused, resumed, cancelled, retried, put first; and what they leave to others.

use mock_hf::{Content, Options};
use serde_json::{Value, json};

use super::{assert_refused, each, list, number, one_file, small_model, text};
use crate::harness::repos::MIB;
use crate::harness::{Outcome, TestHub, store};

/// Slow enough that a job can be met while it runs: 2 MiB/s on one connection, in segments of 256 KiB.
pub(super) fn slow() -> crate::harness::Builder {
    let options = Options { bytes_per_second_per_connection: Some(2 * MIB), ..Options::default() };
    TestHub::builder().options(options).small_segments().set("flight.connections", "1")
}

pub(super) fn bytes_done(job: &Value) -> u64 {
    number(&job["progress"]["bytes_done"])
}

/// Bytes of `org/big` that are on the disk and stay there.
pub(super) fn kept(hub: &TestHub, content: &Content) -> u64 {
    store::kept_bytes(hub.data_dir(), &content.sha256())
}

/// Waits until nothing of a stopped job is in the air any more.
pub(super) async fn quiet(hub: &TestHub) {
    hub.landed().await;
    hub.mock.idle().await;
}

#[tokio::test]
async fn a_paused_job_stops_fetching_and_resumed_fetches_only_what_is_missing() {
    let content = Content::random(41, 6 * MIB);
    let hub = slow().repo(one_file("org/big", 41, 6 * MIB)).start().await;
    hub.synced("org/big").await;
    let job = hub.download("org/big", json!({})).await;
    let id = text(&job["id"]);
    let running = hub.job_until(&job, "a part is here", |job| bytes_done(job) > MIB).await;
    let file = &running["progress"]["files"][0];
    assert_eq!((text(&file["file_path"]), number(&file["bytes_total"])), ("big.bin", 6 * MIB), "{running:#}");
    hub.order(&format!("/v1/jobs/{id}/pause"), json!({})).await;
    let paused = hub.job_until(&job, "it is paused", |job| job["status"] == "paused").await;
    assert_eq!((text(&paused["waiting_for"]), &paused["attempts"]), ("paused", &json!(0)));
    quiet(&hub).await;
    let here = kept(&hub, &content);
    assert!((MIB..6 * MIB).contains(&here), "{here} bytes");
    // Paused again is paused; it survives a restart.
    assert_eq!(hub.order(&format!("/v1/jobs/{id}/pause"), json!({})).await["status"], "paused");
    let hub = hub.restart().await;
    assert_eq!(hub.job(id).await["status"], "paused");
    assert_eq!(kept(&hub, &content), here, "nothing came while it was paused");
    hub.mock.clear_log();
    assert_eq!(hub.order(&format!("/v1/jobs/{id}/resume"), json!({})).await["status"], "pending");
    let done = hub.done(&job).await;
    assert_eq!(bytes_done(&done), 6 * MIB);
    assert_eq!(hub.cdn_bytes(), 6 * MIB - here, "what was here was fetched again");
    hub.finish().await;
}

#[tokio::test]
async fn a_resumed_job_tells_the_speed_of_what_comes_now_not_of_what_was_here() {
    let (size, limit) = (8 * MIB, MIB / 4);
    let hub = slow().repo(one_file("org/big", 40, size)).start().await;
    hub.synced("org/big").await;
    let job = hub.download("org/big", json!({})).await;
    let id = text(&job["id"]);
    hub.job_until(&job, "half of it is here", |job| bytes_done(job) > size / 2).await;
    hub.order(&format!("/v1/jobs/{id}/pause"), json!({})).await;
    let paused = hub.job_until(&job, "it is paused", |job| job["status"] == "paused").await;
    quiet(&hub).await;
    hub.ask("PATCH", "/v1/settings", json!({"download_bytes_per_second": limit})).await;
    hub.order(&format!("/v1/jobs/{id}/resume"), json!({})).await;
    let before = bytes_done(&paused);
    let tells_the_truth = |job: &Value| {
        let progress = &job["progress"];
        let (speed, left) = (number(&progress["bytes_per_second"]), size - bytes_done(job));
        // What is on its way when it is looked at may be told too early or too late.
        assert!(speed <= 2 * limit, "{speed} bytes a second at a limit of {limit}");
        let at_least = left / (2 * limit);
        assert!(speed == 0 || number(&progress["seconds_left"]) >= at_least, "not {at_least} seconds left: {job:#}");
        bytes_done(job) > before + MIB
    };
    hub.job_until(&job, "more of it is here", tells_the_truth).await;
    hub.ask("PATCH", "/v1/settings", json!({"download_bytes_per_second": 0})).await;
    hub.done(&job).await;
    hub.finish().await;
}

#[tokio::test]
async fn a_job_that_is_paused_in_mid_segment_goes_on_from_there() {
    let (content, size) = (Content::random(49, 16 * MIB), 16 * MIB);
    let hub = slow().set("flight.segment_size", "8MiB").repo(one_file("org/big", 49, size)).start().await;
    hub.synced("org/big").await;
    let job = hub.download("org/big", json!({})).await;
    let id = text(&job["id"]);
    let mut before = 0;
    for _ in 0..2 {
        hub.job_until(&job, "more of it is here", |job| bytes_done(job) > before + MIB).await;
        hub.order(&format!("/v1/jobs/{id}/pause"), json!({})).await;
        let paused = hub.job_until(&job, "it is paused", |job| job["status"] == "paused").await;
        quiet(&hub).await;
        before = bytes_done(&paused);
        assert!(kept(&hub, &content) >= before, "{} bytes of {before} are kept", kept(&hub, &content));
        hub.order(&format!("/v1/jobs/{id}/resume"), json!({})).await;
        let never_less = |job: &Value| {
            assert!(bytes_done(job) >= before, "{} after {before}", bytes_done(job));
            bytes_done(job) > before
        };
        hub.job_until(&job, "it goes on", never_less).await;
    }
    hub.done(&job).await;
    // What was on its way when it was paused is sent again.
    assert!(hub.cdn_bytes() < size + MIB, "{} bytes for a file of {size}", hub.cdn_bytes());
    hub.finish().await;
}

#[tokio::test]
async fn a_pause_that_is_taken_back_at_once_does_not_stop_the_job() {
    let hub = slow().repo(one_file("org/big", 42, 3 * MIB)).start().await;
    hub.synced("org/big").await;
    let job = hub.download("org/big", json!({})).await;
    let id = text(&job["id"]);
    hub.job_until(&job, "it runs", |job| bytes_done(job) > 0).await;
    hub.order(&format!("/v1/jobs/{id}/pause"), json!({})).await;
    hub.order(&format!("/v1/jobs/{id}/resume"), json!({})).await;
    hub.done(&job).await;
    hub.finish().await;
}

#[tokio::test]
async fn a_cancelled_job_leaves_a_partial_that_a_retry_goes_on_with() {
    let content = Content::random(43, 6 * MIB);
    let hub = slow().repo(one_file("org/big", 43, 6 * MIB)).start().await;
    hub.synced("org/big").await;
    let job = hub.download("org/big", json!({})).await;
    let id = text(&job["id"]);
    hub.job_until(&job, "a part is here", |job| bytes_done(job) > MIB).await;
    hub.order(&format!("/v1/jobs/{id}/cancel"), json!({})).await;
    // Whatever comes after it: it was cancelled.
    hub.admin("POST", &format!("/v1/jobs/{id}/pause"), &json!({})).await;
    let cancelled = hub.ended(&job).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled["finished_at"].is_string() && text(&cancelled["waiting_for"]).is_empty());
    quiet(&hub).await;
    let here = kept(&hub, &content);
    assert!((MIB..6 * MIB).contains(&here), "{here} bytes");
    assert!(store::blobs(hub.data_dir()).is_empty());
    let file = hub.look("/v1/models/org/big/files").await["files"][0].clone();
    assert_eq!((text(&file["download_status"]), number(&file["bytes_here"])), ("partial", here));
    // Cancelled again is cancelled; it cannot be paused or resumed.
    assert_eq!(hub.order(&format!("/v1/jobs/{id}/cancel"), json!({})).await["status"], "cancelled");
    for verb in ["pause", "resume"] {
        let refused = hub.admin("POST", &format!("/v1/jobs/{id}/{verb}"), &json!({})).await;
        assert_refused(&refused, 409, "");
        assert!(text(&refused.json()["detail"]).contains("cancelled"), "{}", refused.text());
    }
    hub.mock.clear_log();
    hub.order(&format!("/v1/jobs/{id}/retry"), json!({})).await;
    hub.done(&job).await;
    assert_eq!(hub.cdn_bytes(), 6 * MIB - here, "what was here was fetched again");
    let log = hub.look(&format!("/v1/jobs/{id}/log")).await;
    let lines = each(&log["lines"], "text").join("\n");
    for word in ["cancelled", "retrying", "completed"] {
        assert!(lines.contains(word), "{lines}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_cancelled_job_does_not_cut_off_the_client_that_reads_the_same_file() {
    let content = Content::random(44, 4 * MIB);
    let hub = slow().repo(one_file("org/big", 44, 4 * MIB)).start().await;
    hub.synced("org/big").await;
    let job = hub.download("org/big", json!({})).await;
    hub.job_until(&job, "it runs", |job| bytes_done(job) > 0).await;
    let url = hub.at("/org/big/resolve/main/big.bin");
    let mut reading = hub.client.send("GET", &url, &[], "").await.unwrap();
    let mut got = reading.chunk().await.unwrap().expect("the reader is on board").to_vec();
    hub.order(&format!("/v1/jobs/{}/cancel", text(&job["id"])), json!({})).await;
    assert_eq!(hub.ended(&job).await["status"], "cancelled");
    while let Some(chunk) = reading.chunk().await.unwrap() {
        got.extend_from_slice(&chunk);
    }
    assert!(got == content.read_all());
    assert!(hub.cdn_bytes() <= 4 * MIB, "the file was fetched twice");
    hub.finish().await;
}

#[tokio::test]
async fn a_client_and_a_job_share_one_download() {
    let content = Content::random(45, 3 * MIB);
    let hub = slow().repo(one_file("org/big", 45, 3 * MIB)).start().await;
    hub.synced("org/big").await;
    let url = hub.at("/org/big/resolve/main/big.bin");
    let job = hub.download("org/big", json!({})).await;
    assert_eq!(hub.client.compare(&url, &content).await, Outcome::Right);
    hub.done(&job).await;
    assert_eq!(hub.cdn_bytes(), 3 * MIB);
    hub.finish().await;
}

#[tokio::test]
async fn the_same_wish_is_one_job_and_another_selection_another() {
    let hub = TestHub::builder().set("jobs.run", "false").repo(small_model("org/model")).start().await;
    hub.register("org/model").await;
    let first = hub.download("org/model", json!({})).await;
    let urgent = hub.download("org/model", json!({"priority": 100})).await;
    assert_eq!((&urgent["id"], &urgent["priority"]), (&first["id"], &json!(100)));
    let later = hub.download("org/model", json!({"priority": 0})).await;
    assert_eq!((&later["id"], &later["priority"]), (&first["id"], &json!(100)));
    let part = hub.download("org/model", json!({"selection": {"paths": ["config.json"]}})).await;
    assert_ne!(part["id"], first["id"]);
    hub.order(&format!("/v1/jobs/{}/cancel", text(&first["id"])), json!({})).await;
    let again = hub.download("org/model", json!({})).await;
    assert_ne!(again["id"], first["id"]);
    let refused = hub.admin("POST", &format!("/v1/jobs/{}/retry", text(&first["id"])), &json!({})).await;
    assert_refused(&refused, 409, "");
    assert!(refused.text().contains(text(&again["id"])), "{}", refused.text());
    hub.finish().await;
}

#[tokio::test]
async fn the_more_urgent_goes_first_then_the_older() {
    let hub = TestHub::builder().set("jobs.run", "false").set("jobs.max_downloads", "1");
    let mut hub = (0..5).fold(hub, |hub, n| hub.repo(one_file(&format!("org/m{n}"), n, 1000))).start().await;
    let mut jobs = Vec::new();
    for (n, priority) in [(0, 0), (1, 50), (2, 100), (3, 50), (4, 100)] {
        hub.register(&format!("org/m{n}")).await;
        jobs.push(hub.download(&format!("org/m{n}"), json!({"priority": priority})).await);
    }
    hub = hub.restart_with(&[("jobs.run", "true")]).await;
    let mut begun = Vec::new();
    for (n, job) in jobs.iter().enumerate() {
        let job = hub.done(job).await;
        begun.push((text(&job["started_at"]).to_owned(), text(&job["finished_at"]).to_owned(), n));
    }
    begun.sort();
    assert_eq!(begun.iter().map(|(.., n)| *n).collect::<Vec<_>>(), [2, 4, 1, 3, 0], "{begun:?}");
    // One at a time, as the limit says.
    assert!(begun.is_sorted_by(|(_, end, _), (start, ..)| end <= start), "{begun:?}");
    hub.finish().await;
}

#[tokio::test]
async fn as_many_downloads_run_as_are_allowed_and_the_rest_waits_in_the_queue() {
    let hub = (0..4).fold(slow(), |hub, n| hub.repo(one_file(&format!("org/m{n}"), 50 + n, 2 * MIB))).start().await;
    let mut jobs = Vec::new();
    for n in 0..4 {
        hub.synced(&format!("org/m{n}")).await;
    }
    // None ends before it may.
    hub.ask("PATCH", "/v1/settings", json!({"download_bytes_per_second": 64 * 1024})).await;
    for n in 0..4 {
        jobs.push(hub.download(&format!("org/m{n}"), json!({})).await);
    }
    hub.job_until(&jobs[1], "two run", |job| bytes_done(job) > 0).await;
    let waiting = hub.look("/v1/jobs?status=pending").await;
    assert_eq!(each(&waiting["jobs"], "waiting_for"), ["the queue"; 2]);
    let running = hub.look("/v1/jobs?status=running&kind=download").await;
    assert_eq!(list(&running["jobs"]).len(), 2);
    // Other work is not held up.
    hub.done(&hub.order("/v1/models/org/m3/sync", json!({})).await).await;
    assert_eq!(hub.job(text(&jobs[3]["id"])).await["status"], "pending");
    // More room: more of them run, without waiting for one to end.
    hub.ask("PATCH", "/v1/settings", json!({"max_downloads": 4})).await;
    for job in &jobs {
        hub.job_until(job, "it runs", |job| job["status"] == "running").await;
    }
    hub.ask("PATCH", "/v1/settings", json!({"download_bytes_per_second": 0})).await;
    for job in &jobs {
        hub.done(job).await;
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_limit_of_jobs_is_kept_and_does_not_slow_who_reads() {
    let content = Content::random(61, 4 * MIB);
    let hub = TestHub::builder().small_segments().set("flight.connections", "1").repo(one_file("org/big", 61, 4 * MIB));
    let hub = hub.repo(one_file("org/other", 62, 4 * MIB)).start().await;
    hub.synced("org/big").await;
    hub.synced("org/other").await;
    // 4 MiB at this speed would take more than an hour.
    hub.ask("PATCH", "/v1/settings", json!({"download_bytes_per_second": 1024})).await;
    let job = hub.download("org/big", json!({})).await;
    hub.job_until(&job, "it runs", |job| job["status"] == "running").await;
    let other = Content::random(62, 4 * MIB);
    assert_eq!(hub.client.compare(&hub.at("/org/other/resolve/main/big.bin"), &other).await, Outcome::Right);
    let slow = hub.job(text(&job["id"])).await;
    assert_eq!(slow["status"], "running");
    assert!(bytes_done(&slow) < 2 * MIB, "{slow:#}");
    // The very file that the job fetches slowly comes at full speed to who waits for it, and the job is done with it.
    assert_eq!(hub.client.compare(&hub.at("/org/big/resolve/main/big.bin"), &content).await, Outcome::Right);
    hub.done(&job).await;
    assert_eq!(hub.cdn_bytes(), 8 * MIB);
    hub.finish().await;
}

#[tokio::test]
async fn a_job_keeps_a_limit_of_its_own() {
    let hub = TestHub::builder().small_segments().set("flight.connections", "1").repo(one_file("org/big", 63, 4 * MIB));
    let hub = hub.start().await;
    hub.synced("org/big").await;
    let job = hub.download("org/big", json!({"bytes_per_second": 1024})).await;
    assert_eq!(number(&job["payload"]["bytes_per_second"]), 1024);
    hub.job_until(&job, "it runs", |job| job["status"] == "running").await;
    let free = hub.download("org/big", json!({"selection": {"paths": ["big.bin"]}})).await;
    // The other job is free to fetch the same file as fast as it can.
    hub.done(&free).await;
    hub.done(&job).await;
    assert_eq!(hub.cdn_bytes(), 4 * MIB);
    hub.finish().await;
}

#[tokio::test]
async fn jobs_are_listed_page_by_page_and_narrowed() {
    let hub = TestHub::builder().set("jobs.run", "false").start().await;
    for n in 0..12 {
        hub.register(&format!("org/m{n:02}")).await;
    }
    let first = text(&hub.look("/v1/jobs?page_size=1").await["jobs"][0]["id"]).to_owned();
    hub.order(&format!("/v1/jobs/{first}/cancel"), json!({})).await;
    for size in [1, 5, 100] {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = hub.look(&format!("/v1/jobs?page_size={size}&page_token={token}")).await;
            seen.extend(each(&page["jobs"], "repo_id").into_iter().map(str::to_owned));
            token = text(&page["next_page_token"]).to_owned();
            if token.is_empty() {
                break;
            }
        }
        let right: Vec<String> = (0..12).rev().map(|n| format!("org/m{n:02}")).collect();
        assert_eq!(seen, right, "pages of {size}");
    }
    let count = async |query: &str| list(&hub.look(&format!("/v1/jobs?{query}")).await["jobs"]).len();
    assert_eq!(count("status=cancelled").await, 1);
    assert_eq!(count("status=cancelled&status=pending").await, 12);
    assert_eq!(count("kind=download&kind=evict").await, 0);
    assert_eq!(count("search=M07").await, 1);
    assert_eq!(count("model=org/m03").await, 1);
    assert_eq!(count("created_after=2020-01-01T00:00:00Z").await, 12);
    assert_eq!(count("created_before=2020-01-01T00:00:00Z").await, 0);
    hub.finish().await;
}

#[tokio::test]
async fn a_log_is_read_in_pages_and_on_from_a_line() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    let model = hub.register("org/model").await;
    let job = json!({"id": model["active_job_id"]});
    hub.done(&job).await;
    let id = text(&job["id"]);
    let all = hub.look(&format!("/v1/jobs/{id}/log")).await;
    let count = list(&all["lines"]).len();
    assert!(count >= 3 && all["more"] == false, "{all:#}");
    assert!(each(&all["lines"], "level").iter().all(|level| *level == "info"));
    let one = hub.look(&format!("/v1/jobs/{id}/log?page_size=1")).await;
    assert_eq!((list(&one["lines"]).len(), &one["more"]), (1, &json!(true)));
    let rest = hub.look(&format!("/v1/jobs/{id}/log?after=1")).await;
    assert_eq!(list(&rest["lines"]), &list(&all["lines"])[1..]);
    hub.finish().await;
}

#[tokio::test]
async fn a_running_job_goes_on_where_it_was_after_a_restart() {
    let content = Content::random(46, 6 * MIB);
    let hub = slow().repo(one_file("org/big", 46, 6 * MIB)).start().await;
    hub.synced("org/big").await;
    let job = hub.download("org/big", json!({})).await;
    hub.job_until(&job, "a part is here", |job| bytes_done(job) > MIB).await;
    let mut here = 0;
    let mock = hub.mock.clone();
    let hub = hub
        .restart_after(|dir| {
            here = store::kept_bytes(dir, &content.sha256());
            mock.clear_log();
        })
        .await;
    let done = hub.done(&job).await;
    assert!(here >= MIB, "{here} bytes");
    assert_eq!(hub.cdn_bytes(), 6 * MIB - here, "what was here was fetched again");
    assert_eq!(done["attempts"], 1, "a stop of the hub is no failed try");
    hub.finish().await;
}

#[tokio::test]
async fn a_job_fetches_the_commit_that_it_began_with() {
    let hub = slow().repo(one_file("org/big", 47, 4 * MIB)).start().await;
    let before = hub.synced("org/big").await;
    let job = hub.download("org/big", json!({})).await;
    hub.job_until(&job, "it runs", |job| bytes_done(job) > 0).await;
    let changes = vec![mock_hf::Change::put_lfs("big.bin", Content::random(48, 1000))];
    hub.mock.commit("model", "org/big", "main", changes);
    hub.done(&hub.order("/v1/models/org/big/sync", json!({})).await).await;
    let done = hub.done(&job).await;
    assert_eq!(done["payload"]["commit"], before["commit"]);
    assert_eq!(bytes_done(&done), 4 * MIB);
    assert_eq!(hub.look("/v1/models/org/big").await["download"], "none", "of the new commit nothing is here");
    hub.finish().await;
}
