//! `modelhub doctor` and `healthcheck`, with a hub that runs and without one.

use mock_hf::{Fault, Rule, TOKEN_ALICE, TOKEN_REVOKED};

use super::*;
use crate::harness::Client;
use crate::harness::repos::CONFIG;

#[tokio::test]
async fn doctor_finds_a_healthy_hub_healthy() {
    let hub = Hub::with(model()).await;
    let url = [("admin.url", hub.at.admin.as_str()), ("store.data_dir", hub.dir.path().to_str().unwrap())];
    let healthy = say(&["doctor", "--json"], &url, &[("HF_ENDPOINT", &hub.at.hub)], "").await.is(0).json();
    let status = |report: &Value, check: &str| {
        let found = report.as_array().unwrap().iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("no {check} in {report}"))["status"].clone()
    };
    let checks =
        ["settings", "clock", "admin API", "exposure", "hub", "upstream", "token", "database", "workers", "GPU"];
    for check in checks.into_iter().chain(["HF_ENDPOINT"]) {
        assert_eq!(status(&healthy, check), "ok", "{check}: {healthy}");
    }
    let environment = [("HF_ENDPOINT", "https://huggingface.co"), ("HF_HUB_OFFLINE", "1")];
    let warned = say(&["doctor"], &url, &environment, "").await.is(0);
    warned.says("warn  HF_ENDPOINT").says("export HF_ENDPOINT=").says("unset HF_HUB_OFFLINE");
    hub.mock.stop().await;
    let alone = say(&["doctor", "--json"], &url, &[], "").await.is(1).json();
    assert_eq!((status(&alone, "upstream"), status(&alone, "hub")), ("fail".into(), "ok".into()), "{alone}");
    hub.end().await;
}

#[tokio::test]
async fn doctor_works_while_no_hub_runs() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = [
        ("admin.url", "http://127.0.0.1:9"),
        ("store.data_dir", dir.path().to_str().unwrap()),
        ("hub.listen", &address),
        ("admin.listen", "127.0.0.1:0"),
    ];
    let report = say(&["doctor"], &settings, &[], "").await.is(1);
    report.says("fail  admin API").says("modelhub serve").says(&format!("another program is listening on {address}"));
    let unknown = [settings[0], settings[1], ("hub.listen", "127.0.0.1:0"), settings[3], ("database.url", "mysql://x")];
    say(&["doctor"], &unknown, &[], "").await.is(1).says("fail  settings").says("expected sqlite:/path");
    let broken = say(&["doctor"], &[("upstream.uri", "x"), ("admin.url", "http://127.0.0.1:9")], &[], "").await.is(1);
    broken.says("did you mean MODELHUB_UPSTREAM_URL?");
}

#[tokio::test]
async fn doctor_says_what_others_reach_and_who_could_run_jobs() {
    let hub = Hub::start(Options::default(), &[("jobs.run", "false")]).await;
    hub.mock.put(model());
    let settings = [
        ("admin.url", hub.at.admin.as_str()),
        ("store.data_dir", hub.dir.path().to_str().unwrap()),
        // As this shell has it, which is all that tells.
        ("hub.listen", "0.0.0.0:0"),
    ];
    let report = say(&["doctor"], &settings, &[], "").await.is(1);
    // A worker of its own refuses SQLite.
    let report =
        report.says("no worker is running").says("jobs.run = true").says("other machines can download through the hub");
    assert!(!report.out.contains("modelhub worker"), "{}", report.out);
    let job = hub.run(&["register", "org/model", "--detach", "--json"]).await.is(0).json();
    let id = job["active_job_id"].as_str().unwrap();
    hub.run(&["jobs", "show", id]).await.is(0).says("waiting for a worker, but none is running");
    hub.end().await;
}

