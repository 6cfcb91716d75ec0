//! What a file of a repository is for, told by its name alone.
//!
//! Names are hints for people and for lists ("show me the weights"); nothing is decided about
//! access or safety of content by them. Steps: the whole name first (`tokenizer.json`), then the
//! format of weights, then the ending. Letter case does not matter.

use std::fmt;

use super::{RepoPath, WeightFormat};

/// What a file is for. The order is the one in which people look for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileType {
    /// Weights, in any format; indexes of shards are `Config`.
    Model,
    /// Settings: JSON, YAML and the like, unless they belong to the tokenizer.
    Config,
    /// Vocabularies, merges, chat templates.
    Tokenizer,
    /// Tables, records and archives.
    Dataset,
    /// Programs, notebooks, build files.
    Code,
    /// Images, video and audio.
    Media,
    /// Text for people: cards, licences, papers.
    Document,
    Other,
}

impl FileType {
    pub const ALL: [FileType; 8] = [
        Self::Model,
        Self::Config,
        Self::Tokenizer,
        Self::Dataset,
        Self::Code,
        Self::Media,
        Self::Document,
        Self::Other,
    ];

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Config => "config",
            Self::Tokenizer => "tokenizer",
            Self::Dataset => "dataset",
            Self::Code => "code",
            Self::Media => "media",
            Self::Document => "document",
            Self::Other => "other",
        }
    }

    /// Reads the word back; `None` for any other text.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The type of a file by its name. The first rule that fits decides.
    pub fn of(path: &RepoPath) -> Self {
        let name = path.file_name().to_ascii_lowercase();
        if let Some(known) = by_whole_name(&name) {
            return known;
        }
        if WeightFormat::of(path).is_some() {
            return Self::Model;
        }
        by_ending(ending(&name))
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What stands after the last dot; empty without one, and for dot files (`.gitignore`).
pub(super) fn ending(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => ending,
        _ => "",
    }
}

