//! The admin API over HTTP and gRPC: models, jobs, events, settings, the store; and kill -9 while jobs run.

mod architectures;
mod care;
mod events;
mod failed;
mod files;
mod grpc;
mod guard;
mod jobs;
mod kills;
mod layers;
mod models;
mod overview;
mod plans;
mod quarantine;
mod recovery;
mod refusals;
mod renames;
mod routes;
mod scenarios;
mod scrub;
mod settings;
mod stored;
mod unrecoverable;
mod waiting;
mod weights;

use std::time::Duration;

use mock_hf::{Content, Kind, Repo};
use serde_json::{Value, json};

use crate::harness::repos::{CONFIG, MIB, README};
use crate::harness::{Reply, TestHub};

/// How long a job may take to come where it should. Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// 3 MiB in LFS, and what goes with it.
fn weights() -> Content {
    Content::random(31, 3 * MIB)
}

fn small_model(id: &str) -> Repo {
    Repo::new(Kind::Model, id).file("config.json", CONFIG).file("README.md", README).lfs("model.safetensors", weights())
}

/// A repository of one large file, for what takes its time.
fn one_file(id: &str, seed: u64, size: u64) -> Repo {
    Repo::model(id).lfs("big.bin", Content::random(seed, size))
}

/// A number of 64 bits, which JSON writes as a text.
#[track_caller]
fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        value => value.as_u64().unwrap_or_else(|| panic!("no number: {value}")),
    }
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[track_caller]
fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

/// One member of each object of a list.
#[track_caller]
fn each<'a>(value: &'a Value, member: &str) -> Vec<&'a str> {
    list(value).iter().map(|entry| text(&entry[member])).collect()
}

impl TestHub {
    /// One call of the admin API as it is answered.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.admin_raw(method, path, &[("content-type", "application/json")], &body).await
    }

    async fn admin_raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.client.call(method, &format!("{}{path}", self.admin_url()), headers, body).await
    }

    /// One call that must succeed; its answer.
    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let reply = self.admin(method, path, &body).await;
        assert_eq!(reply.status, 200, "{method} {path} {body}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/json");
        reply.json()
    }

    pub(crate) async fn look(&self, path: &str) -> Value {
        self.ask("GET", path, Value::Null).await
    }

    pub(crate) async fn order(&self, path: &str, body: Value) -> Value {
        self.ask("POST", path, body).await
    }

    async fn job(&self, id: &str) -> Value {
        self.look(&format!("/v1/jobs/{id}")).await
    }

    /// Looks at a job until it is as wanted.
    async fn job_until(&self, job: &Value, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let id = text(&job["id"]).to_owned();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let job = self.job(&id).await;
            if wanted(&job) {
                return job;
            }
            if tokio::time::Instant::now() > deadline {
                let log = self.look(&format!("/v1/jobs/{id}/log")).await;
                panic!("waited in vain: {what}: {job:#}\n{log:#}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a job has ended.
    pub(crate) async fn ended(&self, job: &Value) -> Value {
        self.job_until(job, "it ends", |job| ["completed", "failed", "cancelled"].contains(&text(&job["status"]))).await
    }

    /// Waits until a job has done what it should.
    pub(crate) async fn done(&self, job: &Value) -> Value {
        let job = self.ended(job).await;
        assert_eq!(job["status"], "completed", "{job:#}");
        job
    }

    async fn register(&self, id: &str) -> Value {
        self.order("/v1/models", json!({"repo_id": id})).await
    }

    /// Registers a model and waits for its first sync.
    async fn synced(&self, id: &str) -> Value {
        let model = self.register(id).await;
        let job = json!({"id": model["active_job_id"]});
        if job["id"] != "" {
            self.done(&job).await;
        }
        let model = self.look(&format!("/v1/models/{}", text(&model["id"]))).await;
        assert_eq!(model["status"], "synced", "{model:#}");
        model
    }

    async fn download(&self, id: &str, body: Value) -> Value {
        self.order(&format!("/v1/models/{id}/download"), body).await
    }

    /// Moves a manual clock to the next try of a job that waits for one; what it is after that.
    async fn next_try(&self, job: &Value) -> Value {
        let before = self.job_until(job, "it waits", |job| job["status"] != "running").await;
        self.clock.advance(Duration::from_secs(700));
        let again = |job: &Value| job["status"] != "running" && job["run_at"] != before["run_at"];
        self.job_until(job, "it is tried again", again).await
    }

    /// Moves a manual clock until a job is as wanted: what waits for a time gets it.
    async fn let_time_pass_until(&self, job: &Value, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let id = text(&job["id"]).to_owned();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let job = self.job(&id).await;
            if wanted(&job) {
                return job;
            }
            assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}: {job:#}");
            if job["status"] == "pending" {
                self.clock.advance(Duration::from_secs(1));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The refusal of a request, as problem+json that names the field.
#[track_caller]
fn assert_refused(reply: &Reply, status: u16, field: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let problem = reply.json();
    assert_eq!(problem["status"], status);
    assert!(!text(&problem["detail"]).is_empty() && !text(&problem["title"]).is_empty(), "{problem:#}");
    if !field.is_empty() {
        let fields = each(&problem["errors"], "field");
        assert_eq!(fields, [field], "{problem:#}");
        assert!(!text(&problem["errors"][0]["message"]).is_empty());
    }
}
