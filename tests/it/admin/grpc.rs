//! The same service over gRPC: the three scenarios, events as a stream, and refusals as statuses.

use modelhub::pb::hub_service_client::HubServiceClient;
use modelhub::pb::{self, job, model_artifact, model_repo};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::{PATIENCE, small_model, weights};
use crate::harness::TestHub;
use crate::harness::repos::{CONFIG, MIB, README};

async fn connect(hub: &TestHub) -> HubServiceClient<Channel> {
    let channel = Endpoint::from_shared(hub.admin_url().to_owned()).unwrap().connect().await.unwrap();
    HubServiceClient::new(channel)
}

/// Follows a job to its end.
async fn ended(client: &mut HubServiceClient<Channel>, id: &str) -> pb::Job {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let job = client.get_job(pb::GetJobRequest { id: id.into() }).await.unwrap().into_inner();
        if matches!(job.status(), job::Status::Completed | job::Status::Failed | job::Status::Cancelled) {
            return job;
        }
        assert!(tokio::time::Instant::now() < deadline, "{job:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_model_is_registered_synced_and_downloaded() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    let mut client = connect(&hub).await;
    let register = pb::RegisterModelRequest { vendor: "org".into(), name: "model".into(), ..Default::default() };
    let model = client.register_model(register.clone()).await.unwrap().into_inner();
    assert_eq!((model.status(), model.repo_id.as_str()), (model_repo::Status::Registered, "org/model"));
    assert_eq!(client.register_model(register).await.unwrap().into_inner().id, model.id);
    assert_eq!(ended(&mut client, &model.active_job_id).await.status(), job::Status::Completed);

    let get = pb::GetModelRequest { model: model.id.clone() };
    let synced = client.get_model(get.clone()).await.unwrap().into_inner();
    let size = 3 * MIB + (CONFIG.len() + README.len()) as u64;
    assert_eq!((synced.status(), synced.files, synced.bytes), (model_repo::Status::Synced, 3, size));

    let mut events = client.watch_events(pb::WatchEventsRequest::default()).await.unwrap().into_inner();
    let download = pb::DownloadModelRequest { model: model.id.clone(), ..Default::default() };
    let plan = client.plan_download(download.clone()).await.unwrap().into_inner();
    assert_eq!((plan.bytes_to_fetch, plan.fits), (size, true));
    let started = client.download_model(download).await.unwrap().into_inner();
    let mut states = Vec::new();
    while states.last() != Some(&job::Status::Completed) {
        let event = tokio::time::timeout(PATIENCE, events.message()).await.expect("events come").unwrap().unwrap();
        if let Some(job) = event.job.filter(|job| job.id == started.id && event.kind == "job") {
            states.push(job.status());
        }
    }
    assert!(states.contains(&job::Status::Running), "{states:?}");
    let files = pb::ListFilesRequest { model: model.id.clone(), flat: true, ..Default::default() };
    let files = client.list_files(files).await.unwrap().into_inner().files;
    assert!(files.iter().all(|file| file.download_status() == model_artifact::DownloadStatus::Completed));
    assert!(std::fs::read(&files[2].local_path).unwrap() == weights().read_all());
    assert_eq!(client.get_model(get).await.unwrap().into_inner().download(), model_repo::Download::Complete);
    // The same as over HTTP.
    let http = hub.look("/v1/models/org/model").await;
    assert_eq!(http["commit"], synced.commit);
    drop(events);
    hub.finish().await;
}

#[tokio::test]
async fn refusals_are_statuses_that_say_the_same() {
    let hub = TestHub::builder().set("jobs.run", "false").repo(small_model("org/model")).start().await;
    let mut client = connect(&hub).await;
    let refused = client.register_model(pb::RegisterModelRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("repo_id"), "{}", refused.message());
    let absent = client.get_model(pb::GetModelRequest { model: "org/none".into() }).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);
    let id = client.get_job(pb::GetJobRequest { id: "7".into() }).await.unwrap_err();
    assert_eq!(id.code(), Code::InvalidArgument);
    let model = client
        .register_model(pb::RegisterModelRequest { repo_id: "org/model".into(), ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    let busy = client.delete_model(pb::DeleteModelRequest { model: model.id.clone() }).await.unwrap_err();
    assert_eq!(busy.code(), Code::FailedPrecondition);
    let retry = client.retry_job(pb::RetryJobRequest { id: model.active_job_id }).await.unwrap_err();
    assert_eq!(retry.code(), Code::FailedPrecondition);
    let kinds = pb::WatchEventsRequest { kinds: vec!["party".into()], ..Default::default() };
    assert_eq!(client.watch_events(kinds).await.unwrap_err().code(), Code::InvalidArgument);
    hub.finish().await;
}

#[tokio::test]
async fn words_of_a_later_version_are_refused_and_not_taken_for_everything() {
    let hub = TestHub::builder().set("jobs.run", "false").repo(small_model("org/model")).start().await;
    let mut client = connect(&hub).await;
    hub.register("org/model").await;
    let selection = Some(pb::Selection { preset: 99, ..Default::default() });
    let download = pb::DownloadModelRequest { model: "org/model".into(), selection, ..Default::default() };
    let refused = client.download_model(download).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "an unknown preset would fetch everything");
    let jobs = client.list_jobs(pb::ListJobsRequest { status: vec![99], ..Default::default() }).await;
    assert_eq!(jobs.unwrap_err().code(), Code::InvalidArgument, "an unknown status would list everything");
    hub.finish().await;
}

#[tokio::test]
async fn the_guard_stands_before_grpc_too() {
    let token = "0123456789abcdef0123456789abcdef";
    let hub = TestHub::builder().set("admin.token", token).start().await;
    let mut stranger = connect(&hub).await;
    assert!(stranger.get_overview(pb::GetOverviewRequest {}).await.is_err());
    let bearer: tonic::metadata::MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    let channel = Endpoint::from_shared(hub.admin_url().to_owned()).unwrap().connect().await.unwrap();
    let mut client = HubServiceClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    });
    assert_eq!(client.get_overview(pb::GetOverviewRequest {}).await.unwrap().into_inner().models, 0);
    hub.finish().await;
}
