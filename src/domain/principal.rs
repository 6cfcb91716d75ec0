//! Who asks.

use std::fmt;

/// A caller of the hub listener: the bearer token it sent, or nobody.
///
/// The token goes upstream for this caller only. It has no `Display`, and `Debug` hides it,
/// so that it cannot reach a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub enum Principal {
    Anonymous,
    Token(String),
}

impl Principal {
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Token(token) => Some(token),
        }
    }

    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_anonymous() { "anonymous" } else { "token(…)" })
    }
}
