//! Importing one file: its hashes, whether it is wanted, and its blob.
//!
//! Steps: open it within the scanned folder → if it is as it was at an earlier scan, its hashes are known →
//! else compute them, of the bytes that go into the store, where room is made for them, if they are not there already → publish, if the
//! file is what it should be → the blob's row, with its Xet hash if clients may ask for it by that → note the
//! hashes for the next scan.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS};

use super::files::FoundFile;
use super::report::ProblemKind;
use super::{Result, Run};
use crate::blob::{Names, Refusal, Source, Staged, Stamp};
use crate::db::ScannedFile;
use crate::domain::{Artifact, ContentId};
use crate::hub::Error;

/// The Hub keeps larger files in LFS, where the name of a content is its sha256.
const LARGEST_IN_GIT: u64 = 10_000_000;
/// Progress is reported this often while a large file is read.
const TELL_EVERY: Duration = Duration::from_millis(300);
/// Hashes are noted when so many, or of so many bytes, have gathered: as much is done twice after a crash.
const NOTE_FILES: usize = 500;
const NOTE_BYTES: u64 = 256 << 20;
/// A file with less may be a pointer of Git LFS.
const MAX_POINTER: u64 = 1024;
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
const IN_PATHS: &AsciiSet = &CONTROLS.add(b'%');

/// A file that is in the store.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) names: Names,
    pub(super) size: u64,
}

/// What a file has to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) content: ContentId,
    /// Unknown for what a name in a cache promises.
    pub(super) size: Option<u64>,
    pub(super) by: &'static str,
}

enum Read {
    Hashed(Names),
    Staged(Box<Staged>),
}

