//! Something that happened, in words for people.

use super::{JobId, Millis};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub at: Millis,
    /// What kind of thing, e.g. `job.completed`.
    pub kind: String,
    pub text: String,
    /// `kind/namespace/name`, if it is about a repository.
    pub repo_name: String,
    pub job: Option<JobId>,
}
