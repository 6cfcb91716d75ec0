//! Folders as other programs keep their models: LM Studio, Ollama, ComfyUI, text-generation-webui, and the formats that
//! have no `config.json` at their root.

use modelhub::hub::{ImportRequest, Layout, ProblemKind};
use serde_json::json;

use super::{Disk, at, import, import_as};
use crate::harness::repos::CONFIG;
use crate::harness::{TestHub, listing};

async fn offline() -> TestHub {
    TestHub::builder().set("upstream.offline", "true").start().await
}

/// What a client sees in a repository, and that each file can be had.
async fn served(hub: &TestHub, repo: &str) -> Vec<String> {
    let tree = hub.get(&format!("/api/models/{repo}/tree/main?recursive=true")).await;
    assert_eq!(tree.status, 200, "{repo}: {}", tree.everything());
    let tree = tree.json();
    let files = tree.as_array().unwrap().iter().filter(|entry| entry["type"] == "file");
    let mut paths: Vec<String> = files.map(|entry| entry["path"].as_str().unwrap().to_owned()).collect();
    paths.sort_unstable();
    for path in &paths {
        assert_eq!(hub.get(&format!("/{repo}/resolve/main/{path}")).await.status, 200, "{repo}/{path}");
    }
    paths
}

/// Imports a folder, twice and with a restart in between: the repositories, and what is in each.
async fn assert_imports(hub: TestHub, disk: &Disk, expected: &[(&str, &[&str])]) {
    let mut hub = hub;
    for round in 0..2 {
        let report = import(&hub, disk).await;
        let mut found: Vec<String> = report.repos.iter().map(|repo| repo.repo.to_string()).collect();
        found.sort_unstable();
        assert_eq!(found, expected.iter().map(|(repo, _)| *repo).collect::<Vec<_>>(), "{round}: {report:#?}");
        for (repo, files) in expected {
            assert_eq!(served(&hub, repo).await, *files, "{repo}");
        }
        hub = hub.restart().await;
    }
    for (repo, files) in expected {
        assert_eq!(served(&hub, repo).await, *files, "{repo}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn lm_studio_has_a_publisher_and_a_repository_above_each_file() {
    let disk = Disk::new();
    for (repo, model) in [("bartowski/gemma-3-4b-GGUF", "gemma-3-4b"), ("lmstudio-community/Qwen-VL-GGUF", "Qwen-VL")] {
        disk.write(&format!("{repo}/{model}-Q4_K_M.gguf"), model);
        // The same name in each.
        disk.write(&format!("{repo}/mmproj-model-f16.gguf"), repo);
    }
    // One quantisation a folder, and a README.
    disk.write("unsloth/Big-GGUF/README.md", "# Big");
    disk.write("unsloth/Big-GGUF/Q4_K_M/Big-Q4_K_M-00001-of-00002.gguf", "one");
    disk.write("unsloth/Big-GGUF/Q4_K_M/Big-Q4_K_M-00002-of-00002.gguf", "two");
    let expected: [(&str, &[&str]); 3] = [
        ("bartowski/gemma-3-4b-GGUF", &["gemma-3-4b-Q4_K_M.gguf", "mmproj-model-f16.gguf"]),
        ("lmstudio-community/Qwen-VL-GGUF", &["Qwen-VL-Q4_K_M.gguf", "mmproj-model-f16.gguf"]),
        (
            "unsloth/Big-GGUF",
            &["Q4_K_M/Big-Q4_K_M-00001-of-00002.gguf", "Q4_K_M/Big-Q4_K_M-00002-of-00002.gguf", "README.md"],
        ),
    ];
    assert_imports(offline().await, &disk, &expected).await;
    // The publisher's folder, or the repository's, has the same names.
    for (path, count) in [("bartowski", 1), ("bartowski/gemma-3-4b-GGUF", 1)] {
        let hub = offline().await;
        let report = import_as(&hub, &disk, at(&disk, path)).await;
        assert_eq!((report.repos[0].repo.to_string().as_str(), report.repos.len()), (expected[0].0, count), "{path}");
        hub.finish().await;
    }
    // Below LM Studio's own folder the place alone says it.
    let disk = Disk::new();
    disk.write(".lmstudio/models/someone/something/weights-q4.gguf", "weights");
    assert_imports(offline().await, &disk, &[("someone/something", &["weights-q4.gguf"])]).await;
}

#[tokio::test]
async fn formats_without_a_config_at_their_root_are_whole_folders() {
    let disk = Disk::new();
    for name in ["chat", "sql"] {
        disk.write(&format!("acme/{name}/adapter_config.json"), "{\"peft_type\": \"LORA\"}");
        disk.write(&format!("acme/{name}/adapter_model.safetensors"), name);
    }
    disk.write("mistralai/Ministral/params.json", "{\"dim\": 64}");
    disk.write("mistralai/Ministral/consolidated.safetensors", "weights");
    disk.write("mistralai/Ministral/tekken.json", "{}");
    let modules =
        json!([{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]);
    disk.write("sbert/old/modules.json", modules.to_string().as_str());
    disk.write("sbert/old/0_Transformer/config.json", CONFIG);
    disk.write("sbert/old/0_Transformer/pytorch_model.bin", "weights");
    disk.write("sbert/old/1_Pooling/config.json", "{\"word_embedding_dimension\": 384}");
    // The same names, of other programs.
    disk.write("work/web/modules.json", "[{\"type\": \"esm\"}]");
    disk.write("work/web/params.json", "{}");
    let expected: [(&str, &[&str]); 4] = [
        ("acme/chat", &["adapter_config.json", "adapter_model.safetensors"]),
        ("acme/sql", &["adapter_config.json", "adapter_model.safetensors"]),
        ("mistralai/Ministral", &["consolidated.safetensors", "params.json", "tekken.json"]),
        (
            "sbert/old",
            &["0_Transformer/config.json", "0_Transformer/pytorch_model.bin", "1_Pooling/config.json", "modules.json"],
        ),
    ];
    assert_imports(offline().await, &disk, &expected).await;
}

#[tokio::test]
async fn nothing_of_a_models_folder_is_left_out_in_silence() {
    let disk = Disk::new();
    disk.write("acme/wl/config.json", CONFIG);
    for name in ["model.safetensors", "uv.lock", "notes.tmp", "src/Cargo.lock"] {
        disk.write(&format!("acme/wl/{name}"), name);
    }
    for name in [".git/config", ".DS_Store", "half.safetensors.incomplete"] {
        disk.write(&format!("acme/wl/{name}"), "x");
    }
    let files: &[&str] = &["config.json", "model.safetensors", "notes.tmp", "src/Cargo.lock", "uv.lock"];
    assert_imports(offline().await, &disk, &[("acme/wl", files)]).await;
    let hub = offline().await;
    let report = import(&hub, &disk).await;
    let count = |kind| report.problems.count(kind);
    assert_eq!((count(ProblemKind::Aside), count(ProblemKind::Unfinished)), (2, 1), "{report:#?}");
    hub.finish().await;
}

#[tokio::test]
async fn weights_that_are_sorted_by_their_use_are_named_by_it() {
    let disk = Disk::new();
    disk.write("models/checkpoints/sd15.ckpt", "sd15");
    disk.write("models/checkpoints/sd15.yaml", "model: {}");
    disk.write("models/checkpoints/put_checkpoints_here", "");
    disk.write("models/loras/SDXL/detail.safetensors", "detail");
    disk.write("models/loras/SDXL/detail.preview.png", "picture");
    // The same name for another use.
    disk.write("models/vae/flux.safetensors", "vae");
    disk.write("models/unet/flux.safetensors", "unet");
    disk.write("models/upscale_models/4x.pth", "4x");
    disk.write("models/LLM/Qwen/config.json", CONFIG);
    disk.write("models/LLM/Qwen/model.safetensors", "qwen");
    let expected: [(&str, &[&str]); 6] = [
        ("LLM/Qwen", &["config.json", "model.safetensors"]),
        ("checkpoints/sd15", &["sd15.ckpt", "sd15.yaml"]),
        ("loras/SDXL-detail", &["detail.preview.png", "detail.safetensors"]),
        ("unet/flux", &["flux.safetensors"]),
        ("upscale_models/4x", &["4x.pth"]),
        ("vae/flux", &["flux.safetensors"]),
    ];
    assert_imports(offline().await, &disk, &expected).await;
}

#[tokio::test]
async fn text_generation_webui_notes_where_a_folder_is_from() {
    let disk = Disk::new();
    let note =
        "url: https://huggingface.co/TheBloke/Llama-2-7B-GPTQ\nbranch: main\ndownload date: 2024-01-01 00:00:00\n";
    disk.write("models/TheBloke_Llama-2-7B-GPTQ/huggingface-metadata.txt", note);
    disk.write("models/TheBloke_Llama-2-7B-GPTQ/config.json", CONFIG);
    disk.write("models/TheBloke_Llama-2-7B-GPTQ/model.safetensors", "weights");
    disk.write("models/single-Q4_K_M.gguf", "single");
    disk.write("loras/my-lora/adapter_config.json", "{}");
    disk.write("loras/my-lora/adapter_model.bin", "lora");
    let expected: [(&str, &[&str]); 3] = [
        ("TheBloke/Llama-2-7B-GPTQ", &["config.json", "huggingface-metadata.txt", "model.safetensors"]),
        ("local/single-Q4_K_M", &["single-Q4_K_M.gguf"]),
        ("loras/my-lora", &["adapter_config.json", "adapter_model.bin"]),
    ];
    assert_imports(offline().await, &disk, &expected).await;
}

#[tokio::test]
async fn modelscope_has_its_notes_and_writes_no_dots() {
    let disk = Disk::new();
    let folder = "hub/models/Qwen/Qwen2___5-0___5B";
    for (name, content) in
        [("config.json", CONFIG), ("model.safetensors", "weights"), (".mdl", "n"), (".msc", "n"), (".mv", "n")]
    {
        disk.write(&format!("{folder}/{name}"), content);
    }
    disk.write(&format!("{folder}/._____temp/model.safetensors"), "half");
    // Without such notes it is a name as any other.
    disk.write("hub/models/org/a___b/config.json", CONFIG);
    let expected: [(&str, &[&str]); 2] =
        [("Qwen/Qwen2.5-0.5B", &["config.json", "model.safetensors"]), ("org/a___b", &["config.json"])];
    assert_imports(offline().await, &disk, &expected).await;
    let hub = offline().await;
    let report = import(&hub, &disk).await;
    assert_eq!(report.problems.count(ProblemKind::Aside), 4, "{report:#?}");
    hub.finish().await;
}

/// Adds a tag to a store of Ollama's: its layers by the last word of their type.
fn pulled(disk: &Disk, place: &str, layers: &[(&str, &str)]) {
    let layer = |kind: &str, content: &str| {
        let content = mock_hf::Content::from(content.to_owned());
        let digest = content.sha256();
        disk.write(&format!("blobs/sha256-{digest}"), content.clone());
        json!({"mediaType": format!("application/vnd.ollama.image.{kind}"), "digest": format!("sha256:{digest}"),
            "size": content.size()})
    };
    let layers: Vec<_> = layers.iter().map(|(kind, content)| layer(kind, content)).collect();
    let mut config = layer("config", "{\"model_format\": \"gguf\"}");
    config["mediaType"] = json!("application/vnd.docker.container.image.v1+json");
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": config, "layers": layers});
    disk.write(&format!("manifests/{place}"), manifest.to_string().as_str());
}

#[tokio::test]
async fn ollamas_store_has_a_repository_for_each_name_and_a_folder_for_each_tag() {
    let disk = Disk::new();
    let library = "registry.ollama.ai/library";
    let text = [("template", "{{ .Prompt }}"), ("license", "MIT"), ("license", "Apache"), ("params", "{\"stop\": []}")];
    pulled(&disk, &format!("{library}/llava/7b"), &[&[("model", "GGUF7"), ("projector", "GGUFp")], &text[..]].concat());
    // Another name of the same weights.
    pulled(&disk, &format!("{library}/llava/latest"), &[("model", "GGUF7")]);
    pulled(&disk, "registry.ollama.ai/someone/tuned/v1.0", &[("model", "tuned"), ("system", "You are.")]);
    pulled(&disk, "hf.co/bartowski/Llama-3.2-1B-GGUF/Q4_K_M", &[("model", "hf")]);
    // Of this one the weights are missing.
    pulled(&disk, &format!("{library}/half/1b"), &[("model", "lost"), ("license", "MIT")]);
    let lost = mock_hf::Content::from("lost".to_owned()).sha256();
    std::fs::remove_file(disk.path().join(format!("blobs/sha256-{lost}"))).unwrap();
    disk.write(&format!("blobs/sha256-{lost}-partial"), "lo");
    let expected: [(&str, &[&str]); 3] = [
        (
            "bartowski/Llama-3.2-1B-GGUF",
            &["Q4_K_M/Llama-3.2-1B-GGUF-Q4_K_M.gguf", "Q4_K_M/manifest.json", "Q4_K_M/ollama.json"],
        ),
        (
            "ollama/llava",
            &[
                "7b/license",
                "7b/license-2",
                "7b/llava-7b.gguf",
                "7b/manifest.json",
                "7b/mmproj-llava-7b.gguf",
                "7b/ollama.json",
                "7b/params.json",
                "7b/template",
                "latest/llava-latest.gguf",
                "latest/manifest.json",
                "latest/ollama.json",
            ],
        ),
        (
            "ollama/someone-tuned",
            &["v1.0/manifest.json", "v1.0/ollama.json", "v1.0/someone-tuned-v1.0.gguf", "v1.0/system"],
        ),
    ];
    assert_imports(offline().await, &disk, &expected).await;

    let hub = offline().await;
    let report = import(&hub, &disk).await;
    assert_eq!(report.repos[0].layout, Layout::Ollama, "{report:#?}");
    assert_eq!(report.problems.count(ProblemKind::Incomplete), 1, "{report:#?}");
    assert!(report.problems.first[0].message.contains(&lost), "{report:#?}");
    hub.get("/ollama/llava/resolve/main/7b/mmproj-llava-7b.gguf").await.assert_is(200, b"GGUFp");
    assert_ne!(hub.get("/api/models/ollama/half").await.status, 200);
    // A blob that is not what its name says is not the model.
    let tuned = mock_hf::Content::from("tuned".to_owned()).sha256();
    std::fs::write(disk.path().join(format!("blobs/sha256-{tuned}")), "other").unwrap();
    let report = import(&hub, &disk).await;
    assert_eq!(report.different, 1, "{report:#?}");
    hub.finish().await;
}

#[tokio::test]
async fn manifests_that_ollama_keeps_among_its_blobs_are_found() {
    let disk = Disk::new();
    let blob = |content: &str| {
        let content = mock_hf::Content::from(content.to_owned());
        let digest = content.sha256();
        disk.write(&format!("blobs/sha256-{digest}"), content);
        digest
    };
    let manifest = |kind: &str, content: &str| {
        let layer = json!({"mediaType": format!("application/vnd.ollama.image.{kind}"),
            "digest": format!("sha256:{}", blob(content)), "size": content.len()});
        json!({"schemaVersion": 2, "config": null, "layers": [layer]}).to_string()
    };
    let tag = |place: &str, manifest: &str| {
        disk.link(&format!("manifests-v2/ollama.com/{place}"), &format!("../../../../blobs/sha256-{}", blob(manifest)));
    };
    let list = |manifests: &[String]| {
        let one =
            |digest: &String| json!({"digest": format!("sha256:{digest}"), "runner": "llamacpp", "format": "gguf"});
        let manifests: Vec<_> = manifests.iter().map(one).collect();
        json!({"schemaVersion": 2, "mediaType": "application/vnd.ollama.manifest.list.v2+json", "manifests": manifests})
            .to_string()
    };
    std::fs::create_dir_all(disk.path().join("manifests")).unwrap();
    tag("library/qwen/8b", &manifest("model", "QWEN"));
    // What it leaves for older versions: the same tag.
    pulled(&disk, "registry.ollama.ai/library/qwen/8b", &[("model", "QWEN"), ("manifest", "of the new version")]);
    pulled(&disk, "registry.ollama.ai/library/qwen/1b", &[("model", "OLD")]);
    // Of two manifests one was pulled, for the program that runs here.
    tag("someone/tuned/v1", &list(&[blob(&manifest("model", "TUNED")), "f".repeat(64)]));
    // Of this one a layer is lost, of the next nothing was pulled.
    let lost = blob("LOST");
    tag("library/lost/1b", &list(&[blob(&manifest("model", "LOST"))]));
    std::fs::remove_file(disk.path().join(format!("blobs/sha256-{lost}"))).unwrap();
    tag("library/none/1b", &list(&["e".repeat(64)]));
    let expected: [(&str, &[&str]); 2] = [
        (
            "ollama/qwen",
            &["1b/manifest.json", "1b/ollama.json", "1b/qwen-1b.gguf", "8b/manifest.json", "8b/qwen-8b.gguf"],
        ),
        ("ollama/someone-tuned", &["v1/manifest.json", "v1/someone-tuned-v1.gguf"]),
    ];
    assert_imports(offline().await, &disk, &expected).await;
    let hub = offline().await;
    let report = import(&hub, &disk).await;
    assert_eq!((report.problems.count(ProblemKind::Incomplete), report.problems.total()), (2, 2), "{report:#?}");
    assert!(report.problems.first.iter().any(|problem| problem.message.contains(&lost)), "{report:#?}");
    hub.get("/ollama/someone-tuned/resolve/main/v1/someone-tuned-v1.gguf").await.assert_is(200, b"TUNED");
    hub.finish().await;
}

#[tokio::test]
async fn half_a_tag_of_ollama_is_not_imported_and_two_names_are_not_mixed() {
    let disk = Disk::new();
    let library = "registry.ollama.ai/library";
    pulled(&disk, &format!("{library}/a-b/latest"), &[("model", "one"), ("license", "MIT")]);
    // The same name here.
    pulled(&disk, "registry.ollama.ai/a/b/latest", &[("model", "two"), ("template", "of two")]);
    pulled(&disk, &format!("{library}/broken/8b"), &[("model", "weights"), ("template", "t")]);
    pulled(&disk, &format!("{library}/broken/1b"), &[("model", "small")]);
    let damaged = mock_hf::Content::from("weights".to_owned()).sha256();
    std::fs::write(disk.path().join(format!("blobs/sha256-{damaged}")), "other").unwrap();
    let expected: [(&str, &[&str]); 2] = [
        ("ollama/a-b", &["latest/a-b-latest.gguf", "latest/license", "latest/manifest.json", "latest/ollama.json"]),
        ("ollama/broken", &["1b/broken-1b.gguf", "1b/manifest.json", "1b/ollama.json"]),
    ];
    assert_imports(offline().await, &disk, &expected).await;

    let hub = offline().await;
    let report = import(&hub, &disk).await;
    assert_eq!(report.problems.count(ProblemKind::Twice), 1, "{report:#?}");
    let told = |text: &str| report.problems.first.iter().any(|problem| problem.message.contains(text));
    assert!(told("a layer of ollama/broken:8b is damaged"), "{report:#?}");
    hub.get("/ollama/a-b/resolve/main/latest/a-b-latest.gguf").await.assert_is(200, b"one");
    hub.finish().await;
}

#[tokio::test]
async fn who_gets_nothing_is_told_why_folder_by_folder() {
    let hub = offline().await;
    let disk = Disk::new();
    disk.write("tool/config.json", "{\"port\": 80}");
    disk.write("old/pytorch_model.bin", "weights");
    disk.write("texts/a.txt", "a");
    std::fs::create_dir_all(disk.path().join("empty")).unwrap();
    for _ in 0..2 {
        let report = import(&hub, &disk).await;
        assert_eq!((report.attached, report.problems.count(ProblemKind::NoModel)), (0, 4), "{report:#?}");
        let why = |folder: &str| {
            let problem = report.problems.first.iter().find(|problem| problem.path.ends_with(folder));
            problem.map(|problem| problem.message.clone()).unwrap_or_default()
        };
        assert!(why("tool").contains("config.json names no model"), "{report:#?}");
        assert!(why("old").contains("1 file of weights"), "{report:#?}");
        assert!(why("texts").contains("none of weights"), "{report:#?}");
        assert!(why("empty").contains("empty"), "{report:#?}");
    }
    let preview = hub.hub().models.preview_import(ImportRequest::new(disk.path())).await.unwrap();
    assert_eq!(preview.problems.count(ProblemKind::NoModel), 4, "{preview:#?}");
    // Where something is found, the rest is of no interest.
    disk.write("org/model/config.json", CONFIG);
    let report = import(&hub, &disk).await;
    assert_eq!((report.attached, report.problems.total()), (1, 0), "{report:#?}");
    assert!(listing::paths(&hub.get("/api/models/org/model").await.json()["siblings"]).contains(&"config.json".into()));
    hub.finish().await;
}
