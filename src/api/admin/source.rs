//! What people paste to name a repository: an id, a Hub address, or a download command.

use url::Url;

use crate::domain::{RepoId, RepoKey, RepoKind, Revision, Selection};

/// A repository, and which part of it was meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) key: RepoKey,
    pub(super) revision: Option<Revision>,
    pub(super) selection: Selection,
}

const RULE: &str = "expected org/name, a URL such as https://huggingface.co/org/name, or a command such as \
                    hf download org/name --include \"*.gguf\"";

/// Hosts whose URLs name repositories of the Hub, whatever upstream is.
const HUB: [&str; 3] = ["huggingface.co", "www.huggingface.co", "hf.co"];

/// First segments of Hub URLs that are not repositories.
const NO_REPOSITORY: [&str; 16] = [
    "blog",
    "buckets",
    "chat",
    "collections",
    "docs",
    "enterprise",
    "join",
    "learn",
    "login",
    "new",
    "organizations",
    "papers",
    "posts",
    "search",
    "settings",
    "tasks",
];

impl Source {
    /// URLs of `ours` (upstream and this hub itself) count as the Hub's too. The error says what was expected.
    pub(super) fn parse(text: &str, ours: &[&str]) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.len() > 8192 {
            return Err(RULE.into());
        }
        let words = words(text)?;
        match words.as_slice() {
            [program, verb, rest @ ..] if is_client(program) && verb == "download" => Self::of_command(rest, ours),
            [one] => Self::of_word(one, ours),
            _ => Err(RULE.into()),
        }
    }

    fn of_word(word: &str, ours: &[&str]) -> Result<Self, String> {
        if let Some(rest) = word.strip_prefix("hf://") {
            return Self::of_uri(rest);
        }
        if word.contains("://") {
            return Self::of_address(word, ours);
        }
        // An address without its scheme: of a known host, or of too many parts for a name.
        let (first, rest) = word.split_once('/').unwrap_or((word, ""));
        if first.contains(['.', ':']) && !rest.is_empty() {
            let address = format!("https://{word}");
            if rest.contains('/') || base_of(&address, ours).is_ok() {
                return Self::of_address(&address, ours);
            }
        }
        Ok(Self::whole(RepoKey::parse(word).map_err(|e| format!("{e}; {RULE}"))?))
    }

    fn whole(key: RepoKey) -> Self {
        Self { key, revision: None, selection: Selection::default() }
    }

    /// `hf://[datasets/|spaces/|kernels/]org/name[@revision][/path]` (huggingface_hub `parse_hf_uri`).
    fn of_uri(rest: &str) -> Result<Self, String> {
        let mut parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        let kind = parts.first().and_then(|first| RepoKind::from_plural(first));
        if kind.is_some() {
            parts.remove(0);
        }
        // A name of one part ends where the revision begins, or the address.
        let most = if parts.first().is_some_and(|first| first.contains('@')) { 1 } else { 2 };
        let id: Vec<&str> = parts.drain(..most.min(parts.len())).collect();
        let id = id.join("/");
        let (id, revision) = id.split_once('@').map_or((id.as_str(), None), |(id, revision)| (id, Some(revision)));
        let id = RepoId::parse(id).map_err(|e| format!("{e}; expected hf://org/name or hf://datasets/org/name"))?;
        let mut source = Self::whole(RepoKey::new(kind.unwrap_or(RepoKind::Model), id));
        source.revision = revision.map(|text| Revision::parse(&decode(text)).map_err(|e| e.to_string())).transpose()?;
        if !parts.is_empty() {
            source.selection.paths.push(decode(&parts.join("/")));
        }
        Ok(source)
    }

    fn of_address(address: &str, ours: &[&str]) -> Result<Self, String> {
        let path = base_of(address, ours)?;
        let mut parts = path.split('/').filter(|part| !part.is_empty()).map(decode).peekable();
        let is_api = parts.next_if(|part| part == "api").is_some();
        let first = parts.next().ok_or(RULE)?;
        if NO_REPOSITORY.contains(&first.as_str()) {
            return Err(format!("a URL under /{first}/ is not a repository; {RULE}"));
        }
        let (kind, first) = match RepoKind::from_plural(&first) {
            Some(kind) => (kind, parts.next().ok_or(RULE)?),
            None if is_api => return Err(format!("/api/{first} is not a repository; {RULE}")),
            None => (RepoKind::Model, first),
        };
        let mut rest: Vec<String> = parts.collect();
        const PAGES: [&str; 7] = ["tree", "blob", "resolve", "raw", "revision", "discussions", "commits"];
        let id = if rest.first().is_some_and(|next| !PAGES.contains(&next.as_str())) {
            format!("{first}/{}", rest.remove(0))
        } else {
            first
        };
        let mut source = Self::whole(RepoKey::new(kind, RepoId::parse(&id).map_err(|e| format!("{e}; {RULE}"))?));
        if let [page, revision, path @ ..] = rest.as_slice()
            && PAGES[..5].contains(&page.as_str())
        {
            source.revision = Some(Revision::parse(revision).map_err(|e| e.to_string())?);
            if !path.is_empty() {
                source.selection.paths.push(path.join("/"));
            }
        }
        Ok(source)
    }

    /// `hf download REPO [FILES…] [--include …] [--exclude …] [--revision …] [--type …]`.
    fn of_command(words: &[String], ours: &[&str]) -> Result<Self, String> {
        let (mut kind, mut revision, mut selection) = (None, None, Selection::default());
        let mut plain: Vec<String> = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let (name, given) = match words[at].split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (words[at].as_str(), None),
            };
            at += 1;
            if !name.starts_with('-') {
                plain.push(words[at - 1].clone());
                continue;
            }
            let mut value = || {
                given.clone().or_else(|| {
                    at += 1;
                    words.get(at - 1).cloned()
                })
            };
            let needs = || format!("{name} needs a value");
            match name {
                "--revision" => {
                    let text = value().ok_or_else(needs)?;
                    revision = Some(Revision::parse(&text).map_err(|e| e.to_string())?);
                }
                // Older versions have --repo-type.
                "--type" | "--repo-type" => {
                    let text = value().ok_or_else(needs)?;
                    let parsed = RepoKind::parse(&text).or(RepoKind::from_plural(&text));
                    kind = Some(parsed.ok_or(format!("{name} {text}: {}", RepoKind::EXPECTED))?);
                }
                "--include" | "--exclude" => {
                    let list = if name == "--include" { &mut selection.include } else { &mut selection.exclude };
                    list.push(value().ok_or_else(needs)?);
                    // Old versions take several patterns after one option.
                    while given.is_none() && words.get(at).is_some_and(|word| !word.starts_with('-')) {
                        list.push(words[at].clone());
                        at += 1;
                    }
                }
                // Where the client puts files does not matter here; a token does not belong in a form.
                "--local-dir"
                | "--cache-dir"
                | "--token"
                | "--max-workers"
                | "--local-dir-use-symlinks"
                | "--format" => {
                    value();
                }
                "-q"
                | "--quiet"
                | "--no-quiet"
                | "--json"
                | "--no-truncate"
                | "--dry-run"
                | "--no-dry-run"
                | "--force-download"
                | "--no-force-download"
                | "--resume-download" => {}
                // There is no telling whether the next word is its value or a file.
                _ => return Err(format!("unsupported option {name}: leave it out")),
            }
        }
        let mut plain = plain.into_iter();
        let word = plain.next().ok_or("no repository given; expected hf download org/name")?;
        let mut source = match kind {
            Some(kind) => Self::whole(RepoKey::new(kind, RepoId::parse(&word).map_err(|e| e.to_string())?)),
            None => Self::of_word(&word, ours)?,
        };
        let mut paths = std::mem::take(&mut source.selection.paths);
        paths.extend(plain);
        source.selection = Selection { paths, ..selection };
        source.revision = revision.or(source.revision);
        Ok(source)
    }
}

