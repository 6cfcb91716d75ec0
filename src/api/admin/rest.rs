//! The admin API over HTTP and JSON, as the definition's HTTP rules have it.
//!
//! Steps of a request: find the rule of its method and path → put path, query and body together as the JSON of the
//! request message → make the call → answer its JSON, or problem+json. Streams are server-sent events.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use http_body_util::{BodyExt as _, Limited};
use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Map, Value, json};

use super::grpc;
use super::problem::{Answer, Problem};
use super::rules::{Rule, rules};
use super::service::Service;
use super::strict::Strict;

/// The largest request body in bytes.
const MOST_BODY: usize = 2 << 20;
/// Most that a path may have between slashes.
const MOST_SEGMENTS: usize = 64;

/// The routes, made of the definition once.
pub(super) struct Routes(Vec<Route>);

struct Route {
    rule: Rule,
    method: Method,
    segments: Vec<Segment>,
}

enum Segment {
    Literal(String),
    /// One segment, or with `true` one and more.
    Field(String, bool),
}

impl Routes {
    pub(super) fn new() -> Self {
        let route = |rule: Rule| {
            let segment = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
                Some(name) => {
                    let slashes = rule.variables.iter().any(|(variable, slashes)| variable == name && *slashes);
                    Segment::Field(name.to_owned(), slashes)
                }
                None => Segment::Literal(text.to_owned()),
            };
            let segments = rule.path.split('/').skip(1).map(segment).collect();
            let method = Method::from_bytes(rule.method.to_uppercase().as_bytes()).unwrap_or(Method::GET);
            Route { method, segments, rule }
        };
        let mut routes: Vec<Route> = rules().into_iter().map(route).collect();
        // `/v1/models/{model}/files` is looked at before `/v1/models/{model}`.
        let literals = |route: &Route| route.segments.iter().filter(|s| matches!(s, Segment::Literal(_))).count();
        routes.sort_by_key(|route| std::cmp::Reverse(literals(route)));
        Self(routes)
    }

    /// The rule of a request and the fields in its path.
    fn find(&self, method: &Method, path: &str) -> Answer<(&Rule, Map<String, Value>)> {
        let not_found =
            || Problem::new(StatusCode::NOT_FOUND, format!("no such path: {path}; see /openapi.json for the API"));
        let mut segments = Vec::new();
        for segment in path.split('/').skip(1) {
            let decoded = percent_encoding::percent_decode_str(segment).decode_utf8().map_err(|_| not_found())?;
            segments.push(decoded.into_owned());
        }
        if segments.len() > MOST_SEGMENTS {
            return Err(not_found());
        }
        // The first path that fits is the one that is meant, whatever the method.
        let mut meant: Option<&str> = None;
        let mut allowed = Vec::new();
        for route in &self.0 {
            let mut fields = Map::new();
            if meant.is_some_and(|path| path != route.rule.path) || !matches(&route.segments, &segments, &mut fields) {
                continue;
            }
            if route.method == *method {
                return Ok((&route.rule, fields));
            }
            meant = Some(&route.rule.path);
            allowed.push(route.method.as_str());
        }
        if allowed.is_empty() {
            return Err(not_found());
        }
        allowed.sort_unstable();
        allowed.dedup();
        let detail = format!("{method} is not allowed here; use {}", allowed.join(" or "));
        Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail))
    }
}

/// Whether a path fits a template; its fields are noted.
fn matches(template: &[Segment], path: &[String], fields: &mut Map<String, Value>) -> bool {
    let Some((first, rest)) = template.split_first() else { return path.is_empty() };
    match first {
        Segment::Literal(text) => path.first() == Some(text) && matches(rest, &path[1..], fields),
        Segment::Field(name, slashes) => {
            // The longest that leaves enough for the rest.
            let most = if *slashes { path.len().saturating_sub(rest.len()) } else { 1 };
            for count in (1..=most.min(path.len())).rev() {
                if path[..count].iter().any(String::is_empty) {
                    continue;
                }
                if matches(rest, &path[count..], fields) {
                    fields.insert(name.clone(), path[..count].join("/").into());
                    return true;
                }
            }
            false
        }
    }
}

/// What the handler shares.
pub(super) struct Rest {
    pub(super) service: Service,
    pub(super) routes: Routes,
}

/// Every request below /v1.
pub(super) async fn handle(State(rest): State<std::sync::Arc<Rest>>, request: Request) -> Response<Body> {
    // HEAD is GET without its body; the server leaves that out.
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let path = request.uri().path().to_owned();
    let answered = async {
        let (rule, fields) = rest.routes.find(&method, &path)?;
        if rule.call.is_server_streaming() {
            return stream(&rest.service, rule, fields, request).await;
        }
        let message = message(rule, fields, request).await?;
        let json = grpc::call(&rest.service, rule.call.name(), message).await?;
        let mut response = Response::new(Body::from(json));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    };
    answered.await.unwrap_or_else(|problem: Problem| {
        let allowed = match problem.status {
            StatusCode::METHOD_NOT_ALLOWED => {
                problem.detail.rsplit_once("use ").map(|(_, list)| list.replace(" or ", ", "))
            }
            _ => None,
        };
        let mut response = problem.response();
        if let Some(value) = allowed.and_then(|allowed| HeaderValue::from_str(&allowed).ok()) {
            response.headers_mut().insert(header::ALLOW, value);
        }
        response
    })
}

