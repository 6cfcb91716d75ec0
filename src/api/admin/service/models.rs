//! Models: register, look up, list, pin, forget; and the jobs that people start on them but for downloads.

use super::{Service, page};
use crate::api::admin::convert;
use crate::api::admin::problem::{Answer, Problem};
use crate::api::admin::source::Source;
use crate::domain::{ModelStatus, ParseError, RepoId, RepoKey, RepoKind, Revision, Selection, Visibility};
use crate::hub::{Held, ModelFilter, ModelOrder, ModelRow};
use crate::pb;

impl Service {
    pub(in crate::api) async fn register_model(&self, request: pb::RegisterModelRequest) -> Answer<pb::ModelRepo> {
        let named = [("repo_id", &request.repo_id), ("source_repo_id", &request.source_repo_id)];
        let named: Vec<_> = named.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        let (field, text) = match (named.as_slice(), request.vendor.as_str(), request.name.as_str()) {
            ([], "", "") => {
                return Err(Problem::field(
                    "repo_id",
                    "no repository given; expected namespace/name, e.g. Wan-AI/Wan2.1-T2V-1.3B",
                ));
            }
            ([], vendor, "") => {
                return Err(Problem::field("name", format!("name is required with vendor {vendor}")));
            }
            ([], "", name) => ("name", name.to_owned()),
            ([], vendor, name) => ("name", format!("{vendor}/{name}")),
            ([(field, text)], ..) => (*field, (*text).clone()),
            ([(_, one), (_, other)], ..) if one == other => ("repo_id", (*one).clone()),
            _ => {
                return Err(Problem::field(
                    "source_repo_id",
                    "repo_id and source_repo_id name different repositories; give only one of them",
                ));
            }
        };
        let source = self.source(field, &text, &request.kind)?;
        let id = &source.key.id;
        if !named.is_empty() && !request.name.is_empty() && id.name() != request.name {
            return Err(Problem::field("name", format!("`{}` is not the name of {id}", shown(&request.name))));
        }
        if !named.is_empty() && !request.vendor.is_empty() && id.vendor() != request.vendor {
            return Err(Problem::field("vendor", format!("`{}` is not the vendor of {id}", shown(&request.vendor))));
        }
        let (key, revision) = (source.key, revision(&request.revision)?.or(source.revision));
        let every = request.sync_every_seconds;
        check_every(every)?;
        let every = (every > 0).then_some(every * 1000);
        let (row, job) = self.hub.models.register(&key, revision.as_ref(), every).await?;
        match job {
            // Also when it has ended meanwhile: whoever registers wants to know how.
            Some(job) => Ok(convert::model(row, Some(job), &self.about.upstream_url)),
            None => self.shown(row).await,
        }
    }

