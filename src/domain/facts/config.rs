//! Facts from the JSON files that stand beside the weights.
//!
//! Every library names its settings in its own words; `settings` holds the synonyms.
//! Steps: the file's name says which of the known files it is; it is read with the caps of
//! `json` (4 MiB, depth and number of values); then values are looked up at the top, and after
//! that in the parts that describe the language model of a model of several kinds.

use super::super::RepoPath;
use super::config_kv::{Assumed, Heads, kv_cache};
use super::error::printable;
use super::json::{self, Node};
use super::kv_cache::KvCache;
use super::quantiser::{quantisation, value_bits};
use super::settings::{Settings, shown, words};
use super::{Adapter, Component, FactsError, ModelFacts};

/// The longest file that is read, in bytes.
pub const SIZE_LIMIT: u64 = json::SIZE_LIMIT as u64;

/// The files that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigFile {
    /// `config.json` of transformers, and of a part of a diffusers pipeline.
    Model,
    /// `model_index.json` of diffusers.
    Pipeline,
    /// `tokenizer_config.json`.
    Tokenizer,
    /// `generation_config.json`.
    Generation,
    /// `adapter_config.json` of PEFT.
    Adapter,
    /// `params.json` of Mistral's own format, which has it in place of `config.json`.
    Mistral,
}

impl ConfigFile {
    /// By the file's name, in whatever folder; which folders belong to the model, the caller knows.
    pub fn of(path: &RepoPath) -> Option<Self> {
        [Self::Model, Self::Pipeline, Self::Tokenizer, Self::Generation, Self::Adapter, Self::Mistral]
            .into_iter()
            .find(|file| file.name() == path.file_name())
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "config.json",
            Self::Pipeline => "model_index.json",
            Self::Tokenizer => "tokenizer_config.json",
            Self::Generation => "generation_config.json",
            Self::Adapter => "adapter_config.json",
            Self::Mistral => "params.json",
        }
    }

    /// Reads a whole file. Values of unexpected types are passed over. Errors: longer than 4 MiB,
    /// not JSON, not an object.
    pub fn read(self, bytes: &[u8]) -> Result<ModelFacts, FactsError> {
        let file = json::read(bytes)?;
        Ok(match self {
            Self::Model | Self::Mistral => model(&file),
            Self::Pipeline => pipeline(&file),
            Self::Tokenizer => tokenizer(&file),
            Self::Generation => generation(&file),
            Self::Adapter => adapter(&file),
        })
    }
}

/// transformers, `PretrainedConfig` and the classes derived from it.
fn model(file: &Node) -> ModelFacts {
    let settings = Settings::new(file);
    let class = file.get("architectures").and_then(|list| list.items().first()).and_then(shown);
    let assumed = Assumed::of(&settings);
    let heads = Heads {
        layers: settings.whole(words::LAYERS).or(assumed.layers),
        hidden_size: settings.whole(words::HIDDEN).or(assumed.hidden_size),
        heads: settings.whole(words::HEADS).or(assumed.heads),
        kv_heads: kv_heads(&settings).or(assumed.kv_heads),
        head_dim: settings.whole(words::HEAD_DIM).or(assumed.head_dim),
    };
    ModelFacts {
        // Parts of a diffusers pipeline name their class in their own way.
        architecture: class.or_else(|| file.get("_class_name").and_then(shown)),
        model_type: file.get("model_type").and_then(shown),
        declared_dtype: settings.find(words::DTYPE, shown).map(|dtype| dtype.trim_start_matches("torch.").to_owned()),
        context_length: settings.whole(words::CONTEXT).or(assumed.context_length),
        quantisation: settings.find(words::QUANTISATION, quantisation),
        value_bits: settings.find(words::QUANTISATION, value_bits),
        kv_cache: kv_cache(file, &settings, &heads),
        layers: heads.layers,
        hidden_size: heads.hidden_size,
        attention_heads: heads.heads,
        kv_heads: heads.kv_heads,
        head_dim: heads.head_dim,
        vocab_size: settings.whole(words::VOCABULARY),
        experts: settings.whole(words::EXPERTS),
        experts_used: settings.whole(words::EXPERTS_USED),
        ..ModelFacts::default()
    }
}

/// Heads of keys and values. Falcon, GPT BigCode and MPT say "one for all" with a flag or a word, ChatGLM with a flag
/// and a number. A Falcon of the old kind says a number too, which does not hold (`FalconAttention`).
fn kv_heads(settings: &Settings<'_>) -> Option<u64> {
    let one_for_all = ["multi_query", "multi_query_attention"].into_iter().any(|key| settings.flag(key) == Some(true))
        || settings.find(&["attn_type"], Node::text) == Some("multiquery_attention");
    if one_for_all && settings.flag("new_decoder_architecture") != Some(true) {
        return settings.whole(&["multi_query_group_num"]).or(Some(1));
    }
    settings.whole(words::KV_HEADS)
}

