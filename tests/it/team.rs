//! A hub without workers, and workers, as processes on one PostgreSQL database and one data directory.

use std::path::Path;
use std::time::Duration;

use mock_hf::MockHf;
use serde_json::Value;

use crate::harness::Client;
use crate::harness::database_server::Server as Database;
use crate::harness::process::{self, Addresses, Server};

pub(crate) struct Team {
    pub(crate) mock: MockHf,
    _database: Database,
    pub(crate) dir: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
    pub(crate) hub: Server,
    pub(crate) addresses: Addresses,
    pub(crate) client: Client,
}

impl Team {
    pub(crate) async fn start(mock: MockHf, settings: &[(&'static str, &str)]) -> Self {
        let database = Database::start_one();
        let dir = tempfile::tempdir().unwrap();
        let mut settings: Vec<_> = settings.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        settings.push(("database.url", database.new_database().await));
        let mut hub = spawn_hub(dir.path(), &mock, &settings);
        let addresses = hub.addresses().await.expect("the hub starts");
        Self { mock, _database: database, dir, settings, hub, addresses, client: Client::new() }
    }

    /// kill -9; the next one listens elsewhere.
    pub(crate) async fn kill_and_restart_hub(&mut self) {
        let next = spawn_hub(self.dir.path(), &self.mock, &self.settings);
        std::mem::replace(&mut self.hub, next).kill().await;
        self.addresses = self.hub.addresses().await.expect("the hub starts after a kill");
    }

    /// One more server on the same database and data directory, about to start.
    pub(crate) fn spawn_hub(&self) -> Server {
        spawn_hub(self.dir.path(), &self.mock, &self.settings)
    }

    /// As `spawn_hub`, with its log in a file.
    pub(crate) fn spawn_hub_logging(&self, log: &Path) -> Server {
        let mut settings = borrowed(&self.settings);
        settings.push(("jobs.run", "false"));
        Server::spawn_logging(self.dir.path(), &self.mock.url(), &settings, log)
    }

    /// The settings of a process on the same database with this data directory.
    pub(crate) fn settings_with(&self, data_dir: &Path) -> Vec<(&str, String)> {
        let mut settings = self.settings.clone();
        settings.extend([
            ("store.data_dir", data_dir.to_str().unwrap().to_owned()),
            ("upstream.url", self.mock.url()),
            ("worker.listen", "127.0.0.1:0".to_owned()),
            ("hub.listen", "127.0.0.1:0".to_owned()),
            ("admin.listen", "127.0.0.1:0".to_owned()),
            ("log.level", "warn".to_owned()),
        ]);
        settings
    }

    /// A worker that is about to start.
    pub(crate) fn spawn_worker(&self) -> Server {
        let (upstream, data_dir) = (self.mock.url(), self.dir.path().to_str().unwrap());
        let mut settings = borrowed(&self.settings);
        settings.extend([("store.data_dir", data_dir), ("upstream.url", upstream.as_str()), ("log.level", "warn")]);
        Server::start(process::command(&["worker"], &settings))
    }

    /// A worker, and where its gRPC service listens.
    pub(crate) async fn worker(&self) -> (Server, String) {
        let mut worker = self.spawn_worker();
        let address = worker.worker_address().await.expect("the worker starts");
        (worker, address)
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.addresses.admin);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.client.call(method, &url, &[], &body).await;
        assert_eq!(reply.status, 200, "{method} {path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }

    /// Looks at a job until it is as wanted.
    pub(crate) async fn job_until(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let job = self.call("GET", &format!("/v1/jobs/{id}"), &Value::Null).await;
            if wanted(&job) {
                return job;
            }
            assert!(tokio::time::Instant::now() < deadline, "{what}: {job:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

fn spawn_hub(data_dir: &Path, mock: &MockHf, settings: &[(&'static str, String)]) -> Server {
    let mut settings = borrowed(settings);
    settings.push(("jobs.run", "false"));
    Server::spawn(data_dir, &mock.url(), &settings)
}
