//! Trees, their pages, and `paths-info`.

use mock_hf::{Change, Options, Repo};
use serde_json::{Value, json};

use crate::harness::TestHub;
use crate::harness::listing::{entry, next, paths};
use crate::harness::repos::{CONFIG, ODD_NAMES, git_oid, model, weights};

const API: &str = "/api/models/org/model";
const FORM: &str = "application/x-www-form-urlencoded";

async fn hub() -> TestHub {
    TestHub::builder().repo(model()).start().await
}

#[tokio::test]
async fn tree_lists_a_folder_or_everything() {
    let hub = hub().await;
    let commit = hub.commit_of("main").await;
    let root = hub.get(&format!("{API}/tree/main")).await;
    assert_eq!(root.header("x-repo-commit"), commit);
    let root = root.json();
    let names = paths(&root);
    assert!(names.contains(&"sub".to_owned()) && names.contains(&"config.json".to_owned()));
    assert!(!names.iter().any(|name| name.contains('/')), "{names:?}");
    assert_eq!(entry(&root, "sub")["type"], "directory");
    let file = entry(&root, "model.safetensors");
    assert_eq!((&file["type"], &file["size"]), (&json!("file"), &json!(weights().size())));
    assert_eq!((&file["lfs"]["oid"], &file["lfs"]["size"]), (&json!(weights().sha256()), &json!(weights().size())));
    assert_eq!(entry(&root, "config.json")["oid"], git_oid(CONFIG));

    let all = paths(&hub.get(&format!("{API}/tree/main?recursive=true&expand=false")).await.json());
    for name in ODD_NAMES.iter().chain(&["sub", "sub/deep", "sub/deep/data.csv"]) {
        assert!(all.iter().any(|path| path == name), "{name}");
    }
    for (path, expected) in [
        ("sub", &["sub/deep"][..]),
        ("sub/deep", &["sub/deep/data.csv"]),
        ("sub%2Fdeep", &["sub/deep/data.csv"]),
        ("sub?recursive=True", &["sub/deep", "sub/deep/data.csv"]),
        ("sub%20dir", &["sub dir/file #1 name.txt"]),
    ] {
        assert_eq!(paths(&hub.get(&format!("{API}/tree/main/{path}")).await.json()), expected, "{path}");
    }
    hub.finish().await;
}

/// A listing without what is nowhere kept, and without the `xetHash` of what is not offered by Xet:
/// all if it is not served, and empty files. Expanded listings are upstream's, without traces of Xet.
fn comparable(mut tree: Value, with_xet: bool) -> Value {
    for entry in tree.as_array_mut().unwrap() {
        if !with_xet || entry["size"] == 0 {
            entry.as_object_mut().unwrap().remove("xetHash");
        }
        if let Some(status) = entry.get_mut("securityFileStatus").and_then(|status| status.as_object_mut()) {
            status.remove("blob");
        }
    }
    tree
}

#[tokio::test]
async fn tree_equals_upstreams_and_without_serving_xet_all_but_that() {
    let hiding = TestHub::builder().set("xet.serve", "false").repo(model()).start().await;
    let serving = hub().await;
    for query in
        ["", "?recursive=true", "?recursive=true&limit=3", "/sub?recursive=true", "?expand=true&recursive=true"]
    {
        for (hub, with_xet) in [(&serving, true), (&hiding, false)] {
            let ours = hub.get(&format!("{API}/tree/main{query}")).await.json();
            let theirs = hub.client.call("GET", &format!("{}{API}/tree/main{query}", hub.mock.url()), &[], "").await;
            let with_xet = with_xet && !query.contains("expand");
            assert!(with_xet || !ours.to_string().contains("xetHash"), "{query}");
            assert_eq!(comparable(ours, true), comparable(theirs.json(), with_xet), "{query}");
        }
    }
    serving.finish().await;
    hiding.finish().await;
}

#[tokio::test]
async fn pages_follow_links_on_our_own_address_to_the_end() {
    let options = Options { tree_page: 7, ..Options::default() };
    let hub = TestHub::builder().options(options).repo(Repo::model("org/model").many_small(50)).start().await;
    for limit in ["4", "50", "51", "1000"] {
        let mut url = hub.at(&format!("{API}/tree/main?recursive=true&limit={limit}"));
        let mut seen = Vec::new();
        loop {
            let reply = hub.client.call("GET", &url, &[], "").await;
            let page = paths(&reply.json());
            assert!(page.len() <= limit.parse().unwrap());
            seen.extend(page);
            let Some(link) = next(&reply) else { break };
            assert!(link.starts_with(hub.url()) && link.contains("recursive=true"), "{link}");
            url = link;
        }
        assert_eq!(seen.len(), 52, "50 files in `many/000`, limit {limit}");
        assert!(seen.is_sorted(), "{seen:?}");
    }
    // Without a limit everything is one page: some clients read no further.
    let reply = hub.get(&format!("{API}/tree/main?recursive=true")).await;
    assert_eq!((paths(&reply.json()).len(), reply.header("link")), (52, ""));
    hub.finish().await;
}

