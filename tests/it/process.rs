//! The real program: its commands, its start and stop, and kill -9 at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mock_hf::{Content, MockHf, Options, Origin, Repo};

use crate::harness::process::{Server, command, run};
use crate::harness::repos::MIB;
use crate::harness::{Client, Outcome, eventually, store};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn config_file(dir: &tempfile::TempDir, text: &str) -> String {
    use std::io::Write as _;
    let path = dir.path().join("modelhub.toml");
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn config_check_accepts_what_is_right_and_names_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = [("store.data_dir", dir.path().to_str().unwrap())];
    let good = config_file(&dir, "[flight]\nconnections = 3\n");
    let output = run(&["config", "check", "--config", &good], &data_dir).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "the settings are valid\n");
    for (wrong, hint) in [
        ("[hub]\nlisen = \"127.0.0.1:1\"\n", "unknown key hub.lisen; did you mean hub.listen?"),
        ("[huub]\n", "unknown section [huub]; did you mean hub?"),
        ("[cache]\nref_ttl = \"soon\"\n", "ref_ttl"),
        ("[admin]\nlisten = \"0.0.0.0:1\"\n", "MODELHUB_ADMIN_TOKEN"),
    ] {
        let file = config_file(&dir, wrong);
        let output = run(&["config", "check", "--config", &file], &data_dir).await;
        assert_eq!(output.status.code(), Some(1), "{wrong}");
        assert!(text(&output.stderr).contains(hint), "{wrong}: {}", text(&output.stderr));
        let output = run(&["serve", "--config", &file], &data_dir).await;
        assert_eq!(output.status.code(), Some(1), "serve must not start with {wrong}");
    }
    // The place of what is wrong is named: the line of the file, the variable, the flag.
    let file = config_file(&dir, "[hub]\nlisten=\"x\"\n");
    let output = run(&["config", "check", "--config", &file], &data_dir).await;
    let expected =
        format!("{file}, line 2: hub.listen is \"x\": expected an IP address and a port, such as 127.0.0.1:8484");
    assert!(text(&output.stderr).contains(&expected), "{}", text(&output.stderr));
    let output = run(&["config", "check"], &[("hub.listen", "nonsense")]).await;
    assert!(text(&output.stderr).contains("MODELHUB_HUB_LISTEN: hub.listen is"), "{}", text(&output.stderr));
    let output = run(&["serve", "--hub-listen", "1"], &data_dir).await;
    assert!(text(&output.stderr).contains("--hub-listen: hub.listen is"), "{}", text(&output.stderr));
    // As a target of its own this word would silence everything.
    let output = run(&["serve"], &[data_dir[0], ("log", "loud")]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("MODELHUB_LOG: log.level is `loud`"), "{}", text(&output.stderr));
    let output = run(&["config", "check"], &[("upstream.uri", "x")]).await;
    assert!(text(&output.stderr).contains("did you mean MODELHUB_UPSTREAM_URL?"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn config_print_shows_the_settings_and_hides_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let secret = "hf_aVerySecretTokenOfThisHubItself0000001";
    let file = config_file(&dir, "[hub]\nlisten = \"127.0.0.1:7\"\n");
    let settings =
        [("store.data_dir", dir.path().to_str().unwrap()), ("upstream.token", secret), ("flight.connections", "5")];
    let output = run(&["config", "print", "--config", &file], &settings).await;
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(shown.contains("listen = \"127.0.0.1:7\"") && shown.contains("connections = 5"), "{shown}");
    assert!(!shown.contains(secret) && shown.contains("***"), "{shown}");
    let defaults = run(&["config", "print", "--defaults"], &[]).await;
    assert_eq!(text(&defaults.stdout), modelhub::config::DEFAULTS);
    let help = run(&["--help"], &[]).await;
    assert!(help.status.success() && text(&help.stdout).contains("HF_ENDPOINT"));
}

#[tokio::test]
async fn it_prints_where_it_listens_and_stops_on_sigterm() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    let mut server = Server::spawn(dir.path(), &mock.url(), &[]);
    let addresses = server.addresses().await.unwrap();
    assert_ne!(addresses.hub, addresses.admin);
    let client = Client::new();
    for base in [&addresses.hub, &addresses.admin] {
        assert!(!base.ends_with(":0"));
        assert_eq!(client.call("GET", &format!("{base}/readyz"), &[], "").await.status, 200);
    }
    let metrics = client.call("GET", &format!("{}/metrics", addresses.admin), &[], "").await.text();
    assert!(metrics.contains("modelhub_requests_total"), "{metrics}");
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_start_says_what_others_can_reach() {
    use tokio::io::AsyncBufReadExt as _;
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("store.data_dir", dir.path().to_str().unwrap()),
        ("hub.listen", "0.0.0.0:0"),
        ("admin.listen", "127.0.0.1:0"),
        ("upstream.offline", "true"),
    ];
    let mut command = command(&["serve"], &settings);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let warned = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("other machines can download through the hub at 0.0.0.0:0 (hub.listen)") {
                assert!(line.contains("WARN"), "{line}");
                return true;
            }
        }
        false
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), warned).await.expect("it starts"), "no warning came");
    child.kill().await.unwrap();
}

