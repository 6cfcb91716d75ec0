//! What lies under `blobs/`, looked at without the database.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::hasher::NameHasher;
use super::local::{LocalStore, sync_dir};
use super::{Error, Names, Result, modified};
use crate::domain::Digest;

/// What lies in the folder of some blobs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Files named as a blob is, in order, with their sizes. Nothing is said of their content.
    pub blobs: Vec<(Digest, u64)>,
    /// What no blob can be: another name, a link, a folder.
    pub foreign: Vec<PathBuf>,
}

/// A file that was read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub names: Names,
    pub size: u64,
    /// When it was modified last.
    pub modified_ns: i64,
    /// It has a name outside of the store too: it may be a hard link that was imported.
    pub is_linked: bool,
}

impl LocalStore {
    /// What the folder of one of 256 parts of the store holds. Syncs it: a name that is found is there to stay.
    pub fn inventory(&self, shard: u8) -> Result<Inventory> {
        let shard = format!("{shard:02x}");
        let folder = self.root().join("blobs/sha256").join(&shard);
        let mut found = Inventory::default();
        for entry in std::fs::read_dir(&folder).map_err(Error::io("cannot read", &folder))? {
            let entry = entry.map_err(Error::io("cannot read", &folder))?;
            let metadata = entry.metadata().map_err(Error::io("cannot read", &entry.path()))?;
            match digest_of(&entry.file_name(), &shard).filter(|_| metadata.is_file()) {
                Some(digest) => found.blobs.push((digest, metadata.len())),
                None => found.foreign.push(entry.path()),
            }
        }
        found.blobs.sort_unstable();
        sync_dir(&folder)?;
        Ok(found)
    }

    /// Reads a file of the inventory whole; tells `piece` how much of it was read each time.
    pub fn read_blob(&self, digest: Digest, size: u64, piece: &dyn Fn(u64)) -> Result<Option<Read>> {
        let Some(mut file) = self.open_blob(digest, size)? else { return Ok(None) };
        let path = self.blob_path(digest);
        let names = hash(&mut file, size, piece).map_err(Error::io("cannot read", &path))?;
        let links = file.metadata().map_err(Error::io("cannot read", &path))?.nlink();
        let (size, modified_ns) = modified(&file).map_err(Error::io("cannot read", &path))?;
        Ok(Some(Read { names, size, modified_ns, is_linked: links > 1 }))
    }
}

fn hash(file: &mut File, size: u64, piece: &dyn Fn(u64)) -> std::io::Result<Names> {
    let mut hasher = NameHasher::new(size, false);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => {
                hasher.update(&buffer[..n]);
                piece(n as u64);
            }
        }
    }
}

/// The digest that is a file's name, written as the store writes it.
fn digest_of(name: &OsString, shard: &str) -> Option<Digest> {
    let name = name.to_str().filter(|name| name.starts_with(shard))?;
    Digest::parse(name).ok().filter(|digest| digest.to_hex() == name)
}
