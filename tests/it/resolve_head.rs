//! HEAD of files: what clients decide their caches by.

use mock_hf::{Kind, Repo};

use crate::harness::repos::{CONFIG, ODD_NAMES, content_of, encoded, git_oid, model, of, quoted, weights};
use crate::harness::{Reply, TestHub};

async fn hub() -> TestHub {
    TestHub::builder().repo(model()).start().await
}

/// No redirect, no coding; what every answer about a file has. What it says of Xet is in `xet::offer`.
#[track_caller]
fn assert_file(reply: &Reply, commit: &str, etag: &str, size: u64) {
    assert_eq!(reply.status, 200, "{:?}", reply.headers);
    assert_eq!(reply.header("x-repo-commit"), commit);
    assert_eq!(reply.header("etag"), quoted(etag));
    assert_eq!(reply.header("content-length"), size.to_string());
    assert_eq!(reply.header("accept-ranges"), "bytes");
    assert_eq!(reply.header("vary"), "Authorization");
    assert!(!reply.header("x-request-id").is_empty());
    assert!(!reply.header("content-type").is_empty());
    for absent in ["location", "content-encoding", "transfer-encoding", "content-range", "set-cookie"] {
        assert_eq!(reply.header(absent), "", "{absent}");
    }
}

#[tokio::test]
async fn head_of_an_lfs_file_has_the_complete_header_set() {
    let hub = hub().await;
    let commit = hub.commit_of("main").await;
    let reply = hub.head("/org/model/resolve/main/model.safetensors").await;
    assert_file(&reply, &commit, &weights().sha256(), weights().size());
    assert_eq!(reply.header("x-linked-etag"), quoted(&weights().sha256()));
    assert_eq!(reply.header("x-linked-size"), weights().size().to_string());
    assert_eq!(reply.header("content-type"), "application/octet-stream");
    let disposition = "inline; filename*=UTF-8''model.safetensors; filename=\"model.safetensors\";";
    assert_eq!(reply.header("content-disposition"), disposition);
    assert_eq!(reply.body, b"");
    hub.finish().await;
}

#[tokio::test]
async fn head_of_a_git_file_has_the_git_id_as_etag_and_nothing_linked() {
    let hub = hub().await;
    let commit = hub.commit_of("main").await;
    let reply = hub.head("/org/model/resolve/main/config.json").await;
    assert_file(&reply, &commit, &git_oid(CONFIG), CONFIG.len() as u64);
    assert_eq!((reply.header("x-linked-etag"), reply.header("x-linked-size")), ("", ""));
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    hub.finish().await;
}

