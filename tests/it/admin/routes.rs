//! Every HTTP rule of the definition has its route, and only those.

use modelhub::pb::DESCRIPTORS;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

use super::text;
use crate::harness::TestHub;

/// Method and path template of every rule, read from the definition on its own.
fn rules() -> Vec<(String, String, String)> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    let mut rules = Vec::new();
    for call in pool.get_service_by_name("modelhub.v1.HubService").unwrap().methods() {
        let options = call.options();
        let first = options.get_extension(&http).as_message().unwrap().clone();
        let more = first.get_field_by_name("additional_bindings").unwrap().into_owned();
        let more: Vec<DynamicMessage> =
            more.as_list().unwrap().iter().map(|rule| rule.as_message().unwrap().clone()).collect();
        for rule in std::iter::once(first).chain(more) {
            for method in ["get", "post", "patch", "put", "delete"] {
                if let Some(Value::String(path)) = rule.get_field_by_name(method).map(|value| value.into_owned())
                    && !path.is_empty()
                {
                    rules.push((call.name().to_owned(), method.to_uppercase(), path));
                }
            }
        }
    }
    rules
}

fn path_of(template: &str) -> String {
    template
        .replace("{model=**}", "model/org/absent")
        .replace("{id}", "01900000-0000-7000-8000-000000000000")
        .replace("{name}", &format!("{}.7", "a".repeat(64)))
}

#[tokio::test]
async fn every_rule_of_the_definition_is_routed_to_its_call() {
    let hub = TestHub::builder().start().await;
    let rules = rules();
    assert!(rules.len() > 40, "{}", rules.len());
    for (call, method, template) in &rules {
        let url = format!("{}{}", hub.admin_url(), path_of(template));
        let body = if method == "GET" || method == "DELETE" { "" } else { "{}" };
        // The head is enough: events never end.
        let reply = hub.client.send(method, &url, &[], body).await.unwrap();
        let status = reply.status().as_u16();
        let kind = reply.headers()["content-type"].to_str().unwrap().to_owned();
        assert_ne!(status, 405, "{call}: {method} {template}");
        if kind.starts_with("text/event-stream") {
            assert_eq!((status, call.as_str()), (200, "WatchEvents"));
            continue;
        }
        let said: serde_json::Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        if status == 404 {
            // Of what is named, not of the route.
            let detail = text(&said["detail"]);
            assert!(detail.contains(" not found"), "{call}: {method} {template}: {detail}");
        } else {
            assert!(status == 200 || [400, 501].contains(&status), "{call}: {method} {template}: {status} {said}");
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn the_openapi_document_lists_the_same_routes() {
    let hub = TestHub::builder().start().await;
    let document = hub.look("/openapi.json").await;
    let mut listed: Vec<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        })
        .filter(|(_, path)| path.starts_with("/v1/"))
        .collect();
    let mut right: Vec<(String, String)> =
        rules().into_iter().map(|(_, method, path)| (method, path.replace("=**", ""))).collect();
    listed.sort();
    right.sort();
    assert_eq!(listed, right);
    hub.finish().await;
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_possible_is_said() {
    let hub = TestHub::builder().start().await;
    for path in ["/v1", "/v1/", "/v1/none", "/v1/jobs/", "/v1/models//files", "/v2/models", "/none", "/v1/models/%ff"] {
        let reply = hub.admin("GET", path, &serde_json::Value::Null).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/problem+json", "{path}");
    }
    for (method, path, allow) in [
        ("PUT", "/v1/models", "GET, POST"),
        ("DELETE", "/v1/jobs", "GET"),
        ("POST", "/v1/settings", "GET, PATCH"),
        ("OPTIONS", "/v1/overview", "GET"),
    ] {
        let reply = hub.admin_raw(method, path, &[], "").await;
        assert_eq!((reply.status, reply.header("allow")), (405, allow), "{method} {path}: {}", reply.text());
    }
    hub.finish().await;
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let hub = TestHub::builder().start().await;
    for path in ["/v1/overview", "/v1/jobs", "/v1/events", "/openapi.json"] {
        let url = format!("{}{path}", hub.admin_url());
        let reply = hub.client.send("HEAD", &url, &[], "").await.unwrap();
        assert_eq!(reply.status(), 200, "{path}");
        assert!(reply.bytes().await.unwrap().is_empty(), "{path}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn answers_are_hardened_and_never_for_other_origins() {
    let hub = TestHub::builder().start().await;
    for (method, path) in [("GET", "/v1/overview"), ("GET", "/v1/none"), ("GET", "/"), ("OPTIONS", "/v1/overview")] {
        let origin = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
        let reply = hub.admin_raw(method, path, &origin, "").await;
        for name in ["content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy"] {
            assert!(!reply.header(name).is_empty(), "{method} {path} without {name}");
        }
        let names = reply.headers.keys().map(|name| name.as_str());
        assert!(
            names.into_iter().all(|name| !name.starts_with("access-control-")),
            "{method} {path}: {:?}",
            reply.headers
        );
    }
    hub.finish().await;
}
