//! Keys whose features this version does not have yet. Their names and shapes are fixed, so a configuration that gives
//! them is checked and accepted; that they are not in effect is told at start and by `config check`.
//!
//! When a feature comes, its settings move from here to the room that does the work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The keys that are not in effect, as far as an error or notice names them.
pub(super) const KEYS: [&str; 2] = ["factors", "providers"];

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reserved {
    pub factors: Factors,
    /// Identity providers by name: `google`, `github`, `linkedin` or any other.
    pub providers: BTreeMap<String, Provider>,
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
pub struct Provider {
    pub client_id: String,
    pub client_secret: String,
    pub client_secret_file: String,
    pub issuer_url: String,
    pub scopes: Vec<String>,
}
