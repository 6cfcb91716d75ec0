//! Which files of a repository are meant.
//!
//! Each part narrows: paths (files, or folders with all below) → include globs → exclude globs → a preset. Globs
//! match whole paths and `*` also matches `/`, as `fnmatch` does in Hugging Face's tools; a pattern that ends in `/`
//! means the folder (huggingface_hub, `filter_repo_objects`). A preset compares the weights that are left so far with
//! one another, so it has to be settled with the list of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::gguf_file::{self, GgufRole, Quantisation};
use super::glob::Glob;
use super::safetensors_set::{self, Copied};
use super::{Artifact, FileType, ParseError, RepoPath, WeightFormat};

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
    /// Of weights only safetensors, and of those that come twice only one set.
    Safetensors,
    /// Of weights one GGUF quantisation of the model, and its projector.
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
        let globs =
            |patterns: &[String]| patterns.iter().map(|pattern| Glob::parse(pattern)).collect::<Result<Vec<_>, _>>();
        Ok(Matcher {
            paths: self.paths.iter().map(|path| path.trim_end_matches('/').to_owned()).collect(),
            include: globs(&self.include)?,
            exclude: globs(&self.exclude)?,
            preset,
            quantisation: self.quantisation.clone(),
            left_out: preset.is_none().then(BTreeMap::new),
        })
    }
}

/// Why a preset takes a file of the selection not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeftOut {
    OtherFormat,
    OtherQuantisation,
    /// A GGUF file whose name tells no quantisation, beside some that do.
    NoQuantisation,
    OtherProjector,
    /// What is no model, by its role.
    Helper(GgufRole),
    Copy(Copied),
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherFormat => "weights in other formats",
            Self::OtherQuantisation => "other quantisations",
            Self::NoQuantisation => "GGUF files whose names tell no quantisation",
            Self::OtherProjector | Self::Helper(GgufRole::Projector) => "other precisions of the projector",
            Self::Helper(GgufRole::ImportanceMatrix) => "importance matrices",
            Self::Helper(GgufRole::Drafter) => "draft models",
            Self::Helper(GgufRole::Adapter) => "adapters",
            Self::Helper(GgufRole::Vocabulary) => "vocabularies",
            Self::Helper(GgufRole::Model) => "other models",
            Self::Copy(why) => return why.fmt(f),
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
    /// What the preset does not take, and its size; `None` until that is settled.
    left_out: Option<BTreeMap<RepoPath, (LeftOut, u64)>>,
}

/// What the weights of a selection are, before the preset.
#[derive(Debug, Clone, Default)]
pub struct Weights {
    /// The smallest first.
    pub quantisations: Vec<Quantisation>,
    /// Whether the preset finds weights that it takes; true without one.
    pub preset_finds_any: bool,
}

impl Matcher {
    /// Whether a file is meant. A preset must have been settled.
    pub fn matches(&self, artifact: &Artifact) -> bool {
        self.covers(&artifact.path) && self.why_left_out(&artifact.path).is_none()
    }

    /// Why the preset does not take a file.
    pub fn why_left_out(&self, path: &RepoPath) -> Option<LeftOut> {
        debug_assert!(self.left_out.is_some(), "the preset is not settled");
        self.left_out.as_ref().and_then(|left_out| left_out.get(path)).map(|(why, _)| *why)
    }

    /// What the preset does not take: files and bytes of each kind.
    pub fn left_out(&self) -> BTreeMap<LeftOut, (u64, u64)> {
        let mut sums: BTreeMap<LeftOut, (u64, u64)> = BTreeMap::new();
        for (why, size) in self.left_out.iter().flat_map(BTreeMap::values) {
            let sum = sums.entry(*why).or_default();
            (sum.0, sum.1) = (sum.0 + 1, sum.1 + size);
        }
        sums
    }

    /// Whether a preset has to be settled, with `settle`, before `matches` is right.
    pub fn must_settle(&self) -> bool {
        self.left_out.is_none()
    }

    /// Whether a file is meant, but for the preset.
    pub fn covers(&self, path: &RepoPath) -> bool {
        let path = path.as_str();
        let under = |folder: &String| path == folder || path.strip_prefix(folder).is_some_and(|p| p.starts_with('/'));
        (self.paths.is_empty() || self.paths.iter().any(under))
            && (self.include.is_empty() || self.include.iter().any(|glob| glob.matches(path)))
            && !self.exclude.iter().any(|glob| glob.matches(path))
    }

    /// Whether `settle` has to know of a file.
    pub fn is_compared(path: &RepoPath) -> bool {
        FileType::of(path) == FileType::Model
            || gguf_file::is_other_matrix(path)
            || path.as_str() == safetensors_set::PIPELINE
    }

