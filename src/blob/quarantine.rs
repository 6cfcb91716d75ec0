//! What was set aside because its bytes are not what its name says, for people to look at.
//!
//! A quarantined file is `quarantine/<content>.<ms>`: what its content should have been, and when it was set aside. Its
//! name is made and read here. Whatever else is in that folder belongs to somebody else: it takes space, is listed, and
//! stays.

use std::fmt;

use super::local::LocalStore;
use super::{Error, Partial, Result};
use crate::domain::{ContentId, Digest, Millis, ParseError};

const FOLDER: &str = "quarantine";

/// The name of a quarantined file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarantineName {
    /// When it was set aside.
    pub at: Millis,
    /// What it should have been.
    pub content: ContentId,
}

impl QuarantineName {
    /// Reads only what `Display` writes, of a time that can be shown: 13 digits last until the year 2286.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new("quarantined file", text, "expected <hash>.<milliseconds>, as the list has it");
        let (content, at) = text.split_once('.').ok_or_else(wrong)?;
        let content = ContentId::parse(content).map_err(|_| wrong())?;
        let name = Self { at: at.parse().map_err(|_| wrong())?, content };
        if at.len() <= 13 && name.at >= 0 && name.to_string() == text { Ok(name) } else { Err(wrong()) }
    }
}

impl fmt::Display for QuarantineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.content.to_hex(), self.at)
    }
}

/// An entry of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// As it is on the disk.
    pub text: String,
    /// `None`: not put there by this program.
    pub name: Option<QuarantineName>,
    /// Its length in bytes; 0 of what is no file.
    pub size: u64,
}

impl LocalStore {
    /// Quarantines a wrong body; its journal is removed, so that no later flight resumes it.
    pub fn quarantine(&self, partial: &Partial, now: Millis) -> Result<()> {
        let aside = self.root().join(FOLDER).join(QuarantineName { at: now, content: partial.content() }.to_string());
        self.in_folders(|| std::fs::rename(partial.path(), &aside).map_err(Error::io("cannot quarantine", &aside)))?;
        self.discard(partial);
        Ok(())
    }

    /// Quarantines a corrupt blob. A missing one is not an error.
    pub fn quarantine_blob(&self, digest: Digest, now: Millis) -> Result<()> {
        let path = self.blob_path(digest);
        let name = QuarantineName { at: now, content: ContentId::Sha256(digest) };
        let aside = self.root().join(FOLDER).join(name.to_string());
        if !path.exists() {
            return Ok(());
        }
        self.in_folders(|| std::fs::rename(&path, &aside).map_err(Error::io("cannot quarantine", &path)))
    }

    /// All entries of the folder: the newest first, those of somebody else last.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>> {
        let folder = self.root().join(FOLDER);
        let mut found = Vec::new();
        let entries = self.in_folders(|| std::fs::read_dir(&folder).map_err(Error::io("cannot read", &folder)))?;
        for entry in entries.flatten() {
            // Not of what a link leads to. Without it, somebody has just removed the entry.
            let Ok(metadata) = entry.metadata() else { continue };
            let text = entry.file_name().to_string_lossy().into_owned();
            let name = QuarantineName::parse(&text).ok().filter(|_| metadata.is_file());
            found.push(Quarantined { text, name, size: if metadata.is_file() { metadata.len() } else { 0 } });
        }
        found.sort_by(|a, b| b.name.cmp(&a.name).then_with(|| a.text.cmp(&b.text)));
        Ok(found)
    }

    /// Removes a quarantined file; its bytes, or `None` if there is no file of this name.
    pub fn remove_quarantined(&self, name: QuarantineName) -> Result<Option<u64>> {
        let path = self.root().join(FOLDER).join(name.to_string());
        // Not a folder or link, which this program has not put there.
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { return Ok(None) };
        if !metadata.is_file() {
            return Ok(None);
        }
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("cannot remove", &path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_this_program_makes_are_names() {
        let (sha, git) = ("a".repeat(64), "b".repeat(40));
        for text in [format!("{sha}.0"), format!("{git}.1800000000000")] {
            assert_eq!(QuarantineName::parse(&text).unwrap().to_string(), text);
        }
        let ends = ["", ".", ".x", ".07", ".+7", ".-7", ".7.8", ".10000000000000", "/../.7"];
        let wrong = ends.map(|end| format!("{sha}{end}"));
        for text in wrong.iter().map(String::as_str).chain(["", ".", "..", "notes.txt", "../x.7"]) {
            assert!(QuarantineName::parse(text).is_err(), "{text:?}");
        }
    }
}
