//! kill -9 at any moment while jobs of all kinds are under way: every acknowledged job ends right, and no finished
//! segment is fetched again.
//!
//! A few kills here; IT_KILLS=50 makes as many. Set IT_SEED to the number that a failing run has printed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use mock_hf::{Content, MockHf, Options, Origin, Repo};
use serde_json::{Value, json};

use super::{each, list, number, text};
use crate::harness::process::Server;
use crate::harness::repos::MIB;
use crate::harness::{Client, store};

const SEGMENT: u64 = 64 * 1024;
const FILES: usize = 6;

fn mix(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The files of the model of a round: some of one segment, some of many.
fn content(round: u64, file: usize) -> Content {
    let size = [SEGMENT / 2, MIB, 4 * MIB, 3 * MIB + 17, SEGMENT, 2 * MIB][file];
    Content::random(1000 + round * 10 + file as u64, size)
}

fn name(round: u64, file: usize) -> String {
    format!("r{round:03}-f{file}.bin")
}

fn model(round: u64) -> Repo {
    let repo = Repo::model(format!("org/m{round}")).file("config.json", format!("{{\"round\": {round}}}"));
    (0..FILES).fold(repo, |repo, file| repo.lfs(name(round, file), content(round, file)))
}

/// Segments of each file that the CDN was asked for.
fn fetched(mock: &MockHf) -> Vec<((u64, usize), BTreeSet<u64>)> {
    let of = |line: mock_hf::Logged| {
        let at = line.query.find("-f").unwrap();
        let round = line.query[at - 3..at].parse().unwrap();
        let file: usize = line.query[at + 2..at + 3].parse().unwrap();
        let segments = match line.range.as_deref() {
            None => (0..content(round, file).size().div_ceil(SEGMENT)).collect(),
            Some(range) => {
                let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                (from.parse::<u64>().unwrap() / SEGMENT..=to.parse::<u64>().unwrap() / SEGMENT).collect()
            }
        };
        ((round, file), segments)
    };
    mock.requests().into_iter().filter(|line| line.origin == Origin::Cdn).map(of).collect()
}

/// Asks something of a server that may be killed at any moment; `None`: it gave no whole answer.
async fn ask(client: &Client, admin: &str, method: &str, path: &str, body: &Value) -> Option<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = client.send(method, &format!("{admin}{path}"), &[], &body).await.ok()?;
    let status = reply.status();
    let value: Value = serde_json::from_slice(&reply.bytes().await.ok()?).ok()?;
    assert!(status == 200 || status == 409, "{method} {path}: {status} {value}");
    (status == 200).then_some(value)
}