    /// Decides what the preset takes of the files that are compared, given with their sizes. Errors if the quantisation
    /// that is wanted is not among them; the text names those that are.
    pub fn settle(&mut self, files: &BTreeMap<RepoPath, u64>) -> Result<Weights, ParseError> {
        let ggufs = gguf_file::classify(files.keys());
        let size_of = |path: &RepoPath| files.get(path).copied().unwrap_or(0);
        let quantisations = gguf_file::quantisations(&ggufs, size_of);
        let left_out = match self.preset {
            None => BTreeMap::new(),
            Some(Preset::Safetensors) => without_copies(files),
            Some(Preset::Gguf) => {
                let chosen = self.chosen(&quantisations)?.map(|one| one.name.clone());
                one_quantisation(files, &ggufs, chosen.as_deref())
            }
        };
        let taken = |path: &&RepoPath| FileType::of(path) == FileType::Model && !left_out.contains_key(path);
        let preset_finds_any = self.preset.is_none() || files.keys().any(|path| taken(&path));
        let sized = left_out.into_iter().map(|(path, why)| {
            let size = size_of(&path);
            (path, (why, size))
        });
        self.left_out = Some(sized.collect());
        Ok(Weights { quantisations, preset_finds_any })
    }

    /// The quantisation that is wanted, else the smallest of which no part is missing.
    fn chosen<'a>(&self, quantisations: &'a [Quantisation]) -> Result<Option<&'a Quantisation>, ParseError> {
        if self.quantisation.is_empty() {
            let whole = quantisations.iter().find(|one| one.complete);
            return Ok(whole.or_else(|| quantisations.first()));
        }
        let found = gguf_file::find(quantisations, &self.quantisation);
        found.map(Some).ok_or_else(|| {
            let names: Vec<&str> = quantisations.iter().map(|one| one.name.as_str()).collect();
            let known = if names.is_empty() {
                "no GGUF file of this repository names a quantisation".into()
            } else {
                format!("expected one of {}", names.join(", "))
            };
            ParseError::new("quantisation", &self.quantisation, known)
        })
    }
}

/// The preset for safetensors: what it leaves out.
fn without_copies(files: &BTreeMap<RepoPath, u64>) -> BTreeMap<RepoPath, LeftOut> {
    let copies = safetensors_set::copies(files.keys());
    let why = |path: &RepoPath| match (FileType::of(path), WeightFormat::of(path)) {
        (FileType::Model, Some(WeightFormat::Safetensors)) => copies.get(path).copied().map(LeftOut::Copy),
        (FileType::Model, _) => Some(LeftOut::OtherFormat),
        _ => None,
    };
    files.keys().filter_map(|path| Some((path.clone(), why(path)?))).collect()
}

/// The path that all parts of a file share.
fn set_of<'a>(path: &'a RepoPath, file: &'a gguf_file::GgufFile) -> &'a str {
    file.split.as_ref().map_or(path.as_str(), |split| split.set.as_str())
}

