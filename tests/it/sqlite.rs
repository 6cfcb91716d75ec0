//! An SQLite file that is damaged or locked by another program while the hub runs.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mock_hf::{Content, MockHf, Repo};
use sqlx::Connection as _;

use crate::harness::process::{Addresses, Server, run};
use crate::harness::repos::CONFIG;
use crate::harness::{Client, Reply};

const STORED: &str = "/org/stored/resolve/main/model.bin";

fn content() -> Content {
    Content::random(7, 300_000)
}

struct Hub {
    dir: tempfile::TempDir,
    log: tempfile::NamedTempFile,
    mock: MockHf,
    server: Server,
    at: Addresses,
    client: Client,
}

impl Hub {
    /// With a file that is stored, and repositories that nobody has asked for.
    async fn start() -> Self {
        let (dir, log, mock) =
            (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap(), MockHf::start().await);
        mock.put(Repo::model("org/stored").lfs("model.bin", content()));
        for n in 0..20 {
            mock.put(Repo::model(format!("org/new{n}")).file("config.json", CONFIG));
        }
        let mut server = Server::spawn_logging(dir.path(), &mock.url(), &[], log.path());
        let at = server.addresses().await.unwrap();
        let hub = Self { dir, log, mock, server, at, client: Client::new() };
        for _ in 0..2 {
            hub.get(STORED).await.assert_is(200, &content().read_all());
        }
        hub
    }

    async fn get(&self, path: &str) -> Reply {
        self.client.call("GET", &format!("{}{path}", self.at.hub), &[], "").await
    }

    async fn get_new(&self, n: usize) -> Reply {
        self.get(&format!("/org/new{n}/resolve/main/config.json")).await
    }

    async fn ready(&self) -> Reply {
        self.client.call("GET", &format!("{}/readyz", self.at.admin), &[], "").await
    }

    /// Warnings and errors of the log.
    fn told(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.log.path()).unwrap();
        text.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).map(str::to_owned).collect()
    }
}

/// Everything from there on, also in the log that is not yet part of the file.
fn damage(dir: &Path, from: u64) {
    for (name, from) in [("modelhub.db", from), ("modelhub.db-wal", 32)] {
        let file = std::fs::File::options().write(true).open(dir.join(name)).unwrap();
        let size = file.metadata().unwrap().len();
        file.write_all_at(&vec![0x5a; usize::try_from(size.saturating_sub(from)).unwrap()], from).unwrap();
    }
}

#[tokio::test]
async fn damage_of_a_running_database_is_told_once_and_shows_in_readiness() {
    // With SQLite's head and without.
    for from in [4096, 0] {
        let hub = Hub::start().await;
        assert_eq!(hub.ready().await.status, 200);
        damage(hub.dir.path(), from);
        let mut met = 0;
        for n in 0..10 {
            // What is still in memory may be answered.
            let reply = hub.get_new(n).await;
            if reply.status == 200 {
                reply.assert_is(200, CONFIG.as_bytes());
                continue;
            }
            met += 1;
            assert_eq!(reply.status, 503, "{}", reply.text());
            assert!(reply.text().contains("modelhub store rebuild"), "{}", reply.text());
        }
        assert!(met > 0, "nobody met it");
        for _ in 0..2 {
            let ready = hub.ready().await;
            assert_eq!(ready.status, 503);
            assert!(ready.text().contains("is damaged"), "{}", ready.text());
            assert!(ready.text().contains("modelhub store rebuild"), "{}", ready.text());
        }
        let models = hub.client.call("GET", &format!("{}/v1/models", hub.at.admin), &[], "").await;
        assert!(models.status == 200 || models.status == 503, "{}", models.text());
        let told = hub.told();
        assert_eq!(told.iter().filter(|line| line.contains("the SQLite file is damaged")).count(), 1, "{told:#?}");
        assert_eq!(told.len(), 1, "{told:#?}");

        hub.server.terminate();
        hub.server.ended().await;
        // What it says helps, does.
        let rebuilt = run(&["store", "rebuild", "--data-dir", hub.dir.path().to_str().unwrap()], &[]).await;
        assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
        let mut server = Server::spawn(hub.dir.path(), &hub.mock.url(), &[]);
        let at = server.addresses().await.unwrap();
        hub.mock.clear_log();
        let get = async |url: String| hub.client.call("GET", &url, &[], "").await;
        get(format!("{}{STORED}", at.hub)).await.assert_is(200, &content().read_all());
        get(format!("{}/org/new11/resolve/main/config.json", at.hub)).await.assert_is(200, CONFIG.as_bytes());
        assert_eq!(get(format!("{}/readyz", at.admin)).await.status, 200);
        assert_eq!(hub.mock.stats().cdn_body_bytes, 0, "it was here");
        server.terminate();
        assert!(server.ended().await.success());
    }
}

#[tokio::test]
async fn who_locks_the_database_makes_nobody_wait_long_and_is_said() {
    let hub = Hub::start().await;
    let url = format!("sqlite://{}", hub.dir.path().join("modelhub.db").display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    for round in 0..2 {
        sqlx::raw_sql("begin exclusive").execute(&mut other).await.unwrap();
        let asked = Instant::now();
        let new = join_all((0..8).map(|n| hub.get_new(round * 8 + n)));
        let (new, ready) = tokio::join!(new, hub.ready());
        // SQLite waits for 5 s; huggingface_hub gives up after 10.
        assert!(asked.elapsed() < Duration::from_secs(9), "{:?}", asked.elapsed());
        for reply in new {
            assert_eq!((reply.status, reply.header("retry-after")), (503, "5"), "{}", reply.text());
            assert!(reply.text().contains("locked by another process"), "{}", reply.text());
        }
        assert_eq!(ready.status, 503);
        assert!(ready.text().contains("locked by another process"), "{}", ready.text());
        hub.get(STORED).await.assert_is(200, &content().read_all());

        sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
        assert_eq!(hub.ready().await.status, 200);
        for n in 0..8 {
            hub.get_new(round * 8 + n).await.assert_is(200, CONFIG.as_bytes());
        }
    }
    let told = hub.told();
    let begins = told.iter().filter(|line| line.contains("the database cannot be used")).count();
    assert!((1..=2).contains(&begins), "{told:#?}");
    let is_expected = |line: &String| line.contains("the database can") || line.contains("slow statement");
    assert!(told.iter().all(is_expected), "{told:#?}");
    hub.server.terminate();
    assert!(hub.server.ended().await.success());
}