#[tokio::test]
async fn every_kind_of_revision_leads_to_its_commit() {
    let hub = hub().await;
    let main = hub.commit_of("main").await;
    let pr_head = hub.commit_of("refs%2Fpr%2F1").await;
    assert_ne!(main, pr_head);
    for (revision, commit) in [
        ("main", &main),
        ("dev", &main),
        ("feature%2Fx", &main),
        ("v1.0", &main),
        (main.as_str(), &main),
        (&main[..7], &main),
        ("refs%2Fpr%2F1", &pr_head),
        ("refs/pr/1", &pr_head),
        ("HEAD", &main),
    ] {
        let reply = hub.head(&format!("/org/model/resolve/{revision}/config.json")).await;
        assert_file(&reply, commit, &git_oid(CONFIG), CONFIG.len() as u64);
    }
    let pr = hub.get("/org/model/resolve/refs%2Fpr%2F1/pr-1.md").await;
    assert_eq!((pr.status, pr.header("x-repo-commit")), (200, pr_head.as_str()));
    let converted = hub.commit_of("refs%2Fconvert%2Fparquet").await;
    for revision in ["refs/convert/parquet", "refs%2Fconvert%2Fparquet"] {
        let reply = hub.head(&format!("/org/model/resolve/{revision}/default/train/0000.parquet")).await;
        assert_eq!((reply.status, reply.header("x-repo-commit")), (200, converted.as_str()), "{revision}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn one_segment_ids_and_every_kind_have_files_too() {
    let hub = TestHub::builder()
        .repo(Repo::model("gpt2").file("config.json", CONFIG))
        .repo(of(Kind::Dataset, "org/data"))
        .repo(Repo::dataset("squad").file("config.json", CONFIG))
        .repo(of(Kind::Space, "org/space"))
        .repo(of(Kind::Kernel, "org/kernel"))
        .start()
        .await;
    for repo in ["gpt2", "datasets/org/data", "datasets/squad", "spaces/org/space", "kernels/org/kernel"] {
        let reply = hub.head(&format!("/{repo}/resolve/main/config.json")).await;
        assert_eq!((reply.status, reply.header("etag")), (200, quoted(&git_oid(CONFIG)).as_str()), "{repo}");
    }
    // The kinds are name spaces of their own.
    assert_eq!(hub.head("/org/data/resolve/main/config.json").await.status, 401);
    hub.finish().await;
}

#[tokio::test]
async fn any_legal_file_name_is_found_and_named_in_the_disposition() {
    let hub = hub().await;
    for name in ODD_NAMES {
        let reply = hub.get(&format!("/org/model/resolve/main/{}", encoded(name))).await;
        reply.assert_is(200, content_of(name).as_bytes());
        let file_name = name.rsplit('/').next().unwrap();
        let disposition = reply.header("content-disposition");
        assert!(disposition.contains(&format!("filename*=UTF-8''{}", encoded(file_name))), "{disposition}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let hub = hub().await;
    let commit = hub.commit_of("main").await;
    let reply = hub.head("/org/model/resolve/main/empty.txt").await;
    assert_file(&reply, &commit, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", 0);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let reply = hub.head("/org/model/resolve/main/empty.bin").await;
    assert_file(&reply, &commit, empty, 0);
    assert_eq!(reply.header("x-linked-size"), "0");
    hub.finish().await;
}

#[tokio::test]
async fn head_starts_no_download() {
    let hub = hub().await;
    for _ in 0..2 {
        assert_eq!(hub.head("/org/model/resolve/main/model.safetensors").await.status, 200);
        assert_eq!(
            hub.head_with("/org/model/resolve/main/model.safetensors", &[("range", "bytes=0-0")]).await.status,
            200
        );
    }
    assert_eq!((hub.flights(), hub.mock.stats().cdn_calls), (0, 0));
    hub.finish().await;
}

#[tokio::test]
async fn the_second_head_is_a_hit_and_asks_nobody() {
    let mut hub = hub().await;
    assert_eq!(hub.head("/org/model/resolve/main/config.json").await.served(), "miss");
    hub.allow_upstream_calls(0);
    // Another file of the same commit: its tree is here.
    for file in ["config.json", "README.md", "model.safetensors"] {
        assert_eq!(hub.head(&format!("/org/model/resolve/main/{file}")).await.served(), "hit", "{file}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn paths_that_leave_the_repository_are_no_files() {
    let hub = hub().await;
    for target in [
        "/org/model/resolve/main/../../etc/passwd",
        "/org/model/resolve/main/..%2f..%2fetc/passwd",
        "/org/model/resolve/main/%2e%2e/config.json",
        "/org/model/resolve/main//etc/passwd",
        "/org/model/resolve/main/a%00b",
        "/org/model/resolve/main/a%5c..%5cb",
        "/org/model/resolve/..%2f../config.json",
        "/org/..%2fmodel/resolve/main/config.json",
    ] {
        let answer = crate::harness::http::raw(hub.url(), target).await;
        let status = answer.split(' ').nth(1).unwrap();
        assert!(["400", "401", "404"].contains(&status), "{target}: {answer}");
        assert!(
            !hub.mock.requests().iter().any(|line| line.path.contains("..") || line.path.contains("passwd")),
            "{target}"
        );
    }
    hub.finish().await;
}

/// RFC 9110, 8.6: what GET would say, or nothing.
#[tokio::test]
async fn no_length_is_given_that_get_does_not_have() {
    let hub = hub().await;
    let etag = hub.head("/org/model/resolve/main/config.json").await.header("etag").to_owned();
    for path in ["/org/model/resolve/main/absent", "/org/none/resolve/main/x", "/api/models/org/model/tree/main", "/"] {
        let (head, get) = (hub.head(path).await, hub.get(path).await);
        assert_eq!(head.status, get.status, "{path}");
        let length = head.header("content-length");
        assert!(length.is_empty() || length == get.body.len().to_string(), "{path}: {length}");
    }
    for _ in 0..2 {
        let url = hub.at("/org/model/resolve/main/config.json");
        let reply = hub.client.call("HEAD", &url, &[("if-none-match", &etag)], "").await;
        assert_eq!((reply.status, reply.header("content-length")), (304, CONFIG.len().to_string().as_str()));
    }
    hub.finish().await;
}
