//! What upstream answered when one token asked for one repository.

use super::sql::args;
use super::{Db, Result};
use crate::domain::{Millis, ModelId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    pub allowed: bool,
    pub checked_at: Millis,
}

impl Db {
    pub async fn grant(&self, repo: &ModelId, token_digest: &str) -> Result<Option<Grant>> {
        let sql = "select allowed, checked_at from access_grant where repo = $1 and token_digest = $2";
        let row: Option<(bool, i64)> = self.optional(sql, args![repo, token_digest]).await?;
        Ok(row.map(|(allowed, checked_at)| Grant { allowed, checked_at }))
    }

    pub async fn put_grant(&self, repo: &ModelId, token_digest: &str, grant: Grant) -> Result<()> {
        let sql = "insert into access_grant (repo, token_digest, allowed, checked_at) values ($1, $2, $3, $4)
            on conflict (repo, token_digest) do update set allowed = excluded.allowed, checked_at = excluded.checked_at";
        self.execute(sql, args![repo, token_digest, grant.allowed, grant.checked_at]).await?;
        Ok(())
    }
}
