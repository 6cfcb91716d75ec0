//! Nothing that a client sees leads past this hub: no trace of Xet, of the CDN, or of upstream.

use mock_hf::{Kind, TOKEN_ALICE};
use serde_json::json;

use crate::harness::repos::{of, weights};
use crate::harness::{Reply, TestHub};

/// A hub whose upstream names itself, its CDN and Xet wherever it can.
async fn planted() -> TestHub {
    let hub = TestHub::builder().start().await;
    let (upstream, cdn) = (hub.mock.url(), hub.mock.cdn_url());
    let trap = json!({
        "homepage": format!("{upstream}/org/model"),
        "text": format!("see {cdn}/x?a=1, or ({upstream}/y)"),
        "xetHash": "f".repeat(64),
        "list": [{"xetHash": "f".repeat(64), "url": format!("{cdn}/z")}, [format!("{upstream}")]],
    });
    for kind in [Kind::Model, Kind::Dataset, Kind::Space] {
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
    for (kind, prefix) in [("models", ""), ("datasets", "datasets/"), ("spaces", "spaces/")] {
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

fn assert_clean(hub: &TestHub, what: &str, reply: &Reply) {
    let all = reply.everything().to_lowercase();
    let authority = |url: String| url.strip_prefix("http://").unwrap().to_owned();
    let (upstream, cdn) = (authority(hub.mock.url()), authority(hub.mock.cdn_url()));
    for trace in [
        upstream.as_str(),
        cdn.as_str(),
        "xethash",
        "x-xet",
        "xet-auth",
        "xet-reconstruction",
        "casurl",
        "xethub",
        "canary",
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_names_upstream_its_cdn_or_xet() {
    let hub = planted().await;
    let commit = hub.commit_of("main").await;
    for round in ["cold", "warm"] {
        for route in routes(&commit) {
            for token in [None, Some(TOKEN_ALICE)] {
                for method in ["HEAD", "GET"] {
                    let bearer = token.map(|token| format!("Bearer {token}")).unwrap_or_default();
                    let headers =
                        [("accept", "application/vnd.xet-fileinfo+json, */*"), ("authorization", bearer.as_str())];
                    let headers = if token.is_some() { &headers[..] } else { &headers[..1] };
                    let reply = hub.client.call(method, &hub.at(&route), headers, "").await;
                    assert!(reply.status != 500, "{round} {method} {route}: {:?}", reply.error());
                    assert_clean(&hub, &format!("{round} {method} {route} {token:?}"), &reply);
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
            assert_clean(&hub, &format!("{path} {form}"), &reply);
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn the_planted_traces_are_really_there_upstream() {
    // The scan above means something only if upstream says what is looked for.
    let hub = planted().await;
    let tree =
        hub.client.call("GET", &format!("{}/api/models/org/model/tree/main?limit=1", hub.mock.url()), &[], "").await;
    assert!(tree.header("link").contains(&hub.mock.url()));
    let info = hub.client.call("GET", &format!("{}/api/models/org/model?blobs=true", hub.mock.url()), &[], "").await;
    assert!(info.text().contains("xetHash") && info.text().contains(&hub.mock.cdn_url()));
    let file =
        hub.client.call("HEAD", &format!("{}/org/model/resolve/main/model.safetensors", hub.mock.url()), &[], "").await;
    assert!(!file.header("x-xet-hash").is_empty() && file.header("location").contains("Signature="));
    hub.finish().await;
}

#[tokio::test]
async fn a_client_that_asks_for_xet_gets_the_file() {
    let hub = TestHub::builder().repo(of(Kind::Model, "org/model")).start().await;
    let headers = [("accept", "application/vnd.xet-fileinfo+json, */*"), ("range", "bytes=0-0")];
    let reply = hub.get_with("/org/model/resolve/main/model.safetensors", &headers).await;
    reply.assert_is(206, &weights().read_range(0, 1));
    assert_eq!(reply.header("content-type"), "application/octet-stream");
    hub.finish().await;
}
