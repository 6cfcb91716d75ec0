//! A database that cannot be used any more: set aside, and a new one made.

use std::path::{Path, PathBuf};

use super::pools::{Pools, sqlite_path};
use super::{Db, Error, Result};
use crate::domain::Millis;

impl Db {
    /// Opens the database as `open` does. A damaged SQLite file is renamed first, with its log, and a new one made;
    /// then also where the damaged one is now. A sound database stays as it is.
    pub async fn open_or_replace(url: Option<&str>, data_dir: &Path, now: Millis) -> Result<(Self, Option<PathBuf>)> {
        let Some(path) = sqlite_path(url, data_dir) else { return Ok((Self::open(url, data_dir).await?, None)) };
        match Self::open_sound(url, data_dir).await {
            Err(error) if error.is_damage() => {
                let aside = set_aside(&path, now).map_err(|source| Error::Aside { path, source })?;
                Ok((Self::open(url, data_dir).await?, Some(aside)))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// As `open`, and reads all of an SQLite file.
    async fn open_sound(url: Option<&str>, data_dir: &Path) -> Result<Self> {
        let db = Self::open(url, data_dir).await?;
        let Pools::Sqlite(_) = &db.pools else { return Ok(db) };
        let found = db.optional::<(String,)>("select integrity_check from pragma_integrity_check", vec![]).await;
        let error = match found {
            Ok(Some((word,))) if word == "ok" => return Ok(db),
            Ok(found) => Error::Unsound(found.map(|(what,)| what).unwrap_or_default()),
            Err(error) => error,
        };
        db.close().await;
        Err(error)
    }
}

/// Renames the file, and its log and index, which keep their endings: SQLite's own tools may still read something.
#[expect(clippy::disallowed_methods, reason = "the database's own files")]
fn set_aside(path: &Path, now: Millis) -> std::io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!("{name}.damaged-{now}"));
    for ending in ["-wal", "-shm", ""] {
        let named = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
        match std::fs::rename(named(path), named(&aside)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()?;
    Ok(aside)
}
