//! The SQL database: its settings, its pool, its migrations. SQLite embedded; token state lives here where `state.url` is
//! `sql`. `app` opens it, `state::sql` uses it.

use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::Connection;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// The engine behind every query. More engines come behind this name.
pub type Engine = sqlx::Sqlite;
pub type Pool = sqlx::Pool<Engine>;

static MIGRATIONS: Migrator = sqlx::migrate!("src/database/migrations/sqlite");

/// How long a call waits for a connection, and for another process's write lock.
const WAIT: Duration = Duration::from_secs(1);

/// The users' database, which also keeps token state where `state.url` is `sql`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `sqlite:FILE` or `sqlite::memory:`.
    pub url: String,
    /// A file that holds the URL, so that its password stays out of the configuration.
    pub url_file: String,
    /// Connections at the most.
    pub pool: u32,
    /// Bring the schema up to date at start.
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
    #[error("users.url names no database known here; write sqlite:FILE or sqlite::memory:")]
    Scheme,
    #[error("users.url cannot be understood: {0}")]
    Url(sqlx::Error),
    #[error("the database cannot be opened: {0}")]
    Open(sqlx::Error),
    #[error("the database was made by a newer doorward (schema {found}, known here {known}): run that version")]
    Newer { found: i64, known: i64 },
    #[error("the database's schema is older than this doorward: set users.migrate or run `doorward db migrate`")]
    Older,
    #[error("the database's schema cannot be brought up to date: {0}")]
    Migrate(MigrateError),
}

/// Opens the pool and checks the schema, bringing it up to date where the settings say so.
pub async fn open(settings: &Settings) -> Result<Pool, DatabaseError> {
    let url = read_url(settings)?;
    if !url.starts_with("sqlite:") {
        return Err(DatabaseError::Scheme);
    }
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    let options = SqliteConnectOptions::from_str(&url)
        .map_err(DatabaseError::Url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL loses the last commits in a power cut under WAL: a logout that was answered 2xx would come back to life.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(WAIT / 2);
    // SQLite ends a transaction by itself where the disk is full; sqlx then counts one that is not there, and the connection
    // would refuse all later ones. It is given up instead.
    let mut pool = SqlitePoolOptions::new().acquire_timeout(WAIT).after_release(|connection, _| {
        let clean = !connection.is_in_transaction();
        Box::pin(async move { Ok(clean) })
    });
    if in_memory {
        // The data lives as long as a connection does: so one that is never given up. SQLite's shared cache would allow
        // more, but locks whole tables against readers.
        pool = pool.max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
    } else {
        keep_to_ourselves(options.get_filename());
        pool = pool.max_connections(settings.pool.max(1));
    }
    let pool = pool.connect_with(options).await.map_err(DatabaseError::Open)?;
    check_schema(&pool, settings.migrate).await?;
    Ok(pool)
}

fn read_url(settings: &Settings) -> Result<String, DatabaseError> {
    if settings.url_file.is_empty() {
        return Ok(settings.url.clone());
    }
    let text = fs::read_to_string(&settings.url_file)
        .map_err(|why| DatabaseError::UrlFile { path: settings.url_file.clone(), why })?;
    Ok(text.trim().to_owned())
}

/// A new file is made readable for its owner only; SQLite gives its side files the same mode.
fn keep_to_ourselves(file: &Path) {
    use std::os::unix::fs::OpenOptionsExt;
    // Where this fails, opening the database fails too, and says why.
    let _ = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
}

async fn check_schema(pool: &Pool, migrate: bool) -> Result<(), DatabaseError> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let found = applied(pool).await.map_err(DatabaseError::Open)?;
    if found > known {
        return Err(DatabaseError::Newer { found, known });
    }
    if migrate {
        MIGRATIONS.run(pool).await.map_err(DatabaseError::Migrate)
    } else if found < known {
        Err(DatabaseError::Older)
    } else {
        Ok(())
    }
}

/// The newest migration that was applied; 0 in a new database.
async fn applied(pool: &Pool) -> Result<i64, sqlx::Error> {
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .fetch_one(pool)
        .await?;
    if tables == 0 {
        return Ok(0);
    }
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(pool).await?;
    Ok(newest.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &tempfile::TempDir) -> Settings {
        Settings { url: format!("sqlite:{}", dir.path().join("d.db").display()), ..Settings::default() }
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_refused_with_a_clear_word() {
        let dir = tempfile::tempdir().unwrap();
        let pool = open(&file(&dir)).await.unwrap();
        sqlx::query("UPDATE _sqlx_migrations SET version = 999").execute(&pool).await.unwrap();
        pool.close().await;
        let error = open(&file(&dir)).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Newer { found: 999, .. }), "{error}");
    }

    #[tokio::test]
    async fn without_migrate_an_older_schema_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = open(&Settings { migrate: false, ..file(&dir) }).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Older));
        open(&file(&dir)).await.unwrap();
        assert!(open(&Settings { migrate: false, ..file(&dir) }).await.is_ok());
    }

    #[tokio::test]
    async fn a_new_file_is_its_owners_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        open(&file(&dir)).await.unwrap();
        let mode = fs::metadata(dir.path().join("d.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn other_databases_are_named_as_unknown() {
        let settings = Settings { url: "postgres://u:canary@h/d".into(), ..Settings::default() };
        let error = open(&settings).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
