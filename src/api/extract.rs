//! What handlers read from a request's head.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::{HeaderMap, header, request::Parts};
use base64::Engine as _;

use super::serve::Peer;
use crate::crypto;
use crate::domain::Principal;
use crate::hub::Caller;

/// Who asks. `Bearer` as all Hub clients send it; of `Basic` (git) the password is the token.
pub(super) fn caller(parts: &Parts) -> Caller {
    let text = |name: header::HeaderName| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip());
    Caller {
        principal: text(header::AUTHORIZATION).and_then(token).map_or(Principal::Anonymous, Principal::Token),
        user_agent: text(header::USER_AGENT).map(|agent| agent.chars().take(500).collect()),
        peer,
    }
}

fn token(header: &str) -> Option<String> {
    let (scheme, value) = header.split_once(' ')?;
    let token = if scheme.eq_ignore_ascii_case("bearer") {
        value.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
        String::from_utf8(decoded).ok()?.split_once(':')?.1.to_owned()
    } else {
        return None;
    };
    (!token.is_empty()).then_some(token)
}

/// Whether a request carries this token as its bearer token.
pub(super) fn bears(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    crypto::is_same(given.strip_prefix("Bearer ").unwrap_or_default().trim(), token)
}

/// Our own address as this client knows it: the configured one, else the host and the scheme that a reverse proxy says
/// the client used, else the request's Host. Whoever lies about it gets the answer itself.
pub(super) fn base_url(headers: &HeaderMap, public_url: &str) -> String {
    if !public_url.is_empty() {
        return public_url.to_owned();
    }
    // Each proxy on the way adds its own at the end: the first is what the client used.
    let first = |name: &str| {
        let list = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        list.split(',').next().unwrap_or_default().trim()
    };
    let is_authority =
        |host: &&str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b));
    let scheme = if first("x-forwarded-proto").eq_ignore_ascii_case("https") { "https" } else { "http" };
    let host = [first("x-forwarded-host"), first("host")].into_iter().find(is_authority);
    // Without a valid host a relative reference is the best that can be given.
    host.map_or_else(String::new, |host| format!("{scheme}://{host}"))
}

/// The query of a request, as its clients write it: `expand` and `expand[]`, `True` and `true`.
#[derive(Debug, Default)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    pub(super) raw: String,
}

impl Query {
    pub(super) fn parse(raw: &str) -> Self {
        let pairs = url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect();
        Self { pairs, raw: raw.to_owned() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let bracket = format!("{name}[]");
        let of_name = self.pairs.iter().filter(|(key, _)| key == name || *key == bracket);
        of_name.map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(is_true)
    }

    /// Whether there is a parameter besides these.
    pub(super) fn has_other_than(&self, names: &[&str]) -> bool {
        self.pairs.iter().any(|(key, _)| !names.contains(&key.trim_end_matches("[]")))
    }
}

pub(super) fn is_true(text: &str) -> bool {
    matches!(text, "1" | "true" | "True" | "TRUE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_address_is_the_one_that_the_client_used() {
        let of = |headers: &[(&'static str, &str)], public: &str| {
            let pairs = headers.iter().map(|(name, value)| {
                (header::HeaderName::from_static(name), axum::http::HeaderValue::from_str(value).unwrap())
            });
            base_url(&pairs.collect(), public)
        };
        assert_eq!(of(&[("host", "hub:8484")], ""), "http://hub:8484");
        assert_eq!(of(&[("host", "hub"), ("x-forwarded-proto", "https")], ""), "https://hub");
        assert_eq!(of(&[("host", "hub"), ("x-forwarded-proto", "javascript")], ""), "http://hub");
        assert_eq!(of(&[("host", "hub"), ("x-forwarded-proto", "https, http")], ""), "https://hub");
        let inner = ("host", "10.0.0.7:8484");
        assert_eq!(of(&[inner, ("x-forwarded-host", "hub.example, proxy.local")], ""), "http://hub.example");
        assert_eq!(of(&[inner, ("x-forwarded-host", "\"><x")], ""), "http://10.0.0.7:8484");
        assert_eq!(of(&[("host", "hub")], "https://models.example/hub"), "https://models.example/hub");
        assert_eq!(of(&[("host", "hub/\"><x")], ""), "");
    }
}
