//! Hugging Face caches.

use std::time::Duration;

use modelhub::hub::ProblemKind;
use serde_json::json;

use super::{Disk, at, commit, import, import_as};
use crate::harness::repos::{CONFIG, README, git_oid, model, weights};
use crate::harness::{TestHub, listing};

const REPO: &str = "models--org--model";

/// A cache that holds part of a commit of org/model.
fn cache(commit: &str) -> Disk {
    let disk = Disk::new();
    disk.write("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55");
    disk.write(&format!("{REPO}/refs/main"), commit);
    disk.write(&format!(".locks/{REPO}/abc.lock"), "");
    disk.snapshot(REPO, commit, "config.json", &git_oid(CONFIG), CONFIG);
    disk.snapshot(REPO, commit, "sub/deep/data.csv", &git_oid("a,b\n1,2\n"), "a,b\n1,2\n");
    disk.snapshot(REPO, commit, "model.safetensors", &weights().sha256(), weights());
    disk
}

async fn assert_is_served(hub: &TestHub, commit: &str) {
    for revision in ["main", commit] {
        hub.get(&format!("/org/model/resolve/{revision}/config.json")).await.assert_is(200, CONFIG.as_bytes());
        let path = format!("/org/model/resolve/{revision}/model.safetensors");
        let reply = hub.get(&path).await;
        reply.assert_is(200, &weights().read_all());
        assert_eq!(reply.header("x-repo-commit"), commit);
        assert_eq!(reply.header("etag"), format!("\"{}\"", weights().sha256()));
        assert_eq!(hub.head(&path).await.status, 200);
        let info = hub.get(&format!("/api/models/org/model/revision/{revision}")).await;
        assert_eq!((info.status, &info.json()["sha"]), (200, &json!(commit)), "{}", info.everything());
        let siblings = &info.json()["siblings"];
        assert!(listing::paths(siblings).contains(&"sub/deep/data.csv".to_owned()), "{siblings}");
        let tree = hub.get(&format!("/api/models/org/model/tree/{revision}?recursive=true&expand=false")).await;
        assert_eq!(tree.status, 200, "{}", tree.everything());
        let tree = tree.json();
        assert_eq!(listing::entry(&tree, "model.safetensors")["lfs"]["oid"], json!(weights().sha256()));
        assert_eq!(listing::entry(&tree, "config.json")["oid"], json!(git_oid(CONFIG)));
        assert_eq!(listing::entry(&tree, "sub/deep")["type"], "directory");
    }
    let refs = hub.get("/api/models/org/model/refs").await.json();
    assert_eq!(refs["branches"][0]["targetCommit"], json!(commit));
}

#[tokio::test]
async fn an_imported_cache_is_served_when_upstream_is_away() {
    let hub = TestHub::builder().manual_clock().repo(model()).start().await;
    let main = hub.commit_of("main").await;
    let disk = cache(&main);
    hub.mock.clear_log();
    let report = import(&hub, &disk).await;
    assert_eq!((report.files, report.attached, report.different, report.hashed), (3, 3, 0, 3), "{report:#?}");
    assert_eq!(report.reflinked + report.copied, 3);
    assert!(report.repos[0].known_upstream && report.problems.first.is_empty(), "{report:#?}");
    assert_eq!(hub.mock.stats().cdn_calls, 0, "nothing was downloaded");
    hub.mock.stop().await;
    for _ in 0..2 {
        assert_is_served(&hub, &main).await;
        hub.clock.advance(Duration::from_secs(7200));
    }
    // Its listing was read: what is not in it is proven absent.
    assert_eq!(hub.head("/org/model/resolve/main/absent").await.error().1, "EntryNotFound");
    hub.finish().await;
}

#[tokio::test]
async fn a_cache_that_is_imported_while_upstream_is_away_is_served_without_a_token() {
    for offline in ["true", "false"] {
        let hub = TestHub::builder().set("upstream.offline", offline).start().await;
        hub.mock.stop().await;
        let disk = cache(&commit('a'));
        disk.write(&format!("{REPO}/.no_exist/{}/adapter_config.json", commit('a')), "");
        let report = import(&hub, &disk).await;
        assert_eq!((report.attached, report.different), (3, 0), "{report:#?}");
        assert_is_served(&hub, &commit('a')).await;
        let hub = hub.restart().await;
        assert_is_served(&hub, &commit('a')).await;
        let path = |file: &str| format!("/org/model/resolve/main/{file}");
        assert_eq!(hub.head(&path("adapter_config.json")).await.error().1, "EntryNotFound");
        assert!(hub.head(&path("README.md")).await.status > 500, "nobody knows whether it has one");
        hub.finish().await;
    }
}

