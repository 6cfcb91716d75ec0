//! Names and ranges from URLs, listings and headers.
//!
//! What is accepted is written as it is read; a path stays below its folder; a range lies within its file.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use modelhub_fuzz::domain::facts::config::ConfigFile;
use modelhub_fuzz::domain::gguf_file::classify;
use modelhub_fuzz::domain::safetensors_set::copies;
use modelhub_fuzz::domain::{ByteRange, ContentId, FileType, Hours, RepoKey, RepoPath, Revision, Shard, WeightFormat};

fuzz_target!(|text: &str| {
    if let Ok(key) = RepoKey::parse(text) {
        assert_eq!(RepoKey::parse(&key.to_string()), Ok(key));
    }
    if let Ok(revision) = Revision::parse(text) {
        assert_eq!(Revision::parse(revision.as_str()), Ok(revision));
    }
    if let Ok(content) = ContentId::parse(text) {
        assert_eq!(content.to_hex(), text);
    }
    if let Ok(hours) = Hours::parse(text) {
        assert_eq!(Hours::parse(&hours.to_string()), Ok(hours));
    }
    if let Ok(path) = RepoPath::parse(text) {
        assert!(Path::new(text).components().all(|part| matches!(part, Component::Normal(_))));
        let _ = (FileType::of(&path), WeightFormat::of(&path), ConfigFile::of(&path));
        assert!(classify([&path]).len() <= 1 && copies([&path]).is_empty(), "of one file there is no copy");
        assert!(Shard::of(&path).is_none_or(|shard| shard.index <= shard.count && text.starts_with(&shard.set)));
    }
    if let Some(range) = ByteRange::parse(text) {
        for size in [0, 1, 1000, u64::MAX] {
            assert!(range.resolve(size).is_none_or(|bytes| bytes.start < bytes.end && bytes.end <= size));
        }
    }
});
