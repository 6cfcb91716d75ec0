//! Repositories from folders on disk: `DIR/{models,datasets,spaces,kernels}/{namespace}/{name}/…`, and `DIR/{namespace}/{name}/…`
//! as models. Files above 1 MiB or with the suffix of a weight file are LFS.

use std::path::Path;

use anyhow::Context;

use crate::repo::{Kind, Repo};

const LFS_SIZE: u64 = 1 << 20;
const LFS_SUFFIXES: &[&str] = &[
    "safetensors",
    "bin",
    "gguf",
    "pt",
    "pth",
    "ckpt",
    "onnx",
    "h5",
    "msgpack",
    "parquet",
    "arrow",
    "npz",
    "npy",
    "zip",
    "gz",
    "tar",
    "zst",
    "model",
    "tflite",
    "pb",
];

/// All repositories below a folder. The contents stay on disk.
pub fn read(root: &Path) -> anyhow::Result<Vec<Repo>> {
    let mut repos = Vec::new();
    for (name, path) in folders(root)? {
        match name.parse::<Kind>() {
            Ok(kind) if name == kind.plural() => {
                for (namespace, path) in folders(&path)? {
                    namespace_of(kind, &namespace, &path, &mut repos)?;
                }
            }
            _ => namespace_of(Kind::Model, &name, &path, &mut repos)?,
        }
    }
    Ok(repos)
}

fn namespace_of(kind: Kind, namespace: &str, path: &Path, repos: &mut Vec<Repo>) -> anyhow::Result<()> {
    for (name, path) in folders(path)? {
        let mut repo = Repo::new(kind, format!("{namespace}/{name}"));
        add_files(&path, "", &mut repo)?;
        repos.push(repo);
    }
    Ok(())
}

fn add_files(folder: &Path, prefix: &str, repo: &mut Repo) -> anyhow::Result<()> {
    for entry in entries(folder)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let meta = std::fs::metadata(&path).with_context(|| format!("could not look at {}", path.display()))?;
        let inside = format!("{prefix}{name}");
        if meta.is_dir() {
            if name != ".git" {
                add_files(&path, &format!("{inside}/"), repo)?;
            }
        } else {
            let lfs = meta.len() > LFS_SIZE
                || name
                    .rsplit_once('.')
                    .is_some_and(|(_, suffix)| LFS_SUFFIXES.contains(&suffix.to_lowercase().as_str()));
            repo.files.insert(inside, (path.into(), lfs));
        }
    }
    Ok(())
}

fn folders(root: &Path) -> anyhow::Result<Vec<(String, std::path::PathBuf)>> {
    let found =
        entries(root)?.into_iter().map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    Ok(found.filter(|(name, path)| path.is_dir() && !name.starts_with('.')).collect())
}

fn entries(folder: &Path) -> anyhow::Result<Vec<std::fs::DirEntry>> {
    let what = || format!("could not list {}", folder.display());
    let mut entries =
        std::fs::read_dir(folder).with_context(what)?.collect::<Result<Vec<_>, _>>().with_context(what)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    Ok(entries)
}
