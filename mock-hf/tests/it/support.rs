//! A client that follows nothing by itself and keeps a body's error instead of failing.

use std::sync::LazyLock;
use std::time::Duration;

use mock_hf::{Content, MockHf, Repo};
use serde_json::Value;

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The body ended before its time.
    pub(crate) broken: Option<String>,
}

impl Answer {
    /// The value of a header; empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One for all tests, because building one loads the system's certificates; without idle connections, because each
/// test has a runtime of its own.
fn client() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        builder.pool_max_idle_per_host(0).timeout(Duration::from_secs(10)).build().unwrap()
    });
    &CLIENT
}

pub(crate) async fn try_call(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> reqwest::Result<Answer> {
    let mut request = client().request(method.parse().unwrap(), url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send().await?;
    let mut answer = Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: Vec::new(),
        broken: None,
    };
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => answer.body.extend_from_slice(&chunk),
            Ok(None) => return Ok(answer),
            Err(error) => {
                answer.broken = Some(format!("{error:?}"));
                return Ok(answer);
            }
        }
    }
}

pub(crate) async fn call(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    try_call(method, url, headers, body).await.unwrap()
}

pub(crate) async fn get(url: &str) -> Answer {
    call("GET", url, &[], "").await
}

pub(crate) async fn get_with(url: &str, headers: &[(&str, &str)]) -> Answer {
    call("GET", url, headers, "").await
}

pub(crate) async fn head(url: &str) -> Answer {
    call("HEAD", url, &[], "").await
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// 3 MiB of noise and a small text.
pub(crate) const SIZE: u64 = 3 << 20;

pub(crate) fn noise() -> Content {
    Content::random(1, SIZE)
}

pub(crate) async fn hub() -> MockHf {
    let hub = MockHf::start().await;
    hub.put(Repo::model("org/name").file("config.json", "{\"a\": 1}\n").lfs("sub/model.safetensors", noise()));
    hub
}

/// The signed URL of an LFS file.
pub(crate) async fn signed(hub: &MockHf, path: &str) -> String {
    let answer = head(&format!("{}/org/name/resolve/main/{path}", hub.url())).await;
    assert_eq!(answer.status, 302);
    answer.header("location").to_owned()
}
