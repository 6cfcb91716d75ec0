//! Files downloaded before anybody asks for them.
//!
//! Steps of a job: fix the commit, once → go through its files page by page, skipping what is not selected → check
//! whether what is missing fits on the disk → download some files at a time through the same flights that clients use,
//! so that nothing is downloaded twice → report. A file that fails does not keep the others from being downloaded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::plan::Plan;
use super::speed::Speed;
use super::{Models, Result};
use crate::db::{FileTotals, ModelRow};
use crate::domain::job::{FileProgress, Job, Level, NewJob};
use crate::domain::selection::Matcher;
use crate::domain::{
    Artifact, ByteSize, FileType, ModelStatus, RepoKey, Revision, Selection, WeightFormat, Work, counted, work,
};
use crate::hub::flights::{FlightTarget, FlightWatch};
use crate::hub::jobs::{Done, JobRun};
use crate::hub::pace::Pace;
use crate::hub::repos::{Need, ResolvedRevision};
use crate::hub::{Caller, Error};

/// Concurrent files of one job; each has several connections.
const PARALLEL: usize = 4;
/// How often progress is updated.
const TICK: Duration = Duration::from_millis(500);

/// A request to download files of a model.
#[derive(Debug, Clone)]
pub struct DownloadRequest {
    /// The model's own if `None`.
    pub revision: Option<Revision>,
    pub selection: Selection,
    pub priority: i64,
    /// 0: no limit of its own.
    pub bytes_per_second: u64,
}

impl Models {
    /// What a download would fetch, and whether it fits.
    pub async fn plan_download(&self, model: &ModelRow, request: &DownloadRequest) -> Result<Plan> {
        let revision = request.revision.clone().map_or_else(|| Revision::parse(&model.revision), Ok)?;
        let resolved = self.listed(model, &revision).await?;
        self.plan(&resolved, &request.selection).await
    }

    /// Checks what can be checked now of a download, so that a mistake is reported immediately.
    pub async fn check_download(&self, model: &ModelRow, request: &DownloadRequest) -> Result<()> {
        self.refuse_never_stored(&model.key)?;
        request.selection.matcher()?;
        let revision = request.revision.as_ref().map_or_else(|| model.revision.clone(), Revision::to_string);
        if let Some(commit) = self.repos.fresh_commit(&model.id, &Revision::parse(&revision)?).await?
            && self.db.tree_is_complete(&model.id, &commit).await?
        {
            self.check_paths(model, &commit, &request.selection.paths).await?;
        }
        Ok(())
    }

    fn refuse_never_stored(&self, key: &RepoKey) -> Result<()> {
        if self.settings.keeping.is_never_stored(key) {
            return Err(Error::Conflict(format!("{key} is never stored on this hub, by the setting store.never")));
        }
        Ok(())
    }

    /// Starts to download files.
    pub async fn enqueue_download(&self, model: &ModelRow, request: DownloadRequest) -> Result<Job> {
        self.check_download(model, &request).await?;
        let revision = request.revision.as_ref().map_or_else(|| model.revision.clone(), Revision::to_string);
        self.jobs
            .enqueue(NewJob {
                work: Work::Download(work::Download {
                    revision,
                    selection: request.selection,
                    bytes_per_second: request.bytes_per_second,
                    ..work::Download::default()
                }),
                repo: Some(model.id.clone()),
                repo_name: model.key.to_string(),
                priority: request.priority,
            })
            .await
    }

    /// A commit whose files are listed.
    async fn listed(&self, model: &ModelRow, revision: &Revision) -> Result<ResolvedRevision> {
        let caller = Caller::owner();
        let resolved = self.repos.resolve(&caller, &model.key, revision, Need::Bytes).await?;
        if !self.catalog.keep_tree(&caller, &resolved.repo, &resolved.commit).await? {
            let message = format!("{} is gated, and this hub's token has no access to it", model.key);
            return Err(Error::Gated { message });
        }
        // Whatever was wrong at the last sync is not wrong any more.
        if model.status != ModelStatus::Synced {
            self.db.put_synced(&model.id, None, self.clock.now()).await?;
        }
        Ok(resolved)
    }

