//! Which safetensors files of a repository hold the same weights as others of it, told by their names.
//!
//! What stays is what the libraries load by default: transformers `model*.safetensors`, diffusers the files without a
//! variant in the folders of a pipeline.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::{RepoPath, Shard};

/// What makes a repository a pipeline of diffusers.
pub const PIPELINE: &str = "model_index.json";

/// Why a file is a copy of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Copied {
    /// Mistral's own form, `consolidated.safetensors`, beside `model*.safetensors`.
    Consolidated,
    /// The publisher's own form, below `original/`.
    Original,
    /// `model.fp16.safetensors` beside `model.safetensors`.
    Variant,
    /// `model-00001-of-00002.safetensors` beside `model.safetensors`.
    Parts,
    /// A checkpoint beside the folders of the pipeline that it was split into.
    Checkpoint,
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consolidated => "the same weights as consolidated files",
            Self::Original => "the same weights in original/",
            Self::Variant => "other variants of the same weights",
            Self::Parts => "the same weights in parts",
            Self::Checkpoint => "the same weights as single checkpoints",
        })
    }
}

/// The name of a safetensors file: `diffusion_pytorch_model.fp16-00001-of-00002.safetensors`.
struct Name<'a> {
    folder: &'a str,
    /// Without the variant and the number of a shard.
    base: String,
    is_variant: bool,
    is_part: bool,
}

/// The files that hold the same weights as others, given all paths of a repository. What there is only once stays,
/// whatever it is called.
pub fn copies<'a>(paths: impl IntoIterator<Item = &'a RepoPath>) -> BTreeMap<&'a RepoPath, Copied> {
    let paths: Vec<&RepoPath> = paths.into_iter().collect();
    let is_pipeline = paths.iter().any(|path| path.as_str() == PIPELINE);
    let files: Vec<(&RepoPath, Name<'_>)> =
        paths.into_iter().filter_map(|path| Some((path, Name::of(path)?))).collect();
    let defaults: HashSet<(&str, &str)> =
        files.iter().filter(|(_, name)| !name.is_variant).map(|(_, name)| (name.folder, name.base.as_str())).collect();
    let whole: HashSet<(&str, &str)> = files
        .iter()
        .filter(|(_, name)| !name.is_variant && !name.is_part)
        .map(|(_, name)| (name.folder, name.base.as_str()))
        .collect();
    let is_original = |name: &Name<'_>| name.folder.split('/').next() == Some("original");
    let has_others = files.iter().any(|(_, name)| !is_original(name));
    let has_folders = files.iter().any(|(_, name)| !name.folder.is_empty() && !is_original(name));
    let why = |name: &Name<'_>| {
        if is_original(name) {
            return has_others.then_some(Copied::Original);
        }
        if name.is_variant && defaults.contains(&(name.folder, name.base.as_str())) {
            return Some(Copied::Variant);
        }
        if name.base.starts_with("consolidated") && defaults.contains(&(name.folder, "model")) {
            return Some(Copied::Consolidated);
        }
        // transformers looks for the whole file first (`_get_resolved_checkpoint_files`), diffusers does not.
        if name.is_part && !is_pipeline && whole.contains(&(name.folder, name.base.as_str())) {
            return Some(Copied::Parts);
        }
        // diffusers reads a pipeline from its folders only (`DiffusionPipeline.download`). An adapter is no copy of them.
        (is_pipeline && has_folders && name.folder.is_empty() && !is_adapter(&name.base)).then_some(Copied::Checkpoint)
    };
    files.iter().filter_map(|(path, name)| Some((*path, why(name)?))).collect()
}

/// PEFT and diffusers name them so; others have the word in the name.
pub(super) fn is_adapter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("adapter_model") || name.split(|c: char| !c.is_alphanumeric()).any(|word| word == "lora")
}

