//! Nothing that a client sees leads past this hub: no trace of the CDN, of upstream, or of upstream's
//! Xet store. What is said of Xet leads here; with `xet.serve = false` nothing is said of it at all.

use std::collections::BTreeSet;

use mock_hf::{Kind, Options, TOKEN_ALICE, TOKEN_BOB};
use serde_json::{Value, json};

use crate::harness::repos::{of, weights};
use crate::harness::{Reply, TestHub};

/// A hub whose upstream names itself, its CDN and Xet wherever it can.
async fn planted(serve: &str) -> TestHub {
    // Masked hashes too, wherever upstream has them.
    let options = Options { mask_lfs_oid: true, ..Options::default() };
    let hub = TestHub::builder().options(options).set("xet.serve", serve).start().await;
    let (upstream, cdn) = (hub.mock.url(), hub.mock.cdn_url());
    let trap = json!({
        "homepage": format!("{upstream}/org/model"),
        "text": format!("see {cdn}/x?a=1, or ({upstream}/y)"),
        "xetHash": "f".repeat(64),
        "list": [{"xetHash": "f".repeat(64), "url": format!("{cdn}/z")}, [format!("{upstream}")]],
    });
    for kind in Kind::ALL {
        hub.mock.put(of(kind, "org/model").card(trap.clone()).field("widgetData", trap.clone()).history(5));
        for number in 0..5 {
            hub.mock.put(of(kind, &format!("org/other-{number}")).card(trap.clone()));
        }
    }
    hub.mock.put(of(Kind::Model, "org/gated").gated("auto").reader(TOKEN_ALICE).card(trap.clone()));
    hub.mock.put(of(Kind::Model, "org/private").private().reader(TOKEN_ALICE).card(trap.clone()));
    hub.mock.put(of(Kind::Model, "org/old").card(trap));
    hub.mock.rename("model", "org/old", "org/new");
    hub
}

fn routes(commit: &str) -> Vec<String> {
    let mut routes = Vec::new();
    for (kind, prefix) in [("models", ""), ("datasets", "datasets/"), ("spaces", "spaces/"), ("kernels", "kernels/")] {
        let api = format!("/api/{kind}/org/model");
        routes.extend([
            format!("/{prefix}org/model/resolve/main/config.json"),
            format!("/{prefix}org/model/resolve/main/model.safetensors"),
            format!("/{prefix}org/model/raw/main/model.safetensors"),
            format!("/{prefix}org/model/resolve/main/missing"),
            api.clone(),
            format!("{api}/revision/main"),
            format!("{api}/revision/{commit}"),
            format!("{api}?blobs=true"),
            format!("{api}?blobs=true&securityStatus=true"),
            format!("{api}?expand=siblings&expand=cardData&expand=widgetData"),
            format!("{api}?expand[]=sha&expand[]=securityRepoStatus"),
            format!("{api}/tree/main"),
            format!("{api}/tree/main?recursive=true"),
            format!("{api}/tree/main?recursive=true&limit=2"),
            format!("{api}/tree/main?expand=true&limit=2"),
            format!("{api}/tree/main/sub?expand=true"),
            format!("{api}/refs?include_prs=1"),
            format!("{api}/commits/main?limit=2"),
            format!("{api}/discussions"),
            format!("{api}/treesize/main"),
            format!("{api}/auth-check"),
            format!("{api}/xet-read-token/main"),
            format!("{api}/nothing/of/the/kind"),
            format!("/api/{kind}?limit=2"),
            format!("/api/{kind}?search=other&full=true&limit=2&cardData=true"),
            format!("/api/{kind}?expand=cardData&expand=widgetData"),
            format!("/api/resolve-cache/{kind}/org/model/{commit}/config.json"),
        ]);
    }
    for id in ["org/gated", "org/private", "org/old", "org/nothing"] {
        routes.extend([
            format!("/{id}/resolve/main/model.safetensors"),
            format!("/api/models/{id}"),
            format!("/api/models/{id}?blobs=true"),
            format!("/api/models/{id}/tree/main?recursive=true"),
            format!("/api/models/{id}/tree/main?expand=true"),
            format!("/api/models/{id}/xet-read-token/main"),
        ]);
    }
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/nothing",
        "/api/whoami-v2",
        "/api/agent-harnesses",
        "/api/trending",
        "/api/quicksearch?q=model&type=model",
        "/api/models-tags-by-type",
        "/api/nothing",
        "/api/telemetry/x",
    ] {
        routes.push(path.to_owned());
    }
    routes
}

