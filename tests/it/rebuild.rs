//! `modelhub store rebuild`: a database that is damaged or gone, made again from the files of the store.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use mock_hf::{Content, MockHf, Repo};
use serde_json::Value;

use crate::harness::process::{Server, command, run};
use crate::harness::repos::{CONFIG, MIB};
use crate::harness::{Client, database_server, store};

const FILES: usize = 40;
/// With model.bin and config.json.
const ALL: u64 = FILES as u64 + 2;

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn weights() -> Content {
    Content::random(41, 3 * MIB)
}

fn small(n: usize) -> String {
    format!("{{\"file\": {n}}}")
}

async fn mock() -> MockHf {
    let mock = MockHf::start().await;
    let repo = Repo::model("org/kept").lfs("model.bin", weights()).file("config.json", CONFIG);
    mock.put((0..FILES).fold(repo, |repo, n| repo.file(format!("{n}.json"), small(n))));
    mock
}

/// Gets every file, from a hub that is started for it.
async fn get_all(mock: &MockHf, dir: &Path) {
    get_all_with(mock, dir, &[]).await;
}

async fn get_all_with(mock: &MockHf, dir: &Path, settings: &[(&str, &str)]) {
    let mut server = Server::spawn(dir, &mock.url(), settings);
    let base = server.addresses().await.expect("it starts").hub;
    let client = Client::new();
    let get = async |file: &str| client.call("GET", &format!("{base}/org/kept/resolve/main/{file}"), &[], "").await;
    for _ in 0..2 {
        get("model.bin").await.assert_is(200, &weights().read_all());
        get("config.json").await.assert_is(200, CONFIG.as_bytes());
        for n in 0..FILES {
            get(&format!("{n}.json")).await.assert_is(200, small(n).as_bytes());
        }
    }
    server.terminate();
    assert!(server.ended().await.success());
}

/// Gets every file twice, in two hubs one after the other, of which none downloads anything.
async fn assert_all_here(mock: &MockHf, dir: &Path) {
    for start in 0..2 {
        mock.clear_log();
        get_all(mock, dir).await;
        assert_eq!(bytes_of_files(mock), 0, "start {start} downloaded what was here");
    }
}

/// What the mock has sent of files, in git and in LFS.
fn bytes_of_files(mock: &MockHf) -> u64 {
    let requests = mock.requests();
    let of_files = requests.iter().filter(|request| {
        // Without the redirects on the way.
        request.method == "GET" && request.status < 300 && !request.path.starts_with("/api/models/")
    });
    of_files.map(|request| request.body_bytes).sum()
}

async fn rebuild(dir: &Path, code: i32) -> Value {
    rebuild_with(dir, &[], code).await
}

async fn rebuild_with(dir: &Path, settings: &[(&str, &str)], code: i32) -> Value {
    let output = run(&["store", "rebuild", "--json", "--data-dir", dir.to_str().unwrap()], settings).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// In the middle, so that the head is still SQLite's.
fn damage(dir: &Path) {
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.join(format!("modelhub.db{ending}")));
    }
    let file = std::fs::File::options().write(true).open(dir.join("modelhub.db")).unwrap();
    let size = file.metadata().unwrap().len();
    file.write_all_at(&vec![0x5a; usize::try_from(size).unwrap() - 4096], 4096).unwrap();
}

fn lose(dir: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.join(format!("modelhub.db{ending}")));
    }
}

#[tokio::test]
async fn a_damaged_database_is_refused_with_advice_and_made_again_from_the_files() {
    let (mock, dir) = (mock().await, tempfile::tempdir().unwrap());
    get_all(&mock, dir.path()).await;
    let identity = std::fs::read(dir.path().join("STORE_ID")).unwrap();
    damage(dir.path());
    let settings = [("store.data_dir", dir.path().to_str().unwrap()), ("hub.listen", "127.0.0.1:0")];
    let refused = run(&["serve"], &settings).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("modelhub store rebuild"), "{said}");

    let done = rebuild(dir.path(), 0).await;
    assert_eq!((number(&done["added_files"]), number(&done["files"])), (ALL, ALL), "{done:#}");
    let aside = PathBuf::from(done["damaged_database"].as_str().unwrap());
    assert!(aside.exists() && aside.file_name().unwrap().to_string_lossy().starts_with("modelhub.db.damaged-"));
    assert_all_here(&mock, dir.path()).await;
    assert_eq!(std::fs::read(dir.path().join("STORE_ID")).unwrap(), identity);
    // Once more, of a sound database: it stays.
    let again = rebuild(dir.path(), 0).await;
    assert_eq!((number(&again["added_files"]), number(&again["known_files"])), (0, ALL), "{again:#}");
    assert!(again["damaged_database"].is_null());
    assert_all_here(&mock, dir.path()).await;
    store::check(dir.path());
}

