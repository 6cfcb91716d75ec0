//! Stored files are read again by themselves: what a disk loses is found and comes back, whoever stops meanwhile.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use mock_hf::{Content, MockHf, Options, Repo};
use serde_json::{Value, json};

use super::{PATIENCE, each, list, number, small_model, text, weights};
use crate::harness::process::{Addresses, Server};
use crate::harness::repos::{CONFIG, MIB, README};
use crate::harness::{Client, TestHub, store};
use crate::team::Team;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A hub with a model that no client has used, whose clock stands still.
async fn hub(every: &str) -> TestHub {
    let hub = TestHub::builder().manual_clock().set("scrub.every", every).set("scrub.share", "100");
    let hub = hub.repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    hub.done(&hub.download("org/model", json!({})).await).await;
    hub
}

/// When each file was verified last; nothing of one that was not as it is now.
fn verified(files: &Value) -> BTreeMap<String, String> {
    let file = |file: &Value| {
        (text(&file["file_path"]).to_owned(), file["last_verified_at"].as_str().unwrap_or("").to_owned())
    };
    list(&files["files"]).iter().map(file).collect()
}

async fn times(hub: &TestHub) -> BTreeMap<String, String> {
    verified(&hub.look("/v1/models/org/model/files").await)
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn activities(hub: &TestHub) -> Vec<String> {
    let overview = hub.look("/v1/overview").await;
    let recent = list(&overview["recent"]).iter().filter(|activity| activity["kind"] == "store.damaged");
    recent.map(|activity| text(&activity["text"]).to_owned()).collect()
}

/// Waits until so many discoveries were told; the newest.
async fn told(hub: &TestHub, count: usize) -> String {
    until("something is found", async || activities(hub).await.len() >= count).await;
    let activities = activities(hub).await;
    assert_eq!(activities.len(), count, "{activities:#?}");
    activities[0].clone()
}

async fn newest_download(hub: &TestHub) -> Value {
    hub.look("/v1/jobs?kind=download").await["jobs"][0].clone()
}

fn touch(path: &Path, at: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

#[tokio::test]
async fn a_byte_that_a_disk_lost_is_found_by_itself_and_the_file_comes_back() {
    let mut hub = hub("30d").await;
    for round in 1..=2 {
        let path = store::blob_path(hub.data_dir(), &weights().sha256());
        let modified = path.metadata().unwrap().modified().unwrap();
        store::damage(hub.data_dir(), &weights().sha256(), 2 * MIB);
        touch(&path, modified);
        hub.mock.clear_log();
        let was = times(&hub).await;
        hub.clock.advance(16 * DAY);
        let said = told(&hub, round).await;
        let job = newest_download(&hub).await;
        let id = text(&job["id"]);
        assert_eq!(
            said,
            format!("the scrub found 1 damaged file: model.safetensors of org/model; downloads again as job {id}")
        );
        hub.done(&job).await;
        // The first one is not kept for 16 days.
        assert_eq!(hub.cdn_bytes(), 3 * MIB);
        assert!(store::quarantined(hub.data_dir()) >= 1);
        until("all are verified", async || times(&hub).await.iter().all(|(file, at)| *at > was[file])).await;
        let storage = hub.look("/v1/storage").await;
        assert_eq!(number(&storage["scrub"]["damaged_files"]), round as u64, "{storage:#}");
        assert_eq!(number(&storage["scrub"]["verified_bytes"]), number(&storage["bytes"]));
        assert_eq!(hub.look("/v1/overview").await["scrub"], storage["scrub"]);
        if round == 1 {
            hub = hub.restart().await;
        }
    }
    assert_eq!(hub.head("/org/model/resolve/main/model.safetensors").await.status, 200);
    for _ in 0..2 {
        let reply = hub.get("/org/model/resolve/main/model.safetensors").await;
        assert_eq!(reply.served(), "hit");
        reply.assert_is(200, &weights().read_all());
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_healthy_file_is_read_in_its_turn_and_that_is_no_use_of_it() {
    let hub = hub("30d").await;
    let (was, model) = (times(&hub).await, hub.look("/v1/models/org/model").await);
    hub.clock.advance(14 * DAY);
    until("sizes are looked at", async || {
        let storage = hub.look("/v1/storage").await;
        storage["scrub"]["sizes_checked_at"].as_str() > Some(was["config.json"].as_str())
    })
    .await;
    assert_eq!(times(&hub).await, was, "nobody's turn has come");
    hub.clock.advance(DAY + DAY / 2);
    until("all are read", async || times(&hub).await.values().all(|at| *at > was["config.json"])).await;
    let after = hub.look("/v1/models/org/model").await;
    assert_eq!(after["last_used_at"], model["last_used_at"]);
    assert_eq!(activities(&hub).await, [""; 0]);
    hub.finish().await;
}

#[tokio::test]
async fn what_is_missing_or_cut_is_found_within_a_day_and_what_was_touched_is_read() {
    let hub = hub("30d").await;
    let [small, readme] = [CONFIG, README].map(|text| store::blob_path(hub.data_dir(), &Content::from(text).sha256()));
    let large = store::blob_path(hub.data_dir(), &weights().sha256());
    let was = times(&hub).await;
    std::fs::remove_file(&small).unwrap();
    touch(&readme, SystemTime::UNIX_EPOCH);
    hub.clock.advance(25 * Duration::from_secs(3600));
    assert!(told(&hub, 1).await.starts_with("the scrub found 1 damaged file: config.json of org/model; "));
    hub.done(&newest_download(&hub).await).await;
    until("the touched one is read", async || times(&hub).await["README.md"] > was["README.md"]).await;
    assert_eq!(times(&hub).await["model.safetensors"], was["model.safetensors"], "nobody has read it");
    File::options().write(true).open(&large).unwrap().set_len(MIB).unwrap();
    let read = times(&hub).await["README.md"].clone();
    hub.clock.advance(25 * Duration::from_secs(3600));
    assert!(told(&hub, 2).await.starts_with("the scrub found 1 damaged file: model.safetensors of org/model; "));
    hub.done(&newest_download(&hub).await).await;
    assert_eq!(store::quarantined(hub.data_dir()), 1);
    assert_eq!(times(&hub).await["README.md"], read, "touched once, read once");
    assert_eq!(hub.head("/org/model/resolve/main/model.safetensors").await.status, 200);
    for (file, right) in
        [("config.json", CONFIG.into()), ("README.md", README.into()), ("model.safetensors", weights().read_all())]
    {
        let reply = hub.get(&format!("/org/model/resolve/main/{file}")).await;
        assert_eq!(reply.served(), "hit");
        reply.assert_is(200, &right);
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_data_directory_whose_disk_is_gone_loses_nothing() {
    let hub = hub("30d").await;
    let away = hub.data_dir().join("away");
    std::fs::rename(hub.data_dir().join("blobs"), &away).unwrap();
    std::fs::rename(hub.data_dir().join("LOCK"), away.join("LOCK")).unwrap();
    let was = times(&hub).await;
    let checked = hub.look("/v1/storage").await["scrub"]["sizes_checked_at"].clone();
    hub.clock.advance(25 * Duration::from_secs(3600));
    beaten(&hub).await;
    assert_eq!((times(&hub).await, activities(&hub).await.len()), (was, 0));
    std::fs::rename(away.join("LOCK"), hub.data_dir().join("LOCK")).unwrap();
    std::fs::rename(&away, hub.data_dir().join("blobs")).unwrap();
    until("sizes are looked at", async || {
        hub.clock.advance(Duration::from_secs(5));
        hub.look("/v1/storage").await["scrub"]["sizes_checked_at"] != checked
    })
    .await;
    assert_eq!(activities(&hub).await.len(), 0);
    hub.finish().await;
}

/// Waits until whatever comes with time has had some.
async fn beaten(hub: &TestHub) {
    for _ in 0..5 {
        hub.clock.advance(Duration::from_secs(5));
        let seen = hub.look("/v1/system").await["workers"][0]["seen_at"].clone();
        hub.clock.advance(Duration::from_secs(5));
        until("it beats", async || hub.look("/v1/system").await["workers"][0]["seen_at"] != seen).await;
    }
}

#[tokio::test]
async fn off_is_off_and_what_was_missed_is_found_when_it_is_on() {
    let hub = hub("0").await;
    let was = times(&hub).await;
    store::damage(hub.data_dir(), &weights().sha256(), 5);
    std::fs::remove_file(store::blob_path(hub.data_dir(), &Content::from(CONFIG).sha256())).unwrap();
    hub.clock.advance(100 * DAY);
    beaten(&hub).await;
    assert_eq!((times(&hub).await, activities(&hub).await.len()), (was, 0));
    assert_eq!(store::quarantined(hub.data_dir()), 0);
    assert_eq!(hub.look("/v1/storage").await["scrub"]["every_seconds"], "0");
    let hub = hub.restart_with(&[("scrub.every", "30d")]).await;
    let said = told(&hub, 1).await;
    assert!(said.starts_with("the scrub found 2 damaged files: "), "{said}");
    hub.done(&newest_download(&hub).await).await;
    assert_eq!(hub.look("/v1/models/org/model").await["download"], "complete");
    hub.finish().await;
}

#[tokio::test]
async fn an_import_whose_original_was_changed_leaves_the_store_and_says_so() {
    let hub = TestHub::builder().manual_clock().set("scrub.share", "100").start().await;
    let disk = tempfile::tempdir_in(hub.data_dir().parent().unwrap()).unwrap();
    let original = disk.path().join("org/own/model.safetensors");
    std::fs::create_dir_all(original.parent().unwrap()).unwrap();
    std::fs::write(disk.path().join("org/own/model_index.json"), b"{}").unwrap();
    std::fs::write(&original, weights().read_all()).unwrap();
    let scan = json!({"path": disk.path().to_str().unwrap(), "placement": "hard_link"});
    hub.done(&hub.order("/v1/scans", scan.clone()).await).await;
    let changed = Content::random(77, 3 * MIB).read_all().to_vec();
    std::fs::write(&original, &changed).unwrap();
    touch(&original, SystemTime::UNIX_EPOCH);
    hub.clock.advance(25 * Duration::from_secs(3600));
    let said = told(&hub, 1).await;
    assert_eq!(
        said,
        "the scrub found 1 damaged file: model.safetensors of org/own; imported from a folder: import that folder again"
    );
    assert_eq!((std::fs::read(&original).unwrap(), store::quarantined(hub.data_dir())), (changed.clone(), 0));
    hub.done(&hub.order("/v1/scans", scan).await).await;
    hub.get("/org/own/resolve/main/model.safetensors").await.assert_is(200, &changed);
    hub.finish().await;
}

// Processes, which read slowly: of a hundredth of the time.

const FILES: u64 = 16;

fn files() -> Vec<(String, Content)> {
    (0..FILES).map(|n| (format!("f{n:02}.bin"), Content::random(500 + n, MIB / 4))).collect()
}

async fn upstream(files: &[(String, Content)]) -> MockHf {
    let mock = MockHf::start_with(Options::default()).await.unwrap();
    mock.put(files.iter().fold(Repo::model("org/model"), |repo, (name, content)| repo.lfs(name, content.clone())));
    mock
}

async fn fetch(client: &Client, hub: &str, files: &[(String, Content)]) {
    for (name, content) in files {
        let reply = client.call("GET", &format!("{hub}/org/model/resolve/main/{name}"), &[], "").await;
        reply.assert_is(200, &content.read_all());
    }
}

/// As if somebody had written to all files: each is to be read.
fn touch_all(data_dir: &Path) {
    for digest in store::blobs(data_dir) {
        touch(&store::blob_path(data_dir, &digest), SystemTime::UNIX_EPOCH);
    }
}

/// A data directory with these files, all of them touched, which no process has; and when they were verified before.
async fn touched(mock: &MockHf, files: &[(String, Content)]) -> (tempfile::TempDir, BTreeMap<String, String>) {
    let (dir, client) = (tempfile::tempdir().unwrap(), Client::new());
    let (server, at) = spawn(dir.path(), mock, "0", "100").await;
    fetch(&client, &at.hub, files).await;
    until("all are stored", async || files_of(&client, &at.admin).await.values().all(|at| !at.is_empty())).await;
    let came = files_of(&client, &at.admin).await;
    server.terminate();
    assert!(server.ended().await.success());
    touch_all(dir.path());
    (dir, came)
}

async fn spawn(dir: &Path, mock: &MockHf, every: &str, share: &str) -> (Server, Addresses) {
    let mut server = Server::spawn(dir, &mock.url(), &[("scrub.every", every), ("scrub.share", share)]);
    let addresses = server.addresses().await.expect("it starts");
    (server, addresses)
}

async fn files_of(client: &Client, admin: &str) -> BTreeMap<String, String> {
    verified(&client.call("GET", &format!("{admin}/v1/models/org/model/files"), &[], "").await.json())
}

/// Those whose bytes were proven since they were touched, and when.
fn done(times: BTreeMap<String, String>, since: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    times.into_iter().filter(|(name, at)| !at.is_empty() && since.get(name) != Some(at)).collect()
}

async fn scrubbed_bytes(client: &Client, admin: &str) -> u64 {
    let metrics = client.call("GET", &format!("{admin}/metrics"), &[], "").await.text();
    let line = metrics.lines().find(|line| line.starts_with("modelhub_scrubbed_bytes_total ")).unwrap().to_owned();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_it_goes_on_with_the_rest() {
    let (files, client) = (files(), Client::new());
    let mock = upstream(&files).await;
    let (dir, came) = touched(&mock, &files).await;
    let mut so_far = BTreeMap::new();
    for kills in 1..=2 {
        let (server, at) = spawn(dir.path(), &mock, "30d", "1").await;
        until("some more are read", async || done(files_of(&client, &at.admin).await, &came).len() >= so_far.len() + 2)
            .await;
        server.kill().await;
        let (server, at) = spawn(dir.path(), &mock, "0", "100").await;
        let now = done(files_of(&client, &at.admin).await, &came);
        assert!(now.len() < files.len(), "killed in the middle, {kills}: {now:#?}");
        assert!(so_far.iter().all(|(name, time)| now.get(name) == Some(time)), "{so_far:#?} {now:#?}");
        so_far = now;
        server.terminate();
        assert!(server.ended().await.success());
    }
    let (server, at) = spawn(dir.path(), &mock, "30d", "100").await;
    until("all are read", async || done(files_of(&client, &at.admin).await, &came).len() == files.len()).await;
    let all = done(files_of(&client, &at.admin).await, &came);
    assert!(so_far.iter().all(|(name, time)| all[name] == *time), "read twice: {so_far:#?} {all:#?}");
    assert_eq!(scrubbed_bytes(&client, &at.admin).await, (files.len() - so_far.len()) as u64 * MIB / 4);
    server.terminate();
    assert!(server.ended().await.success());
    store::check(dir.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_is_stopped_at_once_and_gone_on_from_where_it_was() {
    let (files, client) = (vec![("big.bin".to_owned(), Content::random(600, 64 * MIB))], Client::new());
    let mock = upstream(&files).await;
    let (dir, _) = touched(&mock, &files).await;
    let mut read = 0;
    for _ in 0..2 {
        let (server, at) = spawn(dir.path(), &mock, "30d", "1").await;
        let mut here = 0;
        until("something is read", async || {
            here = scrubbed_bytes(&client, &at.admin).await;
            here >= 2 * MIB
        })
        .await;
        assert!(here < 32 * MIB, "too fast for this test: {here}");
        read += here;
        let asked = Instant::now();
        server.terminate();
        assert!(server.ended().await.success());
        // Reading on would take many seconds.
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
    let (server, at) = spawn(dir.path(), &mock, "30d", "100").await;
    until("it is read", async || {
        !files_of(&client, &at.admin).await["big.bin"].is_empty() && {
            let storage = client.call("GET", &format!("{}/v1/storage", at.admin), &[], "").await.json();
            number(&storage["scrub"]["verified_files"]) == 1
        }
    })
    .await;
    let rest = scrubbed_bytes(&client, &at.admin).await;
    assert!(rest <= 64 * MIB - read, "{rest} read again, {read} before");
    server.terminate();
    assert!(server.ended().await.success());
    store::check(dir.path());
    assert_eq!(store::quarantined(dir.path()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn of_two_workers_one_reads_and_the_other_goes_on_when_it_stops() {
    let (files, client) = (files(), Client::new());
    let settings = [("upstream.cdn_hosts", "127.0.0.1"), ("scrub.share", "1"), ("jobs.lease", "3s")];
    let team = Team::start(upstream(&files).await, &settings).await;
    fetch(&client, &team.addresses.hub, &files).await;
    touch_all(team.data_dir());
    let came = files_of(&client, &team.addresses.admin).await;
    let (mut first_seen, mut workers) = (BTreeMap::new(), vec![team.worker().await.0, team.worker().await.0]);
    until("all are read", async || {
        for (name, time) in done(files_of(&client, &team.addresses.admin).await, &came) {
            let seen = first_seen.entry(name).or_insert(time.clone());
            assert_eq!(*seen, time, "read twice");
        }
        if first_seen.len() >= 3 && workers.len() == 2 {
            let one = workers.remove(0);
            one.terminate();
            assert!(one.ended().await.success());
            assert!(first_seen.len() < files.len(), "stopped in the middle");
        }
        first_seen.len() == files.len()
    })
    .await;
    let storage = team.call("GET", "/v1/storage", &Value::Null).await;
    assert_eq!(number(&storage["scrub"]["verified_files"]), FILES, "{storage:#}");
    assert_eq!(each(&storage["models"], "name").len(), 1);
    for process in workers.into_iter().chain([team.hub]) {
        process.terminate();
        assert!(process.ended().await.success());
    }
}
