//! A recipe: the terms that make up a range of a file, each with the right to its bytes.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::super::{Result, Serve};
use super::{TICKET_MS, Ticket};
use crate::domain::xet::{Layout, Term};
use crate::domain::{Artifact, CommitId, Millis, RepoKey};
use crate::hub::Served;

/// How to put a range of a file together. Its terms are made as they are read.
pub struct Recipe {
    pub(super) serve: Serve,
    pub(super) repo: RepoKey,
    pub(super) commit: CommitId,
    pub(super) file: String,
    pub(super) artifact: Arc<Artifact>,
    pub(super) range: Range<u64>,
    pub(super) by: String,
    pub(super) made: Millis,
    pub served: Served,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Recipe {
    pub fn offset_into_first(&self) -> u64 {
        self.layout().offset_into_first(&self.range)
    }

    pub fn terms(&self) -> impl Iterator<Item = Term> + Send + use<> {
        // Nothing of an empty file: clients do not even ask.
        let empty = self.range.is_empty();
        self.layout().terms(self.range.clone()).filter(move |_| !empty)
    }

    pub fn xorb_name(&self, term: &Term) -> String {
        self.serve.xorb_name(&self.artifact, term.xorb)
    }

    /// The right to a term's chunks, for its URL.
    pub fn ticket(&self, term: &Term) -> Result<String> {
        let now = self.serve.clock.now();
        let ticket = Ticket {
            kind: self.repo.kind.as_str().to_owned(),
            repo: self.repo.id.to_string(),
            commit: self.commit.to_string(),
            file: self.file.clone(),
            xorb: term.xorb,
            chunks: term.chunks.clone(),
            by: self.by.clone(),
            // As old as the token: what a wrong body makes void, it makes void with it.
            made: self.made,
            expires: now + TICKET_MS,
        };
        self.serve.xet.seal.seal("xorb", &ticket)
    }

    fn layout(&self) -> Layout {
        Layout { size: self.artifact.size }
    }
}
