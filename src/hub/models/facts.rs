//! What a model is: from its config files, the heads of its stored weights, and what upstream says of it.
//!
//! Config files are small and are downloaded if they are not cached. Weights are read only if they are stored:
//! the numbers of those that are not come from upstream's info of the commit, if it has them.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use serde_json::Value;

use super::{Models, Result};
use crate::db::{FilePage, ModelRow};
use crate::domain::facts::config::{self, ConfigFile};
use crate::domain::facts::{self, Reading, gguf, safetensors};
use crate::domain::{
    Artifact, ByteSize, CommitId, Entry, ModelFacts, RepoKey, RepoPath, Revision, Visibility, WeightFormat, gguf_file,
};
use crate::hub::Error;

/// Weight files whose heads are read for the facts of one model.
const MOST_HEADS: usize = 128;
/// A head is read in steps of at least this.
const FIRST_READ: u64 = 256 * 1024;
const PAGE: u64 = 1000;
/// GGUF files whose names are compared for the quantisations of a repository; the rest is not looked at.
const MOST_GGUFS: usize = 10_000;

/// Facts, and where they come from.
#[derive(Debug, Clone, Default)]
pub struct ReadFacts {
    pub facts: ModelFacts,
    pub card: Card,
    /// Files that were read.
    pub read: Vec<String>,
    /// What could not be read, and why.
    pub problems: Vec<String>,
}

/// What upstream's card of a model says.
#[derive(Debug, Clone, Default)]
pub struct Card {
    pub licence: String,
    pub task: String,
    pub tags: Vec<String>,
}

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

/// What a repository is, before anybody registers it.
#[derive(Debug, Clone)]
pub struct Found {
    pub commit: String,
    pub visibility: Visibility,
    pub files: u64,
    pub bytes: u64,
    /// Formats of weights, and quantisations of GGUF files: files and bytes of each.
    pub formats: BTreeMap<String, (u64, u64)>,
    pub quantisations: BTreeMap<String, (u64, u64)>,
    pub only_pickle: bool,
    pub card: Card,
}

/// A parsed head of either format.
enum Parsed {
    Safetensors(safetensors::Safetensors),
    Gguf(gguf::Gguf),
}

impl Models {
    /// Looks up a repository on upstream, as this hub's owner.
    pub async fn find_out(&self, key: &RepoKey, revision: &Revision) -> Result<Found> {
        let resolved = self.look_up_repo(key, revision).await?;
        let mut found = Found {
            commit: resolved.commit.to_string(),
            visibility: resolved.repo.visibility,
            files: 0,
            bytes: 0,
            formats: BTreeMap::new(),
            quantisations: BTreeMap::new(),
            only_pickle: false,
            card: card_of(&self.commit_facts(&resolved.repo.row, &resolved.commit).await?),
        };
        let (mut pickles, mut others) = (0, 0);
        let mut ggufs = BTreeMap::new();
        let mut page = FilePage { flat: true, limit: PAGE, ..FilePage::default() };
        loop {
            let rows = self.db.file_page(&resolved.repo.row, &resolved.commit, &page).await?;
            let Some(last) = rows.last() else { break };
            page.after = last.entry.path().to_string();
            for row in rows {
                let Entry::File(file) = row.entry else { continue };
                found.files += 1;
                found.bytes += file.size;
                if let Some(format) = WeightFormat::of(&file.path) {
                    add(&mut found.formats, format.as_str(), file.size);
                    if format.can_run_code() { pickles += 1 } else { others += 1 }
                }
                if gguf_file::is_gguf(&file.path) && ggufs.len() < MOST_GGUFS {
                    ggufs.insert(file.path, file.size);
                }
            }
        }
        let size_of = |path: &RepoPath| ggufs.get(path).copied().unwrap_or(0);
        for one in gguf_file::quantisations(&gguf_file::classify(ggufs.keys()), size_of) {
            found.quantisations.insert(one.name, (one.files, one.bytes));
        }
        found.only_pickle = pickles > 0 && others == 0;
        Ok(found)
    }

