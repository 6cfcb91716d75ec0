//! Files: what upstream says of one (`head`), where its bytes are (`locate`), and ranges of it.
//!
//! An answer to a range is checked before a byte of it is used: status, place and total in
//! `Content-Range`, no content coding, and for a whole answer the length.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::client::Impact;
use super::egress::{Allowed, Target};
use super::error::retry_after;
use super::{Bucket, Caller, Error, Result, Upstream};
use crate::domain::{Clock, CommitId, ContentId, RepoKey, RepoPath, XetHash};
use crate::metrics;

const MAX_REDIRECTS: usize = 5;
/// A download host may have to find a file first; once it sends, the idle timeout holds.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// What a HEAD of `resolve` says.
#[derive(Debug, Clone)]
pub struct FileHead {
    pub commit: CommitId,
    pub content: ContentId,
    pub size: u64,
    /// If upstream serves the file by Xet, too.
    pub xet_hash: Option<XetHash>,
}

/// Where the bytes of a file are. A download host's URL is signed and expires: it is never
/// stored, logged or shown.
#[derive(Clone)]
pub struct Source {
    url: Allowed,
    /// The origin itself serves the bytes, so the token goes along.
    is_origin: bool,
    /// This hub's own token was refused there.
    without_hub_token: bool,
}

/// The body of an answer to a range request.
pub enum RangeBody {
    /// Exactly the range that was asked.
    Partial,
    /// The whole file: upstream does not support ranges.
    Whole,
}

pub struct RangeReply {
    pub body: RangeBody,
    response: Response,
    clock: Clock,
    idle: Duration,
}

