//! Getting at the bytes: from the store, from a flight in the air, or from a new flight.

use std::fs::File;
use std::net::IpAddr;
use std::sync::Arc;

use super::bypass::Bypass;
use super::flight::{FlightReader, FlightTarget};
use super::{Caller, Error, Hub, Resolved, Result, Served};
use crate::blob;
use crate::db::{BlobRow, ServedBlob};
use crate::domain::{Artifact, ByteRange, ContentId, Digest};

/// A blob of the store, open for reading. Its file is never changed, only unlinked; but one that is a hard link to
/// a file outside of the store changes with that.
#[derive(Debug)]
pub struct StoredFile {
    pub digest: Digest,
    pub size: u64,
    pub file: Arc<File>,
    linked_ns: Option<i64>,
}

impl StoredFile {
    /// Whether nobody has written into the file that it is a hard link to.
    pub(super) fn is_as_it_was(&self) -> bool {
        let is_same = |linked_ns| blob::modified(&self.file).is_ok_and(|now| now == (self.size, linked_ns));
        self.linked_ns.is_none_or(is_same)
    }
}

/// The bytes of an answer.
pub enum Opened {
    Stored(Arc<StoredFile>),
    Arriving(FlightReader),
    /// Past the store, whose disk is full.
    Passing(Box<Bypass>),
}

/// What to send: the bytes, and which of them.
pub struct Body {
    pub opened: Opened,
    /// Half-open; the whole file for a 200.
    pub range: std::ops::Range<u64>,
    /// Whether this is a 206.
    pub is_partial: bool,
    pub served: Served,
    /// Set when a whole body must be reported with `whole_body_sent`: this peer may hold a
    /// wrong beginning of this content.
    pub clears: Option<(ContentId, IpAddr)>,
}

impl Hub {
    /// Opens the bytes of a resolved file. `None` is 416: the range lies beyond the file.
    pub async fn open(&self, caller: &Caller, resolved: &Resolved, range: Option<ByteRange>) -> Result<Option<Body>> {
        let artifact = &resolved.artifact;
        let (content, size) = (artifact.content, artifact.size);
        let mut range = range;
        let mut clears = None;
        if self.taints.holds(content, caller.peer, self.clock.now()) {
            match range {
                None => {}
                Some(asked) if asked.finishes_a_file(size) => range = None,
                Some(_) => return Err(Error::Tainted),
            }
            clears = Some((content, caller.peer));
        }
        let Some(bytes) = range.map_or(Some(0..size), |range| range.resolve(size)) else { return Ok(None) };
        let is_partial = range.is_some();

        if let Some(stored) = self.stored(artifact).await? {
            // The bytes are from here, also when the revision had to be asked for.
            let served = if resolved.served == Served::Stale { Served::Stale } else { Served::Hit };
            return Ok(Some(Body { opened: Opened::Stored(stored), range: bytes, is_partial, served, clears }));
        }
        if resolved.pinned.is_local() {
            return Err(gone(resolved));
        }
        // Not after a wait: nobody can fetch it now.
        if self.upstream.is_away() && size > 0 && !self.flights.has(content) {
            return Err(self.out_of_reach(resolved));
        }
        let target = FlightTarget {
            content,
            size,
            repo: resolved.pinned.repo.key.clone(),
            commit: resolved.pinned.commit.clone(),
            path: artifact.path.clone(),
            caller: caller.clone(),
            xet_hash: artifact.xet_hash.clone(),
        };
        // A client may put a file together from this and check only its size.
        let finishes = range.is_none_or(|range| range.finishes_a_file(size));
        let (mut reader, joined) = self.join_flight(target.clone(), bytes.clone(), finishes);
        if self.taints.is_hopeless(content) {
            reader.prove_first();
        }
        match reader.ready().await {
            Ok(()) => {}
            Err(Error::CameElsewhere) => {
                drop(reader);
                let stored = self.stored(artifact).await?.ok_or(Error::CameElsewhere)?;
                let opened = Opened::Stored(stored);
                return Ok(Some(Body { opened, range: bytes, is_partial, served: Served::Join, clears }));
            }
            Err(Error::NoSpace) => {
                drop(reader);
                // What a client may take for the end of a whole file is sent whole, and proven.
                let is_partial = is_partial && !finishes;
                let range = if is_partial { bytes } else { 0..size };
                let opened = Opened::Passing(Box::new(self.bypass(target, range.clone()).await?));
                return Ok(Some(Body { opened, range, is_partial, served: Served::Bypass, clears }));
            }
            Err(error) => return Err(error),
        }
        let served = match (resolved.served, joined) {
            (Served::Stale, _) => Served::Stale,
            (_, true) => Served::Join,
            (_, false) => Served::Miss,
        };
        Ok(Some(Body { opened: Opened::Arriving(reader), range: bytes, is_partial, served, clears }))
    }

