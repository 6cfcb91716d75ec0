//! This hub's own token: it goes along for callers who have none.
//!
//! One that upstream refuses (it has expired, or was revoked) must not close what is public: such a call is made once
//! more, without it. That it is refused is told once (`telemetry::Condition`), and shown to the owner.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::{Caller, Error, Result, Upstream};
use crate::config::Secret;
use crate::domain::Clock;
use crate::telemetry::Condition;

/// A token that was not refused for so long, while it was used, is accepted again.
const QUIET: Duration = Duration::from_secs(60);

pub(super) struct OwnToken {
    /// May be changed while running.
    secret: RwLock<Secret>,
    refused: Condition,
}

impl OwnToken {
    pub(super) fn new(secret: Secret, clock: Clock) -> Self {
        let refused = Condition::new(
            clock,
            "upstream refuses this hub's own token (upstream.token): set a valid one, or none",
            "this hub's own token is not refused any more",
        );
        // What is public may be answered whatever the token.
        Self { secret: RwLock::new(secret), refused: refused.quiet_for(QUIET) }
    }

    /// `Authorization` of a call for this caller, with its own token or this one.
    pub(super) fn header(&self, caller: Caller<'_>) -> Option<HeaderValue> {
        let own = self.secret.read().unwrap_or_else(PoisonError::into_inner);
        let token = caller.token.or(own.get().filter(|_| !caller.without_hub_token))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Takes note of how a call for this caller ended.
    pub(super) fn note<T>(&self, caller: Caller<'_>, outcome: &Result<T>) {
        match outcome {
            Err(error @ Error::Unauthenticated { .. }) if self.is_used(caller) => self.refused.met(error),
            Ok(_) if self.refused.is_on() && self.is_used(caller) => self.refused.is_over(),
            _ => {}
        }
    }

    /// The caller for whom to try again after a call that ended so, if it was this token that was refused.
    pub(super) fn without<'a, T>(&self, caller: Caller<'a>, outcome: &Result<T>) -> Option<Caller<'a>> {
        let is_refused = matches!(outcome, Err(Error::Unauthenticated { .. }));
        let is_lent = caller.token.is_none() && self.is_used(caller);
        (is_refused && is_lent).then_some(Caller { without_hub_token: true, ..caller })
    }

    fn is_used(&self, caller: Caller<'_>) -> bool {
        let own = self.secret.read().unwrap_or_else(PoisonError::into_inner);
        match caller.token {
            Some(token) => own.get() == Some(token),
            None => own.get().is_some() && !caller.without_hub_token,
        }
    }
}

impl Upstream {
    pub fn has_token(&self) -> bool {
        self.token.secret.read().unwrap_or_else(PoisonError::into_inner).get().is_some()
    }

    /// For a call that means this very token, and is not made without it.
    pub fn own_token(&self) -> Secret {
        self.token.secret.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces this hub's own token; `false` if it is the same.
    pub fn set_token(&self, token: Secret) -> bool {
        let mut own = self.token.secret.write().unwrap_or_else(PoisonError::into_inner);
        let changed = own.get() != token.get();
        *own = token;
        drop(own);
        if changed {
            // What is to be said of the new one will turn out.
            self.token.refused.cause_is_gone();
        }
        changed
    }

    /// Whether upstream refused this hub's own token when it was last used.
    pub fn is_token_refused(&self) -> bool {
        self.token.refused.is_on()
    }
}
