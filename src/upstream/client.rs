//! Metadata calls.
//!
//! Steps of a call: offline and circuit → budget → send with the caller's token (or this
//! hub's own, `token.rs`) → follow redirects within the origin → read the answer, bounded → take note of
//! rate limits and of failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::budget::{Budget, BudgetState};
use super::egress::{Egress, Target};
use super::error::retry_after;
use super::exits::Exits;
use super::health::Health;
use super::resolver::{self, Resolver};
use super::room::{Places, Room};
use super::silence::Silence;
use super::token::OwnToken;
use super::{BASE_MARK, Bucket, Error, Result, Sanitiser};
use crate::config;
use crate::domain::{Clock, CommitId};
use crate::metrics;
use crate::telemetry::Condition;

const MAX_REDIRECTS: usize = 5;
/// How long a metadata body, e.g. the info of a repository with very many files, may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// An error that comes as JSON is no longer.
const LONGEST_ERROR: usize = 8 << 10;

/// On whose behalf upstream is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller<'a> {
    /// The caller's own token. Without one this hub's own is used, if it has one.
    pub token: Option<&'a str>,
    /// Passed on: the Hub counts downloads by it.
    pub user_agent: Option<&'a str>,
    /// Ask as this caller only: what this hub's own token may see must not show, e.g. in lists.
    pub without_hub_token: bool,
}

/// A metadata answer of status 2xx. Nothing in it names upstream's hosts but `body`, which
/// the reader has to sanitise.
#[derive(Debug, Clone)]
pub struct Answer {
    pub content_type: String,
    /// The next page, sanitised (`BASE_MARK` stands for our address).
    pub link: Option<String>,
    pub total_count: Option<String>,
    pub commit: Option<CommitId>,
    pub body: Bytes,
    /// The path that answered in the end: another one than asked after a rename.
    pub path: String,
    /// In memory; others may get it when the answer is dropped.
    _places: Arc<Places>,
}

impl Answer {
    /// Refuses what is not a response of the Hub although its status says so: a captive portal or login page, an error,
    /// or an empty body. Accepted, it would grant access that was denied, and replace what is cached.
    fn check(&self) -> Result<()> {
        let fail = |text: &str| Err(Error::Protocol(text.to_owned()));
        let start = self.body.trim_ascii_start();
        let begins = |with: &[u8]| start.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        if self.content_type.contains("html") || begins(b"<!doctype html") || begins(b"<html") {
            return fail("a web page instead of data");
        }
        // The right to read may be said by the status alone.
        if start.is_empty() && !self.path.contains("/auth-check") {
            return fail("empty body");
        }
        if start.first() == Some(&b'{')
            && self.body.len() <= LONGEST_ERROR
            && let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(&self.body)
            && object.get("error").is_some_and(serde_json::Value::is_string)
            && !["id", "_id", "name"].iter().any(|key| object.contains_key(*key))
        {
            return fail("an error with status 200");
        }
        Ok(())
    }
}

/// Whether a failed call says something about upstream as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impact {
    Counts,
    Ignored,
}

/// A configured hub that we read from.
pub struct Upstream {
    pub(super) exits: Exits,
    pub(super) egress: Egress,
    pub(super) config: config::Upstream,
    offline: AtomicBool,
    pub(super) token: OwnToken,
    sanitiser: Sanitiser,
    pub(super) clock: Clock,
    budget: Budget,
    room: Room,
    health: Health,
    /// Something on the way to upstream answers in its place: a proxy, a portal.
    intercepted: Condition,
    pub(super) silence: Silence,
    /// Of the routes whose calls say nothing of upstream as a whole.
    pub(super) silence_aside: Silence,
}

