//! Refusals and outages as Hub clients read them: status, `X-Error-Code`, `X-Error-Message`.

use std::time::Duration;

use mock_hf::{Fault, Repo, Rule, TOKEN_ALICE, TOKEN_BOB, TOKEN_REVOKED};

use crate::harness::repos::{CONFIG, model, weights};
use crate::harness::{Reply, TestHub};

fn status(code: u16) -> Fault {
    Fault::Status { code, error_code: None, message: String::new(), retry_after: None, ratelimit: None }
}

/// The answers to one question on a route of files and on two of metadata.
async fn on_all_routes(hub: &TestHub, token: Option<&str>, id: &str) -> Vec<Reply> {
    let mut replies = Vec::new();
    for path in [
        format!("/{id}/resolve/main/config.json"),
        format!("/api/models/{id}"),
        format!("/api/models/{id}/tree/main"),
        format!("/api/models/{id}/refs"),
        format!("/{id}/raw/main/config.json"),
        format!("/api/models/{id}/auth-check"),
    ] {
        let reply = match token {
            Some(token) => hub.get_as(token, &path).await,
            None => hub.get(&path).await,
        };
        let is_json = reply.header("content-type").starts_with("application/json");
        assert_eq!(is_json, path.starts_with("/api"), "{path} {}", reply.text());
        if is_json {
            assert_eq!(reply.json()["error"], reply.header("x-error-message"), "{path}");
        } else {
            assert_eq!(reply.text(), reply.header("x-error-message"), "{path}");
        }
        replies.push(reply);
    }
    replies
}

