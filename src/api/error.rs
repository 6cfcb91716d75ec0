//! A failure as Hub clients read it: status, `X-Error-Code`, `X-Error-Message`.
//!
//! huggingface_hub looks at the code first, then at the exact message, then at the status
//! (`hf_raise_for_status`). Over plain http a bare 401 is not understood: it always has a code.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use crate::hub::Error;

/// How the body of an error is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{"error": …}`, below `/api/`.
    Json,
    /// The message as text, for files.
    Text,
}

/// The answer to a failed request. Causes are logged here, once, and never sent.
pub(super) fn answer(error: &Error, anonymous: bool, shape: Shape) -> Response<Body> {
    let unauthorised = |code| if anonymous { (StatusCode::UNAUTHORIZED, code) } else { (StatusCode::FORBIDDEN, code) };
    let (status, code) = match error {
        Error::RepoNotFound if anonymous => (StatusCode::UNAUTHORIZED, Some("RepoNotFound")),
        Error::RepoNotFound => (StatusCode::NOT_FOUND, Some("RepoNotFound")),
        Error::RevisionNotFound { .. } => (StatusCode::NOT_FOUND, Some("RevisionNotFound")),
        Error::EntryNotFound { .. } => (StatusCode::NOT_FOUND, Some("EntryNotFound")),
        Error::Gated { .. } => unauthorised(Some("GatedRepo")),
        Error::Disabled => (StatusCode::FORBIDDEN, None),
        Error::Unauthenticated { .. } => (StatusCode::UNAUTHORIZED, None),
        Error::Forbidden { .. } => (StatusCode::FORBIDDEN, None),
        Error::Invalid(_) | Error::InvalidField { .. } => (StatusCode::BAD_REQUEST, None),
        Error::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, None),
        // A status that huggingface_hub does not retry: the answer will not change soon.
        Error::NotSupported(_) | Error::Offline { .. } => (StatusCode::NOT_IMPLEMENTED, None),
        Error::UpstreamUnavailable { .. } => (StatusCode::GATEWAY_TIMEOUT, None),
        Error::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, None),
        Error::BadUpstream(_) | Error::NotAllowed(_) => (StatusCode::BAD_GATEWAY, None),
        Error::Tainted | Error::Stopping | Error::DatabaseAway { .. } | Error::ObjectStore { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, None)
        }
        Error::Rejected { status, .. } => (StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY), None),
        Error::Moved { .. } => (StatusCode::TEMPORARY_REDIRECT, None),
        Error::NoSpace | Error::NoRoom { .. } | Error::OverLimit { .. } => (StatusCode::INSUFFICIENT_STORAGE, None),
        Error::NotFound { .. } => (StatusCode::NOT_FOUND, None),
        Error::Conflict(_) => (StatusCode::CONFLICT, None),
        Error::Busy { .. } => (StatusCode::TOO_MANY_REQUESTS, None),
        Error::CameElsewhere => (StatusCode::SERVICE_UNAVAILABLE, None),
        Error::Damaged { .. } => (StatusCode::INTERNAL_SERVER_ERROR, None),
        Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, None),
    };
    if let Error::Internal(cause) = error {
        tracing::error!(error = %chain(cause.as_ref()), "a request failed");
    }
    let message = error.to_string();
    let mut response = match shape {
        Shape::Json => {
            let mut response = Response::new(Body::from(serde_json::json!({ "error": message }).to_string()));
            set(&mut response, "content-type", "application/json; charset=utf-8");
            response
        }
        Shape::Text => {
            let mut response = Response::new(Body::from(message.clone()));
            set(&mut response, "content-type", "text/plain; charset=utf-8");
            response
        }
    };
    *response.status_mut() = status;
    if let Some(code) = code {
        set(&mut response, "x-error-code", code);
    }
    set(&mut response, "x-error-message", &printable(&message));
    match error {
        Error::EntryNotFound { commit: Some(commit) } => set(&mut response, "x-repo-commit", commit.as_str()),
        Error::RateLimited { retry_after } => {
            let seconds = retry_after.as_secs().max(1);
            set(&mut response, "retry-after", &seconds.to_string());
            set(&mut response, "ratelimit", &format!("\"upstream\";r=0;t={seconds}"));
        }
        Error::Tainted | Error::Stopping | Error::DatabaseAway { .. } => set(&mut response, "retry-after", "5"),
        Error::Moved { path } => set(&mut response, "location", path),
        _ => {}
    }
    if status == StatusCode::UNAUTHORIZED {
        set(&mut response, "www-authenticate", "Bearer realm=\"Authentication required\", charset=\"UTF-8\"");
    }
    response
}

fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(header::HeaderName::from_static(name), value);
    }
}

/// Header text: no control characters, ASCII only, not endless.
fn printable(text: &str) -> String {
    text.chars().take(500).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
