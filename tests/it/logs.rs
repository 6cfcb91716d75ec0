//! Logs and results in pipes: a reader who leaves, one who does not read, and one who reads to the end.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use mock_hf::MockHf;
use tokio::io::AsyncReadExt as _;

use crate::harness::Client;
use crate::harness::process::{Server, command};

/// How long something may take to happen. Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

async fn dropped_lines(admin: &str) -> u64 {
    let metrics = Client::new().call("GET", &format!("{admin}/metrics"), &[], "").await.text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("modelhub_log_lines_dropped_total "));
    line.unwrap_or_else(|| panic!("no such metric in {metrics}")).parse().unwrap()
}

/// Makes requests, which the hub logs at level trace, until some of those lines are lost.
async fn drop_lines(hub: &str, admin: &str) {
    let client = Client::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while dropped_lines(admin).await == 0 {
        assert!(tokio::time::Instant::now() < deadline, "no line was dropped");
        for _ in 0..50 {
            assert_eq!(client.call("GET", &format!("{hub}/healthz"), &[], "").await.status, 200);
        }
    }
}

#[tokio::test]
async fn a_hub_whose_log_reader_left_serves_on_counts_what_is_lost_and_stops_on_sigterm() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    let (mut server, log) = Server::spawn_with_log(dir.path(), &mock.url(), &[("log.level", "trace")]);
    let addresses = server.addresses().await.unwrap();
    drop(log);
    drop_lines(&addresses.hub, &addresses.admin).await;
    assert_eq!(Client::new().call("GET", &format!("{}/readyz", addresses.hub), &[], "").await.status, 200);
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_neither_answers_nor_the_stop() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    let (mut server, mut log) = Server::spawn_with_log(dir.path(), &mock.url(), &[("log.level", "trace")]);
    let addresses = server.addresses().await.unwrap();
    drop_lines(&addresses.hub, &addresses.admin).await;
    assert_eq!(Client::new().call("GET", &format!("{}/readyz", addresses.hub), &[], "").await.status, 200);
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    // What fitted is there, in whole lines up to the last.
    let mut said = String::new();
    log.read_to_string(&mut said).await.unwrap();
    let whole = said.rsplit_once('\n').unwrap().0;
    whole.lines().for_each(|line| assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}"));
}

#[tokio::test]
async fn a_reader_that_comes_back_learns_how_many_lines_are_missing() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    let (mut server, mut log) = Server::spawn_with_log(dir.path(), &mock.url(), &[("log.level", "trace")]);
    let addresses = server.addresses().await.unwrap();
    drop_lines(&addresses.hub, &addresses.admin).await;
    server.terminate();
    let mut said = String::new();
    tokio::time::timeout(PATIENCE, log.read_to_string(&mut said)).await.expect("the log ends").unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
    let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = lines.iter().find(|line| line["message"] == "log lines were dropped: nobody read the log fast enough");
    assert!(told.is_some_and(|line| line["lines"].as_u64().unwrap() > 0), "{} lines", lines.len());
}

#[tokio::test]
async fn the_last_line_of_a_log_is_written_before_the_process_ends() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    let (mut server, mut log) = Server::spawn_with_log(dir.path(), &mock.url(), &[("log.level", "info")]);
    server.addresses().await.unwrap();
    server.terminate();
    let mut said = String::new();
    tokio::time::timeout(PATIENCE, log.read_to_string(&mut said)).await.expect("the log ends").unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
    assert!(said.lines().last().unwrap().contains("\"message\":\"stopped\""), "{said}");
    assert!(said.contains("stopping: waiting for running requests to finish"), "{said}");
}

/// A pipe that nobody reads.
fn broken_pipe() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

#[tokio::test]
async fn a_server_whose_output_nobody_reads_starts_and_stops() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    // The data directory has a healthy server once the first line of its log is there.
    let settings = [
        ("store.data_dir", dir.path().to_str().unwrap()),
        ("hub.listen", "127.0.0.1:0"),
        ("admin.listen", "127.0.0.1:0"),
        ("upstream.url", &mock.url()),
    ];
    let (log, writer) = std::io::pipe().unwrap();
    let mut child = {
        let mut serve = command(&["serve"], &settings);
        serve.stdout(broken_pipe()).stderr(writer).spawn().unwrap()
    };
    let hub = tokio::task::spawn_blocking(move || {
        let (mut said, mut log) = (Vec::new(), log);
        let mut byte = [0];
        while log.read(&mut byte).unwrap() == 1 {
            said.push(byte[0]);
            if byte[0] == b'\n' {
                let line: serde_json::Value = serde_json::from_slice(&said).unwrap();
                if line["message"] == "listening" {
                    return (line["hub"].as_str().unwrap().to_owned(), log);
                }
                said.clear();
            }
        }
        panic!("it ended before it listened");
    });
    let (hub, _log) = tokio::time::timeout(PATIENCE, hub).await.expect("it starts").unwrap();
    assert_eq!(Client::new().call("GET", &format!("http://{hub}/readyz"), &[], "").await.status, 200);
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it stops").unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn a_command_whose_reader_left_ends_quietly() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    let mut server = Server::spawn(dir.path(), &mock.url(), &[]);
    let admin = server.addresses().await.unwrap().admin;
    let settings = [("store.data_dir", dir.path().to_str().unwrap()), ("admin.url", admin.as_str())];
    for arguments in [
        &["models"][..],
        &["models", "--json"],
        &["jobs", "list"],
        &["storage"],
        &["settings"],
        &["overview"],
        &["system"],
        &["doctor"],
        &["completions", "bash"],
        &["config", "print"],
        &["config", "print", "--defaults"],
        &["config", "check"],
        &["--help"],
        &["models", "--help"],
        &["--version"],
    ] {
        let settings = if arguments[0] == "config" { &settings[..1] } else { &settings[..] };
        let ended = command(arguments, settings).stdout(broken_pipe()).stderr(Stdio::piped()).output().await.unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("modelhub: "), "{arguments:?}: {said}");
    }
    // Nor does a command fail otherwise because nobody reads its complaint.
    let mut fails = command(&["config", "check"], &[("hub.listen", "nonsense")]);
    assert_eq!(fails.stdout(Stdio::null()).stderr(broken_pipe()).status().await.unwrap().code(), Some(1));
    let mut fails = command(&["model", "no/such"], &settings[1..]);
    assert_eq!(fails.stdout(Stdio::null()).stderr(broken_pipe()).status().await.unwrap().code(), Some(3));
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
}