/// The request message as JSON.
async fn message(rule: &Rule, fields: Map<String, Value>, request: Request) -> Answer<Value> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let mut message = if rule.body {
        if let Some((name, _)) = url::form_urlencoded::parse(query.as_bytes()).next() {
            return Err(Problem::field(
                &name,
                "this call takes no query parameters; send its fields as JSON in the body",
            ));
        }
        read_body(body).await?
    } else {
        query_fields(rule, query)?
    };
    for (name, value) in fields {
        // Clients that send the whole message may repeat what the path says.
        if message.get(&name).is_some_and(|other| *other != value) {
            return Err(Problem::field(&name, "the body and the path name different values"));
        }
        message.insert(name, value);
    }
    Ok(Value::Object(message))
}

async fn read_body(body: Body) -> Answer<Map<String, Value>> {
    let bytes = match Limited::new(body, MOST_BODY).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("request body exceeds {MOST_BODY} bytes")));
        }
        Err(error) => return Err(Problem::new(StatusCode::BAD_REQUEST, format!("request body was cut off: {error}"))),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&bytes) {
        Ok(Strict(Value::Object(fields))) => Ok(fields),
        Ok(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "request body must be a JSON object: {\"field\": value}")),
        Err(error) if error.is_data() => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            format!("request body is ambiguous: {error}; give each field only once"),
        )),
        Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, format!("request body is not valid JSON: {error}"))),
    }
}

/// The fields of a query, each as the JSON of its type.
fn query_fields(rule: &Rule, query: &str) -> Answer<Map<String, Value>> {
    let mut message = Map::new();
    for (name, text) in url::form_urlencoded::parse(query.as_bytes()) {
        let Some(field) = rule.other_fields().find(|field| field.name() == name || field.json_name() == name) else {
            let names: Vec<String> = rule.other_fields().map(|field| field.name().to_owned()).collect();
            let known = if names.is_empty() { "none".into() } else { names.join(", ") };
            let shown: String = name.chars().take(80).collect();
            return Err(Problem::field(&shown, format!("unknown parameter; expected: {known}")));
        };
        let value = query_value(&field, &text)?;
        match message.get_mut(field.name()) {
            Some(Value::Array(list)) => list.push(value),
            Some(_) => return Err(Problem::field(field.name(), "given more than once")),
            None => {
                let value = if field.is_list() { json!([value]) } else { value };
                message.insert(field.name().to_owned(), value);
            }
        }
    }
    Ok(message)
}

fn query_value(field: &FieldDescriptor, text: &str) -> Answer<Value> {
    let wrong = |rule: &str| {
        let shown: String = text.chars().take(80).collect();
        Err(Problem::field(field.name(), format!("invalid value `{shown}`; expected {rule}")))
    };
    match field.kind() {
        Kind::Bool => match text {
            "true" | "1" => Ok(true.into()),
            "false" | "0" => Ok(false.into()),
            _ => wrong("true or false"),
        },
        Kind::Uint32 | Kind::Uint64 => match text.parse::<u64>() {
            Ok(number) if matches!(field.kind(), Kind::Uint64) || number <= u64::from(u32::MAX) => Ok(number.into()),
            _ => wrong("a whole number"),
        },
        Kind::Int32 => text.parse::<i32>().map_or_else(|_| wrong("a whole number"), |number| Ok(number.into())),
        Kind::Enum(words) => {
            let words: Vec<String> = words.values().map(|value| value.name().to_owned()).collect();
            if words.iter().any(|word| word == text) { Ok(text.into()) } else { wrong(&words[1..].join(", ")) }
        }
        Kind::Message(_) if chrono::DateTime::parse_from_rfc3339(text).is_err() => {
            wrong("a time such as 2026-01-31T12:00:00Z")
        }
        _ => Ok(text.into()),
    }
}

/// Server-sent events of a streaming call; `Last-Event-ID` resumes after that event.
async fn stream(
    service: &Service,
    rule: &Rule,
    mut fields: Map<String, Value>,
    request: Request,
) -> Answer<Response<Body>> {
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    fields.extend(query_fields(rule, request.uri().query().unwrap_or_default())?);
    if let Some(last) = last.filter(|last| !last.is_empty()) {
        if last.parse::<u64>().is_err() {
            let shown: String = last.chars().take(80).collect();
            let text = format!("invalid value `{shown}`; expected the id of an event received earlier, a whole number");
            return Err(Problem::field("Last-Event-ID", text));
        }
        fields.insert("after".into(), last.into());
    }
    let request: crate::pb::WatchEventsRequest = grpc::read(Value::Object(fields))?;
    let watching = service.watch_events(request)?;
    let stopping = Box::pin(service.hub.stopping());
    let events = futures_util::stream::unfold((watching, stopping), |(mut watching, mut stopping)| async {
        let event = tokio::select! { event = watching.next() => event?, () = &mut stopping => return None };
        let data = serde_json::to_string(&event).unwrap_or_default();
        let mut sent = Event::default().event(event.kind.clone()).data(data);
        // What was lost has no id to resume from.
        if event.id > 0 {
            sent = sent.id(event.id.to_string());
        }
        Some((Ok::<_, std::convert::Infallible>(sent), (watching, stopping)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}
