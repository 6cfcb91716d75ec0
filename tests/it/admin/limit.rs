//! The store keeps within its limit by itself: what clients have not used for longest makes room, and what is needed stays.

use std::path::Path;
use std::time::Duration;

use mock_hf::{Content, Repo};
use serde_json::{Value, json};

use super::{assert_refused, number, one_file, text};
use crate::harness::process::Server;
use crate::harness::repos::MIB;
use crate::harness::{Client, Reply, TestHub, store};

/// Long enough for upkeep.
const A_WHILE: Duration = Duration::from_secs(60);

fn content(n: u64) -> Content {
    Content::random(100 + n, 4 * MIB)
}

fn path(n: u64) -> String {
    format!("/org/m{n}/resolve/main/big.bin")
}

/// Models of one file of 4 MiB each, org/m0 to org/m5.
fn builder(limit: u64) -> crate::harness::Builder {
    let builder = TestHub::builder().manual_clock().set("store.limit", limit.to_string());
    (0..6).fold(builder, |builder, n| builder.repo(one_file(&format!("org/m{n}"), 100 + n, 4 * MIB)))
}

impl TestHub {
    /// What a client gets of a model, and some time later.
    async fn used(&self, n: u64) -> Reply {
        let reply = self.get(&path(n)).await;
        reply.assert_is(200, &content(n).read_all());
        self.landed().await;
        self.clock.advance(A_WHILE);
        reply
    }

    fn stored(&self) -> Vec<u64> {
        let blobs = store::blobs(self.data_dir());
        (0..6).filter(|n| blobs.contains(&content(*n).sha256())).collect()
    }

    /// The texts of what happened of one kind.
    async fn history(&self, kind: &str) -> Vec<String> {
        let overview = self.look("/v1/overview").await;
        let of_kind = super::list(&overview["recent"]).iter().filter(|entry| entry["kind"] == kind);
        of_kind.map(|entry| text(&entry["text"]).to_owned()).collect()
    }