    /// The facts of a model at a commit; with `path`, of this GGUF file or this folder of weights.
    pub async fn model_facts(&self, model: &ModelRow, commit: &CommitId, path: Option<&RepoPath>) -> Result<ReadFacts> {
        let info = self.commit_facts(&model.id, commit).await?;
        let mut read = ReadFacts { card: card_of(&info), ..ReadFacts::default() };
        let folder = match path {
            Some(path) if WeightFormat::of(path).is_some() => parent_of(path),
            Some(path) => path.to_string(),
            None => String::new(),
        };
        let mut facts = Vec::new();
        let page = FilePage { folder: folder.clone(), limit: PAGE, ..FilePage::default() };
        let mut weights = Vec::new();
        for row in self.db.file_page(&model.id, commit, &page).await? {
            let Entry::File(file) = row.entry else { continue };
            if file.path.file_name() == "chat_template.jinja" {
                facts.push(ModelFacts { chat_template: true, ..ModelFacts::default() });
            }
            if let Some(kind) = ConfigFile::of(&file.path) {
                match self.read_config(model, commit, kind, &file).await {
                    Ok(more) => {
                        facts.push(more);
                        read.read.push(file.path.to_string());
                    }
                    Err(error) => read.problems.push(error.to_string()),
                }
            } else if matches!(WeightFormat::of(&file.path), Some(WeightFormat::Safetensors | WeightFormat::Gguf)) {
                weights.push((file, row.stored.is_some()));
            }
        }
        let chosen = choose_weights(weights, path);
        let all_here = !chosen.is_empty() && chosen.len() <= MOST_HEADS && chosen.iter().all(|(_, is_here)| *is_here);
        if all_here {
            for (file, _) in &chosen {
                match self.head_of(file).await {
                    Ok(Parsed::Safetensors(head)) => facts.push(head.facts()),
                    Ok(Parsed::Gguf(head)) => facts.push(head.facts()),
                    Err(error) => {
                        read.problems.push(format!("{}: {error}", file.path));
                        continue;
                    }
                }
                read.read.push(file.path.to_string());
            }
        } else if path.is_none_or(|_| folder.is_empty()) {
            facts.push(facts_of_info(&info, chosen.iter().map(|(file, _)| file.size).sum()));
        }
        read.facts = ModelFacts::of_files(facts);
        Ok(read)
    }

    async fn read_config(
        &self,
        model: &ModelRow,
        commit: &CommitId,
        kind: ConfigFile,
        file: &Artifact,
    ) -> Result<ModelFacts> {
        if file.size > config::SIZE_LIMIT {
            return Err(Error::Invalid(format!(
                "{}: too large for a config file ({})",
                file.path,
                ByteSize(file.size)
            )));
        }
        let (bytes, _) = self.read_start(model, commit, &file.path, file.size).await?;
        kind.read(&bytes).map_err(|error| Error::Invalid(format!("{}: {error}", file.path)))
    }

