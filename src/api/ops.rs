//! Health and metrics.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::middleware::Next;
use metrics_exporter_prometheus::PrometheusHandle;

use super::{respond, serve};
use crate::config::Secret;
use crate::hub::Hub;

const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Clone)]
pub(super) struct Admin {
    pub(super) hub: Hub,
    pub(super) token: Secret,
    pub(super) metrics: PrometheusHandle,
}

/// The process runs.
pub(super) fn healthy() -> Response<Body> {
    respond::own(StatusCode::OK, TEXT, "ok\n")
}

/// The hub can serve: store and database answer. Upstream's absence is no reason to be unready.
pub(super) async fn readiness(hub: &Hub) -> Response<Body> {
    match hub.check_ready().await {
        Ok(()) => respond::own(StatusCode::OK, TEXT, "ready\n"),
        Err(error) => {
            tracing::error!(%error, "not ready");
            respond::own(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                "not ready: the store or the database does not answer\n",
            )
        }
    }
}

pub(super) async fn healthz() -> Response<Body> {
    healthy()
}

pub(super) async fn admin_readyz(State(admin): State<Admin>) -> Response<Body> {
    readiness(&admin.hub).await
}

pub(super) async fn metrics(State(admin): State<Admin>) -> Response<Body> {
    admin.hub.record_gauges().await;
    let (sent_by_kernel, copied) = serve::counters();
    crate::metrics::client_bytes(sent_by_kernel + copied);
    crate::metrics::connections(serve::open_connections());
    respond::own(StatusCode::OK, "text/plain; version=0.0.4", admin.metrics.render())
}

/// With a token set, everything but health needs it.
pub(super) async fn authenticate(State(admin): State<Admin>, request: Request, next: Next) -> Response<Body> {
    if let Some(token) = admin.token.get()
        && !bears(request.headers(), token)
    {
        let mut response =
            respond::own(StatusCode::UNAUTHORIZED, TEXT, "the admin token is needed: Authorization: Bearer …\n");
        let challenge = header::HeaderValue::from_static("Bearer realm=\"modelhub admin\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    }
    next.run(request).await
}

/// Compares without stopping at the first difference.
fn bears(headers: &HeaderMap, token: &str) -> bool {
    let given =
        headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let given = given.unwrap_or_default().trim().as_bytes();
    let differences = given.iter().zip(token.as_bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == token.len() && differences == 0
}

/// Names that a page on the web cannot rebind to this listener: addresses and local names only.
pub(super) async fn check_host(request: Request, next: Next) -> Response<Body> {
    let host = request.headers().get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let is_local = name == "localhost" || name.ends_with(".localhost") || name.ends_with(".local");
    if is_local || name.parse::<std::net::IpAddr>().is_ok() {
        return next.run(request).await;
    }
    let text = "this listener answers to addresses and local names only; use its address\n";
    respond::own(StatusCode::MISDIRECTED_REQUEST, TEXT, text)
}
