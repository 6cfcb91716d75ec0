//! The files of a commit together with what is here of each.

use std::collections::HashMap;

use super::artifacts::{EntryRow, entry_of};
use super::sql::{Pick, args};
use super::{Db, Error, Result, like};
use crate::domain::{CommitId, Digest, Entry, Millis, ModelId};

/// An entry of a commit, and the blob that holds its content.
#[derive(Debug, Clone)]
pub struct FileRow {
    pub entry: Entry,
    /// On the disk.
    pub stored: Option<Digest>,
    pub verified_at: Option<Millis>,
    /// Of a folder, everything below it; of a file, itself.
    pub totals: FileTotals,
}

impl FileRow {
    /// Where the next page begins: `FilePage::after`.
    pub fn place(&self) -> String {
        match &self.entry {
            Entry::File(file) => file.path.to_string(),
            Entry::Directory { path, .. } => format!("{path}/"),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileTotals {
    pub files: u64,
    pub bytes: u64,
    pub files_here: u64,
    pub bytes_here: u64,
}

impl FileTotals {
    pub fn add(&mut self, size: u64, is_here: bool) {
        self.files += 1;
        self.bytes += size;
        if is_here {
            self.files_here += 1;
            self.bytes_here += size;
        }
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct FilePage {
    /// A folder, or the root if empty.
    pub folder: String,
    /// Every file below, without folders; else the folder's own entries, the folders among them first.
    pub flat: bool,
    /// With `flat`: a part of the path, in any letter case.
    pub search: String,
    /// With `flat`: only what is here, or only what is not.
    pub stored: Option<bool>,
    /// Only entries strictly after this place: the path of a file, or that of a folder with a slash behind it.
    pub after: String,
    pub limit: u64,
}

/// Whether nothing of a file is missing here: it is stored, on the disk or in the object store, or has no bytes (as of
/// which both hashes are known). One that an imported cache has lost has no bytes either, but another hash.
macro_rules! is_here {
    () => {
        "(b.sha256 is not null or o.sha256 is not null or (a.size_bytes = 0 and coalesce(a.sha256, a.oid) in
            ('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
            'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391')))"
    };
}
pub(super) use is_here;

/// Files, and where the content of each is: by its sha256, or by its git id together with its size.
macro_rules! with_blob {
    ([$($columns:tt)*], [$($after:tt)*]) => {
        concat!(
            "select ",
            $($columns)*,
            " from model_artifact a left join blob b on b.sha256 = coalesce(a.sha256,
                (select g.sha256 from blob g where g.git_oid = a.oid and g.size_bytes = a.size_bytes limit 1))
            left join object o on o.sha256 = coalesce(a.sha256,
                (select g.sha256 from object g where g.git_oid = a.oid and g.size_bytes = a.size_bytes limit 1)) ",
            $($after)*
        )
    };
}
pub(super) use with_blob;

#[derive(sqlx::FromRow)]
struct Row {
    file_path: String,
    entry: String,
    size_bytes: i64,
    oid: Option<String>,
    sha256: Option<String>,
    xet_hash: Option<String>,
    stored: Option<String>,
    object: Option<String>,
    verified_at: Option<i64>,
}

impl TryFrom<Row> for FileRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let columns: EntryRow = (row.file_path, row.entry, row.size_bytes, row.oid, row.sha256, row.xet_hash);
        let entry = entry_of(columns)?;
        let stored = row.stored.map(|hex| Digest::parse(&hex)).transpose();
        let stored = stored.map_err(|source| Error::Corrupt { what: "sha256", source })?;
        let mut totals = FileTotals::default();
        if let Entry::File(artifact) = &entry {
            totals.add(artifact.size, stored.is_some() || row.object.is_some() || artifact.is_of_no_bytes());
        }
        Ok(Self { entry, stored, verified_at: row.verified_at, totals })
    }
}

