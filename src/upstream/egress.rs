//! Where calls may go: to upstream, and to listed download hosts.
//!
//! One gate for every request. It checks scheme, credentials, host and port of a URL, and makes an [`Allowed`] of
//! it, without which no request can be made (`exits.rs`). What a name then leads to is the resolver's to check.

use reqwest::header::HeaderMap;
use url::Url;

use super::{Error, Result};
use crate::config::DownloadHost;

/// The configured origin and the hosts that it may send downloads to.
#[derive(Clone)]
pub(super) struct Egress {
    base: Url,
    listed: Vec<DownloadHost>,
}

/// A URL that may be asked.
#[derive(Clone)]
pub(super) struct Allowed(Url);

impl Allowed {
    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// A URL whose path continues this one's. Not `Url::join`: it may have a path prefix.
    pub(super) fn below(&self, path: &str) -> Result<Self> {
        let text = format!("{}{path}", self.0.as_str().trim_end_matches('/'));
        match Url::parse(&text) {
            // What does not begin with a slash could go on with the host or the port.
            Ok(url) if path.starts_with('/') && url.origin() == self.0.origin() => Ok(Self(url)),
            Ok(_) => Err(Error::Protocol("invalid path: it does not begin with a slash".into())),
            Err(error) => Err(Error::Protocol(format!("invalid path: {error}"))),
        }
    }
}

/// Where a redirect leads.
pub(super) enum Target {
    /// The configured origin: the token goes along.
    Origin(Allowed),
    /// A listed download host: it never sees the token.
    Cdn(Allowed),
}

impl Egress {
    pub(super) fn new(base: Url, cdn_hosts: &[String]) -> Self {
        // The settings checked them.
        Self { base, listed: cdn_hosts.iter().filter_map(|host| DownloadHost::parse(host)).collect() }
    }

    pub(super) fn listed(&self) -> &[DownloadHost] {
        &self.listed
    }

    /// The configured URL itself.
    pub(super) fn base(&self) -> Allowed {
        Allowed(self.base.clone())
    }

    pub(super) fn is_origin(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Reads the `Location` of an answer to `from`. Relative ones are followed; what `lead` does
    /// not let through is refused.
    pub(super) fn redirect(&self, from: &Allowed, headers: &HeaderMap) -> Result<Target> {
        let refuse = |why: &str| Error::Protocol(format!("redirect refused: {why}"));
        let Some(location) = headers.get("location").and_then(|v| v.to_str().ok()) else {
            return Err(refuse("no valid Location"));
        };
        let Ok(url) = from.0.join(location) else { return Err(refuse("Location is not a URL")) };
        self.lead(from, url).map_err(|why| Error::NotAllowed(format!("redirect refused: {why}")))
    }

    /// Whether an answer to `from` may lead to `url`; if not, the error says why. Refused are other schemes,
    /// credentials, a step from https to http, hosts that are not listed, and ports that were not meant: of upstream's
    /// own host only upstream's and that of the scheme, unless the list says more ([`DownloadHost`]).
    pub(super) fn lead(&self, from: &Allowed, url: Url) -> Result<Target, String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("not http or https".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL contains credentials".into());
        }
        if from.0.scheme() == "https" && url.scheme() == "http" {
            return Err("from https to http".into());
        }
        if self.is_origin(&url) {
            return Ok(Target::Origin(Allowed(url)));
        }
        let is_usual = url.port().is_none() || url.port_or_known_default() == self.base.port_or_known_default();
        let is_own = url.host() == self.base.host();
        if is_own && is_usual || self.listed.iter().any(|host| host.admits(&url)) {
            return Ok(Target::Cdn(Allowed(url)));
        }
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        if self.names(&url) {
            return Err(format!(
                "port {port} of {host} is not allowed; if downloads come from there, add {host}:{port} to upstream.cdn_hosts"
            ));
        }
        Err(format!("{host} is not in upstream.cdn_hosts"))
    }

    /// Whether a URL's host is one that clients must not be sent to, whatever the port.
    pub(super) fn names(&self, url: &Url) -> bool {
        url.host().is_some_and(|host| {
            self.base.host() == Some(host.clone()) || self.listed.iter().any(|own| own.names(&host))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_from(base: &str, listed: &[&str], location: &str) -> Option<&'static str> {
        let listed: Vec<String> = listed.iter().map(|host| (*host).to_owned()).collect();
        let egress = Egress::new(Url::parse(base).unwrap(), &listed);
        let mut headers = HeaderMap::new();
        headers.insert("location", location.parse().unwrap());
        match egress.redirect(&egress.base().below("/a/b").unwrap(), &headers) {
            Ok(Target::Origin(_)) => Some("origin"),
            Ok(Target::Cdn(_)) => Some("cdn"),
            Err(_) => None,
        }
    }

    fn leads(location: &str) -> Option<&'static str> {
        leads_from("https://hub.example/", &["*.cdn.example"], location)
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
            "https://[::ffff:169.254.169.254]/latest",
            "https://2852039166/latest",
            "https://localhost/x",
            "https://hub.example./x",
            "ftp://eu.cdn.example/x",
            "https://eu.cdn.example.evil.org/x",
            "https://hub.example:22/x",
            "https://hub.example:8443/x",
            "https://eu.cdn.example:9200/x",
        ] {
            assert_eq!(leads(bad), None, "{bad}");
        }
    }

    #[test]
    fn other_ports_are_reached_if_they_are_listed() {
        let at = |listed: &[&str], location: &str| leads_from("http://127.0.0.1:8490", listed, location);
        assert_eq!(at(&[], "http://127.0.0.1:8490/x"), Some("origin"));
        assert_eq!(at(&[], "http://127.0.0.1:8491/x"), None);
        assert_eq!(at(&[], "https://127.0.0.1:8490/x"), Some("cdn"));
        assert_eq!(at(&["127.0.0.1"], "http://127.0.0.1:8491/x"), Some("cdn"));
        assert_eq!(at(&["127.0.0.1:8491"], "http://127.0.0.1:8491/x"), Some("cdn"));
        assert_eq!(at(&["127.0.0.1:8491"], "http://127.0.0.1:8492/x"), None);
        let own = |listed: &[&str], location: &str| leads_from("https://hub.example", listed, location);
        assert_eq!(own(&["hub.example:8443"], "https://hub.example:8443/x"), Some("cdn"));
        assert_eq!(own(&["*.cdn.example:8443"], "https://eu.cdn.example:8443/x"), Some("cdn"));
        assert_eq!(own(&["*.cdn.example:8443"], "https://eu.cdn.example/x"), None);
    }

    #[test]
    fn a_path_never_becomes_a_host() {
        let base = Egress::new(Url::parse("https://hub.example/prefix/").unwrap(), &[]).base();
        assert_eq!(base.below("/api/x?a=b").unwrap().url().as_str(), "https://hub.example/prefix/api/x?a=b");
        let base = Egress::new(Url::parse("https://hub.example").unwrap(), &[]).base();
        for bad in [".evil.org/x", "@evil.org/x", ":22/x", "x", ""] {
            assert!(base.below(bad).is_err(), "{bad}");
        }
    }
}
