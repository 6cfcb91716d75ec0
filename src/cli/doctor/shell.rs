//! The variables that Hugging Face tools read in this shell.

use url::Url;

use super::Report;
use crate::cli::client::is_local;

/// The variables that matter, taken out of the process so that tests can give their own.
#[derive(Default)]
pub(super) struct Variables(Vec<(&'static str, String)>);

const NAMES: [&str; 12] = [
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

impl Variables {
    pub(super) fn of_process() -> Self {
        let value = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self(NAMES.into_iter().filter_map(|name| Some((name, value(name)?))).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value.trim())
    }

    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }
}

/// `endpoint` is the hub's own address, if it is known.
pub(super) fn look(report: &mut Report, variables: &Variables, endpoint: Option<&str>) {
    let shown = endpoint.unwrap_or("http://127.0.0.1:8484");
    let advice = format!("export HF_ENDPOINT={shown}");
    let set = variables.get("HF_ENDPOINT");
    match (set, set.and_then(|text| Url::parse(text).ok())) {
        (None, _) => report.warn("HF_ENDPOINT", "not set: tools in this shell use huggingface.co", advice),
        (Some(text), None) => report.fail("HF_ENDPOINT", format!("`{text}` is not a URL"), advice),
        (Some(text), Some(url)) => match endpoint.and_then(|endpoint| Url::parse(endpoint).ok()) {
            Some(hub) if !is_same(&url, &hub) => {
                report.warn("HF_ENDPOINT", format!("{text} is not this hub, which is {shown}"), advice);
            }
            Some(_) if text.ends_with('/') => {
                let text = format!("{text} ends with a slash, which breaks some tools");
                report.warn("HF_ENDPOINT", text, advice);
            }
            Some(_) => {
                report.ok("HF_ENDPOINT", format!("tools in this shell use this hub ({text})"));
                proxy(report, variables, &url);
            }
            None => report.warn("HF_ENDPOINT", format!("{text}; could not check whether that is this hub"), ""),
        },
    }
    let is_on = |value: &str| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on");
    for name in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"] {
        if variables.get(name).is_some_and(is_on) {
            let advice = format!("unset {name}: this hub serves cached files even when Hugging Face is unreachable");
            report.warn(name, "set: tools in this shell make no requests at all", advice);
        }
    }
    if let Some((name, _)) = variables.first(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
        let unsafe_way =
            set.and_then(|text| Url::parse(text).ok()).is_some_and(|url| url.scheme() == "http" && !is_local(&url));
        if unsafe_way {
            let text = "sent to HF_ENDPOINT over the network unencrypted";
            report.warn(
                name,
                text,
                "put a TLS proxy in front of the hub, or unset it: public repositories do not need a token",
            );
        } else {
            report.ok(name, "set: tools send it, and the hub uses it for their requests only");
        }
    }
}

/// A proxy between the tools and a hub of this machine or network.
fn proxy(report: &mut Report, variables: &Variables, hub: &Url) {
    // Tools take these for http:// addresses.
    let Some((name, _)) = variables.first(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]) else { return };
    let host = hub.host_str().unwrap_or_default();
    let exempt = variables.first(&["NO_PROXY", "no_proxy"]).is_some_and(|(_, list)| {
        list.split(',').map(str::trim).any(|entry| {
            entry == "*"
                || entry == host
                || (!entry.is_empty() && host.ends_with(&format!(".{}", entry.trim_start_matches('.'))))
        })
    });
    if !exempt && hub.scheme() == "http" {
        let text = format!("tools in this shell connect to the hub through {name}");
        report.warn("proxy", text, format!("export NO_PROXY={host}"));
    }
}

/// One hub, whichever of its machine's own names is used.
fn is_same(one: &Url, other: &Url) -> bool {
    let same_host = one.host() == other.host() || (is_local(one) && is_local(other));
    let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
    same_host && one.port_or_known_default() == other.port_or_known_default() && path(one) == path(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Verdict;

    const HUB: &str = "http://127.0.0.1:8484";

    fn verdicts(variables: &[(&'static str, &str)], endpoint: Option<&str>) -> Vec<(&'static str, Verdict)> {
        let mut report = Report::default();
        let variables = Variables(variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect());
        look(&mut report, &variables, endpoint);
        report.0.iter().map(|finding| (finding.name, finding.verdict)).collect()
    }

    #[test]
    fn the_endpoint_is_compared_with_the_hubs_own() {
        let of = |value: &str| verdicts(&[("HF_ENDPOINT", value)], Some(HUB))[0].1;
        assert_eq!(verdicts(&[], Some(HUB)), [("HF_ENDPOINT", Verdict::Warn)]);
        assert_eq!(of(HUB), Verdict::Ok);
        assert_eq!(of("http://localhost:8484"), Verdict::Ok);
        assert_eq!(of("http://localhost:8484/"), Verdict::Warn);
        assert_eq!(of("http://localhost:8485"), Verdict::Warn);
        assert_eq!(of("https://huggingface.co"), Verdict::Warn);
        assert_eq!(of("127.0.0.1"), Verdict::Fail);
    }

    #[test]
    fn offline_switches_tokens_in_the_open_and_proxies_are_noticed() {
        let found = verdicts(&[("HF_ENDPOINT", HUB), ("HF_HUB_OFFLINE", "1"), ("HF_TOKEN", "hf_x")], Some(HUB));
        let expected = [("HF_ENDPOINT", Verdict::Ok), ("HF_HUB_OFFLINE", Verdict::Warn), ("HF_TOKEN", Verdict::Ok)];
        assert_eq!(found, expected);
        let far = "http://gpu-box:8484";
        let found = verdicts(&[("HF_ENDPOINT", far), ("HF_TOKEN", "hf_x")], Some(far));
        assert_eq!(found[1], ("HF_TOKEN", Verdict::Warn));
        let proxied = [("HF_ENDPOINT", far), ("http_proxy", "http://proxy:3128")];
        assert_eq!(verdicts(&proxied, Some(far))[1], ("proxy", Verdict::Warn));
        let exempt = [proxied[0], proxied[1], ("no_proxy", "localhost, gpu-box")];
        assert_eq!(verdicts(&exempt, Some(far)).len(), 1);
    }
}
