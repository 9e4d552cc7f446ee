//! Chooses between implementations: which token store the configuration names.

use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::clock::Clock;
use crate::config::{Config, Role};
use crate::metrics::Metrics;
use crate::state::redis::RedisState;
use crate::state::sql::SqlState;
use crate::state::{Lookups, Sessions};

/// The token store in its two faces; one object.
#[derive(Clone)]
pub struct Store {
    pub lookups: Arc<dyn Lookups>,
    pub sessions: Arc<dyn Sessions>,
}

impl Store {
    /// # Errors
    /// When the settings can't be used, or the database can't be opened. A Redis that is away is no error.
    pub async fn open(config: &Config, role: Role, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Result<Self> {
        if config.state.url != "sql" {
            let redis = RedisState::connect(&config.state, clock, metrics).await.context("state.url")?;
            return Ok(Self::of(Arc::new(redis)));
        }
        if role == Role::Check {
            bail!("state.url: role check keeps no database; give it the Redis that its issuer uses");
        }
        let sql = SqlState::open(&config.users, clock, metrics).await.context("users.url")?;
        Ok(Self::of(Arc::new(sql)))
    }

    fn of<S: Sessions + 'static>(store: Arc<S>) -> Self {
        Self { lookups: store.clone(), sessions: store }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store(…)")
    }
}
