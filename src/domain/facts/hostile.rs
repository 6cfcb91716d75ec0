//! Files of an attacker: whatever the bytes, the parsers answer or refuse, and keep their caps.

use proptest::collection::vec;
use proptest::prelude::*;

use super::config::ConfigFile;
use super::samples::{llama_gguf, safetensors as safetensors_file};
use super::{FactsError, ModelFacts, Reading, gguf, json, safetensors};

/// `NeedMore` promises progress: more than was given, not more than there is.
fn checked<T>(prefix: &[u8], size: u64, reading: Result<Reading<T>, FactsError>) -> Option<T> {
    match reading {
        Ok(Reading::Done(found)) => Some(found),
        Ok(Reading::NeedMore(more)) => {
            assert!(more > prefix.len() as u64 && more <= size, "{more} of {size} after {}", prefix.len());
            None
        }
        Err(error) => {
            assert!(error.at() <= size.max(prefix.len() as u64), "{error} in {size} bytes");
            assert!(!error.to_string().chars().any(char::is_control) && error.to_string().len() < 1200);
            None
        }
    }
}

/// Facts with such numbers are then merged and estimated.
fn used(mut facts: ModelFacts) {
    facts.merge(facts.clone());
    let _ = facts.memory_estimate(u64::MAX, 3).map(|estimate| (estimate.total(), estimate.fits(1, u64::MAX)));
    let _ = facts.memory_estimate(1, 1);
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<ModelFacts>(&text).unwrap(), facts);
}

fn read_gguf(bytes: &[u8], size: u64) {
    let Some(found) = checked(bytes, size, gguf::read(bytes, size)) else { return };
    let texts = found.metadata.iter().map(|(key, _)| key.len()).chain(found.tensors.iter().map(|t| t.name.len()));
    assert!(texts.sum::<usize>() as u64 <= gguf::KEPT_BYTES);
    used(found.facts());
}

fn read_safetensors(bytes: &[u8], size: u64) {
    let Some(found) = checked(bytes, size, safetensors::read(bytes, size)) else { return };
    assert!(found.tensors.len() <= safetensors::KEPT_TENSORS);
    assert_eq!(found.bytes, size - found.data_offset);
    used(found.facts(None));
    used(found.facts(Some(1)));
}

fn read_configs(bytes: &[u8]) {
    use ConfigFile::{Adapter, Generation, Mistral, Model, Pipeline, Tokenizer};
    for file in [Model, Pipeline, Tokenizer, Generation, Adapter, Mistral] {
        if let Some(facts) = checked(bytes, bytes.len() as u64, file.read(bytes).map(Reading::Done)) {
            used(facts);
        }
    }
}

