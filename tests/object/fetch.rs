//! What comes back from the object store, and what follows when it does not come right.

use mock_hf::{Fault as Wrong, Repo, Rule, TOKEN_ALICE};
use serde_json::json;

use crate::harness::repos::MIB;
use crate::harness::{Builder, TestHub, eventually, store};
use crate::push::{TEXT, all_are_there, large, model, small};
use crate::server::{Fault, S3, SLOW_DOWN};

pub(crate) const LARGE: &str = "/org/model/resolve/main/large.bin";
const SMALL: &str = "/org/model/resolve/main/small.bin";
const CONFIG: &str = "/org/model/resolve/main/config.json";

impl TestHub {
    /// Removes every file from the disk, as an eviction does.
    pub(crate) async fn evicted(&self) {
        let url = format!("{}/v1/storage/evict", self.admin_url());
        let job = self
            .client
            .call("POST", &url, &[("content-type", "application/json")], "{\"free_bytes\": \"1000000000\"}")
            .await;
        assert_eq!(job.status, 200, "{job:?}");
        eventually("all files are evicted", || store::blobs(self.data_dir()).is_empty()).await;
    }
}

/// A hub whose files are in the object store and no more on its disk.
pub(crate) async fn emptied(s3: &S3, hub: Builder) -> TestHub {
    let hub = s3.of(hub.repo(model())).start().await;
    for path in [LARGE, SMALL, CONFIG] {
        assert_eq!(hub.get(path).await.served(), "miss");
    }
    all_are_there(s3).await;
    hub.object_store_until("objects", "3").await;
    hub.evicted().await;
    hub.mock.clear_log();
    hub
}

#[tokio::test]
async fn what_the_disk_does_not_have_comes_from_there_and_not_from_upstream() {
    let s3 = S3::start().await;
    let hub = emptied(&s3, TestHub::builder()).await;
    hub.mock.stop().await;
    for (path, content) in [(LARGE, large().read_all()), (SMALL, small().read_all()), (CONFIG, TEXT.into())] {
        assert_eq!(hub.head(path).await.status, 200);
        for _ in 0..2 {
            let reply = hub.get(path).await;
            reply.assert_is(200, &content);
            assert!(["hit", "stale"].contains(&reply.served()), "{}", reply.served());
            hub.landed().await;
        }
    }
    assert_eq!(store::blobs(hub.data_dir()).len(), 3, "they are on the disk again");
    // Files on the disk cost the object store nothing.
    s3.forget_requests();
    hub.get(LARGE).await.assert_is(200, &large().read_all());
    assert_eq!(s3.requests("GET", "/hub/blobs") + s3.requests("HEAD", "/hub/blobs"), 0);
    hub.finish().await;
}

#[tokio::test]
async fn a_range_costs_little_more_than_itself() {
    let s3 = S3::start().await;
    let hub = emptied(&s3, TestHub::builder().small_segments()).await;
    let reply = hub.get_with(LARGE, &[("range", "bytes=5000000-5000099")]).await;
    reply.assert_is(206, &large().read_range(5_000_000, 100));
    assert_eq!((reply.served(), hub.cdn_bytes()), ("hit", 0));
    hub.landed().await;
    assert!(store::blobs(hub.data_dir()).is_empty(), "the rest was not fetched");
    hub.finish().await;
}

