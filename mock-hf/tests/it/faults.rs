//! Every fault does to a client what it says.

use std::time::{Duration, Instant};

use mock_hf::{Fault, MockHf, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, SIZE, call, get, get_with, head, hub, noise, signed, try_call};

/// A GET of the LFS file from the CDN under one fault.
async fn under(fault: Fault) -> Answer {
    let (_hub, url) = set(fault).await;
    get(&url).await
}

async fn set(fault: Fault) -> (MockHf, String) {
    let hub = hub().await;
    let url = signed(&hub, "sub/model.safetensors").await;
    hub.fault(Rule::on_cdn("sub/model.safetensors").fault(fault));
    (hub, url)
}

#[tokio::test]
async fn cut_and_reset_break_the_body_after_n_bytes() {
    for (fault, word) in [(Fault::CutAfter(1_500_000), "IncompleteBody"), (Fault::ResetAfter(1_500_000), "reset")] {
        let answer = under(fault.clone()).await;
        assert_eq!((answer.status, answer.body.len()), (200, 1_500_000), "{fault:?}");
        let broken = answer.broken.unwrap();
        assert!(broken.to_lowercase().contains(&word.to_lowercase()), "{fault:?}: {broken}");
    }
}

#[tokio::test]
async fn stall_keeps_the_connection_open() {
    let (hub, url) = set(Fault::StallAfter(1000)).await;
    let waited = tokio::time::timeout(Duration::from_millis(300), get(&url)).await;
    assert!(waited.is_err());
    let line = hub.requests().into_iter().next_back().unwrap();
    assert_eq!((line.status, line.body_bytes), (200, 1000));
}

#[tokio::test]
async fn flipped_byte_is_wrong_in_every_range_that_has_it() {
    let (_hub, url) = set(Fault::FlipByte(2_000_000)).await;
    let whole = get(&url).await.body;
    let good = noise().read_all();
    let wrong: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != good[*at]).collect();
    assert_eq!(wrong, [2_000_000]);
    let part = get_with(&url, &[("range", "bytes=2000000-2000001")]).await.body;
    assert_eq!(part, [good[2_000_000] ^ 0xff, good[2_000_001]]);
    assert_eq!(get_with(&url, &[("range", "bytes=0-1999999")]).await.body, good[..2_000_000]);
}

#[tokio::test]
async fn lengths_lie_consistently() {
    let answer = under(Fault::ShortLength(10)).await;
    assert_eq!((answer.body.len() as u64, answer.broken), (SIZE - 10, None));
    let answer = under(Fault::LongBody(10)).await;
    assert_eq!((answer.body.len() as u64, answer.broken), (SIZE + 10, None));
    let (_hub, url) = set(Fault::ShortLength(10)).await;
    let answer = get_with(&url, &[("range", "bytes=1000-")]).await;
    assert_eq!(answer.header("content-range"), format!("bytes 1000-{}/{}", SIZE - 11, SIZE - 10));
}

#[tokio::test]
async fn framing_faults() {
    let answer = under(Fault::Chunked).await;
    assert_eq!((answer.header("transfer-encoding"), answer.body.len() as u64), ("chunked", SIZE));
    let (hub, url) = set(Fault::Chunked).await;
    hub.fault(Rule::on_cdn("").fault(Fault::CutAfter(5)));
    let answer = get(&url).await;
    assert_eq!(answer.body.len(), 5);
    assert!(answer.broken.is_some());

    let (hub, url) = set(Fault::CloseDelimited(777)).await;
    let mut socket = tokio::net::TcpStream::connect(hub.cdn_url().strip_prefix("http://").unwrap()).await.unwrap();
    let path = url.strip_prefix(&hub.cdn_url()).unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut all = Vec::new();
    socket.read_to_end(&mut all).await.unwrap();
    let at = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&all[..at]).to_lowercase();
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    assert_eq!(all.len() - at - 4, 777);
}

#[tokio::test]
async fn other_answers_with_200() {
    assert_eq!(under(Fault::Empty200).await.body, b"");
    let answer = under(Fault::Html200).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    let answer = under(Fault::Json200).await;
    assert!(answer.status == 200 && answer.json()["error"].is_string());
    let answer = under(Fault::GzipEncoded).await;
    assert_eq!((answer.header("content-encoding"), &answer.body[..2]), ("gzip", &[0x1f, 0x8b][..]));
}

#[tokio::test]
async fn ranges_are_mistreated() {
    let range = [("range", "bytes=100-199")];
    let (_hub, url) = set(Fault::IgnoreRange).await;
    assert_eq!(get_with(&url, &range).await.status, 200);
    let (_hub, url) = set(Fault::WrongContentRange).await;
    let answer = get_with(&url, &range).await;
    assert_eq!((answer.status, answer.header("content-range")), (206, "bytes 101-200/3145728"));
    assert_eq!(answer.body, noise().read_range(100, 100));
    let answer = under(Fault::Partial206).await;
    assert_eq!((answer.status, answer.header("content-range")), (206, "bytes 0-3145727/3145728"));
}

