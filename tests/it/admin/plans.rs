//! What a download would fetch: selections, presets, shared content, and whether it fits.

use mock_hf::{Content, Repo};
use serde_json::{Value, json};

use super::{assert_refused, each, list, number, text};
use crate::harness::TestHub;
use crate::harness::repos::{CONFIG, MIB};

fn model() -> Repo {
    Repo::model("org/model")
        .file("config.json", CONFIG)
        .file("docs/a b.md", "# docs\n")
        .lfs("model.safetensors", Content::random(1, 2 * MIB))
        .lfs("copy/model.safetensors", Content::random(1, 2 * MIB))
        .lfs("pytorch_model.bin", Content::random(2, MIB))
        .lfs("gguf/m-Q8_0.gguf", Content::random(3, 8000))
        .lfs("gguf/m-Q4_K_M.gguf", Content::random(4, 4000))
        .lfs("gguf/m-Q2_K-00001-of-00002.gguf", Content::random(5, 1500))
        .lfs("gguf/m-Q2_K-00002-of-00002.gguf", Content::random(6, 1600))
        .lfs("gguf/mmproj-f16.gguf", Content::random(7, 100))
}

async fn start() -> TestHub {
    let hub = TestHub::builder().repo(model()).start().await;
    hub.synced("org/model").await;
    hub
}

async fn plan(hub: &TestHub, selection: Value) -> Value {
    hub.order("/v1/models/org/model/plan", json!({"selection": selection})).await
}

fn paths(plan: &Value) -> Vec<&str> {
    let mut paths = each(&plan["largest"], "file_path");
    paths.sort_unstable();
    paths
}

#[tokio::test]
async fn shared_content_is_fetched_once() {
    let hub = start().await;
    let whole = plan(&hub, json!({})).await;
    let small = (CONFIG.len() + 7) as u64;
    let rest = MIB + 8000 + 4000 + 3100 + 100 + small;
    assert_eq!(number(&whole["files"]), 10);
    assert_eq!(number(&whole["bytes"]), 4 * MIB + rest);
    assert_eq!(number(&whole["bytes_to_fetch"]), 2 * MIB + rest, "two files of one content");
    assert_eq!((number(&whole["files_here"]), &whole["fits"]), (0, &json!(true)));
    assert!(number(&whole["disk_free"]) > 0);
    assert_eq!(whole["commit"], hub.commit_of("main").await);
    // The largest first.
    let sizes: Vec<u64> = list(&whole["largest"]).iter().map(|file| number(&file["size_bytes"])).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    assert_eq!(sizes.len(), 10);
    // A plan changes nothing.
    assert_eq!(list(&hub.look("/v1/jobs").await["jobs"]).len(), 1);
    assert_eq!(number(&hub.look("/v1/storage").await["bytes"]), 0);

    let job = hub.done(&hub.download("org/model", json!({})).await).await;
    assert_eq!(number(&job["progress"]["bytes_done"]), 4 * MIB + rest);
    assert_eq!(number(&hub.look("/v1/storage").await["bytes"]), 2 * MIB + rest);
    let after = plan(&hub, json!({})).await;
    assert_eq!((number(&after["bytes_to_fetch"]), number(&after["files_here"])), (0, 10));
    assert!(list(&after["largest"]).iter().all(|file| file["download_status"] == "completed"));
    hub.finish().await;
}

