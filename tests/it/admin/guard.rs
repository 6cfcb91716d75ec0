//! Who may use the admin listener: nobody's web page, nobody behind a proxy, and with a token only who bears it.

use serde_json::Value;

use super::small_model;
use crate::harness::TestHub;
use crate::harness::process::run;

const CALLS: [(&str, &str, &str); 9] = [
    ("GET", "/v1/overview", ""),
    ("HEAD", "/v1/models", ""),
    ("GET", "/v1/events", ""),
    ("GET", "/metrics", ""),
    ("GET", "/openapi.json", ""),
    ("POST", "/v1/models", "{\"repo_id\":\"org/evil\"}"),
    ("PATCH", "/v1/settings", "{\"offline\":true}"),
    ("DELETE", "/v1/models/org/model", ""),
    ("OPTIONS", "/v1/models", ""),
];

const GRPC: &str = "/modelhub.v1.HubService/RegisterModel";

async fn status(hub: &TestHub, call: (&str, &str, &str), headers: &[(&str, &str)]) -> u16 {
    let (method, path, body) = call;
    let url = format!("{}{path}", hub.admin_url());
    hub.client.send(method, &url, headers, body).await.unwrap().status().as_u16()
}

async fn unchanged(hub: &TestHub, before: &(Value, Value)) {
    assert_eq!((&hub.look("/v1/models").await, &hub.look("/v1/settings").await), (&before.0, &before.1));
}

