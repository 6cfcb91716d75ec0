//! Names of folders and files as names of repositories.

use crate::domain::{RepoId, RepoKey, RepoKind};

/// `models--org--name`, `datasets--name`, …; `None` for any other name.
pub(super) fn cache_key(name: &str) -> Option<Result<RepoKey, String>> {
    let (kind, id) = name.split_once("--")?;
    let kind = RepoKind::from_plural(kind)?;
    let id = RepoId::parse(&id.replacen("--", "/", 1));
    Some(id.map(|id| RepoKey::new(kind, id)).map_err(|error| error.to_string()))
}

/// A file's name without its extension, and without the number of a part: `model-00001-of-00003`.
pub(super) fn stem(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    let part = stem.rsplit_once("-of-").filter(|(_, total)| is_number(total));
    let whole = part.and_then(|(rest, _)| rest.rsplit_once('-')).filter(|(_, number)| is_number(number));
    whole.map_or(stem, |(whole, _)| whole).to_owned()
}

/// The nearest legal part of a repository's id; `None` if nothing is left.
pub(super) fn legal(text: &str) -> Option<String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut out: String = text.chars().map(|c| if is_legal(c) { c } else { '-' }).take(96).collect();
    for double in ["--", ".."] {
        while out.contains(double) {
            out = out.replace(double, &double[..1]);
        }
    }
    let out = out.trim_matches(['-', '.']);
    (!out.is_empty()).then(|| out.to_owned())
}

/// Whether a folder is named after the weights in it, as downloads of one repository are: `gemma-3-4b-GGUF` with
/// `gemma-3-4b-Q4_K_M.gguf`. Projectors may be called anything.
pub(super) fn is_named_after<'a>(folder: &str, mut weights: impl Iterator<Item = &'a str>) -> bool {
    let folder = folder.to_ascii_lowercase();
    let base = gguf_base(&folder).unwrap_or(&folder);
    let is_after = |name: &str| name.to_ascii_lowercase().starts_with(base);
    let mut is_any = false;
    base.len() > 2
        && weights.all(|name| {
            is_any |= is_after(name);
            is_after(name) || name.contains("mmproj")
        })
        && is_any
}

/// The name of a model, of that of a repository with its quantisations: `gemma-3-4b-GGUF`.
pub(super) fn gguf_base(folder: &str) -> Option<&str> {
    let base = folder.strip_suffix("gguf").or(folder.strip_suffix("GGUF"))?.trim_end_matches(['-', '_', '.']);
    (!base.is_empty()).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cache_folders_are_ids() {
        let id = |name: &str| cache_key(name).map(|key| key.map(|key| key.to_string()).map_err(drop));
        assert_eq!(id("models--openai-community--gpt2"), Some(Ok("openai-community/gpt2".into())));
        assert_eq!(id("models--gpt2"), Some(Ok("gpt2".into())));
        assert_eq!(id("datasets--a--b"), Some(Ok("datasets/a/b".into())));
        assert_eq!(id("models--a--b--c"), Some(Err(())));
        assert_eq!(id("models--..--b"), Some(Err(())));
        assert_eq!(id("blobs"), None);
        assert_eq!(id("kernels--a--b"), Some(Ok("kernels/a/b".into())));
    }

    #[test]
    fn any_name_becomes_a_legal_one_or_none() {
        for (name, wanted) in [
            ("My Model (v2)", "My-Model-v2"),
            ("a--b", "a-b"),
            (".hidden", "hidden"),
            ("x...y", "x.y"),
            ("模型-7b", "7b"),
        ] {
            assert_eq!(legal(name).as_deref(), Some(wanted));
            assert!(RepoId::parse(wanted).is_ok());
        }
        assert_eq!(legal("模型"), None);
        assert_eq!(stem("llama-00001-of-00003.gguf"), "llama");
        assert_eq!(stem("llama-3.gguf"), "llama-3");
    }

    #[test]
    fn a_folder_is_named_after_all_of_its_weights() {
        let is = |folder, weights: &[&str]| is_named_after(folder, weights.iter().copied());
        assert!(is("Mistral-7B-v0.2-GGUF", &["mistral-7b-v0.2.Q4_K_M.gguf", "mmproj-model-f16.gguf"]));
        assert!(is("flux", &["flux.safetensors"]));
        assert!(!is("llama", &["llama-3.gguf", "mistral.gguf"]));
        assert!(!is("down", &["x.gguf"]) && !is("x-GGUF", &["mmproj.gguf"]) && !is("GGUF", &[]));
    }
}
