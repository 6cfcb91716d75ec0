//! A full disk: files still reach their clients, and what is here is still served. When there is space again,
//! everything works as before.

use std::path::Path;
use std::time::Duration;

use mock_hf::{Content, Fault, MockHf, Repo, Rule};
use serde_json::{Value, json};

use crate::harness::process::{Addresses, Server, run};
use crate::harness::repos::{CONFIG, MIB};
use crate::harness::{Client, Outcome, eventually};

#[tokio::test]
async fn when_the_disk_is_full_files_pass_through_and_stored_ones_are_served() {
    let (fits, large) = (Content::random(71, 4 * MIB), Content::random(72, 64 * MIB));
    let mock = MockHf::start().await;
    mock.put(Repo::model("org/full").lfs("fits.bin", fits.clone()).lfs("large.bin", large.clone()));
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::spawn_on_small_disk(dir.path(), "32m", &mock.url(), None);
    let base = server.addresses().await.unwrap().hub;
    let client = Client::new();
    let at = |file: &str| format!("{base}/org/full/resolve/main/{file}");

    assert_eq!(client.compare(&at("fits.bin"), &fits).await, Outcome::Right);
    let reply = client.call("GET", &at("large.bin"), &[], "").await;
    reply.assert_is(200, &large.read_all());
    assert_eq!(reply.header("x-modelhub-cache"), "bypass");
    // A client that goes on from a part gets the whole, proven; a piece is given as a piece.
    let reply = client.call("GET", &at("large.bin"), &[("range", "bytes=1000-")], "").await;
    reply.assert_is(200, &large.read_all());
    let reply = client.call("GET", &at("large.bin"), &[("range", "bytes=1000-1999")], "").await;
    reply.assert_is(206, &large.read_range(1000, 1000));
    // Wrong bytes do not pass as right ones.
    mock.fault(Rule::on_cdn("large.bin").fault(Fault::FlipByte(1000)));
    assert!(matches!(client.compare(&at("large.bin"), &large).await, Outcome::Failed(_)));
    mock.clear_faults();

    mock.clear_log();
    assert_eq!(client.compare(&at("fits.bin"), &fits).await, Outcome::Right);
    assert_eq!(mock.stats().cdn_body_bytes, 0, "what is here was fetched again");
    server.terminate();
    assert!(server.ended().await.success());
}

/// Takes all space of the disk until it is removed.
fn fill(disk: &Path) {
    use std::io::Write as _;
    let mut ballast = std::fs::File::options().create(true).append(true).open(disk.join("ballast")).unwrap();
    for piece in [1 << 20, 4096, 1] {
        while ballast.write_all(&vec![1; piece]).is_ok() {}
    }
}

fn free(disk: &Path) {
    std::fs::remove_file(disk.join("ballast")).unwrap();
}

async fn ask(at: &Addresses, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let json = [("content-type", "application/json")];
    let reply = Client::new().call(method, &format!("{}{path}", at.admin), &json, &body).await;
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
}

/// Registers a model; the id of its first job.
async fn register(at: &Addresses, id: &str) -> (u16, String) {
    let (status, model) = ask(at, "POST", "/v1/models", json!({"repo_id": id})).await;
    (status, model["active_job_id"].as_str().unwrap_or_default().to_owned())
}

async fn readiness(at: &Addresses) -> u16 {
    Client::new().call("GET", &format!("{}/readyz", at.admin), &[], "").await.status
}

/// How a container's health check ends, and the beginning of what it says.
async fn health(at: &Addresses) -> (Option<i32>, String) {
    let output = run(&["healthcheck"], &[("admin.url", &at.admin)]).await;
    (output.status.code(), String::from_utf8(output.stderr).unwrap().chars().take(21).collect())
}

