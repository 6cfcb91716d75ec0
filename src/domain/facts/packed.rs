//! Values that a quantiser packed: several of them in one integer.
//!
//! Which tensors have them is told by name and type. How many bits a value has is what the configuration says, but for
//! formats whose tensors say it themselves. Names: AutoGPTQ and AutoAWQ (`qweight`), ExLlama (`q_weight`, `trellis`),
//! compressed-tensors (`weight_packed`), MLX, bitsandbytes and ModelOpt (`weight` of unsigned integers), HQQ (`W_q`), quanto
//! (`_data`), torchao (`qdata`), AQLM (`codes`), VPTQ (`indices`), MXFP4 of gpt-oss (`_blocks`).

use super::safetensors;

/// How many bits a value of a tensor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bits {
    /// As many as the type says.
    OfType,
    Of(u64),
    /// What the configuration says.
    OfConfig,
}

/// By the name and the type of a tensor.
pub(super) fn bits_of(name: &str, dtype: &str) -> Bits {
    const PACKED: [&str; 9] =
        ["qweight", "q_weight", "trellis", "weight_packed", "W_q", "._data", "qdata", ".codes", ".indices"];
    if !matches!(dtype, "U8" | "I8" | "U16" | "I16" | "U32" | "I32") {
        Bits::OfType
    } else if dtype == "U8" && name.ends_with("_blocks") {
        Bits::Of(4)
    } else if PACKED.iter().any(|end| name.ends_with(end)) || (name.ends_with(".weight") && dtype != "I8") {
        Bits::OfConfig
    } else {
        Bits::OfType
    }
}

/// What the name of a tensor that stands beside others says of their bits: bitsandbytes names its types `nf4` and `fp4`.
pub(super) fn said_beside(name: &str) -> Option<u64> {
    name.contains(".quant_state.bitsandbytes__").then_some(4)
}

/// Values of so many bytes of each type; `None` if it is not known how many bits each has.
pub(super) fn unpacked(bytes: &[(String, u64)], bits: Option<u64>) -> Option<Vec<(String, u64)>> {
    let bits = bits?.max(1);
    let values = |bytes: u64| bytes.saturating_mul(8).div_ceil(bits);
    Some(bytes.iter().map(|(dtype, bytes)| (dtype.clone(), values(*bytes))).collect())
}

/// All of these counts.
pub fn sum(counts: &[(String, u64)]) -> u64 {
    counts.iter().map(|(_, count)| *count).fold(0, u64::saturating_add)
}

/// The values in files of `bytes` by a hub's count of their elements by type. Some hubs count values, others integers,
/// which together are not larger than the files. `None` if how many values are in them is not known.
pub fn values_of(
    counts: Vec<(String, u64)>,
    bytes: u64,
    is_quantised: bool,
    bits: Option<u64>,
) -> Option<Vec<(String, u64)>> {
    let size = |(dtype, count): &(String, u64)| count.saturating_mul(safetensors::bits(dtype).unwrap_or(0)) / 8;
    let are_elements = counts.iter().map(size).fold(0, u64::saturating_add) <= bytes;
    let is_packed = |dtype: &str| bits_of(".weight", dtype) == Bits::OfConfig;
    let (packed, mut values): (Vec<_>, Vec<_>) = counts.into_iter().partition(|(dtype, _)| is_packed(dtype));
    if packed.is_empty() || !is_quantised || !are_elements {
        values.extend(packed);
        return Some(values);
    }
    let packed: Vec<(String, u64)> = packed.into_iter().map(|one| (one.0.clone(), size(&one))).collect();
    values.extend(unpacked(&packed, bits)?);
    Some(values)
}
