//! How the weights were quantised, from the configuration.
//!
//! Keys: transformers, `utils/quantization_config.py`; compressed-tensors; MLX (`quantization`).

use super::json::Node;
use super::settings::shown;

const BITS: &[&str] = &["bits", "w_bit", "nbits", "num_bits", "weight_bits"];

/// `gptq 4-bit`: the method, and the bits of a weight where they are said.
pub(super) fn quantisation(node: &Node) -> Option<String> {
    let method = node.get("quant_method").or_else(|| node.get("quant_algo")).and_then(shown);
    let bits = value_bits(node);
    match (method, bits) {
        (Some(method), Some(bits)) => Some(format!("{method} {bits}-bit")),
        (Some(method), None) => Some(method),
        (None, Some(bits)) => Some(format!("{bits}-bit")),
        (None, None) => None,
    }
}

/// The bits of a weight.
pub(super) fn value_bits(node: &Node) -> Option<u64> {
    bits(node).filter(|bits| (1..=64).contains(bits))
}

fn bits(node: &Node) -> Option<u64> {
    let whole = |node: &Node| BITS.iter().find_map(|key| node.get(key).and_then(Node::whole));
    let flag = |key: &str| node.get(key).is_some_and(Node::is_true);
    let groups = node.get("config_groups").map(Node::entries).unwrap_or_default();
    let of_group = || groups.iter().find_map(|(_, group)| group.get("weights").and_then(whole));
    let of_flags = || if flag("load_in_4bit") { Some(4) } else { flag("load_in_8bit").then_some(8) };
    // hqq: `quant_config.weight_quant_params.nbits`.
    let of_hqq = || node.get("quant_config")?.get("weight_quant_params").and_then(whole);
    // quanto and eetq: `weights: "int8"`.
    let of_word = || node.get("weights").and_then(Node::text).and_then(bits_of_word);
    whole(node).or_else(of_group).or_else(of_flags).or_else(of_hqq).or_else(of_word).or_else(|| of_torchao(node))
}

/// torchao: `quant_type` is a word (`int4_weight_only`), or since its 0.10 the class of it under `default` (`_type`:
/// `Int4WeightOnlyConfig`).
fn of_torchao(node: &Node) -> Option<u64> {
    let kind = node.get("quant_type")?;
    let class = || kind.get("default").unwrap_or(kind).get("_type");
    kind.text().or_else(|| class()?.text()).and_then(bits_of_word)
}

/// The first number after `int` or `float`: `int4_weight_only`, `Float8WeightOnlyConfig`, `qint8`.
fn bits_of_word(word: &str) -> Option<u64> {
    let word = word.to_ascii_lowercase();
    let after = |kind: &str| {
        let (_, rest) = word.split_once(kind)?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    // An activation may be named before the weight: `int8_dynamic_activation_int4_weight`.
    match word.rsplit_once("activation") {
        Some((_, weight)) if weight.contains("int") || weight.contains("float") => bits_of_word(weight),
        _ => after("int").or_else(|| after("float")),
    }
}