/// A job that found the disk full looks again after half a minute.
async fn completed(at: &Addresses, job: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(100);
    loop {
        let (_, found) = ask(at, "GET", &format!("/v1/jobs/{job}"), Value::Null).await;
        if found["status"] == "completed" {
            return;
        }
        assert!(found["status"] != "failed" && tokio::time::Instant::now() < deadline, "{found:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_a_full_disk_refused_works_as_soon_as_there_is_space() {
    let mock = MockHf::start().await;
    for n in 0..6 {
        mock.put(Repo::model(format!("org/m{n}")).file("config.json", CONFIG));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::spawn_on_small_disk(dir.path(), "64m", &mock.url(), None);
    let at = server.addresses().await.unwrap();
    let disk = server.seen(dir.path());
    let get = async |n: usize| {
        Client::new().call("GET", &format!("{}/org/m{n}/resolve/main/config.json", at.hub), &[], "").await
    };
    for round in [0, 3] {
        fill(&disk);
        assert_eq!(readiness(&at).await, 503);
        assert_eq!(health(&at).await, (Some(1), "modelhub: not ready: ".into()));
        assert_eq!(get(round).await.status, 507);
        assert_eq!(register(&at, &format!("org/m{}", round + 1)).await.0, 507);
        free(&disk);
        assert_eq!(readiness(&at).await, 200);
        assert_eq!(health(&at).await, (Some(0), String::new()));
        for n in round..round + 3 {
            get(n).await.assert_is(200, CONFIG.as_bytes());
            let (status, job) = register(&at, &format!("org/m{n}")).await;
            assert_eq!(status, 200, "round {round}, model {n}");
            completed(&at, &job).await;
        }
    }
    server.terminate();
    assert!(server.ended().await.success());
}

/// A disk that fails in the middle of a transaction, as SQLite sees it: no write beyond this size.
#[tokio::test]
async fn what_a_broken_disk_refused_works_as_soon_as_it_is_whole() {
    let mock = MockHf::start().await;
    for n in 0..4 {
        mock.put(Repo::model(format!("org/m{n}")).file("config.json", CONFIG));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::spawn_on_small_disk(dir.path(), "64m", &mock.url(), None);
    let at = server.addresses().await.unwrap();
    // Not in the middle of its start.
    assert_eq!(readiness(&at).await, 200);
    for round in [0, 2] {
        server.limit_files(Some(1));
        assert_eq!(register(&at, &format!("org/m{round}")).await.0, 500);
        assert_eq!(readiness(&at).await, 503);
        server.limit_files(None);
        assert_eq!(readiness(&at).await, 200);
        for n in round..round + 2 {
            let (status, job) = register(&at, &format!("org/m{n}")).await;
            assert_eq!(status, 200, "round {round}, model {n}");
            completed(&at, &job).await;
        }
    }
    server.terminate();
    assert!(server.ended().await.success());
}

/// The job cannot even write down that the disk is full.
#[tokio::test]
async fn a_job_that_met_a_full_disk_goes_on_by_itself() {
    let large = Content::random(73, 24 * MIB);
    let mock = MockHf::start().await;
    mock.put(Repo::model("org/large").lfs("large.bin", large.clone()));
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::spawn_on_small_disk(dir.path(), "64m", &mock.url(), None);
    let at = server.addresses().await.unwrap();
    let disk = server.seen(dir.path());
    let (_, sync) = register(&at, "org/large").await;
    completed(&at, &sync).await;

    mock.fault(Rule::on_cdn("large.bin").fault(Fault::StallAfter(MIB)));
    let (status, job) = ask(&at, "POST", "/v1/models/org/large/download", json!({})).await;
    assert_eq!(status, 200, "{job:#}");
    let job = job["id"].as_str().unwrap();
    eventually("the download begins", || mock.stats().cdn_body_bytes >= MIB).await;
    fill(&disk);
    mock.clear_faults();
    // Long enough that it has given up writing down what it met: ten tries, at most one a second.
    for _ in 0..12 {
        fill(&disk);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    fill(&disk);
    assert_eq!(readiness(&at).await, 503);
    free(&disk);
    completed(&at, job).await;
    let url = format!("{}/org/large/resolve/main/large.bin", at.hub);
    assert_eq!(Client::new().compare(&url, &large).await, Outcome::Right);
    server.terminate();
    assert!(server.ended().await.success());
}
