//! Settings: config/modelhub.toml (compiled in: it *is* the defaults) < a file of the user <
//! environment < flags.
//!
//! Steps of `load`: take the defaults as a table → lay the user's file over it, refusing keys
//! that the defaults do not have, with the nearest right one → lay `MODELHUB_*` over it → lay
//! the flags over it → read the table into types → read secrets from their files → check.

mod types;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

pub use types::{Secret, Size, Span};

/// The commented defaults, as shipped.
pub const DEFAULTS: &str = include_str!("../config/modelhub.toml");

/// Environment names that do not follow MODELHUB_SECTION_KEY.
const SHORT_NAMES: [(&str, &str); 6] = [
    ("MODELHUB_PUBLIC_URL", "hub.public_url"),
    ("MODELHUB_DATA_DIR", "store.data_dir"),
    ("MODELHUB_HF_TOKEN", "upstream.token"),
    ("MODELHUB_HF_TOKEN_FILE", "upstream.token_file"),
    ("MODELHUB_LOG", "log.level"),
    ("MODELHUB_OFFLINE", "upstream.offline"),
];

/// Names that select the configuration and are no settings themselves.
const OTHER_NAMES: [&str; 3] = ["MODELHUB_CONFIG", "MODELHUB_ADMIN_URL", "MODELHUB_GPU_FILE"];

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub hub: HubListener,
    pub admin: AdminListener,
    pub store: Store,
    pub database: Database,
    pub upstream: Upstream,
    pub cache: Cache,
    pub flight: Flight,
    pub xet: Xet,
    pub jobs: Jobs,
    pub worker: Worker,
    pub telemetry: Telemetry,
    pub log: Log,
}

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
    /// Without effect in a program that was built without the feature `xet-upstream`.
    pub fetch: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// Run jobs in the server's own process.
    pub run: bool,
    pub max_downloads: u32,
    pub bytes_per_second: Size,
    pub hours: String,
    pub lease: Span,
    pub keep: Span,
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

/// A setting that cannot be used. The text names the key, where it came from, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

fn fail<T>(text: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError(text.into()))
}

/// The settings as one table, before they are read into types: defaults < `file` <
/// `environment` < `flags` (`section.key` and its text). The environment is passed in so
/// that tests need not change the process's own.
pub fn merge(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[(&str, String)],
) -> Result<Table, ConfigError> {
    let mut table: Table = DEFAULTS.parse().map_err(|e| ConfigError(format!("the built-in defaults: {e}")))?;

    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|e| ConfigError(format!("cannot read the configuration file {}: {e}", path.display())))?;
        let given: Table = text.parse().map_err(|e| ConfigError(format!("{}: {e}", path.display())))?;
        overlay_file(&mut table, given, path)?;
    }

    let keys = keys_of(&table);
    for (name, text) in environment.filter(|(name, _)| name.starts_with("MODELHUB_")) {
        if OTHER_NAMES.contains(&name.as_str()) {
            continue;
        }
        let Some(key) = key_of_env(&name, &keys) else {
            let names = keys.iter().map(|key| env_of_key(key)).chain(SHORT_NAMES.map(|(name, _)| name.to_owned()));
            return fail(format!("unknown environment variable {name}{}", nearest(&name, names)));
        };
        set(&mut table, &key, &text, &name)?;
    }
    for (key, text) in flags {
        set(&mut table, key, text, key)?;
    }
    Ok(table)
}

/// The table with secrets shown as `***`, for people.
pub fn redact(mut table: Table) -> Table {
    for (section, key) in [("upstream", "token"), ("admin", "token"), ("worker", "token"), ("database", "url")] {
        if let Some(Value::String(text)) = table.get_mut(section).and_then(|s| s.get_mut(key))
            && !text.is_empty()
        {
            *text = "***".into();
        }
    }
    table
}

