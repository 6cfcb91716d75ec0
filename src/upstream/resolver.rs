//! Names become addresses, of which only those are let through that a connection may go to.
//!
//! What a resolution returns is what is connected to, so a name that means another address a moment later changes
//! nothing. Private addresses (`address.rs`) are let through for a private upstream, and those that `upstream.cdn_hosts`
//! lists themselves. Upstream is private if its URL names a private address, or a name that has only ever led to such:
//! once it has led to the open internet, a private answer is not its own. Literal addresses in URLs are not
//! resolved; the egress lets through only those that are listed or upstream's own.
//!
//! A proxy's own name leads where it leads: the operator has set it. What is asked through it is not resolved here.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::address::is_public;
use crate::config::{DownloadHost, Proxies};

/// A name's addresses, as the system or a test says.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The system's own resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    })
}

/// A name led to private addresses only, where upstream is a public host.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{name} leads to {address}, which is not a public address; if downloads do come from there, add {address} to \
     upstream.cdn_hosts"
)]
pub(super) struct AddressRefused {
    name: String,
    address: IpAddr,
}

#[derive(Clone)]
pub(super) struct Resolver(Arc<Inner>);

struct Inner {
    lookup: Lookup,
    listed: Vec<IpAddr>,
    /// Names of proxies.
    proxies: Vec<String>,
    /// Upstream's name, unless it is an address.
    own: Option<String>,
    /// Upstream is private, as far as is known.
    is_private: AtomicBool,
    /// Upstream's name has led to the open internet.
    was_public: AtomicBool,
}

impl Resolver {
    pub(super) fn new(base: &Url, listed: &[DownloadHost], proxies: &Proxies, lookup: Lookup) -> Self {
        let (own, is_private) = match base.host() {
            Some(Host::Domain(name)) => (Some(name.to_owned()), false),
            Some(Host::Ipv4(address)) => (None, !is_public(address.into())),
            Some(Host::Ipv6(address)) => (None, !is_public(address.into())),
            None => (None, false),
        };
        let listed = listed.iter().filter_map(DownloadHost::address).collect();
        Self(Arc::new(Inner {
            lookup,
            listed,
            proxies: proxies.all().map(|proxy| proxy.host().to_owned()).collect(),
            own,
            is_private: AtomicBool::new(is_private),
            was_public: AtomicBool::new(false),
        }))
    }
}

