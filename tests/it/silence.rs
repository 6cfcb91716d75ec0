//! Upstream is there and says nothing: who waits for it, and who does not.

use std::time::Duration;

use mock_hf::{Change, Fault, Kind, Rule, TOKEN_ALICE};
use tokio::time::Instant;

use crate::harness::repos::{CONFIG, of};
use crate::harness::{Reply, TestHub};

const SLOW_AFTER: Duration = Duration::from_secs(2);
const REPOS: [&str; 4] = ["org/a", "org/b", "org/c", "org/private"];

/// What clients ask of a repository, with an older answer at hand.
fn routes(id: &str) -> [String; 7] {
    [
        format!("/{id}/resolve/main/config.json"),
        format!("/{id}/resolve/dev/README.md"),
        format!("/{id}/raw/main/README.md"),
        format!("/api/models/{id}"),
        format!("/api/models/{id}/tree/dev?recursive=true"),
        format!("/api/models/{id}/refs"),
        format!("/api/models/{id}/commits/main"),
    ]
}

async fn ask(hub: &TestHub, path: &str) -> (Reply, Duration) {
    let begun = Instant::now();
    let reply = if path.contains("private") { hub.get_as(TOKEN_ALICE, path).await } else { hub.get(path).await };
    (reply, begun.elapsed())
}

/// All of it was asked for once, and its time to live is over.
async fn outdated(settings: &[(&'static str, &str)]) -> TestHub {
    let mut builder = TestHub::builder().manual_clock();
    for (key, value) in settings {
        builder = builder.set(key, *value);
    }
    for id in REPOS {
        let repo = of(Kind::Model, id);
        builder = builder.repo(if id.contains("private") { repo.private().reader(TOKEN_ALICE) } else { repo });
    }
    let hub = builder.start().await;
    for path in REPOS.iter().flat_map(|id| routes(id)).chain(["/api/models?author=org".into()]) {
        assert_eq!(ask(&hub, &path).await.0.status, 200, "{path}");
    }
    hub.landed().await;
    hub.clock.advance(Duration::from_secs(61));
    hub.mock.clear_log();
    hub
}

/// Without waiting for a call that gets no answer.
async fn end(hub: TestHub) {
    hub.mock.stop().await;
    hub.finish().await;
}

#[tokio::test]
async fn once_somebody_has_waited_in_vain_nobody_else_waits() {
    let never = Duration::from_secs(3600);
    // Not even the head of an answer, and a head without its body.
    for fault in [Fault::Delay(never), Fault::StallAfter(0)] {
        let hub = outdated(&[("upstream.slow_after", "2s"), ("upstream.metadata_timeout", "60s")]).await;
        hub.mock.fault(Rule::on_hub("").fault(fault));
        let (reply, _) = ask(&hub, &routes(REPOS[0])[0]).await;
        reply.assert_is(200, CONFIG.as_bytes());
        assert_eq!(reply.served(), "stale");
        for path in REPOS.iter().flat_map(|id| routes(id)).chain(["/api/models?author=org".into()]) {
            let (reply, took) = ask(&hub, &path).await;
            assert_eq!((reply.status, reply.served()), (200, "stale"), "{path}");
            assert!(took < SLOW_AFTER, "{path} waited for {took:?}");
        }
        assert_eq!(hub.upstream_calls(), 1, "one call goes on trying");
        end(hub).await;
    }
}

#[tokio::test]
async fn a_call_at_a_time_goes_on_trying_until_upstream_answers() {
    let hub = outdated(&[("upstream.slow_after", "500ms"), ("upstream.metadata_timeout", "1s")]).await;
    let hole = hub.mock.fault(Rule::on_hub("").fault(Fault::Delay(Duration::from_secs(3600))));
    let [first, others @ ..] = REPOS;
    assert_eq!(ask(&hub, &routes(first)[0]).await.0.served(), "stale");
    // That call ends in vain, and another one takes its turn: of any repository, and nobody waits for it.
    while hub.upstream_calls() < 2 {
        for id in others {
            let (reply, _) = ask(&hub, &routes(id)[0]).await;
            reply.assert_is(200, CONFIG.as_bytes());
            assert_eq!(reply.served(), "stale", "{id}");
        }
    }
    assert_eq!(hub.upstream_calls(), 2);

    let commit = hub.mock.commit("model", first, "main", vec![Change::put("config.json", "{\"new\": 1}\n")]);
    hub.mock.remove_fault(hole);
    let path = &routes(first)[0];
    let mut reply = ask(&hub, path).await.0;
    while reply.served() == "stale" {
        reply = ask(&hub, path).await.0;
    }
    assert_eq!(reply.header("x-repo-commit"), commit);
    for _ in 0..2 {
        reply = ask(&hub, path).await.0;
        reply.assert_is(200, b"{\"new\": 1}\n");
        assert_eq!(reply.served(), "hit");
    }
    for id in others {
        let path = &routes(id)[3];
        assert_eq!(ask(&hub, path).await.0.served(), "miss", "{id} is asked again");
        assert_eq!(ask(&hub, path).await.0.served(), "hit", "{id}");
    }
    hub.finish().await;
}

/// What is only passed through may be slow: it says nothing of the rest.
#[tokio::test]
async fn a_slow_search_makes_no_branch_stale() {
    let hub = outdated(&[("upstream.slow_after", "200ms"), ("upstream.metadata_timeout", "60s")]).await;
    hub.mock.fault(Rule::on_hub("/api/models?author").fault(Fault::Delay(Duration::from_secs(3600))));
    assert_eq!(ask(&hub, "/api/models?author=org").await.0.served(), "stale");
    for id in REPOS {
        assert_eq!(ask(&hub, &routes(id)[3]).await.0.served(), "miss", "{id}");
    }
    end(hub).await;
}
