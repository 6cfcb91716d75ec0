//! Taking out of upstream's JSON what would lead clients past this hub.
//!
//! `xetHash` and its relatives go: huggingface_hub downloads from the Xet store on the strength
//! of a listing alone. What this hub itself offers of Xet is added when an answer is sent. URLs
//! that name upstream or one of its download hosts become URLs of this hub: `BASE_MARK` stands
//! for our own address, which is only known when a request is answered.

use serde_json::Value;
use url::Url;

use super::egress::Egress;
use super::{Error, Result};

/// Stands for `scheme://host[:port][/prefix]` of this hub in stored answers.
pub const BASE_MARK: &str = "modelhub-base://";

/// Keys that exist for Xet only, wherever they stand.
const XET_KEYS: [&str; 4] = ["xetHash", "xetEnabled", "casUrl", "xetRefreshRoute"];

pub struct Sanitiser {
    origin: String,
    egress: Egress,
}

impl Sanitiser {
    pub(super) fn new(base: &Url, egress: Egress) -> Self {
        Self { origin: base.as_str().trim_end_matches('/').to_owned(), egress }
    }

    /// Cleans a JSON value in place.
    pub fn json(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| !XET_KEYS.contains(&key.as_str()));
                map.values_mut().for_each(|value| self.json(value));
            }
            Value::Array(items) => items.iter_mut().for_each(|value| self.json(value)),
            Value::String(text) => {
                if let Some(clean) = self.text(text) {
                    *text = clean;
                }
            }
            _ => {}
        }
    }

    /// A text with each URL of upstream or of its hosts made one of ours; `None` if there is none.
    pub fn text(&self, text: &str) -> Option<String> {
        if !text.contains("://") {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut changed = false;
        while let Some(at) = rest.find("://") {
            let scheme_at = rest[..at]
                .rfind(|c: char| !c.is_ascii_alphanumeric())
                .map_or(0, |i| i + rest[i..].chars().next().map_or(1, char::len_utf8));
            let scheme = &rest[scheme_at..at];
            let after = &rest[at + 3..];
            let end =
                after.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '@')));
            // A dot at its end is the sentence's.
            let authority = after[..end.unwrap_or(after.len())].trim_end_matches(['.', ':']);
            let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
            let is_ours = is_http && self.is_upstream(scheme, authority);
            out.push_str(&rest[..if is_ours { scheme_at } else { at + 3 + authority.len() }]);
            if is_ours {
                changed = true;
                out.push_str(BASE_MARK);
            }
            rest = &after[authority.len()..];
        }
        out.push_str(rest);
        changed.then_some(out)
    }

    /// Turns a `Link: <url>; rel="next"` of upstream into one of ours; other relations go. An error if the next page
    /// is not upstream's: without it the listing would seem to be whole.
    pub(super) fn next_link(&self, header: &str) -> Result<Option<String>> {
        let next = header.split(',').find_map(|link| {
            let (url, params) = link.trim().strip_prefix('<')?.split_once('>')?;
            let is_next = params.replace([' ', '"'], "").split(';').any(|param| param == "rel=next");
            is_next.then_some(url)
        });
        let Some(url) = next else { return Ok(None) };
        let is_path = |path: &str| path.starts_with('/') && !path.starts_with("//");
        let path = match url.strip_prefix(self.origin.as_str()) {
            Some(path) if is_path(path) => path.to_owned(),
            _ if is_path(url) => url.to_owned(),
            _ => {
                let bare = |url: &Url| url.username().is_empty() && url.password().is_none();
                let url = Url::parse(url).ok().filter(|url| self.egress.is_origin(url) && bare(url));
                let url = url.ok_or_else(|| Error::Protocol("the next page of a listing is not upstream's".into()))?;
                url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
            }
        };
        Ok(Some(format!("<{BASE_MARK}{path}>; rel=\"next\"")))
    }

    fn is_upstream(&self, scheme: &str, authority: &str) -> bool {
        let Ok(url) = Url::parse(&format!("{scheme}://{authority}/")) else { return false };
        self.egress.is_origin(&url) || self.egress.names(&url)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sanitiser() -> Sanitiser {
        let base = Url::parse("https://huggingface.co").unwrap();
        Sanitiser::new(&base, Egress::new(base.clone(), &["*.hf.co".into()]))
    }

    #[test]
    fn no_trace_of_xet_or_of_upstream_hosts_is_left() {
        let mut value = json!({
            "siblings": [{"rfilename": "a", "xetHash": "f"}],
            "deep": {"list": [{"xetHash": "f", "casUrl": "https://cas.hf.co"}]},
            "url": "see https://huggingface.co/datasets/x and https://example.org/y, https://us.cdn.hf.co/z.",
        });
        sanitiser().json(&mut value);
        assert_eq!(
            value,
            json!({
                "siblings": [{"rfilename": "a"}],
                "deep": {"list": [{}]},
                "url": "see modelhub-base:///datasets/x and https://example.org/y, modelhub-base:///z.",
            })
        );
    }

    #[test]
    fn upstream_is_known_in_capitals_and_at_the_end_of_a_sentence() {
        let clean = |text: &str| sanitiser().text(text);
        assert_eq!(clean("HTTPS://HuggingFace.co/x").as_deref(), Some("modelhub-base:///x"));
        assert_eq!(clean("It is on https://huggingface.co.").as_deref(), Some("It is on modelhub-base://."));
        assert_eq!(clean("https://huggingface.co: there").as_deref(), Some("modelhub-base://: there"));
        assert_eq!(clean("ftp://huggingface.co/x https://example.org."), None);
    }

    #[test]
    fn the_next_page_is_ours_and_other_links_go() {
        let link = "<https://cas.x.org/v1>; rel=\"xet-auth\", <https://huggingface.co/api/models?cursor=a%3D&limit=2>; rel=\"next\"";
        let next = |link: &str| sanitiser().next_link(link).map(Option::unwrap_or_default).ok();
        let ours = "<modelhub-base:///api/models?cursor=a%3D&limit=2>; rel=\"next\"";
        assert_eq!(next(link).as_deref(), Some(ours));
        assert_eq!(next("<https://evil.org/api>; rel=\"prev\"").as_deref(), Some(""));
        for url in [
            "https://evil.org/api",
            "https://huggingface.co.evil.org/x",
            "https://huggingface.co@evil.org/x",
            "//evil.org/x",
        ] {
            assert_eq!(next(&format!("<{url}>; rel=\"next\"")), None, "{url}");
        }
    }
}
