//! The Hub's protocol. One handler: find the route, call the hub, shape the answer, and mark
//! and count it.

mod files;
mod front;
mod landing;
mod metadata;
mod route;
mod xet;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tracing::Instrument as _;

pub use self::front::Front;
use self::route::Route;
use super::error::{self, Shape};
use super::extract::{self, Query};
use super::{Shared, ops, respond};
use crate::hub::{Caller, Error, Result, Served};
use crate::metrics;

/// One request, its head parsed.
pub(super) struct Call {
    caller: Caller,
    parts: axum::http::request::Parts,
    body: Body,
    query: Query,
    /// Our own address as this client knows it.
    base: String,
}

impl Call {
    /// The same once more; of a reading call, which has no body.
    fn without_body(&self) -> Self {
        let query = Query::parse(self.parts.uri.query().unwrap_or_default());
        let (caller, parts, base) = (self.caller.clone(), self.parts.clone(), self.base.clone());
        Self { caller, parts, body: Body::empty(), query, base }
    }
}

/// An answer and how it was served.
type Answer = (Response<Body>, Served);

pub(super) async fn handle(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    if let Some(path) = route::tidied(parts.uri.path()) {
        let query = parts.uri.query().map_or_else(String::new, |query| format!("?{query}"));
        // A part of a valid path is one too.
        parts.uri = format!("{path}{query}").parse().unwrap_or(parts.uri);
    }
    // Clients show this id in their errors.
    let id = front::request_id();
    let span = tracing::info_span!("request", id = %id, method = %parts.method, path = %parts.uri.path());
    let mut response = answer(&shared, parts, body).instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    response
}

async fn answer(shared: &Shared, parts: axum::http::request::Parts, body: Body) -> Response<Body> {
    // While upstream is down each request is checked: what was offered may not be available.
    let is_away = shared.hub.overview.is_upstream_away();
    let known = if is_away { None } else { shared.front.get(&shared.hub, &parts.method, parts.uri.path()) };
    if parts.method == Method::HEAD
        && let Some(known) = &known
    {
        // The most frequent request by far: answered without any of what follows.
        return finish(files::known_head(shared, &parts.headers, known), Served::Hit);
    }
    // Boxed: the future of a rare route must not make that of every request large.
    Box::pin(answer_any(shared, parts, body, known)).await
}

async fn answer_any(
    shared: &Shared,
    parts: axum::http::request::Parts,
    body: Body,
    known: Option<Arc<front::Known>>,
) -> Response<Body> {
    let path = parts.uri.path().to_owned();
    let caller = extract::caller(&parts);
    let anonymous = caller.principal.is_anonymous();
    let is_head = parts.method == Method::HEAD;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let base = extract::base_url(&parts.headers, &shared.public_url);
    let call = Call { caller, parts, body, query, base };

    let outcome = match known {
        Some(known) => files::known(shared, call, &known).await,
        None => match route::route(&path) {
            Ok(route) => match route::as_name(&path).filter(|_| is_head || call.parts.method == Method::GET) {
                None => dispatch(shared, route, call).await,
                Some(other) => {
                    let again = call.without_body();
                    match dispatch(shared, route, call).await {
                        Err(Error::RepoNotFound) => dispatch(shared, other, again).await,
                        outcome => outcome,
                    }
                }
            },
            Err(error) => Err(error),
        },
    };
    let (mut response, served) = outcome.unwrap_or_else(|error| {
        let shape = if path.starts_with("/api/") { Shape::Json } else { Shape::Text };
        (error::answer(&error, anonymous, shape), Served::Bypass)
    });
    if is_head {
        respond::strip_body(&mut response);
    }
    finish(response, served)
}

/// Marks and counts an answer.
fn finish(mut response: Response<Body>, served: Served) -> Response<Body> {
    respond::mark(&mut response, served);
    metrics::request(served.as_str(), response.status().as_u16());
    tracing::debug!(status = response.status().as_u16(), result = served.as_str(), "answered");
    response
}

