//! The configuration: gathers every room's settings. One YAML file; flag over environment over file over default.
//!
//! `load` reads it, `validate` judges what types can't say, `show` prints it, `reference` documents it; `cli` and `app`
//! call them.

pub mod change;
pub mod files;
pub mod finding;
pub mod load;
mod overlay;
pub mod reference;
pub mod reserved;
pub mod schema;
pub mod secrets;
mod shape;
pub mod show;
pub mod source;
pub mod starter;
#[cfg(test)]
mod tests;
mod tree;
mod validate;
pub mod watch;

pub use finding::{ConfigErrors, Finding, Severity};
pub use load::{Inputs, Loaded, load, reload};
pub use overlay::FILE_VARIABLE;
pub use watch::Watch;

use std::num::NonZero;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accounts::retention;
use crate::check::cache;
use crate::check::identity::HeaderSettings;
use crate::check::rules::RuleSettings;
use crate::oauth::clients::ClientSettings;
use crate::token::keys;
use crate::token::remote::IssuerSettings;
use crate::units::Span;
use crate::web::graphql;
use crate::{database, issue, limit, listen, logging, state};

/// All of doorward's configuration. Every key is optional.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: listen::Settings,
    /// How clients reach the session plane.
    pub public_url: String,
    /// Worker threads; 0 is one a core.
    pub workers: usize,
    pub logging: logging::Settings,
    pub state: state::Settings,
    pub users: database::Settings,
    pub auth: issue::Settings,
    pub limits: limit::Settings,
    pub retention: retention::Settings,
    pub keys: keys::Settings,
    /// More token issuers.
    pub issuers: Vec<IssuerSettings>,
    /// OAuth 2 clients; `docs/oauth2.md` tells what they can do.
    pub clients: Vec<ClientSettings>,
    pub check: Check,
    pub graphql: graphql::Settings,
    pub shutdown: Shutdown,
}

impl Config {
    /// How many threads serve.
    pub fn threads(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            workers => workers,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: listen::Settings::default(),
            public_url: "http://127.0.0.1:8080".into(),
            workers: 0,
            logging: logging::Settings::default(),
            state: state::Settings::default(),
            users: database::Settings::default(),
            auth: issue::Settings::default(),
            limits: limit::Settings::default(),
            retention: retention::Settings::default(),
            keys: keys::Settings::default(),
            issuers: Vec::new(),
            clients: Vec::new(),
            check: Check::default(),
            graphql: graphql::Settings::default(),
            shutdown: Shutdown::default(),
        }
    }
}

/// Which planes a process serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Both, in one process.
    #[default]
    All,
    /// The sidecar: answers checks; needs public keys and the token state, never a private key or the users' database.
    Check,
    /// The service: login, refresh, logout.
    Issuer,
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Check => "check",
            Self::Issuer => "issuer",
        }
    }
}

/// The check plane.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Check {
    /// Role check: an https URL (http on loopback) or a file of the issuer's public keys.
    pub jwks: String,
    /// Role check with an HS256 issuer: the file with its secret. Whoever holds it can mint tokens.
    pub hs256_secret_file: String,
    pub cache: cache::Settings,
    pub headers: HeaderSettings,
    /// Route rules; first match wins. Empty: every valid token passes. With one rule or more, what matches none is denied.
    pub rules: Vec<RuleSettings>,
    /// The name of a cookie that may carry the access token, such as `__Host-doorward`. Empty: none is read.
    pub cookie: String,
    /// Where a browser without a valid token is sent: 401 carries it as `Location`, with the wanted URL as `rd`. Empty: nowhere.
    pub sign_in_url: String,
}

/// How the process ends (SEC-N2).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// After SIGTERM: not ready, but still serving, for this long. Ctrl-C skips it.
    pub delay: Span,
    /// Then requests in flight have this long to finish.
    pub finish: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { delay: Span::secs(5), finish: Span::secs(25) }
    }
}