#[tokio::test]
async fn paths_globs_and_exclusions_narrow_one_another() {
    let hub = start().await;
    for (selection, right) in [
        (json!({"paths": ["gguf"], "exclude": ["*Q*"]}), vec!["gguf/mmproj-f16.gguf"]),
        (json!({"paths": ["gguf/"], "include": ["*Q4*"]}), vec!["gguf/m-Q4_K_M.gguf"]),
        (json!({"paths": ["config.json", "docs/a b.md"]}), vec!["config.json", "docs/a b.md"]),
        (json!({"include": ["*.json", "docs/*"]}), vec!["config.json", "docs/a b.md"]),
        (json!({"include": ["*safetensors"], "exclude": ["copy/"]}), vec!["model.safetensors"]),
        (json!({"include": ["model.safetensor[s]", "??????.json"]}), vec!["config.json", "model.safetensors"]),
        (json!({"include": ["CONFIG.JSON"]}), vec![]),
        (json!({"paths": ["conf"]}), vec![]),
    ] {
        let plan = plan(&hub, selection.clone()).await;
        assert_eq!(paths(&plan), right, "{selection}");
        assert_eq!(number(&plan["files"]) as usize, right.len());
        if right.is_empty() {
            assert!(plan["warnings"].to_string().contains("no file"), "{plan:#}");
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn presets_leave_out_the_other_weights_and_take_one_quantisation() {
    let hub = start().await;
    let always = ["config.json", "docs/a b.md"];
    let with = |mut more: Vec<&'static str>| {
        more.extend(always);
        more.sort_unstable();
        more
    };
    let safe = plan(&hub, json!({"preset": "safetensors"})).await;
    assert_eq!(paths(&safe), with(vec!["model.safetensors", "copy/model.safetensors"]));
    let parts = ["gguf/m-Q2_K-00001-of-00002.gguf", "gguf/m-Q2_K-00002-of-00002.gguf"];
    let projector = "gguf/mmproj-f16.gguf";
    // The smallest is the one whose parts are smaller together.
    let smallest = plan(&hub, json!({"preset": "gguf"})).await;
    assert_eq!(paths(&smallest), with(vec![parts[0], parts[1], projector]));
    let named = plan(&hub, json!({"preset": "gguf", "quantisation": "q8_0"})).await;
    assert_eq!(paths(&named), with(vec!["gguf/m-Q8_0.gguf", projector]));
    let alone = plan(&hub, json!({"quantisation": "Q8_0"})).await;
    assert_eq!(paths(&alone), paths(&named), "a quantisation means the preset");
    let narrowed = plan(&hub, json!({"preset": "gguf", "exclude": ["*Q2_K*"]})).await;
    assert_eq!(paths(&narrowed), with(vec!["gguf/m-Q4_K_M.gguf", projector]));

    let unknown = json!({"selection": {"preset": "gguf", "quantisation": "Q5_K_M"}});
    let refused = hub.admin("POST", "/v1/models/org/model/plan", &unknown).await;
    assert_refused(&refused, 400, "");
    assert!(text(&refused.json()["detail"]).contains("Q4_K_M"), "{}", refused.text());
    let job = hub.ended(&hub.download("org/model", unknown).await).await;
    assert_eq!(job["status"], "failed");
    assert!(text(&job["error"]).contains("Q4_K_M"), "{job:#}");

    let body = json!({"selection": {"preset": "gguf", "quantisation": "Q4_K_M"}});
    hub.done(&hub.download("org/model", body).await).await;
    let here = hub.look("/v1/models/org/model/files?flat=true&download_status=completed").await;
    assert_eq!(each(&here["files"], "file_path"), with(vec!["gguf/m-Q4_K_M.gguf", projector]));
    hub.finish().await;
}

fn reasons(plan: &Value) -> Vec<(&str, u64)> {
    list(&plan["left_out"]).iter().map(|kind| (text(&kind["reason"]), number(&kind["files"]))).collect()
}

/// A repository with every kind of helper, and a quantisation that is joined from parts.
fn with_helpers() -> Repo {
    Repo::model("org/helpers-GGUF")
        .file("README.md", "# helpers\n")
        .lfs("Q4_K_M/model.gguf", Content::random(11, 4000))
        .lfs("m_q8_0.gguf", Content::random(12, 8000))
        .lfs("m-UD-IQ1_S.gguf", Content::random(13, 2000))
        .lfs("m.i1-Q6_K.gguf.part1of2", Content::random(14, 3000))
        .lfs("m.i1-Q6_K.gguf.part2of2", Content::random(15, 3000))
        .lfs("m.mmproj-F16.gguf", Content::random(16, 100))
        .lfs("m.mmproj-F32.gguf", Content::random(17, 200))
        .lfs("imatrix_m.gguf", Content::random(18, 50))
        .lfs("mtp-m-Q4_0.gguf", Content::random(19, 60))
        .lfs("bad.gguf", Content::random(20, 10))
}

#[tokio::test]
async fn the_model_is_taken_with_one_projector_and_no_other_helper() {
    let hub = TestHub::builder().repo(with_helpers()).start().await;
    hub.synced("org/helpers-GGUF").await;
    let plan =
        async |selection: Value| hub.order("/v1/models/org/helpers-GGUF/plan", json!({"selection": selection})).await;
    let projector = "m.mmproj-F16.gguf";
    for _ in 0..2 {
        let smallest = plan(json!({"preset": "gguf"})).await;
        assert_eq!(paths(&smallest), ["README.md", "m-UD-IQ1_S.gguf", projector]);
        assert_eq!(
            reasons(&smallest),
            [
                ("other quantisations", 4),
                ("GGUF files whose names tell no quantisation", 1),
                ("other precisions of the projector", 1),
                ("importance matrices", 1),
                ("draft models", 1),
            ]
        );
        let quantisations: Vec<(&str, u64, u64, &str)> = list(&smallest["quantisations"])
            .iter()
            .map(|one| (text(&one["name"]), number(&one["files"]), number(&one["bytes"]), text(&one["file_path"])))
            .collect();
        assert_eq!(
            quantisations,
            [
                ("UD-IQ1_S", 1, 2000, "m-UD-IQ1_S.gguf"),
                ("Q4_K_M", 1, 4000, "Q4_K_M/model.gguf"),
                ("i1-Q6_K", 2, 6000, "m.i1-Q6_K.gguf.part1of2"),
                ("Q8_0", 1, 8000, "m_q8_0.gguf"),
            ]
        );
        for (wanted, files) in [
            ("q6_k", vec!["README.md", "m.i1-Q6_K.gguf.part1of2", "m.i1-Q6_K.gguf.part2of2", projector]),
            ("Q4_K_M", vec!["Q4_K_M/model.gguf", "README.md", projector]),
            ("Q8_0", vec!["README.md", projector, "m_q8_0.gguf"]),
        ] {
            assert_eq!(paths(&plan(json!({"quantisation": wanted})).await), files, "{wanted}");
        }
    }
    let bad = json!({"selection": {"quantisation": "BAD"}});
    let refused = hub.admin("POST", "/v1/models/org/helpers-GGUF/plan", &bad).await;
    assert_refused(&refused, 400, "");
    assert!(text(&refused.json()["detail"]).contains("expected one of UD-IQ1_S, Q4_K_M"), "{}", refused.text());
    // Before it is registered, the same quantisations are told.
    let found = hub.ask("POST", "/v1/lookup", json!({"source": "org/helpers-GGUF"})).await;
    assert_eq!(each(&found["quantisations"], "name"), ["Q4_K_M", "Q8_0", "UD-IQ1_S", "i1-Q6_K"]);
    // Without a preset nothing is left out.
    let all = plan(json!({})).await;
    assert_eq!((number(&all["files"]), reasons(&all)), (11, vec![]));
    assert_eq!(list(&all["quantisations"]).len(), 4);
    hub.finish().await;
}

#[tokio::test]
async fn safetensors_are_taken_once_and_the_plan_says_what_it_leaves_out() {
    let repo = Repo::model("org/twice")
        .file("config.json", CONFIG)
        .lfs("model-00001-of-00002.safetensors", Content::random(21, 3000))
        .lfs("model-00002-of-00002.safetensors", Content::random(22, 3000))
        .lfs("consolidated.safetensors", Content::random(23, 6000))
        .lfs("original/model.safetensors", Content::random(24, 6000))
        .lfs("unet/model.safetensors", Content::random(25, 2000))
        .lfs("unet/model.fp16.safetensors", Content::random(26, 1000))
        .lfs("pytorch_model.bin", Content::random(27, 6000));
    let hub = TestHub::builder().repo(repo).start().await;
    hub.synced("org/twice").await;
    let body = json!({"selection": {"preset": "safetensors"}});
    let taken = [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "unet/model.safetensors",
    ];
    for _ in 0..2 {
        let plan = hub.order("/v1/models/org/twice/plan", body.clone()).await;
        assert_eq!(paths(&plan), taken);
        assert_eq!(
            reasons(&plan),
            [
                ("weights in other formats", 1),
                ("the same weights as consolidated files", 1),
                ("the same weights in original/", 1),
                ("other variants of the same weights", 1),
            ]
        );
    }
    hub.done(&hub.download("org/twice", body).await).await;
    let here = hub.look("/v1/models/org/twice/files?flat=true&download_status=completed").await;
    assert_eq!(each(&here["files"], "file_path"), taken);
    let only = hub.order("/v1/models/org/twice/plan", json!({"selection": {"preset": "gguf"}})).await;
    assert!(only["warnings"].to_string().contains("no weights that the preset takes"), "{only:#}");
    hub.finish().await;
}

#[tokio::test]
async fn a_plan_warns_of_pickles_and_says_what_does_not_fit() {
    let hub = start().await;
    let pickles = plan(&hub, json!({"include": ["*.bin", "*.json"]})).await;
    assert!(pickles["warnings"].to_string().contains("pickle"), "{pickles:#}");
    let flagged: Vec<bool> =
        list(&pickles["largest"]).iter().map(|file| file["can_run_code"].as_bool().unwrap()).collect();
    assert_eq!(flagged, [true, false]);
    hub.ask("PATCH", "/v1/settings", json!({"store_limit_bytes": MIB})).await;
    let large = plan(&hub, json!({"preset": "safetensors"})).await;
    assert_eq!((&large["fits"], number(&large["disk_free"])), (&json!(false), MIB));
    assert!(large["warnings"].to_string().contains("the store limit of 1 MiB"), "{large:#}");
    hub.finish().await;
}

#[tokio::test]
async fn a_selection_that_matches_nothing_fails_its_job_at_once() {
    let hub = start().await;
    let job = hub.ended(&hub.download("org/model", json!({"selection": {"include": ["*.none"]}})).await).await;
    assert_eq!((text(&job["status"]), &job["attempts"]), ("failed", &json!(1)));
    assert!(text(&job["error"]).contains("selection"), "{job:#}");
    hub.finish().await;
}

#[tokio::test]
async fn an_eviction_of_one_quantisation_leaves_the_others_and_other_weights() {
    let hub = start().await;
    hub.done(&hub.download("org/model", json!({})).await).await;
    let body = json!({"selection": {"quantisation": "Q8_0", "include": ["*.gguf", "*.bin"], "exclude": ["*mmproj*"]}});
    hub.done(&hub.order("/v1/models/org/model/evict", body).await).await;
    let gone = hub.look("/v1/models/org/model/files?flat=true&download_status=pending").await;
    assert_eq!(each(&gone["files"], "file_path"), ["gguf/m-Q8_0.gguf"]);
    let unknown = json!({"selection": {"quantisation": "Q5_K_M"}});
    for order in ["evict", "verify"] {
        let refused = hub.admin("POST", &format!("/v1/models/org/model/{order}"), &unknown).await;
        assert_refused(&refused, 400, "");
        assert!(text(&refused.json()["detail"]).contains("Q4_K_M"), "{}", refused.text());
    }
    hub.finish().await;
}
