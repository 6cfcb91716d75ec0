//! What the types of the settings cannot say.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use url::Url;

use super::{Config, DownloadHost};
use crate::domain::Hours;
use crate::telemetry;

/// A setting that cannot be used; the text says why, and what was expected.
pub(super) struct Wrong {
    pub(super) key: &'static str,
    pub(super) text: String,
}

pub(super) fn fail<T>(key: &'static str, text: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { key, text: text.into() })
}

impl Config {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let upstream = web_address("upstream.url", &self.upstream.url)?;
        if !self.hub.public_url.is_empty() {
            let public = web_address("hub.public_url", &self.hub.public_url)?;
            let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
            if public.origin() == upstream.origin() && path(&public) == path(&upstream) {
                return is_own_address(&self.upstream.url);
            }
        }
        if is_at(&upstream, self.hub.listen) {
            return is_own_address(&self.upstream.url);
        }
        download_hosts("upstream.cdn_hosts", &self.upstream.cdn_hosts)?;
        hosts("admin.hosts", &self.admin.hosts)?;
        if meet(self.hub.listen, self.admin.listen) {
            return fail(
                "admin.listen",
                format!(
                    "admin.listen is {}, which conflicts with hub.listen ({}); use different ports",
                    self.admin.listen, self.hub.listen
                ),
            );
        }
        if let Some(token) = self.admin.token.get() {
            secret("admin.token", token)?;
        } else if !self.admin.listen.ip().is_loopback() {
            return fail(
                "admin.listen",
                format!(
                    "admin.listen is {}, which other machines can reach: set admin.token (MODELHUB_ADMIN_TOKEN), or listen on \
                     127.0.0.1",
                    self.admin.listen
                ),
            );
        }
        if let Some(url) = self.database.url.get()
            && !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
        {
            // The address may hold a password.
            return fail(
                "database.url",
                "database.url is of an unknown kind; expected sqlite:/path/to/file.db or postgres://user:password@host/name",
            );
        }
        self.store.read_keeping()?;
        self.check_object()?;
        self.check_work()?;
        telemetry::filter(&self.log.level).map(|_| ()).or_else(|text| fail("log.level", text))
    }

    fn check_object(&self) -> Result<(), Wrong> {
        let object = &self.object;
        if !object.url.is_empty() {
            let is_prefix = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
            let place = object.place().filter(|(bucket, prefix)| {
                !bucket.contains(['?', '#', '@', ':']) && prefix.chars().all(is_prefix) && !prefix.contains("//")
            });
            if place.is_none() {
                let rule = "expected a bucket, and a prefix of letters, digits and -_./ if there is to be one: \
                            s3://bucket or s3://bucket/prefix";
                return fail("object.url", format!("object.url is `{}`; {rule}", object.url));
            }
        }
        if !object.endpoint.is_empty() {
            let url = web_address("object.endpoint", &object.endpoint)?;
            // It is shown wherever the object store is named.
            if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
                let rule = "expected the address of a service without credentials or a query; keys are set by \
                            object.access_key_id and object.secret_access_key_file";
                return fail("object.endpoint", format!("object.endpoint holds more than an address; {rule}"));
            }
        }
        match (object.access_key_id.is_empty(), object.secret_access_key.get()) {
            (false, None) => fail(
                "object.access_key_id",
                "object.access_key_id is set without its secret; set object.secret_access_key_file as well",
            ),
            (true, Some(_)) => fail(
                "object.secret_access_key",
                "object.secret_access_key is set without its key id; set object.access_key_id as well",
            ),
            _ => Ok(()),
        }
    }

    fn check_work(&self) -> Result<(), Wrong> {
        if let Some(token) = self.worker.token.get() {
            secret("worker.token", token)?;
        }
        if !self.worker.address.is_empty() {
            web_address("worker.address", &self.worker.address)?;
        }
        if !self.jobs.hours.is_empty() {
            Hours::parse(&self.jobs.hours).or_else(|error| fail("jobs.hours", format!("jobs.hours: {error}")))?;
        }
        if !(1..=64).contains(&self.jobs.max_downloads) {
            return fail(
                "jobs.max_downloads",
                format!("jobs.max_downloads is {}; expected 1 to 64", self.jobs.max_downloads),
            );
        }
        if self.jobs.max_downloads_per_worker > 64 {
            let max = self.jobs.max_downloads_per_worker;
            let text = format!("jobs.max_downloads_per_worker is {max}: use 1 to 64, or 0 for no limit of its own");
            return fail("jobs.max_downloads_per_worker", text);
        }
        if self.jobs.lease.duration() < Duration::from_secs(3) {
            return fail("jobs.lease", "jobs.lease is too short; expected at least 3s, as it is renewed every second");
        }
        if self.jobs.keep.duration() < Duration::from_secs(60) {
            return fail(
                "jobs.keep",
                "jobs.keep is too short; expected at least 1m, so that the outcome of a job can be seen",
            );
        }
        let (every, day) = (self.scrub.every.duration(), Duration::from_secs(86_400));
        if !every.is_zero() && !(day / 24..=day * 3650).contains(&every) {
            return fail("scrub.every", "scrub.every is invalid; expected 1h to 3650d, such as 30d, or 0 for never");
        }
        if !(1..=100).contains(&self.scrub.share) {
            return fail("scrub.share", format!("scrub.share is {}; expected 1 to 100 (percent)", self.scrub.share));
        }
        if !(64 * 1024..=1 << 30).contains(&self.flight.segment_size.bytes()) {
            return fail("flight.segment_size", "flight.segment_size is invalid; expected 64KiB to 1GiB");
        }
        for (key, number) in [
            ("flight.connections", self.flight.connections),
            ("flight.total_connections", self.flight.total_connections),
            ("flight.attempts", self.flight.attempts as usize),
            ("hub.max_connections", self.hub.max_connections),
            ("hub.max_connections_per_peer", self.hub.max_connections_per_peer),
        ] {
            if number == 0 {
                return fail(key, format!("{key} is 0; expected at least 1"));
            }
        }
        Ok(())
    }
}

