//! WorkerService: what a process that runs jobs offers over gRPC, to the servers beside it and to inference runtimes.
//!
//! Work that is asked for here becomes a job like any other, so that it survives this process; whoever asked follows
//! it to its end. Every call needs the worker token, by a check around the whole service.

use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::routing::get;
use futures_util::{Stream, StreamExt as _};
use tonic::{Response, Status};

use super::admin::convert;
use super::admin::problem::Problem;
use super::extract::bears;
use super::ops;
use crate::config::Secret;
use crate::domain::job::{Job, priority};
use crate::domain::{Clock, RepoId, RepoKey, RepoKind, Revision};
use crate::hub::{DownloadRequest, Happening, Hub, Scan};
use crate::pb;
use crate::pb::worker_service_server::{WorkerService, WorkerServiceServer};

/// How often a job that another worker may run is polled.
const LOOK: Duration = Duration::from_secs(1);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

struct Worker {
    hub: Hub,
    clock: Clock,
}

/// Everything on a worker's listener.
pub fn router(hub: Hub, clock: Clock, token: Secret) -> Router {
    let service = WorkerServiceServer::new(Worker { hub: hub.clone(), clock }).max_decoding_message_size(8 << 20);
    Router::new()
        .route_service("/modelhub.v1.WorkerService/{*call}", service)
        .layer(axum::middleware::from_fn(move |request, next| authenticate(token.clone(), request, next)))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(move || async move { ops::readiness(&hub).await }))
}

async fn authenticate(token: Secret, request: Request, next: Next) -> axum::response::Response {
    // Without a token nobody gets in.
    if !token.get().is_some_and(|token| bears(request.headers(), token)) {
        return Status::unauthenticated("worker token required").into_http::<axum::body::Body>();
    }
    next.run(request).await
}

impl Worker {
    /// The repository that a request names, registered if it was not.
    async fn model(&self, repo_id: &str, kind: &str, revision: &str) -> Result<crate::hub::ModelRow, Problem> {
        let kind = match kind {
            "" => RepoKind::Model,
            word => RepoKind::parse(word).ok_or_else(|| Problem::field("kind", RepoKind::EXPECTED))?,
        };
        let key = RepoKey::new(kind, RepoId::parse(repo_id).map_err(Problem::of("repo_id"))?);
        let revision = self.revision(revision)?;
        // What is registered already stays at its own revision.
        match self.hub.models.model(&key.to_string()).await {
            Ok(model) if model.registered_at.is_some() => Ok(model),
            _ => Ok(self.hub.models.register(&key, revision.as_ref(), None).await?.0),
        }
    }

    fn revision(&self, text: &str) -> Result<Option<Revision>, Problem> {
        (!text.is_empty()).then(|| Revision::parse(text).map_err(Problem::of("revision"))).transpose()
    }

    /// The job, each time it changes, until it has ended, that state included.
    fn follow(&self, job: Job) -> impl Stream<Item = Result<Job, Status>> + Send + use<> {
        let (hub, clock, watch) = (self.hub.clone(), self.clock.clone(), self.hub.events.watch(None));
        let id = job.id.clone();
        futures_util::stream::unfold(Some((hub, clock, watch, id, Some(job))), |state| async {
            let (hub, clock, mut watch, id, first) = state?;
            let job = match first {
                Some(job) => Ok(job),
                None => {
                    // An event of this process, or a look at the queue: another worker may have the job.
                    let event = async {
                        loop {
                            match watch.next().await.as_deref().map(|event| &event.what) {
                                Some(Happening::Job(job) | Happening::Progress(job)) if job.id == id => return,
                                Some(_) => {}
                                None => std::future::pending().await,
                            }
                        }
                    };
                    tokio::select! { () = event => {}, () = clock.sleep(LOOK) => {}, () = hub.stopping() => return None }
                    hub.jobs.get(&id).await.map_err(|error| Status::from(Problem::from(error)))
                }
            };
            let over = job.as_ref().map_or(true, |job| job.status.is_final());
            Some((job, (!over).then_some((hub, clock, watch, id, None))))
        })
    }
}

