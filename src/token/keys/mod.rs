//! Signing and verification keys (RFC 7517): the words of this room, and what goes wrong in it.
//!
//! [`KeyRing`] reads our own keys from a directory, one file a key; `change` makes, rotates and revokes them; `jwk` reads
//! other people's JWK Sets. The issuer signs with the ring's active key, every verifier holds a [`set::KeySet`].

pub mod change;
pub mod ed25519;
pub mod files;
pub mod jwk;
pub mod key_file;
pub mod manifest;
mod new_key;
mod private;
pub mod ring;
pub mod rsa;
pub mod set;
pub mod signing;
pub mod verification;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

pub use self::change::{Revoked, Rotated, generate, revoke, rotate};
pub use self::ring::KeyRing;

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

impl Algorithm {
    /// All that others can verify without being able to sign.
    pub const ASYMMETRIC: [Self; 4] = [Self::EdDSA, Self::ES256, Self::RS256, Self::PS256];

    /// The name in `alg`, compared byte for byte: JOSE names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::EdDSA, Self::ES256, Self::RS256, Self::PS256, Self::HS256].into_iter().find(|known| known.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::HS256 => "HS256",
        }
    }

    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::RS256 | Self::PS256)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EdDSA => Self::EdDSA,
            Algorithm::ES256 => Self::ES256,
            Algorithm::RS256 => Self::RS256,
            Algorithm::PS256 => Self::PS256,
            Algorithm::HS256 => Self::HS256,
        }
    }
}

/// The times of rotation (SEC-K1).
#[derive(Clone, Copy, Debug)]
pub struct RingRules {
    /// How long a new key is published before it signs: the `max-age` of our JWKS.
    pub publish_ahead: Duration,
    /// How long a superseded key still verifies: the life of an access token, and some leeway.
    pub keep_after: Duration,
}

impl RingRules {
    /// The `max-age` of our JWKS, and as long as it may take a new key to get there.
    pub const PUBLISH_AHEAD: Duration = Duration::from_secs(330);
    /// The clocks of issuer and verifiers may differ by this much before a superseded key is missed.
    const LEEWAY: Duration = Duration::from_secs(60);

    /// For access tokens of this life.
    pub const fn of(access_lifetime: Duration) -> Self {
        Self { publish_ahead: Self::PUBLISH_AHEAD, keep_after: access_lifetime.saturating_add(Self::LEEWAY) }
    }
}

/// Where a key stands; it follows from times alone, so all processes that share the directory agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, not signing yet.
    Next,
    /// Signing.
    Active,
    /// Superseded; still verifies what it signed.
    Retiring,
    /// All that it signed has expired: it verifies no more and is not published.
    Retired,
}

impl KeyState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }
}

/// One key of the ring, without its secret parts: for `key list` and metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyView {
    pub kid: String,
    pub algorithm: Algorithm,
    pub state: KeyState,
    /// When it began or will begin to sign. `None`: when a rotation says so.
    pub active_from: Option<Timestamp>,
    /// When it stops verifying, where that is known yet.
    pub until: Option<Timestamp>,
    pub file: PathBuf,
}

/// Why a key may not be used (SEC-T3, K7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnusableKey(pub &'static str);

/// What is wrong with the key directory: which file, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{file}: {reason}; {fix}")]
    Unusable { file: PathBuf, reason: UnusableKey, fix: &'static str },
    #[error("{file}: every user of this machine may read or change it; run: chmod 600 '{file}'")]
    TooOpen { file: PathBuf },
    #[error("{file}: can't be read: {source}; check that it is there and belongs to the user doorward runs as")]
    Unreadable { file: PathBuf, source: io::Error },
    #[error(
        "{file}: can't be written: {source}; check who owns the directory, or change keys where it is not mounted read-only"
    )]
    Unwritable { file: PathBuf, source: io::Error },
    #[error(
        "{file}: {reason}; repair it, or remove it: every key then counts as always active, and the last file name signs"
    )]
    Manifest { file: PathBuf, reason: String },
    #[error("{first} and {second} are one key, `{kid}`; remove one of them")]
    DoubledKid { kid: String, first: PathBuf, second: PathBuf },
    #[error("{dir}: holds no key; run: doorward key generate")]
    NoKey { dir: PathBuf },
    #[error(
        "{dir}: no key of algorithm {algorithm} is there; run `doorward key generate`, or set keys.algorithm to that of a key there"
    )]
    NoKeyOf { dir: PathBuf, algorithm: Algorithm },
    #[error("{dir}: no key there signs yet; run: doorward key rotate")]
    NothingSigns { dir: PathBuf },
    #[error("{dir}: every user of this machine may put keys there; run: chmod o-w '{dir}'")]
    DirTooOpen { dir: PathBuf },
    #[error("{dir}: has no key `{kid}`; see: doorward key list")]
    UnknownKid { dir: PathBuf, kid: String },
    #[error("the system's random generator or key generation failed")]
    Generation,
}

impl KeyError {
    fn unreadable(file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Unreadable { file: file.to_owned(), source }
    }

    fn unwritable(file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Unwritable { file: file.to_owned(), source }
    }
}
