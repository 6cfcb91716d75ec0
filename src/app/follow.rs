//! A server that follows its workers: what their jobs do becomes events here, for whoever watches this server.
//!
//! Workers say in the database where they are. To each a stream is kept open (WorkerService.WatchJobs); it says that
//! something happened to a job, and the job's row says what.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;

use crate::config::Secret;
use crate::domain::Clock;
use crate::hub::Hub;
use crate::pb;
use crate::pb::worker_service_client::WorkerServiceClient;

/// How often the list of workers is read, and a lost one is called again.
const BEAT: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(3);

/// Follows all workers with an address until `stop`.
pub(super) async fn follow_workers(hub: &Hub, token: &Secret, clock: &Clock, stop: &CancellationToken) {
    let mut followed: HashMap<String, AbortHandle> = HashMap::new();
    let mut tasks = tokio::task::JoinSet::new();
    let mut beats = clock.beats(BEAT);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = beats.next() => {}
        }
        while tasks.try_join_next().is_some() {}
        let workers = match hub.workers().await {
            Ok(workers) => workers,
            Err(error) => {
                tracing::debug!(%error, "could not read the list of workers");
                continue;
            }
        };
        followed.retain(|id, task| {
            let alive = workers.iter().any(|(worker, alive)| *alive && worker.id == *id);
            if !alive {
                task.abort();
            }
            alive && !task.is_finished()
        });
        for (worker, _) in workers.into_iter().filter(|(worker, alive)| *alive && !worker.address.is_empty()) {
            if let Entry::Vacant(place) = followed.entry(worker.id) {
                let (hub, token, address) = (hub.clone(), token.clone(), worker.address);
                place.insert(tasks.spawn(async move {
                    if let Err(error) = follow(&hub, &token, &address).await {
                        tracing::debug!(worker.address = %address, %error, "lost sight of a worker");
                    }
                }));
            }
        }
    }
}

async fn follow(hub: &Hub, token: &Secret, address: &str) -> anyhow::Result<()> {
    let channel = Endpoint::from_shared(address.to_owned())?.connect_timeout(CONNECT).connect().await?;
    let bearer = MetadataValue::try_from(format!("Bearer {}", token.get().unwrap_or_default()))?;
    let mut client = WorkerServiceClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    });
    let mut jobs = client.watch_jobs(pb::WatchJobsRequest {}).await?.into_inner();
    while let Some(status) = jobs.message().await? {
        if let Some(job) = status.job {
            hub.echo_job(&job.id).await?;
        }
    }
    Ok(())
}
