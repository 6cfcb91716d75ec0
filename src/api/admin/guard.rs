//! Who may use the admin listener.
//!
//! On loopback nobody logs in, so what must be kept out is a web page in the user's browser, and a stranger whose
//! request a proxy on this machine carried here. Checked in this order, for every method: the name in `Host` (a page
//! can rebind its own name to this address, but not send ours) → the token, where one is set; without one, no header
//! of a proxy → for changes, that a browser says it is our own page (`Sec-Fetch-Site`, `Origin`).

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use axum::middleware::Next;

use super::super::extract::bears;
use super::super::serve::Peer;
use super::Exposure;
use super::problem::Problem;
use crate::config::Secret;

/// Parts of the names of headers by which a proxy says for whom it acts: `Forwarded` (RFC 7239), `X-Forwarded-*`,
/// `X-Real-IP`, `CF-Connecting-IP`, `True-Client-IP`, `X-Azure-ClientIP` and their like, of which there is no list.
const FORWARDING_PARTS: [&str; 12] = [
    "forwarded",
    "real-ip",
    "remote-ip",
    "remote-addr",
    "client-ip",
    "clientip",
    "connecting-ip",
    "connection-ip",
    "originating-ip",
    "socketip",
    "user-ip",
    "viewer-address",
];
/// How names begin that only a certain proxy, or network of them, adds: Cloudflare, Fastly, Fly, CloudFront, Amazon,
/// Envoy, IIS, Tailscale, and rewriters of addresses.
const FORWARDING_BEGINS: [&str; 11] = [
    "cf-",
    "fastly-",
    "fly-",
    "cloudfront-",
    "x-amz-cf-",
    "x-amzn-",
    "x-envoy-",
    "x-arr-",
    "tailscale-",
    "x-original-",
    "x-rewrite-",
];
/// The other ones: `Via` (RFC 9110, 7.6.3), `CDN-Loop` (RFC 8586), and some that tell a scheme, an address or a cache.
const FORWARDING: [&str; 4] = ["via", "cdn-loop", "x-scheme", "x-varnish"];
/// What probes may read without a token: it reveals nothing.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// What the guard knows.
#[derive(Clone)]
pub(in crate::api) struct Guard {
    token: Secret,
    hosts: std::sync::Arc<[String]>,
}

pub(in crate::api) async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response<Body> {
    let here = request.extensions().get::<Peer>().map(|peer| peer.here.ip());
    match guard.check(here, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.response(),
    }
}

/// The dashboard's own files are the same for everybody; what it shows it asks for with the token.
fn is_dashboard(path: &str) -> bool {
    path == "/" || path == "/ui" || path.starts_with("/ui/")
}

/// The header, if there is one, that only a proxy sends. Some write `_` for `-`.
fn forwarding(headers: &HeaderMap) -> Option<&str> {
    let is_of_proxy = |name: &&str| {
        let name = name.replace('_', "-");
        FORWARDING.contains(&name.as_str())
            || FORWARDING_PARTS.iter().any(|part| name.contains(part))
            || FORWARDING_BEGINS.iter().any(|begin| name.starts_with(begin))
    };
    headers.keys().map(header::HeaderName::as_str).find(is_of_proxy)
}

impl Guard {
    pub(super) fn new(exposure: Exposure) -> Self {
        let hosts = exposure.hosts.iter().map(|host| name_of(host)).collect();
        Self { token: exposure.token, hosts }
    }

