//! Where the bytes come from: a flight, shared; the store; nowhere; and what a restart leaves.

use futures_util::future::join_all;
use mock_hf::{MockHf, Repo, TOKEN_ALICE};
use serde_json::json;

use super::client::{Grant, Recipe, Xet};
use super::{PATH, REPO, SIZE, TREE, XORB, big, get_all, offered, repo, slow};
use crate::harness::process::Server;
use crate::harness::repos::MIB;
use crate::harness::{Client, TestHub, eventually, store};

async fn grant_and_recipe(xet: &Xet, repo: &str, path: &str, hf_token: Option<&str>) -> (Grant, Recipe, String) {
    let bearer = hf_token.map(|token| format!("Bearer {token}")).unwrap_or_default();
    let headers = [("authorization", bearer.as_str())];
    let headers = if hf_token.is_some() { &headers[..] } else { &[] };
    let head = xet.http.call("HEAD", &format!("{}{path}", xet.base), headers, "").await;
    let file = head.header("x-xet-hash").to_owned();
    let grant = xet.token(repo, hf_token).await;
    let recipe = xet.recipe(&grant, 2, &file, Some(&format!("bytes=0-{}", SIZE - 1))).await;
    (grant, recipe, file)
}

/// The same hub at another address: what was handed out before, for there.
fn moved(from: &Xet, to: &Xet, grant: &Grant, mut recipe: Recipe) -> (Grant, Recipe) {
    for term in &mut recipe.terms {
        term.url = term.url.replace(&from.base, &to.base);
    }
    (Grant { cas: grant.cas.replace(&from.base, &to.base), ..grant.clone() }, recipe)
}

#[tokio::test]
async fn a_cold_file_streams_while_it_arrives() {
    let hub = TestHub::builder().small_segments().options(slow()).repo(repo()).start().await;
    let xet = Xet::from(&hub);
    let (_, recipe, _) = grant_and_recipe(&xet, REPO, PATH, None).await;
    assert_eq!(hub.flights(), 1, "who asks for the recipe from the beginning wants it all");
    let first = &recipe.terms[0];
    let mut response = hub.client.send("GET", &first.url, &[("range", &first.range())], "").await.unwrap();
    let mut bytes = response.chunk().await.unwrap().unwrap().to_vec();
    assert!(hub.flights() == 1 && hub.cdn_bytes() < SIZE, "the first bytes came before the last were here");
    while let Some(chunk) = response.chunk().await.unwrap() {
        bytes.extend(chunk);
    }
    assert!(first.unpack(&bytes) == big().read_range(0, XORB));
    assert!(xet.assemble(&recipe, SIZE).await == big().read_all());
    hub.landed().await;
    assert_eq!(hub.cdn_bytes(), SIZE, "each byte once");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_clients_of_either_kind_share_one_download() {
    let hub = TestHub::builder().small_segments().options(slow()).repo(repo()).start().await;
    let by_xet = join_all((0..4).map(|_| get_all(&hub)));
    let content = big();
    let plain = hub.at(PATH);
    let (by_xet, plain) = tokio::join!(by_xet, hub.client.compare(&plain, &content));
    assert!(by_xet.iter().all(|bytes| *bytes == content.read_all()));
    assert_eq!(plain, crate::harness::Outcome::Right);
    hub.landed().await;
    let stats = hub.mock.stats();
    assert_eq!((stats.cdn_body_bytes, stats.resolve_calls), (SIZE, 1));
    hub.finish().await;
}

#[tokio::test]
async fn terms_that_are_asked_for_all_at_once_are_all_right() {
    let hub = TestHub::builder().small_segments().options(slow()).repo(repo()).start().await;
    let xet = Xet::from(&hub);
    let (_, recipe, _) = grant_and_recipe(&xet, REPO, PATH, None).await;
    let terms = join_all(recipe.terms.iter().rev().map(|term| xet.term(term))).await;
    assert!(terms.into_iter().rev().collect::<Vec<_>>().concat() == big().read_all());
    hub.landed().await;
    assert_eq!(hub.cdn_bytes(), SIZE);
    hub.finish().await;
}

#[tokio::test]
async fn a_range_of_a_cold_file_fetches_little_more() {
    let hub = TestHub::builder().small_segments().repo(repo()).start().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, PATH).await);
    let grant = xet.token(REPO, None).await;
    let bytes = xet.get(&grant, 2, &file, 9 * MIB + 5..9 * MIB + 50_000).await;
    assert!(bytes == big().read_range(9 * MIB + 5, 49_995));
    hub.landed().await;
    assert!(hub.cdn_bytes() <= MIB / 2, "{} bytes for 50 kB", hub.cdn_bytes());
    hub.finish().await;
}

