//! GET of files: the bytes, with the headers of HEAD; `raw` and `resolve-cache`.

use crate::harness::TestHub;
use crate::harness::repos::{CONFIG, README, git_oid, model, pointer, quoted, weights};
use crate::harness::store;

async fn hub() -> TestHub {
    TestHub::builder().repo(model()).start().await
}

const WEIGHTS: &str = "/org/model/resolve/main/model.safetensors";

#[tokio::test]
async fn get_repeats_the_headers_of_head_and_sends_the_bytes_cold_and_warm() {
    let hub = hub().await;
    for (path, bytes) in [
        (WEIGHTS, weights().read_all()),
        ("/org/model/resolve/main/config.json", CONFIG.into()),
        ("/org/model/resolve/main/empty.txt", "".into()),
    ] {
        let head = hub.head(path).await;
        for served in ["miss", "hit"] {
            let reply = hub.get(path).await;
            reply.assert_is(200, &bytes);
            assert_eq!(reply.served(), served, "{path}");
            for (name, value) in &head.headers {
                if !["x-request-id", "date", "x-modelhub-cache"].contains(&name.as_str()) {
                    assert_eq!(reply.headers.get(name), Some(value), "{path} {name}");
                }
            }
            hub.landed().await;
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_blob_is_stored_once_under_its_sha256() {
    let hub = hub().await;
    hub.get(WEIGHTS).await.assert_is(200, &weights().read_all());
    hub.landed().await;
    assert!(store::blobs(hub.data_dir()).contains(&weights().sha256()));
    assert_eq!(hub.cdn_bytes(), weights().size());
    hub.get(WEIGHTS).await.assert_is(200, &weights().read_all());
    assert_eq!(hub.cdn_bytes(), weights().size(), "the second download costs nothing");
    hub.finish().await;
}

#[tokio::test]
async fn clients_that_accept_gzip_get_identity() {
    let hub = hub().await;
    let reply = hub.get_with("/org/model/resolve/main/README.md", &[("accept-encoding", "gzip, deflate, br")]).await;
    reply.assert_is(200, README.as_bytes());
    assert_eq!(
        (reply.header("content-encoding"), reply.header("content-length")),
        ("", README.len().to_string().as_str())
    );
    // Upstream compresses text for whoever accepts it: nobody asked for that.
    let asked: Vec<_> =
        hub.mock.requests().iter().filter_map(|line| line.header("accept-encoding").map(str::to_owned)).collect();
    assert!(!asked.is_empty() && asked.iter().all(|coding| coding == "identity"), "{asked:?}");
    hub.finish().await;
}

#[tokio::test]
async fn raw_gives_the_pointer_of_an_lfs_file_and_the_bytes_of_others() {
    let hub = hub().await;
    let reply = hub.get("/org/model/raw/main/model.safetensors").await;
    reply.assert_is(200, pointer(&weights()).as_bytes());
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(reply.header("x-repo-commit"), hub.commit_of("main").await);
    assert_eq!(reply.header("x-linked-etag"), "", "the pointer is not the file");
    assert_eq!(hub.mock.stats().cdn_calls, 0);
    hub.get("/org/model/raw/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    let head = hub.head("/org/model/raw/main/model.safetensors").await;
    assert_eq!((head.status, head.header("content-length")), (200, pointer(&weights()).len().to_string().as_str()));
    hub.finish().await;
}

#[tokio::test]
async fn resolve_cache_is_resolve_at_a_commit() {
    let hub = hub().await;
    let commit = hub.commit_of("main").await;
    let reply =
        hub.get(&format!("/api/resolve-cache/models/org/model/{commit}/config.json?%2Forg=&etag=%22x%22")).await;
    reply.assert_is(200, CONFIG.as_bytes());
    assert_eq!(
        (reply.header("etag"), reply.header("x-repo-commit")),
        (quoted(&git_oid(CONFIG)).as_str(), commit.as_str())
    );
    hub.get(&format!("/api/resolve-cache/models/org/model/{commit}/model.safetensors"))
        .await
        .assert_is(200, &weights().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn the_clients_name_is_passed_on_and_its_other_headers_are_not() {
    let hub = hub().await;
    let headers =
        [("user-agent", "transformers/5.0; hf_hub/2.4.0"), ("cookie", "secret=1"), ("x-forwarded-for", "10.0.0.1")];
    hub.get_with(WEIGHTS, &headers).await.assert_is(200, &weights().read_all());
    for line in hub.mock.requests() {
        assert_eq!((line.header("cookie"), line.header("x-forwarded-for")), (None, None), "{}", line.path);
        if line.origin == mock_hf::Origin::Hub {
            assert!(line.user_agent.as_deref().unwrap().starts_with("transformers/5.0; hf_hub/2.4.0; modelhub/"));
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_branch_that_moves_during_a_run_is_one_commit_until_its_time_is_over() {
    let hub = TestHub::builder().repo(model()).manual_clock().start().await;
    let before = hub.head("/org/model/resolve/main/config.json").await;
    let moved =
        hub.mock.commit("model", "org/model", "main", vec![mock_hf::Change::put("config.json", "{\"new\": 1}\n")]);
    let listed = hub.get("/api/models/org/model/revision/main").await.json();
    let file = hub.get("/org/model/resolve/main/config.json").await;
    assert_eq!(listed["sha"], before.header("x-repo-commit"));
    file.assert_is(200, CONFIG.as_bytes());
    hub.clock.advance(std::time::Duration::from_secs(61));
    let after = hub.get("/org/model/resolve/main/config.json").await;
    after.assert_is(200, b"{\"new\": 1}\n");
    assert_eq!(after.header("x-repo-commit"), moved);
    hub.finish().await;
}
