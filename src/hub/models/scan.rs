//! Models on this machine's disk, imported: the job around `import`.

use super::import::{ImportProgress, ImportReport, ImportRequest, Problem, ProblemKind};
use super::{Models, Result};
use crate::blob::Placement;
use crate::domain::job::{Job, Level, NewJob, priority};
use crate::domain::{ByteSize, RepoId, RepoKey, RepoKind, Work, counted, work};
use crate::hub::Error;
use crate::hub::jobs::{Done, JobRun};

/// Problems that a job's log names one by one.
const LOGGED: usize = 100;

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

impl Models {
    /// Starts to import what is in a folder.
    pub async fn enqueue_scan(&self, scan: Scan) -> Result<Job> {
        let target = match &scan.repo {
            Some(key) => format!("{}/{}", key.kind.as_str(), key.id),
            None if scan.kind == RepoKind::Model => String::new(),
            None => scan.kind.as_str().to_owned(),
        };
        self.jobs
            .enqueue(NewJob {
                work: Work::Scan(work::Scan {
                    path: scan.path,
                    placement: scan.placement.into(),
                    target,
                    bytes_per_second: scan.bytes_per_second,
                }),
                repo: None,
                repo_name: String::new(),
                priority: priority::WAITING,
            })
            .await
    }

    /// What a scan would find, without reading contents.
    pub async fn preview_scan(&self, scan: Scan) -> Result<ScanPreview> {
        let request = ImportRequest { repo: scan.repo, kind: scan.kind, ..ImportRequest::new(scan.path) };
        let preview = self.preview_import(request).await?;
        let findings = preview.repos.into_iter().map(|found| ScanFinding {
            repo: found.repo,
            layout: found.layout.as_str(),
            path: found.path.display().to_string(),
            files: found.files,
            bytes: found.bytes,
        });
        let problems =
            preview.problems.first.into_iter().map(|problem| (problem.path.display().to_string(), problem.message));
        Ok(ScanPreview {
            findings: findings.collect(),
            problems: problems.collect(),
            files: preview.files,
            bytes: preview.bytes,
        })
    }

    /// Runs a job of the kind scan. One that was stopped resumes where it was: unchanged files are not read again.
    pub async fn scan(&self, run: &JobRun, work: &work::Scan) -> Result<Done> {
        let (repo, kind) = target(&work.target)?;
        let request = ImportRequest {
            how: placement(&work.placement),
            repo,
            kind,
            bytes_per_second: Some(work.bytes_per_second).filter(|limit| *limit > 0),
            ..ImportRequest::new(&work.path)
        };
        let note = |now: ImportProgress| {
            run.update(|progress| {
                (progress.files_done, progress.bytes_done) = (now.files, now.bytes_read.max(now.bytes));
                progress.doing = format!("reading {}", now.current);
            });
        };
        let report = self.import(request, &note, run.stop.clone()).await?;
        if report.cancelled {
            return Err(Error::Stopping);
        }
        let problems = &report.problems;
        let named = problems.first.len().min(LOGGED);
        for problem in &problems.first[..named] {
            run.log(Level::Warning, &said(problem)).await;
        }
        let left_out = problems.total() - named as u64;
        if left_out > 0 {
            run.log(Level::Warning, &format!("{left_out} more skipped, which are not listed")).await;
        }
        // Folders without a model are no failure, nor is what lies between them.
        match problems.first.iter().find(|problem| report.files > 0 || !problem.kind.is_by_the_way()) {
            Some(problem) if report.attached == 0 => {
                Err(Error::Invalid(format!("nothing was imported: {}", said(problem))))
            }
            _ => Ok(Done { outcome: outcome(&report), changes: None }),
        }
    }
}

fn said(problem: &Problem) -> String {
    format!("{}: {}", problem.path.display(), problem.message)
}

/// The outcome of the job.
fn outcome(report: &ImportReport) -> String {
    let ImportReport { repos_found, attached, hashed, unchanged, bytes_added, .. } = report;
    let empty = report.problems.count(ProblemKind::NoModel);
    if *attached == 0 && empty > 0 {
        let mut first = report.problems.first.iter().filter(|problem| problem.kind == ProblemKind::NoModel);
        let first = first.next().map(said).unwrap_or_default();
        return format!("nothing to import: no model in {}, the first: {first}", counted(empty, "folder"));
    }
    let repos = if *repos_found == 1 { "1 repository".to_owned() } else { format!("{repos_found} repositories") };
    let (files, added) = (counted(*attached, "file"), ByteSize(*bytes_added));
    let mut text = format!("{repos}, {files}; {hashed} read, {unchanged} unchanged, {added} added");
    // Links lie about in many places, and matter in few.
    let problems = &report.problems.first;
    if let Some(first) = problems.iter().find(|problem| !problem.kind.is_by_the_way()).or(problems.first()) {
        text.push_str(&format!("; {} skipped, the first: {}", report.problems.total(), said(first)));
    }
    text
}

fn placement(word: &str) -> Placement {
    match word {
        "reflink" => Placement::Reflink,
        "hard_link" => Placement::HardLink,
        "copy" => Placement::Copy,
        _ => Placement::Auto,
    }
}

/// `kind/namespace/name`, a kind alone, or nothing.
fn target(text: &str) -> Result<(Option<RepoKey>, RepoKind)> {
    let (kind, id) = text.split_once('/').unwrap_or((text, ""));
    let kind = RepoKind::parse(kind).unwrap_or(RepoKind::Model);
    let repo = if id.is_empty() { None } else { Some(RepoKey::new(kind, RepoId::parse(id)?)) };
    Ok((repo, kind))
}
