//! The SQL database: its settings, its connections, its schema, and statements that are written once for SQLite, PostgreSQL
//! and MySQL or MariaDB. `app` opens it; `users::sql` and `state::sql` keep their rows in it.

mod connect;
mod engine;
mod handle;
mod query;
mod refusal;
mod schema;
#[cfg(test)]
mod tests;
mod time;

use std::fs;
use std::sync::Arc;

pub use engine::Engine;
pub use handle::{Change, Database};
pub use query::{On, Query, Record, Value, query, signed};
pub use schema::{Standing, standing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::migrate::MigrateError;

use crate::clock::Clock;

/// The users' database, which also keeps token state where `state.url` is `sql`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `sqlite:FILE`, `sqlite::memory:`, `postgres://user:password@host/database` or `mysql://…` (MariaDB too). A database on
    /// another machine must have TLS and a certificate for its name, unless the URL says otherwise: `?sslmode=disable`
    /// (MySQL `?ssl-mode=DISABLED`), or `?sslrootcert=FILE` (`?ssl-ca=FILE`) for an authority of your own.
    pub url: String,
    /// A file that holds the URL, so that its password stays out of the configuration.
    pub url_file: String,
    /// Connections at the most. A call that gets none within a second is answered 503.
    pub pool: u32,
    /// Bring the schema up to date at start; otherwise `doorward db migrate` does it.
    pub migrate: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { url: "sqlite:doorward.db".into(), url_file: String::new(), pool: 10, migrate: true }
    }
}

/// Why the database cannot be used. No variant shows the URL: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("users.url_file {path} cannot be read: {why}")]
    UrlFile { path: String, why: std::io::Error },
    #[error("users.url names no database known here; write sqlite:FILE, postgres://… or mysql://…")]
    Scheme,
    #[error("users.url cannot be understood: {0}")]
    Url(sqlx::Error),
    #[error("the database cannot be opened: {0}")]
    Open(sqlx::Error),
    #[error(
        "the database has no TLS that can be verified: {0}; give it a certificate for its name (sslrootcert=FILE or \
         ssl-ca=FILE in users.url names an authority of your own), or write sslmode=disable (MySQL: ssl-mode=DISABLED) where \
         the network between is private"
    )]
    Tls(String),
    #[error("the database was made by a newer doorward (schema {found}, known here {known}): run that version")]
    Newer { found: i64, known: i64 },
    #[error(
        "the database's schema ({found}) is older than this doorward ({known}): set users.migrate or run `doorward db migrate`"
    )]
    Older { found: i64, known: i64 },
    #[error(
        "schema {0} was left half done by a migration that was cut off: undo it by hand and delete its row of \
         _sqlx_migrations, or restore a backup; then run `doorward db migrate`"
    )]
    HalfDone(i64),
    #[error("the database's schema cannot be brought up to date: {0}")]
    Migrate(MigrateError),
}

/// Opens the database and checks its schema, bringing it up to date where the settings say so. `clock` is the time of an
/// embedded database; others have their own.
pub async fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Database, DatabaseError> {
    let database = connect(settings, clock).await?;
    schema::check(&database, settings.migrate).await?;
    Ok(database)
}

/// Opens the database, whatever its schema is.
pub async fn connect(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Database, DatabaseError> {
    let pool = connect::connect(&read_url(settings)?, settings.pool.max(1)).await?;
    Ok(Database::new(pool, clock))
}

fn read_url(settings: &Settings) -> Result<String, DatabaseError> {
    if settings.url_file.is_empty() {
        return Ok(settings.url.clone());
    }
    let text = fs::read_to_string(&settings.url_file)
        .map_err(|why| DatabaseError::UrlFile { path: settings.url_file.clone(), why })?;
    Ok(text.trim().to_owned())
}
