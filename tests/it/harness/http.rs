//! A client that follows nothing, decodes nothing, and keeps a broken body instead of failing.

use std::time::Duration;

use mock_hf::Content;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Why the body ended before its time.
    pub(crate) broken: Option<String>,
}

impl Reply {
    /// The value of a header; empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `X-Modelhub-Cache`.
    pub(crate) fn served(&self) -> &str {
        self.header("x-modelhub-cache")
    }

    /// The whole content, in one clean answer of this status.
    #[track_caller]
    pub(crate) fn assert_is(&self, status: u16, bytes: &[u8]) {
        assert_eq!((self.status, &self.broken), (status, &None), "{:?} {}", self.headers, self.excerpt());
        assert_eq!(self.body.len(), bytes.len(), "the length of the body");
        assert!(self.body == bytes, "the body has wrong bytes");
    }

    fn excerpt(&self) -> String {
        self.text().chars().take(300).collect()
    }

    /// Status, error code and error message.
    pub(crate) fn error(&self) -> (u16, &str, &str) {
        (self.status, self.header("x-error-code"), self.header("x-error-message"))
    }

    /// All that a client could read: headers, and the body as text.
    pub(crate) fn everything(&self) -> String {
        let headers =
            self.headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        headers.chain([self.text()]).collect()
    }
}

/// What became of a body that was compared with what it should be while it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A clean end, and every byte right.
    Right,
    /// A clean end of something else: what must never happen.
    Wrong(String),
    /// A status of an error, or a body that broke.
    Failed(String),
}

#[derive(Clone)]
pub(crate) struct Client(reqwest::Client);

impl Client {
    pub(crate) fn new() -> Self {
        Self::build(reqwest::Client::builder())
    }

    /// A client that connects from this address, all of 127.0.0.0/8 being ours: another peer to the hub.
    #[allow(dead_code, reason = "the binary `it` has several peers, `load` has one")]
    pub(crate) fn from_address(address: std::net::IpAddr) -> Self {
        Self::build(reqwest::Client::builder().local_address(address))
    }

    fn build(builder: reqwest::ClientBuilder) -> Self {
        let builder = builder.redirect(reqwest::redirect::Policy::none()).no_proxy();
        Self(builder.read_timeout(Duration::from_secs(60)).build().unwrap())
    }

    /// The head of an answer, its body still to come.
    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> reqwest::Result<reqwest::Response> {
        let mut request = self.0.request(method.parse().unwrap(), url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await
    }

    pub(crate) async fn call(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut response = self.send(method, url, headers, body).await.unwrap();
        let mut reply = Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: Vec::new(),
            broken: None,
        };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => reply.body.extend_from_slice(&chunk),
                Ok(None) => return reply,
                Err(error) => {
                    reply.broken = Some(format!("{error:?}"));
                    return reply;
                }
            }
        }
    }

    /// GET of a whole file, compared with the content piece by piece: memory stays flat.
    pub(crate) async fn compare(&self, url: &str, content: &Content) -> Outcome {
        let mut response = match self.send("GET", url, &[], "").await {
            Ok(response) => response,
            Err(error) => return Outcome::Failed(format!("{error:?}")),
        };
        if response.status() != 200 {
            let status = response.status().as_u16();
            return Outcome::Failed(format!("{status} {}", response.text().await.unwrap_or_default()));
        }
        let mut at = 0;
        let mut wrong = None;
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    if content.read_range(at, chunk.len() as u64) != chunk {
                        wrong.get_or_insert(at);
                    }
                    at += chunk.len() as u64;
                }
                Ok(None) => break,
                Err(error) => return Outcome::Failed(format!("the body broke at {at}: {error:?}")),
            }
        }
        match wrong {
            Some(offset) => Outcome::Wrong(format!("a wrong byte in the piece at {offset}")),
            None if at != content.size() => Outcome::Wrong(format!("{at} bytes instead of {}", content.size())),
            None => Outcome::Right,
        }
    }
}

/// A request exactly as written, for paths that clients would tidy up. Returns the answer's head and body.
pub(crate) async fn raw(base: &str, target: &str) -> String {
    let authority = base.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(authority).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
