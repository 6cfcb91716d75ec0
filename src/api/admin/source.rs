//! What people paste to name a repository: an id, a Hub address, or a download command.

use crate::domain::{RepoId, RepoKey, RepoKind, Revision, Selection};

/// A repository, and what of it was meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) key: RepoKey,
    pub(super) revision: Option<Revision>,
    pub(super) selection: Selection,
}

const RULE: &str = "use org/name, an address such as https://huggingface.co/org/name, or a command such as \
                    hf download org/name --include \"*.gguf\"";

impl Source {
    /// The error says what would be right.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.len() > 8192 {
            return Err(RULE.into());
        }
        let words = words(text)?;
        match words.as_slice() {
            [program, verb, rest @ ..] if is_client(program) && verb == "download" => Self::of_command(rest),
            [one] if one.contains("://") || one.starts_with("huggingface.co/") || one.starts_with("hf.co/") => {
                Self::of_address(one)
            }
            [one] => Ok(Self {
                key: RepoKey::parse(one).map_err(|e| format!("{e}; {RULE}"))?,
                revision: None,
                selection: Selection::default(),
            }),
            _ => Err(RULE.into()),
        }
    }

    fn of_address(address: &str) -> Result<Self, String> {
        let path = address.split_once("://").map_or(address, |(_, rest)| rest);
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let mut parts = path
            .split('/')
            .filter(|part| !part.is_empty())
            .skip(1)
            .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned());
        let first = parts.next().ok_or(RULE)?;
        let (kind, first) = match RepoKind::from_plural(&first) {
            Some(kind) => (kind, parts.next().ok_or(RULE)?),
            None => (RepoKind::Model, first),
        };
        let mut rest: Vec<String> = parts.collect();
        const PAGES: [&str; 6] = ["tree", "blob", "resolve", "raw", "discussions", "commits"];
        let id = if rest.first().is_some_and(|next| !PAGES.contains(&next.as_str())) {
            format!("{first}/{}", rest.remove(0))
        } else {
            first
        };
        let key = RepoKey::new(kind, RepoId::parse(&id).map_err(|e| format!("{e}; {RULE}"))?);
        let mut source = Self { key, revision: None, selection: Selection::default() };
        if let [page, revision, path @ ..] = rest.as_slice()
            && PAGES[..4].contains(&page.as_str())
        {
            source.revision = Some(Revision::parse(revision).map_err(|e| e.to_string())?);
            if !path.is_empty() {
                source.selection.paths.push(path.join("/"));
            }
        }
        Ok(source)
    }

    /// `hf download REPO [FILES…] [--include …] [--exclude …] [--revision …] [--repo-type …]`.
    fn of_command(words: &[String]) -> Result<Self, String> {
        let (mut kind, mut revision, mut selection) = (RepoKind::Model, None, Selection::default());
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
                "--repo-type" => {
                    let text = value().ok_or_else(needs)?;
                    kind = RepoKind::parse(&text).ok_or(format!("--repo-type {text}: use model, dataset or space"))?;
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
                // Where the client puts things is no matter here; a token has no place in a form.
                "--local-dir" | "--cache-dir" | "--token" | "--max-workers" | "--local-dir-use-symlinks" => {
                    value();
                }
                _ => {}
            }
        }
        let mut plain = plain.into_iter();
        let id = plain.next().ok_or("which repository? hf download org/name")?;
        selection.paths = plain.collect();
        Ok(Self { key: RepoKey::new(kind, RepoId::parse(&id).map_err(|e| e.to_string())?), revision, selection })
    }
}

fn is_client(program: &str) -> bool {
    matches!(program, "hf" | "huggingface-cli" | "hfd")
}

/// Splits as a shell does: quotes and backslashes, nothing more.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let (mut word, mut begun, mut quote) = (String::new(), false, None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (Some(open), _) if c == open => quote = None,
            (None, '\\') | (Some('"'), '\\') => match chars.next() {
                // A line that goes on in the next one.
                Some('\n') | None => {}
                Some(next) => {
                    word.push(next);
                    begun = true;
                }
            },
            (None, c) if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                    begun = false;
                }
            }
            _ => {
                word.push(c);
                begun = true;
            }
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".into());
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, Option<String>, Selection) {
        let source = Source::parse(text).unwrap();
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
            assert!(Source::parse(bad).is_err(), "{bad} was accepted");
        }
    }
}
