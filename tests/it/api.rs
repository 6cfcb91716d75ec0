//! The metadata API: info, refs, commits, lists, callers, and what passes through.

use mock_hf::{Fault, Kind, Rule, TOKEN_ALICE};
use serde_json::json;

use crate::harness::listing::{entry, next, paths};
use crate::harness::repos::{CONFIG, ODD_NAMES, git_oid, model, of, weights};
use crate::harness::{Reply, TestHub};

const API: &str = "/api/models/org/model";

async fn hub() -> TestHub {
    TestHub::builder().repo(model()).start().await
}

#[tokio::test]
async fn info_tells_commit_files_and_card() {
    let hub = TestHub::builder()
        .repo(model().field("pipeline_tag", "text-generation").card(json!({"license": "mit"})))
        .start()
        .await;
    let commit = hub.commit_of("main").await;
    for path in [
        API.to_owned(),
        format!("{API}/revision/main"),
        format!("{API}/revision/{commit}"),
        format!("{API}/revision/v1.0"),
    ] {
        let reply = hub.get(&path).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "application/json; charset=utf-8"), "{path}");
        let info = reply.json();
        assert_eq!((&info["id"], &info["sha"]), (&json!("org/model"), &json!(commit)), "{path}");
        assert_eq!((&info["pipeline_tag"], &info["cardData"]["license"]), (&json!("text-generation"), &json!("mit")));
        assert_eq!((&info["private"], &info["gated"]), (&json!(false), &json!(false)));
        let files = paths(&info["siblings"]);
        assert!(
            ODD_NAMES.iter().chain(&["config.json", "model.safetensors"]).all(|name| files.iter().any(|f| f == name)),
            "{files:?}"
        );
        assert!(info["siblings"][0].get("size").is_none());
    }
    hub.finish().await;
}

#[tokio::test]
async fn info_of_refs_may_be_written_encoded_or_raw() {
    let hub = hub().await;
    let commit = hub.commit_of("refs%2Fpr%2F1").await;
    for revision in ["refs%2Fpr%2F1", "refs/pr/1"] {
        let info = hub.get(&format!("{API}/revision/{revision}")).await.json();
        assert_eq!(info["sha"], commit, "{revision}");
        let tree = hub.get(&format!("{API}/tree/{revision}?recursive=true")).await;
        assert!(paths(&tree.json()).contains(&"pr-1.md".to_owned()));
    }
    hub.finish().await;
}

#[tokio::test]
async fn info_with_blobs_has_sizes_and_hashes() {
    let hub = hub().await;
    let info = hub.get(&format!("{API}?blobs=true")).await.json();
    let config = entry(&info["siblings"], "config.json");
    assert_eq!((&config["blobId"], &config["size"]), (&json!(git_oid(CONFIG)), &json!(CONFIG.len())));
    let lfs = &entry(&info["siblings"], "model.safetensors")["lfs"];
    assert_eq!((&lfs["sha256"], &lfs["size"]), (&json!(weights().sha256()), &json!(weights().size())));
    assert!(lfs["pointerSize"].as_u64().unwrap() > 100);
    let security = hub.get(&format!("{API}?securityStatus=true")).await.json();
    assert_eq!(security["securityRepoStatus"]["scansDone"], true);
    hub.finish().await;
}

#[tokio::test]
async fn info_with_expand_has_the_ids_and_these_fields_only() {
    let hub = hub().await;
    for query in ["expand=sha&expand=private", "expand[]=sha&expand[]=private", "expand%5B%5D=sha&expand%5B%5D=private"]
    {
        for _ in 0..2 {
            let info = hub.get(&format!("{API}?{query}")).await.json();
            let mut keys: Vec<_> = info.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            assert_eq!(keys, ["_id", "id", "private", "sha"], "{query}");
        }
    }
    // A field that a kept info does not have comes from upstream.
    let info = hub.get(&format!("{API}?expand=securityRepoStatus")).await.json();
    assert!(info.get("securityRepoStatus").is_some(), "{info}");
    hub.finish().await;
}

#[tokio::test]
async fn refs_name_branches_tags_converts_and_on_demand_pull_requests() {
    let hub = hub().await;
    let commit = hub.commit_of("main").await;
    let refs = hub.get(&format!("{API}/refs")).await.json();
    assert_eq!(refs["tags"], json!([{"name": "v1.0", "ref": "refs/tags/v1.0", "targetCommit": commit}]));
    assert!(refs["branches"].as_array().unwrap().iter().any(|branch| branch["name"] == "feature/x"));
    assert_eq!(refs["converts"][0]["ref"], "refs/convert/parquet");
    assert!(refs.get("pullRequests").is_none());
    let refs = hub.get(&format!("{API}/refs?include_prs=1")).await.json();
    assert_eq!(refs["pullRequests"][0]["ref"], "refs/pr/1");
    hub.finish().await;
}

