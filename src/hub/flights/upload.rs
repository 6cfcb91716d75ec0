//! A file that goes up to the object store while it comes down: part by part behind the hash, complete when it is proven.

use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Flight, Flights, Outcome};
use crate::blob::Partial;
use crate::domain::ContentId;
use crate::hub::objects::{Parts, is_in_parts};
use crate::hub::{Error, Result};

impl Flights {
    /// Begins to upload what arrives, if it is a large file that the object store does not have. It ends with the flight;
    /// what it has not done then is done later from the blob (`objects/push.rs`).
    pub(super) fn upload_behind(&self, flight: &Arc<Flight>, partial: &Arc<Partial>) {
        let ContentId::Sha256(digest) = flight.target.content else { return };
        let size = flight.target.size;
        if !self.objects.is_set()
            || flight.is_ours()
            || !is_in_parts(size)
            || flight.is_uploaded.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let (objects, stop) = (self.objects.clone(), self.stop.clone());
        let parts = Arriving { flight: Arc::clone(flight), partial: Arc::clone(partial) };
        self.tasks.spawn(async move {
            tokio::select! {
                () = objects.upload_arriving(digest, size, parts) => {}
                // A flight that has ended well has its parts' end in sight; one that is stopped has not.
                () = stop.cancelled() => {}
            }
        });
    }
}

/// See the module's text.
struct Arriving {
    flight: Arc<Flight>,
    partial: Arc<Partial>,
}

impl Arriving {
    /// Waits until the flight has got so far, or has ended.
    async fn until(&self, is_there: impl Fn(&Flight) -> bool) -> Result<()> {
        loop {
            let hashed = self.flight.hash.advanced();
            let changed = self.flight.changed.notified();
            tokio::pin!(hashed, changed);
            hashed.as_mut().enable();
            changed.as_mut().enable();
            // Also if that is over by now: a part of the wrong body may be among those that were sent.
            if self.flight.was_wrong.load(Ordering::Relaxed) {
                return Err(Error::CameElsewhere);
            }
            if is_there(&self.flight) {
                return Ok(());
            }
            match self.flight.outcome() {
                Outcome::Flying | Outcome::Verified => {}
                // Nothing of this body may become an object.
                Outcome::Repeating | Outcome::Failed(_) | Outcome::Stopped => return Err(Error::CameElsewhere),
            }
            tokio::select! {
                () = hashed => {}
                () = changed => {}
            }
        }
    }
}

impl Parts for Arriving {
    async fn ready(&mut self, end: u64) -> Result<()> {
        let is_verified = |flight: &Flight| matches!(flight.outcome(), Outcome::Verified);
        self.until(|flight| flight.hash.position() >= end || is_verified(flight)).await
    }

    async fn read(&mut self, range: Range<u64>) -> Result<Bytes> {
        let partial = Arc::clone(&self.partial);
        let read = move || {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            partial.file().read_exact_at(&mut bytes, range.start).map(|()| bytes)
        };
        Ok(tokio::task::spawn_blocking(read).await?.map_err(Error::internal)?.into())
    }

    async fn prove(self) -> Result<bool> {
        self.until(|flight| flight.over.load(Ordering::Acquire)).await?;
        Ok(matches!(self.flight.outcome(), Outcome::Verified))
    }
}
