//! What is in models: files, the text of one, facts, tensors.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

use super::call::Call;
use super::client::read;
use super::failure::{Failure, Outcome};
use super::format::{bytes, count, magnitude, short};
use super::models::path_of;
use super::output::{Tone, clean, clean_lines, note};
use super::table::{Cell, Table, fields};
use crate::pb;

const TYPES: [&str; 8] = ["model", "config", "tokenizer", "dataset", "code", "media", "document", "other"];

#[derive(Args)]
pub(super) struct Files {
    /// The model: its id, org/name, or kind/org/name
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    model: String,
    /// A folder, or with --text a file
    path: Option<String>,
    /// A branch, tag or commit
    #[arg(long)]
    revision: Option<String>,
    /// List files at every depth, without folders
    #[arg(long)]
    flat: bool,
    /// Only files whose path contains this (implies --flat)
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// model, config, tokenizer, dataset, code, media, document or other (implies --flat)
    #[arg(long = "type", value_name = "TYPE", value_parser = TYPES)]
    file_type: Option<String>,
    /// completed: only cached files; pending: only the others (implies --flat)
    #[arg(long, value_name = "STATUS", value_parser = ["completed", "pending"])]
    status: Option<String>,
    /// Maximum number of files
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print the text of a small file, e.g. README.md
    #[arg(long, conflicts_with_all = ["flat", "search", "file_type", "status", "limit"])]
    text: bool,
}

pub(super) async fn files(call: &Call, arguments: Files) -> Outcome {
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(arguments.revision.map(|text| ("revision", text)));
    query.extend(arguments.path.clone().map(|text| ("path", text)));
    if arguments.text {
        if arguments.path.is_none() {
            return Err(Failure::usage("--text requires a file, e.g. modelhub files org/name README.md --text"));
        }
        return text(call, &arguments.model, &query).await;
    }
    let narrowed = arguments.search.is_some() || arguments.file_type.is_some() || arguments.status.is_some();
    query.extend((arguments.flat || narrowed).then(|| ("flat", "true".to_owned())));
    query.extend(arguments.search.map(|text| ("search", text)));
    query.extend(arguments.file_type.map(|text| ("file_type", text)));
    query.extend(arguments.status.map(|text| ("download_status", text)));
    let path = path_of(&arguments.model, "/files");
    let (files, more) = call.client.list(&path, "files", &query, arguments.limit).await?;
    if more {
        note(&format!("Showing the first {}; there are more.", files.len()));
    }
    if call.screen.json {
        return call.screen.print_json(&Value::Array(files));
    }
    let mut table = Table::new(&["~PATH", "TYPE", ">SIZE", "STATUS", "HASH"]);
    for value in &files {
        let file: pb::ModelArtifact = read(value)?;
        let is_folder = file.entry() == pb::model_artifact::Entry::Folder;
        let kind = match (is_folder, file.can_run_code) {
            (true, _) => format!("{}/{} files", count(file.files_here), count(file.files)),
            (false, true) => format!("{} (can run code)", file.file_type),
            (false, false) => file.file_type.clone(),
        };
        let path = if is_folder { format!("{}/", file.file_path) } else { file.file_path.clone() };
        table.row([
            Cell::new(path, if is_folder { Tone::Strong } else { Tone::Plain }),
            kind.into(),
            bytes(file.size_bytes).into(),
            status(&file),
            short(&file.content_hash).into(),
        ]);
    }
    call.print_table(&table, "No files match.")
}

fn status(file: &pb::ModelArtifact) -> Cell {
    use pb::model_artifact::DownloadStatus;
    match file.download_status() {
        DownloadStatus::Completed => Cell::new("cached", Tone::Good),
        DownloadStatus::Downloading => Cell::new(format!("{} downloaded", bytes(file.bytes_here)), Tone::Warning),
        DownloadStatus::Partial => Cell::new("partial", Tone::Warning),
        DownloadStatus::Failed => Cell::new("failed", Tone::Bad),
        _ => Cell::new("not cached", Tone::Faint),
    }
}

async fn text(call: &Call, model: &str, query: &[(&str, String)]) -> Outcome {
    let value = call.client.get(&path_of(model, "/content"), query).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let file: pb::ReadFileResponse = read(&value)?;
    call.screen.print(&clean_lines(&file.text))?;
    if file.truncated {
        note(&format!("Truncated; the file is {} in size.", bytes(file.size_bytes)));
    }
    Ok(())
}

#[derive(Args)]
pub(super) struct Facts {
    /// The model: its id, org/name, or kind/org/name
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    model: String,
    /// A file of weights, meant with all its parts, or a folder to look at alone; with --tensors a file
    path: Option<String>,
    /// A branch, tag or commit
    #[arg(long)]
    revision: Option<String>,
    /// Context length in tokens for the memory estimate
    #[arg(long, value_name = "TOKENS")]
    context: Option<u64>,
    /// List the tensors and metadata of one stored safetensors or GGUF file
    #[arg(long, conflicts_with = "context")]
    tensors: bool,
}