impl Upstream {
    /// Fails only if TLS cannot be set up or the URL is invalid (which the settings checked).
    pub fn new(config: config::Upstream, clock: &Clock) -> anyhow::Result<Self> {
        let base = Url::parse(&config.url)?;
        let egress = Egress::new(base.clone(), &config.cdn_hosts);
        let resolver = Resolver::new(&base, egress.listed(), &config.proxies, resolver::system());
        Ok(Self {
            exits: Exits::new(&config, &resolver)?,
            sanitiser: Sanitiser::new(&base, egress.clone()),
            egress,
            clock: clock.clone(),
            budget: Budget::new(clock.clone()),
            room: Room::new(clock.clone(), config.max_metadata.bytes() as usize),
            health: Health::new(clock.clone()),
            intercepted: Condition::new(
                clock.clone(),
                "something else answers in upstream's place: check upstream.url, and proxies and portals on the way to it",
                "upstream's own answers arrive again",
            ),
            silence: Silence::new(clock.clone(), config.slow_after.duration()),
            silence_aside: Silence::new(clock.clone(), config.slow_after.duration()),
            offline: AtomicBool::new(config.offline),
            token: OwnToken::new(config.token.clone(), clock.clone()),
            config,
        })
    }

    pub fn sanitiser(&self) -> &Sanitiser {
        &self.sanitiser
    }

    /// Deliberately never asked.
    pub fn is_offline(&self) -> bool {
        self.offline.load(Ordering::Relaxed)
    }

    pub fn set_offline(&self, offline: bool) {
        self.offline.store(offline, Ordering::Relaxed);
    }

    /// Whether upstream failed repeatedly and has not answered since: the log has said so.
    pub fn is_known_to_be_away(&self) -> bool {
        self.is_offline() || self.health.is_away()
    }

    /// Whether calls fail fast because upstream failed repeatedly.
    pub fn is_down(&self) -> bool {
        self.health.is_open()
    }

    /// Down, or deliberately never asked.
    pub fn is_away(&self) -> bool {
        self.is_offline() || self.is_down()
    }

    pub fn budget(&self, bucket: Bucket) -> BudgetState {
        self.budget.state(bucket)
    }

    /// GET of a metadata route; `path` is raw (encoded), with its query.
    pub async fn get(&self, path: &str, caller: Caller<'_>) -> Result<Answer> {
        self.call(Method::GET, path, None, caller, Impact::Counts).await
    }

    /// As `get`, of a route that nothing else here depends on: its failures do not count against upstream.
    pub async fn get_uncounted(&self, path: &str, caller: Caller<'_>) -> Result<Answer> {
        self.call(Method::GET, path, None, caller, Impact::Ignored).await
    }

