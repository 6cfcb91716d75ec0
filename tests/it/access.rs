//! Who may see what, above all of what is here already.

use std::time::Duration;

use mock_hf::{Content, Fault, Options, Origin, Repo, Rule, TOKEN_ALICE, TOKEN_BOB, TOKEN_REVOKED};

use crate::harness::repos::{CONFIG, weights};
use crate::harness::{Reply, TestHub};

fn files(repo: Repo) -> Repo {
    repo.file("config.json", CONFIG).lfs("model.safetensors", weights())
}

fn private() -> Repo {
    files(Repo::model("org/private")).private().reader(TOKEN_ALICE)
}

fn gated() -> Repo {
    files(Repo::model("org/gated")).gated("manual").reader(TOKEN_ALICE)
}

async fn ask(hub: &TestHub, token: Option<&str>, path: &str) -> Reply {
    match token {
        Some(token) => hub.get_as(token, path).await,
        None => hub.get(path).await,
    }
}

/// Everything that gives contents of a repository, by name and by commit.
async fn content_routes(hub: &TestHub, id: &str) -> Vec<String> {
    let commit =
        hub.head_as(TOKEN_ALICE, &format!("/{id}/resolve/main/config.json")).await.header("x-repo-commit").to_owned();
    assert_eq!(commit.len(), 40);
    let mut routes = vec![
        format!("/api/resolve-cache/models/{id}/{commit}/config.json"),
        format!("/api/resolve-cache/models/{id}/{commit}/model.safetensors"),
        format!("/api/models/{id}/auth-check"),
    ];
    for revision in ["main", &commit] {
        routes.push(format!("/{id}/resolve/{revision}/config.json"));
        routes.push(format!("/{id}/resolve/{revision}/model.safetensors"));
        routes.push(format!("/{id}/resolve/{revision}/absent.json"));
        routes.push(format!("/{id}/raw/{revision}/config.json"));
        routes.push(format!("/{id}/raw/{revision}/model.safetensors"));
    }
    routes
}

async fn metadata_routes(hub: &TestHub, id: &str) -> Vec<String> {
    let commit =
        hub.head_as(TOKEN_ALICE, &format!("/{id}/resolve/main/config.json")).await.header("x-repo-commit").to_owned();
    let api = format!("/api/models/{id}");
    vec![
        api.clone(),
        format!("{api}?blobs=true"),
        format!("{api}?expand=sha"),
        format!("{api}/revision/{commit}"),
        format!("{api}/tree/main"),
        format!("{api}/tree/{commit}?recursive=true&limit=1"),
        format!("{api}/tree/main?expand=true"),
        format!("{api}/refs"),
        format!("{api}/commits/main"),
        format!("{api}/discussions"),
    ]
}

/// Alice warms every cache there is.
async fn warm(hub: &TestHub, id: &str) -> Vec<String> {
    let mut routes = content_routes(hub, id).await;
    routes.extend(metadata_routes(hub, id).await);
    for route in &routes {
        let reply = hub.get_as(TOKEN_ALICE, route).await;
        let expected = if route.ends_with("absent.json") { 404 } else { 200 };
        assert_eq!(reply.status, expected, "{route} {:?}", reply.error());
    }
    hub.landed().await;
    routes
}

fn leaks(reply: &Reply) -> bool {
    let all = reply.everything();
    all.contains("llama")
        || all.contains(&weights().sha256())
        || reply.body.len() > 1000
        || !reply.header("x-repo-commit").is_empty()
}

