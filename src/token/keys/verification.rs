//! A key that verifies signatures, bound to one algorithm (SEC-T1), built once and checked while it is built.
//!
//! The cryptography is `jsonwebtoken`'s; what it lets through is refused here, before it is asked.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};

use crate::secret::{Digest, base64url};
use crate::token::keys::{Algorithm, UnusableKey, ed25519, rsa};

/// The shortest secret of HS256: as long as its hash (RFC 7518 section 3.2).
pub const MIN_SECRET: usize = 32;

#[derive(Clone)]
pub struct VerificationKey {
    algorithm: Algorithm,
    key: DecodingKey,
    public: Public,
}

/// The public half, as a JWK writes it.
#[derive(Clone, PartialEq, Eq)]
enum Public {
    Ed25519 {
        x: [u8; 32],
    },
    P256 {
        x: [u8; 32],
        y: [u8; 32],
    },
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A shared secret has no public half.
    None,
}

impl VerificationKey {
    /// # Errors
    /// [`UnusableKey`] for a point that is not canonical or of small order (SEC-T10).
    pub fn ed25519(x: [u8; 32]) -> Result<Self, UnusableKey> {
        if !ed25519::is_strict_point(&x) {
            return Err(UnusableKey("an Ed25519 point of small order, or one that is not canonical"));
        }
        let public = Public::Ed25519 { x };
        Ok(Self { algorithm: Algorithm::EdDSA, key: DecodingKey::from_ed_der(&x), public })
    }

    /// # Errors
    /// [`UnusableKey`] for a point that is not on the curve.
    pub fn p256(x: [u8; 32], y: [u8; 32]) -> Result<Self, UnusableKey> {
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
            .map_err(|_| UnusableKey("an EC point that is not on the curve P-256"))?;
        Ok(Self { algorithm: Algorithm::ES256, key: DecodingKey::from_ec_der(&point), public: Public::P256 { x, y } })
    }

    /// Big-endian modulus and exponent; leading zeros are dropped.
    ///
    /// # Errors
    /// [`UnusableKey`] for a weak key, or for an algorithm that is not RSA's.
    pub fn rsa(algorithm: Algorithm, modulus: &[u8], exponent: &[u8]) -> Result<Self, UnusableKey> {
        if !algorithm.is_rsa() {
            return Err(UnusableKey("an RSA key for an algorithm that is not RS256 or PS256"));
        }
        let (n, e) = (without_zeros(modulus), without_zeros(exponent));
        rsa::check(n, e)?;
        let public = Public::Rsa { n: n.to_vec(), e: e.to_vec() };
        Ok(Self { algorithm, key: DecodingKey::from_rsa_raw_components(n, e), public })
    }

    /// HS256: whoever can verify with it can sign with it.
    ///
    /// # Errors
    /// [`UnusableKey`] for less than 32 bytes (SEC-T3).
    pub fn secret(bytes: &[u8]) -> Result<Self, UnusableKey> {
        if bytes.len() < MIN_SECRET {
            return Err(UnusableKey("a secret of less than 32 bytes"));
        }
        Ok(Self { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(bytes), public: Public::None })
    }

    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether both are the same key for the same algorithm. Secrets are never found equal.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.public != Public::None && self.public == other.public
    }

    /// Whether `signature` is this key's over `signing_input`. Lengths are checked first, exactly (SEC-T9, T11).
    pub fn verify(&self, signing_input: &[u8], signature: &[u8]) -> bool {
        let well_shaped = match &self.public {
            Public::Ed25519 { .. } => {
                signature.len() == 64 && signature.first_chunk().is_some_and(ed25519::is_strict_point)
            }
            Public::P256 { .. } => signature.len() == 64,
            Public::Rsa { n, .. } => signature.len() == n.len(),
            Public::None => signature.len() == 32,
        };
        let text = base64url(signature);
        well_shaped
            && jsonwebtoken::crypto::verify(&text, signing_input, &self.key, self.algorithm.into()).unwrap_or(false)
    }

    /// The members that make up the key (RFC 7638 section 3.2); `None` for a secret (SEC-K2).
    fn members(&self) -> Option<Value> {
        match &self.public {
            Public::Ed25519 { x } => Some(json!({"crv": "Ed25519", "kty": "OKP", "x": base64url(x)})),
            Public::P256 { x, y } => Some(json!({"crv": "P-256", "kty": "EC", "x": base64url(x), "y": base64url(y)})),
            Public::Rsa { n, e } => Some(json!({"e": base64url(e), "kty": "RSA", "n": base64url(n)})),
            Public::None => None,
        }
    }

    /// The JWK thumbprint (RFC 7638) in base64url: the `kid` of our own keys. `None` for a secret.
    pub fn thumbprint(&self) -> Option<String> {
        // `members` names them in lexicographic order and serde_json writes no spaces: just what the thumbprint is taken of.
        self.members().map(|members| Digest::of(members.to_string().as_bytes()).to_string())
    }

    /// The public JWK under this `kid` (RFC 7517 section 4); `None` for a secret.
    pub fn jwk(&self, kid: &str) -> Option<Value> {
        let mut jwk = self.members()?;
        jwk["kid"] = kid.into();
        jwk["alg"] = self.algorithm.name().into();
        jwk["use"] = "sig".into();
        Some(jwk)
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerificationKey({})", self.algorithm)
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[start..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::from_base64url;

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037() {
        let x = from_base64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").expect("the RFC's key");
        let key = VerificationKey::ed25519(x.try_into().expect("32 bytes")).expect("a good key");
        assert_eq!(key.thumbprint().as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    }

    // SEC-K2
    #[test]
    fn a_secret_has_neither_jwk_nor_thumbprint() {
        let key = VerificationKey::secret(&[7; 32]).expect("long enough");
        assert_eq!((key.jwk("k"), key.thumbprint()), (None, None));
    }
}
