//! The same controls over HTTP.

use mock_hf::{Content, Fault, Rule};
use serde_json::json;

use crate::support::{call, get, head, hub, signed};

#[tokio::test]
async fn faults_are_set_listed_and_removed_over_http() {
    let hub = hub().await;
    let url = signed(&hub, "sub/model.safetensors").await;
    let faults = format!("{}/_mock/faults", hub.url());
    let rule = r#"{"origin":"cdn","path_contains":"model","times":1,"fault":{"cut_after":1000}}"#;
    let answer = call("POST", &faults, &[], rule).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"id": 1})));
    assert_eq!(get(&url).await.body.len(), 1000);
    let list = get(&faults).await.json();
    assert_eq!((&list[0]["applied"], &list[0]["fault"]), (&json!(1), &json!({"cut_after": 1000})));
    assert_eq!(call("DELETE", &format!("{faults}/1"), &[], "").await.status, 200);
    assert_eq!(get(&faults).await.json(), json!([]));
    let wrong = call("POST", &faults, &[], "{}").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("missing field"), "{}", wrong.text());
}

#[tokio::test]
async fn control_requests_are_neither_counted_nor_logged() {
    let hub = hub().await;
    assert_eq!(get(&format!("{}/_mock/stats", hub.url())).await.json()["hub_calls"], 0);
    head(&format!("{}/org/name/resolve/main/config.json?a=b", hub.url())).await;
    let log = get(&format!("{}/_mock/log", hub.url())).await.json();
    assert_eq!((log.as_array().unwrap().len(), &log[0]["query"], &log[0]["status"]), (1, &json!("a=b"), &json!(307)));
    assert_eq!(get(&format!("{}/_mock/stats", hub.url())).await.json()["resolve_calls"], 1);
    call("DELETE", &format!("{}/_mock/log", hub.url()), &[], "").await;
    assert!(hub.requests().is_empty());
}

#[tokio::test]
async fn visibility_and_commits_change_over_http() {
    let hub = hub().await;
    let body = json!({"kind": "model", "id": "org/name", "branch": "main", "changes": [
        {"put": {"path": "new.txt", "text": "new\n"}},
        {"put": {"path": "new.bin", "lfs": true, "random": {"seed": 5, "size": 100}}},
        {"delete": {"path": "config.json"}},
    ]});
    let answer = call("POST", &format!("{}/_mock/commit", hub.url()), &[], &body.to_string()).await;
    let commit = answer.json()["commit"].as_str().unwrap().to_owned();
    let answer = get(&format!("{}/org/name/raw/main/new.txt", hub.url())).await;
    assert_eq!((answer.text().as_str(), answer.header("x-repo-commit")), ("new\n", commit.as_str()));
    assert_eq!(get(&signed(&hub, "new.bin").await).await.body, Content::random(5, 100).read_all());
    assert_eq!(get(&format!("{}/org/name/raw/main/config.json", hub.url())).await.status, 404);

    let body = json!({"kind": "model", "id": "org/name", "private": true, "readers": ["hf_r"]}).to_string();
    call("POST", &format!("{}/_mock/visibility", hub.url()), &[], &body).await;
    assert_eq!(get(&format!("{}/api/models/org/name", hub.url())).await.status, 401);
    let reader = [("authorization", "Bearer hf_r")];
    assert_eq!(call("GET", &format!("{}/api/models/org/name", hub.url()), &reader, "").await.status, 200);
}

#[test]
fn rules_survive_json() {
    let rule = Rule::on_hub("x").skip(2).fault(Fault::Delay(std::time::Duration::from_millis(1500)));
    let text = serde_json::to_string(&rule).unwrap();
    assert!(text.contains(r#"{"delay":1500}"#), "{text}");
    assert_eq!(serde_json::from_str::<Rule>(&text).unwrap().fault, rule.fault);
}
