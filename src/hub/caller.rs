//! Who asks, and how an answer was served.

use std::net::{IpAddr, Ipv4Addr};

use crate::domain::Principal;
use crate::upstream;

/// How a response was served; the header `X-Modelhub-Cache` and the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Served {
    /// From the cache.
    Hit,
    /// Upstream was asked for it.
    Miss,
    /// From a download in progress.
    Join,
    /// From the cache, although upstream should have been asked but did not respond.
    Stale,
    /// Not cached.
    Bypass,
}

impl Served {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Join => "join",
            Self::Stale => "stale",
            Self::Bypass => "bypass",
        }
    }
}

/// Who asks, from where, with what.
#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    pub user_agent: Option<String>,
    /// The socket's address; wrong bodies are remembered for the peers that may hold them.
    pub peer: IpAddr,
}

impl Caller {
    /// This hub itself, for its owner: upstream decides by this hub's own token.
    pub fn owner() -> Self {
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { principal: Principal::Owner, user_agent: None, peer }
    }

    pub(super) fn is_owner(&self) -> bool {
        self.principal == Principal::Owner
    }

    /// Asks upstream for this caller; this hub's own token is used if it has none.
    pub(super) fn upstream(&self) -> upstream::Caller<'_> {
        upstream::Caller {
            token: self.principal.token(),
            user_agent: self.user_agent.as_deref(),
            without_hub_token: false,
        }
    }

    /// Asks upstream as this caller only, never with this hub's own token.
    pub(super) fn without_hub_token(&self) -> upstream::Caller<'_> {
        upstream::Caller { without_hub_token: true, ..self.upstream() }
    }
}