/// What leads past this hub in any case.
fn assert_here(hub: &TestHub, what: &str, reply: &Reply) {
    let all = reply.everything().to_lowercase();
    let authority = |url: String| url.strip_prefix("http://").unwrap().to_owned();
    let (upstream, cdn) = (authority(hub.mock.url()), authority(hub.mock.cdn_url()));
    // The planted hash is of no file.
    let planted = "f".repeat(64);
    for trace in [
        upstream.as_str(),
        cdn.as_str(),
        planted.as_str(),
        "xethub",
        "canary",
        "huggingface.co/api",
        "signature=",
        "key-pair-id",
        "modelhub-base",
        "mock-xet-token",
    ] {
        assert!(!all.contains(trace), "{what}: `{trace}` in\n{}", all.chars().take(3000).collect::<String>());
    }
    let location = reply.header("location");
    assert!(location.is_empty() || location.starts_with('/'), "{what} leads to {location}");
}

/// Any mention of Xet.
fn assert_no_xet(what: &str, reply: &Reply) {
    let all = reply.everything().to_lowercase();
    for trace in ["xethash", "x-xet", "xet-auth", "xet-reconstruction", "casurl", "xet/v"] {
        assert!(!all.contains(trace), "{what}: `{trace}` in\n{}", all.chars().take(3000).collect::<String>());
    }
}

/// Each value of a key, wherever it stands.
fn values<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if name == key {
                    found.push(value);
                }
                values(value, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| values(item, key, found)),
        _ => {}
    }
}

/// What is said of Xet is a hash that upstream named for a file, or an address of this hub.
fn assert_xet_leads_here(hub: &TestHub, hashes: &BTreeSet<String>, what: &str, reply: &Reply) {
    let is_ours = |url: &str| url == hub.url() || url.starts_with(&format!("{}/", hub.url()));
    let is_known = |hash: &str| hashes.contains(hash);
    for (name, value) in &reply.headers {
        let value = value.to_str().unwrap();
        match name.as_str() {
            "x-xet-hash" => assert!(is_known(value), "{what}: {name}: {value}"),
            "x-xet-refresh-route" | "x-xet-cas-url" => assert!(is_ours(value), "{what}: {name}: {value}"),
            "x-xet-access-token" | "x-xet-token-expiration" => {}
            "link" => {
                let targets = value.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
                for target in targets {
                    assert!(is_ours(target), "{what}: {name}: {value}");
                }
            }
            other => assert!(!other.contains("xet"), "{what}: a header {other} that nobody knows"),
        }
    }
    let Ok(json) = serde_json::from_slice::<Value>(&reply.body) else { return };
    for (key, is_right) in [
        ("xetHash", &is_known as &dyn Fn(&str) -> bool),
        ("casUrl", &is_ours),
        ("url", &|url: &str| !url.contains("://") || is_ours(url)),
    ] {
        let mut found = Vec::new();
        values(&json, key, &mut found);
        for value in found {
            assert!(value.as_str().is_some_and(is_right), "{what}: {key}: {value}");
        }
    }
    for key in ["xetEnabled", "xetRefreshRoute"] {
        let mut found = Vec::new();
        values(&json, key, &mut found);
        assert!(found.is_empty(), "{what}: {key}");
    }
}

/// The Xet hashes that upstream has for files.
async fn upstreams_hashes(hub: &TestHub) -> BTreeSet<String> {
    let url = format!("{}/api/models/org/model/tree/main?recursive=true", hub.mock.url());
    let tree = hub.client.call("GET", &url, &[], "").await.json();
    let mut found = Vec::new();
    values(&tree, "xetHash", &mut found);
    found.iter().map(|hash| hash.as_str().unwrap().to_owned()).collect()
}

