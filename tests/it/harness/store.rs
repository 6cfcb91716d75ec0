//! What must hold of a store's directory at any moment, also after kill -9.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Every blob hashes to its name and lies in its shard; nothing else is there.
pub(crate) fn check(data_dir: &Path) {
    let blobs = data_dir.join("blobs/sha256");
    // A process that was killed at its very start has made no directories yet.
    if !blobs.exists() {
        return;
    }
    for shard in list(&blobs) {
        for path in list(&shard) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(sha256_of(&path), name, "{} does not hash to its name", path.display());
            assert!(shard.ends_with(&name[..2]), "{} is in the wrong folder", path.display());
        }
    }
}

/// The sha256 of every blob in the store.
pub(crate) fn blobs(data_dir: &Path) -> BTreeSet<String> {
    let dir = data_dir.join("blobs/sha256");
    let shards = if dir.exists() { list(&dir) } else { Vec::new() };
    let files = shards.iter().flat_map(|shard| list(shard));
    files.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Where the file of a blob is.
pub(crate) fn blob_path(data_dir: &Path, sha256: &str) -> PathBuf {
    data_dir.join("blobs/sha256").join(&sha256[..2]).join(sha256)
}

/// Overwrites 4 bytes of a blob, as a failing disk does it: the inode stays.
pub(crate) fn damage(data_dir: &Path, sha256: &str, at: u64) {
    let file = File::options().write(true).open(blob_path(data_dir, sha256)).unwrap();
    file.write_all_at(b"\0\0\0\0", at).unwrap();
}

pub(crate) fn quarantined(data_dir: &Path) -> usize {
    list(&data_dir.join("quarantine")).len()
}

/// Segments that are whole on the disk: what a restart must not fetch again.
pub(crate) fn finished_segments(data_dir: &Path, content_hex: &str) -> BTreeSet<u64> {
    let notes = noted(data_dir, content_hex);
    notes.into_iter().filter(|(_, written, length)| written == length).map(|(index, ..)| index).collect()
}

/// Bytes of whole segments and of such that were begun: what an orderly stop keeps.
pub(crate) fn kept_bytes(data_dir: &Path, content_hex: &str) -> u64 {
    noted(data_dir, content_hex).into_iter().map(|(_, written, _)| written).sum()
}

/// What the journal of a partial download notes and whose bytes are on the disk as they were written: of each
/// segment its number, how much of it is there, and its length. Reads the file format of `blob::journal`
/// on its own, so that a change of it does not go unnoticed.
fn noted(data_dir: &Path, content_hex: &str) -> Vec<(u64, u64, u64)> {
    let part = data_dir.join("partial").join(format!("{content_hex}.part"));
    let Ok(journal) = std::fs::read(part.with_extension("map")) else { return Vec::new() };
    let Ok(mut file) = File::open(&part) else { return Vec::new() };
    if journal.len() < 24 {
        return Vec::new();
    }
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let (size, segment_size) = (number(&journal[8..16]), number(&journal[16..24]));
    let (slots, _torn) = journal[24..].as_chunks::<12>();
    let mut notes = Vec::new();
    for (index, slot) in (0..).zip(slots) {
        let (written, crc) = (number(&slot[..8]), u32::from_le_bytes(slot[8..].try_into().unwrap()));
        let (start, length) = (index * segment_size, segment_size.min(size - index * segment_size));
        let mut bytes = vec![0; written.min(length) as usize];
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes));
        if written > 0 && read.is_ok() && crc32fast::hash(&bytes) == crc {
            notes.push((index, written, length));
        }
    }
    notes
}

fn list(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn sha256_of(path: &Path) -> String {
    let mut file = File::open(path).unwrap();
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return hex::encode(hash.finalize()),
            n => hash.update(&buffer[..n]),
        }
    }
}
