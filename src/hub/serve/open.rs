//! Getting at the bytes: from the store, from a flight in progress, or from a new flight.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::bypass::Bypass;
use super::{Result, Serve};
use crate::domain::{ByteRange, ContentId};
use crate::hub::catalog::Resolved;
use crate::hub::flights::{FlightReader, FlightTarget};
use crate::hub::store::StoredFile;
use crate::hub::{Caller, Error, Served};

/// The bytes of an answer.
pub enum Opened {
    Stored(Arc<StoredFile>),
    Arriving(FlightReader),
    /// Passed through: the store or its disk is full, or the model is never stored.
    Passing(Box<Bypass>),
}

/// What to send: the bytes, and which of them.
pub struct Body {
    pub opened: Opened,
    /// Half-open; the whole file for a 200.
    pub range: Range<u64>,
    /// Whether this is a 206.
    pub is_partial: bool,
    pub served: Served,
    /// Set when a whole body must be reported with `whole_body_sent`: this peer may hold a
    /// wrong beginning of this content.
    pub clears: Option<(ContentId, IpAddr)>,
}

impl Serve {
    /// Opens the bytes of a resolved file. `None` is 416: the range lies beyond the file.
    pub async fn open(&self, caller: &Caller, resolved: &Resolved, range: Option<ByteRange>) -> Result<Option<Body>> {
        let artifact = &resolved.artifact;
        let (content, size) = (artifact.content, artifact.size);
        // Also of a tainted file: who holds more than there is would only add the right body to it.
        if range.is_some_and(|range| range.resolve(size).is_none()) {
            return Ok(None);
        }
        let mut range = range;
        let mut clears = None;
        if self.taints.holds(content, caller.peer) {
            match range {
                None => {}
                Some(asked) if asked.finishes_a_file(size) => range = None,
                Some(_) => return Err(Error::Tainted),
            }
            clears = Some((content, caller.peer));
        }
        let Some(bytes) = range.map_or(Some(0..size), |range| range.resolve(size)) else { return Ok(None) };
        let is_partial = range.is_some();

        if let Some(stored) = self.store.get(artifact).await? {
            // The bytes are from here, also when the revision had to be asked for.
            let served = if resolved.served == Served::Stale { Served::Stale } else { Served::Hit };
            self.note_use(caller, &stored);
            return Ok(Some(Body { opened: Opened::Stored(stored), range: bytes, is_partial, served, clears }));
        }
        let is_ours = self.objects.find(content, size).await.is_some();
        if resolved.revision.is_local() && !is_ours {
            return Err(gone(resolved));
        }
        // Not after a wait: nobody can download it now.
        if self.upstream.is_away() && size > 0 && !is_ours && !self.flights.has(content) {
            return Err(self.out_of_reach(resolved));
        }
        // A client may put a file together from this and check only its size.
        let finishes = range.is_none_or(|range| range.finishes_a_file(size));
        let (opened, range, served) = self.open_arriving(caller, resolved, bytes, finishes).await?;
        // What a client may take for the end of a whole file is passed through whole, and verified.
        let is_partial = is_partial && !(finishes && matches!(served, Served::Bypass));
        let served = match (resolved.served, served) {
            (Served::Stale, Served::Join | Served::Miss | Served::Hit) => Served::Stale,
            (_, served) => served,
        };
        Ok(Some(Body { opened, range, is_partial, served, clears }))
    }

