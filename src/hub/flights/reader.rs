//! A reader of a flight: follows the partial file from its own position.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Flight, Flights, Outcome};
use crate::blob::{self, Partial};
use crate::hub::{Error, Result};

/// Bytes per piece handed to a client's connection; what a slow client holds in memory.
const PIECE: usize = 256 * 1024;
/// huggingface_hub gives up after 10 s of silence; the head is sent well before.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);

/// Why a body ends early. The client's connection is reset: a clean end would look like success.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the download failed: {0}")]
    Flight(#[from] Error),
    #[error("cannot read the partial file: {0}")]
    Io(#[from] std::io::Error),
}

/// Bytes of a partial file that are present.
pub struct Arrived {
    pub file: Arc<File>,
    pub range: Range<u64>,
}

/// See the module's text. Dropping it tells the flight that nobody waits for its part.
pub struct FlightReader {
    flights: Flights,
    flight: Arc<Flight>,
    id: u64,
    position: u64,
    end: u64,
    /// How much of the file's end is kept from this reader until the digest is right.
    hold: Option<u64>,
    verify_first: bool,
    /// Nothing is sent unverified, however long it takes.
    prove_first: bool,
}

impl FlightReader {
    /// Whether the bytes come from the object store, as far as is known: they are this hub's already.
    pub(in crate::hub) fn is_ours(&self) -> bool {
        self.flight.is_ours()
    }

    pub(super) fn new(
        flights: &Flights,
        flight: Arc<Flight>,
        id: u64,
        range: Range<u64>,
        hold: Option<u64>,
        verify_first: bool,
    ) -> Self {
        Self {
            flights: flights.clone(),
            flight,
            id,
            position: range.start,
            end: range.end,
            hold,
            verify_first,
            prove_first: false,
        }
    }

    /// Makes `ready` fail rather than send unverified bytes.
    pub(in crate::hub) fn prove_first(&mut self) {
        self.verify_first = true;
        self.prove_first = true;
    }

    /// Waits until the answer's head may be sent: the first byte is here (for small files: all
    /// are, and verified), or the flight failed, which is then a clean error; at most 5 s.
    pub async fn ready(&mut self) -> Result<()> {
        let waited = self.flights.clock.timeout(LONGEST_SILENCE, async {
            loop {
                let changed = self.flight.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let partial = self.flight.partial.get();
                let arrived = async {
                    match partial {
                        Some(partial) => partial.changed().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::pin!(arrived);
                // Both are armed before looking, so that no change is lost in between.
                if futures_util::poll!(arrived.as_mut()).is_ready() {
                    continue;
                }
                match self.flight.outcome() {
                    Outcome::Failed(error) => return Err(error),
                    Outcome::Stopped => return Err(Error::Stopping),
                    Outcome::Verified => return Ok(()),
                    Outcome::Repeating => {}
                    Outcome::Flying => {
                        if !self.verify_first && partial.is_some_and(|partial| self.readable(partial, 1) > 0) {
                            return Ok(());
                        }
                    }
                }
                tokio::select! { () = changed => {}, () = arrived => {} }
            }
        });
        match waited.await {
            Ok(outcome) => outcome,
            Err(_) => {
                let (trouble, sendable) = {
                    let state = self.flight.lock();
                    (state.trouble.clone(), matches!(state.outcome, Outcome::Flying))
                };
                let arrived = self.flight.partial.get().map_or(0, |partial| partial.available(self.position, 1));
                match trouble {
                    // Nothing arrived and the reason is known: an error status instead of a silent body.
                    Some(error) if arrived == 0 || !sendable => return Err(error),
                    _ => {}
                }
                if self.prove_first {
                    return Err(Error::Tainted);
                }
                // Slow: from here on bytes are sent as they arrive, the end held back.
                self.verify_first = false;
                if let Some(hold) = &mut self.hold {
                    *hold = (*hold).min(self.flight.target.size / 2 + 1);
                }
                Ok(())
            }
        }
    }

    /// Bytes that may be handed out now.
    fn readable(&self, partial: &Partial, most: u64) -> u64 {
        let mut end = self.end;
        if let Some(hold) = self.hold
            && !matches!(self.flight.outcome(), Outcome::Verified)
        {
            end = end.min(self.flight.target.size.saturating_sub(hold));
        }
        let wanted = end.saturating_sub(self.position).min(most);
        partial.available(self.position, wanted)
    }

    /// The next piece, at most `most` bytes; `None` at the end of the range.
    pub async fn next(&mut self, most: u64) -> Option<Result<Bytes, ReadError>> {
        let arrived = match self.arrived(most.min(PIECE as u64)).await? {
            Ok(arrived) => arrived,
            Err(error) => return Some(Err(error)),
        };
        let len = (arrived.range.end - arrived.range.start) as usize;
        Some(match blob::read_at(&arrived.file, arrived.range.start, len).await {
            Ok(piece) if piece.len() == len => Ok(piece),
            Ok(_) => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            Err(error) => Err(error.into()),
        })
    }

    /// Waits for the next bytes and hands them out by name, at most `most` of them: they are in
    /// the file and stay as they are. `None` at the end of the range.
    pub async fn arrived(&mut self, most: u64) -> Option<Result<Arrived, ReadError>> {
        if self.position >= self.end {
            return None;
        }
        loop {
            let Some(partial) = self.flight.partial.get() else {
                let changed = self.flight.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                match self.flight.outcome() {
                    Outcome::Failed(error) => return Some(Err(error.into())),
                    Outcome::Stopped => return Some(Err(Error::Stopping.into())),
                    _ if self.flight.partial.get().is_some() => {}
                    _ => changed.await,
                }
                continue;
            };
            let changed = partial.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let outcome = self.flight.outcome();
            let readable = self.readable(partial, most);
            if readable > 0 && self.flight.may_send() {
                let range = self.position..self.position + readable;
                let file = Arc::clone(partial.file());
                self.position = range.end;
                if let Some(wanted) = self.flight.lock().readers.get_mut(&self.id) {
                    wanted.start = range.end;
                }
                return Some(Ok(Arrived { file, range }));
            }
            match outcome {
                Outcome::Failed(error) => return Some(Err(error.into())),
                Outcome::Stopped => return Some(Err(Error::Stopping.into())),
                Outcome::Flying | Outcome::Repeating | Outcome::Verified => changed.await,
            }
        }
    }

    /// Whether every byte was handed out, the last of them verified.
    pub fn is_done(&self) -> bool {
        self.position >= self.end && matches!(self.flight.outcome(), Outcome::Verified)
    }
}

impl Drop for FlightReader {
    fn drop(&mut self) {
        let mut state = self.flight.lock();
        state.readers.remove(&self.id);
        if state.readers.is_empty() && !self.flights.settings.flight.finish_abandoned {
            state.whole = false;
        }
        drop(state);
        self.flight.changed.notify_waiters();
    }
}
