//! Health and metrics.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;

use super::{respond, serve};
use crate::hub::{Error, Hub};

const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Clone)]
pub(super) struct Admin {
    pub(super) hub: Hub,
    pub(super) metrics: PrometheusHandle,
}

/// The process runs.
pub(super) fn healthy() -> Response<Body> {
    respond::own(StatusCode::OK, TEXT, "ok\n")
}

/// The hub can serve all that is asked: store and database can be written. An upstream outage does not make it unready.
pub(super) async fn readiness(hub: &Hub) -> Response<Body> {
    match hub.overview.check_ready().await {
        Ok(()) => respond::own(StatusCode::OK, TEXT, "ready\n"),
        Err(error) => {
            let why = match &error {
                // Told once, where they are met.
                Error::NoSpace | Error::DatabaseAway { .. } => error.to_string(),
                Error::Internal(cause) => {
                    tracing::error!(error = %cause, "not ready");
                    "the store or the database cannot be written; the log of this hub says why".to_owned()
                }
                error => {
                    tracing::error!(%error, "not ready");
                    error.to_string()
                }
            };
            respond::own(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {why}\n"))
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
    admin.hub.overview.record_gauges().await;
    crate::metrics::connections(serve::open_connections());
    respond::own(StatusCode::OK, "text/plain; version=0.0.4", admin.metrics.render())
}
