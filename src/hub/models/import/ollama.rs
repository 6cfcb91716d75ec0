//! Ollama's store: `manifests/{registry}/{namespace}/{name}/{tag}`, each a list of layers, and `blobs/sha256-…`. Newer
//! versions keep manifests among the blobs, to which `manifests-v2/…` has links; such a one may list several manifests of
//! the same model, one for each program that runs it, of which a machine has pulled what it needs. What they leave in
//! `manifests` is for older versions.
//!
//! All tags of a name are one repository, `ollama/name` for those of Ollama's own library, with a folder for each tag: so
//! clients see what there is in one listing, and each file says which tag it is of. The layers get the names that they
//! have elsewhere: `8b/llama3-8b.gguf`, `8b/mmproj-llama3-8b.gguf`, `8b/template`, `8b/params.json`, `8b/license`.
//!
//! A tag of which a layer is missing is left out whole, and told: half of it would look like all of it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::folder::{Item, is_folder, read_folder, read_small};
use super::names::legal;
use super::report::{ProblemKind, Problems};
use crate::domain::{ContentId, Digest, RepoId, RepoPath};

/// Manifests have a few layers, or one for each tensor.
const MAX_MANIFEST: u64 = 4 << 20;
/// Ollama's own registry.
const LIBRARY: &str = "registry.ollama.ai";
/// What a tag's manifest is called in its folder.
const MANIFEST: &str = "manifest.json";

/// Where the tags are: those of the first come first.
const MANIFESTS: [&str; 2] = ["manifests-v2", "manifests"];

/// A list of layers, or of manifests; in such a list the digest of one.
#[derive(Deserialize)]
struct Manifest {
    config: Option<Layer>,
    layers: Option<Vec<Layer>>,
    manifests: Option<Vec<Manifest>>,
    digest: Option<String>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    /// Of a tensor, or of a file beside tensors.
    name: Option<String>,
}

/// The files of a repository: their paths, and where they lie.
pub(super) type Files = Vec<(RepoPath, PathBuf)>;

pub(super) fn is_store(items: &[Item]) -> bool {
    let has = |name: &str| items.iter().any(|item| item.name == name && item.kind.is_dir());
    has("blobs") && MANIFESTS.into_iter().any(has)
}

/// A tag: its registry, namespace, name and tag.
type Tag = (String, String, String, String);

/// The repositories of a store; none if it is another program's.
pub(super) fn repositories(store: &Path, problems: &mut Problems) -> Vec<(RepoId, Files)> {
    let mut repos: BTreeMap<RepoId, Files> = BTreeMap::new();
    let mut tag_of: HashMap<(RepoId, String), Tag> = HashMap::new();
    for (tag, path) in tags(store, problems) {
        match tagged(store, &tag, &path) {
            Ok((id, folder, files)) => match tag_of.entry((id, folder)) {
                Entry::Vacant(place) => {
                    let id = place.key().0.clone();
                    place.insert(tag);
                    repos.entry(id).or_default().extend(files);
                }
                // For older versions.
                Entry::Occupied(place) if *place.get() == tag => {}
                Entry::Occupied(place) => {
                    let (id, folder) = place.key();
                    problems.add(ProblemKind::Twice, &path, format!("{id}/{folder} is another tag's name here"));
                }
            },
            Err((kind, why)) => problems.add(kind, &path, why),
        }
    }
    repos.into_iter().collect()
}

/// All tags of a store with the places of their manifests.
fn tags(store: &Path, problems: &mut Problems) -> Vec<(Tag, PathBuf)> {
    let mut tags = Vec::new();
    for root in MANIFESTS.into_iter().map(|root| store.join(root)).filter(|root| is_folder(root)) {
        for (registry, at) in folders(&root, problems) {
            // As the newer versions call it.
            let registry = if registry == "ollama.com" { LIBRARY.to_owned() } else { registry };
            let mut namespaces = folders(&at, problems);
            // Of two tags that get the same name, that of Ollama's own library stays.
            namespaces.sort_by_key(|(namespace, _)| namespace != "library");
            for (namespace, at) in namespaces {
                for (name, at) in folders(&at, problems) {
                    for item in read_folder(&at, problems).into_iter().filter(|item| !item.kind.is_dir()) {
                        tags.push(((registry.clone(), namespace.clone(), name.clone(), item.name), item.path));
                    }
                }
            }
        }
    }
    tags
}

/// What a blob of the store has to be.
pub(super) fn promised(place: &Path) -> Option<ContentId> {
    let digest = place.file_name()?.to_str()?.strip_prefix("sha256")?.strip_prefix(['-', ':'])?;
    Some(ContentId::Sha256(Digest::parse(digest).ok()?))
}

fn folders(at: &Path, problems: &mut Problems) -> Vec<(String, PathBuf)> {
    let items = read_folder(at, problems).into_iter().filter(|item| item.kind.is_dir());
    items.map(|item| (item.name, item.path)).collect()
}

