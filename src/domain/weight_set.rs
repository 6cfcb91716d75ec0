//! Which weight files of one folder hold the model, each thing counted once.
//!
//! Authors put the same weights there several times: in parts and whole, in other precisions (`.fp16`), in other
//! formats, and beside them what the training left (`optimizer.pt`) and adapters. Steps: pass over copies
//! (`safetensors_set`) and helpers (`gguf_file`) → files into
//! sets: the parts of one file in one precision of one format → of sets with the same name one: safetensors before
//! pickles, and as it is called without a precision, else the largest → what a loader takes by its name (`model`)
//! alone, else all of them, as they may be parts of one model (`Wan2.1_VAE.pth`). GGUF files are each a whole model:
//! the smallest, which is what a download takes if nobody says otherwise.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::gguf_file::{self, GgufRole, Split};
use super::gguf_name::parts_of_set;
use super::safetensors_set::{self, is_adapter};
use super::{Artifact, RepoPath, Shard, WeightFormat};

/// Files that together hold the weights of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightSet {
    /// The files' name without folder, number and ending.
    pub name: String,
    pub format: WeightFormat,
    /// In the order of their names.
    pub files: Vec<Artifact>,
    /// Parts that the names speak of and that are not there.
    pub missing: u64,
    /// The files are pieces of one (`.gguf.part1of2`): only the first has a head.
    pub is_cut: bool,
    pub is_adapter: bool,
}

impl WeightSet {
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).fold(0, u64::saturating_add)
    }
}

/// The sets of a folder's files that are its model, and its adapters. With `meant`, one of these files: its set alone.
pub fn choose(files: Vec<Artifact>, meant: Option<&RepoPath>) -> Vec<WeightSet> {
    if let Some(meant) = meant {
        let mut sets = sets_of(files, true);
        sets.retain(|set| set.set.files.iter().any(|file| file.path == *meant));
        return sets.into_iter().map(|named| named.set).take(1).collect();
    }
    let copies: HashSet<RepoPath> =
        safetensors_set::copies(files.iter().map(|file| &file.path)).into_keys().cloned().collect();
    let sets = sets_of(files.into_iter().filter(|file| !copies.contains(&file.path)).collect(), false);
    let (adapters, models): (Vec<_>, Vec<_>) = sets.into_iter().partition(|named| named.set.is_adapter);
    let (ggufs, others): (Vec<_>, Vec<_>) =
        models.into_iter().partition(|named| named.set.format == WeightFormat::Gguf);
    let of_torch = |named: &Named| matches!(named.set.format, WeightFormat::Safetensors | WeightFormat::Pickle);
    // A small file beside a GGUF model is a part of it (a projector, a VAE), unless loaders take it by its name.
    let least = ggufs.iter().map(|named| named.set.bytes()).min().unwrap_or(0);
    let is_model = |named: &Named| {
        let is_called_so = matches!(named.title.as_str(), "model" | "diffusion_pytorch_model" | "consolidated");
        named.set.format == WeightFormat::Safetensors && (is_called_so || named.set.bytes() >= least)
    };
    let mut chosen = if !ggufs.is_empty() && !others.iter().any(is_model) {
        let whole = ggufs.iter().any(|named| named.set.missing == 0);
        let smallest = ggufs.into_iter().filter(|named| named.set.missing == 0 || !whole);
        smallest.min_by_key(|named| named.set.bytes()).into_iter().collect()
    } else if others.iter().any(of_torch) {
        as_loaded(one_of_each(others.into_iter().filter(of_torch).collect()))
    } else {
        let format = others.iter().map(|named| named.set.format).min();
        let rest = one_of_each(others.into_iter().filter(|named| Some(named.set.format) == format).collect());
        // whisper.cpp's are whole models, and nothing says which is meant.
        if format == Some(WeightFormat::Ggml) && rest.len() > 1 { Vec::new() } else { without_twins(rest) }
    };
    chosen.extend(one_of_each(adapters));
    chosen.into_iter().map(|named| named.set).collect()
}

/// Bytes of the projectors, among a repository's files with their sizes, that a download takes with this set; `None`
/// without any.
pub fn projector_bytes(sizes: &BTreeMap<RepoPath, u64>, set: &WeightSet) -> Option<u64> {
    let roles = gguf_file::classify(sizes.keys());
    let taken = gguf_file::projectors(&roles, set.files.iter().map(|file| &file.path));
    (!taken.is_empty())
        .then(|| taken.into_iter().filter_map(|path| sizes.get(path)).copied().fold(0, u64::saturating_add))
}

