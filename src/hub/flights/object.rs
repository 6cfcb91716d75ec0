//! The object store as a source: it has the content, proven when it was uploaded; the flight proves it again.

use std::ops::Range;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;

use super::source::{ByteSource, Opened};
use crate::domain::Digest;
use crate::hub::objects::Objects;
use crate::object;
use crate::upstream::{Error, Result};

pub(super) struct Object {
    objects: Objects,
    digest: Digest,
}

impl Object {
    pub(super) fn new(objects: &Objects, digest: Digest) -> Self {
        Self { objects: objects.clone(), digest }
    }

    async fn stream(&self, range: &Range<u64>) -> Result<Opened<'_>> {
        let bytes = self.objects.read(self.digest, range.clone()).await.map_err(failed)?;
        Ok(Opened::Bytes { skip: 0, bytes: bytes.map(|piece| piece.map_err(failed)).boxed() })
    }
}

/// The next source need not care.
pub(in crate::hub) fn failed(error: object::Error) -> Error {
    Error::Unavailable { reason: format!("the object store: {error}") }
}

impl ByteSource for Object {
    fn name(&self) -> &'static str {
        "object store"
    }

    fn open<'a>(&'a self, range: &'a Range<u64>) -> BoxFuture<'a, Result<Opened<'a>>> {
        Box::pin(self.stream(range))
    }
}
