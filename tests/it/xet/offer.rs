//! How Xet is offered to clients, in headers and listings, and how it is not.

use std::fs::File;
use std::io::Write as _;

use mock_hf::{Content, Options, Repo};
use modelhub::blob::XetHasher;
use modelhub::hub::ImportRequest;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::client::{Xet, is_hash};
use super::{PATH, REPO, SIZE, TREE, big, get_all, offered, repo};
use crate::harness::listing::entry;
use crate::harness::{Reply, TestHub};

const XET_INFO: &str = "application/vnd.xet-fileinfo+json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The target of a `Link` header with this relation.
fn link<'a>(reply: &'a Reply, relation: &str) -> &'a str {
    let links = reply.header("link");
    let of = |link: &'a str| {
        link.trim().strip_suffix(&format!("; rel=\"{relation}\""))?.strip_prefix('<')?.strip_suffix('>')
    };
    links.split(',').find_map(of).unwrap_or_else(|| panic!("no {relation} in {links}"))
}

fn has_no_offer(reply: &Reply) -> bool {
    let all = reply.everything().to_lowercase();
    !all.contains("x-xet") && !all.contains("xethash") && !all.contains("xet-") && reply.header("link").is_empty()
}

#[tokio::test]
async fn a_file_that_was_imported_is_offered_by_its_true_hash_and_comes_by_it() {
    let hub = TestHub::builder().start().await;
    let disk = tempfile::tempdir().unwrap();
    let folder = disk.path().join("org/big");
    std::fs::create_dir_all(&folder).unwrap();
    File::create(folder.join("big.bin")).unwrap().write_all(&big().read_all()).unwrap();
    File::create(folder.join("config.json")).unwrap().write_all(b"{}").unwrap();
    let mut hasher = XetHasher::default();
    hasher.update(&big().read_all());
    let hash = hasher.finish().to_string();
    // The second time nothing is read.
    for (hashed, unchanged) in [(2, 0), (0, 2)] {
        let request = ImportRequest::new(disk.path());
        let report = hub.hub().models.import(request, &|_| (), CancellationToken::new()).await.unwrap();
        assert_eq!((report.attached, report.hashed, report.unchanged), (2, hashed, unchanged), "{report:#?}");
        assert_eq!(offered(&hub, PATH).await, hash);
        assert_eq!(entry(&hub.get(TREE).await.json(), "big.bin")["xetHash"], hash);
        assert!(get_all(&hub).await == big().read_all());
    }
    assert!(has_no_offer(&hub.head("/org/big/resolve/main/config.json").await));
    hub.finish().await;
}

#[tokio::test]
async fn head_tree_and_paths_info_offer_the_same_hash_and_lead_to_this_hub() {
    let hub = TestHub::builder().repo(repo().file("config.json", "{}")).start().await;
    let commit = hub.head(PATH).await.header("x-repo-commit").to_owned();
    for path in [PATH.to_owned(), format!("/org/big/resolve/{commit}/big.bin")] {
        // Cold, from memory, and of a file that is here.
        for _ in 0..3 {
            let reply = hub.head(&path).await;
            let hash = reply.header("x-xet-hash").to_owned();
            assert!(is_hash(&hash), "{hash}");
            let refresh = format!("{}/api/{REPO}/xet-read-token/{commit}", hub.url());
            assert_eq!(
                (link(&reply, "xet-auth"), reply.header("x-xet-refresh-route")),
                (refresh.as_str(), refresh.as_str())
            );
            let info = format!("{}/xet/v1/reconstructions/{hash}", hub.url());
            assert_eq!(link(&reply, "xet-reconstruction-info"), info);
            assert_eq!(hub.client.call("GET", &refresh, &[], "").await.status, 200);
            assert_eq!(entry(&hub.get(TREE).await.json(), "big.bin")["xetHash"], hash);
            assert!(get_all(&hub).await == big().read_all());
        }
    }
    let info = hub.post("/api/models/org/big/paths-info/main", FORM, "paths=big.bin&paths=config.json").await.json();
    assert_eq!(entry(&info, "big.bin")["xetHash"], offered(&hub, PATH).await);
    // Small files come by plain HTTP, as from the Hub.
    assert!(entry(&info, "config.json").get("xetHash").is_none(), "{info}");
    assert!(has_no_offer(&hub.head("/org/big/resolve/main/config.json").await));
    // An answer with the bytes offers it too: huggingface.js looks at any.
    let reply = hub.get_with(PATH, &[("range", "bytes=0-9")]).await;
    reply.assert_is(206, &big().read_range(0, 10));
    assert_eq!(reply.header("x-xet-hash"), offered(&hub, PATH).await);
    hub.finish().await;
}

