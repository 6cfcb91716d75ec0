//! Where calls may go.

use reqwest::header::HeaderMap;
use url::Url;

use super::{Error, Result};

/// The configured origin and the hosts that it may send downloads to.
pub(super) struct Egress {
    base: Url,
    cdn_hosts: Vec<String>,
}

/// Where a redirect leads.
pub(super) enum Target {
    /// The configured origin: the token goes along.
    Origin(Url),
    /// A listed download host: it never sees the token.
    Cdn(Url),
}

impl Egress {
    pub(super) fn new(base: Url, cdn_hosts: Vec<String>) -> Self {
        Self { base, cdn_hosts }
    }

    pub(super) fn is_origin(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Reads the `Location` of an answer to `from`. Relative ones are followed; other schemes,
    /// credentials, a step from https to http and hosts that are not listed are refused.
    pub(super) fn redirect(&self, from: &Url, headers: &HeaderMap) -> Result<Target> {
        let refuse = |why: &str| Err(Error::Protocol(format!("its redirect is refused: {why}")));
        let Some(location) = headers.get("location").and_then(|v| v.to_str().ok()) else {
            return refuse("no usable Location");
        };
        let Ok(url) = from.join(location) else { return refuse("Location is no URL") };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("not http or https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("Location holds credentials");
        }
        if from.scheme() == "https" && url.scheme() == "http" {
            return refuse("from https to http");
        }
        if self.is_origin(&url) {
            return Ok(Target::Origin(url));
        }
        let host = url.host_str().unwrap_or_default();
        if self.base.host_str() == Some(host) || self.cdn_hosts.iter().any(|pattern| matches_host(pattern, host)) {
            return Ok(Target::Cdn(url));
        }
        Err(Error::Protocol(format!("its redirect is refused: upstream.cdn_hosts does not list {host}")))
    }

    /// Whether a URL's host is one that clients must not be sent to.
    pub(super) fn is_listed(&self, host: &str) -> bool {
        self.base.host_str() == Some(host) || self.cdn_hosts.iter().any(|pattern| matches_host(pattern, host))
    }
}

/// `*.hf.co` matches `us.aws.cdn.hf.co` and not `hf.co`.
fn matches_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => pattern == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(location: &str) -> Option<&'static str> {
        let base = Url::parse("https://hub.example/").unwrap();
        let egress = Egress::new(base.clone(), vec!["*.cdn.example".into()]);
        let mut headers = HeaderMap::new();
        headers.insert("location", location.parse().unwrap());
        match egress.redirect(&base.join("a/b").unwrap(), &headers) {
            Ok(Target::Origin(_)) => Some("origin"),
            Ok(Target::Cdn(_)) => Some("cdn"),
            Err(_) => None,
        }
    }

    #[test]
    fn redirects_go_to_listed_places_only() {
        assert_eq!(leads("/api/resolve-cache/x"), Some("origin"));
        assert_eq!(leads("https://hub.example/x"), Some("origin"));
        assert_eq!(leads("https://eu.cdn.example/x?Signature=1"), Some("cdn"));
        for bad in [
            "http://hub.example/x",
            "https://cdn.example/x",
            "https://evilcdn.example/x",
            "https://user:pw@eu.cdn.example/x",
            "https://169.254.169.254/latest",
            "ftp://eu.cdn.example/x",
            "https://eu.cdn.example.evil.org/x",
        ] {
            assert_eq!(leads(bad), None, "{bad}");
        }
    }
}
