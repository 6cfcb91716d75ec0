//! What is wrong in a request is refused with the name of the field and what would be right, and changes nothing.

use serde_json::{Value, json};

use super::{assert_refused, each, list, small_model, text};
use crate::harness::{Reply, TestHub};

/// Bodies that are refused, with the field that is named.
fn wrong_bodies() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let long = "x".repeat(10_000);
    vec![
        // Unknown fields, at every depth.
        ("POST", "/v1/models", json!({"repo": "org/x"}), "repo"),
        ("POST", "/v1/models", json!({"repo_id": "org/x", "token": "hf_x"}), "token"),
        ("POST", "/v1/models/org/model/download", json!({"selection": {"globs": ["*"]}}), "selection.globs"),
        ("POST", "/v1/jobs/01900000-0000-7000-8000-000000000000/cancel", json!({"force": true}), "force"),
        ("PATCH", "/v1/settings", json!({"storage_path": "/elsewhere"}), "storage_path"),
        // Wrong types.
        ("POST", "/v1/models", json!({"repo_id": 7}), "repo_id"),
        ("POST", "/v1/models", json!({"repo_id": ["org/x"]}), "repo_id"),
        ("POST", "/v1/models", json!({"repo_id": "org/x", "sync_every_seconds": "soon"}), "sync_every_seconds"),
        ("POST", "/v1/models", json!({"repo_id": "org/x", "sync_every_seconds": -1}), "sync_every_seconds"),
        ("POST", "/v1/models/org/model/download", json!({"priority": "high"}), "priority"),
        ("POST", "/v1/models/org/model/download", json!({"selection": []}), "selection"),
        ("POST", "/v1/models/org/model/download", json!({"selection": {"include": "*"}}), "selection.include"),
        ("POST", "/v1/models/org/model/download", json!({"selection": {"include": [1]}}), "selection.include[0]"),
        ("POST", "/v1/models/org/model/download", json!({"selection": {"preset": "bin"}}), "selection.preset"),
        ("POST", "/v1/models/org/model/download", json!({"selection": {"preset": 99}}), "selection.preset"),
        ("POST", "/v1/models/org/model/pin", json!({"pinned": "yes"}), "pinned"),
        ("PATCH", "/v1/settings", json!({"offline": 1}), "offline"),
        ("PATCH", "/v1/settings", json!({"max_downloads": 1.5}), "max_downloads"),
        // Names.
        ("POST", "/v1/models", json!({}), "repo_id"),
        ("POST", "/v1/models", json!({"repo_id": "a/b/c"}), "repo_id"),
        ("POST", "/v1/models", json!({"repo_id": "../etc"}), "repo_id"),
        ("POST", "/v1/models", json!({"repo_id": "org/mo\u{0}del"}), "repo_id"),
        ("POST", "/v1/models", json!({"repo_id": long}), "repo_id"),
        ("POST", "/v1/models", json!({"source_repo_id": "org/"}), "source_repo_id"),
        ("POST", "/v1/models", json!({"vendor": "org"}), "name"),
        ("POST", "/v1/models", json!({"vendor": "a b", "name": "x"}), "name"),
        ("POST", "/v1/models", json!({"repo_id": "org/a", "source_repo_id": "org/b"}), "source_repo_id"),
        ("POST", "/v1/models", json!({"repo_id": "org/a", "vendor": "other"}), "vendor"),
        ("POST", "/v1/models", json!({"repo_id": "org/a", "vendor": "org", "name": "b"}), "name"),
        ("POST", "/v1/models", json!({"repo_id": "org/a", "kind": "modell"}), "kind"),
        ("POST", "/v1/models", json!({"repo_id": "org/a", "revision": "a..b"}), "revision"),
        ("POST", "/v1/models", json!({"repo_id": "org/a", "revision": "a\u{0}b"}), "revision"),
        ("POST", "/v1/models", json!({"repo_id": "org/a", "sync_every_seconds": 59}), "sync_every_seconds"),
        ("POST", "/v1/models", json!({"repo_id": "org/a", "sync_every_seconds": u64::MAX}), "sync_every_seconds"),
        ("POST", "/v1/lookup", json!({}), "source"),
        ("POST", "/v1/lookup", json!({"source": "rm -rf /"}), "source"),
        ("POST", "/v1/lookup", json!({"source": "hf download 'org/x"}), "source"),
        ("POST", "/v1/hub/sync", json!({}), "repo_id"),
        ("POST", "/v1/hub/sync", json!({"repo_id": "a/b/c"}), "repo_id"),
        ("POST", "/v1/hub/sync", json!({"repo_id": "org/model", "model": "org/model"}), "repo_id"),
        ("POST", "/v1/hub/sync", json!({"model": "a/b/c/d"}), "model"),
        ("POST", "/v1/hub/download", json!({"repo_id": "org/model", "kind": "x"}), "kind"),
        ("POST", "/v1/models/org/model/sync", json!({"model": "org/other"}), "model"),
        ("POST", "/v1/models/org/model/sync", json!({"revision": "x y"}), "revision"),
        // Paths and globs.
        ("POST", "/v1/models/org/model/plan", json!({"selection": {"paths": ["../x"]}}), "selection"),
        ("POST", "/v1/models/org/model/download", json!({"selection": {"paths": ["/etc"]}}), "selection"),
        ("POST", "/v1/models/org/model/download", json!({"selection": {"paths": [""]}}), "selection"),
        ("POST", "/v1/models/org/model/download", json!({"selection": {"include": [""]}}), "selection"),
        ("POST", "/v1/models/org/model/download", json!({"selection": {"exclude": ["a\u{0}"]}}), "selection"),
        ("POST", "/v1/models/org/model/verify", json!({"selection": {"include": [""]}}), "selection"),
        (
            "POST",
            "/v1/models/org/model/evict",
            json!({"selection": {"preset": "safetensors", "quantisation": "Q8_0"}}),
            "selection.quantisation",
        ),
        ("POST", "/v1/models/org/model/evict", json!({"selection": {"paths": ["a//b"]}}), "selection"),
        ("POST", "/v1/models/org/model/evict", json!({"revision": "x y"}), "revision"),
        ("POST", "/v1/models/org/model/verify", json!({"revision": "x y"}), "revision"),
        ("POST", "/v1/models/org/model/download", json!({"priority": 101}), "priority"),
        ("POST", "/v1/models/org/model/download", json!({"priority": -1}), "priority"),
        ("POST", "/v1/models/org/model/pin", json!({"sync_every_seconds": 1}), "sync_every_seconds"),
        ("POST", "/v1/scans", json!({"path": "relative"}), "path"),
        ("POST", "/v1/scans", json!({"path": "/tmp", "placement": "move"}), "placement"),
        ("POST", "/v1/scans", json!({"path": "/tmp", "kind": "x"}), "kind"),
        ("POST", "/v1/scans/preview", json!({"path": "/a\u{0}b"}), "path"),
        // Numbers that settings cannot have.
        ("PATCH", "/v1/settings", json!({"max_downloads": 0}), "max_downloads"),
        ("PATCH", "/v1/settings", json!({"max_downloads": 65}), "max_downloads"),
        ("PATCH", "/v1/settings", json!({"ref_ttl_seconds": 604_801}), "ref_ttl_seconds"),
        ("PATCH", "/v1/settings", json!({"download_hours": "night"}), "download_hours"),
        ("PATCH", "/v1/settings", json!({"download_hours": "24:00-06:00"}), "download_hours"),
        ("PATCH", "/v1/settings", json!({"download_hours": "22:00-22:00"}), "download_hours"),
        ("PATCH", "/v1/settings", json!({"hf_token": "two words"}), "hf_token"),
        ("PATCH", "/v1/settings", json!({"hf_token": "hf_\u{e9}"}), "hf_token"),
        ("POST", "/v1/settings/test-token", json!({}), "token"),
        ("POST", "/v1/storage/evict", json!({}), "free_bytes"),
        ("POST", "/v1/storage/evict", json!({"free_bytes": "much"}), "free_bytes"),
        ("POST", "/v1/storage/verify", json!({"bytes_per_second": -5}), "bytes_per_second"),
    ]
}

