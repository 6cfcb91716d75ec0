//! Through real sockets: every byte is compared, no timing is asserted.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Extension, Router, body::Body};
use rustix::fs::{Advice, fadvise};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

const MIB: usize = 1024 * 1024;
/// A few windows and an odd rest.
const SIZE: usize = 9 * MIB + 12_345;

/// The counters are of the process: who asserts on them must be alone.
static COUNTERS: RwLock<()> = RwLock::const_new(());

/// Bytes that differ at every distance a wrong offset could have.
static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut word = 0x9E37_79B9_7F4A_7C15_u64;
    let bytes = std::iter::repeat_with(|| {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (word >> 56) as u8
    });
    bytes.take(SIZE).collect()
});

#[derive(Clone)]
struct App {
    file: Arc<MappedFile>,
    slots: tokio::sync::mpsc::UnboundedSender<FileSlot>,
}

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
    file: Arc<MappedFile>,
    disk: tempfile::NamedTempFile,
    content: &'static [u8],
    slots: tokio::sync::mpsc::UnboundedReceiver<FileSlot>,
}

/// `/file?start=..&end=..` by slot, `/read?..` by the ordinary path, `/text`.
async fn send_file(
    State(app): State<App>,
    Extension(slot): Extension<FileSlot>,
    Extension(_): Extension<Peer>,
    Query(query): Query<HashMap<String, u64>>,
) -> Body {
    let _ = app.slots.send(slot.clone());
    Body::new(slot.body(&app.file, range(&query, &app.file)))
}

async fn read_file(State(app): State<App>, Query(query): Query<HashMap<String, u64>>) -> Body {
    Body::new(read_body(app.file.file().clone(), range(&query, &app.file)))
}

fn range(query: &HashMap<String, u64>, file: &MappedFile) -> std::ops::Range<u64> {
    query.get("start").copied().unwrap_or(0)..query.get("end").copied().unwrap_or(file.len())
}

impl Server {
    async fn start(limits: Limits, drain: Duration) -> Self {
        let mut disk = tempfile::NamedTempFile::new().unwrap();
        disk.write_all(&CONTENT).unwrap();
        disk.as_file().sync_all().unwrap();
        let file = Arc::new(MappedFile::open(disk.reopen().unwrap()).unwrap());

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (sender, slots) = tokio::sync::mpsc::unbounded_channel();
        let router = Router::new()
            .route("/file", get(send_file))
            .route("/read", get(read_file))
            .route("/text", get(|| async { "some text" }))
            .with_state(App { file: file.clone(), slots: sender });
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let task = tokio::spawn(serve(listener, router, limits, stop.clone(), drain));
        Self { address, stop, task, file, disk, content: &CONTENT, slots }
    }

    async fn client(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Stops and proves that nothing is left: no task, no region, no reference to the file.
    async fn end(mut self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        while let Ok(slot) = self.slots.try_recv() {
            assert_eq!(slot.live(), 0);
        }
        // A read ahead on the blocking pool may still hold the descriptor, not the mapping.
        assert_eq!(Arc::strong_count(&self.file), 1);
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, requests: &[&str]) {
        let text: String = requests.iter().map(|r| format!("{r} HTTP/1.1\r\nHost: test\r\n\r\n")).collect();
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The head, byte by byte so that nothing of the body is taken, and its content length.
    async fn head(&mut self) -> (String, usize) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        (head.clone(), length.parse().unwrap())
    }

    async fn body(&mut self, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        body
    }

    async fn response(&mut self) -> Vec<u8> {
        let (head, length) = self.head().await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        self.body(length).await
    }

    async fn get(&mut self, target: &str) -> Vec<u8> {
        self.send(&[&format!("GET {target}")]).await;
        self.response().await
    }

    /// Everything until the server ends the connection, by close or reset.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = self.0.read(&mut piece).await {
            rest.extend_from_slice(&piece[..n]);
        }
        rest
    }
}

const HOUR: Duration = Duration::from_secs(3600);

async fn server() -> Server {
    Server::start(Limits::default(), HOUR).await
}

fn same(got: &[u8], wanted: &[u8]) {
    // Not assert_eq: it would print megabytes.
    assert!(got == wanted, "{} bytes differ from the {} expected", got.len(), wanted.len());
}

