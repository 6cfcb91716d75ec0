//! Times to live, and upstream away, slow, limiting, or not to be asked at all.

use std::time::Duration;

use futures_util::future::join_all;
use mock_hf::{Change, Fault, Repo, Rule};

use crate::harness::repos::{CONFIG, model, weights};
use crate::harness::{TestHub, eventually};

const CONFIG_PATH: &str = "/org/model/resolve/main/config.json";
const WEIGHTS: &str = "/org/model/resolve/main/model.safetensors";

fn status(code: u16, retry_after: Option<&str>) -> Fault {
    Fault::Status {
        code,
        error_code: None,
        message: String::new(),
        retry_after: retry_after.map(str::to_owned),
        ratelimit: None,
    }
}

/// Time stands still, and all of the repository that the tests ask for is here.
async fn warm() -> TestHub {
    warm_with("200ms").await
}

/// The same with an upstream that has this long before the older answer is given.
async fn warm_with(slow_after: &str) -> TestHub {
    let hub = TestHub::builder().manual_clock().set("upstream.slow_after", slow_after).repo(model()).start().await;
    hub.get(CONFIG_PATH).await.assert_is(200, CONFIG.as_bytes());
    hub.get(WEIGHTS).await.assert_is(200, &weights().read_all());
    assert_eq!(hub.get("/api/models/org/model").await.status, 200);
    assert_eq!(hub.get("/api/models/org/model/refs").await.status, 200);
    hub.landed().await;
    hub.mock.clear_log();
    hub
}

