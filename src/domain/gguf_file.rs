//! Which GGUF files of a repository are its model, told by the names of all of them.
//!
//! Steps: what each name says (`gguf_name`) → its role → without any model among them, what stands for one → the
//! quantisations, whose files belong together. The rule for roles is that of llama.cpp, which loads what it takes for a
//! helper never as the model (`common/download.cpp`, `gguf_filename_is_model`), but reads words and not parts of words:
//! `Llama-NEO-imatrix-Q4_K_M.gguf` is a model that was made with an importance matrix, `Qwen-MTP-Q8_0.gguf` one that
//! has its draft heads inside.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::RepoPath;
pub use super::gguf_name::Split;
use super::gguf_name::{GgufName, bare, parts_of_set, words};

/// What a GGUF file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GgufRole {
    Model,
    /// Turns images or sound into what the model reads (`mmproj`).
    Projector,
    /// Statistics that were used to quantise (`imatrix`); nothing that runs.
    ImportanceMatrix,
    /// Predicts tokens that the model only has to check (`mtp-`, `eagle3-`, `dflash-`, `dspark-`).
    Drafter,
    /// Changes a model's weights (LoRA).
    Adapter,
    /// Tokens without weights.
    Vocabulary,
}

/// What is known of one GGUF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgufFile {
    pub role: GgufRole,
    /// E.g. `Q4_K_M`, `UD-IQ2_XXS`, `i1-Q2_K`; of a projector or another helper its own.
    pub quantisation: Option<String>,
    /// Its place if it is a part of a file.
    pub split: Option<Split>,
}

/// Whether it is a GGUF file, or a part of one, by its name.
pub fn is_gguf(path: &RepoPath) -> bool {
    GgufName::of(path.as_str()).is_some()
}

/// Whether it is an importance matrix that is not written as GGUF (`imatrix.dat`, `m.imatrix`, `imatrix.gguf_file`).
pub fn is_other_matrix(path: &RepoPath) -> bool {
    let name = path.file_name().to_ascii_lowercase();
    name.rsplit_once('.').is_some_and(|(stem, ending)| match ending {
        "imatrix" => true,
        "dat" | "gguf_file" => words(stem).iter().any(|word| word == "imatrix"),
        _ => false,
    })
}

/// The GGUF files of a repository, given all of its paths: others are passed over.
///
/// Drafters are the model where there is no other, as in a repository of drafters; so are adapters.
pub fn classify<'a>(paths: impl IntoIterator<Item = &'a RepoPath>) -> BTreeMap<&'a RepoPath, GgufFile> {
    let names: Vec<(&RepoPath, GgufName)> =
        paths.into_iter().filter_map(|path| Some((path, GgufName::of(path.as_str())?))).collect();
    let plain: HashSet<Vec<&str>> = names
        .iter()
        .filter(|(path, name)| role_of(path, name, None) == GgufRole::Model)
        .map(|(_, n)| title(n))
        .collect();
    let mut files: BTreeMap<&RepoPath, GgufFile> = BTreeMap::new();
    for (path, name) in &names {
        let (quantisation, split) = (name.quantisation.clone(), name.split.clone());
        files.insert(path, GgufFile { role: role_of(path, name, Some(&plain)), quantisation, split });
    }
    for stands_in in [GgufRole::Drafter, GgufRole::Adapter] {
        if !files.values().any(|file| file.role == GgufRole::Model) {
            let those = files.values_mut().filter(|file| file.role == stands_in);
            those.for_each(|file| file.role = GgufRole::Model);
        }
    }
    files
}

/// The words of a name but for its quantisation.
fn title(name: &GgufName) -> Vec<&str> {
    name.before.iter().chain(&name.after).map(String::as_str).collect()
}

/// The role by the name, and by the titles of models that have no word of a helper, once they are known.
fn role_of(path: &RepoPath, name: &GgufName, models: Option<&HashSet<Vec<&str>>>) -> GgufRole {
    const HELPERS: [(&str, GgufRole); 5] = [
        ("imatrix", GgufRole::ImportanceMatrix),
        ("mtp", GgufRole::Drafter),
        ("eagle3", GgufRole::Drafter),
        ("dflash", GgufRole::Drafter),
        ("dspark", GgufRole::Drafter),
    ];
    let whole = path.as_str().to_lowercase();
    let folders: Vec<&str> = whole.split('/').rev().skip(1).collect();
    let title = title(name);
    let (first, last) = (title.first().copied(), title.last().copied());
    if path.file_name().to_lowercase().contains("mmproj") || folders.contains(&"mmproj") {
        return GgufRole::Projector;
    }
    for (word, role) in HELPERS {
        if first == Some(word) || folders.contains(&word) {
            return role;
        }
        if title.contains(&word) {
            // `m.imatrix.gguf`: no model is called so without its quantisation.
            let is_named_so = role == GgufRole::ImportanceMatrix && name.quantisation.is_none();
            // `m-mtp-F16.gguf` beside `m-Q4_K_M.gguf`. Alone it is a model that has its heads inside.
            let rest: Vec<&str> = title.iter().copied().filter(|other| *other != word).collect();
            if is_named_so || models.is_none_or(|models| models.contains(&rest)) {
                return role;
            }
        }
    }
    // The last word by the naming convention of GGUF; llama.cpp's own begin with it.
    if first == Some("lora") || last == Some("lora") || folders.contains(&"lora") {
        return GgufRole::Adapter;
    }
    if last == Some("vocab") || title.starts_with(&["ggml", "vocab"]) {
        return GgufRole::Vocabulary;
    }
    GgufRole::Model
}

