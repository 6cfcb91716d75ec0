//! What commands work with.

use super::client::Client;
use super::failure::Outcome;
use super::output::{Screen, note};
use super::table::Table;
use crate::domain::{Clock, RepoKind};

/// Kinds of repositories.
pub(super) const KINDS: [&str; 4] = RepoKind::WORDS;

/// What commands work with.
pub(super) struct Call {
    pub(super) client: Client,
    pub(super) screen: Screen,
    pub(super) clock: Clock,
}

impl Call {
    /// A table, or what to say if it is empty.
    pub(super) fn print_table(&self, table: &Table, if_empty: &str) -> Outcome {
        if table.is_empty() {
            note(if_empty);
            return Ok(());
        }
        self.screen.print(&table.render(&self.screen))
    }
}
