//! Whose prefix this is. It has the identity of the store that owns it, and another one's is refused; so is a start without
//! the bucket that has files, or with another one, as what only that has would be gone for everybody.

use std::sync::atomic::Ordering;

use futures_util::TryStreamExt as _;

use super::{Inner, Objects, away};
use crate::db::{Amount, Db};
use crate::domain::{ByteSize, counted};
use crate::hub::{Error, Result};

/// Objects that are noted at once.
const PAGE: usize = 500;

impl Objects {
    /// Looks at the bucket of the settings before anything depends on it. One that cannot be reached is looked at later.
    ///
    /// `adopt`: the data directory takes the place of a lost one, so the prefix is this store's from now on, with all that is
    /// in it. `abandon`: what was in a bucket until now is given up.
    pub(in crate::hub) async fn check_place(&self, db: &Db, adopt: bool, abandon: bool) -> Result<()> {
        if abandon {
            db.forget_objects().await?;
        }
        let Some(inner) = &self.0 else { return leave(db).await };
        let outcome = if adopt { inner.adopt().await } else { inner.is_ours().await };
        match outcome {
            Err(Error::ObjectStore { reason }) if !adopt => {
                inner.away.met(reason);
                Ok(())
            }
            outcome => outcome,
        }
    }
}

/// For a start without an object store.
async fn leave(db: &Db) -> Result<()> {
    let Amount { files, bytes } = db.only_in_object_store().await?;
    if files > 0 {
        return Err(Error::Conflict(format!(
            "{} ({}) of this store {} only in its object store, but none is set: set object.url to it again. To do without \
             it, bring what you need to the disk (modelhub download), then start once with MODELHUB_OBJECT_ABANDON=true: \
             what only the object store has then is given up",
            counted(files, "file"),
            ByteSize(bytes),
            if files == 1 { "is" } else { "are" },
        )));
    }
    // All of it is here as well: nothing is lost, and nobody takes it for safe elsewhere.
    Ok(db.forget_objects().await?)
}

impl Inner {
    /// Makes sure, once, that the prefix has this store's identity; a new prefix gets it.
    pub(super) async fn is_ours(&self) -> Result<()> {
        let look = async || {
            let here = self.store.identity().await?;
            let name = self.object.name();
            let refusal = match self.object.identity().await.map_err(away)? {
                Some(there) if there == here => None,
                Some(there) => Some(format!(
                    "{name} belongs to store {there}, but this one is {here}. Every store needs a prefix of its own: set \
                     object.url to another one"
                )),
                None if self.db.has_objects().await? => Some(format!(
                    "{name} has no STORE_ID, but files of this store should be there: it may be another bucket or prefix. \
                     Set object.url to the right one; or start once with MODELHUB_OBJECT_ABANDON=true: what only the \
                     former one has is given up, and everything else is uploaded to this one"
                )),
                None => {
                    self.object.put_identity(&here).await.map_err(away)?;
                    None
                }
            };
            self.is_refused.store(refusal.is_some(), Ordering::Relaxed);
            refusal.map_or(Ok(()), |text| Err(Error::Conflict(text)))
        };
        self.ours.get_or_try_init(look).await.copied()
    }

    /// Makes the prefix this store's, and knows what is in it.
    async fn adopt(&self) -> Result<()> {
        self.object.put_identity(&self.store.identity().await?).await.map_err(away)?;
        let mut pages = self.object.list(None).try_chunks(PAGE);
        let mut found = 0;
        while let Some(page) = pages.try_next().await.map_err(|error| away(error.1))? {
            found += page.len();
            self.db.put_found_objects(&page, self.clock.now()).await?;
        }
        tracing::warn!(
            object.store = self.object.name(),
            objects = found,
            "the prefix of the object store is this store's now"
        );
        Ok(())
    }
}