/// What a person does in a round: a new model, its files, and jobs about what is there already. The ids of all jobs
/// that were acknowledged are noted.
async fn work(
    client: &Client,
    admin: &str,
    round: u64,
    seed: u64,
    acknowledged: &std::sync::Mutex<BTreeMap<String, String>>,
) {
    let note = |job: Option<Value>| {
        if let Some(job) = job {
            let what = format!("{} of {} in round {round}", text(&job["kind"]), text(&job["repo_id"]));
            acknowledged.lock().unwrap().insert(text(&job["id"]).to_owned(), what);
        }
    };
    let id = format!("org/m{round}");
    let Some(registered) = ask(client, admin, "POST", "/v1/models", &json!({"repo_id": id})).await else { return };
    note(Some(json!({"id": registered["active_job_id"], "kind": "sync", "repo_id": id})).filter(|job| job["id"] != ""));
    note(ask(client, admin, "POST", &format!("/v1/models/{id}/download"), &json!({})).await);
    let part = json!({"selection": {"include": [format!("*f{}*", mix(seed) % FILES as u64)]}, "priority": 100});
    note(ask(client, admin, "POST", &format!("/v1/models/{id}/download"), &part).await);
    if round > 0 {
        let older = format!("org/m{}", mix(seed ^ 1) % round);
        note(ask(client, admin, "POST", &format!("/v1/models/{older}/sync"), &json!({})).await);
        note(ask(client, admin, "POST", &format!("/v1/models/{older}/download"), &json!({})).await);
    }
    note(ask(client, admin, "POST", "/v1/storage/verify", &json!({})).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_while_jobs_run_loses_no_job_and_fetches_no_finished_segment_again() {
    let seed = from_env("IT_SEED").unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
    let kills = from_env("IT_KILLS").unwrap_or(8);
    println!("IT_SEED={seed} IT_KILLS={kills}");
    let options = Options { bytes_per_second_per_connection: Some(2 * MIB), ..Options::default() };
    let mock = MockHf::start_with(options).await.unwrap();
    for round in 0..kills {
        mock.put(model(round));
    }
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("flight.segment_size", "64KiB"),
        ("flight.verify_first", "64KiB"),
        ("flight.hold_back", "64KiB"),
        ("flight.connections", "2"),
        ("jobs.lease", "3s"),
        ("jobs.max_downloads", "4"),
        ("upstream.cdn_hosts", "127.0.0.1"),
    ];
    let acknowledged = std::sync::Mutex::new(BTreeMap::new());
    let (client, mut resumed) = (Client::new(), 0);
    for round in 0..kills {
        store::check(dir.path());
        let finished: BTreeMap<(u64, usize), BTreeSet<u64>> = (0..round)
            .flat_map(|round| (0..FILES).map(move |file| (round, file)))
            .map(|(round, file)| ((round, file), store::finished_segments(dir.path(), &content(round, file).sha256())))
            .collect();
        let stored = store::blobs(dir.path());
        resumed += finished.values().filter(|segments| !segments.is_empty()).count();
        tokio::time::timeout(Duration::from_secs(20), mock.idle()).await.expect("upstream notices the kill");
        mock.clear_log();

        let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
        let addresses = server.addresses().await.expect("it starts after a kill");
        let moment = Duration::from_millis(100 + mix(seed.wrapping_add(round)) % 3000);
        // Time is what this test is about: the kill comes when it comes.
        let killed = async {
            work(&client, &addresses.admin, round, seed.wrapping_add(round), &acknowledged).await;
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(moment, killed).await;
        server.kill().await;
        for ((of, file), segments) in fetched(&mock) {
            let Some(before) = finished.get(&(of, file)) else { continue };
            let again: Vec<_> = segments.intersection(before).collect();
            assert!(again.is_empty(), "round {round}: segments {again:?} of {} were fetched again", name(of, file));
            let whole = stored.contains(&content(of, file).sha256());
            assert!(!whole, "round {round}: {} was stored and fetched again", name(of, file));
        }
    }

    // Left in peace, everything comes to its end.
    let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
    let admin = server.addresses().await.unwrap().admin;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60 + 10 * kills);
    loop {
        let live =
            ask(&client, &admin, "GET", "/v1/jobs?status=pending&status=running&status=paused", &Value::Null).await;
        let live = live.expect("it answers");
        if list(&live["jobs"]).is_empty() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "jobs that do not end: {live:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    for (id, what) in &acknowledged {
        let job = ask(&client, &admin, "GET", &format!("/v1/jobs/{id}"), &Value::Null).await;
        let job = job.unwrap_or_else(|| panic!("the acknowledged {what} is lost"));
        assert_eq!(job["status"], "completed", "{what}: {job:#}");
    }
    let jobs = ask(&client, &admin, "GET", "/v1/jobs?page_size=1000", &Value::Null).await.unwrap();
    let ended = each(&jobs["jobs"], "status");
    assert!(ended.iter().all(|status| *status == "completed"), "{ended:?}");
    println!("{} jobs were acknowledged and completed, {resumed} downloads were resumed", acknowledged.len());
    assert!(acknowledged.len() as u64 >= 2 * kills, "the kills came too early: {acknowledged:?}");

    // What the models say of themselves is so.
    let models = ask(&client, &admin, "GET", "/v1/models?page_size=1000", &Value::Null).await.unwrap();
    let blobs = store::blobs(dir.path());
    for model in list(&models["models"]) {
        let round: u64 = text(&model["repo_id"]).trim_start_matches("org/m").parse().unwrap();
        let here = (0..FILES).filter(|file| blobs.contains(&content(round, *file).sha256())).count() as u64;
        let config = Content::from(format!("{{\"round\": {round}}}"));
        let here = here + u64::from(blobs.contains(&config.sha256()));
        assert_eq!(number(&model["files_here"]), here, "{model:#}");
        if acknowledged.values().any(|what| *what == format!("download of org/m{round} in round {round}")) {
            assert_eq!((here, text(&model["download"])), (FILES as u64 + 1, "complete"), "{model:#}");
        }
    }
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    store::check(dir.path());
    assert_eq!(store::quarantined(dir.path()), 0);
}
