//! The GGUF parser on files that were built by hand.

use super::super::samples::{GgufFile, llama_gguf};
use super::*;

fn read_all(bytes: &[u8]) -> Result<Gguf, String> {
    match read(bytes, bytes.len() as u64) {
        Ok(Reading::Done(found)) => Ok(found),
        Ok(Reading::NeedMore(more)) => panic!("asked for {more} of {} bytes", bytes.len()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn all_three_versions_are_read() {
    for version in 1..=3 {
        let found = read_all(&llama_gguf(version).build()).unwrap();
        assert_eq!((found.version, found.metadata_count, found.tensor_count), (version, 11, 2));
        assert_eq!((found.parameters, found.bytes), (6 * 256 + 256, Some(864 + 1024)));
        assert_eq!(found.data_offset % 32, 0);
        assert_eq!(found.tensors[0].shape, [256, 6]);
        assert_eq!((found.tensors[0].kind.as_str(), found.tensors[1].offset), ("Q4_K", 864));
        assert_eq!(found.tensors[0].bytes, Some(864));
        let facts = found.facts();
        assert_eq!(facts.architecture.as_deref(), Some("llama"));
        assert_eq!((facts.name.as_deref(), facts.quantisation.as_deref()), (Some("Tiny"), Some("Q4_K_M")));
        assert_eq!((facts.context_length, facts.layers, facts.hidden_size), (Some(4096), Some(2), Some(256)));
        assert_eq!((facts.attention_heads, facts.kv_heads, facts.vocab_size), (Some(8), Some(2), Some(6)));
        assert_eq!((facts.tokenizer.as_deref(), facts.chat_template), (Some("gpt2"), true));
        assert_eq!(facts.dtypes, [("Q4_K".to_owned(), 1536), ("F32".to_owned(), 256)]);
    }
}

#[test]
fn it_asks_for_more_until_the_header_is_there() {
    let words: Vec<String> = (0..50_000).map(|n| format!("token {n}")).collect();
    let file = llama_gguf(3).texts("tokenizer.ggml.merges", &words);
    let (bytes, header) = (file.build(), file.header().len());
    let size = bytes.len() as u64;
    let (mut have, mut rounds) = (0, 0);
    let found = loop {
        match read(&bytes[..have], size).unwrap() {
            Reading::Done(found) => break found,
            Reading::NeedMore(more) => {
                assert!(more > have as u64 && more <= size);
                (have, rounds) = (more as usize, rounds + 1);
            }
        }
    };
    assert_eq!(found, read_all(&bytes).unwrap());
    assert!(rounds < 8, "{rounds} rounds");
    assert!(matches!(read(&bytes[..header], size), Ok(Reading::Done(_))));
    assert!(matches!(read(&bytes[..header - 1], size), Ok(Reading::NeedMore(_))));
}

#[test]
fn values_of_all_kinds_are_read() {
    let file = GgufFile::new(3)
        .raw("u8", 0, &[200])
        .raw("i8", 1, &[0xfe])
        .raw("u16", 2, &60_000u16.to_le_bytes())
        .raw("i16", 3, &(-2i16).to_le_bytes())
        .raw("i32", 5, &(-3i32).to_le_bytes())
        .raw("f32", 6, &0.5f32.to_le_bytes())
        .raw("bool", 7, &[1])
        .raw("u64", 10, &u64::MAX.to_le_bytes())
        .raw("i64", 11, &i64::MIN.to_le_bytes())
        .raw("f64", 12, &0.25f64.to_le_bytes())
        .raw("not utf-8", 8, &[2, 0, 0, 0, 0, 0, 0, 0, b'a', 0xff])
        .u32s("per layer", &[4, 8, 0])
        .texts("texts", &["a", "b", "c", "d", "e", &"f".repeat(100)]);
    let found = read_all(&file.build()).unwrap();
    let value = |key: &str| found.get(key).cloned().unwrap();
    assert_eq!((value("u8"), value("i8")), (Value::Unsigned(200), Value::Signed(-2)));
    assert_eq!(
        (value("u16"), value("i16"), value("i32")),
        (Value::Unsigned(60_000), Value::Signed(-2), Value::Signed(-3))
    );
    assert_eq!((value("f32"), value("f64"), value("bool")), (Value::Float(0.5), Value::Float(0.25), Value::Bool(true)));
    assert_eq!((value("u64"), value("i64")), (Value::Unsigned(u64::MAX), Value::Signed(i64::MIN)));
    assert_eq!(value("not utf-8"), Value::Text { start: "a\u{fffd}".to_owned(), length: 2 });
    assert_eq!(value("per layer").whole(), Some(8));
    let Value::List { item: "text", count: 6, first } = value("texts") else { panic!("{:?}", value("texts")) };
    assert_eq!(first.len(), 4);
    assert_eq!((value("i8").whole(), value("texts").whole(), value("f32").whole()), (None, None, None));
}

#[test]
fn what_is_not_gguf_is_refused_with_its_place() {
    let good = llama_gguf(3);
    let header = |version: u32, counts: [u64; 2]| {
        [b"GGUF".to_vec(), version.to_le_bytes().to_vec(), counts.map(u64::to_le_bytes).concat()].concat()
    };
    let nested = [9u32.to_le_bytes().to_vec(), 1u64.to_le_bytes().to_vec()].concat();
    let cases = [
        (b"GGML and more".to_vec(), "expected `GGUF`"),
        (header(3u32.swap_bytes(), [0, 0]), "byte 4: version 3 in big-endian order; only little-endian"),
        (header(0, [0, 0]), "version 0; versions 1 to 3"),
        (header(4, [0, 0]), "version 4; versions 1 to 3"),
        (header(3, [u64::MAX, 0]), "byte 8: 18446744073709551615 tensors; at most 1 000 000"),
        (header(3, [0, 100_001]), "byte 16: 100001 metadata pairs"),
        (header(3, [0, 1]), "byte 24: expected 8 more bytes, but the file ends at byte 24"),
        (GgufFile::new(3).raw("k", 13, &[0; 8]).build(), "unknown value type 13"),
        (GgufFile::new(3).raw("k", 7, &[2]).build(), "invalid bool 2"),
        (GgufFile::new(3).raw("k", 8, &u64::MAX.to_le_bytes()).build(), "a string has 18446744073709551615 bytes"),
        (GgufFile::new(3).raw("k", 9, &[[4, 0, 0, 0].as_slice(), &[255; 8]].concat()).build(), "list items"),
        (GgufFile::new(3).raw("k", 9, &nested.repeat(5)).build(), "at most 4 levels"),
        (GgufFile::new(3).u32("general.alignment", 24).build(), "power of two"),
        (good.clone().tensor("t", &[u64::MAX, 2], 0, 0, 0).build(), "more than 2^64 elements"),
        (good.clone().tensor("t", &[1 << 62], 0, 0, 0).build(), "more than 2^64 bytes"),
        (good.clone().tensor("t", &[1; 9], 0, 0, 0).build(), "has 9 dimensions"),
        (good.clone().tensor("t", &[100], 12, 0, 0).build(), "not a multiple of the Q4_K block size"),
        (good.clone().tensor("t", &[1], 0, 33, 0).build(), "multiples of the alignment"),
        (good.clone().tensor("t", &[1], 0, 1 << 20, 0).build(), "the file may be truncated"),
        (good.tensor("t", &[1], 0, u64::MAX - 31, 0).build(), "the file may be truncated"),
    ];
    for (bytes, words) in cases {
        let error = read_all(&bytes).unwrap_err();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn a_type_of_tomorrow_is_counted_without_its_size() {
    let found = read_all(&llama_gguf(3).tensor("new", &[10], 99, 1888, 1888).build()).unwrap();
    assert_eq!((found.parameters, found.bytes), (6 * 256 + 256 + 10, None));
    assert_eq!(found.tensors[2].kind, "type 99");
}

#[test]
fn a_file_that_does_not_name_its_quantisation_is_called_by_its_commonest_type() {
    let file = GgufFile::new(3).tensor("a", &[32], 0, 0, 128).tensor("b", &[64], 8, 128, 196);
    assert_eq!(read_all(&file.build()).unwrap().facts().quantisation.as_deref(), Some("Q8_0"));
}

#[test]
fn a_vocabulary_without_tensors_has_no_parameters() {
    let facts = read_all(&GgufFile::new(3).text("general.architecture", "llama").header()).unwrap().facts();
    assert_eq!((facts.parameters, facts.weight_bytes, facts.architecture.as_deref()), (None, None, Some("llama")));
}

#[test]
fn no_more_than_the_budget_is_kept() {
    let long = "v".repeat(40_000);
    let mut file = GgufFile::new(3).text("general.architecture", "llama");
    for n in 0..1000 {
        file = file.text(&format!("note {n}"), &long);
    }
    for n in 0..5000 {
        file = file.tensor(&format!("{}{n}", "t".repeat(1000)), &[1], 0, 0, 4);
    }
    let found = read_all(&file.build()).unwrap();
    assert_eq!((found.metadata_count, found.tensor_count, found.parameters), (1001, 5000, 5000));
    assert!(matches!(&found.metadata[1].1, Value::Text { start, length: 40_000 } if start.len() == KEPT_OF_TEXT));
    let texts: u64 = found.metadata.iter().map(|(key, value)| key.len() as u64 + value.cost()).sum();
    let names: u64 = found.tensors.iter().map(|tensor| tensor.name.len() as u64).sum();
    assert!(texts + names <= KEPT_BYTES);
    assert!(found.metadata.len() < 300 && found.tensors.len() < 30);
}

/// Bytes of cache for 1000 tokens, of 4 layers with 2 heads of 16 values unless these pairs say otherwise.
fn cache(architecture: &str, more: impl Fn(GgufFile) -> GgufFile) -> Option<u64> {
    let key = |name: &str| format!("{architecture}.{name}");
    let file = GgufFile::new(3)
        .text("general.architecture", architecture)
        .u32(&key("block_count"), 4)
        .u32(&key("embedding_length"), 64)
        .u32(&key("attention.head_count"), 4);
    let found = read_all(&more(file).build()).unwrap();
    found.facts().kv_cache.map(|cache| cache.bytes(1000, 1))
}

#[test]
fn the_cache_is_that_of_each_layer() {
    // Without a number all 4 heads keep: 2 × 4 × 16 × 2 bytes.
    assert_eq!(cache("llama", |file| file), Some(4 * 256 * 1000));
    let grouped = |file: GgufFile| file.u32("llama.attention.head_count_kv", 2);
    assert_eq!(cache("llama", grouped), Some(4 * 128 * 1000));
    // Heads by layer: two recurrent layers.
    let hybrid = |file: GgufFile| file.u32s("jamba.attention.head_count_kv", &[0, 2, 0, 1]);
    assert_eq!(cache("jamba", hybrid), Some((128 + 64) * 1000));
    // Keys and values of different sizes: 4 × (8 + 24) × 2 bytes.
    let uneven = |file: GgufFile| file.u32("llama.attention.key_length", 8).u32("llama.attention.value_length", 24);
    assert_eq!(cache("llama", uneven), Some(4 * 256 * 1000));
    // Every second layer of a Gemma 2 sees 100 tokens; a window that llama.cpp does not use counts in full.
    let window = |file: GgufFile| file.u32("gemma2.attention.sliding_window", 100);
    assert_eq!(cache("gemma2", window), Some(256 * (2 * 1000 + 2 * 100)));
    let unused = |file: GgufFile| file.u32("phi3.attention.sliding_window", 100);
    assert_eq!(cache("phi3", unused), Some(4 * 256 * 1000));
    let flags = [&7u32.to_le_bytes()[..], &4u64.to_le_bytes(), &[1, 1, 1, 0]].concat();
    let by_flags = |file: GgufFile| {
        file.u32("new.attention.sliding_window", 100).raw("new.attention.sliding_window_pattern", 9, &flags)
    };
    assert_eq!(cache("new", by_flags), Some(256 * (1000 + 3 * 100)));
    // DeepSeek's: one vector of 32 + 8 values; written out in files of before `key_length_mla`.
    let latent =
        |file: GgufFile| file.u32("deepseek2.attention.kv_lora_rank", 32).u32("deepseek2.rope.dimension_count", 8);
    let newer = |file: GgufFile| latent(file).u32("deepseek2.attention.key_length_mla", 24);
    assert_eq!(cache("deepseek2", newer), Some(4 * 40 * 2 * 1000));
    assert_eq!(cache("deepseek2", latent), Some(4 * 256 * 1000));
    assert_eq!(cache("t5", |file| file), Some(2 * 4 * 256 * 1000));
    for none in ["nomic-bert", "t5encoder", "wan"] {
        assert_eq!(cache(none, |file| file), Some(0), "{none}");
    }
    let encoder = |file: GgufFile| file.raw("new.attention.causal", 7, &[0]);
    assert_eq!(cache("new", encoder), Some(0));
    let shapeless = GgufFile::new(3).text("general.architecture", "llama");
    assert_eq!(read_all(&shapeless.build()).unwrap().facts().kv_cache, None);
}

#[test]
fn an_adapter_tells_its_base() {
    let file = llama_gguf(3).text("general.type", "adapter").text("adapter.type", "lora");
    let file = file.text("general.base_model.0.repo_url", "https://huggingface.co/org/base");
    let facts = read_all(&file.build()).unwrap().facts();
    assert_eq!((facts.parameters, facts.weight_bytes, facts.kv_cache), (None, None, None));
    let adapter = facts.adapter.unwrap();
    assert_eq!((adapter.kind.as_deref(), adapter.base_model.as_deref()), (Some("LORA"), Some("org/base")));
    assert_eq!((adapter.parameters, adapter.weight_bytes), (Some(6 * 256 + 256), Some(864 + 1024)));
}
