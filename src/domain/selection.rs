//! Which files of a repository are meant.
//!
//! Each part narrows: paths (files, or folders with all below) → include globs → exclude globs → a preset. Globs
//! match whole paths and `*` also matches `/`, as `fnmatch` does in Hugging Face's tools; a pattern that ends in `/`
//! means the folder (huggingface_hub, `filter_repo_objects`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Artifact, FileType, ParseError, WeightFormat};

/// The most paths and patterns of a selection.
const MAX_PARTS: usize = 10_000;

/// See the module's text. Empty means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// The GGUF quantisation wanted, e.g. `Q4_K_M`, which means `Preset::Gguf`; with that the smallest if empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub quantisation: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Of weights only safetensors.
    Safetensors,
    /// Of weights one GGUF quantisation.
    Gguf,
}

impl Selection {
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Compiles the patterns; the error names the field and what is wrong with it.
    pub fn matcher(&self) -> Result<Matcher, ParseError> {
        let parts = self.paths.len() + self.include.len() + self.exclude.len();
        if parts > MAX_PARTS {
            return Err(ParseError::new(
                "selection",
                &parts.to_string(),
                "at most 10000 paths and patterns are allowed",
            ));
        }
        for path in &self.paths {
            super::RepoPath::parse(path.trim_end_matches('/'))?;
        }
        let preset = match (self.preset, self.quantisation.as_str()) {
            (preset, "") => preset,
            (None | Some(Preset::Gguf), _) => Some(Preset::Gguf),
            (Some(Preset::Safetensors), name) => {
                return Err(ParseError::new("quantisation", name, "it requires the preset gguf, not safetensors"));
            }
        };
        let globs = |patterns: &[String]| patterns.iter().map(|pattern| glob(pattern)).collect::<Result<Vec<_>, _>>();
        Ok(Matcher {
            paths: self.paths.iter().map(|path| path.trim_end_matches('/').to_owned()).collect(),
            include: globs(&self.include)?,
            exclude: globs(&self.exclude)?,
            preset,
            quantisation: self.quantisation.to_ascii_uppercase(),
            chosen: None,
        })
    }
}

/// A selection that is ready to be asked about files.
pub struct Matcher {
    paths: Vec<String>,
    include: Vec<Glob>,
    exclude: Vec<Glob>,
    preset: Option<Preset>,
    quantisation: String,
    chosen: Option<String>,
}

impl Matcher {
    /// Whether a file is meant.
    pub fn matches(&self, artifact: &Artifact) -> bool {
        let path = artifact.path.as_str();
        let under = |folder: &String| path == folder || path.strip_prefix(folder).is_some_and(|p| p.starts_with('/'));
        (self.paths.is_empty() || self.paths.iter().any(under))
            && (self.include.is_empty() || self.include.iter().any(|glob| glob.matches(path)))
            && !self.exclude.iter().any(|glob| glob.matches(path))
            && self.preset_admits(artifact)
    }

    fn preset_admits(&self, artifact: &Artifact) -> bool {
        let weights = FileType::of(&artifact.path) == FileType::Model;
        let format = WeightFormat::of(&artifact.path);
        match self.preset {
            None => true,
            Some(Preset::Safetensors) => !weights || format == Some(WeightFormat::Safetensors),
            Some(Preset::Gguf) if !weights => true,
            Some(Preset::Gguf) if format != Some(WeightFormat::Gguf) => false,
            Some(Preset::Gguf) => match (&self.chosen, quantisation(artifact.path.as_str())) {
                (Some(chosen), Some(name)) => *chosen == name,
                _ => true,
            },
        }
    }

    /// Whether one of several GGUF quantisations has to be taken, with `choose`, before `matches` is right.
    pub fn must_choose(&self) -> bool {
        self.preset == Some(Preset::Gguf) && self.chosen.is_none()
    }

    /// Takes one of the quantisations that there are, given with their sizes: the one that is wanted, else the
    /// smallest. Errors if the wanted one is not among them; the text names those that are.
    pub fn choose(&mut self, sizes: &BTreeMap<String, u64>) -> Result<(), ParseError> {
        let name = if self.quantisation.is_empty() {
            sizes.iter().min_by_key(|(_, size)| **size).map(|(name, _)| name.clone()).unwrap_or_default()
        } else if sizes.contains_key(&self.quantisation) {
            self.quantisation.clone()
        } else {
            let names: Vec<&str> = sizes.keys().map(String::as_str).collect();
            let known = if names.is_empty() {
                "this repository has no GGUF files".into()
            } else {
                format!("expected one of {}", names.join(", "))
            };
            return Err(ParseError::new("quantisation", &self.quantisation, known));
        };
        self.chosen = Some(name);
        Ok(())
    }
}

