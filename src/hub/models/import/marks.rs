//! By what a folder is known to hold a model, and what it says of its own name.
//!
//! Of many files the name alone says enough. `config.json`, `params.json` and `modules.json` are names that other
//! programs use too: those have to say so, or lie next to weights.

use std::path::Path;

use serde_json::Value;

use super::folder::{Item, extension, is_folder, read_folder, read_small};
use super::names::{gguf_base, is_named_after};
use super::report::{ProblemKind, Problems};
use crate::blob::{Refusal, Source};
use crate::domain::{RepoId, counted};

pub(super) const WEIGHTS: [&str; 9] = ["safetensors", "gguf", "bin", "pt", "pth", "ckpt", "onnx", "h5", "msgpack"];
/// Weights that say what they are, also without any file beside them.
pub(super) const LOOSE: [&str; 2] = ["safetensors", "gguf"];
/// A longer file of settings does not count.
const MAX_CONFIG: u64 = 4 << 20;
/// Folders that ComfyUI and stable-diffusion-webui sort weights into.
const SHELVES: [&str; 16] = [
    "checkpoints",
    "diffusion_models",
    "unet",
    "loras",
    "vae",
    "clip",
    "clip_vision",
    "text_encoders",
    "controlnet",
    "embeddings",
    "upscale_models",
    "Stable-diffusion",
    "Lora",
    "VAE",
    "ControlNet",
    "ESRGAN",
];

/// Whether all of a folder is one model.
pub(super) fn is_model(folder: &Path, items: &[Item], problems: &mut Problems) -> bool {
    let has = |name: &str| items.iter().any(|item| item.name == name && item.kind.is_file());
    // diffusers, PEFT, sentence-transformers.
    if ["model_index.json", "adapter_config.json", "config_sentence_transformers.json"].into_iter().any(has) {
        return true;
    }
    // Mistral's own format has params.json instead of config.json.
    let is_config = items.iter().any(|item| item.is_file("config.json") || item.is_file("params.json"));
    if is_config && items.iter().any(|item| WEIGHTS.contains(&extension(&item.name))) {
        return true;
    }
    let config = settings(folder, items, "config.json", problems);
    let says = |key: &str| config.as_ref().is_some_and(|config| config.get(key).is_some());
    if ["model_type", "architectures", "_class_name"].into_iter().any(says) {
        return true;
    }
    // A list of steps: the first, often in a folder of its own, has the weights.
    let is_step = |step: &Value| step["type"].as_str().is_some_and(|kind| kind.starts_with("sentence_transformers."));
    let modules = settings(folder, items, "modules.json", problems);
    modules.as_ref().and_then(Value::as_array).is_some_and(|steps| steps.iter().any(is_step))
}

fn settings(folder: &Path, items: &[Item], name: &str, problems: &mut Problems) -> Option<Value> {
    let item = items.iter().find(|item| item.is_file(name))?;
    let within = [folder.to_owned()];
    // A link is reported as such where it is left out.
    if item.kind.is_file()
        && let Err(refusal @ Refusal::Unreadable(_)) = Source::open(&item.path, &within)
    {
        problems.add(ProblemKind::Unreadable, &item.path, refusal.to_string());
        return None;
    }
    serde_json::from_slice(&read_small(&item.path, &within, MAX_CONFIG)?).ok()
}

/// Whether a folder is a repository's by its place, as LM Studio keeps them: `publisher/repo/file.gguf`. It is named
/// after its weights, or is where LM Studio has its models.
pub(super) fn is_publishers(folder: &Path, name: &str, items: &[Item]) -> bool {
    let is_loose = |item: &&Item| item.kind.is_file() && LOOSE.contains(&extension(&item.name));
    let is_gguf = |items: &[Item]| items.iter().any(|item| item.kind.is_file() && extension(&item.name) == "gguf");
    if is_named_after(name, items.iter().filter(is_loose).map(|item| item.name.as_str())) {
        return true;
    }
    let models = folder.parent().and_then(Path::parent);
    if models.is_some_and(|at| at.ends_with(".lmstudio/models") || at.ends_with(".cache/lm-studio/models")) {
        return items.iter().any(|item| is_loose(&item));
    }
    // One quantisation a folder.
    let has_below = |item: &Item| item.kind.is_dir() && is_gguf(&read_folder(&item.path, &mut Problems::default()));
    gguf_base(name).is_some() && (is_gguf(items) || items.iter().any(has_below))
}

/// Whether weights are sorted into the subfolders by what they are for.
pub(super) fn has_shelves(items: &[Item]) -> bool {
    items.iter().filter(|item| item.kind.is_dir() && SHELVES.contains(&item.name.as_str())).count() > 1
}

/// The repository that text-generation-webui has noted beside what it downloaded.
pub(super) fn told_id(folder: &Path) -> Option<RepoId> {
    let note = folder.join("huggingface-metadata.txt");
    let text = String::from_utf8(read_small(&note, &[folder.to_owned()], MAX_CONFIG)?).ok()?;
    let url = text.lines().find_map(|line| line.strip_prefix("url:"))?;
    RepoId::parse(url.trim().strip_prefix("https://huggingface.co/")?.trim_end_matches('/')).ok()
}

/// The name of a repository by that of its folder. ModelScope, which leaves its notes there, writes `Qwen2___5` for
/// `Qwen2.5`.
pub(super) fn name_of(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_modelscopes = [".mdl", ".msc"].iter().any(|note| folder.join(note).symlink_metadata().is_ok());
    if is_modelscopes { name.replace("___", ".") } else { name }
}

/// Why nothing of a folder was taken; `None` if it only has folders.
pub(super) fn why_not(folder: &Path, items: &[Item]) -> Option<String> {
    let files = items.iter().filter(|item| !item.kind.is_dir()).count() as u64;
    let weights = items.iter().filter(|item| WEIGHTS.contains(&extension(&item.name))).count() as u64;
    let has = |name: &str| items.iter().any(|item| item.is_file(name));
    if items.is_empty() {
        return Some("the folder is empty".to_owned());
    }
    if weights > 0 {
        let files = counted(weights, "file");
        return Some(format!("{files} of weights, but no config.json or the like that tells what they are"));
    }
    if has("config.json") {
        return Some("its config.json names no model, and there are no weights beside it".to_owned());
    }
    if is_folder(&folder.join("snapshots")) {
        return Some("a cache whose folder is not named like models--org--name".to_owned());
    }
    (files > 0).then(|| format!("no model: {}, none of weights or of a model's settings", counted(files, "file")))
}
