//! What a model is: from its config files, the heads of its stored weights, and what upstream says of it.
//!
//! Config files are small and are downloaded if they are not cached. Weights are read only if they are stored:
//! the numbers of those that are not come from upstream's info of the commit, if it has them, and their size from the
//! list of files. Steps: the config files of a folder → its sets of weights (`weight_set`), or a pipeline's parts, each
//! with its own → their counts. A sum of which a part is not known is not known.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::counts::{add_counts, add_weights, count_by_info};
use super::heads::Parsed;
use super::{Models, Result};
use crate::db::{FilePage, ModelRow};
use crate::domain::facts;
use crate::domain::facts::config::{self, ConfigFile};
use crate::domain::{
    Artifact, ByteSize, CommitId, Entry, GgufRole, ModelFacts, RepoKey, RepoPath, Revision, Visibility, WeightFormat,
    WeightSet, counted, gguf_file, weight_set,
};
use crate::hub::Error;

/// Weight files whose heads are read for the facts of one model.
const MOST_HEADS: usize = 512;
/// Parts of a pipeline that are looked at. Real ones have some ten.
const MOST_COMPONENTS: usize = 64;
const PAGE: u64 = 1000;
/// Weights and config files of one folder. Real ones have some hundred.
const MOST_FILES: usize = 20_000;
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

    /// The facts of a model at a commit; with `path`, of this file's weights (all parts of it) or this folder.
    pub async fn model_facts(&self, model: &ModelRow, commit: &CommitId, path: Option<&RepoPath>) -> Result<ReadFacts> {
        let info = self.commit_facts(&model.id, commit).await?;
        let mut read = ReadFacts { card: card_of(&info), ..ReadFacts::default() };
        let (folder, meant) = match path {
            Some(path) if WeightFormat::of(path).is_some() => (parent_of(path), Some(path)),
            Some(path) => (path.to_string(), None),
            None => (String::new(), None),
        };
        let mut files = self.files_in(model, commit, &folder).await?;
        let mut facts = self.facts_of_configs(model, commit, &files, &mut read).await;
        if facts.components.is_empty() || meant.is_some() {
            let mut sets = weight_set::choose(files.artifacts.clone(), meant);
            if sets.is_empty() {
                // Where Transformers.js looks for them.
                files = self.files_in(model, commit, &join(&folder, "onnx")).await?;
                sets = weight_set::choose(files.artifacts, None);
            }
            let is_gguf = |set: &WeightSet| set.format == WeightFormat::Gguf;
            let ggufs = match sets.is_empty() || sets.iter().any(is_gguf) {
                true => self.ggufs_of(model, commit).await?,
                false => BTreeMap::new(),
            };
            if sets.is_empty()
                && folder.is_empty()
                && let Some(default) = default_of(&ggufs)
            {
                // One folder for each quantisation.
                files = self.files_in(model, commit, &parent_of(&default)).await?;
                sets = weight_set::choose(files.artifacts, Some(&default));
            }
            if let Some(set) = sets.iter().find(|set| is_gguf(set)) {
                facts.projector_bytes = weight_set::projector_bytes(&ggufs, set);
            }
            let mut weighed = Vec::new();
            for set in sets {
                let of_set = self.facts_of_set(&set, &files.here, facts.value_bits, &mut read).await;
                weighed.push((set, of_set));
            }
            if folder.is_empty() {
                count_by_info(&mut weighed, &info, &facts);
            }
            add_weights(&mut facts, weighed);
        } else {
            self.weigh_components(model, commit, &folder, &mut facts, &mut read).await?;
        }
        if let Some(adapter) = &mut facts.adapter {
            adapter.base_model = adapter.base_model.take().or_else(|| base_of_card(&info));
        }
        read.facts = facts;
        Ok(read)
    }

    /// The GGUF files of a repository with their sizes: they are known by the names of all of them.
    async fn ggufs_of(&self, model: &ModelRow, commit: &CommitId) -> Result<BTreeMap<RepoPath, u64>> {
        let mut ggufs = BTreeMap::new();
        let mut page = FilePage { flat: true, search: ".gguf".to_owned(), limit: PAGE, ..FilePage::default() };
        while ggufs.len() < MOST_GGUFS {
            let rows = self.db.file_page(&model.id, commit, &page).await?;
            let Some(last) = rows.last() else { break };
            page.after = last.entry.path().to_string();
            let files = rows.into_iter().filter_map(|row| match row.entry {
                Entry::File(file) if gguf_file::is_gguf(&file.path) => Some((file.path, file.size)),
                _ => None,
            });
            ggufs.extend(files);
        }
        Ok(ggufs)
    }

    /// The files in a folder that facts are read from, and which of them are stored.
    async fn files_in(&self, model: &ModelRow, commit: &CommitId, folder: &str) -> Result<Listed> {
        let mut listed = Listed::default();
        let mut page = FilePage { folder: folder.to_owned(), limit: PAGE, ..FilePage::default() };
        loop {
            let rows = self.db.file_page(&model.id, commit, &page).await?;
            let Some(last) = rows.last() else { return Ok(listed) };
            page.after = last.place();
            for row in rows {
                let Entry::File(file) = row.entry else { continue };
                if WeightFormat::of(&file.path).is_none() && !is_config(&file.path) {
                    continue;
                }
                if listed.artifacts.len() == MOST_FILES {
                    let what = if folder.is_empty() { "the repository" } else { folder };
                    return Err(Error::Invalid(format!("{what} has more than {MOST_FILES} weight and config files")));
                }
                listed.here.extend(row.stored.is_some().then(|| file.path.clone()));
                listed.artifacts.push(file);
            }
        }
    }

    /// What the config files of a folder say.
    async fn facts_of_configs(
        &self,
        model: &ModelRow,
        commit: &CommitId,
        files: &Listed,
        read: &mut ReadFacts,
    ) -> ModelFacts {
        let mut facts = ModelFacts::default();
        let is_mistrals = files.artifacts.iter().any(|file| file.path.file_name().starts_with("consolidated"));
        for file in &files.artifacts {
            facts.chat_template |= file.path.file_name() == "chat_template.jinja";
            let Some(kind) = ConfigFile::of(&file.path) else { continue };
            if kind == ConfigFile::Mistral && !(is_mistrals && facts.architecture.is_none()) {
                // The same in other words; or another program's.
                continue;
            }
            match self.read_config(model, commit, kind, file).await {
                Ok(more) => {
                    facts.merge(more);
                    read.read.push(file.path.to_string());
                }
                Err(error) => read.problems.push(error.to_string()),
            }
        }
        facts
    }

    /// The counts of one set of weights: from the heads of its files, if all are stored, else its size. Nothing if
    /// parts of it are missing: a sum of the others would be too small. `bits` are those of a packed value.
    async fn facts_of_set(
        &self,
        set: &WeightSet,
        here: &HashSet<RepoPath>,
        bits: Option<u64>,
        read: &mut ReadFacts,
    ) -> ModelFacts {
        let mut facts = ModelFacts { weight_bytes: Some(set.bytes()), ..ModelFacts::default() };
        if set.missing > 0 {
            let parts = counted(set.missing, "part");
            read.problems.push(format!("{}: {parts} of this file not found in the repository", set.name));
            facts.weight_bytes = None;
        } else if matches!(set.format, WeightFormat::Safetensors | WeightFormat::Gguf)
            && set.files.len() <= MOST_HEADS
            && set.files.iter().all(|file| here.contains(&file.path))
        {
            match self.facts_of_heads(set, bits, read).await {
                Ok(counted) => {
                    facts = ModelFacts { weight_bytes: counted.weight_bytes.or(facts.weight_bytes), ..counted }
                }
                Err(error) => read.problems.push(error.to_string()),
            }
        }
        if set.is_adapter && facts.adapter.is_none() {
            facts.become_adapter(facts::Adapter::default());
        } else if facts.adapter.is_some() {
            facts.weight_bytes = None;
        }
        facts
    }

    async fn facts_of_heads(&self, set: &WeightSet, bits: Option<u64>, read: &mut ReadFacts) -> Result<ModelFacts> {
        let (mut facts, mut counted) = (ModelFacts::default(), Vec::new());
        let with_heads = if set.is_cut { 1 } else { set.files.len() };
        for file in set.files.iter().take(with_heads) {
            let whole = if set.is_cut { set.bytes() } else { file.size };
            let head = self.head_of(file, whole).await;
            match head.map_err(|error| Error::Invalid(format!("{}: {error}", file.path)))? {
                Parsed::Safetensors(head) => counted.push(head.facts(bits)),
                // The first part of a split file may have no tensors: what it counts is known.
                Parsed::Gguf(head) if head.tensor_count == 0 => facts.merge(head.facts()),
                Parsed::Gguf(head) => counted.push(head.facts()),
            }
            read.read.push(file.path.to_string());
        }
        add_counts(&mut facts, counted);
        Ok(facts)
    }

    /// Counts a pipeline by its parts, each in the folder of its name. The sums are known if all parts are.
    async fn weigh_components(
        &self,
        model: &ModelRow,
        commit: &CommitId,
        folder: &str,
        facts: &mut ModelFacts,
        read: &mut ReadFacts,
    ) -> Result<()> {
        let mut components = std::mem::take(&mut facts.components);
        let mut weighed = Vec::new();
        for component in components.iter_mut().take(MOST_COMPONENTS) {
            let files = self.files_in(model, commit, &join(folder, &component.name)).await?;
            let sets = weight_set::choose(files.artifacts, None);
            let mut of_component = ModelFacts::default();
            let mut counted = Vec::new();
            for set in sets.into_iter().filter(|set| !set.is_adapter) {
                let of_set = self.facts_of_set(&set, &files.here, None, read).await;
                counted.push(of_set);
            }
            if !counted.is_empty() || !component.is_without_weights() {
                add_counts(&mut of_component, counted);
                (component.parameters, component.weight_bytes) = (of_component.parameters, of_component.weight_bytes);
                weighed.push(of_component);
            }
        }
        if components.len() <= MOST_COMPONENTS {
            add_counts(facts, weighed);
        }
        facts.components = components;
        Ok(())
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
}

