//! The owner of a flight.
//!
//! Steps: open the partial → have space promised, and take it → fetch segments on several connections,
//! as many as work well, while the hash follows → when all are present and the digest is right,
//! publish → on a wrong digest, once more from the start if no client has seen a byte, else
//! quarantine the body and taint the content.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use super::hash::Verdict;
use super::ramp::Ramp;
use super::segment::{Fetched, Fetcher};
use super::{Flight, FlightTarget, Flights, Outcome};
use crate::blob::{self, Partial, Proven};
use crate::domain::{Backoff, backoff};
use crate::hub::store::Promise;
use crate::hub::{Error, Result, is_outage};
use crate::metrics;
use crate::upstream;

/// How often a new flight checks whether more connections would help.
const TICK: Duration = Duration::from_millis(25);
/// How often a file that arrives in another process is looked at.
const ELSEWHERE: Backoff = Backoff::constant(Duration::from_millis(200));
/// Between tries of a connection that failed.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(6400));

impl Flights {
    /// Owns a flight until it is done, failed or stopped.
    pub(super) async fn fly(&self, flight: Arc<Flight>) {
        metrics::flights(self.count());
        let outcome = tokio::select! {
            outcome = self.fly_to_the_end(&flight) => outcome,
            () = self.stop.cancelled() => Err(Error::Stopping),
        };
        // What arrived is in the journal then: the next flight or process resumes from there.
        if let Some(partial) = flight.partial.get() {
            partial.at_rest().await;
        }
        // Verified bytes are published also while stopping: it takes a moment, and a client may
        // have them all already.
        let outcome = match outcome {
            Ok(Landing::Proven(partial, proven, promise)) => {
                let digest = proven.digest;
                let landed = self.land(&flight, &partial, proven).await;
                if landed.is_ok() {
                    promise.kept();
                    self.objects.wake();
                    if flight.is_used.load(Ordering::Relaxed) {
                        self.store.note_use(digest);
                    }
                }
                landed.map(|()| "published")
            }
            // `retire` removed it, when nobody was left to notify.
            Ok(Landing::Stopped) => return metrics::flight_ended("stopped"),
            Err(error) => Err(error),
        };
        // Out of the map before anyone learns of a failure: the next request starts a new flight.
        self.remove(&flight);
        match outcome {
            Ok(word) => metrics::flight_ended(word),
            // Whoever waited looks into the store again.
            Err(Error::CameElsewhere) => flight.settle(Outcome::Failed(Error::CameElsewhere)),
            Err(error) => {
                if error.is_no_space() {
                    self.give_back(&flight).await;
                }
                metrics::flight_ended("failed");
                if !self.is_told(&error) {
                    let target = &flight.target;
                    tracing::warn!(repo.id = %target.repo, path = %target.path, blob.content = %target.content, error = %chain(&error), "a download failed");
                }
                // Readers that were told "verified" keep reading from the file; nobody else may.
                if !matches!(flight.outcome(), Outcome::Verified) {
                    flight.settle(Outcome::Failed(error));
                }
            }
        }
        metrics::flights(self.count());
    }

    /// Whether the log has said already why downloads fail: a full disk, upstream being away, its refusal of our token.
    fn is_told(&self, error: &Error) -> bool {
        match error {
            error if error.is_no_space() => true,
            Error::Unauthenticated { .. } => self.upstream.is_token_refused(),
            error => is_outage(error) && self.upstream.is_known_to_be_away(),
        }
    }

    /// Publishes, and lets the readers have the end: of a large file before the disk is done
    /// with it, of a small one after, so that whoever has it can rely on its being stored.
    async fn land(&self, flight: &Flight, partial: &Arc<Partial>, proven: Proven) -> Result<()> {
        let is_large = flight.target.size > self.settings.flight.verify_first.bytes();
        if is_large {
            flight.settle(Outcome::Verified);
        }
        let published = self.publish(flight, partial, proven).await;
        if !is_large {
            flight.settle(Outcome::Verified);
        }
        published
    }

