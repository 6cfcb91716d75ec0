//! A request as handlers get it.

use bytes::Bytes;
use hyper::header::HeaderMap;

use crate::query::Query;

/// A request with its body read.
pub(crate) struct Request {
    pub(crate) method: String,
    /// As sent.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn query(&self) -> Query {
        Query::parse(&self.query)
    }
}
