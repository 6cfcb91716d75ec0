//! The checks that ask a running hub.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::json;

use super::Report;
use crate::cli::client::{Client, is_local, read};
use crate::cli::failure::{Code, Outcome};
use crate::cli::format::{bytes, counted, span};
use crate::cli::{object, scrub};
use crate::config::Config;
use crate::domain::Clock;
use crate::pb;

/// Clocks further apart than this are worth a warning; leases and tokens begin to suffer.
const CLOCKS_APART: u64 = 5;
/// Less room than this is a failure, whatever the disk's size.
const LEAST_ROOM: u64 = 1 << 30;

/// Compares the hub's clock with this machine's, which is the same one if the hub runs here.
pub(super) fn clock(report: &mut Report, client: &Client, answer: &reqwest::Response, clock: &Clock) {
    let date = answer.headers().get("date").and_then(|value| value.to_str().ok());
    let Some(date) = date.and_then(|text| httpdate::parse_http_date(text).ok()) else { return };
    let there = date.duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let here = u64::try_from(clock.now() / 1000).unwrap_or(0);
    let apart = here.abs_diff(there);
    if apart <= CLOCKS_APART && is_local(client.base()) {
        report.ok("clock", "the hub runs on this machine; nothing to compare with");
    } else if apart <= CLOCKS_APART {
        report.ok("clock", "in sync with the hub");
    } else {
        let text = format!("differs from the hub's by {}", span(apart));
        report.warn("clock", text, "synchronize both clocks, e.g. with systemd-timesyncd or chrony");
    }
}

/// Runs all checks of the hub; returns the URL that HF_ENDPOINT should be.
pub(super) async fn look(report: &mut Report, client: &Client, config: Option<&Config>) -> Option<String> {
    let overview: pb::Overview = match ask(client, "/v1/overview").await {
        Ok(overview) => overview,
        Err(failure) => {
            let advice = match failure.code {
                Code::Refused => "set MODELHUB_ADMIN_TOKEN to the hub's admin.token, or pass --config FILE",
                _ => "see the hub's log",
            };
            report.fail("admin API", failure.text, advice);
            return None;
        }
    };
    let text =
        format!("modelhub {} at {}, up for {}", overview.version, client.address(), span(overview.uptime_seconds));
    if overview.version == env!("CARGO_PKG_VERSION") {
        report.ok("admin API", text);
    } else {
        let advice = format!("this command is version {}; use the same version for both", env!("CARGO_PKG_VERSION"));
        report.warn("admin API", text, advice);
    }
    exposure(report, client, config).await;
    hub_listener(report, client, &overview.endpoint).await;
    upstream(report, client, &overview).await;
    token(report, client).await;
    disk(report, client).await;
    machine(report, client).await;
    if overview.jobs_failed > 0 {
        let text = format!("{} failed", counted(overview.jobs_failed, "job"));
        report.warn(
            "jobs",
            text,
            "run modelhub jobs list --status failed; then retry them, or modelhub jobs dismiss --all",
        );
    }
    Some(overview.endpoint)
}

async fn ask<T: DeserializeOwned>(client: &Client, path: &str) -> Outcome<T> {
    read(&client.get(path, &[]).await?)
}

/// Who can use the admin API, found out by asking without a token.
async fn exposure(report: &mut Report, client: &Client, config: Option<&Config>) {
    // The settings of this shell are those of a hub on this machine.
    let exposed = config.filter(|_| is_local(client.base())).map(Config::exposed).unwrap_or_default();
    exposed.into_iter().for_each(|sentence| report.ok("exposure", sentence));
    let open = client.without_token().get("/v1/settings", &[]).await.is_ok();
    let listens = config.map(|config| config.admin.listen.ip()).filter(|_| is_local(client.base()));
    match (open, is_local(client.base())) {
        (true, true) if listens.is_none_or(|ip| ip.is_loopback()) => {
            report.ok("exposure", "the admin API needs no token; only this machine can reach it");
        }
        (true, _) => {
            let text = "the admin API needs no token, and other machines can reach it";
            report.fail("exposure", text, "set admin.token, or listen on 127.0.0.1");
        }
        (false, local) if local || client.base().scheme() == "https" => {
            report.ok("exposure", "the admin API requires a token");
        }
        _ => {
            let text = "the admin token is sent over the network unencrypted";
            report.warn("exposure", text, "put a TLS proxy in front of the hub, and use its https:// address");
        }
    }
}

