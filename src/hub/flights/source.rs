//! What a source of bytes is: it streams a range of one content, and says how that failed. Which sources a flight has,
//! and what follows when one fails, is in `sources.rs`.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::Mutex;

use crate::upstream::Result;

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
    use super::*;

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