/// One tag: the repository it belongs to, its folder there, and its files.
fn tagged(
    store: &Path,
    (registry, namespace, name, tag): &Tag,
    manifest: &Path,
) -> Result<(RepoId, String, Files), (ProblemKind, String)> {
    let wrong = |why: &str| (ProblemKind::Name, why.to_owned());
    let id = id(registry, namespace, name).ok_or_else(|| wrong("not a valid repository name"))?;
    let read = read_manifest(store, manifest).ok_or_else(|| wrong("not a manifest of Ollama"))?;
    let folder = legal(tag).ok_or_else(|| wrong("not a valid name of a folder"))?;
    let model = format!("{}-{folder}", id.name());
    let mut used = HashMap::from([(MANIFEST.to_owned(), 1)]);
    let mut files: Files = Vec::new();
    for read in pulled(store, read).map_err(|why| (ProblemKind::Incomplete, why))? {
        let config = read.config.iter().map(|layer| ("ollama.json".to_owned(), layer));
        let layers = read.layers.iter().flatten().map(|layer| (file_name(layer, &model), layer));
        for (wanted, layer) in config.chain(layers) {
            let Some(place) = blob(store, &layer.digest) else { continue };
            let named = unique(&wanted, &mut used);
            let path = RepoPath::parse(&format!("{folder}/{named}")).map_err(|_| wrong("a layer has no valid name"))?;
            files.push((path, place));
        }
    }
    let path = RepoPath::parse(&format!("{folder}/{MANIFEST}")).map_err(|_| wrong("not a valid name of a folder"))?;
    files.push((path, manifest.to_owned()));
    let paths: HashSet<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let is_below_a_file = |path: &str| path.match_indices('/').any(|(at, _)| paths.contains(&path[..at]));
    if paths.iter().any(|path| is_below_a_file(path)) {
        return Err(wrong("a layer has the name of a folder of another one"));
    }
    Ok((id, folder, files))
}

fn read_manifest(store: &Path, place: &Path) -> Option<Manifest> {
    let read: Manifest = serde_json::from_slice(&read_small(place, &[store.to_owned()], MAX_MANIFEST)?).ok()?;
    (read.layers.is_some() || read.manifests.is_some()).then_some(read)
}

/// The manifests of a tag of which every layer is here. Of a list that is at least one: others are for programs that this
/// machine does not have. The error names what is missing.
fn pulled(store: &Path, read: Manifest) -> Result<Vec<Manifest>, String> {
    let Some(list) = read.manifests else {
        let missing =
            read.config.iter().chain(read.layers.iter().flatten()).find(|layer| blob(store, &layer.digest).is_none());
        return match missing {
            Some(layer) => Err(format!("a layer of this tag is missing: {}; pull it again", layer.digest)),
            None => Ok(vec![read]),
        };
    };
    let (mut all, mut missing) = (Vec::new(), None);
    for one in list {
        let read = match (one.layers.is_some(), one.digest) {
            (false, Some(digest)) => blob(store, &digest).and_then(|place| read_manifest(store, &place)),
            (_, digest) => Some(Manifest { digest, ..one }),
        };
        // A list in a list is none of Ollama's.
        match read.filter(|read| read.manifests.is_none()).map(|read| pulled(store, read)) {
            Some(Ok(found)) => all.extend(found),
            Some(Err(why)) => missing = missing.or(Some(why)),
            None => {}
        }
    }
    if all.is_empty() {
        return Err(missing.unwrap_or_else(|| "no manifest of this tag is here; pull it again".to_owned()));
    }
    Ok(all)
}

/// What Ollama pulled from the Hub keeps its name there; all others are under the name of their registry.
fn id(registry: &str, namespace: &str, name: &str) -> Option<RepoId> {
    let text = match registry {
        "hf.co" | "huggingface.co" => format!("{namespace}/{name}"),
        LIBRARY if namespace == "library" => format!("ollama/{}", legal(name)?),
        LIBRARY => format!("ollama/{}", legal(&format!("{namespace}-{name}"))?),
        other => format!("{}/{}", legal(other)?, legal(&format!("{namespace}-{name}"))?),
    };
    RepoId::parse(&text).ok()
}

/// The file of a digest, if the store has it: `sha256-…`, or `sha256:…` of early versions.
fn blob(store: &Path, digest: &str) -> Option<PathBuf> {
    Digest::parse(digest.strip_prefix("sha256:")?).ok()?;
    let names = [digest.replacen(':', "-", 1), digest.to_owned()];
    names.into_iter().map(|name| store.join("blobs").join(name)).find(|place| place.is_file())
}

fn file_name(layer: &Layer, model: &str) -> String {
    if let Some(name) = &layer.name {
        return name.clone();
    }
    let kind = layer.media_type.split(';').next().unwrap_or_default().rsplit('.').next().unwrap_or_default();
    match kind {
        "model" => format!("{model}.gguf"),
        "projector" => format!("mmproj-{model}.gguf"),
        "adapter" => format!("adapter-{model}.gguf"),
        "params" | "messages" => format!("{kind}.json"),
        other => legal(other).unwrap_or_else(|| "layer".to_owned()),
    }
}

/// The name, or if it is taken, the name with a number: a model may have two licenses. `used` counts how often each was
/// asked for, so that many of the same name cost no more than others.
fn unique(name: &str, used: &mut HashMap<String, u64>) -> String {
    let (stem, end) = name.rsplit_once('.').map_or((name, String::new()), |(stem, end)| (stem, format!(".{end}")));
    loop {
        let count = used.entry(name.to_owned()).or_default();
        *count += 1;
        if *count == 1 {
            return name.to_owned();
        }
        let numbered = format!("{stem}-{count}{end}");
        if !used.contains_key(&numbered) {
            used.insert(numbered.clone(), 1);
            return numbered;
        }
    }
}
