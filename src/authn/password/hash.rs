//! Hashes in the PHC string format (`$argon2id$…`), and the bcrypt hashes that imported accounts bring.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, ParamsBuilder, PasswordHasher, PasswordVerifier, Version};
use subtle::ConstantTimeEq;

use super::Argon2 as Settings;
use crate::secret::{base64url, random_bytes};

/// A bcrypt hash that would take longer than some seconds is not computed: 2^16 rounds.
const DEAREST_BCRYPT: u32 = 16;

/// The same for an imported Argon2 hash: 128 MiB, for each of `auth.passwords.concurrency`.
const DEAREST_KIBIBYTES: u32 = 128 << 10;
const DEAREST_PASSES: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("auth.passwords.argon2: these are no costs of Argon2: {0}")]
    Costs(argon2::Error),
    #[error("an account's password hash is of no kind known here")]
    Kept,
    #[error("{0}")]
    Computing(argon2::password_hash::Error),
}

/// What a hash costs to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Costs {
    kibibytes: u32,
    passes: u32,
}

/// What comparing found.
pub(super) enum Found {
    Other,
    /// `weaker`: the kept hash costs less than ours would.
    Equal {
        weaker: bool,
    },
}

impl Costs {
    pub(super) fn of(settings: Settings) -> Result<Self, HashError> {
        let kibibytes = u32::try_from(settings.memory.0 / 1024).unwrap_or(u32::MAX);
        let costs = Self { kibibytes, passes: settings.passes };
        costs.argon2().map(|_| costs)
    }

    fn argon2(self) -> Result<Argon2<'static>, HashError> {
        let mut params = ParamsBuilder::new();
        params.m_cost(self.kibibytes).t_cost(self.passes).p_cost(1);
        let params = params.build().map_err(HashError::Costs)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }

    pub(super) fn hash(self, password: &str) -> Result<String, HashError> {
        let salt: [u8; 16] = random_bytes();
        let hash = self.argon2()?.hash_password_with_salt(password.as_bytes(), &salt);
        hash.map(|hash| hash.to_string()).map_err(HashError::Computing)
    }

    /// A hash that no password has.
    pub(super) fn nobody(self) -> Result<String, HashError> {
        self.hash(&base64url(&random_bytes::<32>()))
    }

    fn above(self, kept: &PasswordHash) -> bool {
        let cost = |name: &str| kept.params.get_decimal(name).unwrap_or(0);
        kept.algorithm.as_str() != "argon2id" || cost("m") < self.kibibytes || cost("t") < self.passes
    }
}

/// Compares in constant time (SEC-T21).
pub(super) fn compare(password: &str, kept: &str, today: Costs) -> Result<Found, HashError> {
    if kept.starts_with("$2") {
        return compare_bcrypt(password, kept);
    }
    let kept = PasswordHash::new(kept).map_err(|_| HashError::Kept)?;
    match Argon2::default().verify_password(password.as_bytes(), &kept) {
        Ok(()) => Ok(Found::Equal { weaker: today.above(&kept) }),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Found::Other),
        Err(error) => Err(HashError::Computing(error)),
    }
}

/// Whether a password could be compared with it: Argon2 or bcrypt, at a cost that is computed within seconds.
pub(super) fn is_known(kept: &str) -> bool {
    if kept.starts_with("$2") {
        return kept.parse().is_ok_and(|parts: bcrypt::HashParts| parts.get_cost() <= DEAREST_BCRYPT);
    }
    PasswordHash::new(kept).is_ok_and(|kept| {
        let within =
            |name: &str, most: u32| kept.params.get_decimal(name).is_some_and(|cost| (1..=most).contains(&cost));
        let argon2 = kept.algorithm.as_str().starts_with("argon2") && kept.salt.is_some() && kept.hash.is_some();
        argon2 && within("m", DEAREST_KIBIBYTES) && within("t", DEAREST_PASSES) && within("p", 64)
    })
}

/// bcrypt reads so many bytes of a password and no more.
const BCRYPT_READS: usize = 72;

/// `$2b$12$` and its older versions. What bcrypt did not read of a password is known to nobody: so a longer one keeps this hash
/// until its owner changes it, and one with a NUL, at which some read from the beginning again, is none (SEC-L2).
fn compare_bcrypt(password: &str, kept: &str) -> Result<Found, HashError> {
    let whole = password.len() <= BCRYPT_READS;
    if password.contains('\0') {
        return Ok(Found::Other);
    }
    let parts: bcrypt::HashParts = kept.parse().map_err(|_| HashError::Kept)?;
    if parts.get_cost() > DEAREST_BCRYPT {
        return Err(HashError::Kept);
    }
    let again = bcrypt::hash_with_salt_bytes(password, parts.get_cost(), parts.get_salt_raw());
    let again = again.map_err(|_| HashError::Kept)?;
    // After the version and the cost, which may be written in more than one way.
    let same = again.len() == kept.len() && bool::from(again[4..].ct_eq(&kept.as_bytes()[4..]));
    Ok(if same { Found::Equal { weaker: whole } } else { Found::Other })
}