#[tokio::test]
async fn sigterm_lets_a_running_download_finish() {
    let content = Content::random(1, 4 * MIB);
    let options = Options { bytes_per_second_per_connection: Some(4 * MIB), ..Options::default() };
    let mock = MockHf::start_with(options).await.unwrap();
    mock.put(Repo::model("org/big").lfs("big.bin", content.clone()));
    let dir = tempfile::tempdir().unwrap();
    let settings = [("flight.verify_first", "64KiB"), ("flight.connections", "1"), ("flight.segment_size", "256KiB")];
    let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
    let url = format!("{}/org/big/resolve/main/big.bin", server.addresses().await.unwrap().hub);
    let response = Client::new().send("GET", &url, &[], "").await.unwrap();
    server.terminate();
    assert!(response.bytes().await.unwrap() == content.read_all());
    assert_eq!(server.ended().await.code(), Some(0));
    assert!(Client::new().send("GET", &url, &[], "").await.is_err(), "it still listens");
    store::check(dir.path());
}

#[tokio::test]
async fn a_download_that_outlasts_the_drain_is_cut_and_goes_on_after_the_next_start() {
    let content = Content::random(1, 8 * MIB);
    let options = Options { bytes_per_second_per_connection: Some(2 * MIB), ..Options::default() };
    let mock = MockHf::start_with(options).await.unwrap();
    mock.put(Repo::model("org/big").lfs("big.bin", content.clone()));
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("flight.verify_first", "64KiB"),
        ("flight.connections", "1"),
        ("flight.segment_size", "256KiB"),
        ("hub.drain_timeout", "300ms"),
    ];
    let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
    let path = "/org/big/resolve/main/big.bin";
    let url = format!("{}{path}", server.addresses().await.unwrap().hub);
    let response = Client::new().send("GET", &url, &[], "").await.unwrap();
    eventually("a quarter is here", || mock.stats().cdn_body_bytes > 2 * MIB).await;
    server.terminate();
    assert!(response.bytes().await.is_err(), "a cut body must not look complete");
    assert_eq!(server.ended().await.code(), Some(0));
    let finished = store::finished_segments(dir.path(), &content.sha256());
    assert!(finished.len() >= 4, "{finished:?}");
    let kept = store::kept_bytes(dir.path(), &content.sha256());
    mock.idle().await;
    mock.clear_log();
    let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
    let url = format!("{}{path}", server.addresses().await.unwrap().hub);
    assert_eq!(Client::new().compare(&url, &content).await, Outcome::Right);
    assert_eq!(mock.stats().cdn_body_bytes, 8 * MIB - kept);
    server.kill().await;
}