impl Config {
    /// `merge`, read into types and checked; secrets are read from their files.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        Self::from_table(&merge(file, environment, flags)?)
    }

    pub fn from_table(table: &Table) -> Result<Self, ConfigError> {
        // The parser's message names the key; the text form loses only where it stood.
        let text = toml::to_string(table).map_err(|e| ConfigError(e.to_string()))?;
        let mut config: Self = toml::from_str(&text).map_err(|e| ConfigError(e.to_string()))?;
        config.upstream.token.or_read(&config.upstream.token_file, "upstream.token_file")?;
        config.admin.token.or_read(&config.admin.token_file, "admin.token_file")?;
        config.worker.token.or_read(&config.worker.token_file, "worker.token_file")?;
        if config.store.data_dir.as_os_str().is_empty() {
            config.store.data_dir = default_data_dir()?;
        }
        config.check()?;
        Ok(config)
    }

    /// What the types cannot say.
    fn check(&self) -> Result<(), ConfigError> {
        let upstream = url::Url::parse(&self.upstream.url)
            .map_err(|e| ConfigError(format!("upstream.url `{}`: {e}", self.upstream.url)))?;
        if !matches!(upstream.scheme(), "http" | "https") || upstream.host_str().is_none() {
            return fail(format!("upstream.url `{}`: use http:// or https:// and a host", self.upstream.url));
        }
        if !self.hub.public_url.is_empty() {
            let public = url::Url::parse(&self.hub.public_url)
                .map_err(|e| ConfigError(format!("hub.public_url `{}`: {e}", self.hub.public_url)))?;
            if !matches!(public.scheme(), "http" | "https") || public.host_str().is_none() {
                return fail(format!("hub.public_url `{}`: use http:// or https:// and a host", self.hub.public_url));
            }
        }
        if let Some(token) = self.admin.token.get() {
            if token.len() < 32 {
                return fail("admin.token is too short: use at least 32 characters, e.g. from `openssl rand -hex 32`");
            }
        } else if !self.admin.listen.ip().is_loopback() {
            return fail(format!(
                "admin.listen is {}, which others can reach: set admin.token (MODELHUB_ADMIN_TOKEN), or listen on 127.0.0.1",
                self.admin.listen
            ));
        }
        if self.worker.token.get().is_some_and(|token| token.len() < 32) {
            return fail("worker.token is too short: use at least 32 characters, e.g. from `openssl rand -hex 32`");
        }
        if !self.jobs.hours.is_empty() {
            crate::domain::Hours::parse(&self.jobs.hours).map_err(|e| ConfigError(format!("jobs.hours: {e}")))?;
        }
        if !(1..=64).contains(&self.jobs.max_downloads) {
            return fail(format!("jobs.max_downloads is {}: use 1 to 64", self.jobs.max_downloads));
        }
        if self.jobs.lease.duration() < std::time::Duration::from_secs(3) {
            return fail("jobs.lease: use at least 3s, it is renewed every second");
        }
        let segment = self.flight.segment_size.bytes();
        if !(64 * 1024..=1 << 30).contains(&segment) {
            return fail("flight.segment_size: use 64KiB to 1GiB");
        }
        for (key, number) in [
            ("flight.connections", self.flight.connections),
            ("flight.total_connections", self.flight.total_connections),
            ("flight.attempts", self.flight.attempts as usize),
            ("hub.max_connections", self.hub.max_connections),
            ("hub.max_connections_per_peer", self.hub.max_connections_per_peer),
        ] {
            if number == 0 {
                return fail(format!("{key} is 0: use at least 1"));
            }
        }
        Ok(())
    }
}

/// Lays a user's file over the table. Sections and keys must exist in the defaults.
fn overlay_file(table: &mut Table, given: Table, path: &Path) -> Result<(), ConfigError> {
    let path = path.display();
    for (section, values) in given {
        let Some(Value::Table(known)) = table.get_mut(&section) else {
            let names = table.keys().cloned();
            return fail(format!("{path}: unknown section [{section}]{}", nearest(&section, names)));
        };
        let Value::Table(values) = values else {
            return fail(format!("{path}: `{section}` is a section: write [{section}] and its keys below"));
        };
        for (key, value) in values {
            if !known.contains_key(&key) {
                let names = known.keys().map(|known| format!("{section}.{known}"));
                return fail(format!(
                    "{path}: unknown key {section}.{key}{}",
                    nearest(&format!("{section}.{key}"), names)
                ));
            }
            known.insert(key, value);
        }
    }
    Ok(())
}

/// Sets one key from text, read as the type that its default has.
fn set(table: &mut Table, key: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
    let slot = key.split_once('.').and_then(|(section, name)| table.get_mut(section)?.as_table_mut()?.get_mut(name));
    let Some(slot) = slot else { return fail(format!("unknown key {key}")) };
    *slot = match slot {
        Value::Integer(_) => match text.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => return fail(format!("{origin} is `{text}`: use a whole number")),
        },
        Value::Boolean(_) => match text {
            "true" | "1" | "yes" | "on" => Value::Boolean(true),
            "false" | "0" | "no" | "off" | "" => Value::Boolean(false),
            _ => return fail(format!("{origin} is `{text}`: use true or false")),
        },
        Value::Array(_) => Value::Array(
            text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| Value::String(s.into())).collect(),
        ),
        _ => Value::String(text.to_owned()),
    };
    Ok(())
}

