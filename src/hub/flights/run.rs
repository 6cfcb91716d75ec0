//! The owner of a flight.
//!
//! Steps: open the partial → reserve the disk space → fetch segments on several connections,
//! as many as work well, while the hash follows → when all are present and the digest is right,
//! publish → on a wrong digest, once more from the start if no client has seen a byte, else
//! quarantine the body and taint the content.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use super::hash::Verdict;
use super::segment::{Fetched, Route};
use super::{Flight, Flights, Outcome};
use crate::blob::{self, Partial, Proven};
use crate::hub::{Error, Result};
use crate::metrics;
use crate::upstream;

/// How often a new flight checks whether more connections would help.
const TICK: Duration = Duration::from_millis(25);
/// What a connection transfers in a tick if more of them would not help: 200 MB/s.
const FAST_ENOUGH: u64 = 5_000_000;
/// How often a file that another process downloads is checked.
const ELSEWHERE: Duration = Duration::from_millis(200);
/// Most segments that are asked for in one request.
const LONGEST_RUN: usize = 8;

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
            Ok(Landing::Proven(partial, proven)) => self.land(&flight, &partial, proven).await.map(|()| "published"),
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
                if matches!(error, Error::NoSpace) {
                    self.give_back(&flight).await;
                }
                metrics::flight_ended("failed");
                let target = &flight.target;
                tracing::warn!(repo.id = %target.repo, path = %target.path, blob.content = %target.content, error = %chain(&error), "a download failed");
                // Readers that were told "verified" keep reading from the file; nobody else may.
                if !matches!(flight.outcome(), Outcome::Verified) {
                    flight.settle(Outcome::Failed(error));
                }
            }
        }
        metrics::flights(self.count());
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
        let mut waited = false;
        loop {
            match self.store.partial(content, size, segment_size).await? {
                Ok(partial) => {
                    let partial = Arc::new(partial);
                    // The other process may have published it.
                    if waited && self.store.came(content, size).await? {
                        self.store.discard(&partial).await?;
                        return Err(Error::CameElsewhere);
                    }
                    return Ok(Some(partial));
                }
                Err(blob::Error::Elsewhere { .. }) if self.store.came(content, size).await? => {
                    return Err(Error::CameElsewhere);
                }
                Err(blob::Error::Elsewhere { .. }) => {
                    waited = true;
                    let (wanted, whole) = flight.demand(1);
                    if wanted.is_empty() && !whole && self.retire(flight) {
                        return Ok(None);
                    }
                    self.clock.sleep(ELSEWHERE).await;
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
        tracing::info!(repo.id = %target.repo, path = %target.path, size_bytes = size, resumed_bytes = resumed, "a download starts");

        // A wrong body is downloaded once more if no client has seen a byte of it.
        let mut may_repeat = true;
        loop {
            let verdict = {
                let fetching = self.fetch_segments(flight, &partial);
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
                Verdict::Right(proven) => return Ok(Landing::Proven(partial, proven)),
                Verdict::Wrong(actual) => {
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
                    flight.distrusts_xet.store(true, Ordering::Relaxed);
                    self.store.reset(&partial).await?;
                    flight.found.store(0, Ordering::Release);
                    flight.settle(Outcome::Flying);
                }
            }
        }
    }

    /// Fetches what is wanted until everything is present, or nobody wants more.
    async fn fetch_segments(&self, flight: &Arc<Flight>, partial: &Arc<Partial>) -> Result<Fetch> {
        let settings = &self.settings.flight;
        let route = Arc::new(Route::new(self.clone(), Arc::clone(flight)));
        let mut running: JoinSet<(u64, Result<Fetched, upstream::Error>)> = JoinSet::new();
        // Connections that break together are one failure: each knows in which wave it started.
        let mut wave = 0;
        // From one connection to all within three ticks, unless a few do as well: on a fast network
        // each more costs the processor that the hash needs.
        let mut limit = 1;
        let mut ramping = settings.connections > 1;
        let mut ramped = partial.present_bytes();
        let mut beats = self.clock.beats(TICK);
        beats.restart();
        let mut failures = 0;
        let mut best = partial.present_bytes();
        let mut reserved = false;
        let mut run = 1;

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
            if whole && !reserved {
                self.store.reserve(partial).await?;
                reserved = true;
            }
            let allowed = if route.is_single() { 1 } else { limit };
            while running.len() < allowed {
                let fair = (partial.missing_segments() / (2 * allowed)).max(1);
                let count = if route.is_single() { usize::MAX } else { fair.min(run) };
                let Some(claim) = partial.claim(&wanted, whole, count) else { break };
                let (route, permits) = (Arc::clone(&route), Arc::clone(&self.connections));
                running.spawn(async move {
                    let _permit = permits.acquire_owned().await;
                    (wave, route.fetch(claim).await)
                });
            }
            tokio::select! {
                Some(joined) = running.join_next() => match joined? {
                    (_, Ok(Fetched::Segments { fast })) => {
                        failures = 0;
                        flight.lock().trouble = None;
                        if !ramping {
                            limit = (limit + 1).min(settings.connections);
                        }
                        // A connection that finishes a run quickly gets twice as much in one request.
                        run = if fast { (run * 2).min(LONGEST_RUN) } else { (run / 2).max(1) };
                    }
                    (_, Ok(Fetched::IgnoresRange)) => {
                        tracing::info!(path = %flight.target.path, "upstream ignores ranges: using a single stream");
                        running.shutdown().await;
                    }
                    (started, Err(error)) if error.is_transient() && started < wave => {
                        tracing::debug!(path = %flight.target.path, %error, "another connection failed at the same time");
                    }
                    (_, Err(error)) => {
                        wave += 1;
                        ramping = false;
                        let present = partial.present_bytes();
                        let progressed = present > best;
                        best = best.max(present);
                        // Connections that make progress before they break are worth having;
                        // those that make none are too many, or upstream is in trouble.
                        (failures, limit) = if progressed { (0, limit) } else { (failures + 1, (limit / 2).max(1)) };
                        if flight.disk_full.load(Ordering::Relaxed) {
                            return Err(Error::NoSpace);
                        }
                        tracing::debug!(path = %flight.target.path, %error, failures, "a segment failed");
                        let what = || format!("{}/{}", flight.target.repo, flight.target.path);
                        flight.lock().trouble = Some(Error::upstream(error.clone(), what()));
                        if !error.is_transient() || failures >= settings.attempts {
                            return Err(Error::upstream(error, what()));
                        }
                        self.clock.sleep(backoff(&error, failures)).await;
                    }
                },
                () = beats.next(), if ramping => {
                    let present = partial.present_bytes();
                    if present - ramped < limit as u64 * FAST_ENOUGH {
                        limit = (limit * 2).min(settings.connections);
                        ramping = limit < settings.connections;
                    }
                    ramped = present;
                }
                // With work in hand a change of demand is looked at when a segment ends; the
                // wait is for when there is none, or somebody new needs another place first.
                () = &mut changed => {}
            }
        }
    }
}

enum Landing {
    Proven(Arc<Partial>, Proven),
    /// Nobody wants more; what was downloaded is kept.
    Stopped,
}

enum Fetch {
    Complete,
    NotWanted,
}

/// How long to wait after a failure: what upstream asks for, else longer each time.
fn backoff(error: &upstream::Error, failures: u32) -> Duration {
    match error {
        upstream::Error::RateLimited { retry_after } => *retry_after,
        _ => Duration::from_millis(25 << failures.min(8)),
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