/// diffusers, `DiffusionPipeline.save_pretrained`: each part as `[library, class]`, both null if
/// the part is left out.
fn pipeline(file: &Node) -> ModelFacts {
    let component = |(name, node): &(String, Node)| {
        let [library, class] = node.items() else { return None };
        let name = printable(name, 256);
        Some(Component { name, library: shown(library)?, class: shown(class)?, ..Component::default() })
    };
    let parts = file.entries().iter().filter(|(name, _)| !name.starts_with('_'));
    ModelFacts {
        architecture: file.get("_class_name").and_then(shown),
        components: parts.filter_map(component).collect(),
        kv_cache: Some(KvCache::none()),
        ..ModelFacts::default()
    }
}

/// transformers, `PreTrainedTokenizerBase`. `chat_template` is a text, or a list of named ones.
fn tokenizer(file: &Node) -> ModelFacts {
    let chat_template = match file.get("chat_template") {
        Some(Node::Text(text)) => !text.is_empty(),
        Some(node) => !node.items().is_empty() || !node.entries().is_empty(),
        None => false,
    };
    let tokenizer = file.get("tokenizer_class").and_then(shown);
    ModelFacts { tokenizer, chat_template, ..ModelFacts::default() }
}

/// transformers, `GenerationConfig`: what people change most often.
fn generation(file: &Node) -> ModelFacts {
    const SHOWN: [&str; 8] =
        ["do_sample", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens", "max_length"];
    let value = |key: &&str| {
        let value = match file.get(key)? {
            Node::Bool(flag) => flag.to_string(),
            Node::Unsigned(number) => number.to_string(),
            Node::Float(number) => number.to_string(),
            _ => return None,
        };
        Some(((*key).to_owned(), value))
    };
    ModelFacts { generation: SHOWN.iter().filter_map(value).collect(), ..ModelFacts::default() }
}

/// PEFT, `PeftConfig` and `LoraConfig`.
fn adapter(file: &Node) -> ModelFacts {
    let adapter = Adapter {
        kind: file.get("peft_type").and_then(shown),
        base_model: file.get("base_model_name_or_path").and_then(shown),
        rank: file.get("r").and_then(Node::whole),
        ..Adapter::default()
    };
    ModelFacts { adapter: Some(adapter), ..ModelFacts::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(text: &str) -> ModelFacts {
        ConfigFile::Model.read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_llama_is_read() {
        let facts = model(
            r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","torch_dtype":"bfloat16","hidden_size":4096,
            "num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":128256,
            "max_position_embeddings":131072,"rope_scaling":{"factor":8.0},"eos_token_id":[1,2]}"#,
        );
        assert_eq!(facts.architecture.as_deref(), Some("LlamaForCausalLM"));
        assert_eq!((facts.model_type.as_deref(), facts.declared_dtype.as_deref()), (Some("llama"), Some("bfloat16")));
        assert_eq!((facts.context_length, facts.layers, facts.hidden_size), (Some(131_072), Some(32), Some(4096)));
        assert_eq!((facts.attention_heads, facts.kv_heads, facts.vocab_size), (Some(32), Some(8), Some(128_256)));
        assert_eq!(facts.kv_cache.map(|cache| cache.bytes(1, 1)), Some(128 << 10));
        assert_eq!(facts.quantisation, None);
    }

    #[test]
    fn synonyms_and_parts_are_looked_up() {
        let gpt2 = model(r#"{"n_ctx":1024,"n_layer":12,"n_embd":768,"n_head":12,"n_positions":2048.0}"#);
        assert_eq!((gpt2.context_length, gpt2.layers, gpt2.hidden_size), (Some(2048), Some(12), Some(768)));
        let vision = model(
            r#"{"architectures":["X"],"vision_config":{"num_hidden_layers":24},"text_config":
            {"num_hidden_layers":40,"dtype":"torch.float16","quantization_config":{"quant_method":"fp8"}}}"#,
        );
        assert_eq!((vision.layers, vision.declared_dtype.as_deref()), (Some(40), Some("float16")));
        assert_eq!(vision.quantisation.as_deref(), Some("fp8"));
        let thinker = model(r#"{"thinker_config":{"text_config":{"max_position_embeddings":32768}}}"#);
        assert_eq!(thinker.context_length, Some(32_768));
        assert_eq!(model(r#"{"multi_query":true,"n_head":71}"#).kv_heads, Some(1));
        assert_eq!(model(r#"{"multi_query_attention":true,"multi_query_group_num":2}"#).kv_heads, Some(2));
        let deepseek =
            model(r#"{"kv_lora_rank":512,"qk_rope_head_dim":64,"num_hidden_layers":61,"n_routed_experts":256}"#);
        assert_eq!(deepseek.kv_cache.map(|cache| cache.bytes(1, 1)), Some(61 * 576 * 2));
        assert_eq!(deepseek.experts, Some(256));
    }

    #[test]
    fn quantisers_are_named() {
        for (config, words) in [
            (r#""quantization_config":{"quant_method":"gptq","bits":4}"#, "gptq 4-bit"),
            (r#""quantization_config":{"quant_method":"bitsandbytes","load_in_4bit":true}"#, "bitsandbytes 4-bit"),
            (r#""quantization":{"group_size":64,"bits":8}"#, "8-bit"),
            (
                r#""quantization_config":{"quant_method":"hqq","quant_config":{"weight_quant_params":{"nbits":4}}}"#,
                "hqq 4-bit",
            ),
            (r#""quantization_config":{"quant_method":"torchao","quant_type":"int4_weight_only"}"#, "torchao 4-bit"),
            (
                r#""quantization_config":{"quant_method":"torchao",
                "quant_type":{"default":{"_type":"Float8WeightOnlyConfig","_data":{}}}}"#,
                "torchao 8-bit",
            ),
            (
                r#""quantization_config":{"quant_method":"torchao","quant_type":"int8_dynamic_activation_int4_weight"}"#,
                "torchao 4-bit",
            ),
            (
                r#""quantization_config":{"quant_method":"torchao","quant_type":"int8_dynamic_activation_int8_weight"}"#,
                "torchao 8-bit",
            ),
            (r#""quantization_config":{"quant_method":"quanto","weights":"int2","activations":null}"#, "quanto 2-bit"),
            (r#""quantization_config":{"quant_method":"quanto","weights":"float8"}"#, "quanto 8-bit"),
            (
                r#""quantization_config":{"quant_method":"compressed-tensors",
                "config_groups":{"group_0":{"weights":{"num_bits":8}}}}"#,
                "compressed-tensors 8-bit",
            ),
        ] {
            assert_eq!(model(&format!("{{{config}}}")).quantisation.as_deref(), Some(words));
        }
    }

    /// Bytes of cache for 1000 tokens, of a model with 2 heads of keys and values of 16 each: 128 bytes a layer and token.
    fn cache(settings: &str) -> Option<u64> {
        let heads = r#""num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,"num_hidden_layers":8"#;
        model(&format!("{{{heads},{settings}}}")).kv_cache.map(|cache| cache.bytes(1000, 1))
    }

    #[test]
    fn layers_without_attention_keep_nothing() {
        for (settings, attending) in [
            (r#""model_type":"x""#, 8),
            (r#""layer_types":["conv","full_attention","mamba","moe","linear_attention","attention","x","mlp"]"#, 3),
            (r#""layers_block_type":["mamba","mamba","mamba","mamba","mamba","hybrid","mamba","hybrid"]"#, 2),
            // A list of another length says nothing of these layers.
            (r#""layer_types":["conv","full_attention"]"#, 8),
            (r#""hybrid_override_pattern":"M-M*EM-*""#, 2),
            (r#""attn_type_list":[0,0,0,1,0,0,0,1]"#, 2),
            (r#""attn_layer_indices":[3,5,7]"#, 3),
            (r#""linear_attn_config":{"full_attn_layers":[4,8],"kda_layers":[1,2,3,5,6,7]}"#, 2),
            (r#""full_attention_interval":3"#, 2),
            (r#""attn_layer_period":3,"attn_layer_offset":1"#, 3),
        ] {
            assert_eq!(cache(settings), Some(attending * 128 * 1000), "{settings}");
        }
    }

    #[test]
    fn windows_hold_for_the_layers_that_have_one() {
        for (settings, windowed) in [
            // A window of which nothing says the layers counts in full.
            (r#""sliding_window":100,"model_type":"new""#, 0),
            (r#""sliding_window":100,"model_type":"mistral""#, 8),
            (r#""sliding_window":null,"model_type":"mistral""#, 0),
            (r#""sliding_window":100,"model_type":"qwen2","use_sliding_window":false"#, 0),
            (r#""sliding_window":100,"model_type":"qwen2","use_sliding_window":true,"max_window_layers":5"#, 3),
            (r#""sliding_window":100,"model_type":"cohere2","sliding_window_pattern":4"#, 6),
            (r#""text_config":{"model_type":"gemma3_text","sliding_window":100}"#, 7),
        ] {
            let expected = 128 * ((8 - windowed) * 1000 + windowed * 100);
            assert_eq!(cache(settings), Some(expected), "{settings}");
        }
        // RecurrentGemma: two recurrent layers, then one with a window; 8 layers have two of those.
        let griffin = r#""_block_types":["recurrent","recurrent","attention"],"attention_window_size":100"#;
        assert_eq!(cache(griffin), Some(2 * 128 * 100));
        // Gemma 4: layers that see everything have heads of their own, here 1 of 64.
        let gemma4 = r#""sliding_window":100,"global_head_dim":64,"num_global_key_value_heads":1,
            "layer_types":["sliding_attention","full_attention","sliding_attention","full_attention",
            "sliding_attention","full_attention","sliding_attention","full_attention"]"#;
        assert_eq!(cache(gemma4), Some(4 * 128 * 100 + 4 * 2 * 64 * 2 * 1000));
    }

    #[test]
    fn what_answers_in_one_step_keeps_nothing() {
        for settings in [
            r#""model_type":"modernbert""#,
            r#""architectures":["LlamaForSequenceClassification"],"model_type":"llama""#,
            r#""architectures":["UMT5EncoderModel"],"model_type":"umt5""#,
            r#""_class_name":"WanModel","model_type":"t2v""#,
            r#""architecture":"resnet50","pretrained_cfg":{"num_classes":1000}"#,
            r#""architectures":["Mamba2ForCausalLM"],"model_type":"mamba2""#,
        ] {
            assert_eq!(cache(settings), Some(0), "{settings}");
        }
        let bert = r#""architectures":["BertLMHeadModel"],"model_type":"bert","is_decoder":true"#;
        assert_eq!(cache(bert), Some(8 * 128 * 1000));
        // Values of another size than keys; and no shape at all.
        assert_eq!(cache(r#""v_head_dim":8"#), Some(8 * 96 * 1000));
        assert_eq!(model(r#"{"model_type":"x","num_hidden_layers":8}"#).kv_cache, None);
        let mpt = model(r#"{"attn_config":{"attn_type":"multiquery_attention"},"n_heads":32}"#);
        assert_eq!(mpt.kv_heads, Some(1));
    }

    #[test]
    fn values_of_odd_types_are_passed_over() {
        let facts = model(r#"{"architectures":null,"model_type":7,"n_layer":"x","hidden_size":-1,"vocab_size":0.5}"#);
        assert_eq!(facts, ModelFacts::default());
    }

    #[test]
    fn a_pipeline_names_its_parts() {
        let text = br#"{"_class_name":"StableDiffusionPipeline","_diffusers_version":"0.30","safety_checker":[null,null],
            "scheduler":["diffusers","PNDMScheduler"],"unet":["diffusers","UNet2DConditionModel"],"x":[1,2,3],"f":true}"#;
        let facts = ConfigFile::Pipeline.read(text).unwrap();
        assert_eq!(facts.architecture.as_deref(), Some("StableDiffusionPipeline"));
        let parts: Vec<_> = facts.components.iter().map(|part| (part.name.as_str(), part.class.as_str())).collect();
        assert_eq!(parts, [("scheduler", "PNDMScheduler"), ("unet", "UNet2DConditionModel")]);
    }

    #[test]
    fn the_smaller_files_are_read() {
        let long = "x".repeat(20_000);
        let text =
            format!(r#"{{"tokenizer_class":"LlamaTokenizer","model_max_length":1e30,"chat_template":"{long}"}}"#);
        let facts = ConfigFile::Tokenizer.read(text.as_bytes()).unwrap();
        assert_eq!((facts.tokenizer.as_deref(), facts.chat_template), (Some("LlamaTokenizer"), true));
        let named = br#"{"chat_template":[{"name":"default","template":"x"}]}"#;
        assert!(ConfigFile::Tokenizer.read(named).unwrap().chat_template);
        assert!(!ConfigFile::Tokenizer.read(br#"{"chat_template":null}"#).unwrap().chat_template);
        let facts = ConfigFile::Generation.read(br#"{"temperature":0.6,"top_k":20,"eos_token_id":2}"#).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(facts.generation, [pair("temperature", "0.6"), pair("top_k", "20")]);
        let text = br#"{"peft_type":"LORA","base_model_name_or_path":"org/base","r":16}"#;
        let adapter = ConfigFile::Adapter.read(text).unwrap().adapter.unwrap();
        assert_eq!((adapter.kind.as_deref(), adapter.base_model.as_deref()), (Some("LORA"), Some("org/base")));
        assert_eq!(adapter.rank, Some(16));
    }

    #[test]
    fn files_are_known_by_their_names() {
        let of = |path: &str| ConfigFile::of(&RepoPath::parse(path).unwrap());
        assert_eq!(of("config.json"), Some(ConfigFile::Model));
        assert_eq!(of("unet/config.json"), Some(ConfigFile::Model));
        assert_eq!(of("tokenizer_config.json"), Some(ConfigFile::Tokenizer));
        assert_eq!(of("my_config.json"), None);
        assert!(ConfigFile::Model.read(b"{").unwrap_err().to_string().starts_with("not valid JSON (byte"));
    }
}