#[tokio::test]
async fn a_foreign_host_is_misdirected_whatever_the_method() {
    let hub = TestHub::builder().set("jobs.run", "false").repo(small_model("org/model")).start().await;
    hub.register("org/model").await;
    let before = (hub.look("/v1/models").await, hub.look("/v1/settings").await);
    for host in [
        "evil.example",
        "evil.example:8485",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil",
        "",
        // Anybody in the same network can answer to such a name, and have such an address.
        "anything.local",
        "printer.local:8485",
        "192.0.2.7",
        "[2001:db8::7]:8485",
    ] {
        for call in CALLS.into_iter().chain([("GET", "/healthz", ""), ("GET", "/ui/", ""), ("POST", GRPC, "")]) {
            assert_eq!(status(&hub, call, &[("host", host)]).await, 421, "{call:?} for {host:?}");
        }
    }
    let own = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let own_local = format!("{}.local:8485", own.split('.').next().unwrap());
    for host in ["localhost", "LOCALHOST:1", "hub.localhost", "[::1]:8485", "127.0.0.1", &own, &own_local] {
        assert_eq!(status(&hub, ("GET", "/v1/overview", ""), &[("host", host)]).await, 200, "{host}");
    }
    unchanged(&hub, &before).await;
    hub.finish().await;
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let hub = TestHub::builder().set("jobs.run", "false").repo(small_model("org/model")).start().await;
    hub.register("org/model").await;
    let before = (hub.look("/v1/models").await, hub.look("/v1/settings").await);
    let changes = CALLS.into_iter().filter(|(method, ..)| ["POST", "PATCH", "DELETE"].contains(method));
    let changes: Vec<_> = changes.chain([("POST", GRPC, "")]).collect();
    for headers in [
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [("origin", "http://127.0.0.1:1")],
        [("origin", "http://localhost")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
    ] {
        for call in &changes {
            assert_eq!(status(&hub, *call, &headers).await, 403, "{call:?} with {headers:?}");
        }
    }
    unchanged(&hub, &before).await;
    // Our own page, and a program, which sends neither.
    let own = hub.admin_url().to_owned();
    let headers = [("origin", own.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(status(&hub, ("PATCH", "/v1/settings", "{}"), &headers).await, 200);
    assert_eq!(status(&hub, ("PATCH", "/v1/settings", "{}"), &[]).await, 200);
    hub.finish().await;
}

/// A machine with several addresses, or behind a translation of them, is known by a name or address that is configured,
/// and by any address to who has the token, which no page has.
#[tokio::test]
async fn an_address_of_another_is_accepted_where_it_is_configured_or_a_token_is_needed() {
    let hub = TestHub::builder().set("admin.hosts", "192.0.2.7").start().await;
    for (host, expected) in [("192.0.2.7:8485", 200), ("192.0.2.8:8485", 421)] {
        assert_eq!(status(&hub, ("GET", "/v1/overview", ""), &[("host", host)]).await, expected, "{host}");
    }
    hub.finish().await;
    let hub = TestHub::builder().set("admin.token", TOKEN).start().await;
    let bearer = format!("Bearer {TOKEN}");
    for (host, expected) in [("192.0.2.7:8485", 200), ("anything.local", 421)] {
        let headers = [("host", host), ("authorization", bearer.as_str())];
        assert_eq!(status(&hub, ("GET", "/v1/overview", ""), &headers).await, expected, "{host}");
    }
    hub.finish().await;
}

/// The status of a request whose head is sent as it stands here; and the connection is closed behind a refusal.
async fn status_of_head(base: &str, head: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    let status = std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap();
    if status == 400 {
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("Host"), "{}", String::from_utf8_lossy(&answer));
    }
    status
}

#[tokio::test]
async fn a_request_has_one_host_on_both_listeners() {
    let hub = TestHub::builder().start().await;
    for base in [hub.url(), hub.admin_url()] {
        let host = base.trim_start_matches("http://");
        for (expected, head) in [
            (200, format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\n")),
            (200, format!("GET http://{host}/readyz HTTP/1.1\r\nHost: {host}\r\n")),
            (400, format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n")),
            (400, format!("GET /readyz HTTP/1.1\r\nHost: evil.example\r\nHost: {host}\r\n")),
            (400, format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\nhost: {host}\r\n")),
            (400, format!("GET /readyz HTTP/1.0\r\nHost: {host}\r\nHost: {host}\r\n")),
            (400, format!("POST /readyz HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\nContent-Length: 9\r\n")),
            (400, format!("GET http://evil.example/readyz HTTP/1.1\r\nHost: {host}\r\n")),
            (400, format!("GET http://{host}/readyz HTTP/1.1\r\nHost: evil.example\r\n")),
            (400, format!("GET /readyz HTTP/1.1\r\nHost: {host}/x\r\n")),
            (400, format!("GET /readyz HTTP/1.1\r\nHost: user@{host}\r\n")),
            (400, format!("GET /readyz HTTP/1.1\r\nHost: {host}, evil.example\r\n")),
            (400, "GET /readyz HTTP/1.1\r\n".to_owned()),
        ] {
            assert_eq!(status_of_head(base, &head).await, expected, "{head}");
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn what_a_proxy_carries_needs_a_token() {
    let hub = TestHub::builder().start().await;
    for header in [
        "forwarded",
        "forwarded-for",
        "x-forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-by",
        "x-forwarded-client-cert",
        "x-original-forwarded-for",
        "x-vercel-forwarded-for",
        "x_forwarded_for",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-remote-ip",
        "x-remote-addr",
        "x-originating-ip",
        "x-original-host",
        "x-original-url",
        "x-rewrite-url",
        "x-proxyuser-ip",
        "x-appengine-user-ip",
        "x-azure-clientip",
        "x-azure-socketip",
        "x-envoy-external-address",
        "x-nf-client-connection-ip",
        "x-scheme",
        "x-varnish",
        "x-amzn-trace-id",
        "x-amz-cf-id",
        "ali-cdn-real-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "cf-pseudo-ipv4",
        "cf-ray",
        "cf-visitor",
        "cdn-loop",
        "client-ip",
        "cloudfront-viewer-address",
        "do-connecting-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "proxy-client-ip",
        "tailscale-user-login",
        "true-client-ip",
        "via",
        "wl-proxy-client-ip",
    ] {
        for call in CALLS {
            assert_eq!(status(&hub, call, &[(header, "203.0.113.1")]).await, 403, "{call:?} with {header}");
        }
    }
    // What clients and browsers send themselves says nothing of a proxy.
    for header in ["x-request-id", "x-requested-with", "accept-language", "sec-ch-ua-platform", "dnt", "traceparent"] {
        assert_eq!(status(&hub, CALLS[0], &[(header, "1")]).await, 200, "{header}");
    }
    hub.finish().await;
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn a_token_that_is_set_is_needed_for_everything_but_health() {
    let hub = TestHub::builder().set("admin.token", TOKEN).set("admin.hosts", "models.example").start().await;
    let bearer = format!("Bearer {TOKEN}");
    for wrong in [
        "",
        "Bearer",
        "Bearer wrong",
        TOKEN,
        "Basic MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        &bearer[..bearer.len() - 1],
    ] {
        for call in CALLS.into_iter().chain([("POST", GRPC, "")]) {
            let headers: Vec<_> = if wrong.is_empty() { vec![] } else { vec![("authorization", wrong)] };
            assert_eq!(status(&hub, call, &headers).await, 401, "{call:?} with {wrong:?}");
        }
    }
    let refused = hub.admin("GET", "/v1/overview", &Value::Null).await;
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
    assert!(!refused.everything().contains(TOKEN));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(status(&hub, ("GET", path, ""), &[]).await, 200, "{path}");
    }
    // With it a proxy may stand between, under the name that is configured.
    let headers = [("authorization", bearer.as_str()), ("via", "1.1 proxy"), ("host", "models.example")];
    assert_eq!(status(&hub, ("GET", "/v1/overview", ""), &headers).await, 200);
    assert_eq!(
        status(&hub, ("GET", "/v1/overview", ""), &[("authorization", &bearer), ("host", "x.example")]).await,
        421
    );
    // A page of another site has no use for the token either.
    let headers = [("authorization", bearer.as_str()), ("origin", "https://evil.example")];
    assert_eq!(status(&hub, ("PATCH", "/v1/settings", "{}"), &headers).await, 403);
    let said = hub.admin_raw("GET", "/v1/settings", &[("authorization", &bearer)], "").await.everything();
    assert!(!said.contains(TOKEN), "{said}");
    hub.finish().await;
}

#[tokio::test]
async fn a_listener_that_others_can_reach_does_not_start_without_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("store.data_dir", dir.path().to_str().unwrap()),
        ("hub.listen", "127.0.0.1:0"),
        ("admin.listen", "0.0.0.0:0"),
    ];
    let refused = run(&["serve"], &settings).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("admin.token"));
    let short = [settings[0], settings[1], settings[2], ("admin.token", "short")];
    let refused = run(&["serve"], &short).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("32"), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[tokio::test]
async fn the_hub_listener_knows_nothing_of_the_admin_api() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    for (method, path) in [("GET", "/v1/overview"), ("POST", "/v1/models"), ("GET", "/v1/settings"), ("POST", GRPC)] {
        let reply = hub.client.call(method, &hub.at(path), &[], "{}").await;
        assert!(reply.status >= 400, "{method} {path}: {}", reply.status);
        assert!(!reply.text().contains("storage_path"));
    }
    assert!(super::list(&hub.look("/v1/models").await["models"]).is_empty());
    hub.finish().await;
}
