//! The hub at a glance, and the machine it runs on: numbers that are true.
//!
//! Sums of traffic are those of a process, so these tests run the real program.

use std::path::Path;

use mock_hf::{Content, MockHf, Repo};
use serde_json::{Value, json};

use super::{PATIENCE, each, list, number, small_model, text, weights};
use crate::harness::process::{Addresses, Server};
use crate::harness::repos::{CONFIG, MIB, README};
use crate::harness::{Client, TestHub};

struct Program {
    server: Server,
    addresses: Addresses,
    client: Client,
}

impl Program {
    async fn start(dir: &Path, mock: &MockHf) -> Self {
        let mut server = Server::spawn(dir, &mock.url(), &[("upstream.cdn_hosts", "127.0.0.1")]);
        let addresses = server.addresses().await.unwrap();
        Self { server, addresses, client: Client::new() }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.client.call(method, &format!("{}{path}", self.addresses.admin), &[], &body).await;
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
        reply.json()
    }

    async fn done(&self, id: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let job = self.call("GET", &format!("/v1/jobs/{id}"), Value::Null).await;
            if job["status"] == "completed" {
                return;
            }
            assert!(job["status"] != "failed" && tokio::time::Instant::now() < deadline, "{job:#}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn get(&self, path: &str) {
        let reply = self.client.call("GET", &format!("{}{path}", self.addresses.hub), &[], "").await;
        assert_eq!(reply.status, 200, "{path}");
    }

    /// The sum that people see, once it has come so far, and again.
    async fn saved_is(&self, bytes: u64) {
        self.overview_until(|seen| number(&seen["bytes_saved"]) >= bytes).await;
        for _ in 0..2 {
            let overview = self.call("GET", "/v1/overview", Value::Null).await;
            assert_eq!(number(&overview["bytes_saved"]), bytes, "{overview:#}");
        }
    }

    /// The overview when its sums are as wanted; they are counted when bodies have ended.
    async fn overview_until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let overview = self.call("GET", "/v1/overview", Value::Null).await;
            if wanted(&overview) {
                return overview;
            }
            assert!(tokio::time::Instant::now() < deadline, "{overview:#}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn the_overview_counts_what_is_here_what_moved_and_what_it_saved() {
    let mock = MockHf::start().await;
    mock.put(small_model("org/model"));
    mock.put(Repo::model("org/copy").lfs("model.safetensors", weights()));
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path(), &mock).await;
    let empty = program.call("GET", "/v1/overview", Value::Null).await;
    for member in
        ["models", "blobs", "bytes_stored", "bytes_saved", "bytes_to_clients", "bytes_from_upstream", "jobs_active"]
    {
        assert_eq!(number(&empty[member]), 0, "{member}");
    }
    assert_eq!((&empty["endpoint"], &empty["hit_ratio"]), (&json!(program.addresses.hub), &json!(0.0)));
    assert!(number(&empty["disk_total"]) > 0);

    for id in ["org/model", "org/copy"] {
        let model = program.call("POST", "/v1/models", json!({"repo_id": id})).await;
        program.done(text(&model["active_job_id"])).await;
        let job = program.call("POST", &format!("/v1/models/{id}/download"), json!({})).await;
        program.done(text(&job["id"])).await;
    }
    let small = (CONFIG.len() + README.len()) as u64;
    let here = program.overview_until(|seen| number(&seen["bytes_from_upstream"]) >= 3 * MIB + small).await;
    assert_eq!((number(&here["models"]), number(&here["blobs"])), (2, 3));
    assert_eq!((number(&here["bytes_stored"]), number(&here["bytes_shared"])), (3 * MIB + small, 3 * MIB));
    assert_eq!((number(&here["bytes_to_clients"]), number(&here["bytes_saved"])), (0, 0), "{here:#}");

    for _ in 0..3 {
        program.get("/org/model/resolve/main/model.safetensors").await;
    }
    let read = program.overview_until(|seen| number(&seen["bytes_to_clients"]) >= 9 * MIB).await;
    // The heads of three answers are bytes as well.
    let heads = number(&read["bytes_to_clients"]) - 9 * MIB;
    assert!(heads < 3 * 4096, "{heads}");
    assert_eq!(number(&read["bytes_saved"]), 9 * MIB);
    assert_eq!(read["hit_ratio"], 1.0, "{read:#}");
    let kinds = each(&read["recent"], "kind");
    assert_eq!(kinds.iter().filter(|kind| **kind == "job.completed").count(), 4, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "model.registered").count(), 2);
    assert_eq!([&read["jobs_active"], &read["jobs_waiting"], &read["jobs_failed"]].map(number), [0, 0, 0]);

