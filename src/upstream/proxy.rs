//! Through which proxy a URL is asked, and what is wrong when it cannot be reached.
//!
//! One answer for everybody: the HTTP clients (`exits.rs`) get the proxies from here, the resolver the names of the proxies, which
//! may be private, and an error its words. Behind a proxy the egress holds as ever; names are resolved by the proxy, so
//! that their addresses are its to check. Words name a proxy without its credentials, and of a URL its host and port only:
//! the rest may be signed.

use std::error::Error as _;
use std::io;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{ClientBuilder, NoProxy, StatusCode};
use rustls::{AlertDescription, CertificateError};
use url::Url;

use super::Error;
use crate::config::{self, Proxies, Proxy};

/// The proxy that upstream itself is reached through, and where it was set, for people.
pub fn proxy_of(config: &config::Upstream) -> Option<(String, String)> {
    let way = Way::new(&config.proxies);
    way.via(&Url::parse(&config.url).ok()?).map(|proxy| (proxy.to_string(), proxy.source().to_owned()))
}

/// How URLs are reached.
pub(super) struct Way {
    proxies: Proxies,
    /// The one that the HTTP client uses as well, with the same words: which URLs a proxy is for.
    matcher: Matcher,
}

impl Way {
    pub(super) fn new(proxies: &Proxies) -> Self {
        let of = |proxy: &Option<Proxy>| proxy.as_ref().map(|proxy| proxy.url().to_owned()).unwrap_or_default();
        let matcher = Matcher::builder().http(of(&proxies.http)).https(of(&proxies.https)).no(proxies.direct.clone());
        Self { proxies: proxies.clone(), matcher: matcher.build() }
    }

    /// Sets the proxies, and none of the environment that the settings have not let through.
    pub(super) fn lay(&self, builder: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        let mut builder = builder.no_proxy();
        let direct = || NoProxy::from_string(&self.proxies.direct);
        if let Some(proxy) = &self.proxies.http {
            builder = builder.proxy(reqwest::Proxy::http(proxy.url())?.no_proxy(direct()));
        }
        if let Some(proxy) = &self.proxies.https {
            builder = builder.proxy(reqwest::Proxy::https(proxy.url())?.no_proxy(direct()));
        }
        Ok(builder)
    }

    /// The proxy that a URL is asked through.
    pub(super) fn via(&self, url: &Url) -> Option<&Proxy> {
        self.matcher.intercept(&url.origin().ascii_serialization().parse().ok()?)?;
        if url.scheme() == "https" { self.proxies.https.as_ref() } else { self.proxies.http.as_ref() }
    }

    /// An answer that the proxy gave in upstream's place. It can only where it reads the request, and then it says so by
    /// a status that is its own, or with a page for people, which upstream has for nobody.
    pub(super) fn refusal(&self, url: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Error> {
        let proxy = self.via(url).filter(|proxy| url.scheme() == "http" && proxy.reads_http())?;
        let is_page = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
        let reason = match status.as_u16() {
            407 => wants_credentials(proxy),
            403 if is_page => format!("the proxy {proxy} refuses requests to {}; allow them there", place(url)),
            500 | 502..=504 if is_page => {
                format!("the proxy {proxy} cannot reach {} (status {})", place(url), status.as_u16())
            }
            _ => return None,
        };
        Some(Error::Unavailable { reason })
    }

    /// Why a URL gave no answer.
    pub(super) fn failure(&self, url: &Url, error: &reqwest::Error) -> Error {
        let refused = Error::network(error);
        let Error::Unavailable { reason } = refused else { return refused };
        let reason = self.tls_failure(url, error).or_else(|| self.proxy_failure(url, error)).unwrap_or(reason);
        Error::Unavailable { reason }
    }

    /// As `failure`, of a URL that was silent for too long.
    pub(super) fn silence(&self, url: &Url) -> Error {
        let reason = match self.via(url) {
            Some(proxy) => format!("timed out, through the proxy {proxy}"),
            None => "timed out".into(),
        };
        Error::Unavailable { reason }
    }

    fn proxy_failure(&self, url: &Url, error: &reqwest::Error) -> Option<String> {
        let (proxy, place) = (self.via(url)?, place(url));
        let root = causes(error).last().map(ToString::to_string).unwrap_or_default();
        Some(if !error.is_connect() {
            format!("the proxy {proxy} cut the connection to {place}")
        } else if error.is_timeout() {
            format!("the proxy {proxy} did not answer in time")
        } else if is_before(proxy, url, error) {
            format!("cannot connect to the proxy {proxy} ({root})")
        } else if WANTS_CREDENTIALS.iter().any(|words| says(error, words)) {
            wants_credentials(proxy)
        } else {
            // Some say 401 or 403 of credentials too, and hyper-util keeps no status.
            let check = if proxy.has_credentials() { ", check the credentials" } else { "" };
            format!(
                "the proxy {proxy} did not connect to {place} ({root}): allow it there{check}, or see the proxy's log"
            )
        })
    }

    fn tls_failure(&self, url: &Url, error: &reqwest::Error) -> Option<String> {
        let proxy = self.via(url).filter(|proxy| is_before(proxy, url, error));
        let who = proxy.map_or_else(|| place(url), |proxy| format!("the proxy {proxy}"));
        Some(match causes(error).find_map(tls_error)? {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => format!(
                "the certificate of {who} is from an authority that is not trusted here; if it is your own, or that of a proxy \
                 that inspects TLS, set upstream.ca_file"
            ),
            rustls::Error::InvalidCertificate(why) => format!("the certificate of {who} is not valid: {why}"),
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateUnknown,
            ) => format!(
                "{who} wants a client certificate that it trusts: set upstream.client_cert_file and upstream.client_key_file"
            ),
            other => format!("TLS with {who} failed: {other}"),
        })
    }
}

/// What hyper-util says of credentials (`TunnelError`, `AuthError`, which are not public).
const WANTS_CREDENTIALS: [&str; 3] =
    ["proxy authorization required", "credentials not accepted", "does not support user/pass authentication"];

fn wants_credentials(proxy: &Proxy) -> String {
    let source = proxy.source();
    match proxy.has_credentials() {
        true => format!("the proxy {proxy} refuses the credentials that it is given ({source})"),
        false => format!(
            "the proxy {proxy} wants credentials: set upstream.proxy_user and upstream.proxy_password_file beside upstream.proxy, \
             or put them into the address ({source})"
        ),
    }
}

/// Whether the proxy itself was not reached, rather than something behind it.
fn is_before(proxy: &Proxy, url: &Url, error: &reqwest::Error) -> bool {
    (url.scheme() == "http" && proxy.reads_http()) || says(error, "failed to create underlying connection")
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

fn says(error: &reqwest::Error, words: &str) -> bool {
    causes(error).any(|cause| cause.to_string().contains(words))
}

/// What TLS says of itself, in what an I/O error carries.
fn tls_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let carried = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.downcast_ref().or_else(|| carried?.downcast_ref())
}

/// Of a URL what may be said of it.
fn place(url: &Url) -> String {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    format!("{host}:{port}")
}