/// The preset for GGUF: what it leaves out. Where no name tells a quantisation, it takes the smallest model.
fn one_quantisation(
    files: &BTreeMap<RepoPath, u64>,
    ggufs: &BTreeMap<&RepoPath, gguf_file::GgufFile>,
    chosen: Option<&str>,
) -> BTreeMap<RepoPath, LeftOut> {
    let mut models: BTreeMap<&str, u64> = BTreeMap::new();
    for (path, file) in ggufs.iter().filter(|(_, file)| file.role == GgufRole::Model) {
        *models.entry(set_of(path, file)).or_default() += files.get(*path).copied().unwrap_or(0);
    }
    let smallest = models.iter().min_by_key(|(_, size)| **size).map(|(set, _)| *set);
    let is_taken = |path: &RepoPath, file: &gguf_file::GgufFile| match chosen {
        Some(chosen) => file.quantisation.as_deref() == Some(chosen),
        None => smallest == Some(set_of(path, file)),
    };
    let models = ggufs.iter().filter(|(path, file)| file.role == GgufRole::Model && is_taken(path, file));
    let projectors = gguf_file::projectors(ggufs, models.map(|(path, _)| *path));
    let why = |path: &RepoPath| match ggufs.get(path) {
        Some(file) if file.role == GgufRole::Model => match (is_taken(path, file), &file.quantisation) {
            (true, _) => None,
            (false, None) if chosen.is_some() => Some(LeftOut::NoQuantisation),
            (false, None) => Some(LeftOut::Helper(GgufRole::Model)),
            (false, Some(_)) => Some(LeftOut::OtherQuantisation),
        },
        Some(file) if file.role == GgufRole::Projector => {
            // Those of models that are not here are taken: there is nothing to choose by.
            (!projectors.is_empty() && !projectors.contains(path)).then_some(LeftOut::OtherProjector)
        }
        Some(file) => Some(LeftOut::Helper(file.role)),
        None if gguf_file::is_other_matrix(path) => Some(LeftOut::Helper(GgufRole::ImportanceMatrix)),
        None => (FileType::of(path) == FileType::Model).then_some(LeftOut::OtherFormat),
    };
    files.keys().filter_map(|path| Some((path.clone(), why(path)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a preset takes of a repository, and why it leaves out the rest. All files have the size of their path's length.
    fn settled(selection: Selection, paths: &str) -> Result<(String, BTreeMap<String, String>), ParseError> {
        let mut matcher = selection.matcher()?;
        let all: Vec<RepoPath> = paths.split_whitespace().map(|path| RepoPath::parse(path).unwrap()).collect();
        let compared = all.iter().filter(|path| matcher.covers(path) && Matcher::is_compared(path));
        let compared = compared.map(|path| (path.clone(), path.as_str().len() as u64)).collect();
        matcher.settle(&compared)?;
        let (mut taken, mut left_out) = (Vec::new(), BTreeMap::new());
        for path in all.iter().filter(|path| matcher.covers(path)) {
            match matcher.why_left_out(path) {
                None => taken.push(path.as_str()),
                Some(why) => drop(left_out.insert(path.to_string(), why.to_string())),
            }
        }
        Ok((taken.join(" "), left_out))
    }

    fn preset(preset: Preset) -> Selection {
        Selection { preset: Some(preset), ..Selection::default() }
    }

    #[test]
    fn one_quantisation_comes_with_its_projector_and_no_other_helper() {
        let listed = "README.md m-Q8_0.gguf m-UD-IQ1_S.gguf mmproj-F16.gguf mmproj-F32.gguf imatrix.dat imatrix_m.gguf \
            mtp-m.gguf bad.gguf pytorch_model.bin m-Q8_0.safetensors";
        let (taken, left_out) = settled(preset(Preset::Gguf), listed).unwrap();
        // The smallest here is the one with the shortest name.
        assert_eq!(taken, "README.md m-Q8_0.gguf mmproj-F16.gguf");
        let why: Vec<(&str, &str)> = left_out.iter().map(|(path, why)| (path.as_str(), why.as_str())).collect();
        assert_eq!(
            why,
            [
                ("bad.gguf", "GGUF files whose names tell no quantisation"),
                ("imatrix.dat", "importance matrices"),
                ("imatrix_m.gguf", "importance matrices"),
                ("m-Q8_0.safetensors", "weights in other formats"),
                ("m-UD-IQ1_S.gguf", "other quantisations"),
                ("mmproj-F32.gguf", "other precisions of the projector"),
                ("mtp-m.gguf", "draft models"),
                ("pytorch_model.bin", "weights in other formats"),
            ]
        );
        let wanted = Selection { quantisation: "iq1_s".into(), ..Selection::default() };
        assert_eq!(settled(wanted, listed).unwrap().0, "README.md m-UD-IQ1_S.gguf mmproj-F16.gguf");
        let unknown = Selection { quantisation: "BAD".into(), ..Selection::default() };
        let refused = settled(unknown, listed).unwrap_err().to_string();
        assert!(refused.ends_with("expected one of Q8_0, UD-IQ1_S"), "{refused}");
    }

    #[test]
    fn without_quantisations_the_preset_takes_the_smallest_model_whole() {
        let whole = "a/long-name-of-one-file.gguf b-00001-of-00002.gguf b-00002-of-00002.gguf imatrix.gguf";
        assert_eq!(settled(preset(Preset::Gguf), whole).unwrap().0, "a/long-name-of-one-file.gguf");
        let split =
            "one-file-whose-name-is-longer-than-both-parts-together.gguf b-00001-of-00002.gguf b-00002-of-00002.gguf";
        assert_eq!(settled(preset(Preset::Gguf), split).unwrap().0, "b-00001-of-00002.gguf b-00002-of-00002.gguf");
        // What lacks a part is taken only if there is nothing else.
        let lacking = "m-Q2_K-00001-of-00002.gguf model-with-a-long-name-Q4_K_M.gguf";
        assert_eq!(settled(preset(Preset::Gguf), lacking).unwrap().0, "model-with-a-long-name-Q4_K_M.gguf");
        assert_eq!(
            settled(preset(Preset::Gguf), "m-Q2_K-00001-of-00002.gguf").unwrap().0,
            "m-Q2_K-00001-of-00002.gguf"
        );
        // Projectors alone are all there is; a matrix is nothing.
        assert_eq!(settled(preset(Preset::Gguf), "mmproj-F16.gguf imatrix.gguf").unwrap().0, "mmproj-F16.gguf");
    }

    #[test]
    fn safetensors_come_once_and_what_narrows_comes_first() {
        let listed = "config.json model-00001-of-00001.safetensors consolidated.safetensors original/model.safetensors \
            unet/d.safetensors unet/d.fp16.safetensors pytorch_model.bin openvino_model.bin rust_model.ot m-Q4_0.gguf imatrix.dat";
        let (taken, left_out) = settled(preset(Preset::Safetensors), listed).unwrap();
        assert_eq!(taken, "config.json model-00001-of-00001.safetensors unet/d.safetensors imatrix.dat");
        assert_eq!(left_out["consolidated.safetensors"], "the same weights as consolidated files");
        assert_eq!(left_out["original/model.safetensors"], "the same weights in original/");
        assert_eq!(left_out["unet/d.fp16.safetensors"], "other variants of the same weights");
        for other in ["pytorch_model.bin", "rust_model.ot"] {
            assert_eq!(left_out[other], "weights in other formats");
        }
        let half = Selection { include: vec!["*.fp16.*".into()], ..preset(Preset::Safetensors) };
        assert_eq!(settled(half, listed).unwrap().0, "unet/d.fp16.safetensors", "what is asked for is no copy");
    }
}
