//! What counts as a model's weights: all parts once, pipelines by their parts, adapters beside their base.

use mock_hf::Repo;
use serde_json::{Value, json};

use super::{list, number, text};
use crate::harness::TestHub;

/// A safetensors file of one tensor for each name, with so many values in 16 bits.
fn safetensors(tensors: &[(&str, u64)]) -> Vec<u8> {
    typed(&tensors.iter().map(|(name, count)| (*name, "F16", *count)).collect::<Vec<_>>())
}

/// The same with types of numbers.
fn typed(tensors: &[(&str, &str, u64)]) -> Vec<u8> {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, dtype, count) in tensors {
        let bytes = count * if *dtype == "U8" { 1 } else { dtype[dtype.len() - 2..].parse::<u64>().unwrap() / 8 };
        header
            .insert((*name).to_owned(), json!({"dtype": dtype, "shape": [count], "data_offsets": [end, end + bytes]}));
        end += bytes;
    }
    let header = Value::Object(header).to_string();
    let mut bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    bytes.resize(bytes.len() + end as usize, 1);
    bytes
}

/// A GGUF file of a Llama with 4 layers (16 values in a head, 2 heads of keys and values) and one tensor of 16-bit values.
fn gguf(count: u64) -> Vec<u8> {
    let name = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let number = |key: &str, value: u32| [&name(key)[..], &4u32.to_le_bytes(), &value.to_le_bytes()].concat();
    let pairs = [
        [&name("general.architecture")[..], &8u32.to_le_bytes(), &name("llama")].concat(),
        number("llama.block_count", 4),
        number("llama.context_length", 4096),
        number("llama.embedding_length", 64),
        number("llama.attention.head_count", 4),
        number("llama.attention.head_count_kv", 2),
    ];
    let counts = [1u64.to_le_bytes(), (pairs.len() as u64).to_le_bytes()].concat();
    // One dimension, of type 1 (F16), from the beginning of the values.
    let tensor = [&name("w")[..], &1u32.to_le_bytes(), &count.to_le_bytes(), &1u32.to_le_bytes(), &[0; 8]].concat();
    let mut bytes = [b"GGUF\x03\0\0\0", &counts[..], &pairs.concat(), &tensor].concat();
    bytes.resize(bytes.len().next_multiple_of(32) + 2 * count as usize, 1);
    bytes
}

async fn facts(hub: &TestHub, id: &str, query: &str) -> Value {
    let first = hub.look(&format!("/v1/models/{id}/facts{query}")).await;
    assert_eq!(hub.look(&format!("/v1/models/{id}/facts{query}")).await, first, "the second answer is the first one");
    first
}

async fn with(repo: Repo) -> TestHub {
    let hub = TestHub::builder().repo(repo).start().await;
    hub.synced("org/model").await;
    hub
}

async fn download_all(hub: &TestHub) {
    hub.done(&hub.download("org/model", json!({})).await).await;
}

#[tokio::test]
async fn all_parts_of_a_split_file_count() {
    let repo = Repo::model("org/model")
        .lfs("s-Q4_K_M-00001-of-00003.gguf", gguf(3200))
        .lfs("s-Q4_K_M-00002-of-00003.gguf", gguf(3200))
        .lfs("s-Q4_K_M-00003-of-00003.gguf", gguf(160))
        .lfs("s-Q8_0-00001-of-00002.gguf", gguf(320))
        .lfs("mmproj-F16.gguf", gguf(32))
        .field("gguf", json!({"total": 6560}));
    let hub = with(repo).await;
    assert_eq!(number(&facts(&hub, "org/model", "").await["parameters"]), 6560, "as upstream counted");
    download_all(&hub).await;
    for query in ["", "?path=s-Q4_K_M-00001-of-00003.gguf", "?path=s-Q4_K_M-00003-of-00003.gguf"] {
        let facts = facts(&hub, "org/model", query).await;
        assert_eq!((number(&facts["parameters"]), number(&facts["weight_bytes"])), (6560, 13_120), "{query}");
        // The projector is loaded too. Besides: the cache, a tenth of the weights, and 512 MiB.
        let weights = 13_120 + gguf(32).len() as u64;
        let cache = number(&facts["kv_cache_bytes"]);
        assert_eq!(number(&facts["memory_bytes"]), weights + cache + weights / 10 + (512 << 20), "{query}");
        // 4 layers × 2 × 2 heads × 16 values × 2 bytes, and 4096 tokens.
        assert_eq!(number(&facts["kv_cache_bytes"]), 4 * 2 * 2 * 16 * 2 * 4096);
    }
    // Of the other quantisation a part is missing: nothing is known of it.
    let facts = facts(&hub, "org/model", "?path=s-Q8_0-00001-of-00002.gguf").await;
    assert_eq!((number(&facts["weight_bytes"]), number(&facts["memory_bytes"])), (0, 0));
    assert!(text(&list(&facts["problems"])[0]).contains("1 part of this file not found"), "{facts:#}");
    hub.finish().await;
}

