//! Stored bytes that change where they lie: found at the first open, fetched again, never served.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mock_hf::{Content, Repo};

use crate::harness::repos::{CONFIG, MIB};
use crate::harness::{TestHub, store};

const SIZE: u64 = 20 * MIB;
const LARGE: &str = "/org/model/resolve/main/model.safetensors";
const SMALL: &str = "/org/model/resolve/main/config.json";

fn weights() -> Content {
    Content::random(95, SIZE)
}

fn both() -> [(&'static str, Content); 2] {
    [(LARGE, weights()), (SMALL, Content::from(CONFIG))]
}

async fn hub() -> TestHub {
    let repo = Repo::model("org/model").file("config.json", CONFIG).lfs("model.safetensors", weights());
    let hub = TestHub::builder().repo(repo).start().await;
    for (path, content) in both() {
        hub.get(path).await.assert_is(200, &content.read_all());
    }
    hub.landed().await;
    hub
}

/// All that is served of a file is right: this is how it was served, each time.
async fn served(hub: &TestHub, path: &str, content: &Content) -> [String; 3] {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let reply = hub.get(path).await;
        reply.assert_is(200, &content.read_all());
        seen.push(reply.served().to_owned());
        hub.landed().await;
    }
    seen.try_into().unwrap()
}

fn blob(hub: &TestHub, content: &Content) -> PathBuf {
    store::blob_path(hub.data_dir(), &content.sha256())
}

fn modified(path: &Path) -> SystemTime {
    path.metadata().unwrap().modified().unwrap()
}

#[tokio::test]
async fn an_overwritten_file_is_fetched_again_also_after_a_restart() {
    let mut hub = hub().await;
    for round in 0..2 {
        for restarts in [true, false] {
            for (_, content) in both() {
                store::damage(hub.data_dir(), &content.sha256(), 3);
            }
            if restarts {
                hub = hub.restart().await;
            }
            hub.mock.clear_log();
            for (path, content) in both() {
                let seen = served(&hub, path, &content).await;
                assert_eq!(seen, ["miss", "hit", "hit"], "round {round}, restarts: {restarts}, {path}");
            }
            assert_eq!(hub.cdn_bytes(), SIZE, "fetched again, once");
        }
        assert_eq!(store::quarantined(hub.data_dir()), 4 * (round + 1), "kept for people to look at");
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_small_file_is_looked_at_whole_as_a_disk_does_not_tell_what_it_loses() {
    let mut hub = hub().await;
    for _ in 0..2 {
        let (small, path) = (Content::from(CONFIG), blob(&hub, &Content::from(CONFIG)));
        let before = modified(&path);
        hub = hub
            .restart_after(|data| {
                store::damage(data, &small.sha256(), 3);
                File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
            })
            .await;
        assert_eq!(served(&hub, SMALL, &small).await, ["miss", "hit", "hit"]);
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_file_that_was_only_touched_is_still_served() {
    let mut hub = hub().await;
    hub.allow_upstream_calls(0);
    for restarts in [true, false, true] {
        for (_, content) in both() {
            let file = File::options().write(true).open(blob(&hub, &content)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        if restarts {
            hub = hub.restart().await;
        }
        for (path, content) in both() {
            assert_eq!(served(&hub, path, &content).await, ["hit"; 3], "{path}, restarts: {restarts}");
        }
    }
    assert_eq!(store::quarantined(hub.data_dir()), 0);
    hub.finish().await;
}
