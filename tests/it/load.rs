//! Many clients, large files, long listings: what the real program needs of memory, and that it
//! gives it back. Run with `cargo test --release --test load`.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]
#![expect(clippy::disallowed_methods, reason = "tests wait in true time, and make the files that they need")]

#[expect(dead_code, reason = "the harness of the binary `it`, of which this one needs a part")]
mod harness;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use mock_hf::{Content, Fault, MockHf, Repo, Rule};

use harness::process::{Addresses, Server};
use harness::repos::MIB;
use harness::{Client, Outcome, store};

/// One at a time: each wants both cores and measures memory.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn start(repo: Repo) -> (MockHf, tempfile::TempDir, Server, Addresses) {
    let mock = MockHf::start().await;
    mock.put(repo);
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::spawn(dir.path(), &mock.url(), &[]);
    let addresses = server.addresses().await.unwrap();
    (mock, dir, server, addresses)
}

async fn stop(server: Server, dir: &tempfile::TempDir) {
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    store::check(dir.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_cold_clients_of_one_large_file_cost_one_download_and_little_memory() {
    let _alone = ALONE.lock().await;
    let content = Content::random(64, 1024 * MIB);
    let (mock, dir, server, addresses) = start(Repo::model("org/big").lfs("big.bin", content.clone())).await;
    let url = format!("{}/org/big/resolve/main/big.bin", addresses.hub);
    let files = server.open_files();
    let clients = (0..64).map(|_| {
        let (url, content) = (url.clone(), content.clone());
        // Every client compares every byte while it comes: a wrong one cannot go unnoticed.
        tokio::spawn(async move { Client::new().compare(&url, &content).await })
    });
    let outcomes: Vec<_> = join_all(clients).await.into_iter().map(Result::unwrap).collect();
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Right), "{outcomes:?}");
    let (bytes, memory) = (mock.stats().cdn_body_bytes, server.peak_memory());
    println!("64 clients of 1 GiB: {bytes} bytes from upstream, {} MiB at most", memory / MIB);
    assert!(bytes as f64 <= 1.01 * content.size() as f64, "{bytes} bytes from upstream");
    assert!(memory <= 200 * MIB, "{} MiB", memory / MIB);
    harness::eventually("its files are closed", || server.open_files() <= files + 16).await;
    stop(server, &dir).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_cold_files_of_all_sizes_at_once_stay_within_bounds() {
    let _alone = ALONE.lock().await;
    let sizes = [1024, 100_000, 2 * MIB, 7 * MIB, 9 * MIB, 33 * MIB, 64 * MIB, 128 * MIB];
    let content = |number: usize| Content::random(3200 + number as u64, sizes[number % sizes.len()] + number as u64);
    let repo = (0..32).fold(Repo::model("org/many"), |repo, number| repo.lfs(format!("{number}.bin"), content(number)));
    let (mock, dir, server, addresses) = start(repo).await;
    let clients = (0..32).map(|number| {
        let (url, content) = (format!("{}/org/many/resolve/main/{number}.bin", addresses.hub), content(number));
        tokio::spawn(async move { Client::new().compare(&url, &content).await })
    });
    let outcomes: Vec<_> = join_all(clients).await.into_iter().map(Result::unwrap).collect();
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Right), "{outcomes:?}");
    let total: u64 = (0..32).map(|number| content(number).size()).sum();
    let (bytes, memory) = (mock.stats().cdn_body_bytes, server.peak_memory());
    println!("32 files, {} MiB together: {bytes} bytes from upstream, {} MiB at most", total / MIB, memory / MIB);
    assert!(bytes as f64 <= 1.01 * total as f64, "{bytes} bytes from upstream for {total}");
    assert!(memory <= 256 * MIB, "{} MiB", memory / MIB);
    stop(server, &dir).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_of_a_hundred_thousand_files_lists_and_pages_without_a_spike() {
    let _alone = ALONE.lock().await;
    let (mock, dir, server, addresses) = start(Repo::model("org/wide").many_small(100_000)).await;
    let client = Client::new();
    let tree = format!("{}/api/models/org/wide/tree/main?recursive=true&expand=false", addresses.hub);
    let names = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
    };
    let next = |reply: &harness::Reply| {
        reply.header("link").strip_prefix('<').and_then(|link| link.split_once('>')).map(|(url, _)| url.to_owned())
    };
    let pages = async |first: String| {
        let (mut url, mut paged) = (Some(first), Vec::new());
        while let Some(page) = url {
            let reply = client.call("GET", &page, &[], "").await;
            paged.extend(names(&reply.json()));
            url = next(&reply);
        }
        paged
    };
    // 100 folders, and the folder above them; while the hub still reads them, upstream's pages.
    let cold = pages(tree.clone()).await;
    assert_eq!((cold.len(), cold.iter().collect::<BTreeSet<_>>().len()), (100_101, 100_101));
    // In the end everything comes as one, from here.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    let whole = loop {
        let reply = client.call("GET", &tree, &[], "").await;
        if next(&reply).is_none() {
            break names(&reply.json());
        }
        assert!(tokio::time::Instant::now() < deadline, "the listing is never complete");
    };
    assert_eq!(whole.len(), 100_101);
    let calls = mock.stats().hub_calls;
    assert_eq!(pages(format!("{tree}&limit=1000")).await, whole);
    assert_eq!(mock.stats().hub_calls, calls, "pages come from here");
    let info = client.call("GET", &format!("{}/api/models/org/wide?blobs=true", addresses.hub), &[], "").await.json();
    assert_eq!(info["siblings"].as_array().unwrap().len(), 100_000);
    let file = format!("{}/org/wide/resolve/main/many/099/file-099999.txt", addresses.hub);
    client.call("GET", &file, &[], "").await.assert_is(200, b"small file 99999\n");
    // The same through the admin API: registered, synced, listed by folder and flat.
    let admin = async |method: &str, path: &str, body: &str| {
        let reply = client.call(method, &format!("{}{path}", addresses.admin), &[], body).await;
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    };
    let model = admin("POST", "/v1/models", "{\"repo_id\":\"org/wide\"}").await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while admin("GET", &format!("/v1/models/{}", model["id"].as_str().unwrap()), "").await["status"] != "synced" {
        assert!(tokio::time::Instant::now() < deadline, "the sync never ends");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let folder = admin("GET", "/v1/models/org/wide/files?path=many", "").await;
    assert_eq!(folder["files"].as_array().unwrap().len(), 100);
    assert!(folder["files"].as_array().unwrap().iter().all(|folder| folder["files"] == "1000"), "{folder:#}");
    let (mut listed, mut token) = (0, String::new());
    loop {
        let path = format!("/v1/models/org/wide/files?flat=true&page_size=1000&page_token={token}");
        let page = admin("GET", &path, "").await;
        listed += page["files"].as_array().unwrap().len();
        token = page["next_page_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, 100_000);
    let memory = server.peak_memory();
    println!("a tree of 100 000 files: {} MiB at most", memory / MIB);
    assert!(memory <= 256 * MIB, "{} MiB", memory / MIB);
    stop(server, &dir).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_without_an_end_takes_no_more_memory_the_longer_it_is() {
    let _alone = ALONE.lock().await;
    let (mock, dir, server, addresses) = start(Repo::model("org/endless0").file("config.json", "{}")).await;
    mock.put(Repo::model("org/endless1").file("config.json", "{}"));
    let client = Client::new();
    let pages = async |most: u64| {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        while mock.stats().hub_calls < most {
            assert!(tokio::time::Instant::now() < deadline, "it does not get so far: {}", mock.stats().hub_calls);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        server.peak_memory()
    };
    // Twice: what the first left behind would be in the second's way.
    for round in 0..2 {
        let tree = format!("{}/api/models/org/endless{round}/tree/main?recursive=true&expand=false", addresses.hub);
        mock.clear_log();
        let fault = mock.fault(Rule::on_hub("/tree/").fault(Fault::EndlessListing { entries: 1000 }));
        assert_eq!(client.call("GET", &tree, &[], "").await.status, 200);
        let (early, late) = (pages(60).await, pages(240).await);
        println!("an endless listing: {} MiB after 60 pages, {} MiB after 240", early / MIB, late / MIB);
        assert!(late <= early + 16 * MIB, "{} MiB more for 180 pages", (late - early) / MIB);
        assert!(late <= 128 * MIB, "{} MiB", late / MIB);
        // The end of it is an error: nothing of it stays.
        mock.remove_fault(fault);
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        let right = async || {
            let reply = client.call("GET", &tree, &[], "").await;
            reply.status == 200 && reply.json().as_array().is_some_and(|entries| entries.len() == 1)
        };
        while !right().await {
            assert!(tokio::time::Instant::now() < deadline, "what is right is never listed");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    stop(server, &dir).await;
}

/// The process's own memory when it has stopped falling: what was freed goes back to the system within seconds.
async fn at_rest(server: &Server) -> u64 {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let mut least = server.anonymous_memory();
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let now = server.anonymous_memory();
        if now + MIB > least || tokio::time::Instant::now() > deadline {
            return now.min(least);
        }
        least = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_files_return_to_where_they_were() {
    let _alone = ALONE.lock().await;
    let content = |number: usize| Content::random(6400 + number as u64, 24 * MIB + number as u64);
    let repo = (0..48).fold(Repo::model("org/many"), |repo, number| repo.lfs(format!("{number}.bin"), content(number)));
    let (_mock, dir, server, addresses) = start(repo).await;
    let url = |number: usize| format!("{}/org/many/resolve/main/{number}.bin", addresses.hub);
    let (mut memory, mut files) = (Vec::new(), Vec::new());
    for round in 0..3 {
        // Sixteen new files, each for a client that stays, one that joins and one that leaves.
        let numbers = round * 16..(round + 1) * 16;
        let clients = numbers.flat_map(|number| {
            let (first, second, gone) = (url(number), url(number), url(number));
            let (one, other) = (content(number), content(number));
            [
                tokio::spawn(async move { Client::new().compare(&first, &one).await == Outcome::Right }),
                tokio::spawn(async move { Client::new().compare(&second, &other).await == Outcome::Right }),
                tokio::spawn(async move { Client::new().send("GET", &gone, &[], "").await.is_ok() }),
            ]
        });
        let outcomes = join_all(clients).await;
        assert!(outcomes.into_iter().all(Result::unwrap));
        let metrics = format!("{}/metrics", addresses.admin);
        let client = Client::new();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        while !client.call("GET", &metrics, &[], "").await.text().contains("modelhub_flights 0") {
            assert!(tokio::time::Instant::now() < deadline, "flights do not land");
        }
        memory.push(at_rest(&server).await / MIB);
        files.push(server.open_files());
    }
    println!("after each round: {memory:?} MiB of its own, {files:?} open files");
    assert!(memory[2] <= memory[0] + 24, "memory grows: {memory:?} MiB");
    // Sixteen blobs a round stay open for the next reader (twice: read and mapped), and nothing else.
    assert!(files[2] <= files[0] + 2 * 32 + 16, "files stay open: {files:?}");
    stop(server, &dir).await;
}