    pub(in crate::api) async fn list_models(&self, request: pb::ListModelsRequest) -> Answer<pb::ListModelsResponse> {
        use pb::model_repo::{Download, Status};
        let limit = page::size(request.page_size)?;
        let descending = request.order.starts_with('-');
        let order = match request.order.strip_prefix('-').unwrap_or(&request.order) {
            "" | "name" => ModelOrder::Name,
            "size" => ModelOrder::Size,
            "used" => ModelOrder::Used,
            "created" => ModelOrder::Created,
            _ => {
                let rule = "expected name, size, used or created, with a leading - for descending order";
                return Err(Problem::field("order", rule));
            }
        };
        let after = match page::after(&request.page_token)? {
            None => None,
            Some(token) => {
                let parts = token.split_once('\n').map(|(value, id)| (value.to_owned(), id.to_owned()));
                let number = |value: &str| order == ModelOrder::Name || value.parse::<i64>().is_ok();
                let parts = parts.filter(|(value, _)| number(value));
                Some(parts.ok_or_else(|| Problem::field("page_token", "this page_token is from a different list"))?)
            }
        };
        let filter = ModelFilter {
            search: request.search.clone(),
            kind: (!request.kind.is_empty()).then(|| kind("kind", &request.kind)).transpose()?,
            status: match request.status() {
                Status::Unspecified => None,
                Status::Registered => Some(ModelStatus::Registered),
                Status::Synced => Some(ModelStatus::Synced),
                Status::Error => Some(ModelStatus::Error),
            },
            held: match request.download() {
                Download::Unspecified => None,
                Download::None => Some(Held::Nothing),
                Download::Partial => Some(Held::Some),
                Download::Complete => Some(Held::All),
            },
            pinned: request.pinned,
            order,
            descending,
            after,
            limit: limit + 1,
        };
        let (mut rows, total) = self.hub.models.models(&filter).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|row| {
            let value = match order {
                ModelOrder::Name => row.key.id.to_string(),
                ModelOrder::Size => row.bytes.to_string(),
                ModelOrder::Used => row.last_used_at.unwrap_or(0).to_string(),
                ModelOrder::Created => row.created_at.to_string(),
            };
            page::token(&format!("{value}\n{}", row.id))
        });
        let mut models = Vec::with_capacity(rows.len());
        for row in rows {
            models.push(self.shown(row).await?);
        }
        Ok(pb::ListModelsResponse { models, next_page_token: next.unwrap_or_default(), total })
    }

    pub(in crate::api) async fn get_model(&self, request: pb::GetModelRequest) -> Answer<pb::ModelRepo> {
        let row = self.model_named("model", &request.model).await?;
        self.shown(row).await
    }

    pub(in crate::api) async fn delete_model(
        &self,
        request: pb::DeleteModelRequest,
    ) -> Answer<pb::DeleteModelResponse> {
        let row = self.model_named("model", &request.model).await?;
        self.hub.models.forget_model(&row).await?;
        Ok(pb::DeleteModelResponse {})
    }

    pub(in crate::api) async fn look_up_model(
        &self,
        request: pb::LookUpModelRequest,
    ) -> Answer<pb::LookUpModelResponse> {
        let ours = [self.about.upstream_url.as_str(), self.about.endpoint.as_str()];
        let source = Source::parse(&request.source, &ours).map_err(|rule| Problem::field("source", rule))?;
        let revision = source.revision.clone().unwrap_or_else(Revision::main);
        let found = self.hub.models.find_out(&source.key, &revision).await?;
        let usage =
            |(name, (files, bytes)): (String, (u64, u64))| pb::Usage { name, files, bytes, ..Default::default() };
        let model = self.hub.models.model(&source.key.to_string()).await;
        let model = model.ok().filter(|row| row.registered_at.is_some());
        let mut warnings = Vec::new();
        if found.visibility != Visibility::Public {
            warnings.push(format!(
                "this repository is {}: its files are served only to callers with access to it on upstream",
                found.visibility.as_str()
            ));
        }
        if found.only_pickle {
            warnings.push("the weights are pickle files, which can run code when loaded".into());
        }
        Ok(pb::LookUpModelResponse {
            kind: source.key.kind.as_str().into(),
            repo_id: source.key.id.to_string(),
            revision: revision.to_string(),
            commit: found.commit,
            visibility: found.visibility.as_str().into(),
            files: found.files,
            bytes: found.bytes,
            formats: found.formats.into_iter().map(usage).collect(),
            quantisations: found.quantisations.into_iter().map(usage).collect(),
            licence: found.card.licence,
            task: found.card.task,
            selection: Some(convert::selection_message(source.selection)),
            model_id: model.map(|row| row.id.into()).unwrap_or_default(),
            warnings,
        })
    }

    pub(in crate::api) async fn sync_model(&self, request: pb::SyncModelRequest) -> Answer<pb::Job> {
        let row = self.meant(&request.model, &request.repo_id, &request.kind).await?;
        let revision = revision(&request.revision)?;
        Ok(convert::job(self.hub.models.enqueue_sync(&row, revision.as_ref()).await?))
    }

    /// What somebody wrote to name a repository: an id, or what can be pasted.
    pub(super) fn source(&self, field: &'static str, text: &str, of_kind: &str) -> Answer<Source> {
        let asked = kind("kind", of_kind)?;
        // What only lacks a character or has one too many is told as an id that is wrong.
        let id = match RepoId::parse(text) {
            Err(_) if text.contains([' ', ':']) || text.matches('/').count() > 1 => {
                let ours = [self.about.upstream_url.as_str(), self.about.endpoint.as_str()];
                let source = Source::parse(text, &ours).map_err(|rule| Problem::field(field, rule))?;
                if !of_kind.is_empty() && source.key.kind != asked {
                    let rule = format!("{} is a {}", source.key, source.key.kind.as_str());
                    return Err(Problem::field("kind", rule));
                }
                return Ok(source);
            }
            id => id.map_err(Problem::of(field))?,
        };
        Ok(Source { key: RepoKey::new(asked, id), revision: None, selection: Selection::default() })
    }

    pub(in crate::api) async fn pin_model(&self, request: pb::PinModelRequest) -> Answer<pb::ModelRepo> {
        let row = self.model_named("model", &request.model).await?;
        let every = request.sync_every_seconds;
        check_every(every.unwrap_or(0))?;
        // A request that only changes the schedule leaves the pin alone.
        let pinned = request.pinned.or(every.is_none().then_some(true));
        let row = self.hub.models.pin_model(&row, pinned, every.map(|seconds| seconds * 1000)).await?;
        self.shown(row).await
    }

    pub(in crate::api) async fn verify_model(&self, request: pb::VerifyModelRequest) -> Answer<pb::Job> {
        let row = self.model_named("model", &request.model).await?;
        let selection = selection(request.selection)?;
        revision(&request.revision)?;
        Ok(convert::job(self.hub.models.enqueue_verify(Some((&row, request.revision, selection)), 0).await?))
    }

    pub(in crate::api) async fn evict_model(&self, request: pb::EvictModelRequest) -> Answer<pb::Job> {
        let row = self.model_named("model", &request.model).await?;
        let selection = selection(request.selection)?;
        revision(&request.revision)?;
        Ok(convert::job(
            self.hub
                .models
                .enqueue_evict_model(&row, request.revision, selection, request.include_unrecoverable)
                .await?,
        ))
    }

    pub(in crate::api) async fn plan_model_eviction(
        &self,
        request: pb::EvictModelRequest,
    ) -> Answer<pb::PlanEvictionResponse> {
        let row = self.model_named("model", &request.model).await?;
        let selection = selection(request.selection)?;
        revision(&request.revision)?;
        let plan = self
            .hub
            .models
            .plan_model_eviction(&row, &request.revision, &selection, request.include_unrecoverable)
            .await?;
        Ok(convert::eviction_plan(plan))
    }

    pub(super) async fn shown(&self, row: ModelRow) -> Answer<pb::ModelRepo> {
        let job = self.hub.models.live_job_of(&row.id).await?;
        Ok(convert::model(row, job, &self.about.upstream_url))
    }

    /// The model that a request names in a field.
    pub(super) async fn model_named(&self, field: &'static str, text: &str) -> Answer<ModelRow> {
        if text.is_empty() {
            return Err(Problem::field(field, "no model given; expected an id or namespace/name"));
        }
        if uuid::Uuid::parse_str(text).is_err() {
            RepoKey::parse(text).map_err(Problem::of(field))?;
        }
        Ok(self.hub.models.model(text).await?)
    }

    /// The model of a request that may name it in the path, or by `repo_id` and `kind`.
    pub(super) async fn meant(&self, model: &str, repo_id: &str, of_kind: &str) -> Answer<ModelRow> {
        match (model, repo_id) {
            ("", "") => {
                Err(Problem::field("repo_id", "no model given; expected namespace/name, e.g. Wan-AI/Wan2.1-T2V-1.3B"))
            }
            (model, "") => self.model_named("model", model).await,
            ("", repo_id) => {
                let id = RepoId::parse(repo_id).map_err(Problem::of("repo_id"))?;
                let key = RepoKey::new(kind("kind", of_kind)?, id);
                self.model_named("repo_id", &key.to_string()).await
            }
            _ => Err(Problem::field("repo_id", "repo_id and model mean the same; give only one of them")),
        }
    }
}

