//! The built-in repositories of `mock-hf --demo`: one of each kind that a person wants to try.

use serde_json::{Map, Value, json};

use crate::options::TOKEN_ALICE;
use crate::repo::Repo;
use crate::weights::{self, Llama};

const WORDS: &[&str] = &[
    "the", "a", "of", "and", "to", "in", "is", "it", "you", "that", "he", "was", "for", "on", "are", "with", "as",
    "his", "they", "be", "at", "one", "have", "this", "from", "or", "had", "by", "hello", "world", "model", "cache",
    "hub", "proxy", "llama", "tiny", "file", "byte", "range", "commit", ".", ",", "!", "?",
];

/// All of them.
pub fn repos() -> Vec<Repo> {
    vec![
        tiny_llama("demo/tiny-llama").tag("v1.0").branch("dev").pr(1),
        sharded(),
        Repo::model("demo/gguf")
            .file("README.md", card("gguf", "A minimal GGUF file.\n"))
            .lfs("mock-f32.gguf", weights::gguf(4096))
            .field("tags", json!(["gguf", "license:mit"]))
            .card(json!({"license": "mit"})),
        tiny_llama("gpt2-mini"),
        tiny_llama("demo/gated").gated("auto").reader(TOKEN_ALICE),
        tiny_llama("demo/private").private().reader(TOKEN_ALICE),
        squad_mini(),
        Repo::space("demo/hello-space")
            .file(
                "README.md",
                "---\ntitle: Hello\nemoji: 👋\nsdk: static\npinned: false\n---\n\nA space that says hello.\n",
            )
            .file("index.html", "<!DOCTYPE html><title>Hello</title><h1>Hello from the mock</h1>\n")
            .card(json!({"title": "Hello", "sdk": "static"})),
    ]
}

fn card(title: &str, text: &str) -> String {
    format!(
        "---\nlicense: mit\nlanguage: en\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n\n# {title}\n\n{text}"
    )
}

fn transformers(repo: Repo, llama: &Llama, title: &str) -> Repo {
    let attributes = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n";
    let generation =
        json!({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "do_sample": false, "max_new_tokens": 16});
    let tokenizer_config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
        "pad_token": "<pad>", "model_max_length": 512, "clean_up_tokenization_spaces": false,
    });
    repo.file(".gitattributes", attributes)
        .file("README.md", card(title, "A llama of no meaning, made by mock-hf. The weights are noise.\n"))
        .file("config.json", pretty(&llama.config()))
        .file("generation_config.json", pretty(&generation))
        .file("tokenizer.json", pretty(&tokenizer()))
        .file("tokenizer_config.json", pretty(&tokenizer_config))
        .card(json!({"license": "mit", "language": "en", "library_name": "transformers", "pipeline_tag": "text-generation"}))
        .field("tags", json!(["transformers", "safetensors", "llama", "text-generation", "license:mit"]))
        .field("pipeline_tag", "text-generation")
        .field("library_name", "transformers")
        .field("config", json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}))
}

fn tiny_llama(id: &str) -> Repo {
    let llama = Llama { vocab: 4096, hidden: 64, intermediate: 128, layers: 2, heads: 4 };
    let tensors: Vec<_> = llama.parts().into_iter().flatten().collect();
    let parameters: usize = tensors.iter().map(|tensor| tensor.bytes() / 4).sum();
    transformers(Repo::model(id), &llama, id)
        .lfs("model.safetensors", weights::safetensors(&tensors))
        .field("safetensors", json!({"parameters": {"F32": parameters}, "total": parameters}))
        .field("downloads", 1234)
        .field("likes", 12)
}

fn sharded() -> Repo {
    let llama = Llama { vocab: 12_288, hidden: 256, intermediate: 1024, layers: 3, heads: 4 };
    let parts = llama.parts();
    let name = |n: usize| format!("model-{:05}-of-{:05}.safetensors", n + 1, parts.len());
    let shards: Vec<_> = parts.iter().enumerate().map(|(n, tensors)| (name(n), tensors.as_slice())).collect();
    let index = weights::index(&shards);
    let repo = transformers(Repo::model("demo/sharded"), &llama, "sharded")
        .file("model.safetensors.index.json", pretty(&index));
    shards.iter().fold(repo, |repo, (name, tensors)| repo.lfs(name, weights::safetensors(tensors)))
}

/// A word-level tokenizer in the format of the `tokenizers` library.
fn tokenizer() -> Value {
    let special = ["<pad>", "<s>", "</s>", "<unk>"];
    let vocab: Map<String, Value> =
        special.iter().chain(WORDS).enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
    let added: Value = special
        .iter()
        .enumerate()
        .map(|(id, word)| {
            json!({"id": id, "content": word, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    })
}

fn squad_mini() -> Repo {
    let line = |split: &str, n: usize| {
        let answer = format!("number {n}");
        let context = format!("In the {split} part, the answer to question {n} is number {n}.");
        let start = context.rfind(&answer).unwrap_or(0);
        json!({
            "id": format!("{split}-{n}"), "title": "Mock", "context": context, "question": format!("What is the answer to question {n}?"),
            "answers": {"text": [answer], "answer_start": [start]},
        })
    };
    let lines = |split: &str, n: usize| (0..n).map(|i| format!("{}\n", line(split, i))).collect::<String>();
    let readme = "---\nlicense: mit\ntask_categories:\n- question-answering\nlanguage:\n- en\nsize_categories:\n- n<1K\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train.jsonl\n  - split: test\n    path: data/test.jsonl\n---\n\n# squad-mini\n\nQuestions with obvious answers.\n";
    Repo::dataset("demo/squad-mini")
        .file("README.md", readme)
        .file("data/train.jsonl", lines("train", 200))
        .file("data/test.jsonl", lines("test", 50))
        .convert("parquet")
        .card(json!({"license": "mit", "task_categories": ["question-answering"], "language": ["en"]}))
        .field("tags", json!(["task_categories:question-answering", "language:en", "license:mit"]))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
