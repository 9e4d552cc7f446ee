//! What time it is to the database: the server's clock, or where the database is embedded this machine's.

use sqlx::Error;

use super::handle::{Change, Database, Pool};
use super::query::query;
use crate::clock::Millis;

impl Database {
    /// The database's time.
    pub async fn now(&self) -> Result<Millis, Error> {
        match self.pool() {
            Pool::Sqlite(_) => Ok(self.machine_time()),
            Pool::Postgres(_) | Pool::MySql(_) => moment(query("SELECT {now}").one(self).await?),
        }
    }
}

impl Change {
    /// The database's time now: after the locks taken so far were waited for.
    pub async fn now(&mut self) -> Result<Millis, Error> {
        match self {
            Self::Sqlite { begun, .. } => Ok(*begun),
            Self::Postgres(_) | Self::MySql(_) => moment(query("SELECT {now}").one(self).await?),
        }
    }
}

fn moment((millis,): (i64,)) -> Result<Millis, Error> {
    millis.try_into().map(Millis).map_err(|error| Error::Decode(Box::new(error)))
}