#[tokio::test]
async fn the_public_address_is_used_if_there_is_one() {
    let hub = TestHub::builder().set("hub.public_url", "https://models.example.org/hf/").repo(repo()).start().await;
    let base = "https://models.example.org/hf";
    let head = hub.head(PATH).await;
    let again = hub.head(PATH).await;
    for reply in [&head, &again] {
        assert!(link(reply, "xet-auth").starts_with(&format!("{base}/api/models/org/big/xet-read-token/")));
        assert!(link(reply, "xet-reconstruction-info").starts_with(&format!("{base}/xet/v1/reconstructions/")));
    }
    let file = head.header("x-xet-hash");
    let token = hub.get(&format!("/api/{REPO}/xet-read-token/main")).await;
    assert_eq!(
        (token.header("x-xet-cas-url"), &token.json()["casUrl"]),
        ("https://models.example.org/hf/xet", &json!(format!("{base}/xet")))
    );
    let bearer = format!("Bearer {}", token.header("x-xet-access-token"));
    let path = format!("/xet/v2/reconstructions/{file}");
    let recipe = hub.get_with(&path, &[("authorization", &bearer), ("range", "bytes=1-")]).await;
    let recipe = super::client::Recipe::read(&recipe.json(), 2, base);
    let here = recipe.terms[0].url.replace(base, hub.url());
    assert_eq!(hub.client.call("HEAD", &here, &[], "").await.status, 200);
    hub.finish().await;
}

#[tokio::test]
async fn behind_a_proxy_with_tls_addresses_begin_with_https() {
    let hub = TestHub::builder().repo(repo()).start().await;
    let here = hub.url().replace("http://", "https://");
    let headers = [("x-forwarded-proto", "https")];
    for _ in 0..2 {
        let head = hub.head_with(PATH, &headers).await;
        assert!(link(&head, "xet-auth").starts_with(&here) && head.header("x-xet-refresh-route").starts_with(&here));
    }
    let token = hub.get_with(&format!("/api/{REPO}/xet-read-token/main"), &headers).await;
    assert_eq!(token.header("x-xet-cas-url"), format!("{here}/xet"));
    let bearer = format!("Bearer {}", token.header("x-xet-access-token"));
    let path = format!("/xet/v2/reconstructions/{}", offered(&hub, PATH).await);
    let asked = [headers[0], ("authorization", bearer.as_str()), ("range", "bytes=1-")];
    super::client::Recipe::read(&hub.get_with(&path, &asked).await.json(), 2, &here);
    // Another client of the same hub is not led there.
    assert!(hub.head(PATH).await.header("x-xet-refresh-route").starts_with(hub.url()));
    hub.finish().await;
}

#[tokio::test]
async fn huggingface_js_asks_for_information_and_gets_it() {
    let hub = TestHub::builder().repo(repo().file("config.json", "{}")).start().await;
    let accept = format!("{XET_INFO}, */*");
    let headers = [("accept", accept.as_str()), ("range", "bytes=0-0")];
    for _ in 0..2 {
        let reply = hub.get_with(PATH, &headers).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, XET_INFO));
        assert_eq!(reply.header("x-linked-size"), SIZE.to_string());
        assert_eq!(reply.header("x-linked-etag"), format!("\"{}\"", big().sha256()));
        assert_eq!(reply.header("content-range"), "");
        let hash = reply.header("x-xet-hash");
        let etag = format!("\"{}\"", big().sha256());
        assert_eq!(reply.json(), json!({"hash": hash, "size": SIZE, "etag": etag}));
        // As it goes on: with these two addresses and nothing else.
        let token = hub.client.call("GET", link(&reply, "xet-auth"), &[], "").await.json();
        let bearer = format!("Bearer {}", token["accessToken"].as_str().unwrap());
        let url = link(&reply, "xet-reconstruction-info");
        let recipe = hub.client.call("GET", url, &[("authorization", &bearer)], "").await;
        let recipe = super::client::Recipe::read(&recipe.json(), 1, hub.url());
        assert!(Xet::from(&hub).assemble(&recipe, SIZE).await == big().read_all());
    }
    // It looks at small files in the same way.
    let small = hub.get_with("/org/big/resolve/main/config.json", &headers).await;
    small.assert_is(206, b"{");
    assert_eq!(small.header("content-range"), "bytes 0-0/2");
    hub.finish().await;
}