/// Names that mean more than their ending does.
fn by_whole_name(name: &str) -> Option<FileType> {
    const TOKENIZER: [&str; 12] = [
        "vocab.json",
        "vocab.txt",
        "vocab.bpe",
        "encoder.json",
        "merges.txt",
        "special_tokens_map.json",
        "added_tokens.json",
        "tekken.json",
        "spiece.vocab",
        "sentencepiece.vocab",
        "dict.txt",
        "bpe.codes",
    ];
    const CODE: [&str; 5] = ["requirements.txt", "packages.txt", "dockerfile", "makefile", "pipfile"];
    const DOCUMENTS: [&str; 10] = [
        "readme",
        "license",
        "licence",
        "notice",
        "copying",
        "changelog",
        "authors",
        "citation",
        "use_policy",
        "model_card",
    ];
    if name.ends_with(".index.json") {
        return Some(FileType::Config);
    }
    // Checkpoints of TensorFlow: `bert_model.ckpt.index`, `bert_model.ckpt.data-00000-of-00001`.
    let is_beside = name.contains(".ckpt.") && matches!(ending(name), "index" | "meta");
    if is_beside || ending(name).starts_with("data-00") {
        return Some(FileType::Model);
    }
    // `tokenizer.py` is a program.
    let is_data = by_ending(ending(name)) != FileType::Code;
    let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    if TOKENIZER.contains(&name)
        || begins(&["chat_template."])
        || is_data && begins(&["tokenizer.", "tokenizer_config.", "sentencepiece."])
    {
        return Some(FileType::Tokenizer);
    }
    if CODE.contains(&name) {
        return Some(FileType::Code);
    }
    // `LICENSE`, `LICENSE.txt`, `README_zh.md` and `license-apache`, but not `readme.py`.
    let is_text = matches!(ending(name), "" | "md" | "txt" | "rst" | "pdf" | "html");
    let is_named = |word: &&str| name.strip_prefix(*word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    (is_text && DOCUMENTS.iter().any(is_named)).then_some(FileType::Document)
}

fn by_ending(ending: &str) -> FileType {
    match ending {
        // SentencePiece models and their kin; there is no other common meaning of `.model`.
        "model" | "spm" | "tiktoken" => FileType::Tokenizer,
        "json" | "json5" | "yaml" | "yml" | "toml" | "ini" | "cfg" | "conf" | "xml" | "gin" | "lock" => {
            FileType::Config
        }
        "parquet" | "arrow" | "feather" | "csv" | "tsv" | "jsonl" | "ndjson" | "tar" | "tgz" | "gz" | "zst" | "xz"
        | "bz2" | "zip" | "7z" | "rar" | "npy" | "tfrecord" | "tfrecords" | "lance" | "avro" | "orc" | "db"
        | "sqlite" | "mdb" | "idx" => FileType::Dataset,
        "py" | "pyi" | "ipynb" | "sh" | "bash" | "bat" | "ps1" | "js" | "mjs" | "ts" | "tsx" | "jsx" | "rs" | "c"
        | "h" | "cc" | "cpp" | "hpp" | "cu" | "cuh" | "go" | "java" | "kt" | "swift" | "r" | "jl" | "lua" | "rb"
        | "css" | "html" | "htm" | "svelte" | "vue" | "sql" | "cmake" | "proto" | "jinja" | "j2" => FileType::Code,
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "svg" | "bmp" | "tif" | "tiff" | "avif" | "ico" | "heic" | "mp4"
        | "mov" | "webm" | "mkv" | "avi" | "wav" | "mp3" | "flac" | "ogg" | "opus" | "m4a" | "aac" => FileType::Media,
        // Weights of programs that `WeightFormat` has no word for: rust-bert, ExecuTorch, MNN, Rockchip.
        "ot" | "pte" | "mnn" | "rknn" | "rkllm" => FileType::Model,
        "md" | "markdown" | "txt" | "rst" | "pdf" | "tex" | "bib" | "docx" | "doc" | "pptx" | "xlsx" | "cff" => {
            FileType::Document
        }
        _ => FileType::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(path: &str) -> FileType {
        FileType::of(&RepoPath::parse(path).unwrap())
    }

    #[test]
    fn names_say_what_a_file_is_for() {
        for (kind, paths) in [
            (
                FileType::Model,
                "model.safetensors MODEL.GGUF pytorch_model.bin a.onnx a.onnx.data a.onnx_data x.pt x.pth",
            ),
            (
                FileType::Model,
                "v1-5.ckpt tf_model.h5 flax_model.msgpack a.tflite w.npz sub/x.mlpackage/weights/weight.bin",
            ),
            (
                FileType::Model,
                "rust_model.ot a.pte a.mnn a.rknn a.rkllm bert_model.ckpt.data-00000-of-00001 bert_model.ckpt.index",
            ),
            (
                FileType::Config,
                "config.json model_index.json model.safetensors.index.json pytorch_model.bin.index.json",
            ),
            (
                FileType::Config,
                "generation_config.json preprocessor_config.json a.yaml b.YML c.toml 1_Pooling/config.json",
            ),
            (
                FileType::Tokenizer,
                "tokenizer.json tokenizer_config.json vocab.json vocab.txt merges.txt tokenizer.model",
            ),
            (FileType::Tokenizer, "spiece.model sentencepiece.bpe.model special_tokens_map.json added_tokens.json"),
            (FileType::Tokenizer, "chat_template.jinja chat_template.json cl100k.tiktoken onnx/tokenizer.json"),
            (
                FileType::Dataset,
                "data/train-00000-of-00001.parquet a.arrow a.csv a.jsonl a.tar a.tar.gz a.zst a.jsonl.zst",
            ),
            (
                FileType::Code,
                "modeling_x.py tokenizer.py nb.ipynb run.sh requirements.txt Dockerfile readme.py index.html",
            ),
            (FileType::Media, "a.PNG b.jpeg c.svg d.mp4 e.wav f.flac"),
            (FileType::Document, "README.md LICENSE LICENSE.txt README_zh.md NOTICE paper.pdf notes.txt USE_POLICY.md"),
            (FileType::Other, ".gitattributes strange noext. a.weird"),
        ] {
            for path in paths.split_whitespace() {
                assert_eq!(type_of(path), kind, "{path}");
            }
        }
    }

    #[test]
    fn words_are_read_back() {
        for kind in FileType::ALL {
            assert_eq!(FileType::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(FileType::parse("Model"), None);
    }
}
