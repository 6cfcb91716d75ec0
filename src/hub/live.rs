//! Settings that people change while the hub runs: kept in the database, read again every few seconds, so that all
//! processes that share it follow. The token of this hub is a file of its own in the data directory, for its owner
//! only: no secret stands in the database.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::{Error, Hub, Result};
use crate::config::Secret;
use crate::domain::Hours;

const PREFIX: &str = "live.";
const TOKEN_FILE: &str = "hf_token";

/// What can be changed. A `None` of a change leaves the setting as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    pub offline: bool,
    /// Downloads that jobs run at once.
    pub max_downloads: u32,
    /// Of all jobs together; 0: no limit.
    pub download_bytes_per_second: u64,
    /// When jobs may download, local time.
    pub download_hours: Option<Hours>,
    /// Bytes that the store may take; 0: what the disk has.
    pub store_limit_bytes: u64,
    /// How long a branch stays pinned to its commit.
    pub ref_ttl: Duration,
}

/// What somebody wants changed.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub offline: Option<bool>,
    /// Empty: none any more.
    pub hf_token: Option<Secret>,
    pub max_downloads: Option<u32>,
    pub download_bytes_per_second: Option<u64>,
    pub download_hours: Option<String>,
    pub store_limit_bytes: Option<u64>,
    pub ref_ttl_seconds: Option<u64>,
}

/// Where this hub's token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSource {
    None,
    Configuration,
    Settings,
}

pub(super) struct Lives {
    now: RwLock<Arc<Live>>,
    configured: Live,
    configured_token: Secret,
}

impl Lives {
    pub(super) fn new(configured: Live, configured_token: Secret) -> Self {
        Self { now: RwLock::new(Arc::new(configured.clone())), configured, configured_token }
    }
}

impl Hub {
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.lives.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what was changed, here or by another process.
    pub async fn reload_settings(&self) -> Result<()> {
        let mut live = self.lives.configured.clone();
        for (name, value) in self.db.settings(PREFIX).await? {
            // A value that cannot be read, from another version, leaves the configured one.
            match name.as_str() {
                "offline" => live.offline = value == "true",
                "max_downloads" => live.max_downloads = value.parse().unwrap_or(live.max_downloads),
                "download_bytes_per_second" => live.download_bytes_per_second = value.parse().unwrap_or(0),
                "download_hours" => live.download_hours = Hours::parse(&value).ok(),
                "store_limit_bytes" => live.store_limit_bytes = value.parse().unwrap_or(0),
                "ref_ttl_seconds" => live.ref_ttl = value.parse().map_or(live.ref_ttl, Duration::from_secs),
                _ => {}
            }
        }
        let path = self.store.root().join(TOKEN_FILE);
        let token = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await?;
        let token = match token {
            Ok(text) => Secret::new(text.trim()),
            Err(_) => self.lives.configured_token.clone(),
        };
        self.upstream.set_offline(live.offline);
        if self.upstream.set_token(token) {
            self.access.forget_own();
        }
        self.pace.set_limit(live.download_bytes_per_second);
        *self.lives.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
        Ok(())
    }

    /// Changes settings; each is checked before any is changed.
    pub async fn change_settings(&self, change: Change) -> Result<Arc<Live>> {
        if let Some(hours) = change.download_hours.as_deref().filter(|hours| !hours.is_empty()) {
            Hours::parse(hours)?;
        }
        if let Some(max) = change.max_downloads
            && !(1..=64).contains(&max)
        {
            let rule = format!("invalid value {max}; expected 1 to 64");
            return Err(Error::InvalidField { field: "max_downloads", rule });
        }
        if let Some(seconds) = change.ref_ttl_seconds
            && seconds > 7 * 86_400
        {
            let rule = format!("invalid value {seconds}; expected 0 to 604800 (a week)");
            return Err(Error::InvalidField { field: "ref_ttl_seconds", rule });
        }
        let token = change.hf_token;
        if token.as_ref().and_then(Secret::get).is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            let rule = "it contains characters that are not allowed in a token".into();
            return Err(Error::InvalidField { field: "hf_token", rule });
        }
        let texts = [
            ("offline", change.offline.map(|on| on.to_string())),
            ("max_downloads", change.max_downloads.map(|n| n.to_string())),
            ("download_bytes_per_second", change.download_bytes_per_second.map(|n| n.to_string())),
            ("download_hours", change.download_hours),
            ("store_limit_bytes", change.store_limit_bytes.map(|n| n.to_string())),
            ("ref_ttl_seconds", change.ref_ttl_seconds.map(|n| n.to_string())),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                self.db.put_setting(&format!("{PREFIX}{name}"), &text).await?;
            }
        }
        if let Some(token) = token {
            let store = Arc::clone(&self.store);
            tokio::task::spawn_blocking(move || store.put_secret(TOKEN_FILE, token.get())).await??;
        }
        self.reload_settings().await?;
        self.jobs_changed();
        Ok(self.live())
    }

    pub fn token_source(&self) -> TokenSource {
        if !self.upstream.has_token() {
            TokenSource::None
        } else if self.store.root().join(TOKEN_FILE).exists() {
            TokenSource::Settings
        } else {
            TokenSource::Configuration
        }
    }

    /// Whose token this is, as upstream says; this hub's own if `None`.
    pub async fn token_account(&self, token: Option<&str>) -> Result<String> {
        let caller = crate::upstream::Caller { token, own_eyes: token.is_some(), user_agent: None };
        let answer = self.upstream.get("/api/whoami-v2", caller).await;
        let answer = answer.map_err(|error| Error::upstream(error, "the account of this token"))?;
        let value: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|_| Error::BadUpstream("invalid response from upstream about the token".into()))?;
        Ok(value["name"].as_str().unwrap_or("unknown").to_owned())
    }
}
