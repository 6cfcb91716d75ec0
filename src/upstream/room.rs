//! Room for metadata in memory: how much of it all callers together may hold at once.
//!
//! Parsed JSON takes more than its text, and how much more depends on what it is made of: 32 MiB of a listing take 122 MB.
//! So an answer is weighed as it arrives (`weigh`). A light one, as nearly all are, is read at once. A heavier one needs a
//! place among `SMALL`, and one beyond that the single place for a large one, which it gets while it keeps the other: who has
//! the large one needs no more, so they never wait for each other in a circle. Places are kept until the answer is dropped.
//! Who does not get one in time is told that this hub is busy.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Error, Result};
use crate::domain::Clock;

/// Read without a place.
const LIGHT: usize = 64 << 10;
/// The weight that a place among the small ones is for: a page of a listing weighs about 1 MiB.
const MEDIUM: usize = 4 << 20;
/// Small ones at once, 128 MiB together.
const SMALL: usize = 32;
/// A large one may weigh so many times `upstream.max_metadata`; a listing of files weighs four times its text.
const LARGEST: usize = 5;
/// Less than the 10 s after which clients give up.
const PATIENCE: Duration = Duration::from_secs(7);
/// What a value or its key costs beside its text: the size of a `serde_json::Value`.
const VALUE: usize = 32;

pub(super) struct Room {
    clock: Clock,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    most: usize,
}

/// The places of one answer.
#[derive(Debug, Default)]
pub(super) struct Places {
    weight: usize,
    small: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new(clock: Clock, max_metadata: usize) -> Self {
        let (small, large) = (Arc::new(Semaphore::new(SMALL)), Arc::new(Semaphore::new(1)));
        Self { clock, small, large, most: max_metadata.saturating_mul(LARGEST).max(MEDIUM) }
    }

    /// A piece of an answer is about to be kept.
    pub(super) async fn take(&self, places: &mut Places, piece: &[u8]) -> Result<()> {
        places.weight += weigh(piece);
        if places.weight > self.most {
            let most = self.most >> 20;
            return Err(Error::Protocol(format!(
                "metadata takes more than {most} MiB of memory (upstream.max_metadata)"
            )));
        }
        if places.weight > LIGHT && places.small.is_none() {
            places.small = Some(self.wait_for(&self.small).await?);
        }
        if places.weight > MEDIUM && places.large.is_none() {
            places.large = Some(self.wait_for(&self.large).await?);
        }
        Ok(())
    }

    async fn wait_for(&self, lane: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            // Nobody closes them.
            place = Arc::clone(lane).acquire_owned() => place.map_err(|_| Error::Busy),
            () = self.clock.sleep(PATIENCE) => Err(Error::Busy),
        }
    }
}

/// What a piece of JSON takes when it is read, about: its text, and each of its values.
fn weigh(piece: &[u8]) -> usize {
    let values = piece.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
    piece.len() + values * VALUE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_large_answer_at_a_time_and_small_ones_beside_it() {
        let clock = Clock::manual(0);
        let room = Arc::new(Room::new(clock.clone(), 32 << 20));
        let large = vec![b' '; MEDIUM + 1];
        let mut first = Some(Places::default());
        room.take(first.as_mut().unwrap(), &large).await.unwrap();
        // The second waits for the first to be dropped, and not for ever.
        for is_given_back in [false, true] {
            let (room, large) = (Arc::clone(&room), large.clone());
            let second = tokio::spawn(async move { room.take(&mut Places::default(), &large).await });
            tokio::task::yield_now().await;
            if is_given_back {
                drop(first.take());
            } else {
                clock.advance(PATIENCE);
            }
            let outcome = second.await.unwrap();
            assert_eq!(matches!(outcome, Err(Error::Busy)), !is_given_back, "{outcome:?}");
        }
        let mut small = Vec::new();
        for _ in 0..SMALL {
            let mut places = Places::default();
            room.take(&mut places, &[b' '; LIGHT + 1]).await.unwrap();
            small.push(places);
        }
        assert_eq!(room.small.available_permits(), 0);
        let mut light = Places::default();
        room.take(&mut light, &[b' '; LIGHT]).await.unwrap();
        drop(small);
        assert_eq!((room.small.available_permits(), room.large.available_permits()), (SMALL, 1));
    }

    #[tokio::test]
    async fn many_small_values_weigh_more_than_their_text() {
        let room = Room::new(Clock::manual(0), 1 << 20);
        assert!(matches!(room.take(&mut Places::default(), &b"0,".repeat(200_000)).await, Err(Error::Protocol(_))));
        room.take(&mut Places::default(), &[b'a'; 1 << 20]).await.unwrap();
        let listing = r#"{"type":"file","oid":"0123456789abcdef0123456789abcdef01234567","size":1234,"path":"a/model.safetensors"},"#;
        let factor = weigh(listing.as_bytes()) as f64 / listing.len() as f64;
        assert!((3.0..4.5).contains(&factor), "{factor}");
    }
}