    /// Runs a job of the kind download.
    pub async fn download(&self, run: &JobRun, work: &work::Download) -> Result<Done> {
        let model = self.model_of(run).await?;
        self.refuse_never_stored(&model.key)?;
        run.update(|progress| progress.doing = "reading the file list".into());
        // The job downloads what the revision resolved to when it started, also after a restart.
        let revision = if work.commit.is_empty() { &work.revision } else { &work.commit };
        let resolved = self.listed(&model, &Revision::parse(revision)?).await?;
        if work.commit.is_empty() {
            self.jobs.settle_commit(run, &resolved.commit).await?;
        }
        // The listing may belong to another row than the job's: the model was renamed.
        let model = ModelRow { id: resolved.repo.row.clone(), ..model };
        self.check_paths(&model, &resolved.commit, &work.selection.paths).await?;
        let plan = self.plan(&resolved, &work.selection).await?;
        run.update(|progress| {
            progress.files_total = plan.totals.files;
            progress.bytes_total = plan.totals.bytes;
            progress.files_done = plan.totals.files_here;
            // For a resumed job: what it had of incomplete files, until their downloads are checked.
            progress.bytes_done = progress.bytes_done.clamp(plan.totals.bytes_here, plan.totals.bytes);
            progress.doing = String::new();
        });
        if plan.totals.files == 0 {
            return Err(Error::Invalid(format!("no file of {} matches the selection", model.key)));
        }
        if !plan.fits() {
            let (needed, free) = (plan.to_fetch, plan.disk_free);
            return Err(match plan.limit {
                None => Error::NoRoom { needed, free },
                Some(limit) => Error::OverLimit { needed, limit, left: free, quarantined: plan.quarantined },
            });
        }
        let text = format!(
            "{} at {}, {} cached; {} to download",
            counted(plan.totals.files, "file"),
            resolved.commit,
            plan.totals.files_here,
            ByteSize(plan.to_fetch)
        );
        run.log(Level::Info, &text).await;

        let (matcher, _) = self.settled(&resolved.repo.row, &resolved.commit, &work.selection).await?;
        let fetched = Arc::new(Fetching::new(self, work.bytes_per_second));
        let mut fetching = self.fetch_selected(&resolved, &matcher, &fetched).boxed();
        let mut beats = self.clock.beats(TICK);
        let mut speed = Speed::default();
        let failed = loop {
            tokio::select! {
                biased;
                () = run.stop.cancelled() => return Err(Error::Stopping),
                outcome = &mut fetching => break outcome?,
                () = beats.next() => fetched.show(run, &plan.totals, speed.note(self.clock.elapsed(), fetched.arrived())),
            }
        };
        fetched.show(run, &plan.totals, 0);
        if let Some((path, error)) = failed {
            run.log(Level::Error, &format!("{path}: {error}")).await;
            return Err(error);
        }
        let (files, bytes) = (fetched.files.load(Ordering::Relaxed), fetched.done.load(Ordering::Relaxed));
        Ok(Done { outcome: downloaded(files, bytes, plan.totals.files), changes: None })
    }

    /// Downloads every selected file that is not stored; the first failure, after all others were tried.
    async fn fetch_selected(
        &self,
        resolved: &ResolvedRevision,
        matcher: &Matcher,
        fetched: &Arc<Fetching>,
    ) -> Result<Option<(String, Error)>> {
        let mut running: JoinSet<(String, Result<()>)> = JoinSet::new();
        let mut failed = None;
        let mut after = String::new();
        while let Some(files) = self.selected(&resolved.repo.row, &resolved.commit, matcher, &mut after).await? {
            for (artifact, is_here) in files {
                // Somebody may have removed the file.
                if is_here && (artifact.size == 0 || self.store.holds(artifact.content, artifact.size).await?) {
                    continue;
                }
                while running.len() >= PARALLEL {
                    if let Some(joined) = running.join_next().await {
                        note_outcome(joined?, &mut failed)?;
                    }
                }
                let (models, resolved, fetched) = (self.clone(), resolved.clone(), Arc::clone(fetched));
                running.spawn(async move {
                    let path = artifact.path.to_string();
                    (path, models.bring(&resolved, &artifact, &fetched).await)
                });
            }
        }
        while let Some(joined) = running.join_next().await {
            note_outcome(joined?, &mut failed)?;
        }
        Ok(failed)
    }

    /// Downloads one file.
    async fn bring(&self, resolved: &ResolvedRevision, artifact: &Artifact, fetched: &Fetching) -> Result<()> {
        // It came with another file of the same content.
        if self.store.get(artifact).await?.is_some() {
            fetched.share(artifact);
            return Ok(());
        }
        let target = FlightTarget {
            content: artifact.content,
            size: artifact.size,
            repo: resolved.repo.key.clone(),
            commit: resolved.commit.clone(),
            path: artifact.path.clone(),
            caller: Caller::owner(),
            xet_hash: artifact.xet_hash,
        };
        let waiter = self.flights.wait_for(target, fetched.paces.clone());
        fetched.begin(artifact, waiter.watch());
        let outcome = waiter.done().await;
        fetched.leave(artifact, matches!(outcome, Ok(()) | Err(Error::CameElsewhere)));
        match outcome {
            Err(Error::CameElsewhere) if self.store.get(artifact).await?.is_some() => Ok(()),
            outcome => outcome,
        }
    }
}