#[tonic::async_trait]
impl WorkerService for Worker {
    async fn sync_metadata(
        &self,
        request: tonic::Request<pb::SyncMetadataRequest>,
    ) -> Result<Response<pb::JobStatus>, Status> {
        let request = request.into_inner();
        let model = self.model(&request.repo_id, &request.kind, &request.revision).await?;
        let revision = self.revision(&request.revision)?;
        let job = self.hub.models.enqueue_sync(&model, revision.as_ref()).await.map_err(Problem::from)?;
        let mut states = std::pin::pin!(self.follow(job));
        let mut last = None;
        while let Some(state) = states.next().await {
            last = Some(state?);
        }
        let job = last.ok_or_else(|| Status::unavailable("this worker is stopping; the job continues elsewhere"))?;
        Ok(Response::new(pb::JobStatus { job: Some(convert::job(job)) }))
    }

    type DownloadArtifactStream = Answers<pb::DownloadProgress>;

    async fn download_artifact(
        &self,
        request: tonic::Request<pb::DownloadArtifactRequest>,
    ) -> Result<Response<Self::DownloadArtifactStream>, Status> {
        let request = request.into_inner();
        let model = self.model(&request.repo_id, &request.kind, &request.revision).await?;
        let revision = self.revision(&request.revision)?;
        let selection = convert::selection(request.selection)?;
        selection.matcher().map_err(Problem::of("selection"))?;
        let request = DownloadRequest { revision, selection, priority: priority::WAITING, bytes_per_second: 0 };
        let job = self.hub.models.enqueue_download(&model, request).await.map_err(Problem::from)?;
        let states = self.follow(job).map(|job| {
            let job = convert::job(job?);
            Ok(pb::DownloadProgress { job_id: job.id, status: job.status, progress: job.progress, error: job.error })
        });
        Ok(Response::new(Box::pin(states)))
    }

    type ScanStorageStream = Answers<pb::ScanProgress>;

    async fn scan_storage(
        &self,
        request: tonic::Request<pb::ScanStorageWorkRequest>,
    ) -> Result<Response<Self::ScanStorageStream>, Status> {
        let request = request.into_inner();
        if !request.path.starts_with('/') {
            return Err(Problem::field("path", "expected the absolute path of a folder on the worker's machine").into());
        }
        let placement = Scan::placement(&request.placement)
            .ok_or_else(|| Problem::field("placement", "expected auto, reflink, hard_link or copy"))?;
        let scan = Scan { path: request.path, placement, repo: None, kind: RepoKind::Model, bytes_per_second: 0 };
        let job = self.hub.models.enqueue_scan(scan).await.map_err(Problem::from)?;
        let states = self.follow(job).map(|job| {
            let job = convert::job(job?);
            Ok(pb::ScanProgress { job_id: job.id, status: job.status, progress: job.progress, error: job.error })
        });
        Ok(Response::new(Box::pin(states)))
    }

    type WatchJobsStream = Answers<pb::JobStatus>;

    async fn watch_jobs(
        &self,
        _: tonic::Request<pb::WatchJobsRequest>,
    ) -> Result<Response<Self::WatchJobsStream>, Status> {
        let state = (self.hub.events.watch(None), Box::pin(self.hub.stopping()));
        let jobs = futures_util::stream::unfold(state, |(mut watch, mut stopping)| async {
            loop {
                let event = tokio::select! { event = watch.next() => event?, () = &mut stopping => return None };
                if let Happening::Job(job) | Happening::Progress(job) = &event.what {
                    let status = pb::JobStatus { job: Some(convert::job((**job).clone())) };
                    return Some((Ok(status), (watch, stopping)));
                }
            }
        });
        Ok(Response::new(Box::pin(jobs)))
    }
}
