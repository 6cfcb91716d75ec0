//! A hub and its workers: jobs go where a worker is, and go on when it dies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mock_hf::{Content, MockHf, Options, Repo};
use serde_json::{Value, json};

use crate::harness::repos::{CONFIG, MIB};
use crate::harness::store;
use crate::team::Team;

/// Upstream with one large file that comes slowly, and what it is asked for.
async fn team(repo: Repo, rate: u64) -> Team {
    let options = Options { bytes_per_second_per_connection: Some(rate), ..Options::default() };
    let mock = MockHf::start_with(options).await.unwrap();
    mock.put(repo);
    let settings = [("upstream.cdn_hosts", "127.0.0.1"), ("jobs.lease", "3s"), ("flight.segment_size", "1MiB")];
    Team::start(mock, &settings).await
}

async fn register_and_download(team: &Team) -> String {
    team.call("POST", "/v1/models", &json!({"repo_id": "org/model"})).await;
    let job = team.call("POST", "/v1/models/org/model/download", &json!({})).await;
    job["id"].as_str().unwrap().to_owned()
}

fn bytes_done(job: &Value) -> u64 {
    job["progress"]["bytes_done"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn a_worker_that_is_killed_leaves_its_job_to_another_one() {
    let content = Content::random(77, 24 * MIB);
    let repo = Repo::model("org/model").file("config.json", CONFIG).lfs("model.safetensors", content.clone());
    let team = team(repo, MIB).await;
    let job = register_and_download(&team).await;
    let waiting = team.call("GET", &format!("/v1/jobs/{job}"), &Value::Null).await;
    assert_eq!((waiting["status"].as_str(), waiting["waiting_for"].as_str()), (Some("pending"), Some("the queue")));

    let (first, _) = team.worker().await;
    let running = team.job_until(&job, "the job begins and brings something", |job| bytes_done(job) > 4 * MIB).await;
    let (second, _) = team.worker().await;
    first.kill().await;
    let after = team.job_until(&job, "the job ends on another worker", |job| job["status"] == "completed").await;
    assert_ne!(after["worker"], running["worker"]);

    let file = format!("{}/org/model/resolve/main/model.safetensors", team.addresses.hub);
    team.client.call("GET", &file, &[], "").await.assert_is(200, &content.read_all());
    // Finished segments are not fetched again; the ones in the air at the kill are.
    let (size, in_the_air) = (24 * MIB, 16 * MIB);
    let fetched = team.mock.stats().cdn_body_bytes;
    assert!(fetched < size + in_the_air, "{fetched} bytes for {size}");
    let log = team.call("GET", &format!("/v1/jobs/{job}/log"), &Value::Null).await;
    let lines: Vec<&str> = log["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert!(lines.iter().any(|line| line.contains("its worker was lost")), "{lines:?}");
    second.terminate();
    assert!(second.ended().await.success());
    team.hub.terminate();
    assert!(team.hub.ended().await.success());
}

/// Which workers run downloads, and how many each.
async fn downloads_by_worker(team: &Team) -> BTreeMap<String, usize> {
    let running = team.call("GET", "/v1/jobs?status=running&kind=download", &Value::Null).await;
    let mut workers = BTreeMap::new();
    for job in running["jobs"].as_array().unwrap() {
        *workers.entry(job["worker"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    workers
}

/// Looks until so many downloads run; how many each worker has then.
async fn running(team: &Team, downloads: usize) -> Vec<usize> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let workers = downloads_by_worker(team).await;
        if workers.values().sum::<usize>() == downloads {
            return workers.into_values().collect();
        }
        assert!(tokio::time::Instant::now() < deadline, "not {downloads} downloads run: {workers:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A team of which upstream has six models.
async fn team_for_six(settings: &[(&'static str, &str)]) -> Team {
    let options = Options { bytes_per_second_per_connection: Some(MIB), ..Options::default() };
    let mock = MockHf::start_with(options).await.unwrap();
    for n in 0..6 {
        mock.put(Repo::model(format!("org/m{n}")).lfs("model.safetensors", Content::random(80 + n, 2 * MIB)));
    }
    let mut all = vec![("upstream.cdn_hosts", "127.0.0.1"), ("jobs.lease", "3s"), ("jobs.max_downloads", "4")];
    all.extend(settings);
    let team = Team::start(mock, &all).await;
    team.call("PATCH", "/v1/settings", &json!({"download_bytes_per_second": 16 * 1024})).await;
    team
}

/// A job for each of the six models once so many workers are at work. Downloads take as long as the test.
async fn six_downloads(team: &Team, workers: usize) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while team.call("GET", "/v1/system", &Value::Null).await["workers"].as_array().unwrap().len() < workers {
        assert!(tokio::time::Instant::now() < deadline, "not {workers} workers have said that they live");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut jobs = Vec::new();
    for n in 0..6 {
        team.call("POST", "/v1/models", &json!({"repo_id": format!("org/m{n}")})).await;
        let job = team.call("POST", &format!("/v1/models/org/m{n}/download"), &json!({})).await;
        jobs.push(job["id"].as_str().unwrap().to_owned());
    }
    jobs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn workers_share_the_downloads_and_a_dead_one_holds_none_back() {
    let team = team_for_six(&[]).await;
    // None of them was given a port.
    let ((first, one), (second, two)) = (team.worker().await, team.worker().await);
    assert_ne!(one, two);
    let jobs = six_downloads(&team, 2).await;
    assert_eq!(running(&team, 4).await, [2, 2]);
    let system = team.call("GET", "/v1/system", &Value::Null).await;
    let announced: BTreeSet<_> =
        system["workers"].as_array().unwrap().iter().map(|worker| worker["address"].as_str().unwrap()).collect();
    assert_eq!(announced, BTreeSet::from([one.as_str(), two.as_str()]), "{system:#}");
    let waiting = team.call("GET", "/v1/jobs?status=pending&kind=download", &Value::Null).await;
    let reasons: Vec<_> = waiting["jobs"].as_array().unwrap().iter().map(|job| &job["waiting_for"]).collect();
    assert_eq!(reasons, ["the queue"; 2]);
    first.kill().await;
    // The dead one is the emptiest by far, and the other takes everything.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while downloads_by_worker(&team).await.into_values().collect::<Vec<_>>() != [4] {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", downloads_by_worker(&team).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    team.call("PATCH", "/v1/settings", &json!({"download_bytes_per_second": 0})).await;
    for job in &jobs {
        team.job_until(job, "it ends", |job| job["status"] == "completed").await;
    }
    second.terminate();
    assert!(second.ended().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn a_worker_keeps_a_limit_of_its_own_below_that_of_all() {
    let team = team_for_six(&[("jobs.max_downloads_per_worker", "1")]).await;
    let _workers = [team.worker().await, team.worker().await, team.worker().await];
    let jobs = six_downloads(&team, 3).await;
    assert_eq!(running(&team, 3).await, [1, 1, 1]);
    team.call("PATCH", "/v1/settings", &json!({"download_bytes_per_second": 0})).await;
    for job in &jobs {
        team.job_until(job, "it ends", |job| job["status"] == "completed").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn a_worker_that_was_killed_and_comes_back_goes_on_at_once() {
    let options = Options { bytes_per_second_per_connection: Some(MIB), ..Options::default() };
    let mock = MockHf::start_with(options).await.unwrap();
    mock.put(Repo::model("org/model").lfs("model.safetensors", Content::random(79, 12 * MIB)));
    // No lease ends while this runs.
    let team = Team::start(mock, &[("upstream.cdn_hosts", "127.0.0.1"), ("jobs.lease", "1h")]).await;
    let (worker, _) = team.worker().await;
    let job = register_and_download(&team).await;
    let before = team.job_until(&job, "it brings something", |job| bytes_done(job) > MIB).await;
    worker.kill().await;
    let (_worker, _) = team.worker().await;
    let after = team.job_until(&job, "it is done", |job| job["status"] == "completed").await;
    assert_eq!((&after["attempts"], &after["worker"]), (&json!(2), &before["worker"]));
    let system = team.call("GET", "/v1/system", &Value::Null).await;
    assert_eq!(system["workers"].as_array().unwrap().len(), 1, "{system:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn a_server_shows_what_its_workers_do_and_a_worker_needs_the_token() {
    use modelhub::pb::worker_service_client::WorkerServiceClient;
    use modelhub::pb::{DownloadArtifactRequest, SyncMetadataRequest, WatchJobsRequest, job::Status};

    let content = Content::random(78, 16 * MIB);
    let repo = Repo::model("org/model").file("config.json", CONFIG).lfs("model.safetensors", content.clone());
    // Slow enough that the server has found its worker before the job ends.
    let team = team(repo, MIB / 4).await;
    let (_worker, address) = team.worker().await;
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap().connect().await.unwrap();

    let mut stranger = WorkerServiceClient::new(channel.clone());
    let refused = stranger.watch_jobs(WatchJobsRequest {}).await.err().unwrap();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);

    let token = std::fs::read_to_string(team.data_dir().join("worker_token")).unwrap();
    let bearer: tonic::metadata::MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    let mut client = WorkerServiceClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    });
    let request = SyncMetadataRequest { repo_id: "org/model".into(), ..Default::default() };
    let synced = client.sync_metadata(request).await.unwrap().into_inner().job.unwrap();
    assert_eq!(synced.status(), Status::Completed, "{}", synced.error);

    let events = format!("{}/v1/events?kinds=progress&kinds=job", team.addresses.admin);
    let mut shown = team.client.send("GET", &events, &[], "").await.unwrap();
    let request = DownloadArtifactRequest { repo_id: "org/model".into(), ..Default::default() };
    let mut progress = client.download_artifact(request).await.unwrap().into_inner();
    let mut last = None;
    while let Some(state) = progress.message().await.unwrap() {
        last = Some(state);
    }
    let last = last.unwrap();
    assert_eq!(last.status(), Status::Completed, "{}", last.error);
    assert_eq!(last.progress.unwrap().bytes_done, content.size() + CONFIG.len() as u64);
    // The server tells its own watchers, though another process did it.
    let mut text = String::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !(text.contains("event: progress") && text.contains("\"status\":\"completed\"")) {
        let chunk = tokio::time::timeout_at(deadline, shown.chunk()).await;
        text += &String::from_utf8_lossy(
            &chunk.unwrap_or_else(|_| panic!("events come: {text}")).unwrap().expect("the stream goes on"),
        );
    }
    let system = team.call("GET", "/v1/system", &Value::Null).await;
    assert_eq!(system["workers"].as_array().unwrap().len(), 1, "{system:#}");
    drop(team.hub);
}

/// A process dies between giving a file its name and writing down that it is there, while another one waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn what_a_process_had_published_when_it_died_is_not_fetched_again() {
    let content = Content::random(78, 2 * MIB);
    let repo = Repo::model("org/model").file("config.json", CONFIG).lfs("model.safetensors", content.clone());
    let team = team(repo, MIB).await;
    let (data, hex) = (team.data_dir(), content.sha256());
    let part = data.join("partial").join(format!("{hex}.part"));
    let dying = std::fs::File::options().create(true).truncate(true).write(true).open(&part).unwrap();
    rustix::fs::flock(&dying, rustix::fs::FlockOperation::LockExclusive).unwrap();

    let url = format!("{}/org/model/resolve/main/model.safetensors", team.addresses.hub);
    let (client, first) = (team.client.clone(), url.clone());
    let asked = tokio::spawn(async move { client.call("GET", &first, &[], "").await });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let metrics = team.client.call("GET", &format!("{}/metrics", team.addresses.admin), &[], "").await.text();
        if metrics.contains("modelhub_flights 1\n") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the server waits for the other process: {metrics}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::write(&part, content.read_all()).unwrap();
    std::fs::rename(&part, store::blob_path(data, &hex)).unwrap();
    drop(dying);

    asked.await.unwrap().assert_is(200, &content.read_all());
    let again = team.client.call("GET", &url, &[], "").await;
    again.assert_is(200, &content.read_all());
    assert_eq!((again.served(), team.mock.stats().cdn_body_bytes), ("hit", 0));
    assert!(!part.exists(), "nothing is left of the download");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn a_worker_waits_for_no_silent_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mock = MockHf::start_with(Options::default()).await.unwrap();
    let team = Team::start(mock, &[("hub.header_timeout", "300ms")]).await;
    let (worker, address) = team.worker().await;
    for beginning in ["", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /healthz HTTP/1.1\r\nHos"] {
        let mut stream = tokio::net::TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        let ended = stream.read_to_end(&mut said);
        let _ = tokio::time::timeout(Duration::from_secs(60), ended).await.expect("the connection is ended");
    }
    assert_eq!(team.client.call("GET", &format!("{address}/healthz"), &[], "").await.status, 200);
    worker.terminate();
    assert!(worker.ended().await.success());
    team.hub.terminate();
    assert!(team.hub.ended().await.success());
}
