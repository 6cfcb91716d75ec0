//! What is on the disk: scans, verification, eviction, disk usage, and the quarantine.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::json;

use super::call::{Call, KINDS};
use super::client::read;
use super::failure::{Failure, Outcome};
use super::follow::{self, Following};
use super::format::{ago, bytes, count, counted, limit, parse_seconds, parse_size};
use super::models::path_of;
use super::object;
use super::output::{agree, clean, note};
use super::quarantine::{self, Quarantine};
use super::scrub;
use super::selected::{Selected, describe};
use super::table::{Table, fields};
use crate::pb;

#[derive(Args)]
pub(super) struct Scan {
    /// A folder on the hub's machine [default: the store's own folder]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    path: Option<String>,
    /// Show what would be imported, and stop
    #[arg(long, conflicts_with = "detach")]
    preview: bool,
    /// How to place files in the store: auto, reflink, hard_link or copy
    #[arg(long, value_name = "HOW", value_parser = ["auto", "reflink", "hard_link", "copy"])]
    placement: Option<String>,
    /// The repository id, for a folder that does not name it
    #[arg(long, value_name = "ORG/NAME")]
    repo_id: Option<String>,
    /// The kind of repository: model, dataset, space or kernel
    #[arg(long, value_parser = KINDS)]
    kind: Option<String>,
    /// Limit of the reading speed in bytes per second, e.g. 100MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    limit_rate: Option<u64>,
    #[command(flatten)]
    following: Following,
}

pub(super) async fn scan(call: &Call, arguments: Scan) -> Outcome {
    let path = match arguments.path {
        None => String::new(),
        // Relative to this shell; the hub takes absolute ones only.
        Some(path) => {
            let absolute = std::path::absolute(&path).map_err(|error| Failure::usage(format!("{path}: {error}")))?;
            absolute.display().to_string()
        }
    };
    let request = pb::ScanStorageRequest {
        path,
        placement: arguments.placement.unwrap_or_default(),
        repo_id: arguments.repo_id.unwrap_or_default(),
        kind: arguments.kind.unwrap_or_default(),
        bytes_per_second: arguments.limit_rate.unwrap_or(0),
    };
    if !arguments.preview {
        let job = call.client.post("/v1/scans", &request).await?;
        return follow::started(call, job, &arguments.following).await;
    }
    let value = call.client.post("/v1/scans/preview", &request).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let preview: pb::PreviewScanResponse = read(&value)?;
    let mut table = Table::new(&["MODEL", "KIND", "LAYOUT", ">FILES", ">SIZE", "~FOLDER"]);
    for found in &preview.findings {
        table.row([
            (&found.repo_id).into(),
            (&found.kind).into(),
            (&found.layout).into(),
            count(found.files).into(),
            bytes(found.bytes).into(),
            (&found.path).into(),
        ]);
    }
    call.print_table(&table, "No models found in this folder.")?;
    for problem in &preview.problems {
        note(&format!("Note: {}: {}", clean(&problem.path), clean(&problem.text)));
    }
    call.screen.print(&format!("\n{} in {}", bytes(preview.bytes), counted(preview.files, "file")))
}

#[derive(Args)]
pub(super) struct Verify {
    /// The model: its id, org/name, or kind/org/name [default: the whole store]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    model: Option<String>,
    #[command(flatten)]
    selection: Selected,
    /// A branch, tag or commit
    #[arg(long)]
    revision: Option<String>,
    /// Limit of the reading speed in bytes per second when verifying the whole store, e.g. 100MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "model")]
    limit_rate: Option<u64>,
    #[command(flatten)]
    following: Following,
}

pub(super) async fn verify(call: &Call, arguments: Verify) -> Outcome {
    let job = match arguments.model {
        Some(model) => {
            let request = pb::VerifyModelRequest {
                model: model.clone(),
                revision: arguments.revision.unwrap_or_default(),
                selection: Some(arguments.selection.message()?),
            };
            call.client.post(&path_of(&model, "/verify"), &request).await?
        }
        None => {
            needs_model(&arguments.selection.message()?, arguments.revision.as_ref())?;
            let body = json!({"bytes_per_second": arguments.limit_rate.unwrap_or(0)});
            call.client.post("/v1/storage/verify", &body).await?
        }
    };
    follow::started(call, job, &arguments.following).await
}

