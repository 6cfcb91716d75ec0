//! Answers before they become HTTP: a status, headers, and a range of some content. Errors have the exact headers and
//! texts of the real Hub, because clients decide by them.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::content::{Content, sha1_hex};
use crate::query::encode;

/// An answer that faults may still change.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    /// The part of the content that is the body.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// No Content-Length.
    pub(crate) chunked: bool,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Reply {
        Reply { status, headers: HeaderMap::new(), content: Content::from(""), start: 0, end: 0, chunked: false }
    }

    /// Sets a header; a value that HTTP does not allow is left out.
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<str>) -> Reply {
        self.set(name, value.as_ref());
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes())) {
            (Ok(name), Ok(value)) => {
                self.headers.insert(name, value);
            }
            _ => tracing::warn!(name, "a header that HTTP does not allow was left out"),
        }
    }

    /// The whole content as body.
    pub(crate) fn body(mut self, content: impl Into<Content>) -> Reply {
        self.content = content.into();
        self.start = 0;
        self.end = self.content.size();
        self
    }

    pub(crate) fn text(status: u16, text: impl Into<String>) -> Reply {
        Reply::new(status).header("content-type", "text/plain; charset=utf-8").body(text.into())
    }

    pub(crate) fn html(status: u16, text: impl Into<String>) -> Reply {
        Reply::new(status).header("content-type", "text/html; charset=utf-8").body(text.into())
    }

    /// 200 with JSON and a weak ETag.
    pub(crate) fn json(value: &Value) -> Reply {
        let text = value.to_string();
        let etag = format!("W/\"{:x}-{}\"", text.len(), &sha1_hex(&text)[..27]);
        Reply::new(200).header("content-type", "application/json; charset=utf-8").header("etag", etag).body(text)
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Reply {
        let word = if status == 307 { "Temporary Redirect" } else { "Found" };
        Reply::text(status, format!("{word}. Redirecting to {location}")).header("location", location)
    }
}

/// Why the hub refuses; turned into an answer by [`Refusal::reply`], as JSON on `/api` and as text elsewhere.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// An unknown or private repo to an anonymous caller: 401 without a code.
    Unauthenticated,
    InvalidToken,
    RepoNotFound,
    GatedAnonymous(String),
    GatedDenied(String),
    Disabled,
    /// The commit that was looked at.
    EntryNotFound(String),
    RevisionNotFound(String),
    /// Anything else.
    Other(u16, String),
}

impl Refusal {
    pub(crate) fn reply(&self, api: bool) -> Reply {
        let (status, code, message) = match self {
            Refusal::Unauthenticated => (401, None, "Invalid username or password.".to_owned()),
            Refusal::InvalidToken => (401, None, "Invalid credentials in Authorization header".to_owned()),
            Refusal::RepoNotFound => (404, Some("RepoNotFound"), "Repository not found".to_owned()),
            Refusal::GatedAnonymous(name) => (
                401,
                Some("GatedRepo"),
                format!(
                    "Access to {name} is restricted. You must have access to it and be authenticated to access it. Please log in."
                ),
            ),
            Refusal::GatedDenied(name) => {
                let id = name.split_once(' ').map_or(name.as_str(), |(_, id)| id);
                let text = format!(
                    "Access to {name} is restricted and you are not in the authorized list. Visit https://huggingface.co/{id} to ask for access."
                );
                (403, Some("GatedRepo"), text)
            }
            Refusal::Disabled => (403, None, "Access to this resource is disabled.".to_owned()),
            Refusal::EntryNotFound(_) => (404, Some("EntryNotFound"), "Entry not found".to_owned()),
            Refusal::RevisionNotFound(rev) => (404, Some("RevisionNotFound"), format!("Invalid rev id: {rev}")),
            Refusal::Other(status, message) => (*status, None, message.clone()),
        };
        let mut reply = error(api, status, code, &message);
        if status == 401 {
            reply.set("www-authenticate", "Bearer realm=\"Authentication required\", charset=\"UTF-8\"");
        }
        if let Refusal::EntryNotFound(commit) = self {
            reply.set("x-repo-commit", commit);
            reply.set("accept-ranges", "bytes");
        }
        reply
    }
}

