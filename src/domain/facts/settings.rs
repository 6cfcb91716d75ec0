//! Looking things up in a configuration: one setting has many names, and may stand in a part of the file.

use super::error::printable;
use super::json::Node;

/// Parts of a file that are asked when it does not say something itself, outermost first: those where models of
/// several kinds describe their language model, then those where MPT, DBRX and Mistral keep attention and experts.
const PARTS: [&str; 13] = [
    "text_config",
    "llm_config",
    "language_config",
    "language_model",
    "lm_config",
    "text_model",
    "thinker_config",
    "decoder",
    "decoder_config",
    "generator",
    "attn_config",
    "ffn_config",
    "moe",
];

/// One setting under its names in different libraries. Of those that may stand in one file, the one that is meant
/// comes first: decoders before encoders.
pub(super) mod words {
    pub(in super::super) const CONTEXT: &[&str] = &[
        "max_position_embeddings",
        "n_positions",
        "n_ctx",
        "max_seq_len",
        "max_sequence_length",
        "max_context_length",
        "seq_length",
        "model_max_length",
        "max_target_positions",
        "max_length_tokens",
    ];
    pub(in super::super) const LAYERS: &[&str] = &[
        "num_decoder_layers",
        "decoder_layers",
        "num_hidden_layers",
        "n_layer",
        "n_layers",
        "num_layers",
        "num_transformer_layers",
    ];
    pub(in super::super) const HIDDEN: &[&str] =
        &["hidden_size", "n_embd", "n_embed", "d_model", "dim", "model_dim", "embed_dim"];
    pub(in super::super) const HEADS: &[&str] =
        &["decoder_attention_heads", "num_attention_heads", "n_head", "n_heads", "num_heads", "num_query_heads"];
    pub(in super::super) const KV_HEADS: &[&str] = &[
        "num_key_value_heads",
        "num_key_value_heads_per_layer",
        "num_kv_heads",
        "n_kv_heads",
        "n_head_kv",
        "kv_n_heads",
        "num_query_groups",
    ];
    pub(in super::super) const HEAD_DIM: &[&str] = &["head_dim", "attention_head_dim", "kv_channels", "d_kv"];
    pub(in super::super) const VOCABULARY: &[&str] = &["vocab_size", "padded_vocab_size"];
    pub(in super::super) const EXPERTS: &[&str] =
        &["num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", "num_moe_experts", "n_experts"];
    pub(in super::super) const EXPERTS_USED: &[&str] = &[
        "num_experts_per_tok",
        "num_experts_per_token",
        "num_selected_experts",
        "experts_per_token",
        "moe_top_k",
        "moe_topk",
        "moe_k",
        "top_k_experts",
    ];
    pub(in super::super) const DTYPE: &[&str] = &["dtype", "torch_dtype"];
    pub(in super::super) const QUANTISATION: &[&str] = &["quantization_config", "quantization", "compression_config"];
    pub(in super::super) const WINDOW: &[&str] = &["sliding_window", "sliding_window_size"];
}

/// A configuration and the parts of it that are asked when it does not say something itself.
pub(super) struct Settings<'a>(Vec<&'a Node>);

impl<'a> Settings<'a> {
    pub(super) fn new(file: &'a Node) -> Self {
        let within = |part: &'a Node| PARTS.iter().filter_map(move |key| part.get(key));
        let parts: Vec<_> = within(file).collect();
        // One floor deeper: `thinker_config` of some models has a `text_config`.
        let deeper = parts.iter().copied().flat_map(within);
        Self([file].into_iter().chain(parts.iter().copied()).chain(deeper).collect())
    }

    /// The first of these keys that gives something, part by part.
    pub(super) fn find<T>(&self, keys: &[&str], read: impl Fn(&'a Node) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|part| keys.iter().find_map(|key| part.get(key).and_then(&read)))
    }

    /// A whole number above 0; of a list of numbers, one for each layer, the largest.
    pub(super) fn whole(&self, keys: &[&str]) -> Option<u64> {
        self.find(keys, |node| match node {
            Node::List(_) => numbers(node)?.into_iter().max().filter(|most| *most > 0),
            node => node.whole().filter(|number| *number > 0),
        })
    }

    /// A list of whole numbers.
    pub(super) fn list(&self, keys: &[&str]) -> Option<Vec<u64>> {
        self.find(keys, numbers)
    }

    /// A list of words.
    pub(super) fn words(&self, keys: &[&str]) -> Option<Vec<&'a str>> {
        self.find(keys, |node| match node.items() {
            [] => None,
            items => items.iter().map(Node::text).collect(),
        })
    }

    /// Whether any part has this flag set.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.find(&[key], |node| if let Node::Bool(flag) = node { Some(*flag) } else { None })
    }

    /// The families that are named, of the whole model and of its parts.
    pub(super) fn families(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(|part| part.get("model_type").and_then(Node::text))
    }
}

/// A list of whole numbers that is kept in full.
fn numbers(node: &Node) -> Option<Vec<u64>> {
    match node.items() {
        [] => None,
        items => items.iter().map(Node::whole).collect(),
    }
}

pub(super) fn shown(node: &Node) -> Option<String> {
    node.text().filter(|text| !text.is_empty()).map(|text| printable(text, 256))
}
