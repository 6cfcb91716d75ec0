//! A store is one data directory (or several names of one) and one database. Each keeps the other's identity.
//!
//! A process with another directory on the same database would promise files that its servers do not have, and forget
//! theirs; so it is refused at the start. The name is made by the first process, in its directory, and then written into
//! the database, where the first one stays.

use super::{Error, Result, Store};

/// The file in the data directory.
const FILE: &str = "STORE_ID";
const SETTING: &str = "store_id";
/// Where the directory was that the database's identity came from, for people.
const PLACE: &str = "store_place";

impl Store {
    /// Refuses a directory and a database that belong to different stores. `adopt`: this directory takes the place of
    /// the database's, whose files are downloaded again on the next request.
    pub(in crate::hub) async fn check_identity(&self, adopt: bool) -> Result<()> {
        let db = &self.0.db;
        let here = self.secret(FILE).await?;
        let there = db.setting(SETTING).await?;
        let here = match (here, &there) {
            (Some(here), _) => here,
            // An empty directory on a database that has another: not made one of ours before that is clear.
            (None, Some(there)) if !adopt => return Err(self.foreign("a directory without a store", there).await?),
            (None, _) => self.secret_or(FILE, || uuid::Uuid::now_v7().to_string()).await?,
        };
        if adopt && there.as_ref().is_some_and(|there| *there != here) {
            db.put_settings(&[(SETTING.into(), here.clone()), (PLACE.into(), self.place())]).await?;
            tracing::warn!(store.id = %here, "this data directory replaces the one that the database belonged to");
            return Ok(());
        }
        let there = match there {
            Some(there) => there,
            None => {
                db.setting_or(PLACE, || self.place()).await?;
                db.setting_or(SETTING, || here.clone()).await?
            }
        };
        if here != there {
            return Err(self.foreign(&format!("store {here}"), &there).await?);
        }
        Ok(())
    }

    /// What the data directory and the database are known by, after `check_identity`.
    pub(in crate::hub) async fn identity(&self) -> Result<String> {
        let here = self.secret(FILE).await?;
        here.ok_or_else(|| Error::Conflict(format!("{} has no {FILE} any more", self.place())))
    }

    fn place(&self) -> String {
        let host = crate::machine::hostname();
        format!("{} on {host}", self.0.disk.root().display())
    }

    async fn foreign(&self, found: &str, there: &str) -> Result<Error> {
        let at = self.0.db.setting(PLACE).await?.unwrap_or_else(|| "an unknown place".into());
        Ok(Error::Conflict(format!(
            "{} is {found}, but the database belongs to store {there}, which was at {at}. Every process on one database \
             needs the same data directory: set store.data_dir to that one, or database.url to another database. If \
             that directory is permanently lost, start once with MODELHUB_STORE_ADOPT=true: this one replaces it, and \
             files are downloaded again on the next request",
            self.place()
        )))
    }
}
