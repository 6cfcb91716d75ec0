//! Every fault of the mock, on files of three sizes: a client gets the right bytes or an error,
//! never wrong bytes with a clean end; and when upstream is well again, it gets the right bytes.

use std::time::Duration;

use futures_util::StreamExt as _;
use mock_hf::{Content, Fault, Repo, Rule};

use crate::harness::repos::MIB;
use crate::harness::{Outcome, TestHub};

fn status(code: u16, retry_after: Option<&str>) -> Fault {
    Fault::Status {
        code,
        error_code: None,
        message: "a fault".into(),
        retry_after: retry_after.map(str::to_owned),
        ratelimit: None,
    }
}

fn header(name: &str, value: &str) -> Fault {
    Fault::SetHeader { name: name.into(), value: value.into() }
}

/// All kinds, with offsets that lie inside a file of `size`.
fn all(size: u64) -> Vec<Fault> {
    let inside = size.min(512 * 1024) / 2;
    vec![
        Fault::CutAfter(inside),
        Fault::CutAfter(0),
        Fault::ResetAfter(inside),
        Fault::StallAfter(inside),
        Fault::FlipByte(size / 2),
        Fault::FlipByte(size - 1),
        Fault::FlipByte(0),
        Fault::ShortLength(1),
        Fault::ShortLength(inside),
        Fault::LongBody(1),
        Fault::LongBody(2 * MIB),
        Fault::CloseDelimited(inside),
        Fault::Chunked,
        Fault::Empty200,
        Fault::Html200,
        Fault::Json200,
        Fault::IgnoreRange,
        Fault::Partial206,
        Fault::WrongContentRange,
        status(500, None),
        status(503, None),
        status(503, Some("1")),
        status(429, Some("0")),
        status(400, None),
        status(404, None),
        status(204, None),
        Fault::Slow { bytes_per_second: 100 * MIB },
        Fault::Delay(Duration::from_millis(100)),
        Fault::NoAnswer,
        Fault::ExpireUrl,
        Fault::MoveRefOnHead,
        Fault::GzipEncoded,
        Fault::RedirectTo("http://canary.invalid/x".into()),
        Fault::RedirectTo("/elsewhere".into()),
        Fault::RedirectTo("ftp://127.0.0.1/x".into()),
        Fault::EndlessListing { entries: 2 },
        Fault::WrongEtag,
        Fault::WithoutHeader("content-length".into()),
        Fault::WithoutHeader("content-range".into()),
        Fault::WithoutHeader("location".into()),
        header("content-range", "bytes 0-0/1"),
        header("content-range", "nonsense"),
        header("content-encoding", "br"),
    ]
}

/// A variant that is added to the mock must be added to `all`: then this does not compile.
fn name(fault: &Fault) -> &'static str {
    match fault {
        Fault::CutAfter(_) => "CutAfter",
        Fault::ResetAfter(_) => "ResetAfter",
        Fault::StallAfter(_) => "StallAfter",
        Fault::FlipByte(_) => "FlipByte",
        Fault::ShortLength(_) => "ShortLength",
        Fault::LongBody(_) => "LongBody",
        Fault::CloseDelimited(_) => "CloseDelimited",
        Fault::Chunked => "Chunked",
        Fault::Empty200 => "Empty200",
        Fault::Html200 => "Html200",
        Fault::Json200 => "Json200",
        Fault::IgnoreRange => "IgnoreRange",
        Fault::Partial206 => "Partial206",
        Fault::WrongContentRange => "WrongContentRange",
        Fault::Status { .. } => "Status",
        Fault::Slow { .. } => "Slow",
        Fault::Delay(_) => "Delay",
        Fault::NoAnswer => "NoAnswer",
        Fault::ExpireUrl => "ExpireUrl",
        Fault::MoveRefOnHead => "MoveRefOnHead",
        Fault::GzipEncoded => "GzipEncoded",
        Fault::RedirectTo(_) => "RedirectTo",
        Fault::EndlessListing { .. } => "EndlessListing",
        Fault::WrongEtag => "WrongEtag",
        Fault::WithoutHeader(_) => "WithoutHeader",
        Fault::SetHeader { .. } => "SetHeader",
    }
}

/// Faults that a hub has to get over without the client noticing, if they strike once.
fn is_survivable(fault: &Fault) -> bool {
    !matches!(fault, Fault::FlipByte(_) | Fault::LongBody(_))
}

fn hub() -> crate::harness::Builder {
    TestHub::builder()
        .set("flight.attempts", "3")
        .set("flight.connections", "4")
        .set("flight.hold_back", "256KiB")
        .set("upstream.idle_timeout", "400ms")
}