impl Inner {
    /// Leaves out the addresses that must not be reached. The order stays the resolver's.
    fn allowed(&self, name: &str, found: &[IpAddr]) -> Result<Vec<IpAddr>, AddressRefused> {
        if self.proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(name)) {
            return Ok(found.to_vec());
        }
        if self.own.as_deref() == Some(name) {
            if found.iter().any(|address| is_public(*address)) {
                self.was_public.store(true, Ordering::Relaxed);
            }
            let is_private = !found.is_empty() && !self.was_public.load(Ordering::Relaxed);
            self.is_private.store(is_private, Ordering::Relaxed);
        }
        let private = self.is_private.load(Ordering::Relaxed);
        let may = |address: &&IpAddr| private || is_public(**address) || self.listed.contains(address);
        let allowed: Vec<IpAddr> = found.iter().filter(may).copied().collect();
        match found.first() {
            Some(address) if allowed.is_empty() => Err(AddressRefused { name: name.to_owned(), address: *address }),
            _ => Ok(allowed),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let found = (inner.lookup)(name.as_str().to_owned()).await?;
            let allowed = inner.allowed(name.as_str(), &found)?;
            // The port is the URL's.
            Ok(Box::new(allowed.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::egress::{Allowed, Egress, Target};
    use crate::upstream::exits::Exits;

    fn resolver(base: &str, listed: &[&str]) -> Resolver {
        let listed: Vec<DownloadHost> = listed.iter().map(|host| DownloadHost::parse(host).unwrap()).collect();
        Resolver::new(&Url::parse(base).unwrap(), &listed, &Proxies::default(), system())
    }

    fn finds(resolver: &Resolver, name: &str, found: &[&str]) -> Option<Vec<String>> {
        let found: Vec<IpAddr> = found.iter().map(|address| address.parse().unwrap()).collect();
        let allowed = resolver.0.allowed(name, &found).ok()?;
        Some(allowed.iter().map(ToString::to_string).collect())
    }

    fn some(addresses: &[&str]) -> Option<Vec<String>> {
        Some(addresses.iter().map(|address| (*address).to_owned()).collect())
    }

    #[test]
    fn behind_a_public_upstream_no_name_leads_to_a_private_address() {
        let resolver = resolver("https://hub.example", &["*.cdn.example", "cdn.example", "10.1.1.1"]);
        // Before upstream's own name was ever resolved, too.
        assert_eq!(finds(&resolver, "cdn.example", &["10.0.0.1"]), None);
        assert_eq!(finds(&resolver, "hub.example", &["8.8.8.8", "10.0.0.1"]), some(&["8.8.8.8"]));
        for _ in 0..2 {
            for private in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fd00::1"] {
                assert_eq!(finds(&resolver, "eu.cdn.example", &[private]), None, "{private}");
                assert_eq!(finds(&resolver, "cdn.example", &[private]), None, "{private}");
                assert_eq!(finds(&resolver, "hub.example", &[private]), None, "{private}");
            }
            assert_eq!(finds(&resolver, "eu.cdn.example", &["127.0.0.1", "8.8.4.4"]), some(&["8.8.4.4"]));
            // An address that the operator lists is meant.
            assert_eq!(finds(&resolver, "eu.cdn.example", &["10.1.1.1"]), some(&["10.1.1.1"]));
        }
    }

    /// A name that leads to each of these, one after the other, and to the last for ever.
    fn flips(answers: &'static [&'static str]) -> Lookup {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        Arc::new(move |_| {
            let at = asked.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
            let address = answers[at].parse().unwrap();
            Box::pin(async move { Ok(vec![address]) })
        })
    }

    #[tokio::test]
    async fn a_name_that_becomes_private_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://hub.example:{}", listener.local_addr().unwrap().port())).unwrap();
        let config = crate::config::Config::load(None, std::iter::empty(), &[]).unwrap().upstream;
        let egress = Egress::new(base.clone(), &["cdn.example".into()]);
        let ask = |url: Allowed, answers| {
            let resolver = Resolver::new(&base, egress.listed(), &Proxies::default(), flips(answers));
            let exits = Exits::new(&config, &resolver).unwrap();
            async move {
                // The first answer is taken without a connection: none of these hosts is asked by a test.
                let _ = resolver.resolve("hub.example".parse().unwrap()).await;
                for _ in 0..2 {
                    let error = exits.bytes(&url).send().await.unwrap_err();
                    let error = super::super::Error::network(&error).to_string();
                    assert!(error.contains("leads to 127.0.0.1, which is not a public address"), "{error}");
                }
            }
        };
        ask(egress.base(), &["8.8.8.8", "127.0.0.1"]).await;
        let elsewhere = base.as_str().replace("hub.example", "cdn.example").parse().unwrap();
        let Ok(Target::Cdn(cdn)) = egress.lead(&egress.base(), elsewhere) else { panic!("it is listed") };
        ask(cdn, &["8.8.8.8", "127.0.0.1"]).await;
        // Nobody has connected; and a name that has always been private is asked.
        let resolver = Resolver::new(&base, egress.listed(), &Proxies::default(), flips(&["127.0.0.1"]));
        let exits = Exits::new(&config, &resolver).unwrap();
        let asked = tokio::spawn(async move { exits.bytes(&egress.base()).send().await });
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut start = [0; 4];
        tokio::io::AsyncReadExt::read_exact(&mut socket, &mut start).await.unwrap();
        assert_eq!(&start, b"GET ", "the first to connect is the one that may");
        asked.abort();
    }

    #[test]
    fn behind_a_private_upstream_private_addresses_are_fine() {
        for base in ["http://127.0.0.1:8490", "http://[fd00::1]", "http://10.0.0.1", "http://[::ffff:192.168.0.1]/"] {
            assert_eq!(finds(&resolver(base, &[]), "cdn.example", &["10.0.0.2"]), some(&["10.0.0.2"]), "{base}");
        }
        for (base, address) in [("http://localhost:8490", "127.0.0.1"), ("https://hub.corp", "10.0.0.1")] {
            let resolver = resolver(base, &[]);
            let name = Url::parse(base).unwrap().host_str().unwrap().to_owned();
            assert_eq!(finds(&resolver, &name, &[address]), some(&[address]));
            assert_eq!(finds(&resolver, "cdn.corp", &["10.0.0.2"]), some(&["10.0.0.2"]));
            // It turns out to be a host of the internet: a portal had answered in its name.
            assert_eq!(finds(&resolver, &name, &["8.8.8.8"]), some(&["8.8.8.8"]));
            assert_eq!(finds(&resolver, "cdn.corp", &["10.0.0.2"]), None);
            assert_eq!(finds(&resolver, &name, &[address]), None);
        }
        assert_eq!(finds(&resolver("https://8.8.8.8", &[]), "cdn.example", &["10.0.0.2"]), None);
    }
}
