//! Ranges of files by Xet: from upstream's store of chunks instead of its download host.
//!
//! Steps: a token for the store, asked of the origin with the caller's own (`xet_source`) → the
//! recipe of a range (`xet_range`, `recipe.rs`) → the pieces that it names, one after the other in the
//! order of the file; each chunk is unpacked and checked as it comes (`XetRange::next`, `chunk.rs`).
//!
//! The rules of `upstream` hold, as these are its own calls with its client of downloads: the store and
//! the hosts of its pieces are reached only if `upstream.cdn_hosts` lists them, and through the proxy of all calls; redirects are
//! not followed; the store sees its own token and never the caller's, the hosts of pieces see none.
//! The client of xet-core follows redirects, finds a proxy of its own, reads `HF_XET_*`, keeps files of its own and
//! reports to the store; so it is the judge in `tests/xet` only.
//!
//! What is proven here: a chunk has the length that its head says, and a term's chunks have together
//! the length that the recipe says. A recipe holds no hashes of chunks, so wrong bytes of the right
//! length are found where those of all downloads are: by the file's digest, before it is published.
//!
//! Memory: one packed and one unpacked chunk (128 KiB), and what the connection brings at once. While an LZ4 frame is
//! unpacked, also two of its blocks, which it may say to be 8 MiB long.

mod chunk;
mod recipe;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, Bytes, BytesMut};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use url::Url;

use self::chunk::Head;
use self::recipe::{Chunks, Piece, Recipe, Term};
use super::download::{HEAD_TIMEOUT, next_bytes, range_header};
use super::egress::{Allowed, Target};
use super::{Caller, Error, Result, Upstream};
use crate::domain::{Clock, CommitId, RepoKey, XetHash};
use crate::metrics;

/// Upstream's Xet store, and a token that opens it for one repository. In memory only, never logged or shown.
#[derive(Clone)]
pub struct XetSource {
    store: Allowed,
    authorization: HeaderValue,
    /// The store knows only the older form of recipes.
    is_old: Arc<AtomicBool>,
}

/// The bytes of a range as they arrive, in order.
pub struct XetRange<'a> {
    upstream: &'a Upstream,
    source: XetSource,
    /// Bytes before the range, as chunks are fetched whole. At the end there may be more too.
    pub skip: u64,
    terms: std::vec::IntoIter<Term>,
    /// What is left of the term in hand.
    term: Option<Term>,
    pieces: HashMap<String, Vec<Piece>>,
    open: Option<OpenPiece>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenWire {
    cas_url: String,
    access_token: String,
}

fn broken(what: impl std::fmt::Display) -> Error {
    Error::Protocol(format!("Xet: {what}"))
}