#[tokio::test]
async fn a_big_body_leaves_by_sendfile_and_only_its_head_is_copied() {
    let _alone = COUNTERS.write().await;
    let server = server().await;
    let mut client = server.client().await;
    let before = counters();
    same(&client.get("/file").await, server.content);
    let after = counters();
    assert_eq!(after.0 - before.0, SIZE as u64);
    assert!(after.1 - before.1 < 1024, "{} bytes were copied", after.1 - before.1);
    same(&client.get("/read").await, server.content);
    assert!(counters().1 - after.1 > SIZE as u64);
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn every_range_has_its_bytes() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let mut client = server.client().await;
    let small = 16 * 1024;
    let ranges = [
        0..1,
        SIZE - 1..SIZE,
        0..SIZE,
        7..7,
        SIZE..SIZE,
        1..SIZE - 1,
        4095..4097,
        100..100 + small - 1,
        100..100 + small,
        100..100 + small + 1,
        2 * MIB - 1..2 * MIB + 1,
        2 * MIB - 40_000..4 * MIB + 40_000,
        4 * MIB..8 * MIB,
        4 * MIB + 1..8 * MIB + 1,
        SIZE - 40_000..SIZE,
    ];
    for range in ranges {
        for path in ["/file", "/read"] {
            let body = client.get(&format!("{path}?start={}&end={}", range.start, range.end)).await;
            same(&body, &server.content[range.clone()]);
        }
    }
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn head_tells_the_size_and_leaves_no_region() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let mut client = server.client().await;
    client.send(&["HEAD /file", "GET /text"]).await;
    let (_, length) = client.head().await;
    assert_eq!(length, SIZE);
    assert_eq!(client.response().await, b"some text");
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let mut client = server.client().await;
    for _ in 0..3 {
        client
            .send(&[
                "GET /file?end=100000",
                "GET /text",
                "GET /file?start=50000&end=3000000",
                "GET /file?start=50000&end=3000000",
                "HEAD /file",
                "GET /file?start=10&end=20",
                "GET /read?start=1",
                "GET /text",
                "GET /file",
            ])
            .await;
        same(&client.response().await, &server.content[..100_000]);
        assert_eq!(client.response().await, b"some text");
        same(&client.response().await, &server.content[50_000..3_000_000]);
        same(&client.response().await, &server.content[50_000..3_000_000]);
        assert_eq!(client.head().await.1, SIZE);
        same(&client.response().await, &server.content[10..20]);
        same(&client.response().await, &server.content[1..]);
        assert_eq!(client.response().await, b"some text");
        same(&client.response().await, server.content);
    }
    drop(client);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_all_get_every_byte() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let clients = (0..32).map(|i| {
        let (address, content) = (server.address, server.content);
        tokio::spawn(async move {
            let mut client = Client(TcpStream::connect(address).await.unwrap());
            let start = i * 1_001;
            same(&client.get(&format!("/file?start={start}")).await, &content[start..]);
            same(&client.get("/file").await, content);
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    server.end().await;
}

#[tokio::test]
async fn a_file_out_of_memory_is_read_again() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    for path in ["/file", "/read", "/file?start=5000000"] {
        fadvise(server.disk.as_file(), 0, None, Advice::DontNeed).unwrap();
        let start = if path.contains("start") { 5_000_000 } else { 0 };
        same(&server.client().await.get(path).await, &server.content[start..]);
    }
    server.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_regions_along() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    for _ in 0..20 {
        let mut client = server.client().await;
        client.send(&["GET /file", "GET /file"]).await;
        let (_, length) = client.head().await;
        client.body(length / 100).await;
    }
    same(&server.client().await.get("/file").await, server.content);
    server.end().await;
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = Client(socket.connect(server.address).await.unwrap());
    client.send(&["GET /file"]).await;
    let (_, length) = client.head().await;
    let mut body = Vec::new();
    while body.len() < length {
        body.extend(client.body(1_500.min(length - body.len())).await);
        tokio::task::yield_now().await;
    }
    same(&body, server.content);
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn a_truncated_file_ends_the_connection_and_nothing_else() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    for (left, path) in
        [(5 * MIB, "/file"), (MIB, "/file?end=2000000"), (100, "/read"), (0, "/file"), (0, "/file?end=10")]
    {
        server.disk.as_file().set_len(left as u64).unwrap();
        let mut client = server.client().await;
        client.send(&[&format!("GET {path}")]).await;
        let got = client.rest().await;
        assert!(got.len() <= left + 1024, "{} bytes of {left}", got.len());
        assert_eq!(server.client().await.get("/text").await, b"some text");
    }
    server.end().await;
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let _shared = COUNTERS.read().await;
    let limits = Limits { header_timeout: Duration::from_millis(100), ..Limits::default() };
    let server = Server::start(limits, HOUR).await;
    let mut client = server.client().await;
    client.0.write_all(b"GET /text HTTP/1.1\r\nHos").await.unwrap();
    client.rest().await;
    server.client().await.rest().await;
    server.end().await;
}

#[tokio::test]
async fn a_peer_has_no_more_than_its_connections() {
    let _shared = COUNTERS.read().await;
    let server = Server::start(Limits { max_per_peer: 2, ..Limits::default() }, HOUR).await;
    let (mut one, mut two) = (server.client().await, server.client().await);
    one.get("/text").await;
    two.get("/text").await;
    assert_eq!(server.client().await.rest().await, b"");
    assert_eq!(one.get("/text").await, b"some text");
    drop(two);
    // The place is free when the server has seen the close: ask until it has.
    loop {
        let mut next = server.client().await;
        if next.0.write_all(b"GET /text HTTP/1.0\r\n\r\n").await.is_ok() && !next.rest().await.is_empty() {
            break;
        }
    }
    drop(one);
    server.end().await;
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_cut_off() {
    let _shared = COUNTERS.read().await;
    let limits = Limits { write_stall: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start(limits, HOUR).await;
    let mut client = server.client().await;
    client.send(&["GET /file", "GET /file", "GET /file", "GET /file"]).await;
    client.head().await;
    // The drain is an hour: only the stall ends this connection.
    server.end().await;
    assert!(client.rest().await.len() < 4 * SIZE);
}

#[tokio::test]
async fn stop_lets_a_transfer_finish_and_closes_idle_connections() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let (mut idle, mut busy) = (server.client().await, server.client().await);
    idle.get("/text").await;
    busy.send(&["GET /file"]).await;
    let (_, length) = busy.head().await;
    server.stop.cancel();
    assert_eq!(idle.rest().await, b"");
    assert!(TcpStream::connect(server.address).await.is_err());
    same(&busy.body(length).await, server.content);
    assert_eq!(busy.rest().await, b"");
    server.end().await;
}

#[tokio::test]
async fn a_transfer_that_outlasts_the_drain_is_aborted() {
    let _shared = COUNTERS.read().await;
    let server = Server::start(Limits::default(), Duration::from_millis(100)).await;
    let mut busy = server.client().await;
    busy.send(&["GET /file", "GET /file", "GET /file", "GET /file"]).await;
    busy.head().await;
    server.end().await;
}