impl<'a> Name<'a> {
    /// `None` if it is no safetensors file.
    fn of(path: &'a RepoPath) -> Option<Self> {
        /// Those that publishers use with `save_pretrained(variant=…)`.
        const VARIANTS: [&str; 9] = ["fp16", "bf16", "fp32", "fp8", "f16", "f32", "ema", "non_ema", "no_ema"];
        let (folder, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        let lower = name.to_ascii_lowercase();
        let stem = lower.strip_suffix(".safetensors")?;
        let cut = |stem: &str| match stem.rsplit_once('.') {
            Some((rest, last)) if VARIANTS.contains(&last) => (rest.to_owned(), true),
            _ => (stem.to_owned(), false),
        };
        // The variant stands before the number of a shard, in older files after it.
        let (stem, after) = cut(stem);
        let shard = RepoPath::parse(&format!("{stem}.safetensors")).ok().and_then(|path| Shard::of(&path));
        let is_part = shard.is_some();
        let (base, before) = cut(&shard.map_or(stem, |shard| shard.set));
        Some(Self { folder, base, is_variant: after || before, is_part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The copies among paths, with the reason, in the order of paths.
    fn copies_of(paths: &str) -> Vec<(String, Copied)> {
        let paths: Vec<RepoPath> = paths.split_whitespace().map(|path| RepoPath::parse(path).unwrap()).collect();
        copies(&paths).into_iter().map(|(path, why)| (path.to_string(), why)).collect()
    }

    fn all(paths: &str, why: Copied) -> Vec<(String, Copied)> {
        paths.split_whitespace().map(|path| (path.to_owned(), why)).collect()
    }

    #[test]
    fn a_second_form_of_the_same_weights_is_a_copy() {
        // mistralai/Mistral-7B-Instruct-v0.3
        assert_eq!(
            copies_of("consolidated.safetensors model-00001-of-00002.safetensors model-00002-of-00002.safetensors"),
            all("consolidated.safetensors", Copied::Consolidated)
        );
        assert_eq!(
            copies_of(
                "consolidated-00001-of-00002.safetensors consolidated-00002-of-00002.safetensors model.safetensors"
            ),
            all(
                "consolidated-00001-of-00002.safetensors consolidated-00002-of-00002.safetensors",
                Copied::Consolidated
            )
        );
        // openai/gpt-oss-20b
        assert_eq!(
            copies_of("model-00000-of-00002.safetensors original/config.json original/model.safetensors"),
            all("original/model.safetensors", Copied::Original)
        );
    }

    #[test]
    fn variants_are_copies_of_the_file_without_one() {
        let folder = "unet/diffusion_pytorch_model";
        assert_eq!(
            copies_of(&format!("{folder}.safetensors {folder}.fp16.safetensors {folder}.non_ema.safetensors")),
            all(&format!("{folder}.fp16.safetensors {folder}.non_ema.safetensors"), Copied::Variant)
        );
        for shards in [
            "t/model.fp16-00001-of-00002.safetensors t/model.fp16-00002-of-00002.safetensors",
            "t/model-00001-of-00002.fp16.safetensors t/model-00002-of-00002.fp16.safetensors",
        ] {
            let found = copies_of(&format!("t/model-00001-of-00002.safetensors {shards}"));
            assert_eq!(found, all(shards, Copied::Variant));
        }
        // The model is in one folder, its variant in another: nobody loads one for the other.
        assert_eq!(copies_of("a/model.safetensors b/model.fp16.safetensors"), []);
    }

    #[test]
    fn parts_are_copies_of_the_whole_file() {
        // transformers looks for the whole file first.
        let parts = "model-00001-of-00002.safetensors model-00002-of-00002.safetensors";
        assert_eq!(copies_of(&format!("model.safetensors {parts}")), all(parts, Copied::Parts));
        assert_eq!(copies_of(&format!("other.safetensors a/model.safetensors {parts}")), []);
    }

    #[test]
    fn checkpoints_are_copies_of_a_pipelines_folders() {
        let pipeline =
            "model_index.json unet/diffusion_pytorch_model.safetensors vae/diffusion_pytorch_model.safetensors";
        let checkpoints = "v1-5-pruned-emaonly.safetensors v1-5-pruned.safetensors";
        assert_eq!(copies_of(&format!("{pipeline} {checkpoints}")), all(checkpoints, Copied::Checkpoint));
        assert_eq!(copies_of(checkpoints), []);
        assert_eq!(copies_of(&format!("model_index.json {checkpoints}")), [], "there are no folders");
        // stabilityai/stable-diffusion-xl-base-1.0: no copy of anything.
        assert_eq!(copies_of(&format!("{pipeline} sd_xl_offset_example-lora_1.0.safetensors")), []);
    }

    #[test]
    fn what_there_is_once_stays() {
        for paths in [
            "consolidated.safetensors params.json tekken.json",
            "original/model.safetensors original/config.json",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "model-00001-of-00002.safetensors model-00002-of-00002.safetensors",
            "model.safetensors adapter_model.safetensors model.visual.safetensors",
            "consolidated.safetensors adapter_model.safetensors",
            "model.safetensors pytorch_model.bin config.json",
        ] {
            assert_eq!(copies_of(paths), [], "{paths}");
        }
    }
}
