//! An S3 server in this process (s3s-fs: its buckets are folders), and what may go wrong on the way to it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use modelhub::domain::Digest;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::harness::Builder;

pub(crate) const BUCKET: &str = "models";
pub(crate) const KEY: &str = "an-access-key";
pub(crate) const SECRET: &str = "a-secret-of-the-object-store";

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is done, and this is said.
    Error(u16, &'static str),
    /// The connection breaks in the middle of the body.
    CutOff,
    /// One byte of the body is another one.
    Flipped,
    /// The server says nothing.
    Silence,
    /// The answer comes so many seconds late.
    Late(u64),
    /// An upload that took place, of which the answer is lost.
    LostAnswer,
}

/// A fault for requests of a method whose target has this in it, so many times.
struct Rule {
    method: &'static str,
    part: &'static str,
    fault: Fault,
    times: usize,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    log: Vec<String>,
}

pub(crate) const SLOW_DOWN: Fault = Fault::Error(503, "SlowDown");

pub(crate) struct S3 {
    root: TempDir,
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

impl S3 {
    pub(crate) async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(accept(listener, service(root.path()), Arc::clone(&state)));
        Self { root, addr, state, task }
    }

    /// Nobody listens any more; what is stored stays.
    pub(crate) fn stop(&self) {
        self.task.abort();
    }

    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.task = tokio::spawn(accept(listener, service(self.root.path()), Arc::clone(&self.state)));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("object.url", format!("s3://{BUCKET}/hub")),
            ("object.endpoint", self.url()),
            ("object.access_key_id", KEY.into()),
            ("object.secret_access_key", SECRET.into()),
        ]
    }

    /// A hub that has this object store.
    pub(crate) fn of(&self, hub: Builder) -> Builder {
        self.settings().into_iter().fold(hub, |hub, (key, value)| hub.set(key, value))
    }

    pub(crate) fn fault(&self, method: &'static str, part: &'static str, fault: Fault, times: usize) {
        self.state.lock().unwrap().rules.push(Rule { method, part, fault, times });
    }

    pub(crate) fn heal(&self) {
        self.state.lock().unwrap().rules.clear();
    }

    /// Requests of a method whose target has this in it.
    pub(crate) fn requests(&self, method: &str, part: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.log.iter().filter(|line| line.starts_with(&format!("{method} ")) && line.contains(part)).count()
    }

    pub(crate) fn forget_requests(&self) {
        self.state.lock().unwrap().log.clear();
    }

    fn path(&self, digest: &str) -> std::path::PathBuf {
        self.root.path().join(BUCKET).join("hub/blobs/sha256").join(&digest[..2]).join(digest)
    }

    pub(crate) fn has(&self, bytes: &[u8]) -> bool {
        std::fs::read(self.path(&hash(bytes))).is_ok_and(|found| found == bytes)
    }

    pub(crate) fn remove(&self, bytes: &[u8]) {
        std::fs::remove_file(self.path(&hash(bytes))).unwrap();
    }

    pub(crate) fn damage(&self, bytes: &[u8]) {
        let mut wrong = bytes.to_vec();
        wrong[bytes.len() / 2] ^= 1;
        std::fs::write(self.path(&hash(bytes)), wrong).unwrap();
    }

    /// Objects of the hub, by their digests.
    pub(crate) fn objects(&self) -> Vec<Digest> {
        let folder = self.root.path().join(BUCKET).join("hub/blobs/sha256");
        let below = |path: &Path| std::fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = below(&folder)
            .flat_map(|folder| below(&folder).collect::<Vec<_>>())
            .map(|path| Digest::parse(path.file_name().unwrap().to_str().unwrap()).unwrap())
            .collect();
        found.sort_unstable();
        found
    }
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn service(root: &Path) -> S3Service {
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    builder.build()
}

async fn accept(listener: TcpListener, service: S3Service, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let (service, state) = (service.clone(), Arc::clone(&state));
        connections.spawn(async move {
            let answer = service_fn(move |request| answer(request, service.clone(), Arc::clone(&state)));
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    service: S3Service,
    state: Arc<Mutex<State>>,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let line = format!("{} {}", request.method(), request.uri());
    let fault = {
        let mut state = state.lock().unwrap();
        state.log.push(line.clone());
        let meant = |rule: &&mut Rule| {
            rule.times > 0 && line.starts_with(&format!("{} ", rule.method)) && line.contains(rule.part)
        };
        state.rules.iter_mut().find(meant).map(|rule| {
            rule.times -= 1;
            rule.fault
        })
    };
    match fault {
        Some(Fault::Error(status, code)) => return Ok(error(status, code)),
        Some(Fault::Silence) => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        Some(Fault::Late(seconds)) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        _ => {}
    }
    let reply = hyper::service::Service::call(&service, request).await.map_err(|error| format!("{error:?}"))?;
    if fault == Some(Fault::LostAnswer) {
        return Err("the answer is lost".into());
    }
    let (head, body) = reply.into_parts();
    let body = match fault {
        Some(Fault::CutOff) => {
            let bytes = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
            let half = Ok(Frame::data(bytes.slice(..bytes.len() / 2)));
            let end = Err(Box::<dyn std::error::Error + Send + Sync>::from("cut off"));
            StreamBody::new(futures_util::stream::iter([half, end])).boxed()
        }
        Some(Fault::Flipped) => {
            let mut bytes = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes().to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Full::from(bytes).map_err(|never| match never {}).boxed()
        }
        _ => body.map_err(|error| format!("{error:?}").into()).boxed(),
    };
    Ok(Response::from_parts(head, body))
}

fn error(status: u16, code: &str) -> Response<Body> {
    let xml = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>made to fail</Message></Error>");
    let body = Full::from(xml).map_err(|never| match never {}).boxed();
    Response::builder().status(status).body(body).unwrap()
}