/// The path of an address below a hub that is known, without the hub's own. Other hosts are refused by name.
fn base_of(address: &str, ours: &[&str]) -> Result<String, String> {
    let url = Url::parse(address).map_err(|_| RULE)?;
    let host = url.host_str().unwrap_or_default();
    let is_web = matches!(url.scheme(), "http" | "https");
    if is_web && HUB.contains(&host) && url.port().is_none() {
        return Ok(url.path().to_owned());
    }
    let is_local = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    for our in ours.iter().filter_map(|our| Url::parse(our).ok()) {
        let name = our.host_str().unwrap_or_default();
        let same_host = host == name || (is_local(host) && is_local(name));
        if is_web && same_host && url.port() == our.port() {
            let path = url.path();
            return Ok(path.strip_prefix(our.path().trim_end_matches('/')).unwrap_or(path).to_owned());
        }
    }
    let shown: String = if is_web { host.into() } else { format!("{}://{host}", url.scheme()) };
    Err(format!("{shown} is neither upstream nor this hub; {RULE}"))
}

fn decode(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

fn is_client(program: &str) -> bool {
    matches!(program, "hf" | "huggingface-cli" | "hfd")
}

/// Splits as a shell does: quotes and backslashes, nothing more.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let (mut word, mut started, mut quote) = (String::new(), false, None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => (quote, started) = (Some(c), true),
            (Some(open), _) if c == open => quote = None,
            (None, '\\') | (Some('"'), '\\') => match chars.next() {
                // A line continuation.
                Some('\n') | None => {}
                Some(next) => {
                    word.push(next);
                    started = true;
                }
            },
            (None, c) if c.is_whitespace() => {
                if started {
                    words.push(std::mem::take(&mut word));
                    started = false;
                }
            }
            _ => {
                word.push(c);
                started = true;
            }
        }
    }
    if quote.is_some() {
        return Err("unclosed quote".into());
    }
    if started {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [&str; 2] = ["http://mirror.example:8490/hf", "http://127.0.0.1:8484"];

    fn parse(text: &str) -> (String, Option<String>, Selection) {
        let source = Source::parse(text, &OURS).unwrap();
        (source.key.to_string(), source.revision.map(|r| r.to_string()), source.selection)
    }

    #[test]
    fn ids_addresses_and_commands_are_understood() {
        assert_eq!(parse("org/name").0, "org/name");
        assert_eq!(parse("https://huggingface.co/datasets/org/data").0, "datasets/org/data");
        assert_eq!(parse("https://huggingface.co/gpt2").0, "gpt2");
        let (id, revision, selection) = parse("https://huggingface.co/org/name/blob/main/q/a.gguf?download=true");
        assert_eq!((id.as_str(), revision.as_deref()), ("org/name", Some("main")));
        assert_eq!(selection.paths, ["q/a.gguf"]);
        let command =
            "hf download org/name config.json --include \"*.gguf\" --exclude='*.bin' --revision v1 --local-dir x";
        let (id, revision, selection) = parse(command);
        assert_eq!((id.as_str(), revision.as_deref()), ("org/name", Some("v1")));
        assert_eq!((selection.paths, selection.include), (vec!["config.json".to_owned()], vec!["*.gguf".to_owned()]));
        assert_eq!(selection.exclude, ["*.bin"]);
        assert_eq!(parse("huggingface-cli download \\\n org/name --repo-type dataset").0, "datasets/org/name");
    }

    #[test]
    fn what_is_none_of_these_says_what_would_be_right() {
        for bad in ["", "a b c", "https://huggingface.co/", "hf download", "hf download \"org", "../etc"] {
            assert!(Source::parse(bad, &OURS).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn uris_addresses_of_the_api_and_of_known_hosts_are_understood() {
        assert_eq!(parse("hf://demo/tiny-llama").0, "demo/tiny-llama");
        assert_eq!(parse("hf://gpt2").0, "gpt2");
        assert_eq!(parse("hf://spaces/o/n").0, "spaces/o/n");
        let (id, revision, selection) = parse("hf://datasets/o/n@refs%2Fconvert%2Fparquet/data/");
        assert_eq!((id.as_str(), revision.as_deref()), ("datasets/o/n", Some("refs/convert/parquet")));
        assert_eq!(selection.paths, ["data"]);
        assert_eq!(parse("hf download hf://datasets/o/n").0, "datasets/o/n");
        assert_eq!(parse("https://huggingface.co/api/models/demo/gguf").0, "demo/gguf");
        let (id, revision, _) = parse("https://huggingface.co/api/datasets/o/n/revision/v1");
        assert_eq!((id.as_str(), revision.as_deref()), ("datasets/o/n", Some("v1")));
        for address in ["huggingface.co/demo/gguf", "hf.co/demo/gguf", "http://mirror.example:8490/hf/demo/gguf"] {
            assert_eq!(parse(address).0, "demo/gguf", "{address}");
        }
        for address in
            ["http://127.0.0.1:8484/demo/gguf", "http://localhost:8484/demo/gguf", "127.0.0.1:8484/demo/gguf"]
        {
            assert_eq!(parse(address).0, "demo/gguf", "{address}");
        }
        assert_eq!(parse("hf.co/gpt2").0, "gpt2");
        // A name may have a dot.
        assert_eq!(parse("black.forest/flux.1").0, "black.forest/flux.1");
    }

    #[test]
    fn the_kind_has_two_names_and_other_options_are_no_files() {
        assert_eq!(parse("hf download --type dataset demo/squad-mini").0, "datasets/demo/squad-mini");
        assert_eq!(parse("hf download demo/squad-mini --repo-type=dataset --quiet").0, "datasets/demo/squad-mini");
        let error = Source::parse("hf download --colour red org/name", &OURS).unwrap_err();
        assert!(error.starts_with("unsupported option --colour"), "{error}");
    }

    #[test]
    fn other_hosts_and_what_is_no_repository_are_refused_by_name() {
        for (address, name) in [
            ("https://github.com/demo/gguf", "github.com is neither upstream nor this hub"),
            ("github.com/demo/gguf", "github.com is neither upstream nor this hub"),
            ("http://127.0.0.1:9999/demo/gguf", "127.0.0.1 is neither upstream nor this hub"),
            ("ftp://huggingface.co/demo/gguf", "ftp://huggingface.co is neither"),
            ("https://huggingface.co/collections/demo/some-123", "under /collections/ is not a repository"),
            ("https://huggingface.co/api/whoami-v2", "/api/whoami-v2 is not a repository"),
        ] {
            let error = Source::parse(address, &OURS).unwrap_err();
            assert!(error.contains(name), "{address}: {error}");
        }
    }
}