/// Asks for all there is, as everybody, cold and warm, and shows each answer to `check`.
async fn ask_all(hub: &TestHub, check: impl Fn(&str, Option<&str>, &Reply)) {
    let commit = hub.commit_of("main").await;
    for round in ["cold", "warm"] {
        for route in routes(&commit) {
            for token in [None, Some(TOKEN_BOB), Some(TOKEN_ALICE)] {
                for method in ["HEAD", "GET"] {
                    let bearer = token.map(|token| format!("Bearer {token}")).unwrap_or_default();
                    let headers =
                        [("accept", "application/vnd.xet-fileinfo+json, */*"), ("authorization", bearer.as_str())];
                    let headers = if token.is_some() { &headers[..] } else { &headers[..1] };
                    let reply = hub.client.call(method, &hub.at(&route), headers, "").await;
                    assert!(reply.status != 500, "{round} {method} {route}: {:?}", reply.error());
                    check(&format!("{round} {method} {route} {token:?}"), token, &reply);
                }
            }
        }
    }
    for expand in ["true", "false"] {
        let form = format!("paths=model.safetensors&paths=sub&expand={expand}");
        for id in ["org/model", "org/gated"] {
            let path = format!("/api/models/{id}/paths-info/main");
            let reply = hub.post(&path, "application/x-www-form-urlencoded", &form).await;
            assert_eq!(reply.status, 200);
            check(&format!("{path} {form}"), None, &reply);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_names_upstream_its_cdn_or_its_xet_store() {
    let hub = planted("true").await;
    let hashes = upstreams_hashes(&hub).await;
    ask_all(&hub, |what, token, reply| {
        assert_here(&hub, what, reply);
        assert_xet_leads_here(&hub, &hashes, what, reply);
        let may = token == Some(TOKEN_ALICE);
        if !may && (what.contains("org/gated") || what.contains("org/private")) {
            assert_no_xet(what, reply);
        }
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_serving_it_no_answer_has_a_trace_of_xet() {
    let hub = planted("false").await;
    ask_all(&hub, |what, _, reply| {
        assert_here(&hub, what, reply);
        assert_no_xet(what, reply);
    })
    .await;
    hub.finish().await;
}

#[tokio::test]
async fn reconstructions_and_xorbs_lead_nowhere_else() {
    let hub = planted("true").await;
    let hashes = upstreams_hashes(&hub).await;
    for (kind, prefix) in [("models", ""), ("datasets", "datasets/"), ("spaces", "spaces/"), ("kernels", "kernels/")] {
        let file = hub.head(&format!("/{prefix}org/model/resolve/main/model.safetensors")).await;
        let token = hub.get(&format!("/api/{kind}/org/model/xet-read-token/main")).await;
        let bearer = format!("Bearer {}", token.header("x-xet-access-token"));
        for version in ["v1", "v2"] {
            let path = format!("/xet/{version}/reconstructions/{}", file.header("x-xet-hash"));
            for range in ["bytes=0-", "bytes=9-99", "bytes=99999999-"] {
                let reply = hub.get_with(&path, &[("authorization", &bearer), ("range", range)]).await;
                assert_here(&hub, &path, &reply);
                assert_xet_leads_here(&hub, &hashes, &path, &reply);
                let json = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
                let mut urls = Vec::new();
                values(&json, "url", &mut urls);
                assert_eq!(urls.is_empty(), reply.status == 416, "{path} {range}");
                for url in urls {
                    for method in ["HEAD", "GET"] {
                        let xorb = hub.client.call(method, url.as_str().unwrap(), &[], "").await;
                        assert_eq!(xorb.status, 200);
                        assert_here(&hub, &path, &Reply { body: Vec::new(), ..xorb });
                    }
                }
                let refused = hub.get(&path).await;
                assert_here(&hub, &path, &refused);
            }
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn the_planted_traces_are_really_there_upstream() {
    // The scan above means something only if upstream says what is looked for.
    let hub = planted("true").await;
    let tree =
        hub.client.call("GET", &format!("{}/api/models/org/model/tree/main?limit=1", hub.mock.url()), &[], "").await;
    assert!(tree.header("link").contains(&hub.mock.url()));
    let masked = format!("{}/api/models/org/gated/tree/main", hub.mock.url());
    assert!(hub.client.call("GET", &masked, &[], "").await.text().contains(&"*".repeat(64)));
    assert!(!upstreams_hashes(&hub).await.is_empty());
    let info = hub.client.call("GET", &format!("{}/api/models/org/model?blobs=true", hub.mock.url()), &[], "").await;
    assert!(info.text().contains("xetHash") && info.text().contains(&hub.mock.cdn_url()));
    let file =
        hub.client.call("HEAD", &format!("{}/org/model/resolve/main/model.safetensors", hub.mock.url()), &[], "").await;
    assert!(!file.header("x-xet-hash").is_empty() && file.header("location").contains("Signature="));
    assert!(file.header("link").contains("canary"));
    hub.finish().await;
}

#[tokio::test]
async fn without_serving_it_a_client_that_asks_for_xet_gets_the_file() {
    let hub = TestHub::builder().set("xet.serve", "false").repo(of(Kind::Model, "org/model")).start().await;
    let headers = [("accept", "application/vnd.xet-fileinfo+json, */*"), ("range", "bytes=0-0")];
    let reply = hub.get_with("/org/model/resolve/main/model.safetensors", &headers).await;
    reply.assert_is(206, &weights().read_range(0, 1));
    assert_eq!(reply.header("content-type"), "application/octet-stream");
    hub.finish().await;
}