impl RangeReply {
    /// The bytes as they arrive; ends early with an error if the connection does, or if it
    /// brings nothing for `upstream.idle_timeout`.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send + Unpin {
        let Self { response, clock, idle, .. } = self;
        Box::pin(futures_util::stream::unfold(Some((response, clock)), move |state| async move {
            let (mut response, clock) = state?;
            match next_bytes(&mut response, &clock, idle).await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some((response, clock)))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

/// What a body brings next; an error if it brings nothing for `idle`.
pub(super) async fn next_bytes(response: &mut Response, clock: &Clock, idle: Duration) -> Result<Option<Bytes>> {
    match clock.timeout(idle, response.chunk()).await {
        Ok(Ok(bytes)) => {
            metrics::upstream_bytes(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64));
            Ok(bytes)
        }
        Ok(Err(error)) => Err(Error::network(&error)),
        Err(_) => Err(Error::Unavailable { reason: "the connection is idle".into() }),
    }
}

/// `/{prefix}{id}/resolve/{revision}/{path}`, encoded: a revision's `/` too, a path's not.
fn resolve_path(repo: &RepoKey, revision: &str, path: &RepoPath) -> String {
    format!("/{repo}/resolve/{}/{}", super::encode(revision, false), super::encode(path.as_str(), true))
}

impl Upstream {
    /// Asks for one file's metadata: commit, hash and size, from the answers on the way to its
    /// bytes (`X-Linked-*` stand on the redirect, not on the download host).
    pub async fn head(&self, repo: &RepoKey, revision: &str, path: &RepoPath, caller: Caller<'_>) -> Result<FileHead> {
        let call = async {
            let outcome = self.ask_head(repo, revision, path, caller).await;
            match self.token.without(caller, &outcome) {
                Some(caller) => self.ask_head(repo, revision, path, caller).await,
                None => outcome,
            }
        };
        self.watched(Impact::Counts, call).await
    }

    async fn ask_head(&self, repo: &RepoKey, revision: &str, path: &RepoPath, caller: Caller<'_>) -> Result<FileHead> {
        let mut url = self.egress.base().below(&resolve_path(repo, revision, path))?;
        let mut seen = HeaderMap::new();
        for _ in 0..=MAX_REDIRECTS {
            let request = self.exits.metadata(Method::HEAD, &url).headers(self.headers(caller));
            let response = self.send(request, Bucket::Resolvers, Impact::Counts, caller).await?;
            let is_redirect = response.status().is_redirection();
            for name in ["x-repo-commit", "x-linked-etag", "x-linked-size", "x-xet-hash"] {
                if let Some(value) = response.headers().get(name) {
                    seen.entry(name).or_insert_with(|| value.clone());
                }
            }
            if is_redirect && let Target::Origin(next) = self.egress.redirect(&url, response.headers())? {
                url = next;
                continue;
            }
            if !is_redirect {
                // A redirect's own length is that of its text.
                for name in ["etag", "content-length"] {
                    if let Some(value) = response.headers().get(name) {
                        seen.insert(name, value.clone());
                    }
                }
            }
            return file_head(&seen);
        }
        Err(Error::Protocol("too many redirects".into()))
    }

    /// Finds where the bytes are, by asking for `range` of them. If the origin serves them
    /// itself, its answer comes along: it is the first range.
    pub async fn locate(
        &self,
        repo: &RepoKey,
        commit: &CommitId,
        path: &RepoPath,
        range: Option<&Range<u64>>,
        size: u64,
        caller: Caller<'_>,
    ) -> Result<(Source, Option<RangeReply>)> {
        let call = async {
            let outcome = self.ask_location(repo, commit, path, range, size, caller).await;
            match self.token.without(caller, &outcome) {
                Some(caller) => self.ask_location(repo, commit, path, range, size, caller).await,
                None => outcome,
            }
        };
        self.watched(Impact::Counts, call).await
    }

    async fn ask_location(
        &self,
        repo: &RepoKey,
        commit: &CommitId,
        path: &RepoPath,
        range: Option<&Range<u64>>,
        size: u64,
        caller: Caller<'_>,
    ) -> Result<(Source, Option<RangeReply>)> {
        let without_hub_token = caller.without_hub_token;
        let source = |url, is_origin| Source { url, is_origin, without_hub_token };
        let mut url = self.egress.base().below(&resolve_path(repo, commit.as_str(), path))?;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.exits.bytes(&url).headers(self.headers(caller));
            if let Some(range) = range {
                request = request.header(RANGE, range_header(range));
            }
            let response = self.send(request, Bucket::Resolvers, Impact::Counts, caller).await?;
            if response.status().is_redirection() {
                match self.egress.redirect(&url, response.headers())? {
                    Target::Origin(next) => url = next,
                    Target::Cdn(url) => return Ok((source(url, false), None)),
                }
                continue;
            }
            let reply = self.check_reply(response, range, size)?;
            return Ok((source(url, true), Some(reply)));
        }
        Err(Error::Protocol("too many redirects".into()))
    }

    /// Asks a located source for a range, or for everything.
    pub async fn fetch(
        &self,
        source: &Source,
        range: Option<&Range<u64>>,
        size: u64,
        caller: Caller<'_>,
    ) -> Result<RangeReply> {
        if self.is_offline() {
            return Err(Error::Offline);
        }
        let mut request = self.exits.bytes(&source.url);
        if source.is_origin {
            let without_hub_token = caller.without_hub_token || source.without_hub_token;
            request = request.headers(self.headers(Caller { without_hub_token, ..caller }));
        } else {
            // No token, and nothing else that a third party need not know.
            request = request.header("accept-encoding", "identity");
        }
        if let Some(range) = range {
            request = request.header(RANGE, range_header(range));
        }
        let outcome = self.exits.send(request, &self.clock, HEAD_TIMEOUT).await;
        let response = outcome.inspect_err(|_| metrics::upstream_call("download", "error"))?;
        let status = response.status();
        metrics::upstream_call("download", super::client::status_class(status));
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => self.check_reply(response, range, size),
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::GONE => {
                Err(Error::Expired)
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => match retry_after(response.headers()) {
                Some(retry_after) => Err(Error::RateLimited { retry_after }),
                None => Err(Error::Unavailable { reason: format!("the download host returned {}", status.as_u16()) }),
            },
            status if status.is_redirection() => Err(Error::Expired),
            StatusCode::BAD_REQUEST => Err(Error::Refused),
            status => Err(Error::Unavailable { reason: format!("the download host returned {}", status.as_u16()) }),
        }
    }
}

pub(super) fn range_header(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

fn file_head(headers: &HeaderMap) -> Result<FileHead> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let commit = CommitId::parse(text("x-repo-commit").unwrap_or_default())
        .map_err(|_| Error::Protocol("no X-Repo-Commit in the response to HEAD".into()))?;
    let etag = text("x-linked-etag").or(text("etag")).unwrap_or_default();
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    let content =
        ContentId::parse(etag).map_err(|_| Error::Protocol("no valid ETag in the response to HEAD".into()))?;
    let size = text("x-linked-size").or(text("content-length")).and_then(|size| size.parse().ok());
    let size = size.ok_or_else(|| Error::Protocol("no size in the response to HEAD".into()))?;
    let xet_hash = text("x-xet-hash").and_then(|hash| XetHash::parse(hash).ok());
    Ok(FileHead { commit, content, size, xet_hash })
}

impl Upstream {
    /// Accepts a response only if it is what was requested.
    fn check_reply(&self, response: Response, range: Option<&Range<u64>>, size: u64) -> Result<RangeReply> {
        let (clock, idle) = (self.clock.clone(), self.config.idle_timeout.duration());
        let fail = |text: &str| Err(Error::Protocol(text.to_owned()));
        let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        if text(CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return fail("unexpected Content-Encoding");
        }
        match (response.status(), range) {
            (StatusCode::PARTIAL_CONTENT, Some(range)) => {
                let expected = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                if text(CONTENT_RANGE) != Some(expected.as_str()) {
                    return fail("Content-Range does not match the request");
                }
                Ok(RangeReply { body: RangeBody::Partial, response, clock, idle })
            }
            (StatusCode::OK, _) => {
                let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
                if length.is_some_and(|length| length != size) {
                    return fail("Content-Length does not match the file's size");
                }
                Ok(RangeReply { body: RangeBody::Whole, response, clock, idle })
            }
            _ => fail("unexpected status"),
        }
    }
}