#[tokio::test]
async fn a_stored_file_asks_nobody_and_needs_no_upstream() {
    let mut hub = TestHub::builder().repo(repo()).start().await;
    assert!(get_all(&hub).await == big().read_all());
    hub.landed().await;
    hub.allow_upstream_calls(0);
    assert!(get_all(&hub).await == big().read_all());
    let mut hub = hub.restart().await;
    hub.allow_upstream_calls(0);
    assert!(get_all(&hub).await == big().read_all());
    hub.mock.stop().await;
    assert!(get_all(&hub).await == big().read_all());
    let hub = hub.restart_with(&[("upstream.offline", "true")]).await;
    assert!(get_all(&hub).await == big().read_all());
    assert!(
        hub.get(TREE).await.text().contains(&offered(&hub, PATH).await)
            || !hub.get(TREE).await.text().contains("xetHash")
    );
    hub.finish().await;
}

/// No offer in any form, and a clear no to who asks nevertheless.
async fn assert_not_to_be_had(hub: &TestHub, grant: &Grant, file: &str) {
    let xet = Xet::from(hub);
    let head = hub.head(PATH).await;
    assert!(matches!(head.status, 501 | 504) && !head.everything().contains("xet"), "{}", head.everything());
    for path in [TREE.to_owned(), format!("{TREE}?recursive=true"), format!("{TREE}?expand=true&limit=5")] {
        let tree = hub.get(&path).await;
        assert!(tree.status == 200 && !tree.text().contains("xetHash"), "{}", tree.text());
    }
    for version in [1, 2] {
        for range in [None, Some("bytes=0-99"), Some("bytes=1000-")] {
            let reply = xet.ask_recipe(grant, version, file, range).await;
            assert_eq!(reply.status, 501, "hf_xet tries any other again for minutes: {:?}", reply.error());
            let message = reply.header("x-error-message");
            assert!(message.contains("org/big/big.bin") && message.contains("not cached"), "{message}");
        }
    }
}

#[tokio::test]
async fn what_is_not_here_is_not_offered_while_upstream_is_away() {
    let hub = TestHub::builder().manual_clock().repo(repo()).start().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, PATH).await);
    let grant = xet.token(REPO, None).await;
    let recipe = xet.recipe(&grant, 2, &file, Some("bytes=1-")).await;
    assert!(hub.get(TREE).await.text().contains(&file));
    hub.mock.stop().await;
    // The hub has to notice.
    for n in 0..3 {
        assert_eq!(hub.get(&format!("/api/models/org/unknown-{n}")).await.status, 504);
    }
    assert_not_to_be_had(&hub, &grant, &file).await;
    // A download that has not begun ends at once; one that has is tried again.
    for (term, status) in [(recipe.terms.first(), 501), (recipe.terms.last(), 504)] {
        let reply = xet.ask_xorb(&term.unwrap().url, None).await;
        assert_eq!((reply.status, reply.broken.is_none()), (status, true), "{:?}", reply.error());
    }
    // And is, when upstream is back.
    hub.mock.restart().await.unwrap();
    hub.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(hub.get("/api/models/org/big").await.status, 200);
    assert_eq!(offered(&hub, PATH).await, file);
    assert!(hub.get(TREE).await.text().contains(&file));
    assert!(get_all(&hub).await == big().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn what_is_not_here_is_not_offered_offline() {
    let hub = TestHub::builder().manual_clock().repo(repo()).start().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, PATH).await);
    let grant = xet.token(REPO, None).await;
    let hub = hub.restart_with(&[("upstream.offline", "true")]).await;
    let grant = Grant { cas: format!("{}/xet", hub.url()), ..grant };
    assert_not_to_be_had(&hub, &grant, &file).await;
    hub.finish().await;
}