impl Run<'_> {
    /// The file in the store; `None` if it is skipped, and the report says why. That it is what is `listed` under its
    /// path need not be true: it saves copying what is there.
    pub(super) async fn take(
        &mut self,
        file: &FoundFile,
        wanted: Option<Wanted>,
        listed: Option<&Artifact>,
    ) -> Result<Option<Taken>> {
        if self.pace.cancel.is_cancelled() {
            return Err(Error::Stopping);
        }
        self.report.files += 1;
        let (place, within) = (file.place.clone(), self.within.clone());
        let opened = tokio::task::spawn_blocking(move || Source::open(&place, &within)).await?;
        let mut source = match opened {
            Ok(source) => source,
            Err(refusal) => return self.refused(file, refusal),
        };
        let (stamp, text) = (source.stamp(), text_of(source.path()));
        self.report.bytes += stamp.size;
        self.progress.files += 1;
        self.progress.bytes += stamp.size;
        if wanted.is_some_and(|wanted| wanted.size.is_some_and(|size| size != stamp.size)) {
            return Ok(self.different(file, wanted, "different size"));
        }

        let likely = listed.map(|artifact| artifact.content).or(wanted.map(|wanted| wanted.content));
        // Upstream's own Xet hash, if it gave one, is what its clients know the content by.
        let is_named = listed.is_some_and(|artifact| artifact.xet_hash.is_some());
        let wants_xet = self.models.settings.xet.serve && !is_named && is_lfs(likely.or(file.promised), stamp.size);
        let known = self.known_names(&text, stamp).await?;
        let likely = known.as_ref().map(|names| ContentId::Sha256(names.sha256)).or(likely);
        if let Some(names) = known {
            self.report.unchanged += 1;
            if wanted.is_some_and(|wanted| !names.are(wanted.content)) {
                return Ok(self.different(file, wanted, "different content"));
            }
            let has_all = !wants_xet || self.models.db.has_xet_hash(names.sha256).await?;
            if has_all && self.models.store.holds(ContentId::Sha256(names.sha256), stamp.size).await? {
                self.keep_names(&names).await?;
                return Ok(Some(Taken { names, size: stamp.size }));
            }
            self.report.unchanged -= 1;
        }

        let is_stored = match likely {
            Some(content) => self.models.store.holds(content, stamp.size).await?,
            None => false,
        };
        source.want_xet(wants_xet);
        let source = Arc::new(source);
        let read = match self.read(&source, is_stored).await? {
            Ok(read) => read,
            Err(refusal) => return self.refused(file, refusal),
        };
        self.report.hashed += 1;
        self.report.bytes_hashed += stamp.size;
        let names = match &read {
            Read::Hashed(names) => names.clone(),
            Read::Staged(staged) => staged.names.clone(),
        };
        self.note(text, stamp, &names).await?;
        if wanted.is_some_and(|wanted| !names.are(wanted.content)) {
            return Ok(self.different(file, wanted, "different content"));
        }
        if self.models.store.holds(ContentId::Sha256(names.sha256), stamp.size).await? {
            self.report.already_stored += 1;
            self.keep_names(&names).await?;
            return Ok(Some(Taken { names, size: stamp.size }));
        }
        let read = match read {
            // It was not what was expected.
            Read::Hashed(_) => self.read(&source, false).await?,
            read => Ok(read),
        };
        match read {
            Ok(Read::Staged(staged)) => self.publish(*staged, stamp).await.map(Some),
            Ok(Read::Hashed(_)) => Ok(None),
            Err(refusal) => self.refused(file, refusal),
        }
    }

    /// Reads the whole file once: into the store, unless it is there already.
    async fn read(&mut self, source: &Arc<Source>, is_stored: bool) -> Result<Result<Read, Refusal>> {
        let (store, how, pace) = (self.models.store.clone(), self.how, Arc::clone(&self.pace));
        if !is_stored {
            store.make_room(source.stamp().size).await?;
        }
        let source = Arc::clone(source);
        let reading = async move {
            Ok::<_, Error>(match is_stored {
                true => tokio::task::spawn_blocking(move || source.hash(&pace)).await?.map(Read::Hashed),
                false => store.stage(source, how, pace).await?.map(|staged| Read::Staged(Box::new(staged))),
            })
        };
        tokio::pin!(reading);
        let clock = self.models.clock.clone();
        loop {
            tokio::select! {
                outcome = &mut reading => {
                    self.tell();
                    return outcome;
                }
                () = clock.sleep(TELL_EVERY) => self.tell(),
            }
        }
    }

    /// The commit protocol of every blob: the file, then its row.
    async fn publish(&mut self, staged: Staged, stamp: Stamp) -> Result<Taken> {
        let size = stamp.size;
        let (names, how) = (staged.names.clone(), staged.how);
        self.models.store.publish_staged(staged, size, stamp.modified_ns).await?;
        self.report.placed(how, size);
        Ok(Taken { names, size })
    }

    /// A blob that came as an LFS file is found by its git id too from now on.
    async fn keep_names(&self, names: &Names) -> Result<()> {
        self.models.db.add_git_oid(names.sha256, names.git_oid).await?;
        self.keep_xet_hash(names).await
    }

    async fn keep_xet_hash(&self, names: &Names) -> Result<()> {
        if let Some(hash) = &names.xet_hash {
            self.models.db.put_xet_hash(names.sha256, *hash).await?;
        }
        Ok(())
    }

    async fn known_names(&self, text: &str, stamp: Stamp) -> Result<Option<Names>> {
        let known = match self.notes.iter().find(|note| note.path == text) {
            Some(note) => Some(note.clone()),
            None => self.models.db.scanned_file(text).await?,
        };
        let Some(known) = known else { return Ok(None) };
        let Stamp { size, modified_ns, device, inode } = stamp;
        let is_same = (known.size, known.modified_ns, known.device, known.inode) == (size, modified_ns, device, inode);
        Ok(is_same.then_some(Names { sha256: known.sha256, git_oid: known.git_oid, xet_hash: None }))
    }

    async fn note(&mut self, path: String, stamp: Stamp, names: &Names) -> Result<()> {
        let Stamp { size, modified_ns, device, inode } = stamp;
        let Names { sha256, git_oid, .. } = *names;
        let scanned_at = self.models.clock.now();
        self.notes.push(ScannedFile { path, size, modified_ns, device, inode, sha256, git_oid, scanned_at });
        if self.notes.len() >= NOTE_FILES || self.notes.iter().map(|note| note.size).sum::<u64>() >= NOTE_BYTES {
            self.write_notes().await?;
        }
        Ok(())
    }

    pub(super) async fn write_notes(&mut self) -> Result<()> {
        if !self.notes.is_empty() {
            self.models.db.put_scanned_files(&self.notes).await?;
            self.notes.clear();
        }
        Ok(())
    }

    pub(super) fn different(&mut self, file: &FoundFile, wanted: Option<Wanted>, how: &str) -> Option<Taken> {
        self.report.different += 1;
        let by = wanted.map_or("upstream's listing", |wanted| wanted.by);
        self.report.problems.add(ProblemKind::Different, &file.place, format!("does not match {by}: {how}"));
        None
    }

    /// A file that cannot be imported is reported; a failing store ends the import.
    fn refused(&mut self, file: &FoundFile, refusal: Refusal) -> Result<Option<Taken>> {
        match (ProblemKind::of(&refusal), refusal) {
            (_, Refusal::Store(error)) => return Err(error.into()),
            (None, _) => return Err(Error::Stopping),
            (Some(kind), refusal) => self.report.problems.add(kind, &file.place, refusal.to_string()),
        }
        Ok(None)
    }

    /// Whether a small file is the pointer that git holds instead of a large one.
    pub(super) async fn is_pointer(&self, file: &FoundFile) -> Result<bool> {
        let (place, within) = (file.place.clone(), self.within.clone());
        let read = move || super::folder::read_small(&place, &within, MAX_POINTER);
        Ok(tokio::task::spawn_blocking(read).await?.is_some_and(|bytes| bytes.starts_with(POINTER)))
    }
}

/// Whether the Hub has such a file in LFS: as it is `known`, else by its size.
pub(super) fn is_lfs(known: Option<ContentId>, size: u64) -> bool {
    known.map_or(size > LARGEST_IN_GIT, ContentId::is_lfs)
}

/// A path as text that any database takes, and that stands for no other path.
fn text_of(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    percent_encoding::percent_encode(path.as_os_str().as_bytes(), IN_PATHS).to_string()
}
