//! What is wrong for a while is told in the log when it begins and when it ends, however many requests meet it.

use std::path::Path;

use mock_hf::{Content, Fault, MockHf, Repo, Rule, TOKEN_ALICE, TOKEN_REVOKED};

use crate::harness::Client;
use crate::harness::process::Server;
use crate::harness::repos::MIB;

/// Lines of the log, without what a start says.
fn lines(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn count(log: &Path, what: &str) -> usize {
    lines(log).iter().filter(|line| line.contains(what)).count()
}

/// The log has these lines, so often, and no other warning or error.
#[track_caller]
fn assert_told(log: &Path, times: usize, begins: &str, ends: &str) {
    let all = lines(log).join("\n");
    assert_eq!((count(log, begins), count(log, ends)), (times, times), "{all}");
    let others = lines(log).into_iter().filter(|line| !line.contains(begins) && !line.contains(ends));
    let loud: Vec<String> = others.filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    assert!(loud.is_empty(), "{loud:#?}");
    let ends: Vec<String> = lines(log).into_iter().filter(|line| line.contains(ends)).collect();
    assert!(ends.iter().all(|line| line.contains("lasted_s") && line.contains("requests")), "{ends:#?}");
}

fn model() -> Repo {
    (0..20).fold(Repo::model("org/model"), |repo, number| repo.file(format!("{number}.json"), "{}"))
}

#[tokio::test]
async fn an_upstream_that_is_away_is_told_twice_not_once_a_request() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    mock.put(model());
    let log = dir.path().join("log");
    let settings = [("cache.ref_ttl", "1ms"), ("cache.listing_ttl", "1ms")];
    let mut server = Server::spawn_logging(dir.path(), &mock.url(), &settings, &log);
    let hub = server.addresses().await.unwrap().hub;
    let client = Client::new();
    let (begins, ends) = ("upstream failed repeatedly", "upstream responds again");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    for round in 1..=2 {
        let fault = mock.fault(Rule::on_hub("").fault(Fault::NoAnswer));
        while count(&log, begins) < round {
            client.call("GET", &format!("{hub}/api/models/org/model"), &[], "").await;
            assert!(tokio::time::Instant::now() < deadline, "it never begins");
        }
        for number in 0..20 {
            client.call("GET", &format!("{hub}/org/other-{number}/resolve/main/{number}.json"), &[], "").await;
        }
        mock.remove_fault(fault);
        while count(&log, ends) < round {
            client.call("GET", &format!("{hub}/api/models/org/model"), &[], "").await;
            assert!(tokio::time::Instant::now() < deadline, "it never ends");
        }
        assert_told(&log, round, begins, ends);
    }
    server.terminate();
    server.ended().await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_told_twice_and_shown() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    mock.put(model());
    let log = dir.path().join("log");
    let mut server = Server::spawn_logging(dir.path(), &mock.url(), &[("cache.ref_ttl", "1ms")], &log);
    let addresses = server.addresses().await.unwrap();
    let client = Client::new();
    let set = async |token: &str| {
        let (url, change) = (format!("{}/v1/settings", addresses.admin), format!("{{\"hf_token\":\"{token}\"}}"));
        let reply = client.call("PATCH", &url, &[("content-type", "application/json")], &change).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    let (begins, ends) = ("refuses this hub's own token", "own token is not refused any more");
    let state = async || {
        let overview = client.call("GET", &format!("{}/v1/overview", addresses.admin), &[], "").await.json();
        overview["upstream"]["state"].as_str().unwrap_or_default().to_owned()
    };
    // What is public is answered all the same, which does not end it.
    let mut number = 0;
    let mut ask = async || {
        for path in
            [format!("org/unknown-{number}/resolve/main/x"), format!("org/model/resolve/main/{}.json", number % 20)]
        {
            client.call("GET", &format!("{}/{path}", addresses.hub), &[], "").await;
        }
        number += 1;
    };
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(120);
    for round in 1..=2 {
        set(TOKEN_REVOKED).await;
        while count(&log, begins) < round {
            ask().await;
            assert!(tokio::time::Instant::now() < deadline, "it never begins");
        }
        for _ in 0..20 {
            ask().await;
        }
        assert_eq!(state().await, "token_refused");
        set(TOKEN_ALICE).await;
        while count(&log, ends) < round {
            ask().await;
            assert!(tokio::time::Instant::now() < deadline, "it never ends");
        }
        assert_eq!(state().await, "ok");
        assert_told(&log, round, begins, ends);
    }
    assert!(!lines(&log).join("\n").contains("hf_mock"), "a token is in the log");
    server.terminate();
    server.ended().await;
}

#[tokio::test]
async fn a_portal_in_upstreams_place_is_told_twice() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    mock.put(model());
    let log = dir.path().join("log");
    let mut server = Server::spawn_logging(dir.path(), &mock.url(), &[("cache.ref_ttl", "1ms")], &log);
    let hub = server.addresses().await.unwrap().hub;
    let client = Client::new();
    let (begins, ends) = ("something else answers in upstream's place", "upstream's own answers arrive again");
    let proxy = Fault::Status {
        code: 407,
        error_code: None,
        message: "who are you".into(),
        retry_after: None,
        ratelimit: None,
    };
    for (round, fault) in [(1, Fault::Html200), (2, proxy)] {
        let fault = mock.fault(Rule::on_hub("").fault(fault));
        for number in 0..20 {
            client.call("GET", &format!("{hub}/org/other-{number}/resolve/main/config.json"), &[], "").await;
        }
        mock.remove_fault(fault);
        client.call("GET", &format!("{hub}/api/models/org/model"), &[], "").await;
        assert_told(&log, round, begins, ends);
    }
    server.terminate();
    server.ended().await;
}

