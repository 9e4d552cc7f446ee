//! The SQL database: its settings, its pool, its migrations. SQLite embedded; token state lives here where `state.url` is
//! `sql`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