    // The sums outlive the process; the uptime does not.
    program.server.terminate();
    assert!(program.server.ended().await.success());
    let program = Program::start(dir.path(), &mock).await;
    let again = program.call("GET", "/v1/overview", Value::Null).await;
    for member in ["bytes_to_clients", "bytes_saved", "bytes_stored", "bytes_shared", "models", "hit_ratio"] {
        assert_eq!(again[member], read[member], "{member}");
    }
    program.server.terminate();
    assert!(program.server.ended().await.success());
}

#[tokio::test]
async fn saved_is_what_clients_got_of_what_was_here_and_nothing_else() {
    let mock = MockHf::start().await;
    let ahead = Content::random(41, 5 * MIB);
    mock.put(small_model("org/model").lfs("ahead.bin", ahead));
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path(), &mock).await;
    let model = program.call("POST", "/v1/models", json!({"repo_id": "org/model"})).await;
    program.done(text(&model["active_job_id"])).await;

    // A miss saves nothing, and nor does a job that fetches ahead of clients.
    program.get("/org/model/resolve/main/model.safetensors").await;
    let job =
        program.call("POST", "/v1/models/org/model/download", json!({"selection": {"paths": ["ahead.bin"]}})).await;
    program.done(text(&job["id"])).await;
    program.saved_is(0).await;

    // Of what is here: small and large, as a whole and in part, and once more.
    let mut saved = 0;
    for _ in 0..2 {
        program.get("/org/model/resolve/main/model.safetensors").await;
        program.get("/org/model/resolve/main/ahead.bin").await;
        for range in ["bytes=0-9", "bytes=1000000-1999999"] {
            let url = format!("{}/org/model/resolve/main/ahead.bin", program.addresses.hub);
            assert_eq!(program.client.call("GET", &url, &[("range", range)], "").await.status, 206);
        }
        let url = format!("{}/org/model/resolve/main/ahead.bin", program.addresses.hub);
        assert_eq!(program.client.call("HEAD", &url, &[], "").await.status, 200);
        saved += 8 * MIB + 10 + 1_000_000;
        program.saved_is(saved).await;
    }

    // What people look at on the admin listener is no client's.
    for _ in 0..2 {
        let content = program.call("GET", "/v1/models/org/model/content?path=README.md", Value::Null).await;
        assert_eq!(content["text"], README);
        program.saved_is(saved).await;
    }
    let metrics = program.client.call("GET", &format!("{}/metrics", program.addresses.admin), &[], "").await.text();
    let line = format!("modelhub_saved_bytes_total {saved}");
    assert!(metrics.lines().any(|own| own == line), "{metrics}");

    program.server.terminate();
    assert!(program.server.ended().await.success());
    let program = Program::start(dir.path(), &mock).await;
    program.saved_is(saved).await;
    program.get("/org/model/resolve/main/model.safetensors").await;
    program.saved_is(saved + 3 * MIB).await;
    program.server.terminate();
    assert!(program.server.ended().await.success());
}

#[tokio::test]
async fn failed_waiting_and_running_jobs_are_counted() {
    let hub = TestHub::builder().set("jobs.run", "false").repo(small_model("org/model")).start().await;
    hub.register("org/model").await;
    hub.register("org/absent").await;
    let overview = hub.look("/v1/overview").await;
    assert_eq!([&overview["jobs_active"], &overview["jobs_waiting"], &overview["jobs_failed"]].map(number), [0, 2, 0]);
    let hub = hub.restart_with(&[("jobs.run", "true")]).await;
    for job in list(&hub.look("/v1/jobs").await["jobs"]) {
        hub.ended(job).await;
    }
    let overview = hub.look("/v1/overview").await;
    assert_eq!([&overview["jobs_active"], &overview["jobs_waiting"], &overview["jobs_failed"]].map(number), [0, 0, 1]);
    hub.finish().await;
}

#[tokio::test]
async fn the_machine_is_described() {
    let hub = TestHub::builder().start().await;
    let system = hub.look("/v1/system").await;
    for member in ["hostname", "os", "kernel", "cpu", "version", "database"] {
        assert!(!text(&system[member]).is_empty(), "{member}");
    }
    assert!(number(&system["cores"]) > 0 && number(&system["memory_total"]) > number(&system["memory_available"]));
    assert_eq!(list(&system["load_average"]).len(), 3);
    assert_eq!(list(&system["disks"]).iter().filter(|disk| disk["store"] == true).count(), 1, "{system:#}");
    let (gpus, problem) = (list(&system["gpus"]).len(), text(&system["gpu_problem"]));
    assert!(gpus > 0 || !problem.is_empty(), "no GPU, and it is not said why");
    hub.finish().await;
}

#[tokio::test]
async fn a_server_that_runs_jobs_is_a_worker() {
    let hub = TestHub::builder().start().await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let system = hub.look("/v1/system").await;
        if let [worker] = list(&system["workers"]) {
            assert_eq!((&worker["alive"], text(&worker["address"])), (&json!(true), ""));
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{system:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    hub.finish().await;
}