fn keys_of(table: &Table) -> Vec<String> {
    let sections = table.iter().filter_map(|(section, values)| Some((section, values.as_table()?)));
    sections.flat_map(|(section, keys)| keys.keys().map(move |key| format!("{section}.{key}"))).collect()
}

fn env_of_key(key: &str) -> String {
    format!("MODELHUB_{}", key.replace('.', "_").to_uppercase())
}

fn key_of_env(name: &str, keys: &[String]) -> Option<String> {
    let short = SHORT_NAMES.iter().find(|(short, _)| *short == name).map(|(_, key)| (*key).to_owned());
    short.or_else(|| keys.iter().find(|key| env_of_key(key) == name).cloned())
}

/// `; did you mean …?` with the nearest of `names`.
fn nearest(given: &str, names: impl Iterator<Item = String>) -> String {
    names
        .map(|name| (strsim::damerau_levenshtein(given, &name), name))
        .min()
        .map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"))
}

/// The data directory when none is set: the shared place of the design, else the user's own.
fn default_data_dir() -> Result<PathBuf, ConfigError> {
    let shared = Path::new("/data/model-store");
    if shared.is_dir() && rustix::fs::access(shared, rustix::fs::Access::WRITE_OK).is_ok() {
        return Ok(shared.to_owned());
    }
    let home = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    match home("XDG_DATA_HOME").or_else(|| home("HOME").map(|home| home.join(".local/share"))) {
        Some(base) => Ok(base.join("modelhub")),
        None => fail("no data directory: set store.data_dir (MODELHUB_DATA_DIR), or HOME"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("modelhub.toml");
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), file.as_bytes()).unwrap();
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::load(Some(&path), env, &[]).map_err(|e| e.to_string())
    }

    #[test]
    fn the_shipped_file_is_valid_and_comments_every_key() {
        let config = load("", &[]).unwrap();
        assert_eq!(config.hub.listen.port(), 8484);
        assert_eq!(config.admin.listen.port(), 8485);
        assert_eq!(config.cache.ref_ttl.duration().as_secs(), 60);
        // A key follows a comment, directly or after keys that share the comment.
        let mut commented = false;
        for line in DEFAULTS.lines() {
            match line.trim_start().chars().next() {
                Some('#') => commented = true,
                Some('[') | None => commented = false,
                Some(_) => assert!(commented, "no comment above: {line}"),
            }
        }
    }

    #[test]
    fn environment_beats_the_file() {
        let file = "[hub]\nlisten = \"127.0.0.1:1\"\n[flight]\nconnections = 3\n";
        let env = [("MODELHUB_HUB_LISTEN", "127.0.0.1:2"), ("MODELHUB_DATA_DIR", "/x"), ("MODELHUB_OFFLINE", "true")];
        let config = load(file, &env).unwrap();
        assert_eq!(config.hub.listen.port(), 2);
        assert_eq!(config.flight.connections, 3);
        assert_eq!(config.store.data_dir, Path::new("/x"));
        assert!(config.upstream.offline);
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest_right_one() {
        let says = |result: Result<Config, String>, text: &str| {
            let error = result.err().unwrap_or_default();
            assert!(error.contains(text), "`{error}` does not contain `{text}`");
        };
        says(load("[hub]\nlisen = \"127.0.0.1:1\"", &[]), "did you mean hub.listen?");
        says(load("[hubb]\n", &[]), "did you mean hub?");
        says(load("", &[("MODELHUB_UPSTREAM_URI", "x")]), "did you mean MODELHUB_UPSTREAM_URL?");
        says(load("[cache]\nref_ttl = \"fast\"", &[]), "30s");
        says(load("[admin]\nlisten = \"0.0.0.0:1\"", &[]), "MODELHUB_ADMIN_TOKEN");
        says(load("[admin]\ntoken = \"short\"", &[]), "at least 32");
    }

    #[test]
    fn secrets_come_from_files_and_are_never_printed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), b"hf_secret\n").unwrap();
        let config = load("", &[("MODELHUB_HF_TOKEN_FILE", path.to_str().unwrap())]).unwrap();
        assert_eq!(config.upstream.token.get(), Some("hf_secret"));
        assert!(!format!("{config:?}").contains("hf_secret"));
        let table = merge(None, [("MODELHUB_HF_TOKEN".to_owned(), "hf_secret".to_owned())].into_iter(), &[]).unwrap();
        assert!(!redact(table).to_string().contains("hf_secret"));
    }
}
