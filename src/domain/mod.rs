//! Types and rules of the field. No I/O, no clock of its own, and of async only the waits of `Clock`.
//!
//! Text from the wire is parsed here, once, into types that cannot be wrong; everything
//! above passes those types on. A parse error says what was wrong and what was expected.

pub mod activity;
pub mod artifact;
pub mod backoff;
pub mod clock;
pub mod counted;
pub mod digest;
pub mod facts;
pub mod file_type;
pub mod gguf_file;
mod gguf_name;
mod glob;
pub mod hours;
pub mod id;
pub mod job;
pub mod keeping;
pub mod model;
pub mod path;
pub mod principal;
pub mod range;
pub mod repo;
pub mod revision;
pub mod safetensors_set;
pub mod selection;
pub mod size;
pub mod weight_format;
pub mod weight_set;
pub mod work;
pub mod xet;

pub use activity::Activity;
pub use artifact::{Artifact, Entry, Visibility};
pub use backoff::Backoff;
pub use clock::{Beats, Clock, Millis, millis};
pub use counted::counted;
pub use digest::{ContentId, Digest, GitOid, XetHash};
pub use facts::{FactsError, ModelFacts};
pub use file_type::FileType;
pub use gguf_file::{GgufFile, GgufRole};
pub use hours::Hours;
pub use id::{JobId, ModelId, WorkerId};
pub use keeping::{Expiry, KeepFree, Keeping, NamePattern};
pub use model::{ModelSource, ModelStatus};
pub use path::RepoPath;
pub use principal::Principal;
pub use range::ByteRange;
pub use repo::{RepoId, RepoKey, RepoKind};
pub use revision::{CommitId, Origin, Revision};
pub use selection::{Preset, Selection};
pub use size::ByteSize;
pub use weight_format::{Shard, WeightFormat};
pub use weight_set::WeightSet;
pub use work::Work;

/// Why a text from outside cannot be parsed. It names the rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} `{shown}`: {rule}")]
pub struct ParseError {
    what: &'static str,
    shown: String,
    rule: std::borrow::Cow<'static, str>,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, input: &str, rule: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        // Shown text is cut and made printable: it ends up in headers and logs.
        let shown = input.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        Self { what, shown, rule: rule.into() }
    }

    /// Whether the text was to be one of these.
    pub fn is_of(&self, what: &str) -> bool {
        self.what == what
    }
}