#[tokio::test]
async fn commits_are_paged_with_a_total() {
    let hub = TestHub::builder().repo(model().history(30)).start().await;
    let mut url = hub.at(&format!("{API}/commits/main?limit=10&expand[]=formatted"));
    let mut seen = Vec::new();
    loop {
        let reply = hub.client.call("GET", &url, &[], "").await;
        assert_eq!(reply.header("x-total-count"), "31");
        for commit in reply.json().as_array().unwrap() {
            assert!(commit["formatted"].is_object());
            seen.push(commit["id"].as_str().unwrap().to_owned());
        }
        let Some(link) = next(&reply) else { break };
        assert!(link.starts_with(hub.url()), "{link}");
        url = link;
    }
    assert_eq!((seen.len(), &seen[0]), (31, &hub.commit_of("main").await));
    hub.finish().await;
}

#[tokio::test]
async fn lists_are_passed_through_and_remembered() {
    let hub = TestHub::builder().manual_clock().start().await;
    for kind in Kind::ALL {
        let name = kind.plural();
        for id in ["org/first", "org/second", "other/third"] {
            hub.mock.put(of(kind, id));
        }
        let ids = |reply: &Reply| {
            reply
                .json()
                .as_array()
                .unwrap()
                .iter()
                .map(|repo| repo["id"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&hub.get(&format!("/api/{name}?search=first")).await), ["org/first"]);
        assert_eq!(ids(&hub.get(&format!("/api/{name}?author=org")).await), ["org/first", "org/second"]);
        let page = hub.get(&format!("/api/{name}?limit=2")).await;
        assert_eq!(ids(&page).len(), 2);
        let more = hub.client.call("GET", &next(&page).unwrap(), &[], "").await;
        assert_eq!(ids(&more), ["other/third"]);
        assert_eq!(hub.get(&format!("/api/{name}?limit=2")).await.served(), "hit");
    }
    hub.mock.stop().await;
    let hub = hub.restart().await;
    let stale = hub.get("/api/models?search=first").await;
    assert_eq!((stale.status, stale.served()), (200, "stale"));
    assert_eq!(stale.json()[0]["id"], "org/first");
    hub.finish().await;
}

#[tokio::test]
async fn without_upstream_lists_name_what_is_known_here() {
    let known = of(Kind::Model, "org/known").field("tags", json!(["gguf", "en"]));
    let hub = TestHub::builder().repo(known).repo(of(Kind::Model, "org/unknown")).start().await;
    assert_eq!(hub.get("/api/models/org/known").await.status, 200);
    hub.mock.stop().await;
    let found = ["search=KNOWN", "author=org", "author=ORG&search=known", "filter=gguf", "filter=gguf&filter=en", ""];
    for query in found {
        let list = hub.get(&format!("/api/models?{query}")).await;
        assert_eq!((list.status, list.served()), (200, "stale"), "{query}");
        let list = list.json();
        assert_eq!((list.as_array().unwrap().len(), &list[0]["id"]), (1, &json!("org/known")), "{query}");
    }
    for query in ["search=nothing", "author=or", "author=nobody&search=known", "filter=gguf&filter=fr"] {
        assert_eq!(hub.get(&format!("/api/models?{query}")).await.json(), json!([]), "{query}");
    }
    let nowhere = hub.get("/api/resolve-cache/models/org/known/main/config.json").await;
    assert_eq!((nowhere.status, nowhere.json()["error"].is_string()), (404, true));
    hub.finish().await;
}

#[tokio::test]
async fn whoami_and_auth_check_answer_for_this_caller() {
    let hub = TestHub::builder()
        .repo(model())
        .repo(of(Kind::Model, "org/gated").gated("auto").reader(TOKEN_ALICE))
        .start()
        .await;
    assert_eq!(hub.get_as(TOKEN_ALICE, "/api/whoami-v2").await.json()["name"], "alice");
    assert_eq!(hub.get_as(mock_hf::TOKEN_BOB, "/api/whoami-v2").await.json()["name"], "bob");
    let anonymous = hub.get("/api/whoami-v2").await;
    assert_eq!(anonymous.error(), (401, "", "Invalid username or password."));
    let revoked = hub.get_as(mock_hf::TOKEN_REVOKED, "/api/whoami-v2").await;
    assert_eq!((revoked.status, revoked.header("x-error-code")), (401, ""));
    // Upstream limits it strictly: one call for each token.
    let before = hub.upstream_calls();
    assert_eq!(hub.get_as(TOKEN_ALICE, "/api/whoami-v2").await.served(), "hit");
    assert_eq!(hub.upstream_calls(), before);
    assert_eq!(hub.get("/api/models/org/model/auth-check").await.status, 200);
    assert_eq!(hub.get_as(TOKEN_ALICE, "/api/models/org/gated/auth-check").await.status, 200);
    assert_eq!(hub.get("/api/models/org/gated/auth-check").await.error().1, "GatedRepo");
    hub.finish().await;
}

#[tokio::test]
async fn telemetry_and_agent_harnesses_are_answered_here() {
    let mut hub = hub().await;
    hub.allow_upstream_calls(0);
    for method in ["HEAD", "GET", "POST"] {
        assert_eq!(
            hub.client.call(method, &hub.at("/api/telemetry/transformers/import"), &[], "{}").await.status,
            200,
            "{method}"
        );
    }
    let harnesses = hub.get("/api/agent-harnesses").await.json();
    assert!(harnesses["harnesses"].is_object() && harnesses["standardEnvVars"].is_array());
    hub.finish().await;
}

#[tokio::test]
async fn other_reading_routes_pass_through() {
    let hub = hub().await;
    assert!(hub.get("/api/trending").await.json()["recentlyTrending"].is_array());
    assert_eq!(hub.get("/api/quicksearch?q=mod&type=model").await.json()["models"][0]["id"], "org/model");
    assert!(hub.get("/api/models-tags-by-type").await.json()["library"].is_array());
    assert_eq!(hub.get(&format!("{API}/discussions")).await.json()["count"], 1);
    let size = hub.get(&format!("{API}/treesize/main/sub")).await.json();
    assert_eq!(size, json!({"path": "/sub", "size": "a,b\n1,2\n".len()}));
    assert_eq!(hub.get("/api/nothing-of-the-kind").await.status, 404);
    hub.finish().await;
}

#[tokio::test]
async fn a_page_in_place_of_json_is_no_answer() {
    for path in
        ["refs", "commits/main", "discussions", "treesize/main", "tree/main?expand=true", "?securityStatus=true"]
    {
        let hub = hub().await;
        assert_eq!(hub.get(API).await.status, 200);
        hub.mock.fault(Rule::on_hub("").times(1).fault(Fault::Html200));
        let path = if path.starts_with('?') { format!("{API}{path}") } else { format!("{API}/{path}") };
        let reply = hub.get(&path).await;
        assert!(!reply.text().contains("hotel"), "{path} {}", reply.text());
        // And nothing of it is kept.
        let reply = hub.get(&path).await;
        assert_eq!(reply.status, 200, "{path} {}", reply.text());
        reply.json();
        hub.finish().await;
    }
    let hub = hub().await;
    for path in ["/api/models?search=x", "/api/whoami-v2", "/api/trending"] {
        hub.mock.fault(Rule::on_hub("").times(1).fault(Fault::Html200));
        let reply = hub.get_as(TOKEN_ALICE, path).await;
        assert!(!reply.text().contains("hotel"), "{path} {}", reply.text());
    }
    hub.finish().await;
}

#[tokio::test]
async fn health_readiness_metrics_and_the_page_for_people() {
    let hub = hub().await;
    hub.get("/org/model/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    for base in [hub.url(), hub.admin_url()] {
        for path in ["/healthz", "/readyz"] {
            assert_eq!(hub.client.call("GET", &format!("{base}{path}"), &[], "").await.status, 200, "{base}{path}");
        }
    }
    assert_eq!(hub.client.call("GET", &format!("{}/metrics", hub.admin_url()), &[], "").await.status, 200);
    assert_eq!(hub.get("/metrics").await.status, 404, "metrics are not for the public listener");
    let rebound =
        hub.client.call("GET", &format!("{}/metrics", hub.admin_url()), &[("host", "evil.example.org")], "").await;
    assert_eq!(rebound.status, 421);
    let page = hub.get("/").await;
    assert!(page.text().contains(&format!("HF_ENDPOINT={}", hub.url())), "{}", page.text());
    hub.finish().await;
}

#[tokio::test]
async fn slashes_at_both_ends_say_nothing() {
    let hub = TestHub::builder().repo(model()).start().await;
    for path in
        ["//api/models/org/model", "/api/models/org/model/", "//api/models/org/model/tree/main/", "/api/models/"]
    {
        for _ in 0..2 {
            assert_eq!(hub.get(path).await.status, 200, "{path}");
        }
    }
    for path in ["//org/model/resolve/main/config.json", "/org/model/resolve/main/config.json"] {
        hub.get(path).await.assert_is(200, CONFIG.as_bytes());
    }
    hub.finish().await;
}

#[tokio::test]
async fn links_lead_to_the_address_that_the_first_proxy_was_called_by() {
    let hub = TestHub::builder().repo(model()).start().await;
    let url = format!("{}/api/models/org/model/tree/main?limit=2", hub.url());
    let proxies = [("x-forwarded-proto", "https, http"), ("x-forwarded-host", "hub.example, inner:8484")];
    for _ in 0..2 {
        let page = hub.client.call("GET", &url, &proxies, "").await;
        assert!(page.header("link").starts_with("<https://hub.example/api/models/"), "{}", page.header("link"));
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_repository_may_be_called_like_a_route() {
    let hub = TestHub::builder().repo(of(Kind::Dataset, "org/parquet")).repo(of(Kind::Model, "single")).start().await;
    let info = hub.get("/api/datasets/org/parquet").await;
    assert_eq!((info.status, &info.json()["id"]), (200, &json!("org/parquet")));
    assert_eq!(hub.get("/api/datasets/org/parquet?blobs=true").await.json()["id"], "org/parquet");
    assert!(hub.get("/api/models/single/refs").await.json()["branches"].is_array());
    assert_eq!(hub.get("/api/datasets/org/refs").await.error().0, 401);
    hub.finish().await;
}
