//! The files of a model as the admin API shows them: a tree with sums, a flat list, pages, texts.

use mock_hf::{Content, Repo};
use serde_json::{Value, json};

use super::{assert_refused, each, list, number, text};
use crate::harness::TestHub;
use crate::harness::repos::{MIB, ODD_NAMES, content_of, encoded};

fn nested() -> Repo {
    let mut repo = Repo::model("org/model").file("a.txt", "a").lfs("w/model.safetensors", Content::random(1, MIB));
    for n in 0..30 {
        repo = repo.file(format!("many/{n:02}/x.json"), format!("{{\"n\": {n}}}"));
    }
    ODD_NAMES.iter().fold(repo, |repo, name| repo.file(*name, content_of(name)))
}

async fn start() -> TestHub {
    let hub = TestHub::builder().repo(nested()).start().await;
    hub.synced("org/model").await;
    hub
}

async fn pages(hub: &TestHub, query: &str, size: usize) -> Vec<Value> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/models/org/model/files?{query}&page_size={size}&page_token={token}");
        let page = hub.look(&path).await;
        assert!(list(&page["files"]).len() <= size);
        all.extend(list(&page["files"]).iter().cloned());
        token = text(&page["next_page_token"]).to_owned();
        if token.is_empty() {
            return all;
        }
    }
}

#[tokio::test]
async fn the_files_that_were_used_last_come_first() {
    let hub = TestHub::builder().manual_clock().repo(nested()).start().await;
    hub.synced("org/model").await;
    let uses = async |query: &str| hub.look(&format!("/v1/models/org/model/uses{query}")).await;
    assert_eq!(uses("").await["uses"], json!([]), "nothing is here yet");
    for file in ["w/model.safetensors", "a.txt", "many/03/x.json"] {
        hub.clock.advance(std::time::Duration::from_secs(60));
        hub.get(&format!("/org/model/resolve/main/{file}")).await;
    }
    hub.landed().await;
    assert_eq!(each(&uses("").await["uses"], "file_path"), ["many/03/x.json", "a.txt", "w/model.safetensors"]);
    let before = uses("").await["uses"][2].clone();
    hub.clock.advance(std::time::Duration::from_secs(60));
    hub.get("/org/model/resolve/main/w/model.safetensors").await;
    let first = uses("?page_size=1").await;
    assert_eq!(each(&first["uses"], "file_path"), ["w/model.safetensors"]);
    assert_eq!((number(&first["uses"][0]["size_bytes"]), text(&first["commit"]).len()), (MIB, 40));
    assert!(text(&first["uses"][0]["used_at"]) > text(&before["used_at"]), "{first:#}");
    assert_refused(&hub.admin("GET", "/v1/models/org/model/uses?page_size=1001", &Value::Null).await, 400, "page_size");
    hub.finish().await;
}

