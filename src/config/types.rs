//! Values of settings: durations, sizes, secrets.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::ConfigError;

/// A duration, written `500ms`, `30s`, `5m`, `1h` or `7d`; nothing is `0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(Duration);

impl Span {
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let unit_ms = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            // Nothing is nothing in every unit.
            "" if number.bytes().all(|digit| digit == b'0') => 1,
            _ => 0,
        };
        match number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit_ms)) {
            Some(ms) if unit_ms > 0 => Ok(Self(Duration::from_millis(ms))),
            _ => Err(de::Error::custom(format!("invalid duration `{text}`; expected e.g. 500ms, 30s, 5m, 1h or 7d"))),
        }
    }
}

/// A number of bytes, written `512KiB`, `8MiB`, `1GiB`, or as a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(u64);

impl Size {
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(u64),
            Text(String),
        }
        let text = match Raw::deserialize(deserializer)? {
            Raw::Number(bytes) => return Ok(Self(bytes)),
            Raw::Text(text) => text,
        };
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1u64 << 40,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => 0,
        };
        match number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)) {
            Some(bytes) if factor > 0 => Ok(Self(bytes)),
            _ => Err(de::Error::custom(format!("invalid size `{text}`; expected e.g. 512KiB, 8MiB or 1GiB"))),
        }
    }
}

/// A text that must not be seen: neither `Debug` nor any message shows it.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, or `None` if none was set.
    pub fn get(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }

    /// Reads the file if one is named. Naming both, or an empty file, is an error: a blank
    /// secret must never become a key.
    pub(super) fn or_read(&mut self, file: &Path, key: &str) -> Result<(), ConfigError> {
        if file.as_os_str().is_empty() {
            return Ok(());
        }
        if self.get().is_some() {
            return Err(ConfigError(format!("{key} and the same setting without _file are both set; keep only one")));
        }
        let text = std::fs::read_to_string(file)
            .map_err(|e| ConfigError(format!("{key}: cannot read {}: {e}", file.display())))?;
        let text = text.trim();
        if text.is_empty() {
            return Err(ConfigError(format!("{key}: {} is empty", file.display())));
        }
        self.0 = text.to_owned();
        Ok(())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "***" })
    }
}
