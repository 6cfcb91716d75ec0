//! Where a flight's bytes come from, in what order, and what follows when a source fails.
//!
//! A source only says how it streams a range of the content (`ByteSource`). The order is that of preference. A source
//! that fails is left for the rest of the flight, and the next one goes on; what arrived is kept. The last one is
//! upstream itself by plain HTTP: it is never left. If it refuses the file, as the Hub's download host does above 50 GB, a
//! source that has worked before gets its next chance. Nobody is trusted: the digest of the whole decides, whoever sent
//! the bytes, and what was wrong once is fetched again from the last source alone.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::Mutex;

use super::super::Hub;
use super::http::Http;
use super::xet::Xet;
use super::{Flight, FlightTarget};
use crate::upstream::{Error, Result};

/// This many refusals in a row are the last source's last word; one alone may be a mishap.
const LAST_REFUSAL: u32 = 4;

/// One place that a content's bytes can be had from.
pub(super) trait ByteSource: Send + Sync {
    /// What people know it by.
    fn name(&self) -> &'static str;

    /// Asks for a range of the content.
    fn open<'a>(&'a self, range: &'a Range<u64>) -> BoxFuture<'a, Result<Opened<'a>>>;

    /// It has no ranges of this content: one connection gets it all.
    fn is_whole_only(&self) -> bool {
        false
    }
}

pub(super) enum Opened<'a> {
    /// The bytes as they arrive, up to the end of the range at least, and how many of them come before it.
    Bytes { skip: u64, bytes: BoxStream<'a, Result<Bytes>> },
    /// It has just turned out that there are no ranges (`is_whole_only`): ask again, for all that is missing.
    WholeOnly,
}

/// The sources of one flight, shared by its connections.
pub(super) struct Sources {
    target: FlightTarget,
    preferred: Vec<Preferred>,
    last: Box<dyn ByteSource>,
    /// Of the last source, in a row.
    refusals: AtomicU32,
}

/// A source that is tried before the last one, as long as it works.
pub(super) struct Preferred {
    source: Box<dyn ByteSource>,
    is_left: AtomicBool,
    has_worked: AtomicBool,
}

impl Sources {
    pub(super) fn of(hub: &Hub, flight: &Flight) -> Self {
        let target = flight.target.clone();
        let was_wrong = flight.was_wrong.load(Ordering::Relaxed) || hub.taints.knows(target.content);
        let mut preferred: Vec<Box<dyn ByteSource>> = Vec::new();
        if !was_wrong && hub.settings.xet.fetch {
            preferred.extend(Xet::new(hub, &target).map(|xet| Box::new(xet) as Box<dyn ByteSource>));
        }
        let last = Box::new(Http::new(hub, &target));
        Self::new(target, preferred, last)
    }

    fn new(target: FlightTarget, preferred: Vec<Box<dyn ByteSource>>, last: Box<dyn ByteSource>) -> Self {
        let untried = |source| Preferred { source, is_left: AtomicBool::default(), has_worked: AtomicBool::default() };
        Self { target, preferred: preferred.into_iter().map(untried).collect(), last, refusals: AtomicU32::new(0) }
    }

    pub(super) fn is_whole_only(&self) -> bool {
        self.last.is_whole_only()
    }

