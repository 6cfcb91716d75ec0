//! HubService over gRPC, and the table of operations that REST shares.

use std::pin::Pin;

use futures_util::Stream;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tonic::{Request, Response, Status};

use super::problem::{Answer, Problem};
use super::service::Service;
use crate::pb::{self, hub_service_server::HubService};

/// Every unary operation once: `Call(Request) -> Answer = function of Service`.
macro_rules! operations {
    ($($call:literal $function:ident($request:ident) -> $answer:ident;)*) => {
        #[tonic::async_trait]
        impl HubService for Service {
            $(
                async fn $function(&self, request: Request<pb::$request>) -> Result<Response<pb::$answer>, Status> {
                    Ok(Response::new(Service::$function(self, request.into_inner()).await?))
                }
            )*

            type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<pb::Event, Status>> + Send>>;

            async fn watch_events(
                &self,
                request: Request<pb::WatchEventsRequest>,
            ) -> Result<Response<Self::WatchEventsStream>, Status> {
                let watching = Service::watch_events(self, request.into_inner())?;
                let stopping = Box::pin(self.hub.stopping());
                let events = futures_util::stream::unfold((watching, stopping), |(mut watching, mut stopping)| async {
                    let event = tokio::select! { event = watching.next() => event?, () = &mut stopping => return None };
                    Some((Ok(event), (watching, stopping)))
                });
                Ok(Response::new(Box::pin(events)))
            }
        }

        /// Makes a unary call by its name, from JSON to JSON.
        pub(super) async fn call(service: &Service, name: &str, request: Value) -> Answer<String> {
            if name == "UpdateSettings" {
                refuse_configured(&request)?;
            }
            match name {
                $($call => write(&service.$function(read(request)?).await?),)*
                name => Err(Problem::new(axum::http::StatusCode::NOT_IMPLEMENTED, format!("{name} is not available over HTTP"))),
            }
        }
    };
}

operations! {
    "RegisterModel" register_model(RegisterModelRequest) -> ModelRepo;
    "ListModels" list_models(ListModelsRequest) -> ListModelsResponse;
    "GetModel" get_model(GetModelRequest) -> ModelRepo;
    "DeleteModel" delete_model(DeleteModelRequest) -> DeleteModelResponse;
    "LookUpModel" look_up_model(LookUpModelRequest) -> LookUpModelResponse;
    "ListFiles" list_files(ListFilesRequest) -> ListFilesResponse;
    "ReadFile" read_file(ReadFileRequest) -> ReadFileResponse;
    "ListUses" list_uses(ListUsesRequest) -> ListUsesResponse;
    "ListRevisions" list_revisions(ListRevisionsRequest) -> ListRevisionsResponse;
    "GetModelFacts" get_model_facts(GetModelFactsRequest) -> ModelFacts;
    "ListTensors" list_tensors(ListTensorsRequest) -> ListTensorsResponse;
    "SyncModel" sync_model(SyncModelRequest) -> Job;
    "PlanDownload" plan_download(DownloadModelRequest) -> DownloadPlan;
    "DownloadModel" download_model(DownloadModelRequest) -> Job;
    "DownloadModels" download_models(DownloadModelsRequest) -> DownloadModelsResponse;
    "PinModel" pin_model(PinModelRequest) -> ModelRepo;
    "VerifyModel" verify_model(VerifyModelRequest) -> Job;
    "EvictModel" evict_model(EvictModelRequest) -> Job;
    "PlanModelEviction" plan_model_eviction(EvictModelRequest) -> PlanEvictionResponse;
    "ScanStorage" scan_storage(ScanStorageRequest) -> Job;
    "PreviewScan" preview_scan(ScanStorageRequest) -> PreviewScanResponse;
    "VerifyStore" verify_store(VerifyStoreRequest) -> Job;
    "EvictStore" evict_store(EvictStoreRequest) -> Job;
    "PlanEviction" plan_eviction(EvictStoreRequest) -> PlanEvictionResponse;
    "GetStorage" get_storage(GetStorageRequest) -> GetStorageResponse;
    "ListQuarantine" list_quarantine(ListQuarantineRequest) -> ListQuarantineResponse;
    "EmptyQuarantine" empty_quarantine(EmptyQuarantineRequest) -> EmptyQuarantineResponse;
    "DeleteQuarantinedFile" delete_quarantined_file(DeleteQuarantinedFileRequest) -> EmptyQuarantineResponse;
    "ListJobs" list_jobs(ListJobsRequest) -> ListJobsResponse;
    "GetJob" get_job(GetJobRequest) -> Job;
    "ListJobLog" list_job_log(ListJobLogRequest) -> ListJobLogResponse;
    "CancelJob" cancel_job(CancelJobRequest) -> Job;
    "RetryJob" retry_job(RetryJobRequest) -> Job;
    "DismissJob" dismiss_job(DismissJobRequest) -> Job;
    "DismissFailedJobs" dismiss_failed_jobs(DismissFailedJobsRequest) -> DismissFailedJobsResponse;
    "PauseJob" pause_job(PauseJobRequest) -> Job;
    "ResumeJob" resume_job(ResumeJobRequest) -> Job;
    "GetOverview" get_overview(GetOverviewRequest) -> Overview;
    "GetSystem" get_system(GetSystemRequest) -> System;
    "GetSettings" get_settings(GetSettingsRequest) -> Settings;
    "UpdateSettings" update_settings(UpdateSettingsRequest) -> Settings;
    "TestToken" test_token(TestTokenRequest) -> TestTokenResponse;
}

