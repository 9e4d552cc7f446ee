//! Keys whose features this version does not have yet. Their names and shapes are fixed, so a configuration that gives
//! them is checked and accepted; that they are not in effect is told at start and by `config check`.
//!
//! When a feature comes, its settings move from here to the room that does the work.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::units::{Size, Span};

/// The keys that are not in effect, as far as an error or notice names them.
pub(super) const KEYS: [&str; 9] = [
    "auth.device_binding",
    "auth.passwords",
    "auth.registration",
    "limits",
    "retention",
    "factors",
    "clients",
    "providers",
    "graphql",
];

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reserved {
    pub auth: Auth,
    /// How often one may try, by address and by account.
    pub limits: Limits,
    pub retention: Retention,
    pub factors: Factors,
    /// OAuth 2 clients.
    pub clients: Vec<Client>,
    /// Identity providers by name: `google`, `github`, `linkedin` or any other.
    pub providers: BTreeMap<String, Provider>,
    pub graphql: Graphql,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Whether a session is bound to the device that opened it.
    pub device_binding: DeviceBinding,
    pub passwords: Passwords,
    /// Whether anyone may register an account.
    pub registration: bool,
}

impl Default for Auth {
    fn default() -> Self {
        Self { device_binding: DeviceBinding::default(), passwords: Passwords::default(), registration: true }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceBinding {
    /// What happens at a refresh from another user agent.
    pub user_agent: Binding,
    /// What happens at a refresh from another address.
    pub ip: Binding,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    #[default]
    Off,
    Warn,
    Deny,
}

/// How passwords are judged and hashed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Passwords {
    pub min_length: u16,
    pub argon2: Argon2,
    /// Hashes computed at once.
    pub concurrency: u16,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { min_length: 8, argon2: Argon2::default(), concurrency: 2 }
    }
}

/// Costs of Argon2id, RFC 9106.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Argon2 {
    pub memory: Size,
    pub passes: u32,
}

impl Default for Argon2 {
    fn default() -> Self {
        Self { memory: Size(19 << 20), passes: 2 }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Login and registration.
    pub auth: Rate,
    pub refresh: Rate,
    pub sessions: Rate,
    pub profile: Rate,
    /// The plain endpoints, which trusted back ends call.
    pub plain: Rate,
    pub lockout: Lockout,
}

impl Default for Limits {
    fn default() -> Self {
        let per_minute = |times| Rate(Some((times, Per::Min)));
        Self {
            auth: per_minute(5),
            refresh: per_minute(10),
            sessions: per_minute(60),
            profile: per_minute(100),
            plain: Rate(None),
            lockout: Lockout::default(),
        }
    }
}

/// When an account stops taking passwords.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lockout {
    /// Wrong passwords in a row.
    pub after: u32,
    #[serde(rename = "for")]
    pub period: Span,
}

impl Default for Lockout {
    fn default() -> Self {
        Self { after: 10, period: Span::minutes(15) }
    }
}

/// How long ended sessions are kept for their owner's history.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    pub expired: Span,
    pub revoked: Span,
}

impl Default for Retention {
    fn default() -> Self {
        Self { expired: Span::days(30), revoked: Span::days(90) }
    }
}

/// Second factors.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Factors {
    pub totp: bool,
    pub webauthn: Webauthn,
}

impl Default for Factors {
    fn default() -> Self {
        Self { totp: true, webauthn: Webauthn::default() }
    }
}

/// Passkeys.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webauthn {
    /// The relying party: a domain.
    pub rp_id: String,
    pub origin: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    pub id: String,
    pub secret_hash: String,
    /// The client's public keys: a file or an https URL.
    pub jwks: String,
    pub grants: Vec<String>,
    pub scopes: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Provider {
    pub client_id: String,
    pub client_secret: String,
    pub client_secret_file: String,
    pub issuer_url: String,
    pub scopes: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Graphql {
    pub enabled: bool,
}

impl Default for Graphql {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `5/min`: five at once, refilled evenly; or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub Option<(u32, Per)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    Sec,
    Min,
    Hour,
}

const PERIODS: [(&str, Per); 3] = [("s", Per::Sec), ("min", Per::Min), ("h", Per::Hour)];

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a rate; write a number and a period, such as 5/s, 5/min or 5/h, or off");
        if text == "off" {
            return Ok(Self(None));
        }
        let (times, period) = text.split_once('/').ok_or_else(wrong)?;
        let times = times.parse().ok().filter(|times| *times > 0).ok_or_else(wrong)?;
        let (_, per) = PERIODS.iter().find(|(name, _)| *name == period).ok_or_else(wrong)?;
        Ok(Self(Some((times, *per))))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("off"),
            Some((times, Per::Sec)) => write!(f, "{times}/s"),
            Some((times, Per::Min)) => write!(f, "{times}/min"),
            Some((times, Per::Hour)) => write!(f, "{times}/h"),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "rate".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "title": "rate", "pattern": "^(off|[1-9][0-9]*/(s|min|h))$"})
    }
}