/// Keeps the first failure and continues, unless everything else would fail too.
fn note_outcome((path, outcome): (String, Result<()>), failed: &mut Option<(String, Error)>) -> Result<()> {
    match outcome {
        Ok(()) => {}
        Err(
            error @ (Error::NoSpace
            | Error::NoRoom { .. }
            | Error::OverLimit { .. }
            | Error::DatabaseAway { .. }
            | Error::Stopping
            | Error::Offline { .. }
            | Error::RateLimited { .. }),
        ) => return Err(error),
        Err(error) => {
            failed.get_or_insert((path, error));
        }
    }
    Ok(())
}

/// What a job is downloading and has downloaded.
struct Fetching {
    paces: Vec<Pace>,
    /// Bytes and files that are whole by this run.
    done: AtomicU64,
    files: AtomicU64,
    /// Bytes that came during this run, of flights that have ended.
    arrived: AtomicU64,
    /// The same of what came as the content of another file.
    shared_bytes: AtomicU64,
    shared_files: AtomicU64,
    flying: Mutex<Vec<Flying>>,
    /// What was shown of files, and was thrown away since then: their bodies were wrong.
    thrown: AtomicU64,
}

struct Flying {
    artifact: Artifact,
    watch: FlightWatch,
    /// How much of it was shown.
    shown: u64,
}

impl Fetching {
    fn new(models: &Models, bytes_per_second: u64) -> Self {
        let own = Pace::new(models.clock.clone(), bytes_per_second);
        Self {
            paces: vec![models.pace.clone(), own],
            done: AtomicU64::new(0),
            files: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            shared_bytes: AtomicU64::new(0),
            shared_files: AtomicU64::new(0),
            flying: Mutex::default(),
            thrown: AtomicU64::new(0),
        }
    }

    fn flying(&self) -> std::sync::MutexGuard<'_, Vec<Flying>> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, artifact: &Artifact, watch: FlightWatch) {
        self.flying().push(Flying { artifact: artifact.clone(), watch, shown: 0 });
    }

    fn leave(&self, artifact: &Artifact, done: bool) {
        let mut flying = self.flying();
        for ended in flying.extract_if(.., |other| other.artifact.path == artifact.path) {
            self.arrived.fetch_add(ended.watch.arrived_bytes(), Ordering::Relaxed);
            let thrown = if done { 0 } else { ended.shown.saturating_sub(ended.watch.present_bytes()) };
            self.thrown.fetch_add(thrown, Ordering::Relaxed);
        }
        drop(flying);
        if done {
            self.done.fetch_add(artifact.size, Ordering::Relaxed);
            self.files.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn share(&self, artifact: &Artifact) {
        self.shared_bytes.fetch_add(artifact.size, Ordering::Relaxed);
        self.shared_files.fetch_add(1, Ordering::Relaxed);
    }

    /// What came during this run: what was here before has no speed.
    fn arrived(&self) -> u64 {
        let flying = self.flying();
        let arriving: u64 = flying.iter().map(|flying| flying.watch.arrived_bytes()).sum();
        arriving + self.arrived.load(Ordering::Relaxed)
    }

    fn show(&self, run: &JobRun, planned: &FileTotals, bytes_per_second: u64) {
        let (mut files, mut present) = (Vec::new(), self.done.load(Ordering::Relaxed));
        for flying in self.flying().iter_mut() {
            let before = std::mem::replace(&mut flying.shown, flying.watch.present_bytes());
            self.thrown.fetch_add(before.saturating_sub(flying.shown), Ordering::Relaxed);
            present += flying.shown;
            files.push(FileProgress {
                path: flying.artifact.path.to_string(),
                bytes_done: flying.shown.min(flying.artifact.size),
                bytes_total: flying.artifact.size,
            });
        }
        let thrown = self.thrown.swap(0, Ordering::Relaxed);
        run.update(|progress| {
            let shared = [&self.shared_files, &self.shared_bytes].map(|count| count.load(Ordering::Relaxed));
            progress.files_done = planned.files_here + self.files.load(Ordering::Relaxed) + shared[0];
            // Resumed downloads report how much they have once they have checked it: until then it is what it was, without
            // what had to be thrown away.
            let bytes = planned.bytes_here + present + shared[1];
            progress.bytes_done = bytes.max(progress.bytes_done.saturating_sub(thrown)).min(planned.bytes);
            progress.bytes_per_second = bytes_per_second;
            progress.files = files;
        });
    }
}

/// Whether a file is weights in a format that can run code.
pub fn can_run_code(artifact: &Artifact) -> bool {
    FileType::of(&artifact.path) == FileType::Model
        && WeightFormat::of(&artifact.path).is_some_and(WeightFormat::can_run_code)
}

/// The outcome of a download job: what it brought, and what was cached before.
fn downloaded(files: u64, bytes: u64, selected: u64) -> String {
    let cached = selected.saturating_sub(files);
    match files {
        0 => format!("{} already cached", counted(cached, "file")),
        _ if cached == 0 => format!("downloaded {}, {}", counted(files, "file"), ByteSize(bytes)),
        _ => format!("downloaded {}, {}; {cached} already cached", counted(files, "file"), ByteSize(bytes)),
    }
}