    /// Joins the flight of a file that is not here, or starts one. With a full disk or store the bytes are passed through, and
    /// those of a model that is never stored.
    ///
    /// `finishes`: the client may take the end of `range` for the end of a whole, right file: then that comes only
    /// when everything is verified, and what is passed through is the whole file. Gives the range that is sent.
    pub(super) async fn open_arriving(
        &self,
        caller: &Caller,
        resolved: &Resolved,
        range: Range<u64>,
        finishes: bool,
    ) -> Result<(Opened, Range<u64>, Served)> {
        let target = flight_target(caller, resolved);
        if self.settings.keeping.is_never_stored(&target.repo) {
            return self.pass(target, range, finishes).await;
        }
        let (mut reader, joined) = self.flights.join(target.clone(), range.clone(), finishes);
        if self.taints.is_hopeless(target.content) {
            reader.prove_first();
        }
        match reader.ready().await {
            Ok(()) => {
                let served = match joined {
                    _ if reader.is_ours() => Served::Hit,
                    true => Served::Join,
                    false => Served::Miss,
                };
                Ok((Opened::Arriving(reader), range, served))
            }
            Err(Error::CameElsewhere) => {
                drop(reader);
                let stored = self.store.get(&resolved.artifact).await?.ok_or(Error::CameElsewhere)?;
                self.note_use(caller, &stored);
                Ok((Opened::Stored(stored), range, Served::Join))
            }
            Err(error) if error.is_no_space() => {
                drop(reader);
                self.pass(target, range, finishes).await
            }
            Err(error) => Err(error),
        }
    }

    /// A look by this hub's owner is no use.
    pub(super) fn note_use(&self, caller: &Caller, stored: &StoredFile) {
        if !caller.is_owner() {
            self.store.note_use(stored.digest());
        }
    }

    /// Passes a file through; the whole of it if the client may take the end of `range` for its end.
    async fn pass(
        &self,
        target: FlightTarget,
        range: Range<u64>,
        finishes: bool,
    ) -> Result<(Opened, Range<u64>, Served)> {
        let range = if finishes { 0..target.size } else { range };
        let passing = self.bypass(target, range.clone()).await?;
        Ok((Opened::Passing(Box::new(passing)), range, Served::Bypass))
    }

    /// For HEAD: refuses a file whose bytes are neither here nor to be had now, as GET would. A
    /// client that learns it from HEAD uses the older copy that it has.
    pub async fn check_within_reach(&self, resolved: &Resolved) -> Result<()> {
        let artifact = &resolved.artifact;
        let is_local = resolved.revision.is_local();
        let is_away = is_local || self.upstream.is_away() || resolved.served == Served::Stale;
        // An empty file needs no blob.
        if !is_away
            || artifact.size == 0
            || self.flights.has(artifact.content)
            || self.store.get(artifact).await?.is_some()
            || self.objects.find(artifact.content, artifact.size).await.is_some()
        {
            return Ok(());
        }
        if is_local {
            return Err(gone(resolved));
        }
        Err(self.out_of_reach(resolved))
    }

    fn out_of_reach(&self, resolved: &Resolved) -> Error {
        let what = format!("{}/{}", resolved.revision.repo.key, resolved.artifact.path);
        match self.upstream.is_offline() {
            true => Error::Offline { what },
            false => Error::UpstreamUnavailable { what, reason: "it has not responded lately".into() },
        }
    }

    /// A peer that might have held a wrong beginning has received one whole right body.
    pub fn whole_body_sent(&self, (content, peer): (ContentId, IpAddr)) {
        self.taints.clear(content, peer);
    }
}

pub(super) fn flight_target(caller: &Caller, resolved: &Resolved) -> FlightTarget {
    FlightTarget {
        content: resolved.artifact.content,
        size: resolved.artifact.size,
        repo: resolved.revision.repo.key.clone(),
        commit: resolved.revision.commit.clone(),
        path: resolved.artifact.path.clone(),
        caller: caller.clone(),
        xet_hash: resolved.artifact.xet_hash,
    }
}

/// Upstream cannot help with what was imported from a folder.
fn gone(resolved: &Resolved) -> Error {
    let what = format!("{}/{}", resolved.revision.repo.key, resolved.artifact.path);
    Error::UpstreamUnavailable {
        what,
        reason: "it was imported from a folder and is missing or changed; import it again".into(),
    }
}
