//! Info, listings, refs, commits, lists and the small routes.

use mock_hf::{Change, Content, MockHf, Repo};
use serde_json::json;

use crate::support::{call, get, head, hub, noise};

/// The URL of `Link: <…>; rel="next"`.
fn next(link: &str) -> Option<String> {
    Some(link.strip_prefix('<')?.split_once(">; rel=\"next\"")?.0.to_owned())
}

#[tokio::test]
async fn info_has_siblings_and_expand_selects_fields() {
    let hub = hub().await;
    let url = format!("{}/api/models/org/name", hub.url());
    let plain = get(&url).await.json();
    assert_eq!(plain["siblings"], json!([{"rfilename": "config.json"}, {"rfilename": "sub/model.safetensors"}]));
    assert_eq!((&plain["gated"], &plain["private"]), (&json!(false), &json!(false)));
    let blobs = get(&format!("{url}/revision/main?blobs=True&securityStatus=true")).await.json();
    assert_eq!(blobs["siblings"][1]["lfs"]["sha256"], noise().sha256());
    assert_eq!(blobs["securityRepoStatus"]["scansDone"], true);
    let some = get(&format!("{url}?expand=sha&expand[]=tags")).await.json();
    let mut names: Vec<&String> = some.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["_id", "id", "sha", "tags"]);
    let etag = get(&url).await.header("etag").to_owned();
    assert!(etag.starts_with("W/\""));
    assert_eq!(call("GET", &url, &[("if-none-match", &etag)], "").await.status, 304);
}

#[tokio::test]
async fn encoded_pull_request_refs_work_in_api_and_raw_ones_do_not() {
    let hub = MockHf::start().await;
    hub.put(Repo::model("org/name").file("f", "x").pr(1));
    let url = format!("{}/api/models/org/name/revision", hub.url());
    assert_eq!(get(&format!("{url}/refs%2Fpr%2F1")).await.status, 200);
    assert_eq!(get(&format!("{url}/refs/pr/1")).await.status, 404);
}

