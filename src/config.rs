//! Settings: config/modelhub.toml (compiled in: it *is* the defaults) < a file of the user <
//! environment < flags.
//!
//! Steps of `load`: take the defaults as a table → lay the user's file over it, refusing keys
//! that the defaults do not have, with the nearest right one → lay `MODELHUB_*` over it → lay
//! the flags over it (`merge`) → read the table into types → read secrets from their files → `check` → find the way to
//! upstream (`way`).
//! An error names the key and where its value came from.

mod check;
mod host;
mod keeping;
mod merge;
mod sections;
mod types;
mod way;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use keeping::KEEPING;

pub use host::DownloadHost;
pub use merge::{Merged, Written, merge, redact};
pub use sections::{
    AdminListener, Cache, Database, Flight, HubListener, Jobs, Log, LogFormat, Object, Scrub, Store, Telemetry,
    Upstream, Worker, Xet, XetFetch,
};
pub use types::{Secret, Size, Span};
pub use way::{Proxies, Proxy, Tls};

/// The commented defaults, as shipped.
pub const DEFAULTS: &str = include_str!("../config/modelhub.toml");

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub hub: HubListener,
    pub admin: AdminListener,
    pub store: Store,
    pub object: Object,
    pub database: Database,
    pub upstream: Upstream,
    pub cache: Cache,
    pub flight: Flight,
    pub xet: Xet,
    pub jobs: Jobs,
    pub scrub: Scrub,
    pub worker: Worker,
    pub telemetry: Telemetry,
    pub log: Log,
}

/// A setting that cannot be used. The text names the key, where it came from, and what was expected.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

fn fail<T>(text: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError(text.into()))
}

impl Config {
    /// `merge`, read into types and checked; secrets are read from their files.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        Self::from_merged(&merge(file, environment, flags)?)
    }

    pub fn from_merged(merged: &Merged) -> Result<Self, ConfigError> {
        let mut config: Self = serde_path_to_error::deserialize(merged.table.clone()).map_err(|error| {
            let (key, what) = (key_of(error.path()), error.inner().message());
            merged.wrong(&key, &mistyped(&key, merged.value(&key), what))
        })?;
        config.upstream.token.or_read(&config.upstream.token_file, "upstream.token_file")?;
        config.upstream.proxy_password.or_read(&config.upstream.proxy_password_file, "upstream.proxy_password_file")?;
        let object = &mut config.object;
        object.secret_access_key.or_read(&object.secret_access_key_file, "object.secret_access_key_file")?;
        config.admin.token.or_read(&config.admin.token_file, "admin.token_file")?;
        config.worker.token.or_read(&config.worker.token_file, "worker.token_file")?;
        if config.store.data_dir.as_os_str().is_empty() {
            config.store.data_dir = default_data_dir()?;
        }
        // Host names are case-insensitive.
        let hosts = config.upstream.cdn_hosts.iter_mut().chain(&mut config.admin.hosts);
        hosts.for_each(|host| host.make_ascii_lowercase());
        let wrong = |wrong: check::Wrong| merged.wrong(wrong.key, &wrong.text);
        config.check().map_err(wrong)?;
        config.store.written = KEEPING.map(|key| merged.written(key)).to_vec();
        let source = |key: &str| merged.source(key);
        config.upstream.proxies = Proxies::read(&config.upstream, source, merged.proxy_variables()).map_err(wrong)?;
        config.upstream.tls = Tls::read(&config.upstream).map_err(wrong)?;
        Ok(config)
    }
}

impl Config {
    /// What other machines can reach of this hub, in sentences.
    pub fn exposed(&self) -> Vec<String> {
        let mut exposed = Vec::new();
        if !self.hub.listen.ip().is_loopback() {
            exposed.push(format!("other machines can download through the hub at {} (hub.listen)", self.hub.listen));
        }
        if !self.admin.listen.ip().is_loopback() {
            exposed.push(format!(
                "other machines can reach the admin API at {} (admin.listen); its token is sent unencrypted unless a TLS \
                 proxy is in front",
                self.admin.listen
            ));
        }
        exposed
    }

    /// What a proxy can read although only upstream should, in a sentence.
    pub fn readable_by_a_proxy(&self) -> Option<String> {
        let proxy = self.upstream.proxies.http.as_ref().filter(|proxy| proxy.reads_http())?;
        self.upstream.url.starts_with("http://").then(|| {
            format!(
                "upstream.url is http://, so the proxy {proxy} ({}) can read the tokens that are sent to upstream; use https:// if \
                 upstream has it",
                proxy.source()
            )
        })
    }
}

