//! Repositories that upstream knows by another name: they are one model, whichever name is used.

use serde_json::json;

use super::{assert_refused, each, list, number, small_model, text};
use crate::harness::TestHub;
use crate::harness::repos::MIB;

#[tokio::test]
async fn a_model_that_is_registered_by_an_older_name_is_the_one_of_its_true_name() {
    let hub = TestHub::builder().repo(small_model("org/old")).start().await;
    hub.mock.rename("model", "org/old", "org/new");
    let model = hub.synced("org/old").await;
    assert_eq!((text(&model["repo_id"]), number(&model["files"])), ("org/new", 3));
    assert!(model["registered_at"].is_string());
    let files = hub.look("/v1/models/org/old/files").await;
    assert_eq!((list(&files["files"]).len(), &files["commit"]), (3, &model["commit"]));
    for name in ["org/old", "org/new"] {
        assert_eq!(hub.look(&format!("/v1/models/{name}")).await["id"], model["id"]);
        assert_eq!(hub.register(name).await["id"], model["id"]);
        assert_eq!(each(&hub.look(&format!("/v1/jobs?model={name}")).await["jobs"], "kind"), ["sync"]);
    }
    assert_eq!(number(&hub.look("/v1/models").await["total"]), 1);
    hub.finish().await;
}

#[tokio::test]
async fn a_name_in_other_letters_is_the_same_model_if_upstream_says_so() {
    let hub = TestHub::builder().repo(small_model("Org/Model")).start().await;
    let first = hub.synced("Org/Model").await;
    let job = json!({"id": hub.register("org/model").await["active_job_id"]});
    hub.done(&job).await;
    assert_eq!(hub.look("/v1/models/org/model").await["id"], first["id"]);
    assert_eq!(hub.job(text(&job["id"])).await["model_id"], first["id"]);
    assert_eq!(number(&hub.look("/v1/models").await["total"]), 1);
    hub.finish().await;
}

#[tokio::test]
async fn a_pin_protects_a_model_that_is_renamed_and_used_by_its_new_name() {
    let hub = TestHub::builder().repo(small_model("org/old")).start().await;
    hub.synced("org/old").await;
    hub.done(&hub.download("org/old", json!({})).await).await;
    hub.order("/v1/models/org/old/pin", json!({"sync_every_seconds": 3600, "pinned": true})).await;
    hub.mock.rename("model", "org/old", "org/new");
    hub.get("/org/new/resolve/main/config.json").await;
    hub.done(&hub.order("/v1/models/org/old/sync", json!({})).await).await;

    let model = hub.look("/v1/models/org/new").await;
    assert_eq!(hub.look("/v1/models/org/old").await, model);
    assert_eq!(number(&hub.look("/v1/models").await["total"]), 1);
    assert_eq!((&model["pinned"], number(&model["sync_every_seconds"])), (&json!(true), 3600));
    assert_eq!((text(&model["status"]), text(&model["download"])), ("synced", "complete"));
    assert_eq!(list(&hub.look("/v1/jobs?model=org/new").await["jobs"]).len(), 3);
    assert_refused(&hub.admin("POST", "/v1/models/org/new/evict", &json!({})).await, 409, "");
    hub.done(&hub.order("/v1/storage/evict", json!({"free_bytes": 100 * MIB})).await).await;
    assert_eq!(hub.look("/v1/models/org/new").await["download"], "complete");
    hub.finish().await;
}