#[tokio::test]
async fn within_its_time_a_branch_costs_no_call() {
    let mut hub = warm().await;
    hub.allow_upstream_calls(0);
    hub.clock.advance(Duration::from_secs(59));
    hub.get(CONFIG_PATH).await.assert_is(200, CONFIG.as_bytes());
    for path in ["/api/models/org/model/revision/main", "/api/models/org/model/tree/main?recursive=true"] {
        assert_eq!(hub.get(path).await.served(), "hit", "{path}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn after_its_time_everybody_shares_one_call() {
    // However busy this machine is: all come while the call is in the air, and none gives it up.
    let mut hub = warm_with("60s").await;
    hub.clock.advance(Duration::from_secs(61));
    hub.allow_upstream_calls(1);
    hub.mock.fault(Rule::on_hub("/revision/").fault(Fault::Delay(Duration::from_secs(1))));
    let replies = join_all((0..20).map(|_| hub.head(CONFIG_PATH))).await;
    assert!(replies.iter().all(|reply| reply.status == 200 && reply.served() == "miss"));
    assert_eq!(hub.upstream_calls(), 1);
    hub.finish().await;
}

#[tokio::test]
async fn a_pinned_commit_waits_for_nobody_also_after_a_restart() {
    let hub = warm().await;
    let commit = hub.commit_of("main").await;
    let path = format!("/org/model/resolve/{commit}/model.safetensors");
    hub.get(&path).await.assert_is(200, &weights().read_all());
    let mut hub = hub.restart().await;
    // A look in the background, whether the repository is still public.
    hub.allow_upstream_calls(1);
    hub.clock.advance(Duration::from_secs(1800));
    for _ in 0..2 {
        let reply = hub.get(&path).await;
        reply.assert_is(200, &weights().read_all());
        assert_eq!(reply.served(), "hit");
    }
    assert_eq!(hub.get(&format!("/api/models/org/model/revision/{commit}")).await.status, 200);
    assert_eq!(hub.get(&format!("/api/models/org/model/tree/{commit}?recursive=true&expand=false")).await.status, 200);
    hub.finish().await;
}

/// What a client needs for what it has downloaded before, all of it served from here.
async fn assert_serves_stale(hub: &TestHub) {
    for (path, bytes) in [(CONFIG_PATH, CONFIG.as_bytes().into()), (WEIGHTS, weights().read_all())] {
        let reply = hub.get(path).await;
        reply.assert_is(200, &bytes);
        assert_eq!(reply.served(), "stale", "{path}");
        assert!(reply.header("x-hf-warning").starts_with("modelhub; "), "{path}");
    }
    for path in ["/api/models/org/model", "/api/models/org/model/revision/main", "/api/models/org/model/refs"] {
        let reply = hub.get(path).await;
        assert_eq!((reply.status, reply.served()), (200, "stale"), "{path}");
    }
    let tree = hub.get("/api/models/org/model/tree/main?recursive=true").await;
    assert_eq!((tree.status, tree.served()), (200, "stale"));
    let absent = hub.head("/org/model/resolve/main/absent.json").await;
    assert_eq!(absent.error(), (404, "EntryNotFound", "Entry not found"));
}

#[tokio::test]
async fn while_upstream_is_down_what_is_here_is_served_stale() {
    let hub = warm().await;
    hub.mock.stop().await;
    hub.clock.advance(Duration::from_secs(3600));
    assert_serves_stale(&hub).await;
    let hub = hub.restart().await;
    hub.clock.advance(Duration::from_secs(3600));
    assert_serves_stale(&hub).await;
    hub.finish().await;
}

#[tokio::test]
async fn while_upstream_fails_what_is_here_is_served_stale() {
    for fault in [status(500, None), status(503, Some("30")), status(429, Some("30")), Fault::NoAnswer, Fault::Html200]
    {
        let hub = warm().await;
        hub.mock.fault(Rule::on_hub("").fault(fault));
        hub.clock.advance(Duration::from_secs(61));
        assert_serves_stale(&hub).await;
        hub.finish().await;
    }
}

#[tokio::test]
async fn while_upstream_is_slow_what_is_here_is_served_stale_and_the_answer_is_noted() {
    let hub = warm().await;
    let commit = hub.mock.commit("model", "org/model", "main", vec![Change::put("config.json", "{\"new\": 1}\n")]);
    hub.mock.fault(Rule::on_hub("/revision/").times(1).fault(Fault::Delay(Duration::from_millis(1000))));
    hub.clock.advance(Duration::from_secs(61));
    let reply = hub.get(CONFIG_PATH).await;
    reply.assert_is(200, CONFIG.as_bytes());
    assert_eq!(reply.served(), "stale");
    // The call went on; its answer is the branch's new commit.
    let noted = || hub.mock.requests().iter().all(|line| line.done);
    eventually("the slow call ends", noted).await;
    let mut reply = hub.get(CONFIG_PATH).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while reply.header("x-repo-commit") != commit {
        assert!(tokio::time::Instant::now() < deadline, "the late answer was not noted");
        reply = hub.get(CONFIG_PATH).await;
    }
    reply.assert_is(200, b"{\"new\": 1}\n");
    hub.finish().await;
}

#[tokio::test]
async fn a_rate_limit_is_everybodys_and_asks_nobody_until_it_is_over() {
    let hub = warm().await;
    hub.mock.fault(Rule::on_hub("/api/").times(1).fault(status(429, Some("120"))));
    hub.clock.advance(Duration::from_secs(61));
    for _ in 0..10 {
        assert_eq!(hub.head(CONFIG_PATH).await.served(), "stale");
        assert_eq!(hub.get("/api/models/org/model/refs").await.served(), "stale");
    }
    assert_eq!(hub.upstream_calls(), 1);
    hub.clock.advance(Duration::from_secs(121));
    assert_eq!(hub.head(CONFIG_PATH).await.served(), "miss");
    hub.finish().await;
}

#[tokio::test]
async fn an_empty_budget_is_not_overdrawn() {
    let hub = warm().await;
    let empty = Fault::SetHeader { name: "ratelimit".into(), value: "\"api\";r=0;t=100".into() };
    hub.mock.fault(Rule::on_hub("/api/").times(1).fault(empty));
    hub.clock.advance(Duration::from_secs(61));
    assert_eq!(hub.head(CONFIG_PATH).await.served(), "miss");
    hub.clock.advance(Duration::from_secs(61));
    assert_eq!(hub.head(CONFIG_PATH).await.served(), "stale");
    assert_eq!(hub.upstream_calls(), 1);
    hub.clock.advance(Duration::from_secs(60));
    assert_eq!(hub.head(CONFIG_PATH).await.served(), "miss");
    hub.finish().await;
}

#[tokio::test]
async fn while_upstream_is_down_it_is_not_asked_for_every_request() {
    let hub = TestHub::builder().manual_clock().start().await;
    for number in 0..30 {
        hub.mock.put(Repo::model(format!("org/m{number}")).file("config.json", CONFIG));
    }
    // Its listing is here, its bytes are not.
    hub.mock.put(Repo::model("org/known").file("config.json", CONFIG));
    let commit = hub.head("/org/known/resolve/main/config.json").await.header("x-repo-commit").to_owned();
    let known = format!("/org/known/resolve/{commit}/config.json");
    let before = hub.upstream_calls();
    let dead = hub.mock.fault(Rule::on_hub("").fault(status(500, None)));
    for number in 0..30 {
        let reply = hub.get(&format!("/org/m{number}/resolve/main/config.json")).await;
        assert_eq!(reply.status, 504, "{:?}", reply.error());
    }
    assert_eq!(hub.upstream_calls() - before, 3, "three failures open the circuit");
    // After a pause one call may try; the others do not wait for it.
    hub.clock.advance(Duration::from_secs(3));
    for number in 0..10 {
        hub.get(&format!("/org/m{number}/resolve/main/config.json")).await;
    }
    assert_eq!(hub.upstream_calls() - before, 4);
    assert_eq!(hub.head(&known).await.status, 504);
    let reply = hub.get(&known).await;
    assert_eq!(reply.status, 504);
    assert!(reply.error().2.contains("it has not responded lately"), "without a try: {:?}", reply.error());
    // Upstream is back: the first that may try closes the circuit for all.
    hub.mock.remove_fault(dead);
    hub.clock.advance(Duration::from_secs(30));
    for number in 0..10 {
        let reply = hub.get(&format!("/org/m{number}/resolve/main/config.json")).await;
        reply.assert_is(200, CONFIG.as_bytes());
    }
    hub.finish().await;
}

#[tokio::test]
async fn offline_serves_what_is_here_and_never_calls_out() {
    let hub = warm().await;
    let mut hub = hub.restart_with(&[("upstream.offline", "true")]).await;
    hub.allow_upstream_calls(0);
    hub.clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert_serves_stale(&hub).await;
    for path in ["/org/other/resolve/main/config.json", "/api/models/org/other", "/api/trending", "/api/whoami-v2"] {
        let reply = hub.get_as(mock_hf::TOKEN_ALICE, path).await;
        assert_eq!((reply.status, reply.header("x-error-code")), (501, ""), "{path}");
    }
    let list = hub.get("/api/models").await;
    assert_eq!((list.status, &list.json()[0]["id"]), (200, &serde_json::json!("org/model")));
    hub.finish().await;
}

#[tokio::test]
async fn a_commit_never_needs_upstream_again() {
    let hub = warm().await;
    let commit = hub.commit_of("main").await;
    hub.mock.remove("model", "org/model");
    let mut hub = hub.restart_with(&[("upstream.offline", "true")]).await;
    hub.allow_upstream_calls(0);
    hub.clock.advance(Duration::from_secs(365 * 24 * 3600));
    hub.get(&format!("/org/model/resolve/{commit}/model.safetensors")).await.assert_is(200, &weights().read_all());
    let info = hub.get(&format!("/api/models/org/model/revision/{commit}")).await;
    assert_eq!((info.status, &info.json()["sha"]), (200, &serde_json::json!(commit)));
    hub.finish().await;
}

/// huggingface_hub uses an older copy of its own when HEAD says that the newer one cannot be had.
#[tokio::test]
async fn head_of_a_listed_file_that_is_not_here_says_so_while_upstream_is_away() {
    let hub = warm().await;
    let path = "/org/model/resolve/main/sub/deep/data.csv";
    assert_eq!(hub.head(path).await.status, 200, "while upstream is there it is as good as here");
    hub.mock.stop().await;
    hub.clock.advance(Duration::from_secs(61));
    for _ in 0..2 {
        let reply = hub.head(path).await;
        assert_eq!(reply.status, 504, "{}", reply.everything());
        assert!(reply.header("x-error-message").contains("data.csv is not cached"), "{}", reply.everything());
    }
    for here in [WEIGHTS, "/org/model/resolve/main/empty.txt", "/org/model/resolve/main/empty.bin"] {
        assert_eq!(hub.head(here).await.status, 200, "{here}");
    }
    let hub = hub.restart_with(&[("upstream.offline", "true")]).await;
    let reply = hub.head(path).await;
    assert_eq!(reply.status, 501, "{}", reply.everything());
    assert_eq!(hub.head(WEIGHTS).await.status, 200);
    hub.finish().await;
}