/// A quantisation of a repository: the model's files of that name. Several models in one repository may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantisation {
    pub name: String,
    pub files: u64,
    pub bytes: u64,
    /// The first of its files, by path.
    pub first: RepoPath,
    /// Whether every part of what is split is there.
    pub complete: bool,
}

/// The quantisations of a repository's GGUF files, given with their sizes: the smallest first.
pub fn quantisations(files: &BTreeMap<&RepoPath, GgufFile>, size_of: impl Fn(&RepoPath) -> u64) -> Vec<Quantisation> {
    let mut found: BTreeMap<&str, Quantisation> = BTreeMap::new();
    let mut parts: BTreeMap<(&str, &str, u32), BTreeSet<u32>> = BTreeMap::new();
    for (path, file) in files {
        let (GgufRole::Model, Some(name)) = (file.role, &file.quantisation) else { continue };
        let one = found.entry(name).or_insert_with(|| Quantisation {
            name: name.clone(),
            files: 0,
            bytes: 0,
            first: (*path).clone(),
            complete: true,
        });
        (one.files, one.bytes) = (one.files + 1, one.bytes + size_of(path));
        if let Some(Split { set, part, count: Some(count) }) = &file.split {
            parts.entry((name, set, *count)).or_default().insert(*part);
        }
    }
    for ((name, _, count), numbers) in parts {
        if let Some(one) = found.get_mut(name) {
            one.complete &= numbers.len() as u64 >= parts_of_set(&numbers, count);
        }
    }
    let mut found: Vec<Quantisation> = found.into_values().collect();
    found.sort_by(|a, b| (a.bytes, &a.name).cmp(&(b.bytes, &b.name)));
    found
}

/// The quantisation that somebody means: by its name in any letter case, or without `UD-` or `i1-` if that leaves one.
pub fn find<'a>(found: &'a [Quantisation], wanted: &str) -> Option<&'a Quantisation> {
    // `fp16` means F16 here too.
    let wanted = super::gguf_name::quantisation_in(wanted).map_or_else(|| wanted.to_owned(), |(name, _)| name);
    let is = |name: &str| name.eq_ignore_ascii_case(&wanted);
    let mut alike = found.iter().filter(|one| is(bare(&one.name)));
    found.iter().find(|one| is(&one.name)).or_else(|| alike.next().filter(|_| alike.next().is_none()))
}

/// The projectors that go with some of the models' files: of each projector, one precision. It is the one that llama.cpp
/// takes (`find_best_mmproj`), which looks for it when it starts: in the nearest folder above the model, of the same
/// quantisation, else of the nearest number of bits.
pub fn projectors<'a>(
    files: &BTreeMap<&'a RepoPath, GgufFile>,
    models: impl IntoIterator<Item = &'a RepoPath>,
) -> BTreeSet<&'a RepoPath> {
    let folder = |path: &'a RepoPath| path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
    let offered: Vec<(&RepoPath, &GgufFile, Vec<String>)> = files
        .iter()
        .filter(|(_, file)| file.role == GgufRole::Projector)
        .filter_map(|(path, file)| Some((*path, file, GgufName::of(path.as_str())?)))
        .map(|(path, file, name)| (path, file, [name.before, name.after].concat()))
        .collect();
    // The rest of a model's name makes no difference.
    let models: BTreeSet<(&str, Option<&str>)> = models
        .into_iter()
        .map(|path| (folder(path), files.get(path).and_then(|file| file.quantisation.as_deref())))
        .collect();
    let mut taken = BTreeSet::new();
    for (place, quantisation) in models {
        let mut best: BTreeMap<&[String], (_, &RepoPath)> = BTreeMap::new();
        for (path, file, title) in &offered {
            let above = folder(path);
            let is_above = above.is_empty()
                || place.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            let rank = (
                !is_above,
                Reverse(if is_above { above.len() } else { 0 }),
                file.quantisation.as_deref() != quantisation,
                bits(file.quantisation.as_deref()).abs_diff(bits(quantisation)),
            );
            let of_this = best.entry(title).or_insert((rank, path));
            if rank < of_this.0 {
                *of_this = (rank, path);
            }
        }
        taken.extend(best.into_values().map(|(_, path)| path));
    }
    // All parts, should one be split.
    let set = |path: &RepoPath| files.get(path).and_then(|file| file.split.as_ref()).map(|split| split.set.as_str());
    let sets: BTreeSet<&str> = taken.iter().filter_map(|path| set(path)).collect();
    let parts = offered.iter().map(|(path, ..)| *path).filter(|path| set(path).is_some_and(|set| sets.contains(set)));
    taken.extend(parts);
    taken
}

/// The first number of a quantisation: 4 of `Q4_K_M`, 16 of `BF16`; 0 without one.
fn bits(quantisation: Option<&str>) -> u32 {
    let digits = quantisation.map_or("", bare).trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

#[cfg(test)]
#[path = "gguf_file_tests.rs"]
mod tests;
