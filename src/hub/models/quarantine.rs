//! The quarantine as people see it: what is in it and which files it should have been, emptied by them or by time.

use std::collections::HashMap;
use std::time::Duration;

use super::{Models, Result};
use crate::blob::{QuarantineName, Quarantined};
use crate::db::{Amount, NamedFile};
use crate::domain::{ByteSize, ContentId, counted};
use crate::hub::Error;
use crate::hub::store::QUARANTINE_KEPT;

/// Quarantined files that a list has.
const LISTED: usize = 1000;
/// Files that are named for each.
const NAMED: u64 = 3;

/// The quarantine.
#[derive(Debug, Clone, Default)]
pub struct Quarantine {
    /// All of it.
    pub total: Amount,
    /// The newest, with the first files that have this content as far as is known; then what somebody else put there.
    pub files: Vec<(Quarantined, Vec<NamedFile>)>,
}

impl Models {
    pub async fn quarantine(&self) -> Result<Quarantine> {
        let mut quarantine = Quarantine::default();
        let mut known: HashMap<ContentId, Vec<NamedFile>> = HashMap::new();
        for file in self.store.quarantined().await? {
            quarantine.total.add(file.size);
            if quarantine.files.len() == LISTED {
                continue;
            }
            let names = match file.name.map(|name| name.content) {
                None => Vec::new(),
                Some(content) => match known.get(&content) {
                    Some(names) => names.clone(),
                    None => {
                        let names = self.db.files_named(content, NAMED).await?;
                        known.insert(content, names.clone());
                        names
                    }
                },
            };
            quarantine.files.push((file, names));
        }
        Ok(quarantine)
    }

    /// Removes one file in quarantine.
    pub async fn delete_quarantined(&self, name: QuarantineName) -> Result<Amount> {
        let Some(bytes) = self.store.remove_quarantined(name).await? else {
            return Err(Error::NotFound { what: format!("{name} not found in quarantine") });
        };
        let removed = Amount { files: 1, bytes };
        self.note_removal(removed).await;
        Ok(removed)
    }

    /// Removes all files in quarantine that the hub put there.
    pub async fn empty_quarantine(&self) -> Result<Amount> {
        let removed = self.store.empty_quarantine(Duration::ZERO).await?;
        if removed.files > 0 {
            self.note_removal(removed).await;
        }
        Ok(removed)
    }

    /// Removes what was in quarantine for long enough.
    pub async fn expire_quarantine(&self) -> Result<()> {
        let Amount { files, bytes } = self.store.empty_quarantine(QUARANTINE_KEPT).await?;
        if files > 0 {
            tracing::info!(files, size_bytes = bytes, "removed quarantined files that were kept for two weeks");
        }
        Ok(())
    }

    async fn note_removal(&self, removed: Amount) {
        let text = format!("removed {} ({})", counted(removed.files, "quarantined file"), ByteSize(removed.bytes));
        self.events.note("quarantine.emptied", text, "", None).await;
    }
}
