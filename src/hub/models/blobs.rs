//! The blobs that a verification or an eviction is about, page by page.

use super::{Models, Result};
use crate::db::{BlobRow, EvictionRule, FilePage, ModelRow};
use crate::domain::selection::Matcher;
use crate::domain::{CommitId, Digest, Entry, ModelId, Selection};
use crate::hub::Error;
use crate::hub::jobs::JobRun;

const PAGE: u64 = 500;

/// See the module's text.
pub(super) enum Blobs {
    /// All of the store, in the order of their names; the last one that was given.
    Store(Option<Digest>),
    /// What an eviction of the store may take.
    Evictable(EvictionRule),
    /// Of a model's files those that are meant.
    Model { model: ModelId, commit: CommitId, matcher: Matcher, after: String },
}

impl Blobs {
    pub(super) fn of_model(model: ModelId, commit: CommitId, matcher: Matcher) -> Self {
        Self::Model { model, commit, matcher, after: String::new() }
    }

    pub(super) async fn next(&mut self, models: &Models) -> Result<Option<Vec<BlobRow>>> {
        match self {
            Self::Store(after) => {
                let page = models.db.blob_page(*after, PAGE).await?;
                *after = page.last().map(|blob| blob.digest);
                Ok((!page.is_empty()).then_some(page))
            }
            // What was evicted is gone from the next page.
            Self::Evictable(rule) => {
                let page = models.db.evictable(rule, PAGE).await?;
                Ok((!page.is_empty()).then_some(page))
            }
            Self::Model { model, commit, matcher, after } => {
                let page = FilePage {
                    flat: true,
                    stored: Some(true),
                    after: after.clone(),
                    limit: PAGE,
                    ..FilePage::default()
                };
                let rows = models.db.file_page(model, commit, &page).await?;
                let Some(last) = rows.last() else { return Ok(None) };
                *after = last.entry.path().to_string();
                let mut blobs = Vec::new();
                for row in rows {
                    if let (Entry::File(file), Some(digest)) = (row.entry, row.stored)
                        && matcher.matches(&file)
                    {
                        blobs.extend(models.store.row(digest, file.size).await?);
                    }
                }
                Ok(Some(blobs))
            }
        }
    }
}

impl Models {
    /// The commit of a model and which of its files are meant, of which there must be some.
    pub(super) async fn chosen(
        &self,
        model: &ModelRow,
        revision: &str,
        selection: &Selection,
    ) -> Result<(CommitId, Matcher)> {
        let commit = self.known_commit(model, revision).await?;
        self.check_paths(model, &commit, &selection.paths).await?;
        let (matcher, _) = self.settled(&model.id, &commit, selection).await?;
        if !selection.is_everything() && !self.selects_any(&model.id, &commit, &matcher).await? {
            return Err(Error::Invalid(format!("no file of {} matches the selection", model.key)));
        }
        Ok((commit, matcher))
    }

    /// The blobs of a job that is about a model.
    pub(super) async fn blobs_of(&self, run: &JobRun, commit: &str, selection: &Selection) -> Result<Blobs> {
        let model = self.model_of(run).await?;
        let commit = self.known_commit(&model, commit).await?;
        let (matcher, _) = self.settled(&model.id, &commit, selection).await?;
        Ok(Blobs::of_model(model.id, commit, matcher))
    }
}
