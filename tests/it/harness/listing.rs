//! Reading listings.

use serde_json::Value;

use super::Reply;

pub(crate) fn paths(value: &Value) -> Vec<String> {
    let key = |entry: &Value| entry.get("path").or(entry.get("rfilename")).unwrap().as_str().unwrap().to_owned();
    value.as_array().unwrap().iter().map(key).collect()
}

pub(crate) fn entry<'a>(value: &'a Value, path: &str) -> &'a Value {
    let found = value.as_array().unwrap().iter().find(|entry| entry["path"] == path || entry["rfilename"] == path);
    found.unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// The URL of the next page, if there is one.
pub(crate) fn next(reply: &Reply) -> Option<String> {
    let link = reply.header("link");
    let (url, rest) = link.strip_prefix('<')?.split_once('>')?;
    assert_eq!(rest, "; rel=\"next\"");
    Some(url.to_owned())
}
