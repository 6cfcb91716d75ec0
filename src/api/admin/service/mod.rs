//! The operations of HubService: one function each, from request message to answer. REST and gRPC are thin around
//! these.

mod downloads;
mod files;
mod jobs;
mod models;
mod page;
mod quarantine;
mod system;

use std::sync::Arc;

use crate::hub::Hub;
use crate::machine::Machine;

/// What does not change while the hub runs.
#[derive(Debug, Clone, Default)]
pub struct About {
    pub endpoint: String,
    pub upstream_url: String,
    /// The proxy that upstream is reached through, and where that was set.
    pub proxy: Option<(String, String)>,
    pub storage_path: String,
    /// `sqlite` or `postgres`; never the address, which may hold a password.
    pub database: String,
    pub version: String,
    pub cache_times: crate::pb::CacheTimes,
    pub keeping: Vec<crate::pb::ConfiguredSetting>,
}

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(super) hub: Hub,
    machine: Arc<Machine>,
    about: Arc<About>,
}

impl Service {
    pub fn new(hub: Hub, machine: Machine, about: About) -> Self {
        Self { hub, machine: Arc::new(machine), about: Arc::new(about) }
    }
}
