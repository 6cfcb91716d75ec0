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

    /// Reads the `Location` of an answer to `from`. Relative ones are followed; what `lead` does
    /// not let through is refused.
    pub(super) fn redirect(&self, from: &Url, headers: &HeaderMap) -> Result<Target> {
        let refuse = |why: &str| Error::Protocol(format!("redirect refused: {why}"));
        let Some(location) = headers.get("location").and_then(|v| v.to_str().ok()) else {
            return Err(refuse("no valid Location"));
        };
        let Ok(url) = from.join(location) else { return Err(refuse("Location is not a URL")) };
        self.lead(from, url).map_err(|why| refuse(&why))
    }

    /// Whether an answer to `from` may lead to `url`. Other schemes, credentials, a step from https
    /// to http and hosts that are not listed are refused; the error says why.
    pub(super) fn lead(&self, from: &Url, url: Url) -> Result<Target, String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("not http or https".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL contains credentials".into());
        }
        if from.scheme() == "https" && url.scheme() == "http" {
            return Err("from https to http".into());
        }
        if self.is_origin(&url) {
            return Ok(Target::Origin(url));
        }
        let host = url.host_str().unwrap_or_default();
        if self.is_listed(host) {
            return Ok(Target::Cdn(url));
        }
        Err(format!("{host} is not in upstream.cdn_hosts"))
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
