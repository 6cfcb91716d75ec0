//! What is in models: files, texts, revisions, facts, tensors.

use super::{Service, page};
use crate::api::admin::convert;
use crate::api::admin::problem::{Answer, Problem};
use crate::domain::facts::KvCache;
use crate::domain::{CommitId, Entry, FileType, RepoPath};
use crate::hub::{FilePage, ModelRow};
use crate::pb;

/// The most of a file that is shown as text.
const MOST_TEXT: u64 = 1 << 20;
/// Rows looked through for one page of one type.
const MOST_LOOKED_AT: usize = 20_000;

impl Service {
    pub(in crate::api) async fn list_files(&self, request: pb::ListFilesRequest) -> Answer<pb::ListFilesResponse> {
        use pb::model_artifact::DownloadStatus;
        let (model, commit) = self.at(&request.model, &request.revision).await?;
        let limit = page::size(request.page_size)?;
        let folder = match request.path.trim_end_matches('/') {
            "" => String::new(),
            path => RepoPath::parse(path).map_err(Problem::of("path"))?.to_string(),
        };
        if !folder.is_empty() {
            self.hub.models.check_paths(&model, &commit, std::slice::from_ref(&folder)).await?;
        }
        let file_type = match request.file_type.as_str() {
            "" => None,
            word => Some(FileType::parse(word).ok_or_else(|| {
                let words: Vec<&str> = FileType::ALL.iter().map(|kind| kind.as_str()).collect();
                Problem::field("file_type", format!("expected one of {}", words.join(", ")))
            })?),
        };
        let stored = match request.download_status() {
            DownloadStatus::Unspecified => None,
            DownloadStatus::Completed => Some(true),
            DownloadStatus::Pending => Some(false),
            _ => return Err(Problem::field("download_status", "expected completed or pending")),
        };
        if !request.flat && (file_type.is_some() || stored.is_some() || !request.search.is_empty()) {
            return Err(Problem::field("flat", "search, file_type and download_status require flat=true"));
        }
        let mut page = FilePage {
            folder,
            flat: request.flat,
            search: request.search,
            stored,
            after: page::after(&request.page_token)?.unwrap_or_default(),
            limit: limit + 1,
        };
        // Types are told by names, so they are chosen here: page by page until there is enough.
        let mut files = Vec::new();
        let (mut looked_at, mut more) = (0, false);
        loop {
            let rows = self.hub.models.model_files(&model, &commit, &page).await?;
            let Some(last) = rows.last() else { break };
            looked_at += rows.len();
            let full = rows.len() as u64 == page.limit;
            page.after = last.place();
            files.extend(
                rows.into_iter().filter(|row| file_type.is_none_or(|kind| FileType::of(row.entry.path()) == kind)),
            );
            more = files.len() as u64 > limit;
            if more || !full {
                break;
            }
            if looked_at >= MOST_LOOKED_AT {
                more = true;
                break;
            }
        }
        let next = if files.len() as u64 > limit {
            files.truncate(limit as usize);
            files.last().map(|row| row.place())
        } else {
            more.then(|| page.after.clone())
        };
        let arriving = self.hub.overview.arriving();
        let kept = self.hub.models.kept_parts().await?;
        let failed = self.hub.models.failed_downloads(&model, &commit).await?;
        let files = files.into_iter().map(|row| {
            let missing = match &row.entry {
                Entry::File(file) => convert::Missing {
                    arriving: arriving.get(&file.content).copied(),
                    kept: kept.get(&file.content).copied().unwrap_or(0),
                    failed: failed.have(file),
                },
                Entry::Directory { .. } => convert::Missing::default(),
            };
            convert::artifact(&self.hub, &model, commit.as_str(), row, missing)
        });
        Ok(pb::ListFilesResponse {
            files: files.collect(),
            next_page_token: next.map(|path| page::token(&path)).unwrap_or_default(),
            commit: commit.to_string(),
        })
    }

    pub(in crate::api) async fn read_file(&self, request: pb::ReadFileRequest) -> Answer<pb::ReadFileResponse> {
        let (model, commit) = self.at(&request.model, &request.revision).await?;
        let path = RepoPath::parse(&request.path).map_err(Problem::of("path"))?;
        let (bytes, size_bytes) = self.hub.models.read_start(&model, &commit, &path, MOST_TEXT).await?;
        if bytes.contains(&0) {
            return Err(Problem::field("path", format!("{path} is not a text file")));
        }
        let truncated = size_bytes > bytes.len() as u64;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(pb::ReadFileResponse {
            file_path: path.to_string(),
            commit: commit.to_string(),
            size_bytes,
            text,
            truncated,
        })
    }

    pub(in crate::api) async fn list_uses(&self, request: pb::ListUsesRequest) -> Answer<pb::ListUsesResponse> {
        let (model, commit) = self.at(&request.model, &request.revision).await?;
        let limit = page::size(request.page_size)?;
        let uses = self.hub.models.last_used_files(&model, &commit, limit).await?.into_iter();
        let uses =
            uses.map(|(file_path, size_bytes, at)| pb::Use { file_path, size_bytes, used_at: convert::time(at) });
        Ok(pb::ListUsesResponse { uses: uses.collect(), commit: commit.to_string() })
    }

    pub(in crate::api) async fn list_revisions(
        &self,
        request: pb::ListRevisionsRequest,
    ) -> Answer<pb::ListRevisionsResponse> {
        let model = self.model_named("model", &request.model).await?;
        let revisions = self.hub.models.revisions(&model).await?.into_iter().map(|(known, listed)| pb::Revision {
            name: known.name,
            commit: known.commit.to_string(),
            checked_at: convert::time(known.checked_at),
            listed,
        });
        Ok(pb::ListRevisionsResponse { revisions: revisions.collect() })
    }