#[tokio::test]
async fn an_unknown_or_private_repository_is_401_with_a_code_for_anonymous_callers() {
    let hub = TestHub::builder().repo(Repo::model("org/private").file("config.json", CONFIG).private()).start().await;
    for id in ["org/nothing", "org/private"] {
        for reply in on_all_routes(&hub, None, id).await {
            // The code is added: over plain http clients do not understand a bare 401.
            assert_eq!((reply.status, reply.header("x-error-code")), (401, "RepoNotFound"));
            assert!(reply.header("www-authenticate").starts_with("Bearer realm="));
            assert_eq!(reply.header("x-repo-commit"), "");
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn an_unknown_or_private_repository_is_404_for_a_valid_token_without_access() {
    let hub = TestHub::builder().repo(Repo::model("org/private").file("config.json", CONFIG).private()).start().await;
    for id in ["org/nothing", "org/private"] {
        for reply in on_all_routes(&hub, Some(TOKEN_BOB), id).await {
            assert_eq!(reply.error(), (404, "RepoNotFound", "Repository not found"));
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn an_invalid_token_is_told_so_without_a_code() {
    let hub = TestHub::builder().repo(Repo::model("org/private").file("config.json", CONFIG).private()).start().await;
    for reply in on_all_routes(&hub, Some(TOKEN_REVOKED), "org/private").await {
        assert_eq!(reply.error(), (401, "", "Invalid credentials in Authorization header"));
        assert!(!reply.header("www-authenticate").is_empty());
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_gated_repository_shows_itself_and_keeps_its_files() {
    let hub = TestHub::builder()
        .repo(Repo::model("org/gated").file("config.json", CONFIG).lfs("model.safetensors", weights()).gated("auto"))
        .start()
        .await;
    for path in
        ["/org/gated/resolve/main/config.json", "/org/gated/raw/main/config.json", "/api/models/org/gated/auth-check"]
    {
        let anonymous = hub.get(path).await;
        let text = "Access to model org/gated is restricted. You must have access to it and be authenticated to access it. Please log in.";
        assert_eq!(anonymous.error(), (401, "GatedRepo", text), "{path}");
        assert_eq!(anonymous.header("x-repo-commit"), "");
        let bob = hub.get_as(TOKEN_BOB, path).await;
        assert_eq!((bob.status, bob.header("x-error-code")), (403, "GatedRepo"), "{path}");
        assert!(bob.header("x-error-message").contains("you are not in the authorized list"), "{:?}", bob.error());
    }
    let info = hub.get("/api/models/org/gated").await;
    assert_eq!((info.status, &info.json()["gated"]), (200, &serde_json::json!("auto")));
    assert_eq!(hub.get("/api/models/org/gated/tree/main").await.status, 200);
    hub.finish().await;
}

#[tokio::test]
async fn a_missing_file_names_the_commit_that_lacks_it() {
    let hub = TestHub::builder().repo(model()).start().await;
    let commit = hub.commit_of("main").await;
    for path in ["nothing.json", "sub", "sub/deep", "config.json/x", "sub/deep/data.csv/"] {
        for method in ["HEAD", "GET"] {
            let reply = hub.client.call(method, &hub.at(&format!("/org/model/resolve/main/{path}")), &[], "").await;
            if path.ends_with('/') && reply.status == 200 {
                continue;
            }
            assert_eq!(reply.error(), (404, "EntryNotFound", "Entry not found"), "{method} {path}");
            assert_eq!(reply.header("x-repo-commit"), commit, "{method} {path}");
        }
    }
    let folder = hub.get("/api/models/org/model/tree/main/nothing").await;
    assert_eq!(folder.error(), (404, "EntryNotFound", "Entry not found"));
    hub.finish().await;
}

#[tokio::test]
async fn a_missing_revision_is_revision_not_found() {
    let hub = TestHub::builder().repo(model()).start().await;
    for path in [
        "/org/model/resolve/nope/config.json",
        "/api/models/org/model/revision/nope",
        "/api/models/org/model/tree/nope",
        "/api/models/org/model/commits/nope",
    ] {
        assert_eq!(hub.get(path).await.error(), (404, "RevisionNotFound", "Invalid rev id: nope"), "{path}");
    }
    let unknown = "0123456789012345678901234567890123456789";
    let reply = hub.get(&format!("/org/model/resolve/{unknown}/config.json")).await;
    assert_eq!(reply.error(), (404, "RevisionNotFound", format!("Invalid rev id: {unknown}").as_str()));
    hub.finish().await;
}

#[tokio::test]
async fn a_disabled_repository_says_the_exact_words() {
    let hub = TestHub::builder().repo(Repo::model("org/bad").file("config.json", CONFIG).disabled()).start().await;
    for reply in on_all_routes(&hub, None, "org/bad").await {
        assert_eq!(reply.error(), (403, "", "Access to this resource is disabled."));
    }
    hub.finish().await;
}

#[tokio::test]
async fn an_outage_is_never_404_and_never_401() {
    for fault in
        [status(500), status(502), status(503), Fault::NoAnswer, Fault::Html200, Fault::Empty200, Fault::Json200]
    {
        let hub = TestHub::builder().manual_clock().repo(model()).start().await;
        hub.mock.fault(Rule::on_hub("").fault(fault.clone()));
        for path in ["/org/model/resolve/main/config.json", "/api/models/org/model", "/api/models/org/model/tree/main"]
        {
            let reply = hub.get(path).await;
            assert!(matches!(reply.status, 502..=504), "{fault:?} {path}: {:?}", reply.error());
            assert!(!reply.header("x-error-message").is_empty());
            // Nothing is concluded from it.
            assert_eq!(reply.header("x-error-code"), "");
        }
        hub.mock.clear_faults();
        hub.clock.advance(Duration::from_secs(120));
        hub.get("/org/model/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
        hub.finish().await;
    }
}

#[tokio::test]
async fn upstream_away_is_504_and_says_what_is_missing() {
    let hub = TestHub::builder().repo(model()).start().await;
    hub.mock.stop().await;
    let reply = hub.get("/org/model/resolve/main/config.json").await;
    assert_eq!(reply.status, 504);
    assert!(reply.header("x-error-message").contains("upstream is unavailable"), "{:?}", reply.error());
    hub.finish().await;
}

#[tokio::test]
async fn upstreams_rate_limit_is_passed_on_with_its_time() {
    let hub = TestHub::builder().manual_clock().repo(model()).start().await;
    let limit = Fault::Status {
        code: 429,
        error_code: None,
        message: "slow down".into(),
        retry_after: Some("7".into()),
        ratelimit: None,
    };
    hub.mock.fault(Rule::on_hub("/api/").times(1).fault(limit));
    let reply = hub.get("/org/model/resolve/main/config.json").await;
    assert_eq!(
        (reply.status, reply.header("retry-after"), reply.header("ratelimit")),
        (429, "7", "\"upstream\";r=0;t=7")
    );
    // The pause is everybody's: nobody asks before it is over.
    let calls = hub.upstream_calls();
    assert_eq!(hub.get("/api/models/org/model").await.status, 429);
    assert_eq!(hub.upstream_calls(), calls);
    hub.clock.advance(Duration::from_secs(8));
    hub.get("/org/model/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    hub.finish().await;
}

#[tokio::test]
async fn deliberately_offline_is_501_at_once_and_says_so() {
    let mut hub = TestHub::builder().set("upstream.offline", "true").repo(model()).start().await;
    hub.allow_upstream_calls(0);
    for path in ["/org/model/resolve/main/config.json", "/api/models/org/model", "/api/models/org/model/refs"] {
        let reply = hub.get(path).await;
        assert_eq!((reply.status, reply.header("x-error-code")), (501, ""), "{path}");
        assert!(reply.header("x-error-message").contains("offline"), "{path} {:?}", reply.error());
    }
    hub.finish().await;
}

#[tokio::test]
async fn what_a_complete_tree_proves_absent_is_404_also_offline() {
    let hub = TestHub::builder().repo(model()).start().await;
    let commit = hub.get("/org/model/resolve/main/config.json").await.header("x-repo-commit").to_owned();
    let mut hub = hub.restart_with(&[("upstream.offline", "true")]).await;
    hub.allow_upstream_calls(0);
    for revision in ["main", commit.as_str()] {
        let reply = hub.head(&format!("/org/model/resolve/{revision}/adapter_config.json")).await;
        assert_eq!(reply.error(), (404, "EntryNotFound", "Entry not found"), "{revision}");
        assert_eq!(reply.header("x-repo-commit"), commit);
    }
    // A file that is there, but whose bytes were never fetched, is no missing file.
    let path = "/org/model/resolve/main/model.safetensors";
    for reply in [hub.get(path).await, hub.head(path).await] {
        assert_eq!((reply.status, reply.header("x-error-code")), (501, ""));
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_renamed_repository_is_followed_and_its_old_name_remembered() {
    let hub = TestHub::builder().manual_clock().repo(Repo::model("old/name").file("config.json", CONFIG)).start().await;
    hub.mock.rename("model", "old/name", "new/name");
    hub.get("/old/name/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    assert_eq!(hub.get("/api/models/old/name").await.json()["id"], "new/name");
    hub.mock.stop().await;
    let hub = hub.restart().await;
    for id in ["old/name", "new/name"] {
        hub.get(&format!("/{id}/resolve/main/config.json")).await.assert_is(200, CONFIG.as_bytes());
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_repository_that_is_renamed_after_it_was_cached_is_still_one() {
    let hub = TestHub::builder().manual_clock().repo(Repo::model("old/name").lfs("model.bin", weights())).start().await;
    hub.get("/old/name/resolve/main/model.bin").await.assert_is(200, &weights().read_all());
    hub.mock.rename("model", "old/name", "new/name");
    hub.clock.advance(Duration::from_secs(61));
    hub.mock.clear_log();
    for id in ["old/name", "new/name"] {
        hub.get(&format!("/{id}/resolve/main/model.bin")).await.assert_is(200, &weights().read_all());
    }
    assert_eq!(hub.cdn_bytes(), 0);
    hub.finish().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_and_says_what_is_allowed() {
    let hub = TestHub::builder().repo(Repo::model("org/model").file("config.json", CONFIG)).start().await;
    let paths_info = "/api/models/org/model/paths-info/main";
    let json = format!("{{\"paths\": [\"{}\"]}}", "x".repeat(3 << 20));
    let form = format!("paths={}", "x".repeat(3 << 20));
    for _ in 0..2 {
        for (content_type, body) in [("application/json", &json), ("application/x-www-form-urlencoded", &form)] {
            let reply = hub.post(paths_info, content_type, body).await;
            assert_eq!(reply.status, 413, "{}", reply.everything());
            assert_eq!(reply.json()["error"], "request body exceeds 2 MiB; ask for fewer paths in one request");
        }
        // What is as large and never read is refused for what it is, and its sender hears so.
        for (method, path) in [("POST", "/api/models/org/model/commit/main"), ("PUT", "/org/model/resolve/main/a.bin")]
        {
            let reply = hub.client.call(method, &hub.at(path), &[], &"x".repeat(8 << 20)).await;
            assert_eq!(reply.status, 501, "{method} {path}: {}", reply.everything());
        }
        let reply = hub.client.call("GET", &hub.at("/org/model/resolve/main/config.json"), &[], &json).await;
        reply.assert_is(200, CONFIG.as_bytes());
        assert_eq!(hub.post(paths_info, "application/json", r#"{"paths": ["config.json"]}"#).await.status, 200);
    }
    hub.finish().await;
}

#[tokio::test]
async fn writing_is_501_with_a_json_error() {
    let mut hub = TestHub::builder().repo(model()).start().await;
    hub.allow_upstream_calls(0);
    for (method, path) in [
        ("POST", "/api/models/org/model/commit/main"),
        ("POST", "/api/models/org/model/preupload/main"),
        ("POST", "/api/repos/create"),
        ("DELETE", "/api/repos/delete"),
        ("PUT", "/api/models/org/model/settings"),
        ("POST", "/api/models/org/model/branch/x"),
    ] {
        let reply =
            hub.client.call(method, &hub.at(path), &[("authorization", &format!("Bearer {TOKEN_ALICE}"))], "{}").await;
        assert_eq!(reply.status, 501, "{method} {path}");
        assert!(reply.json()["error"].as_str().unwrap().contains("this hub is read-only"), "{}", reply.text());
    }
    hub.finish().await;
}
