//! The way to upstream: the proxy, if there is one, and whom TLS trusts.
//!
//! Steps of `Proxies::read`: `upstream.proxy` if it is set, else the variables that curl reads → the address and its
//! credentials apart, as only the address may be shown → the hosts that are reached directly. Steps of `Tls::read`: the
//! files are read and understood here, so that `config check` refuses what TLS would refuse.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use super::check::{Wrong, fail};
use super::{Secret, Upstream};

/// `upstream.proxy` for "whatever the environment says, none".
const NONE: &str = "none";
/// The environment's variables, in curl's order: the lower case first.
pub(super) const VARIABLES: [&str; 8] =
    ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"];
/// This machine is not behind a proxy that the environment names for the outside.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

/// `upstream.proxy` as people may see it.
pub(super) fn shown(text: &str) -> String {
    match Proxy::parse(text, String::new()) {
        _ if text == NONE => NONE.into(),
        Some((proxy, _)) if proxy.has_credentials => proxy.address.replacen("://", "://***@", 1),
        Some((proxy, _)) => proxy.address,
        None => "***".into(),
    }
}

/// A proxy, and where it was set.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Without credentials: what people are shown.
    address: String,
    /// With them: what the HTTP client is given.
    url: Secret,
    host: String,
    has_credentials: bool,
    source: String,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl Proxy {
    /// `source` names the key or variable.
    fn parse(text: &str, source: String) -> Option<(Self, Url)> {
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut url = Url::parse(&text).ok()?;
        let is_known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
        let host = url.host_str().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        if !is_known || !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return None;
        }
        if url.scheme().starts_with("socks") && url.port().is_none() {
            url.set_port(Some(1080)).ok()?;
        }
        let mut shown = url.clone();
        shown.set_username("").ok()?;
        shown.set_password(None).ok()?;
        let address = shown.as_str().trim_end_matches('/').to_owned();
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        Some((Self { address, url: Secret::new(url.as_str()), host, has_credentials, source }, url))
    }

    fn with_credentials(self, mut url: Url, user: &str, password: &str) -> Option<Self> {
        url.set_username(user).ok()?;
        url.set_password(Some(password)).ok()?;
        Some(Self { url: Secret::new(url.as_str()), has_credentials: true, ..self })
    }

    /// The URL with its credentials, for the HTTP client alone.
    pub fn url(&self) -> &str {
        self.url.get().unwrap_or_default()
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn has_credentials(&self) -> bool {
        self.has_credentials
    }

    /// The file and line, or the variable, that names it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it reads what is asked of `http://` addresses.
    pub fn reads_http(&self) -> bool {
        self.address.starts_with("http")
    }
}

/// The proxies of `http://` and of `https://` addresses.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    pub http: Option<Proxy>,
    pub https: Option<Proxy>,
    /// Hosts that are reached without them, separated by commas; a name means those below it too.
    pub direct: String,
}

impl Proxies {
    /// `source` says where a key was set; `variables` are those of the environment.
    pub(super) fn read(
        upstream: &Upstream,
        source: impl Fn(&str) -> String,
        variables: &HashMap<&'static str, Secret>,
    ) -> Result<Self, Wrong> {
        let mut direct = direct(&upstream.no_proxy)?;
        let credentials = credentials(upstream)?;
        if let Some(text) = upstream.proxy.get() {
            if text == NONE {
                return Ok(Self::default());
            }
            let wrong = || Wrong { key: "upstream.proxy", text: not_a_proxy("upstream.proxy") };
            let (mut proxy, url) = Proxy::parse(text, source("upstream.proxy")).ok_or_else(wrong)?;
            if let Some((user, password)) = credentials {
                if proxy.has_credentials {
                    let text = "upstream.proxy_user is set, and upstream.proxy contains credentials too; keep only one";
                    return fail("upstream.proxy_user", text);
                }
                proxy = proxy.with_credentials(url, user, password).ok_or_else(wrong)?;
            }
            return Ok(Self { http: Some(proxy.clone()), https: Some(proxy), direct });
        }
        if credentials.is_some() {
            return fail("upstream.proxy_user", "upstream.proxy_user is set, and upstream.proxy is not");
        }
        let first = |names: &[&'static str]| {
            let Some((name, text)) = names.iter().find_map(|name| Some((*name, variables.get(name)?.get()?))) else {
                return Ok(None);
            };
            match Proxy::parse(text, name.to_owned()) {
                Some((proxy, _)) => Ok(Some(proxy)),
                None => Err(Wrong {
                    key: name,
                    text: format!("{}; upstream.proxy = \"none\" ignores it", not_a_proxy(name)),
                }),
            }
        };
        let http = first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?;
        let https = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?;
        let listed = ["no_proxy", "NO_PROXY"].iter().find_map(|name| variables.get(name)?.get());
        for more in listed.into_iter().chain([THIS_MACHINE]) {
            direct.push(',');
            // As in the setting, `*.example` means what `.example` does.
            direct.push_str(&more.replace("*.", "."));
        }
        Ok(Self { http, https, direct })
    }

