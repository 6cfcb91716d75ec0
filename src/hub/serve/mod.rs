//! Getting at the bytes: from the store, from a flight in progress, or from a new flight; past the store, which is
//! full (`bypass`); and as a Xet store (`xet`).

mod bypass;
mod open;
mod xet;

use std::ops::Deref;
use std::sync::Arc;

use super::Result;
use super::catalog::Catalog;
use super::digests::TokenDigests;
use super::flights::Flights;
use super::objects::Objects;
use super::repos::Repos;
use super::settings::Settings;
use super::store::Store;
use super::taints::Taints;
use crate::db::Db;
use crate::domain::Clock;
use crate::upstream::Upstream;

pub use bypass::Bypass;
pub use open::{Body, Opened};
pub use xet::{Recipe, XetToken, XorbPart};

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Serve(Arc<Inner>);

pub struct Inner {
    db: Db,
    store: Store,
    objects: Objects,
    upstream: Arc<Upstream>,
    clock: Clock,
    settings: Arc<Settings>,
    taints: Taints,
    digests: TokenDigests,
    repos: Repos,
    catalog: Catalog,
    flights: Flights,
    xet: xet::Xet,
}

impl Deref for Serve {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Serve {
    #[expect(clippy::too_many_arguments, reason = "each is something else, named once, in `Hub::new`")]
    pub(super) fn new(
        db: Db,
        store: Store,
        objects: Objects,
        upstream: Arc<Upstream>,
        clock: Clock,
        settings: Arc<Settings>,
        taints: Taints,
        digests: TokenDigests,
        repos: Repos,
        catalog: Catalog,
        flights: Flights,
        xet_key: &str,
    ) -> Result<Self> {
        let xet = xet::Xet::new(xet_key)?;
        Ok(Self(Arc::new(Inner {
            db,
            store,
            objects,
            upstream,
            clock,
            settings,
            taints,
            digests,
            repos,
            catalog,
            flights,
            xet,
        })))
    }

    pub fn forwards_telemetry(&self) -> bool {
        self.settings.forward_telemetry
    }

    pub fn serves_xet(&self) -> bool {
        self.settings.xet.serve
    }
}
