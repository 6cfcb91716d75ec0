//! Settings that are changed while the hub runs: kept, followed at once, and the token never shown.

use mock_hf::{Options, TOKEN_ALICE, TOKEN_BOB, TOKEN_REVOKED};
use serde_json::{Value, json};

use super::{assert_refused, each, list, number, small_model, text};
use crate::harness::TestHub;

#[tokio::test]
async fn settings_are_kept_over_a_restart_and_only_what_is_given_changes() {
    let hub = TestHub::builder().start().await;
    let before = hub.look("/v1/settings").await;
    assert_eq!(before["storage_path"], hub.data_dir().to_str().unwrap());
    assert_eq!(before["upstream_url"], hub.mock.url());
    assert_eq!(before["endpoint"], hub.url());
    assert_eq!((&before["offline"], &before["max_downloads"]), (&json!(false), &json!(2)));
    assert_eq!((&before["hf_token_set"], text(&before["hf_token_source"])), (&json!(false), ""));
    let change = json!({
        "max_downloads": 5,
        "download_bytes_per_second": "1000000000000",
        "download_hours": "22:00-06:30",
        "store_limit_bytes": 123_456_789_012_u64,
        "ref_ttl_seconds": 0,
    });
    let after = hub.ask("PATCH", "/v1/settings", change).await;
    assert_eq!(number(&after["download_bytes_per_second"]), 1_000_000_000_000);
    assert_eq!(hub.look("/v1/settings").await, after);
    let one = hub.ask("PATCH", "/v1/settings", json!({"max_downloads": 6})).await;
    let mut right = after.clone();
    right["max_downloads"] = json!(6);
    assert_eq!(one, right);
    assert_eq!(hub.ask("PATCH", "/v1/settings", json!({})).await, right);
    let hub = hub.restart().await;
    let kept = hub.look("/v1/settings").await;
    for member in
        ["max_downloads", "download_bytes_per_second", "download_hours", "store_limit_bytes", "ref_ttl_seconds"]
    {
        assert_eq!(kept[member], right[member], "{member}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn what_the_store_keeps_is_shown_as_it_was_configured_with_its_place() {
    let hub =
        TestHub::builder().set("store.keep_free", "5%, 1MiB").set("store.pin", "org/*, datasets/a/b").start().await;
    let keeping = hub.look("/v1/settings").await["keeping"].clone();
    let shown: Vec<_> = list(&keeping).iter().map(|one| (text(&one["key"]), &one["values"])).collect();
    assert_eq!(shown[0], ("store.keep_free", &json!(["5%, 1MiB"])));
    assert_eq!(shown[1], ("store.keep_used", &json!(["10m"])));
    assert_eq!(shown[2], ("store.pin", &json!(["org/*", "datasets/a/b"])));
    assert_eq!(each(&keeping, "key")[3..], ["store.never", "store.expire"]);
    assert!(list(&keeping).iter().all(|one| one["source"] == ""), "the harness sets them nowhere: {keeping:#}");
    hub.finish().await;
}

#[tokio::test]
async fn a_wrong_setting_changes_none() {
    let hub = TestHub::builder().start().await;
    let before = hub.look("/v1/settings").await;
    for change in [json!({"offline": true, "max_downloads": 0}), json!({"hf_token": "hf_x", "download_hours": "x"})] {
        assert_eq!(hub.admin("PATCH", "/v1/settings", &change).await.status, 400, "{change}");
        assert_eq!(hub.look("/v1/settings").await, before);
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_token_of_the_settings_opens_private_models_for_jobs_and_never_for_strangers() {
    let private = small_model("org/private").private().reader(TOKEN_ALICE);
    let gated = small_model("org/gated").gated("manual").reader(TOKEN_ALICE);
    let hub = TestHub::builder().repo(private).repo(gated).start().await;
    let model = hub.register("org/private").await;
    let job = hub.ended(&json!({"id": model["active_job_id"]})).await;
    assert_eq!(job["status"], "failed", "without a token it is not there");

    let settings = hub.ask("PATCH", "/v1/settings", json!({"hf_token": format!(" {TOKEN_ALICE}\n")})).await;
    assert_eq!((&settings["hf_token_set"], text(&settings["hf_token_source"])), (&json!(true), "settings"));
    for id in ["org/private", "org/gated"] {
        hub.register(id).await;
        hub.done(&hub.order(&format!("/v1/models/{id}/sync"), json!({})).await).await;
        hub.done(&hub.download(id, json!({})).await).await;
        let visibility = hub.look(&format!("/v1/models/{id}")).await["visibility"].clone();
        assert_eq!(visibility, id.trim_start_matches("org/"));
    }
    // Everything is here. Strangers get nothing of it, known people what upstream allows them.
    for id in ["org/private", "org/gated"] {
        for path in [format!("/{id}/resolve/main/config.json"), format!("/{id}/resolve/main/model.safetensors")] {
            for (reply, who) in [(hub.get(&path).await, "anybody"), (hub.get_as(TOKEN_BOB, &path).await, "bob")] {
                assert!([401, 403, 404].contains(&reply.status), "{path} for {who}: {}", reply.status);
                assert!(!reply.text().contains("model_type"));
            }
            assert_eq!(hub.get_as(TOKEN_ALICE, &path).await.status, 200, "{path}");
        }
        let listing = hub.get(&format!("/api/models/{id}/tree/main")).await;
        assert!([401, 403, 404].contains(&listing.status) || id == "org/gated", "{}", listing.text());
    }
    let found = hub.get("/api/models?search=private").await.text();
    assert!(!found.contains("org/private"), "{found}");

    // It is kept in a file for its owner only, and shown nowhere.
    let hub = hub.restart().await;
    assert_eq!(hub.look("/v1/settings").await["hf_token_source"], "settings");
    let database = hub.database().await;
    assert!(!contains(&database, TOKEN_ALICE.as_bytes()), "the token is in the database");
    for path in ["/v1/settings", "/v1/jobs?page_size=100", "/v1/overview", "/v1/system", "/v1/models", "/metrics"] {
        let said = hub.admin("GET", path, &Value::Null).await.everything();
        assert!(!said.contains(TOKEN_ALICE) && !said.contains("hf_mock"), "{path}: {said}");
    }
    for job in list(&hub.look("/v1/jobs").await["jobs"]) {
        let log = hub.look(&format!("/v1/jobs/{}/log", text(&job["id"]))).await.to_string();
        assert!(!log.contains("hf_mock"), "{log}");
    }
    use std::os::unix::fs::PermissionsExt as _;
    for entry in std::fs::read_dir(hub.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && contains(&std::fs::read(&path).unwrap(), TOKEN_ALICE.as_bytes()) {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
    }

    // Taken away, it opens nothing more; what is here stays hidden.
    let settings = hub.ask("PATCH", "/v1/settings", json!({"hf_token": ""})).await;
    assert_eq!((&settings["hf_token_set"], text(&settings["hf_token_source"])), (&json!(false), ""));
    let job = hub.ended(&hub.order("/v1/models/org/private/sync", json!({})).await).await;
    assert_eq!(job["status"], "failed");
    assert!([401, 403, 404].contains(&hub.get("/org/private/resolve/main/config.json").await.status));
    hub.finish().await;
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_token_is_tested_before_it_is_set() {
    let hub = TestHub::builder().start().await;
    let test = async |body: Value| hub.order("/v1/settings/test-token", body).await;
    let valid = test(json!({"token": TOKEN_ALICE})).await;
    assert_eq!((&valid["valid"], text(&valid["account"])), (&json!(true), "alice"));
    let revoked = test(json!({"token": TOKEN_REVOKED})).await;
    assert_eq!((&revoked["valid"], text(&revoked["account"])), (&json!(false), ""));
    assert!(!text(&revoked["problem"]).is_empty() && !revoked.to_string().contains(TOKEN_REVOKED));
    assert_eq!(hub.look("/v1/settings").await["hf_token_set"], false, "a test sets nothing");
    hub.ask("PATCH", "/v1/settings", json!({"hf_token": TOKEN_BOB})).await;
    assert_eq!(test(json!({})).await["account"], "bob");
    hub.mock.stop().await;
    let away = hub.admin("POST", "/v1/settings/test-token", &json!({})).await;
    assert_refused(&away, 504, "");
    hub.finish().await;
}

#[tokio::test]
async fn a_token_of_the_settings_goes_before_the_configured_one_until_it_is_taken_away() {
    let options = Options::default();
    let private = small_model("org/private").private().reader(TOKEN_BOB);
    let hub = TestHub::builder().options(options).set("upstream.token", TOKEN_ALICE).repo(private).start().await;
    assert_eq!(hub.look("/v1/settings").await["hf_token_source"], "configuration");
    let account = async || text(&hub.order("/v1/settings/test-token", json!({})).await["account"]).to_owned();
    assert_eq!(account().await, "alice");
    hub.ask("PATCH", "/v1/settings", json!({"hf_token": TOKEN_BOB})).await;
    assert_eq!(account().await, "bob");
    assert_eq!(hub.look("/v1/settings").await["hf_token_source"], "settings");
    hub.synced("org/private").await;
    hub.ask("PATCH", "/v1/settings", json!({"hf_token": ""})).await;
    assert_eq!(
        (account().await.as_str(), &hub.look("/v1/settings").await["hf_token_source"]),
        ("alice", &json!("configuration"))
    );
    hub.finish().await;
}