    /// Those that there are, each once.
    pub fn all(&self) -> impl Iterator<Item = &Proxy> {
        let other = self.http.as_ref().filter(|http| self.https.as_ref().is_none_or(|https| https.url() != http.url()));
        self.https.iter().chain(other)
    }
}

/// `key` is a setting's or a variable. Its value is not shown, as it may hold a password.
fn not_a_proxy(key: &str) -> String {
    format!(
        "{key} is not the address of a proxy; expected http://, https://, socks5h:// or socks5:// with a host and a port, such \
         as http://proxy.example.com:3128"
    )
}

fn credentials(upstream: &Upstream) -> Result<Option<(&str, &str)>, Wrong> {
    match (upstream.proxy_user.as_str(), upstream.proxy_password.get()) {
        ("", None) => Ok(None),
        ("", Some(_)) => fail("upstream.proxy_user", "upstream.proxy_password is set, and upstream.proxy_user is not"),
        (user, _) if user.contains(':') => {
            fail("upstream.proxy_user", "upstream.proxy_user contains a colon, which no user of a proxy may (RFC 7617)")
        }
        (user, password) => Ok(Some((user, password.unwrap_or_default()))),
    }
}

/// `upstream.no_proxy`, as the HTTP client reads it.
fn direct(hosts: &[String]) -> Result<String, Wrong> {
    let is_name =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
    let is_net = |text: &str| {
        let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
        address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| bits.parse::<u8>().is_ok_and(|bits| bits <= if ip.is_ipv4() { 32 } else { 128 }))
    };
    let mut direct = Vec::new();
    for host in hosts {
        let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        if host != "*" && !is_name(name) && !is_net(host) {
            let text = format!(
                "upstream.no_proxy contains `{host}`; expected hosts, addresses or networks without scheme and port, such as \
                 models.example.com, .example.com or 10.0.0.0/8"
            );
            return fail("upstream.no_proxy", text);
        }
        direct.push(name);
    }
    Ok(direct.join(","))
}

/// What TLS to upstream and to an `https://` proxy knows besides the system's authorities.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Authorities that are trusted too, as PEM.
    pub authorities: Vec<u8>,
    /// This hub's own certificate and its key, as PEM.
    pub identity: Secret,
}

impl Tls {
    pub(super) fn read(upstream: &Upstream) -> Result<Self, Wrong> {
        let mut tls = Self::default();
        if !upstream.ca_file.as_os_str().is_empty() {
            tls.authorities = read("upstream.ca_file", &upstream.ca_file)?;
            let mut trusted = rustls::RootCertStore::empty();
            for certificate in certificates("upstream.ca_file", &upstream.ca_file, &tls.authorities)? {
                trusted.add(certificate).or_else(|error| {
                    let path = upstream.ca_file.display();
                    fail(
                        "upstream.ca_file",
                        format!("upstream.ca_file: {path} has a certificate that is not valid: {error}"),
                    )
                })?;
            }
        }
        let (certificate, key) = (&upstream.client_cert_file, &upstream.client_key_file);
        match (certificate.as_os_str().is_empty(), key.as_os_str().is_empty()) {
            (true, true) => {}
            (false, false) => tls.identity = identity(certificate, key)?,
            (true, false) => {
                return fail(
                    "upstream.client_key_file",
                    "upstream.client_key_file is set, and upstream.client_cert_file is not",
                );
            }
            (false, true) => {
                return fail(
                    "upstream.client_cert_file",
                    "upstream.client_cert_file is set, and upstream.client_key_file is not",
                );
            }
        }
        Ok(tls)
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, Wrong> {
    std::fs::read(path).or_else(|error| fail(key, format!("{key}: cannot read {}: {error}", path.display())))
}

fn certificates(key: &'static str, path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => fail(key, format!("{key}: {} holds no certificate; expected PEM, with BEGIN CERTIFICATE", path.display())),
    }
}

/// A certificate with its chain, and the key that belongs to it.
fn identity(certificate: &Path, key: &Path) -> Result<Secret, Wrong> {
    let (certificate_key, key_key) = ("upstream.client_cert_file", "upstream.client_key_file");
    let mut pem = read(certificate_key, certificate)?;
    let chain = certificates(certificate_key, certificate, &pem)?;
    let key_pem = read(key_key, key)?;
    let Ok(private) = PrivateKeyDer::from_pem_slice(&key_pem) else {
        let text = format!("{key_key}: {} holds no private key; expected PEM without a passphrase", key.display());
        return fail(key_key, text);
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    rustls::sign::CertifiedKey::from_der(chain, private, &provider).or_else(|error| {
        let (key, certificate) = (key.display(), certificate.display());
        fail(key_key, format!("{key_key}: {key} is not the key of {certificate}: {error}"))
    })?;
    pem.push(b'\n');
    pem.extend(key_pem);
    let pem = String::from_utf8(pem);
    pem.map(Secret::new).or_else(|_| fail(certificate_key, format!("{certificate_key}: expected PEM, which is ASCII")))
}
