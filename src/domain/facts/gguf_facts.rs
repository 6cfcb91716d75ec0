//! What the metadata of a GGUF file tells about the model.
//!
//! Keys: ggml, `docs/gguf.md`, "Standardized key-value pairs". Sizes of the model stand under the
//! name of its architecture (`llama.block_count`), so that is looked up first. What is kept of tokens follows
//! llama.cpp (`llama-model.cpp`, `llama-kv-cache*.cpp`), which runs these files: it knows by the architecture which
//! layers have a window, and counts in full where this table does not.

use super::error::printable;
use super::gguf::{Gguf, Value};
use super::kv_cache::{KvCache, Tokens};
use super::{Adapter, ModelFacts, ggml};

impl Value {
    /// Bytes that it takes while it is kept, roughly.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Self::Text { start, .. } => start.len() as u64,
            Self::List { first, .. } => first.iter().map(|item| 48 + item.cost()).sum(),
            _ => 0,
        }
    }

    /// A whole number that is not negative; of a list of numbers (one per layer) the largest, if
    /// all are kept.
    pub fn whole(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            Self::Signed(number) => u64::try_from(*number).ok(),
            Self::List { .. } => self.items()?.iter().map(Self::whole).try_fold(0, |most, item| Some(item?.max(most))),
            _ => None,
        }
    }

    /// The items of a list that has some and of which all are kept.
    fn items(&self) -> Option<&[Value]> {
        match self {
            Self::List { count, first, .. } if *count > 0 && *count == first.len() as u64 => Some(first),
            _ => None,
        }
    }
}

/// Architectures of image and video models, whose files say nothing of a model's shape: they keep nothing.
const IMAGES: [&str; 14] = [
    "aura",
    "cosmos",
    "flux",
    "hidream",
    "hyvid",
    "lumina2",
    "ltxv",
    "pig",
    "qwen_image",
    "sd1",
    "sd3",
    "sdxl",
    "wan",
    "clip",
];