fn secret(key: &'static str, token: &str) -> Result<(), Wrong> {
    if token.len() < 32 {
        let text = format!("{key} is too short; expected at least 32 characters, e.g. from `openssl rand -hex 32`");
        return fail(key, text);
    }
    Ok(())
}

fn web_address(key: &'static str, text: &str) -> Result<Url, Wrong> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => Ok(url),
        _ => fail(
            key,
            format!("{key} is `{text}`; expected an http:// or https:// URL with a host, such as http://host:8486"),
        ),
    }
}

fn is_own_address(upstream: &str) -> Result<(), Wrong> {
    let text = format!(
        "upstream.url is {upstream}, which is this hub's own address; expected the hub to read from, such as https://huggingface.co"
    );
    fail("upstream.url", text)
}

/// Whether an address leads to what listens at `listen` on this machine, as far as it says so itself.
fn is_at(url: &Url, listen: SocketAddr) -> bool {
    let (here, ip) = (
        listen.ip(),
        match url.host() {
            Some(url::Host::Domain("localhost")) => None,
            Some(url::Host::Ipv4(ip)) => Some(IpAddr::from(ip)),
            Some(url::Host::Ipv6(ip)) => Some(IpAddr::from(ip)),
            _ => return false,
        },
    );
    let is_there = match ip {
        None => here.is_unspecified() || here.is_loopback(),
        Some(ip) => ip == here || (ip.is_loopback() && here.is_unspecified()),
    };
    is_there && url.port_or_known_default() == Some(listen.port())
}

/// Whether two listeners would want the same port.
fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_ip
}

fn download_hosts(key: &'static str, hosts: &[String]) -> Result<(), Wrong> {
    match hosts.iter().find(|host| DownloadHost::parse(host).is_none()) {
        None => Ok(()),
        Some(host) => fail(
            key,
            format!(
                "{key} contains `{host}`; expected hosts without scheme or path, such as cdn.example.com, *.example.com or \
                 cdn.example.com:8443"
            ),
        ),
    }
}

/// Names or addresses.
fn hosts(key: &'static str, hosts: &[String]) -> Result<(), Wrong> {
    for host in hosts {
        let is_name = !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
        let address = host.trim_start_matches('[').trim_end_matches(']');
        if !is_name && address.parse::<IpAddr>().is_err() {
            let text = format!(
                "{key} contains `{host}`; expected host names without scheme, port or path, such as models.example.com"
            );
            return fail(key, text);
        }
    }
    Ok(())
}
