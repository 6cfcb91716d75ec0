//! One request, one name: what RFC 9112 (3.2) and RFC 9113 (8.3.1) ask of `Host`.
//!
//! Whoever reads another `Host` than the next one (a proxy the first, a handler the last) can be made to let through what
//! it would refuse. So a request that could be read in two ways is read in none.

use axum::http::{HeaderValue, Request, Version, header};

/// Why this request is not for anybody; `None` for one with a name, as nearly all have.
pub(super) fn wrong<B>(request: &Request<B>) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, authority) = (hosts.next(), request.uri().authority());
    if hosts.next().is_some() {
        return Some("there is more than one Host header; send one");
    }
    match (host, authority) {
        (None, None) if request.version() == Version::HTTP_11 => Some("there is no Host header; send one"),
        (None, _) => None,
        (Some(host), _) if !is_name(host) => Some("the Host header is not a name or address, with a port or without"),
        (Some(host), Some(authority)) if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            Some("the Host header differs from the address that is requested")
        }
        (Some(_), _) => None,
    }
}

/// The characters of `uri-host [":" port]` (RFC 3986, 3.2.2), or nothing.
fn is_name(host: &HeaderValue) -> bool {
    host.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte))
}