pub(super) async fn facts(call: &Call, arguments: Facts) -> Outcome {
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(arguments.revision.map(|text| ("revision", text)));
    query.extend(arguments.path.clone().map(|text| ("path", text)));
    query.extend(arguments.context.map(|tokens| ("context", tokens.to_string())));
    if arguments.tensors {
        if arguments.path.is_none() {
            return Err(Failure::usage(
                "--tensors requires a file, e.g. modelhub facts org/name model.safetensors --tensors",
            ));
        }
        return tensors(call, &arguments.model, &query).await;
    }
    let value = call.client.get(&path_of(&arguments.model, "/facts"), &query).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let facts: pb::ModelFacts = read(&value)?;
    let number = |value: u64| if value == 0 { String::new() } else { count(value) };
    let parameters = if facts.parameters == 0 {
        String::new()
    } else {
        format!("{} ({})", magnitude(facts.parameters), count(facts.parameters))
    };
    let dtypes: Vec<_> = facts.dtypes.iter().map(|d| format!("{} {}", d.name, magnitude(d.parameters))).collect();
    let heads = match facts.kv_heads {
        0 => number(facts.attention_heads),
        kv => format!("{} ({kv} KV heads)", number(facts.attention_heads)),
    };
    let experts = match facts.experts_used {
        0 => number(facts.experts),
        used => format!("{} ({used} used for a token)", number(facts.experts)),
    };
    let window = match facts.sliding_window {
        0 => String::new(),
        tokens => format!("{} tokens", count(tokens)),
    };
    let cache = match facts.kv_cache_bytes {
        None => String::new(),
        Some(0) => "none".to_owned(),
        Some(size) => format!("{} for {} tokens", bytes(size), count(facts.context)),
    };
    let memory = if facts.memory_bytes == 0 {
        "unknown".to_owned()
    } else {
        format!("{} with a context of {} tokens", bytes(facts.memory_bytes), count(facts.context))
    };
    let component = |c: &pb::Component| {
        let parameters = (c.parameters > 0).then(|| format!("{} parameters", magnitude(c.parameters)));
        let size = (c.weight_bytes > 0).then(|| bytes(c.weight_bytes));
        let class = (!c.class_name.is_empty()).then(|| c.class_name.clone());
        let words: Vec<_> = [class, parameters, size].into_iter().flatten().collect();
        format!("{}: {}", c.name, words.join(", "))
    };
    let components: Vec<_> = facts.components.iter().map(component).collect();
    let adapter = facts.adapter.as_ref().map_or_else(String::new, |adapter| {
        let kind = if adapter.kind.is_empty() { "adapter" } else { &adapter.kind };
        let base = if adapter.base_model.is_empty() { "an unknown model" } else { &adapter.base_model };
        let rank = (adapter.rank > 0).then(|| format!("rank {}", adapter.rank));
        let parameters = (adapter.parameters > 0).then(|| format!("{} parameters", magnitude(adapter.parameters)));
        let size = (adapter.weight_bytes > 0).then(|| bytes(adapter.weight_bytes));
        let words: Vec<_> =
            [Some(format!("{kind} for {base}")), rank, parameters, size].into_iter().flatten().collect();
        words.join(", ")
    });
    let text = fields(
        &call.screen,
        [
            ("architecture", (&facts.architecture).into()),
            ("type", (&facts.model_type).into()),
            ("task", (&facts.task).into()),
            ("licence", (&facts.licence).into()),
            ("parameters", parameters.into()),
            ("data types", dtypes.join(", ").into()),
            ("quantisation", (&facts.quantisation).into()),
            ("context", number(facts.context_length).into()),
            ("layers", number(facts.layers).into()),
            ("hidden size", number(facts.hidden_size).into()),
            ("attention heads", heads.into()),
            ("experts", experts.into()),
            ("sliding window", window.into()),
            ("vocabulary", number(facts.vocab_size).into()),
            ("tokenizer", (&facts.tokenizer).into()),
            ("chat template", if facts.chat_template { "yes" } else { "" }.into()),
            ("components", components.join("; ").into()),
            ("adapter", adapter.into()),
            ("weights", if facts.weight_bytes == 0 { String::new() } else { bytes(facts.weight_bytes) }.into()),
            ("KV cache", cache.into()),
            ("memory", memory.into()),
            ("tags", facts.tags.join(", ").into()),
            ("sources", facts.read.join(", ").into()),
            ("commit", short(&facts.commit).into()),
        ],
    );
    call.screen.print(&text)?;
    for fit in &facts.fits {
        let (word, tone) = if fit.fits { ("fits", Tone::Good) } else { ("does not fit", Tone::Bad) };
        let free = format!("{} of {} free", bytes(fit.memory_free), bytes(fit.memory_total));
        call.screen.print(&format!("GPU {}: {} ({free})", fit.gpu, call.screen.paint(word, tone)))?;
    }
    if facts.gpus_needed > 1 {
        call.screen.print(&format!("Fits on {} GPUs together.", facts.gpus_needed))?;
    }
    facts.problems.iter().for_each(|problem| note(&format!("Note: {}", clean(problem))));
    Ok(())
}

async fn tensors(call: &Call, model: &str, query: &[(&str, String)]) -> Outcome {
    let path = path_of(model, "/tensors");
    let first: pb::ListTensorsResponse =
        read(&call.client.get(&path, &[query, &[("page_size", "1".into())]].concat()).await?)?;
    let (tensors, _) = call.client.list(&path, "tensors", query, None).await?;
    if call.screen.json {
        return call.screen.print_json(&Value::Array(tensors));
    }
    let mut table = Table::new(&["KEY", "~VALUE"]);
    for entry in &first.metadata {
        let value: String = entry.value.chars().take(200).collect();
        table.row([(&entry.key).into(), value.into()]);
    }
    if !table.is_empty() {
        call.screen.print(&format!("{}\n", table.render(&call.screen)))?;
    }
    let mut table = Table::new(&["~TENSOR", "TYPE", "SHAPE", ">SIZE"]);
    for value in &tensors {
        let tensor: pb::Tensor = read(value)?;
        let shape: Vec<_> = tensor.shape.iter().map(u64::to_string).collect();
        table.row([tensor.name.into(), tensor.dtype.into(), shape.join(" × ").into(), bytes(tensor.size_bytes).into()]);
    }
    call.print_table(&table, "The file has no tensors.")
}