    pub(in crate::api) async fn get_model_facts(&self, request: pb::GetModelFactsRequest) -> Answer<pb::ModelFacts> {
        let (model, commit) = self.at(&request.model, &request.revision).await?;
        let path = match request.path.trim_end_matches('/') {
            "" => None,
            path => Some(RepoPath::parse(path).map_err(Problem::of("path"))?),
        };
        self.hub.models.check_paths(&model, &commit, path.as_ref().map(RepoPath::to_string).as_slice()).await?;
        let read = self.hub.models.model_facts(&model, &commit, path.as_ref()).await?;
        let facts = read.facts;
        let context = match request.context {
            0 => facts.context_length.unwrap_or(8192).min(8192),
            asked => asked,
        };
        let estimate = facts.memory_estimate(context, 1);
        let (mut fits, mut all_free) = (Vec::new(), Vec::new());
        if let Some(estimate) = &estimate {
            for gpu in self.machine_report().await?.gpu.gpus {
                let (Some(free), Some(total)) = (gpu.memory_free, gpu.memory_total) else { continue };
                let fit = estimate.fits(free, 1);
                fits.push(pb::Fit { gpu: gpu.index, fits: fit, memory_free: free, memory_total: total });
                all_free.push(free);
            }
        }
        let gpus_needed = estimate.and_then(|estimate| estimate.devices_needed(&all_free)).unwrap_or(0);
        let dtype = |(name, parameters): (String, u64)| pb::Dtype { name, parameters };
        let component = |c: crate::domain::facts::Component| pb::Component {
            name: c.name,
            library: c.library,
            class_name: c.class,
            parameters: c.parameters.unwrap_or(0),
            weight_bytes: c.weight_bytes.unwrap_or(0),
        };
        let adapter = |a: crate::domain::facts::Adapter| pb::Adapter {
            kind: a.kind.unwrap_or_default(),
            base_model: a.base_model.unwrap_or_default(),
            rank: a.rank.unwrap_or(0),
            parameters: a.parameters.unwrap_or(0),
            weight_bytes: a.weight_bytes.unwrap_or(0),
        };
        Ok(pb::ModelFacts {
            commit: commit.to_string(),
            architecture: facts.architecture.unwrap_or_default(),
            model_type: facts.model_type.unwrap_or_default(),
            parameters: facts.parameters.unwrap_or(0),
            dtypes: facts.dtypes.into_iter().map(dtype).collect(),
            context_length: facts.context_length.unwrap_or(0),
            quantisation: facts.quantisation.unwrap_or_default(),
            layers: facts.layers.unwrap_or(0),
            hidden_size: facts.hidden_size.unwrap_or(0),
            attention_heads: facts.attention_heads.unwrap_or(0),
            kv_heads: facts.kv_heads.unwrap_or(0),
            vocab_size: facts.vocab_size.unwrap_or(0),
            tokenizer: facts.tokenizer.unwrap_or_default(),
            chat_template: facts.chat_template,
            components: facts.components.into_iter().map(component).collect(),
            memory_bytes: estimate.map_or(0, |estimate| estimate.total()),
            context,
            fits,
            read: read.read,
            problems: read.problems,
            licence: read.card.licence,
            task: read.card.task,
            tags: read.card.tags,
            experts: facts.experts.unwrap_or(0),
            experts_used: facts.experts_used.unwrap_or(0),
            sliding_window: facts.kv_cache.as_ref().and_then(KvCache::window).unwrap_or(0),
            weight_bytes: facts.weight_bytes.unwrap_or(0),
            kv_cache_bytes: facts.kv_cache.as_ref().map(|cache| cache.bytes(context, 1)),
            adapter: facts.adapter.map(adapter),
            gpus_needed: gpus_needed as u32,
        })
    }

    pub(in crate::api) async fn list_tensors(
        &self,
        request: pb::ListTensorsRequest,
    ) -> Answer<pb::ListTensorsResponse> {
        let (model, commit) = self.at(&request.model, &request.revision).await?;
        let path = RepoPath::parse(&request.path).map_err(Problem::of("path"))?;
        let limit = page::size(request.page_size)? as usize;
        let start: usize = match page::after(&request.page_token)? {
            None => 0,
            Some(text) => {
                text.parse().map_err(|_| Problem::field("page_token", "this page_token is from a different list"))?
            }
        };
        let head = self.hub.models.weights_head(&model, &commit, &path).await?;
        let total = head.tensors.len();
        let end = start.saturating_add(limit).min(total);
        let tensors = head.tensors.into_iter().skip(start).take(limit).map(|tensor| pb::Tensor {
            name: tensor.name,
            dtype: tensor.dtype,
            shape: tensor.shape,
            size_bytes: tensor.bytes,
        });
        let entry = |(key, value): (String, String)| pb::MetadataEntry { key, value };
        Ok(pb::ListTensorsResponse {
            tensors: tensors.collect(),
            metadata: if start == 0 { head.metadata.into_iter().map(entry).collect() } else { Vec::new() },
            next_page_token: if end < total { page::token(&end.to_string()) } else { String::new() },
            total: head.tensor_count.max(total as u64),
        })
    }

    /// The model and the commit that a request is about.
    async fn at(&self, model: &str, revision: &str) -> Answer<(ModelRow, CommitId)> {
        let model = self.model_named("model", model).await?;
        super::models::revision(revision)?;
        let commit = self.hub.models.known_commit(&model, revision).await?;
        Ok((model, commit))
    }
}
