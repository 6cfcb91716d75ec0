//! Faults are data: a [`Rule`] says which requests it concerns and what goes wrong with them.
//! All rules that match a request apply together, in the order in which they were added, so that
//! `Chunked` with `CutAfter(100)` is a chunked answer without an end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which listener a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Hub,
    Cdn,
}

/// What goes wrong. In JSON: `{"cut_after": 1000}`, `"empty200"`, `{"status": {"code": 503}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection closes after so many bytes of the body; `Content-Length` promised more.
    CutAfter(u64),
    /// The same with RST instead of FIN.
    ResetAfter(u64),
    /// The body stops after so many bytes and the connection stays open, for ever.
    StallAfter(u64),
    /// The byte at this offset *of the file* is inverted wherever a range contains it.
    FlipByte(u64),
    /// So many bytes are missing at the end, and `Content-Length` (and `Content-Range`) agree with the lie.
    ShortLength(u64),
    /// So many bytes too many, and `Content-Length` agrees with the lie.
    LongBody(u64),
    /// No `Content-Length`, not chunked: the end of the connection, after so many bytes, is the end of the body.
    CloseDelimited(u64),
    /// No `Content-Length`: chunked transfer coding.
    Chunked,
    /// 200 with nothing.
    Empty200,
    /// 200 with an HTML page (a captive portal).
    Html200,
    /// 200 with a JSON error.
    Json200,
    /// The whole file with 200, whatever range was asked.
    IgnoreRange,
    /// 206 to a request without a range, about the whole file.
    Partial206,
    /// `Content-Range` begins one byte later than the bytes that are sent.
    WrongContentRange,
    /// A status instead of the answer.
    Status {
        code: u16,
        #[serde(default)]
        error_code: Option<String>,
        #[serde(default)]
        message: String,
        /// Literally, so that dates and nonsense are possible.
        #[serde(default)]
        retry_after: Option<String>,
        /// Value of the `RateLimit` header.
        #[serde(default)]
        ratelimit: Option<String>,
    },
    /// The body at this speed.
    Slow { bytes_per_second: u64 },
    /// Nothing at all for a while (milliseconds in JSON), then the normal answer.
    Delay(#[serde(with = "millis")] Duration),
    /// The connection closes without an answer.
    NoAnswer,
    /// The answer of the CDN to a signed URL that is too old: 403 with XML.
    ExpireUrl,
    /// After a HEAD of a `resolve` URL: a new commit on main that changes that very file.
    MoveRefOnHead,
    /// `Content-Encoding: gzip` although nobody asked for it. Up to 64 MiB.
    GzipEncoded,
    /// 302 with this `Location`, literally.
    RedirectTo(String),
    /// A listing of so many new entries a page, with always one more page.
    EndlessListing { entries: u64 },
    /// `ETag` and `X-Linked-ETag` of another content.
    WrongEtag,
    /// This header is left out.
    WithoutHeader(String),
    /// This header is added or replaced.
    SetHeader { name: String, value: String },
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.as_millis() as u64)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// Which requests a fault concerns. Every condition that is set must hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    #[serde(default)]
    pub origin: Option<Origin>,
    #[serde(default)]
    pub method: Option<String>,
    /// In the URL as sent, or in its decoded path. CDN URLs carry `models/{id}/{path}` of the file in their query.
    /// A small file is two requests to the hub: say `/resolve/` or `/resolve-cache/` to mean one of them.
    #[serde(default)]
    pub path_contains: Option<String>,
    /// The request has a Range that begins at or after this offset.
    #[serde(default)]
    pub range_start_at_least: Option<u64>,
    /// The request has (true) or has no (false) Range.
    #[serde(default)]
    pub has_range: Option<bool>,
    /// So many matching requests pass untouched first.
    #[serde(default)]
    pub skip: u32,
    /// How often the fault strikes; for ever when absent.
    #[serde(default)]
    pub times: Option<u32>,
    pub fault: Fault,
}

impl Rule {
    /// For every request of both origins, until narrowed.
    pub fn new(fault: Fault) -> Rule {
        Rule {
            origin: None,
            method: None,
            path_contains: None,
            range_start_at_least: None,
            has_range: None,
            skip: 0,
            times: None,
            fault,
        }
    }

    /// Requests to the CDN whose URL contains the text. Set the fault with [`Rule::fault`].
    pub fn on_cdn(path_contains: impl Into<String>) -> Rule {
        Rule { origin: Some(Origin::Cdn), path_contains: Some(path_contains.into()), ..Rule::new(Fault::Empty200) }
    }

