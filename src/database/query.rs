//! A statement with its values, and running it on whichever engine there is. Rows are decoded by `sqlx`, into tuples or
//! structs that derive its `FromRow`.

use std::borrow::Cow;

use sqlx::mysql::MySqlRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, AssertSqlSafe, Database as SqlxDatabase, Encode, Error, FromRow, MySql, Postgres, Sqlite, Type};

use super::engine::Engine;
use super::handle::{Change, Database, Pool, acquire};
use crate::clock::Millis;

/// What a row can be read into.
pub trait Record:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, MySqlRow> + Send + Unpin
{
}

impl<T> Record for T where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, MySqlRow> + Send + Unpin
{
}

/// A value. More kinds than these no table here has.
#[derive(Clone, Debug)]
pub enum Value {
    Number(Option<i64>),
    Text(Option<String>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Millis> for Value {
    fn from(moment: Millis) -> Self {
        Self::Number(Some(signed(moment.0)))
    }
}

impl From<Option<Millis>> for Value {
    fn from(moment: Option<Millis>) -> Self {
        Self::Number(moment.map(|moment| signed(moment.0)))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
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

/// SQL has no unsigned numbers; moments and counters are far from the limit.
pub const fn signed(number: u64) -> i64 {
    if number > i64::MAX as u64 { i64::MAX } else { number as i64 }
}

/// A statement with its values; see [`Engine`](super::Engine) for how it is written.
#[derive(Debug)]
pub struct Query {
    statement: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement, written once for all engines.
pub const fn query(statement: &'static str) -> Query {
    Query { statement: Cow::Borrowed(statement), values: Vec::new() }
}

/// Where a statement runs: alone, on some connection of the pool, or within a transaction.
#[derive(Debug)]
pub enum On<'a> {
    Pool(&'a Database),
    Change(&'a mut Change),
}

impl<'a> From<&'a Database> for On<'a> {
    fn from(database: &'a Database) -> Self {
        On::Pool(database)
    }
}

impl<'a> From<&'a mut Change> for On<'a> {
    fn from(change: &'a mut Change) -> Self {
        On::Change(change)
    }
}

/// Runs the same code on each kind of connection.
macro_rules! on_each_engine {
    ($on:expr, $query:ident, |$sqlx:ident, $connection:ident| $run:expr) => {
        match $on {
            On::Pool(database) => {
                let now = || database.machine_time();
                match database.pool() {
                    Pool::Sqlite(pool) => {
                        let ($sqlx, $connection) = ($query.on::<Sqlite>(Engine::Sqlite, now)?, pool);
                        $run
                    }
                    Pool::Postgres(pool) => {
                        let mut held = acquire(pool).await?;
                        let ($sqlx, $connection) = ($query.on::<Postgres>(Engine::Postgres, now)?, &mut *held);
                        $run
                    }
                    Pool::MySql(pool) => {
                        let mut held = acquire(pool).await?;
                        let ($sqlx, $connection) = ($query.on::<MySql>(Engine::MySql, now)?, &mut *held);
                        $run
                    }
                }
            }
            On::Change(Change::Sqlite { change, begun, .. }) => {
                let begun = *begun;
                let ($sqlx, $connection) = ($query.on::<Sqlite>(Engine::Sqlite, move || begun)?, &mut **change);
                $run
            }
            On::Change(Change::Postgres(change)) => {
                let ($sqlx, $connection) = ($query.on::<Postgres>(Engine::Postgres, Millis::default)?, &mut **change);
                $run
            }
            On::Change(Change::MySql(change)) => {
                let ($sqlx, $connection) = ($query.on::<MySql>(Engine::MySql, Millis::default)?, &mut **change);
                $run
            }
        }
    };
}

impl Query {
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Goes on with `part`, so many times, with commas between: the rows of an `INSERT`, the members of a list.
    #[must_use]
    pub fn list(mut self, part: &str, count: usize) -> Self {
        let statement = self.statement.to_mut();
        for number in 0..count {
            statement.push_str(if number == 0 { "" } else { ", " });
            statement.push_str(part);
        }
        self
    }

    /// Goes on with this text.
    #[must_use]
    pub fn then(mut self, text: &str) -> Self {
        self.statement.to_mut().push_str(text);
        self
    }

    /// How many rows it changed; those that it found and left as they were count too.
    pub async fn run(self, on: impl Into<On<'_>>) -> Result<u64, Error> {
        let on = on.into();
        let _turn = match &on {
            On::Pool(database) => database.turn_to_write().await,
            On::Change(_) => None,
        };
        on_each_engine!(on, self, |written, connection| {
            let (sql, values) = written;
            Ok(sqlx::query_with(AssertSqlSafe(sql), values).execute(connection).await?.rows_affected())
        })
    }

    pub async fn all<T: Record>(self, on: impl Into<On<'_>>) -> Result<Vec<T>, Error> {
        on_each_engine!(on.into(), self, |written, connection| {
            let (sql, values) = written;
            sqlx::query_as_with(AssertSqlSafe(sql), values).fetch_all(connection).await
        })
    }

    pub async fn maybe<T: Record>(self, on: impl Into<On<'_>>) -> Result<Option<T>, Error> {
        on_each_engine!(on.into(), self, |written, connection| {
            let (sql, values) = written;
            sqlx::query_as_with(AssertSqlSafe(sql), values).fetch_optional(connection).await
        })
    }

    pub async fn one<T: Record>(self, on: impl Into<On<'_>>) -> Result<T, Error> {
        self.maybe(on).await?.ok_or(Error::RowNotFound)
    }

    /// The statement and its values as this engine takes them.
    fn on<D>(mut self, engine: Engine, now: impl Fn() -> Millis) -> Result<(String, D::Arguments), Error>
    where
        D: SqlxDatabase,
        Option<i64>: for<'t> Encode<'t, D> + Type<D>,
        Option<String>: for<'t> Encode<'t, D> + Type<D>,
    {
        let values = &mut self.values;
        let sql = engine.write(&self.statement, |before| values.insert(before, now().into()));
        let mut arguments = D::Arguments::default();
        for value in self.values {
            match value {
                Value::Number(number) => arguments.add(number),
                Value::Text(text) => arguments.add(text),
            }
            .map_err(Error::Encode)?;
        }
        Ok((sql, arguments))
    }
}