#[tokio::test]
async fn a_warm_private_repository_does_not_exist_for_others() {
    let hub = TestHub::builder().repo(private()).start().await;
    let routes = warm(&hub, "org/private").await;
    for route in &routes {
        for (token, expected) in [
            (None, (401, "RepoNotFound")),
            (Some(TOKEN_BOB), (404, "RepoNotFound")),
            (Some(TOKEN_REVOKED), (401, "")),
            (Some("hf_unknownTokenThatNobodyEverIssued0000001"), (401, "")),
        ] {
            let reply = ask(&hub, token, route).await;
            assert_eq!((reply.status, reply.header("x-error-code")), expected, "{route} {token:?} {}", reply.text());
            assert!(!leaks(&reply), "{route} {token:?} {}", reply.everything());
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn warm_gated_files_are_for_accepted_tokens_only() {
    let hub = TestHub::builder().repo(gated()).start().await;
    warm(&hub, "org/gated").await;
    for route in content_routes(&hub, "org/gated").await {
        for (token, expected) in
            [(None, (401, "GatedRepo")), (Some(TOKEN_BOB), (403, "GatedRepo")), (Some(TOKEN_REVOKED), (401, ""))]
        {
            let reply = ask(&hub, token, &route).await;
            assert_eq!((reply.status, reply.header("x-error-code")), expected, "{route} {token:?} {}", reply.text());
            assert!(!leaks(&reply), "{route} {token:?} {}", reply.everything());
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_refusal_comes_from_the_cache_for_a_while_and_costs_nothing() {
    let mut hub = TestHub::builder().manual_clock().repo(private()).start().await;
    warm(&hub, "org/private").await;
    assert_eq!(hub.get_as(TOKEN_BOB, "/org/private/resolve/main/config.json").await.status, 404);
    hub.allow_upstream_calls(0);
    assert_eq!(hub.get_as(TOKEN_BOB, "/org/private/resolve/main/config.json").await.status, 404);
    assert_eq!(hub.get_as(TOKEN_ALICE, "/org/private/resolve/main/config.json").await.status, 200);
    hub.finish().await;
}

#[tokio::test]
async fn access_that_upstream_takes_away_ends_within_a_minute() {
    let hub = TestHub::builder().manual_clock().repo(private()).repo(gated()).start().await;
    for (id, is_private, gate) in [("org/private", true, None), ("org/gated", false, Some("manual"))] {
        let routes = warm(&hub, id).await;
        hub.mock.set_visibility("model", id, is_private, gate, vec![TOKEN_BOB.to_owned()]);
        hub.clock.advance(Duration::from_secs(61));
        for route in routes.iter().filter(|route| is_private || !route.starts_with("/api/models")) {
            let reply = hub.get_as(TOKEN_ALICE, route).await;
            assert!(matches!(reply.status, 403 | 404), "{route} {:?}", reply.error());
            assert!(!leaks(&reply), "{route}");
        }
        // And is there for whom upstream accepts now.
        hub.get_as(TOKEN_BOB, &format!("/{id}/resolve/main/config.json")).await.assert_is(200, CONFIG.as_bytes());
    }
    hub.finish().await;
}

#[tokio::test]
async fn access_that_upstream_grants_is_seen_within_seconds() {
    let hub = TestHub::builder().manual_clock().repo(gated()).start().await;
    let path = "/org/gated/resolve/main/config.json";
    assert_eq!(hub.get_as(TOKEN_BOB, path).await.status, 403);
    hub.mock.set_visibility("model", "org/gated", false, Some("manual"), vec![TOKEN_BOB.to_owned()]);
    hub.clock.advance(Duration::from_secs(11));
    hub.get_as(TOKEN_BOB, path).await.assert_is(200, CONFIG.as_bytes());
    hub.finish().await;
}

#[tokio::test]
async fn the_same_content_in_a_public_and_a_private_repository_opens_only_the_public_one() {
    let hub = TestHub::builder().repo(private()).repo(files(Repo::model("org/public"))).start().await;
    hub.get("/org/public/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.landed().await;
    for (token, status) in [(None, 401), (Some(TOKEN_BOB), 404)] {
        let reply = ask(&hub, token, "/org/private/resolve/main/model.safetensors").await;
        assert_eq!(reply.status, status);
        assert!(!leaks(&reply));
    }
    hub.mock.clear_log();
    hub.get_as(TOKEN_ALICE, "/org/private/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    assert_eq!(hub.cdn_bytes(), 0, "the blob is here; the right to it was all that was missing");
    hub.finish().await;
}

#[tokio::test]
async fn a_callers_token_goes_to_the_origin_for_this_caller_only() {
    let hub = TestHub::builder().repo(private()).repo(files(Repo::model("org/public"))).start().await;
    hub.get_as(TOKEN_ALICE, "/org/private/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.landed().await;
    let seen = hub.mock.requests();
    let bearer = format!("Bearer {TOKEN_ALICE}");
    assert!(
        seen.iter()
            .filter(|line| line.origin == Origin::Hub)
            .all(|line| line.authorization.as_deref() == Some(&bearer))
    );
    assert!(seen.iter().any(|line| line.origin == Origin::Cdn));
    assert!(seen.iter().filter(|line| line.origin == Origin::Cdn).all(|line| line.authorization.is_none()));
    hub.mock.clear_log();
    hub.get("/org/public/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    assert!(hub.mock.requests().iter().all(|line| line.authorization.is_none()), "another caller's token was used");
    hub.finish().await;
}

#[tokio::test]
async fn the_hubs_own_token_opens_nothing_to_callers() {
    let hub = TestHub::builder().set("upstream.token", TOKEN_ALICE).repo(private()).repo(gated()).start().await;
    for id in ["org/private", "org/gated"] {
        for route in ["resolve/main/config.json", "resolve/main/model.safetensors", "raw/main/config.json"] {
            let path = format!("/{id}/{route}");
            assert_eq!(hub.get(&path).await.status, 401, "{path}");
            assert!(matches!(hub.get_as(TOKEN_BOB, &path).await.status, 403 | 404), "{path}");
        }
    }
    for path in ["/api/models/org/private", "/api/models/org/private/tree/main", "/api/models/org/private/refs"] {
        let reply = hub.get(path).await;
        assert_eq!(reply.status, 401, "{path}");
        assert!(!leaks(&reply), "{path}");
    }
    let list = hub.get("/api/models?limit=100").await.text();
    assert!(!list.contains("org/private"), "{list}");
    let tree = hub.get("/api/models/org/gated/tree/main").await;
    assert!(!tree.text().contains(&weights().sha256()) || !tree.text().contains("***"), "{}", tree.text());
    hub.finish().await;
}

#[tokio::test]
async fn a_masked_listing_is_one_callers_view_and_never_the_listing() {
    let options = Options { mask_lfs_oid: true, ..Options::default() };
    let hub = TestHub::builder().options(options).repo(gated()).start().await;
    let tree = "/api/models/org/gated/tree/main?recursive=true";
    let has_hash = |reply: &Reply| reply.text().contains(&weights().sha256());
    let masked = hub.get(tree).await;
    assert!(masked.status == 200 && !has_hash(&masked), "{}", masked.text());
    assert!(!has_hash(&hub.get_as(TOKEN_BOB, tree).await));
    assert!(has_hash(&hub.get_as(TOKEN_ALICE, tree).await), "a masked listing stood in for the real one");
    // And the real one is shown to nobody else.
    for path in [tree, "/api/models/org/gated?blobs=true", "/api/models/org/gated/tree/main?expand=true&recursive=true"]
    {
        assert!(!has_hash(&hub.get(path).await), "{path}");
        assert!(!has_hash(&hub.get_as(TOKEN_BOB, path).await), "{path}");
    }
    let form = "paths=model.safetensors";
    let info = hub.post("/api/models/org/gated/paths-info/main", "application/x-www-form-urlencoded", form).await;
    assert!(info.status == 200 && !has_hash(&info), "{}", info.text());
    hub.get_as(TOKEN_ALICE, "/org/gated/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn an_invalid_token_on_a_public_repository_spoils_it_for_nobody() {
    let hub = TestHub::builder().repo(files(Repo::model("org/public"))).start().await;
    let path = "/org/public/resolve/main/config.json";
    let first = hub.get_as(TOKEN_REVOKED, path).await;
    assert!(
        first.status == 200 || first.error() == (401, "", "Invalid credentials in Authorization header"),
        "{:?}",
        first.error()
    );
    hub.get(path).await.assert_is(200, CONFIG.as_bytes());
    hub.get_as(TOKEN_BOB, path).await.assert_is(200, CONFIG.as_bytes());
    hub.finish().await;
}

#[tokio::test]
async fn a_repository_that_turns_private_is_closed_to_others_by_name_and_by_commit() {
    let hub = TestHub::builder().manual_clock().repo(files(Repo::model("org/public"))).start().await;
    let main = "/org/public/resolve/main/config.json";
    let commit = hub.get(main).await.header("x-repo-commit").to_owned();
    hub.get("/org/public/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.mock.set_visibility("model", "org/public", true, None, vec![TOKEN_ALICE.to_owned()]);
    hub.clock.advance(Duration::from_secs(61));
    for path in [
        main.to_owned(),
        format!("/org/public/resolve/{commit}/config.json"),
        format!("/org/public/resolve/{commit}/model.safetensors"),
    ] {
        assert_eq!(hub.get(&path).await.error().0, 401, "{path}");
        assert_eq!(hub.get_as(TOKEN_BOB, &path).await.error().0, 404, "{path}");
        assert_eq!(hub.get_as(TOKEN_ALICE, &path).await.status, 200, "{path}");
        assert_eq!(hub.get(&path).await.error().0, 401, "{path}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_token_of_the_hub_that_upstream_refuses_keeps_nobody_from_what_is_public() {
    let public = Repo::model("org/public").file("config.json", CONFIG).lfs("model.safetensors", weights());
    let options = Options { strict_tokens: true, ..Options::default() };
    let hub = TestHub::builder().options(options).set("upstream.token", TOKEN_REVOKED).repo(public).repo(private());
    let hub = hub.start().await;
    for _ in 0..2 {
        let tree = hub.get("/api/models/org/public/tree/main").await;
        assert_eq!((tree.status, tree.json().as_array().unwrap().len()), (200, 2), "{}", tree.text());
        hub.get("/org/public/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
        hub.get("/org/public/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
        hub.landed().await;
        for path in ["/org/private/resolve/main/config.json", "/api/models/org/private/tree/main"] {
            assert_eq!(hub.get(path).await.status, 401, "{path}");
        }
    }
    hub.finish().await;
}

/// Asks until the answer has this status: it is looked for in the background.
async fn becomes(hub: &TestHub, status: u16, path: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while hub.head(path).await.status != status {
        assert!(tokio::time::Instant::now() < deadline, "{path} does not become {status}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_repository_that_is_used_by_commit_only_closes_within_a_minute_and_opens_again() {
    // With a token of its own that upstream refuses, the hub has to find out all the same.
    for own in ["", TOKEN_REVOKED] {
        let options = Options { strict_tokens: true, ..Options::default() };
        let public = files(Repo::model("org/public"));
        let hub = TestHub::builder().manual_clock().options(options).repo(public).start().await;
        let commit = hub.get("/org/public/resolve/main/config.json").await.header("x-repo-commit").to_owned();
        hub.get("/org/public/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
        hub.landed().await;
        let hub = hub.restart_with(&[("upstream.token", own)]).await;
        let paths = [
            format!("/org/public/resolve/{commit}/config.json"),
            format!("/org/public/resolve/{commit}/model.safetensors"),
            format!("/api/models/org/public/tree/{commit}"),
        ];
        for round in 0..2 {
            for path in &paths {
                assert_eq!(hub.get(path).await.status, 200, "{own} {round} {path}");
            }
            hub.mock.set_visibility("model", "org/public", true, None, vec![TOKEN_ALICE.to_owned()]);
            hub.clock.advance(Duration::from_secs(61));
            becomes(&hub, 401, &paths[0]).await;
            for path in &paths {
                assert_eq!(hub.get(path).await.error().0, 401, "{own} {round} {path}");
                assert_eq!(hub.get_as(TOKEN_BOB, path).await.error().0, 404, "{own} {round} {path}");
                assert_eq!(hub.get_as(TOKEN_ALICE, path).await.status, 200, "{own} {round} {path}");
                assert_eq!(hub.get(path).await.error().0, 401, "{own} {round} {path}");
            }
            hub.mock.set_visibility("model", "org/public", false, None, Vec::new());
            hub.clock.advance(Duration::from_secs(61));
            becomes(&hub, 200, &paths[0]).await;
        }
        hub.finish().await;
    }
}

#[tokio::test]
async fn while_upstream_is_away_an_accepted_token_is_still_accepted_and_nobody_else() {
    let hub = TestHub::builder().manual_clock().repo(private()).start().await;
    warm(&hub, "org/private").await;
    hub.mock.stop().await;
    let hub = hub.restart().await;
    let path = "/org/private/resolve/main/model.safetensors";
    hub.clock.advance(Duration::from_secs(3600));
    hub.get_as(TOKEN_ALICE, path).await.assert_is(200, &weights().read_all());
    for token in [None, Some(TOKEN_BOB), Some(TOKEN_REVOKED)] {
        let reply = ask(&hub, token, path).await;
        assert!(reply.status >= 400 && !leaks(&reply), "{token:?} {:?}", reply.error());
    }
    hub.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let late = hub.get_as(TOKEN_ALICE, path).await;
    assert!(late.status >= 400 && !leaks(&late), "the grace is over: {:?}", late.error());
    hub.finish().await;
}

#[tokio::test]
async fn no_token_is_written_to_the_database() {
    let hub = TestHub::builder().repo(private()).start().await;
    warm(&hub, "org/private").await;
    let hub = hub.restart().await;
    let bytes = hub.database().await;
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("org/private"), "the names of what was asked for are there");
    assert!(!holds(TOKEN_ALICE));
    hub.finish().await;
}

#[tokio::test]
async fn git_clients_send_the_token_as_a_password() {
    use base64::Engine as _;
    let hub = TestHub::builder().repo(private()).start().await;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("user:{TOKEN_ALICE}"));
    let basic = format!("Basic {pair}");
    let reply = hub.get_with("/org/private/resolve/main/config.json", &[("authorization", basic.as_str())]).await;
    reply.assert_is(200, CONFIG.as_bytes());
    assert_eq!(Content::from(CONFIG).size(), reply.body.len() as u64);
    hub.finish().await;
}

#[tokio::test]
async fn a_page_in_the_place_of_an_answer_opens_nothing() {
    for fault in [Fault::Html200, Fault::Json200] {
        let hub = TestHub::builder().manual_clock().repo(private()).repo(gated()).start().await;
        for id in ["org/private", "org/gated"] {
            warm(&hub, id).await;
            let path = format!("/{id}/resolve/main/config.json");
            // A portal, or a mirror that answers what it does not know with its start page.
            hub.mock.fault(Rule::on_hub("/auth-check").fault(fault.clone()));
            assert_eq!(hub.get_as(TOKEN_BOB, &path).await.status, 502, "{fault:?} {path}");
            assert_eq!(hub.get_as(TOKEN_ALICE, &path).await.status, 200, "{fault:?} {path}");
            hub.clock.advance(Duration::from_secs(3600));
            assert_eq!(hub.get_as(TOKEN_BOB, &path).await.status, 502, "{fault:?} {path}");
            assert_eq!(hub.get_as(TOKEN_ALICE, &path).await.status, 200, "accepted before: {fault:?} {path}");
            hub.mock.clear_faults();
            assert!([403, 404].contains(&hub.get_as(TOKEN_BOB, &path).await.status), "{fault:?} {path}");
        }
        hub.mock.stop().await;
        for id in ["org/private", "org/gated"] {
            let reply = hub.get_as(TOKEN_BOB, &format!("/{id}/resolve/main/config.json")).await;
            assert!(reply.status >= 400, "{fault:?} {id}: {}", reply.status);
        }
    }
}