impl Upstream {
    /// Asks the origin for the store of a repository and a token for it.
    pub async fn xet_source(&self, repo: &RepoKey, commit: &CommitId, caller: Caller<'_>) -> Result<XetSource> {
        let path = format!("{}/xet-read-token/{commit}", repo.api_path());
        let answer = self.get(&path, caller).await?;
        // The text of an error of the parser could hold the token.
        let token: TokenWire =
            serde_json::from_slice(&answer.body).map_err(|_| broken("the response is not a token"))?;
        let store = Url::parse(&token.cas_url).map_err(|_| broken("the store address is not a URL"))?;
        let (Target::Origin(store) | Target::Cdn(store)) = self
            .egress
            .lead(&self.egress.base(), store)
            .map_err(|why| broken(format_args!("the store address is refused: {why}")))?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.access_token))
            .map_err(|_| broken("the token has invalid characters"))?;
        authorization.set_sensitive(true);
        Ok(XetSource { store, authorization, is_old: Arc::default() })
    }

    /// Asks for the recipe of a range of the file with this Xet hash. `Expired`: the token is.
    pub async fn xet_range(&self, source: &XetSource, hash: XetHash, range: &Range<u64>) -> Result<XetRange<'_>> {
        let mut response = None;
        if !source.is_old.load(Ordering::Relaxed) {
            let answer = self.ask_store(source, "v2", hash, range).await?;
            // As in xet-core's client (`get_reconstruction_with_version_override`).
            if matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED) {
                source.is_old.store(true, Ordering::Relaxed);
            } else {
                response = Some(answer);
            }
        }
        let response = match response {
            Some(response) => response,
            None => self.ask_store(source, "v1", hash, range).await?,
        };
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(Error::Expired),
            status => {
                return Err(Error::Unavailable { reason: format!("the Xet store returned {}", status.as_u16()) });
            }
        }
        let answer = self.read(response, String::new()).await?;
        let recipe = Recipe::parse(&answer.body).ok_or_else(|| broken("the response is not a reconstruction"))?;
        Ok(XetRange {
            upstream: self,
            source: source.clone(),
            skip: recipe.skip,
            pieces: recipe.pieces,
            terms: recipe.terms.into_iter(),
            term: None,
            open: None,
        })
    }

    async fn ask_store(
        &self,
        source: &XetSource,
        version: &str,
        hash: XetHash,
        range: &Range<u64>,
    ) -> Result<Response> {
        let url = source.store.below(&format!("/{version}/reconstructions/{hash}"))?;
        let request = self.exits.bytes(&url).header(RANGE, range_header(range));
        self.send_download("xet", request.header(AUTHORIZATION, source.authorization.clone())).await
    }

    async fn send_download(&self, bucket: &'static str, request: reqwest::RequestBuilder) -> Result<Response> {
        if self.is_offline() {
            return Err(Error::Offline);
        }
        let request = request.header(ACCEPT_ENCODING, "identity");
        let outcome = self.exits.send(request, &self.clock, HEAD_TIMEOUT).await;
        let response = outcome.inspect_err(|_| metrics::upstream_call(bucket, "error"))?;
        metrics::upstream_call(bucket, super::client::status_class(response.status()));
        Ok(response)
    }

    async fn open_piece(&self, source: &XetSource, hash: &str, piece: &Piece) -> Result<OpenPiece> {
        let url = Url::parse(&piece.url).map_err(|_| broken("the address of a piece is not a URL"))?;
        let (Target::Origin(url) | Target::Cdn(url)) = self
            .egress
            .lead(&source.store, url)
            .map_err(|why| broken(format_args!("the address of a piece is refused: {why}")))?;
        let request = self.exits.bytes(&url).header(RANGE, range_header(&piece.bytes));
        let response = self.send_download("download", request).await?;
        match response.status() {
            // Older stores answer 200, with the range all the same: the length tells.
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::GONE => {
                return Err(Error::Expired);
            }
            status => {
                return Err(Error::Unavailable { reason: format!("the download host returned {}", status.as_u16()) });
            }
        }
        let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        if text(CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err(broken("unexpected Content-Encoding of a piece"));
        }
        let length = piece.bytes.end.saturating_sub(piece.bytes.start);
        let place = format!("bytes {}-{}/", piece.bytes.start, piece.bytes.end.saturating_sub(1));
        if response.content_length().is_some_and(|actual| actual != length)
            || text(CONTENT_RANGE).is_some_and(|actual| !actual.starts_with(&place))
        {
            return Err(broken("Content-Range does not match the requested piece"));
        }
        let (clock, idle) = (self.clock.clone(), self.config.idle_timeout.duration());
        Ok(OpenPiece { hash: hash.to_owned(), chunks: piece.chunks, buffer: BytesMut::new(), response, clock, idle })
    }
}

impl XetRange<'_> {
    /// The next bytes, a chunk at a time; `None` at the end of the range.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(term) = &mut self.term else {
                self.term = self.terms.next();
                if self.term.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if term.range.start >= term.range.end {
                if term.unpacked_length != 0 {
                    return Err(broken("a term is shorter than the reconstruction says"));
                }
                self.term = None;
                continue;
            }
            let wanted = term.range.start;
            let piece = match &mut self.open {
                Some(open) if open.hash == term.hash && open.chunks.holds(wanted) => open,
                _ => {
                    self.open = None;
                    let known = self.pieces.get(&term.hash).into_iter().flatten();
                    let mut holding = known.filter(|piece| piece.chunks.holds(wanted));
                    let piece = holding.next().ok_or_else(|| broken("the reconstruction lacks some of its pieces"))?;
                    let opened = self.upstream.open_piece(&self.source, &term.hash, piece).await?;
                    self.open.insert(opened)
                }
            };
            if piece.chunks.start < wanted {
                piece.next_chunk(false).await?;
                continue;
            }
            let chunk = piece.next_chunk(true).await?;
            term.range.start += 1;
            term.unpacked_length = term
                .unpacked_length
                .checked_sub(chunk.len() as u64)
                .ok_or_else(|| broken("a term is longer than the reconstruction says"))?;
            return Ok(Some(chunk));
        }
    }
}

/// The rest of a run of chunks that is being received.
struct OpenPiece {
    hash: String,
    chunks: Chunks,
    buffer: BytesMut,
    response: Response,
    clock: Clock,
    idle: std::time::Duration,
}

impl OpenPiece {
    /// Takes one chunk from the connection; without `unpack` it is only passed over.
    async fn next_chunk(&mut self, unpack: bool) -> Result<Bytes> {
        self.fill(chunk::HEAD).await?;
        let mut head = [0; chunk::HEAD];
        self.buffer.copy_to_slice(&mut head);
        let head = Head::parse(head).map_err(broken)?;
        self.fill(head.packed).await?;
        let packed = self.buffer.split_to(head.packed).freeze();
        self.chunks.start += 1;
        if unpack { head.unpack(packed).map_err(broken) } else { Ok(Bytes::new()) }
    }

    async fn fill(&mut self, length: usize) -> Result<()> {
        while self.buffer.len() < length {
            let Some(bytes) = next_bytes(&mut self.response, &self.clock, self.idle).await? else {
                return Err(Error::Unavailable { reason: "the body was cut off".into() });
            };
            self.buffer.extend_from_slice(&bytes);
        }
        Ok(())
    }
}