#[tokio::test]
async fn doctor_says_that_upstream_refuses_the_hubs_own_token_until_it_is_right() {
    let hub = Hub::with(model()).await;
    let settings = [("admin.url", hub.at.admin.as_str())];
    let set = async |token: &str| {
        say(&["settings", "token"], &settings, &[], token).await.is(0);
    };
    for round in 0..2 {
        set(TOKEN_REVOKED).await;
        // Of no use so far: who asks whether it is valid learns that it is not.
        let tested = say(&["doctor"], &settings, &[], "").await.is(1);
        tested.says("fail  token").says("modelhub settings token");
        // Used for callers, who are answered without it, as what they want is public.
        let client = Client::new();
        let file = format!("{}/org/model/raw/main/config.json?round={round}", hub.at.hub);
        client.call("GET", &file, &[], "").await.assert_is(200, CONFIG.as_bytes());
        let unknown = format!("{}/org/unknown{round}/resolve/main/x", hub.at.hub);
        assert_eq!(client.call("GET", &unknown, &[], "").await.status, 401);
        for _ in 0..2 {
            let report = say(&["doctor"], &settings, &[], "").await.is(1);
            let report = report.says("fail  upstream").says("refuses the hub's own token").says("fail  token");
            let report = report.says("set a valid one, or none: modelhub settings token");
            assert!(!report.out.contains("hf_") && !report.err.contains("hf_"), "{}{}", report.out, report.err);
            say(&["overview"], &settings, &[], "").await.is(0).says("refuses the hub's own token");
        }
        set(TOKEN_ALICE).await;
        for _ in 0..2 {
            let report = say(&["doctor"], &settings, &[], "").await.is(0).says("ok    upstream").says("ok    token");
            assert!(!report.out.contains("refuses"), "{}", report.out);
            let status = say(&["overview"], &settings, &[], "").await.is(0);
            assert!(!status.out.contains("refuses"), "{}", status.out);
        }
    }
    hub.end().await;
}

#[tokio::test]
async fn doctor_counts_no_failed_job_that_was_dismissed() {
    let hub = Hub::with(model()).await;
    let settings = [("admin.url", hub.at.admin.as_str())];
    let refused =
        Fault::Status { code: 403, error_code: None, message: String::new(), retry_after: None, ratelimit: None };
    hub.mock.fault(Rule::on_hub("model.safetensors").fault(refused));
    for _ in 0..2 {
        let failed = hub.run(&["download", "org/model", "--json"]).await.is(1).json();
        say(&["doctor"], &settings, &[], "").await.is(0).says("1 job failed").says("modelhub jobs dismiss --all");
        hub.run(&["jobs", "dismiss", failed["id"].as_str().unwrap()]).await.is(0);
        let report = say(&["doctor"], &settings, &[], "").await.is(0);
        assert!(!report.out.contains("job failed"), "{}", report.out);
        hub.run(&["download", "org/model", "model.safetensors"]).await.is(1);
        hub.run(&["jobs", "dismiss", "--all"]).await.is(0).says("dismissed 1 failed job");
        assert!(!say(&["doctor"], &settings, &[], "").await.is(0).out.contains("job failed"));
    }
    hub.end().await;
}

#[tokio::test]
async fn healthcheck_needs_no_token_and_no_upstream() {
    let hub = Hub::start(Options::default(), &[("admin.token", TOKEN)]).await;
    hub.mock.stop().await;
    // From the configuration, as in a container.
    let listens = hub.at.admin.strip_prefix("http://").unwrap().to_owned();
    for _ in 0..2 {
        say(&["healthcheck"], &[("admin.listen", &listens)], &[], "").await.is(0).says("ready");
    }
    let report = hub.run(&["healthcheck", "--json"]).await.is(0).json();
    assert_eq!(report["ready"], true);
    // The other listener has no admin API, and answers all the same.
    say(&["healthcheck"], &[("admin.url", &hub.at.hub)], &[], "").await.is(0);
    say(&["healthcheck"], &[("admin.url", &hub.mock.url())], &[], "").await.is(4).says("cannot connect");
    hub.end().await;
    say(&["healthcheck"], &[("admin.listen", &listens)], &[], "").await.is(4).says("is the hub running?");
}