/// One LFS file for each fault, in one hub, four at a time: under the fault, and after it.
async fn run(size: u64, seed: u64, segment: &'static str, verify_first: &'static str, times: Option<u32>) {
    let faults = all(size);
    let content = |number: usize| Content::random(seed + number as u64, size);
    let file = |number: usize| format!("fault-{number:02}.bin");
    let repo =
        (0..faults.len()).fold(Repo::model("org/faults"), |repo, number| repo.lfs(file(number), content(number)));
    let hub =
        hub().set("flight.segment_size", segment).set("flight.verify_first", verify_first).repo(repo).start().await;
    let download = |number: usize| {
        let (hub, content) = (&hub, content(number));
        async move {
            let url = hub.at(&format!("/org/faults/resolve/main/{}", file(number)));
            let outcome = tokio::time::timeout(Duration::from_secs(90), hub.client.compare(&url, &content)).await;
            outcome.unwrap_or(Outcome::Wrong("the answer did not end within 90 s".into()))
        }
    };
    for (number, fault) in faults.iter().enumerate() {
        let mut rule = Rule::on_cdn(file(number)).fault(fault.clone());
        rule.times = times;
        hub.mock.fault(rule);
    }
    let under: Vec<_> = futures_util::stream::iter(0..faults.len())
        .map(|number| async move { (number, download(number).await) })
        .buffer_unordered(4)
        .collect()
        .await;
    let mut complaints = Vec::new();
    for (number, outcome) in under {
        let fault = &faults[number];
        let must_succeed = times == Some(1) && (is_survivable(fault) || size <= 8 * MIB && verify_first == "8MiB");
        match outcome {
            Outcome::Right => {}
            Outcome::Failed(_) if !must_succeed => {}
            other => complaints.push(format!("{} {fault:?}: {other:?}", name(fault))),
        }
    }
    hub.mock.clear_faults();
    hub.landed().await;
    let after: Vec<_> = futures_util::stream::iter(0..faults.len())
        .map(|number| async move { (number, download(number).await) })
        .buffer_unordered(4)
        .collect()
        .await;
    for (number, outcome) in after {
        if outcome != Outcome::Right {
            complaints.push(format!("after {:?}: {outcome:?}", faults[number]));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_survive_each_fault_once() {
    run(1024, 1000, "8MiB", "8MiB", Some(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_are_never_wrong_while_a_fault_lasts() {
    run(1024, 2000, "8MiB", "8MiB", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn medium_files_survive_each_fault_once() {
    run(9 * MIB, 3000, "1MiB", "8MiB", Some(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn medium_files_are_never_wrong_while_a_fault_lasts() {
    run(9 * MIB, 4000, "1MiB", "8MiB", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_survive_each_fault_once() {
    run(40 * MIB, 5000, "1MiB", "64KiB", Some(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_are_never_wrong_while_a_fault_lasts() {
    run(40 * MIB, 6000, "4MiB", "64KiB", None).await;
}

/// Files in git come from the hub itself: the same faults on both steps to their bytes.
#[tokio::test]
async fn git_files_are_never_wrong_whatever_the_origin_does() {
    let text = |number: usize| format!("{{\"number\": {number}, \"text\": \"{}\"}}\n", "x".repeat(1000));
    let faults = all(1024);
    let file = |number: usize, step: &str| format!("{step}-{number:02}.json");
    let mut repo = Repo::model("org/faults");
    for number in 0..faults.len() {
        for step in ["resolve", "cache"] {
            repo = repo.file(file(number, step), text(number));
        }
    }
    let hub = hub().manual_clock().repo(repo).start().await;
    let mut complaints = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
        for (step, route) in [("resolve", "/resolve/main/"), ("cache", "/api/resolve-cache/")] {
            let path = format!("/org/faults/resolve/main/{}", file(number, step));
            assert_eq!(hub.head(&path).await.status, 200, "{fault:?}");
            let route = if step == "resolve" { "/org/faults/resolve/" } else { route };
            hub.mock.fault(Rule::on_hub(route).fault(fault.clone()));
            let content = Content::from(text(number));
            let under = hub.client.compare(&hub.at(&path), &content).await;
            if matches!(under, Outcome::Wrong(_)) {
                complaints.push(format!("{fault:?} on {step}: {under:?}"));
            }
            hub.mock.clear_faults();
            hub.landed().await;
            // The circuit and pauses of the budget are over.
            hub.clock.advance(Duration::from_secs(400));
            let after = hub.client.compare(&hub.at(&path), &content).await;
            if after != Outcome::Right {
                complaints.push(format!("after {fault:?} on {step}: {after:?}"));
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    hub.finish().await;
}

/// Metadata under the same faults: an answer is right or an error, and nothing wrong is kept.
#[tokio::test]
async fn metadata_is_never_wrong_whatever_the_origin_does() {
    for (number, fault) in all(400).into_iter().enumerate() {
        let repo = Repo::model("org/model").file("config.json", "{}").file(format!("n{number}.txt"), "x");
        let hub = hub().manual_clock().repo(repo).start().await;
        hub.mock.fault(Rule::on_hub("/api/models/").fault(fault.clone()));
        for path in ["/api/models/org/model", "/api/models/org/model/tree/main", "/api/models/org/model/refs"] {
            let reply = tokio::time::timeout(Duration::from_secs(20), hub.get(path)).await.unwrap();
            if reply.status == 200 {
                assert!(reply.broken.is_none(), "{fault:?} {path}");
                assert!(reply.json().is_object() || reply.json().is_array(), "{fault:?} {path}");
            } else {
                assert!(reply.status >= 400, "{fault:?} {path} {}", reply.status);
            }
        }
        hub.mock.clear_faults();
        hub.clock.advance(Duration::from_secs(400));
        let info = hub.get("/api/models/org/model").await;
        assert_eq!((info.status, &info.json()["id"]), (200, &serde_json::json!("org/model")), "{fault:?}");
        let tree = hub.get("/api/models/org/model/tree/main").await.json();
        assert_eq!(tree.as_array().map(Vec::len), Some(2), "after {fault:?}: {tree}");
        hub.finish().await;
    }
}

#[tokio::test]
async fn what_is_no_answer_takes_the_place_of_none() {
    let repo = Repo::model("org/model").file("config.json", "{}").gated("auto");
    let hub = hub().manual_clock().repo(repo).repo(Repo::model("org/open").file("config.json", "{}")).start().await;
    let path = "/api/models/org/open/refs?include_prs=1";
    let good = hub.get(path).await.json();
    for fault in [Fault::Empty200, Fault::Html200, Fault::Json200] {
        hub.clock.advance(Duration::from_secs(400));
        hub.mock.fault(Rule::on_hub("/refs").fault(fault.clone()));
        let reply = hub.get(path).await;
        assert_eq!((reply.status, reply.served(), reply.json()), (200, "stale", good.clone()), "{fault:?}");
        let never_asked = hub.get("/api/models/org/model/refs?include_prs=1").await;
        let known = never_asked.status == 200 && never_asked.json()["branches"].is_array();
        assert!(known || never_asked.status == 502, "{fault:?}: {}", never_asked.text());
        hub.mock.clear_faults();
        assert_eq!(hub.get(path).await.json(), good, "after {fault:?}");
    }
    // Paths of which upstream said nothing are not absent.
    let asked = |hub: &TestHub| hub.at("/api/models/org/open/paths-info/main");
    let body = r#"{"paths": ["config.json"], "expand": true}"#;
    let json = [("content-type", "application/json")];
    hub.mock.fault(Rule::on_hub("/paths-info/").fault(Fault::Json200));
    let reply = hub.client.call("POST", &asked(&hub), &json, body).await;
    assert!(reply.status >= 400 || reply.json()[0]["path"] == "config.json", "{}", reply.text());
    hub.finish().await;
}

#[tokio::test]
async fn trouble_of_one_route_is_not_trouble_of_all() {
    let repo = || Repo::model("org/model").file("config.json", "{}");
    let hub = hub().manual_clock().repo(repo()).start().await;
    hub.mock.fault(Rule::on_hub("/api/trending").fault(status(503, None)));
    for n in 0..5 {
        assert_eq!(hub.get(&format!("/api/trending?n={n}")).await.status, 504);
    }
    let limited = Fault::Status {
        code: 429,
        error_code: None,
        message: "slow down".into(),
        retry_after: Some("120".into()),
        ratelimit: Some("\"whoami\";r=0;t=120".into()),
    };
    hub.mock.fault(Rule::on_hub("/api/whoami-v2").fault(limited));
    assert_eq!(hub.get_as(mock_hf::TOKEN_ALICE, "/api/whoami-v2").await.status, 429);
    hub.get("/org/model/resolve/main/config.json").await.assert_is(200, b"{}");
    hub.finish().await;
}

/// huggingface_hub waits 10 s for a head.
#[tokio::test]
async fn a_head_comes_in_time_however_slow_each_step_is() {
    let hub = hub().repo(Repo::model("org/model").file("config.json", "{}")).start().await;
    hub.mock.fault(Rule::on_hub("").fault(Fault::Delay(Duration::from_secs(5))));
    let head = tokio::time::timeout(Duration::from_secs(10), hub.head("/org/model/resolve/main/config.json"));
    assert!([200, 504].contains(&head.await.expect("an answer in time").status));
    hub.mock.clear_faults();
    hub.finish().await;
}