#[tokio::test]
async fn content_without_a_hash_of_upstream_is_offered_when_it_is_here() {
    let options = || Options { xet: false, ..Options::default() };
    let hub = TestHub::builder().options(options()).repo(repo()).start().await;
    for reply in [hub.head(PATH).await, hub.get(TREE).await, hub.head(PATH).await] {
        assert!(reply.status == 200 && has_no_offer(&reply), "{}", reply.everything());
    }
    let info = hub.get_with(PATH, &[("accept", XET_INFO), ("range", "bytes=0-0")]).await;
    info.assert_is(206, &big().read_range(0, 1));
    hub.get(PATH).await.assert_is(200, &big().read_all());
    hub.landed().await;
    let hash = offered(&hub, PATH).await;
    assert!(is_hash(&hash), "{hash}");
    assert_eq!(entry(&hub.get(TREE).await.json(), "big.bin")["xetHash"], hash);
    hub.mock.put(Repo::dataset("org/copy").lfs("copy.bin", big()).lfs("other.bin", Content::random(3, 1000)));
    // Another repository's listing, read only now.
    assert_eq!(offered(&hub, "/datasets/org/copy/resolve/main/copy.bin").await, hash);
    assert_eq!(offered(&hub, "/datasets/org/copy/resolve/main/other.bin").await, "");
    let mut hub = hub;
    hub.allow_upstream_calls(0);
    assert!(get_all(&hub).await == big().read_all());
    let mut hub = hub.restart().await;
    hub.allow_upstream_calls(0);
    assert_eq!(offered(&hub, PATH).await, hash);
    assert!(get_all(&hub).await == big().read_all());
    hub.finish().await;

    // It is a name of the content: any hub gives the same.
    let other = TestHub::builder().options(options()).small_segments().repo(repo()).start().await;
    other.get(PATH).await.assert_is(200, &big().read_all());
    other.landed().await;
    assert_eq!(offered(&other, PATH).await, hash);
    other.finish().await;
}

#[tokio::test]
async fn with_serve_off_there_is_no_xet() {
    let hub = TestHub::builder().set("xet.serve", "false").repo(repo()).start().await;
    // Cold, and with the file here.
    for _ in 0..2 {
        for path in [PATH, TREE, "/api/models/org/big?blobs=true", "/api/models/org/big/tree/main?expand=true"] {
            assert!(has_no_offer(&hub.head(path).await), "{path}");
            let reply = hub.get_with(path, &[("accept", XET_INFO), ("range", "bytes=0-9")]).await;
            assert!(reply.status < 300 && has_no_offer(&reply), "{path}");
        }
        let token = hub.get(&format!("/api/{REPO}/xet-read-token/main")).await;
        assert_eq!(token.status, 501);
        assert!(token.text().contains("HF_HUB_DISABLE_XET"), "{}", token.text());
        let hash = "0".repeat(64);
        for path in [
            format!("/xet/v1/reconstructions/{hash}"),
            format!("/xet/v2/reconstructions/{hash}"),
            format!("/xet/v1/files/{hash}"),
            format!("/xet/v1/xorbs/default/{hash}?ticket=x"),
        ] {
            assert_eq!(hub.get(&path).await.status, 404, "{path}");
            assert_eq!(hub.head(&path).await.status, 404, "{path}");
        }
        hub.get(PATH).await.assert_is(200, &big().read_all());
        hub.landed().await;
    }
    hub.finish().await;
}

#[tokio::test]
async fn what_was_handed_out_is_worth_nothing_with_serve_off() {
    let hub = TestHub::builder().repo(repo()).start().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, PATH).await);
    let grant = xet.token(REPO, None).await;
    let recipe = xet.recipe(&grant, 2, &file, None).await;
    hub.landed().await;
    let hub = hub.restart_with(&[("xet.serve", "false")]).await;
    assert!(has_no_offer(&hub.head(PATH).await) && has_no_offer(&hub.get(TREE).await));
    let bearer = format!("Bearer {}", grant.token);
    let path = format!("/xet/v2/reconstructions/{file}");
    assert_eq!(hub.get_with(&path, &[("authorization", &bearer)]).await.status, 404);
    let url = recipe.terms[0].url.replace(&xet.base, hub.url());
    assert_eq!(hub.client.call("GET", &url, &[], "").await.status, 404);
    hub.finish().await;
}

#[tokio::test]
async fn reports_are_taken_and_uploads_are_not() {
    let mut hub = TestHub::builder().repo(repo()).start().await;
    hub.allow_upstream_calls(0);
    let report = hub.post("/v1/telemetry", "application/json", "{\"speed\": 1}").await;
    assert_eq!((report.status, report.body.len()), (204, 0));
    for path in [
        "/api/models/org/big/xet-write-token/main",
        "/api/datasets/org/big/xet-write-token/main",
        "/api/buckets/org/big/xet-read-token",
        "/api/buckets/org/big/xet-write-token",
    ] {
        let reply = hub.get(path).await;
        assert_eq!(reply.status, 501, "{path}");
        assert!(reply.text().contains("to upstream"), "{}", reply.text());
    }
    for path in [format!("/xet/v1/xorbs/default/{}", "0".repeat(64)), "/xet/v1/shards".into()] {
        let reply = hub.post(&path, "application/octet-stream", "x").await;
        assert!(matches!(reply.status, 404 | 501), "{path}: {}", reply.status);
    }
    hub.finish().await;
}
