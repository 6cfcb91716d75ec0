//! The object store of the settings, tried out before a hub uses it.

use crate::config::Config;
use crate::domain::Clock;
use crate::object::{self, ObjectStore, Step};

/// What it is called, and how each step went; `None` if there is none.
pub async fn try_object_store(config: &Config, clock: &Clock) -> anyhow::Result<Option<(String, Vec<Step>)>> {
    let Some(store) = ObjectStore::open(&config.object, clock)? else { return Ok(None) };
    let steps = object::check(&store).await;
    Ok(Some((store.name().to_owned(), steps)))
}
