//! Facts from the JSON files that stand beside the weights.
//!
//! Every library names its settings in its own words; the tables below hold the synonyms.
//! Steps: the file's name says which of the known files it is; it is read with the caps of
//! `json` (4 MiB, depth and number of values); then values are looked up at the top, and after
//! that in the parts that describe the language model of a model of several kinds.

use super::super::RepoPath;
use super::error::printable;
use super::json::{self, Node};
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
}

impl ConfigFile {
    /// By the file's name, in whatever folder; which folders belong to the model, the caller knows.
    pub fn of(path: &RepoPath) -> Option<Self> {
        [Self::Model, Self::Pipeline, Self::Tokenizer, Self::Generation, Self::Adapter]
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
        }
    }

    /// Reads a whole file. Values of unexpected types are passed over. Errors: longer than 4 MiB,
    /// not JSON, not an object.
    pub fn read(self, bytes: &[u8]) -> Result<ModelFacts, FactsError> {
        let file = json::read(bytes)?;
        Ok(match self {
            Self::Model => model(&file),
            Self::Pipeline => pipeline(&file),
            Self::Tokenizer => tokenizer(&file),
            Self::Generation => generation(&file),
            Self::Adapter => adapter(&file),
        })
    }
}

/// Where models of several kinds describe their language model, outermost first.
const PARTS: [&str; 8] = [
    "text_config",
    "llm_config",
    "language_config",
    "language_model",
    "thinker_config",
    "decoder",
    "decoder_config",
    "generator",
];

/// One setting under its names in different libraries, the commonest first.
mod words {
    pub(super) const CONTEXT: &[&str] = &[
        "max_position_embeddings",
        "n_positions",
        "n_ctx",
        "max_seq_len",
        "max_sequence_length",
        "seq_length",
        "model_max_length",
        "max_target_positions",
        "max_length_tokens",
    ];
    pub(super) const LAYERS: &[&str] =
        &["decoder_layers", "num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers"];
    pub(super) const HIDDEN: &[&str] = &["hidden_size", "n_embd", "d_model", "dim", "model_dim", "embed_dim"];
    pub(super) const HEADS: &[&str] =
        &["num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"];
    pub(super) const KV_HEADS: &[&str] = &["num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_head_kv"];
    pub(super) const HEAD_DIM: &[&str] = &["head_dim", "kv_channels", "d_kv"];
    pub(super) const VOCABULARY: &[&str] = &["vocab_size", "padded_vocab_size"];
    pub(super) const EXPERTS: &[&str] = &["num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts"];
    pub(super) const EXPERTS_USED: &[&str] = &["num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k"];
    pub(super) const DTYPE: &[&str] = &["dtype", "torch_dtype"];
    pub(super) const QUANTISATION: &[&str] = &["quantization_config", "quantization", "compression_config"];
    pub(super) const BITS: &[&str] = &["bits", "w_bit", "nbits", "num_bits", "weight_bits"];
}

/// A configuration and the parts of it that are asked when it does not say something itself.
struct Settings<'a>(Vec<&'a Node>);

impl<'a> Settings<'a> {
    fn new(file: &'a Node) -> Self {
        let within = |part: &'a Node| PARTS.iter().filter_map(move |key| part.get(key));
        let parts: Vec<_> = within(file).collect();
        // One floor deeper: `thinker_config` of some models has a `text_config`.
        let deeper = parts.iter().copied().flat_map(within);
        Self([file].into_iter().chain(parts.iter().copied()).chain(deeper).collect())
    }

