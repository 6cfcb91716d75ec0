//! What running a model takes, as an estimate for people who choose a machine.
//!
//! Three sums: the weights as they are stored, the cache of keys and values for the context, and
//! an overhead. It errs upwards, and is not made if one of them is not known: a number that is too small
//! costs its reader more than none.

use super::ModelFacts;

/// What a process holds on each device besides the model: its context, kernels, buffers.
pub const PER_DEVICE: u64 = 512 << 20;

/// Bytes that a model takes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// With those of an adapter and of projectors beside it.
    pub weights: u64,
    /// Keys and values of all sequences.
    pub kv_cache: u64,
    /// Activations and scratch: a tenth of the weights, and `PER_DEVICE` once.
    pub overhead: u64,
}

impl MemoryEstimate {
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.kv_cache).saturating_add(self.overhead)
    }

    /// The fewest of these devices, given by their free bytes, that hold it together, split evenly: as many as are
    /// needed of those with most. `None` if all of them do not.
    pub fn devices_needed(&self, free: &[u64]) -> Option<u64> {
        let mut free = free.to_vec();
        free.sort_unstable_by(|a, b| b.cmp(a));
        (1..).zip(free).find(|(devices, least)| self.fits(*least, *devices)).map(|(devices, _)| devices)
    }

    /// Whether it fits into `devices` of `bytes` each, split evenly, `PER_DEVICE` on each.
    pub fn fits(&self, bytes: u64, devices: u64) -> bool {
        let more = devices.saturating_sub(1).saturating_mul(PER_DEVICE);
        devices > 0 && self.total().saturating_add(more) <= bytes.saturating_mul(devices)
    }
}

impl ModelFacts {
    /// For `sequences` at a time of `context` tokens each. `None` if the weights are not known, or what is kept of
    /// tokens: of an adapter alone, and of a model whose shape no file tells.
    pub fn memory_estimate(&self, context: u64, sequences: u64) -> Option<MemoryEstimate> {
        let adapter = self.adapter.as_ref().and_then(|adapter| adapter.weight_bytes).unwrap_or(0);
        let projector = self.projector_bytes.unwrap_or(0);
        let weights = self.weight_bytes?.saturating_add(adapter).saturating_add(projector);
        let kv_cache = self.kv_cache.as_ref()?.bytes(context, sequences);
        Some(MemoryEstimate { weights, kv_cache, overhead: PER_DEVICE.saturating_add(weights / 10) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Adapter;
    use super::super::kv_cache::{KvCache, Tokens};
    use super::*;

    /// Llama 3.1 8B: 16.06 GB of weights, 2 × 8 heads × 128 values in each of 32 layers: 128 KiB of cache per token.
    fn llama() -> ModelFacts {
        ModelFacts {
            weight_bytes: Some(16_060_522_496),
            kv_cache: Some(KvCache::none().with(32, 2 * 8 * 128, Tokens::All)),
            ..ModelFacts::default()
        }
    }

    #[test]
    fn weights_cache_and_overhead_are_added() {
        let estimate = llama().memory_estimate(8192, 1).unwrap();
        assert_eq!(estimate.kv_cache, 1 << 30);
        assert_eq!(estimate.overhead, (512 << 20) + 1_606_052_249);
        assert_eq!(estimate.total(), 16_060_522_496 + (1 << 30) + (512 << 20) + 1_606_052_249);
        assert!(estimate.fits(24 << 30, 1) && !estimate.fits(16 << 30, 1) && estimate.fits(16 << 30, 2));
        assert!(!estimate.fits(u64::MAX, 0));
        assert_eq!(llama().memory_estimate(131_072, 1).unwrap().kv_cache, 16 << 30);
    }

    #[test]
    fn the_fewest_devices_are_those_with_most_memory() {
        let estimate = llama().memory_estimate(8192, 1).unwrap();
        // 19.28 GB in all: on two 9.64 GB and half of another 0.54 each, which is 9.23 GiB.
        for (free, needed) in [
            (&[24][..], Some(1)),
            (&[4, 24, 4], Some(1)),
            (&[10, 10], Some(2)),
            (&[9, 9], None),
            (&[4, 10, 10], Some(2)),
            // The smallest of a set decides: layers are split evenly.
            (&[16, 4], None),
            (&[], None),
        ] {
            let bytes: Vec<u64> = free.iter().map(|gib| gib << 30).collect();
            assert_eq!(estimate.devices_needed(&bytes), needed, "{free:?}");
        }
    }

    #[test]
    fn windows_and_fixed_tokens_count_as_they_are() {
        let cache = KvCache::none()
            .with(2, 10, Tokens::All)
            .with(4, 10, Tokens::Window(100))
            .with(1, 10, Tokens::Fixed(1500))
            .with(1, 10, Tokens::All);
        assert_eq!(cache.bytes(50, 1), 2 * 10 * (3 * 50 + 4 * 50 + 1500));
        assert_eq!(cache.bytes(1000, 3), 3 * 2 * 10 * (3 * 1000 + 4 * 100 + 1500));
        assert_eq!((cache.window(), KvCache::none().window(), KvCache::none().bytes(9, 9)), (Some(100), None, 0));
    }

    #[test]
    fn what_is_not_known_gives_no_number() {
        assert_eq!(ModelFacts::default().memory_estimate(1, 1), None);
        assert_eq!(ModelFacts { weight_bytes: None, ..llama() }.memory_estimate(1, 1), None);
        assert_eq!(ModelFacts { kv_cache: None, ..llama() }.memory_estimate(1, 1), None);
        let adapter = Adapter { weight_bytes: Some(1000), ..Adapter::default() };
        let alone = ModelFacts { adapter: Some(adapter.clone()), ..ModelFacts::default() };
        assert_eq!(alone.memory_estimate(1, 1), None);
        let beside = ModelFacts { adapter: Some(adapter), ..llama() };
        assert_eq!(beside.memory_estimate(1, 1).unwrap().weights, 16_060_523_496);
        let absurd = KvCache::none().with(u64::MAX, u64::MAX, Tokens::All);
        let huge = ModelFacts { weight_bytes: Some(u64::MAX), kv_cache: Some(absurd), ..llama() };
        assert_eq!(huge.memory_estimate(u64::MAX, u64::MAX).unwrap().total(), u64::MAX);
    }
}
