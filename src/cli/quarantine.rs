//! `modelhub storage quarantine`: files whose content did not match their hash, listed or removed.

use clap::Args;

use super::call::Call;
use super::client::{read, segment};
use super::failure::Outcome;
use super::format::{ago, bytes, counted};
use super::output::{agree, clean, note};
use super::table::Table;
use crate::pb;

const PATH: &str = "/v1/storage/quarantine";

#[derive(Args)]
pub(super) struct Quarantine {
    /// Remove all of them, for good
    #[arg(long)]
    empty: bool,
    /// Remove this one, for good: its name in the list
    #[arg(long, value_name = "NAME", conflicts_with = "empty")]
    remove: Option<String>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(call: &Call, arguments: Quarantine) -> Outcome {
    if let Some(name) = &arguments.remove {
        let question = format!("Remove {} from quarantine?", clean(name));
        agree(arguments.yes, &question, "nothing was removed")?;
        return removed(call, &format!("{PATH}/{}", segment(name))).await;
    }
    let value = call.client.get(PATH, &[]).await?;
    let quarantine: pb::ListQuarantineResponse = read(&value)?;
    if arguments.empty {
        // Also what somebody else put there is counted, and stays.
        let question = format!(
            "Empty the quarantine, up to {} in {}?",
            bytes(quarantine.bytes),
            counted(quarantine.total, "file")
        );
        agree(arguments.yes, &question, "nothing was removed")?;
        return removed(call, PATH).await;
    }
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let now = call.clock.now();
    let mut table = Table::new(&["~NAME", ">SIZE", "SINCE", "EXPIRES", "~FILE"]);
    for file in &quarantine.files {
        let named = file.named_by.first().map(path_of).unwrap_or_default();
        let foreign = file.content_hash.is_empty();
        table.row([
            (&file.name).into(),
            bytes(file.size_bytes).into(),
            ago(file.quarantined_at.as_ref(), now).into(),
            ago(file.expires_at.as_ref(), now).into(),
            if foreign { "not the hub's: it is never removed".into() } else { named.into() },
        ]);
    }
    call.print_table(&table, "Nothing is in quarantine.")?;
    let shown = quarantine.files.len() as u64;
    if shown < quarantine.total {
        note(&format!("{} not shown.", counted(quarantine.total - shown, "more file")));
    }
    if quarantine.total > 0 {
        call.screen.print(&format!("\n{} in {}", bytes(quarantine.bytes), counted(quarantine.total, "file")))?;
    }
    Ok(())
}

fn path_of(file: &pb::NamedFile) -> String {
    let kind = if file.kind == "model" { String::new() } else { format!("{}/", file.kind) };
    format!("{kind}{}/{}", file.repo_id, file.file_path)
}

async fn removed(call: &Call, path: &str) -> Outcome {
    let value = call.client.delete(path).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let gone: pb::EmptyQuarantineResponse = read(&value)?;
    call.screen.print(&format!("removed {} ({})", counted(gone.files, "file"), bytes(gone.bytes)))
}