fn kind(field: &'static str, text: &str) -> Answer<RepoKind> {
    if text.is_empty() {
        return Ok(RepoKind::Model);
    }
    RepoKind::parse(text)
        .ok_or_else(|| Problem::field(field, format!("unknown kind `{}`; {}", shown(text), RepoKind::EXPECTED)))
}

/// The beginning of what somebody sent, to be shown.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A selection whose every part is valid.
pub(super) fn selection(message: Option<pb::Selection>) -> Answer<Selection> {
    let selection = convert::selection(message)?;
    let wrong = |error: ParseError| {
        Problem::of(if error.is_of("quantisation") { "selection.quantisation" } else { "selection" })(error)
    };
    selection.matcher().map_err(wrong)?;
    Ok(selection)
}

pub(super) fn revision(text: &str) -> Answer<Option<Revision>> {
    (!text.is_empty()).then(|| Revision::parse(text).map_err(Problem::of("revision"))).transpose()
}

fn check_every(seconds: u64) -> Answer<()> {
    if seconds == 0 || (60..=366 * 86_400).contains(&seconds) {
        return Ok(());
    }
    Err(Problem::field(
        "sync_every_seconds",
        format!("invalid value {seconds}; expected 60 or more (up to a year), or 0 for never"),
    ))
}
