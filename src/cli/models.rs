//! Models: register, look up, list, show, forget, pin, sync.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use super::call::{Call, KINDS};
use super::client::{read, segment};
use super::failure::{Code, Failure, Outcome};
use super::follow::{self, Following};
use super::format::{ago, bytes, count, counted, parse_seconds, short, span};
use super::output::{Tone, agree, clean, note};
use super::selected::describe;
use super::table::{Cell, Table, fields};
use crate::domain::{RepoKey, Revision};
use crate::pb;

/// Orders of a list; with a - the other way round.
const ORDERS: [&str; 8] = ["name", "-name", "size", "-size", "used", "-used", "created", "-created"];

/// The path of a model, or of something of it.
pub(super) fn path_of(model: &str, rest: &str) -> String {
    format!("/v1/models/{}{rest}", segment(model))
}

/// A model as the API takes it; `datasets/org/name` is how addresses have it.
pub(super) fn qualified(repo: &str, kind: Option<&str>) -> String {
    match kind {
        Some(kind) if uuid::Uuid::parse_str(repo).is_err() && !repo.starts_with(&format!("{kind}/")) => {
            format!("{kind}/{repo}")
        }
        _ => repo.to_owned(),
    }
}

#[derive(Args)]
pub(super) struct Register {
    /// The repository: org/name, a Hub URL, or a pasted `hf download …`
    #[arg(value_name = "REPO", value_parser = NonEmptyStringValueParser::new())]
    source: String,
    /// model, dataset, space or kernel
    #[arg(long, value_parser = KINDS)]
    kind: Option<String>,
    /// A branch, tag or commit
    #[arg(long)]
    revision: Option<String>,
    /// Sync this often, e.g. 12h; 0 for manual sync only
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    sync_every: Option<u64>,
    #[command(flatten)]
    following: Following,
}

pub(super) async fn register(call: &Call, arguments: Register) -> Outcome {
    let request = registration(call, &arguments.source, arguments.kind, arguments.revision).await?;
    let request = pb::RegisterModelRequest { sync_every_seconds: arguments.sync_every.unwrap_or(0), ..request };
    let mut value = call.client.post("/v1/models", &request).await?;
    let mut model: pb::ModelRepo = read(&value)?;
    if !arguments.following.detach && !model.active_job_id.is_empty() {
        follow::to_end(call, &model.active_job_id).await?;
        value = call.client.get(&path_of(&model.id, ""), &[]).await?;
        model = read(&value)?;
    }
    match call.screen.json {
        true => call.screen.print_json(&value)?,
        false => call.screen.print(&details(call, &model))?,
    }
    if model.status() == pb::model_repo::Status::Error {
        return Err(Failure::new(Code::Failed, format!("registered, but the sync failed: {}", clean(&model.problem))));
    }
    Ok(())
}

/// The request that a repository, an address or a command means.
pub(super) async fn registration(
    call: &Call,
    source: &str,
    kind: Option<String>,
    revision: Option<String>,
) -> Outcome<pb::RegisterModelRequest> {
    let mut request = pb::RegisterModelRequest {
        repo_id: source.to_owned(),
        kind: kind.clone().unwrap_or_default(),
        revision: revision.clone().unwrap_or_default(),
        ..Default::default()
    };
    if !is_plain(source) {
        let found = find(call, source).await?;
        request.repo_id = found.repo_id;
        request.kind = kind.unwrap_or(found.kind);
        // What names no revision leaves a registered model's as it is.
        let named = (found.revision != Revision::DEFAULT).then_some(found.revision);
        request.revision = revision.or(named).unwrap_or_default();
    } else if kind.is_none()
        && let Ok(key) = RepoKey::parse(source)
    {
        (request.kind, request.repo_id) = (key.kind.as_str().into(), key.id.to_string());
    }
    Ok(request)
}

/// Whether a text is a name or an id; the hub itself takes everything else apart.
pub(super) fn is_plain(source: &str) -> bool {
    let of_the_hub = ["huggingface.co/", "hf.co/"].iter().any(|host| source.starts_with(host));
    uuid::Uuid::parse_str(source).is_ok() || (!of_the_hub && RepoKey::parse(source).is_ok())
}

/// What a name, an address or a command means, and that upstream has it.
pub(super) async fn find(call: &Call, source: &str) -> Outcome<pb::LookUpModelResponse> {
    read(&call.client.post("/v1/lookup", &json!({"source": source})).await?)
}

#[derive(Args)]
pub(super) struct LookUp {
    /// org/name, a Hub URL, or a pasted `hf download …`
    #[arg(value_name = "REPO", value_parser = NonEmptyStringValueParser::new())]
    source: String,
}

