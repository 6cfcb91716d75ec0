//! The schema's way up, and what stands in it.

use std::collections::BTreeSet;
use std::path::Path;

use modelhub::db::Error;
use modelhub::domain::{ContentId, Entry, RepoKind};

use crate::database::{TestDatabase, by_xet, commit, digest, key, on_both, path, xet};

on_both!(
    an_empty_database_is_migrated_and_opened_again,
    a_database_of_version_1_keeps_its_data,
    a_newer_schema_is_refused_by_both_versions_and_not_touched,
    a_broken_migration_is_refused,
    many_who_start_at_once_on_nothing_all_start,
    many_who_start_at_once_on_version_1_all_start,
);

async fn versions(base: &TestDatabase) -> Vec<String> {
    base.texts("select cast(version as text) from _sqlx_migrations where success order by _sqlx_migrations.version")
        .await
}

/// The versions that the files of a database's folder have.
fn known(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.collect();
    files.sort();
    files
}

fn newest() -> i64 {
    known("sqlite").last().unwrap().split('_').next().unwrap().parse().unwrap()
}

async fn an_empty_database_is_migrated_and_opened_again(base: &TestDatabase) {
    for _ in 0..2 {
        let db = base.open().await;
        assert_eq!(versions(base).await.len(), known("sqlite").len());
        db.close().await;
    }
    assert!(backups(base).is_empty());
}

/// The names of files that were put next to the database.
fn backups(base: &TestDatabase) -> Vec<String> {
    let files = std::fs::read_dir(base.dir()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    files.filter(|name| !["modelhub.db", "modelhub.db-wal", "modelhub.db-shm"].contains(&name.as_str())).collect()
}

/// One row in each table, as the first version wrote them.
async fn fill_version_1(base: &TestDatabase) {
    base.migrate_to(1).await;
    let body = if base.is_postgres() { r"'\x00ff'" } else { "x'00ff'" };
    let (ones, sha, git) = (commit('1'), digest(1).to_hex(), "02".repeat(20));
    let ones = ones.as_str();
    base.execute(&format!(
        "insert into setting values ('token_key', 'secret');
        insert into model_repo values ('row', 'model', 'org', 'model', 'org/model', 'huggingface', 'synced', 'public', 1, 1);
        insert into repo_alias values ('model', 'old/name', 'org/model', 1);
        insert into repo_revision values ('row', 'main', '{ones}', 1);
        insert into repo_commit values ('row', '{ones}', '{{}}', true);
        insert into model_artifact values ('row', '{ones}', 'a/b.bin', 'a', 'file', 5, '{git}', '{sha}', null);
        insert into missing_path values ('row', '{ones}', 'gone', 1);
        insert into blob values ('{sha}', '{git}', 5, 1, 1, 1);
        insert into tainted_content values ('{sha}', 9000000000000);
        insert into access_grant values ('row', 'token', true, 1);
        insert into remembered_answer values ('/api/models', 'application/json', null, {body}, 1);"
    ))
    .await;
}

async fn assert_data_of_version_1(base: &TestDatabase) {
    let db = base.open().await;
    assert_eq!(db.setting_or("token_key", || unreachable!("it is there")).await.unwrap(), "secret");
    let row = db.repo(&key("org/model")).await.unwrap().unwrap().id;
    assert_eq!(row, "row");
    assert_eq!(db.alias(&key("old/name")).await.unwrap().unwrap().as_str(), "org/model");
    assert_eq!(db.revision(&row, "main").await.unwrap().unwrap().commit, commit('1'));
    assert!(db.tree_is_complete(&row, &commit('1')).await.unwrap());
    let entry = db.entry(&row, &commit('1'), &path("a/b.bin")).await.unwrap();
    assert!(matches!(entry, Some(Entry::File(artifact)) if artifact.size == 5 && artifact.xet_hash.is_none()));
    assert!(db.is_missing(&row, &commit('1'), &path("gone")).await.unwrap());
    assert!(db.blob(ContentId::Sha256(digest(1)), 5).await.unwrap().is_some());
    assert_eq!(db.taints(1).await.unwrap().len(), 1);
    assert!(db.grant(&row, "token").await.unwrap().unwrap().allowed);
    assert_eq!(db.answer("/api/models").await.unwrap().unwrap().body, [0, 255]);
    assert_eq!(db.public_repos(RepoKind::Model, "", false, 10).await.unwrap().len(), 1);
    // And what the new version adds works on the old rows.
    db.put_xet_hash(digest(1), xet(5)).await.unwrap();
    assert_eq!(by_xet(&db, &row, xet(5)).await.unwrap().1.path, path("a/b.bin"));
}

async fn a_database_of_version_1_keeps_its_data(base: &TestDatabase) {
    fill_version_1(base).await;
    assert_data_of_version_1(base).await;
    assert_eq!(versions(base).await.len(), known("sqlite").len());
    if !base.is_postgres() {
        assert_eq!(backups(base), ["modelhub.schema-1.db"]);
    }
}

#[tokio::test]
async fn the_copy_of_sqlite_is_of_the_old_version_whole_and_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let base = TestDatabase::sqlite();
    fill_version_1(&base).await;
    // A copy of an earlier try is replaced.
    let copy = base.dir().join("modelhub.schema-1.db");
    std::fs::copy(base.file(), &copy).unwrap();
    base.open().await.close().await;
    let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds what the database holds");
    let restored = TestDatabase::sqlite();
    std::fs::copy(&copy, restored.file()).unwrap();
    assert_eq!(restored.texts("pragma integrity_check").await, ["ok"]);
    assert_eq!(versions(&restored).await, ["1"]);
    assert_data_of_version_1(&restored).await;
}

