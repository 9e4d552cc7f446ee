//! Secrets of clients: made here, with enough chance in them that nobody guesses one, and kept as a SHA-256 digest.
//!
//! Not as a slow hash: that makes guessing dear where people choose the secret. A secret of 256 random bits can't be guessed,
//! and a request for a token, or for what one means, must not cost 19 MiB and a place in the queue of passwords.

use std::fmt;
use std::str::FromStr;

use crate::secret::{Digest, base64url, constant_time_eq, from_base64url, random_bytes};

/// Tells what it is, to people and to those who search for leaked secrets.
const PREFIX: &str = "dwc_";
const SCHEME: &str = "sha256:";
/// The shortest secret that is taken; as many random characters as these can't be guessed.
const SHORTEST: usize = 32;
/// More would be in nobody's interest.
const LONGEST: usize = 512;

/// What is kept of a client's secret: `sha256:` and the digest in base64url.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(Digest);

/// The text is no hash of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no hash such as `doorward client secret` prints")]
pub struct NotAHash;

/// The secret can't be taken. The words tell nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client's secret is {SHORTEST} to {LONGEST} letters, digits and `-._~`, drawn at random")]
pub struct Unfit;

/// A new secret: 256 random bits.
pub fn make() -> String {
    format!("{PREFIX}{}", base64url(&random_bytes::<32>()))
}

impl SecretHash {
    /// Only characters that are the same in a header, a form and a URL are taken: clients disagree on how to escape the others.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn of(secret: &str) -> Result<Self, Unfit> {
        let fits = (SHORTEST..=LONGEST).contains(&secret.len()) && secret.bytes().all(is_unreserved);
        if fits { Ok(Self(Digest::of(secret.as_bytes()))) } else { Err(Unfit) }
    }

    /// Compares in constant time, whatever was shown (SEC-T21).
    pub fn is_of(&self, shown: &str) -> bool {
        constant_time_eq(self.0.as_bytes(), Digest::of(shown.as_bytes()).as_bytes())
    }
}

/// RFC 3986 section 2.3.
pub(super) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

impl FromStr for SecretHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let bytes = text.strip_prefix(SCHEME).and_then(from_base64url).ok_or(NotAHash)?;
        bytes.try_into().map(|bytes| Self(Digest::from_bytes(bytes))).map_err(|_| NotAHash)
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_secret_is_known_by_its_hash_and_no_other_is() {
        let (secret, other) = (make(), make());
        let hash: SecretHash = SecretHash::of(&secret).expect("it fits").to_string().parse().expect("a hash");
        assert!(hash.is_of(&secret) && !hash.is_of(&other) && !hash.is_of("") && !hash.is_of(&hash.to_string()));
        assert_eq!(format!("{hash:?}"), "SecretHash(…)");
    }

    #[test]
    fn what_people_think_up_and_what_is_escaped_differently_is_refused() {
        for wrong in
            ["", "hunter2", &"a".repeat(31), &"a".repeat(513), &format!("{}+", "a".repeat(32)), &"é".repeat(32)]
        {
            assert_eq!(SecretHash::of(wrong), Err(Unfit), "{wrong}");
        }
        for wrong in ["", "sha256:", "sha256:AAAA", "$argon2id$v=19$", &make()] {
            assert_eq!(wrong.parse::<SecretHash>(), Err(NotAHash), "{wrong}");
        }
    }
}
