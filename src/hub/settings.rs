//! Settings that people change while the hub runs: kept in the database, read again when it tells of a
//! change, so that all processes that share it follow. The token of this hub is a file of its own in the data directory, for its owner
//! only: no secret is kept in the database.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::pace::Pace;
use super::store::Store;
use super::{Error, Result};
use crate::config::{Cache, Flight, Scrub, Secret, Span, Xet};
use crate::db::Db;
use crate::domain::{Hours, Keeping};
use crate::upstream::Upstream;

const PREFIX: &str = "live.";
const TOKEN_FILE: &str = "hf_token";

/// The settings that use cases read, as configured.
#[derive(Debug, Clone)]
pub struct Settings {
    pub cache: Cache,
    pub flight: Flight,
    pub xet: Xet,
    pub scrub: Scrub,
    pub forward_telemetry: bool,
    /// What may be changed while running, as configured.
    pub live: Live,
    /// This hub's own token, as configured.
    pub token: Secret,
    /// This data directory takes the place of the one that the database knows.
    pub adopt_store: bool,
    /// Gives up what only the object store has.
    pub abandon_objects: bool,
    /// No other process has this database.
    pub is_alone: bool,
    /// What the store keeps of itself.
    pub keeping: Keeping,
    /// How long jobs are kept after they ended.
    pub keep_jobs: Span,
}

/// What can be changed. A `None` of a change leaves the setting as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    pub offline: bool,
    /// Concurrent download jobs.
    pub max_downloads: u32,
    /// Of all jobs together; 0: no limit.
    pub download_bytes_per_second: u64,
    /// The download window of jobs, local time.
    pub download_hours: Option<Hours>,
    /// Maximum size of the store in bytes; 0: no limit.
    pub store_limit_bytes: u64,
    /// How long a branch is trusted to point to the commit that it resolved to.
    pub ref_ttl: Duration,
}

/// A change of the settings.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub offline: Option<bool>,
    /// Empty: removes it.
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

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct LiveSettings(Arc<Inner>);

struct Inner {
    db: Db,
    store: Store,
    upstream: Arc<Upstream>,
    /// The limit of all downloads by jobs together.
    pace: Pace,
    now: RwLock<Arc<Live>>,
    token_source: RwLock<TokenSource>,
    configured: Live,
    configured_token: Secret,
}

impl LiveSettings {
    pub(super) fn new(
        db: Db,
        store: Store,
        upstream: Arc<Upstream>,
        pace: Pace,
        configured: Live,
        configured_token: Secret,
    ) -> Self {
        let now = RwLock::new(Arc::new(configured.clone()));
        let token_source = RwLock::new(TokenSource::None);
        Self(Arc::new(Inner { db, store, upstream, pace, now, token_source, configured, configured_token }))
    }

    pub fn get(&self) -> Arc<Live> {
        Arc::clone(&self.0.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what was changed, here or by another process; whether this hub has another token now.
    pub(super) async fn reload(&self) -> Result<bool> {
        let mut live = self.0.configured.clone();
        for (name, value) in self.0.db.settings(PREFIX).await? {
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
        let (token, source) = match self.0.store.secret(TOKEN_FILE).await? {
            Some(text) => (Secret::new(text), TokenSource::Settings),
            None => (self.0.configured_token.clone(), TokenSource::Configuration),
        };
        let source = if token.get().is_some() { source } else { TokenSource::None };
        self.0.upstream.set_offline(live.offline);
        let is_other_token = self.0.upstream.set_token(token);
        *self.0.token_source.write().unwrap_or_else(PoisonError::into_inner) = source;
        self.0.pace.set_limit(live.download_bytes_per_second);
        self.0.store.set_limit(live.store_limit_bytes, !live.offline);
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
        Ok(is_other_token)
    }

    /// Changes settings; each is checked before any is changed.
    pub(super) async fn change(&self, change: Change) -> Result<()> {
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
        // The token first: whoever is notified of the settings reads it again.
        if let Some(token) = token {
            self.0.store.put_secret(TOKEN_FILE, token.get().map(str::to_owned)).await?;
        }
        let texts = texts.into_iter().filter_map(|(name, text)| Some((format!("{PREFIX}{name}"), text?)));
        self.0.db.put_settings(&texts.collect::<Vec<_>>()).await?;
        Ok(())
    }

    pub fn token_source(&self) -> TokenSource {
        *self.0.token_source.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account that a token belongs to, as upstream says; this hub's own token if `None`.
    pub async fn token_account(&self, token: Option<&str>) -> Result<String> {
        let own = self.0.upstream.own_token();
        let token = token.or(own.get());
        let caller = crate::upstream::Caller { token, without_hub_token: true, user_agent: None };
        let answer = self.0.upstream.get("/api/whoami-v2", caller).await;
        let answer = answer.map_err(|error| Error::upstream(error, "the account of this token"))?;
        let value: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|_| Error::BadUpstream("invalid response from upstream about the token".into()))?;
        Ok(value["name"].as_str().unwrap_or("unknown").to_owned())
    }
}
