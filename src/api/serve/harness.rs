//! A server of one file, and a client that sees every byte, for the tests of this folder.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Extension, Router, body::Body};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use super::*;
use crate::hub::MappedFile;

pub(super) const MIB: usize = 1024 * 1024;
/// A few windows and an odd rest.
pub(super) const SIZE: usize = 9 * MIB + 12_345;

/// The counters are of the process: who asserts on them must be alone.
pub(super) static COUNTERS: RwLock<()> = RwLock::const_new(());

/// Bytes that left by sendfile, and bytes that were copied.
pub(super) fn counters() -> (u64, u64) {
    let totals = crate::metrics::totals();
    (totals.sent_bytes.load(Ordering::Relaxed), totals.copied_bytes.load(Ordering::Relaxed))
}

/// Bytes that differ at every distance a wrong offset could have.
pub(super) static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut word = 0x9E37_79B9_7F4A_7C15_u64;
    let bytes = std::iter::repeat_with(|| {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (word >> 56) as u8
    });
    bytes.take(SIZE).collect()
});

#[derive(Clone)]
pub(super) struct App {
    file: Arc<MappedFile>,
    slots: tokio::sync::mpsc::UnboundedSender<FileSlot>,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
    file: Arc<MappedFile>,
    pub(super) disk: tempfile::NamedTempFile,
    pub(super) content: &'static [u8],
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
    Body::new(read_stored(app.file.file().clone(), range(&query, &app.file)))
}

fn range(query: &HashMap<String, u64>, file: &MappedFile) -> std::ops::Range<u64> {
    query.get("start").copied().unwrap_or(0)..query.get("end").copied().unwrap_or(file.len())
}

impl Server {
    pub(super) async fn start(limits: Limits, drain: Duration) -> Self {
        Self::start_speaking(Speaks::Http1, limits, drain).await
    }

    pub(super) async fn start_speaking(speaks: Speaks, limits: Limits, drain: Duration) -> Self {
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
            .with_state(App { file: file.clone(), slots: sender })
            .layer(CatchPanicLayer::new());
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let task = tokio::spawn(serve(listener, router, limits, speaks, stop.clone(), drain));
        Self { address, stop, task, file, disk, content: &CONTENT, slots }
    }

    pub(super) async fn client(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Stops and proves that nothing is left: no task, no region, no reference to the file.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        while let Ok(slot) = self.slots.try_recv() {
            assert_eq!(slot.live(), 0);
        }
        // A read ahead on the blocking pool may still hold the descriptor, not the mapping.
        assert_eq!(Arc::strong_count(&self.file), 1);
    }
}

pub(super) struct Client(pub(super) TcpStream);

impl Client {
    pub(super) async fn send(&mut self, requests: &[&str]) {
        let text: String = requests.iter().map(|r| format!("{r} HTTP/1.1\r\nHost: test\r\n\r\n")).collect();
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The head, byte by byte so that nothing of the body is taken, and its content length.
    pub(super) async fn head(&mut self) -> (String, usize) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        (head.clone(), length.parse().unwrap())
    }

    pub(super) async fn body(&mut self, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        body
    }

    pub(super) async fn response(&mut self) -> Vec<u8> {
        let (head, length) = self.head().await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        self.body(length).await
    }

    pub(super) async fn get(&mut self, target: &str) -> Vec<u8> {
        self.send(&[&format!("GET {target}")]).await;
        self.response().await
    }

    /// Everything until the server ends the connection, by close or reset.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = self.0.read(&mut piece).await {
            rest.extend_from_slice(&piece[..n]);
        }
        rest
    }
}

pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) async fn server() -> Server {
    Server::start(Limits::default(), HOUR).await
}

pub(super) fn same(got: &[u8], wanted: &[u8]) {
    // Not assert_eq: it would print megabytes.
    assert!(got == wanted, "{} bytes differ from the {} expected", got.len(), wanted.len());
}
