//! What happens, as it happens, for whoever watches.
//!
//! Events have growing ids. The last few thousand are kept, so that a watcher that was cut off resumes where it was
//! (Last-Event-ID); one that missed more is told so by `Happening::Lost` and reads its lists again. A slow watcher
//! never slows anybody down: it loses events and is told.
//!
//! Whoever changes a job in the database announces it afterwards, and may be overtaken by the next change. So what is
//! announced about a job is never older than what was announced before.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use super::Error;
use crate::db::Db;
use crate::domain::job::Job;
use crate::domain::{Activity, Clock, JobId, Millis, ModelId};

/// Events kept for watchers that come back.
const KEPT: usize = 4096;
/// How many events a watcher may lag behind.
const BEHIND: usize = 1024;

#[derive(Debug, Clone)]
pub enum Happening {
    /// A job was added, or its status changed.
    Job(Box<Job>),
    /// A running job made progress.
    Progress(Box<Job>),
    Activity(Activity),
    Traffic(Traffic),
    /// What is known about a model changed; its id.
    Model(ModelId),
    /// Events were missed: lists should be read again.
    Lost,
}

/// What moved in the last second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub bytes_to_clients: u64,
    pub bytes_from_upstream: u64,
    pub requests: u64,
    pub hits: u64,
    pub flights: u64,
}

#[derive(Debug, Clone)]
pub struct Event {
    pub id: u64,
    pub at: Millis,
    pub what: Happening,
}

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    kept: Mutex<Kept>,
    sender: broadcast::Sender<Arc<Event>>,
}

struct Kept {
    next: u64,
    events: VecDeque<Arc<Event>>,
    /// The newest version announced of each job among `events`.
    versions: HashMap<JobId, u64>,
}

impl Kept {
    /// False: something newer has been announced about this job.
    fn is_news(&self, what: &Happening) -> bool {
        what.job().is_none_or(|job| self.versions.get(&job.id).is_none_or(|told| *told <= job.version))
    }

    fn push(&mut self, event: Arc<Event>) {
        if self.events.len() == KEPT
            && let Some(oldest) = self.events.pop_front()
            && let Some(job) = oldest.what.job()
            && self.versions.get(&job.id) == Some(&job.version)
        {
            self.versions.remove(&job.id);
        }
        if let Some(job) = event.what.job() {
            self.versions.insert(job.id.clone(), job.version);
        }
        self.events.push_back(event);
    }
}

impl Happening {
    fn job(&self) -> Option<&Job> {
        match self {
            Self::Job(job) | Self::Progress(job) => Some(job),
            _ => None,
        }
    }
}

impl Events {
    pub(super) fn new(db: Db, clock: Clock) -> Self {
        // Ids of this process are greater than those of the one before.
        let next = (clock.now().max(0) as u64) << 16;
        let kept = Kept { next, events: VecDeque::with_capacity(KEPT), versions: HashMap::new() };
        let (kept, sender) = (Mutex::new(kept), broadcast::Sender::new(BEHIND));
        Self(Arc::new(Inner { db, clock, kept, sender }))
    }

    /// Records an activity that people want to know about.
    pub(super) async fn note(&self, kind: &str, text: String, repo_name: &str, job: Option<&JobId>) {
        let at = self.0.clock.now();
        let activity = Activity { at, kind: kind.into(), text, repo_name: repo_name.into(), job: job.cloned() };
        if let Err(error) = self.0.db.put_activity(&uuid::Uuid::now_v7().to_string(), &activity).await {
            Error::from(error).warn("could not record an activity");
        }
        self.publish(Happening::Activity(activity));
    }

    pub(super) fn publish(&self, what: Happening) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.is_news(&what) {
            return;
        }
        kept.next += 1;
        let event = Arc::new(Event { id: kept.next, at: self.0.clock.now(), what });
        // Past traffic is of no use to a watcher that comes back, and would push out what is.
        if !matches!(event.what, Happening::Traffic(_)) {
            kept.push(Arc::clone(&event));
        }
        // Under the lock, so that a new watcher sees each event once. Having no watchers is not a failure.
        let _ = self.0.sender.send(event);
    }

    pub(super) fn is_watched(&self) -> bool {
        self.0.sender.receiver_count() > 0
    }

    /// Follows events from now on, or after an earlier event.
    pub fn watch(&self, after: Option<u64>) -> Watch {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.0.sender.subscribe();
        let mut backlog = VecDeque::new();
        if let Some(after) = after {
            let is_known =
                kept.events.front().is_some_and(|oldest| oldest.id <= after.saturating_add(1)) && after <= kept.next;
            if is_known || after == kept.next {
                backlog.extend(kept.events.iter().filter(|event| event.id > after).cloned());
            } else {
                backlog.push_back(Arc::new(Event { id: kept.next, at: self.0.clock.now(), what: Happening::Lost }));
            }
        }
        Watch { backlog, receiver, clock: self.0.clock.clone() }
    }
}

/// One watcher.
pub struct Watch {
    backlog: VecDeque<Arc<Event>>,
    receiver: broadcast::Receiver<Arc<Event>>,
    clock: Clock,
}

impl Watch {
    /// The next event; `None` when the hub stops.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        if let Some(event) = self.backlog.pop_front() {
            return Some(event);
        }
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Closed) => None,
            Err(broadcast::error::RecvError::Lagged(_)) => {
                Some(Arc::new(Event { id: 0, at: self.clock.now(), what: Happening::Lost }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::{JobStatus, Progress};
    use crate::domain::{Work, work};

    fn told(id: &str, version: u64, status: JobStatus) -> Happening {
        Happening::Job(Box::new(Job {
            id: JobId::new(id),
            version,
            work: Work::Sync(work::Sync::default()),
            status,
            repo: None,
            repo_name: String::new(),
            priority: 0,
            attempts: 0,
            max_attempts: 1,
            progress: Progress::default(),
            waiting_for: String::new(),
            error: String::new(),
            outcome: String::new(),
            worker: None,
            changes: None,
            created_at: 0,
            run_at: 0,
            started_at: None,
            finished_at: None,
            dismissed_at: None,
        }))
    }

    #[tokio::test]
    async fn who_was_overtaken_tells_nothing_old() {
        let dir = tempfile::tempdir().unwrap();
        let events = Events::new(Db::open(None, dir.path()).await.unwrap(), Clock::manual(0));
        let mut watch = events.watch(None);
        events.publish(told("a", 3, JobStatus::Completed));
        events.publish(told("a", 2, JobStatus::Running));
        events.publish(told("b", 1, JobStatus::Pending));
        let mut seen = Vec::new();
        for _ in 0..2 {
            let event = watch.next().await.unwrap();
            let job = event.what.job().unwrap();
            seen.push((job.id.to_string(), job.status));
        }
        assert_eq!(seen, [("a".into(), JobStatus::Completed), ("b".into(), JobStatus::Pending)]);
    }

    #[tokio::test]
    async fn versions_are_kept_no_longer_than_their_events() {
        let dir = tempfile::tempdir().unwrap();
        let events = Events::new(Db::open(None, dir.path()).await.unwrap(), Clock::manual(0));
        for n in 0..3 * KEPT {
            events.publish(told(&n.to_string(), 1, JobStatus::Pending));
        }
        let kept = events.0.kept.lock().unwrap();
        assert_eq!((kept.events.len(), kept.versions.len()), (KEPT, KEPT));
    }
}
