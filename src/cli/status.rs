//! `overview`, `system` and `healthcheck`: how the hub and its machine are doing.

use super::call::Call;
use super::client::read;
use super::failure::Outcome;
use super::format::{ago, bytes, count, counted, span};
use super::output::Tone;
use super::scrub;
use super::table::{Cell, Table, fields};
use crate::pb;

pub(super) async fn overview(call: &Call) -> Outcome {
    let value = call.client.get("/v1/overview", &[]).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let overview: pb::Overview = read(&value)?;
    let now = call.clock.now();
    let failed = match overview.jobs_failed {
        0 => Cell::from("0"),
        failed => Cell::new(count(failed), Tone::Bad),
    };
    let jobs = format!("{} running, {} waiting", count(overview.jobs_active), count(overview.jobs_waiting));
    let verified = scrub::verified(overview.scrub.as_ref(), overview.blobs, now);
    let text = fields(
        &call.screen,
        [
            ("version", overview.version.into()),
            ("uptime", span(overview.uptime_seconds).into()),
            ("HF_ENDPOINT", overview.endpoint.into()),
            ("upstream", upstream_cell(overview.upstream.as_ref(), now)),
            ("proxy", proxy_cell(overview.upstream.as_ref())),
            ("models", count(overview.models).into()),
            ("stored", format!("{} in {}", bytes(overview.bytes_stored), counted(overview.blobs, "blob")).into()),
            ("used", bytes(overview.bytes_used).into()),
            ("shared", bytes(overview.bytes_shared).into()),
            ("to clients", bytes(overview.bytes_to_clients).into()),
            ("from upstream", bytes(overview.bytes_from_upstream).into()),
            ("saved", bytes(overview.bytes_saved).into()),
            ("hit rate", format!("{:.0}%", overview.hit_ratio * 100.0).into()),
            ("disk", format!("{} of {} free", bytes(overview.disk_free), bytes(overview.disk_total)).into()),
            ("verified", verified),
            ("damaged", scrub::damaged(overview.scrub.as_ref())),
            ("jobs", jobs.into()),
            ("failed jobs", failed),
        ],
    );
    call.screen.print(&text)?;
    let mut table = Table::new(&["TIME", "…EVENT"]);
    for activity in overview.recent.iter().take(10) {
        table.row([Cell::new(ago(activity.at.as_ref(), now), Tone::Faint), (&activity.text).into()]);
    }
    if table.is_empty() { Ok(()) } else { call.screen.print(&format!("\n{}", table.render(&call.screen))) }
}

/// Whether the hub serves, as its own `/readyz` says: the exit code is for those who start and watch containers.
pub(super) async fn healthcheck(call: &Call) -> Outcome {
    call.client.check_ready().await?;
    if call.screen.json {
        call.screen.print_json(&serde_json::json!({"ready": true}))
    } else {
        call.screen.print("ready")
    }
}

fn upstream_cell(upstream: Option<&pb::Upstream>, now: i64) -> Cell {
    use pb::upstream::State;
    let Some(upstream) = upstream else { return "".into() };
    let (words, tone) = match upstream.state() {
        State::Ok => ("reachable".into(), Tone::Good),
        State::RateLimited => {
            (format!("rate-limited, retrying {}", ago(upstream.limited_until.as_ref(), now)), Tone::Warning)
        }
        State::Down => ("unreachable".into(), Tone::Bad),
        State::TokenRefused => ("refuses the hub's own token (modelhub settings token)".into(), Tone::Bad),
        State::Offline => ("not used (offline mode)".into(), Tone::Warning),
        State::Unspecified => (String::new(), Tone::Plain),
    };
    Cell::new(format!("{} {words}", upstream.url), tone)
}

fn proxy_cell(upstream: Option<&pb::Upstream>) -> Cell {
    match upstream.filter(|upstream| !upstream.proxy.is_empty()) {
        Some(upstream) => format!("{} ({})", upstream.proxy, upstream.proxy_source).into(),
        None => "none".into(),
    }
}

pub(super) async fn system(call: &Call) -> Outcome {
    let value = call.client.get("/v1/system", &[]).await?;
    if call.screen.json {
        return call.screen.print_json(&value);
    }
    let system: pb::System = read(&value)?;
    let load: Vec<_> = system.load_average.iter().map(|load| format!("{load:.2}")).collect();
    let text = fields(
        &call.screen,
        [
            ("host", (&system.hostname).into()),
            ("system", format!("{} {}", system.os, system.kernel).trim().into()),
            ("processor", format!("{} ({})", system.cpu, counted(system.cores.into(), "core")).into()),
            ("load", load.join(" ").into()),
            (
                "memory",
                format!("{} of {} available", bytes(system.memory_available), bytes(system.memory_total)).into(),
            ),
            ("uptime", span(system.uptime_seconds).into()),
            ("database", (&system.database).into()),
            ("driver", (&system.driver_version).into()),
            ("CUDA", (&system.cuda_version).into()),
            ("GPUs", Cell::new(&system.gpu_problem, Tone::Faint)),
        ],
    );
    call.screen.print(&text)?;
    for table in [gpus(&system), disks(&system), workers(call, &system)] {
        if !table.is_empty() {
            call.screen.print(&format!("\n{}", table.render(&call.screen)))?;
        }
    }
    Ok(())
}

fn gpus(system: &pb::System) -> Table {
    let mut table = Table::new(&[">GPU", "~NAME", ">MEMORY", ">FREE", ">USE", ">TEMPERATURE", ">POWER", ">PROCESSES"]);
    for gpu in &system.gpus {
        let power = match (gpu.power_watts, gpu.power_limit_watts) {
            (Some(now), Some(most)) => format!("{now:.0} of {most:.0} W"),
            (Some(now), None) => format!("{now:.0} W"),
            _ => String::new(),
        };
        table.row([
            gpu.index.to_string().into(),
            (&gpu.name).into(),
            bytes(gpu.memory_total).into(),
            bytes(gpu.memory_free).into(),
            gpu.utilisation_percent.map(|share| format!("{share} %")).unwrap_or_default().into(),
            gpu.temperature_celsius.map(|degrees| format!("{degrees} °C")).unwrap_or_default().into(),
            power.into(),
            gpu.processes.to_string().into(),
        ]);
    }
    table
}

fn disks(system: &pb::System) -> Table {
    let mut table = Table::new(&["~DISK", "FILESYSTEM", ">SIZE", ">FREE", "STORE"]);
    for disk in &system.disks {
        let store = if disk.store { Cell::new("yes", Tone::Good) } else { "".into() };
        table.row([
            (&disk.mount_point).into(),
            (&disk.filesystem).into(),
            bytes(disk.total).into(),
            bytes(disk.available).into(),
            store,
        ]);
    }
    table
}

fn workers(call: &Call, system: &pb::System) -> Table {
    let mut table = Table::new(&["WORKER", "HOST", "ADDRESS", ">JOBS", "SEEN", "STATE"]);
    for worker in &system.workers {
        let state = if worker.alive { Cell::new("alive", Tone::Good) } else { Cell::new("lost", Tone::Bad) };
        let address = if worker.address.is_empty() { "in the server" } else { &worker.address };
        table.row([
            (&worker.id).into(),
            (&worker.hostname).into(),
            address.into(),
            worker.running.to_string().into(),
            ago(worker.seen_at.as_ref(), call.clock.now()).into(),
            state,
        ]);
    }
    table
}
