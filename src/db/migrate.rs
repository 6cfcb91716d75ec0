//! Bringing the schema up to this program's version.
//!
//! A newer schema is refused before anything is changed, by name of both versions. An SQLite
//! file that already holds data is backed up before it is migrated.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;

use sqlx::migrate::Migrator;

use super::pools::Pools;
use super::{Db, Error, Result};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

pub(super) async fn run(db: &Db) -> Result<()> {
    let migrator = match &db.pools {
        Pools::Sqlite(_) => &SQLITE,
        Pools::Postgres(_) => &POSTGRES,
    };
    let known = migrator.iter().map(|m| m.version).max().unwrap_or(0);
    let found = applied(db).await?;
    match found {
        Some(found) if found > known => return Err(Error::NewerSchema { found, known }),
        Some(found) if found == known => {}
        Some(found) => backup(db, found).await?,
        None => {}
    }
    match &db.pools {
        Pools::Sqlite(file) => migrator.run(&file.write).await?,
        Pools::Postgres(pool) => {
            // It may take long, and another process may be at it.
            let patient = Db::patient(pool);
            migrator.run(&patient).await?;
            patient.close().await;
        }
    }
    Ok(())
}

/// The newest migration that this database has seen; `None` for a new database.
async fn applied(db: &Db) -> Result<Option<i64>> {
    let exists = super::sql::Pick {
        sqlite: "select 1 from sqlite_master where type = 'table' and name = '_sqlx_migrations'",
        postgres: "select 1::bigint from pg_tables where schemaname = current_schema() and tablename = '_sqlx_migrations'",
    };
    if db.optional::<(i64,)>(exists, vec![]).await?.is_none() {
        return Ok(None);
    }
    let row: Option<(Option<i64>,)> = db.optional("select max(version) from _sqlx_migrations", vec![]).await?;
    Ok(row.and_then(|(version,)| version))
}

/// Copies an SQLite database to `<name>.schema-<version>.db` next to it. PostgreSQL has its own tools.
#[expect(clippy::disallowed_methods, reason = "the database's own files")]
async fn backup(db: &Db, found: i64) -> Result<()> {
    let Pools::Sqlite(file) = &db.pools else { return Ok(()) };
    let file = file.write.connect_options().get_filename().to_owned();
    let copy = file.with_extension(format!("schema-{found}.db"));
    tracing::info!(copy = %copy.display(), "copying the database before its schema is changed");
    // Its name is a promise that it is whole. Made before SQLite fills it: it is for its owner only.
    let partial = file.with_extension(format!("schema-{found}.part"));
    let empty = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
    empty.map_err(Error::Backup)?;
    db.execute("vacuum into $1", super::sql::args![partial.display().to_string()]).await?;
    File::open(&partial).and_then(|copied| copied.sync_all()).map_err(Error::Backup)?;
    std::fs::rename(&partial, &copy).map_err(Error::Backup)
}