#[tokio::test]
async fn a_file_that_a_cache_without_a_listing_has_lost_is_named_and_refused() {
    for (offline, refusal) in [("true", 501), ("false", 504)] {
        let mut hub = TestHub::builder().set("upstream.offline", offline).start().await;
        hub.mock.stop().await;
        let disk = cache(&commit('a'));
        std::fs::remove_file(disk.path().join(format!("{REPO}/blobs/{}", weights().sha256()))).unwrap();
        // One of which nothing tells what it was, in a folder of its own.
        disk.link(&format!("{REPO}/snapshots/{}/other/weights.bin", commit('a')), "../../../blobs/W-abc");
        let (weights_at, other_at) =
            ("/org/model/resolve/main/model.safetensors", "/org/model/resolve/main/other/weights.bin");
        for _ in 0..2 {
            let report = import(&hub, &disk).await;
            assert_eq!((report.attached, report.problems.count(ProblemKind::Unreadable)), (2, 2), "{report:#?}");
            for _ in 0..2 {
                assert_eq!(hub.look("/v1/models/org/model").await["download"], "partial");
                let pending = hub.look("/v1/models/org/model/files?flat=true&download_status=pending").await;
                let pending: Vec<_> =
                    pending["files"].as_array().unwrap().iter().map(|file| &file["file_path"]).collect();
                assert_eq!(pending, ["model.safetensors", "other/weights.bin"]);
                let info = hub.get("/api/models/org/model").await.json();
                let named = listing::paths(&info["siblings"]);
                assert!(named.contains(&"model.safetensors".to_owned()), "{named:?}");
                let tree = hub.get("/api/models/org/model/tree/main?recursive=true").await.json();
                assert_eq!(listing::entry(&tree, "other/weights.bin")["type"], "file");
                assert_eq!(listing::entry(&tree, "other")["type"], "directory");
                for path in [weights_at, other_at] {
                    assert_eq!(hub.head(path).await.status, refusal, "{path}");
                    assert_eq!(hub.get(path).await.status, refusal, "{path}");
                }
                hub.get("/org/model/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
            }
            hub = hub.restart().await;
        }
        // A cache that has them is imported over it.
        disk.write(&format!("{REPO}/blobs/{}", weights().sha256()), weights());
        disk.write(&format!("{REPO}/blobs/W-abc"), "other");
        let report = import(&hub, &disk).await;
        assert_eq!((report.attached, report.different), (4, 0), "{report:#?}");
        for _ in 0..2 {
            hub.get(weights_at).await.assert_is(200, &weights().read_all());
            hub.get(other_at).await.assert_is(200, b"other");
            hub = hub.restart().await;
        }
        hub.finish().await;
    }
}

#[tokio::test]
async fn the_listing_of_the_cache_itself_proves_absence() {
    let hub = TestHub::builder().set("upstream.offline", "true").start().await;
    let disk = cache(&commit('a'));
    let (config, data) = (git_oid(CONFIG), git_oid("a,b\n1,2\n"));
    let tree = json!({"format_version": 1, "files": {
        "config.json": {"size": CONFIG.len(), "blob_id": config},
        "README.md": {"size": README.len(), "blob_id": git_oid(README)},
        "sub/deep/data.csv": {"size": 8, "blob_id": data},
        "model.safetensors": {"size": weights().size(), "blob_id": "1".repeat(40),
            "lfs_sha256": weights().sha256(), "lfs_size": weights().size(), "xet_hash": "2".repeat(64)},
    }});
    disk.write(&format!("{REPO}/trees/{}.json", commit('a')), tree.to_string().as_str());
    // The listing does not know this one, whatever the snapshot says.
    disk.snapshot(REPO, &commit('a'), "notes.txt", &git_oid("mine"), "mine");
    let report = import(&hub, &disk).await;
    assert_eq!((report.attached, report.different), (3, 1), "{report:#?}");
    assert_is_served(&hub, &commit('a')).await;
    assert_eq!(hub.head("/org/model/resolve/main/notes.txt").await.error().1, "EntryNotFound");
    assert_eq!(hub.head("/org/model/resolve/main/README.md").await.status, 501, "listed, and not here");
    hub.finish().await;
}

#[tokio::test]
async fn upstream_has_the_last_word_on_what_was_imported_without_it() {
    let hub = TestHub::builder().repo(model()).start().await;
    let main = hub.commit_of("main").await;
    let hub = hub.restart_with(&[("upstream.offline", "true")]).await;
    let disk = cache(&main);
    disk.snapshot(REPO, &main, "notes.txt", &git_oid("mine"), "mine");
    disk.snapshot(REPO, &main, "README.md", &git_oid("another"), "another");
    let report = import(&hub, &disk).await;
    assert_eq!(report.attached, 5, "{report:#?}");
    let get = async |hub: &TestHub, file: &str| hub.get(&format!("/org/model/resolve/{main}/{file}")).await;
    get(&hub, "README.md").await.assert_is(200, b"another");
    get(&hub, "notes.txt").await.assert_is(200, b"mine");

    let hub = hub.restart_with(&[("upstream.offline", "false")]).await;
    get(&hub, "README.md").await.assert_is(200, README.as_bytes());
    assert_eq!(get(&hub, "notes.txt").await.error().1, "EntryNotFound");
    assert_is_served(&hub, &main).await;
    hub.finish().await;
}

#[tokio::test]
async fn a_commit_that_upstream_does_not_have_any_more_is_served() {
    let hub = TestHub::builder().repo(model()).start().await;
    let disk = cache(&commit('a'));
    let report = import(&hub, &disk).await;
    assert_eq!((report.attached, report.repos[0].known_upstream), (3, true), "{report:#?}");
    let gone = commit('a');
    for path in ["api/models/org/model/revision/", "api/models/org/model/tree/"] {
        let reply = hub.get(&format!("/{path}{gone}")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.everything());
    }
    hub.get(&format!("/org/model/resolve/{gone}/config.json")).await.assert_is(200, CONFIG.as_bytes());
    assert_ne!(hub.head("/org/model/resolve/main/config.json").await.header("x-repo-commit"), gone, "upstream's");
    hub.finish().await;
}

#[tokio::test]
async fn what_is_private_upstream_is_for_its_readers_only() {
    let private = || model().private().reader(mock_hf::TOKEN_ALICE);
    let hub = TestHub::builder().manual_clock().repo(private()).start().await;
    let url = format!("{}/api/models/org/model", hub.mock.url());
    let bearer = format!("Bearer {}", mock_hf::TOKEN_ALICE);
    let info = hub.client.call("GET", &url, &[("authorization", &bearer)], "").await.json();
    let main = info["sha"].as_str().unwrap().to_owned();
    let disk = cache(&main);
    let path = format!("/org/model/resolve/{main}/config.json");

    // Imported without upstream: open until upstream was asked.
    let hub = hub.restart_with(&[("upstream.offline", "true")]).await;
    import(&hub, &disk).await;
    hub.get(&path).await.assert_is(200, CONFIG.as_bytes());
    let hub = hub.restart_with(&[("upstream.offline", "false")]).await;
    assert_eq!(hub.get(&path).await.status, 401);
    hub.get_as(mock_hf::TOKEN_ALICE, &path).await.assert_is(200, CONFIG.as_bytes());
    hub.finish().await;

    // Imported with upstream: never open.
    let hub = TestHub::builder().manual_clock().repo(private()).start().await;
    let report = import(&hub, &cache(&main)).await;
    assert_eq!(report.problems.count(ProblemKind::NotVisible), 1);
    assert_eq!(hub.get(&path).await.status, 401);
    hub.get_as(mock_hf::TOKEN_ALICE, &path).await.assert_is(200, CONFIG.as_bytes());
    hub.finish().await;
}

#[tokio::test]
async fn a_cache_of_windows_has_files_in_place_of_links() {
    let hub = TestHub::builder().repo(model()).start().await;
    let main = hub.commit_of("main").await;
    // Without the right to make links huggingface_hub moves the blob into the snapshot.
    let disk = Disk::new();
    disk.write(&format!("{REPO}/refs/main"), main.as_str());
    disk.write(&format!("{REPO}/snapshots/{main}/config.json"), CONFIG);
    disk.write(&format!("{REPO}/snapshots/{main}/sub/deep/data.csv"), "a,b\n1,2\n");
    disk.write(&format!("{REPO}/snapshots/{main}/model.safetensors"), weights());
    let report = import(&hub, &disk).await;
    assert_eq!((report.attached, report.different), (3, 0), "{report:#?}");
    hub.mock.stop().await;
    for _ in 0..2 {
        assert_is_served(&hub, &main).await;
    }
    hub.finish().await;
    // Nobody says what its files have to be; they are what they are.
    let mut hub = TestHub::builder().set("upstream.offline", "true").start().await;
    for _ in 0..2 {
        let report = import(&hub, &disk).await;
        assert_eq!((report.attached, report.different), (3, 0), "{report:#?}");
        hub.get("/org/model/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
        hub.get("/org/model/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
        hub = hub.restart().await;
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_file_that_is_not_what_upstream_lists_is_not_attached() {
    let hub = TestHub::builder().repo(model()).start().await;
    let main = hub.commit_of("main").await;
    let disk = cache(&main);
    // Real files instead of links, as on Windows: another content, and one of the same size.
    disk.write(&format!("{REPO}/snapshots/{main}/README.md"), "something else");
    disk.write(&format!("{REPO}/snapshots/{main}/empty.txt"), "");
    disk.write(&format!("{REPO}/snapshots/{main}/extra.txt"), "extra");
    std::fs::remove_file(disk.path().join(format!("{REPO}/snapshots/{main}/sub/deep/data.csv"))).unwrap();
    disk.write(&format!("{REPO}/snapshots/{main}/sub/deep/data.csv"), "a,b\n1,3\n");
    let report = import(&hub, &disk).await;
    assert_eq!((report.attached, report.different), (3, 3), "{report:#?}");
    assert_eq!(report.problems.count(ProblemKind::Different), 3);
    hub.get("/org/model/resolve/main/README.md").await.assert_is(200, README.as_bytes());
    hub.get("/org/model/resolve/main/sub/deep/data.csv").await.assert_is(200, b"a,b\n1,2\n");
    assert_eq!(hub.get("/org/model/resolve/main/extra.txt").await.status, 404);
    hub.finish().await;
}

#[tokio::test]
async fn wrong_content_under_a_right_name_is_not_served() {
    let hub = TestHub::builder().set("upstream.offline", "true").start().await;
    let disk = Disk::new();
    let main = commit('a');
    disk.write(&format!("{REPO}/refs/main"), main.as_str());
    disk.snapshot(REPO, &main, "README.md", &git_oid(README), README);
    disk.snapshot(REPO, &main, "config.json", &git_oid(CONFIG), "{\"model_type\": \"wrong\"}\n");
    let mut wrong = weights().read_all().to_vec();
    wrong[1_000_000] ^= 1;
    disk.snapshot(REPO, &main, "model.safetensors", &weights().sha256(), wrong);
    for _ in 0..2 {
        let report = import(&hub, &disk).await;
        assert_eq!((report.attached, report.different), (1, 2), "{report:#?}");
    }
    hub.get("/org/model/resolve/main/README.md").await.assert_is(200, README.as_bytes());
    for path in ["config.json", "model.safetensors"] {
        assert_eq!(hub.get(&format!("/org/model/resolve/main/{path}")).await.status, 501, "{path}");
    }
    let named = listing::paths(&hub.get("/api/models/org/model").await.json()["siblings"]);
    assert_eq!(named.len(), 3, "who downloads everything has to notice: {named:?}");
    hub.finish().await;
}

#[tokio::test]
async fn a_cache_is_found_from_above_from_within_and_as_one_repository() {
    for path in ["", "hub", "hub/models--org--model"] {
        let hub = TestHub::builder().set("upstream.offline", "true").start().await;
        let disk = Disk::new();
        for (repo, id) in [(REPO, "model"), ("datasets--org--data", "data"), ("spaces--org--app", "app")] {
            disk.write(&format!("hub/{repo}/refs/refs/pr/1"), commit('b').as_str());
            disk.snapshot(&format!("hub/{repo}"), &commit('b'), "id.txt", &git_oid(id), id);
        }
        disk.write("token", "hf_secret");
        disk.write("datasets/org___data/default/dataset_info.json", "{}");
        let report = import_as(&hub, &disk, at(&disk, path)).await;
        assert_eq!(report.repos_found, if path.ends_with("model") { 1 } else { 3 }, "{report:#?}");
        hub.get("/org/model/resolve/refs%2Fpr%2F1/id.txt").await.assert_is(200, b"model");
        if !path.ends_with("model") {
            hub.get(&format!("/datasets/org/data/resolve/{}/id.txt", commit('b'))).await.assert_is(200, b"data");
            hub.get("/spaces/org/app/resolve/refs%2Fpr%2F1/id.txt").await.assert_is(200, b"app");
        }
        hub.finish().await;
    }
}

#[tokio::test]
async fn content_that_caches_share_is_read_once() {
    let hub = TestHub::builder().set("upstream.offline", "true").start().await;
    let disk = Disk::new();
    disk.write("blobs/.huggingface-shared-blobs", "1\n");
    let shared = format!("blobs/ab/{}", "ab".repeat(32));
    disk.write(&shared, weights());
    for repo in ["models--org--model", "models--org--other"] {
        disk.write(&format!("{repo}/refs/main"), commit('a').as_str());
        let sha256 = weights().sha256();
        disk.link(&format!("{repo}/blobs/{sha256}"), &format!("../../{shared}"));
        let snapshot = format!("{repo}/snapshots/{}/model.safetensors", commit('a'));
        disk.link(&snapshot, &format!("../../blobs/{sha256}"));
    }
    // Also when one repository alone is imported.
    let report = import_as(&hub, &disk, at(&disk, "models--org--model")).await;
    assert_eq!((report.attached, report.hashed), (1, 1), "{report:#?}");
    let report = import(&hub, &disk).await;
    assert_eq!((report.attached, report.hashed), (2, 0), "{report:#?}");
    hub.get("/org/other/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    hub.finish().await;
}
