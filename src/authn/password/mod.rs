//! Passwords: hashed with Argon2id (RFC 9106) on threads of their own, judged before they are taken. `accounts` calls it.

mod hash;
mod policy;
mod pool;

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use self::hash::HashError;
use self::hash::{Costs, Found};
pub use self::policy::Unfit;
use self::pool::{Busy, Pool};
use crate::authn::identifier::Email;
use crate::fault::{Fault, Kind};
use crate::units::Size;

/// How passwords are judged and hashed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The fewest characters of a new password; 15 is advised where no second factor is asked.
    pub min_length: u16,
    pub argon2: Argon2,
    /// Hashes computed at once, each in the memory that `argon2` says; fewer where there are not more cores than that, since one
    /// core is always left to the checks. Up to 32 times as many wait; more are answered 503.
    pub concurrency: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { min_length: 8, argon2: Argon2::default(), concurrency: 2 }
    }
}

/// Costs of Argon2id, RFC 9106, with one lane. Raised, they take effect for each account at its next login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Argon2 {
    /// At least 19MiB with 2 passes, or 46MiB with 1.
    pub memory: Size,
    pub passes: u32,
}

impl Default for Argon2 {
    fn default() -> Self {
        Self { memory: Size(19 << 20), passes: 2 }
    }
}

/// More is refused before it costs anything.
const LONGEST: usize = 1024;

/// A password as someone typed it, in NFC (RFC 8265); nothing else about it is changed (SEC-L2).
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has at most {LONGEST} bytes")]
pub struct TooLong;

impl Password {
    pub fn new(text: &str) -> Result<Self, TooLong> {
        if text.len() > LONGEST {
            return Err(TooLong);
        }
        let nfc = const { icu_normalizer::ComposingNormalizerBorrowed::new_nfc() };
        Ok(Self(Zeroizing::new(nfc.normalize(text).into_owned())))
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Whether a hash that an account brings from elsewhere is one that passwords can be compared with.
pub fn is_known_hash(text: &str) -> bool {
    hash::is_known(text)
}

/// What a shown password is to the account's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Wrong,
    Right,
    /// Right; but today's costs are higher than those of its hash, or it came from another system: keep this one instead
    /// (SEC-L1).
    RightWith {
        stronger: String,
    },
}

/// No answer about a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("more passwords wait to be hashed than may")]
    Busy,
    #[error("the password could not be hashed")]
    Hash(#[from] HashError),
}

impl From<Busy> for PasswordError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl Fault for PasswordError {
    fn kind(&self) -> Kind {
        Kind::Unavailable
    }

    fn code(&self) -> &'static str {
        "unavailable"
    }
}

/// Hashes, verifies and judges passwords. One for each process that takes them.
#[derive(Debug)]
pub struct Passwords {
    min_length: usize,
    costs: Costs,
    pool: Pool,
    /// A hash of nothing anybody can type: what a password is compared with where there is no account (SEC-L4).
    nobody: Arc<str>,
}

impl Passwords {
    /// # Errors
    /// When the costs are none that Argon2 knows, or the threads can't be started.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let costs = Costs::of(settings.argon2)?;
        let nobody = costs.nobody()?.into();
        let pool = Pool::start(usize::from(settings.concurrency.max(1)))?;
        Ok(Self { min_length: settings.min_length.into(), costs, pool, nobody })
    }

    /// Whether it may become someone's password (SEC-L3).
    pub fn judge(&self, new: &Password, email: &Email) -> Result<(), Unfit> {
        policy::judge(new.expose(), self.min_length, email)
    }

    /// The hash to keep of it.
    pub async fn hash(&self, new: &Password) -> Result<String, PasswordError> {
        let (new, costs) = (new.clone(), self.costs);
        Ok(self.pool.run(move || costs.hash(new.expose())).await??)
    }

    /// Compares it with an account's hash, or takes as long where there is none: no account, no password, or one that may
    /// not sign in (SEC-L4).
    pub async fn verify(&self, shown: &Password, kept: Option<&str>) -> Result<Verdict, PasswordError> {
        let (shown, costs) = (shown.clone(), self.costs);
        let someone = kept.is_some();
        let kept: Arc<str> = kept.map_or_else(|| Arc::clone(&self.nobody), Arc::from);
        let work = move || match hash::compare(shown.expose(), &kept, costs)? {
            Found::Equal { weaker: true } if someone => {
                Ok(Verdict::RightWith { stronger: costs.hash(shown.expose())? })
            }
            Found::Equal { .. } if someone => Ok(Verdict::Right),
            Found::Equal { .. } | Found::Other => Ok(Verdict::Wrong),
        };
        self.pool.run(work).await?.map_err(PasswordError::Hash)
    }
}

#[cfg(test)]
mod tests;
