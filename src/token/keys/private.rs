//! The private half of a signing key, parsed once. Used by `signing`.
//!
//! `jsonwebtoken` parses and checks the key anew for each signature, which for RSA is most of the work.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaPublicKeyComponents,
};

use crate::token::keys::verification::VerificationKey;
use crate::token::keys::{Algorithm, UnusableKey};

pub(super) enum PrivateKey {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Secret(Box<hmac::Key>),
}

impl PrivateKey {
    /// `None` where these bytes are no PKCS#8 key of one of the three kinds.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            Some(Self::Ed25519(pair))
        } else if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            Some(Self::P256(pair))
        } else {
            RsaKeyPair::from_pkcs8(der).ok().map(Self::Rsa)
        }
    }

    pub(super) fn from_secret(bytes: &[u8]) -> Self {
        Self::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The public half. For an RSA key the caller says which of the two algorithms it is for.
    pub(super) fn public_half(&self, rsa: Algorithm) -> Result<VerificationKey, UnusableKey> {
        match self {
            Self::Ed25519(pair) => {
                let x = pair.public_key().as_ref().try_into().map_err(|_| UnusableKey("not an Ed25519 key"))?;
                VerificationKey::ed25519(x)
            }
            Self::P256(pair) => {
                let halves = pair.public_key().as_ref().strip_prefix(&[4]).and_then(|xy| xy.split_first_chunk());
                let Some((x, y)) = halves.and_then(|(x, y)| Some((*x, <[u8; 32]>::try_from(y).ok()?))) else {
                    return Err(UnusableKey("not a P-256 key"));
                };
                VerificationKey::p256(x, y)
            }
            Self::Rsa(pair) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public_key().into();
                VerificationKey::rsa(rsa, &n, &e)
            }
            Self::Secret(_) => Err(UnusableKey("a shared secret, which has no public half")),
        }
    }

    /// The signature over `message` by `algorithm`, which is this key's. `None` where the library fails, as when memory runs
    /// out.
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ed25519(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
            Self::P256(pair) => Some(pair.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let padding = if algorithm == Algorithm::PS256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Secret(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}
