//! The one budget of upstream calls, shared by everybody who uses this hub.
//!
//! The Hub counts calls in buckets of fixed windows (`RateLimit: "api";r=497;t=168`). When a
//! bucket is empty, or upstream returned 429, all calls of that bucket wait for the reset
//! instead of asking once per file.

use std::sync::Mutex;
use std::time::Duration;

use crate::domain::Clock;

/// The Hub's buckets that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// Everything under `/api/`.
    Api,
    /// Every URL with `/resolve/`.
    Resolvers,
    /// `/api/whoami-v2`, which is limited more strictly than all else, and by itself.
    WhoAmI,
}

impl Bucket {
    /// Of a path below `/api/`.
    pub(super) fn of_api(path: &str) -> Self {
        if path.ends_with("/api/whoami-v2") { Self::WhoAmI } else { Self::Api }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Resolvers => "resolvers",
            Self::WhoAmI => "whoami",
        }
    }
}

/// What is known of one bucket, for people and metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct BudgetState {
    pub remaining: Option<u64>,
    /// No call goes out for this long.
    pub paused_for: Duration,
}

#[derive(Default, Clone, Copy)]
struct State {
    remaining: Option<u64>,
    paused_until: Duration,
}

pub(super) struct Budget {
    clock: Clock,
    buckets: Mutex<[State; 3]>,
}

impl Budget {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, buckets: Mutex::default() }
    }

    fn with<T>(&self, bucket: Bucket, f: impl FnOnce(&mut State) -> T) -> T {
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        f(&mut buckets[bucket as usize])
    }

    /// How long calls of this bucket have to wait; zero means go.
    pub(super) fn wait(&self, bucket: Bucket) -> Duration {
        let now = self.clock.elapsed();
        self.with(bucket, |state| state.paused_until.saturating_sub(now))
    }

    pub(super) fn pause(&self, bucket: Bucket, wait: Duration) {
        let until = self.clock.elapsed() + wait;
        self.with(bucket, |state| state.paused_until = state.paused_until.max(until));
        tracing::warn!(
            bucket = bucket.as_str(),
            wait_s = wait.as_secs(),
            "upstream rate limit reached: pausing requests"
        );
    }

    /// Takes note of the `RateLimit` header of an answer.
    pub(super) fn note(&self, bucket: Bucket, header: Option<&str>) {
        let Some(limit) = header.and_then(parse_ratelimit) else { return };
        self.with(bucket, |state| state.remaining = Some(limit.remaining));
        if limit.remaining == 0 {
            self.pause(bucket, limit.reset + Duration::from_secs(1));
        }
    }

    pub(super) fn state(&self, bucket: Bucket) -> BudgetState {
        let remaining = self.with(bucket, |state| state.remaining);
        BudgetState { remaining, paused_for: self.wait(bucket) }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct RateLimit {
    pub(super) remaining: u64,
    pub(super) reset: Duration,
}

/// Reads `"api";r=497;t=168` (draft-ietf-httpapi-ratelimit-headers).
pub(super) fn parse_ratelimit(header: &str) -> Option<RateLimit> {
    let number = |key: &str| header.split(';').find_map(|part| part.trim().strip_prefix(key)?.parse::<u64>().ok());
    let reset = Duration::from_secs(number("t=")?.min(300));
    Some(RateLimit { remaining: number("r=")?, reset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bucket_pauses_until_its_reset() {
        let clock = Clock::manual(0);
        let budget = Budget::new(clock.clone());
        budget.note(Bucket::Api, Some("\"api\";r=5;t=10"));
        assert_eq!(budget.wait(Bucket::Api), Duration::ZERO);
        budget.note(Bucket::Api, Some("\"api\";r=0;t=10"));
        assert_eq!(budget.wait(Bucket::Api), Duration::from_secs(11));
        assert_eq!(budget.wait(Bucket::Resolvers), Duration::ZERO);
        clock.advance(Duration::from_secs(11));
        assert_eq!(budget.wait(Bucket::Api), Duration::ZERO);
    }

    #[test]
    fn odd_headers_are_no_limit() {
        for text in ["", "api", "\"api\";r=x;t=1", "r=1"] {
            assert_eq!(parse_ratelimit(text), None, "{text}");
        }
    }
}
