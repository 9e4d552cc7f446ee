//! The key ring: our signing keys, one file a key, and what state each is in (RFC 7517).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Signing keys and the server's secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// One file a key: PEM (PKCS#8), or `<kid>.hs256` with at least 32 random bytes in base64url. Made on first start where it holds none.
    pub dir: String,
    /// What new keys are made for, and which of the keys signs.
    pub algorithm: Algorithm,
    /// A file with at least 32 random bytes in base64url, from which the refresh tokens' MAC and other secrets are derived.
    /// Empty: made on first start and kept in `dir`.
    pub secret_file: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { dir: "keys".into(), algorithm: Algorithm::default(), secret_file: String::new() }
    }
}

/// A signature algorithm, RFC 7518 section 3.1 and RFC 8037. A key is bound to exactly one (SEC-T1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    #[default]
    EdDSA,
    ES256,
    RS256,
    PS256,
    HS256,
}