    /// Asks the first source that gives the range. Which one that is, unless it is the last: to be told how it ends.
    pub(super) async fn open<'a>(&'a self, range: &'a Range<u64>) -> Result<(Option<&'a Preferred>, Opened<'a>)> {
        for preferred in &self.preferred {
            if preferred.is_left.load(Ordering::Relaxed) {
                continue;
            }
            match preferred.source.open(range).await {
                Ok(opened) => return Ok((Some(preferred), opened)),
                Err(error) => self.leave(preferred, &error),
            }
        }
        match self.last.open(range).await {
            Err(Error::Refused) => Err(self.refused()),
            outcome => {
                self.refusals.store(0, Ordering::Relaxed);
                Ok((None, outcome?))
            }
        }
    }

    /// All that was asked of a source has come.
    pub(super) fn worked(&self, chosen: Option<&Preferred>) {
        if let Some(preferred) = chosen {
            preferred.has_worked.store(true, Ordering::Relaxed);
        }
    }

    /// What a source sent broke off: what that means for the flight, which goes on from what arrived.
    pub(super) fn broke(&self, chosen: Option<&Preferred>, error: Error) -> Error {
        let Some(preferred) = chosen else { return error };
        self.leave(preferred, &error);
        // It may have asked for a pause, or said that there is no such thing; the next source need not care.
        Error::Unavailable { reason: error.to_string() }
    }

    /// The next sources from here on; said once.
    fn leave(&self, preferred: &Preferred, error: &Error) {
        if !preferred.is_left.swap(true, Ordering::Relaxed) {
            let FlightTarget { repo, path, .. } = &self.target;
            let source = preferred.source.name();
            tracing::warn!(repo.id = %repo, %path, source, %error, "a source of a download failed: the next one goes on");
        }
    }

    /// What it means that the last source refuses the file.
    fn refused(&self) -> Error {
        let has_worked = |preferred: &&Preferred| preferred.has_worked.load(Ordering::Relaxed);
        let is_back = |preferred: &Preferred| preferred.is_left.swap(false, Ordering::Relaxed);
        if self.preferred.iter().filter(has_worked).any(is_back) {
            return Error::Unavailable { reason: format!("{}, which is tried again", Error::Refused) };
        }
        if self.refusals.fetch_add(1, Ordering::Relaxed) + 1 < LAST_REFUSAL {
            return Error::Refused;
        }
        Error::Rejected { status: 502, message: Error::Refused.to_string() }
    }
}

/// What a source needs of upstream and what expires: a signed address, a token. One for all connections of a flight.
pub(super) struct Expiring<T>(Mutex<Option<(u64, Arc<T>)>>);

