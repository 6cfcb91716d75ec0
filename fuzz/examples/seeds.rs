//! Writes what the targets begin with: `cargo run --example seeds -- corpus`.
//!
//! A few inputs for each, which hold the words that it takes long to guess; all else is found from there.

use std::path::Path;

#[path = "../../src/domain/facts/samples.rs"]
mod samples;

use samples::{GgufFile, llama_gguf, safetensors};

const HEADER: &str = r#"{"__metadata__":{"format":"pt","modelspec.title":"T","modelspec.architecture":"a"},
    "a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[5],"data_offsets":[24,34]},
    "c":{"dtype":"I64","shape":[],"data_offsets":[34,42]},"d":{"dtype":"F4","shape":[2],"data_offsets":[42,43]}}"#;

const RECIPES: [&str; 2] = [
    r#"{"offset_into_first_range":3,"terms":[{"hash":"aa","unpacked_length":9,"range":{"start":2,"end":4}}],
    "xorbs":{"aa":[{"url":"http://x/1","ranges":[{"chunks":{"start":2,"end":4},"bytes":{"start":10,"end":19}}]}]}}"#,
    r#"{"terms":[],"fetch_info":{"aa":[{"url":"http://x/1","range":{"start":2,"end":4},
    "url_range":{"start":10,"end":19}}]}}"#,
];

