//! Failures of the admin API: one kind of error, said as problem+json (RFC 9457) and as a gRPC status.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::middleware::Next;
use serde_json::json;
use tower_http::request_id::RequestId;

use crate::domain::ParseError;
use crate::hub::Error;

/// What went wrong, for the caller. Causes are logged where a problem is made, and never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) detail: String,
    /// Invalid fields of the request, and what was expected.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), fields: Vec::new(), retry_after: None }
    }

    /// One field of the request is invalid.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let detail = format!("{field}: {message}");
        Self { fields: vec![(field.to_owned(), message)], ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    /// For `map_err` of a parser: names the field that held the text.
    pub(crate) fn of(field: &'static str) -> impl FnOnce(ParseError) -> Self {
        move |error| Self::field(field, error.to_string())
    }

    /// The same of a part of the request: its fields are that part's.
    pub(crate) fn within(self, part: &str) -> Self {
        let fields = self.fields.into_iter().map(|(field, message)| (format!("{part}.{field}"), message)).collect();
        Self { detail: format!("{part}: {}", self.detail), fields, ..self }
    }

    /// An answer whose body `write` adds.
    pub(crate) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"modelhub admin\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }

    fn body(&self, request_id: &str) -> String {
        let fields = self.fields.iter().map(|(field, message)| json!({"field": field, "message": message}));
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "errors": fields.collect::<Vec<_>>(),
            "request_id": request_id,
        });
        body.to_string()
    }
}

/// Writes the bodies of problems: with the id by which the log names the request.
pub(super) async fn write(request: Request, next: Next) -> Response<Body> {
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        *response.body_mut() = problem.body(id.as_ref().map(id_of).unwrap_or_default()).into();
    }
    response
}

/// An id that a client made up may be no text.
pub(super) fn id_of(id: &RequestId) -> &str {
    id.header_value().to_str().unwrap_or_default()
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::RepoNotFound
            | Error::RevisionNotFound { .. }
            | Error::EntryNotFound { .. }
            | Error::NotFound { .. } => StatusCode::NOT_FOUND,
            Error::Gated { .. } | Error::Disabled | Error::Forbidden { .. } => StatusCode::FORBIDDEN,
            // Upstream does not know this hub's token; the caller's right to this API is not in question.
            Error::Unauthenticated { .. } => StatusCode::FORBIDDEN,
            Error::InvalidField { field, rule } => return Self::field(field, rule),
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::Busy { .. } | Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::NotSupported(_) => StatusCode::NOT_IMPLEMENTED,
            Error::Offline { .. }
            | Error::Tainted
            | Error::Stopping
            | Error::DatabaseAway { .. }
            | Error::ObjectStore { .. }
            | Error::CameElsewhere => StatusCode::SERVICE_UNAVAILABLE,
            Error::UpstreamUnavailable { .. } => StatusCode::GATEWAY_TIMEOUT,
            Error::BadUpstream(_) | Error::NotAllowed(_) | Error::Rejected { .. } | Error::Moved { .. } => {
                StatusCode::BAD_GATEWAY
            }
            Error::NoSpace | Error::NoRoom { .. } | Error::OverLimit { .. } => StatusCode::INSUFFICIENT_STORAGE,
            Error::Internal(_) | Error::Damaged { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if let Error::Internal(cause) = &error {
            tracing::error!(error = %cause, "an admin request failed");
        }
        let detail = match &error {
            Error::RepoNotFound => "repository not found, or this hub's token has no access to it".into(),
            error => error.to_string(),
        };
        let retry_after = match &error {
            Error::RateLimited { retry_after } => Some(retry_after.as_secs().max(1)),
            Error::Stopping | Error::Tainted | Error::DatabaseAway { .. } => Some(5),
            _ => None,
        };
        Self { retry_after, ..Self::new(status, detail) }
    }
}

impl From<Problem> for tonic::Status {
    fn from(problem: Problem) -> Self {
        use tonic::Code;
        let code = match problem.status {
            StatusCode::BAD_REQUEST => Code::InvalidArgument,
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::CONFLICT => Code::FailedPrecondition,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE => Code::ResourceExhausted,
            StatusCode::NOT_IMPLEMENTED => Code::Unimplemented,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                Code::Unavailable
            }
            _ => Code::Internal,
        };
        Self::new(code, problem.detail)
    }
}

/// `Ok` or what went wrong, for all of the admin API.
pub(crate) type Answer<T> = Result<T, Problem>;