#[tokio::test]
async fn packed_values_are_counted_one_by_one() {
    let gptq: &[_] = &[("l.qweight", "I32", 100), ("l.qzeros", "I32", 2), ("l.scales", "F16", 16)];
    let mlx: &[_] = &[("l.weight", "U32", 100), ("l.scales", "BF16", 10), ("l.biases", "BF16", 10)];
    let bnb: &[_] =
        &[("l.weight", "U8", 400), ("l.weight.absmax", "F32", 12), ("l.weight.quant_state.bitsandbytes__nf4", "U8", 8)];
    let mxfp4: &[_] = &[("l.w_blocks", "U8", 400), ("l.w_scales", "U8", 25), ("l.b", "BF16", 5)];
    let quantised = |config: Value| json!({"model_type": "llama", "quantization_config": config});
    let mut hub = TestHub::builder();
    let models = [
        // 32 / 4 = 8 values in each of 100 integers; zeros and scales as they are.
        ("org/gptq", quantised(json!({"quant_method": "gptq", "bits": 4})), gptq, 800 + 2 + 16),
        // 3200 bits.
        ("org/three", quantised(json!({"quant_method": "gptq", "bits": 3})), gptq, 1067 + 2 + 16),
        ("org/mlx", json!({"quantization": {"group_size": 64, "bits": 8}}), mlx, 400 + 20),
        ("org/bnb", quantised(json!({"quant_method": "bitsandbytes", "load_in_4bit": true})), bnb, 800 + 12 + 8),
        // The tensors' names are enough, or say too little.
        ("org/bnb-too", json!({}), bnb, 800 + 12 + 8),
        ("org/unknown", json!({}), &[("l.q_weight", "I32", 100)], 0),
        ("org/mxfp4", quantised(json!({"quant_method": "mxfp4"})), mxfp4, 800 + 25 + 5),
        // How many are in an integer is not said.
        ("org/exl2", quantised(json!({"quant_method": "exl2", "bits": 4.65})), &[("l.q_weight", "I32", 100)], 0),
    ];
    for (id, config, tensors, _) in &models {
        let (first, rest) = tensors.split_at(if *id == "org/bnb-too" { 3 } else { 1 });
        // One of the parts has nothing that is packed.
        let mut repo = Repo::model(*id).file("config.json", config.to_string());
        let of = rest.len().min(1) + 1;
        repo = repo.lfs(format!("model-00001-of-0000{of}.safetensors"), typed(first));
        if of == 2 {
            repo = repo.lfs("model-00002-of-00002.safetensors", typed(rest));
        }
        // As a Hub counts that knows nothing of quantisers.
        let mut counts = serde_json::Map::new();
        for (_, dtype, count) in *tensors {
            counts.insert((*dtype).to_owned(), json!(counts.get(*dtype).map_or(0, |n| n.as_u64().unwrap()) + count));
        }
        hub = hub.repo(repo.field("safetensors", json!({"parameters": counts})));
    }
    let hub = hub.start().await;
    for (id, config, tensors, parameters) in models {
        hub.synced(id).await;
        let before = number(&facts(&hub, id, "").await["parameters"]);
        // Of one whose configuration says nothing of a quantiser, upstream's count is all there is.
        assert!(before == 0 || before >= parameters || config == json!({}), "{id}: never too small: {before}");
        hub.done(&hub.download(id, json!({})).await).await;
        let after = facts(&hub, id, "").await;
        assert_eq!(number(&after["parameters"]), parameters, "{id}: {after:#}");
        assert_eq!(number(&after["weight_bytes"]), typed(tensors).len() as u64 - head_of(&typed(tensors)), "{id}");
    }
    // A Hub that counted the values is believed.
    let config = quantised(json!({"quant_method": "gptq", "bits": 4}));
    let known = Repo::model("org/counted")
        .file("config.json", config.to_string())
        .lfs("model.safetensors", typed(gptq))
        .field("safetensors", json!({"parameters": {"I32": 802, "F16": 16}}));
    hub.mock.put(known);
    hub.synced("org/counted").await;
    assert_eq!(number(&facts(&hub, "org/counted", "").await["parameters"]), 818);
    hub.finish().await;
}

