//! The open database: a pool of connections to one of the engines, and transactions on it.

use std::fmt;
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Error, MySql, Postgres, Sqlite, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::engine::Engine;
use crate::clock::{Clock, Millis};

/// An open database. Clones share its connections.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    clock: Arc<dyn Clock>,
    /// SQLite has one writer at a time, and would let others collide and sleep: here they take turns, in order.
    turn: Arc<Mutex<()>>,
}

#[derive(Clone, Debug)]
pub(super) enum Pool {
    Sqlite(sqlx::Pool<Sqlite>),
    Postgres(sqlx::Pool<Postgres>),
    MySql(sqlx::Pool<MySql>),
}

/// A transaction. Dropped without `commit`, it is rolled back.
#[derive(Debug)]
pub enum Change {
    /// `begun` is the time of all its statements.
    Sqlite {
        change: Transaction<'static, Sqlite>,
        begun: Millis,
        _turn: OwnedMutexGuard<()>,
    },
    Postgres(Transaction<'static, Postgres>),
    MySql(Transaction<'static, MySql>),
}

impl Database {
    pub(super) fn new(pool: Pool, clock: Arc<dyn Clock>) -> Self {
        Self { pool, clock, turn: Arc::default() }
    }

    pub const fn engine(&self) -> Engine {
        match self.pool {
            Pool::Sqlite(_) => Engine::Sqlite,
            Pool::Postgres(_) => Engine::Postgres,
            Pool::MySql(_) => Engine::MySql,
        }
    }

    /// Begins a transaction. SQLite's has the write lock from its first moment, since one that read first and wrote later
    /// could be refused in the middle; elsewhere it sees what others have committed, statement by statement, and rows that must
    /// not move are locked.
    pub async fn begin(&self) -> Result<Change, Error> {
        Ok(match &self.pool {
            Pool::Sqlite(pool) => {
                let _turn = Arc::clone(&self.turn).lock_owned().await;
                let change = pool.begin_with("BEGIN IMMEDIATE").await?;
                Change::Sqlite { change, begun: self.machine_time(), _turn }
            }
            Pool::Postgres(pool) => {
                let pool = pool.clone();
                let begin = async move { pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await };
                Change::Postgres(to_its_end(begin).await?)
            }
            // Each connection was told its isolation level when it was opened.
            Pool::MySql(pool) => {
                let pool = pool.clone();
                Change::MySql(to_its_end(async move { pool.begin().await }).await?)
            }
        })
    }

    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
            Pool::MySql(pool) => pool.close().await,
        }
    }

    /// A pool that hears what is told with `NOTIFY`; only PostgreSQL has that.
    pub fn postgres(&self) -> Option<&sqlx::Pool<Postgres>> {
        match &self.pool {
            Pool::Postgres(pool) => Some(pool),
            Pool::Sqlite(_) | Pool::MySql(_) => None,
        }
    }

    /// Held while something is written without a transaction of its own.
    pub(super) async fn turn_to_write(&self) -> Option<OwnedMutexGuard<()>> {
        match self.pool {
            Pool::Sqlite(_) => Some(Arc::clone(&self.turn).lock_owned().await),
            Pool::Postgres(_) | Pool::MySql(_) => None,
        }
    }

    pub(super) const fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn machine_time(&self) -> Millis {
        self.clock.now_millis()
    }
}

impl Change {
    pub async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite { change, .. } => change.commit().await,
            Self::Postgres(change) => change.commit().await,
            Self::MySql(change) => change.commit().await,
        }
    }
}

/// A connection of a server's pool.
pub(super) async fn acquire<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> Result<PoolConnection<D>, Error> {
    let pool = pool.clone();
    to_its_end(async move { pool.acquire().await }).await
}

/// Goes on where its caller gives up: a connection that takes longer to be made than a call may wait would otherwise never be
/// made. What comes too late is the pool's.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or(Err(Error::PoolClosed))
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("engine", &self.engine()).finish_non_exhaustive()
    }
}
