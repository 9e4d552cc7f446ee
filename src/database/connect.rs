//! Opening the pool: each engine's options, and what this program asks of a connection.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Error, Executor};
use tokio::time::{Instant, sleep, timeout};

use super::DatabaseError;
use super::engine::Engine;
use super::handle::Pool;

/// How long a call waits for a connection, and for another process's write lock.
const WAIT: Duration = Duration::from_secs(1);

/// The first connection is made at start, maybe beside a database that starts too.
const FIRST_WAIT: Duration = Duration::from_secs(5);

pub(super) async fn connect(url: &str, most: u32) -> Result<Pool, DatabaseError> {
    let engine = Engine::of(url).ok_or(DatabaseError::Scheme)?;
    let tls_is_chosen = ["sslmode=", "ssl-mode="].iter().any(|word| url.contains(word));
    match engine {
        Engine::Sqlite => sqlite(url, most).await.map(Pool::Sqlite),
        Engine::Postgres => {
            let mut options = PgConnectOptions::from_str(url).map_err(DatabaseError::Url)?;
            if !tls_is_chosen && options.get_socket().is_none() && !is_here(options.get_host()) {
                options = options.ssl_mode(PgSslMode::VerifyFull);
            }
            postgres(options.application_name("doorward"), most).await.map(Pool::Postgres)
        }
        Engine::MySql => {
            let mut options = MySqlConnectOptions::from_str(url).map_err(DatabaseError::Url)?;
            if !tls_is_chosen && options.get_socket().is_none() && !is_here(options.get_host()) {
                options = options.ssl_mode(MySqlSslMode::VerifyIdentity);
            }
            // A time zone with summer time would have an hour twice.
            mysql(options.timezone(String::from("+00:00")), most).await.map(Pool::MySql)
        }
    }
}

/// Nothing between us and this host can be listened to.
fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.starts_with('/') || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

async fn sqlite(url: &str, most: u32) -> Result<sqlx::SqlitePool, DatabaseError> {
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    let options = SqliteConnectOptions::from_str(url)
        .map_err(DatabaseError::Url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL loses the last commits in a power cut under WAL: a logout that was answered 2xx would come back to life.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(WAIT / 2);
    let mut pool = SqlitePoolOptions::new().acquire_timeout(WAIT);
    if in_memory {
        // The data lives as long as a connection does: so one that is never given up. SQLite's shared cache would allow
        // more, but locks whole tables against readers.
        pool = pool.max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
        // A caller who gives up while his connection is tested takes it with him.
        pool = pool.test_before_acquire(false);
    } else {
        keep_to_ourselves(options.get_filename());
        // SQLite ends a transaction by itself where the disk is full; sqlx then counts one that is not there, and the
        // connection would refuse all later ones. It is given up instead.
        pool = pool.max_connections(most).after_release(|connection, _| {
            let clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(clean) })
        });
    }
    pool.connect_with(options).await.map_err(DatabaseError::Open)
}

/// A new file is made readable for its owner only; SQLite gives its side files the same mode.
fn keep_to_ourselves(file: &Path) {
    use std::os::unix::fs::OpenOptionsExt;
    // Where this fails, opening the database fails too, and says why.
    let _ = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
}

async fn postgres(options: PgConnectOptions, most: u32) -> Result<sqlx::PgPool, DatabaseError> {
    let pool = PgPoolOptions::new().acquire_timeout(WAIT).max_connections(most).connect_lazy_with(options);
    first(&pool).await?;
    Ok(pool)
}

async fn mysql(options: MySqlConnectOptions, most: u32) -> Result<sqlx::MySqlPool, DatabaseError> {
    let pool = MySqlPoolOptions::new().acquire_timeout(WAIT).max_connections(most);
    // The engine's own default takes locks on the gaps between rows, and shows a step the world as it was before its locks.
    let pool = pool.after_connect(|connection, _| {
        Box::pin(
            async move { connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.map(drop) },
        )
    });
    let pool = pool.connect_lazy_with(options);
    first(&pool).await?;
    Ok(pool)
}

/// Makes the first connection, to tell at start what is wrong.
async fn first<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> Result<(), DatabaseError> {
    let begun = Instant::now();
    loop {
        match pool.acquire().await {
            Ok(_) => return Ok(()),
            Err(Error::Io(_) | Error::PoolTimedOut) if begun.elapsed() < FIRST_WAIT => {
                sleep(WAIT / 5).await;
            }
            Err(Error::PoolTimedOut) => return Err(DatabaseError::Open(reason(pool).await)),
            Err(Error::Tls(error)) => return Err(DatabaseError::Tls(error.to_string())),
            Err(error) => return Err(DatabaseError::Open(error)),
        }
    }
}

/// Why there is no connection: a pool tries again until its time is over, and tells only that.
async fn reason<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> Error {
    match timeout(WAIT, pool.connect_options().connect()).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => Error::PoolTimedOut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn callers_who_give_up_take_no_data_in_memory_with_them() {
        let pool = sqlite("sqlite::memory:", 1).await.expect("a database");
        pool.execute("CREATE TABLE kept (one INTEGER)").await.expect("made");
        for round in 0..200 {
            let impatient = Duration::from_micros(round % 20 * 20);
            let calls: Vec<_> = (0..50)
                .map(|_| {
                    let pool = pool.clone();
                    tokio::spawn(async move {
                        tokio::time::timeout(impatient, pool.execute("SELECT count(*) FROM kept")).await.is_ok()
                    })
                })
                .collect();
            for call in calls {
                call.await.expect("no panic");
            }
            pool.execute("SELECT one FROM kept").await.expect("the table is still there");
        }
    }

    #[test]
    fn only_this_machine_needs_no_encryption() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "/run/postgresql"] {
            assert!(is_here(host), "{host}");
        }
        for host in ["db", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com"] {
            assert!(!is_here(host), "{host}");
        }
    }
}
