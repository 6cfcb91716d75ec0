//! Folders that are named by their place, downloads into a folder, and loose weights.

use mock_hf::Repo;
use modelhub::domain::{RepoId, RepoKey, RepoKind};
use modelhub::hub::{ImportRequest, Layout, ProblemKind};
use serde_json::json;

use super::{Disk, at, import, import_as};
use crate::harness::repos::{CONFIG, README, git_oid, model, weights};
use crate::harness::{TestHub, listing};

/// `vendor/name` in a store, with files of another model's in it.
fn store() -> Disk {
    let disk = Disk::new();
    disk.write("org/model/config.json", CONFIG);
    disk.write("org/model/README.md", README);
    disk.write("org/model/model.safetensors", weights());
    disk.write("org/model/unet/config.json", "{\"_class_name\": \"UNet\"}");
    disk
}

async fn assert_is_a_repository(hub: &TestHub, revision: &str) -> String {
    let reply = hub.get(&format!("/org/model/resolve/{revision}/model.safetensors")).await;
    reply.assert_is(200, &weights().read_all());
    assert_eq!(reply.served(), "hit");
    let commit = reply.header("x-repo-commit").to_owned();
    for revision in [revision, &commit] {
        hub.get(&format!("/org/model/resolve/{revision}/config.json")).await.assert_is(200, CONFIG.as_bytes());
        assert_eq!(hub.head(&format!("/org/model/resolve/{revision}/absent")).await.error().1, "EntryNotFound");
        let info = hub.get(&format!("/api/models/org/model/revision/{revision}")).await;
        assert_eq!((info.status, &info.json()["sha"]), (200, &json!(commit)));
        assert_eq!(info.json()["private"], json!(false));
        assert_eq!(listing::paths(&info.json()["siblings"]).len(), 4, "{}", info.text());
        for query in ["?recursive=true", "?recursive=true&expand=true", "?recursive=true&limit=1000"] {
            let tree = hub.get(&format!("/api/models/org/model/tree/{revision}{query}")).await.json();
            assert_eq!(tree.as_array().unwrap().len(), 5, "{tree}");
            assert_eq!(listing::entry(&tree, "unet")["type"], "directory");
            assert_eq!(listing::entry(&tree, "config.json")["oid"], json!(git_oid(CONFIG)));
        }
        let blobs = hub.get(&format!("/api/models/org/model/revision/{revision}?blobs=true")).await.json();
        assert_eq!(listing::entry(&blobs["siblings"], "README.md")["size"], json!(README.len()));
        let path = format!("/api/models/org/model/paths-info/{revision}");
        let infos = hub.post(&path, "application/json", r#"{"paths": ["README.md"], "expand": true}"#).await;
        assert_eq!(infos.json()[0]["oid"], json!(git_oid(README)), "{}", infos.text());
    }
    commit
}

#[tokio::test]
async fn a_folder_that_upstream_does_not_know_is_a_repository_of_its_own() {
    let mut hub = TestHub::builder().start().await;
    let disk = store();
    let report = import(&hub, &disk).await;
    assert_eq!((report.attached, report.different, report.copied + report.reflinked), (4, 0, 4), "{report:#?}");
    assert_eq!((report.repos[0].layout, report.repos[0].local_revision.as_deref()), (Layout::Folder, Some("main")));
    hub.allow_upstream_calls(0);
    let commit = assert_is_a_repository(&hub, "main").await;
    let info = hub.get("/api/models/org/model").await;
    assert_eq!((info.status, &info.json()["id"]), (200, &json!("org/model")));
    let info = hub.get("/api/models/org/model?expand[]=downloads&expand[]=safetensors").await;
    assert_eq!((info.status, &info.json()["sha"]), (200, &json!(commit)));
    let refs = hub.get("/api/models/org/model/refs").await.json();
    assert_eq!(refs["branches"], json!([{"name": "main", "ref": "refs/heads/main", "targetCommit": commit}]));
    for revision in ["v1.0", &"f".repeat(40)] {
        let reply = hub.head(&format!("/org/model/resolve/{revision}/config.json")).await;
        assert_eq!(reply.error().1, "RevisionNotFound");
    }
    assert_eq!(hub.get("/api/models/org/model/commits/main").await.status, 501);
    assert_eq!(hub.get("/api/models/org/model/auth-check").await.status, 200);

    // The same files are the same commit, in any order of time, and after a restart.
    let mut hub = hub.restart_with(&[("upstream.offline", "true")]).await;
    hub.allow_upstream_calls(0);
    assert_eq!(assert_is_a_repository(&hub, "main").await, commit);
    let report = import(&hub, &disk).await;
    assert_eq!((report.hashed, report.unchanged, report.attached), (0, 4, 4), "{report:#?}");
    assert_eq!(assert_is_a_repository(&hub, "main").await, commit);
    // Another file is another commit, and the old one stays.
    disk.write("org/model/README.md", "# Newer\n");
    let report = import(&hub, &disk).await;
    assert_eq!((report.hashed, report.unchanged), (1, 3), "{report:#?}");
    hub.get("/org/model/resolve/main/README.md").await.assert_is(200, b"# Newer\n");
    hub.get(&format!("/org/model/resolve/{commit}/README.md")).await.assert_is(200, README.as_bytes());
    hub.finish().await;
}

#[tokio::test]
async fn a_folder_is_named_by_its_place() {
    for (path, ids) in
        [("", ["org/model", "org/two"].as_slice()), ("org", &["org/model", "org/two"]), ("org/model", &["org/model"])]
    {
        let hub = TestHub::builder().set("upstream.offline", "true").start().await;
        let disk = store();
        disk.write("org/two/model_index.json", "{}");
        // What only looks like a model.
        disk.write("other/tool/config.json", "{\"port\": 80}");
        let report = import_as(&hub, &disk, at(&disk, path)).await;
        let found: Vec<String> = report.repos.iter().map(|repo| repo.repo.to_string()).collect();
        assert_eq!(found, ids, "{path}");
        let preview = hub.hub().models.preview_import(at(&disk, path)).await.unwrap();
        let found: Vec<String> = preview.repos.iter().map(|repo| repo.repo.to_string()).collect();
        assert_eq!(found, ids, "{path}");
        assert_eq!(preview.repos[0].files, 4, "{path}");
        hub.finish().await;
    }
}

#[tokio::test]
async fn a_folder_that_is_upstreams_commit_becomes_that() {
    let hub = TestHub::builder().repo(model()).start().await;
    let main = hub.commit_of("main").await;
    let disk = store();
    std::fs::remove_dir_all(disk.path().join("org/model/unet")).unwrap();
    hub.mock.clear_log();
    let report = import(&hub, &disk).await;
    assert_eq!((report.attached, report.different), (3, 0), "{report:#?}");
    assert_eq!((&report.repos[0].commits, &report.repos[0].local_revision), (&vec![main.clone()], &None));
    assert_eq!(hub.mock.stats().cdn_calls, 0);
    hub.mock.stop().await;
    let reply = hub.get("/org/model/resolve/main/model.safetensors").await;
    reply.assert_is(200, &weights().read_all());
    assert_eq!(reply.header("x-repo-commit"), main);
    hub.finish().await;
}

#[tokio::test]
async fn a_folder_that_differs_stands_beside_upstreams_names() {
    let hub = TestHub::builder().repo(model()).start().await;
    let main = hub.commit_of("main").await;
    let disk = store();
    let report = import(&hub, &disk).await;
    assert_eq!((report.different, report.repos[0].local_revision.as_deref()), (1, Some("local")), "{report:#?}");
    let commit = assert_is_a_repository(&hub, "local").await;
    assert_ne!(commit, main);
    let reply = hub.head("/org/model/resolve/main/config.json").await;
    assert_eq!(reply.header("x-repo-commit"), main);
    assert_eq!(hub.head("/org/model/resolve/main/unet/config.json").await.error().1, "EntryNotFound");
    hub.mock.stop().await;
    assert_eq!(assert_is_a_repository(&hub, "local").await, commit);
    hub.finish().await;
}

#[tokio::test]
async fn a_folder_turns_out_to_be_upstreams() {
    let hub = TestHub::builder().repo(model()).start().await;
    let main = hub.commit_of("main").await;
    let hub = hub.restart_with(&[("upstream.offline", "true")]).await;
    let disk = store();
    assert_eq!(import(&hub, &disk).await.repos[0].local_revision.as_deref(), Some("main"));
    let local = assert_is_a_repository(&hub, "main").await;
    let hub = hub.restart_with(&[("upstream.offline", "false")]).await;
    assert_eq!(assert_is_a_repository(&hub, "main").await, local, "until it is imported again");
    let report = import(&hub, &disk).await;
    assert_eq!((report.hashed, report.repos[0].local_revision.as_deref()), (0, Some("local")), "{report:#?}");
    assert_eq!(hub.head("/org/model/resolve/main/config.json").await.header("x-repo-commit"), main);
    assert_eq!(assert_is_a_repository(&hub, "local").await, local);
    hub.finish().await;
}

#[tokio::test]
async fn a_download_into_a_folder_is_of_the_commit_that_it_notes() {
    let hub = TestHub::builder().repo(model()).start().await;
    let old = hub.commit_of("main").await;
    hub.mock.commit("model", "org/model", "main", vec![mock_hf::Change::put("config.json", "{\"new\": 1}\n")]);
    let disk = Disk::new();
    for (path, etag) in [("config.json", git_oid(CONFIG)), ("model.safetensors", weights().sha256())] {
        let note = format!("{old}\n{etag}\n1700000000.5\n");
        disk.write(&format!("x/.cache/huggingface/download/{path}.metadata"), note.as_str());
        disk.write(&format!("x/.cache/huggingface/download/{path}.lock"), "");
    }
    disk.write("x/config.json", CONFIG);
    disk.write("x/model.safetensors", weights());
    disk.write("x/diary.txt", "not of the download");
    let key = RepoKey::new(RepoKind::Model, RepoId::parse("org/model").unwrap());
    let report = import_as(&hub, &disk, ImportRequest { repo: Some(key), ..at(&disk, "x") }).await;
    assert_eq!((report.repos[0].layout, report.attached, report.different), (Layout::LocalDir, 2, 0), "{report:#?}");
    assert_eq!(report.repos[0].commits, std::slice::from_ref(&old));
    hub.mock.stop().await;
    hub.get(&format!("/org/model/resolve/{old}/model.safetensors")).await.assert_is(200, &weights().read_all());
    hub.get(&format!("/org/model/resolve/{old}/config.json")).await.assert_is(200, CONFIG.as_bytes());
    hub.finish().await;
}

#[tokio::test]
async fn loose_weights_are_repositories_of_their_own() {
    let hub = TestHub::builder().set("upstream.offline", "true").start().await;
    let disk = Disk::new();
    disk.write("My Llama (v2).gguf", "one");
    disk.write("big-00001-of-00002.safetensors", "two");
    disk.write("big-00002-of-00002.safetensors", "three");
    disk.write("deep/down/x.gguf", weights());
    disk.write("deep/down/readme.txt", "no weights");
    let report = import(&hub, &disk).await;
    let mut found: Vec<String> = report.repos.iter().map(|repo| repo.repo.to_string()).collect();
    found.sort_unstable();
    assert_eq!(found, ["local/My-Llama-v2", "local/big", "local/x"], "{report:#?}");
    hub.get("/local/My-Llama-v2/resolve/main/My%20Llama%20%28v2%29.gguf").await.assert_is(200, b"one");
    hub.get("/local/big/resolve/main/big-00002-of-00002.safetensors").await.assert_is(200, b"three");
    hub.get("/local/x/resolve/main/x.gguf").await.assert_is(200, &weights().read_all());
    // What lies beside weights goes with those of its whole name.
    let beside = Disk::new();
    for name in ["a.safetensors", "a.b.safetensors", "a.json", "a.b.json", "a.b.preview.png", "c.json"] {
        beside.write(name, name);
    }
    import(&hub, &beside).await;
    for (repo, files) in
        [("a", vec!["a.json", "a.safetensors"]), ("a.b", vec!["a.b.json", "a.b.preview.png", "a.b.safetensors"])]
    {
        let info = hub.get(&format!("/api/models/local/{repo}")).await.json();
        assert_eq!(listing::paths(&info["siblings"]), files, "{repo}");
    }
    let list = hub.get("/api/models?search=llama").await;
    assert_eq!(list.json()[0]["id"], json!("local/My-Llama-v2"), "{}", list.everything());

    let named = RepoKey::new(RepoKind::Model, RepoId::parse("me/mine").unwrap());
    let report = import_as(&hub, &disk, ImportRequest { repo: Some(named), ..at(&disk, "deep/down") }).await;
    assert_eq!((report.repos[0].repo.to_string().as_str(), report.hashed), ("me/mine", 0), "{report:#?}");
    hub.get("/me/mine/resolve/main/x.gguf").await.assert_is(200, &weights().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn local_models_are_in_lists_and_searches_with_upstream_up_and_down() {
    let theirs = || Repo::model("org/llama").file("config.json", CONFIG);
    let hub = TestHub::builder().repo(theirs()).repo(Repo::model("org/other").file("x", "x")).start().await;
    assert_eq!(hub.get("/api/models/org/llama").await.status, 200, "it is known here, for later");
    let disk = Disk::new();
    disk.write("My-Llama.gguf", "one");
    import(&hub, &disk).await;
    let ids = async |query: &str| {
        let list = hub.get(&format!("/api/models?{query}")).await;
        assert_eq!(list.status, 200, "{query}: {}", list.text());
        let list = list.json();
        let name = |one: &serde_json::Value| {
            let is_ours = one["tags"].as_array().is_some_and(|tags| tags.contains(&json!("modelhub:local")));
            format!("{}{}", one["id"].as_str().unwrap(), if is_ours { " ours" } else { "" })
        };
        list.as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    // Upstream's pages are as long as they were, and what another parameter leaves out stays out.
    let first = hub.get("/api/models?limit=1").await;
    assert_eq!(first.json().as_array().unwrap().len(), 2, "{}", first.text());
    assert!(!hub.get("/api/models?pipeline_tag=text-generation").await.text().contains("My-Llama"));
    let ours = "local/My-Llama ours";
    for is_up in [true, false] {
        if !is_up {
            hub.mock.stop().await;
        }
        // Twice: the second is answered from the first.
        for _ in 0..2 {
            assert_eq!(ids("search=LLAMA").await, [ours, "org/llama"], "up: {is_up}");
            assert_eq!(ids("author=local").await, [ours], "up: {is_up}");
            assert_eq!(ids("filter=modelhub:local").await, [ours], "up: {is_up}");
            assert!(ids("").await.contains(&ours.to_owned()), "up: {is_up}");
            assert_eq!(ids("search=nothing").await, [""; 0], "up: {is_up}");
            assert_eq!(ids("author=org&search=llama").await, ["org/llama"], "up: {is_up}");
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn two_folders_of_one_name_and_pointers_of_git_lfs_are_reported() {
    let hub = TestHub::builder().set("upstream.offline", "true").start().await;
    let disk = store();
    disk.write("else/org/model/config.json", CONFIG);
    disk.write("else/org/model/model.bin", "weights");
    disk.write("git/clone/.git/config", "[core]");
    disk.write("git/clone/config.json", CONFIG);
    let pointer = crate::harness::repos::pointer(&weights());
    disk.write("git/clone/model.safetensors", pointer.as_str());
    let report = import(&hub, &disk).await;
    assert_eq!(report.problems.count(ProblemKind::Twice), 1, "{report:#?}");
    assert_eq!(report.problems.count(ProblemKind::Pointer), 1, "{report:#?}");
    hub.get("/git/clone/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    assert_eq!(hub.get("/git/clone/resolve/main/model.safetensors").await.status, 404);
    assert_eq!(hub.get("/git/clone/resolve/main/.git/config").await.status, 404);
    hub.finish().await;
}

#[tokio::test]
async fn a_preview_finds_what_a_scan_takes() {
    let hub = TestHub::builder().start().await;
    let disk = store();
    disk.link("org/model/gone.bin", "nowhere");
    disk.link("org/model/out.bin", "/etc/hostname");
    // Links and nothing else.
    disk.link("x/y/config.json", "/etc/hostname");
    disk.link("x/y/weights.bin", "nowhere");
    // Two folders of one name.
    for name in ["v/My Model", "v/My-Model"] {
        disk.write(&format!("{name}/config.json"), CONFIG);
        disk.write(&format!("{name}/weights.bin"), name);
    }
    let preview = hub.hub().models.preview_import(ImportRequest::new(disk.path())).await.unwrap();
    let report = import(&hub, &disk).await;
    let seen: Vec<_> = preview.repos.iter().map(|repo| (repo.repo.to_string(), repo.files)).collect();
    let taken: Vec<_> = report.repos.iter().map(|repo| (repo.repo.to_string(), repo.attached)).collect();
    assert_eq!(seen, taken, "{preview:#?}");
    assert_eq!((seen.len(), preview.files), (2, 6), "{preview:#?}");
    assert_eq!(preview.problems.counts, report.problems.counts, "{preview:#?}");
    hub.finish().await;
}
