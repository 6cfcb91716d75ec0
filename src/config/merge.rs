//! The settings as one table of values, each with the place that it came from.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::way::{self, VARIABLES};
use super::{ConfigError, DEFAULTS, Secret, fail};

/// Environment names that do not follow MODELHUB_SECTION_KEY.
const SHORT_NAMES: [(&str, &str); 6] = [
    ("MODELHUB_PUBLIC_URL", "hub.public_url"),
    ("MODELHUB_DATA_DIR", "store.data_dir"),
    ("MODELHUB_HF_TOKEN", "upstream.token"),
    ("MODELHUB_HF_TOKEN_FILE", "upstream.token_file"),
    ("MODELHUB_LOG", "log.level"),
    ("MODELHUB_OFFLINE", "upstream.offline"),
];

/// Names that select the configuration and are not settings themselves.
const OTHER_NAMES: [&str; 3] = ["MODELHUB_CONFIG", "MODELHUB_ADMIN_URL", "MODELHUB_GPU_FILE"];

/// Flags of `serve` and `worker`, for messages.
const FLAGS: [(&str, &str); 10] = [
    ("store.data_dir", "--data-dir"),
    ("hub.listen", "--hub-listen"),
    ("admin.listen", "--admin-listen"),
    ("hub.public_url", "--public-url"),
    ("upstream.url", "--upstream-url"),
    ("upstream.offline", "--offline"),
    ("jobs.run", "--no-worker"),
    ("worker.listen", "--listen"),
    ("jobs.max_downloads_per_worker", "--max-downloads"),
    ("log.level", "--log"),
];

/// Keys whose values must not be shown.
pub(super) const SECRETS: [&str; 7] = [
    "upstream.token",
    "upstream.proxy",
    "upstream.proxy_password",
    "admin.token",
    "worker.token",
    "database.url",
    "object.secret_access_key",
];

/// Where a value came from.
#[derive(Debug, Clone)]
enum Origin {
    File(PathBuf, usize),
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A setting as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub key: &'static str,
    /// One, or those of a list.
    pub values: Vec<String>,
    /// Where: a file and line, a variable, or a flag. `None`: nowhere, it is the default.
    pub source: Option<String>,
}

/// All settings, and where those that are not defaults came from.
#[derive(Debug)]
pub struct Merged {
    pub table: Table,
    origins: HashMap<String, Origin>,
    /// What the environment says of proxies, for all programs.
    proxy_variables: HashMap<&'static str, Secret>,
}

impl Merged {
    /// What is wrong with a key, and where that stands.
    pub(super) fn wrong(&self, key: &str, what: &str) -> ConfigError {
        match self.origins.get(key) {
            Some(origin) => ConfigError(format!("{origin}: {what}")),
            None => ConfigError(what.to_owned()),
        }
    }

    /// Where a key was set; the key itself, if that is not known.
    pub(super) fn source(&self, key: &str) -> String {
        self.origins.get(key).map_or_else(|| key.to_owned(), Origin::to_string)
    }

    /// A setting as it was written, for people to see.
    pub(super) fn written(&self, key: &'static str) -> Written {
        let values = match self.value(key) {
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(text)) => vec![text.clone()],
            other => other.map(ToString::to_string).into_iter().collect(),
        };
        Written { key, values, source: self.origins.get(key).map(Origin::to_string) }
    }

    pub(super) fn proxy_variables(&self) -> &HashMap<&'static str, Secret> {
        &self.proxy_variables
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        let (section, name) = key.split_once('.')?;
        self.table.get(section)?.get(name)
    }
}

/// The settings before they are read into types: defaults < `file` < `environment` < `flags` (`section.key` and its
/// text). The environment is passed in so that tests need not change the process's own.
pub fn merge(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[(&str, String)],
) -> Result<Merged, ConfigError> {
    let defaults: Table = DEFAULTS.parse().map_err(|e| ConfigError(format!("the built-in defaults: {e}")))?;
    let mut merged = Merged { table: defaults.clone(), origins: HashMap::new(), proxy_variables: HashMap::new() };

    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|e| ConfigError(format!("cannot read the configuration file {}: {e}", path.display())))?;
        let given: Table = text.parse().map_err(|e| ConfigError(format!("{}: {e}", path.display())))?;
        overlay_file(&mut merged.table, given, path)?;
        for (key, line) in lines_of(&text) {
            merged.origins.insert(key, Origin::File(path.to_owned(), line));
        }
    }

    let keys = keys_of(&defaults);
    for (name, text) in environment {
        if let Some(variable) = VARIABLES.iter().find(|variable| **variable == name) {
            merged.proxy_variables.insert(*variable, Secret::new(text.trim()));
        }
        if !name.starts_with("MODELHUB_") || OTHER_NAMES.contains(&name.as_str()) {
            continue;
        }
        let Some(key) = key_of_env(&name, &keys) else {
            let names = keys.iter().map(|key| env_of_key(key)).chain(SHORT_NAMES.map(|(name, _)| name.to_owned()));
            return fail(format!("unknown environment variable {name}{}", nearest(&name, names)));
        };
        set(&mut merged.table, &defaults, &key, &text, &name)?;
        merged.origins.insert(key, Origin::Variable(name));
    }
    for (key, text) in flags {
        let flag = FLAGS.iter().find(|(known, _)| known == key).map(|(_, flag)| *flag);
        set(&mut merged.table, &defaults, key, text, flag.unwrap_or(key))?;
        if let Some(flag) = flag {
            merged.origins.insert((*key).to_owned(), Origin::Flag(flag));
        }
    }
    Ok(merged)
}

/// The table with secrets shown as `***`, for people.
pub fn redact(mut table: Table) -> Table {
    for (section, key) in SECRETS.iter().filter_map(|key| key.split_once('.')) {
        if let Some(Value::String(text)) = table.get_mut(section).and_then(|s| s.get_mut(key))
            && !text.is_empty()
        {
            *text = if key == "proxy" { way::shown(text) } else { "***".into() };
        }
    }
    table
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
            return fail(format!("{path}: `{section}` is a section; expected [{section}] with its keys below"));
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

/// The line of each `section.key` of a file.
fn lines_of(text: &str) -> Vec<(String, usize)> {
    let Ok(sections) = DeTable::parse(text) else { return Vec::new() };
    let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let mut lines = Vec::new();
    for (section, values) in sections.get_ref() {
        let DeValue::Table(values) = values.get_ref() else { continue };
        lines.extend(
            values.keys().map(|key| (format!("{}.{}", section.get_ref(), key.get_ref()), line(key.span().start))),
        );
    }
    lines
}

/// Sets one key from text, read as the type that its default has.
fn set(table: &mut Table, defaults: &Table, key: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
    let (section, name) = key.split_once('.').unwrap_or((key, ""));
    let default = defaults.get(section).and_then(|section| section.get(name));
    let slot = table.get_mut(section).and_then(|section| section.as_table_mut()?.get_mut(name));
    let (Some(slot), Some(default)) = (slot, default) else { return fail(format!("unknown key {key}")) };
    *slot = match default {
        Value::Integer(_) => match text.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => return fail(format!("{origin}: {key} is `{text}`; expected a whole number")),
        },
        Value::Boolean(_) => match text {
            "true" | "1" | "yes" | "on" => Value::Boolean(true),
            "false" | "0" | "no" | "off" | "" => Value::Boolean(false),
            _ => return fail(format!("{origin}: {key} is `{text}`; expected true or false")),
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
