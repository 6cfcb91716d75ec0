//! The other hub, read over HTTP: metadata calls, and ranges of files.
//!
//! The only way out of the process. Rules that hold for every call: redirects are followed by
//! hand, at most five; a token goes to the configured origin and nowhere else; other hosts
//! are reached only if `upstream.cdn_hosts` lists them; bodies are bounded; a pause that
//! upstream asks for (429, `Retry-After`, `RateLimit`) is kept by all calls together; and while
//! upstream keeps failing, calls fail fast instead of waiting (`health.rs`);
//! while it is silent, nobody with an older answer waits for it (`silence.rs`).

mod address;
mod budget;
mod client;
mod download;
mod egress;
mod error;
mod exits;
mod health;
mod proxy;
mod resolver;
mod room;
mod sanitise;
mod silence;
mod token;
mod wire;
mod xet;

pub use budget::{Bucket, BudgetState};
pub use client::{Answer, Caller, Impact, Upstream};
pub use download::{FileHead, RangeBody, RangeReply, Source};
pub use error::{Error, Result};
pub use proxy::proxy_of;
pub use sanitise::{BASE_MARK, Sanitiser};
pub use wire::{ApiInfo, TreeItem, parse_info};
pub use xet::{XetRange, XetSource};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// Percent-encodes a text for a URL path; `keep_slash` for file paths, not for revisions.
pub fn encode(text: &str, keep_slash: bool) -> String {
    utf8_percent_encode(text, if keep_slash { PATH } else { SEGMENT }).to_string()
}