#[tokio::test]
async fn kill_9_in_the_middle_of_segments_costs_at_most_a_mebibyte_a_connection() {
    let (content, connections) = (Content::random(2, 24 * MIB), 3);
    let options = Options { bytes_per_second_per_connection: Some(2 * MIB), ..Options::default() };
    let mock = MockHf::start_with(options).await.unwrap();
    mock.put(Repo::model("org/big").lfs("big.bin", content.clone()));
    let dir = tempfile::tempdir().unwrap();
    // Segments that no connection finishes before it is killed.
    let settings = [("flight.segment_size", "8MiB"), ("flight.connections", "3")];
    let (mut fetched, kills) = (0, 3);
    for _ in 0..kills {
        let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
        let url = format!("{}/org/big/resolve/main/big.bin", server.addresses().await.unwrap().hub);
        let _reading = Client::new().send("GET", &url, &[], "").await.unwrap();
        eventually("some of it is here", || mock.stats().cdn_body_bytes > 6 * MIB).await;
        server.kill().await;
        mock.idle().await;
        fetched += mock.stats().cdn_body_bytes;
        mock.clear_log();
        let kept = store::kept_bytes(dir.path(), &content.sha256());
        assert!(fetched - kept <= kills * connections * MIB, "{kept} of {fetched} bytes were kept");
    }
    let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
    let url = format!("{}/org/big/resolve/main/big.bin", server.addresses().await.unwrap().hub);
    assert_eq!(Client::new().compare(&url, &content).await, Outcome::Right);
    fetched += mock.stats().cdn_body_bytes;
    assert!(fetched <= content.size() + kills * connections * MIB, "{fetched} bytes for {}", content.size());
    server.kill().await;
}

#[tokio::test]
async fn a_second_process_on_the_same_directory_refuses() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    let mut first = Server::spawn(dir.path(), &mock.url(), &[]);
    let addresses = first.addresses().await.unwrap();
    let settings = [
        ("store.data_dir", dir.path().to_str().unwrap()),
        ("hub.listen", "127.0.0.1:0"),
        ("admin.listen", "127.0.0.1:0"),
    ];
    let second = run(&["serve"], &settings).await;
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second.stderr);
    assert!(said.contains(dir.path().to_str().unwrap()) && said.contains("another"), "{said}");
    assert_eq!(Client::new().call("GET", &format!("{}/readyz", addresses.hub), &[], "").await.status, 200);
    // Killed, it leaves no lock behind.
    first.kill().await;
    let mut third = Server::spawn(dir.path(), &mock.url(), &[]);
    assert!(third.addresses().await.is_some());
    third.kill().await;
}

#[tokio::test]
async fn a_job_of_a_hub_that_was_killed_waits_for_no_lease() {
    let options = Options { bytes_per_second_per_connection: Some(MIB), ..Options::default() };
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start_with(options).await.unwrap());
    mock.put(Repo::model("org/big").lfs("big.bin", Content::random(93, 8 * MIB)));
    let lease = ("jobs.lease", "1h");
    let mut server = Server::spawn(dir.path(), &mock.url(), &[lease]);
    let (client, mut admin) = (Client::new(), server.addresses().await.unwrap().admin);
    client.call("POST", &format!("{admin}/v1/models"), &[], r#"{"repo_id": "org/big"}"#).await;
    let job = client.call("POST", &format!("{admin}/v1/models/org/big/download"), &[], "{}").await.json();
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let look = async |admin: &str| client.call("GET", &format!("{admin}{path}"), &[], "").await.json();
    while look(&admin).await["progress"]["bytes_per_second"] == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.kill().await;
    // Nobody runs it now, and nobody says so.
    let mut server = Server::spawn(dir.path(), &mock.url(), &[lease, ("jobs.run", "false")]);
    admin = server.addresses().await.unwrap().admin;
    let waiting = look(&admin).await;
    assert_eq!((&waiting["status"], &waiting["waiting_for"]), (&"pending".into(), &"the queue".into()), "{waiting:#}");
    assert_eq!(waiting["progress"]["bytes_per_second"], "0", "{waiting:#}");
    server.kill().await;
    let mut server = Server::spawn(dir.path(), &mock.url(), &[lease]);
    admin = server.addresses().await.unwrap().admin;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let mut job = look(&admin).await;
    while job["status"] != "completed" {
        assert!(tokio::time::Instant::now() < deadline, "it goes on: {job:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        job = look(&admin).await;
    }
    assert_eq!(job["attempts"], 2, "{job:#}");
    server.kill().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    let taken = mock.hub_addr().unwrap().to_string();
    let settings = [
        ("store.data_dir", dir.path().to_str().unwrap()),
        ("hub.listen", taken.as_str()),
        ("admin.listen", "127.0.0.1:0"),
    ];
    let output = run(&["serve"], &settings).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("hub.listen") && text(&output.stderr).contains(&taken),
        "{}",
        text(&output.stderr)
    );
}

const FILES: usize = 16;
const FILE_SIZE: u64 = 4 * MIB;
const SEGMENT: u64 = 64 * 1024;

fn content(number: usize) -> Content {
    Content::random(700 + number as u64, FILE_SIZE)
}

