//! How bytes arrive: once, in ranges, resumed, and from whatever upstream leaves of them.

use std::time::Duration;

use futures_util::future::join_all;
use mock_hf::{Content, Fault, Options, Origin, Repo, Rule};

use crate::harness::repos::MIB;
use crate::harness::{Outcome, TestHub, eventually, store};

const SIZE: u64 = 16 * MIB;
const SEGMENT: u64 = MIB / 4;
const PATH: &str = "/org/big/resolve/main/big.bin";

fn big() -> Content {
    Content::random(2, SIZE)
}

fn repo() -> Repo {
    Repo::model("org/big").lfs("big.bin", big())
}

/// 4 connections of 2 MiB/s each: the file takes two seconds.
fn slow() -> Options {
    Options { bytes_per_second_per_connection: Some(2 * MIB), ..Options::default() }
}

async fn get_all(hub: &TestHub) -> Outcome {
    hub.client.compare(&hub.at(PATH), &big()).await
}

/// The ranges that the CDN was asked for, half-open; a request without one is the whole file.
fn asked(hub: &TestHub) -> Vec<(u64, u64)> {
    let of = |range: &str| {
        let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        (from.parse::<u64>().unwrap(), to.parse::<u64>().unwrap() + 1)
    };
    let lines = hub.mock.requests();
    lines
        .iter()
        .filter(|line| line.origin == Origin::Cdn)
        .map(|line| line.range.as_deref().map_or((0, SIZE), of))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_clients_share_one_download() {
    // Throttled, or a whole answer fits into the socket's buffer and no two are seen at once.
    let hub = TestHub::builder().small_segments().options(slow()).repo(repo()).start().await;
    let outcomes = join_all((0..16).map(|_| get_all(&hub))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Right), "{outcomes:?}");
    hub.landed().await;
    assert_eq!(hub.cdn_bytes(), SIZE);
    // One resolve upstream for all, and several connections.
    let stats = hub.mock.stats();
    assert_eq!(stats.resolve_calls, 1);
    assert!(stats.cdn_max_concurrent > 1, "{stats:?}");
    hub.finish().await;
}

#[tokio::test]
async fn a_second_reader_joins_the_running_download() {
    let hub = TestHub::builder().small_segments().options(slow()).repo(repo()).start().await;
    let first = hub.client.send("GET", &hub.at(PATH), &[], "").await.unwrap();
    assert_eq!(first.headers()["x-modelhub-cache"], "miss");
    let second = hub.client.send("GET", &hub.at(PATH), &[], "").await.unwrap();
    assert_eq!((second.headers()["x-modelhub-cache"].to_str().unwrap(), hub.flights()), ("join", 1));
    let (first, second) = tokio::join!(first.bytes(), second.bytes());
    assert!(first.unwrap() == big().read_all() && second.unwrap() == big().read_all());
    assert_eq!(hub.cdn_bytes(), SIZE);
    hub.finish().await;
}

#[tokio::test]
async fn content_that_another_commit_or_repository_names_costs_nothing() {
    let hub = TestHub::builder().small_segments().manual_clock().repo(repo()).start().await;
    assert_eq!(get_all(&hub).await, Outcome::Right);
    hub.landed().await;
    hub.mock.commit("model", "org/big", "main", vec![mock_hf::Change::put("README.md", "changed")]);
    hub.mock.put(Repo::dataset("other/copy").lfs("renamed.bin", big()));
    hub.clock.advance(Duration::from_secs(61));
    hub.mock.clear_log();
    assert_eq!(get_all(&hub).await, Outcome::Right);
    let copy = hub.at("/datasets/other/copy/resolve/main/renamed.bin");
    assert_eq!(hub.client.compare(&copy, &big()).await, Outcome::Right);
    assert_eq!((hub.cdn_bytes(), hub.mock.stats().resolve_calls), (0, 0));
    hub.finish().await;
}

#[tokio::test]
async fn one_download_serves_all_names_of_a_content() {
    let hub = TestHub::builder()
        .small_segments()
        .options(slow())
        .repo(repo())
        .repo(Repo::model("other/copy").lfs("x.bin", big()))
        .start()
        .await;
    let other = hub.at("/other/copy/resolve/main/x.bin");
    let content = big();
    let (first, second) = tokio::join!(get_all(&hub), hub.client.compare(&other, &content));
    assert_eq!((first, second), (Outcome::Right, Outcome::Right));
    assert_eq!(hub.cdn_bytes(), SIZE);
    hub.finish().await;
}

