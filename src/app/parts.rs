//! What the configuration means: which token store, which keys, whose tokens. `serve` and the commands of `cli` make their
//! parts of it here.

use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::clock::Clock;
use crate::config::{Config, Role};
use crate::database;
use crate::metrics::Metrics;
use crate::state::counters::Counters;
use crate::state::redis::RedisState;
use crate::state::sql::SqlState;
use crate::state::{Lookups, Sessions};
use crate::token::jwt::{OwnKeys, OwnProfile};
use crate::token::keys::RingRules;
use crate::users::sql::SqlUsers;

/// The token store in its faces, one object; and the users' database, which a checker has none of.
#[derive(Clone)]
pub struct Store {
    pub lookups: Arc<dyn Lookups>,
    pub sessions: Arc<dyn Sessions>,
    pub counters: Arc<dyn Counters>,
    pub users: Option<Arc<SqlUsers>>,
}

impl Store {
    /// # Errors
    /// When the settings can't be used, or the database can't be opened. A Redis that is away is no error.
    pub async fn open(config: &Config, role: Role, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Result<Self> {
        let in_sql = config.state.url == "sql";
        if role == Role::Check {
            if in_sql {
                bail!("state.url: role check keeps no database; give it the Redis that its issuer uses");
            }
            let redis = RedisState::connect(&config.state, clock, metrics).await.context("state.url")?;
            return Ok(Self::of(Arc::new(redis), None));
        }
        let database = database::open(&config.users, Arc::clone(&clock)).await.context("users.url")?;
        let users = Some(Arc::new(SqlUsers::new(database.clone())));
        if in_sql {
            let sql = SqlState::new(database, metrics).await.context("users.url")?;
            return Ok(Self::of(Arc::new(sql), users));
        }
        let redis = RedisState::connect(&config.state, clock, metrics).await.context("state.url")?;
        Ok(Self::of(Arc::new(redis), users))
    }

    fn of<S: Sessions + Counters + 'static>(store: Arc<S>, users: Option<Arc<SqlUsers>>) -> Self {
        Self { lookups: store.clone(), counters: store.clone(), sessions: store, users }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store(…)")
    }
}

pub(crate) fn ring_rules(config: &Config) -> RingRules {
    RingRules::of(config.auth.access_lifetime.0)
}

/// What our own tokens name.
pub(crate) fn own_profile(config: &Config) -> OwnProfile {
    OwnProfile { issuer: config.auth.issuer.clone(), audience: config.auth.audience.clone() }
}

/// Our own public keys where there is no key folder.
pub(crate) fn own_keys_elsewhere(config: &Config) -> OwnKeys {
    let check = &config.check;
    OwnKeys::Remote { jwks: check.jwks.clone(), hs256_secret_file: check.hs256_secret_file.clone() }
}