fn url(base: &str, number: usize) -> String {
    format!("{base}/org/killed/resolve/main/file-{number:02}.bin")
}

/// The file and the segments that each request to the CDN was about.
fn fetched(mock: &MockHf) -> Vec<(usize, BTreeSet<u64>)> {
    let of = |line: mock_hf::Logged| {
        let at = line.query.find("file-").unwrap() + "file-".len();
        let number = line.query[at..at + 2].parse().unwrap();
        let segments = match line.range.as_deref() {
            None => (0..FILE_SIZE / SEGMENT).collect(),
            Some(range) => {
                let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                (from.parse::<u64>().unwrap() / SEGMENT..=to.parse::<u64>().unwrap() / SEGMENT).collect()
            }
        };
        (number, segments)
    };
    mock.requests().into_iter().filter(|line| line.origin == Origin::Cdn).map(of).collect()
}

fn mix(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Set IT_SEED to the number that a failing run has printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_a_hundred_moments_spoils_nothing_and_loses_no_finished_segment() {
    let seed = std::env::var("IT_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
    println!("IT_SEED={seed}");
    let options = Options { bytes_per_second_per_connection: Some(512 * 1024), ..Options::default() };
    let mock = MockHf::start_with(options).await.unwrap();
    mock.put((0..FILES).fold(Repo::model("org/killed"), |repo, n| repo.lfs(format!("file-{n:02}.bin"), content(n))));
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("flight.segment_size", "64KiB"),
        ("flight.verify_first", "64KiB"),
        ("flight.hold_back", "64KiB"),
        ("flight.connections", "2"),
    ];

    let (mut resumed, served) = (0, AtomicUsize::new(0));
    for round in 0..100u64 {
        store::check(dir.path());
        let finished: BTreeMap<usize, BTreeSet<u64>> = (0..FILES)
            .map(|number| (number, store::finished_segments(dir.path(), &content(number).sha256())))
            .collect();
        resumed += finished.values().filter(|segments| !segments.is_empty()).count();
        let blobs = store::blobs(dir.path());
        let mut next: Vec<_> =
            (0..FILES).filter(|number| !blobs.contains(&content(*number).sha256())).take(4).collect();
        next.push((mix(seed ^ round) % FILES as u64) as usize);
        tokio::time::timeout(Duration::from_secs(20), mock.idle()).await.expect("upstream notices the kill");
        mock.clear_log();

        let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
        let moment = Duration::from_millis(10 + mix(seed.wrapping_add(round)) % 400);
        let client = Client::new();
        // Each fourth kill may come in the middle of a start, which takes long on a busy machine.
        let mut addresses = if round % 4 == 0 { None } else { server.addresses().await };
        let downloads = async {
            if addresses.is_none() {
                addresses = server.addresses().await;
            }
            let Some(addresses) = &addresses else { return };
            let all = next.iter().map(async |number| {
                let outcome = client.compare(&url(&addresses.hub, *number), &content(*number)).await;
                assert!(!matches!(outcome, Outcome::Wrong(_)), "round {round}: file {number}: {outcome:?}");
                served.fetch_add(1, Ordering::Relaxed);
            });
            futures_util::future::join_all(all).await;
        };
        let _ = tokio::time::timeout(moment, downloads).await;
        server.kill().await;
        for (number, segments) in fetched(&mock) {
            let again: Vec<_> = segments.intersection(&finished[&number]).collect();
            assert!(again.is_empty(), "round {round}: segments {again:?} of file {number} were fetched again");
        }
    }
    println!("{resumed} downloads were resumed, {} answers ended before a kill", served.load(Ordering::Relaxed));
    assert!(resumed > 50, "only {resumed} downloads were resumed: the kills came too late or too early");

    let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
    let hub = server.addresses().await.unwrap().hub;
    let client = Client::new();
    for number in 0..FILES {
        assert_eq!(client.compare(&url(&hub, number), &content(number)).await, Outcome::Right, "file {number}");
    }
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    store::check(dir.path());
    let right: BTreeSet<_> = (0..FILES).map(|number| content(number).sha256()).collect();
    assert_eq!(store::blobs(dir.path()), right);
    assert_eq!(std::fs::read_dir(dir.path().join("partial")).unwrap().count(), 0, "something is left over");
    assert_eq!(store::quarantined(dir.path()), 0);
}
