//! Clients who send nothing, or too slowly: they are waited for only so long, and they keep nobody out. Whoever is slow
//! but moves, or listens for hours, stays.

use std::time::Duration;

use mock_hf::{Content, MockHf, Repo};
use modelhub::pb;
use modelhub::pb::hub_service_client::HubServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::process::{Server, command};
use crate::harness::repos::MIB;
use crate::harness::{Client, TestHub};

/// How long something may take to happen. Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &str = "\0\0\0\x04\0\0\0\0\0";

async fn connect(base: &str) -> TcpStream {
    TcpStream::connect(base.trim_start_matches("http://")).await.unwrap()
}

/// A connection on which this was sent.
async fn sent(base: &str, bytes: &str) -> TcpStream {
    let mut stream = connect(base).await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the hub ends the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    // A reset is an end too.
    let _ = read.expect("the connection is ended");
    String::from_utf8_lossy(&said).into_owned()
}

/// The head of a POST with a body of this length; the hub reads it, on either listener.
fn post(base: &str, length: usize) -> String {
    let host = base.trim_start_matches("http://");
    format!(
        "POST /api/models/org/model/paths-info/main HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

fn post_to_admin(base: &str, length: usize) -> String {
    post(base, length).replace("/api/models/org/model/paths-info/main", "/v1/models")
}

fn model() -> Repo {
    Repo::model("org/model").file("config.json", "{}")
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let hub = TestHub::builder().set("hub.header_timeout", "1s").repo(model()).start().await;
    for head in [post(hub.url(), 9), post(hub.url(), 100_000)] {
        for body in ["", "{"] {
            let said = rest(sent(hub.url(), &format!("{head}{body}")).await).await;
            assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
        }
    }
    for body in ["", "{"] {
        let head = post_to_admin(hub.admin_url(), 9);
        let said = rest(sent(hub.admin_url(), &format!("{head}{body}")).await).await;
        assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    }
    // Chunks that never end, and drops that would take hours.
    for (base, head) in
        [(hub.url(), post(hub.url(), 1 << 20)), (hub.admin_url(), post_to_admin(hub.admin_url(), 1 << 20))]
    {
        let chunked = head.replace("Content-Length: 1048576", "Transfer-Encoding: chunked");
        let said = rest(sent(base, &format!("{chunked}1\r\n{{\r\n")).await).await;
        assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
        let (mut reader, mut writer) = sent(base, &head).await.into_split();
        let drops = async {
            while writer.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let mut status = [0; 12];
        let answered = async {
            reader.read_exact(&mut status).await.unwrap();
        };
        tokio::select! {
            () = drops => panic!("closed without an answer"),
            () = answered => {}
            () = tokio::time::sleep(PATIENCE) => panic!("drops are waited for"),
        }
        assert_eq!(&status, b"HTTP/1.1 408");
    }
    assert_eq!(hub.get("/org/model/resolve/main/config.json").await.status, 200);
    hub.finish().await;
}

#[tokio::test]
async fn a_slow_body_that_keeps_coming_is_waited_for() {
    let hub = TestHub::builder().set("hub.header_timeout", "1s").repo(model()).start().await;
    let body = format!("{{\"paths\": [\"config.json\"]{}}}", " ".repeat(8 << 10));
    let mut stream = sent(hub.url(), &post(hub.url(), body.len())).await;
    for piece in body.as_bytes().chunks(1 << 10) {
        stream.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    hub.finish().await;
}

#[tokio::test]
async fn silence_and_half_a_beginning_are_not_waited_for() {
    let hub = TestHub::builder().set("hub.header_timeout", "300ms").start().await;
    let half = "GET /readyz HTTP/1.1\r\nHos";
    for beginning in ["", half, &PREFACE[..9], PREFACE, &PREFACE[..23]] {
        rest(sent(hub.url(), beginning).await).await;
    }
    let both = format!("{PREFACE}{SETTINGS}");
    let half_headers = format!("{both}\0\0\x40\x01\x04\0\0\0\x01abc");
    for beginning in ["", "P", "PRI * HT", &PREFACE[..23], PREFACE, &both, &half_headers, "G", half] {
        rest(sent(hub.admin_url(), beginning).await).await;
    }
    // Nor between two requests.
    for base in [hub.url(), hub.admin_url()] {
        let host = base.trim_start_matches("http://");
        let said = rest(sent(base, &format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\n\r\nGET /rea")).await).await;
        assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with("ready\n"), "{said}");
    }
    hub.finish().await;
}

/// Connections that wait, of every kind, more than the hub allows.
async fn crowd(base: &str, post: &str) -> Vec<TcpStream> {
    let host = base.trim_start_matches("http://");
    let idle = format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let beginnings = ["", "GET / HTTP/1.1\r\nHos", "PRI * HT", PREFACE, &format!("{post}{{"), post, &idle];
    let mut crowd = Vec::new();
    for beginning in beginnings.into_iter().cycle().take(40) {
        // The hub may have closed it before the first byte.
        let mut stream = connect(base).await;
        let _ = stream.write_all(beginning.as_bytes()).await;
        crowd.push(stream);
    }
    crowd
}

#[tokio::test]
async fn a_crowd_that_waits_keeps_nobody_out() {
    // Nothing ends by itself in this test.
    let patient = TestHub::builder().set("hub.header_timeout", "1h").repo(model());
    let hub = patient.set("hub.max_connections_per_peer", "8").start().await;
    for (base, post) in [(hub.url(), post(hub.url(), 100)), (hub.admin_url(), post_to_admin(hub.admin_url(), 100))] {
        let crowd = crowd(base, &post).await;
        for _ in 0..2 {
            assert_eq!(Client::new().call("GET", &format!("{base}/readyz"), &[], "").await.status, 200);
        }
        let mut grpc = HubServiceClient::connect(hub.admin_url().to_owned()).await.unwrap();
        grpc.get_overview(pb::GetOverviewRequest::default()).await.unwrap();
        drop(crowd);
    }
    assert_eq!(hub.get("/org/model/resolve/main/config.json").await.status, 200);
    hub.finish().await;
}

#[tokio::test]
async fn a_crowd_from_one_address_keeps_no_other_address_out() {
    let hub = TestHub::builder().set("hub.header_timeout", "1h").set("hub.max_connections", "8").start().await;
    for (base, post) in [(hub.url(), post(hub.url(), 100)), (hub.admin_url(), post_to_admin(hub.admin_url(), 100))] {
        let crowd = crowd(base, &post).await;
        for last in [2, 3] {
            let other = Client::from_address(std::net::Ipv4Addr::new(127, 0, 0, last).into());
            assert_eq!(other.call("GET", &format!("{base}/readyz"), &[], "").await.status, 200);
        }
        drop(crowd);
    }
    hub.finish().await;
}

/// A process whose descriptors are used up by those who wait, at whatever number its system allows.
#[tokio::test]
async fn a_crowd_that_takes_all_descriptors_keeps_nobody_out() {
    let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start().await);
    let settings = [
        ("store.data_dir", dir.path().to_str().unwrap()),
        ("hub.listen", "127.0.0.1:0"),
        ("admin.listen", "127.0.0.1:0"),
        ("upstream.url", &mock.url()),
        ("hub.header_timeout", "1h"),
        ("log.level", "error"),
    ];
    let modelhub = command(&["serve"], &settings);
    let mut limited = tokio::process::Command::new("sh");
    limited.args(["-c", "ulimit -n 128 && exec \"$0\" serve"]).arg(modelhub.as_std().get_program());
    for (name, value) in modelhub.as_std().get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let mut server = Server::start(limited);
    let addresses = server.addresses().await.unwrap();
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(sent(&addresses.hub, "").await);
    }
    for base in [&addresses.hub, &addresses.admin, &addresses.hub] {
        assert_eq!(Client::new().call("GET", &format!("{base}/readyz"), &[], "").await.status, 200);
    }
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn who_listens_or_downloads_stays_whatever_the_crowd_and_however_long() {
    let content = Content::random(5, 4 * MIB);
    let hub = TestHub::builder()
        .set("hub.header_timeout", "300ms")
        .set("hub.write_timeout", "300ms")
        .set("hub.max_connections_per_peer", "8")
        .repo(model())
        .repo(Repo::model("org/big").lfs("big.bin", content.clone()))
        .start()
        .await;
    // Events as a stream of each kind, and a download by somebody whose line is slow.
    let url = format!("{}/v1/events", hub.admin_url());
    let mut events = hub.client.send("GET", &url, &[], "").await.unwrap();
    let mut grpc = HubServiceClient::connect(hub.admin_url().to_owned()).await.unwrap();
    let mut grpc_events = grpc.watch_events(pb::WatchEventsRequest::default()).await.unwrap().into_inner();
    assert_eq!(hub.get("/org/big/resolve/main/big.bin").await.status, 200);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let host = hub.url().trim_start_matches("http://");
    let mut slow = socket.connect(host.parse().unwrap()).await.unwrap();
    let get = format!("GET /org/big/resolve/main/big.bin HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    slow.write_all(get.as_bytes()).await.unwrap();
    let slowly = async {
        let (mut body, mut piece) = (Vec::new(), vec![0; 64 << 10]);
        while let read @ 1.. = slow.read(&mut piece).await.unwrap() {
            body.extend_from_slice(&piece[..read]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let start = body.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert!(body[start..] == content.read_all(), "{} bytes", body.len() - start);
    };
    let crowds = async {
        for _ in 0..3 {
            drop(crowd(hub.url(), &post(hub.url(), 100)).await);
            drop(crowd(hub.admin_url(), &post_to_admin(hub.admin_url(), 100)).await);
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    };
    tokio::join!(slowly, crowds);
    // Ten times the limits later, both still hear what happens.
    let body = r#"{"repo_id": "org/model"}"#;
    let registered = Client::new().call("POST", &format!("{}/v1/models", hub.admin_url()), &[], body).await;
    assert_eq!(registered.status, 200, "{}", registered.text());
    let mut said = String::new();
    let heard = async {
        while !said.contains("org/model") {
            said.push_str(&String::from_utf8_lossy(&events.chunk().await.unwrap().expect("the stream goes on")));
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("events come");
    let told = async { while !format!("{:?}", grpc_events.message().await.unwrap().unwrap()).contains("org/model") {} };
    tokio::time::timeout(PATIENCE, told).await.expect("events come");
    drop((events, grpc_events, grpc));
    hub.finish().await;
}
