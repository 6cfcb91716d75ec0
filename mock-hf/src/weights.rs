//! Weight files with valid headers: safetensors and GGUF. The values are small numbers of no meaning.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value, json};

use crate::content::mix;

/// A tensor's name and shape; all tensors are F32.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

impl Tensor {
    pub(crate) fn new(name: impl Into<String>, shape: &[usize]) -> Tensor {
        Tensor { name: name.into(), shape: shape.to_vec() }
    }

    /// Size of the data in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * 4
    }
}

/// The sizes of a llama-style model.
pub(crate) struct Llama {
    pub(crate) vocab: usize,
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
}

impl Llama {
    /// Its `config.json`.
    pub(crate) fn config(&self) -> Value {
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
            "vocab_size": self.vocab, "hidden_size": self.hidden, "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers, "num_attention_heads": self.heads, "num_key_value_heads": self.heads,
            "hidden_act": "silu", "max_position_embeddings": 512, "initializer_range": 0.02, "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
            "tie_word_embeddings": false, "use_cache": true, "attention_bias": false,
        })
    }

    /// Embedding, layers, head: the parts that become shards.
    pub(crate) fn parts(&self) -> [Vec<Tensor>; 3] {
        let (h, i) = (self.hidden, self.intermediate);
        let mut layers = Vec::new();
        for n in 0..self.layers {
            for name in ["q", "k", "v", "o"] {
                layers.push(Tensor::new(format!("model.layers.{n}.self_attn.{name}_proj.weight"), &[h, h]));
            }
            layers.push(Tensor::new(format!("model.layers.{n}.mlp.gate_proj.weight"), &[i, h]));
            layers.push(Tensor::new(format!("model.layers.{n}.mlp.up_proj.weight"), &[i, h]));
            layers.push(Tensor::new(format!("model.layers.{n}.mlp.down_proj.weight"), &[h, i]));
            layers.push(Tensor::new(format!("model.layers.{n}.input_layernorm.weight"), &[h]));
            layers.push(Tensor::new(format!("model.layers.{n}.post_attention_layernorm.weight"), &[h]));
        }
        [
            vec![Tensor::new("model.embed_tokens.weight", &[self.vocab, h])],
            layers,
            vec![Tensor::new("model.norm.weight", &[h]), Tensor::new("lm_head.weight", &[self.vocab, h])],
        ]
    }
}

/// A safetensors file: length of the header, header, data.
pub(crate) fn safetensors(tensors: &[Tensor]) -> Bytes {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut at = 0;
    for tensor in tensors {
        let end = at + tensor.bytes();
        let entry = json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [at, end]});
        header.insert(tensor.name.clone(), entry);
        at = end;
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut out = BytesMut::with_capacity(8 + header.len() + at);
    out.put_u64_le(header.len() as u64);
    out.put_slice(header.as_bytes());
    fill(&mut out, at, tensors.len() as u64);
    out.freeze()
}

/// The `model.safetensors.index.json` of some shards.
pub(crate) fn index(shards: &[(String, &[Tensor])]) -> Value {
    let total: usize = shards.iter().flat_map(|(_, tensors)| tensors.iter().map(Tensor::bytes)).sum();
    let line = |(file, tensors): &(String, &[Tensor])| {
        tensors.iter().map(|tensor| (tensor.name.clone(), Value::from(file.as_str()))).collect::<Vec<_>>()
    };
    let map: Map<String, Value> = shards.iter().flat_map(line).collect();
    json!({"metadata": {"total_size": total}, "weight_map": map})
}

/// A minimal GGUF file, version 3: a few metadata pairs and one F32 tensor.
pub(crate) fn gguf(rows: usize) -> Bytes {
    const STRING: u32 = 8;
    const U32: u32 = 4;
    let columns = 64;
    let mut out = BytesMut::new();
    out.put_slice(b"GGUF");
    out.put_u32_le(3);
    out.put_u64_le(1);
    out.put_u64_le(4);
    for (key, value) in [("general.architecture", "llama"), ("general.name", "mock gguf")] {
        put_string(&mut out, key);
        out.put_u32_le(STRING);
        put_string(&mut out, value);
    }
    for (key, value) in [("general.alignment", 32), ("llama.context_length", 512)] {
        put_string(&mut out, key);
        out.put_u32_le(U32);
        out.put_u32_le(value);
    }
    put_string(&mut out, "token_embd.weight");
    out.put_u32_le(2);
    out.put_u64_le(columns as u64);
    out.put_u64_le(rows as u64);
    out.put_u32_le(0);
    out.put_u64_le(0);
    while !out.len().is_multiple_of(32) {
        out.put_u8(0);
    }
    fill(&mut out, rows * columns * 4, 99);
    out.freeze()
}

fn put_string(out: &mut BytesMut, text: &str) {
    out.put_u64_le(text.len() as u64);
    out.put_slice(text.as_bytes());
}

/// Floats in (-0.05, 0.05): one block of a prime number of them, again and again.
fn fill(out: &mut BytesMut, bytes: usize, seed: u64) {
    let value = |n: u64| ((mix(seed ^ n) % 1000) as f32 / 1000.0 - 0.5) / 10.0;
    let block: Vec<u8> = (0..4093).flat_map(|n| value(n).to_le_bytes()).collect();
    let end = out.len() + bytes;
    while out.len() < end {
        let take = block.len().min(end - out.len());
        out.extend_from_slice(&block[..take]);
    }
}
