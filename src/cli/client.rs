//! The admin API's client: where the hub is, with which token, and what its refusals mean.
//!
//! Steps of a call: send → tell "nobody answers" from "it refuses" → problem+json becomes a `Failure` in plain words.
//! A token from the configuration goes to this machine only; one that was given goes where it was told to.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::failure::{Code, Failure, Outcome, code_of};
use super::output::clean;
use crate::config::{self, Secret};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A plan of a large repository is listed from upstream first.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
/// The timeout of a request of `doctor`.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// Entries of a page of a list.
const PAGE: usize = 1000;
const DEFAULT_PORT: u16 = 8485;

/// Slashes too: a model's name is one piece of the address.
const IN_A_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Flags of every command that talks to the hub.
#[derive(Args, Debug, Clone, Default)]
pub(super) struct Connection {
    /// URL of the hub's admin API [default: from the configuration, else http://127.0.0.1:8485]
    #[arg(long, global = true, value_name = "URL", env = "MODELHUB_ADMIN_URL", help_heading = "Connection")]
    pub(super) url: Option<String>,
    /// The admin token; command lines are visible to other users, so prefer the variable
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "MODELHUB_ADMIN_TOKEN",
        hide_env_values = true,
        help_heading = "Connection"
    )]
    pub(super) token: Option<String>,
    /// Configuration file (TOML), read for the hub's address and token
    #[arg(long, global = true, value_name = "FILE", env = "MODELHUB_CONFIG", help_heading = "Connection")]
    pub(super) config: Option<PathBuf>,
    /// Print the hub's response as one JSON document; lists are one array
    #[arg(long, global = true, help_heading = "Connection")]
    pub(super) json: bool,
}

/// Speaks with one hub.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Secret,
}

impl Client {
    pub(super) fn new(connection: &Connection) -> Outcome<Self> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let (url, token) = (given(&connection.url), given(&connection.token));
        let configured = match (&url, &token) {
            (Some(_), Some(_)) => Configured::default(),
            _ => Configured::read(connection)?,
        };
        let text = url.or(configured.url).unwrap_or_else(|| format!("http://127.0.0.1:{DEFAULT_PORT}"));
        let base = parse_base(&text)?;
        let token = match token {
            Some(token) => Secret::new(token.trim()),
            None if is_local(&base) => configured.token,
            None => Secret::default(),
        };
        #[expect(clippy::disallowed_methods, reason = "the way to the hub, from a process of its own")]
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A proxy for the outside has no business between this and the hub.
            .no_proxy()
            .user_agent(concat!("modelhub-cli/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::new(Code::Failed, format!("cannot set up HTTP: {error}")))?;
        Ok(Self { http, base, token })
    }

    /// Where the hub is, without a slash at the end.
    pub(super) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.get().is_some()
    }

