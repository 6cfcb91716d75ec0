//! Repositories of all kinds and names, and commits that come and go.

use std::time::Duration;

use mock_hf::{Change, Content, Fault, Kind, MockHf, Repo, Rule};

use super::client::{Xet, assert_part, is_hash};
use super::{PATH, REPO, SIZE, big, get_all, offered, repo};
use crate::harness::process::Server;
use crate::harness::repos::MIB;
use crate::harness::{Client, TestHub};

#[tokio::test]
async fn repositories_of_all_kinds_names_and_revisions_are_served() {
    let content = Content::random(31, 300_000);
    let with_file = |repo: Repo| repo.lfs("sub dir/big #1.bin", content.clone()).branch("feature/x").tag("v1.0");
    let hub = TestHub::builder()
        .repo(with_file(Repo::model("org/model")))
        .repo(with_file(Repo::model("gpt2")))
        .repo(with_file(Repo::new(Kind::Dataset, "squad")))
        .repo(with_file(Repo::new(Kind::Dataset, "org/data")))
        .repo(with_file(Repo::new(Kind::Space, "org/space")))
        .repo(with_file(Repo::model("xet/v1")))
        .start()
        .await;
    let xet = Xet::from(&hub);
    for (repo, prefix) in [
        ("models/org/model", "org/model"),
        ("models/gpt2", "gpt2"),
        ("datasets/squad", "datasets/squad"),
        ("datasets/org/data", "datasets/org/data"),
        ("spaces/org/space", "spaces/org/space"),
        ("models/xet/v1", "xet/v1"),
    ] {
        for revision in ["main", "v1.0", "feature%2Fx"] {
            let head = hub.head(&format!("/{prefix}/resolve/{revision}/sub%20dir/big%20%231.bin")).await;
            let file = head.header("x-xet-hash").to_owned();
            // What a client asks of a listing's hash, and of HEAD's address.
            for url in [
                hub.at(&format!("/api/{repo}/xet-read-token/{revision}")),
                head.header("x-xet-refresh-route").to_owned(),
            ] {
                assert_eq!(hub.client.call("GET", &url, &[], "").await.status, 200, "{url}");
            }
            let grant = xet.token(repo, None).await;
            assert!(xet.get(&grant, 2, &file, 0..300_000).await == content.read_all(), "{repo} {revision}");
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_renamed_repository_is_served_under_both_names() {
    let hub = TestHub::builder().repo(Repo::model("org/before").lfs("big.bin", big())).start().await;
    hub.mock.rename("model", "org/before", "org/after");
    let xet = Xet::from(&hub);
    for name in ["org/before", "org/after"] {
        let file = offered(&hub, &format!("/{name}/resolve/main/big.bin")).await;
        let grant = xet.token(&format!("models/{name}"), None).await;
        assert!(xet.get(&grant, 2, &file, 0..SIZE).await == big().read_all(), "{name}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_new_commit_has_new_files_and_keeps_the_old_ones() {
    let hub = TestHub::builder().manual_clock().repo(repo()).start().await;
    let old = offered(&hub, PATH).await;
    assert!(get_all(&hub).await == big().read_all());
    hub.landed().await;
    let content = Content::random(32, 9 * MIB);
    hub.mock.commit("model", "org/big", "main", vec![Change::put_lfs("big.bin", content.clone())]);
    hub.clock.advance(Duration::from_secs(61));
    let new = offered(&hub, PATH).await;
    assert_ne!(old, new);
    let xet = Xet::from(&hub);
    let grant = xet.token(REPO, None).await;
    assert!(xet.get(&grant, 2, &new, 0..9 * MIB).await == content.read_all());
    assert!(xet.get(&grant, 2, &old, 0..SIZE).await == big().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_client_may_know_a_hash_that_no_listing_of_ours_has_named() {
    // From a cache that it filled at the Hub itself.
    let hub = TestHub::builder().repo(repo()).start().await;
    let url = format!("{}/api/models/org/big/tree/main", hub.mock.url());
    let tree = hub.client.call("GET", &url, &[], "").await.json();
    let xet = Xet::from(&hub);
    let grant = xet.token(REPO, None).await;
    assert!(xet.get(&grant, 2, tree[0]["xetHash"].as_str().unwrap(), 0..SIZE).await == big().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_hash_that_head_gave_is_enough_without_a_listing() {
    let hub = TestHub::builder().manual_clock().repo(repo()).start().await;
    let status =
        Fault::Status { code: 500, error_code: None, message: String::new(), retry_after: None, ratelimit: None };
    hub.mock.fault(Rule::on_hub("/tree/").fault(status));
    let file = offered(&hub, PATH).await;
    assert!(is_hash(&file), "{file}");
    let xet = Xet::from(&hub);
    let grant = xet.token(REPO, None).await;
    assert!(xet.get(&grant, 2, &file, 0..SIZE).await == big().read_all());
    hub.landed().await;
    let hub = hub.restart().await;
    assert!(get_all(&hub).await == big().read_all());
    hub.finish().await;
}

/// The commit of a repository whose history was written anew: the one before is gone upstream.
async fn rewritten(hub: &TestHub, text: String) -> String {
    hub.mock.put(repo().file("README.md", text));
    hub.clock.advance(Duration::from_secs(61));
    hub.head(PATH).await.header("x-repo-commit").to_owned()
}

#[tokio::test]

async fn a_file_comes_from_a_commit_that_is_still_there() {
    let hub = TestHub::builder().manual_clock().repo(repo()).start().await;
    let first = hub.head(PATH).await.header("x-repo-commit").to_owned();
    // Whichever commit's id is the smaller one: either way the last one is the right one.
    let mut before = first.clone();
    for order in [std::cmp::Ordering::Less, std::cmp::Ordering::Greater] {
        let mut now = before.clone();
        for number in 0.. {
            if now.cmp(&before) == order {
                break;
            }
            now = rewritten(&hub, format!("{order:?} {number}\n")).await;
        }
        before = now;
        let part = Xet::from(&hub);
        let grant = part.token(REPO, None).await;
        let file = offered(&hub, PATH).await;
        let at = if order == std::cmp::Ordering::Less { 5 * MIB } else { 12 * MIB };
        assert!(part.get(&grant, 2, &file, at..at + 99).await == big().read_range(at, 99), "{order:?}");
        hub.landed().await;
    }
    hub.finish().await;
}

#[tokio::test]

async fn when_the_disk_is_full_xorbs_pass_through() {
    let content = Content::random(73, 40 * MIB + 5);
    let size = content.size();
    let mock = MockHf::start().await;
    mock.put(Repo::model("org/full").lfs("large.bin", content.clone()));
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::spawn_on_small_disk(dir.path(), "16m", &mock.url(), None);
    let xet = Xet { http: Client::new(), base: server.addresses().await.unwrap().hub };
    let head = xet.http.call("HEAD", &format!("{}/org/full/resolve/main/large.bin", xet.base), &[], "").await;
    let file = head.header("x-xet-hash").to_owned();
    let grant = xet.token("models/org/full", None).await;
    let recipe = xet.recipe(&grant, 2, &file, None).await;
    let mut bytes = Vec::new();
    for term in &recipe.terms {
        // The xorb in which the disk becomes full breaks; clients ask again for what breaks.
        let mut reply = xet.ask_xorb(&term.url, Some(&term.range())).await;
        for _ in 0..2 {
            if reply.broken.is_some() {
                reply = xet.ask_xorb(&term.url, Some(&term.range())).await;
            }
        }
        assert_part(&reply, &term.bytes);
        bytes.extend(term.unpack(&reply.body));
    }
    assert!(bytes == content.read_all() && bytes.len() as u64 == size);
    let last = recipe.terms.last().unwrap();
    let reply = xet.ask_xorb(&last.url, None).await;
    assert_eq!((reply.status, reply.served()), (200, "bypass"));
    // Wrong bytes do not end as right ones.
    mock.fault(Rule::on_cdn("large.bin").fault(Fault::FlipByte(20 * MIB)));
    let reply = xet.ask_xorb(&last.url, None).await;
    assert!(reply.broken.is_some() || reply.status >= 400, "{} {:?}", reply.status, reply.broken);
    server.terminate();
    assert!(server.ended().await.success());
}
