//! Which files name a content.

use super::sql::args;
use super::{Db, Error, Result};
use crate::domain::{CommitId, ContentId, Digest, ModelId, RepoId, RepoKey, RepoKind};

/// A file of a repository, whatever its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    pub model: ModelId,
    pub key: RepoKey,
    pub path: String,
}

/// A file of a registered model that upstream can give, as it said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recoverable {
    pub file: NamedFile,
    pub commit: CommitId,
    /// The model's own revision if that is this commit now, else the commit.
    pub revision: String,
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

    /// Of each registered model that has this blob at a commit which upstream told of, one such file: of the commit that
    /// the model is at now, else of any.
    pub async fn recoverable(&self, digest: Digest) -> Result<Vec<Recoverable>> {
        let sql = "select id, kind, repo_id, revision, is_tip, commit_id, file_path from (
                select t.*, row_number() over (partition by t.id order by t.is_tip desc, t.commit_id, t.file_path) as place from (
                    select r.id, r.kind, r.repo_id, r.revision, n.commit_id, n.file_path,
                        case when n.commit_id = coalesce((select v.commit_id from repo_revision v
                            where v.repo = r.id and v.name = r.revision), r.tip) then cast(1 as bigint) else 0 end as is_tip
                    from (
                        select repo, commit_id, file_path from model_artifact where sha256 = $1
                        union all select a.repo, a.commit_id, a.file_path from blob b join model_artifact a
                            on a.sha256 is null and a.oid = b.git_oid and a.size_bytes = b.size_bytes where b.sha256 = $1
                    ) n
                    join repo_commit c on c.repo = n.repo and c.commit_id = n.commit_id and c.origin is null
                    join model_repo r on r.id = n.repo and r.registered_at is not null
                ) t
            ) p where place = 1 order by id";
        type Row = (String, String, String, String, i64, String, String);
        let rows: Vec<Row> = self.all(sql, args![digest.to_hex()]).await?;
        let file = |(id, kind, repo, revision, is_tip, commit, path): Row| {
            let commit = CommitId::parse(&commit).map_err(|source| Error::Corrupt { what: "commit", source })?;
            let file = NamedFile { model: ModelId::new(id), key: key_of(&kind, &repo)?, path };
            Ok(Recoverable { file, revision: if is_tip == 1 { revision } else { commit.to_string() }, commit })
        };
        rows.into_iter().map(file).collect()
    }
}
