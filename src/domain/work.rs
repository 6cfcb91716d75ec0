//! What a job was asked to do: for each kind what concerns it, and nothing else.
//!
//! A row keeps the kind in a column and the rest as JSON. The JSON is flat and leaves out what is empty, as all versions
//! have written it: each reads the rows of the others, and the same work has the same key before and after an upgrade.

use serde::{Deserialize, Serialize};

use super::Selection;
use super::job::JobKind;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Work {
    Sync(Sync),
    Download(Download),
    Scan(Scan),
    Verify(Verify),
    Evict(Evict),
}

/// Refreshes refs and the file list from upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sync {
    /// The model's own if empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
}

/// Downloads files from upstream into the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Download {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The commit that `revision` resolved to when the job first ran: a retry continues with the same files.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub commit: String,
    #[serde(skip_serializing_if = "Selection::is_everything")]
    pub selection: Selection,
    /// 0: no limit of its own.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_per_second: u64,
}

/// Imports models on this machine's disk into the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scan {
    /// The folder.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// How files get into the store.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub placement: String,
    /// The repository of a folder that does not name one, `kind/namespace/name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// 0: no limit of its own.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_per_second: u64,
}

/// Stored files are read again and their hashes compared: a model's, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verify {
    /// Of a model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub commit: String,
    #[serde(skip_serializing_if = "Selection::is_everything")]
    pub selection: Selection,
    /// 0: no limit of its own.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_per_second: u64,
}

/// Files leave the store: a model's, or those that were not used for the longest time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evict {
    /// Of a model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub commit: String,
    #[serde(skip_serializing_if = "Selection::is_everything")]
    pub selection: Selection,
    /// Of the store: until so much is freed.
    #[serde(skip_serializing_if = "is_zero")]
    pub free_bytes: u64,
    /// Of the store: only what was not used for so long.
    #[serde(skip_serializing_if = "is_zero")]
    pub unused_ms: u64,
    /// Also what could not be downloaded again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_unrecoverable: bool,
    /// Of the store: only these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Chosen>,
}

/// Whose files an eviction of the store may take: those that no other model than these has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chosen {
    /// Their ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Also those that no model has.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unreferenced: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Work {
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Sync(_) => JobKind::Sync,
            Self::Download(_) => JobKind::Download,
            Self::Scan(_) => JobKind::Scan,
            Self::Verify(_) => JobKind::Verify,
            Self::Evict(_) => JobKind::Evict,
        }
    }

    /// The work of a row. What a later version wrote and this one cannot read is as if it had not been said.
    pub fn read(kind: JobKind, json: &str) -> Self {
        fn rest<T: Default + for<'a> Deserialize<'a>>(json: &str) -> T {
            serde_json::from_str(json).unwrap_or_default()
        }
        match kind {
            JobKind::Sync => Self::Sync(rest(json)),
            JobKind::Download => Self::Download(rest(json)),
            JobKind::Scan => Self::Scan(rest(json)),
            JobKind::Verify => Self::Verify(rest(json)),
            JobKind::Evict => Self::Evict(rest(json)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rest of a row as version 0.1.0 wrote it, of each kind, and what it means.
    fn rows() -> Vec<(JobKind, &'static str, Work)> {
        let selection = Selection { include: vec!["*.gguf".into()], ..Selection::default() };
        let commit = "1".repeat(40);
        vec![
            (JobKind::Sync, r#"{"revision":"main"}"#, Work::Sync(Sync { revision: "main".into() })),
            (JobKind::Sync, "{}", Work::Sync(Sync::default())),
            (
                JobKind::Download,
                r#"{"revision":"main","commit":"1111111111111111111111111111111111111111","selection":{"include":["*.gguf"]},"bytes_per_second":9}"#,
                Work::Download(Download {
                    revision: "main".into(),
                    commit: commit.clone(),
                    selection: selection.clone(),
                    bytes_per_second: 9,
                }),
            ),
            (
                JobKind::Scan,
                r#"{"path":"/models","placement":"auto","target":"model/org/name","bytes_per_second":9}"#,
                Work::Scan(Scan {
                    path: "/models".into(),
                    placement: "auto".into(),
                    target: "model/org/name".into(),
                    bytes_per_second: 9,
                }),
            ),
            (
                JobKind::Verify,
                r#"{"commit":"1111111111111111111111111111111111111111","selection":{"include":["*.gguf"]},"bytes_per_second":9}"#,
                Work::Verify(Verify { commit: commit.clone(), selection: selection.clone(), bytes_per_second: 9 }),
            ),
            (
                JobKind::Evict,
                r#"{"commit":"1111111111111111111111111111111111111111","selection":{"include":["*.gguf"]}}"#,
                Work::Evict(Evict { commit, selection, ..Evict::default() }),
            ),
            (
                JobKind::Evict,
                r#"{"free_bytes":5,"unused_ms":6}"#,
                Work::Evict(Evict { free_bytes: 5, unused_ms: 6, ..Evict::default() }),
            ),
        ]
    }

    #[test]
    fn rows_of_the_first_version_are_read_and_written_the_same() {
        for (kind, json, work) in rows() {
            assert_eq!((Work::read(kind, json), work.kind()), (work.clone(), kind));
            assert_eq!(serde_json::to_string(&work).unwrap(), json, "the key of the same work is the same");
        }
    }

    #[test]
    fn a_choice_of_nothing_is_not_everything() {
        let chosen = |only| Work::Evict(Evict { unused_ms: 6, only, ..Evict::default() });
        let some = Chosen { models: vec!["a".into()], unreferenced: true };
        for (json, only) in [
            (r#"{"unused_ms":6,"only":{"models":["a"],"unreferenced":true}}"#, Some(some)),
            (r#"{"unused_ms":6,"only":{}}"#, Some(Chosen::default())),
            (r#"{"unused_ms":6}"#, None),
        ] {
            assert_eq!(Work::read(JobKind::Evict, json), chosen(only.clone()));
            assert_eq!(serde_json::to_string(&chosen(only)).unwrap(), json);
        }
    }

    #[test]
    fn what_is_not_of_a_kind_or_cannot_be_read_is_left_out() {
        let all = r#"{"revision":"main","path":"/x","free_bytes":5,"of_the_future":{}}"#;
        assert_eq!(Work::read(JobKind::Sync, all), Work::Sync(Sync { revision: "main".into() }));
        assert_eq!(Work::read(JobKind::Verify, all), Work::Verify(Verify::default()));
        assert_eq!(Work::read(JobKind::Scan, "no JSON"), Work::Scan(Scan::default()));
    }
}
