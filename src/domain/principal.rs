//! Who asks.

use std::fmt;

/// A caller of the hub listener, by the bearer token it sent, or nobody; or the hub itself, for its owner.
///
/// The token goes upstream for this caller only. It has no `Display`, and `Debug` hides it,
/// so that it cannot reach a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub enum Principal {
    Anonymous,
    Token(String),
    /// The owner of this hub, whose jobs ask with this hub's own token.
    Owner,
}

impl Principal {
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Anonymous | Self::Owner => None,
            Self::Token(token) => Some(token),
        }
    }

    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::Token(_) => "token(…)",
            Self::Owner => "owner",
        })
    }
}
