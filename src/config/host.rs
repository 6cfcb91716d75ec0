//! Hosts that upstream may send downloads to, as `upstream.cdn_hosts` lists them.

use std::net::IpAddr;

use url::{Host, Url};

/// `cdn.example`, an address, or `*.example` for every sub-domain; each perhaps with a port.
///
/// Without a port, what is named exactly may be reached on any, as the operator means that one machine; of
/// `*.example`, which anybody may be behind, only the port that goes without saying (`Url::port` is `None`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadHost {
    name: Name,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Exactly(Host),
    Below(String),
}

impl DownloadHost {
    /// `None` for what is none: a scheme, a path, an unknown port.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
            return Some(Self { name: Name::Exactly(Host::Ipv6(address)), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok().filter(|port| *port > 0)?)),
            _ => (text, None),
        };
        let domain = host.strip_prefix("*.");
        let name = match Host::parse(domain.unwrap_or(host)).ok()? {
            Host::Domain(name) if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_')) => None,
            Host::Domain(name) if domain.is_some() => Some(Name::Below(name)),
            // There is nothing below an address.
            _ if domain.is_some() => None,
            host => Some(Name::Exactly(host)),
        };
        Some(Self { name: name?, port })
    }

    /// Whether the host of a URL is meant, whatever its port.
    pub fn names(&self, host: &Host<&str>) -> bool {
        match (&self.name, host) {
            // `*.hf.co` means `us.aws.cdn.hf.co` and not `hf.co`.
            (Name::Below(domain), Host::Domain(name)) => {
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Name::Below(_), _) => false,
            (Name::Exactly(own), other) => match (own, other) {
                (Host::Domain(own), Host::Domain(other)) => own == other,
                (Host::Ipv4(own), Host::Ipv4(other)) => own == other,
                (Host::Ipv6(own), Host::Ipv6(other)) => own == other,
                _ => false,
            },
        }
    }

    /// Whether a URL may be reached by this entry.
    pub fn admits(&self, url: &Url) -> bool {
        let port = match (self.port, &self.name) {
            (Some(port), _) => url.port_or_known_default() == Some(port),
            (None, Name::Exactly(_)) => true,
            (None, Name::Below(_)) => url.port().is_none(),
        };
        port && url.host().is_some_and(|host| self.names(&host))
    }

    /// The address, if that is what is listed.
    pub fn address(&self) -> Option<IpAddr> {
        match self.name {
            Name::Exactly(Host::Ipv4(address)) => Some(address.into()),
            Name::Exactly(Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_admits_what_it_names_on_its_ports() {
        for (entry, admitted, refused) in [
            ("cdn.example", vec!["https://cdn.example/x", "http://CDN.example:8080/x"], vec!["https://a.cdn.example/"]),
            ("cdn.example:8443", vec!["https://cdn.example:8443/x"], vec!["https://cdn.example/x"]),
            ("cdn.example:443", vec!["https://cdn.example/x"], vec!["http://cdn.example/x"]),
            (
                "*.cdn.example",
                vec!["https://eu.cdn.example/x", "http://a.b.cdn.example/x"],
                vec!["https://cdn.example/", "https://evilcdn.example/", "https://eu.cdn.example:22/"],
            ),
            ("*.cdn.example:81", vec!["http://eu.cdn.example:81/"], vec!["http://eu.cdn.example/"]),
            // However an address is written, it is that address.
            (
                "127.0.0.1",
                vec!["http://127.0.0.1:9/", "http://0x7f.1/"],
                vec!["http://127.0.0.2/", "http://localhost/"],
            ),
            ("[::1]", vec!["http://[::1]:9/", "http://[0:0::1]/"], vec!["http://[::ffff:127.0.0.1]/"]),
            ("::1", vec!["http://[::1]/"], vec!["http://[::2]/"]),
            ("[::1]:80", vec!["http://[::1]/"], vec!["http://[::1]:81/"]),
            ("*.0.0.example", vec![], vec!["http://10.0.0.1/"]),
        ] {
            let host = DownloadHost::parse(entry).unwrap();
            for url in admitted {
                assert!(host.admits(&Url::parse(url).unwrap()), "{entry} admits {url}");
            }
            for url in refused {
                assert!(!host.admits(&Url::parse(url).unwrap()), "{entry} refuses {url}");
            }
        }
        for wrong in
            ["", "*", "*.", "https://cdn.example", "cdn.example/x", "cdn.example:", "cdn.example:0", "a:b:1", "*.1"]
        {
            assert_eq!(DownloadHost::parse(wrong), None, "{wrong}");
        }
    }
}
