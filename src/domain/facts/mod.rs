//! Facts about a model for people, from the beginnings of its files.
//!
//! The files are untrusted. Each parser takes bytes and no more: it never panics, never
//! allocates by a number that it read, checks what it tells, and keeps no more than its stated
//! caps. Steps: `config`, `safetensors` and `gguf` turn one file each into `ModelFacts`; `merge`
//! puts the files of one model together; `memory` estimates what running it takes, for which `kv_cache`
//! says what is kept of tokens.

pub mod config;
mod config_kv;
mod error;
mod ggml;
pub mod gguf;
mod gguf_cursor;
mod gguf_facts;
mod json;
pub mod kv_cache;
pub mod memory;
pub mod packed;
mod quantiser;
pub mod safetensors;
mod safetensors_json;
mod settings;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod shapes_tests;

use serde::{Deserialize, Serialize};

pub use error::FactsError;
pub use kv_cache::KvCache;
pub use memory::MemoryEstimate;

/// How far a parser got with the beginning of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading<T> {
    /// Ask again with at least this many bytes from the start of the file. It is more than were
    /// given, and not more than the file has or the parser's limit allows.
    NeedMore(u64),
    Done(T),
}

/// What is known of a model. `None` and empty lists mean: not said by the files that were read.
///
/// It is stored and answered as JSON; fields that an older record lacks are unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelFacts {
    /// Its name in its own words (`general.name` of GGUF).
    pub name: Option<String>,
    /// The class that runs it (`LlamaForCausalLM`), or GGUF's word for it (`llama`).
    pub architecture: Option<String>,
    /// The family (`llama`).
    pub model_type: Option<String>,
    /// Elements of all tensors, as the Hub counts them. Values that a quantiser packed, several in one integer, count one
    /// by one.
    pub parameters: Option<u64>,
    /// Bytes of all tensors. Like `parameters`, of the model alone: what an adapter adds stands in `adapter`.
    pub weight_bytes: Option<u64>,
    /// Bytes of the projectors that go with a GGUF model: `weight_bytes` does not have them, what runs it needs them.
    pub projector_bytes: Option<u64>,
    /// Parameters by type of number, most first: `BF16`, `F32`, `Q4_K`.
    pub dtypes: Vec<(String, u64)>,
    /// The type that the configuration asks for (`bfloat16`); the tensors decide.
    pub declared_dtype: Option<String>,
    /// Tokens that the model was made for.
    pub context_length: Option<u64>,
    /// `Q4_K_M`, `gptq 4-bit`, `fp8`.
    pub quantisation: Option<String>,
    /// Bits of a quantised value, where the configuration says it.
    pub value_bits: Option<u64>,
    /// Hidden layers; of the decoder where there are two stacks.
    pub layers: Option<u64>,
    pub hidden_size: Option<u64>,
    pub attention_heads: Option<u64>,
    /// Heads of keys and values; the most of any layer where layers differ.
    pub kv_heads: Option<u64>,
    /// Values per head, where it is not `hidden_size / attention_heads`.
    pub head_dim: Option<u64>,
    /// What it keeps of tokens.
    pub kv_cache: Option<KvCache>,
    pub vocab_size: Option<u64>,
    /// Experts of a layer, and how many of them a token uses.
    pub experts: Option<u64>,
    pub experts_used: Option<u64>,
    /// The class of the tokenizer (`LlamaTokenizerFast`), or GGUF's word for it (`gpt2`).
    pub tokenizer: Option<String>,
    /// Whether a chat template is part of what was read.
    pub chat_template: bool,
    /// The parts of a diffusers pipeline, in its order.
    pub components: Vec<Component>,
    pub adapter: Option<Adapter>,
    /// What the author recommends for sampling: (`temperature`, `0.7`).
    pub generation: Vec<(String, String)>,
}

/// A part of a diffusers pipeline: `vae`, of library `diffusers`, class `AutoencoderKL`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Component {
    pub name: String,
    pub library: String,
    pub class: String,
    /// Of its weights; `None` if it has none, or they are not known.
    pub parameters: Option<u64>,
    pub weight_bytes: Option<u64>,
}

impl Component {
    /// Whether it has no weights by the name of its class: schedulers, tokenizers, processors.
    pub fn is_without_weights(&self) -> bool {
        ["Scheduler", "Tokenizer", "TokenizerFast", "Processor", "ProcessorFast", "Extractor"]
            .into_iter()
            .any(|end| self.class.ends_with(end))
    }
}

/// Weights that change another model (PEFT).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adapter {
    /// `LORA` and others.
    pub kind: Option<String>,
    /// The model that it changes, as its author wrote it: an id of the Hub, or a path of theirs.
    pub base_model: Option<String>,
    pub rank: Option<u64>,
    pub parameters: Option<u64>,
    pub weight_bytes: Option<u64>,
}

