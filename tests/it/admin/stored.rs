//! A stored file that is damaged, replaced or evicted, asked for again: by those who were served it before.

use std::path::PathBuf;

use mock_hf::{Content, Repo};
use serde_json::json;

use crate::harness::repos::{CONFIG, MIB};
use crate::harness::{TestHub, process, store};

const SIZE: u64 = 20 * MIB;
const PATH: &str = "/org/model/resolve/main/model.safetensors";
const RANGE: (&str, &str) = ("range", "bytes=1000000-1999999");

fn weights() -> Content {
    Content::random(91, SIZE)
}

fn blob(hub: &TestHub) -> PathBuf {
    store::blob_path(hub.data_dir(), &weights().sha256())
}

/// A hub that has served the file from its store, whole and in part.
async fn hub() -> TestHub {
    let repo = Repo::model("org/model").file("config.json", CONFIG).lfs("model.safetensors", weights());
    let hub = TestHub::builder().repo(repo).start().await;
    hub.get(PATH).await.assert_is(200, &weights().read_all());
    hub.landed().await;
    for _ in 0..2 {
        let hit = hub.get(PATH).await;
        assert_eq!(hit.served(), "hit");
        hit.assert_is(200, &weights().read_all());
    }
    hub.get_with(PATH, &[RANGE]).await.assert_is(206, &weights().read_range(1_000_000, 1_000_000));
    hub
}

/// What this process holds of files of the store that have no name any more.
pub(super) fn deleted_and_held(hub: &TestHub) -> Vec<String> {
    process::deleted_and_held("/proc/self", hub.data_dir())
}

#[tokio::test]
async fn damaged_bytes_are_not_served_once_they_were_found() {
    let hub = hub().await;
    for round in 0..2 {
        store::damage(hub.data_dir(), &weights().sha256(), 1_234_567);
        let job = hub.ended(&hub.order("/v1/models/org/model/verify", json!({})).await).await;
        assert_eq!(job["status"], "failed", "round {round}: {job:#}");
        hub.mock.clear_log();
        for (number, served) in ["miss", "hit", "hit"].into_iter().enumerate() {
            let reply = hub.get(PATH).await;
            assert_eq!(reply.served(), served, "round {round}, request {number}");
            reply.assert_is(200, &weights().read_all());
            hub.landed().await;
            hub.get_with(PATH, &[RANGE]).await.assert_is(206, &weights().read_range(1_000_000, 1_000_000));
        }
        assert_eq!(hub.cdn_bytes(), SIZE, "fetched again, once");
        hub.done(&hub.order("/v1/storage/verify", json!({})).await).await;
    }
    assert_eq!(deleted_and_held(&hub), [] as [&str; 0]);
    hub.finish().await;
}

#[tokio::test]
async fn an_evicted_file_gives_its_space_back_at_once() {
    let hub = hub().await;
    hub.done(&hub.order("/v1/storage/evict", json!({"free_bytes": SIZE * 2})).await).await;
    assert!(!blob(&hub).exists());
    assert_eq!(deleted_and_held(&hub), [] as [&str; 0], "nothing holds the file any more");
    // And once more, after it came back.
    hub.get(PATH).await.assert_is(200, &weights().read_all());
    hub.landed().await;
    assert_eq!(hub.get(PATH).await.served(), "hit");
    hub.done(&hub.order("/v1/models/org/model/evict", json!({})).await).await;
    assert_eq!(deleted_and_held(&hub), [] as [&str; 0]);
    hub.finish().await;
}

#[tokio::test]
async fn who_reads_an_evicted_file_reads_it_to_the_end() {
    let hub = hub().await;
    let mut reading = hub.client.send("GET", &hub.at(PATH), &[], "").await.unwrap();
    let mut bytes = reading.chunk().await.unwrap().unwrap().to_vec();
    hub.done(&hub.order("/v1/models/org/model/evict", json!({})).await).await;
    while let Some(chunk) = reading.chunk().await.unwrap() {
        bytes.extend(chunk);
    }
    assert!(bytes == weights().read_all());
    assert_eq!(deleted_and_held(&hub), [] as [&str; 0], "its last reader has let it go");
    hub.finish().await;
}
