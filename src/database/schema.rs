//! The schema: migrations for each engine, embedded, and how far a database is. Each only adds what the version before does not
//! mind (expand); what nobody uses any more goes a version later (contract). So nodes of two versions can share a database
//! while they are replaced.

use std::pin::Pin;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, MySqlConnection, MySqlPool};

use super::DatabaseError;
use super::engine::Engine;
use super::handle::{Database, Pool};
use super::query::query;

static SQLITE: Migrator = sqlx::migrate!("src/database/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("src/database/migrations/postgres");
static MYSQL: Migrator = sqlx::migrate!("src/database/migrations/mysql");

/// How far a database's schema is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The newest migration that was applied; 0 in a new database.
    pub found: i64,
    /// The newest one that this version has.
    pub known: i64,
}

fn migrations(engine: Engine) -> &'static Migrator {
    match engine {
        Engine::Sqlite => &SQLITE,
        Engine::Postgres => &POSTGRES,
        Engine::MySql => &MYSQL,
    }
}

pub async fn standing(database: &Database) -> Result<Standing, DatabaseError> {
    let known = migrations(database.engine()).iter().map(|migration| migration.version).max().unwrap_or(0);
    Ok(Standing { found: applied(database).await.map_err(DatabaseError::Open)?, known })
}

/// Refuses a schema that is too new or too old, bringing an old one up to date where `migrate` says so.
pub(super) async fn check(database: &Database, migrate: bool) -> Result<(), DatabaseError> {
    let Standing { found, known } = standing(database).await?;
    if found > known {
        return Err(DatabaseError::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    if !migrate {
        return Err(DatabaseError::Older { found, known });
    }
    // Several nodes may start at once: the migrator locks the others out meanwhile.
    let run: Pin<Box<dyn Future<Output = Result<(), MigrateError>> + Send + '_>> = match database.pool() {
        Pool::Sqlite(pool) => Box::pin(SQLITE.run(pool)),
        Pool::Postgres(pool) => Box::pin(POSTGRES.run(pool)),
        Pool::MySql(pool) => Box::pin(run_on_mysql(pool)),
    };
    run.await.map_err(|error| match error {
        MigrateError::Dirty(version) => DatabaseError::HalfDone(version),
        error => DatabaseError::Migrate(error),
    })
}

/// The migrator's own lock waits for ever in MySQL, and not at all in MariaDB. This one is of a connection beside the pool, which
/// may have one only, and ends with that.
async fn run_on_mysql(pool: &MySqlPool) -> Result<(), MigrateError> {
    let mut guard = MySqlConnection::connect_with(&pool.connect_options()).await?;
    let lock = sqlx::query_as("SELECT GET_LOCK(CONCAT('doorward ', SHA1(DATABASE())), 60)");
    let (got,): (Option<i64>,) = lock.fetch_one(&mut guard).await?;
    if got != Some(1) {
        return Err(sqlx::Error::PoolTimedOut.into());
    }
    let run = MYSQL.run(pool).await;
    guard.close().await?;
    run
}

async fn applied(database: &Database) -> Result<i64, sqlx::Error> {
    let there = match database.engine() {
        Engine::Sqlite => query("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'"),
        Engine::Postgres => query(
            "SELECT count(*) FROM information_schema.tables \
             WHERE table_schema = ANY (current_schemas(false)) AND table_name = '_sqlx_migrations'",
        ),
        Engine::MySql => query(
            "SELECT count(*) FROM information_schema.tables \
             WHERE table_schema = database() AND table_name = '_sqlx_migrations'",
        ),
    };
    let (tables,): (i64,) = there.one(database).await?;
    if tables == 0 {
        return Ok(0);
    }
    let (newest,): (i64,) =
        query("SELECT COALESCE(max(version), 0) FROM _sqlx_migrations WHERE success").one(database).await?;
    Ok(newest)
}
