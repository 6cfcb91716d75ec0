//! `resolve`, `resolve-cache`, `raw` and the CDN.

use mock_hf::{Content, MockHf, Options, Repo};

use crate::support::{SIZE, get, get_with, head, hub, noise, signed};

#[tokio::test]
async fn small_file_is_redirected_relatively_and_the_target_has_the_bytes() {
    let hub = hub().await;
    let answer = head(&format!("{}/org/name/resolve/main/config.json", hub.url())).await;
    let oid = format!("\"{}\"", Content::from("{\"a\": 1}\n").git_oid());
    assert_eq!((answer.status, answer.header("x-linked-etag")), (307, oid.as_str()));
    let location = answer.header("location");
    assert!(location.starts_with("/api/resolve-cache/models/org/name/"), "{location}");

    let url = format!("{}{location}", hub.url());
    let answer = get_with(&url, &[("accept-encoding", "identity")]).await;
    assert_eq!((answer.status, answer.text().as_str(), answer.header("etag")), (200, "{\"a\": 1}\n", oid.as_str()));
    assert_eq!((answer.header("content-length"), answer.header("x-repo-commit").len()), ("9", 40));
    assert_eq!(get_with(&url, &[("if-none-match", &oid)]).await.status, 304);
    assert_eq!(get_with(&url, &[("range", "bytes=2-2")]).await.text(), "a");
    assert_eq!(get_with(&url, &[("range", "bytes=9-")]).await.status, 416);
}

#[tokio::test]
async fn text_comes_as_gzip_and_chunked_to_who_accepts_it() {
    let hub = hub().await;
    let location =
        head(&format!("{}/org/name/resolve/main/config.json", hub.url())).await.header("location").to_owned();
    let answer = get_with(&format!("{}{location}", hub.url()), &[("accept-encoding", "gzip, deflate")]).await;
    assert_eq!((answer.header("content-encoding"), answer.header("content-length")), ("gzip", ""));
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    assert!(answer.body.starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn lfs_file_is_redirected_to_the_cdn_which_knows_another_etag() {
    let hub = hub().await;
    let answer = head(&format!("{}/org/name/resolve/main/sub/model.safetensors", hub.url())).await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("x-linked-etag"), format!("\"{}\"", noise().sha256()));
    assert_eq!(answer.header("x-linked-size"), SIZE.to_string());
    assert_ne!(answer.header("content-length"), SIZE.to_string());
    assert!(answer.header("link").contains("canary.invalid/v1/reconstructions/"));
    let location = answer.header("location");
    assert!(location.starts_with(&hub.cdn_url()));

    let body = get(location).await;
    assert_eq!((body.status, body.body.len() as u64), (200, SIZE));
    assert_eq!(body.body, noise().read_all());
    assert_eq!(body.header("etag"), format!("\"{}\"", answer.header("x-xet-hash")));
    let part = get_with(location, &[("range", "bytes=1048570-1048580")]).await;
    assert_eq!((part.status, part.header("content-range")), (206, "bytes 1048570-1048580/3145728"));
    assert_eq!(part.body, noise().read_range(1_048_570, 11));
    let stale = get_with(location, &[("range", "bytes=0-0"), ("if-range", "\"other\"")]).await;
    assert_eq!(stale.status, 200);
    assert_eq!(hub.stats().cdn_body_bytes, 2 * SIZE + 11);
}

#[tokio::test]
async fn signed_url_is_refused_when_it_expired_or_was_changed() {
    let hub = hub().await;
    let url = signed(&hub, "sub/model.safetensors").await;
    assert_eq!(get(&url.replace("Signature=", "Signature=0")).await.status, 403);
    assert_eq!(head(&url).await.status, 200);
    hub.expire_urls();
    assert_eq!(get(&url).await.status, 403);
    assert_eq!(head(&signed(&hub, "sub/model.safetensors").await).await.status, 200);
}

#[tokio::test]
async fn xet_clients_get_file_info_when_they_ask_for_it() {
    let hub = hub().await;
    let url = format!("{}/org/name/resolve/main/sub/model.safetensors", hub.url());
    let answer = get_with(&url, &[("accept", "application/vnd.xet-fileinfo+json, */*")]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/vnd.xet-fileinfo+json"));
    assert_eq!(answer.json()["hash"], answer.header("x-xet-hash"));
    let hub = MockHf::start_with(Options { xet: false, ..Options::default() }).await.unwrap();
    hub.put(Repo::model("org/name").lfs("sub/model.safetensors", noise()));
    let answer = head(&format!("{}/org/name/resolve/main/sub/model.safetensors", hub.url())).await;
    assert_eq!((answer.header("x-xet-hash"), answer.header("link")), ("", ""));
}

#[tokio::test]
async fn raw_of_an_lfs_file_is_the_pointer() {
    let hub = hub().await;
    let answer = get(&format!("{}/org/name/raw/main/sub/model.safetensors", hub.url())).await;
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {SIZE}\n", noise().sha256());
    assert_eq!(answer.text(), pointer);
    assert_eq!(answer.header("etag"), format!("\"{}\"", Content::from(pointer).git_oid()));
}

#[tokio::test]
async fn revisions_and_ids_of_every_form_resolve() {
    let hub = MockHf::start_with(Options { redirect_small: false, ..Options::default() }).await.unwrap();
    let file = |repo: Repo| repo.file("a b#.txt", "x").file("d/resolve/e.txt", "y");
    let commit = hub.put(file(Repo::model("org/name")).tag("v1").branch("dev").pr(3).convert("parquet"));
    hub.put(file(Repo::model("one")));
    hub.put(file(Repo::model("org/resolve")));
    hub.put(file(Repo::dataset("org/name")));
    for path in [
        "org/name/resolve/HEAD/a%20b%23.txt",
        "org/name/resolve/v1/d/resolve/e.txt",
        "org/name/resolve/dev/d%2Fresolve%2Fe.txt",
        &format!("org/name/resolve/{commit}/a%20b%23.txt"),
        &format!("org/name/resolve/{}/a%20b%23.txt", &commit[..7]),
        "org/name/resolve/refs%2Fpr%2F3/pr-3.md",
        "org/name/resolve/refs/pr/3/pr-3.md",
        "one/resolve/main/a%20b%23.txt",
        "org/resolve/resolve/main/d/resolve/e.txt",
        "datasets/org/name/resolve/main/a%20b%23.txt",
        "ORG/Name/resolve/main/a%20b%23.txt",
    ] {
        assert_eq!(get(&format!("{}/{path}", hub.url())).await.status, 200, "{path}");
    }
    let convert =
        get(&format!("{}/org/name/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet", hub.url())).await;
    assert_eq!(convert.status, 302);
    for path in
        ["org/name/resolve/abcdef0/a", "org/name/resolve/main/..%2Fx", &format!("one/resolve/{}/x", &commit[..6])]
    {
        assert!(matches!(get(&format!("{}/{path}", hub.url())).await.status, 400 | 404), "{path}");
    }
}

#[tokio::test]
async fn sparse_file_of_a_terabyte_costs_nothing() {
    let hub = hub().await;
    let size = 1 << 40;
    hub.put(Repo::model("org/name").lfs("huge.bin", Content::Sparse { size }));
    let url = signed(&hub, "huge.bin").await;
    assert_eq!(head(&url).await.header("content-length"), size.to_string());
    assert_eq!(get_with(&url, &[("range", "bytes=-4")]).await.body, [0; 4]);
}
