//! The admin listener: REST and gRPC of HubService, the dashboard, metrics, health.
//!
//! `service` has the operations; `rest` and `grpc` carry them; `guard` stands before everything.

pub(super) mod convert;
mod grpc;
mod guard;
mod openapi;
pub(super) mod problem;
mod rest;
mod service;
mod source;
mod strict;
mod ui;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::Redirect;
use axum::routing::{any, get};
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::catch_panic::CatchPanicLayer;

pub use service::{About, Service};

use super::ops;
use crate::config::Secret;
use crate::pb::hub_service_server::HubServiceServer;

/// The largest message of a gRPC call.
const MOST_MESSAGE: usize = 8 << 20;

/// Who may use the listener: see `guard`.
#[derive(Debug, Clone, Default)]
pub struct Exposure {
    pub token: Secret,
    /// Names in `Host` besides addresses and local ones.
    pub hosts: Vec<String>,
}

/// Everything on the admin listener.
pub fn router(service: Service, exposure: Exposure, metrics: PrometheusHandle) -> Router {
    let state = ops::Admin { hub: service.hub.clone(), metrics };
    let guard = guard::Guard { token: exposure.token, hosts: exposure.hosts.into() };
    let grpc = HubServiceServer::new(service.clone()).max_decoding_message_size(MOST_MESSAGE);
    let rest = Arc::new(rest::Rest { service, routes: rest::Routes::new() });
    Router::new()
        .route("/metrics", get(ops::metrics))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::admin_readyz))
        .with_state(state)
        .route("/", get(|| async { Redirect::temporary("/ui/") }))
        .route("/ui", get(|| async { Redirect::permanent("/ui/") }))
        .route("/ui/", get(ui::index))
        .route("/ui/{*path}", get(ui::asset))
        .route("/openapi.json", get(openapi_document))
        .route_service("/modelhub.v1.HubService/{*call}", grpc)
        .merge(Router::new().route("/v1/{*path}", any(rest::handle)).with_state(rest))
        .fallback(nothing_here)
        .layer(axum::middleware::from_fn(harden))
        .layer(axum::middleware::from_fn_with_state(guard, guard::admit))
        .layer(CatchPanicLayer::new())
}

async fn openapi_document() -> Response<Body> {
    let document = openapi::document(env!("CARGO_PKG_VERSION")).to_string();
    let mut response = Response::new(Body::from(document));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn nothing_here(request: Request) -> Response<Body> {
    let detail = format!("no such path: {}; the API is under /v1, the dashboard at /ui/", request.uri().path());
    problem::Problem::new(StatusCode::NOT_FOUND, detail).response()
}

/// Security headers of every response: no foreign content, no framing, no type sniffing.
async fn harden(request: Request, next: Next) -> Response<Body> {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let policy = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
