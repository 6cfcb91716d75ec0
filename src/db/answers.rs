//! Remembered answers of passed-through metadata routes. Bounded in number and age.

use super::sql::args;
use super::{Db, Result};
use crate::domain::Millis;

/// More are never kept; the oldest go first.
const MAX_ANSWERS: u64 = 10_000;

/// What PostgreSQL can find by an index is under 2700 bytes.
const MAX_NAME: usize = 2560;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedAnswer {
    pub content_type: String,
    /// The `Link` header as we would send it, relative to our own base.
    pub link: Option<String>,
    pub body: Vec<u8>,
    pub stored_at: Millis,
}

impl Db {
    pub async fn answer(&self, name: &str) -> Result<Option<RememberedAnswer>> {
        let sql = "select content_type, link, body, stored_at from remembered_answer where name = $1";
        let row: Option<(String, Option<String>, Vec<u8>, i64)> = self.optional(sql, args![name]).await?;
        Ok(row.map(|(content_type, link, body, stored_at)| RememberedAnswer { content_type, link, body, stored_at }))
    }

    /// Keeps an answer, unless its name is so long that only one client can want it.
    pub async fn put_answer(&self, name: &str, answer: RememberedAnswer) -> Result<()> {
        if name.len() > MAX_NAME {
            return Ok(());
        }
        let RememberedAnswer { content_type, link, body, stored_at } = answer;
        let sql =
            "insert into remembered_answer (name, content_type, link, body, stored_at) values ($1, $2, $3, $4, $5)
            on conflict (name) do update set content_type = excluded.content_type, link = excluded.link,
                body = excluded.body, stored_at = excluded.stored_at";
        self.execute(sql, args![name, content_type, link, body, stored_at]).await?;
        Ok(())
    }

    /// Keeps the newest answers only.
    pub async fn prune_answers(&self) -> Result<()> {
        let sql = "delete from remembered_answer where stored_at <= coalesce(
            (select stored_at from remembered_answer order by stored_at desc limit 1 offset $1), 0)";
        self.execute(sql, args![MAX_ANSWERS]).await?;
        Ok(())
    }
}