#[tokio::test]
async fn damage_of_an_object_reaches_nobody_and_is_repaired() {
    let s3 = S3::start().await;
    let hub = emptied(&s3, TestHub::builder()).await;
    s3.damage(&small().read_all());
    for _ in 0..2 {
        hub.get(SMALL).await.assert_is(200, &small().read_all());
        hub.landed().await;
    }
    assert_eq!(hub.cdn_bytes(), 3 * MIB, "it came from upstream, once");
    eventually("it is uploaded again", || s3.has(&small().read_all())).await;
    hub.object_store_until("objects", "3").await;
    // And from there it comes right.
    hub.evicted().await;
    hub.mock.stop().await;
    hub.get(SMALL).await.assert_is(200, &small().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn damage_that_shows_when_a_client_has_a_part_is_repaired_too() {
    let s3 = S3::start().await;
    let hub = emptied(&s3, TestHub::builder()).await;
    s3.damage(&large().read_all());
    assert!(hub.get(LARGE).await.broken.is_some(), "the end is held back");
    hub.landed().await;
    for _ in 0..2 {
        hub.get(LARGE).await.assert_is(200, &large().read_all());
        hub.landed().await;
    }
    eventually("it is uploaded again", || s3.has(&large().read_all())).await;
    hub.finish().await;
}

#[tokio::test]
async fn damage_of_an_object_that_passes_through_is_found() {
    let s3 = S3::start().await;
    let hub = emptied(&s3, TestHub::builder()).await.restart_with(&[("store.limit", "1MiB")]).await;
    s3.damage(&large().read_all());
    assert!(hub.get(LARGE).await.broken.is_some(), "the end is held back");
    for _ in 0..2 {
        let reply = hub.get(LARGE).await;
        reply.assert_is(200, &large().read_all());
        assert_eq!(reply.served(), "bypass");
    }
    hub.object_store_until("objects", "2").await;
    hub.finish().await;
}

#[tokio::test]
async fn an_object_that_is_gone_comes_from_upstream_and_goes_up_again() {
    let s3 = S3::start().await;
    let hub = emptied(&s3, TestHub::builder()).await;
    s3.remove(&large().read_all());
    s3.remove(TEXT);
    for _ in 0..2 {
        hub.get(LARGE).await.assert_is(200, &large().read_all());
        hub.get(CONFIG).await.assert_is(200, TEXT);
        hub.landed().await;
    }
    all_are_there(&s3).await;
    hub.finish().await;
}

#[tokio::test]
async fn whatever_breaks_on_the_way_the_bytes_come_right() {
    for fault in [SLOW_DOWN, Fault::CutOff, Fault::Flipped, Fault::Silence, Fault::Error(404, "NoSuchKey")] {
        let s3 = S3::start().await;
        let hub = emptied(&s3, TestHub::builder()).await;
        s3.fault("GET", "/hub/blobs", fault, 3);
        let reply = hub.get(LARGE).await;
        // Wrong bytes that a client has seen the first of cost it the connection, and nothing more.
        if reply.broken.is_none() {
            reply.assert_is(200, &large().read_all());
        } else {
            assert_eq!(fault, Fault::Flipped);
        }
        s3.heal();
        hub.landed().await;
        hub.get(LARGE).await.assert_is(200, &large().read_all());
        hub.finish().await;
    }
}

#[tokio::test]
async fn a_store_without_room_passes_objects_through() {
    let s3 = S3::start().await;
    let hub = emptied(&s3, TestHub::builder()).await;
    let hub = hub.restart_with(&[("store.limit", "1MiB")]).await;
    hub.mock.stop().await;
    for _ in 0..2 {
        let reply = hub.get(LARGE).await;
        reply.assert_is(200, &large().read_all());
        assert_eq!(reply.served(), "bypass");
    }
    let reply = hub.get_with(LARGE, &[("range", "bytes=100-199")]).await;
    reply.assert_is(206, &large().read_range(100, 100));
    hub.finish().await;
}

#[tokio::test]
async fn only_what_is_there_makes_room() {
    let mut s3 = S3::start().await;
    s3.stop();
    let limit = |hub: Builder| hub.set("store.limit", "24MiB").set("store.keep_used", "0s");
    let hub = s3.of(limit(TestHub::builder()).repo(model())).start().await;
    hub.get(LARGE).await.assert_is(200, &large().read_all());
    hub.landed().await;
    // What is nowhere else stays, and the next file passes through.
    assert_eq!(hub.get(SMALL).await.served(), "bypass");
    s3.start_again().await;
    hub.object_store_until("objects", "1").await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while hub.get(SMALL).await.served() != "hit" {
        assert!(tokio::time::Instant::now() < deadline, "room is made once the large one is there");
        hub.landed().await;
    }
    assert!(!store::blobs(hub.data_dir()).contains(&large().sha256()));
    hub.finish().await;
}

#[tokio::test]
async fn a_private_file_comes_to_those_who_may_have_it_only() {
    let s3 = S3::start().await;
    let private = Repo::model("org/private").lfs("large.bin", large()).private().reader(TOKEN_ALICE);
    let hub = s3.of(TestHub::builder().repo(private)).start().await;
    let path = "/org/private/resolve/main/large.bin";
    hub.get_as(TOKEN_ALICE, path).await.assert_is(200, &large().read_all());
    hub.object_store_until("objects", "1").await;
    hub.evicted().await;
    for _ in 0..2 {
        assert_eq!(hub.get(path).await.status, 401);
        hub.get_as(TOKEN_ALICE, path).await.assert_is(200, &large().read_all());
    }
    hub.finish().await;
}

#[tokio::test]
async fn an_imported_model_that_upstream_does_not_have_comes_back() {
    let s3 = S3::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), TEXT).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), small().read_all()).unwrap();
    let hub = s3.of(TestHub::builder()).start().await;
    let order = json!({"path": folder.path(), "repo_id": "org/own"}).to_string();
    let url = format!("{}/v1/scans", hub.admin_url());
    let job = hub.client.call("POST", &url, &[("content-type", "application/json")], &order).await;
    assert_eq!(job.status, 200, "{}", job.text());
    hub.object_store_until("objects", "2").await;
    let url = format!("{}/v1/storage/evict/plan", hub.admin_url());
    let plan = hub.client.call("POST", &url, &[("content-type", "application/json")], "{\"free_bytes\": \"1\"}").await;
    let line = &plan.json()["models"][0];
    assert_eq!(
        (&plan.json()["unrecoverable_files"], &line["unrecoverable_files"]),
        (&json!("0"), &json!("0")),
        "{line:#}"
    );
    assert!(line["files"] != "0" && line["kept_files"] == "0", "{line:#}");
    hub.evicted().await;
    let path = "/org/own/resolve/main/model.safetensors";
    for _ in 0..2 {
        assert_eq!(hub.head(path).await.status, 200);
        hub.get(path).await.assert_is(200, &small().read_all());
        hub.get("/org/own/resolve/main/config.json").await.assert_is(200, TEXT);
        hub.landed().await;
    }
    hub.finish().await;
}

#[tokio::test]
async fn files_in_the_object_store_are_here_for_people() {
    let s3 = S3::start().await;
    let hub = emptied(&s3, TestHub::builder()).await;
    let url = format!("{}/v1/models/org/model", hub.admin_url());
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let card = hub.client.call("GET", &url, &[], "").await.json();
        if card["files_here"] == json!("3") || card["files_stored"] == json!("3") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{card:#}");
    }
    hub.mock.fault(Rule::on_hub("/resolve/").fault(Wrong::Delay(std::time::Duration::from_secs(60))));
    hub.get(SMALL).await.assert_is(200, &small().read_all());
    hub.finish().await;
}
