//! Models put on the list and taken off it: register, pin, forget; and the order to sync one.

use super::{Models, Result};
use crate::db::{ModelRow, Registered, Registration};
use crate::domain::job::{Job, NewJob, priority};
use crate::domain::{JobId, ModelId, RepoKey, Revision, Work, work};
use crate::hub::events::Happening;
use crate::hub::jobs::{MAX_ATTEMPTS, new_job_id};
use crate::hub::repos::Need;
use crate::hub::{Caller, Error};

impl Models {
    /// Registers a repository and starts to sync it, by the job with this id, which may have ended already.
    /// Registering again changes what is given, and syncs again only if that has a point.
    pub async fn register(
        &self,
        key: &RepoKey,
        revision: Option<&Revision>,
        sync_every_ms: Option<u64>,
    ) -> Result<(ModelRow, Option<JobId>)> {
        let known = self.db.model_named(key).await?;
        if let (Some(row), Some(revision)) = (&known, revision) {
            self.check_new_revision(row, revision).await?;
        }
        // By an older name it is the repository that has another one now.
        let key = known.as_ref().map_or(key, |row| &row.key);
        let job = NewJob {
            work: Work::Sync(work::Sync::default()),
            repo: None,
            repo_name: key.to_string(),
            priority: priority::WAITING,
        };
        let (new_id, new_job_id) = (ModelId::generate(), new_job_id());
        let registration = Registration {
            key,
            revision: revision.map(Revision::as_str),
            sync_every_ms,
            new_id: &new_id,
            job: &job,
            new_job_id: &new_job_id,
            max_attempts: MAX_ATTEMPTS,
            now: self.clock.now(),
        };
        let Registered { id, job, again } = self.db.register(&registration).await?;
        if let Some(job) = &job {
            self.jobs.announce(job);
        }
        if !again {
            self.events.note("model.registered", format!("registered {key}"), &key.to_string(), None).await;
        }
        self.events.publish(Happening::Model(id.clone()));
        let row = match self.model_by_id(&id).await {
            // Its sync has found already that upstream calls it otherwise, and it is one with that.
            Err(Error::NotFound { .. }) => self.model(&key.to_string()).await?,
            row => row?,
        };
        Ok((row, job.map(|job| job.id)))
    }

    /// Refuses a revision that upstream does not have for a model that is good as it is: its sync would fail, and the
    /// model with it. What upstream has never shown is judged by its first sync.
    async fn check_new_revision(&self, row: &ModelRow, revision: &Revision) -> Result<()> {
        if row.visibility.is_none() || row.revision == revision.as_str() {
            return Ok(());
        }
        let caller = Caller::owner();
        let mut found = self.repos.resolve(&caller, &row.key, revision, Need::Metadata).await.map(|_| ());
        // A full commit is itself, whether it is there or not.
        if let (Revision::Commit(commit), Ok(())) = (revision, &found)
            && !self.db.knows_commit(&row.id, commit).await?
        {
            let repo = self.repos.known_repo(&row.key).await?;
            found = self.repos.ask_revision(&caller, &row.key, revision, repo.as_ref()).await.map(|_| ());
        }
        match found {
            Err(Error::RevisionNotFound { .. }) => Err(Error::InvalidField {
                field: "revision",
                rule: format!(
                    "{} has no branch, tag or commit `{revision}`; nothing was changed: it stays at {}",
                    row.key, row.revision
                ),
            }),
            found => found,
        }
    }

    pub async fn pin_model(&self, model: &ModelRow, pinned: Option<bool>, every_ms: Option<u64>) -> Result<ModelRow> {
        self.db.put_pinned(&model.id, pinned, every_ms).await?;
        self.events.publish(Happening::Model(model.id.clone()));
        self.model_by_id(&model.id).await
    }

    /// Removes a model from the list, with what is known about it. Its files stay until they are evicted.
    pub async fn forget_model(&self, model: &ModelRow) -> Result<()> {
        if let Some(job) = self.db.live_job_of(&model.id).await? {
            return Err(Error::Conflict(format!("job {job} is running on {}; cancel it first", model.key)));
        }
        self.db.delete_model(&model.id).await?;
        self.events
            .note("model.removed", format!("removed {} from the list", model.key), &model.key.to_string(), None)
            .await;
        self.events.publish(Happening::Model(model.id.clone()));
        Ok(())
    }

    /// Starts to refresh refs and files from upstream.
    pub async fn enqueue_sync(&self, model: &ModelRow, revision: Option<&Revision>) -> Result<Job> {
        let revision = revision.map_or_else(|| model.revision.clone(), Revision::to_string);
        self.jobs
            .enqueue(NewJob {
                work: Work::Sync(work::Sync { revision }),
                repo: Some(model.id.clone()),
                repo_name: model.key.to_string(),
                priority: priority::WAITING,
            })
            .await
    }
}