/// A change of a valid file: bytes overwritten, a piece cut out, a piece doubled.
#[derive(Debug, Clone)]
enum Change {
    Overwrite(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let telling = prop_oneof![
        vec(any::<u8>(), 1..9),
        Just(vec![0xff; 8]),
        Just(vec![0; 8]),
        Just((1u64 << 62).to_le_bytes().to_vec()),
        Just(100_000u64.to_le_bytes().to_vec()),
        Just(b"9".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"[{".to_vec()),
    ];
    prop_oneof![
        4 => (any::<usize>(), telling).prop_map(|(at, bytes)| Change::Overwrite(at, bytes)),
        1 => (any::<usize>(), 1..20usize).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => (any::<usize>(), 1..60usize).prop_map(|(at, count)| Change::Repeat(at, count)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = bytes.len().max(1);
        match change {
            Change::Overwrite(at, new) => {
                bytes.iter_mut().skip(at % length).zip(new).for_each(|(old, new)| *old = *new);
            }
            Change::Remove(at, count) => {
                let at = (at % length).min(bytes.len());
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Change::Repeat(at, count) => {
                let at = (at % length).min(bytes.len());
                let piece = bytes[at..(at + count).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

const HEADER: &str = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
    "b":{"dtype":"BF16","shape":[5],"data_offsets":[24,34]},"c":{"dtype":"I64","shape":[],"data_offsets":[34,42]}}"#;

const CONFIG: &str = r#"{"_class_name":"P","architectures":["LlamaForCausalLM"],"dtype":"bfloat16","n_layer":2,"r":8,
    "hidden_size":256,"num_attention_heads":8,"text_config":{"vocab_size":32000,"head_dim":64,"n_ctx":NaN},
    "quantization_config":{"quant_method":"gptq","bits":4,"config_groups":{"g":{"weights":{"num_bits":8}}}},
    "unet":["diffusers","UNet"],"chat_template":[{"name":"x"}],"temperature":0.7,"limit":[0.0,-Infinity]}"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..400), more in 0..1000u64) {
        let size = bytes.len() as u64 + more;
        read_gguf(&bytes, size);
        read_gguf(&[b"GGUF\x03\0\0\0".as_slice(), &bytes].concat(), size + 8);
        read_safetensors(&bytes, size);
        read_safetensors(&safetensors_file(&format!("{{{}", String::from_utf8_lossy(&bytes)), 10), size + 3000);
        read_configs(&bytes);
    }

    #[test]
    fn few_small_numbers_lead_deep_into_a_gguf(numbers in vec(0..14u64, 0..60), version in 1..4u32) {
        let width = if version == 1 { 4 } else { 8 };
        let words = numbers.iter().flat_map(|number| number.to_le_bytes()[..width].to_vec());
        let bytes: Vec<u8> = b"GGUF".iter().copied().chain(version.to_le_bytes()).chain(words).collect();
        read_gguf(&bytes, bytes.len() as u64);
        read_gguf(&bytes, u64::MAX);
    }

    #[test]
    fn a_changed_gguf_is_read_or_refused(changes in vec(change(), 1..4), version in 1..4u32, cut in 0..2000usize) {
        let bytes = changed(llama_gguf(version).build(), &changes);
        read_gguf(&bytes, bytes.len() as u64);
        read_gguf(&bytes[..cut.min(bytes.len())], bytes.len() as u64);
    }

    #[test]
    fn a_changed_safetensors_is_read_or_refused(changes in vec(change(), 1..4), cut in 0..300usize) {
        let bytes = changed(safetensors_file(HEADER, 42), &changes);
        read_safetensors(&bytes, bytes.len() as u64);
        read_safetensors(&bytes[..cut.min(bytes.len())], bytes.len() as u64);
        // The header changed, and its length right again.
        let header = changed(HEADER.as_bytes().to_vec(), &changes);
        let bytes = [(header.len() as u64).to_le_bytes().to_vec(), header, vec![0; 42]].concat();
        read_safetensors(&bytes, bytes.len() as u64);
    }

    #[test]
    fn a_changed_configuration_is_read_or_refused(changes in vec(change(), 0..4)) {
        read_configs(&changed(CONFIG.as_bytes().to_vec(), &changes));
    }
}

#[test]
fn the_samples_themselves_are_valid() {
    assert!(safetensors::read(&safetensors_file(HEADER, 42), safetensors_file(HEADER, 42).len() as u64).is_ok());
    assert!(json::read(CONFIG.as_bytes()).is_ok());
    for version in 1..=3 {
        let bytes = llama_gguf(version).build();
        assert!(matches!(gguf::read(&bytes, bytes.len() as u64), Ok(Reading::Done(_))));
    }
}

#[test]
fn a_count_without_bytes_behind_it_costs_nothing() {
    // Each claims the most that its cap allows, and has nothing.
    let head = |tensors: u64, pairs: u64| {
        [b"GGUF\x03\0\0\0".to_vec(), tensors.to_le_bytes().to_vec(), pairs.to_le_bytes().to_vec()].concat()
    };
    let list = [head(0, 1), vec![0; 8], 9u32.to_le_bytes().to_vec(), 8u32.to_le_bytes().to_vec()].concat();
    let lists = [list, 10_000_000u64.to_le_bytes().to_vec()].concat();
    for bytes in [head(1_000_000, 0), head(0, 100_000), lists] {
        assert!(matches!(gguf::read(&bytes, u64::MAX), Ok(Reading::NeedMore(65_536))));
        assert!(gguf::read(&bytes, bytes.len() as u64).is_err());
    }
    let bytes = safetensors::HEADER_LIMIT.to_le_bytes();
    assert_eq!(safetensors::read(&bytes, u64::MAX), Ok(Reading::NeedMore(safetensors::HEADER_LIMIT + 8)));
}