/// A set, and what its name says.
struct Named {
    /// Without a precision; the same for the same weights in another format.
    title: String,
    is_plain: bool,
    /// The numbers of its parts.
    parts: BTreeSet<u32>,
    set: WeightSet,
}

fn sets_of(files: Vec<Artifact>, with_helpers: bool) -> Vec<Named> {
    let roles: BTreeMap<RepoPath, gguf_file::GgufFile> = {
        let found = gguf_file::classify(files.iter().map(|file| &file.path));
        found.into_iter().map(|(path, file)| (path.clone(), file)).collect()
    };
    let mut sets: BTreeMap<(String, WeightFormat, u32), Named> = BTreeMap::new();
    for file in files {
        let gguf = roles.get(&file.path);
        let role = gguf.map_or(GgufRole::Model, |gguf| gguf.role);
        let is_helper = !matches!(role, GgufRole::Model | GgufRole::Adapter);
        let Some(format) =
            WeightFormat::of(&file.path).filter(|_| with_helpers || !(is_helper || is_left_by_training(&file.path)))
        else {
            continue;
        };
        let split = gguf.and_then(|gguf| gguf.split.clone());
        let is_cut = split.is_some() && Shard::of(&file.path).is_none();
        let (name, part, count) = match split {
            Some(Split { set, part, count }) => {
                (set.rsplit('/').next().unwrap_or_default().to_owned(), part, count.unwrap_or(0))
            }
            None => name_and_number(&file.path),
        };
        let title = title(&name);
        let is_adapter = role == GgufRole::Adapter || format != WeightFormat::Gguf && is_adapter(&name);
        let named = sets.entry((name.clone(), format, count)).or_insert_with(|| Named {
            is_plain: title == name.to_lowercase(),
            title: if title == "pytorch_model" { "model".to_owned() } else { title },
            parts: BTreeSet::new(),
            set: WeightSet { name, format, files: Vec::new(), missing: 0, is_cut, is_adapter },
        });
        // Of what is lost only the name is known.
        named.set.missing += u64::from(file.is_lost());
        named.parts.insert(part);
        named.set.files.push(file);
    }
    for ((.., count), named) in sets.iter_mut().filter(|((.., count), _)| *count > 0) {
        named.set.missing += parts_of_set(&named.parts, *count).saturating_sub(named.parts.len() as u64);
    }
    // `part10of12` comes after `part2of12`.
    for named in sets.values_mut().filter(|named| named.set.is_cut) {
        named.set.files.sort_by_key(|file| file.path.as_str().len());
    }
    sets.into_values().collect()
}

/// The name without ending and number; the number, and of how many files it is one: 0 without a number.
fn name_and_number(path: &RepoPath) -> (String, u32, u32) {
    let name = path.file_name();
    let lower = name.to_ascii_lowercase();
    let ending = [".onnx_data", ".onnx.data"].into_iter().find(|ending| lower.ends_with(ending));
    let stem = match ending {
        Some(ending) => &name[..name.len() - ending.len()],
        None => name.rsplit_once('.').map_or(name, |(stem, _)| stem),
    };
    // diffusers of before 0.31 writes the precision after the number: `x-00001-of-00002.fp16.safetensors`.
    let (numbered, precision) = match stem.rsplit_once('.') {
        Some((head, last)) if PRECISIONS.contains(&last.to_ascii_lowercase().as_str()) => (head, &stem[head.len()..]),
        _ => (stem, ""),
    };
    let shard = RepoPath::parse(&format!("{numbered}.x")).ok().and_then(|path| Shard::of(&path));
    match shard {
        Some(shard) => (format!("{}{precision}", shard.set), shard.index, shard.count),
        None => (stem.to_owned(), 0, 0),
    }
}

/// What files of another precision, or of a part of the training, have in their names.
const PRECISIONS: [&str; 27] = [
    "fp16",
    "f16",
    "fp32",
    "f32",
    "bf16",
    "fp8",
    "e4m3fn",
    "e5m2",
    "scaled",
    "int8",
    "uint8",
    "int4",
    "nf4",
    "fp4",
    "q4",
    "q4f16",
    "q8",
    "bnb4",
    "quantized",
    "ema",
    "non_ema",
    "no_ema",
    "non",
    "ema_only",
    "emaonly",
    "8bit",
    "4bit",
];

