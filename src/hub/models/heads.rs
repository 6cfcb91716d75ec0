//! The heads of weight files that are stored: read in steps, as far as their parsers ask.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::{Models, Result};
use crate::db::ModelRow;
use crate::domain::facts::{self, Reading, gguf, safetensors};
use crate::domain::{Artifact, CommitId, Entry, RepoPath, WeightFormat};
use crate::hub::Error;

/// A head is read in steps of at least this.
const FIRST_READ: u64 = 256 * 1024;

/// The head of one weight file.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub tensors: Vec<HeadTensor>,
    /// Including those that `tensors` has no room for.
    pub tensor_count: u64,
    pub metadata: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub struct HeadTensor {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<u64>,
    /// 0: not known.
    pub bytes: u64,
}

/// A parsed head of either format.
pub(super) enum Parsed {
    Safetensors(safetensors::Safetensors),
    Gguf(gguf::Gguf),
}

impl Models {
    /// The tensors and metadata of one stored weight file.
    pub async fn weights_head(&self, model: &ModelRow, commit: &CommitId, path: &RepoPath) -> Result<Head> {
        let no_file = || Error::NotFound { what: format!("file {path} not found at {commit}") };
        let Some(Entry::File(file)) = self.db.entry(&model.id, commit, path).await? else { return Err(no_file()) };
        Ok(match self.head_of(&file, file.size).await? {
            Parsed::Safetensors(head) => Head {
                tensor_count: head.tensor_count,
                metadata: head.metadata,
                tensors: head
                    .tensors
                    .into_iter()
                    .map(|tensor| HeadTensor {
                        name: tensor.name,
                        dtype: tensor.dtype,
                        shape: tensor.shape,
                        bytes: tensor.bytes,
                    })
                    .collect(),
            },
            Parsed::Gguf(head) => Head {
                tensor_count: head.tensor_count,
                metadata: head.metadata.into_iter().map(|(key, value)| (key, shown(&value))).collect(),
                tensors: head
                    .tensors
                    .into_iter()
                    .map(|tensor| HeadTensor {
                        name: tensor.name,
                        dtype: tensor.kind,
                        shape: tensor.shape,
                        bytes: tensor.bytes.unwrap_or(0),
                    })
                    .collect(),
            },
        })
    }

    /// The head of a file that is `whole` bytes long together with what has been cut off.
    pub(super) async fn head_of(&self, file: &Artifact, whole: u64) -> Result<Parsed> {
        let format = WeightFormat::of(&file.path);
        if !matches!(format, Some(WeightFormat::Safetensors | WeightFormat::Gguf)) {
            return Err(Error::Invalid(format!("{} is neither safetensors nor GGUF", file.path)));
        }
        let Some(stored) = self.store.get(file).await? else {
            return Err(Error::Conflict(format!("{} is not cached: download it first", file.path)));
        };
        let (handle, size) = (Arc::clone(stored.file()), stored.size());
        let parse = move || match format {
            Some(WeightFormat::Gguf) => read_head(&handle, size, whole, gguf::read).map(Parsed::Gguf),
            _ => read_head(&handle, size, whole, safetensors::read).map(Parsed::Safetensors),
        };
        tokio::task::spawn_blocking(parse).await?
    }
}

/// Reads as much of a file's beginning as its parser asks for, of the `size` bytes that there are.
fn read_head<T>(
    file: &File,
    size: u64,
    whole: u64,
    parse: fn(&[u8], u64) -> std::result::Result<Reading<T>, facts::FactsError>,
) -> Result<T> {
    let mut wanted = FIRST_READ.min(size);
    loop {
        // The parsers bound what they ask for.
        let mut prefix = vec![0; wanted as usize];
        file.read_exact_at(&mut prefix, 0).map_err(Error::internal)?;
        match parse(&prefix, whole).map_err(|error| Error::Invalid(error.to_string()))? {
            Reading::Done(head) => return Ok(head),
            Reading::NeedMore(more) if more > wanted && more <= size => wanted = more,
            Reading::NeedMore(_) => return Err(Error::Invalid("the file ends within its header".into())),
        }
    }
}

/// A value of GGUF metadata in a line.
fn shown(value: &gguf::Value) -> String {
    match value {
        gguf::Value::Unsigned(number) => number.to_string(),
        gguf::Value::Signed(number) => number.to_string(),
        gguf::Value::Float(number) => number.to_string(),
        gguf::Value::Bool(flag) => flag.to_string(),
        gguf::Value::Text { start, length } if start.len() as u64 == *length => start.clone(),
        gguf::Value::Text { start, length } => format!("{start}… ({length} bytes)"),
        gguf::Value::List { item, count, first } => {
            let first: Vec<String> = first.iter().map(shown).collect();
            let more = if first.len() as u64 == *count { "" } else { ", …" };
            format!("{count} × {item}: [{}{more}]", first.join(", "))
        }
    }
}
