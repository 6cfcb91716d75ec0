//! A hub in this process, on a directory of its own, with a mock Hub as upstream.
//!
//! Every test ends with [`TestHub::finish`], which checks what must hold whatever happened:
//! no download is left in the air, every blob hashes to its name, the CDN never saw a token,
//! and upstream was not asked more often than the test allowed.

#[path = "../../db/server.rs"]
#[allow(dead_code, reason = "the binary `db` stops and starts servers, these tests need only a database")]
pub(crate) mod database_server;
pub(crate) mod http;
pub(crate) mod listing;
pub(crate) mod process;
pub(crate) mod repos;
pub(crate) mod store;

use std::path::Path;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use mock_hf::{MockHf, Options, Repo};
use modelhub::app::App;
use modelhub::config::Config;
use modelhub::domain::Clock;
use modelhub::hub::Hub;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use http::{Client, Outcome, Reply};

/// How long a condition may take to come true. Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The mock's CDN and Xet store are other ports of its host, which have to be listed.
const MOCK_CDN: &str = "127.0.0.1";

/// What a test wants to differ from the defaults.
pub(crate) struct Builder {
    settings: Vec<(&'static str, String)>,
    options: Options,
    clock: Clock,
    repos: Vec<Repo>,
}

impl Builder {
    /// One setting, `section.key`.
    pub(crate) fn set(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((key, value.into()));
        self
    }

    /// Small segments, verification and hold-back: a few MiB behave like a large file.
    pub(crate) fn small_segments(self) -> Self {
        self.set("flight.segment_size", "256KiB").set("flight.verify_first", "64KiB").set("flight.hold_back", "64KiB")
    }

    /// Time stands still until the test moves it.
    pub(crate) fn manual_clock(mut self) -> Self {
        self.clock = Clock::manual(1_800_000_000_000);
        self
    }

    pub(crate) fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    pub(crate) fn repo(mut self, repo: Repo) -> Self {
        self.repos.push(repo);
        self
    }