async fn hub_listener(report: &mut Report, client: &Client, endpoint: &str) {
    match client.probe(&format!("{}/readyz", endpoint.trim_end_matches('/'))).await {
        Ok(answer) if answer.status().is_success() => report.ok("hub", format!("ready at {endpoint}")),
        Ok(answer) => {
            let text = format!("{endpoint} returned {}", answer.status());
            report.fail("hub", text, "see the hub's log: its store or database is not responding");
        }
        Err(cause) => {
            let text = format!("cannot connect to {endpoint} ({cause})");
            report.fail("hub", text, "set hub.public_url to the address that clients use, and check hub.listen");
        }
    }
}

async fn upstream(report: &mut Report, client: &Client, overview: &pb::Overview) {
    use pb::upstream::State;
    let Some(upstream) = &overview.upstream else { return };
    let url = &upstream.url;
    if !upstream.proxy.is_empty() {
        report.ok("upstream proxy", format!("{} ({})", upstream.proxy, upstream.proxy_source));
    }
    match upstream.state() {
        State::Offline => {
            report.warn(
                "upstream",
                "the hub is offline and serves only what is cached",
                "modelhub settings set offline=false",
            );
            return;
        }
        State::TokenRefused => {
            let text = format!("{url} refuses the hub's own token");
            report.fail("upstream", text, "set a valid one, or none: modelhub settings token");
            return;
        }
        State::RateLimited => {
            let advice = "wait, or give the hub a token: modelhub settings token";
            report.warn("upstream", format!("{url} is rate-limiting the hub"), advice);
            return;
        }
        _ => {}
    }
    // A search that nobody has made before, so that the answer is not a cached one.
    let search = uuid::Uuid::new_v4();
    let endpoint = overview.endpoint.trim_end_matches('/');
    let list = format!("{endpoint}/api/models?limit=1&search={search}");
    let advice = "check the hub's network and upstream.url; cached files are still served";
    match client.probe(&list).await {
        Ok(answer) if answer.headers().get("x-modelhub-cache").is_some_and(|how| how == "stale") => {
            // The list is of what is here; why it is no more, says what cannot be here.
            let new = client.probe(&format!("{endpoint}/api/models/{search}")).await.ok();
            let why = new.as_ref().filter(|answer| answer.status().is_server_error()).and_then(error_message);
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            report.fail("upstream", format!("{url} is unreachable{why}"), advice);
        }
        Ok(answer) if answer.status().is_success() => report.ok("upstream", format!("{url} is reachable")),
        Ok(answer) if answer.status().as_u16() == 401 => report.ok("upstream", format!("{url} is reachable")),
        Ok(answer) => {
            let why = error_message(&answer).unwrap_or_else(|| format!("status {}", answer.status()));
            report.fail("upstream", format!("{url}: {why}"), advice);
        }
        // That the hub itself cannot be reached was said before.
        Err(cause) => report.warn("upstream", format!("not checked: cannot connect to the hub ({cause})"), ""),
    }
}

/// Why the hub listener refuses something.
fn error_message(answer: &reqwest::Response) -> Option<String> {
    Some(answer.headers().get("x-error-message")?.to_str().ok()?.to_owned())
}

async fn token(report: &mut Report, client: &Client) {
    let settings: pb::Settings = match ask(client, "/v1/settings").await {
        Ok(settings) => settings,
        Err(failure) => return report.fail("token", failure.text, ""),
    };
    if !settings.hf_token_set {
        return report.ok("token", "not set; gated and private repositories need one (modelhub settings token)");
    }
    if settings.offline {
        return report.ok("token", "set; not checked while the hub is offline");
    }
    let answer = client.post("/v1/settings/test-token", &json!({})).await;
    match answer.and_then(|value| read::<pb::TestTokenResponse>(&value)) {
        Ok(answer) if answer.valid => report.ok("token", format!("valid for {}", answer.account)),
        Ok(answer) => report.fail("token", answer.problem, "set a valid one: modelhub settings token"),
        Err(failure) => report.warn("token", format!("not checked: {}", failure.text), ""),
    }
}

