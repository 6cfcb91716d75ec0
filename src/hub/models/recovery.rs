//! What a verification or the scrub found damaged or missing, downloaded again.
//!
//! Each damaged blob is looked up while its row still tells who names it (`damage_of`) → noted once it has left the store
//! (`note`) → and ordered (`order`): one download job for each registered model that has it, of exactly these files at the
//! commit that names them. What no registered model has comes with the next request, and what upstream does not have not
//! at all; both are said.

use std::collections::{BTreeMap, HashSet};

use super::{Models, Result};
use crate::db::{BlobRow, NamedFile, Recoverable};
use crate::domain::job::{Level, NewJob, priority};
use crate::domain::{CommitId, ContentId, Digest, JobId, ModelId, RepoKey, Selection, Work, counted, work};
use crate::hub::Error;

/// Files noted before they are ordered without waiting for the end: as many as one selection may name.
const MOST: usize = 10_000;
/// Files that a line of a log names, and damaged files that the error of a verification names; its log names all.
const NAMED: usize = 3;
/// Files of one content that are named.
const NAMED_FILES: usize = 2;

/// What is wrong with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    Wrong,
    Missing,
    /// It is a hard link, and its original was changed.
    Changed,
}

/// What is known of a damaged blob.
pub(super) struct Damage {
    /// What people call it.
    name: String,
    recoverable: Vec<Recoverable>,
    is_lost: bool,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Damages {
    files: u64,
    again: u64,
    lost: u64,
    jobs: Vec<JobId>,
    /// The first of them.
    named: Vec<String>,
    /// To be ordered, by model and commit, and how many files that are.
    wanted: BTreeMap<(ModelId, CommitId), Wanted>,
    waiting: usize,
}

struct Wanted {
    key: RepoKey,
    revision: String,
    files: Vec<(Digest, String)>,
}

impl Models {
    /// What is to be known of a damaged blob before its row goes.
    pub(super) async fn damage_of(&self, blob: &BlobRow) -> Result<Damage> {
        let digest = blob.digest;
        // In offline mode nothing is ordered that could only wait.
        let recoverable = if self.upstream.is_offline() { Vec::new() } else { self.db.recoverable(digest).await? };
        Ok(Damage {
            name: name_of(blob, &self.db.files_named(ContentId::Sha256(digest), NAMED_FILES as u64 + 1).await?),
            is_lost: recoverable.is_empty() && self.db.is_unrecoverable(digest).await?,
            recoverable,
        })
    }

    /// Orders what was noted; what to say of it. An order that is refused ends nothing.
    pub(super) async fn order(&self, damages: &mut Damages) -> Vec<(Level, String)> {
        let mut lines = Vec::new();
        damages.waiting = 0;
        let mut ordered = HashSet::new();
        for ((model, commit), wanted) in std::mem::take(&mut damages.wanted) {
            let Wanted { key, revision, files } = wanted;
            let (digests, mut paths): (Vec<Digest>, Vec<String>) = files.into_iter().unzip();
            paths.sort_unstable();
            let named = named(&paths);
            let count = counted(paths.len() as u64, "file");
            let selection = Selection { paths, ..Selection::default() };
            let work = work::Download { revision, commit: commit.to_string(), selection, ..work::Download::default() };
            let job = NewJob {
                work: Work::Download(work),
                repo: Some(model),
                repo_name: key.to_string(),
                priority: priority::WAITING,
            };
            match self.jobs.enqueue(job).await {
                Ok(job) => {
                    let verb = if digests.len() == 1 { "downloads" } else { "download" };
                    lines.push((Level::Info, format!("{key}: {count} {verb} again as job {}: {named}", job.id)));
                    damages.jobs.push(job.id);
                    ordered.extend(digests);
                }
                Err(error) => {
                    let text =
                        format!("{key}: {count} cannot be downloaded again now, only on the next request: {error}");
                    lines.push((Level::Warning, text));
                }
            }
        }
        damages.again += ordered.len() as u64;
        lines
    }
}

impl Damages {
    /// Notes a blob that has left the store; what to say of it.
    pub(super) fn note(&mut self, blob: &BlobRow, harm: Harm, damage: Damage) -> String {
        self.files += 1;
        self.lost += u64::from(damage.is_lost);
        let what = match harm {
            Harm::Wrong => "has wrong bytes and was quarantined",
            Harm::Missing => "is missing",
            Harm::Changed => "is a hard link whose original was changed",
        };
        let then = match (damage.recoverable.is_empty(), damage.is_lost) {
            (false, _) => "it is downloaded again",
            (true, true) => "it was imported from a folder: import it again",
            (true, false) => "it will be downloaded again on the next request",
        };
        for Recoverable { file, commit, revision } in damage.recoverable {
            let wanted = self.wanted.entry((file.model, commit));
            let wanted = wanted.or_insert_with(|| Wanted { key: file.key, revision, files: Vec::new() });
            wanted.files.push((blob.digest, file.path));
            self.waiting += 1;
        }
        let text = format!("{}: sha256:{} {what}; {then}", damage.name, blob.digest.to_hex());
        if self.named.len() < NAMED {
            self.named.push(damage.name);
        }
        text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files == 0
    }

    /// Whether so much was noted that it has to be ordered now.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= MOST
    }

    /// The error that a verification ends with, if it found anything.
    pub(super) fn error(self) -> Option<Error> {
        let Self { files, again, lost, jobs, named, .. } = self;
        (files > 0).then_some(Error::Damaged { files, again, jobs, lost, named })
    }
}

/// What people call a blob: the files that have its content.
fn name_of(blob: &BlobRow, files: &[NamedFile]) -> String {
    if files.is_empty() {
        return format!("a file of no known model (sha256:{})", blob.digest.to_hex());
    }
    let names: Vec<String> =
        files.iter().take(NAMED_FILES).map(|file| format!("{} of {}", file.path, file.key)).collect();
    format!("{}{}", names.join(" and "), if files.len() > NAMED_FILES { " and others" } else { "" })
}

/// The first of some paths, for a log.
fn named(paths: &[String]) -> String {
    let first = paths.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if paths.len() > NAMED { format!("{first}, …") } else { first }
}