#[tokio::test]
async fn a_folder_shows_what_is_in_it_with_the_sums_of_its_folders() {
    let hub = start().await;
    hub.done(&hub.download("org/model", json!({"selection": {"paths": ["many/00", "many/01", "a.txt"]}})).await).await;
    for size in [1, 3, 100] {
        let root = pages(&hub, "path=", size).await;
        let folder = |name: &str| root.iter().find(|entry| entry["file_path"] == name).unwrap();
        let many = folder("many");
        assert_eq!((text(&many["entry"]), text(&many["download_status"])), ("folder", "partial"));
        assert_eq!((number(&many["files"]), number(&many["files_here"])), (30, 2));
        assert_eq!(number(&many["size_bytes"]), 10 * 8 + 20 * 9);
        assert_eq!(number(&many["bytes_here"]), 16);
        assert_eq!((text(&folder("w")["download_status"]), number(&folder("w")["size_bytes"])), ("pending", MIB));
        let file = folder("a.txt");
        assert_eq!((text(&file["entry"]), text(&file["download_status"])), ("file", "completed"));
        let many = pages(&hub, "path=many", size).await;
        assert_eq!(many.len(), 30);
        assert_eq!((text(&many[0]["file_path"]), text(&many[0]["download_status"])), ("many/00", "completed"));
        assert_eq!(text(&many[2]["download_status"]), "pending");
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_flat_list_has_every_file_with_its_exact_name() {
    let hub = start().await;
    for size in [1, 7, 1000] {
        let all = pages(&hub, "flat=true", size).await;
        assert_eq!(all.len(), 32 + ODD_NAMES.len());
        for name in ODD_NAMES {
            assert!(all.iter().any(|file| file["file_path"] == name), "{name}");
        }
    }
    for (query, right) in [
        ("flat=true&search=MODEL.safe", vec!["w/model.safetensors"]),
        ("flat=true&file_type=model", vec!["w/model.safetensors"]),
        ("flat=true&path=many/07", vec!["many/07/x.json"]),
        ("flat=true&search=100%25", vec!["100%.txt"]),
        ("flat=true&search=_", vec![]),
    ] {
        for size in [1, 100] {
            let found = pages(&hub, query, size).await;
            assert_eq!(found.iter().map(|file| text(&file["file_path"])).collect::<Vec<_>>(), right, "{query}");
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_text_is_read_here_or_fetched_and_binary_content_is_not_shown() {
    let hub = start().await;
    for name in ODD_NAMES {
        let read = hub.look(&format!("/v1/models/org/model/content?path={}", encoded(name))).await;
        assert_eq!((text(&read["file_path"]), text(&read["text"])), (name, content_of(name).as_str()));
        assert_eq!(read["truncated"], false);
    }
    hub.mock.stop().await;
    let read = hub.look(&format!("/v1/models/org/model/content?path={}", encoded(ODD_NAMES[0]))).await;
    assert_eq!(text(&read["text"]), content_of(ODD_NAMES[0]));
    hub.mock.restart().await.unwrap();
    let binary = hub.admin("GET", "/v1/models/org/model/content?path=w/model.safetensors", &Value::Null).await;
    assert_refused(&binary, 400, "path");
    let none = hub.admin("GET", "/v1/models/org/model/content?path=none.txt", &Value::Null).await;
    assert_refused(&none, 404, "");
    hub.finish().await;
}

#[tokio::test]
async fn files_of_another_revision_are_those_of_its_commit() {
    let hub = start().await;
    let dev = hub.mock.commit("model", "org/model", "dev", vec![mock_hf::Change::put("dev.txt", "dev")]);
    hub.done(&hub.order("/v1/models/org/model/sync", json!({"revision": "dev"})).await).await;
    for revision in ["dev", dev.as_str()] {
        let files = hub.look(&format!("/v1/models/org/model/files?flat=true&search=dev.txt&revision={revision}")).await;
        assert_eq!((text(&files["commit"]), each(&files["files"], "file_path")), (dev.as_str(), vec!["dev.txt"]));
    }
    let main = hub.look("/v1/models/org/model/files?flat=true&search=dev.txt").await;
    assert!(list(&main["files"]).is_empty());
    let unknown = hub.admin("GET", "/v1/models/org/model/files?revision=nightly", &Value::Null).await;
    assert_refused(&unknown, 404, "");
    hub.finish().await;
}

#[tokio::test]
async fn what_does_not_exist_is_named_and_not_an_empty_answer() {
    let hub = start().await;
    let zeros = "0".repeat(40);
    for (path, named) in [
        (format!("files?revision={zeros}"), zeros.as_str()),
        (format!("facts?revision={zeros}"), &zeros),
        ("files?path=w/none".into(), "w/none"),
        ("files?path=man".into(), "man"),
        ("facts?path=none".into(), "none"),
    ] {
        let refused = hub.admin("GET", &format!("/v1/models/org/model/{path}"), &Value::Null).await;
        assert_refused(&refused, 404, "");
        assert!(text(&refused.json()["detail"]).contains(named), "{}", refused.text());
    }
    for order in ["verify", "evict", "download"] {
        let body = json!({"selection": {"paths": ["a.txt", "many/99"]}});
        let refused = hub.admin("POST", &format!("/v1/models/org/model/{order}"), &body).await;
        assert_refused(&refused, 404, "");
        assert!(text(&refused.json()["detail"]).contains("many/99"), "{order}: {}", refused.text());
    }
    for order in ["verify", "evict"] {
        let body = json!({"selection": {"include": ["*.none"]}});
        assert_refused(&hub.admin("POST", &format!("/v1/models/org/model/{order}"), &body).await, 400, "");
    }
    // What exists stays right, and a job finds what was not known when it was asked for.
    hub.done(&hub.order("/v1/models/org/model/verify", json!({"selection": {"paths": ["many/"]}})).await).await;
    hub.mock.commit("model", "org/model", "dev", vec![mock_hf::Change::put("new.txt", "new")]);
    let dev = |path: &str| json!({"revision": "dev", "selection": {"paths": [path]}});
    hub.done(&hub.download("org/model", dev("new.txt")).await).await;
    hub.mock.commit("model", "org/model", "later", vec![mock_hf::Change::put("new.txt", "new")]);
    let body = json!({"revision": "later", "selection": {"paths": ["old.txt"]}});
    let job = hub.ended(&hub.download("org/model", body).await).await;
    assert_eq!(job["status"], "failed");
    assert!(text(&job["error"]).contains("old.txt"), "{job:#}");
    hub.finish().await;
}