/// Whether files get where they are safe.
fn object_store(report: &mut Report, store: &pb::ObjectStore) {
    let there = object::there(store);
    if store.problem.is_empty() {
        return report.ok("object store", there);
    }
    let advice = "modelhub config check tries it step by step; what waits is uploaded by itself once it can be used";
    report.fail("object store", format!("{there}; cannot be used: {}", store.problem), advice);
}

async fn disk(report: &mut Report, client: &Client) {
    let storage: pb::GetStorageResponse = match ask(client, "/v1/storage").await {
        Ok(storage) => storage,
        Err(failure) => return report.fail("disk", failure.text, ""),
    };
    let text =
        format!("{} of {} free, {} stored", bytes(storage.disk_free), bytes(storage.disk_total), bytes(storage.bytes));
    let advice = "free some space: modelhub evict --free 50GiB --plan";
    if storage.disk_free < LEAST_ROOM {
        report.fail("disk", text, advice);
    } else if storage.disk_free < storage.disk_total / 20 {
        report.warn("disk", text, advice);
    } else if storage.limit > 0 && storage.used_bytes >= storage.limit {
        let text = format!("{} used, of a limit of {}", bytes(storage.used_bytes), bytes(storage.limit));
        report.warn("disk", text, format!("{advice}; or raise store_limit_bytes"));
    } else {
        report.ok("disk", text);
    }
    scrub_of(report, &storage);
    if let Some(object) = &storage.object_store {
        object_store(report, object);
    }
    if storage.quarantine_bytes > 0 {
        let text = format!("{} in quarantine: content that did not match its hash", bytes(storage.quarantine_bytes));
        let advice = "upstream sent wrong bytes, or the disk or the network corrupts them; \
                      modelhub storage quarantine lists them, and removes them with --empty";
        report.warn("quarantine", text, advice);
    }
}

/// Whether stored files are read again in time, and what was found.
fn scrub_of(report: &mut Report, storage: &pb::GetStorageResponse) {
    let Some(scrub) = &storage.scrub else { return };
    if scrub.every_seconds == 0 {
        let advice = "set scrub.every, e.g. to 30d; or run modelhub verify from time to time";
        return report.warn("scrub", "off: what a disk loses is found only when it is needed", advice);
    }
    let every = scrub::every(scrub);
    match scrub::overdue(scrub, storage.blobs) {
        0 => report.ok("scrub", format!("all stored files were verified within {every}")),
        overdue => {
            let text = format!("{} not verified within {every}", counted(overdue, "stored file"));
            let advice = "wait some days if this hub was updated or off; else raise scrub.share, or scrub.every";
            report.warn("scrub", text, advice);
        }
    }
    if scrub.damaged_files > 0 {
        let text = format!("{} found by the scrub so far", counted(scrub.damaged_files, "damaged file"));
        report.warn("damage", text, "modelhub overview names the latest; if it happens again, replace the disk");
    }
}

async fn machine(report: &mut Report, client: &Client) {
    let ready = client.probe(&format!("{}/readyz", client.address())).await;
    let ready = ready.is_ok_and(|answer| answer.status().is_success());
    let system: pb::System = match ask(client, "/v1/system").await {
        Ok(system) => system,
        Err(failure) => return report.fail("database", failure.text, "see the hub's log"),
    };
    if ready {
        report.ok("database", format!("{} and the store respond", system.database));
    } else {
        let text = format!("{} or the store is not responding", system.database);
        report.fail("database", text, "see the hub's log");
    }
    match system.workers.iter().filter(|worker| worker.alive).count() {
        0 => {
            // SQLite is one process's.
            let advice = match system.database.as_str() {
                "postgres" => {
                    "start one (modelhub worker), or start the hub with jobs.run = true and without --no-worker"
                }
                _ => "start the hub with jobs.run = true and without --no-worker; separate workers need PostgreSQL",
            };
            report.fail("workers", "no worker is running", advice);
        }
        alive => report.ok("workers", format!("{} running", counted(alive as u64, "worker"))),
    }
    if system.gpus.is_empty() {
        let why = if system.gpu_problem.is_empty() { "none" } else { &system.gpu_problem };
        report.ok("GPU", format!("{why}; not required"));
    } else {
        let names: Vec<_> = system.gpus.iter().map(|gpu| gpu.name.as_str()).collect();
        report.ok("GPU", format!("{}, driver {}", names.join(", "), system.driver_version));
    }
}
