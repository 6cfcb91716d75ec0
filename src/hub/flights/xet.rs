//! The way to a flight's bytes by Xet, as long as it works.
//!
//! A claim is fetched by Xet if upstream named a Xet hash for the file. Any failure of it sends
//! the rest of the flight to plain HTTP, which goes on from what was written. If plain HTTP turns out
//! to be no way either (the download host refuses very large files), Xet gets its next chance.
//! A store that could not be asked is left alone for a while by all flights: where a firewall keeps it away, not every
//! file pays for that.
//! What was wrong once is fetched again by plain HTTP.

use std::ops::{ControlFlow, Range};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream;
use tokio::sync::Mutex;

use super::segment::{FAST, Fetched, Route};
use super::{Flight, Flights};
use crate::blob::Claim;
use crate::domain::{CommitId, RepoKey};
use crate::upstream::{Error, Result, XetRange, XetSource};

/// What flights share about Xet stores.
pub(super) struct Sources {
    /// Tokens, for the flights of one caller from one commit: each costs a call of the bucket that is the smallest
    /// upstream. By repository, commit, and the digest of the caller's token.
    tokens: moka::sync::Cache<(RepoKey, CommitId, String), XetSource>,
    /// The store is not asked before this time, on the monotonic clock.
    rests_until: std::sync::Mutex<Duration>,
}

/// The store says when a token is no longer good; this only bounds how long one is in memory.
const SOURCE_TTL: Duration = Duration::from_secs(15 * 60);
/// A store that could not be asked is asked again after this.
const REST: Duration = Duration::from_secs(60);

pub(super) fn sources() -> Sources {
    let tokens = moka::sync::Cache::builder().max_capacity(1000).time_to_live(SOURCE_TTL).build();
    Sources { tokens, rests_until: std::sync::Mutex::default() }
}

impl Sources {
    fn rest(&self, now: Duration) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = now + REST;
    }

    fn rests(&self, now: Duration) -> bool {
        now < *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the connections of a flight share about Xet.
pub(super) struct Xet {
    /// Xet is not the way now, or never was.
    is_off: AtomicBool,
    /// Bytes have come by Xet.
    has_worked: AtomicBool,
    /// The store and its token, and the how-manieth token it is.
    source: Mutex<Option<(u64, XetSource)>>,
}

impl Xet {
    pub(super) fn new(flights: &Flights, flight: &Flight) -> Self {
        // Bytes are proven as a whole only: after wrong ones, plain HTTP has the better chance.
        let was_wrong = flight.distrusts_xet.load(Ordering::Relaxed) || flights.taints.knows(flight.target.content);
        let rests = flights.xet_sources.rests(flights.clock.elapsed());
        let is_off = !flights.settings.xet.fetch || flight.target.xet_hash.is_none() || was_wrong || rests;
        Self { is_off: AtomicBool::new(is_off), has_worked: AtomicBool::new(false), source: Mutex::new(None) }
    }

    /// Makes Xet the way again if it was one before.
    pub(super) fn resume(&self) -> bool {
        self.has_worked.load(Ordering::Relaxed) && self.is_off.swap(false, Ordering::Relaxed)
    }
}

impl Route {
    /// Fetches a claim by Xet, or gives it back to be fetched by plain HTTP.
    pub(super) async fn fetch_by_xet(&self, claim: Claim) -> ControlFlow<Result<Fetched>, Claim> {
        let target = &self.flight.target;
        let Some(hash) = target.xet_hash.as_deref().filter(|_| !self.xet.is_off.load(Ordering::Relaxed)) else {
            return ControlFlow::Continue(claim);
        };
        let start = self.flights.clock.elapsed();
        let range = match self.ask_xet(hash, &claim.remaining()).await {
            Ok(range) => range,
            Err(error) => {
                if matches!(error, Error::Unavailable { .. } | Error::Protocol(_)) {
                    self.flights.xet_sources.rest(self.flights.clock.elapsed());
                }
                self.leave_xet(&error);
                return ControlFlow::Continue(claim);
            }
        };
        let skip = range.skip;
        // A future that is under way lives in the stream: who asks it for more may stop waiting and ask again.
        let body = Box::pin(stream::try_unfold(range, async |mut range: XetRange<'_>| {
            Ok(range.next().await?.map(|bytes| (bytes, range)))
        }));
        ControlFlow::Break(match self.drain(body, claim, skip).await {
            Ok(()) => {
                self.xet.has_worked.store(true, Ordering::Relaxed);
                Ok(Fetched::Segments { fast: self.flights.clock.elapsed().saturating_sub(start) < FAST })
            }
            // Our own disk.
            Err(error @ Error::Rejected { .. }) => Err(error),
            Err(error) => {
                self.leave_xet(&error);
                // Upstream may want a pause between calls of Xet; plain HTTP need not wait for it.
                Err(Error::Unavailable { reason: error.to_string() })
            }
        })
    }

    /// Asks for a range. A token that is no longer good is replaced, once: connections that find
    /// it so together share the new one.
    async fn ask_xet(&self, hash: &str, range: &Range<u64>) -> Result<XetRange<'_>> {
        let (target, upstream) = (&self.flight.target, &self.flights.upstream);
        let mut expired = None;
        loop {
            let (number, source) = {
                let mut known = self.xet.source.lock().await;
                match &*known {
                    Some((number, source)) if expired != Some(*number) => (*number, source.clone()),
                    _ => {
                        let sources = &self.flights.xet_sources;
                        let whose = self.flights.digests.of(&target.caller.principal);
                        let key = (target.repo.clone(), target.commit.clone(), whose);
                        let source = match sources.tokens.get(&key).filter(|_| expired.is_none()) {
                            Some(source) => source,
                            None => {
                                let caller = target.caller.upstream();
                                let source = upstream.xet_source(&target.repo, &target.commit, caller).await?;
                                sources.tokens.insert(key, source.clone());
                                source
                            }
                        };
                        let number = expired.map_or(0, |number| number + 1);
                        *known = Some((number, source.clone()));
                        (number, source)
                    }
                }
            };
            match upstream.xet_range(&source, hash, range).await {
                Err(Error::Expired) if expired.is_none() => expired = Some(number),
                outcome => return outcome,
            }
        }
    }

    /// Plain HTTP from here on; said once.
    fn leave_xet(&self, error: &Error) {
        if !self.xet.is_off.swap(true, Ordering::Relaxed) {
            let target = &self.flight.target;
            tracing::warn!(repo.id = %target.repo, path = %target.path, %error, "fetching by Xet failed: the download goes on over plain HTTP");
        }
    }
}
