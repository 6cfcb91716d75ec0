//! A server that follows its workers: what their jobs do becomes events here, for everybody who watches this server.
//!
//! Workers register their addresses in the database. To each a stream is kept open (WorkerService.WatchJobs); it says
//! that something happened to a job, and the job's row says what.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;

use crate::config::Secret;
use crate::domain::{Backoff, Clock, JobId, WorkerId};
use crate::hub::Hub;
use crate::pb;
use crate::pb::worker_service_client::WorkerServiceClient;

/// How often the list of workers is read.
const BEAT: Duration = Duration::from_secs(3);
/// Before a worker that was lost is called again.
const CALL_AGAIN: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30));
const CONNECT: Duration = Duration::from_secs(3);

/// Follows all workers with an address until `stop`.
pub(super) async fn follow_workers(hub: &Hub, token: &Secret, clock: &Clock, stop: &CancellationToken) {
    // By name and address: one that comes back listens elsewhere.
    let mut followed: HashMap<(WorkerId, String), AbortHandle> = HashMap::new();
    let mut tasks = tokio::task::JoinSet::new();
    let mut beats = clock.beats(BEAT);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = beats.next() => {}
        }
        while tasks.try_join_next().is_some() {}
        let workers = match hub.overview.workers().await {
            Ok(workers) => workers,
            Err(error) => {
                tracing::debug!(%error, "could not read the list of workers");
                continue;
            }
        };
        let alive = workers.into_iter().filter(|(worker, alive)| *alive && !worker.address.is_empty());
        let alive: HashSet<_> = alive.map(|(worker, _)| (worker.id, worker.address)).collect();
        followed.retain(|worker, task| {
            if !alive.contains(worker) {
                task.abort();
            }
            alive.contains(worker)
        });
        for worker in alive {
            if let Entry::Vacant(place) = followed.entry(worker) {
                let (hub, token, clock) = (hub.clone(), token.clone(), clock.clone());
                let address = place.key().1.clone();
                place.insert(tasks.spawn(async move { keep_following(&hub, &token, &clock, &address).await }));
            }
        }
    }
}

/// Follows a worker, reconnecting as needed; whoever started this ends it when the worker is gone.
async fn keep_following(hub: &Hub, token: &Secret, clock: &Clock, address: &str) {
    let mut failures = 0;
    loop {
        if let Err(error) = follow(hub, token, address, &mut failures).await {
            tracing::debug!(worker.address = %address, %error, "lost contact with a worker");
        }
        failures += 1;
        clock.sleep(CALL_AGAIN.pause(failures)).await;
    }
}

/// Follows a worker until it is lost. Once it has answered, earlier failures do not count.
async fn follow(hub: &Hub, token: &Secret, address: &str, failures: &mut u32) -> anyhow::Result<()> {
    let channel = Endpoint::from_shared(address.to_owned())?.connect_timeout(CONNECT).connect().await?;
    let bearer = MetadataValue::try_from(format!("Bearer {}", token.get().unwrap_or_default()))?;
    let mut client = WorkerServiceClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    });
    let mut jobs = client.watch_jobs(pb::WatchJobsRequest {}).await?.into_inner();
    *failures = 0;
    while let Some(status) = jobs.message().await? {
        if let Some(job) = status.job {
            hub.jobs.echo(&JobId::new(job.id)).await?;
        }
    }
    Ok(())
}