    /// For HEAD: refuses a file whose bytes are neither here nor to be had now, as GET would. A
    /// client that learns it from HEAD uses the older copy that it has.
    pub async fn check_within_reach(&self, resolved: &Resolved) -> Result<()> {
        let artifact = &resolved.artifact;
        let is_local = resolved.pinned.is_local();
        let is_away = is_local || self.upstream.is_away() || resolved.served == Served::Stale;
        // Of an empty file nothing has to be here.
        if !is_away
            || artifact.size == 0
            || self.flights.has(artifact.content)
            || self.stored(artifact).await?.is_some()
        {
            return Ok(());
        }
        if is_local {
            return Err(gone(resolved));
        }
        Err(self.out_of_reach(resolved))
    }

    fn out_of_reach(&self, resolved: &Resolved) -> Error {
        let what = format!("{}/{}", resolved.pinned.repo.key, resolved.artifact.path);
        match self.upstream.is_offline() {
            true => Error::Offline { what },
            false => Error::UpstreamUnavailable { what, reason: "it has not responded lately".into() },
        }
    }

    /// Whether upstream is down, or is deliberately never asked.
    pub fn is_upstream_away(&self) -> bool {
        self.upstream.is_away()
    }

    /// The blob of an artifact, if the store has it. A row whose file is gone or has another
    /// size is forgotten: the content is fetched again.
    pub(super) async fn stored(&self, artifact: &Artifact) -> Result<Option<Arc<StoredFile>>> {
        let content = artifact.content;
        let blob = match self.blobs.get(&content).filter(|blob| blob.row.size == artifact.size) {
            Some(blob) => blob,
            None => match self.db.blob(content, artifact.size).await? {
                Some(blob) => blob,
                None => match self.adopt(artifact).await? {
                    Some(blob) => blob,
                    None => return Ok(None),
                },
            },
        };
        let Some(stored) = self.open_stored(blob).await? else {
            self.db.delete_blob(blob.row.digest).await?;
            self.blobs.invalidate(&content);
            return Ok(None);
        };
        self.blobs.insert(content, blob);
        if let Ok(mut used) = self.used.lock() {
            used.insert(blob.row.digest);
        }
        Ok(Some(stored))
    }

    /// A file under its final name without a row: the process died between the two steps of
    /// publishing. It is proven again, and becomes a blob, or goes.
    async fn adopt(&self, artifact: &Artifact) -> Result<Option<ServedBlob>> {
        let (ContentId::Sha256(digest), size) = (artifact.content, artifact.size) else { return Ok(None) };
        let store = Arc::clone(&self.store);
        let proven = tokio::task::spawn_blocking(move || store.prove_orphan(digest, size)).await??;
        if !proven {
            return Ok(None);
        }
        tracing::info!(blob.digest = %digest, "verified and kept a file that was published without a database row");
        self.db.put_blob(digest, None, size, self.clock.now()).await?;
        Ok(Some(ServedBlob { row: BlobRow { digest, size }, linked_ns: None }))
    }

    async fn open_stored(&self, blob: ServedBlob) -> Result<Option<Arc<StoredFile>>> {
        let stored = match self.open_files.get(&blob.row.digest) {
            Some(stored) => stored,
            None => {
                let Some(stored) = self.open_blob(blob).await? else {
                    tracing::error!(blob.digest = %blob.row.digest, "a blob's file is missing or has the wrong size; it will be downloaded again");
                    return Ok(None);
                };
                let stored = Arc::new(stored);
                self.open_files.insert(blob.row.digest, Arc::clone(&stored));
                stored
            }
        };
        if stored.is_as_it_was() {
            return Ok(Some(stored));
        }
        tracing::error!(blob.digest = %blob.row.digest, "the original of a hard-linked blob was changed, so it is no longer served: import it again, as a copy if it changes often");
        // Only the store's name of it: the file stays where it is.
        self.remove_blob(blob.row.digest).await?;
        Ok(None)
    }

    /// The file of a blob as it is now.
    pub(super) async fn open_blob(&self, blob: ServedBlob) -> Result<Option<StoredFile>> {
        let ServedBlob { row: BlobRow { digest, size }, linked_ns } = blob;
        let store = Arc::clone(&self.store);
        let Some(file) = tokio::task::spawn_blocking(move || store.open_blob(digest, size)).await?? else {
            return Ok(None);
        };
        Ok(Some(StoredFile { digest, size, file: Arc::new(file), linked_ns }))
    }

    /// A peer that might have held a wrong beginning has received one whole right body.
    pub fn whole_body_sent(&self, (content, peer): (ContentId, IpAddr)) {
        self.taints.clear(content, peer);
    }
}

/// Upstream cannot help with what was imported from a folder.
fn gone(resolved: &Resolved) -> Error {
    let what = format!("{}/{}", resolved.pinned.repo.key, resolved.artifact.path);
    Error::UpstreamUnavailable {
        what,
        reason: "it was imported from a folder and is missing or changed; import it again".into(),
    }
}