#[tokio::test]

async fn what_is_not_here_is_no_information_for_huggingface_js_while_upstream_is_away() {
    let hub = TestHub::builder().manual_clock().repo(repo()).start().await;
    let headers = [("accept", "application/vnd.xet-fileinfo+json, */*"), ("range", "bytes=0-0")];
    assert_eq!(hub.get_with(PATH, &headers).await.status, 200);
    hub.mock.stop().await;
    for n in 0..3 {
        assert_eq!(hub.get(&format!("/api/models/org/unknown-{n}")).await.status, 504);
    }
    let info = hub.get_with(PATH, &headers).await;
    assert!(info.status == 504 && !info.everything().contains("xet"), "{}", info.everything());
    hub.finish().await;
}

#[tokio::test]
async fn names_tokens_and_addresses_outlive_a_restart() {
    let hub = TestHub::builder().small_segments().repo(repo()).start().await;
    let before = Xet::from(&hub);
    let (grant, recipe, file) = grant_and_recipe(&before, REPO, PATH, None).await;
    let names = recipe.xorbs();
    let hub = hub.restart().await;
    let after = Xet::from(&hub);
    let (grant, recipe) = moved(&before, &after, &grant, recipe);
    // The addresses first: nothing else has been asked since the start.
    assert!(after.assemble(&recipe, SIZE).await == big().read_all());
    assert_eq!(offered(&hub, PATH).await, file);
    assert_eq!(after.recipe(&grant, 2, &file, None).await.xorbs(), names);
    assert!(after.get(&grant, 1, &file, 0..SIZE).await == big().read_all());
    // Of what is stored by now, once more.
    hub.landed().await;
    let hub = hub.restart().await;
    let last = Xet::from(&hub);
    let (_, recipe) = moved(&after, &last, &grant, recipe);
    assert!(last.assemble(&recipe, SIZE).await == big().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn after_a_restart_a_private_address_alone_opens_nothing_and_the_token_does() {
    let private = Repo::model("org/private").lfs("big.bin", big()).private().reader(TOKEN_ALICE);
    let hub = TestHub::builder().small_segments().repo(private).start().await;
    let mut xet = Xet::from(&hub);
    let path = "/org/private/resolve/main/big.bin";
    let (mut grant, mut recipe, file) = grant_and_recipe(&xet, "models/org/private", path, Some(TOKEN_ALICE)).await;
    let names = recipe.xorbs();
    let mut hub = hub;
    // First while it arrives, then stored.
    for round in 0..2 {
        hub = hub.restart().await;
        let now = Xet::from(&hub);
        (grant, recipe) = moved(&xet, &now, &grant, recipe);
        xet = now;
        for term in &recipe.terms {
            assert_eq!(xet.ask_xorb(&term.url, None).await.status, 403, "round {round}");
        }
        let again = xet.recipe(&grant, 2, &file, None).await;
        assert_eq!(again.xorbs(), names);
        assert!(xet.assemble(&again, SIZE).await == big().read_all());
        hub.landed().await;
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_the_middle_of_a_xorb_costs_no_finished_segment_and_no_address() {
    const SEGMENT: u64 = MIB / 4;
    let mock = MockHf::start_with(slow()).await.unwrap();
    mock.put(repo());
    let dir = tempfile::tempdir().unwrap();
    let settings = [("flight.segment_size", "256KiB"), ("flight.verify_first", "64KiB"), ("flight.hold_back", "64KiB")];
    let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
    let xet = Xet { http: Client::new(), base: server.addresses().await.unwrap().hub };
    let (grant, recipe, _) = grant_and_recipe(&xet, REPO, PATH, None).await;
    let first = &recipe.terms[0];
    let mut response = xet.http.send("GET", &first.url, &[("range", &first.range())], "").await.unwrap();
    let mut seen = 0;
    while seen < 2 * MIB {
        seen += response.chunk().await.unwrap().expect("more of the xorb").len() as u64;
    }
    let known = |dir| store::finished_segments(dir, &big().sha256()).len() as u64;
    eventually("some segments are finished", || known(dir.path()) >= 8).await;
    server.kill().await;
    let rest = async {
        while response.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    assert!(rest.await.is_err(), "a cut xorb must not look complete");
    let finished = store::finished_segments(dir.path(), &big().sha256());
    assert!((8..SIZE / SEGMENT).contains(&(finished.len() as u64)), "{finished:?}");
    mock.idle().await;
    mock.clear_log();

    let mut server = Server::spawn(dir.path(), &mock.url(), &settings);
    let again = Xet { http: Client::new(), base: server.addresses().await.unwrap().hub };
    let (_, recipe) = moved(&xet, &again, &grant, recipe);
    assert!(again.assemble(&recipe, SIZE).await == big().read_all());
    let finished: u64 = finished.iter().map(|index| SEGMENT.min(SIZE - index * SEGMENT)).sum();
    assert_eq!(mock.stats().cdn_body_bytes, SIZE - finished);
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    store::check(dir.path());
}

#[tokio::test]
async fn damaged_bytes_are_not_served_once_they_were_found() {
    let hub = TestHub::builder().repo(repo()).start().await;
    for _ in 0..2 {
        assert!(get_all(&hub).await == big().read_all());
        hub.landed().await;
    }
    for round in 0..2 {
        store::damage(hub.data_dir(), &big().sha256(), 9_000_000);
        let job = hub.ended(&hub.order("/v1/storage/verify", json!({})).await).await;
        assert_eq!(job["status"], "failed", "round {round}: {job:#}");
        hub.mock.clear_log();
        for request in 0..3 {
            assert!(get_all(&hub).await == big().read_all(), "round {round}, request {request}");
            hub.landed().await;
        }
        assert_eq!(hub.cdn_bytes(), SIZE, "fetched again, once");
        hub.done(&hub.order("/v1/storage/verify", json!({})).await).await;
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_download_host_that_is_not_listed_ends_a_download_at_once_and_says_so() {
    let hub = TestHub::builder().set("upstream.cdn_hosts", "").set("xet.fetch", "never").repo(repo()).start().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, PATH).await);
    let grant = xet.token(REPO, None).await;
    // From the middle, so that the recipe itself starts no download; and from the beginning.
    for range in [Some("bytes=1-"), Some("bytes=1-"), None] {
        let recipe = xet.recipe(&grant, 2, &file, range).await;
        for term in [recipe.terms.first(), recipe.terms.last()] {
            let reply = xet.ask_xorb(&term.unwrap().url, None).await;
            assert_eq!(reply.status, 501, "hf_xet tries any other again for minutes: {:?}", reply.error());
            let message = reply.header("x-error-message");
            assert!(message.contains("127.0.0.1") && message.contains("upstream.cdn_hosts"), "{message}");
        }
    }
    // Other clients are told the same, as before.
    let reply = hub.get(PATH).await;
    assert!(reply.status == 502 && reply.text().contains("upstream.cdn_hosts"), "{} {}", reply.status, reply.text());
    hub.finish().await;
}
