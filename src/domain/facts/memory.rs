//! What running a model takes, as an estimate for people who choose a machine.
//!
//! Three sums: the weights as they are stored, the cache of keys and values for the context, and
//! an overhead. It errs upwards: windows of attention, layers without attention and caches in
//! 8 bits make the real need smaller.

use super::ModelFacts;

/// Bytes of one cached value: caches are in 16 bits unless asked otherwise.
const CACHE_VALUE: u64 = 2;
/// What a process holds on each device besides the model: its context, kernels, buffers.
pub const PER_DEVICE: u64 = 512 << 20;

/// Bytes that a model takes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryEstimate {
    pub weights: u64,
    /// Keys and values of all sequences; `None` if the files do not say the model's shape, or it
    /// keeps none.
    pub kv_cache: Option<u64>,
    /// Activations and scratch: a tenth of the weights, and `PER_DEVICE` once.
    pub overhead: u64,
    /// The tokens per sequence that it was computed for; 0 if not known.
    pub context_length: u64,
}

impl MemoryEstimate {
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.kv_cache.unwrap_or(0)).saturating_add(self.overhead)
    }

    /// Whether it fits into `devices` of `bytes` each, split evenly, `PER_DEVICE` on each.
    pub fn fits(&self, bytes: u64, devices: u64) -> bool {
        let more = devices.saturating_sub(1).saturating_mul(PER_DEVICE);
        devices > 0 && self.total().saturating_add(more) <= bytes.saturating_mul(devices)
    }
}

impl ModelFacts {
    /// For `sequences` at a time of `context_length` tokens each; without a length, the model's
    /// own. `None` if the size of the weights is not known.
    pub fn memory_estimate(&self, context_length: Option<u64>, sequences: u64) -> Option<MemoryEstimate> {
        let weights = self.weight_bytes.or_else(|| self.weights_as_declared())?;
        let context_length = context_length.or(self.context_length).unwrap_or(0);
        let tokens = context_length.saturating_mul(sequences);
        let kv_cache = self.kv_bytes_per_token().map(|bytes| bytes.saturating_mul(tokens)).filter(|_| tokens > 0);
        let overhead = PER_DEVICE.saturating_add(weights / 10);
        Some(MemoryEstimate { weights, kv_cache, overhead, context_length })
    }

    /// Bytes of keys and values per token: 2 × layers × heads × values per head × 2 bytes.
    pub fn kv_bytes_per_token(&self) -> Option<u64> {
        let layers = self.layers?;
        if let Some(latent) = self.latent_kv {
            return Some(layers.saturating_mul(latent).saturating_mul(CACHE_VALUE));
        }
        let heads = self.kv_heads.or(self.attention_heads)?;
        let head_dim = self.head_dim.or_else(|| self.hidden_size?.checked_div(self.attention_heads?))?;
        Some([2, layers, heads, head_dim, CACHE_VALUE].into_iter().fold(1, u64::saturating_mul))
    }

    fn weights_as_declared(&self) -> Option<u64> {
        let bytes = match self.declared_dtype.as_deref()? {
            "float64" => 8,
            "float32" | "float" => 4,
            "float16" | "half" | "bfloat16" => 2,
            "int8" | "uint8" | "float8_e4m3fn" | "float8_e5m2" => 1,
            _ => return None,
        };
        Some(self.parameters?.saturating_mul(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Llama 3.1 8B: 16.06 GB of weights, 128 KiB of cache per token.
    fn llama() -> ModelFacts {
        ModelFacts {
            parameters: Some(8_030_261_248),
            weight_bytes: Some(16_060_522_496),
            context_length: Some(131_072),
            layers: Some(32),
            hidden_size: Some(4096),
            attention_heads: Some(32),
            kv_heads: Some(8),
            ..ModelFacts::default()
        }
    }

    #[test]
    fn weights_cache_and_overhead_are_added() {
        let estimate = llama().memory_estimate(Some(8192), 1).unwrap();
        assert_eq!(estimate.kv_cache, Some(1 << 30));
        assert_eq!(estimate.overhead, (512 << 20) + 1_606_052_249);
        assert_eq!(estimate.total(), 16_060_522_496 + (1 << 30) + (512 << 20) + 1_606_052_249);
        assert!(estimate.fits(24 << 30, 1) && !estimate.fits(16 << 30, 1) && estimate.fits(16 << 30, 2));
        assert!(!estimate.fits(u64::MAX, 0));
        assert_eq!(llama().memory_estimate(None, 1).unwrap().kv_cache, Some(16 << 30));
    }

    #[test]
    fn latent_attention_keeps_less() {
        let deepseek = ModelFacts { latent_kv: Some(576), layers: Some(61), ..llama() };
        assert_eq!(deepseek.kv_bytes_per_token(), Some(61 * 576 * 2));
    }

    #[test]
    fn unknown_and_absurd_numbers_give_no_wrong_answer() {
        assert_eq!(ModelFacts::default().memory_estimate(None, 1), None);
        let by_dtype = ModelFacts {
            weight_bytes: None,
            declared_dtype: Some("bfloat16".to_owned()),
            attention_heads: Some(0),
            kv_heads: None,
            ..llama()
        };
        let estimate = by_dtype.memory_estimate(None, 1).unwrap();
        assert_eq!((estimate.weights, estimate.kv_cache), (16_060_522_496, None));
        let huge = ModelFacts { layers: Some(u64::MAX), weight_bytes: Some(u64::MAX), ..llama() };
        assert_eq!(huge.memory_estimate(None, u64::MAX).unwrap().total(), u64::MAX);
    }
}