async fn dispatch(shared: &Shared, route: Route, call: Call) -> Result<Answer> {
    let hub = &shared.hub;
    let is_read = matches!(call.parts.method, Method::GET | Method::HEAD);
    let is_post = call.parts.method == Method::POST;
    let own = |response: Response<Body>| Ok((response, Served::Bypass));
    match route {
        Route::PathsInfo(key, revision) if is_post => metadata::paths_info(hub, call, &key, &revision).await,
        Route::Telemetry => metadata::telemetry(hub, call).await,
        // Usage reports; a client that is about to exit waits for the response.
        Route::XetTelemetry if is_post => own(respond::own(StatusCode::NO_CONTENT, "text/plain", "")),
        _ if call.parts.method == Method::OPTIONS => own(respond::own(StatusCode::NO_CONTENT, "text/plain", "")),
        _ if !is_read => Err(Error::NotSupported(format!(
            "this hub is read-only: {} {} is not supported; send it to upstream directly",
            call.parts.method,
            call.parts.uri.path()
        ))),
        Route::Landing => own(landing::page(&call.base)),
        Route::Healthz => own(ops::healthy()),
        Route::Readyz => own(ops::readiness(hub).await),
        Route::Resolve(repo, revision, path) => {
            files::resolve(shared, call, &Route::target(repo, revision, path)).await
        }
        Route::Raw(repo, revision, path) => files::raw(shared, call, &Route::target(repo, revision, path)).await,
        Route::List(kind) => metadata::list(hub, call, kind).await,
        Route::Info(key, revision) => metadata::info(hub, call, &key, &revision).await,
        Route::Tree(key, revision, folder) => metadata::tree(hub, call, &key, &revision, folder).await,
        Route::PathsInfo(..) => Err(Error::Invalid("paths-info requires POST".into())),
        Route::Refs(key) => {
            let passed = hub.catalog.refs(&call.caller, &key, &call.query.raw).await?;
            Ok((respond::passed(&passed, &call.base), passed.served))
        }
        Route::AuthCheck(key, write) => metadata::auth_check(hub, call, &key, write).await,
        Route::XetToken(key, revision) if hub.serve.serves_xet() => xet::token(hub, call, &key, &revision).await,
        Route::XetToken(..) => Err(Error::NotSupported(
            "Xet is disabled on this hub: set HF_HUB_DISABLE_XET=1 (this client has cached a listing that names Xet)"
                .into(),
        )),
        Route::XetNotHere => Err(Error::NotSupported(
            "this hub only issues Xet tokens for reading models, datasets, spaces and kernels; send this to upstream directly"
                .into(),
        )),
        Route::XetRecipe(..) if hub.serve.serves_xet() && call.parts.method == Method::HEAD => {
            Err(Error::Invalid("a reconstruction requires GET; use HEAD /xet/v1/files/{hash} for the size".into()))
        }
        Route::XetRecipe(version, file) if hub.serve.serves_xet() => xet::recipe(hub, call, version, &file).await,
        Route::XetFile(file) if hub.serve.serves_xet() => xet::file_size(hub, call, &file).await,
        Route::Xorb(xorb) if hub.serve.serves_xet() => xet::xorb(shared, call, &xorb).await,
        Route::XetRecipe(..) | Route::XetFile(_) | Route::Xorb(_) | Route::XetTelemetry => {
            Err(Error::EntryNotFound { commit: None })
        }
        Route::BelowRepo(key, rest) => {
            let rest = if call.query.raw.is_empty() { rest } else { format!("{rest}?{}", call.query.raw) };
            let passed = hub.catalog.pass_repo(&call.caller, &key, &rest).await?;
            Ok((respond::passed(&passed, &call.base), passed.served))
        }
        Route::WhoAmI => metadata::who_am_i(hub, call).await,
        // huggingface_hub asks once a day and waits for it.
        Route::AgentHarnesses => own(respond::json(r#"{"standardEnvVars":[],"harnesses":{}}"#, "")),
        Route::OtherApi => {
            let path = call.parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let passed = hub.catalog.pass_general(&call.caller, path).await?;
            Ok((respond::passed(&passed, &call.base), passed.served))
        }
        Route::Unknown if call.parts.uri.path().starts_with("/api/") => {
            Err(Error::NotFound { what: format!("{} not found in the Hub's API", call.parts.uri.path()) })
        }
        Route::Unknown => {
            let text = "Not found. Files are at /{repo}/resolve/{revision}/{path}, metadata is under /api/.\n";
            own(respond::own(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", text))
        }
    }
}
