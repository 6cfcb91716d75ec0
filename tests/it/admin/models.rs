//! Models: registered once, listed page by page, looked up before they are registered, pinned and forgotten.

use mock_hf::{Kind, Repo, TOKEN_ALICE};
use serde_json::{Value, json};

use super::{assert_refused, each, number, small_model, text};
use crate::harness::TestHub;
use crate::harness::repos::{CONFIG, MIB};

#[tokio::test]
async fn registering_twice_is_once() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    let first = hub.synced("org/model").await;
    let again = hub.order("/v1/models", json!({"vendor": "org", "name": "model", "revision": "main"})).await;
    assert_eq!(again, first);
    assert_eq!(number(&hub.look("/v1/models").await["total"]), 1);
    assert_eq!(each(&hub.look("/v1/jobs").await["jobs"], "kind"), ["sync"]);
    // The same name as another kind is another one; in other letters it is, once upstream has said so, the same.
    let dataset = hub.order("/v1/models", json!({"repo_id": "org/model", "kind": "dataset"})).await;
    hub.register("Org/Model").await;
    assert!(dataset["id"] != first["id"]);
    assert_eq!(hub.look("/v1/models/dataset/org/model").await["id"], dataset["id"]);
    assert_eq!(hub.look("/v1/models/model/org/model").await["id"], first["id"]);
    for job in each(&hub.look("/v1/jobs").await["jobs"], "id") {
        hub.ended(&json!({"id": job})).await;
    }
    for _ in 0..2 {
        assert_eq!(hub.look("/v1/models/Org/Model").await["id"], first["id"]);
        hub.register("Org/Model").await;
    }
    hub.finish().await;
}

#[tokio::test]
async fn registering_again_changes_what_is_given_and_syncs_what_is_not_synced() {
    let hub = TestHub::builder().repo(small_model("org/model").tag("v1")).start().await;
    let body = json!({"repo_id": "org/model", "revision": "v2", "sync_every_seconds": 3600});
    let first = hub.order("/v1/models", body).await;
    assert_eq!(hub.ended(&json!({"id": first["active_job_id"]})).await["status"], "failed", "there is no v2");
    assert_eq!(hub.look("/v1/models/org/model").await["status"], "error");

    // What failed is tried again; what is not given stays.
    let failed = hub.register("org/model").await;
    assert_eq!((text(&failed["revision"]), number(&failed["sync_every_seconds"])), ("v2", 3600));
    assert_eq!(hub.ended(&json!({"id": failed["active_job_id"]})).await["payload"]["revision"], "v2");
    let right = hub.order("/v1/models", json!({"repo_id": "org/model", "revision": "v1"})).await;
    assert_eq!(right["id"], first["id"]);
    hub.done(&json!({"id": right["active_job_id"]})).await;
    assert_eq!(hub.look("/v1/models/org/model").await["status"], "synced");
    assert_eq!(hub.register("org/model").await["active_job_id"], "");
    hub.finish().await;
}

