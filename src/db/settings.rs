//! Named values that belong to this installation, e.g. the key of token digests.

use super::sql::args;
use super::{Db, Result};

impl Db {
    /// The value of `name`; `make` gives it if there is none yet. Two processes that start at
    /// once agree on one value.
    pub async fn setting_or(&self, name: &str, make: impl FnOnce() -> String) -> Result<String> {
        let insert = "insert into setting (name, value) values ($1, $2) on conflict (name) do nothing";
        let select = "select value from setting where name = $1";
        if let Some((value,)) = self.optional(select, args![name]).await? {
            return Ok(value);
        }
        let made = make();
        self.execute(insert, args![name, made.as_str()]).await?;
        let row: Option<(String,)> = self.optional(select, args![name]).await?;
        Ok(row.map_or(made, |(value,)| value))
    }
}