    /// Requests to the hub whose URL contains the text. Set the fault with [`Rule::fault`].
    pub fn on_hub(path_contains: impl Into<String>) -> Rule {
        Rule { origin: Some(Origin::Hub), ..Rule::on_cdn(path_contains) }
    }

    /// What goes wrong.
    pub fn fault(mut self, fault: Fault) -> Rule {
        self.fault = fault;
        self
    }

    /// Only requests with this method.
    pub fn method(mut self, method: impl Into<String>) -> Rule {
        self.method = Some(method.into());
        self
    }

    /// Only requests with a Range that begins at or after this offset.
    pub fn range_start_at_least(mut self, offset: u64) -> Rule {
        self.range_start_at_least = Some(offset);
        self
    }

    /// Only requests with (or without) a Range.
    pub fn has_range(mut self, yes: bool) -> Rule {
        self.has_range = Some(yes);
        self
    }

    /// So many matching requests pass untouched first.
    pub fn skip(mut self, n: u32) -> Rule {
        self.skip = n;
        self
    }

    /// The fault strikes so often and not again.
    pub fn times(mut self, n: u32) -> Rule {
        self.times = Some(n);
        self
    }

    fn matches(&self, request: &Subject<'_>) -> bool {
        self.origin.is_none_or(|origin| origin == request.origin)
            && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(request.method))
            && self.has_range.is_none_or(|yes| yes == request.has_range)
            && self.range_start_at_least.is_none_or(|least| request.range_start.is_some_and(|start| start >= least))
            && self.path_contains.as_ref().is_none_or(|part| request.names(part))
    }
}

/// Names a rule that was added, to remove or look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultId(pub u64);

/// A rule and how often it matched and struck.
#[derive(Clone, Debug, Serialize)]
pub struct Installed {
    pub id: FaultId,
    pub matched: u64,
    pub applied: u64,
    #[serde(flatten)]
    pub rule: Rule,
}

/// What a rule looks at.
pub(crate) struct Subject<'a> {
    pub(crate) origin: Origin,
    pub(crate) method: &'a str,
    /// Path and query as sent.
    pub(crate) target: &'a str,
    pub(crate) has_range: bool,
    pub(crate) range_start: Option<u64>,
}

impl Subject<'_> {
    /// Is the text in the URL as sent, or in the decoded path (on the CDN, whose query has the file's path, in all of it)?
    /// The query of `resolve-cache` repeats the `resolve` path that led there: decoded, it would match too much.
    fn names(&self, part: &str) -> bool {
        let path = match self.origin {
            Origin::Hub => self.target.split('?').next().unwrap_or_default(),
            Origin::Cdn => self.target,
        };
        self.target.contains(part) || crate::query::decode(path).contains(part)
    }
}

/// All rules of one mock.
#[derive(Default)]
pub(crate) struct Faults {
    inner: Mutex<(u64, Vec<Installed>)>,
}

impl Faults {
    fn lock(&self) -> std::sync::MutexGuard<'_, (u64, Vec<Installed>)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, rule: Rule) -> FaultId {
        let mut inner = self.lock();
        inner.0 += 1;
        let id = FaultId(inner.0);
        inner.1.push(Installed { id, matched: 0, applied: 0, rule });
        id
    }

    pub(crate) fn remove(&self, id: FaultId) -> bool {
        let mut inner = self.lock();
        let before = inner.1.len();
        inner.1.retain(|installed| installed.id != id);
        inner.1.len() < before
    }

    pub(crate) fn clear(&self) {
        self.lock().1.clear();
    }

    pub(crate) fn list(&self) -> Vec<Installed> {
        self.lock().1.clone()
    }

    /// The faults that strike this request, counted.
    pub(crate) fn strike(&self, request: &Subject<'_>) -> Vec<Fault> {
        let mut inner = self.lock();
        let mut faults = Vec::new();
        for installed in inner.1.iter_mut().filter(|installed| installed.rule.matches(request)) {
            installed.matched += 1;
            let skipped = installed.matched <= u64::from(installed.rule.skip);
            let spent = installed.rule.times.is_some_and(|times| installed.applied >= u64::from(times));
            if !skipped && !spent {
                installed.applied += 1;
                faults.push(installed.rule.fault.clone());
            }
        }
        faults
    }
}
