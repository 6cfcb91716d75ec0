//! What a model keeps of the tokens that it has seen: its cache of keys and values.
//!
//! Layers of one model differ: some see all tokens, some a window of the last ones, some are recurrent and keep a
//! state of fixed size, which is small and belongs to the estimate's overhead. So the cache is told as groups of
//! layers that keep the same. Steps: `config_kv` and `gguf_facts` say for each layer what it keeps; `of_layers` groups
//! them; `bytes` multiplies.

use serde::{Deserialize, Serialize};

/// Bytes of one cached value: caches are in 16 bits unless asked otherwise.
const VALUE: u64 = 2;
/// More layers are taken for alike: the largest models have some hundred.
const MOST_LAYERS: u64 = 1024;

/// The groups of layers that keep something; empty if nothing is kept (encoders, recurrent and diffusion models).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvCache(Vec<KvLayers>);

/// Layers that keep the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvLayers {
    pub layers: u64,
    /// Values that one of them keeps of one token: keys and values of all heads.
    pub values: u64,
    pub tokens: Tokens,
}

/// The tokens that a layer keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tokens {
    All,
    /// At most so many, the last ones.
    Window(u64),
    /// Always so many, whatever the context: what a decoder keeps of sound or an image.
    Fixed(u64),
}

impl KvCache {
    /// Nothing is kept.
    pub fn none() -> Self {
        Self::default()
    }

    /// Of layers in their order: `layer` gives the values per token and the tokens of each, or `None` for one that
    /// keeps nothing. Of more layers than any model has, all keep what the first does, of all tokens.
    pub(super) fn of_layers(layers: u64, layer: impl Fn(usize) -> Option<(u64, Tokens)>) -> Self {
        if layers > MOST_LAYERS {
            let values = layer(0).map_or(0, |(values, _)| values);
            return Self::none().with(layers, values, Tokens::All);
        }
        let kept = (0..layers as usize).filter_map(layer);
        kept.fold(Self::none(), |cache, (values, tokens)| cache.with(1, values, tokens))
    }

    /// The same cache, and these layers.
    pub(super) fn with(mut self, layers: u64, values: u64, tokens: Tokens) -> Self {
        match self.0.iter_mut().find(|known| (known.values, known.tokens) == (values, tokens)) {
            Some(known) => known.layers = known.layers.saturating_add(layers),
            None if layers > 0 && values > 0 => self.0.push(KvLayers { layers, values, tokens }),
            None => {}
        }
        self
    }

    /// What a decoder keeps besides when it looks at an encoder's `tokens` in each of its layers: `values` of each token,
    /// or as many as of its own.
    pub(super) fn with_cross_attention(self, values: Option<u64>, tokens: Tokens) -> Self {
        let own = self.0.clone();
        own.iter().fold(self, |cache, own| cache.with(own.layers, values.unwrap_or(own.values), tokens))
    }

    /// Bytes for `sequences` at a time of `context` tokens each.
    pub fn bytes(&self, context: u64, sequences: u64) -> u64 {
        let of_group = |group: &KvLayers| {
            let tokens = match group.tokens {
                Tokens::All => context,
                Tokens::Window(window) => context.min(window),
                Tokens::Fixed(tokens) => tokens,
            };
            [group.layers, group.values, tokens, sequences, VALUE].into_iter().fold(1, u64::saturating_mul)
        };
        self.0.iter().map(of_group).fold(0, u64::saturating_add)
    }

    /// The tokens that layers with a window see, if there are such layers.
    pub fn window(&self) -> Option<u64> {
        self.0.iter().find_map(|group| if let Tokens::Window(window) = group.tokens { Some(window) } else { None })
    }
}
