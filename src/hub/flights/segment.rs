//! Fetching one run of segments over one connection, from whichever source gives it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::task::JoinHandle;

use super::source::Opened;
use super::sources::Sources;
use super::{Flight, Flights};
use crate::blob::{self, Claim};
use crate::domain::Clock;
use crate::telemetry::DISK_FULL;
use crate::upstream::{Error, Result};

/// Bytes collected before they are written: few system calls, bounded memory.
const BATCH: usize = 1 << 20;
/// How long received bytes wait for more before they are written and readers get them.
const GATHER: Duration = Duration::from_millis(4);
/// How long bytes are collected at most: on a slow line that never pauses, so that a kill costs little and readers go on.
const COLLECT: Duration = Duration::from_millis(50);
/// A segment that arrives within this is fast.
const FAST: Duration = Duration::from_millis(400);

/// What a flight's connections share.
pub(super) struct Fetcher {
    flight: Arc<Flight>,
    clock: Clock,
    pub(super) sources: Sources,
}

pub(super) enum Fetched {
    Segments {
        fast: bool,
    },
    /// There are no ranges: one connection is to fetch all.
    WholeOnly,
}

impl Fetcher {
    pub(super) fn new(flights: &Flights, flight: &Arc<Flight>) -> Self {
        Self { flight: Arc::clone(flight), clock: flights.clock.clone(), sources: Sources::of(flights, flight) }
    }

    /// Downloads what a claim still lacks. What arrived before a failure is kept.
    pub(super) async fn fetch(&self, claim: Claim) -> Result<Fetched> {
        // Before anything is requested: a full disk shows while the file can still be passed through.
        let room = claim.room();
        if let Err(error) = tokio::task::spawn_blocking(move || room.reserve()).await.unwrap_or(Ok(())) {
            return Err(local_failure(&self.flight, &error));
        }
        let range = claim.remaining();
        let start = self.clock.elapsed();
        let (chosen, opened) = self.sources.open(&range).await?;
        let Opened::Bytes { skip, bytes } = opened else { return Ok(Fetched::WholeOnly) };
        match self.drain(bytes, claim, skip).await {
            Ok(()) => {
                self.sources.worked(chosen);
                Ok(Fetched::Segments { fast: self.clock.elapsed().saturating_sub(start) < FAST })
            }
            Err(Broken::Source(error)) => Err(self.sources.broke(chosen, error)),
            Err(Broken::Disk(error)) => Err(error),
        }
    }

    /// Writes a body into the claim as it comes, in batches, without waiting for a batch to
    /// fill while upstream pauses. Bytes past the claim are not read.
    async fn drain(
        &self,
        mut body: impl Stream<Item = Result<Bytes>> + Unpin,
        claim: Claim,
        mut skip: u64,
    ) -> Result<(), Broken> {
        let mut missing = claim.remaining().end - claim.remaining().start;
        let mut writer = Writer { flight: Arc::clone(&self.flight), claim: Some(claim), writing: None };
        let mut batch: Vec<Bytes> = Vec::new();
        let (mut batched, mut begun) = (0, Duration::ZERO);
        while missing > 0 {
            let next = if batch.is_empty() {
                body.next().await
            } else {
                self.clock.timeout(GATHER, body.next()).await.unwrap_or(Some(Ok(Bytes::new())))
            };
            let paused = matches!(&next, Some(Ok(chunk)) if chunk.is_empty());
            let mut ended = None;
            match next {
                Some(Ok(mut chunk)) => {
                    let skipped = skip.min(chunk.len() as u64);
                    skip -= skipped;
                    chunk = chunk.split_off(skipped as usize);
                    chunk.truncate(usize::try_from(missing).unwrap_or(usize::MAX));
                    missing -= chunk.len() as u64;
                    batched += chunk.len();
                    if !chunk.is_empty() {
                        self.flight.pace(chunk.len()).await;
                        if batch.is_empty() {
                            begun = self.clock.elapsed();
                        }
                        batch.push(chunk);
                    }
                }
                Some(Err(error)) => ended = Some(error),
                None => ended = Some(Error::Unavailable { reason: "the body was cut off".into() }),
            }
            let is_full = batched >= BATCH || self.clock.elapsed().saturating_sub(begun) >= COLLECT;
            if !batch.is_empty() && (paused || is_full || missing == 0 || ended.is_some()) {
                batched = 0;
                writer.write(std::mem::take(&mut batch)).await?;
            }
            if let Some(error) = ended {
                writer.finish().await?;
                return Err(Broken::Source(error));
            }
        }
        writer.finish().await
    }
}

/// Why a run did not arrive whole.
enum Broken {
    Source(Error),
    /// Our own: no other source would help.
    Disk(Error),
}

/// Writes batches into a claim, one while the next one arrives.
struct Writer {
    flight: Arc<Flight>,
    claim: Option<Claim>,
    writing: Option<JoinHandle<Result<Claim, blob::Error>>>,
}

impl Writer {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<(), Broken> {
        self.finish().await?;
        let Some(mut claim) = self.claim.take() else { return Ok(()) };
        if let Some(partial) = self.flight.partial.get() {
            self.flight.hash.follow(partial).await;
        }
        let flight = Arc::clone(&self.flight);
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let offset = claim.remaining().start;
            claim.write(&chunks)?;
            flight.hash.keep(offset, chunks);
            Ok(claim)
        }));
        Ok(())
    }

    /// Waits for what is being written.
    async fn finish(&mut self) -> Result<(), Broken> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        match writing.await {
            Ok(Ok(claim)) => self.claim = Some(claim),
            Ok(Err(error)) => return Err(Broken::Disk(local_failure(&self.flight, &error))),
            Err(error) => {
                let reason = format!("writing was interrupted: {error}");
                return Err(Broken::Disk(Error::Unavailable { reason }));
            }
        }
        Ok(())
    }
}

/// A failure of our own disk is not upstream's, and retrying does not help.
fn local_failure(flight: &Flight, error: &blob::Error) -> Error {
    if matches!(error, blob::Error::NoSpace { .. }) {
        DISK_FULL.met(error);
        flight.disk_full.store(true, Ordering::Relaxed);
    } else {
        tracing::error!(path = %flight.target.path, %error, "could not write a partial file");
    }
    Error::Rejected { status: 500, message: "this hub could not write the file to its disk".into() }
}