/// In the order in which the target numbers the files.
const CONFIGS: [&[&str]; 5] = [
    &[
        r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","torch_dtype":"torch.bfloat16","hidden_size":256,
        "num_hidden_layers":2,"num_attention_heads":8,"num_key_value_heads":2,"max_position_embeddings":131072,
        "text_config":{"vocab_size":32000,"n_ctx":NaN,"num_experts":8,"head_dim":32},"limit":[0.0,-Infinity]}"#,
        r#"{"_class_name":"P","n_layer":2.0,"multi_query":true,"kv_lora_rank":512,"qk_rope_head_dim":64,"d_model":1e3}"#,
        r#"{"quantization_config":{"quant_method":"gptq","bits":4,"load_in_4bit":true,
        "config_groups":{"g":{"weights":{"num_bits":8}}}},"thinker_config":{"text_config":{"seq_length":1}}}"#,
    ],
    &[r#"{"_class_name":"P","unet":["diffusers","UNet"],"vae":[null,null],"x":[1,2,3]}"#],
    &[
        r#"{"tokenizer_class":"LlamaTokenizer","model_max_length":1e30,"chat_template":"{{ x }}"}"#,
        r#"{"chat_template":[{"name":"default","template":"\u00e9\n\"Infinity\""}]}"#,
    ],
    &[r#"{"do_sample":true,"temperature":0.6,"top_k":20,"top_p":0.9,"max_length":-1,"eos_token_id":[1,2]}"#],
    &[r#"{"peft_type":"LORA","base_model_name_or_path":"org/base","r":16}"#],
];

const NAMES: [&str; 21] = [
    "openai-community/gpt2",
    "datasets/org/data",
    "space/org/name",
    "models/org/name",
    "models/datasets/x",
    "HEAD",
    "refs/pr/1",
    "refs/convert/parquet",
    "0123456789abcdef0123456789abcdef01234567",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "q4/model-00002-of-00005.safetensors",
    "x.mlpackage/Data/weight.bin",
    "model-UD-Q4_K_M-00001-of-00003.gguf",
    "tokenizer_config.json",
    "LICENSE-2.0.txt",
    "onnx/model.onnx_data",
    "sub dir/\u{6587}.parquet",
    "22:00-06:30",
    "bytes=0-99",
    "bytes=-5",
    "bytes=7-",
];

const ROUTES: [&str; 16] = [
    "/ns/m/resolve/main/a/b.bin",
    "/datasets/ns/d/raw/refs%2Fpr%2F1/x",
    "/spaces/gpt2/resolve/resolve/x",
    "/api/resolve-cache/models/ns/m/0123456789abcdef0123456789abcdef01234567/a",
    "/api/models",
    "/api/datasets/ns/m/revision/refs/convert/parquet",
    "/api/models/ns/m/tree/refs/pr/1/a%2Fb/",
    "/api/spaces/gpt2/paths-info/main",
    "/api/models/ns/m/auth-check/write",
    "/api/models/ns/m/xet-read-token/main",
    "/api/models/ns/m/xet-write-token/main",
    "/api/models/ns/m/commits/main",
    "/api/models/ns/m/discussions",
    "/api/whoami-v2",
    "/api/daily_papers/x",
    "/xet/v2/reconstructions/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];

const SOURCES: [&str; 8] = [
    "org/name",
    "dataset/org/name",
    "https://huggingface.co/datasets/org/data?x#y",
    "hf.co/gpt2/tree/refs%2Fpr%2F1",
    "https://huggingface.co/org/name/blob/main/q/a.gguf?download=true",
    "hf download org/name config.json --include \"*.gguf\" unet/ --exclude='[!a-z]?.bin' --revision v1 --local-dir x",
    "huggingface-cli download \\\n org/name --repo-type dataset --quiet",
    "hf download org/name --include '*.safetensors' --include 'unet/model-0000[1-3]-of-?????.safetensors'",
];

fn configs() -> Vec<Vec<u8>> {
    let of_file = |(file, texts): (u8, &[&str])| texts.iter().map(|text| [&[file], text.as_bytes()].concat()).collect();
    (0..).zip(CONFIGS).flat_map(|file| -> Vec<_> { of_file(file) }).collect()
}

/// Chunks as they are, as an LZ4 frame, and as one of bytes in four groups.
fn chunks() -> Vec<Vec<u8>> {
    let chunk: Vec<u8> = (0..100).map(|at| at % 10).collect();
    let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
    std::io::Write::write_all(&mut frame, &chunk).unwrap();
    let frame = frame.finish().unwrap();
    let with_head =
        |scheme, packed: &[u8]| [&[0, packed.len() as u8, 0, 0, scheme, chunk.len() as u8, 0, 0], packed].concat();
    vec![with_head(0, &chunk), with_head(1, &frame), with_head(2, &frame)]
}

fn ggufs() -> Vec<Vec<u8>> {
    // A list of one list of one bool: kind and count of each, and the bool.
    let nested = [[9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], [7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]].concat();
    let odd = GgufFile::new(3)
        .raw("i64", 11, &i64::MIN.to_le_bytes())
        .raw("f32", 6, &0.5f32.to_le_bytes())
        .raw("f64", 12, &0.25f64.to_le_bytes())
        .raw("lists", 9, &[nested.as_slice(), &[1]].concat())
        .u32("general.alignment", 64)
        .u32s("llama.attention.head_count_kv", &[4, 8, 0])
        .tensor("new", &[10], 99, 0, 64);
    (1..=3).map(|version| llama_gguf(version).build()).chain([odd.build()]).collect()
}

/// An address of many ranges, which is kept once.
fn ranges_of_one_address() -> String {
    let range = r#"{"chunks":{"start":0,"end":1},"bytes":{"start":0,"end":1}}"#;
    let (address, ranges) = ("u".repeat(2000), [range; 32].join(","));
    format!(r#"{{"terms":[],"xorbs":{{"a":[{{"url":"{address}","ranges":[{ranges}]}}]}}}}"#)
}

fn main() {
    let corpus = std::env::args().nth(1).expect("seeds FOLDER");
    let write = |target: &str, seeds: Vec<Vec<u8>>| {
        let folder = Path::new(&corpus).join(target);
        std::fs::create_dir_all(&folder).unwrap();
        for (at, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{at}")), seed).unwrap();
        }
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    write("safetensors", vec![safetensors(HEADER, 43), [&[43, 0], HEADER.as_bytes()].concat()]);
    write("gguf", ggufs());
    write("config", configs());
    write("names", texts(&NAMES));
    write("route", texts(&ROUTES));
    write("source", texts(&SOURCES));
    write("xet_chunk", chunks());
    write("xet_recipe", texts(&[RECIPES[0], RECIPES[1], &ranges_of_one_address()]));
}
