//! Named values that belong to this installation, e.g. the key of token digests.

use super::pools::Pools;
use super::sql::args;
use super::{Db, Result};
use crate::domain::Millis;

impl Db {
    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        let row: Option<(String,)> = self.optional("select value from setting where name = $1", args![name]).await?;
        Ok(row.map(|(value,)| value))
    }

    /// The value of `name`; `make` gives it if there is none yet. Two processes that start at
    /// once agree on one value.
    pub async fn setting_or(&self, name: &str, make: impl FnOnce() -> String) -> Result<String> {
        let insert = "insert into setting (name, value) values ($1, $2) on conflict (name) do nothing";
        if let Some(value) = self.setting(name).await? {
            return Ok(value);
        }
        let made = make();
        self.execute(insert, args![name, made.as_str()]).await?;
        Ok(self.setting(name).await?.unwrap_or(made))
    }

    /// Writes a row: what readiness means for a database, if nobody has met damage.
    pub async fn check_writable(&self, now: Millis) -> Result<()> {
        let sql = "insert into setting (name, value) values ('ready_at', $1)
            on conflict (name) do update set value = excluded.value";
        self.execute(sql, args![now.to_string()]).await?;
        match &self.pools {
            Pools::Sqlite(file) => file.check_sound(),
            Pools::Postgres(_) => Ok(()),
        }
    }
}
