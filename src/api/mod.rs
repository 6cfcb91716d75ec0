//! The edges: HTTP in. Handlers extract, make one call into `hub`, convert.
//!
//! | listener | path | what |
//! |---|---|---|
//! | hub | `/` | a page for people |
//! | hub | `/healthz` `/readyz` | for machines |
//! | hub | `/[datasets/\|spaces/\|kernels/]{id}/{resolve\|raw}/{revision}/{path}` | files |
//! | hub | `/xet/…`, `/v1/telemetry` | this hub as the Xet store of its clients |
//! | hub | `/api/…` | the Hub's metadata (`hf/route.rs` lists the routes) |
//! | admin | `/healthz` `/readyz` `/metrics` | for machines |
//! | admin | `/v1/…`, gRPC, `/openapi.json` | the admin API (`admin/`, proto/) |
//! | admin | `/ui/` | the dashboard |
//! | worker | gRPC, `/healthz` `/readyz` | WorkerService (`worker_service.rs`) |

pub mod admin;
mod error;
mod extract;
mod hf;
mod ops;
mod respond;
pub mod serve;
pub mod worker_service;

use std::sync::Arc;

use axum::Router;
use tower_http::catch_panic::CatchPanicLayer;

pub use hf::Front;

use crate::hub::Hub;

/// What handlers share.
pub struct Shared {
    pub hub: Hub,
    /// `hub.public_url` without a trailing slash; empty: the request's own Host.
    pub public_url: Arc<str>,
    pub front: Front,
}

/// Everything on the hub listener. One handler: its paths cannot be told apart by a router
/// that decodes `%2F` or takes one parameter a segment.
pub fn hub_router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(hf::handle).with_state(shared).layer(CatchPanicLayer::new())
}