#[tokio::test]
async fn a_range_fetches_its_segments_and_no_more() {
    let hub = TestHub::builder().small_segments().repo(repo()).start().await;
    let range = format!("bytes={}-{}", 10 * SEGMENT, 12 * SEGMENT - 1);
    hub.get_with(PATH, &[("range", &range)]).await.assert_is(206, &big().read_range(10 * SEGMENT, 2 * SEGMENT));
    hub.landed().await;
    let ranges = asked(&hub);
    assert!(ranges.iter().all(|(from, to)| *from >= 10 * SEGMENT && *to <= 12 * SEGMENT), "{ranges:?}");
    assert_eq!(hub.cdn_bytes(), 2 * SEGMENT);
    // The whole file then fetches the rest only.
    assert_eq!(get_all(&hub).await, Outcome::Right);
    hub.landed().await;
    assert_eq!(hub.cdn_bytes(), SIZE);
    hub.finish().await;
}

#[tokio::test]
async fn a_range_at_the_end_does_not_wait_for_the_beginning() {
    let hub = TestHub::builder().small_segments().options(slow()).repo(repo()).start().await;
    let whole = hub.client.send("GET", &hub.at(PATH), &[], "").await.unwrap();
    // What is asked next comes next, before the rest of the file.
    let reply = hub.get_with(PATH, &[("range", &format!("bytes={}-{}", SIZE - 10, SIZE - 2))]).await;
    reply.assert_is(206, &big().read_range(SIZE - 10, 9));
    assert!(hub.cdn_bytes() < SIZE, "the range waited for everything");
    assert!(whole.bytes().await.unwrap() == big().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_download_goes_on_when_its_client_has_left() {
    let hub = TestHub::builder().small_segments().options(slow()).repo(repo()).start().await;
    let client = hub.client.send("GET", &hub.at(PATH), &[], "").await.unwrap();
    drop(client);
    hub.landed().await;
    assert!(store::blobs(hub.data_dir()).contains(&big().sha256()));
    hub.mock.stop().await;
    assert_eq!(get_all(&hub).await, Outcome::Right);
    hub.finish().await;
}

#[tokio::test]
async fn an_abandoned_download_stops_if_the_settings_say_so() {
    let hub = TestHub::builder()
        .small_segments()
        .set("flight.finish_abandoned", "false")
        .options(slow())
        .repo(repo())
        .start()
        .await;
    drop(hub.client.send("GET", &hub.at(PATH), &[], "").await.unwrap());
    hub.landed().await;
    let fetched = hub.cdn_bytes();
    assert!(fetched < SIZE, "it was fetched to the end");
    assert!(store::blobs(hub.data_dir()).is_empty());
    assert_eq!(get_all(&hub).await, Outcome::Right);
    hub.finish().await;
}

#[tokio::test]
async fn a_restart_fetches_only_what_was_not_here() {
    let hub = TestHub::builder().small_segments().options(slow()).repo(repo()).start().await;
    drop(hub.client.send("GET", &hub.at(PATH), &[], "").await.unwrap());
    eventually("a third is here", || hub.cdn_bytes() > SIZE / 3).await;
    let hub = hub.restart().await;
    let finished = store::finished_segments(hub.data_dir(), &big().sha256());
    let kept = store::kept_bytes(hub.data_dir(), &big().sha256());
    assert!(finished.len() > 10, "only {} segments are in the journal", finished.len());
    hub.mock.idle().await;
    hub.mock.clear_log();
    assert_eq!(get_all(&hub).await, Outcome::Right);
    hub.landed().await;
    for (from, to) in asked(&hub) {
        let again: Vec<_> =
            (from / SEGMENT..to.div_ceil(SEGMENT)).filter(|segment| finished.contains(segment)).collect();
        assert!(again.is_empty(), "segments {again:?} were fetched again");
    }
    assert_eq!(hub.cdn_bytes(), SIZE - kept);
    hub.finish().await;
}

#[tokio::test]
async fn a_stop_right_after_the_last_byte_loses_nothing() {
    // The client has everything when the digest is right, which is before the file is published.
    let content = |number: u64| Content::random(50 + number, MIB);
    let repo = (0..10).fold(Repo::model("org/many"), |repo, number| repo.lfs(format!("{number}.bin"), content(number)));
    let mut hub = TestHub::builder().repo(repo).start().await;
    for number in 0..10 {
        let path = format!("/org/many/resolve/main/{number}.bin");
        hub.get(&path).await.assert_is(200, &content(number).read_all());
        hub = hub.restart().await;
        hub.mock.clear_log();
        hub.get(&path).await.assert_is(200, &content(number).read_all());
        assert_eq!(hub.cdn_bytes(), 0, "file {number} was fetched again");
    }
    hub.finish().await;
}

#[tokio::test]
async fn an_upstream_that_ignores_ranges_gives_one_stream() {
    let hub = TestHub::builder().small_segments().repo(repo()).start().await;
    hub.mock.fault(Rule::on_cdn("").fault(Fault::IgnoreRange));
    assert_eq!(get_all(&hub).await, Outcome::Right);
    hub.landed().await;
    let last = hub.mock.requests().into_iter().rfind(|line| line.origin == Origin::Cdn).unwrap();
    assert_eq!((last.range, last.body_bytes), (None, SIZE));
    hub.finish().await;
}

#[tokio::test]
async fn a_signed_address_that_expires_is_asked_for_again() {
    let hub = TestHub::builder().small_segments().options(slow()).repo(repo()).start().await;
    let client = hub.client.send("GET", &hub.at(PATH), &[], "").await.unwrap();
    eventually("a third is here", || hub.cdn_bytes() > SIZE / 3).await;
    hub.mock.expire_urls();
    assert!(client.bytes().await.unwrap() == big().read_all());
    hub.landed().await;
    let stats = hub.mock.stats();
    assert_eq!(stats.resolve_calls, 2, "one address for all connections, and one more after it expired");
    assert!(stats.cdn_body_bytes < SIZE + MIB / 8, "what was here was fetched again: {stats:?}");
    hub.finish().await;
}

#[tokio::test]
async fn retry_after_is_honoured_and_the_file_is_right() {
    for code in [429, 503] {
        let hub = TestHub::builder().small_segments().repo(repo()).start().await;
        let busy = Fault::Status {
            code,
            error_code: None,
            message: "busy".into(),
            retry_after: Some("1".into()),
            ratelimit: None,
        };
        hub.mock.fault(Rule::on_cdn("").times(2).skip(5).fault(busy));
        assert_eq!(get_all(&hub).await, Outcome::Right, "{code}");
        assert_eq!(hub.mock.faults()[0].applied, 2);
        hub.finish().await;
    }
}

#[tokio::test]
async fn broken_connections_are_continued_where_they_broke() {
    for fault in [Fault::CutAfter(100_000), Fault::ResetAfter(100_000), Fault::CutAfter(0), Fault::NoAnswer] {
        let hub = TestHub::builder().small_segments().repo(repo()).start().await;
        hub.mock.fault(Rule::on_cdn("").times(5).fault(fault.clone()));
        assert_eq!(get_all(&hub).await, Outcome::Right, "{fault:?}");
        hub.landed().await;
        assert_eq!(hub.mock.faults()[0].applied, 5);
        let fetched = hub.cdn_bytes();
        assert!(fetched < SIZE + SIZE / 20, "{fault:?}: {fetched} bytes for a file of {SIZE}");
        hub.finish().await;
    }
}

#[tokio::test]
async fn connections_that_stall_are_replaced() {
    for offset in [0, 1, SEGMENT / 2, SEGMENT - 1] {
        let hub = TestHub::builder().small_segments().set("upstream.idle_timeout", "300ms").repo(repo()).start().await;
        hub.mock.fault(Rule::on_cdn("").times(3).fault(Fault::StallAfter(offset)));
        assert_eq!(get_all(&hub).await, Outcome::Right, "stall after {offset}");
        assert_eq!(hub.mock.faults()[0].applied, 3);
        hub.finish().await;
    }
}

#[tokio::test]
async fn a_download_that_fails_says_so_and_the_next_one_goes_on_from_there() {
    let hub = TestHub::builder().small_segments().set("flight.attempts", "2").repo(repo()).start().await;
    let dead =
        Fault::Status { code: 500, error_code: None, message: String::new(), retry_after: None, ratelimit: None };
    hub.mock.fault(Rule::on_cdn("").range_start_at_least(SIZE / 2).fault(dead));
    assert!(matches!(get_all(&hub).await, Outcome::Failed(_)));
    hub.landed().await;
    hub.mock.clear_faults();
    let before = hub.cdn_bytes();
    assert!(before > 0);
    assert_eq!(get_all(&hub).await, Outcome::Right);
    hub.landed().await;
    assert!(hub.cdn_bytes() <= SIZE + MIB, "{} bytes for a file of {SIZE}", hub.cdn_bytes());
    hub.finish().await;
}

#[tokio::test]
async fn upstream_that_goes_away_and_comes_back_is_waited_for() {
    let hub = TestHub::builder().small_segments().options(slow()).repo(repo()).start().await;
    let client = hub.client.send("GET", &hub.at(PATH), &[], "").await.unwrap();
    eventually("a third is here", || hub.cdn_bytes() > SIZE / 3).await;
    hub.mock.restart().await.unwrap();
    assert!(client.bytes().await.unwrap() == big().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_slow_first_byte_is_a_late_answer_and_not_an_error() {
    let hub = TestHub::builder().small_segments().repo(repo()).start().await;
    hub.mock.fault(Rule::on_cdn("").fault(Fault::Delay(Duration::from_millis(700))).times(8));
    assert_eq!(get_all(&hub).await, Outcome::Right);
    hub.finish().await;
}