/// How long the head of a safetensors file is.
fn head_of(file: &[u8]) -> u64 {
    8 + u64::from_le_bytes(file[..8].try_into().unwrap())
}

#[tokio::test]
async fn quantisations_in_folders_are_looked_at_too() {
    // As unsloth and others lay out what is large; the projector is above.
    let repo = Repo::model("org/model")
        .lfs("UD-Q2_K/m-UD-Q2_K-00001-of-00002.gguf", gguf(800))
        .lfs("UD-Q2_K/m-UD-Q2_K-00002-of-00002.gguf", gguf(100))
        .lfs("Q8_0/m-Q8_0.gguf", gguf(3200))
        .lfs("Q1_0/m-Q1_0-00001-of-00002.gguf", gguf(32))
        .lfs("mmproj-F16.gguf", gguf(64));
    let hub = with(repo).await;
    download_all(&hub).await;
    let projector = gguf(64).len() as u64;
    // What a download takes if nobody says otherwise: the smallest that is whole.
    for (query, count) in [("", 900), ("?path=UD-Q2_K", 900), ("?path=Q8_0", 3200), ("?path=Q8_0/m-Q8_0.gguf", 3200)] {
        let facts = facts(&hub, "org/model", query).await;
        assert_eq!((number(&facts["parameters"]), number(&facts["weight_bytes"])), (count, 2 * count), "{query}");
        let (weights, cache) = (2 * count + projector, number(&facts["kv_cache_bytes"]));
        assert_eq!(number(&facts["memory_bytes"]), weights + cache + weights / 10 + (512 << 20), "{query}");
    }
    // Tags of Ollama tell none.
    hub.mock.put(Repo::model("org/tags").lfs("8b/m-8b.gguf", gguf(3200)).lfs("latest/m-latest.gguf", gguf(320)));
    hub.synced("org/tags").await;
    hub.done(&hub.download("org/tags", json!({})).await).await;
    assert_eq!(number(&facts(&hub, "org/tags", "").await["parameters"]), 320);
    hub.finish().await;
}

#[tokio::test]
async fn mistrals_own_format_says_its_shape_too() {
    // As mistralai/Mixtral-8x7B-v0.1 in its own words.
    let params = json!({"dim": 4096, "n_layers": 32, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32,
        "n_kv_heads": 8, "vocab_size": 32000, "moe": {"num_experts_per_tok": 2, "num_experts": 8}});
    let repo = Repo::model("org/model")
        .file("params.json", params.to_string())
        .lfs("consolidated-00001-of-00002.safetensors", safetensors(&[("a", 100)]))
        .lfs("consolidated-00002-of-00002.safetensors", safetensors(&[("b", 100)]));
    let hub = with(repo).await;
    download_all(&hub).await;
    let facts = facts(&hub, "org/model", "?context=1000").await;
    assert_eq!((number(&facts["parameters"]), number(&facts["layers"]), number(&facts["kv_heads"])), (200, 32, 8));
    assert_eq!((number(&facts["experts"]), number(&facts["experts_used"])), (8, 2));
    // 32 layers × 2 × 8 heads × 128 values × 2 bytes.
    let cache = 32 * 2 * 8 * 128 * 2 * 1000;
    assert_eq!(number(&facts["kv_cache_bytes"]), cache);
    assert_eq!(number(&facts["memory_bytes"]), 400 + cache + 40 + (512 << 20));
    hub.finish().await;
}

