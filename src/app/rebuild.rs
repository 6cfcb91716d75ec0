//! The database made again from the files: nothing else may have the data directory meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::blob::{LocalStore, Sharing};
use crate::config::Config;
use crate::db::Db;
use crate::domain::Clock;
use crate::hub::{self, Rebuilt};

/// Sets a damaged database aside and writes a row for each file of the store that is what its name says. Where the
/// damaged database is now, if there was one, and what was done. `tell` hears how far it is.
pub async fn rebuild(
    config: &Config,
    clock: &Clock,
    tell: impl Fn(&Rebuilt) + Clone + Send + 'static,
) -> anyhow::Result<(Option<PathBuf>, Rebuilt)> {
    let data_dir = config.store.data_dir.clone();
    if !data_dir.join("blobs").is_dir() {
        bail!(
            "{} holds no store (no folder `blobs`): name the hub's data directory with --data-dir",
            data_dir.display()
        );
    }
    // Also beside PostgreSQL alone: a server that runs keeps in memory what this finds.
    let store = tokio::task::spawn_blocking(move || LocalStore::open(&data_dir, Sharing::Alone)).await??;
    let url = config.database.url.get();
    let (db, aside) = Db::open_or_replace(url, &config.store.data_dir, clock.now()).await?;
    let kept = aside.as_ref().map(|aside| format!("the damaged database is kept at {}", aside.display()));
    let outcome = hub::rebuild_store(db, Arc::new(store), clock.clone(), tell).await;
    let rebuilt = match (outcome, kept) {
        (Ok(rebuilt), _) => rebuilt,
        (Err(error), Some(kept)) => return Err(error).context(kept),
        (Err(error), None) => return Err(error.into()),
    };
    Ok((aside, rebuilt))
}