/// Settings that are shown here but can only be changed in the configuration, with their names there.
const CONFIGURED: [(&str, &str); 6] = [
    ("storage_path", "store.data_dir (MODELHUB_DATA_DIR)"),
    ("database", "database.url (MODELHUB_DATABASE_URL)"),
    ("upstream_url", "upstream.url (MODELHUB_UPSTREAM_URL)"),
    ("endpoint", "hub.public_url (MODELHUB_PUBLIC_URL)"),
    ("cache_times", "the [cache] section"),
    ("keeping", "the [store] section"),
];

/// How pbjson reports an invalid number, in terms of its own types.
const NO_NUMBER: [&str; 4] =
    ["untagged enum Content", "invalid digit found", "cannot parse integer", "to fit in target type"];

/// A request message; the error names the field and says what was expected.
pub(super) fn read<T: DeserializeOwned>(request: Value) -> Answer<T> {
    serde_path_to_error::deserialize(&request).map_err(|error| {
        let path = error.path().to_string();
        let mut message = error.inner().to_string();
        // `unknown field `x`, expected one of …` is reported for the object that has it.
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        let field = match (path.as_str(), unknown) {
            (".", Some(unknown)) => unknown.to_owned(),
            (path, Some(unknown)) if !path.ends_with(unknown) => format!("{path}.{unknown}"),
            (".", None) => return Problem::new(axum::http::StatusCode::BAD_REQUEST, message),
            (path, _) => path.to_owned(),
        };
        if NO_NUMBER.iter().any(|words| message.contains(words)) {
            let pointer = format!("/{}", field.replace(['.', '['], "/").replace(']', ""));
            let given = request.pointer(&pointer).map(Value::to_string).unwrap_or_default();
            let shown: String = given.chars().take(80).collect();
            message =
                format!("invalid value `{shown}`; expected a whole number that is neither negative nor too large");
        }
        Problem::field(&field, message)
    })
}

/// Settings of the configuration are not changed here; the error says where they are.
fn refuse_configured(request: &Value) -> Answer<()> {
    let Some((field, key)) = CONFIGURED.iter().find(|(field, _)| request.get(field).is_some()) else { return Ok(()) };
    let text = format!("can only be changed in the configuration: set {key} there and restart the hub");
    Err(Problem::field(field, text))
}

fn write<T: serde::Serialize>(answer: &T) -> Answer<String> {
    serde_json::to_string(answer).map_err(|error| {
        tracing::error!(%error, "could not write a response");
        Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "internal error")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_number_is_told_in_plain_words() {
        let wrong = [
            (
                read::<pb::RegisterModelRequest>(json!({"sync_every_seconds": -1})).unwrap_err(),
                "sync_every_seconds",
                "-1",
            ),
            (read::<pb::UpdateSettingsRequest>(json!({"max_downloads": 1.5})).unwrap_err(), "max_downloads", "1.5"),
            (
                read::<pb::RegisterModelRequest>(json!({"sync_every_seconds": "x"})).unwrap_err(),
                "sync_every_seconds",
                "\"x\"",
            ),
            (
                read::<pb::RegisterModelRequest>(json!({"sync_every_seconds": ""})).unwrap_err(),
                "sync_every_seconds",
                "\"\"",
            ),
        ];
        for (problem, field, given) in wrong {
            let expected = format!(
                "{field}: invalid value `{given}`; expected a whole number that is neither negative nor too large"
            );
            assert_eq!(problem.detail, expected);
        }
    }

    #[test]
    fn what_stands_in_the_configuration_is_said_to() {
        let problem = refuse_configured(&json!({"storage_path": "/x"})).unwrap_err();
        assert!(
            problem.detail.starts_with("storage_path: ") && problem.detail.contains("store.data_dir"),
            "{problem:?}"
        );
        assert!(refuse_configured(&json!({"max_downloads": 2})).is_ok());
    }
}
