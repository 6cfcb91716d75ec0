//! Who asks, and how an answer was served.

use std::net::{IpAddr, Ipv4Addr};

use crate::domain::Principal;
use crate::upstream;

/// How an answer was served; the header `X-Modelhub-Cache` and the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Served {
    /// From what is here.
    Hit,
    /// Upstream was asked for it.
    Miss,
    /// Together with somebody else's download.
    Join,
    /// From what is here, though upstream should have been asked and did not answer.
    Stale,
    /// Past the cache.
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

    /// Asks upstream for this caller; this hub's own token may stand in for none.
    pub(super) fn upstream(&self) -> upstream::Caller<'_> {
        upstream::Caller { token: self.principal.token(), user_agent: self.user_agent.as_deref(), own_eyes: false }
    }

    /// Asks upstream with what this caller itself may see, and nothing more.
    pub(super) fn own_eyes(&self) -> upstream::Caller<'_> {
        upstream::Caller { own_eyes: true, ..self.upstream() }
    }
}
