//! kill -9 at any moment while jobs of all kinds are under way, of a server that does everything (`server`) and of a
//! server and its workers (`team`): every acknowledged job ends right, and no finished segment is fetched again.
//!
//! A few kills here; IT_KILLS=50 makes as many. Set IT_SEED to the number that a failing run has printed.

mod server;
mod team;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use mock_hf::{Content, MockHf, Options, Origin, Repo};
use serde_json::{Value, json};

use super::{each, list, number, text};
use crate::harness::repos::MIB;
use crate::harness::{Client, store};

const SEGMENT: u64 = 64 * 1024;
const FILES: usize = 6;

const SETTINGS: [(&str, &str); 7] = [
    ("flight.segment_size", "64KiB"),
    ("flight.verify_first", "64KiB"),
    ("flight.hold_back", "64KiB"),
    ("flight.connections", "2"),
    ("jobs.lease", "3s"),
    ("jobs.max_downloads", "4"),
    ("upstream.cdn_hosts", "127.0.0.1"),
];

/// What chance decides in a run.
#[derive(Clone, Copy)]
struct Dice {
    seed: u64,
    kills: u64,
}

impl Dice {
    fn from_env() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let seed = number("IT_SEED").unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
        let kills = number("IT_KILLS").unwrap_or(8);
        Self { seed, kills }
    }

    /// A number below `sides`; the same for the same throw of the same round.
    fn throw(self, round: u64, throw: u64, sides: u64) -> u64 {
        let seed = self.seed.wrapping_add(round) ^ throw;
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// When in a round the kill comes: time is what these tests are about.
    fn moment(self, round: u64) -> Duration {
        Duration::from_millis(100 + self.throw(round, 0, 3000))
    }
}

/// Upstream, which is slow enough that kills come in the middle of downloads.
async fn upstream(kills: u64) -> MockHf {
    let options = Options { bytes_per_second_per_connection: Some(2 * MIB), ..Options::default() };
    let mock = MockHf::start_with(options).await.unwrap();
    for round in 0..kills {
        mock.put(model(round));
    }
    mock
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

/// What was there before a kill: the finished segments of partial files, and whole files.
struct Before {
    finished: BTreeMap<(u64, usize), BTreeSet<u64>>,
    stored: BTreeSet<String>,
}

impl Before {
    fn of(data_dir: &Path, rounds: u64) -> Self {
        let files = (0..rounds).flat_map(|round| (0..FILES).map(move |file| (round, file)));
        let segments = |(round, file)| store::finished_segments(data_dir, &content(round, file).sha256());
        let finished = files.map(|file| (file, segments(file))).collect();
        Self { finished, stored: store::blobs(data_dir) }
    }

    fn resumable(&self) -> usize {
        self.finished.values().filter(|segments| !segments.is_empty()).count()
    }

    /// Nothing of it was fetched again, says the log of upstream.
    fn assert_not_fetched_again(&self, mock: &MockHf, when: &str) {
        for ((of, file), segments) in fetched(mock) {
            let Some(before) = self.finished.get(&(of, file)) else { continue };
            let again: Vec<_> = segments.intersection(before).collect();
            assert!(again.is_empty(), "{when}: segments {again:?} of {} were fetched again", name(of, file));
            let whole = self.stored.contains(&content(of, file).sha256());
            assert!(!whole, "{when}: {} was stored and fetched again", name(of, file));
        }
    }
}

/// A person who gives orders to a server that may be gone at any moment, and remembers what it acknowledged.
struct Person {
    client: Client,
    dice: Dice,
    /// What each job is about, by its id.
    acknowledged: Mutex<BTreeMap<String, String>>,
}

impl Person {
    fn new(dice: Dice) -> Self {
        Self { client: Client::new(), dice, acknowledged: Mutex::default() }
    }

    /// A new model, its files, and jobs about what is there already; then nothing, for ever.
    async fn work(&self, admin: &str, round: u64) {
        let post = async |path: &str, body: &Value| ask(&self.client, admin, "POST", path, body).await;
        let id = format!("org/m{round}");
        if let Some(registered) = post("/v1/models", &json!({"repo_id": id})).await {
            let sync = json!({"id": registered["active_job_id"], "kind": "sync", "repo_id": id});
            self.note(round, Some(sync).filter(|job| job["id"] != ""));
            self.note(round, post(&format!("/v1/models/{id}/download"), &json!({})).await);
            let part = format!("*f{}*", self.dice.throw(round, 2, FILES as u64));
            let part = json!({"selection": {"include": [part]}, "priority": 100});
            self.note(round, post(&format!("/v1/models/{id}/download"), &part).await);
            if round > 0 {
                let older = format!("org/m{}", self.dice.throw(round, 1, round));
                self.note(round, post(&format!("/v1/models/{older}/sync"), &json!({})).await);
                self.note(round, post(&format!("/v1/models/{older}/download"), &json!({})).await);
            }
            self.note(round, post("/v1/storage/verify", &json!({})).await);
        }
        std::future::pending().await
    }

    fn note(&self, round: u64, job: Option<Value>) {
        if let Some(job) = job {
            let what = format!("{} of {} in round {round}", text(&job["kind"]), text(&job["repo_id"]));
            self.acknowledged.lock().unwrap().insert(text(&job["id"]).to_owned(), what);
        }
    }

    /// Left in peace, everything comes to its end, and what the models say of themselves is so. Gives the number of
    /// jobs that were acknowledged.
    async fn assert_all_ends_right(&self, admin: &str, data_dir: &Path) -> usize {
        let get = async |path: &str| ask(&self.client, admin, "GET", path, &Value::Null).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60 + 10 * self.dice.kills);
        loop {
            let live = get("/v1/jobs?status=pending&status=running&status=paused").await.expect("it answers");
            if list(&live["jobs"]).is_empty() {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "jobs that do not end: {live:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        for (id, what) in &acknowledged {
            let job = get(&format!("/v1/jobs/{id}")).await;
            let job = job.unwrap_or_else(|| panic!("the acknowledged {what} is lost"));
            assert_eq!(job["status"], "completed", "{what}: {job:#}");
        }
        let jobs = get("/v1/jobs?page_size=1000").await.unwrap();
        let ended = each(&jobs["jobs"], "status");
        assert!(ended.iter().all(|status| *status == "completed"), "{ended:?}");
        let least = 2 * self.dice.kills as usize;
        assert!(acknowledged.len() >= least, "the kills came too early: {acknowledged:?}");

        let models = get("/v1/models?page_size=1000").await.unwrap();
        let blobs = store::blobs(data_dir);
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
        acknowledged.len()
    }
}
