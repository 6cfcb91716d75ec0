//! The sections of the settings and the types of their keys; config/modelhub.toml says what each means.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Proxies, Secret, Size, Span, Tls, Written};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubListener {
    pub listen: SocketAddr,
    pub public_url: String,
    pub max_connections: usize,
    pub max_connections_per_peer: usize,
    pub header_timeout: Span,
    pub write_timeout: Span,
    pub drain_timeout: Span,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminListener {
    pub listen: SocketAddr,
    pub hosts: Vec<String>,
    pub token: Secret,
    pub token_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    pub data_dir: PathBuf,
    pub limit: Size,
    /// `keep_free`, `pin`, `never` and `expire` are as they are written; `keeping` reads them.
    pub(super) keep_free: String,
    pub(super) pin: Vec<String>,
    pub(super) never: Vec<String>,
    pub(super) expire: Vec<String>,
    pub keep_used: Span,
    pub adopt: bool,
    /// The settings that `keeping` reads, as they were written.
    #[serde(skip)]
    pub written: Vec<Written>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    pub url: String,
    pub endpoint: String,
    pub region: String,
    pub path_style: bool,
    pub ca_file: PathBuf,
    pub access_key_id: String,
    pub secret_access_key: Secret,
    pub secret_access_key_file: PathBuf,
    pub abandon: bool,
}

impl Object {
    /// Bucket and prefix; `None` if no object store is set, or if that is none, which `check` has refused.
    pub fn place(&self) -> Option<(String, String)> {
        let rest = self.url.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        (!bucket.is_empty()).then(|| (bucket.to_owned(), prefix.trim_matches('/').to_owned()))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: Secret,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    pub url: String,
    pub token: Secret,
    pub token_file: PathBuf,
    pub offline: bool,
    pub cdn_hosts: Vec<String>,
    pub proxy: Secret,
    pub proxy_user: String,
    pub proxy_password: Secret,
    pub proxy_password_file: PathBuf,
    pub no_proxy: Vec<String>,
    pub ca_file: PathBuf,
    pub client_cert_file: PathBuf,
    pub client_key_file: PathBuf,
    /// Read from the keys above and from the environment.
    #[serde(skip)]
    pub proxies: Proxies,
    /// The files of the keys above, as they were at the start.
    #[serde(skip)]
    pub tls: Tls,
    pub connect_timeout: Span,
    pub metadata_timeout: Span,
    pub slow_after: Span,
    pub idle_timeout: Span,
    pub max_metadata: Size,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub ref_ttl: Span,
    pub visibility_ttl: Span,
    pub access_ttl: Span,
    pub access_denied_ttl: Span,
    pub offline_grace: Span,
    pub listing_ttl: Span,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flight {
    pub connections: usize,
    pub total_connections: usize,
    pub segment_size: Size,
    pub verify_first: Size,
    pub hold_back: Size,
    pub finish_abandoned: bool,
    pub attempts: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xet {
    pub serve: bool,
    pub fetch: XetFetch,
}

/// Which files are downloaded from upstream by Xet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XetFetch {
    /// Those that upstream's download host refuses, as it does above 50 GB.
    Auto,
    /// Whatever has a Xet hash.
    Always,
    Never,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// Run jobs in the server's own process.
    pub run: bool,
    pub max_downloads: u32,
    pub max_downloads_per_worker: u32,
    pub bytes_per_second: Size,
    pub hours: String,
    pub lease: Span,
    pub keep: Span,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scrub {
    /// Every stored file is read again within this time; zero: never.
    pub every: Span,
    /// Of the time, in percent.
    pub share: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    pub listen: SocketAddr,
    pub address: String,
    pub token: Secret,
    pub token_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    pub forward: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Auto,
    Human,
    Json,
}