#[tokio::test]
async fn a_mistyped_revision_is_refused_and_leaves_a_good_model_as_it_was() {
    let hub = TestHub::builder().repo(small_model("org/model").tag("v1")).start().await;
    let first = hub.synced("org/model").await;
    // Asked twice: what the first answer left behind must not make the second one another.
    for revision in ["mian", "mian", "v2", &"d".repeat(40), &"d".repeat(40)] {
        let body = json!({"repo_id": "org/model", "revision": revision, "sync_every_seconds": 3600});
        let reply = hub.admin("POST", "/v1/models", &body).await;
        assert_refused(&reply, 400, "revision");
        let detail = text(&reply.json()["detail"]).to_owned();
        assert!(detail.contains(revision) && detail.contains("org/model") && detail.contains("main"), "{detail}");
        assert_eq!(hub.look("/v1/models/org/model").await, first, "{revision}");
    }
    assert_eq!(each(&hub.look("/v1/jobs").await["jobs"], "kind"), ["sync"]);
    // Nor may it break what is only known by use.
    hub.mock.put(small_model("org/used"));
    hub.get("/org/used/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    let used = hub.look("/v1/models/org/used").await;
    let reply = hub.admin("POST", "/v1/models", &json!({"repo_id": "org/used", "revision": "nope"})).await;
    assert_refused(&reply, 400, "revision");
    assert_eq!(hub.look("/v1/models/org/used").await, used);
    // What is there is taken: a tag, and a commit.
    for revision in ["v1".to_owned(), hub.commit_of("main").await] {
        let model = hub.order("/v1/models", json!({"repo_id": "org/model", "revision": revision})).await;
        assert_eq!(text(&model["revision"]), revision);
        hub.done(&json!({"id": model["active_job_id"]})).await;
        assert_eq!(hub.look("/v1/models/org/model").await["status"], "synced");
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_new_revision_cannot_be_registered_while_upstream_is_away() {
    let hub = TestHub::builder().repo(small_model("org/model").tag("v1")).start().await;
    let first = hub.synced("org/model").await;
    hub.ask("PATCH", "/v1/settings", json!({"offline": true})).await;
    for _ in 0..2 {
        let reply = hub.admin("POST", "/v1/models", &json!({"repo_id": "org/model", "revision": "later"})).await;
        assert_refused(&reply, 503, "");
        assert_eq!(hub.look("/v1/models/org/model").await, first);
    }
    // The tag is known: the sync has listed it.
    let model = hub.order("/v1/models", json!({"repo_id": "org/model", "revision": "v1"})).await;
    assert_eq!(text(&model["revision"]), "v1");
    hub.order(&format!("/v1/jobs/{}/cancel", text(&model["active_job_id"])), json!({})).await;
    hub.finish().await;
}

#[tokio::test]
async fn what_upstream_does_not_show_has_no_visibility() {
    let hub = TestHub::builder().start().await;
    let model = hub.register("org/none").await;
    hub.ended(&json!({"id": model["active_job_id"]})).await;
    let model = hub.look("/v1/models/org/none").await;
    assert_eq!((text(&model["status"]), text(&model["visibility"])), ("error", ""));
    hub.finish().await;
}

#[tokio::test]
async fn a_sync_of_another_revision_says_nothing_about_the_model() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    let first = hub.synced("org/model").await;
    let job = hub.ended(&hub.order("/v1/models/org/model/sync", json!({"revision": "mian"})).await).await;
    assert_eq!(job["status"], "failed");
    assert_eq!(hub.look("/v1/models/org/model").await, first);
    hub.finish().await;
}

#[tokio::test]
async fn a_sync_forgets_branches_and_tags_that_are_gone() {
    let hub = TestHub::builder().repo(small_model("org/model").branch("dev").tag("v1")).start().await;
    hub.synced("org/model").await;
    let short = &hub.commit_of("main").await[..8];
    hub.get(&format!("/org/model/resolve/{short}/config.json")).await.assert_is(200, CONFIG.as_bytes());
    let names = async || each(&hub.look("/v1/models/org/model/revisions").await["revisions"], "name").join(" ");
    assert_eq!(names().await, format!("{short} dev main v1"));
    hub.mock.remove("model", "org/model");
    hub.mock.put(small_model("org/model").tag("v2"));
    hub.done(&hub.order("/v1/models/org/model/sync", json!({})).await).await;
    assert_eq!(names().await, format!("{short} main v2"));
    hub.finish().await;
}

#[tokio::test]
async fn a_model_that_was_downloaded_from_is_listed_unregistered_and_can_be_registered() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    hub.get("/org/model/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    let model = hub.look("/v1/models/org/model").await;
    assert_eq!((&model["registered_at"], text(&model["active_job_id"])), (&Value::Null, ""));
    let registered = hub.synced("org/model").await;
    assert_eq!(registered["id"], model["id"]);
    assert!(registered["registered_at"].is_string());
    assert_eq!((number(&registered["files_here"]), text(&registered["download"])), (1, "partial"));
    hub.finish().await;
}

#[tokio::test]
async fn models_are_listed_page_by_page_in_every_order() {
    let hub = TestHub::builder().set("jobs.run", "false").start().await;
    let mut right: Vec<String> = (0..23).map(|n| format!("org-{}/model-{n:02}", n % 3)).collect();
    for id in &right {
        hub.register(id).await;
    }
    right.sort();
    for (order, reversed) in [("name", false), ("-name", true), ("size", false), ("-used", true), ("-created", true)] {
        for size in [1, 5, 23] {
            let (mut seen, mut token) = (Vec::new(), String::new());
            loop {
                let page = hub.look(&format!("/v1/models?order={order}&page_size={size}&page_token={token}")).await;
                assert_eq!(number(&page["total"]), 23);
                seen.extend(each(&page["models"], "repo_id").into_iter().map(str::to_owned));
                token = text(&page["next_page_token"]).to_owned();
                if token.is_empty() {
                    break;
                }
            }
            if order.ends_with("name") {
                let right: Vec<_> = if reversed { right.iter().rev().cloned().collect() } else { right.clone() };
                assert_eq!(seen, right, "{order}, pages of {size}");
            }
            seen.sort();
            assert_eq!(seen, right, "{order}, pages of {size}");
        }
    }
    let found = hub.look("/v1/models?search=ORG-1/").await;
    assert!(each(&found["models"], "repo_id").iter().all(|id| id.starts_with("org-1/")));
    assert_eq!(number(&found["total"]), 8);
    assert_eq!(number(&hub.look("/v1/models?search=%25").await["total"]), 0);
    assert_eq!(number(&hub.look("/v1/models?status=synced").await["total"]), 0);
    assert_eq!(number(&hub.look("/v1/models?status=registered&pinned=false&kind=model").await["total"]), 23);
    hub.finish().await;
}

/// Weights in several formats, some of them twice.
fn mixed() -> Repo {
    Repo::model("org/mixed")
        .file("config.json", CONFIG)
        .lfs("model.safetensors", mock_hf::Content::random(1, 2 * MIB))
        .lfs("pytorch_model.bin", mock_hf::Content::random(2, MIB))
        .lfs("m-Q4_K_M.gguf", mock_hf::Content::random(3, 3000))
        .lfs("m-Q8_0.gguf", mock_hf::Content::random(4, 6000))
        .tag("v1")
}

#[tokio::test]
async fn an_id_an_address_and_a_download_command_are_looked_up() {
    let hub =
        TestHub::builder().repo(mixed()).repo(Repo::new(Kind::Dataset, "org/data").file("x.csv", "a")).start().await;
    let commit = hub.mock.commit("model", "org/mixed", "dev", vec![mock_hf::Change::put("dev.txt", "dev")]);
    let look_up = async |source: &str| hub.order("/v1/lookup", json!({"source": source})).await;
    let found = look_up("org/mixed").await;
    assert_eq!(
        (text(&found["kind"]), text(&found["repo_id"]), text(&found["revision"])),
        ("model", "org/mixed", "main")
    );
    assert_eq!(number(&found["files"]), 5);
    assert_eq!(number(&found["bytes"]), 3 * MIB + 9000 + CONFIG.len() as u64);
    assert_eq!(each(&found["formats"], "name"), ["gguf", "pickle", "safetensors"]);
    let quantisations: Vec<_> = each(&found["quantisations"], "name");
    assert_eq!(quantisations, ["Q4_K_M", "Q8_0"]);
    assert_eq!(found["model_id"], "");
    let found = look_up("https://huggingface.co/org/mixed/tree/dev").await;
    assert_eq!((text(&found["revision"]), text(&found["commit"])), ("dev", commit.as_str()));
    let found = look_up("https://huggingface.co/datasets/org/data").await;
    assert_eq!((text(&found["kind"]), text(&found["repo_id"]), number(&found["files"])), ("dataset", "org/data", 1));
    let command =
        "hf download org/mixed config.json --include \"*.gguf\" '*.json' --exclude='*Q8*' --revision v1 --token hf_x";
    let found = look_up(command).await;
    let selection = &found["selection"];
    assert_eq!(selection["paths"], json!(["config.json"]));
    assert_eq!(selection["include"], json!(["*.gguf", "*.json"]));
    assert_eq!((&selection["exclude"], text(&found["revision"])), (&json!(["*Q8*"]), "v1"));
    assert!(!found.to_string().contains("hf_x"));
    hub.synced("org/mixed").await;
    assert_eq!(look_up("org/mixed").await["model_id"], hub.look("/v1/models/org/mixed").await["id"]);
    hub.finish().await;
}

#[tokio::test]
async fn a_look_up_registers_nothing_and_fetches_no_file() {
    let hub = TestHub::builder().repo(mixed()).start().await;
    hub.order("/v1/lookup", json!({"source": "org/mixed"})).await;
    for model in super::list(&hub.look("/v1/models").await["models"]) {
        assert_eq!((&model["registered_at"], text(&model["download"])), (&Value::Null, "none"));
    }
    assert!(super::list(&hub.look("/v1/jobs").await["jobs"]).is_empty());
    assert_eq!(hub.cdn_bytes(), 0);
    hub.finish().await;
}

#[tokio::test]
async fn a_look_up_of_what_not_everybody_may_have_says_so() {
    let gated = small_model("org/gated").gated("auto").reader(TOKEN_ALICE);
    let hub = TestHub::builder().set("upstream.token", TOKEN_ALICE).repo(gated).start().await;
    let found = hub.order("/v1/lookup", json!({"source": "org/gated"})).await;
    assert_eq!(found["visibility"], "gated");
    assert!(found["warnings"].to_string().contains("gated"), "{found:#}");
    hub.finish().await;
}

#[tokio::test]
async fn a_pin_and_a_schedule_are_set_one_by_one() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    for (body, pinned, every) in [
        (json!({}), true, 0),
        (json!({"sync_every_seconds": 3600}), true, 3600),
        (json!({"pinned": false}), false, 3600),
        (json!({"pinned": true, "sync_every_seconds": "0"}), true, 0),
    ] {
        let model = hub.order("/v1/models/org/model/pin", body.clone()).await;
        assert_eq!((&model["pinned"], number(&model["sync_every_seconds"])), (&json!(pinned), every), "{body}");
    }
    assert_eq!(number(&hub.look("/v1/models?pinned=true").await["total"]), 1);
    assert_eq!(number(&hub.look("/v1/models?pinned=false").await["total"]), 0);
    hub.finish().await;
}

#[tokio::test]
async fn a_schedule_syncs_when_its_time_has_come() {
    let hub = TestHub::builder().manual_clock().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    hub.order("/v1/models/org/model/pin", json!({"pinned": false, "sync_every_seconds": 3600})).await;
    hub.mock.commit("model", "org/model", "main", vec![mock_hf::Change::put("new.txt", "new")]);
    hub.clock.advance(std::time::Duration::from_secs(3601));
    let deadline = tokio::time::Instant::now() + super::PATIENCE;
    let job = loop {
        let jobs = hub.look("/v1/jobs").await;
        if super::list(&jobs["jobs"]).len() == 2 {
            break jobs["jobs"][0].clone();
        }
        assert!(tokio::time::Instant::now() < deadline, "no sync was enqueued");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!((text(&job["kind"]), &job["priority"]), ("sync", &json!(0)));
    hub.done(&job).await;
    assert_eq!(number(&hub.look("/v1/models/org/model").await["files"]), 4);
    hub.finish().await;
}

#[tokio::test]
async fn a_forgotten_model_is_gone_its_bytes_stay_and_it_can_come_back() {
    let mut hub = TestHub::builder().repo(small_model("org/model")).start().await;
    let model = hub.synced("org/model").await;
    hub.done(&hub.download("org/model", json!({})).await).await;
    let stored = hub.look("/v1/storage").await;
    assert_eq!(hub.ask("DELETE", "/v1/models/org/model", Value::Null).await, json!({}));
    assert_refused(&hub.admin("GET", "/v1/models/org/model", &Value::Null).await, 404, "");
    assert_refused(&hub.admin("DELETE", "/v1/models/org/model", &Value::Null).await, 404, "");
    let after = hub.look("/v1/storage").await;
    assert_eq!((&after["bytes"], &after["unreferenced_bytes"]), (&stored["bytes"], &stored["bytes"]));
    // Its jobs are history with a name.
    let jobs = hub.look("/v1/jobs").await;
    assert_eq!(each(&jobs["jobs"], "repo_id"), ["org/model"; 2]);
    let again = hub.synced("org/model").await;
    assert_ne!(again["id"], model["id"]);
    assert_eq!(again["download"], "complete", "its bytes are found again");
    hub.allow_upstream_calls(20);
    hub.done(&hub.download("org/model", json!({})).await).await;
    assert_eq!(hub.cdn_bytes(), 0);
    hub.finish().await;
}

#[tokio::test]
async fn a_model_that_a_job_works_on_is_not_forgotten() {
    let hub = TestHub::builder().set("jobs.run", "false").repo(small_model("org/model")).start().await;
    let model = hub.register("org/model").await;
    let refused = hub.admin("DELETE", "/v1/models/org/model", &Value::Null).await;
    assert_refused(&refused, 409, "");
    assert!(text(&refused.json()["detail"]).contains(text(&model["active_job_id"])));
    hub.order(&format!("/v1/jobs/{}/cancel", text(&model["active_job_id"])), json!({})).await;
    hub.ask("DELETE", "/v1/models/org/model", Value::Null).await;
    hub.finish().await;
}

#[tokio::test]
async fn a_download_of_what_is_not_registered_registers_it() {
    let hub = TestHub::builder().repo(small_model("org/model").tag("v1")).repo(small_model("org/used")).start().await;
    let path = "/v1/hub/download";
    let first = hub.done(&hub.order(path, json!({"repo_id": "org/model"})).await).await;
    let model = hub.look("/v1/models/org/model").await;
    assert!(model["registered_at"].is_string(), "{model:#}");
    assert_eq!((&first["model_id"], text(&model["download"])), (&model["id"], "complete"));
    let again = hub.done(&hub.order(path, json!({"repo_id": "org/model"})).await).await;
    assert_eq!(again["model_id"], model["id"]);
    // What is only known by use is registered too.
    hub.get("/org/used/resolve/main/config.json").await.assert_is(200, CONFIG.as_bytes());
    hub.done(&hub.order(path, json!({"repo_id": "org/used"})).await).await;
    assert!(hub.look("/v1/models/org/used").await["registered_at"].is_string());
    // What upstream does not have leaves nothing behind, however often it is asked for.
    for _ in 0..2 {
        assert_refused(&hub.admin("POST", path, &json!({"repo_id": "org/none"})).await, 404, "");
        assert_refused(&hub.admin("GET", "/v1/models/org/none", &Value::Null).await, 404, "");
    }
    assert_eq!(number(&hub.look("/v1/models").await["total"]), 2);
    hub.finish().await;
}

#[tokio::test]
async fn a_download_takes_what_can_be_pasted() {
    let hub = TestHub::builder().repo(small_model("org/a").tag("v1")).repo(small_model("org/b")).start().await;
    let command = "hf download org/a config.json --revision v1";
    for _ in 0..2 {
        let job = hub.done(&hub.order("/v1/hub/download", json!({"repo_id": command})).await).await;
        assert_eq!((text(&job["repo_id"]), text(&job["payload"]["revision"])), ("org/a", "v1"));
        assert_eq!(job["payload"]["selection"]["paths"], json!(["config.json"]));
    }
    // What the request selects goes before what was pasted.
    let body =
        json!({"repo_id": "https://huggingface.co/org/b/blob/main/config.json", "selection": {"include": ["*.md"]}});
    let job = hub.done(&hub.order("/v1/hub/download", body).await).await;
    assert_eq!((text(&job["repo_id"]), &job["payload"]["selection"]["paths"]), ("org/b", &json!([])));
    let model = hub.order("/v1/models", json!({"repo_id": "https://huggingface.co/org/a/tree/v1"})).await;
    assert_eq!((text(&model["repo_id"]), text(&model["revision"])), ("org/a", "v1"));
    for wrong in ["https://example.com/org/a", "hf download", "a b", "https://huggingface.co/blog/x"] {
        let reply = hub.admin("POST", "/v1/hub/download", &json!({"repo_id": wrong})).await;
        assert_refused(&reply, 400, "repo_id");
    }
    let body = json!({"repo_id": "https://huggingface.co/datasets/org/a", "kind": "model"});
    assert_refused(&hub.admin("POST", "/v1/hub/download", &body).await, 400, "kind");
    hub.finish().await;
}

#[tokio::test]
async fn several_models_are_downloaded_by_one_call_that_may_wait_for_them() {
    let hub = TestHub::builder().repo(small_model("org/a")).repo(small_model("org/b")).start().await;
    let body = |ids: &[&str]| {
        let downloads: Vec<Value> = ids.iter().map(|id| json!({"repo_id": id, "wait_seconds": 60})).collect();
        json!({"downloads": downloads})
    };
    // One that cannot be downloaded keeps all from being started.
    let reply = hub.admin("POST", "/v1/downloads", &body(&["org/a", "org/none"])).await;
    assert_refused(&reply, 404, "");
    assert!(text(&reply.json()["detail"]).starts_with("downloads[1]: "), "{}", reply.text());
    let wrong = json!({"downloads": [{"repo_id": "org/a"}, {"repo_id": "org/b", "wait_seconds": 601}]});
    assert_refused(&hub.admin("POST", "/v1/downloads", &wrong).await, 400, "downloads[1].wait_seconds");
    assert_refused(&hub.admin("POST", "/v1/downloads", &json!({})).await, 400, "downloads");
    assert_eq!(hub.look("/v1/jobs").await["jobs"], json!([]));
    for _ in 0..2 {
        let jobs = hub.order("/v1/downloads", body(&["org/a", "org/b"])).await["jobs"].clone();
        assert_eq!(each(&jobs, "repo_id"), ["org/a", "org/b"]);
        assert_eq!(each(&jobs, "status"), ["completed", "completed"]);
    }
    // One that waits for one, and comes back when its time is over.
    let job = hub.order("/v1/hub/download", json!({"repo_id": "org/a", "wait_seconds": 60})).await;
    assert_eq!(job["status"], "completed");
    hub.finish().await;
}