/// A name in lower case without the precisions at its end.
fn title(name: &str) -> String {
    let lower = name.to_lowercase();
    let mut title = lower.as_str();
    while let Some((head, last)) = title.rsplit_once(['.', '-', '_'])
        && PRECISIONS.contains(&last)
        && !head.is_empty()
    {
        title = head;
    }
    // Meta's own: `consolidated.00`.
    if title.starts_with("consolidated") { "consolidated".to_owned() } else { title.to_owned() }
}

fn is_left_by_training(path: &RepoPath) -> bool {
    const NAMES: [&str; 6] = ["training_args", "optimizer", "scheduler", "rng_state", "random_states", "scaler"];
    const ENDINGS: [&str; 5] = [".pkl", ".pickle", ".joblib", ".dill", ".npz"];
    let name = path.file_name().to_ascii_lowercase();
    NAMES.iter().any(|word| name.starts_with(word)) || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Of sets with the same title one. `consolidated` in several files without a number of them is one set.
fn one_of_each(sets: Vec<Named>) -> Vec<Named> {
    let mut best: BTreeMap<String, Named> = BTreeMap::new();
    for named in sets {
        let rank = |named: &Named| {
            let format = std::cmp::Reverse(named.set.format != WeightFormat::Safetensors);
            (named.set.missing == 0, format, named.is_plain, named.set.bytes())
        };
        match best.get_mut(&named.title) {
            // `consolidated.00.pth`, `consolidated.01.pth` …
            Some(known) if named.title == "consolidated" && known.set.format == named.set.format => {
                known.set.files.extend(named.set.files);
            }
            Some(known) if rank(known) >= rank(&named) => {}
            Some(known) => *known = named,
            None => drop(best.insert(named.title.clone(), named)),
        }
    }
    best.into_values().collect()
}

/// What transformers loads, where that is there; else all but Meta's and Mistral's own copy.
fn as_loaded(mut sets: Vec<Named>) -> Vec<Named> {
    if sets.iter().any(|named| named.title == "model") {
        sets.retain(|named| named.title == "model");
    } else if sets.len() > 1 {
        sets.retain(|named| named.title != "consolidated");
    }
    sets
}

/// Optimum exports a decoder with and without a cache, and merged: the merged one holds both.
fn without_twins(mut sets: Vec<Named>) -> Vec<Named> {
    if sets.iter().any(|named| named.title == "decoder_model_merged") {
        sets.retain(|named| !matches!(named.title.as_str(), "decoder_model" | "decoder_with_past_model"));
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::super::{ContentId, GitOid};
    use super::*;

    fn chosen(files: &[(&str, u64)]) -> Vec<(String, usize, u64)> {
        let content = ContentId::Git(GitOid::parse(&"0".repeat(40)).unwrap());
        let file = |(path, size): &(&str, u64)| Artifact {
            path: RepoPath::parse(path).unwrap(),
            size: *size,
            content,
            oid: None,
            xet_hash: None,
        };
        let sets = choose(files.iter().map(file).collect(), None);
        sets.into_iter().map(|set| (set.name.clone(), set.files.len(), set.bytes())).collect()
    }

    /// Name, files and bytes of each set that is chosen.
    fn check(files: &[(&str, u64)], expected: &[(&str, usize, u64)]) {
        let expected: Vec<_> =
            expected.iter().map(|(name, files, bytes)| ((*name).to_owned(), *files, *bytes)).collect();
        assert_eq!(chosen(files), expected, "{files:?}");
    }

    #[test]
    fn parts_of_a_file_are_one_set() {
        let parts = [("m-Q4_K_M-00001-of-00002.gguf", 50), ("m-Q4_K_M-00002-of-00002.gguf", 20), ("m-Q8_0.gguf", 99)];
        check(&parts, &[("m-Q4_K_M", 2, 70)]);
        let pieces = [("m.Q6_K.gguf.part1of2", 50), ("m.Q6_K.gguf.part2of2", 30)];
        check(&pieces, &[("m.Q6_K", 2, 80)]);
        check(&[("model-00001-of-00002.safetensors", 5), ("model-00002-of-00002.safetensors", 4)], &[("model", 2, 9)]);
        // One that lacks a part is not taken while another is whole.
        check(&[("m-Q2_K-00001-of-00002.gguf", 1), ("m-Q8_0.gguf", 99)], &[("m-Q8_0", 1, 99)]);
    }

    #[test]
    fn what_is_lost_is_missing() {
        let content = ContentId::Git(GitOid::parse(&"1".repeat(40)).unwrap());
        let file = |path: &str, size| {
            let path = RepoPath::parse(path).unwrap();
            Artifact { path, size, content, oid: None, xet_hash: None }
        };
        let missing = |files: Vec<Artifact>| choose(files, None)[0].missing;
        assert_eq!(missing(vec![file("model.safetensors", 0)]), 1);
        let parts = |second| {
            vec![file("model-00001-of-00002.safetensors", 5), file("model-00002-of-00002.safetensors", second)]
        };
        assert_eq!((missing(parts(0)), missing(parts(4))), (1, 0));
        // Counted from 0, as openai/gpt-oss is: three parts whose names say two.
        let from_0 = |sizes: &[(u64, u64)]| {
            let part = |(number, size): &(u64, u64)| file(&format!("model-0000{number}-of-00002.safetensors"), *size);
            missing(sizes.iter().map(part).collect())
        };
        assert_eq!(from_0(&[(0, 5), (1, 5), (2, 5)]), 0);
        assert_eq!((from_0(&[(0, 5), (2, 5)]), from_0(&[(0, 5), (1, 0), (2, 5)])), (1, 1));
        assert_eq!((from_0(&[(0, 5), (1, 5)]), from_0(&[(1, 5), (2, 5)])), (0, 0));
    }

    #[test]
    fn small_safetensors_beside_a_gguf_model_are_parts_of_it() {
        check(&[("m-Q4_0.gguf", 50), ("projector.safetensors", 2)], &[("m-Q4_0", 1, 50)]);
        check(&[("m-Q4_0.gguf", 50), ("model.safetensors", 2)], &[("model", 1, 2)]);
        check(&[("m-Q4_0.gguf", 50), ("m.safetensors", 200)], &[("m", 1, 200)]);
    }

    #[test]
    fn the_same_weights_count_once() {
        let twice = [("x.fp16.safetensors", 2), ("x.safetensors", 4), ("x.bin", 4), ("x.fp16.bin", 2)];
        check(&twice, &[("x", 1, 4)]);
        let old =
            [("x-00001-of-00002.fp16.safetensors", 1), ("x-00002-of-00002.fp16.safetensors", 1), ("x.safetensors", 4)];
        check(&old, &[("x", 1, 4)]);
        // Without the plain one: the largest, which is never too small.
        check(&[("x.fp16.safetensors", 2), ("x.fp32.safetensors", 4)], &[("x.fp32", 1, 4)]);
        let whole = [("model.safetensors", 4), ("pytorch_model.bin", 4), ("consolidated.safetensors", 4)];
        check(&[&whole[..], &[("tf_model.h5", 4), ("model.fp16.safetensors", 2)]].concat(), &[("model", 1, 4)]);
        check(&[("consolidated.00.pth", 4), ("consolidated.01.pth", 4)], &[("consolidated.00", 2, 8)]);
        check(&[("model.onnx", 1), ("model.onnx_data", 9), ("model_quantized.onnx", 3)], &[("model", 2, 10)]);
    }

    #[test]
    fn helpers_are_not_counted_and_adapters_stand_beside() {
        let gguf = [("m-Q4_K_M.gguf", 50), ("mmproj-F16.gguf", 1), ("imatrix.gguf", 1)];
        check(&gguf, &[("m-Q4_K_M", 1, 50)]);
        check(&[("pytorch_model.bin", 4), ("optimizer.pt", 8), ("training_args.bin", 1)], &[("pytorch_model", 1, 4)]);
        let both = [("adapter_model.safetensors", 1), ("model.safetensors", 9)];
        check(&both, &[("model", 1, 9), ("adapter_model", 1, 1)]);
    }

    #[test]
    fn files_of_other_names_are_parts_of_one_model() {
        // Wan-AI/Wan2.1-T2V-1.3B.
        let wan = [
            ("Wan2.1_VAE.pth", 508),
            ("diffusion_pytorch_model.safetensors", 5676),
            ("models_t5_umt5-xxl-enc-bf16.pth", 11_362),
        ];
        check(
            &wan,
            &[("diffusion_pytorch_model", 1, 5676), ("models_t5_umt5-xxl-enc-bf16", 1, 11_362), ("Wan2.1_VAE", 1, 508)],
        );
    }
}
