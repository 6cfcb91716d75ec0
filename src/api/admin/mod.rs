//! The admin listener: REST and gRPC of HubService, the dashboard, metrics, health.
//!
//! `service` has the operations; `rest` and `grpc` carry them; `guard` stands before everything. What every answer has
//! (an id, headers for browsers, compression) are layers of tower-http, here and nowhere else: the hub listener has none.

pub(super) mod convert;
mod grpc;
mod guard;
mod openapi;
pub(super) mod problem;
mod rest;
mod rules;
mod service;
mod source;
mod strict;
mod ui;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{any, get};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate as _, SizeAbove};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

pub use service::{About, Service};

use super::ops;
use crate::config::Secret;
use crate::pb::hub_service_server::HubServiceServer;

/// What browsers may do with what comes from here: nothing from elsewhere, in no frame.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'";
/// Smaller answers fit into one packet anyway.
const LEAST_COMPRESSED: u64 = 1024;
/// The largest message of a gRPC call.
const MOST_MESSAGE: usize = 8 << 20;

/// Who may use the listener: see `guard`.
#[derive(Debug, Clone, Default)]
pub struct Exposure {
    pub token: Secret,
    /// Names and addresses in `Host`, in lower case, besides `localhost` and the address of the connection: this machine's
    /// own, and those that are configured.
    pub hosts: Vec<String>,
}

/// Everything on the admin listener.
pub fn router(service: Service, exposure: Exposure, metrics: PrometheusHandle) -> Router {
    let state = ops::Admin { hub: service.hub.clone(), metrics };
    let guard = guard::Guard::new(exposure);
    let grpc = HubServiceServer::new(service.clone()).max_decoding_message_size(MOST_MESSAGE);
    let rest = Arc::new(rest::Rest { service, routes: rest::Routes::new() });
    let header = |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    // Not events, which have to be sent immediately, and not gRPC, which has a compression of its own.
    let worth_it = DefaultPredicate::new().and(SizeAbove::new(LEAST_COMPRESSED));
    let worth_it = worth_it.and(NotForContentType::const_new("font/"));
    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        // A failure is logged once, where it is handled.
        .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(header(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .layer(header(header::X_FRAME_OPTIONS, "DENY"))
        .layer(CompressionLayer::new().compress_when(worth_it))
        .layer(from_fn(problem::write))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(guard, guard::admit));
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
        .layer(layers)
}

/// What is logged while a request is answered says which one it was.
fn span(request: &Request) -> tracing::Span {
    let id = request.extensions().get::<RequestId>().map(problem::id_of).unwrap_or_default();
    tracing::info_span!("request", id, method = %request.method(), path = request.uri().path())
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