/// Whether a model's folder says something about it in this file.
fn is_config(path: &RepoPath) -> bool {
    ConfigFile::of(path).is_some() || path.file_name() == "chat_template.jinja"
}

/// Files of one folder.
#[derive(Default)]
struct Listed {
    artifacts: Vec<Artifact>,
    here: HashSet<RepoPath>,
}

/// The model that an adapter changes, as its card says.
fn base_of_card(info: &Value) -> Option<String> {
    let base = match &info["cardData"]["base_model"] {
        Value::Array(list) => list.first()?.as_str(),
        value => value.as_str(),
    };
    base.map(|base| base.chars().take(256).collect())
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

/// A file of what a download takes if nobody says otherwise: of the smallest quantisation that is whole, or the smallest
/// model where no name tells a quantisation, as of Ollama's.
fn default_of(ggufs: &BTreeMap<RepoPath, u64>) -> Option<RepoPath> {
    let size_of = |path: &RepoPath| ggufs.get(path).copied().unwrap_or(0);
    let roles = gguf_file::classify(ggufs.keys());
    let found = gguf_file::quantisations(&roles, size_of);
    let models = roles.iter().filter(|(_, file)| file.role == GgufRole::Model).map(|(path, _)| (*path).clone());
    let whole = found.iter().find(|one| one.complete).or(found.first()).map(|one| one.first.clone());
    whole.or_else(|| models.min_by_key(size_of))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
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