pub(super) async fn look_up(call: &Call, arguments: LookUp) -> Outcome {
    let value = call.client.post("/v1/lookup", &json!({"source": arguments.source})).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let found: pb::LookUpModelResponse = read(&value)?;
    let registered = if found.model_id.is_empty() { "no" } else { "yes" };
    let text = fields(
        &call.screen,
        [
            ("repository", (&found.repo_id).into()),
            ("kind", (&found.kind).into()),
            ("revision", (&found.revision).into()),
            ("commit", short(&found.commit).into()),
            ("visibility", (&found.visibility).into()),
            ("size", format!("{} in {}", bytes(found.bytes), counted(found.files, "file")).into()),
            ("licence", (&found.licence).into()),
            ("task", (&found.task).into()),
            ("registered", registered.into()),
            ("selection", found.selection.as_ref().map(describe).unwrap_or_default().into()),
        ],
    );
    call.screen.print(&text)?;
    for (title, list) in [("FORMAT", &found.formats), ("QUANTISATION", &found.quantisations)] {
        let mut table = Table::new(&[title, ">FILES", ">SIZE"]);
        list.iter().for_each(|usage| {
            table.row([(&usage.name).into(), count(usage.files).into(), bytes(usage.bytes).into()]);
        });
        if !table.is_empty() {
            call.screen.print(&format!("\n{}", table.render(&call.screen)))?;
        }
    }
    found.warnings.iter().for_each(|warning| note(&format!("Note: {}", clean(warning))));
    Ok(())
}

