//! What stands for a caller's token where it is kept.

use crate::crypto::Mac;
use crate::domain::Principal;

/// Makes digests of tokens with the key of this installation. Cheap to clone.
#[derive(Clone)]
pub(super) struct TokenDigests(std::sync::Arc<Mac>);

impl TokenDigests {
    /// The key is made once per installation.
    pub(super) fn new(key: &str) -> Self {
        Self(std::sync::Arc::new(Mac::new(key.as_bytes())))
    }

    /// What is stored instead of a token: useless without the installation's key.
    pub(super) fn of(&self, principal: &Principal) -> String {
        let token = match principal {
            Principal::Anonymous => return String::new(),
            // No digest looks like this.
            Principal::Owner => return "owner".into(),
            Principal::Token(token) => token,
        };
        hex::encode(self.0.of(token))
    }
}