#[tokio::test]
async fn a_database_that_is_gone_is_made_again_also_after_kill_9_in_the_middle() {
    let (mock, dir) = (mock().await, tempfile::tempdir().unwrap());
    get_all(&mock, dir.path()).await;
    for wait_ms in [1, 20, 60, 120] {
        lose(dir.path());
        let mut killed = command(&["store", "rebuild", "--data-dir", dir.path().to_str().unwrap()], &[]);
        let mut killed = killed.spawn().unwrap();
        // Wherever it is by then.
        tokio::time::sleep(std::time::Duration::from_millis(wait_ms)).await;
        killed.kill().await.unwrap();
        let done = rebuild(dir.path(), 0).await;
        assert_eq!(number(&done["added_files"]) + number(&done["known_files"]), ALL, "{done:#}");
    }
    assert_all_here(&mock, dir.path()).await;
    store::check(dir.path());
}

#[tokio::test]
async fn what_is_not_what_its_name_says_goes_to_quarantine_and_is_downloaded_again() {
    let (mock, dir) = (mock().await, tempfile::tempdir().unwrap());
    get_all(&mock, dir.path()).await;
    lose(dir.path());
    let hex = weights().sha256();
    let shard = dir.path().join("blobs/sha256").join(&hex[..2]);
    std::fs::File::options().write(true).open(shard.join(&hex)).unwrap().write_all_at(b"x", MIB).unwrap();
    std::fs::File::create(shard.join("notes.txt")).unwrap();
    let done = rebuild(dir.path(), 1).await;
    assert_eq!(done["quarantined"], serde_json::json!([hex]), "{done:#}");
    assert!(done["foreign"][0].as_str().unwrap().ends_with("notes.txt"), "{done:#}");
    assert_eq!(store::quarantined(dir.path()), 1);
    std::fs::remove_file(shard.join("notes.txt")).unwrap();
    mock.clear_log();
    get_all(&mock, dir.path()).await;
    assert_eq!((mock.stats().cdn_body_bytes, bytes_of_files(&mock)), (3 * MIB, 3 * MIB));
    assert_all_here(&mock, dir.path()).await;
}

#[tokio::test]
async fn a_rebuild_is_refused_while_a_hub_runs_and_where_there_is_no_store() {
    let (mock, dir) = (mock().await, tempfile::tempdir().unwrap());
    let arguments = ["store", "rebuild", "--data-dir", dir.path().to_str().unwrap()];
    let refused = run(&arguments, &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("holds no store"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
    let mut server = Server::spawn(dir.path(), &mock.url(), &[]);
    server.addresses().await.unwrap();
    let refused = run(&arguments, &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("in use by another modelhub process"), "{said}");
    server.terminate();
    assert!(server.ended().await.success());
}

#[tokio::test]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn rows_that_postgresql_lacks_are_added_and_none_is_removed() {
    let (mock, dir) = (mock().await, tempfile::tempdir().unwrap());
    get_all(&mock, dir.path()).await;
    let url = database_server::Server::shared().new_database().await;
    let settings = [("database.url", url.as_str())];
    let done = rebuild_with(dir.path(), &settings, 0).await;
    assert_eq!((number(&done["added_files"]), number(&done["known_files"])), (ALL, 0), "{done:#}");
    for _ in 0..2 {
        mock.clear_log();
        get_all_with(&mock, dir.path(), &settings).await;
        assert_eq!(bytes_of_files(&mock), 0);
        let done = rebuild_with(dir.path(), &settings, 0).await;
        assert_eq!((number(&done["added_files"]), number(&done["known_files"])), (0, ALL), "{done:#}");
        assert!(done["damaged_database"].is_null());
    }
    // Another directory is not this database's.
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir(other.path().join("blobs")).unwrap();
    let arguments = ["store", "rebuild", "--data-dir", other.path().to_str().unwrap()];
    let refused = run(&arguments, &settings).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("belongs to store"));
}