async fn a_newer_schema_is_refused_by_both_versions_and_not_touched(base: &TestDatabase) {
    base.open().await.close().await;
    let checksum = if base.is_postgres() { "''" } else { "x''" };
    base.execute(&format!(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
            values (4711, 'of the future', true, {checksum}, 1)"
    ))
    .await;
    let Err(error) = base.try_open().await else { panic!("it was opened") };
    assert!(matches!(error, Error::NewerSchema { found: 4711, known } if known == newest()), "{error:?}");
    let expected =
        format!("the database has schema 4711, but this version supports {}; use a newer modelhub", newest());
    assert_eq!(error.to_string(), expected);
    assert!(backups(base).is_empty());
    assert_eq!(versions(base).await.last().unwrap(), "4711");
}

async fn a_broken_migration_is_refused(base: &TestDatabase) {
    base.open().await.close().await;
    base.execute("update _sqlx_migrations set success = false where version = 2").await;
    let Err(error) = base.try_open().await else { panic!("it was opened") };
    assert!(error.to_string().contains("migration"), "{error}");
}

async fn start_many(base: &TestDatabase) {
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (url, dir) = (base.url.clone(), base.dir().to_owned());
        starting.spawn(async move { modelhub::db::Db::open(url.as_deref(), &dir).await.map(drop) });
    }
    for outcome in starting.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(versions(base).await.len(), known("sqlite").len());
}

async fn many_who_start_at_once_on_nothing_all_start(base: &TestDatabase) {
    start_many(base).await;
}

async fn many_who_start_at_once_on_version_1_all_start(base: &TestDatabase) {
    fill_version_1(base).await;
    start_many(base).await;
    assert_data_of_version_1(base).await;
}

fn is_of_one_alone(column: &str) -> bool {
    column.starts_with("blob_generation.") || column.starts_with("invalidation.")
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_and_indices() {
    assert_eq!(known("sqlite"), known("postgres"), "each migration has its file for both");
    let (sqlite, postgres) = (TestDatabase::sqlite(), TestDatabase::postgres().await);
    for base in [&sqlite, &postgres] {
        base.open().await.close().await;
    }
    let columns_of_sqlite =
        "select m.name || '.' || c.name || case when c.\"notnull\" or c.pk > 0 then ' not null' else '' end
        || case c.type when 'INTEGER' then ' number' when 'BLOB' then ' bytes' else ' text' end
        from sqlite_master m, pragma_table_info(m.name) c
        where m.type = 'table' and m.name not like '\\_sqlx%' escape '\\' and m.name not like 'sqlite%'";
    let columns_of_postgres = "select table_name || '.' || column_name || case is_nullable when 'NO' then ' not null' else '' end
        || case data_type when 'bigint' then ' number' when 'boolean' then ' number' when 'bytea' then ' bytes' else ' text' end
        from information_schema.columns where table_schema = current_schema() and table_name <> '_sqlx_migrations'";
    let set = |rows: Vec<String>| rows.into_iter().collect::<BTreeSet<_>>();
    // PostgreSQL has a sequence for generations, and SQLite no other processes to tell of changes.
    let own = |rows: Vec<String>| set(rows).into_iter().filter(|column| !is_of_one_alone(column)).collect::<Vec<_>>();
    assert_eq!(own(sqlite.texts(columns_of_sqlite).await), own(postgres.texts(columns_of_postgres).await));
    let indices_of_sqlite = "select name from sqlite_master where type = 'index' and sql is not null";
    let indices_of_postgres = "select i.indexrelid::regclass::text from pg_index i
        join pg_class c on c.oid = i.indrelid where c.relnamespace = current_schema()::regnamespace
        and not exists (select 1 from pg_constraint where conindid = i.indexrelid)";
    assert_eq!(set(sqlite.texts(indices_of_sqlite).await), set(postgres.texts(indices_of_postgres).await));
    // What is compared or ordered as text is so byte by byte: names, paths and words.
    let by_dictionary = "select table_name || '.' || column_name from information_schema.columns
        where table_schema = current_schema() and collation_name is null and data_type = 'text'
        and (column_name in ('file_path', 'parent', 'alias', 'repo_id') or column_name = 'name' and table_name <> '_sqlx_migrations')";
    let by_dictionary = postgres.texts(by_dictionary).await;
    assert!(by_dictionary.is_empty(), "{by_dictionary:?}");
}