    /// `here` is the address of this machine that the request came to.
    fn check(
        &self,
        here: Option<IpAddr>,
        method: &Method,
        uri: &axum::http::Uri,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        // HTTP/2 has it in the address.
        let host = text(header::HOST).or(uri.authority().map(|authority| authority.as_str())).unwrap_or_default();
        if !self.knows(&name_of(host), here) {
            let detail = "this listener only accepts requests for localhost, this machine's own name or address, or one \
                          in admin.hosts";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
        }
        if OPEN.contains(&uri.path()) || (method.is_safe() && is_dashboard(uri.path())) {
            return Ok(());
        }
        match self.token.get() {
            Some(token) if bears(headers, token) => {}
            Some(_) => {
                let detail = "admin token required: send Authorization: Bearer …";
                return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
            }
            None => {
                if let Some(name) = forwarding(headers) {
                    let detail = format!("the request came through a proxy ({name}): set admin.token to use one");
                    return Err(Problem::new(StatusCode::FORBIDDEN, detail));
                }
            }
        }
        let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if changes && !is_our_own_page(headers, host) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "cross-site request refused: changes must come from the dashboard itself",
            ));
        }
        Ok(())
    }

    fn knows(&self, name: &str, here: Option<IpAddr>) -> bool {
        if name == "localhost" || name.ends_with(".localhost") || self.hosts.iter().any(|host| host == name) {
            return true;
        }
        // Where a token is needed, a page has nothing to gain by an address, and others may have been translated on the
        // way here: that of a container's host, for instance.
        let has_token = self.token.get().is_some();
        name.parse::<IpAddr>().is_ok_and(|address| {
            let address = address.to_canonical();
            has_token || address.is_loopback() || here.is_some_and(|here| here.to_canonical() == address)
        })
    }
}

/// The host without its port, in lower case.
fn name_of(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// Whether nothing says that another site's page sent this. Programs send neither header.
fn is_our_own_page(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let same_site = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let same_origin = text("origin").is_none_or(|origin| {
        origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
    });
    same_site && same_origin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: &str, method: Method, headers: &[(&'static str, &str)]) -> Result<(), StatusCode> {
        let hosts = vec!["models.example".to_owned(), "[2001:db8::7]".to_owned()];
        let guard = Guard::new(Exposure { token: Secret::new(token), hosts });
        let here = Some("::ffff:10.0.0.5".parse().unwrap());
        let headers = headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), header::HeaderValue::from_str(value).unwrap())
        });
        guard.check(here, &method, &"/v1/models".parse().unwrap(), &headers.collect()).map_err(|problem| problem.status)
    }

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn programs_on_loopback_need_nothing() {
        assert_eq!(check("", Method::POST, &[("host", "127.0.0.1:8485")]), Ok(()));
        assert_eq!(check("", Method::POST, &[("host", "localhost")]), Ok(()));
        assert_eq!(check("", Method::GET, &[("host", "[::1]:8485")]), Ok(()));
        assert_eq!(check("", Method::GET, &[("host", "models.example")]), Ok(()));
        assert_eq!(check("", Method::GET, &[("host", "[2001:db8::7]:8485")]), Ok(()));
        assert_eq!(check("", Method::GET, &[("host", "10.0.0.5:8485")]), Ok(()));
    }

    #[test]
    fn rebound_names_foreign_pages_and_proxies_are_kept_out() {
        for method in [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS] {
            assert_eq!(check("", method, &[("host", "evil.example")]), Err(StatusCode::MISDIRECTED_REQUEST));
        }
        let host = ("host", "127.0.0.1:8485");
        let foreign = [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")];
        for header in foreign {
            assert_eq!(check("", Method::POST, &[host, header]), Err(StatusCode::FORBIDDEN), "{header:?}");
        }
        assert_eq!(check("", Method::POST, &[host, ("origin", "http://127.0.0.1:8485")]), Ok(()));
        assert_eq!(check("", Method::POST, &[host, ("origin", "http://127.0.0.1:9999")]), Err(StatusCode::FORBIDDEN));
        assert_eq!(check("", Method::GET, &[host, ("x-forwarded-for", "127.0.0.1")]), Err(StatusCode::FORBIDDEN));
    }

    #[test]
    fn a_token_that_is_set_is_needed() {
        let host = ("host", "127.0.0.1");
        assert_eq!(check(TOKEN, Method::GET, &[host]), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(
            check(TOKEN, Method::GET, &[host, ("authorization", "Bearer wrong")]),
            Err(StatusCode::UNAUTHORIZED)
        );
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(check(TOKEN, Method::GET, &[host, ("authorization", &bearer), ("via", "1.1 x")]), Ok(()));
    }
}