impl ModelFacts {
    /// Adds the facts of another file of the same model. Counts add up (so give each shard once,
    /// and one set of weights: of several quantisations in a repository only one); of texts and
    /// sizes the first that is known stays, so begin with `config.json`.
    pub fn merge(&mut self, other: ModelFacts) {
        fn first<T>(known: &mut Option<T>, other: Option<T>) {
            if known.is_none() {
                *known = other;
            }
        }
        fn sum(known: &mut Option<u64>, other: Option<u64>) {
            *known = match (*known, other) {
                (Some(a), Some(b)) => Some(a.saturating_add(b)),
                (a, b) => a.or(b),
            };
        }
        sum(&mut self.parameters, other.parameters);
        sum(&mut self.weight_bytes, other.weight_bytes);
        self.add_dtypes(other.dtypes);
        first(&mut self.name, other.name);
        first(&mut self.architecture, other.architecture);
        first(&mut self.model_type, other.model_type);
        first(&mut self.declared_dtype, other.declared_dtype);
        first(&mut self.context_length, other.context_length);
        first(&mut self.quantisation, other.quantisation);
        first(&mut self.value_bits, other.value_bits);
        first(&mut self.layers, other.layers);
        first(&mut self.hidden_size, other.hidden_size);
        first(&mut self.attention_heads, other.attention_heads);
        first(&mut self.kv_heads, other.kv_heads);
        first(&mut self.head_dim, other.head_dim);
        first(&mut self.kv_cache, other.kv_cache);
        first(&mut self.vocab_size, other.vocab_size);
        first(&mut self.experts, other.experts);
        first(&mut self.experts_used, other.experts_used);
        first(&mut self.tokenizer, other.tokenizer);
        self.chat_template |= other.chat_template;
        if self.components.is_empty() {
            self.components = other.components;
        }
        if let Some(other) = other.adapter {
            let adapter = self.adapter.get_or_insert_default();
            first(&mut adapter.kind, other.kind);
            first(&mut adapter.base_model, other.base_model);
            first(&mut adapter.rank, other.rank);
            sum(&mut adapter.parameters, other.parameters);
            sum(&mut adapter.weight_bytes, other.weight_bytes);
        }
        if self.generation.is_empty() {
            self.generation = other.generation;
        }
    }

    /// The facts of all these files of one model, in this order.
    pub fn of_files(files: impl IntoIterator<Item = ModelFacts>) -> Self {
        let mut all = Self::default();
        files.into_iter().for_each(|facts| all.merge(facts));
        all
    }

    /// What was counted belongs to an adapter, and nothing is known of the model that it changes.
    pub fn become_adapter(&mut self, adapter: Adapter) {
        let known = Self { name: self.name.take(), quantisation: self.quantisation.take(), ..Self::default() };
        let counted = std::mem::replace(self, known);
        self.adapter = Some(Adapter { parameters: counted.parameters, weight_bytes: counted.weight_bytes, ..adapter });
    }

    fn add_dtypes(&mut self, other: Vec<(String, u64)>) {
        for (dtype, count) in other {
            add_count(&mut self.dtypes, &dtype, count);
        }
        self.dtypes.sort_by(|(name, count), (other_name, other)| other.cmp(count).then_with(|| name.cmp(other_name)));
    }
}

/// Adds to the count of a word. Of a file's words 64 are kept; there are some twenty of each format.
fn add_count(counts: &mut Vec<(String, u64)>, word: &str, count: u64) {
    const KEPT: usize = 64;
    match counts.iter().position(|(known, _)| known == word) {
        Some(at) => counts[at].1 = counts[at].1.saturating_add(count),
        None if counts.len() < KEPT => counts.push((word.to_owned(), count)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up_and_the_first_word_stays() {
        let config =
            ModelFacts { architecture: Some("LlamaForCausalLM".to_owned()), layers: Some(2), ..ModelFacts::default() };
        let shard = |count, dtype: &str| ModelFacts {
            parameters: Some(count),
            weight_bytes: Some(2 * count),
            dtypes: vec![(dtype.to_owned(), count)],
            architecture: Some("other".to_owned()),
            ..ModelFacts::default()
        };
        let all = ModelFacts::of_files([config, shard(10, "F32"), shard(30, "BF16"), shard(5, "F32")]);
        assert_eq!(all.architecture.as_deref(), Some("LlamaForCausalLM"));
        assert_eq!((all.parameters, all.weight_bytes, all.layers), (Some(45), Some(90), Some(2)));
        assert_eq!(all.dtypes, [("BF16".to_owned(), 30), ("F32".to_owned(), 15)]);
    }

    #[test]
    fn a_record_of_an_older_version_is_read() {
        let facts: ModelFacts = serde_json::from_str(r#"{"model_type":"bert","unknown":1}"#).unwrap();
        assert_eq!(facts.model_type.as_deref(), Some("bert"));
        let text = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<ModelFacts>(&text).unwrap(), facts);
    }
}