    pub(crate) async fn start(self) -> TestHub {
        let with_xet = self.options.xet_store || self.options.xet_base.is_some();
        let mock = MockHf::start_with(self.options).await.unwrap();
        for repo in self.repos {
            mock.put(repo);
        }
        let dir = tempfile::tempdir().unwrap();
        let mut settings = database().await;
        // A mock without a Xet store names one all the same: what is not about Xet does without it.
        settings.push(("xet.fetch", if with_xet { "always" } else { "never" }.to_owned()));
        settings.push(("upstream.cdn_hosts", MOCK_CDN.to_owned()));
        settings.extend(self.settings);
        let running = Running::start(dir.path(), &mock.url(), &settings, &self.clock).await;
        TestHub { mock, clock: self.clock, client: Client::new(), settings, allowed_calls: None, running, dir }
    }
}

pub(crate) struct TestHub {
    pub(crate) mock: MockHf,
    pub(crate) clock: Clock,
    pub(crate) client: Client,
    settings: Vec<(&'static str, String)>,
    allowed_calls: Option<u64>,
    running: Running,
    dir: TempDir,
}

struct Running {
    hub: Hub,
    url: String,
    admin_url: String,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(dir: &Path, upstream: &str, settings: &[(&'static str, String)], clock: &Clock) -> Self {
        show_logs();
        let mut flags = vec![
            ("store.data_dir", dir.to_str().unwrap().to_owned()),
            ("hub.listen", "127.0.0.1:0".to_owned()),
            ("admin.listen", "127.0.0.1:0".to_owned()),
            ("upstream.url", upstream.to_owned()),
        ];
        flags.extend(settings.iter().cloned());
        let config = Config::load(None, std::iter::empty(), &flags).unwrap();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let app = App::open(config, clock.clone(), metrics).await.unwrap();
        let stop = CancellationToken::new();
        Self {
            hub: app.hub().clone(),
            url: format!("http://{}", app.hub_addr),
            admin_url: format!("http://{}", app.admin_addr),
            task: tokio::spawn(app.run(stop.clone())),
            stop,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the hub stops").unwrap().unwrap();
    }
}

impl TestHub {
    pub(crate) fn builder() -> Builder {
        Builder { settings: Vec::new(), options: Options::default(), clock: Clock::system(), repos: Vec::new() }
    }

    /// The value of HF_ENDPOINT.
    pub(crate) fn url(&self) -> &str {
        &self.running.url
    }

    pub(crate) fn admin_url(&self) -> &str {
        &self.running.admin_url
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// What the database holds: its files, or all rows.
    pub(crate) async fn database(&self) -> Vec<u8> {
        match self.settings.iter().find(|(key, _)| *key == "database.url") {
            Some((_, url)) => database_server::contents(url).await.into_bytes(),
            None => {
                let files = ["modelhub.db", "modelhub.db-wal"].map(|name| std::fs::read(self.dir.path().join(name)));
                files.into_iter().flatten().flatten().collect()
            }
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.client.call("GET", &self.at(path), headers, "").await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Reply {
        self.get_with(path, &[("authorization", &format!("Bearer {token}"))]).await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        self.head_with(path, &[]).await
    }

    pub(crate) async fn head_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.client.call("HEAD", &self.at(path), headers, "").await
    }

    pub(crate) async fn head_as(&self, token: &str, path: &str) -> Reply {
        self.head_with(path, &[("authorization", &format!("Bearer {token}"))]).await
    }

    pub(crate) async fn post(&self, path: &str, content_type: &str, body: &str) -> Reply {
        self.client.call("POST", &self.at(path), &[("content-type", content_type)], body).await
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.running.url)
    }

    /// The commit that a revision (encoded) of `org/model` means upstream, asked past the hub.
    pub(crate) async fn commit_of(&self, revision: &str) -> String {
        let url = format!("{}/api/models/org/model/revision/{revision}", self.mock.url());
        let info = self.client.call("GET", &url, &[], "").await.json();
        info["sha"].as_str().unwrap().to_owned()
    }

    /// Forgets what upstream was asked so far; `finish` fails if it is asked more often from here on.
    pub(crate) fn allow_upstream_calls(&mut self, most: u64) {
        self.mock.clear_log();
        self.allowed_calls = Some(most);
    }

    /// Requests to upstream and its CDN since the log was cleared.
    pub(crate) fn upstream_calls(&self) -> u64 {
        let stats = self.mock.stats();
        stats.hub_calls + stats.cdn_calls
    }

    /// Bytes of bodies that upstream and its CDN sent since the log was cleared.
    pub(crate) fn cdn_bytes(&self) -> u64 {
        self.mock.stats().cdn_body_bytes
    }

    /// The hub itself, for what has no route of its own.
    #[allow(dead_code, reason = "the binary `it` imports folders, `load` does not")]
    pub(crate) fn hub(&self) -> &Hub {
        &self.running.hub
    }

    pub(crate) fn flights(&self) -> usize {
        self.running.hub.overview.flights_in_the_air()
    }

    /// Waits until all downloads have ended, one way or another.
    pub(crate) async fn landed(&self) {
        eventually("all downloads end", || self.flights() == 0).await;
    }

    /// Stops the hub as SIGTERM does and starts it again on the same directory.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(&[]).await
    }

    /// The same with settings changed.
    pub(crate) async fn restart_with(mut self, settings: &[(&'static str, &str)]) -> Self {
        self.settings.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        self.restart_after(|_| ()).await
    }

    /// The same with something done to the data directory while nobody uses it.
    pub(crate) async fn restart_after(self, change: impl FnOnce(&Path)) -> Self {
        self.running.stop().await;
        change(self.dir.path());
        let running = Running::start(self.dir.path(), &self.mock.url(), &self.settings, &self.clock).await;
        Self { running, ..self }
    }

    /// Ends the test: waits for the downloads, stops the hub, and checks what must always hold.
    pub(crate) async fn finish(self) {
        self.landed().await;
        self.abort().await;
    }

    /// The same without waiting: downloads may be in the air.
    pub(crate) async fn abort(self) {
        if let Some(most) = self.allowed_calls {
            let calls = self.upstream_calls();
            let log =
                || self.mock.requests().iter().map(|r| format!("{} {}\n", r.method, r.target())).collect::<String>();
            assert!(calls <= most, "{calls} calls to upstream, {most} allowed:\n{}", log());
        }
        self.running.stop().await;
        store::check(self.dir.path());
        assert_eq!(self.mock.stats().cdn_calls_with_authorization, 0, "the CDN saw a token");
    }
}

/// With IT_DATABASE=postgres each hub has a database of its own on a PostgreSQL server of this process.
async fn database() -> Vec<(&'static str, String)> {
    match std::env::var("IT_DATABASE").as_deref() {
        Err(_) | Ok("sqlite") => Vec::new(),
        Ok("postgres") => vec![("database.url", database_server::Server::shared().new_database().await)],
        Ok(other) => panic!("IT_DATABASE={other}: use sqlite or postgres"),
    }
}

/// With IT_LOG=debug (or any directives of tracing) a failing test shows what the hub logged.
fn show_logs() {
    if let Ok(directives) = std::env::var("IT_LOG") {
        let logs = tracing_subscriber::fmt().with_env_filter(directives).with_test_writer();
        // Another test of this process may have been first.
        let _ = logs.try_init();
    }
}

/// Polls until the condition holds; a test that waits in vain fails with `what`.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
