//! `If-None-Match` and `If-Range`.

use crate::harness::TestHub;
use crate::harness::repos::{CONFIG, git_oid, model, quoted, weights};

const CONFIG_PATH: &str = "/org/model/resolve/main/config.json";
const WEIGHTS: &str = "/org/model/resolve/main/model.safetensors";

async fn hub() -> TestHub {
    TestHub::builder().repo(model()).start().await
}

#[tokio::test]
async fn if_none_match_with_the_etag_is_304_with_etag_and_commit() {
    let hub = hub().await;
    let etag = quoted(&git_oid(CONFIG));
    let weak = format!("W/{etag}");
    let list = format!("\"x\", {etag} , \"y\"");
    for tag in [etag.as_str(), weak.as_str(), list.as_str(), "*"] {
        for method in ["GET", "HEAD"] {
            let reply = hub.client.call(method, &hub.at(CONFIG_PATH), &[("if-none-match", tag)], "").await;
            assert_eq!(
                (reply.status, reply.header("etag"), reply.body.len()),
                (304, etag.as_str(), 0),
                "{method} {tag}"
            );
            assert_eq!(reply.header("x-repo-commit").len(), 40);
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn if_none_match_with_another_etag_is_the_file() {
    let hub = hub().await;
    for tag in ["\"0000000000000000000000000000000000000000\"", "nonsense", "\"\""] {
        hub.get_with(CONFIG_PATH, &[("if-none-match", tag)]).await.assert_is(200, CONFIG.as_bytes());
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_304_downloads_nothing() {
    let hub = hub().await;
    let etag = quoted(&weights().sha256());
    assert_eq!(hub.get_with(WEIGHTS, &[("if-none-match", &etag)]).await.status, 304);
    assert_eq!((hub.flights(), hub.mock.stats().cdn_calls), (0, 0));
    hub.finish().await;
}

#[tokio::test]
async fn if_range_serves_the_range_only_of_this_very_content() {
    let hub = hub().await;
    let etag = quoted(&weights().sha256());
    let range = ("range", "bytes=100-199");
    hub.get_with(WEIGHTS, &[range, ("if-range", &etag)]).await.assert_is(206, &weights().read_range(100, 100));
    let weak = format!("W/{etag}");
    for other in ["\"other\"", weak.as_str(), "Wed, 21 Oct 2026 07:28:00 GMT"] {
        let reply = hub.get_with(WEIGHTS, &[range, ("if-range", other)]).await;
        reply.assert_is(200, &weights().read_all());
        assert_eq!(reply.header("content-range"), "");
    }
    hub.finish().await;
}

#[tokio::test]
async fn if_none_match_wins_over_a_range() {
    let hub = hub().await;
    let etag = quoted(&weights().sha256());
    let reply = hub.get_with(WEIGHTS, &[("if-none-match", &etag), ("range", "bytes=0-9")]).await;
    assert_eq!(reply.status, 304);
    hub.finish().await;
}
