//! Secrets and digests: random bytes, SHA-256, HMAC, canonical base64url, and a `Debug` that says nothing.

use std::fmt;
use std::hash::{Hash, Hasher};

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// Unpadded base64url (RFC 4648 section 5), the alphabet of JOSE.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The same, at the end of `text`.
pub fn append_base64url(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// The bytes of unpadded *canonical* base64url: no padding, no other character, no set unused bits. `None` otherwise.
pub fn from_base64url(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// `N` bytes from the system's cryptographically secure generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Not by aws-lc-rs: at its first random byte it gathers entropy of its own, for more than half of the time that a
    // checker took to be ready.
    getrandom::fill(&mut bytes).expect("the system's random generator answers; without it nothing here is safe");
    bytes
}

/// A SHA-256 digest: how tokens and salts are remembered without being kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self::taken(digest::digest(&digest::SHA256, bytes))
    }

    /// The digest of the parts joined; the caller separates them where that matters.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(part);
        }
        Self::taken(context.finish())
    }

    fn taken(digest: digest::Digest) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        Self(out)
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its place in a hash table: a digest is spread evenly already, and nobody chooses one.
    pub const fn hash(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(Self::hash(self));
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// Bytes that must not be shown or left in memory.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// A key of its own for one purpose, so that one leaked or misused key opens no other door (SEC-K5).
    /// The label is the purpose: HMAC-SHA-256(secret, label).
    pub fn derive(&self, label: &str) -> MacKey {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        MacKey(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, label.as_bytes()).as_ref()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A key for HMAC-SHA-256 (RFC 2104).
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// The first 16 bytes of the MAC: HMAC-SHA-256-128 (RFC 4868).
    pub fn mac(&self, message: &[u8]) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&hmac::sign(&self.0, message).as_ref()[..16]);
        short
    }

    /// Compares in constant time (SEC-T21).
    pub fn verify(&self, message: &[u8], mac: &[u8]) -> bool {
        constant_time_eq(&self.mac(message), mac)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

/// Equality whose time does not depend on where the inputs differ.
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-T7
    #[test]
    fn base64url_is_read_only_in_its_canonical_form() {
        assert_eq!(from_base64url("AQ"), Some(vec![1]));
        for text in ["AR", "AQ==", "A", "A+", "A/", "A Q", "AQ\n"] {
            assert_eq!(from_base64url(text), None, "{text:?}");
        }
    }

    // SEC-K5
    #[test]
    fn keys_of_different_labels_differ() {
        let secret = Secret::new(vec![7; 32]);
        assert_ne!(secret.derive("refresh").mac(b"x"), secret.derive("cookie").mac(b"x"));
    }

    // SEC-K6
    #[test]
    fn debug_output_shows_no_secret() {
        let secret = Secret::new(b"canary".to_vec());
        let shown = format!("{secret:?} {:?} {:?}", secret.derive("l"), Digest::of(b"canary"));
        assert!(!shown.contains("canary") && !shown.contains("99"), "{shown}");
    }
}