#[derive(Args)]
pub(super) struct Evict {
    /// The model: its id, org/name, or kind/org/name
    #[arg(required_unless_present_any = ["free", "unused"], value_parser = NonEmptyStringValueParser::new())]
    model: Option<String>,
    #[command(flatten)]
    selection: Selected,
    /// A branch, tag or commit
    #[arg(long)]
    revision: Option<String>,
    /// Instead of a model: free this much space, least recently used files first, e.g. 100GiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "model")]
    free: Option<u64>,
    /// Instead of a model: only files not used for this long, e.g. 30d
    #[arg(long, value_name = "TIME", value_parser = parse_seconds, conflicts_with = "model")]
    unused: Option<u64>,
    /// Also what could not be downloaded again: imported files
    #[arg(long)]
    include_unrecoverable: bool,
    /// Show what would be removed, and stop
    #[arg(long, conflicts_with = "detach")]
    plan: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    following: Following,
}

pub(super) async fn evict(call: &Call, arguments: Evict) -> Outcome {
    let selection = arguments.selection.message()?;
    let include_unrecoverable = arguments.include_unrecoverable;
    let (what, path, body) = match &arguments.model {
        Some(model) => {
            let parts = describe(&selection);
            let parts = if parts.is_empty() { String::new() } else { format!(" ({parts})") };
            let request = pb::EvictModelRequest {
                model: model.clone(),
                revision: arguments.revision.unwrap_or_default(),
                selection: Some(selection),
                include_unrecoverable,
            };
            let body = serde_json::to_value(&request).unwrap_or_default();
            (format!(", of {model}{parts}"), path_of(model, "/evict"), body)
        }
        None => {
            needs_model(&selection, arguments.revision.as_ref())?;
            // To the API, 0 means no limit.
            if arguments.free == Some(0) {
                return Err(Failure::usage(
                    "--free 0: give the amount to free, or use --unused alone to remove everything unused",
                ));
            }
            let (free_bytes, unused_seconds) = (arguments.free.unwrap_or(0), arguments.unused.unwrap_or(0));
            let request = pb::EvictStoreRequest { free_bytes, unused_seconds, include_unrecoverable, only: None };
            (String::new(), "/v1/storage/evict".into(), serde_json::to_value(request).unwrap_or_default())
        }
    };
    let planned = call.client.post(&format!("{path}/plan"), &body).await?;
    let plan: pb::PlanEvictionResponse = read(&planned)?;
    if arguments.plan {
        return show_plan(call, &planned, &plan);
    }
    warn(&plan);
    let question = format!("Remove {}, {}{what}?", counted(plan.files, "file"), bytes(plan.bytes));
    agree(arguments.yes, &clean(&question), "nothing was removed")?;
    let job = call.client.post(&path, &body).await?;
    follow::started(call, job, &arguments.following).await
}

fn show_plan(call: &Call, planned: &serde_json::Value, plan: &pb::PlanEvictionResponse) -> Outcome {
    if call.screen.json {
        return call.screen.print_json(planned);
    }
    call.screen.print(&format!("would remove {} in {}", bytes(plan.bytes), counted(plan.files, "file")))?;
    let nobodys = plan.unreferenced.as_ref().filter(|nobodys| nobodys.files + nobodys.kept_files > 0);
    if !plan.models.is_empty() || nobodys.is_some() {
        let mut table = Table::new(&["~MODEL", ">FILES", ">SIZE", ">UNIQUE", ">LOST", ">KEPT", "USED"]);
        for usage in plan.models.iter().chain(nobodys) {
            let name = if usage.name.is_empty() { "(no model)" } else { &usage.name };
            table.row([
                name.strip_prefix("model/").unwrap_or(name).into(),
                count(usage.files).into(),
                bytes(usage.bytes).into(),
                bytes(usage.own_bytes).into(),
                some(usage.unrecoverable_bytes).into(),
                some(usage.kept_bytes).into(),
                ago(usage.last_used_at.as_ref(), call.clock.now()).into(),
            ]);
        }
        call.screen.print(&format!("\n{}", table.render(&call.screen)))?;
    }
    warn(plan);
    Ok(())
}

