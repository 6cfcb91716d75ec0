//! Models on this machine's disk, imported: the job around `import`.

use super::jobs::{Done, JobRun};
use super::{Error, Hub, Result};
use crate::domain::job::{Job, JobKind, NewJob, Payload, priority};
use crate::domain::{RepoKey, RepoKind};

/// What to import, and how.
#[derive(Debug, Clone)]
pub struct Scan {
    /// An absolute path of a folder.
    pub path: String,
    /// A word of `Scan::placement`.
    pub placement: &'static str,
    /// The repository of a folder that does not name one.
    pub repo: Option<RepoKey>,
    pub kind: RepoKind,
    /// 0: no limit.
    pub bytes_per_second: u64,
}

impl Scan {
    /// The word for a way into the store; empty means `auto`.
    pub fn placement(word: &str) -> Option<&'static str> {
        if word.is_empty() {
            return Some("auto");
        }
        ["auto", "reflink", "hard_link", "copy"].into_iter().find(|known| *known == word)
    }
}

/// What a scan would find.
#[derive(Debug, Clone, Default)]
pub struct ScanPreview {
    pub findings: Vec<ScanFinding>,
    pub problems: Vec<(String, String)>,
    pub files: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone)]
pub struct ScanFinding {
    pub repo: RepoKey,
    pub layout: &'static str,
    pub path: String,
    pub files: u64,
    pub bytes: u64,
}

impl Hub {
    /// Begins to import what is in a folder.
    pub async fn enqueue_scan(&self, scan: Scan) -> Result<Job> {
        let target = scan.repo.map(|key| format!("{}/{}", key.kind.as_str(), key.id)).unwrap_or_default();
        self.enqueue(NewJob {
            kind: JobKind::Scan,
            repo: None,
            repo_name: String::new(),
            payload: Payload {
                path: scan.path,
                placement: scan.placement.into(),
                target,
                bytes_per_second: scan.bytes_per_second,
                ..Payload::default()
            },
            priority: priority::WAITING,
        })
        .await
    }

    /// What a scan would find, without reading contents.
    pub async fn preview_scan(&self, scan: Scan) -> Result<ScanPreview> {
        Err(Error::NotSupported(format!("scanning {} is not built yet", scan.path)))
    }

    /// Runs a job of the kind scan.
    pub async fn scan(&self, run: &JobRun) -> Result<Done> {
        Err(Error::NotSupported(format!("scanning {} is not built yet", run.job.payload.path)))
    }
}
