//! Real architectures: what the API says of their weights and their cache of keys and values, computed by hand beside it.
//!
//! Configurations hold what the authors' own say about shape, and parameters are what the Hub counts (from shapes of
//! tensors: `domain/facts/shapes_tests.rs`). The cache of one layer and token is (keys + values) × heads × values of a
//! head × 2 bytes.

use mock_hf::{Content, Repo};
use serde_json::{Value, json};

use super::{number, text};
use crate::harness::TestHub;

/// Bytes that each token takes in one layer with so many heads of keys and values of this size.
const fn per_layer(kv_heads: u64, head_dim: u64) -> u64 {
    2 * kv_heads * head_dim * 2
}

/// The context that is asked for.
const TOKENS: u64 = 8192;

/// What is expected of one model: `layers`, `kv_heads`, `experts` and how many are used, `window`, bytes of cache.
struct Expected(u64, u64, [u64; 2], u64, u64);

fn decoders() -> Vec<(&'static str, Value, u64, Expected)> {
    vec![
        // 32 layers × 2 × 8 × 128 × 2 bytes = 128 KiB a token.
        (
            "meta-llama/Meta-Llama-3-8B",
            json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
                "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192}),
            8_030_261_248,
            Expected(32, 8, [0, 0], 0, 32 * per_layer(8, 128) * TOKENS),
        ),
        // 80 × 2 × 8 × 128 × 2 = 320 KiB.
        (
            "meta-llama/Llama-3.1-70B",
            json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80,
                "num_attention_heads": 64, "num_key_value_heads": 8, "max_position_embeddings": 131_072}),
            70_553_706_496,
            Expected(80, 8, [0, 0], 0, 80 * per_layer(8, 128) * TOKENS),
        ),
        // As Llama 3 8B, and every layer keeps its last 4096 tokens.
        (
            "mistralai/Mistral-7B-v0.1",
            json!({"architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_size": 4096,
                "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "sliding_window": 4096,
                "max_position_embeddings": 32768}),
            7_241_732_096,
            Expected(32, 8, [0, 0], 4096, 32 * per_layer(8, 128) * 4096),
        ),
        // Its window is off.
        (
            "mistralai/Mixtral-8x7B-v0.1",
            json!({"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": 4096,
                "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "sliding_window": null,
                "num_local_experts": 8, "num_experts_per_tok": 2}),
            46_702_792_704,
            Expected(32, 8, [8, 2], 0, 32 * per_layer(8, 128) * TOKENS),
        ),
        // As PaliGemma 2 writes it: the class's heads of 256 are not said.
        (
            "google/paligemma2-10b-pt-224",
            json!({"architectures": ["PaliGemmaForConditionalGeneration"], "model_type": "paligemma", "text_config":
                {"model_type": "gemma2", "hidden_size": 3584, "num_hidden_layers": 42, "num_attention_heads": 16,
                "num_key_value_heads": 8, "sliding_window": 4096}}),
            9_662_409_456,
            Expected(42, 8, [0, 0], 4096, per_layer(8, 256) * (21 * TOKENS + 21 * 4096)),
        ),
        // It writes both sizes of a head; keys and values have that of the attention.
        (
            "Zyphra/Zamba2-1.2B",
            json!({"architectures": ["Zamba2ForCausalLM"], "model_type": "zamba2", "hidden_size": 2048,
                "num_hidden_layers": 38, "num_attention_heads": 32, "num_key_value_heads": 32, "attention_head_dim": 128,
                "kv_channels": 64, "hybrid_layer_ids": [5, 11, 17, 23, 29, 35]}),
            1_215_064_704,
            Expected(38, 32, [0, 0], 0, 6 * per_layer(32, 128) * TOKENS),
        ),
        // 42 layers, every second one sees everything; heads of 256, which is not 3584 / 16.
        (
            "google/gemma-2-9b",
            json!({"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "hidden_size": 3584,
                "num_hidden_layers": 42, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256,
                "sliding_window": 4096, "sliding_window_size": 4096, "max_position_embeddings": 8192}),
            9_241_705_984,
            Expected(42, 8, [0, 0], 4096, per_layer(8, 256) * (21 * TOKENS + 21 * 4096)),
        ),
        // 34 layers, every sixth (5 of them) sees everything; heads are the class's: 4 of 256.
        (
            "google/gemma-3-4b-it",
            json!({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config":
                {"hidden_size": 2560, "model_type": "gemma3_text", "num_hidden_layers": 34, "sliding_window": 1024},
                "vision_config": {"hidden_size": 1152, "num_attention_heads": 16, "num_hidden_layers": 27}}),
            4_300_079_472,
            Expected(34, 4, [0, 0], 1024, per_layer(4, 256) * (5 * TOKENS + 29 * 1024)),
        ),
        // 28 × 2 × 4 × 128 × 2 = 56 KiB; a window that is not used.
        (
            "Qwen/Qwen2.5-7B",
            json!({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 3584,
                "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "sliding_window": 131_072,
                "use_sliding_window": false, "max_window_layers": 28}),
            7_615_616_512,
            Expected(28, 4, [0, 0], 0, 28 * per_layer(4, 128) * TOKENS),
        ),
        // 48 × 2 × 4 × 128 × 2 = 96 KiB; heads of 128, which is not 2048 / 32.
        (
            "Qwen/Qwen3-30B-A3B",
            json!({"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 2048,
                "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
                "num_experts": 128, "num_experts_per_tok": 8, "sliding_window": null, "use_sliding_window": false}),
            30_532_122_624,
            Expected(48, 4, [128, 8], 0, 48 * per_layer(4, 128) * TOKENS),
        ),
        // 48 layers, of which every fourth attends: 12 × 2 × 2 × 256 × 2.
        (
            "Qwen/Qwen3-Next-80B-A3B-Instruct",
            json!({"architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next", "hidden_size": 2048,
                "num_hidden_layers": 48, "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256,
                "full_attention_interval": 4, "num_experts": 512, "num_experts_per_tok": 10}),
            81_324_862_720,
            Expected(48, 2, [512, 10], 0, 12 * per_layer(2, 256) * TOKENS),
        ),
        // Latent attention: 27 × (512 + 64) × 2 bytes.
        (
            "deepseek-ai/DeepSeek-V2-Lite",
            json!({"architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "hidden_size": 2048,
                "num_hidden_layers": 27, "num_attention_heads": 16, "num_key_value_heads": 16, "kv_lora_rank": 512,
                "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "n_routed_experts": 64,
                "num_experts_per_tok": 6}),
            15_706_484_224,
            Expected(27, 16, [64, 6], 0, 27 * 576 * 2 * TOKENS),
        ),
        (
            "deepseek-ai/DeepSeek-V3",
            json!({"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "hidden_size": 7168,
                "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128, "kv_lora_rank": 512,
                "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 256, "num_experts_per_tok": 8}),
            684_531_386_000,
            Expected(61, 128, [256, 8], 0, 61 * 576 * 2 * TOKENS),
        ),
        // 32 × 2 × 32 × 96 × 2 = 384 KiB, of the last 2047 tokens.
        (
            "microsoft/Phi-3-mini-4k-instruct",
            json!({"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_size": 3072,
                "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "sliding_window": 2047}),
            3_821_079_552,
            Expected(32, 32, [0, 0], 2047, 32 * per_layer(32, 96) * 2047),
        ),
        // One head for all 71 queries, though it says 71: 32 × 2 × 64 × 2 = 8 KiB.
        (
            "tiiuae/falcon-7b",
            json!({"architectures": ["FalconForCausalLM"], "model_type": "falcon", "hidden_size": 4544,
                "num_hidden_layers": 32, "num_attention_heads": 71, "num_kv_heads": 71, "multi_query": true,
                "new_decoder_architecture": false}),
            7_217_189_760,
            Expected(32, 1, [0, 0], 0, 32 * per_layer(1, 64) * TOKENS),
        ),
        // Queries share in groups: the number holds. 60 × 2 × 8 × 64 × 2.
        (
            "tiiuae/falcon-40b",
            json!({"architectures": ["FalconForCausalLM"], "model_type": "falcon", "hidden_size": 8192,
                "num_hidden_layers": 60, "num_attention_heads": 128, "num_kv_heads": 8, "multi_query": true,
                "new_decoder_architecture": true}),
            41_838_428_416,
            Expected(60, 8, [0, 0], 0, 60 * per_layer(8, 64) * TOKENS),
        ),
        // 32 × 2 × 32 × 128 × 2 = 512 KiB.
        (
            "mosaicml/mpt-7b",
            json!({"architectures": ["MPTForCausalLM"], "model_type": "mpt", "d_model": 4096, "n_layers": 32, "n_heads": 32,
                "max_seq_len": 2048, "attn_config": {"attn_type": "multihead_attention", "alibi": true}}),
            6_649_286_656,
            Expected(32, 0, [0, 0], 0, 32 * per_layer(32, 128) * TOKENS),
        ),
        // 40 × 2 × 8 × 128 × 2 = 160 KiB.
        (
            "databricks/dbrx-base",
            json!({"architectures": ["DbrxForCausalLM"], "model_type": "dbrx", "d_model": 6144, "n_heads": 48,
                "n_layers": 40, "max_seq_len": 32768, "attn_config": {"kv_n_heads": 8, "clip_qkv": 8},
                "ffn_config": {"moe_num_experts": 16, "moe_top_k": 4, "ffn_hidden_size": 10752}}),
            131_596_523_520,
            Expected(40, 8, [16, 4], 0, 40 * per_layer(8, 128) * TOKENS),
        ),
        (
            "openai-community/gpt2",
            json!({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12,
                "n_ctx": 1024, "n_positions": 1024}),
            137_022_720,
            Expected(12, 0, [0, 0], 0, 12 * per_layer(12, 64) * TOKENS),
        ),
        (
            "EleutherAI/gpt-neox-20b",
            json!({"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "hidden_size": 6144,
                "num_attention_heads": 64, "num_hidden_layers": 44, "max_position_embeddings": 2048}),
            20_739_149_912,
            Expected(44, 0, [0, 0], 0, 44 * per_layer(64, 96) * TOKENS),
        ),
        (
            "bigscience/bloom-7b1",
            json!({"architectures": ["BloomForCausalLM"], "model_type": "bloom", "n_embed": 4096, "n_layer": 30,
                "num_attention_heads": 32, "seq_length": 2048}),
            7_069_016_064,
            Expected(30, 0, [0, 0], 0, 30 * per_layer(32, 128) * TOKENS),
        ),
        (
            "facebook/opt-6.7b",
            json!({"architectures": ["OPTForCausalLM"], "model_type": "opt", "hidden_size": 4096, "num_attention_heads": 32,
                "num_hidden_layers": 32, "max_position_embeddings": 2048, "word_embed_proj_dim": 4096}),
            6_658_473_984,
            Expected(32, 0, [0, 0], 0, 32 * per_layer(32, 128) * TOKENS),
        ),
        // 32 layers, of which 4 attend (every eighth, from the fifth).
        (
            "ai21labs/Jamba-v0.1",
            json!({"architectures": ["JambaForCausalLM"], "model_type": "jamba", "hidden_size": 4096,
                "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "attn_layer_offset": 4,
                "attn_layer_period": 8, "num_experts": 16, "num_experts_per_tok": 2, "expert_layer_period": 2}),
            51_570_323_328,
            Expected(32, 8, [16, 2], 0, 4 * per_layer(8, 128) * TOKENS),
        ),
        // Heads by layer: 5 × 3 + 7 × 4 + 4 × 5 = 63 in all.
        (
            "apple/OpenELM-270M",
            json!({"architectures": ["OpenELMForCausalLM"], "model_type": "openelm", "model_dim": 1280, "head_dim": 64,
                "num_transformer_layers": 16, "max_context_length": 2048,
                "num_kv_heads": [3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5],
                "num_query_heads": [12, 12, 12, 12, 12, 16, 16, 16, 16, 16, 16, 16, 20, 20, 20, 20]}),
            271_527_168,
            Expected(16, 5, [0, 0], 0, per_layer(63, 64) * TOKENS),
        ),
        // 24 layers in turn, of the last 128 tokens or of all.
        (
            "openai/gpt-oss-20b",
            json!({"architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "hidden_size": 2880,
                "num_hidden_layers": 24, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64,
                "sliding_window": 128, "layer_types": (["sliding_attention", "full_attention"].repeat(12)),
                "num_local_experts": 32, "num_experts_per_tok": 4, "quantization_config": {"quant_method": "mxfp4"}}),
            21_511_953_984,
            Expected(24, 8, [32, 4], 128, per_layer(8, 64) * 12 * (TOKENS + 128)),
        ),
        // A language model of which only the family is said: Llama 7B.
        (
            "llava-hf/llava-1.5-7b-hf",
            json!({"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "text_config":
                {"model_type": "llama", "max_position_embeddings": 4096, "vocab_size": 32064},
                "vision_config": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}}),
            7_063_427_072,
            Expected(32, 0, [0, 0], 0, 32 * per_layer(32, 128) * TOKENS),
        ),
    ]
}

fn others() -> Vec<(&'static str, Value, u64, Expected)> {
    vec![
        // 12 decoder layers × 2 × 12 × 64 × 2, of what is written and of what was read.
        (
            "google/flan-t5-base",
            json!({"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": 768, "d_kv": 64,
                "num_heads": 12, "num_layers": 12, "num_decoder_layers": 12, "n_positions": 512,
                "is_encoder_decoder": true}),
            247_577_856,
            Expected(12, 0, [0, 0], 0, 2 * 12 * per_layer(12, 64) * TOKENS),
        ),
        // 12 layers read, 4 write; 6 heads of 64, which is not 1472 / 6.
        (
            "google/byt5-small",
            json!({"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": 1472, "d_kv": 64,
                "num_heads": 6, "num_layers": 12, "num_decoder_layers": 4, "is_encoder_decoder": true}),
            299_637_760,
            Expected(4, 0, [0, 0], 0, 2 * 4 * per_layer(6, 64) * TOKENS),
        ),
        (
            "facebook/bart-large-cnn",
            json!({"architectures": ["BartForConditionalGeneration"], "model_type": "bart", "d_model": 1024,
                "decoder_layers": 12, "decoder_attention_heads": 16, "encoder_layers": 12, "num_hidden_layers": 12,
                "is_encoder_decoder": true, "max_position_embeddings": 1024}),
            406_290_432,
            Expected(12, 0, [0, 0], 0, 2 * 12 * per_layer(16, 64) * TOKENS),
        ),
        // 32 layers; of the sound always 1500 positions.
        (
            "openai/whisper-large-v3",
            json!({"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "d_model": 1280,
                "decoder_layers": 32, "decoder_attention_heads": 20, "encoder_layers": 32, "num_hidden_layers": 32,
                "is_encoder_decoder": true, "max_source_positions": 1500, "max_target_positions": 448}),
            1_543_490_560,
            Expected(32, 0, [0, 0], 0, 32 * per_layer(20, 64) * (TOKENS + 1500)),
        ),
        (
            "google-bert/bert-base-uncased",
            json!({"architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12,
                "num_attention_heads": 12, "max_position_embeddings": 512}),
            110_106_428,
            Expected(12, 0, [0, 0], 0, 0),
        ),
        (
            "openai/clip-vit-large-patch14",
            json!({"architectures": ["CLIPModel"], "model_type": "clip", "text_config": {"hidden_size": 768,
                "num_hidden_layers": 12, "num_attention_heads": 12, "model_type": "clip_text_model"}}),
            427_616_513,
            Expected(12, 0, [0, 0], 0, 0),
        ),
        (
            "state-spaces/mamba-2.8b-hf",
            json!({"architectures": ["MambaForCausalLM"], "model_type": "mamba", "hidden_size": 2560,
                "num_hidden_layers": 64, "state_size": 16, "vocab_size": 50280}),
            2_768_345_600,
            Expected(64, 0, [0, 0], 0, 0),
        ),
    ]
}

#[tokio::test]
async fn the_memory_of_real_architectures_is_as_computed_by_hand() {
    let models: Vec<_> = decoders().into_iter().chain(others()).collect();
    assert!(models.len() >= 20);
    let mut builder = TestHub::builder();
    for (id, config, parameters, _) in &models {
        let counted = json!({"parameters": {"BF16": parameters}, "total": parameters});
        // In 16 bits.
        let weights = Content::Sparse { size: 2 * parameters };
        let repo = Repo::model(*id).file("config.json", config.to_string()).lfs("model.safetensors", weights);
        builder = builder.repo(repo.field("safetensors", counted));
    }
    let hub = builder.start().await;
    for (id, _, parameters, Expected(layers, kv_heads, experts, window, cache)) in models {
        hub.synced(id).await;
        // The second answer is the first one.
        for _ in 0..2 {
            let facts = hub.look(&format!("/v1/models/{id}/facts?context={TOKENS}")).await;
            let said = |key: &str| number(&facts[key]);
            assert_eq!((said("parameters"), said("layers"), said("kv_heads")), (parameters, layers, kv_heads), "{id}");
            assert_eq!([said("experts"), said("experts_used")], experts, "{id}");
            assert_eq!((said("sliding_window"), said("kv_cache_bytes")), (window, cache), "{id}");
            // Weights, cache, a tenth of the weights, and 512 MiB.
            let weights = 2 * parameters;
            let memory = weights + cache + weights / 10 + (512 << 20);
            assert_eq!((said("weight_bytes"), said("memory_bytes")), (weights, memory), "{id}");
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_shape_that_no_file_tells_gives_no_number() {
    let config = json!({"architectures": ["ExoticForCausalLM"], "model_type": "exotic", "depth": 12});
    let repo =
        Repo::model("org/exotic").file("config.json", config.to_string()).lfs("model.safetensors", vec![0_u8; 1000]);
    let hub = TestHub::builder().repo(repo).start().await;
    hub.synced("org/exotic").await;
    for _ in 0..2 {
        let facts = hub.look("/v1/models/org/exotic/facts").await;
        assert_eq!((number(&facts["memory_bytes"]), number(&facts["weight_bytes"])), (0, 1000));
        assert_eq!((&facts["kv_cache_bytes"], text(&facts["model_type"])), (&Value::Null, "exotic"));
    }
    hub.finish().await;
}