#[derive(Args)]
pub(super) struct List {
    /// Only models whose name contains this
    search: Option<String>,
    /// model, dataset, space or kernel
    #[arg(long, value_parser = KINDS)]
    kind: Option<String>,
    /// registered, synced or error
    #[arg(long, value_parser = ["registered", "synced", "error"])]
    status: Option<String>,
    /// How much is downloaded: none, partial or complete
    #[arg(long, value_name = "HOW_MUCH", value_parser = ["none", "partial", "complete"])]
    download: Option<String>,
    /// Only pinned models
    #[arg(long)]
    pinned: bool,
    /// Sort by name, size, used or created; with a leading - in descending order
    #[arg(long, allow_hyphen_values = true, value_parser = ORDERS)]
    order: Option<String>,
    /// Maximum number of models
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

pub(super) async fn list(call: &Call, arguments: List) -> Outcome {
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(arguments.search.map(|text| ("search", text)));
    query.extend(arguments.kind.map(|text| ("kind", text)));
    query.extend(arguments.status.map(|text| ("status", text)));
    query.extend(arguments.download.map(|text| ("download", text)));
    query.extend(arguments.order.map(|text| ("order", text)));
    query.extend(arguments.pinned.then(|| ("pinned", "true".to_owned())));
    let (models, more) = call.client.list("/v1/models", "models", &query, arguments.limit).await?;
    if more {
        note(&format!("Showing the first {}; there are more.", models.len()));
    }
    if call.screen.json {
        return call.screen.print_json(&Value::Array(models));
    }
    let mut table = Table::new(&["~MODEL", "STATUS", "DOWNLOADED", ">FILES", ">SIZE", "PINNED", "USED"]);
    for value in &models {
        let model: pb::ModelRepo = read(value)?;
        table.row([
            named(&model).into(),
            status_cell(&model),
            here_cell(&model),
            format!("{}/{}", count(model.files_here), count(model.files)).into(),
            bytes(model.bytes).into(),
            if model.pinned { "yes".into() } else { "".into() },
            ago(model.last_used_at.as_ref(), call.clock.now()).into(),
        ]);
    }
    call.print_table(&table, "No models match. To register one: modelhub register org/name")
}

#[derive(Args)]
pub(super) struct Model {
    /// The model: its id, org/name, or kind/org/name
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    model: String,
}

pub(super) async fn show(call: &Call, arguments: Model) -> Outcome {
    let value = call.client.get(&path_of(&arguments.model, ""), &[]).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let model: pb::ModelRepo = read(&value)?;
    call.screen.print(&details(call, &model))?;
    let revisions = call.client.get(&path_of(&model.id, "/revisions"), &[]).await?;
    let revisions: pb::ListRevisionsResponse = read(&revisions)?;
    let mut table = Table::new(&["REVISION", "COMMIT", "CHECKED", "LISTED"]);
    for revision in &revisions.revisions {
        table.row([
            (&revision.name).into(),
            short(&revision.commit).into(),
            ago(revision.checked_at.as_ref(), call.clock.now()).into(),
            if revision.listed { "yes".into() } else { "no".into() },
        ]);
    }
    if table.is_empty() { Ok(()) } else { call.screen.print(&format!("\n{}", table.render(&call.screen))) }
}

#[derive(Args)]
pub(super) struct Forget {
    /// The model: its id, org/name, or kind/org/name
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    model: String,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn forget(call: &Call, arguments: Forget) -> Outcome {
    let question = format!("Remove {} from the list? Its files stay until they are evicted.", clean(&arguments.model));
    agree(arguments.yes, &question, "nothing was changed")?;
    let value = call.client.delete(&path_of(&arguments.model, "")).await?;
    if call.screen.json { call.screen.print_json(&value) } else { call.screen.print("forgotten") }
}

#[derive(Args)]
pub(super) struct Pin {
    /// The model: its id, org/name, or kind/org/name
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    model: String,
    /// Also sync it this often, e.g. 12h; 0 for manual sync only
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    sync_every: Option<u64>,
}

pub(super) async fn pin(call: &Call, arguments: Pin) -> Outcome {
    set_pin(call, &arguments.model, true, arguments.sync_every).await
}

pub(super) async fn unpin(call: &Call, arguments: Model) -> Outcome {
    set_pin(call, &arguments.model, false, None).await
}

async fn set_pin(call: &Call, model: &str, pinned: bool, sync_every: Option<u64>) -> Outcome {
    let request = pb::PinModelRequest { model: model.to_owned(), pinned: Some(pinned), sync_every_seconds: sync_every };
    let value = call.client.post(&path_of(model, "/pin"), &request).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let model: pb::ModelRepo = read(&value)?;
    let what = if pinned { "pinned and will not be evicted" } else { "not pinned" };
    call.screen.print(&format!("{} is {what}", clean(&named(&model))))
}

#[derive(Args)]
pub(super) struct Sync {
    /// The model: its id, org/name, or kind/org/name
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    model: String,
    /// A branch, tag or commit
    #[arg(long)]
    revision: Option<String>,
    #[command(flatten)]
    following: Following,
}

pub(super) async fn sync(call: &Call, arguments: Sync) -> Outcome {
    let request = pb::SyncModelRequest {
        model: arguments.model.clone(),
        revision: arguments.revision.unwrap_or_default(),
        ..Default::default()
    };
    let job = call.client.post(&path_of(&arguments.model, "/sync"), &request).await?;
    follow::started(call, job, &arguments.following).await
}

/// The name of a model; models themselves go without their kind.
pub(super) fn named(model: &pb::ModelRepo) -> String {
    if model.kind == "model" { model.repo_id.clone() } else { format!("{}/{}", model.kind, model.repo_id) }
}

fn status_cell(model: &pb::ModelRepo) -> Cell {
    use pb::model_repo::Status;
    let tone = match model.status() {
        Status::Error => Tone::Bad,
        Status::Registered => Tone::Warning,
        _ => Tone::Plain,
    };
    Cell::new(model.status().as_str_name(), tone)
}

fn here_cell(model: &pb::ModelRepo) -> Cell {
    use pb::model_repo::Download;
    let tone = match model.download() {
        Download::Complete => Tone::Good,
        Download::Partial => Tone::Warning,
        _ => Tone::Faint,
    };
    Cell::new(model.download().as_str_name(), tone)
}

fn details(call: &Call, model: &pb::ModelRepo) -> String {
    let now = call.clock.now();
    let every = if model.sync_every_seconds == 0 { "manual".into() } else { span(model.sync_every_seconds) };
    let here = format!(
        "{} of {}, {} of {}",
        count(model.files_here),
        counted(model.files, "file"),
        bytes(model.bytes_here),
        bytes(model.bytes)
    );
    fields(
        &call.screen,
        [
            ("model", Cell::new(named(model), Tone::Strong)),
            ("id", (&model.id).into()),
            ("status", status_cell(model)),
            ("problem", Cell::new(&model.problem, Tone::Bad)),
            ("visibility", (&model.visibility).into()),
            ("source", (&model.source).into()),
            ("revision", (&model.revision).into()),
            ("commit", short(&model.commit).into()),
            ("on disk", here.into()),
            ("pinned", if model.pinned { "yes" } else { "no" }.into()),
            ("synced", ago(model.synced_at.as_ref(), now).into()),
            ("sync", every.into()),
            ("last used", ago(model.last_used_at.as_ref(), now).into()),
            ("active job", (&model.active_job_id).into()),
            ("upstream", (&model.url).into()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_in_one_segment_of_the_address() {
        assert_eq!(path_of("dataset/org/files", "/files"), "/v1/models/dataset%2Forg%2Ffiles/files");
        assert_eq!(qualified("org/name", Some("dataset")), "dataset/org/name");
        assert_eq!(qualified("dataset/org/name", Some("dataset")), "dataset/org/name");
        assert_eq!(qualified("org/name", None), "org/name");
        assert!(is_plain("org/name") && is_plain("datasets/org/name") && is_plain("black.forest/flux"));
        for pasted in ["huggingface.co/org/name", "hf.co/gpt2", "hf://org/name", "hf download x", "../etc"] {
            assert!(!is_plain(pasted), "{pasted}");
        }
    }
}
