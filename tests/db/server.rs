//! A PostgreSQL server of the tests' own (scripts/test-postgres). It ends when this process does.
//!
//! Its databases sort text as English dictionaries do, so that a query which needs the order of
//! bytes fails if it does not say so; its password holds what an address has to encode.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};

pub(crate) const PASSWORD: &str = "p@ss/w:rd #1";
pub(crate) const PASSWORD_ENCODED: &str = "p%40ss%2Fw%3Ard%20%231";

pub(crate) struct Server {
    pub(crate) port: u16,
    /// Where its socket is.
    pub(crate) dir: PathBuf,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    _process: Child,
}

impl Server {
    /// The server that all tests of this process share; each has a database of its own on it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start_one)
    }

    /// One more, for a test that stops it.
    pub(crate) fn start_one() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-postgres");
        let mut process = Command::new(script)
            .arg(port.to_string())
            .env("MODELHUB_TEST_PASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipes = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let answer = answer(&mut pipes.1);
        let dir = answer.strip_prefix("ready ").expect("scripts/test-postgres says above why there is no PostgreSQL");
        Self { port, dir: dir.into(), pipes: Mutex::new(pipes), _process: process }
    }

    pub(crate) fn stop(&self) {
        self.order("stop", "stopped");
    }

    pub(crate) fn start(&self) {
        self.order("start", "ready");
    }

    fn order(&self, order: &str, expected: &str) {
        let mut pipes = self.pipes.lock().unwrap();
        writeln!(pipes.0, "{order}").unwrap();
        assert!(answer(&mut pipes.1).starts_with(expected), "scripts/test-postgres did not {order}");
    }

    /// The address of a new, empty database.
    pub(crate) async fn new_database(&self) -> String {
        self.new_database_with("locale_provider icu icu_locale 'en-US' encoding 'UTF8'").await
    }

    pub(crate) async fn new_database_with(&self, properties: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.execute(format!("create database {name} template template0 {properties}")).await;
        self.url(&name)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://modelhub:{PASSWORD_ENCODED}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs one statement outside of the tests' databases.
    pub(crate) async fn execute(&self, sql: String) {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("modelhub")
            .password(PASSWORD)
            .database("postgres");
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// All rows of all tables, as text.
#[allow(dead_code, reason = "the binary `it` looks for tokens, `db` does not")]
pub(crate) async fn contents(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("set bytea_output = 'escape'").execute(&mut connection).await.unwrap();
    let tables = "select tablename::text from pg_tables where schemaname = current_schema()";
    let tables: Vec<(String,)> = sqlx::query_as(tables).fetch_all(&mut connection).await.unwrap();
    let mut contents = String::new();
    for (table,) in tables {
        let rows = AssertSqlSafe(format!("select t::text from {table} t"));
        let rows: Vec<(String,)> = sqlx::query_as(rows).fetch_all(&mut connection).await.unwrap();
        contents.extend(rows.into_iter().map(|(row,)| row));
    }
    contents
}

fn answer(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}