    /// A client of the same hub that shows no token.
    pub(super) fn without_token(&self) -> Self {
        Self { http: self.http.clone(), base: self.base.clone(), token: Secret::default() }
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Outcome<Value> {
        self.json(self.request(Method::GET, path).query(query)).await
    }

    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Outcome<Value> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &impl Serialize) -> Outcome<Value> {
        self.json(self.request(Method::PATCH, path).json(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Outcome<Value> {
        self.json(self.request(Method::DELETE, path)).await
    }

    /// All pages of a list, or its first `limit` entries; the flag tells whether there are more.
    pub(super) async fn list(
        &self,
        path: &str,
        field: &str,
        query: &[(&str, String)],
        limit: Option<usize>,
    ) -> Outcome<(Vec<Value>, bool)> {
        let most = limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = query.to_vec();
            query.push(("page_size", PAGE.min(most - entries.len()).to_string()));
            if !token.is_empty() {
                query.push(("page_token", token));
            }
            let mut page = self.get(path, &query).await?;
            if let Some(Value::Array(list)) = page.get_mut(field).map(Value::take) {
                entries.extend(list);
            }
            token = page["next_page_token"].as_str().unwrap_or_default().to_owned();
            if token.is_empty() || entries.len() >= most {
                return Ok((entries, !token.is_empty()));
            }
        }
    }

    /// A stream of server-sent events; its body is read by the caller.
    pub(super) async fn open_events(&self, query: &[(&str, String)], last: Option<&str>) -> Outcome<Response> {
        let mut request = self.request(Method::GET, "/v1/events").query(query).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        self.send(request).await
    }

    /// Any response to a plain request without a token, for checks beyond the admin API.
    pub(super) async fn probe(&self, url: &str) -> Result<Response, String> {
        self.http.get(url).timeout(PROBE_TIMEOUT).send().await.map_err(|error| root(&error))
    }

    /// Whether the hub says that it can serve, for which it wants no token.
    pub(super) async fn check_ready(&self) -> Outcome {
        let url = format!("{}/readyz", self.address());
        let response = self.http.get(url).timeout(PROBE_TIMEOUT).send().await;
        let response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        match (status.as_u16(), text.trim_end()) {
            (200, "ready") => Ok(()),
            (503, reason) if reason.starts_with("not ready") => Err(Failure::new(Code::Failed, clean(reason))),
            (421, _) => Err(Failure::new(Code::Refused, clean(&text))),
            _ => Err(self.not_a_hub(&format!("status {status}"))),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.address()));
        match self.token.get() {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn json(&self, request: RequestBuilder) -> Outcome<Value> {
        let response = self.send(request).await?;
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&bytes).map_err(|_| self.not_a_hub("the response is not JSON"))
    }

    /// The answer, if it is a success.
    async fn send(&self, request: RequestBuilder) -> Outcome<Response> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let wait = response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let Ok(problem) = serde_json::from_slice::<Value>(&bytes) else {
            return Err(self.not_a_hub(&format!("status {status}")));
        };
        if problem["status"].as_u64() != Some(u64::from(status.as_u16())) {
            return Err(self.not_a_hub(&format!("status {status}")));
        }
        Err(Failure::new(code_of(status.as_u16()), self.explain(status.as_u16(), &problem, wait.as_deref())))
    }

    fn explain(&self, status: u16, problem: &Value, wait: Option<&str>) -> String {
        let mut text =
            clean(problem["detail"].as_str().filter(|text| !text.is_empty()).unwrap_or("the hub refused the request"));
        for error in problem["errors"].as_array().into_iter().flatten() {
            let part = |name: &str| clean(error[name].as_str().unwrap_or_default());
            if !text.contains(&part("message")) {
                text.push_str(&format!("\n  {}: {}", part("field"), part("message")));
            }
        }
        match (status, self.has_token(), wait) {
            (401, true, _) => text.push_str("\nThe token is wrong; see admin.token in the hub's settings"),
            (401, false, _) => {
                text.push_str("\nSet MODELHUB_ADMIN_TOKEN, or pass --config FILE with the hub's configuration")
            }
            // Where the hub says it itself, once is enough.
            (_, _, Some(seconds)) if !text.contains("try again in") => {
                text.push_str(&format!("\nTry again in {} s", clean(seconds)))
            }
            _ => {}
        }
        text
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let address = self.address();
        let text = if error.is_connect() {
            let cause = root(error);
            format!(
                "cannot connect to {address} ({cause}): is the hub running? Start it with `modelhub serve`, \
                 or give its address with --url or MODELHUB_ADMIN_URL"
            )
        } else if error.is_timeout() {
            format!("the hub at {address} did not respond in time")
        } else {
            format!("lost the connection to the hub at {address}: {}", root(error))
        };
        Failure::new(Code::Unreachable, text)
    }

    fn not_a_hub(&self, what: &str) -> Failure {
        let text = format!("{} is not a modelhub admin API: {what}; check --url", self.address());
        Failure::new(Code::Unreachable, text)
    }
}

/// What the settings say about the hub's admin listener.
#[derive(Default)]
pub(super) struct Configured {
    url: Option<String>,
    token: Secret,
}

impl Configured {
    fn read(connection: &Connection) -> Outcome<Self> {
        let usage = |error: config::ConfigError| Failure::usage(error.to_string());
        let table = config::merge(connection.config.as_deref(), std::env::vars(), &[]).map_err(usage)?.table;
        let text = |section: &str, key: &str| {
            let value = table.get(section).and_then(|section| section.get(key)).and_then(toml::Value::as_str);
            value.unwrap_or_default().trim().to_owned()
        };
        let url = text("admin", "listen").parse::<std::net::SocketAddr>().ok().filter(|addr| addr.port() != 0);
        let url = url.map(|mut addr| {
            if addr.ip().is_unspecified() {
                addr.set_ip(if addr.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
            }
            format!("http://{addr}")
        });
        let (token, file) = (text("admin", "token"), text("admin", "token_file"));
        let token = if token.is_empty() && !file.is_empty() {
            let refused =
                |error| Failure::new(Code::Refused, format!("cannot read the admin token from {file}: {error}"));
            std::fs::read_to_string(&file).map_err(refused)?.trim().to_owned()
        } else {
            token
        };
        Ok(Self { url, token: Secret::new(token) })
    }
}

fn parse_base(text: &str) -> Outcome<Url> {
    let text = text.trim().trim_end_matches('/');
    let wrong = || {
        Failure::usage(format!("invalid --url `{text}`; expected an address such as http://127.0.0.1:{DEFAULT_PORT}"))
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || url.query().is_some() {
        return Err(wrong());
    }
    Ok(url)
}

/// Whether an address is this machine's own.
pub(super) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// A part of an address: a model's name or an id.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, IN_A_SEGMENT).to_string()
}

/// The message that an answer holds.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Outcome<T> {
    T::deserialize(value).map_err(|error| {
        let text = format!("cannot understand the hub's response ({error}); are both the same version?");
        Failure::new(Code::Failed, text)
    })
}

/// The innermost cause of an error.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_local_ones_known() {
        let local = |text: &str| is_local(&parse_base(text).unwrap());
        assert!(local("http://127.0.0.1:8485/") && local("http://localhost:1") && local("http://[::1]:8485"));
        assert!(!local("http://gpu-box:8485") && !local("http://localhost.example"));
        for wrong in ["127.0.0.1:8485", "ftp://x", "hub", "http://x/?a=b"] {
            assert_eq!(parse_base(wrong).unwrap_err().code, Code::Usage, "{wrong}");
        }
    }

    #[test]
    fn when_to_try_again_is_said_once() {
        let connection =
            Connection { url: Some("http://127.0.0.1:9".into()), token: Some("x".into()), ..Default::default() };
        let client = Client::new(&connection).unwrap();
        let of = |detail: &str| client.explain(429, &serde_json::json!({"detail": detail}), Some("17"));
        assert_eq!(of("too much; try again in 17 s"), "too much; try again in 17 s");
        assert_eq!(of("too much"), "too much\nTry again in 17 s");
    }

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(segment("dataset/org/a b"), "dataset%2Forg%2Fa%20b");
        assert_eq!(segment("Wan-AI/Wan2.1"), "Wan-AI%2FWan2.1");
    }
}
