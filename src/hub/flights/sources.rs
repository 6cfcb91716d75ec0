//! Where a flight's bytes come from, in what order, and what follows when a source fails.
//!
//! A source only says how it streams a range of the content (`ByteSource`). The order is that of preference. A source
//! that fails is left for the rest of the flight, and the next one goes on; what arrived is kept. The last one is
//! upstream itself by plain HTTP: it is never left. If it refuses the file, as the Hub's download host does above 50 GB, a
//! source gets its next chance that has worked before, or that was held in reserve. Nobody is trusted: the digest of the whole decides, whoever sent
//! the bytes, and what was wrong once is fetched again from the last source alone.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::http::Http;
use super::object::Object;
use super::source::{ByteSource, Opened};
use super::xet::Xet;
use super::{Flight, FlightTarget, Flights};
use crate::config::XetFetch;
use crate::upstream::{Error, Result};

/// What the Hub's download host sends at most; the rest has to come by Xet.
const MOST_BY_HTTP: u64 = 50_000_000_000;
/// This many refusals in a row are the last source's last word; one alone may be a mishap.
const LAST_REFUSAL: u32 = 4;

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
    /// It is tried again when the last source refuses.
    has_chance: AtomicBool,
}

impl Preferred {
    fn first(source: Box<dyn ByteSource>) -> Self {
        Self { source, is_left: AtomicBool::new(false), has_chance: AtomicBool::new(false) }
    }

    /// One that is not asked before the last source has refused.
    fn in_reserve(source: Box<dyn ByteSource>) -> Self {
        Self { source, is_left: AtomicBool::new(true), has_chance: AtomicBool::new(true) }
    }
}

impl Sources {
    pub(super) fn of(flights: &Flights, flight: &Flight) -> Self {
        let target = flight.target.clone();
        let was_wrong = flight.was_wrong.load(Ordering::Relaxed) || flights.taints.knows(target.content);
        let mut preferred = Vec::new();
        if !was_wrong && let Some(Some(digest)) = flight.object.get() {
            preferred.push(Preferred::first(Box::new(Object::new(&flights.objects, *digest))));
        }
        let fetch = flights.settings.xet.fetch;
        if !was_wrong
            && fetch != XetFetch::Never
            && let Some(xet) = Xet::new(flights, &target)
        {
            let is_first = fetch == XetFetch::Always || target.size > MOST_BY_HTTP;
            preferred.push(if is_first {
                Preferred::first(Box::new(xet))
            } else {
                Preferred::in_reserve(Box::new(xet))
            });
        }
        let last = Box::new(Http::new(flights, &target));
        Self::new(target, preferred, last)
    }

    fn new(target: FlightTarget, preferred: Vec<Preferred>, last: Box<dyn ByteSource>) -> Self {
        Self { target, preferred, last, refusals: AtomicU32::new(0) }
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
            preferred.has_chance.store(true, Ordering::Relaxed);
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
            tracing::warn!(repo.id = %repo, %path, source, %error, "a source of a download failed: the next one resumes");
        }
    }

    /// What it means that the last source refuses the file.
    fn refused(&self) -> Error {
        // Each chance is for one try: whoever fails again has to have worked in between.
        let has_chance = |preferred: &&Preferred| preferred.has_chance.swap(false, Ordering::Relaxed);
        let is_back = |preferred: &Preferred| preferred.is_left.swap(false, Ordering::Relaxed);
        if self.preferred.iter().filter(has_chance).any(is_back) {
            return Error::Unavailable { reason: format!("{}, which is tried now", Error::Refused) };
        }
        if self.refusals.fetch_add(1, Ordering::Relaxed) + 1 < LAST_REFUSAL {
            return Error::Refused;
        }
        Error::Rejected { status: 502, message: Error::Refused.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Mutex, PoisonError};

    use futures_util::StreamExt as _;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::domain::{CommitId, ContentId, RepoId, RepoKey, RepoKind, RepoPath};
    use crate::hub::Caller;

    /// A source that says what it is told to say, and then that it has it.
    struct Fake(&'static str, Mutex<VecDeque<Error>>);

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
        Box::new(Fake(name, Mutex::new(errors.into())))
    }

    fn away() -> Error {
        Error::Unavailable { reason: "away".into() }
    }

    fn sources(preferred: Vec<Box<dyn ByteSource>>, last: Box<dyn ByteSource>) -> Sources {
        sources_of(preferred.into_iter().map(Preferred::first).collect(), last)
    }

    fn sources_of(preferred: Vec<Preferred>, last: Box<dyn ByteSource>) -> Sources {
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
        let range = 0..10;
        let (chosen, _) = sources.open(&range).await?;
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
    async fn a_source_in_reserve_is_asked_when_the_last_one_refuses_and_not_before() {
        let reserve = Preferred::in_reserve(fake("reserve", vec![]));
        let sources = sources_of(vec![reserve], fake("last", vec![away(), Error::Refused]));
        assert!(matches!(giver(&sources).await, Err(Error::Unavailable { .. })));
        assert!(giver(&sources).await.unwrap_err().is_transient());
        for _ in 0..2 {
            assert_eq!(giver(&sources).await.unwrap(), "reserve");
        }
    }

    #[tokio::test]
    async fn a_source_in_reserve_that_fails_too_leaves_the_refusal_as_the_last_word() {
        let reserve = Preferred::in_reserve(fake("reserve", vec![away(); 9]));
        let sources = sources_of(vec![reserve], fake("last", vec![Error::Refused; 9]));
        let mut errors = Vec::new();
        while !matches!(errors.last(), Some(Error::Rejected { .. })) {
            errors.push(giver(&sources).await.unwrap_err());
            assert!(errors.len() < 9, "{errors:?}");
        }
    }
}
