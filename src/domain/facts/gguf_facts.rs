//! What the metadata of a GGUF file tells about the model.
//!
//! Keys: ggml, `docs/gguf.md`, "Standardized key-value pairs". Sizes of the model stand under the
//! name of its architecture (`llama.block_count`), so that is looked up first.

use super::error::printable;
use super::gguf::{Gguf, Value};
use super::{ModelFacts, ggml};

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
            Self::List { count, first, .. } if *count > 0 && *count == first.len() as u64 => {
                first.iter().map(Self::whole).try_fold(0, |most, item| Some(item?.max(most)))
            }
            _ => None,
        }
    }
}

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
        let latent = of_model("attention.kv_lora_rank").zip(of_model("rope.dimension_count"));
        let mut facts = ModelFacts {
            name: self.text("general.name"),
            model_type: architecture.clone(),
            parameters: (self.tensor_count > 0).then_some(self.parameters),
            weight_bytes: self.bytes.filter(|_| self.tensor_count > 0),
            context_length: of_model("context_length"),
            quantisation: self.quantisation(),
            layers: of_model("block_count"),
            hidden_size: of_model("embedding_length"),
            attention_heads: of_model("attention.head_count"),
            kv_heads: of_model("attention.head_count_kv"),
            head_dim: of_model("attention.key_length"),
            latent_kv: latent.map(|(rank, rope)| rank.saturating_add(rope)),
            vocab_size: of_model("vocab_size").or(tokens),
            experts: of_model("expert_count").filter(|count| *count > 0),
            experts_used: of_model("expert_used_count").filter(|count| *count > 0),
            tokenizer: self.text("tokenizer.ggml.model"),
            chat_template: self.text("tokenizer.chat_template").is_some(),
            ..ModelFacts::default()
        };
        facts.add_dtypes(self.types.clone());
        facts.architecture = architecture;
        facts
    }
}