#[tokio::test]
async fn cursors_that_clients_or_the_hub_made_are_understood() {
    use base64::Engine as _;
    let hub = TestHub::builder().repo(Repo::model("org/model").many_small(50)).start().await;
    let base64 = base64::engine::general_purpose::STANDARD;
    let cursor = |inner: Value| base64.encode(format!("{}:50", base64.encode(inner.to_string())));
    for cursor in [
        cursor(json!({"file_name": "many/000/file-000040.txt"})),
        cursor(json!({"file_name": "many/000/file-000040.txt", "tree_oid": "0".repeat(40)})),
    ] {
        let query = cursor.replace('=', "%3D");
        let page = paths(&hub.get(&format!("{API}/tree/main?recursive=true&limit=50&cursor={query}")).await.json());
        assert_eq!((page.len(), page[0].as_str()), (9, "many/000/file-000041.txt"));
    }
    let end = cursor(json!({"file_name": "zzz"})).replace('=', "%3D");
    assert_eq!(hub.get(&format!("{API}/tree/main?recursive=true&cursor={end}")).await.json(), json!([]));
    let nonsense = hub.get(&format!("{API}/tree/main?cursor=nonsense")).await;
    assert_eq!(nonsense.status, 400, "{}", nonsense.text());
    hub.finish().await;
}

#[tokio::test]
async fn links_begin_with_the_public_address_if_there_is_one() {
    let hub = TestHub::builder()
        .set("hub.public_url", "https://models.example.org/hf/")
        .repo(model().history(60))
        .start()
        .await;
    for path in
        [format!("{API}/tree/main?limit=1"), format!("{API}/commits/main?limit=1"), "/api/models?limit=0".to_owned()]
    {
        let reply = hub.get(&path).await;
        if let Some(link) = next(&reply) {
            assert!(link.starts_with("https://models.example.org/hf/api/models"), "{link}");
        } else {
            assert!(path.starts_with("/api/models?"), "no link on {path}");
        }
    }
    assert!(hub.get("/").await.text().contains("HF_ENDPOINT=https://models.example.org/hf"));
    hub.finish().await;
}

#[tokio::test]
async fn paths_info_takes_a_form_or_json_and_leaves_out_what_is_unknown() {
    let hub = hub().await;
    let form = "paths=config.json&paths=model.safetensors&paths=sub&paths=nothing.txt&paths=sub+dir%2Ffile+%231+name.txt&expand=False";
    let asked = ["config.json", "model.safetensors", "sub", "nothing.txt", "sub dir/file #1 name.txt"];
    let json_body = json!({"paths": asked, "expand": false}).to_string();
    for (content_type, body) in [(FORM, form), ("application/json", &json_body)] {
        let reply = hub.post(&format!("{API}/paths-info/main"), content_type, body).await;
        assert_eq!((reply.status, reply.header("x-repo-commit").len()), (200, 40), "{}", reply.text());
        let mut found = paths(&reply.json());
        found.sort();
        assert_eq!(found, ["config.json", "model.safetensors", "sub", "sub dir/file #1 name.txt"]);
        assert_eq!(entry(&reply.json(), "model.safetensors")["lfs"]["oid"], weights().sha256());
        assert_eq!(entry(&reply.json(), "sub")["type"], "directory");
    }
    for (content_type, body) in [
        (FORM, "paths=config.json&expand=true"),
        ("application/json", "{\"paths\": [\"config.json\"], \"expand\": true}"),
    ] {
        let reply = hub.post(&format!("{API}/paths-info/main"), content_type, body).await.json();
        assert!(reply[0]["lastCommit"]["id"].is_string(), "{reply}");
    }
    let broken = hub.post(&format!("{API}/paths-info/main"), "application/json", "{").await;
    assert_eq!(broken.status, 400);
    assert!(broken.json()["error"].as_str().unwrap().contains("paths"));
    hub.finish().await;
}

#[tokio::test]
async fn a_new_commit_is_listed_as_itself_and_the_old_one_stays_what_it_was() {
    let hub = TestHub::builder().manual_clock().repo(model()).start().await;
    let old = hub.get(&format!("{API}/tree/main?recursive=true")).await;
    let changes = vec![Change::put("new.txt", "new"), Change::delete("config.json")];
    let commit = hub.mock.commit("model", "org/model", "main", changes);
    hub.clock.advance(std::time::Duration::from_secs(61));
    let new = hub.get(&format!("{API}/tree/main?recursive=true")).await;
    assert_eq!(new.header("x-repo-commit"), commit);
    let names = paths(&new.json());
    assert!(names.contains(&"new.txt".to_owned()) && !names.contains(&"config.json".to_owned()));
    let again = hub.get(&format!("{API}/tree/{}?recursive=true", old.header("x-repo-commit"))).await;
    assert_eq!(again.json(), old.json());
    hub.finish().await;
}
