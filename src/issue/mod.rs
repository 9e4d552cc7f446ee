//! The issuer: opens sessions, mints token pairs, rotates and ends them. The write wing's core; knows no protocol.

pub mod login;
pub mod logout;
pub mod refresh;
pub mod trusted;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::AtLimit;
use crate::units::Span;

/// Tokens and sessions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The `iss` claim of our tokens. Set it to `public_url`, here and in sidecars, for standard OAuth clients.
    pub issuer: String,
    /// The `aud` claim of our tokens; a check wants one of these.
    pub audience: Vec<String>,
    /// How long an access token is valid.
    pub access_lifetime: Span,
    /// The absolute life of a session: rotation never extends it.
    pub refresh_lifetime: Span,
    /// A session unused this long ends.
    pub auto_logout: Span,
    /// How long the previous refresh token is still answered, with the same successor: retries and parallel tabs.
    pub refresh_grace: Span,
    /// Live sessions of one subject; 0 is no limit.
    pub max_sessions_per_user: u32,
    /// What happens at that limit.
    pub at_session_limit: AtLimit,
    pub trusted_login: TrustedLogin,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: "doorward".into(),
            audience: vec!["doorward".into()],
            access_lifetime: Span::minutes(15),
            refresh_lifetime: Span::hours(168),
            auto_logout: Span::hours(24),
            refresh_grace: Span::secs(3),
            max_sessions_per_user: 10,
            at_session_limit: AtLimit::Evict,
            trusted_login: TrustedLogin::default(),
        }
    }
}

/// Who may `POST /login {"user_id": …}`. With neither, nobody (but loopback under `--dev`).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrustedLogin {
    /// Networks of the client's address. A request that carries forwarding headers is never trusted by its address.
    #[schemars(with = "Vec<String>")]
    pub allow_from: Vec<IpNet>,
    /// A file of caller keys, one a line, at least 32 characters each; sent as `Authorization: Bearer`.
    pub caller_keys_file: String,
}
