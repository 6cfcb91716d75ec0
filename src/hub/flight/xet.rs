//! Upstream's Xet store as a source, if upstream named a Xet hash for the file.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};

use super::super::Hub;
use super::FlightTarget;
use super::sources::{ByteSource, Expiring, Opened};
use crate::domain::{CommitId, RepoKey};
use crate::upstream::{Error, Result, XetRange, XetSource};

/// Tokens of Xet stores, shared by the flights of one caller from one commit: each costs a call of the bucket
/// that is the smallest upstream. By repository, commit, and the digest of the caller's token.
pub(super) type Tokens = moka::sync::Cache<(RepoKey, CommitId, String), XetSource>;

/// The store says when a token is no longer good; this only bounds how long one is in memory.
const TOKEN_TTL: Duration = Duration::from_secs(15 * 60);

pub(super) fn tokens() -> Tokens {
    moka::sync::Cache::builder().max_capacity(1000).time_to_live(TOKEN_TTL).build()
}

pub(super) struct Xet {
    hub: Hub,
    target: FlightTarget,
    hash: String,
    /// The store and its token.
    store: Expiring<XetSource>,
}

impl Xet {
    /// `None` for a file without a Xet hash.
    pub(super) fn new(hub: &Hub, target: &FlightTarget) -> Option<Self> {
        let hash = target.xet_hash.clone()?;
        Some(Self { hub: hub.clone(), target: target.clone(), hash, store: Expiring::new() })
    }

    /// Asks for a range. A token that is no longer good is replaced, once.
    async fn ask(&self, range: &Range<u64>) -> Result<XetRange<'_>> {
        let upstream = &self.hub.upstream;
        let mut expired = None;
        loop {
            let (number, store) = self.store.get(expired, self.token(expired.is_some())).await?;
            match upstream.xet_range(&store, &self.hash, range).await {
                Err(Error::Expired) if expired.is_none() => expired = Some(number),
                outcome => return outcome,
            }
        }
    }

    /// The store and a token for it: `anew`, or one that another flight has.
    async fn token(&self, anew: bool) -> Result<XetSource> {
        let FlightTarget { repo, commit, caller, .. } = &self.target;
        let tokens = &self.hub.flights.xet_tokens;
        let key = (repo.clone(), commit.clone(), self.hub.access.digest(&caller.principal));
        if !anew && let Some(token) = tokens.get(&key) {
            return Ok(token);
        }
        let token = self.hub.upstream.xet_source(repo, commit, caller.upstream()).await?;
        tokens.insert(key, token.clone());
        Ok(token)
    }
}

impl ByteSource for Xet {
    fn name(&self) -> &'static str {
        "xet"
    }

    fn open<'a>(&'a self, range: &'a Range<u64>) -> BoxFuture<'a, Result<Opened<'a>>> {
        Box::pin(async move {
            let range = self.ask(range).await?;
            Ok(Opened::Bytes { skip: range.skip, bytes: body(range) })
        })
    }
}

fn body(range: XetRange<'_>) -> BoxStream<'_, Result<Bytes>> {
    // A future that is under way lives in the stream: who asks it for more may stop waiting and ask again.
    let bytes =
        stream::try_unfold(range, async |mut range: XetRange<'_>| Ok(range.next().await?.map(|bytes| (bytes, range))));
    bytes.boxed()
}