    /// POST of a reading route (`paths-info`).
    pub async fn post(&self, path: &str, content_type: &str, body: Bytes, caller: Caller<'_>) -> Result<Answer> {
        self.call(Method::POST, path, Some((content_type, body)), caller, Impact::Counts).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Bytes)>,
        caller: Caller<'_>,
        impact: Impact,
    ) -> Result<Answer> {
        let call = async {
            let outcome = self.ask(method.clone(), path, body.clone(), caller, impact).await;
            match self.token.without(caller, &outcome) {
                Some(caller) => self.ask(method, path, body, caller, impact).await,
                None => outcome,
            }
        };
        self.watched(impact, call).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Bytes)>,
        caller: Caller<'_>,
        impact: Impact,
    ) -> Result<Answer> {
        let base = self.egress.base();
        let mut url = base.below(path)?;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.exits.metadata(method.clone(), &url).headers(self.headers(caller));
            request = request.header(ACCEPT, "application/json, */*;q=0.5");
            if let Some((content_type, body)) = &body {
                request = request.header(CONTENT_TYPE, *content_type).body(body.clone());
            }
            let response = self.send(request, Bucket::of_api(url.url().path()), impact, caller).await?;
            if response.status().is_redirection() {
                match self.egress.redirect(&url, response.headers())? {
                    // A file is not read as metadata: clients fetch it through `resolve`.
                    Target::Origin(next) if next.url().path().contains("/resolve/") => {
                        let (prefix, path) = (base.url().path().trim_end_matches('/'), next.url().path());
                        let path = path.strip_prefix(prefix).unwrap_or(path).to_owned();
                        return Err(Error::Moved { path });
                    }
                    Target::Origin(next) => url = next,
                    Target::Cdn(_) => return Err(Error::Protocol("metadata redirected to another host".into())),
                }
                continue;
            }
            let answer = self.read(response, url.url().path().to_owned()).await?;
            answer.check().inspect_err(|why| self.intercepted.met(why))?;
            self.intercepted.is_over();
            return Ok(answer);
        }
        Err(Error::Protocol("too many redirects".into()))
    }

    pub(super) fn headers(&self, caller: Caller<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let name = concat!("modelhub/", env!("CARGO_PKG_VERSION"));
        let agent = caller.user_agent.map_or_else(|| name.to_owned(), |agent| format!("{agent}; {name}"));
        headers.insert(USER_AGENT, HeaderValue::from_str(&agent).unwrap_or(HeaderValue::from_static(name)));
        if let Some(value) = self.token.header(caller) {
            headers.insert(AUTHORIZATION, value);
        }
        headers
    }

    /// Sends to the origin: waits for its head at most `metadata_timeout`; errors for 4xx and 5xx.
    pub(super) async fn send(
        &self,
        request: reqwest::RequestBuilder,
        bucket: Bucket,
        impact: Impact,
        caller: Caller<'_>,
    ) -> Result<Response> {
        if self.is_offline() {
            return Err(Error::Offline);
        }
        let wait = self.budget.wait(bucket);
        if !wait.is_zero() {
            return Err(Error::RateLimited { retry_after: wait });
        }
        if !self.health.admits() {
            return Err(self.health.refusal());
        }
        let deadline = self.config.metadata_timeout.duration();
        let outcome = self.exits.send(request, &self.clock, deadline).await;
        let response = outcome.inspect_err(|error| {
            if impact == Impact::Counts {
                self.health.failed(error);
            }
            metrics::upstream_call(bucket.as_str(), "error");
        })?;
        let status = response.status();
        metrics::upstream_call(bucket.as_str(), status_class(status));
        match status.is_server_error() {
            false => self.health.succeeded(),
            true if impact == Impact::Counts => {
                self.health.failed(&Error::Unavailable { reason: format!("upstream returned {}", status.as_u16()) });
            }
            true => {}
        }
        let limit = response.headers().get("ratelimit").and_then(|v| v.to_str().ok());
        self.budget.note(bucket, limit);
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.budget.pause(bucket, retry_after(response.headers()).unwrap_or(Duration::from_secs(60)));
        }
        if status.is_client_error() || status.is_server_error() {
            // Messages go to clients: they name upstream's pages by path only.
            let clean = |text: &str| {
                self.sanitiser.text(text).map_or_else(|| text.to_owned(), |text| text.replace(BASE_MARK, ""))
            };
            let error = Error::from_answer(status, response.headers()).map_message(clean);
            if matches!(status, StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::NETWORK_AUTHENTICATION_REQUIRED)
            {
                self.intercepted.met(&error);
            }
            let refused = Err(error);
            self.token.note(caller, &refused);
            return refused;
        }
        let answered = Ok(response);
        self.token.note(caller, &answered);
        answered
    }

    pub(super) async fn read(&self, mut response: Response, path: String) -> Result<Answer> {
        let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let link = text("link").map(|link| self.sanitiser.next_link(&link)).transpose()?.flatten();
        let total_count = text("x-total-count");
        let commit = text("x-repo-commit").and_then(|commit| CommitId::parse(&commit).ok());
        let content_type = text("content-type").unwrap_or_else(|| "application/octet-stream".into());
        let limit = self.config.max_metadata.bytes() as usize;
        let declared = response.content_length();
        let mut places = Places::default();
        let body = async {
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(|e| Error::network(&e))? {
                if body.len() + chunk.len() > limit {
                    return Err(Error::Protocol(format!("metadata exceeds {limit} bytes (upstream.max_metadata)")));
                }
                self.room.take(&mut places, &chunk).await?;
                body.extend_from_slice(&chunk);
            }
            if declared.is_some_and(|declared| declared != body.len() as u64) {
                return Err(Error::Protocol("body length does not match Content-Length".into()));
            }
            Ok(body.freeze())
        };
        let body = self
            .clock
            .timeout(BODY_TIMEOUT, body)
            .await
            .map_err(|_| Error::Unavailable { reason: "timed out while reading the response".into() })??;
        Ok(Answer { content_type, link, total_count, commit, body, path, _places: Arc::new(places) })
    }
}

pub(super) fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..300 => "2xx",
        300..400 => "3xx",
        429 => "429",
        400..500 => "4xx",
        _ => "5xx",
    }
}
