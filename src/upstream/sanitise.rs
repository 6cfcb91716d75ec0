//! Taking out of upstream's JSON what would lead clients past this hub.
//!
//! `xetHash` and its relatives go: huggingface_hub downloads from the Xet store on the strength
//! of a listing alone. What this hub itself offers of Xet is added when an answer is sent. URLs
//! that name upstream or one of its download hosts become URLs of this hub: `BASE_MARK` stands
//! for our own address, which is only known when a request is answered.

use serde_json::Value;
use url::Url;

use super::egress::Egress;

/// Stands for `scheme://host[:port][/prefix]` of this hub in stored answers.
pub const BASE_MARK: &str = "modelhub-base://";

/// Keys that exist for Xet only, wherever they stand.
const XET_KEYS: [&str; 4] = ["xetHash", "xetEnabled", "casUrl", "xetRefreshRoute"];

pub struct Sanitiser {
    origin: String,
    egress: Egress,
}

impl Sanitiser {
    pub(super) fn new(base: &Url, cdn_hosts: Vec<String>) -> Self {
        Self { origin: base.as_str().trim_end_matches('/').to_owned(), egress: Egress::new(base.clone(), cdn_hosts) }
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

    /// Turns a `Link: <url>; rel="next"` of upstream into one of ours; other relations go.
    pub fn next_link(&self, header: &str) -> Option<String> {
        header.split(',').find_map(|link| {
            let (url, params) = link.trim().strip_prefix('<')?.split_once('>')?;
            if !params.replace([' ', '"'], "").split(';').any(|param| param == "rel=next") {
                return None;
            }
            let path = match url.strip_prefix(self.origin.as_str()) {
                Some(path) => path.to_owned(),
                None if url.starts_with('/') => url.to_owned(),
                None => {
                    let url = Url::parse(url).ok().filter(|url| self.egress.is_origin(url))?;
                    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
                }
            };
            Some(format!("<{BASE_MARK}{path}>; rel=\"next\""))
        })
    }

    fn is_upstream(&self, scheme: &str, authority: &str) -> bool {
        let Ok(url) = Url::parse(&format!("{scheme}://{authority}/")) else { return false };
        self.egress.is_origin(&url) || url.host_str().is_some_and(|host| self.egress.is_listed(host))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sanitiser() -> Sanitiser {
        Sanitiser::new(&Url::parse("https://huggingface.co").unwrap(), vec!["*.hf.co".into()])
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
        assert_eq!(
            sanitiser().next_link(link).as_deref(),
            Some("<modelhub-base:///api/models?cursor=a%3D&limit=2>; rel=\"next\"")
        );
        assert_eq!(sanitiser().next_link("<https://evil.org/api>; rel=\"next\""), None);
    }
}
