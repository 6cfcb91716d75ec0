//! The OpenAPI document of the admin API, made of its definition in proto/: an operation for each HTTP rule
//! (`rules`), a schema for each message. docs/openapi.json is what it says for this version.

mod schema;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::rules::{Rule, rules};
use schema::{Schemas, Use, comment, field_comment, reference};

const ABOUT: &str = "\
The models of this hub, and the jobs that download, verify and evict their files.

A `model` is named by its id, by `namespace/name`, or by `kind/namespace/name` (`dataset/org/data`). In a path its \
slashes may be written as they are or as `%2F`.

64-bit numbers are strings in answers; requests may use numbers. Fields are named in `snake_case`; requests may use \
`camelCase` too. Unknown fields are refused. A token is needed where the server has one.";

/// The document for a server of this version.
pub(crate) fn document(version: &str) -> Value {
    let mut schemas = Schemas::default();
    // In the definition's order, the methods of one path together.
    let mut paths = Map::new();
    for rule in rules() {
        let operation = operation(&rule, &mut schemas);
        let path = paths.entry(rule.path).or_insert_with(|| json!({}));
        path[rule.method] = operation;
    }
    schemas.add("ProblemDetails", problem_details());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "modelhub",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "version": version,
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.into_value(),
            "responses": {"Problem": problem()},
            "securitySchemes": {"bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "The admin token, if one is set.",
            }},
        },
    })
}

fn operation(rule: &Rule, schemas: &mut Schemas) -> Value {
    let call = &rule.call;
    let file = call.parent_file();
    let description = comment(file.file_descriptor_proto(), call.path());
    let mut operation = Map::from_iter([("operationId".into(), json!(rule.id)), ("tags".into(), json!([tag(rule)]))]);
    if let Some(description) = description {
        operation.insert("description".into(), json!(description));
    }
    let mut parameters: Vec<_> = rule.variables.iter().map(|(name, slashes)| path_parameter(name, *slashes)).collect();
    if !rule.body {
        parameters.extend(rule.other_fields().map(|field| query_parameter(&field, schemas)));
    }
    if call.is_server_streaming() {
        parameters.push(last_event_id());
    }
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.into());
    }
    if rule.body {
        let body = schemas.body(&rule.request(), rule.other_fields().collect());
        let content = json!({"application/json": {"schema": body}});
        operation.insert("requestBody".into(), json!({"required": true, "content": content}));
    }
    let answer = schemas.message(&call.output(), Use::Answer);
    let success = if call.is_server_streaming() { events(&answer) } else { json_answer(&answer) };
    let problem = json!({"$ref": "#/components/responses/Problem"});
    operation.insert("responses".into(), json!({"200": success, "4XX": problem, "5XX": problem}));
    operation.into()
}

/// What the path is about: its first word after the version.
fn tag(rule: &Rule) -> &str {
    rule.path.split('/').nth(2).unwrap_or_default()
}

fn path_parameter(name: &str, slashes: bool) -> Value {
    let mut parameter = json!({
        "name": name,
        "in": "path",
        "required": true,
        "schema": {"type": "string", "minLength": 1},
    });
    if slashes {
        parameter["description"] = json!("An id, `namespace/name` or `kind/namespace/name`; `/` may be written `%2F`.");
    }
    parameter
}

fn query_parameter(field: &prost_reflect::FieldDescriptor, schemas: &mut Schemas) -> Value {
    let mut parameter = json!({"name": field.name(), "in": "query", "schema": schemas.parameter(field)});
    if field.is_list() {
        parameter["style"] = json!("form");
        parameter["explode"] = json!(true);
    }
    if let Some(comment) = field_comment(field) {
        parameter["description"] = json!(comment);
    }
    parameter
}

fn last_event_id() -> Value {
    json!({
        "name": "Last-Event-ID",
        "in": "header",
        "description": "Resumes after this event, as `after` does.",
        "schema": {"type": "string"},
    })
}

fn json_answer(schema: &Value) -> Value {
    json!({"description": "Done.", "content": {"application/json": {"schema": schema}}})
}

/// Of a stream the schema is about each event.
fn events(data: &Value) -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "The value to send as Last-Event-ID to resume after this event."},
            "event": {"type": "string", "description": "The kind of the event."},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": data},
        },
    });
    let content = json!({"text/event-stream": {"schema": schema}});
    json!({"description": "An endless stream of server-sent events.", "content": content})
}

/// What every error says (RFC 9457).
fn problem() -> Value {
    let statuses = BTreeMap::from([
        (400, "a field is invalid; `errors` names it"),
        (401, "a token is missing or wrong"),
        (403, "not allowed"),
        (404, "not found"),
        (409, "not possible in the current state"),
        (421, "this Host is not served by this listener"),
        (429, "too many requests; `Retry-After` says when to try again"),
        (500, "an internal error; see the server log"),
        (502, "upstream gave an invalid response"),
        (503, "temporarily unavailable"),
        (504, "upstream did not answer in time"),
    ]);
    let mut description = String::from("The request failed.\n");
    for (status, meaning) in statuses {
        description.push_str(&format!("\n- {status}: {meaning}"));
    }
    json!({
        "description": description,
        "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}},
        "content": {"application/problem+json": {"schema": reference("ProblemDetails")}},
    })
}

fn problem_details() -> Value {
    json!({
        "type": "object",
        "description": "Why a request failed (RFC 9457).",
        "properties": {
            "type": {"type": "string", "description": "Names the kind of problem."},
            "title": {"type": "string", "description": "The kind of problem in words."},
            "status": {"type": "integer", "description": "The HTTP status code of the response."},
            "detail": {"type": "string", "description": "What is wrong with this request, and what was expected."},
            "errors": {
                "type": "array",
                "description": "The invalid fields.",
                "items": {
                    "type": "object",
                    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                    "required": ["field", "message"],
                },
            },
            "request_id": {"type": "string", "description": "Names the request in the server's log, as `X-Request-Id` does."},
        },
        "required": ["type", "title", "status", "detail"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_what_the_definition_makes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let document = format!("{:#}\n", document(env!("CARGO_PKG_VERSION")));
        if std::env::var_os("WRITE_OPENAPI").is_some() {
            #[expect(clippy::disallowed_methods, reason = "a document, not the store")]
            std::fs::write(path, &document).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == document,
            "docs/openapi.json is out of date; run WRITE_OPENAPI=1 cargo test --lib openapi, and commit it"
        );
    }

    #[test]
    fn requests_refuse_unknown_fields_and_answers_have_all() {
        let document = document("1");
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["DownloadModelBody"]["additionalProperties"], false);
        assert_eq!(schemas["DownloadModelBody"]["properties"]["model"], Value::Null);
        assert_eq!(schemas["DownloadModelRequest"]["properties"]["model"]["type"], "string");
        assert_eq!(schemas["SelectionInput"]["required"], Value::Null);
        assert_eq!(schemas["Selection"]["required"], json!(["paths", "include", "exclude", "preset", "quantisation"]));
        // Messages, times and optional fields are left out when they are unset.
        let job = schemas["Job"]["required"].as_array().unwrap();
        assert!(!job.contains(&json!("progress")) && !job.contains(&json!("created_at")) && job.contains(&json!("id")));
        assert_eq!(schemas["JobStatus"]["enum"][0], "STATUS_UNSPECIFIED");
    }
}