#[tokio::test]
async fn tree_of_a_hundred_thousand_files_is_paged_without_loss() {
    let hub = MockHf::start().await;
    hub.put(Repo::dataset("org/many").many_small(100_000));
    let mut url = format!("{}/api/datasets/org/many/tree/main?recursive=true&limit=1000", hub.url());
    let started = std::time::Instant::now();
    let (mut seen, mut files, mut pages) = (String::new(), 0, 0);
    loop {
        let answer = get(&url).await;
        assert_eq!(answer.header("x-repo-commit").len(), 40);
        for entry in answer.json().as_array().unwrap() {
            let path = entry["path"].as_str().unwrap();
            assert!(path > seen.as_str(), "{path} after {seen}");
            path.clone_into(&mut seen);
            files += usize::from(entry["type"] == "file");
        }
        pages += 1;
        match next(answer.header("link")) {
            Some(link) => url = link,
            None => break,
        }
    }
    assert_eq!((files, pages), (100_000, 101));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[tokio::test]
async fn tree_lists_one_directory_and_expands() {
    let hub = hub().await;
    let url = format!("{}/api/models/org/name/tree/main", hub.url());
    let top = get(&url).await.json();
    assert_eq!((&top[0]["path"], &top[1]["type"]), (&json!("config.json"), &json!("directory")));
    let sub = get(&format!("{url}/sub?expand=true")).await.json();
    assert_eq!(sub[0]["path"], "sub/model.safetensors");
    assert_eq!(sub[0]["lastCommit"]["title"], "initial commit");
    assert_eq!(sub[0]["xetHash"], sub[0]["securityFileStatus"]["blob"]["xetHash"]);
    assert_eq!(get(&format!("{url}/config.json")).await.header("x-error-code"), "EntryNotFound");
}

#[tokio::test]
async fn paths_info_reads_forms_and_json() {
    let hub = hub().await;
    let url = format!("{}/api/models/org/name/paths-info/main", hub.url());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let json_type = [("content-type", "application/json")];
    let by_form = call("POST", &url, &form, "paths=config.json&paths=sub&paths=nope&expand=True").await.json();
    assert_eq!(by_form.as_array().unwrap().len(), 2);
    assert_eq!(by_form[0]["oid"], Content::from("{\"a\": 1}\n").git_oid());
    let body = json!({"paths": ["config.json", "sub", "nope"], "expand": true}).to_string();
    assert_eq!(call("POST", &url, &json_type, &body).await.json(), by_form);
}

#[tokio::test]
async fn refs_and_commits_follow_a_moving_branch() {
    let hub = MockHf::start().await;
    let first = hub.put(Repo::model("org/name").file("f", "1").history(4).tag("v1").pr(7).convert("parquet"));
    let second = hub.commit("model", "org/name", "main", vec![Change::put("f", "2"), Change::put("g", "3")]);
    assert_ne!(first, second);
    let refs = get(&format!("{}/api/models/org/name/refs?include_prs=1", hub.url())).await.json();
    assert_eq!(refs["branches"][0]["targetCommit"], second);
    assert_eq!(refs["tags"][0]["targetCommit"], first);
    assert_eq!(
        (&refs["pullRequests"][0]["ref"], &refs["converts"][0]["name"]),
        (&json!("refs/pr/7"), &json!("parquet"))
    );
    let url = format!("{}/api/models/org/name/commits/main?limit=4&expand[]=formatted", hub.url());
    let page = get(&url).await;
    assert_eq!((page.header("x-total-count"), &page.json()[0]["id"]), ("6", &json!(second)));
    assert_eq!(page.json()[1]["formatted"]["title"], "Change number 4");
    let rest = get(&next(page.header("link")).unwrap()).await;
    assert_eq!((rest.json().as_array().unwrap().len(), rest.header("link")), (2, ""));
    let file = |revision: &str| format!("{}/org/name/raw/{revision}/f", hub.url());
    assert_eq!((get(&file("main")).await.text(), get(&file("v1")).await.text()), ("2".into(), "1".into()));
}

#[tokio::test]
async fn renamed_repo_redirects_relatively_on_api_and_serves_files() {
    let hub = hub().await;
    hub.rename("model", "org/name", "new/home");
    let answer = get(&format!("{}/api/models/org/name/tree/main?recursive=true", hub.url())).await;
    assert_eq!((answer.status, answer.header("location")), (307, "/api/models/new/home/tree/main?recursive=true"));
    assert_eq!(head(&format!("{}/org/name/resolve/main/config.json", hub.url())).await.status, 307);
    assert_eq!(get(&format!("{}/api/models/NEW/home", hub.url())).await.header("location"), "/api/models/new/home");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let hub = MockHf::start().await;
    for n in 0..5 {
        hub.put(Repo::model(format!("org/m{n}")).field("tags", json!([format!("t{n}")])).field("downloads", n));
    }
    hub.put(Repo::model("org/hidden").private());
    let url = format!("{}/api/models", hub.url());
    let page = get(&format!("{url}?limit=2&sort=downloads")).await;
    assert_eq!(page.json()[0]["id"], "org/m4");
    let page = get(&next(page.header("link")).unwrap()).await;
    assert_eq!(page.json()[0]["id"], "org/m2");
    assert_eq!(get(&format!("{url}?search=M3")).await.json().as_array().unwrap().len(), 1);
    assert_eq!(get(&format!("{url}?filter=t1")).await.json()[0]["id"], "org/m1");
    assert_eq!(get(&format!("{url}?author=org")).await.json().as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn small_routes_answer() {
    let hub = hub().await;
    for path in [
        "/api/telemetry/hf_hub",
        "/api/agent-harnesses",
        "/api/quicksearch?q=name&type=model",
        "/api/trending",
        "/api/models-tags-by-type",
        "/api/datasets-tags-by-type",
        "/api/models/org/name/discussions",
        "/api/models/org/name/treesize/main/sub",
        "/",
        "/org/name",
        "/org/name/blob/main/config.json",
    ] {
        assert_eq!(get(&format!("{}{path}", hub.url())).await.status, 200, "{path}");
    }
    let token = get(&format!("{}/api/models/org/name/xet-read-token/main", hub.url())).await;
    assert_eq!(token.json()["casUrl"], token.header("x-xet-cas-url"));
    assert!(token.header("x-xet-cas-url").ends_with("canary.invalid"));
}