#[tokio::test]
async fn status_carries_its_headers() {
    let hub = hub().await;
    hub.fault(Rule::on_hub("/api/models").fault(Fault::Status {
        code: 429,
        error_code: Some("TooMany".to_owned()),
        message: "slow down".to_owned(),
        retry_after: Some("Wed, 21 Oct 2099 07:28:00 GMT".to_owned()),
        ratelimit: Some("\"api\";r=0;t=5".to_owned()),
    }));
    let answer = get(&format!("{}/api/models/org/name", hub.url())).await;
    assert_eq!((answer.status, answer.header("x-error-code")), (429, "TooMany"));
    assert_eq!(
        (answer.header("retry-after"), answer.header("ratelimit")),
        ("Wed, 21 Oct 2099 07:28:00 GMT", "\"api\";r=0;t=5")
    );
    assert_eq!(answer.json()["error"], "slow down");
}

#[tokio::test]
async fn time_passes() {
    let started = Instant::now();
    assert_eq!(under(Fault::Delay(Duration::from_millis(200))).await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(200));
    let (_hub, url) = set(Fault::Slow { bytes_per_second: 20_000 }).await;
    let started = Instant::now();
    assert_eq!(get_with(&url, &[("range", "bytes=0-9999")]).await.body.len(), 10_000);
    assert!(started.elapsed() >= Duration::from_millis(450), "{:?}", started.elapsed());
}

#[tokio::test]
async fn no_answer_is_no_answer() {
    let (hub, url) = set(Fault::NoAnswer).await;
    assert!(try_call("GET", &url, &[], "").await.is_err());
    assert_eq!(hub.requests().last().unwrap().status, 0);
}

#[tokio::test]
async fn expired_url_redirects_and_etags() {
    assert_eq!(under(Fault::ExpireUrl).await.status, 403);
    let hub = hub().await;
    let url = format!("{}/org/name/resolve/main/sub/model.safetensors", hub.url());
    let right = head(&url).await.header("x-linked-etag").to_owned();
    hub.fault(Rule::on_hub("resolve").times(1).fault(Fault::WrongEtag));
    let wrong = head(&url).await.header("x-linked-etag").to_owned();
    assert!(wrong != right && wrong.len() == right.len());
    hub.fault(Rule::on_hub("resolve").times(1).fault(Fault::RedirectTo("ftp://user:pw@elsewhere/x".to_owned())));
    assert_eq!(head(&url).await.header("location"), "ftp://user:pw@elsewhere/x");
    hub.fault(Rule::on_hub("resolve").times(1).fault(Fault::WithoutHeader("x-repo-commit".to_owned())));
    assert_eq!(head(&url).await.header("x-repo-commit"), "");
    hub.fault(
        Rule::on_hub("resolve").times(1).fault(Fault::SetHeader { name: "x-linked-size".into(), value: "7".into() }),
    );
    assert_eq!(head(&url).await.header("x-linked-size"), "7");
    assert_eq!(head(&url).await.header("x-linked-etag"), right);
}

#[tokio::test]
async fn ref_moves_right_after_the_head() {
    let hub = hub().await;
    let url = format!("{}/org/name/resolve/main/sub/model.safetensors", hub.url());
    hub.fault(Rule::on_hub("resolve").times(1).fault(Fault::MoveRefOnHead));
    let (before, after) = (head(&url).await, get(&url).await);
    assert_ne!(before.header("x-repo-commit"), after.header("x-repo-commit"));
    assert_ne!(before.header("x-linked-etag"), after.header("x-linked-etag"));
    assert_eq!(before.header("x-linked-size"), after.header("x-linked-size"));
}

#[tokio::test]
async fn rules_are_narrow_skip_and_run_out() {
    let (hub, url) = set(Fault::Delay(Duration::ZERO)).await;
    hub.clear_faults();
    let id = hub.fault(Rule::on_cdn("model").range_start_at_least(100).skip(1).times(1).fault(Fault::Empty200));
    let range = |from: u64| format!("bytes={from}-{from}");
    let mut statuses = Vec::new();
    for from in [99, 100, 100, 100] {
        statuses.push(get_with(&url, &[("range", &range(from))]).await.status);
    }
    assert_eq!(statuses, [206, 206, 200, 206]);
    let rule = &hub.faults()[0];
    assert_eq!((rule.id, rule.matched, rule.applied), (id, 3, 1));
    assert!(hub.remove_fault(id) && hub.faults().is_empty());
    hub.fault(Rule::on_cdn("model").method("HEAD").fault(Fault::ExpireUrl));
    assert_eq!((head(&url).await.status, call("GET", &url, &[("range", "bytes=0-0")], "").await.status), (403, 206));
}
