//! `modelhub download`: look up and register if need be → plan → ask → one job, followed to its end.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

use super::call::{Call, KINDS};
use super::client::read;
use super::failure::{Code, Failure, Outcome};
use super::follow::{self, Following};
use super::format::{bytes, count, counted, parse_size, short};
use super::models::{find, is_plain, named, path_of, qualified};
use super::output::{Tone, clean, confirm, is_attended, note};
use super::selected::Selected;
use super::table::{Cell, Table, fields};
use crate::domain::RepoKey;
use crate::pb;

/// Files of a plan that are named on a terminal.
const NAMED: usize = 20;

/// Flags of `modelhub download`.
#[derive(Args)]
pub(super) struct Arguments {
    /// The repository: org/name, an id, a Hub URL, or a pasted `hf download …`
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    repo: String,
    #[command(flatten)]
    selection: Selected,
    /// A branch, tag or commit
    #[arg(long)]
    revision: Option<String>,
    /// model, dataset, space or kernel
    #[arg(long, value_parser = KINDS)]
    kind: Option<String>,
    /// Priority, 0 to 100: higher goes first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=100))]
    priority: Option<i32>,
    /// Speed limit of this download in bytes per second, e.g. 10MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    limit_rate: Option<u64>,
    /// Show what would be downloaded, and stop
    #[arg(long, conflicts_with = "detach")]
    plan: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    following: Following,
}

pub(super) async fn run(call: &Call, arguments: Arguments) -> Outcome {
    let selection = arguments.selection.message()?;
    let (model, meant) =
        known(call, &arguments.repo, arguments.kind, arguments.revision.clone(), arguments.plan).await?;
    // What a pasted command or address selected, unless it is selected here.
    let selection = if selection == pb::Selection::default() { meant.selection.unwrap_or_default() } else { selection };
    let request = pb::DownloadModelRequest {
        model: model.id.clone(),
        revision: arguments.revision.or(meant.revision).unwrap_or_default(),
        selection: Some(selection),
        priority: arguments.priority,
        bytes_per_second: arguments.limit_rate.unwrap_or(0),
        ..Default::default()
    };
    let value = call.client.post(&path_of(&model.id, "/plan"), &request).await?;
    let plan: pb::DownloadPlan = read(&value)?;
    if arguments.plan {
        return show(call, &value, &plan);
    }
    plan.warnings.iter().for_each(|warning| note(&format!("Note: {}", clean(warning))));
    if plan.files == 0 {
        return Err(Failure::usage("no files match; see modelhub files"));
    }
    let fetch = format!(
        "{}: {}, {} to download, {} free",
        clean(&named(&model)),
        counted(plan.files, "file"),
        bytes(plan.bytes_to_fetch),
        bytes(plan.disk_free)
    );
    let asks = !arguments.yes && is_attended() && plan.bytes_to_fetch > 0;
    if asks && !confirm(&format!("{fetch}. Continue?"))? {
        return Err(Failure::new(Code::Interrupted, "nothing was downloaded"));
    }
    if !plan.fits && !arguments.yes && !asks {
        return Err(Failure::new(Code::Failed, format!("{fetch}: not enough disk space; use --yes to start anyway")));
    }
    let job = call.client.post(&path_of(&model.id, "/download"), &request).await?;
    follow::started(call, job, &arguments.following).await
}

/// What a pasted address or command wanted.
#[derive(Default)]
struct Meant {
    revision: Option<String>,
    selection: Option<pb::Selection>,
}

/// The model that is meant. An unknown one is looked up first, so that a name that upstream does not have
/// leaves nothing behind, and then registered, unless `only_plan`.
async fn known(
    call: &Call,
    repo: &str,
    kind: Option<String>,
    revision: Option<String>,
    only_plan: bool,
) -> Outcome<(pb::ModelRepo, Meant)> {
    let mut source = repo.to_owned();
    if is_plain(repo) {
        source = qualified(repo, kind.as_deref());
        match get(call, &source).await? {
            Some(model) => return Ok((model, Meant::default())),
            None if uuid::Uuid::parse_str(repo).is_ok() => {
                return Err(Failure::new(Code::NotFound, format!("no model with id {repo}")));
            }
            None => source = at_revision(source, revision.as_deref()),
        }
    }
    let found = find(call, &source).await?;
    let meant = Meant { revision: Some(found.revision.clone()), selection: found.selection.clone() };
    if !found.model_id.is_empty()
        && let Some(model) = get(call, &found.model_id).await?
    {
        return Ok((model, meant));
    }
    if only_plan && let Some(model) = get(call, &qualified(&found.repo_id, Some(&found.kind))).await? {
        return Ok((model, meant));
    }
    let request = pb::RegisterModelRequest {
        repo_id: found.repo_id,
        kind: found.kind,
        revision: revision.unwrap_or(found.revision),
        ..Default::default()
    };
    let model: pb::ModelRepo = read(&call.client.post("/v1/models", &request).await?)?;
    note(&format!("Registered {}.", clean(&named(&model))));
    Ok((model, meant))
}

/// A name as it is looked up: a repository may have the requested revision but no main.
fn at_revision(name: String, revision: Option<&str>) -> String {
    match (RepoKey::parse(&name), revision) {
        (Ok(key), Some(revision)) => format!("hf download {} --type {} --revision '{revision}'", key.id, key.kind),
        _ => name,
    }
}

async fn get(call: &Call, model: &str) -> Outcome<Option<pb::ModelRepo>> {
    match call.client.get(&path_of(model, ""), &[]).await {
        Ok(model) => Ok(Some(read(&model)?)),
        Err(failure) if failure.code == Code::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn show(call: &Call, value: &Value, plan: &pb::DownloadPlan) -> Outcome {
    if call.screen.json {
        return call.screen.print_json(value);
    }
    let model = plan.model.as_ref().map(named).unwrap_or_default();
    let fits = if plan.fits { Cell::new("yes", Tone::Good) } else { Cell::new("no", Tone::Bad) };
    let text = fields(
        &call.screen,
        [
            ("model", Cell::new(model, Tone::Strong)),
            ("revision", (&plan.revision).into()),
            ("commit", short(&plan.commit).into()),
            ("selected", format!("{} in {}", bytes(plan.bytes), counted(plan.files, "file")).into()),
            ("cached", format!("{} in {}", bytes(plan.bytes_here), counted(plan.files_here, "file")).into()),
            ("to download", bytes(plan.bytes_to_fetch).into()),
            ("free", bytes(plan.disk_free).into()),
            ("fits", fits),
        ],
    );
    call.screen.print(&text)?;
    let mut table = Table::new(&["~LARGEST FILES", ">SIZE", "STATUS"]);
    for file in plan.largest.iter().take(NAMED) {
        let here = file.download_status() == pb::model_artifact::DownloadStatus::Completed;
        let status = if here { Cell::new("cached", Tone::Good) } else { Cell::new("to download", Tone::Plain) };
        table.row([(&file.file_path).into(), bytes(file.size_bytes).into(), status]);
    }
    if !table.is_empty() {
        call.screen.print(&format!("\n{}", table.render(&call.screen)))?;
    }
    if plan.files > NAMED as u64 {
        call.screen.print(&format!("… and {} more", count(plan.files - NAMED as u64)))?;
    }
    plan.warnings.iter().for_each(|warning| note(&format!("Note: {}", clean(warning))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_at_the_revision_that_is_meant() {
        assert_eq!(at_revision("org/name".into(), None), "org/name");
        let command = "hf download org/name --type dataset --revision 'v1'";
        assert_eq!(at_revision("dataset/org/name".into(), Some("v1")), command);
    }
}