/// `section.key` of a place in the table; what is below a key is the key's.
fn key_of(path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    let mut parts = path.split(['.', '[']);
    format!("{}.{}", parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Why a value does not have its key's type, and what was expected.
fn mistyped(key: &str, value: Option<&Value>, what: &str) -> String {
    let defaults: Table = DEFAULTS.parse().unwrap_or_default();
    let default = key.split_once('.').and_then(|(section, name)| defaults.get(section)?.get(name));
    let rule = match default {
        Some(Value::Integer(_)) => "expected a whole number that is not negative".into(),
        Some(Value::Boolean(_)) => "expected true or false".into(),
        Some(Value::Array(_)) => "expected a list of strings, such as [\"one\", \"two\"]".into(),
        Some(Value::String(text)) if text.parse::<SocketAddr>().is_ok() => {
            format!("expected an IP address and a port, such as {text}")
        }
        // For durations and sizes the types' own errors say it.
        Some(Value::String(_)) if what.contains("expected e.g.") => what.to_owned(),
        Some(Value::String(text)) if text.is_empty() => "expected a quoted string".into(),
        Some(Value::String(text)) => format!("{what}; expected a string such as \"{text}\""),
        _ => what.to_owned(),
    };
    match value {
        Some(value) if !merge::SECRETS.contains(&key) => format!("{key} is {value}: {rule}"),
        _ => format!("{key} is invalid: {rule}"),
    }
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
    #![expect(clippy::disallowed_methods, reason = "a test makes the file that it reads")]

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
        // Of the default's type, whatever was in the file.
        let config = load("[store]\nlimit = 5\n", &[("MODELHUB_STORE_LIMIT", "8GiB")]).unwrap();
        assert_eq!(config.store.limit.bytes(), 8 << 30);
    }

    #[test]
    fn what_the_store_keeps_is_known_as_it_was_written_and_where() {
        let config = load("[store]\npin = [\"a/b\"]\n", &[("MODELHUB_STORE_EXPIRE", "a/* 3d, b/* 4d")]).unwrap();
        let written = |key: &str| config.store.written.iter().find(|one| one.key == key).cloned().unwrap();
        let pin = written("store.pin");
        assert!(pin.source.is_some_and(|source| source.ends_with("modelhub.toml, line 2")));
        let expire = written("store.expire");
        assert_eq!(expire.source.as_deref(), Some("MODELHUB_STORE_EXPIRE"));
        assert_eq!((pin.values, expire.values), (vec!["a/b".to_owned()], vec!["a/* 3d".into(), "b/* 4d".into()]));
        assert_eq!((written("store.keep_used").values, written("store.keep_used").source), (vec!["10m".into()], None));
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
        let merged = merge(None, [("MODELHUB_HF_TOKEN".to_owned(), "hf_secret".to_owned())].into_iter(), &[]).unwrap();
        assert!(!redact(merged.table).to_string().contains("hf_secret"));
        // Whatever sounds like a secret is one.
        let defaults: Table = DEFAULTS.parse().unwrap();
        for (section, keys) in &defaults {
            for (key, _) in keys.as_table().unwrap().iter().filter(|(_, value)| value.is_str()) {
                let is_secret = ["token", "password", "secret"].iter().any(|word| key.contains(word));
                let key = format!("{section}.{key}");
                let is_hidden = merge::SECRETS.contains(&key.as_str());
                assert!(!is_secret || key.ends_with("_file") || is_hidden, "{key} is shown");
            }
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_place_and_its_rule() {
        let says = |file: &str, env: &[(&str, &str)], texts: &[&str]| {
            let error = load(file, env).err().unwrap_or_default();
            for text in texts {
                assert!(error.contains(text), "`{error}` does not contain `{text}`");
            }
        };
        let rule = "expected an IP address and a port, such as 127.0.0.1:8484";
        says("[hub]\nlisten = \"x\"", &[], &["modelhub.toml, line 2: hub.listen is \"x\"", rule]);
        says("\nhub.listen = 5", &[], &["modelhub.toml, line 2: hub.listen is 5", rule]);
        says("", &[("MODELHUB_HUB_LISTEN", "nonsense")], &["MODELHUB_HUB_LISTEN: hub.listen is \"nonsense\"", rule]);
        says("[cache]\nref_ttl = 5", &[], &["line 2: cache.ref_ttl is 5", "\"60s\""]);
        says("[flight]\nconnections = -1", &[], &["line 2: flight.connections is -1", "whole number"]);
        says("[flight]\nsegment_size = true", &[], &["line 2: flight.segment_size", "8MiB"]);
        says("[upstream]\ncdn_hosts = [5]", &[], &["line 2: upstream.cdn_hosts", "list of strings"]);
        says("[log]\nformat = \"xml\"", &[], &["line 2: log.format", "json"]);
        says("", &[("MODELHUB_FLIGHT_CONNECTIONS", "0")], &["MODELHUB_FLIGHT_CONNECTIONS: flight.connections is 0"]);
        let flag = merge(None, std::iter::empty(), &[("hub.listen", "1".to_owned())]).unwrap();
        let error = Config::from_merged(&flag).unwrap_err().to_string();
        assert!(error.starts_with("--hub-listen: hub.listen is \"1\""), "{error}");
        let error = load("[admin]\ntoken = 12345", &[]).unwrap_err();
        assert!(error.contains("line 2: admin.token") && !error.contains("12345"), "{error}");
    }

    #[test]
    fn what_a_start_would_refuse_or_mistreat_is_refused() {
        for (file, key) in [
            ("[hub]\nlisten = \"127.0.0.1:8485\"", "admin.listen"),
            ("[hub]\nlisten = \"0.0.0.0:8485\"", "admin.listen"),
            ("[database]\nurl = \"mysql://user:secret@x\"", "database.url"),
            ("[log]\nlevel = \"loud\"", "log.level"),
            ("[log]\nlevel = \"info,loud\"", "log.level"),
            ("[log]\nlevel = \"blah=zz\"", "log.level"),
            ("[upstream]\nurl = \"http://127.0.0.1:8484\"", "upstream.url"),
            ("[upstream]\nurl = \"http://localhost:8484/\"", "upstream.url"),
            ("[upstream]\nurl = \"https://hub.example\"\n[hub]\npublic_url = \"https://hub.example/\"", "upstream.url"),
            ("[worker]\naddress = \"gpu-box:8486\"", "worker.address"),
            ("[upstream]\ncdn_hosts = [\"https://cdn.example\"]", "upstream.cdn_hosts"),
            ("[upstream]\ncdn_hosts = [\"cdn.example/x\"]", "upstream.cdn_hosts"),
            ("[upstream]\ncdn_hosts = [\"*\"]", "upstream.cdn_hosts"),
            ("[admin]\nhosts = [\"models.example:8485\"]", "admin.hosts"),
            ("[jobs]\nkeep = \"0s\"", "jobs.keep"),
            ("[scrub]\nevery = \"30s\"", "scrub.every"),
            ("[object]\nurl = \"https://bucket\"", "object.url"),
            ("[object]\nurl = \"s3://\"", "object.url"),
            ("[object]\nurl = \"s3://bucket/a b\"", "object.url"),
            ("[object]\nendpoint = \"s3.example.com\"", "object.endpoint"),
            ("[object]\nendpoint = \"https://key:secret@s3.example.com\"", "object.endpoint"),
            ("[object]\naccess_key_id = \"key\"", "object.access_key_id"),
            ("[object]\nsecret_access_key = \"secret\"", "object.secret_access_key"),
            ("[scrub]\nevery = \"3651d\"", "scrub.every"),
            ("[scrub]\nshare = 0", "scrub.share"),
            ("[scrub]\nshare = 101", "scrub.share"),
            ("[jobs]\nmax_downloads = 0", "jobs.max_downloads"),
            ("[jobs]\nmax_downloads_per_worker = 65", "jobs.max_downloads_per_worker"),
        ] {
            let error = load(file, &[]).err().unwrap_or_default();
            let named =
                |rest: &str| error.starts_with(&format!("{key}{rest}")) || error.contains(&format!(": {key}{rest}"));
            assert!(named(" ") || named(":"), "{file}: `{error}`");
            assert!(!error.contains("secret@") && !error.contains("`secret`"), "{error}");
        }
        let fine = "[hub]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"Models.example\"]\n\
                    [log]\nlevel = \"info,modelhub=debug\"\n[upstream]\ncdn_hosts = [\"*.hf.co\", \"127.0.0.1\", \"[::1]\"]\n";
        assert_eq!(load(fine, &[]).unwrap().admin.hosts, ["models.example"]);
        for off in ["0", "0s"] {
            let config = load(&format!("[scrub]\nevery = \"{off}\"\nshare = 100\n"), &[]).unwrap();
            assert!(config.scrub.every.duration().is_zero());
        }
    }
}
