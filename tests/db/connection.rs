//! The way to PostgreSQL: addresses, TLS, what is said when it does not work, and a server that goes away.

use modelhub::db::{Db, Error};
use tempfile::TempDir;

use crate::database::{TestDatabase, key, repo};
use crate::server::{PASSWORD, PASSWORD_ENCODED, Server};

async fn open(url: &str) -> Result<Db, Error> {
    let dir = TempDir::new().unwrap();
    Db::open(Some(url), dir.path()).await
}

/// What is said when this address cannot be used. It never holds the password.
async fn refusal(url: &str) -> String {
    let Err(error) = open(url).await else { panic!("it was opened") };
    let mut words = error.to_string();
    let debug = format!("{error:?}");
    for secret in [PASSWORD, PASSWORD_ENCODED, "p@ss", "p%40ss", "swordfish"] {
        assert!(!words.contains(secret) && !debug.contains(secret), "{words}\n{debug}");
    }
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        assert!(!words.contains(&error.to_string()), "said twice: {words}");
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}

#[track_caller]
fn assert_says(words: &str, all: &[&str]) {
    for part in all {
        assert!(words.contains(part), "`{part}` is missing in: {words}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_refused_in_plain_words() {
    for url in ["mysql://root:swordfish@host/name", "swordfish", "", "postgres:/root:swordfish@host/name"] {
        assert_says(&refusal(url).await, &["database.url: expected sqlite:/path or postgres://user@host/name"]);
    }
    // A password that was not encoded.
    let unencoded = refusal("postgres://modelhub:swordfish/1@host/name").await;
    assert_says(&unencoded, &["database.url", "percent-encoded", "invalid port number"]);
    assert_says(&refusal("postgres://u:swordfish@host/name?sslmode=sometimes").await, &["database.url", "sometimes"]);
}

#[tokio::test]
async fn a_server_that_refuses_says_why() {
    let server = Server::shared();
    let at = format!("127.0.0.1:{}", server.port);
    let wrong_password = format!("postgres://modelhub:swordfish@{at}/postgres");
    assert_says(&refusal(&wrong_password).await, &["`postgres`", &at, "password authentication failed", "modelhub"]);
    let no_password = format!("postgres://modelhub@{at}/postgres");
    assert_says(&refusal(&no_password).await, &["`postgres`", &at, "password"]);
    assert_says(&refusal(&server.url("nowhere")).await, &["`nowhere`", &at, "does not exist"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://modelhub:{PASSWORD_ENCODED}@127.0.0.1:{port}/hub");
    assert_says(&refusal(&url).await, &["`hub`", &format!("127.0.0.1:{port}"), "Connection refused"]);
    let url = format!("postgres://modelhub:{PASSWORD_ENCODED}@name.invalid/hub");
    assert_says(&refusal(&url).await, &["`hub`", "name.invalid:5432"]);
    let url = format!("postgres://modelhub:{PASSWORD_ENCODED}@localhost/hub?host=/nonexistent");
    assert_says(&refusal(&url).await, &["`hub`", "/nonexistent", "No such file"]);
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    assert_says(&refusal(&format!("postgres://modelhub:swordfish@{at}/hub")).await, &["`hub`", &at, "unresponsive"]);
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_name_is_refused() {
    let properties = "encoding 'LATIN1' locale 'C'";
    let latin = Server::shared().new_database_with(properties).await;
    assert_says(&refusal(&latin).await, &["LATIN1", "encoding 'UTF8'"]);
    let ascii = Server::shared().new_database_with("encoding 'SQL_ASCII' locale 'C'").await;
    assert_says(&refusal(&ascii).await, &["SQL_ASCII", "encoding 'UTF8'"]);
}

#[tokio::test]
async fn any_collation_will_do() {
    for properties in ["encoding 'UTF8' locale 'C'", "encoding 'UTF8' locale 'C.UTF-8'"] {
        let url = Server::shared().new_database_with(properties).await;
        let db = open(&url).await.unwrap();
        for id in ["a/b", "B/a", "a_b/b", "a-b/b"] {
            repo(&db, id).await;
        }
        let listed = db.public_repos(key("a/b").kind, "", false, 10).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|repo| repo.repo_id.as_str()).collect();
        assert_eq!(listed, ["B/a", "a-b/b", "a/b", "a_b/b"], "{properties}");
    }
}

#[tokio::test]
async fn somebody_who_may_not_make_tables_is_told_so() {
    let server = Server::shared();
    let url = server.new_database().await;
    server.execute("create role guest login password 'swordfish'".into()).await;
    let guest = url.replace(&format!("modelhub:{PASSWORD_ENCODED}"), "guest:swordfish");
    assert_says(&refusal(&guest).await, &["permission denied for schema public"]);
}

/// Whether each connection of this database is encrypted.
async fn encrypted(db: &Db) -> Vec<bool> {
    let pool = db.postgres().unwrap();
    let sql =
        "select s.ssl from pg_stat_ssl s join pg_stat_activity a using (pid) where a.datname = current_database()";
    let rows: Vec<(bool,)> = sqlx::query_as(sql).fetch_all(pool).await.unwrap();
    rows.into_iter().map(|(ssl,)| ssl).collect()
}

#[tokio::test]
async fn a_connection_is_encrypted_if_the_server_can_and_as_the_address_says() {
    let server = Server::shared();
    let certificate = server.dir.join("server.crt");
    let certificate = certificate.to_str().unwrap();
    let checked = format!("?sslmode=verify-full&sslrootcert={certificate}");
    for (query, is_encrypted) in [("", true), ("?sslmode=require", true), ("?sslmode=disable", false), (&checked, true)]
    {
        let db = open(&format!("{}{query}", server.new_database().await)).await.unwrap();
        assert!(encrypted(&db).await.iter().all(|encrypted| *encrypted == is_encrypted), "{query}");
        db.close().await;
    }
    let unknown = format!("{}?sslmode=verify-full", server.new_database().await);
    assert_says(&refusal(&unknown).await, &["certificate"]);
}

#[tokio::test]
async fn a_socket_and_a_schema_can_be_named() {
    let server = Server::shared();
    let url = server.new_database().await;
    let name = url.rsplit_once('/').unwrap().1;
    let (dir, port) = (server.dir.to_str().unwrap(), server.port);
    let socket = format!("postgres://modelhub:{PASSWORD_ENCODED}@localhost:{port}/{name}?host={dir}");
    let db = open(&socket).await.unwrap();
    repo(&db, "org/public").await;
    // Another schema of the same database is another hub's.
    let pool = db.postgres().unwrap();
    sqlx::raw_sql("create schema second").execute(pool).await.unwrap();
    let second = format!("{socket}&options=-c%20search_path%3Dsecond");
    for _ in 0..2 {
        let second = open(&second).await.unwrap();
        assert!(second.repo(&key("org/public")).await.unwrap().is_none());
        repo(&second, "org/second").await;
        second.close().await;
    }
    assert!(db.repo(&key("org/second")).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_cut_are_replaced_without_a_failure() {
    let base = TestDatabase::postgres().await;
    let db = base.open().await;
    repo(&db, "org/model").await;
    let busy = (0..8).map(|_| db.clone()).map(|db| tokio::spawn(async move { db.store_totals().await.map(drop) }));
    for task in busy.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    let name = base.url.as_ref().unwrap().rsplit_once('/').unwrap().1.to_owned();
    let cut = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
    Server::shared().execute(cut).await;
    for _ in 0..20 {
        assert!(db.repo(&key("org/model")).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_is_used_again() {
    let server = Server::start_one();
    let db = open(&server.new_database().await).await.unwrap();
    repo(&db, "org/model").await;
    server.stop();
    let error = db.repo(&key("org/model")).await.unwrap_err().to_string();
    assert_says(&error, &["timed out waiting for a database connection"]);
    assert!(!error.contains(PASSWORD_ENCODED) && !error.contains(PASSWORD), "{error}");
    server.start();
    assert!(db.repo(&key("org/model")).await.unwrap().is_some());
    // A call that finds it away waits for it.
    server.stop();
    let waiting = tokio::spawn({
        let db = db.clone();
        async move { db.repo(&key("org/model")).await.map(|row| row.is_some()) }
    });
    server.start();
    assert!(waiting.await.unwrap().unwrap());
    repo(&db, "org/later").await;
}
