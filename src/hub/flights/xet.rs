//! Upstream's Xet store as a source, if upstream named a Xet hash for the file.
//!
//! A store that could not be asked is left alone for a while by all flights: where a firewall keeps it away, not every
//! file pays for that.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};

use super::source::{ByteSource, Expiring, Opened};
use super::{FlightTarget, Flights};
use crate::domain::{CommitId, RepoKey, XetHash};
use crate::upstream::{Error, Result, XetRange, XetSource};

/// What flights share about Xet stores.
pub(super) struct Stores {
    /// Tokens, for the flights of one caller from one commit: each costs a call of the bucket that is the smallest
    /// upstream. By repository, commit, and the digest of the caller's token.
    tokens: moka::sync::Cache<(RepoKey, CommitId, String), XetSource>,
    /// The store is not asked before this time, on the monotonic clock.
    rests_until: Mutex<Duration>,
}

/// The store says when a token is no longer good; this only bounds how long one is in memory.
const TOKEN_TTL: Duration = Duration::from_secs(15 * 60);
/// A store that could not be asked is asked again after this.
const REST: Duration = Duration::from_secs(60);

impl Default for Stores {
    fn default() -> Self {
        let tokens = moka::sync::Cache::builder().max_capacity(1000).time_to_live(TOKEN_TTL).build();
        Self { tokens, rests_until: Mutex::default() }
    }
}

impl Stores {
    fn rest(&self, now: Duration) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = now + REST;
    }

    fn rests(&self, now: Duration) -> bool {
        now < *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Xet {
    flights: Flights,
    target: FlightTarget,
    hash: XetHash,
    /// The store and its token.
    store: Expiring<XetSource>,
}

impl Xet {
    /// `None` for a file without a Xet hash, and while the store is left alone.
    pub(super) fn new(flights: &Flights, target: &FlightTarget) -> Option<Self> {
        let hash = target.xet_hash?;
        let rests = flights.xet_stores.rests(flights.clock.elapsed());
        (!rests).then(|| Self { flights: flights.clone(), target: target.clone(), hash, store: Expiring::new() })
    }

    async fn stream(&self, range: &Range<u64>) -> Result<Opened<'_>> {
        let range = self.ask(range).await.inspect_err(|error| {
            if matches!(error, Error::Unavailable { .. } | Error::NotAllowed(_) | Error::Protocol(_)) {
                self.flights.xet_stores.rest(self.flights.clock.elapsed());
            }
        })?;
        Ok(Opened::Bytes { skip: range.skip, bytes: body(range) })
    }

    /// Asks for a range. A token that is no longer good is replaced, once.
    async fn ask(&self, range: &Range<u64>) -> Result<XetRange<'_>> {
        let upstream = &self.flights.upstream;
        let mut expired = None;
        loop {
            let (number, store) = self.store.get(expired, self.token(expired.is_some())).await?;
            match upstream.xet_range(&store, self.hash, range).await {
                Err(Error::Expired) if expired.is_none() => expired = Some(number),
                outcome => return outcome,
            }
        }
    }

    /// The store and a token for it: `anew`, or one that another flight has.
    async fn token(&self, anew: bool) -> Result<XetSource> {
        let FlightTarget { repo, commit, caller, .. } = &self.target;
        let tokens = &self.flights.xet_stores.tokens;
        let key = (repo.clone(), commit.clone(), self.flights.digests.of(&caller.principal));
        if !anew && let Some(token) = tokens.get(&key) {
            return Ok(token);
        }
        let token = self.flights.upstream.xet_source(repo, commit, caller.upstream()).await?;
        tokens.insert(key, token.clone());
        Ok(token)
    }
}

fn body(range: XetRange<'_>) -> BoxStream<'_, Result<Bytes>> {
    // A future that is under way lives in the stream: who asks it for more may stop waiting and ask again.
    let bytes =
        stream::try_unfold(range, async |mut range: XetRange<'_>| Ok(range.next().await?.map(|bytes| (bytes, range))));
    bytes.boxed()
}

impl ByteSource for Xet {
    fn name(&self) -> &'static str {
        "xet"
    }

    fn open<'a>(&'a self, range: &'a Range<u64>) -> BoxFuture<'a, Result<Opened<'a>>> {
        Box::pin(self.stream(range))
    }
}
