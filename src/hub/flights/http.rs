//! Upstream itself as a source, by plain HTTP: the origin, or the host that it redirects to.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;

use super::source::{ByteSource, Expiring, Opened};
use super::{FlightTarget, Flights};
use crate::upstream::{Error, RangeBody, RangeReply, Result, Source};

pub(super) struct Http {
    flights: Flights,
    target: FlightTarget,
    /// Where upstream said the bytes are.
    address: Expiring<Source>,
    is_whole_only: AtomicBool,
}

impl Http {
    pub(super) fn new(flights: &Flights, target: &FlightTarget) -> Self {
        let (flights, target) = (flights.clone(), target.clone());
        Self { flights, target, address: Expiring::new(), is_whole_only: AtomicBool::new(false) }
    }

    async fn stream(&self, range: &Range<u64>) -> Result<Opened<'_>> {
        // A whole file is asked for without a range: nothing can be ignored then.
        let asked = (!self.is_whole_only() && *range != (0..self.target.size)).then_some(range);
        let reply = self.ask(asked).await?;
        let skip = match reply.body {
            RangeBody::Whole if asked.is_some() => {
                tracing::info!(path = %self.target.path, "upstream ignores ranges: one stream");
                self.is_whole_only.store(true, Ordering::Relaxed);
                return Ok(Opened::WholeOnly);
            }
            // The body begins at 0; what is here already is skipped.
            RangeBody::Whole => range.start,
            RangeBody::Partial => 0,
        };
        Ok(Opened::Bytes { skip, bytes: reply.into_stream().boxed() })
    }

    /// Asks for a range. An address that has expired is asked for again, once.
    async fn ask(&self, range: Option<&Range<u64>>) -> Result<RangeReply> {
        let FlightTarget { repo, commit, path, size, caller, .. } = &self.target;
        let (upstream, size, caller) = (&self.flights.upstream, *size, caller.upstream());
        let mut expired = None;
        loop {
            let mut first = None;
            let locate = async {
                let (source, reply) = upstream.locate(repo, commit, path, range, size, caller).await?;
                // Bytes that the origin sends itself.
                first = reply;
                Ok::<_, Error>(source)
            };
            let (number, source) = self.address.get(expired, locate).await?;
            if let Some(reply) = first {
                return Ok(reply);
            }
            match upstream.fetch(&source, range, size, caller).await {
                Err(Error::Expired) if expired.is_none() => expired = Some(number),
                outcome => return outcome,
            }
        }
    }
}

impl ByteSource for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn open<'a>(&'a self, range: &'a Range<u64>) -> BoxFuture<'a, Result<Opened<'a>>> {
        Box::pin(self.stream(range))
    }

    fn is_whole_only(&self) -> bool {
        self.is_whole_only.load(Ordering::Relaxed)
    }
}