    /// The same, when there are so many.
    async fn history_of(&self, kind: &str, count: usize) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + super::PATIENCE;
        loop {
            let history = self.history(kind).await;
            if history.len() == count {
                return history;
            }
            assert!(tokio::time::Instant::now() < deadline, "waited in vain for {count}: {history:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets upkeep do its rounds until the store holds these.
    async fn stored_until(&self, wanted: &[u64]) {
        let deadline = tokio::time::Instant::now() + super::PATIENCE;
        while self.stored() != wanted {
            assert!(tokio::time::Instant::now() < deadline, "waited in vain for {wanted:?}: {:?}", self.stored());
            self.clock.advance(Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn what_clients_have_not_used_for_longest_makes_room() {
    let hub = builder(10 * MIB).set("store.keep_used", "0s").start().await;
    assert_eq!(hub.used(0).await.served(), "miss");
    hub.used(1).await;
    assert_eq!(hub.used(0).await.served(), "hit");
    assert_eq!(hub.used(2).await.served(), "miss");
    assert_eq!(hub.stored(), [0, 2], "m1 was used before m0 was used again");
    // What went is fetched again when it is asked for, and something else goes.
    for round in 0..2 {
        assert_eq!(hub.used(1).await.served(), if round == 0 { "miss" } else { "hit" });
        assert_eq!(hub.stored(), [1, 2]);
    }
    let removed = hub.history_of("store.removed", 2).await;
    assert!(removed[1].contains("removed 1 file (4 MiB) of org/m1"), "{removed:?}");
    assert!(
        removed[0].contains("of org/m0, unused for 2 minutes, to stay within the store limit of 10 MiB"),
        "{removed:?}"
    );
    // Another process finds the store as it was left.
    let hub = hub.restart().await;
    assert_eq!(hub.used(2).await.served(), "hit");
    assert_eq!(hub.used(3).await.served(), "miss");
    assert_eq!(hub.stored(), [2, 3]);
    store::check(hub.data_dir());
    hub.finish().await;
}

#[tokio::test]
async fn a_look_a_download_ahead_and_a_verification_are_no_uses() {
    let hub = builder(10 * MIB).set("store.keep_used", "0s").start().await;
    hub.used(0).await;
    hub.synced("org/m1").await;
    hub.done(&hub.download("org/m1", json!({})).await).await;
    hub.clock.advance(A_WHILE);
    hub.used(0).await;
    assert_eq!(hub.look("/v1/models/org/m1").await["last_used_at"], Value::Null);
    hub.done(&hub.order("/v1/models/org/m1/verify", json!({})).await).await;
    hub.look("/v1/models/org/m1/files").await;
    hub.clock.advance(A_WHILE);
    hub.used(2).await;
    assert_eq!(hub.stored(), [0, 2], "no client has used m1");
    hub.used(0).await;
    let used = hub.look("/v1/models/org/m0").await;
    assert_ne!(used["last_used_at"], Value::Null, "{used:#}");
    hub.finish().await;
}

#[tokio::test]
async fn if_nothing_may_go_clients_get_their_files_and_jobs_wait_and_go_on_by_themselves() {
    let hub = builder(6 * MIB).start().await;
    hub.synced("org/m0").await;
    hub.order("/v1/models/org/m0/pin", json!({"pinned": true})).await;
    hub.done(&hub.download("org/m0", json!({})).await).await;
    for _ in 0..2 {
        assert_eq!(hub.used(1).await.served(), "bypass");
        let reply = hub.get_with(&path(1), &[("range", "bytes=1000-1999")]).await;
        reply.assert_is(206, &content(1).read_range(1000, 1000));
        assert_eq!(hub.used(0).await.served(), "hit");
    }
    assert_eq!(hub.stored(), [0]);
    hub.synced("org/m2").await;
    let job = hub.download("org/m2", json!({})).await;
    let waits =
        |job: &Value| job["status"] == "pending" && text(&job["waiting_for"]).contains("the store limit of 6 MiB");
    hub.job_until(&job, "it waits", waits).await;
    assert!(waits(&hub.next_try(&job).await));
    hub.order("/v1/models/org/m0/pin", json!({"pinned": false})).await;
    hub.let_time_pass_until(&job, "it goes on", |job| job["status"] == "completed").await;
    assert_eq!(hub.stored(), [2]);
    assert_eq!(hub.used(2).await.served(), "hit");
    hub.finish().await;
}

#[tokio::test]
async fn what_is_larger_than_the_limit_removes_nothing() {
    let hub = builder(7 * MIB).set("store.keep_used", "0s").repo(one_file("org/large", 99, 8 * MIB)).start().await;
    hub.used(0).await;
    for _ in 0..2 {
        let reply = hub.get("/org/large/resolve/main/big.bin").await;
        reply.assert_is(200, &Content::random(99, 8 * MIB).read_all());
        assert_eq!(reply.served(), "bypass");
        // A piece of it has space.
        let reply = hub.get_with("/org/large/resolve/main/big.bin", &[("range", "bytes=5-9")]).await;
        reply.assert_is(206, &Content::random(99, 8 * MIB).read_range(5, 5));
        hub.clock.advance(A_WHILE);
    }
    assert_eq!(hub.used(0).await.served(), "hit");
    assert!(hub.history("store.removed").await.is_empty());
    hub.finish().await;
}

#[tokio::test]
async fn what_was_used_a_moment_ago_and_what_is_being_sent_stays() {
    let hub = builder(10 * MIB).set("store.keep_used", "5m").start().await;
    hub.used(0).await;
    hub.used(1).await;
    assert_eq!(hub.used(2).await.served(), "bypass", "both were used within five minutes");
    hub.clock.advance(Duration::from_secs(300));
    // A client takes its time over m0.
    let slow = hub.client.send("GET", &hub.at(&path(0)), &[], "").await;
    hub.clock.advance(Duration::from_secs(1200));
    assert_eq!(hub.used(2).await.served(), "miss");
    assert_eq!(hub.stored(), [0, 2]);
    drop(slow);
    hub.finish().await;
}

#[tokio::test]
async fn a_limit_that_is_lowered_is_kept_to_soon() {
    let hub = builder(0).set("store.keep_used", "1m").start().await;
    for n in 0..4 {
        hub.used(n).await;
    }
    hub.clock.advance(A_WHILE);
    assert_eq!(hub.stored(), [0, 1, 2, 3]);
    hub.ask("PATCH", "/v1/settings", json!({"store_limit_bytes": 9 * MIB})).await;
    hub.stored_until(&[2, 3]).await;
    assert_eq!(hub.used(2).await.served(), "hit");
    // What cannot be kept to is come as close to as can be.
    hub.clock.advance(A_WHILE);
    hub.synced("org/m2").await;
    hub.order("/v1/models/org/m2/pin", json!({"pinned": true})).await;
    hub.ask("PATCH", "/v1/settings", json!({"store_limit_bytes": MIB})).await;
    hub.stored_until(&[2]).await;
    hub.finish().await;
}

#[tokio::test]
async fn imported_files_that_upstream_does_not_have_stay() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("org/own");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("config.json"), "{}").unwrap();
    std::fs::write(own.join("model.safetensors"), content(9).read_all()).unwrap();
    let hub = builder(10 * MIB).set("store.keep_used", "0s").start().await;
    let scan = json!({"path": folder.path().to_str().unwrap(), "placement": "copy"});
    hub.done(&hub.order("/v1/scans", scan.clone()).await).await;
    hub.clock.advance(A_WHILE);
    for n in 0..3 {
        assert_eq!(hub.used(n).await.served(), "miss");
        assert_eq!(hub.stored(), [n]);
        hub.get("/org/own/resolve/main/model.safetensors").await.assert_is(200, &content(9).read_all());
    }
    hub.finish().await;
}

#[tokio::test]
async fn names_say_what_is_pinned_never_stored_and_gone_after_a_time() {
    let hub = builder(10 * MIB)
        .set("store.keep_used", "0s")
        .set("store.pin", "org/M0")
        .set("store.never", "org/m1,datasets/*")
        .set("store.expire", "org/m4 2h")
        .start()
        .await;
    hub.used(0).await;
    for _ in 0..2 {
        assert_eq!(hub.used(1).await.served(), "bypass");
    }
    hub.synced("org/m1").await;
    assert_refused(&hub.admin("POST", "/v1/models/org/m1/download", &json!({})).await, 409, "");
    for n in [2, 3, 4] {
        hub.used(n).await;
    }
    assert_eq!(hub.stored(), [0, 4], "m0 is pinned by its name");
    hub.clock.advance(Duration::from_secs(2 * 3600));
    hub.stored_until(&[0]).await;
    let removed = hub.history_of("store.removed", 3).await;
    assert!(removed[0].contains("of org/m4") && removed[0].contains("as org/m4 expires after 2 hours"), "{removed:?}");
    assert_eq!(hub.used(4).await.served(), "miss");
    hub.finish().await;
}

#[tokio::test]
async fn a_model_of_many_files_that_is_larger_than_the_limit_comes_to_its_client() {
    let files: Vec<_> = (0..8).map(|n| (format!("part-{n}.bin"), Content::random(300 + n, 2 * MIB))).collect();
    let repo = files.iter().fold(Repo::model("org/parts"), |repo, (name, content)| repo.lfs(name, content.clone()));
    let hub = builder(7 * MIB).set("store.keep_used", "0s").repo(repo).start().await;
    for _ in 0..2 {
        // All at once, as clients do it.
        let paths: Vec<_> = files.iter().map(|(name, _)| format!("/org/parts/resolve/main/{name}")).collect();
        let replies = futures_util::future::join_all(paths.iter().map(|path| hub.get(path))).await;
        for (reply, (_, content)) in replies.iter().zip(&files) {
            reply.assert_is(200, &content.read_all());
        }
        hub.landed().await;
        hub.clock.advance(A_WHILE);
        let storage = hub.look("/v1/storage").await;
        assert!(number(&storage["used_bytes"]) <= 7 * MIB, "{storage:#}");
    }
    store::check(hub.data_dir());
    hub.finish().await;
}

#[tokio::test]
async fn the_disk_keeps_what_is_to_stay_free() {
    let mock = mock_hf::MockHf::start().await;
    for n in 0..4 {
        mock.put(one_file(&format!("org/m{n}"), 100 + n, 4 * MIB));
    }
    let dir = tempfile::tempdir().unwrap();
    let settings = [("store.keep_free", "50%, 1MiB"), ("store.keep_used", "0s")];
    let mut server = Server::spawn_on_disk_of(dir.path(), "32m", &mock.url(), &settings);
    let base = server.addresses().await.unwrap().hub;
    let disk = server.seen(dir.path());
    for n in 0..4 {
        let reply = Client::new().call("GET", &format!("{base}{}", path(n)), &[], "").await;
        reply.assert_is(200, &content(n).read_all());
        assert_eq!(reply.served(), "miss");
    }
    let held = |n: u64| Path::exists(&store::blob_path(&disk, &content(n).sha256()));
    assert!(held(3) && !(0..3).all(held), "half of 32 MiB holds no four files");
    server.terminate();
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_by_name() {
    for (key, value, says) in [
        ("MODELHUB_STORE_KEEP_FREE", "half", "expected a size, a percentage below 100, or both"),
        ("MODELHUB_STORE_PIN", "org/[a]", "store.pin"),
        ("MODELHUB_STORE_EXPIRE", "org/a", "expected models and a time"),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_modelhub"))
            .args(["config", "check"])
            .env(key, value)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(key) && text.contains(says), "{text}");
    }
}