    /// Releases the space that was reserved before the disk ran full, unless it is in use.
    async fn give_back(&self, flight: &Flight) {
        let Some(partial) = flight.partial.get() else { return };
        if partial.present_bytes() > 0 {
            return;
        }
        if let Err(error) = self.store.discard(partial).await {
            tracing::error!(%error, "could not release the disk space of a failed download");
        }
    }

    /// The partial file, when no other process has it; `None` if nobody wants it any more.
    async fn open_partial(&self, flight: &Arc<Flight>) -> Result<Option<Arc<Partial>>> {
        let (content, size) = (flight.target.content, flight.target.size);
        let segment_size = self.settings.flight.segment_size.bytes();
        loop {
            match self.store.partial(content, size, segment_size).await? {
                Ok(partial) => {
                    let partial = Arc::new(partial);
                    // Whoever had it may have published it since it was looked for.
                    if self.store.came(content, size).await? {
                        self.store.discard(&partial).await?;
                        return Err(Error::CameElsewhere);
                    }
                    return Ok(Some(partial));
                }
                Err(blob::Error::Elsewhere { .. }) => {
                    let (wanted, whole) = flight.demand(1);
                    if wanted.is_empty() && !whole && self.retire(flight) {
                        return Ok(None);
                    }
                    self.clock.sleep(ELSEWHERE.pause(1)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn fly_to_the_end(&self, flight: &Arc<Flight>) -> Result<Landing> {
        let target = &flight.target;
        let content = target.content;
        let size = target.size;
        let Some(partial) = self.open_partial(flight).await? else { return Ok(Landing::Stopped) };
        let resumed = partial.present_bytes();
        // Clients may have seen some of what an earlier flight downloaded.
        flight.lock().sent = resumed > 0;
        flight.found.store(resumed, Ordering::Release);
        let _ = flight.partial.set(Arc::clone(&partial));
        flight.wake();
        let object = self.objects.find(content, size).await;
        let _ = flight.object.set(object);
        tracing::info!(repo.id = %target.repo, path = %target.path, size_bytes = size, resumed_bytes = resumed, "a download starts");

        let promise = self.store.promise(content);
        // A wrong body is downloaded once more if no client has seen a byte of it.
        let mut may_repeat = true;
        loop {
            let verdict = {
                let fetching = self.fetch_segments(flight, &partial, &promise);
                let hashing = self.hash_behind(flight, &partial);
                tokio::pin!(fetching, hashing);
                let mut fetched = false;
                loop {
                    tokio::select! {
                        outcome = &mut fetching, if !fetched => match outcome? {
                            Fetch::NotWanted => return Ok(Landing::Stopped),
                            Fetch::Complete => fetched = true,
                        },
                        verdict = &mut hashing => break verdict?,
                    }
                }
            };
            match verdict {
                Verdict::Right(proven) => return Ok(Landing::Proven(partial, proven, promise)),
                Verdict::Wrong(actual) => {
                    if let Some(digest) = object {
                        self.objects.lost(digest).await;
                    }
                    // Decided under the lock that readers send under: no wrong byte slips out.
                    let sent = {
                        let mut state = flight.lock();
                        if !state.sent {
                            state.outcome = Outcome::Repeating;
                        }
                        state.sent
                    };
                    tracing::error!(repo.id = %target.repo, path = %target.path, expected = %content, %actual, resumed_bytes = resumed, sent, "hash mismatch: upstream sent wrong bytes");
                    if sent || !may_repeat {
                        return Err(self.reject(flight, &partial, sent).await);
                    }
                    may_repeat = false;
                    flight.was_wrong.store(true, Ordering::Relaxed);
                    self.store.reset(&partial).await?;
                    flight.found.store(0, Ordering::Release);
                    flight.settle(Outcome::Flying);
                }
            }
        }
    }

    /// Fetches what is wanted until everything is present, or nobody wants more.
    async fn fetch_segments(&self, flight: &Arc<Flight>, partial: &Arc<Partial>, promise: &Promise) -> Result<Fetch> {
        let settings = &self.settings.flight;
        let fetcher = Arc::new(Fetcher::new(self, flight));
        let mut running: JoinSet<(u64, Result<Fetched, upstream::Error>)> = JoinSet::new();
        let mut ramp = Ramp::new(settings.connections, settings.attempts, partial.present_bytes());
        let mut beats = self.clock.beats(TICK);
        beats.restart();
        let (mut promised, mut allocated) = (0, false);

        loop {
            if partial.is_complete() {
                return Ok(Fetch::Complete);
            }
            let changed = flight.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (wanted, whole) = flight.demand(2 * settings.segment_size.bytes());
            if wanted.is_empty() && !whole {
                // The next flight resumes with what arrived until now, including unfinished segments.
                running.shutdown().await;
                partial.at_rest().await;
                if self.retire(flight) {
                    return Ok(Fetch::NotWanted);
                }
                continue;
            }
            let needed = if whole { partial.size() } else { needed(partial, &wanted) };
            if needed > promised {
                self.store.grow(promise, needed).await?;
                promised = needed;
            }
            if whole {
                self.upload_behind(flight, partial);
            }
            if whole && !allocated {
                self.store.allocate(partial, promise).await?;
                allocated = true;
            }
            let is_single = fetcher.sources.is_whole_only();
            let most = if is_single { 1 } else { ramp.limit() };
            while running.len() < most {
                let run = if is_single { usize::MAX } else { ramp.run(partial.missing_segments()) };
                let Some(claim) = partial.claim(&wanted, whole, run) else { break };
                let (fetcher, permits) = (Arc::clone(&fetcher), Arc::clone(&self.connections));
                let wave = ramp.wave();
                running.spawn(async move {
                    let _permit = permits.acquire_owned().await;
                    (wave, fetcher.fetch(claim).await)
                });
            }
            tokio::select! {
                Some(joined) = running.join_next() => match joined? {
                    (_, Ok(Fetched::Segments { fast })) => {
                        flight.lock().trouble = None;
                        ramp.arrived(fast);
                    }
                    (_, Ok(Fetched::WholeOnly)) => running.shutdown().await,
                    (wave, Err(error)) if error.is_transient() && wave < ramp.wave() => {
                        tracing::debug!(path = %flight.target.path, %error, "another connection of the same wave failed");
                    }
                    (_, Err(error)) => self.failed(flight, &mut ramp, partial.present_bytes(), error).await?,
                },
                () = beats.next(), if ramp.is_ramping() => ramp.ticked(partial.present_bytes()),
                // With work in hand a change of demand is looked at when a segment ends; the
                // wait is for when there is none, or somebody new needs another place first.
                () = &mut changed => {}
            }
        }
    }

    /// What follows when a connection breaks: the flight's end, or a pause.
    async fn failed(&self, flight: &Flight, ramp: &mut Ramp, present: u64, error: upstream::Error) -> Result<()> {
        let failures = ramp.failed(present);
        if flight.disk_full.load(Ordering::Relaxed) {
            return Err(Error::NoSpace);
        }
        let FlightTarget { repo, path, .. } = &flight.target;
        tracing::debug!(%path, %error, failures, "a segment failed");
        let trouble = Error::upstream(error.clone(), format!("{repo}/{path}"));
        flight.lock().trouble = Some(trouble.clone());
        if !error.is_transient() || ramp.is_over() {
            return Err(trouble);
        }
        self.clock.sleep(pause(&error, failures)).await;
        Ok(())
    }
}

enum Landing {
    Proven(Arc<Partial>, Proven, Promise),
    /// Nobody wants more; what was downloaded is kept.
    Stopped,
}

enum Fetch {
    Complete,
    NotWanted,
}

/// The space that a file needs of which only these ranges are wanted: at most, as they may overlap.
fn needed(partial: &Partial, wanted: &[Range<u64>]) -> u64 {
    let asked: u64 = wanted.iter().map(|range| range.end - range.start).sum();
    partial.present_bytes().saturating_add(asked).min(partial.size())
}

/// How long to wait after a failure: what upstream asks for, else longer each time.
fn pause(error: &upstream::Error, failures: u32) -> Duration {
    match error {
        upstream::Error::RateLimited { retry_after } => backoff::at_least(*retry_after),
        _ => BACKOFF.pause(failures),
    }
}

/// An error with its causes, for the log.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
