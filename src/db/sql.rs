//! The statements. This file, `tx.rs` and `pools.rs` are the only ones that know two drivers.
//!
//! `Db` is one of two pools, `Tx` a write transaction on one of them. A statement is a text
//! and its arguments as `Value`s; rows are tuples, which decode alike from both. Where the
//! two dialects differ, both texts stand next to each other in a `Pick`.

use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::Result;
use super::changes::Announcer;
use super::pools::{Lent, Pools, answer, has_written};
use crate::domain::{JobId, ModelId, WorkerId};

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pub(super) pools: Pools,
    pub(super) announcer: Announcer,
}

/// An argument of a statement. Typed also when it is null, as PostgreSQL wants.
pub(super) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Bool(bool),
    Bytes(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}
impl From<&JobId> for Value {
    fn from(id: &JobId) -> Self {
        id.as_str().into()
    }
}
impl From<&ModelId> for Value {
    fn from(id: &ModelId) -> Self {
        id.as_str().into()
    }
}
impl From<&WorkerId> for Value {
    fn from(id: &WorkerId) -> Self {
        id.as_str().into()
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}
impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}
impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// `args![a, b]`: the arguments `$1`, `$2` of a statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::sql::Value::from($value)),*] };
}
pub(super) use args;

/// One statement, or the two dialects of one.
#[derive(Clone, Copy)]
pub(super) struct Pick {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl From<&'static str> for Pick {
    fn from(sql: &'static str) -> Self {
        Self { sqlite: sql, postgres: sql }
    }
}

/// A row type that both drivers can decode: tuples of text, numbers, flags and bytes.
pub(super) trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin> Row for T {}

/// Binds all values to a query of either driver.
macro_rules! bound {
    ($query:expr, $values:expr) => {
        $values.into_iter().fold($query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Int(number) => query.bind(number),
            Value::Bool(flag) => query.bind(flag),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    };
}

pub(super) use bound;

impl Db {
    /// Runs one writing statement; the number of rows that it changed.
    pub(super) async fn execute(&self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<u64> {
        let sql = sql.into();
        match &self.pools {
            Pools::Sqlite(file) => {
                let mut lent = file.lend_writer().await?;
                let done = file.written(bound!(sqlx::query(sql.sqlite), values).execute(&mut *lent).await)?;
                lent.ended_well();
                Ok(done.rows_affected())
            }
            Pools::Postgres(pool) => {
                let mut lent = Lent::from(pool).await?;
                let done = answer(bound!(sqlx::query(sql.postgres), values).execute(&mut *lent)).await?;
                has_written();
                lent.ended_well();
                Ok(done.rows_affected())
            }
        }
    }

    pub(super) async fn all<T: Row>(&self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<Vec<T>> {
        let sql = sql.into();
        match &self.pools {
            Pools::Sqlite(file) => file.seen(bound!(sqlx::query_as(sql.sqlite), values).fetch_all(&file.read).await),
            Pools::Postgres(pool) => {
                let mut lent = Lent::from(pool).await?;
                let rows = answer(bound!(sqlx::query_as(sql.postgres), values).fetch_all(&mut *lent)).await?;
                lent.ended_well();
                Ok(rows)
            }
        }
    }

    pub(super) async fn optional<T: Row>(&self, sql: impl Into<Pick>, values: Vec<Value>) -> Result<Option<T>> {
        let sql = sql.into();
        match &self.pools {
            Pools::Sqlite(file) => {
                file.seen(bound!(sqlx::query_as(sql.sqlite), values).fetch_optional(&file.read).await)
            }
            Pools::Postgres(pool) => {
                let mut lent = Lent::from(pool).await?;
                let row = answer(bound!(sqlx::query_as(sql.postgres), values).fetch_optional(&mut *lent)).await?;
                lent.ended_well();
                Ok(row)
            }
        }
    }
}