#[tokio::test]
async fn a_full_disk_is_told_twice_not_once_a_file() {
    let mock = MockHf::start().await;
    let file = |number: usize| Content::random(500 + number as u64, 2 * MIB);
    let repo = (0..20).fold(Repo::model("org/full"), |repo, number| repo.lfs(format!("{number}.bin"), file(number)));
    mock.put(repo);
    let (dir, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = logs.path().join("log");
    let mut server = Server::spawn_on_small_disk(dir.path(), "32m", &mock.url(), Some(&log));
    let hub = server.addresses().await.unwrap().hub;
    let client = Client::new();
    let get =
        async |number: usize| client.call("GET", &format!("{hub}/org/full/resolve/main/{number}.bin"), &[], "").await;
    let (begins, ends) = ("the disk is full", "the disk has space again");
    // What is known of the files stands in the database before the disk is full.
    client.call("HEAD", &format!("{hub}/org/full/resolve/main/0.bin"), &[], "").await;
    let filler = server.seen(&dir.path().join("filler"));
    for round in 1..=2 {
        // Room for the database, and for no file.
        let disk = rustix::fs::statvfs(server.seen(dir.path())).unwrap();
        std::fs::write(&filler, vec![1; (disk.f_bavail * disk.f_frsize - MIB) as usize]).unwrap();
        for number in 0..20 {
            get(number).await.assert_is(200, &file(number).read_all());
        }
        assert_eq!(count(&log, begins), round, "{:#?}", lines(&log));
        std::fs::remove_file(&filler).unwrap();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        // It has ended when a file could be stored, and nobody has met it for ten seconds.
        let mut files = 7 * (round - 1)..7 * round;
        while count(&log, ends) < round {
            assert_eq!(get(files.next().unwrap()).await.served(), "miss");
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            assert!(tokio::time::Instant::now() < deadline, "it never ends: {:#?}", lines(&log));
        }
        assert_told(&log, round, begins, ends);
    }
    server.terminate();
    server.ended().await;
}