/// The quantisation that a GGUF file's name tells, in capitals, e.g. `Q4_K_M` or `UD-IQ2_XXS`; the whole name without
/// a part number if it tells none. `None` if it is no GGUF file, or a projector that goes with all of them.
pub fn quantisation(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_uppercase();
    let stem = name.strip_suffix(".GGUF")?;
    // Vision projectors go with every quantisation.
    if stem.starts_with("MMPROJ") {
        return None;
    }
    // `-00001-of-00003` of a file in parts.
    let stem = match stem.rsplit_once("-OF-") {
        Some((head, count)) if count.bytes().all(|b| b.is_ascii_digit()) => {
            head.rsplit_once('-').map_or(head, |(head, _)| head)
        }
        _ => stem,
    };
    let is_type = |word: &str| {
        let digits = word.strip_prefix("IQ").or(word.strip_prefix("TQ")).or(word.strip_prefix('Q'));
        digits.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            || matches!(word, "F16" | "F32" | "BF16" | "FP16" | "FP32")
            || word.starts_with("MXFP4")
    };
    let words: Vec<&str> = stem.split(['-', '.']).collect();
    let at = words.iter().rposition(|word| is_type(word));
    Some(match at {
        Some(at) if at > 0 && words[at - 1] == "UD" => format!("UD-{}", words[at]),
        Some(at) => words[at].to_owned(),
        None => stem.to_owned(),
    })
}

/// A pattern of `fnmatch`: `*` any characters, `?` one, `[abc]`, `[a-z]`, `[!abc]`. Case matters.
struct Glob(Vec<Piece>);

enum Piece {
    Any,
    One,
    Char(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

fn glob(pattern: &str) -> Result<Glob, ParseError> {
    if pattern.is_empty() || pattern.len() > 4096 || pattern.contains('\0') {
        return Err(ParseError::new("pattern", pattern, "expected a glob of 1 to 4096 bytes, such as *.safetensors"));
    }
    let mut pieces = Vec::new();
    let chars: Vec<char> = pattern.chars().chain(pattern.ends_with('/').then_some('*')).collect();
    let mut at = 0;
    while at < chars.len() {
        let piece = match chars[at] {
            '*' if matches!(pieces.last(), Some(Piece::Any)) => {
                at += 1;
                continue;
            }
            '*' => Piece::Any,
            '?' => Piece::One,
            '[' => match class(&chars[at..]) {
                Some((piece, length)) => {
                    at += length - 1;
                    piece
                }
                // Without its end a bracket stands for itself.
                None => Piece::Char('['),
            },
            c => Piece::Char(c),
        };
        pieces.push(piece);
        at += 1;
    }
    Ok(Glob(pieces))
}

/// The class at the beginning of `chars`, and how many characters it takes.
fn class(chars: &[char]) -> Option<(Piece, usize)> {
    let negated = chars.get(1) == Some(&'!');
    let start = if negated { 2 } else { 1 };
    // A `]` that comes first is a member.
    let end = (start + 1..chars.len()).find(|at| chars[*at] == ']')?;
    let members = &chars[start..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            ranges.push((members[at], members[at + 2]));
            at += 3;
        } else {
            ranges.push((members[at], members[at]));
            at += 1;
        }
    }
    Some((Piece::Class { negated, ranges }, end + 1))
}

impl Glob {
    /// In time proportional to pattern × text: only the last `*` is ever gone back to.
    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            let fits = match self.0.get(p) {
                Some(Piece::Any) => {
                    star = Some((p, t));
                    p += 1;
                    continue;
                }
                Some(Piece::One) => true,
                Some(Piece::Char(c)) => *c == text[t],
                Some(Piece::Class { negated, ranges }) => {
                    ranges.iter().any(|(from, to)| (*from..=*to).contains(&text[t])) != *negated
                }
                None => false,
            };
            if fits {
                (p, t) = (p + 1, t + 1);
            } else if let Some((star_p, star_t)) = star {
                star = Some((star_p, star_t + 1));
                (p, t) = (star_p + 1, star_t + 1);
            } else {
                return false;
            }
        }
        self.0[p..].iter().all(|piece| matches!(piece, Piece::Any))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        glob(pattern).unwrap().matches(text)
    }

    #[test]
    fn globs_are_those_of_fnmatch() {
        assert!(matches("*.safetensors", "unet/model.safetensors"), "a star goes over slashes");
        assert!(matches("unet/*", "unet/a/b"));
        assert!(matches("unet/", "unet/a/b"), "a folder means what is below");
        assert!(!matches("unet/", "unets/a"));
        assert!(matches("model-0000[1-3]-of-?.bin", "model-00002-of-3.bin"));
        assert!(!matches("[!a]b", "ab"));
        assert!(matches("[!a]b", "cb"));
        assert!(matches("a[]]b", "a]b"));
        assert!(matches("a[b", "a[b"));
        assert!(!matches("*.BIN", "a.bin"), "case matters");
        assert!(!matches("a", "ab"));
    }

    #[test]
    fn a_glob_full_of_stars_is_not_slow() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(150)));
    }

    #[test]
    fn quantisations_are_read_from_names() {
        let of = |name: &str| quantisation(name);
        assert_eq!(of("model-Q4_K_M.gguf").as_deref(), Some("Q4_K_M"));
        assert_eq!(of("q/model.Q8_0-00001-of-00003.gguf").as_deref(), Some("Q8_0"));
        assert_eq!(of("m-UD-IQ2_XXS.gguf").as_deref(), Some("UD-IQ2_XXS"));
        assert_eq!(of("m-bf16.gguf").as_deref(), Some("BF16"));
        assert_eq!(of("plain.gguf").as_deref(), Some("PLAIN"));
        assert_eq!(of("model.safetensors"), None);
    }
}