    /// The tensors and metadata of one stored weight file.
    pub async fn weights_head(&self, model: &ModelRow, commit: &CommitId, path: &RepoPath) -> Result<Head> {
        let no_file = || Error::NotFound { what: format!("file {path} not found at {commit}") };
        let Some(Entry::File(file)) = self.db.entry(&model.id, commit, path).await? else { return Err(no_file()) };
        Ok(match self.head_of(&file).await? {
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

    async fn head_of(&self, file: &Artifact) -> Result<Parsed> {
        let format = WeightFormat::of(&file.path);
        if !matches!(format, Some(WeightFormat::Safetensors | WeightFormat::Gguf)) {
            return Err(Error::Invalid(format!("{} is neither safetensors nor GGUF", file.path)));
        }
        let Some(stored) = self.store.get(file).await? else {
            return Err(Error::Conflict(format!("{} is not cached: download it first", file.path)));
        };
        let (handle, size) = (Arc::clone(stored.file()), stored.size());
        let parse = move || match format {
            Some(WeightFormat::Gguf) => read_head(&handle, size, gguf::read).map(Parsed::Gguf),
            _ => read_head(&handle, size, safetensors::read).map(Parsed::Safetensors),
        };
        tokio::task::spawn_blocking(parse).await?
    }
}

/// Reads as much of a file's beginning as its parser asks for.
fn read_head<T>(
    file: &File,
    size: u64,
    parse: fn(&[u8], u64) -> std::result::Result<Reading<T>, facts::FactsError>,
) -> Result<T> {
    let mut wanted = FIRST_READ.min(size);
    loop {
        // The parsers bound what they ask for.
        let mut prefix = vec![0; wanted as usize];
        file.read_exact_at(&mut prefix, 0).map_err(Error::internal)?;
        match parse(&prefix, size).map_err(|error| Error::Invalid(error.to_string()))? {
            Reading::Done(head) => return Ok(head),
            Reading::NeedMore(more) if more > wanted && more <= size => wanted = more,
            Reading::NeedMore(_) => return Err(Error::Invalid("the file ends within its header".into())),
        }
    }
}

/// One set of weights: the GGUF file that is meant, else all safetensors, else the smallest GGUF file.
fn choose_weights(mut files: Vec<(Artifact, bool)>, path: Option<&RepoPath>) -> Vec<(Artifact, bool)> {
    if let Some(path) = path
        && WeightFormat::of(path).is_some()
    {
        files.retain(|(file, _)| file.path == *path);
        return files;
    }
    let (mut tensors, ggufs): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(file, _)| WeightFormat::of(&file.path) == Some(WeightFormat::Safetensors));
    if tensors.is_empty() {
        return ggufs.into_iter().min_by_key(|(file, _)| file.size).into_iter().collect();
    }
    // Mistral's models come twice: whole, and in parts.
    if tensors.len() > 1 {
        tensors.retain(|(file, _)| !file.path.file_name().starts_with("consolidated"));
    }
    tensors
}

/// What upstream counted itself (`safetensors`, `gguf` in the info).
fn facts_of_info(info: &Value, bytes: u64) -> ModelFacts {
    let mut facts = ModelFacts::default();
    if let Some(parameters) = info["safetensors"]["parameters"].as_object() {
        facts.dtypes = parameters.iter().filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect();
        facts.parameters = Some(facts.dtypes.iter().map(|(_, count)| count).sum());
    } else if let Some(total) = info["gguf"]["total"].as_u64() {
        facts.parameters = Some(total);
        facts.architecture = info["gguf"]["architecture"].as_str().map(str::to_owned);
        facts.context_length = info["gguf"]["context_length"].as_u64();
    }
    if bytes > 0 {
        facts.weight_bytes = Some(bytes);
    }
    facts
}

fn card_of(info: &Value) -> Card {
    let data = &info["cardData"];
    let text = |value: &Value| value.as_str().map(|text| text.chars().take(100).collect::<String>());
    let licence = match &data["license"] {
        Value::Array(list) => list.first().and_then(&text),
        value => text(value),
    };
    let tags = info["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    Card {
        licence: text(&data["license_name"])
            .filter(|_| licence.as_deref() == Some("other"))
            .or(licence)
            .unwrap_or_default(),
        task: text(&info["pipeline_tag"]).unwrap_or_default(),
        tags: tags.iter().filter_map(text).take(100).collect(),
    }
}

fn parent_of(path: &RepoPath) -> String {
    path.as_str().rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned())
}

fn add(sums: &mut BTreeMap<String, (u64, u64)>, name: &str, bytes: u64) {
    // Names come from outside: a repository of very many is cut off.
    if sums.len() >= 200 && !sums.contains_key(name) {
        return;
    }
    let sum = sums.entry(name.to_owned()).or_default();
    (sum.0, sum.1) = (sum.0 + 1, sum.1 + bytes);
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