impl Gguf {
    /// The value of a key, if it is there and was kept.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::Text { start, .. } if !start.is_empty() => Some(printable(start, 256)),
            _ => None,
        }
    }

    fn whole(&self, key: &str) -> Option<u64> {
        self.get(key)?.whole()
    }

    /// As the file calls it, or else the type of most of its elements.
    fn quantisation(&self) -> Option<String> {
        let said = self.whole("general.file_type").and_then(ggml::file_type).map(str::to_owned);
        said.or_else(|| self.types.iter().max_by_key(|(_, count)| count).map(|(kind, _)| kind.clone()))
    }

    /// What it tells about the model.
    pub fn facts(&self) -> ModelFacts {
        let architecture = self.text("general.architecture");
        let of_model = |key: &str| self.whole(&format!("{}.{key}", architecture.as_deref()?));
        let tokens = match self.get("tokenizer.ggml.tokens") {
            Some(Value::List { count, .. }) => Some(*count),
            _ => None,
        };
        let counted = (self.tensor_count > 0).then_some(self.parameters);
        let bytes = self.bytes.filter(|_| self.tensor_count > 0);
        let mut facts = ModelFacts {
            name: self.text("general.name"),
            model_type: architecture.clone(),
            parameters: counted,
            weight_bytes: bytes,
            context_length: of_model("context_length"),
            quantisation: self.quantisation(),
            layers: of_model("block_count"),
            hidden_size: of_model("embedding_length"),
            attention_heads: of_model("attention.head_count").filter(|count| *count > 0),
            kv_heads: of_model("attention.head_count_kv").filter(|count| *count > 0),
            head_dim: of_model("attention.key_length"),
            kv_cache: architecture.as_deref().and_then(|architecture| self.kv_cache(architecture)),
            vocab_size: of_model("vocab_size").or(tokens),
            experts: of_model("expert_count").filter(|count| *count > 0),
            experts_used: of_model("expert_used_count").filter(|count| *count > 0),
            tokenizer: self.text("tokenizer.ggml.model"),
            chat_template: self.text("tokenizer.chat_template").is_some(),
            ..ModelFacts::default()
        };
        facts.add_dtypes(self.types.clone());
        facts.architecture = architecture;
        if self.text("general.type").as_deref() == Some("adapter") {
            facts.become_adapter(Adapter {
                kind: self.text("adapter.type").map(|kind| kind.to_ascii_uppercase()),
                base_model: self.base_model(),
                ..Adapter::default()
            });
        }
        facts
    }

    /// The first model that it was made from, as an id of the Hub where its address is one.
    fn base_model(&self) -> Option<String> {
        let address = self.text("general.base_model.0.repo_url");
        let id = address.as_deref().and_then(|address| address.split_once("huggingface.co/"));
        id.map(|(_, id)| id.to_owned()).or(address).or_else(|| self.text("general.base_model.0.name"))
    }

    /// What it keeps of tokens; `None` if its shape is not said.
    fn kv_cache(&self, architecture: &str) -> Option<KvCache> {
        let value = |key: &str| self.get(&format!("{architecture}.{key}"));
        let of_model = |key: &str| value(key)?.whole();
        let one_step = value("attention.causal") == Some(&Value::Bool(false)) || architecture == "t5encoder";
        if one_step || architecture.contains("bert") || IMAGES.contains(&architecture) {
            return Some(KvCache::none());
        }
        let layers = of_model("decoder_block_count").or(of_model("block_count"))?;
        let heads = of_model("attention.head_count")?;
        // Recurrent models have no heads.
        if heads == 0 {
            return Some(KvCache::none());
        }
        let even = || of_model("embedding_length")?.checked_div(heads);
        let key = of_model("attention.key_length").or_else(even)?;
        let of_value = of_model("attention.value_length").or_else(even).unwrap_or(key);
        // Files of before `key_length_mla` have DeepSeek's attention written out, and llama.cpp keeps all of it.
        let is_latent = value("attention.key_length_mla").is_some();
        let latent = of_model("attention.kv_lora_rank").zip(of_model("rope.dimension_count")).filter(|_| is_latent);
        let per_layer = value("attention.head_count_kv").and_then(Value::items);
        let kv_heads = of_model("attention.head_count_kv").unwrap_or(heads);
        let window = of_model("attention.sliding_window").filter(|window| *window > 0);
        let pattern = value("attention.sliding_window_pattern");
        let is_windowed = |at: usize| match (pattern.and_then(Value::items), pattern.and_then(Value::whole)) {
            (Some(flags), _) => flags.get(at) == Some(&Value::Bool(true)),
            (None, Some(every)) if every > 0 => !(at as u64 + 1).is_multiple_of(every),
            _ => windowed_by(architecture).is_some_and(|every| !(at as u64 + 1).is_multiple_of(every)),
        };
        let cache = KvCache::of_layers(layers, |at| {
            let values = match (latent, per_layer.and_then(|heads| heads.get(at))) {
                (Some((rank, rope)), _) => rank.saturating_add(rope),
                (None, Some(heads)) => heads.whole()?.saturating_mul(key.saturating_add(of_value)),
                (None, None) => kv_heads.saturating_mul(key.saturating_add(of_value)),
            };
            // Qwen3-Next.
            if of_model("full_attention_interval")
                .is_some_and(|every| every > 0 && !(at as u64 + 1).is_multiple_of(every))
            {
                return None;
            }
            let tokens = window.filter(|_| is_windowed(at)).map_or(Tokens::All, Tokens::Window);
            Some((values, tokens))
        });
        let two_stacks = architecture == "t5";
        Some(if two_stacks { cache.with_cross_attention(None, Tokens::All) } else { cache })
    }
}

/// Of how many layers the last one sees everything, by architecture.
fn windowed_by(architecture: &str) -> Option<u64> {
    Some(match architecture {
        "gemma2" | "gpt-oss" => 2,
        "cohere2" | "olmo2" => 4,
        "gemma3n" => 5,
        "gemma3" => 6,
        _ => return None,
    })
}
