//! The mock's own controls over HTTP, on the hub's listener; neither counted nor logged.
//!
//! | request | effect |
//! |---|---|
//! | `GET /_mock/faults` | the rules, with how often each matched and struck |
//! | `POST /_mock/faults` | adds a rule: `{"origin":"cdn","path_contains":"model","times":1,"fault":{"cut_after":1000}}` → `{"id":1}` |
//! | `DELETE /_mock/faults[/{id}]` | removes all rules, or one |
//! | `GET /_mock/log`, `DELETE /_mock/log` | the requests; forget them and the counters |
//! | `GET /_mock/stats` | the counters |
//! | `POST /_mock/visibility` | `{"kind":"model","id":"a/b","private":false,"gated":"auto","readers":["hf_…"]}` |
//! | `POST /_mock/commit` | `{"kind":"model","id":"a/b","branch":"main","changes":[{"put":{"path":"x","text":"…"}},{"delete":{"path":"y"}}]}` → `{"commit":"…"}` |
//! | `POST /_mock/rename` | `{"kind":"model","from":"a/b","to":"a/c"}` |
//! | `POST /_mock/expire-urls` | signed URLs handed out so far stop working |

use base64::Engine;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::content::Content;
use crate::fault::{FaultId, Rule};
use crate::reply::{Reply, error};
use crate::repo::{Change, Kind};
use crate::request::Request;
use crate::shared::Shared;

#[derive(Deserialize)]
struct Visibility {
    kind: String,
    id: String,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    gated: Option<String>,
    #[serde(default)]
    readers: Vec<String>,
}

#[derive(Deserialize)]
struct Commit {
    kind: String,
    id: String,
    #[serde(default = "main")]
    branch: String,
    #[serde(default = "title")]
    title: String,
    changes: Vec<JsonChange>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum JsonChange {
    Put {
        path: String,
        #[serde(default)]
        lfs: bool,
        #[serde(default)]
        text: Option<String>,
        #[serde(default)]
        base64: Option<String>,
        #[serde(default)]
        random: Option<Random>,
    },
    Delete {
        path: String,
    },
}

#[derive(Deserialize)]
struct Random {
    seed: u64,
    size: u64,
}

#[derive(Deserialize)]
struct Rename {
    kind: String,
    from: String,
    to: String,
}

fn main() -> String {
    "main".to_owned()
}

fn title() -> String {
    "Update files".to_owned()
}

/// Answers a control request.
pub(crate) fn route(shared: &Shared, request: &Request) -> Reply {
    let path = request.path.trim_start_matches("/_mock").trim_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    let answer = match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["faults"]) => Ok(serde_json::to_value(shared.faults.list()).unwrap_or_default()),
        ("POST", ["faults"]) => body::<Rule>(request).map(|rule| json!({"id": shared.faults.add(rule)})),
        ("DELETE", ["faults"]) => {
            shared.faults.clear();
            Ok(json!({}))
        }
        ("DELETE", ["faults", id]) => match id.parse() {
            Ok(id) if shared.faults.remove(FaultId(id)) => Ok(json!({})),
            _ => Err((404, format!("there is no rule {id}"))),
        },
        ("GET", ["log"]) => Ok(serde_json::to_value(shared.log.requests()).unwrap_or_default()),
        ("DELETE", ["log"]) => {
            shared.log.clear();
            Ok(json!({}))
        }
        ("GET", ["stats"]) => Ok(serde_json::to_value(shared.log.stats()).unwrap_or_default()),
        ("POST", ["visibility"]) => body(request).and_then(|wish| set_visibility(shared, wish)),
        ("POST", ["commit"]) => body(request).and_then(|wish| commit(shared, wish)),
        ("POST", ["rename"]) => body(request).and_then(|wish| rename(shared, &wish)),
        ("POST", ["expire-urls"]) => {
            shared.expire_urls();
            Ok(json!({}))
        }
        _ => Err((404, "unknown control; see the module `control` of mock-hf".to_owned())),
    };
    match answer {
        Ok(value) => Reply::json(&value),
        Err((status, message)) => error(true, status, None, &message),
    }
}

type Answer = Result<Value, (u16, String)>;

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, (u16, String)> {
    serde_json::from_slice(&request.body).map_err(|error| (400, format!("could not read the body: {error}")))
}

fn kind(text: &str) -> Result<Kind, (u16, String)> {
    text.parse().map_err(|error: anyhow::Error| (400, error.to_string()))
}

fn set_visibility(shared: &Shared, wish: Visibility) -> Answer {
    let kind = kind(&wish.kind)?;
    let done = shared.store.set_visibility(kind, &wish.id, wish.private, wish.gated.as_deref(), wish.readers);
    if done { Ok(json!({})) } else { Err((404, format!("there is no {kind} `{}`", wish.id))) }
}

fn rename(shared: &Shared, wish: &Rename) -> Answer {
    let kind = kind(&wish.kind)?;
    let done = shared.store.rename(kind, &wish.from, &wish.to);
    if done { Ok(json!({})) } else { Err((404, format!("there is no {kind} `{}`", wish.from))) }
}

fn commit(shared: &Shared, wish: Commit) -> Answer {
    let kind = kind(&wish.kind)?;
    let changes = wish.changes.into_iter().map(change).collect::<Result<Vec<_>, _>>()?;
    match shared.store.commit(kind, &wish.id, &wish.branch, &changes, &wish.title) {
        Some(commit) => Ok(json!({"commit": commit})),
        None => Err((404, format!("there is no {kind} `{}`", wish.id))),
    }
}

fn change(change: JsonChange) -> Result<Change, (u16, String)> {
    let (path, lfs, content) = match change {
        JsonChange::Delete { path } => return Ok(Change::Delete { path }),
        JsonChange::Put { path, lfs, text: Some(text), .. } => (path, lfs, Content::from(text)),
        JsonChange::Put { path, lfs, base64: Some(text), .. } => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            (path, lfs, Content::from(bytes.map_err(|error| (400, format!("base64: {error}")))?))
        }
        JsonChange::Put { path, lfs, random: Some(random), .. } => {
            (path, lfs, Content::random(random.seed, random.size))
        }
        JsonChange::Put { path, .. } => return Err((400, format!("`{path}` needs text, base64 or random"))),
    };
    Ok(Change::Put { path, content, lfs })
}
