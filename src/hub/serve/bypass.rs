//! Passing a file through while the disk or the store is full, or because its model is never stored: the client gets it,
//! nothing is stored.
//!
//! One connection, as upstream sends it. A whole file is hashed on the way and its end is held
//! back until the digest is verified, as in a flight; a bounded range is sent as it arrives.

use std::ops::Range;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};

use super::{Result, Serve};
use crate::blob::ContentHasher;
use crate::domain::Digest;
use crate::hub::Error;
use crate::hub::flights::{FlightTarget, object_failed};
use crate::hub::objects::Objects;
use crate::hub::taints::Taints;
use crate::upstream::{RangeBody, Result as UpstreamResult};

type Passed = dyn Stream<Item = UpstreamResult<Bytes>> + Send;

/// Bytes on their way from upstream, or from the object store, to one client.
pub struct Bypass {
    taints: Taints,
    body: Pin<Box<Passed>>,
    /// Where the bytes come from, if that is not upstream.
    object: Option<(Objects, Digest)>,
    target: FlightTarget,
    missing: u64,
    /// Of a whole file.
    hasher: Option<ContentHasher>,
    /// What is held back: the newest bytes, up to `hold`.
    held: BytesMut,
    hold: usize,
}

impl Serve {
    /// Asks for the bytes themselves: the object store if it has them, else upstream.
    pub(super) async fn bypass(&self, target: FlightTarget, range: Range<u64>) -> Result<Bypass> {
        let fail = |error| Error::upstream(error, format!("{}/{}", target.repo, target.path));
        let size = target.size;
        let asked = (range != (0..size)).then_some(&range);
        if let Some(digest) = self.objects.find(target.content, size).await
            && let Ok(bytes) = self.objects.read(digest, range.clone()).await
        {
            let body = bytes.map(|piece| piece.map_err(object_failed));
            let passing = self.passing(target, range, Box::pin(body));
            return Ok(Bypass { object: Some((self.objects.clone(), digest)), ..passing });
        }
        let caller = target.caller.upstream();
        let located = self
            .upstream
            .locate(&target.repo, &target.commit, &target.path, asked, size, caller)
            .await
            .map_err(fail)?;
        let reply = match located {
            (_, Some(reply)) => reply,
            (source, None) => self.upstream.fetch(&source, asked, size, caller).await.map_err(fail)?,
        };
        if asked.is_some() && matches!(reply.body, RangeBody::Whole) {
            return Err(Error::NoSpace);
        }
        Ok(self.passing(target, range, Box::pin(reply.into_stream())))
    }

    fn passing(&self, target: FlightTarget, range: Range<u64>, body: Pin<Box<Passed>>) -> Bypass {
        tracing::debug!(repo.id = %target.repo, path = %target.path, "passing a file through without storing it");
        let size = target.size;
        let hold = self.settings.flight.hold_back.bytes().min(size / 2 + 1);
        Bypass {
            taints: self.taints.clone(),
            object: None,
            body,
            hasher: (range == (0..size)).then(|| ContentHasher::new(target.content, size)),
            missing: range.end - range.start,
            held: BytesMut::new(),
            hold: usize::try_from(hold).unwrap_or(usize::MAX),
            target,
        }
    }
}

impl Bypass {
    /// Whether everything was handed out (and, for a whole file, verified).
    pub fn is_done(&self) -> bool {
        self.missing == 0 && self.held.is_empty()
    }

    /// The next piece; `None` at the end. An error resets the connection.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        while self.missing > 0 {
            let mut chunk = match self.body.next().await {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return Some(Err(Error::upstream(error, self.target.path.to_string()))),
                None => return Some(Err(Error::BadUpstream("upstream cut off the body".into()))),
            };
            chunk.truncate(usize::try_from(self.missing).unwrap_or(usize::MAX));
            self.missing -= chunk.len() as u64;
            let Some(hasher) = &mut self.hasher else { return Some(Ok(chunk)) };
            hasher.update(&chunk);
            self.held.extend_from_slice(&chunk);
            if self.missing > 0 && self.held.len() > self.hold {
                let free = self.held.len() - self.hold;
                return Some(Ok(self.held.split_to(free).freeze()));
            }
        }
        if let Some(Err(actual)) = self.hasher.take().map(ContentHasher::finish) {
            let Self { taints, target, object, .. } = self;
            if let Some((objects, digest)) = object {
                objects.lost(*digest).await;
            }
            if let Err(error) = taints.add(target.content).await {
                tracing::error!(%error, "could not record that a wrong body was sent");
            }
            let who = if object.is_some() { "the object store" } else { "upstream" };
            let text = format!("{who} sent wrong bytes for {}/{}: their hash is {actual}", target.repo, target.path);
            return Some(Err(Error::BadUpstream(text)));
        }
        let rest = std::mem::take(&mut self.held);
        (!rest.is_empty()).then(|| Ok(rest.freeze()))
    }
}