    /// The first of these keys that gives something, part by part.
    fn find<T>(&self, keys: &[&str], read: impl Fn(&'a Node) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|part| keys.iter().find_map(|key| part.get(key).and_then(&read)))
    }

    fn whole(&self, keys: &[&str]) -> Option<u64> {
        self.find(keys, |node| node.whole().filter(|number| *number > 0))
    }
}

fn shown(node: &Node) -> Option<String> {
    node.text().filter(|text| !text.is_empty()).map(|text| printable(text, 256))
}

/// transformers, `PretrainedConfig` and the classes derived from it.
fn model(file: &Node) -> ModelFacts {
    let settings = Settings::new(file);
    let class = file.get("architectures").and_then(|list| list.items().first()).and_then(shown);
    let latent = settings.whole(&["kv_lora_rank"]).zip(settings.whole(&["qk_rope_head_dim"]));
    // Falcon and GPT BigCode say "one head for all" with a flag, ChatGLM with a flag and a number.
    let grouped = settings.whole(&["multi_query_group_num"]);
    let shared = settings.find(&["multi_query", "multi_query_attention"], |node| node.is_true().then_some(1));
    ModelFacts {
        // Parts of a diffusers pipeline name their class in their own way.
        architecture: class.or_else(|| file.get("_class_name").and_then(shown)),
        model_type: file.get("model_type").and_then(shown),
        declared_dtype: settings.find(words::DTYPE, shown).map(|dtype| dtype.trim_start_matches("torch.").to_owned()),
        context_length: settings.whole(words::CONTEXT),
        quantisation: settings.find(words::QUANTISATION, quantisation),
        layers: settings.whole(words::LAYERS),
        hidden_size: settings.whole(words::HIDDEN),
        attention_heads: settings.whole(words::HEADS),
        kv_heads: settings.whole(words::KV_HEADS).or(shared.and(grouped)).or(shared),
        head_dim: settings.whole(words::HEAD_DIM),
        latent_kv: latent.map(|(rank, rope)| rank.saturating_add(rope)),
        vocab_size: settings.whole(words::VOCABULARY),
        experts: settings.whole(words::EXPERTS),
        experts_used: settings.whole(words::EXPERTS_USED),
        ..ModelFacts::default()
    }
}

/// `gptq 4-bit`: the method, and the bits of a weight where they are said. Keys: transformers,
/// `utils/quantization_config.py`; compressed-tensors; MLX (`quantization`).
fn quantisation(node: &Node) -> Option<String> {
    let method = node.get("quant_method").or_else(|| node.get("quant_algo")).and_then(shown);
    let whole = |node: &Node| words::BITS.iter().find_map(|key| node.get(key).and_then(Node::whole));
    let flag = |key: &str| node.get(key).is_some_and(Node::is_true);
    let groups = node.get("config_groups").map(Node::entries).unwrap_or_default();
    let of_group = || groups.iter().find_map(|(_, group)| group.get("weights").and_then(whole));
    let of_flags = || if flag("load_in_4bit") { Some(4) } else { flag("load_in_8bit").then_some(8) };
    let bits = whole(node).or_else(of_group).or_else(of_flags).filter(|bits| (1..=64).contains(bits));
    match (method, bits) {
        (Some(method), Some(bits)) => Some(format!("{method} {bits}-bit")),
        (Some(method), None) => Some(method),
        (None, Some(bits)) => Some(format!("{bits}-bit")),
        (None, None) => None,
    }
}

/// diffusers, `DiffusionPipeline.save_pretrained`: each part as `[library, class]`, both null if
/// the part is left out.
fn pipeline(file: &Node) -> ModelFacts {
    let component = |(name, node): &(String, Node)| {
        let [library, class] = node.items() else { return None };
        Some(Component { name: printable(name, 256), library: shown(library)?, class: shown(class)? })
    };
    let parts = file.entries().iter().filter(|(name, _)| !name.starts_with('_'));
    ModelFacts {
        architecture: file.get("_class_name").and_then(shown),
        components: parts.filter_map(component).collect(),
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
        assert_eq!(facts.kv_bytes_per_token(), Some(128 << 10));
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
        assert_eq!((deepseek.latent_kv, deepseek.experts), (Some(576), Some(256)));
    }

    #[test]
    fn quantisers_are_named() {
        for (config, words) in [
            (r#""quantization_config":{"quant_method":"gptq","bits":4}"#, "gptq 4-bit"),
            (r#""quantization_config":{"quant_method":"bitsandbytes","load_in_4bit":true}"#, "bitsandbytes 4-bit"),
            (r#""quantization":{"group_size":64,"bits":8}"#, "8-bit"),
            (
                r#""quantization_config":{"quant_method":"compressed-tensors",
                "config_groups":{"group_0":{"weights":{"num_bits":8}}}}"#,
                "compressed-tensors 8-bit",
            ),
        ] {
            assert_eq!(model(&format!("{{{config}}}")).quantisation.as_deref(), Some(words));
        }
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
