//! What people paste to name a repository: an id, an address, a download command.
//!
//! What was understood is understood the same as a command; its patterns are refused or can be asked about a file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelhub_fuzz::domain::{self, Artifact, ContentId, Digest, RepoPath};

#[path = "../../src/api/admin/source.rs"]
mod source;

use source::Source;

fuzz_target!(|text: &str| {
    let Ok(Source { key, revision, selection }) = Source::parse(text, &["hub.example"]) else { return };
    let mut command = format!("hf download {} --repo-type {}", key.id, key.kind);
    if let Some(revision) = &revision {
        command += &format!(" --revision='{}'", revision.as_str().replace('\'', r"'\''"));
    }
    let again = Source::parse(&command, &[]).unwrap();
    assert_eq!((again.key, again.revision), (key, revision), "{command}");
    if let Ok(matcher) = selection.matcher() {
        let path = RepoPath::parse("unet/model-00001-of-00002.safetensors").unwrap();
        let content = ContentId::Sha256(Digest::from_bytes([0; 32]));
        matcher.matches(&Artifact { path, size: 1, content, oid: None, xet_hash: None });
    }
});