/// Says what no download brings back, and what stays for that reason.
fn warn(plan: &pb::PlanEvictionResponse) {
    if plan.unrecoverable_files > 0 {
        let (files, size) = (counted(plan.unrecoverable_files, "file"), bytes(plan.unrecoverable_bytes));
        note(&format!("Warning: {files} of these, {size}, cannot be downloaded again."));
    }
    if plan.kept_files > 0 {
        let (files, size) = (counted(plan.kept_files, "file"), bytes(plan.kept_bytes));
        note(&format!(
            "Note: {files}, {size}, are kept: they could not be downloaded again. --include-unrecoverable removes them too."
        ));
    }
}

/// A size, or nothing where there is none.
fn some(size: u64) -> String {
    if size == 0 { String::new() } else { bytes(size) }
}

fn needs_model(selection: &pb::Selection, revision: Option<&String>) -> Outcome {
    if revision.is_some() || *selection != pb::Selection::default() {
        return Err(Failure::usage("--revision and the file selection require a model"));
    }
    Ok(())
}

#[derive(Args)]
pub(super) struct Storage {
    /// Maximum number of models; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// List the files whose content did not match their hash, or remove them
    Quarantine(Quarantine),
}

pub(super) async fn storage(call: &Call, arguments: Storage) -> Outcome {
    if let Some(Part::Quarantine(arguments)) = arguments.part {
        return quarantine::run(call, arguments).await;
    }
    let value = call.client.get("/v1/storage", &[]).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let storage: pb::GetStorageResponse = read(&value)?;
    let text = fields(
        &call.screen,
        [
            ("stored", format!("{} in {}", bytes(storage.bytes), counted(storage.blobs, "blob")).into()),
            ("quarantined", quarantined(&storage).into()),
            ("limit", used_of_limit(&storage).into()),
            ("disk", format!("{} of {} free", bytes(storage.disk_free), bytes(storage.disk_total)).into()),
            ("incomplete", some(storage.partial_bytes).into()),
            ("unreferenced", some(storage.unreferenced_bytes).into()),
            ("object store", object::state(storage.object_store.as_ref())),
            ("verified", scrub::verified(storage.scrub.as_ref(), storage.blobs, call.clock.now())),
            ("damaged", scrub::damaged(storage.scrub.as_ref())),
        ],
    );
    call.screen.print(&text)?;
    let shown = if arguments.limit == 0 { storage.models.len() } else { arguments.limit.min(storage.models.len()) };
    for (title, list) in [("MODEL", &storage.models[..shown]), ("FORMAT", &storage.formats[..])] {
        if !list.is_empty() {
            call.screen.print(&format!("\n{}", usage(call, title, list)))?;
        }
    }
    if shown < storage.models.len() {
        let more = counted((storage.models.len() - shown) as u64, "more model");
        note(&format!("{more}; use --limit 0 for all."));
    }
    Ok(())
}

/// What is in quarantine, and what to do about it; nothing if it is empty.
fn quarantined(storage: &pb::GetStorageResponse) -> String {
    match storage.quarantine_bytes {
        0 => String::new(),
        size => format!("{}; see modelhub storage quarantine", bytes(size)),
    }
}

fn used_of_limit(storage: &pb::GetStorageResponse) -> String {
    match storage.limit {
        0 => limit(0, ""),
        most => format!("{} of {} used", bytes(storage.used_bytes), bytes(most)),
    }
}

fn usage(call: &Call, title: &'static str, list: &[pb::Usage]) -> String {
    let of_models = title == "MODEL";
    let mut table = if of_models {
        Table::new(&["~MODEL", ">FILES", ">SIZE", ">UNIQUE", "PINNED", "USED"])
    } else {
        Table::new(&[title, ">FILES", ">SIZE"])
    };
    for usage in list {
        let mut cells = vec![
            usage.name.strip_prefix("model/").unwrap_or(&usage.name).into(),
            count(usage.files).into(),
            bytes(usage.bytes).into(),
        ];
        if of_models {
            cells.push(bytes(usage.own_bytes).into());
            cells.push(if usage.pinned { "yes" } else { "" }.into());
            cells.push(ago(usage.last_used_at.as_ref(), call.clock.now()).into());
        }
        table.row(cells);
    }
    table.render(&call.screen)
}
