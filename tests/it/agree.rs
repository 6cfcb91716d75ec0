//! Several processes on one database agree within 2 s about what any of them changed.

use std::time::Duration;

use mock_hf::{Change, Content, Fault, MockHf, Options, Repo, Rule, TOKEN_ALICE};
use serde_json::{Value, json};

use crate::harness::process::{self, Addresses, Server};
use crate::harness::repos::{CONFIG, MIB};
use crate::harness::{Reply, store};
use crate::team::Team;

/// What the others have to know by then.
const AGREED: Duration = Duration::from_secs(2);
const SIZE: u64 = 2 * MIB;
const PATH: &str = "/org/model/resolve/main/model.safetensors";

fn weights() -> Content {
    Content::random(92, SIZE)
}

fn repo() -> Repo {
    Repo::model("org/model").file("config.json", CONFIG).lfs("model.safetensors", weights())
}

/// Two servers that run no jobs, and one worker that does.
struct Three {
    team: Team,
    other: Addresses,
    other_server: Server,
    worker: Server,
}

impl Three {
    async fn start(settings: &[(&'static str, &str)]) -> Self {
        let mock = MockHf::start_with(Options::default()).await.unwrap();
        mock.put(repo());
        let mut all = vec![("upstream.cdn_hosts", "127.0.0.1"), ("cache.ref_ttl", "1h"), ("xet.fetch", "never")];
        all.extend(settings);
        let team = Team::start(mock, &all).await;
        let mut other = team.spawn_hub();
        let addresses = other.addresses().await.expect("the second server starts");
        let (worker, _) = team.worker().await;
        Self { team, other: addresses, other_server: other, worker }
    }

    async fn get(&self, at: &Addresses, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.team.client.call("GET", &format!("{}{path}", at.hub), headers, "").await
    }

    fn both(&self) -> [&Addresses; 2] {
        [&self.team.addresses, &self.other]
    }

    /// Both servers have the file, and have served it from the store.
    async fn warm(&self) {
        for at in self.both() {
            let until = tokio::time::Instant::now() + Duration::from_secs(30);
            loop {
                let reply = self.get(at, PATH, &[]).await;
                reply.assert_is(200, &weights().read_all());
                if reply.served() == "hit" {
                    break;
                }
                assert!(tokio::time::Instant::now() < until, "the file is stored");
            }
        }
    }

    /// An order at one server's admin listener; waits for the job's end.
    async fn job(&self, path: &str, body: Value) -> Value {
        let job = self.team.call("POST", path, &body).await;
        let id = job["id"].as_str().unwrap().to_owned();
        self.team.job_until(&id, "the job ends", |job| job["status"] == "completed" || job["status"] == "failed").await
    }
}

/// Asks until the answer is as wanted: not later than the others have to agree.
async fn within_2_s<T: std::fmt::Debug>(what: &str, mut ask: impl AsyncFnMut() -> T, wanted: impl Fn(&T) -> bool) {
    let until = tokio::time::Instant::now() + AGREED;
    loop {
        let last = ask().await;
        if wanted(&last) {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "{what}: {last:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn what_a_worker_finds_damaged_or_evicts_no_server_serves() {
    let three = Three::start(&[]).await;
    three.warm().await;
    // Twice: what came back is looked after as what was there first.
    for _ in 0..2 {
        store::damage(three.team.data_dir(), &weights().sha256(), 1_000_000);
        let job = three.job("/v1/storage/verify", json!({})).await;
        assert_eq!(job["status"], "failed", "{job:#}");
        for at in three.both() {
            within_2_s(
                "right bytes",
                async || three.get(at, PATH, &[]).await.body == weights().read_all(),
                |right| *right,
            )
            .await;
            three
                .get(at, PATH, &[("range", "bytes=900000-1099999")])
                .await
                .assert_is(206, &weights().read_range(900_000, 200_000));
        }
        three.warm().await;
        assert_eq!(three.job("/v1/storage/verify", json!({})).await["status"], "completed");
    }
    three.team.call("POST", "/v1/models", &json!({"repo_id": "org/model"})).await;
    let job = three.job("/v1/storage/evict", json!({"free_bytes": 10 * SIZE})).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    assert_eq!(job["progress"]["files_done"].to_string().trim_matches('"'), "1", "{job:#}");
    three.team.mock.fault(Rule::on_cdn("").fault(Fault::Status {
        code: 404,
        error_code: None,
        message: String::new(),
        retry_after: None,
        ratelimit: None,
    }));
    for at in three.both() {
        within_2_s("it is gone", async || three.get(at, PATH, &[]).await.status, |status| *status != 200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn what_a_worker_evicts_while_servers_send_it_is_right_for_all_and_its_space_is_free() {
    let three = Three::start(&[]).await;
    three.warm().await;
    three.team.call("POST", "/v1/models", &json!({"repo_id": "org/model"})).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut third = three.team.spawn_hub_logging(log.path());
    let third_at = third.addresses().await.expect("the third server starts");
    let servers = [&three.team.addresses, &three.other, &third_at];
    let (three, end) = (&three, tokio::time::Instant::now() + Duration::from_secs(4));
    let clients = (0..6).map(|client| async move {
        let at = servers[client % 3];
        let mut answers = 0;
        while tokio::time::Instant::now() < end {
            if client < 4 {
                three.get(at, PATH, &[]).await.assert_is(200, &weights().read_all());
            } else {
                let part = three.get(at, PATH, &[("range", "bytes=900000-1099999")]).await;
                part.assert_is(206, &weights().read_range(900_000, 200_000));
            }
            answers += 1;
        }
        answers
    });
    let orders = async |orders: &[(&str, Value)]| {
        let mut done = 0;
        for (path, body) in orders.iter().cycle() {
            if tokio::time::Instant::now() > end {
                break;
            }
            let job = three.job(path, body.clone()).await;
            assert_eq!(job["status"], "completed", "{job:#}");
            done += 1;
        }
        done
    };
    let evict = [("/v1/storage/evict", json!({"free_bytes": 10 * SIZE})), ("/v1/models/org/model/evict", json!({}))];
    let care = [("/v1/storage/verify", json!({})), ("/v1/models/org/model/download", json!({}))];
    let (answers, evictions, cared) =
        tokio::join!(futures_util::future::join_all(clients), orders(&evict), orders(&care));
    println!("{answers:?} answers, {evictions} evictions, {cared} verifications and downloads");
    assert!(answers.iter().all(|answers| *answers > 2) && evictions > 2 && cared > 2, "it was no race");
    for _ in 0..2 {
        three.warm().await;
        for (path, body) in &evict {
            assert_eq!(three.job(path, body.clone()).await["status"], "completed");
        }
        let held = async || {
            let servers = [&three.team.hub, &three.other_server, &three.worker, &third];
            servers.map(|server| server.deleted_and_held(three.team.data_dir())).concat()
        };
        within_2_s("no server holds it", held, Vec::is_empty).await;
        let storage = three.team.call("GET", "/v1/storage", &Value::Null).await;
        assert_eq!(storage["bytes"], "0", "{storage:#}");
        assert!(store::blobs(three.team.data_dir()).is_empty());
    }
    let told = std::fs::read_to_string(log.path()).unwrap();
    assert!(!told.contains("ERROR"), "an eviction is not an error: {told}");
    third.terminate();
    assert!(third.ended().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn what_a_worker_finds_damaged_comes_back_by_itself_for_all_servers() {
    let three = Three::start(&[]).await;
    three.warm().await;
    let model = three.team.call("POST", "/v1/models", &json!({"repo_id": "org/model"})).await;
    let sync = model["active_job_id"].as_str().unwrap().to_owned();
    three.team.job_until(&sync, "it is synced", |job| job["status"] == "completed").await;
    for round in 1..=2 {
        three.team.mock.clear_log();
        store::damage(three.team.data_dir(), &weights().sha256(), 1_000_000);
        let job = three.job("/v1/storage/verify", json!({})).await;
        let id = job["error"]
            .as_str()
            .unwrap()
            .strip_prefix("1 damaged file: model.safetensors of org/model; downloads again as job ");
        let id = id.unwrap_or_else(|| panic!("{job:#}"));
        three.team.job_until(id, "it is downloaded", |job| job["status"] == "completed").await;
        assert_eq!(three.team.mock.stats().cdn_body_bytes, SIZE, "fetched again, once");
        for at in three.both() {
            let hit = async || three.get(at, PATH, &[]).await;
            let right = |reply: &Reply| reply.served() == "hit" && reply.body == weights().read_all();
            within_2_s("right bytes from the store", async || right(&hit().await), |right| *right).await;
            let quarantine =
                three.team.client.call("GET", &format!("{}/v1/storage/quarantine", at.admin), &[], "").await;
            assert_eq!(quarantine.json()["total"], round.to_string(), "{}", quarantine.text());
        }
        assert_eq!(three.team.mock.stats().cdn_body_bytes, SIZE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn what_one_server_is_told_counts_on_the_other() {
    let three = Three::start(&[]).await;
    let [here, there] = three.both();
    // Each in turn changes, and the other follows.
    for (at, other, limit) in [(here, there, "3221225472"), (there, here, "2147483648")] {
        let settings = |at: &Addresses| format!("{}/v1/settings", at.admin);
        let body = json!({"store_limit_bytes": limit}).to_string();
        let changed = three.team.client.call("PATCH", &settings(at), &[], &body).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        within_2_s(
            "the setting",
            async || three.team.client.call("GET", &settings(other), &[], "").await.json()["store_limit_bytes"].clone(),
            |seen| *seen == limit,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn what_one_server_learns_of_a_repository_the_other_goes_by() {
    let three = Three::start(&[]).await;
    three.warm().await;
    let config = "/org/model/resolve/main/config.json";
    for at in three.both() {
        three.get(at, config, &[]).await.assert_is(200, CONFIG.as_bytes());
    }
    // A new tip, which a sync by the worker learns.
    three.team.call("POST", "/v1/models", &json!({"repo_id": "org/model"})).await;
    three.team.mock.commit("model", "org/model", "main", vec![Change::put("config.json", "{\"new\":1}")]);
    assert_eq!(three.job("/v1/models/org/model/sync", json!({})).await["status"], "completed");
    for at in three.both() {
        within_2_s("the new tip", async || three.get(at, config, &[]).await.text(), |text| text == "{\"new\":1}").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn what_one_server_learns_is_private_the_other_hides() {
    let three = Three::start(&[]).await;
    let [here, there] = three.both();
    let bearer = format!("Bearer {TOKEN_ALICE}");
    for (at, other, id) in [(here, there, "org/one"), (there, here, "org/two")] {
        three.team.mock.put(Repo::model(id).file("config.json", CONFIG));
        let path = format!("/{id}/resolve/main/config.json");
        for server in three.both() {
            three.get(server, &path, &[]).await.assert_is(200, CONFIG.as_bytes());
        }
        three.team.mock.set_visibility("model", id, true, None, vec![TOKEN_ALICE.into()]);
        // A revision that has to be asked for: so the one learns it.
        assert_ne!(three.get(at, &format!("/api/models/{id}/revision/other"), &[]).await.status, 200);
        within_2_s("it is hidden", async || three.get(other, &path, &[]).await.status, |status| *status == 401).await;
        three.get(other, &path, &[("authorization", &bearer)]).await.assert_is(200, CONFIG.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn a_wrong_body_that_one_server_sent_makes_both_careful() {
    let three = Three::start(&[("flight.segment_size", "256KiB"), ("flight.verify_first", "64KiB")]).await;
    let [here, there] = three.both();
    for (at, other, id, seed) in [(here, there, "org/one", 93), (there, here, "org/two", 94)] {
        let content = Content::random(seed, SIZE);
        three.team.mock.put(Repo::model(id).file("config.json", CONFIG).lfs("model.safetensors", content.clone()));
        let file = |name: &str| format!("/{id}/resolve/main/{name}");
        three.get(other, &file("config.json"), &[]).await.assert_is(200, CONFIG.as_bytes());
        three.team.mock.fault(Rule::on_cdn("").fault(Fault::FlipByte(SIZE / 2)));
        let wrong = three.get(at, &file("model.safetensors"), &[]).await;
        assert!(wrong.broken.is_some(), "a wrong body breaks: {}", wrong.status);
        three.team.mock.clear_faults();
        let piece = async || three.get(other, &file("model.safetensors"), &[("range", "bytes=0-99")]).await.status;
        within_2_s("a piece is refused", piece, |status| *status == 503).await;
        three.get(other, &file("model.safetensors"), &[]).await.assert_is(200, &content.read_all());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn another_data_directory_on_the_same_database_is_refused_by_name() {
    let three = Three::start(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let settings = three.team.settings_with(dir.path());
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    for command in ["serve", "worker"] {
        // The second time its directory is one that was tried before.
        for _ in 0..2 {
            let output = process::run(&[command], &settings).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success(), "{command} starts");
            let (here, there) = (dir.path().to_str().unwrap(), three.team.data_dir().to_str().unwrap());
            assert!(said.contains(here) && said.contains(there) && said.contains("store.data_dir"), "{said}");
        }
    }
    three.warm().await;
    // The owner's word: that directory is lost. Who knew it is refused from then on.
    let mut adopted = settings.clone();
    adopted.push(("store.adopt", "true"));
    let mut new = Server::start(process::command(&["serve"], &adopted));
    let addresses = new.addresses().await.expect("it takes the place of the other");
    three.get(&addresses, PATH, &[]).await.assert_is(200, &weights().read_all());
    new.terminate();
    assert!(new.ended().await.success());
    let mut again = Server::start(process::command(&["serve"], &settings));
    again.addresses().await.expect("it is the store's directory now");
}