#[tokio::test]
async fn wrong_bodies_are_refused_by_the_name_of_their_field_and_change_nothing() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    let before = (hub.look("/v1/jobs").await, hub.look("/v1/models").await, hub.look("/v1/settings").await);
    let mut wrong = Vec::new();
    for (method, path, body, field) in wrong_bodies() {
        let reply = hub.admin(method, path, &body).await;
        if !names(&reply, field) {
            let body: String = body.to_string().chars().take(100).collect();
            wrong.push(format!("{method} {path} {body} should name {field}: {} {}", reply.status, reply.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(before, (hub.look("/v1/jobs").await, hub.look("/v1/models").await, hub.look("/v1/settings").await));
    hub.finish().await;
}

#[tokio::test]
async fn refusals_are_said_in_plain_words() {
    let hub = TestHub::builder().start().await;
    let number = "expected a whole number that is neither negative nor too large";
    let say = async |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let reply = hub.client.call(method, &format!("{}{path}", hub.admin_url()), headers, body).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        reply.text()
    };
    for (method, path, body, text) in [
        ("POST", "/v1/models", r#"{"repo_id": "org/x", "sync_every_seconds": -1}"#, number),
        ("POST", "/v1/storage/verify", r#"{"bytes_per_second": "x"}"#, number),
        ("PATCH", "/v1/settings", r#"{"max_downloads": 1.5}"#, number),
        ("PATCH", "/v1/settings", r#"{"storage_path": "/x"}"#, "set store.data_dir (MODELHUB_DATA_DIR) there"),
        ("PATCH", "/v1/settings", r#"{"offline": true, "offline": false}"#, "duplicate field `offline`"),
    ] {
        let said = say(method, path, &[], body).await;
        assert!(said.contains(text), "{body}: {said}");
    }
    let said = say("GET", "/v1/events", &[("last-event-id", "abc")], "").await;
    assert!(said.contains(r#""field":"Last-Event-ID""#), "{said}");
    hub.finish().await;
}

/// Whether a request was refused because of this field.
fn names(reply: &Reply, field: &str) -> bool {
    let problem: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_problem = reply.header("content-type") == "application/problem+json";
    reply.status == 400 && is_problem && matches!(errors, [error] if error["field"] == field)
}

#[tokio::test]
async fn wrong_queries_are_refused_by_the_name_of_their_parameter() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    let jobs = "/v1/jobs";
    let files = "/v1/models/org/model/files";
    let mut wrong = Vec::new();
    for (path, query, field) in [
        ("/v1/models", "sort=name", "sort"),
        ("/v1/models", "order=speed", "order"),
        ("/v1/models", "order=--name", "order"),
        ("/v1/models", "kind=x", "kind"),
        ("/v1/models", "status=gone", "status"),
        ("/v1/models", "download=some", "download"),
        ("/v1/models", "pinned=maybe", "pinned"),
        ("/v1/models", "page_size=1001", "page_size"),
        ("/v1/models", "page_size=-1", "page_size"),
        ("/v1/models", "page_size=4294967296", "page_size"),
        ("/v1/models", "page_token=%21", "page_token"),
        ("/v1/models", "page_token=AA", "page_token"),
        ("/v1/models", "page_token=Zm9v", "page_token"),
        ("/v1/models", "search=a&search=b", "search"),
        ("/v1/models/org/model", "x=1", "x"),
        (jobs, "status=done", "status"),
        (jobs, "kind=bake", "kind"),
        (jobs, "created_after=yesterday", "created_after"),
        (jobs, "created_before=1", "created_before"),
        (jobs, "model=a/b/c/d", "model"),
        (jobs, "page_token=%ff", "page_token"),
        ("/v1/jobs/7", "", "id"),
        ("/v1/jobs/7/log", "", "id"),
        ("/v1/jobs/01900000-0000-7000-8000-000000000000/log", "after=x", "after"),
        (files, "path=../x", "path"),
        (files, "path=%00", "path"),
        (files, "revision=x%20y", "revision"),
        (files, "file_type=model", "flat"),
        (files, "search=x", "flat"),
        (files, "flat=true&file_type=weights", "file_type"),
        (files, "flat=true&download_status=downloading", "download_status"),
        (files, "flat=yes", "flat"),
        ("/v1/models/org/model/content", "", "path"),
        ("/v1/models/org/model/content", "path=/etc/passwd", "path"),
        ("/v1/models/org/model/tensors", "", "path"),
        ("/v1/models/org/model/tensors", "path=model.safetensors&page_token=Zm9v", "page_token"),
        ("/v1/models/org/model/facts", "context=many", "context"),
        ("/v1/events", "kinds=party", "kinds"),
        ("/v1/events", "after=x", "after"),
        ("/v1/events", "job_id=7", "job_id"),
        ("/v1/overview", "verbose=true", "verbose"),
    ] {
        let reply = hub.admin("GET", &format!("{path}?{query}"), &Value::Null).await;
        if !names(&reply, field) {
            wrong.push(format!("{path}?{query} should name {field}: {} {}", reply.status, reply.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    hub.finish().await;
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let hub = TestHub::builder().start().await;
    for body in ["[]", "\"org/x\"", "{", "null", "{\"repo_id\":\"a/b\"}x", "\u{0}", "7"] {
        let reply = hub.admin_raw("POST", "/v1/models", &[], body).await;
        assert_refused(&reply, 400, "");
    }
    let reply = hub.admin_raw("POST", "/v1/models", &[], &"[".repeat(100_000)).await;
    assert_refused(&reply, 400, "");
    let long = format!("{{\"repo_id\":\"{}\"}}", "x".repeat(3 << 20));
    assert_refused(&hub.admin_raw("POST", "/v1/models", &[], &long).await, 413, "");
    // Fields of a call with a body do not belong into its query.
    let reply = hub.admin("POST", "/v1/models?repo_id=org/x", &json!({})).await;
    assert_refused(&reply, 400, "repo_id");
    let reply = hub.admin_raw("POST", "/v1/models", &[], r#"{"repo_id":"org/a","repo_id":"org/b"}"#).await;
    assert!(reply.status == 400 || reply.status == 200, "{}", reply.text());
    hub.finish().await;
}

#[tokio::test]
async fn what_is_not_known_here_is_not_found_and_says_what_to_do() {
    let hub = TestHub::builder().start().await;
    for (method, path) in [
        ("GET", "/v1/models/org/none"),
        ("DELETE", "/v1/models/org/none"),
        ("GET", "/v1/models/org/none/files"),
        ("GET", "/v1/models/01900000-0000-7000-8000-000000000000"),
        ("POST", "/v1/models/org/none/sync"),
        ("POST", "/v1/models/org/none/download"),
        ("POST", "/v1/models/org/none/plan"),
        ("POST", "/v1/models/org/none/evict"),
        ("GET", "/v1/jobs/01900000-0000-7000-8000-000000000000"),
        ("GET", "/v1/jobs/01900000-0000-7000-8000-000000000000/log"),
        ("POST", "/v1/jobs/01900000-0000-7000-8000-000000000000/cancel"),
        ("POST", "/v1/jobs/01900000-0000-7000-8000-000000000000/resume"),
    ] {
        let body = if method == "POST" { json!({}) } else { Value::Null };
        let reply = hub.admin(method, path, &body).await;
        assert_refused(&reply, 404, "");
    }
    assert!(list(&hub.look("/v1/jobs").await["jobs"]).is_empty());
    let lookup = hub.admin("POST", "/v1/lookup", &json!({"source": "org/none"})).await;
    assert_refused(&lookup, 404, "");
    assert!(each(&hub.look("/v1/models").await["models"], "repo_id").is_empty(), "a failed look-up leaves no model");
    let detail = hub.admin("GET", "/v1/models/org/none", &Value::Null).await.json();
    assert!(text(&detail["detail"]).contains("register"), "{detail:#}");
    hub.finish().await;
}
