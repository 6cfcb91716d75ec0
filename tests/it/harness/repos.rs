//! Repositories that many tests use.

use mock_hf::{Content, Kind, Repo};

pub(crate) const CONFIG: &str = "{\"model_type\": \"llama\"}\n";
pub(crate) const README: &str = "# A model\n\nWith a few words.\n";
pub(crate) const MIB: u64 = 1 << 20;

/// Names that a URL has to encode, or that look like routes.
pub(crate) const ODD_NAMES: [&str; 9] = [
    "sub dir/file #1 name.txt",
    "a+b&c=d;e.txt",
    "100%.txt",
    "question?.txt",
    "päth/ünïcode 模型.txt",
    "resolve/main/config.json",
    "(paren)[bracket]{brace}.txt",
    ".hidden/.gitkeep",
    "it's \"quoted\".txt",
];

/// 3 MiB in LFS.
pub(crate) fn weights() -> Content {
    Content::random(1, 3 * MIB)
}

/// Small and LFS files, empty ones, odd names, and every kind of revision.
pub(crate) fn of(kind: Kind, id: &str) -> Repo {
    let repo = Repo::new(kind, id)
        .file("config.json", CONFIG)
        .file("README.md", README)
        .file("empty.txt", "")
        .file("sub/deep/data.csv", "a,b\n1,2\n")
        .lfs("model.safetensors", weights())
        .lfs("empty.bin", "")
        .branch("dev")
        .branch("feature/x")
        .tag("v1.0")
        .pr(1)
        .convert("parquet");
    ODD_NAMES.iter().fold(repo, |repo, name| repo.file(*name, content_of(name)))
}

pub(crate) fn model() -> Repo {
    of(Kind::Model, "org/model")
}

/// What the file of an odd name holds.
pub(crate) fn content_of(name: &str) -> String {
    format!("this is {name}\n")
}

/// A path as clients write it: each segment encoded.
pub(crate) fn encoded(path: &str) -> String {
    use std::fmt::Write as _;
    path.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").unwrap(),
        }
        out
    })
}

/// The id in git of a small file.
pub(crate) fn git_oid(text: &str) -> String {
    Content::from(text).git_oid()
}

pub(crate) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// The text that git holds instead of an LFS file.
pub(crate) fn pointer(content: &Content) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n", content.sha256(), content.size())
}
