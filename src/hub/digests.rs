//! What stands for a caller's token where it is kept.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::Principal;

/// Makes digests of tokens with the key of this installation. Cheap to clone.
#[derive(Clone)]
pub(super) struct TokenDigests(std::sync::Arc<[u8]>);

/// A key for token digests: 32 random bytes as hex, made once per installation.
pub fn new_key() -> String {
    // Version 4 ids come from the system's random source: 122 bits each.
    let random = || *uuid::Uuid::new_v4().as_bytes();
    hex::encode([random(), random()].concat())
}

impl TokenDigests {
    pub(super) fn new(key_hex: &str) -> Self {
        Self(key_hex.as_bytes().into())
    }

    /// What is stored instead of a token: useless without the installation's key.
    pub(super) fn of(&self, principal: &Principal) -> String {
        let token = match principal {
            Principal::Anonymous => return String::new(),
            // No digest looks like this.
            Principal::Owner => return "owner".into(),
            Principal::Token(token) => token,
        };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(token.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}
