//! Eviction while the same files are read, downloaded and verified: nobody notices but by the time that it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mock_hf::{Content, Repo};
use serde_json::{Value, json};

use super::stored::deleted_and_held;
use super::{list, number, text};
use crate::harness::repos::{CONFIG, MIB, README};
use crate::harness::{TestHub, store};

const EVERYTHING: u64 = 1 << 40;
/// How long all of them go on.
const WHILE: Duration = Duration::from_secs(4);
const CLIENTS: usize = 6;

/// By name: in LFS, of all sizes, and in git.
fn files() -> BTreeMap<String, Content> {
    let weights = (0..5).map(|n| (format!("{n}.safetensors"), Content::random(700 + n, 1000 + n * n * MIB / 4)));
    let small = [("config.json", CONFIG), ("README.md", README)];
    weights.chain(small.map(|(name, text)| (name.to_owned(), text.into()))).collect()
}

async fn right(hub: &TestHub, name: &str, content: &Content, in_part: bool) -> String {
    let path = format!("/org/model/resolve/main/{name}");
    let size = content.size();
    let reply = if in_part && size > 10 {
        let reply = hub.get_with(&path, &[("range", &format!("bytes={}-{}", size / 3, size - 2))]).await;
        reply.assert_is(206, &content.read_range(size / 3, size - 1 - size / 3));
        reply
    } else {
        let reply = hub.get(&path).await;
        reply.assert_is(200, &content.read_all());
        reply
    };
    reply.served().to_owned()
}

/// What the hub says is stored is on its disk, and nothing else is.
async fn assert_agrees(hub: &TestHub) {
    let storage = hub.look("/v1/storage").await;
    let on_disk = store::blobs(hub.data_dir());
    let size = |hex: &String| store::blob_path(hub.data_dir(), hex).metadata().unwrap().len();
    assert_eq!(number(&storage["bytes"]), on_disk.iter().map(size).sum::<u64>(), "{storage:#}");
    assert_eq!(number(&storage["blobs"]), on_disk.len() as u64, "{storage:#}");
    let listed = hub.look("/v1/models/org/model/files?flat=true&download_status=completed").await;
    let listed: BTreeSet<String> =
        list(&listed["files"]).iter().map(|file| text(&file["file_path"]).to_owned()).collect();
    let there = |(name, content): (String, Content)| on_disk.contains(&content.sha256()).then_some(name);
    assert_eq!(listed, files().into_iter().filter_map(there).collect::<BTreeSet<_>>());
    let partial = std::fs::read_dir(hub.data_dir().join("partial")).unwrap();
    assert_eq!(partial.count(), 0, "a partial file is left");
    assert_eq!(store::quarantined(hub.data_dir()), 0, "a right file was quarantined");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_evicted_while_all_use_them_are_right_for_all() {
    let repo = files().into_iter().fold(Repo::model("org/model"), |repo, (name, content)| {
        if name.ends_with(".safetensors") { repo.lfs(name, content) } else { repo.file(name, content) }
    });
    let hub = TestHub::builder().small_segments().repo(repo).start().await;
    hub.synced("org/model").await;
    hub.done(&hub.download("org/model", json!({})).await).await;
    let end = tokio::time::Instant::now() + WHILE;
    let (hub, files) = (&hub, &files());
    let (hits, misses) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (hits, misses) = (&hits, &misses);
    let clients = (0..CLIENTS).map(|client| async move {
        for (turn, (name, content)) in files.iter().cycle().skip(client).enumerate() {
            if tokio::time::Instant::now() > end {
                break;
            }
            let served = right(hub, name, content, (turn + client) % 3 == 0).await;
            let count = if served == "hit" { hits } else { misses };
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let jobs = |orders: Vec<(&'static str, Value)>| async move {
        let mut done = 0;
        for (path, body) in orders.iter().cycle() {
            if tokio::time::Instant::now() > end {
                break;
            }
            hub.done(&hub.order(path, body.clone()).await).await;
            done += 1;
        }
        done
    };
    let evict = jobs(vec![
        ("/v1/storage/evict", json!({"free_bytes": EVERYTHING})),
        ("/v1/models/org/model/evict", json!({})),
        ("/v1/storage/evict", json!({"free_bytes": MIB})),
    ]);
    let download = jobs(vec![("/v1/models/org/model/download", json!({}))]);
    let verify = jobs(vec![("/v1/storage/verify", json!({})), ("/v1/models/org/model/verify", json!({}))]);
    let ((), evictions, downloads, verifications) =
        tokio::join!(async { drop(futures_util::future::join_all(clients).await) }, evict, download, verify);
    let (hits, misses) = (hits.load(Ordering::Relaxed), misses.load(Ordering::Relaxed));
    println!(
        "{evictions} evictions, {downloads} downloads, {verifications} verifications, {hits} hits, {misses} others"
    );
    assert!(evictions > 2 && downloads > 2 && verifications > 2 && hits > 0 && misses > 0, "it was no race");
    hub.landed().await;
    assert_agrees(hub).await;
    assert_eq!(deleted_and_held(hub), [] as [&str; 0]);
    // And once it is quiet: all that was removed comes back, and goes.
    for _ in 0..2 {
        hub.done(&hub.download("org/model", json!({})).await).await;
        assert_eq!(store::blobs(hub.data_dir()).len(), files.len());
        for (name, content) in files {
            assert_eq!(right(hub, name, content, false).await, "hit");
        }
        assert_agrees(hub).await;
        hub.done(&hub.order("/v1/storage/evict", json!({"free_bytes": EVERYTHING})).await).await;
        assert_eq!(store::blobs(hub.data_dir()), BTreeSet::new());
        assert_eq!(deleted_and_held(hub), [] as [&str; 0], "its space is free");
        assert_agrees(hub).await;
    }
}
