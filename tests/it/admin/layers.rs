//! What every answer of the admin listener has: an id, headers for browsers, and compression where it is worth it.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use modelhub::pb::{self, hub_service_client::HubServiceClient};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tonic::transport::Endpoint;

use super::{PATIENCE, list, small_model, text};
use crate::harness::process::command;
use crate::harness::{Client, TestHub};

const GZIP: (&str, &str) = ("accept-encoding", "gzip");

fn unpacked(body: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn a_list_is_compressed_for_who_asks_for_it_and_says_the_same() {
    let ids: Vec<String> = (0..8).map(|number| format!("org/model-{number}")).collect();
    let hub = ids.iter().fold(TestHub::builder(), |hub, id| hub.repo(small_model(id))).start().await;
    for id in &ids {
        hub.synced(id).await;
    }
    let plain = hub.admin_raw("GET", "/v1/models", &[], "").await;
    assert_eq!((plain.status, plain.header("content-encoding")), (200, ""));
    let packed = hub.admin_raw("GET", "/v1/models", &[GZIP], "").await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"));
    assert!(packed.header("vary").contains("accept-encoding"), "{:?}", packed.headers);
    assert!(packed.body.len() * 3 < plain.body.len(), "{} of {} bytes", packed.body.len(), plain.body.len());
    let said: Value = serde_json::from_str(&unpacked(&packed.body)).unwrap();
    assert_eq!(list(&said["models"]).len(), ids.len());
    assert_eq!(said["models"], plain.json()["models"]);
    // What is small is not worth it.
    let small = hub.admin_raw("GET", "/healthz", &[GZIP], "").await;
    assert_eq!((small.text().as_str(), small.header("content-encoding")), ("ok\n", ""));
    hub.finish().await;
}

#[tokio::test]
async fn events_leave_at_once_and_uncompressed() {
    let hub = TestHub::builder().start().await;
    let url = format!("{}/v1/events", hub.admin_url());
    let mut response = hub.client.send("GET", &url, &[GZIP], "").await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().get("content-encoding")), (200, None));
    // Traffic is told every second: the first event is no batch of many.
    let mut seen = String::new();
    while !seen.contains("\n\n") {
        let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await.expect("events come").unwrap().unwrap();
        seen += std::str::from_utf8(&chunk).unwrap();
    }
    assert!(seen.contains("data:") && seen.len() < 4096, "{seen}");
    drop(response);
    hub.finish().await;
}

#[tokio::test]
async fn grpc_is_not_compressed_behind_its_back() {
    let hub = TestHub::builder().start().await;
    let channel = Endpoint::from_shared(hub.admin_url().to_owned()).unwrap().connect().await.unwrap();
    let mut request = tonic::Request::new(pb::GetSystemRequest::default());
    request.metadata_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let answer = HubServiceClient::new(channel).get_system(request).await.unwrap();
    assert!(answer.metadata().get("content-encoding").is_none(), "{:?}", answer.metadata());
    assert!(answer.metadata().get("x-request-id").is_some(), "{:?}", answer.metadata());
    assert!(!answer.into_inner().version.is_empty());
    hub.finish().await;
}

#[tokio::test]
async fn refusals_of_every_kind_are_hardened_and_name_the_request() {
    let hub = TestHub::builder().start().await;
    for (method, path, header, status) in [
        ("GET", "/v1/none", ("accept", "*/*"), 404),
        ("PUT", "/v1/models", ("accept", "*/*"), 405),
        ("GET", "/none", ("accept", "*/*"), 404),
        ("GET", "/v1/models", ("host", "evil.example"), 421),
        ("POST", "/v1/models", ("origin", "https://evil.example"), 403),
    ] {
        let reply = hub.admin_raw(method, path, &[header], "").await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        for name in ["content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy"] {
            assert!(!reply.header(name).is_empty(), "{method} {path} without {name}");
        }
        let id = reply.header("x-request-id");
        assert!(!id.is_empty() && text(&reply.json()["request_id"]) == id, "{method} {path}: {}", reply.everything());
    }
    // Who has an id keeps it.
    let reply = hub.admin_raw("GET", "/v1/none", &[("x-request-id", "from-the-proxy-7")], "").await;
    assert_eq!(
        (reply.header("x-request-id"), text(&reply.json()["request_id"])),
        ("from-the-proxy-7", "from-the-proxy-7")
    );
    hub.finish().await;
}

#[tokio::test]
async fn the_log_names_the_request() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(
        &["serve"],
        &[
            ("store.data_dir", dir.path().to_str().unwrap()),
            ("hub.listen", "127.0.0.1:0"),
            ("admin.listen", "127.0.0.1:0"),
            ("offline", "true"),
            ("log.level", "debug"),
            ("log.format", "json"),
        ],
    );
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let admin = loop {
        let line = tokio::time::timeout(PATIENCE, output.next_line()).await.expect("it starts").unwrap().unwrap();
        if let Some(url) = line.strip_prefix("admin listening on ") {
            break url.to_owned();
        }
    };
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let url = format!("{admin}/v1/overview");
    assert_eq!(Client::new().call("GET", &url, &[("x-request-id", "seen-in-the-log")], "").await.status, 200);
    let entry = loop {
        let line = tokio::time::timeout(PATIENCE, log.next_line()).await.expect("it is logged").unwrap().unwrap();
        if line.contains("seen-in-the-log") {
            break serde_json::from_str::<Value>(&line).unwrap();
        }
    };
    assert_eq!(entry["span"]["id"], "seen-in-the-log", "{entry}");
    assert_eq!((&entry["span"]["method"], &entry["span"]["path"]), (&"GET".into(), &"/v1/overview".into()));
    tokio::time::timeout(Duration::from_secs(60), child.kill()).await.unwrap().unwrap();
}
