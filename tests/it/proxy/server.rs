//! A proxy that a test starts: CONNECT, absolute URLs and SOCKS 5, for names that only it knows, and with faults.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(super) const USER: &str = "proxy-user";
/// With what has to be escaped in a URL.
pub(super) const PASSWORD: &str = "canary p@ss:/word";

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conduct {
    Works,
    /// Requests without USER and PASSWORD are refused with 407.
    WantsCredentials,
    /// 403 with a page for people, as an access list does.
    Refuses,
    /// Names that it does not find, 503 with a page.
    FindsNothing,
    /// The connection ends without an answer.
    HangsUp,
    /// The connection stays, without an answer.
    IsSilent,
    /// Another answer than that of upstream: a page with status 200.
    Portal,
}

struct State {
    conduct: Mutex<Conduct>,
    /// The heads of all requests, and of SOCKS "SOCKS host:port user:password".
    seen: Mutex<Vec<String>>,
}

pub(super) struct Proxy {
    pub(super) address: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub(super) async fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State { conduct: Mutex::new(Conduct::Works), seen: Mutex::default() });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            // They end with the task.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move { serve(socket, &state).await });
            }
        });
        Self { address, state, task }
    }

    pub(super) fn set(&self, conduct: Conduct) {
        *self.state.conduct.lock().unwrap() = conduct;
    }

    /// What was asked since the last call.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.seen.lock().unwrap())
    }

    /// Ends it with all its connections.
    pub(super) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Everything is on this machine; of names it knows those below `.test`.
async fn connect(place: &str) -> Option<TcpStream> {
    let (host, port) = place.rsplit_once(':')?;
    let is_known = host.ends_with(".test") || host == "127.0.0.1";
    if is_known { TcpStream::connect(("127.0.0.1", port.parse().ok()?)).await.ok() } else { None }
}

async fn serve(mut socket: TcpStream, state: &State) -> Option<()> {
    let mut head = vec![socket.read_u8().await.ok()?];
    if head[0] == 5 {
        return serve_socks(socket, state).await;
    }
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    state.seen.lock().unwrap().push(head.clone());
    let mut words = head.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let page = |status: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>"
        )
    };
    let conduct = *state.conduct.lock().unwrap();
    let refusal = match conduct {
        Conduct::Works => None,
        Conduct::WantsCredentials => {
            use base64::Engine as _;
            let right = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
            let is_right = head.to_ascii_lowercase().contains("proxy-authorization: basic ") && head.contains(&right);
            (!is_right).then(|| page("407 Who are you"))
        }
        Conduct::Refuses => Some(page("403 Not there")),
        Conduct::FindsNothing => Some(page("503 No such host")),
        Conduct::Portal => Some(page("200 Welcome")),
        Conduct::HangsUp => return None,
        Conduct::IsSilent => std::future::pending().await,
    };
    if let Some(refusal) = refusal {
        return socket.write_all(refusal.as_bytes()).await.ok();
    }
    let mut upstream = if method == "CONNECT" {
        let upstream = connect(&target).await?;
        socket.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.ok()?;
        upstream
    } else {
        let (place, path) = target.strip_prefix("http://")?.split_once('/')?;
        let mut upstream = connect(place).await?;
        // One request a connection, and nothing of what was for the proxy.
        let rest = head.split("\r\n").skip(1).filter(|line| !line.to_ascii_lowercase().starts_with("proxy-"));
        let rest: Vec<&str> = rest.collect();
        let head = format!("{method} /{path} HTTP/1.1\r\nConnection: close\r\n{}", rest.join("\r\n"));
        upstream.write_all(head.as_bytes()).await.ok()?;
        upstream
    };
    tokio::io::copy_bidirectional(&mut socket, &mut upstream).await.ok().map(|_| ())
}

/// RFC 1928 and 1929, after the first byte.
async fn serve_socks(mut socket: TcpStream, state: &State) -> Option<()> {
    let text = async |socket: &mut TcpStream| {
        let mut text = vec![0; usize::from(socket.read_u8().await.ok()?)];
        socket.read_exact(&mut text).await.ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    let ways = text(&mut socket).await?;
    let mut who = String::new();
    if ways.contains('\u{2}') {
        socket.write_all(&[5, 2]).await.ok()?;
        socket.read_u8().await.ok()?;
        who = format!("{}:{}", text(&mut socket).await?, text(&mut socket).await?);
        socket.write_all(&[1, 0]).await.ok()?;
    } else {
        socket.write_all(&[5, 0]).await.ok()?;
    }
    let mut command = [0; 4];
    socket.read_exact(&mut command).await.ok()?;
    let host = match command[3] {
        1 => std::net::Ipv4Addr::from_bits(socket.read_u32().await.ok()?).to_string(),
        _ => text(&mut socket).await?,
    };
    let place = format!("{host}:{}", socket.read_u16().await.ok()?);
    state.seen.lock().unwrap().push(format!("SOCKS {place} {who}"));
    // 2: not allowed by the rules.
    let answer = if *state.conduct.lock().unwrap() == Conduct::Refuses { 2 } else { 0 };
    socket.write_all(&[5, answer, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    if answer != 0 {
        return None;
    }
    let mut upstream = connect(&place).await?;
    tokio::io::copy_bidirectional(&mut socket, &mut upstream).await.ok().map(|_| ())
}
