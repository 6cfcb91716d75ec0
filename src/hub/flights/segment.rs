//! Fetching one run of segments over one connection.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::{Flight, Flights};
use crate::blob::{self, Claim};
use crate::upstream::{Error, RangeBody, RangeReply, Result, Source};

/// Bytes collected before they are written: few system calls, bounded memory.
const BATCH: usize = 1 << 20;
/// How long received bytes wait for more before they are written and readers get them.
const GATHER: Duration = Duration::from_millis(4);
/// A segment that arrives within this is fast.
pub(super) const FAST: Duration = Duration::from_millis(400);

/// This many refusals in a row by the download host are final; a single one may be a mishap.
const LAST_REFUSAL: u32 = 4;

/// The source of a flight's bytes, shared by its connections.
pub(super) struct Route {
    pub(super) flights: Flights,
    pub(super) flight: Arc<Flight>,
    /// Where upstream said the bytes are, and the generation of that URL.
    source: Mutex<Option<(u64, Source)>>,
    /// Upstream does not support ranges of this file.
    single: AtomicBool,
    /// How often in a row the download host refused this file.
    refusals: AtomicU32,
    pub(super) xet: super::xet::Xet,
}

pub(super) enum Fetched {
    Segments { fast: bool },
    IgnoresRange,
}

impl Route {
    pub(super) fn new(flights: Flights, flight: Arc<Flight>) -> Self {
        Self {
            xet: super::xet::Xet::new(&flights, &flight),
            flights,
            flight,
            source: Mutex::new(None),
            single: AtomicBool::new(false),
            refusals: AtomicU32::new(0),
        }
    }

    pub(super) fn is_single(&self) -> bool {
        self.single.load(Ordering::Relaxed)
    }

    /// Downloads what a claim still lacks. What arrived before a failure is kept.
    pub(super) async fn fetch(&self, claim: Claim) -> Result<Fetched> {
        // Before anything is requested: a full disk shows while the file can still be passed through.
        let room = claim.room();
        if let Err(error) = tokio::task::spawn_blocking(move || room.reserve()).await.unwrap_or(Ok(())) {
            return Err(local_failure(&self.flight, &error));
        }
        let claim = match self.fetch_by_xet(claim).await {
            ControlFlow::Break(outcome) => return outcome,
            ControlFlow::Continue(claim) => claim,
        };
        let range = claim.remaining();
        let size = self.flight.target.size;
        // A whole file is asked for without a range: nothing can be ignored then.
        let asked = (!self.is_single() && range != (0..size)).then_some(&range);
        let start = self.flights.clock.elapsed();
        let reply = self.ask(asked, size).await?;
        match reply.body {
            RangeBody::Whole if asked.is_some() => {
                self.single.store(true, Ordering::Relaxed);
                return Ok(Fetched::IgnoresRange);
            }
            // The body begins at 0; what is here already is skipped.
            RangeBody::Whole => self.drain(reply.into_stream(), claim, range.start).await?,
            RangeBody::Partial => self.drain(reply.into_stream(), claim, 0).await?,
        }
        Ok(Fetched::Segments { fast: self.flights.clock.elapsed().saturating_sub(start) < FAST })
    }

    /// Requests a range. An expired URL is renewed, once: connections that
    /// find it expired together share the new one.
    async fn ask(&self, range: Option<&std::ops::Range<u64>>, size: u64) -> Result<RangeReply> {
        let target = &self.flight.target;
        let caller = target.caller.upstream();
        let mut expired = None;
        loop {
            let (number, source) = {
                // Held while asking: the other connections wait for this one answer.
                let mut known = self.source.lock().await;
                match &*known {
                    Some((number, source)) if expired != Some(*number) => (*number, source.clone()),
                    _ => {
                        let upstream = &self.flights.upstream;
                        let (source, reply) =
                            upstream.locate(&target.repo, &target.commit, &target.path, range, size, caller).await?;
                        let number = expired.map_or(0, |number| number + 1);
                        *known = Some((number, source.clone()));
                        if let Some(reply) = reply {
                            return Ok(reply);
                        }
                        (number, source)
                    }
                }
            };
            match self.flights.upstream.fetch(&source, range, size, caller).await {
                Err(Error::Expired) if expired.is_none() => expired = Some(number),
                Err(Error::Refused) => return Err(self.refused()),
                outcome => {
                    self.refusals.store(0, Ordering::Relaxed);
                    return outcome;
                }
            }
        }
    }

    /// The error for a refusal by the download host.
    fn refused(&self) -> Error {
        if self.xet.resume() {
            return Error::Unavailable { reason: format!("{}; retrying", Error::Refused) };
        }
        if self.refusals.fetch_add(1, Ordering::Relaxed) + 1 < LAST_REFUSAL {
            return Error::Refused;
        }
        Error::Rejected { status: 502, message: Error::Refused.to_string() }
    }

    /// Writes a body into the claim as it comes, in batches, without waiting for a batch to
    /// fill while upstream pauses. Bytes past the claim are not read.
    pub(super) async fn drain(
        &self,
        mut body: impl Stream<Item = Result<Bytes>> + Unpin,
        claim: Claim,
        mut skip: u64,
    ) -> Result<()> {
        let mut missing = claim.remaining().end - claim.remaining().start;
        let mut writer = Writer { flight: Arc::clone(&self.flight), claim: Some(claim), writing: None };
        let mut batch: Vec<Bytes> = Vec::new();
        let mut batched = 0;
        while missing > 0 {
            let next = if batch.is_empty() {
                body.next().await
            } else {
                self.flights.clock.timeout(GATHER, body.next()).await.unwrap_or(Some(Ok(Bytes::new())))
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
                        batch.push(chunk);
                    }
                }
                Some(Err(error)) => ended = Some(error),
                None => ended = Some(Error::Unavailable { reason: "the body was cut off".into() }),
            }
            if !batch.is_empty() && (paused || batched >= BATCH || missing == 0 || ended.is_some()) {
                batched = 0;
                writer.write(std::mem::take(&mut batch)).await?;
            }
            if let Some(error) = ended {
                writer.finish().await?;
                return Err(error);
            }
        }
        writer.finish().await
    }
}

/// Writes batches into a claim, one while the next one arrives.
struct Writer {
    flight: Arc<Flight>,
    claim: Option<Claim>,
    writing: Option<JoinHandle<Result<Claim, blob::Error>>>,
}

impl Writer {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
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
    async fn finish(&mut self) -> Result<()> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        match writing.await {
            Ok(Ok(claim)) => self.claim = Some(claim),
            Ok(Err(error)) => return Err(local_failure(&self.flight, &error)),
            Err(error) => return Err(Error::Unavailable { reason: format!("writing was interrupted: {error}") }),
        }
        Ok(())
    }
}

/// A failure of our own disk is not upstream's, and retrying does not help.
fn local_failure(flight: &Flight, error: &blob::Error) -> Error {
    tracing::error!(path = %flight.target.path, %error, "could not write a partial file");
    if matches!(error, blob::Error::NoSpace { .. }) {
        flight.disk_full.store(true, Ordering::Relaxed);
    }
    Error::Rejected { status: 500, message: "this hub could not write the file to its disk".into() }
}
