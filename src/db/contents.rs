//! Which files name a content.

use super::sql::args;
use super::{Db, Error, Result};
use crate::domain::{ContentId, ModelId, RepoId, RepoKey, RepoKind};

/// A file of a repository, whatever its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    pub model: ModelId,
    pub key: RepoKey,
    pub path: String,
}

fn key_of(kind: &str, id: &str) -> Result<RepoKey> {
    let id = RepoId::parse(id).map_err(|source| Error::Corrupt { what: "repository id", source })?;
    Ok(RepoKey::new(RepoKind::parse(kind).unwrap_or(RepoKind::Model), id))
}

impl Db {
    /// The first files that have this content: by its name, or by the other name that its blob has.
    pub async fn files_named(&self, content: ContentId, limit: u64) -> Result<Vec<NamedFile>> {
        let sql = "select r.id, r.kind, r.repo_id, n.file_path from (
                select repo, file_path from model_artifact where sha256 = $1
                union select repo, file_path from model_artifact where sha256 is null and oid = $1
                union select a.repo, a.file_path from blob b join model_artifact a
                    on a.sha256 is null and a.oid = b.git_oid and a.size_bytes = b.size_bytes where b.sha256 = $1
            ) n join model_repo r on r.id = n.repo order by r.repo_id, r.kind, n.file_path limit $2";
        let rows: Vec<(String, String, String, String)> = self.all(sql, args![content.to_hex(), limit]).await?;
        let file = |(id, kind, repo, path): (String, String, String, String)| {
            Ok(NamedFile { model: ModelId::new(id), key: key_of(&kind, &repo)?, path })
        };
        rows.into_iter().map(file).collect()
    }
}
