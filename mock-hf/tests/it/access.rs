//! Who gets what: the table of answers that clients decide by.

use mock_hf::{MockHf, Options, RateLimit, Repo, TOKEN_ALICE, TOKEN_BOB, TOKEN_REVOKED};

use crate::support::{bearer, call, get, get_with, hub, noise};

/// Status, X-Error-Code, X-Error-Message.
async fn ask(hub: &MockHf, path: &str, token: Option<&str>) -> (u16, String, String) {
    let value = token.map(bearer);
    let headers: Vec<(&str, &str)> = value.iter().map(|value| ("authorization", value.as_str())).collect();
    let answer = get_with(&format!("{}{path}", hub.url()), &headers).await;
    (answer.status, answer.header("x-error-code").to_owned(), answer.header("x-error-message").to_owned())
}

async fn guarded() -> MockHf {
    let hub = hub().await;
    hub.put(Repo::model("org/private").private().reader(TOKEN_ALICE).file("f", "x"));
    hub.put(Repo::model("org/gated").gated("auto").reader(TOKEN_ALICE).file("f", "x").lfs("w.bin", noise()));
    hub.put(Repo::model("org/off").disabled().file("f", "x"));
    hub
}

#[tokio::test]
async fn unknown_and_private_repos_look_the_same() {
    let hub = guarded().await;
    for id in ["org/private", "org/nothing"] {
        for path in
            [format!("/{id}/resolve/main/f"), format!("/api/models/{id}"), format!("/api/models/{id}/tree/main")]
        {
            let (status, code, message) = ask(&hub, &path, None).await;
            assert_eq!((status, code.as_str(), message.as_str()), (401, "", "Invalid username or password."), "{path}");
            let (status, code, message) = ask(&hub, &path, Some(TOKEN_BOB)).await;
            assert_eq!(
                (status, code.as_str(), message.as_str()),
                (404, "RepoNotFound", "Repository not found"),
                "{path}"
            );
            let (status, code, message) = ask(&hub, &path, Some(TOKEN_REVOKED)).await;
            let expected = (401, "", "Invalid credentials in Authorization header");
            assert_eq!((status, code.as_str(), message.as_str()), expected, "{path}");
        }
    }
    assert_eq!(ask(&hub, "/org/private/resolve/main/f", Some(TOKEN_ALICE)).await.0, 307);
    assert_eq!(ask(&hub, "/api/models/org/private", Some(TOKEN_ALICE)).await.0, 200);
}

#[tokio::test]
async fn gated_repos_show_metadata_and_refuse_contents() {
    let hub = guarded().await;
    let commit = get(&format!("{}/api/models/org/gated", hub.url())).await.json()["sha"].as_str().unwrap().to_owned();
    for path in [
        "/org/gated/resolve/main/f",
        "/org/gated/raw/main/f",
        "/api/models/org/gated/auth-check",
        "/api/models/org/gated/xet-read-token/main",
        &format!("/api/resolve-cache/models/org/gated/{commit}/f"),
    ] {
        let (status, code, message) = ask(&hub, path, None).await;
        assert_eq!((status, code.as_str()), (401, "GatedRepo"), "{path}");
        assert!(message.starts_with("Access to model org/gated is restricted. You must have access"), "{message}");
        let (status, code, message) = ask(&hub, path, Some(TOKEN_BOB)).await;
        assert_eq!((status, code.as_str()), (403, "GatedRepo"), "{path}");
        assert!(message.contains("you are not in the authorized list"), "{message}");
        assert!(ask(&hub, path, Some(TOKEN_ALICE)).await.0 < 400, "{path}");
    }
    let tree = get(&format!("{}/api/models/org/gated/tree/main", hub.url())).await.json();
    assert_eq!(tree[1]["xetHash"], "*".repeat(64));
    assert_eq!(tree[1]["lfs"]["oid"], noise().sha256());
    let alice = [("authorization", &*bearer(TOKEN_ALICE))];
    let tree = get_with(&format!("{}/api/models/org/gated/tree/main", hub.url()), &alice).await.json();
    assert_eq!(tree[1]["xetHash"].as_str().unwrap().trim_matches('*').len(), 64);
}

#[tokio::test]
async fn visibility_changes_take_effect_at_once() {
    let hub = guarded().await;
    hub.set_visibility("model", "org/name", true, None, vec!["hf_new".to_owned()]);
    assert_eq!(ask(&hub, "/org/name/resolve/main/config.json", None).await.0, 401);
    assert_eq!(ask(&hub, "/org/name/resolve/main/config.json", Some("hf_new")).await.0, 307);
    hub.set_visibility("model", "org/private", false, None, vec![]);
    assert_eq!(ask(&hub, "/org/private/resolve/main/f", None).await.0, 307);
    hub.remove("model", "org/private");
    assert_eq!(ask(&hub, "/org/private/resolve/main/f", None).await.0, 401);
}

#[tokio::test]
async fn missing_things_have_their_codes() {
    let hub = guarded().await;
    let answer = get(&format!("{}/org/name/resolve/main/nope", hub.url())).await;
    assert_eq!(
        (answer.status, answer.header("x-error-code"), answer.text().as_str()),
        (404, "EntryNotFound", "Entry not found")
    );
    assert_eq!(answer.header("x-repo-commit").len(), 40);
    let answer = get(&format!("{}/api/models/org/name/tree/nope", hub.url())).await;
    assert_eq!((answer.status, answer.header("x-error-code")), (404, "RevisionNotFound"));
    assert_eq!(answer.json()["error"], "Invalid rev id: nope");
    let (status, code, message) = ask(&hub, "/org/off/resolve/main/f", None).await;
    assert_eq!((status, code.as_str(), message.as_str()), (403, "", "Access to this resource is disabled."));
}

#[tokio::test]
async fn whoami_knows_valid_tokens_only() {
    let hub = guarded().await;
    assert_eq!(ask(&hub, "/api/whoami-v2", None).await.0, 401);
    assert_eq!(ask(&hub, "/api/whoami-v2", Some(TOKEN_REVOKED)).await.0, 401);
    let alice = [("authorization", &*bearer(TOKEN_ALICE))];
    assert_eq!(get_with(&format!("{}/api/whoami-v2", hub.url()), &alice).await.json()["name"], "alice");
}

#[tokio::test]
async fn real_rate_limit_answers_429_until_the_window_ends() {
    let window = std::time::Duration::from_millis(1500);
    let limit = RateLimit { api: 2, resolvers: 100, window, retry_after: true };
    let hub = MockHf::start_with(Options { rate_limit: Some(limit), ..Options::default() }).await.unwrap();
    hub.put(Repo::model("a/b").file("f", "x"));
    let url = format!("{}/api/models/a/b", hub.url());
    assert_eq!(get(&url).await.header("ratelimit"), "\"api\";r=1;t=2");
    assert_eq!(get(&url).await.header("ratelimit-policy"), "\"fixed window\";\"api\";q=2;w=1");
    let answer = get(&url).await;
    assert_eq!((answer.status, &answer.header("ratelimit")[..10]), (429, "\"api\";r=0;"));
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(call("HEAD", &format!("{}/a/b/resolve/main/f", hub.url()), &[], "").await.status, 307);
    tokio::time::sleep(window).await;
    assert_eq!(get(&url).await.status, 200);
}
