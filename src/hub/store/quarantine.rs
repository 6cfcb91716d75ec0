//! The space that the store takes, and of that the quarantine: counted, listed, emptied, and expired.

use std::time::Duration;

use super::{Result, Store};
use crate::blob::{QuarantineName, Quarantined};
use crate::db::{Amount, StoreTotals};
use crate::domain::millis;

/// How long a quarantined file is kept: over a week that somebody is away, and one more to look at it.
pub const QUARANTINE_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// What takes space in the data directory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    pub stored: StoreTotals,
    pub arriving: u64,
    pub quarantined: u64,
}

impl Space {
    /// What counts towards the store's limit.
    pub fn used(&self) -> u64 {
        self.stored.bytes.saturating_add(self.arriving).saturating_add(self.quarantined)
    }
}

impl Store {
    /// What is in quarantine: the newest first, what somebody else put there last.
    pub(in crate::hub) async fn quarantined(&self) -> Result<Vec<Quarantined>> {
        Ok(self.blocking(|disk| disk.quarantined()).await??)
    }

    /// Removes one file in quarantine; its bytes, or `None` if there is none of this name.
    pub(in crate::hub) async fn remove_quarantined(&self, name: QuarantineName) -> Result<Option<u64>> {
        Ok(self.blocking(move |disk| disk.remove_quarantined(name)).await??)
    }

    /// Removes all files in quarantine that were set aside at least so long ago, and none that somebody else put there.
    pub(in crate::hub) async fn empty_quarantine(&self, age: Duration) -> Result<Amount> {
        let before = self.0.clock.now().saturating_sub(millis(age));
        let mut removed = Amount::default();
        for name in self.quarantined().await?.into_iter().filter_map(|file| file.name) {
            if (age.is_zero() || name.at <= before)
                && let Some(bytes) = self.remove_quarantined(name).await?
            {
                removed.add(bytes);
            }
        }
        Ok(removed)
    }
}
