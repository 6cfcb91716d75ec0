//! What an eviction takes, what it leaves, and how it says so.
//!
//! What could not be downloaded again (files of a folder that upstream does not have, commits of a cache that it did not
//! confirm) stays, unless whoever asks for the eviction includes it: only a new import brings it back.

use std::collections::HashSet;

use super::care::{Blobs, check_eviction, refuse_pinned};
use super::{Hub, Result};
use crate::db::{Eviction, ModelRow, UsageRow};
use crate::domain::{ByteSize, Digest, Selection};

/// Models that a plan names.
const NAMED: u64 = 1000;

/// What an eviction would do: all in all, and to each model.
#[derive(Debug, Clone, Default)]
pub struct EvictionPlan {
    pub sums: Eviction,
    pub models: Vec<UsageRow>,
}

/// What becomes of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Goes,
    /// It goes, and could not be downloaded again.
    Lost,
    /// It stays: it could not be downloaded again.
    Kept,
    /// It stays: another model uses it too.
    Shared,
}

impl Hub {
    /// What an eviction from the store would do.
    pub async fn plan_eviction(
        &self,
        free_bytes: u64,
        unused_ms: u64,
        include_unrecoverable: bool,
    ) -> Result<EvictionPlan> {
        check_eviction(free_bytes, unused_ms)?;
        let since = self.unused_since(unused_ms);
        let sums = self.db.eviction(since, free_bytes, include_unrecoverable).await?;
        let models = self.db.eviction_by_repo(since, free_bytes, include_unrecoverable, NAMED).await?;
        Ok(EvictionPlan { sums, models })
    }

    /// What an eviction of a model would do.
    pub async fn plan_model_eviction(
        &self,
        model: &ModelRow,
        revision: &str,
        selection: &Selection,
        include_unrecoverable: bool,
    ) -> Result<EvictionPlan> {
        refuse_pinned(model)?;
        let (commit, matcher) = self.chosen(model, revision, selection).await?;
        let mut blobs = Blobs::of_model(model.id.clone(), commit, matcher);
        let (mut sums, mut seen) = (Eviction::default(), HashSet::new());
        while let Some(page) = blobs.next(self).await? {
            for blob in page {
                if seen.insert(blob.digest) {
                    count(&mut sums, self.fate(blob.digest, Some(&model.id), include_unrecoverable).await?, blob.size);
                }
            }
        }
        let line = UsageRow {
            id: model.id.clone(),
            name: format!("{}{}", model.key.kind.url_prefix(), model.key.id),
            files: sums.goes.files,
            bytes: sums.goes.bytes,
            own_bytes: sums.goes.bytes,
            pinned: model.pinned,
            last_used_at: model.last_used_at,
            unrecoverable: sums.unrecoverable,
            kept: sums.kept,
        };
        Ok(EvictionPlan { sums, models: vec![line] })
    }

    /// What becomes of a blob in an eviction of this model, or of the store.
    pub(super) async fn fate(&self, digest: Digest, model: Option<&str>, include_unrecoverable: bool) -> Result<Fate> {
        if let Some(model) = model
            && self.db.is_used_elsewhere(digest, model).await?
        {
            return Ok(Fate::Shared);
        }
        Ok(match (self.db.is_unrecoverable(digest).await?, include_unrecoverable) {
            (false, _) => Fate::Goes,
            (true, true) => Fate::Lost,
            (true, false) => Fate::Kept,
        })
    }
}

/// Adds a blob to what an eviction does.
pub(super) fn count(sums: &mut Eviction, fate: Fate, size: u64) {
    match fate {
        Fate::Shared => {}
        Fate::Kept => sums.kept.add(size),
        Fate::Goes => sums.goes.add(size),
        Fate::Lost => {
            sums.goes.add(size);
            sums.unrecoverable.add(size);
        }
    }
}

/// What an eviction did, in a sentence.
pub(super) fn outcome(did: &Eviction, shared: u64) -> String {
    let files = |count: u64| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    let mut text = format!("{} left the store, {}", files(did.goes.files), ByteSize(did.goes.bytes));
    if did.unrecoverable.files > 0 {
        let lost = did.unrecoverable;
        text.push_str(&format!("; {} of them cannot be downloaded again, {}", lost.files, ByteSize(lost.bytes)));
    }
    if shared > 0 {
        text.push_str(&format!("; {shared} stay because other models use them"));
    }
    if did.kept.files > 0 {
        let kept = did.kept;
        text.push_str(&format!(
            "; kept {} that could not be downloaded again, {}",
            files(kept.files),
            ByteSize(kept.bytes)
        ));
    }
    text
}