#[tokio::test]
async fn pieces_of_a_file_are_read_as_one() {
    let mut whole = gguf(3200);
    let rest = whole.split_off(2000);
    let bytes = (whole.len() + rest.len()) as u64;
    let hub = with(Repo::model("org/model").lfs("m.Q6_K.gguf.part1of2", whole).lfs("m.Q6_K.gguf.part2of2", rest)).await;
    assert_eq!(number(&facts(&hub, "org/model", "").await["weight_bytes"]), bytes);
    download_all(&hub).await;
    let facts = facts(&hub, "org/model", "").await;
    assert_eq!((number(&facts["parameters"]), number(&facts["layers"])), (3200, 4));
    assert_eq!(list(&facts["problems"]), &[] as &[Value]);
    hub.finish().await;
}

#[tokio::test]
async fn a_pipeline_is_counted_by_its_parts() {
    let index = json!({"_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.19.0",
        "scheduler": ["diffusers", "EulerDiscreteScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"], "feature_extractor": [null, null]});
    let clip = json!({"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "num_hidden_layers": 12});
    let model = |count| safetensors(&[("w", count)]);
    let repo = Repo::model("org/model")
        .file("model_index.json", index.to_string())
        .file("scheduler/scheduler_config.json", "{}")
        .file("text_encoder/config.json", clip.to_string())
        .lfs("text_encoder/model.safetensors", model(100))
        .lfs("text_encoder/model.fp16.safetensors", model(99))
        .lfs("unet/diffusion_pytorch_model-00001-of-00002.safetensors", model(1000))
        .lfs("unet/diffusion_pytorch_model-00002-of-00002.safetensors", model(500))
        .lfs("unet/diffusion_pytorch_model.fp16.safetensors", model(700))
        .lfs("vae/diffusion_pytorch_model.safetensors", model(10))
        .lfs("vae/diffusion_pytorch_model.bin", vec![1_u8; 5000])
        .lfs("sd_xl_base_1.0.safetensors", model(1610));
    let sizes = [model(100), model(1000), model(500), model(10)].iter().map(|file| file.len() as u64).sum::<u64>();
    let hub = with(repo).await;
    let before = facts(&hub, "org/model", "").await;
    assert_eq!((number(&before["parameters"]), number(&before["weight_bytes"])), (0, sizes), "{before:#}");
    download_all(&hub).await;
    let after = facts(&hub, "org/model", "").await;
    let parts: Vec<_> = list(&after["components"])
        .iter()
        .map(|part| (text(&part["name"]), number(&part["parameters"]), number(&part["weight_bytes"])))
        .collect();
    let expected =
        [("scheduler", 0, 0), ("text_encoder", 100, 200), ("tokenizer", 0, 0), ("unet", 1500, 3000), ("vae", 10, 20)];
    assert_eq!(parts, expected);
    assert_eq!((number(&after["parameters"]), number(&after["weight_bytes"])), (1610, 3220));
    // No cache: 3220 bytes, a tenth of them, and 512 MiB.
    assert_eq!((number(&after["kv_cache_bytes"]), number(&after["memory_bytes"])), (0, 3220 + 322 + (512 << 20)));
    let unet = facts(&hub, "org/model", "?path=unet").await;
    assert_eq!(number(&unet["parameters"]), 1500);
    hub.finish().await;
}

#[tokio::test]
async fn a_model_of_several_files_is_all_of_them() {
    // As Wan-AI/Wan2.1-T2V-1.3B is, with sizes in thousands.
    let config = json!({"_class_name": "WanModel", "_diffusers_version": "0.30.0", "dim": 1536, "ffn_dim": 8960,
        "model_type": "t2v", "num_heads": 12, "num_layers": 30, "text_len": 512});
    let main = safetensors(&[("blocks.0.w", 1419)]);
    let repo = Repo::model("org/model")
        .file("config.json", config.to_string())
        .lfs("Wan2.1_VAE.pth", vec![1_u8; 508])
        .lfs("diffusion_pytorch_model.safetensors", main.clone())
        .lfs("models_t5_umt5-xxl-enc-bf16.pth", vec![1_u8; 11_362])
        .file("google/umt5-xxl/tokenizer.json", "{}");
    let hub = with(repo).await;
    download_all(&hub).await;
    let facts = facts(&hub, "org/model", "").await;
    // The pickles are counted by their size: how many parameters they have is not known.
    let weights = 2 * 1419 + 508 + 11_362;
    assert_eq!((number(&facts["weight_bytes"]), number(&facts["parameters"])), (weights, 0), "{facts:#}");
    assert_eq!(number(&facts["memory_bytes"]), weights + weights / 10 + (512 << 20));
    assert_eq!((number(&facts["kv_cache_bytes"]), text(&facts["architecture"])), (0, "WanModel"));
    let main = list(&facts["components"]).iter().find(|part| part["name"] == "diffusion_pytorch_model").unwrap();
    assert_eq!(number(&main["parameters"]), 1419);
    hub.finish().await;
}

#[tokio::test]
async fn an_adapter_stands_beside_its_base() {
    let adapter = json!({"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": 8});
    let lora = safetensors(&[("base_model.model.q.lora_A.weight", 64), ("base_model.model.q.lora_B.weight", 64)]);
    let alone = Repo::model("org/model")
        .file("adapter_config.json", adapter.to_string())
        .lfs("adapter_model.safetensors", lora.clone());
    let hub = with(alone).await;
    for _ in 0..2 {
        let facts = facts(&hub, "org/model", "").await;
        assert_eq!((number(&facts["parameters"]), number(&facts["memory_bytes"])), (0, 0), "the base is not here");
        assert_eq!(text(&facts["adapter"]["base_model"]), "org/base");
        download_all(&hub).await;
    }
    let facts_of_alone = facts(&hub, "org/model", "").await;
    assert_eq!(number(&facts_of_alone["adapter"]["parameters"]), 128);
    assert_eq!((number(&facts_of_alone["adapter"]["rank"]), number(&facts_of_alone["parameters"])), (8, 0));
    // One of which only the tensors and the card say what it is.
    let by_card = Repo::model("org/style")
        .card(json!({"base_model": ["org/first", "org/second"]}))
        .lfs("style.safetensors", lora.clone());
    let beside = Repo::model("org/both")
        .file("config.json", json!({"model_type": "bert"}).to_string())
        .lfs("model.safetensors", safetensors(&[("w", 1000)]))
        .lfs("adapter_model.safetensors", lora);
    for (id, repo) in [("org/style", by_card), ("org/both", beside)] {
        hub.mock.put(repo);
        hub.synced(id).await;
        hub.done(&hub.download(id, json!({})).await).await;
    }
    let style = facts(&hub, "org/style", "").await;
    assert_eq!((text(&style["adapter"]["base_model"]), number(&style["memory_bytes"])), ("org/first", 0), "{style:#}");
    let both = facts(&hub, "org/both", "").await;
    assert_eq!((number(&both["parameters"]), number(&both["adapter"]["parameters"])), (1000, 128), "{both:#}");
    // 2000 bytes and 256 of the adapter, a tenth of them, and 512 MiB.
    assert_eq!(number(&both["memory_bytes"]), 2256 + 225 + (512 << 20));
    hub.finish().await;
}

#[tokio::test]
async fn other_formats_are_known_by_their_size() {
    let config = json!({"architectures": ["BertModel"], "model_type": "bert", "torch_dtype": "float32"}).to_string();
    let repo = Repo::model("org/model")
        .file("config.json", config.clone())
        .lfs("pytorch_model.bin", vec![1_u8; 4000])
        .lfs("optimizer.pt", vec![1_u8; 8000]);
    let hub = with(repo).await;
    let onnx = Repo::model("org/onnx")
        .file("config.json", config)
        .lfs("onnx/model.onnx", vec![1_u8; 100])
        .lfs("onnx/model.onnx_data", vec![1_u8; 3000])
        .lfs("onnx/model_quantized.onnx", vec![1_u8; 900]);
    hub.mock.put(onnx);
    hub.synced("org/onnx").await;
    for (id, weights) in [("org/model", 4000), ("org/onnx", 3100)] {
        let facts = facts(&hub, id, "").await;
        assert_eq!((number(&facts["weight_bytes"]), number(&facts["parameters"])), (weights, 0), "{id}");
        assert_eq!(number(&facts["memory_bytes"]), weights + weights / 10 + (512 << 20), "{id}");
    }
    hub.finish().await;
}