impl<T> Expiring<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The present one and its number; or the outcome of `ask`, if there is none or the one with the number `expired` is no
    /// longer good: connections that find it so together share the new one.
    pub(super) async fn get(
        &self,
        expired: Option<u64>,
        ask: impl Future<Output = Result<T>>,
    ) -> Result<(u64, Arc<T>)> {
        // Held while asking: the other connections wait for this one answer.
        let mut known = self.0.lock().await;
        match &*known {
            Some((number, present)) if expired != Some(*number) => Ok((*number, Arc::clone(present))),
            _ => {
                let fresh = (expired.map_or(0, |number| number + 1), Arc::new(ask.await?));
                *known = Some(fresh.clone());
                Ok(fresh)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::PoisonError;

    use futures_util::StreamExt as _;

    use super::*;
    use crate::domain::{CommitId, ContentId, RepoId, RepoKey, RepoKind, RepoPath};
    use crate::hub::Caller;

    /// A source that says what it is told to say, and then that it has it.
    struct Fake(&'static str, std::sync::Mutex<VecDeque<Error>>);

    impl ByteSource for Fake {
        fn name(&self) -> &'static str {
            self.0
        }

        fn open<'a>(&'a self, _: &'a Range<u64>) -> BoxFuture<'a, Result<Opened<'a>>> {
            let error = self.1.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let bytes = futures_util::stream::empty().boxed();
            Box::pin(async move { error.map_or(Ok(Opened::Bytes { skip: 0, bytes }), Err) })
        }
    }

    fn fake(name: &'static str, errors: Vec<Error>) -> Box<dyn ByteSource> {
        Box::new(Fake(name, std::sync::Mutex::new(errors.into())))
    }

    fn away() -> Error {
        Error::Unavailable { reason: "away".into() }
    }

    fn sources(preferred: Vec<Box<dyn ByteSource>>, last: Box<dyn ByteSource>) -> Sources {
        let hex = "0123456789012345678901234567890123456789";
        let target = FlightTarget {
            content: ContentId::parse(hex).unwrap(),
            size: 10,
            repo: RepoKey::new(RepoKind::Model, RepoId::parse("org/model").unwrap()),
            commit: CommitId::parse(hex).unwrap(),
            path: RepoPath::parse("a.bin").unwrap(),
            caller: Caller::owner(),
            xet_hash: None,
        };
        Sources::new(target, preferred, last)
    }

    /// The name of the source that gives, or why none does.
    async fn giver(sources: &Sources) -> Result<&'static str> {
        let (chosen, _) = sources.open(&(0..10)).await?;
        Ok(chosen.map_or("last", |preferred| preferred.source.name()))
    }

    #[tokio::test]
    async fn a_source_that_fails_is_left_for_the_next_one_at_once_and_for_good() {
        let sources = sources(vec![fake("first", vec![away()]), fake("second", vec![])], fake("last", vec![]));
        for _ in 0..2 {
            assert_eq!(giver(&sources).await.unwrap(), "second");
        }
    }

    #[tokio::test]
    async fn what_breaks_off_goes_on_with_the_next_one_without_a_pause_of_its_own() {
        let sources = sources(vec![fake("first", vec![])], fake("last", vec![]));
        let range = 0..10;
        let (chosen, _) = sources.open(&range).await.unwrap();
        let limited = Error::RateLimited { retry_after: std::time::Duration::from_secs(60) };
        let error = sources.broke(chosen, limited.clone());
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        let (chosen, _) = sources.open(&range).await.unwrap();
        assert!(chosen.is_none());
        // Nobody comes after the last.
        assert!(matches!(sources.broke(chosen, limited), Error::RateLimited { .. }));
    }

    #[tokio::test]
    async fn refusals_in_a_row_are_the_last_word_and_one_alone_is_not() {
        let mut errors = vec![Error::Refused; 8];
        errors[3] = away();
        let sources = sources(vec![fake("never", vec![away()])], fake("last", errors));
        for _ in 0..3 {
            assert!(matches!(giver(&sources).await, Err(Error::Refused)));
        }
        assert!(matches!(giver(&sources).await, Err(Error::Unavailable { .. })));
        for _ in 0..3 {
            assert!(matches!(giver(&sources).await, Err(Error::Refused)));
        }
        assert!(matches!(giver(&sources).await, Err(Error::Rejected { .. })));
    }

    #[tokio::test]
    async fn a_source_that_has_worked_gets_its_next_chance_when_the_last_one_refuses() {
        let sources = sources(vec![fake("first", vec![]), fake("second", vec![])], fake("last", vec![Error::Refused]));
        let range = 0..10;
        let (first, _) = sources.open(&range).await.unwrap();
        sources.broke(first, away());
        let (second, _) = sources.open(&range).await.unwrap();
        sources.worked(second);
        sources.broke(second, away());
        let error = giver(&sources).await.unwrap_err();
        assert!(error.is_transient() && matches!(error, Error::Unavailable { .. }), "{error}");
        assert_eq!(giver(&sources).await.unwrap(), "second", "the first has never brought anything");
    }

    #[tokio::test]
    async fn connections_that_find_an_address_expired_together_share_the_new_one() {
        let address = Expiring::new();
        let get = async |expired, text: &'static str| address.get(expired, async { Ok(text) }).await.unwrap();
        let (number, first) = get(None, "first").await;
        assert_eq!(*first, "first");
        assert_eq!(*get(None, "another").await.1, "first");
        let (newer, second) = get(Some(number), "second").await;
        assert_eq!(*second, "second");
        assert_eq!(*get(Some(number), "third").await.1, "second", "it is newer than the expired one");
        assert_eq!(*get(Some(newer), "third").await.1, "third");
    }
}