/// An error answer with the Hub's headers.
pub(crate) fn error(api: bool, status: u16, code: Option<&str>, message: &str) -> Reply {
    let mut reply = if api {
        let text = json!({ "error": message }).to_string();
        Reply::new(status).header("content-type", "application/json; charset=utf-8").body(text)
    } else {
        Reply::text(status, message)
    };
    if let Some(code) = code {
        reply.set("x-error-code", code);
    }
    if !message.is_empty() {
        reply.set("x-error-message", message);
    }
    reply
}

/// The path means nothing.
pub(crate) fn not_a_route() -> Refusal {
    Refusal::Other(404, "Sorry, we can't find the page you are looking for.".to_owned())
}

/// `Content-Disposition` with both forms of the file's name.
pub(crate) fn disposition(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && c != '"' || c == ' ' { c } else { '_' }).collect();
    format!("inline; filename*=UTF-8''{}; filename=\"{plain}\";", encode(name))
}

/// What a `Range` header asks of a content of this size.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    Part(u64, u64),
    Unsatisfiable,
}

/// One range; several ranges or nonsense count as none. The end is exclusive and clamped.
pub(crate) fn wanted(range: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = range.and_then(|range| range.trim().strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((from, to)) = spec.split_once('-') else { return Wanted::Whole };
    match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
        (Ok(from), Ok(to)) if to < from => Wanted::Whole,
        (Ok(from), _) if !to.trim().is_empty() && to.trim().parse::<u64>().is_err() => {
            let _ = from;
            Wanted::Whole
        }
        (Ok(from), _) if from >= size => Wanted::Unsatisfiable,
        (Ok(from), Ok(to)) => Wanted::Part(from, (to + 1).min(size)),
        (Ok(from), Err(_)) => Wanted::Part(from, size),
        (Err(_), Ok(n)) if from.trim().is_empty() && n > 0 && size > 0 => Wanted::Part(size - n.min(size), size),
        (Err(_), Ok(_)) if from.trim().is_empty() => Wanted::Unsatisfiable,
        _ => Wanted::Whole,
    }
}

/// A file with range handling: 200, 206 or 416. `headers` are those of the file.
pub(crate) fn file(content: &Content, size: u64, range: Option<&str>, head: Reply) -> Reply {
    let mut reply = Reply { content: content.clone(), start: 0, end: size, ..head };
    reply.status = 200;
    reply.set("accept-ranges", "bytes");
    match wanted(range, size) {
        Wanted::Whole => {}
        Wanted::Part(start, end) => {
            reply.status = 206;
            (reply.start, reply.end) = (start, end);
            reply.set("content-range", &format!("bytes {start}-{}/{size}", end - 1));
        }
        Wanted::Unsatisfiable => {
            reply.status = 416;
            (reply.start, reply.end) = (0, 0);
            reply.set("content-range", &format!("bytes */{size}"));
        }
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::{Wanted, wanted};

    #[test]
    fn ranges_are_clamped_and_nonsense_is_ignored() {
        assert_eq!(wanted(Some("bytes=0-0"), 10), Wanted::Part(0, 1));
        assert_eq!(wanted(Some("bytes=5-99"), 10), Wanted::Part(5, 10));
        assert_eq!(wanted(Some("bytes=5-"), 10), Wanted::Part(5, 10));
        assert_eq!(wanted(Some("bytes=-3"), 10), Wanted::Part(7, 10));
        assert_eq!(wanted(Some("bytes=10-"), 10), Wanted::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=0-1,3-4"), 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=x-"), 10), Wanted::Whole);
        assert_eq!(wanted(None, 10), Wanted::Whole);
    }
}