impl Db {
    /// The stored files of a commit that clients used last, the latest first: path, size and time.
    pub async fn last_used_files(
        &self,
        repo: &ModelId,
        commit: &CommitId,
        limit: u64,
    ) -> Result<Vec<(String, u64, Millis)>> {
        const SQL: &str = with_blob!(
            ["a.file_path, a.size_bytes, b.last_used_at"],
            ["where a.repo = $1 and a.commit_id = $2 and a.entry = 'file' and b.last_used_at > b.created_at
            order by b.last_used_at desc, a.file_path limit $3"]
        );
        let rows: Vec<(String, i64, i64)> = self.all(SQL, args![repo, commit.as_str(), limit]).await?;
        Ok(rows.into_iter().map(|(path, size, at)| (path, size.max(0) as u64, at)).collect())
    }

    /// One page of a commit's entries, ordered by path; of a folder's own entries, the folders come first.
    pub async fn file_page(&self, repo: &ModelId, commit: &CommitId, page: &FilePage) -> Result<Vec<FileRow>> {
        let commit = commit.as_str();
        let rows: Vec<Row> = if page.flat {
            const SQL: &str = with_blob!(["a.file_path, a.entry, a.size_bytes, a.oid, a.sha256, a.xet_hash, b.sha256 as stored, o.sha256 as object, b.verified_at"], ["where a.repo = $1 and a.commit_id = $2 and a.file_path > $3 and a.file_path < $4 and a.entry = 'file'
                    and ($5 = '' or lower(a.file_path) like $5 escape '\\')
                    and ($6 = '' or $6 = case when ", is_here!(), " then 'yes' else 'no' end)
                order by a.file_path limit $7"]);
            let (from, to) = below(&page.folder);
            let from = if page.after > from { page.after.clone() } else { from };
            let Some(search) = like(&page.search) else { return Ok(Vec::new()) };
            let stored = page.stored.map_or("", |stored| if stored { "yes" } else { "no" });
            self.all(SQL, args![repo, commit, from, to, search, stored, page.limit]).await?
        } else {
            // Each kind by the index on parents: a folder of many files is not sorted for a page of it.
            const SQL: &str = with_blob!(
                [
                    "a.file_path, a.entry, a.size_bytes, a.oid, a.sha256, a.xet_hash, b.sha256 as stored, o.sha256 as object, b.verified_at"
                ],
                ["where a.repo = $1 and a.commit_id = $2 and a.parent = $3 and a.entry = $4 and a.file_path > $5
                    order by a.file_path limit $6"]
            );
            let of_kind = async |kind: &str, after: &str, limit: u64| -> Result<Vec<Row>> {
                self.all(SQL, args![repo, commit, page.folder.as_str(), kind, after, limit]).await
            };
            let (mut rows, file) = match page.after.strip_suffix('/') {
                Some(folder) => (of_kind("directory", folder, page.limit).await?, ""),
                None if page.after.is_empty() => (of_kind("directory", "", page.limit).await?, ""),
                None => (Vec::new(), page.after.as_str()),
            };
            let left = page.limit.saturating_sub(rows.len() as u64);
            if left > 0 {
                rows.extend(of_kind("file", file, left).await?);
            }
            rows
        };
        let mut files = rows.into_iter().map(FileRow::try_from).collect::<Result<Vec<_>>>()?;
        if let Some((from, to)) = range_below_folders(&files) {
            let totals = self.folder_totals(repo, commit, &page.folder, from, to).await?;
            for file in &mut files {
                if matches!(file.entry, Entry::Directory { .. }) {
                    file.totals = totals.get(file.entry.path().as_str()).copied().unwrap_or_default();
                }
            }
        }
        Ok(files)
    }

    /// What is below each folder of `parent` between two paths, added up.
    async fn folder_totals(
        &self,
        repo: &ModelId,
        commit: &str,
        parent: &str,
        from: String,
        to: String,
    ) -> Result<HashMap<String, FileTotals>> {
        const SQL: Pick = Pick {
            sqlite: with_blob!(["substr(a.file_path, 1, $5 + instr(substr(a.file_path, $5 + 1), '/') - 1) as folder, count(*), cast(sum(a.size_bytes) as bigint),
                cast(sum(case when ", is_here!(), " then 1 else 0 end) as bigint),
                cast(sum(case when coalesce(b.sha256, o.sha256) is not null then a.size_bytes else 0 end) as bigint)"], ["where a.repo = $1 and a.commit_id = $2 and a.file_path > $3 and a.file_path < $4 and a.entry = 'file'
                    and instr(substr(a.file_path, $5 + 1), '/') > 0 group by folder"]),
            postgres: with_blob!(["substr(a.file_path, 1, ($5 + strpos(substr(a.file_path, ($5 + 1)::int), '/') - 1)::int) as folder, count(*), cast(sum(a.size_bytes) as bigint),
                cast(sum(case when ", is_here!(), " then 1 else 0 end) as bigint),
                cast(sum(case when coalesce(b.sha256, o.sha256) is not null then a.size_bytes else 0 end) as bigint)"], ["where a.repo = $1 and a.commit_id = $2 and a.file_path > $3 and a.file_path < $4 and a.entry = 'file'
                    and strpos(substr(a.file_path, ($5 + 1)::int), '/') > 0 group by 1"]),
        };
        // Characters of the paths before the folders' own names.
        let skip = if parent.is_empty() { 0 } else { parent.chars().count() as u64 + 1 };
        let rows: Vec<(String, i64, i64, i64, i64)> = self.all(SQL, args![repo, commit, from, to, skip]).await?;
        let total = |(folder, files, bytes, files_here, bytes_here): (String, i64, i64, i64, i64)| {
            let [files, bytes, files_here, bytes_here] =
                [files, bytes, files_here, bytes_here].map(|n| n.max(0) as u64);
            (folder, FileTotals { files, bytes, files_here, bytes_here })
        };
        Ok(rows.into_iter().map(total).collect())
    }
}

/// The open range that holds everything below the folders of a page. It need not end with the last one: what is in
/// `a` comes after `a b` and all that is in it.
fn range_below_folders(files: &[FileRow]) -> Option<(String, String)> {
    let folders = files.iter().filter(|file| matches!(file.entry, Entry::Directory { .. }));
    let ranges = folders.map(|folder| below(folder.entry.path().as_str()));
    ranges.reduce(|(from, to), (other_from, other_to)| (from.min(other_from), to.max(other_to)))
}

/// The open range that holds exactly the paths below a folder: `0` follows `/`.
fn below(folder: &str) -> (String, String) {
    match folder {
        "" => (String::new(), "\u{10ffff}".to_owned()),
        folder => (format!("{folder}/"), format!("{folder}0")),
    }
}
