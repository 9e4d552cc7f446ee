//! A key that signs, bound to one algorithm: read from PKCS#8 (RFC 5958) in PEM or from a shared secret, or made fresh.
//!
//! The ring holds ours; `token mint` may sign with any. RSA private operations are aws-lc's, whose time does not depend on
//! the key (SEC-K6).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

use crate::secret::{base64url, from_base64url, random_bytes};
use crate::token::jws::MAX_KID;
use crate::token::keys::private::PrivateKey;
use crate::token::keys::verification::{MIN_SECRET, VerificationKey};
use crate::token::keys::{Algorithm, KeyError, UnusableKey};

pub struct SigningKey {
    kid: Arc<str>,
    private: PrivateKey,
    verification: VerificationKey,
}

impl SigningKey {
    /// Reads one PKCS#8 private key in PEM. What an RSA key is for the file does not tell: `rsa` is asked by the key's `kid`.
    ///
    /// # Errors
    /// [`UnusableKey`] for anything but one sound Ed25519, P-256 or RSA key.
    pub fn from_pem(pem: &[u8], rsa: impl FnOnce(&str) -> Option<Algorithm>) -> Result<Self, UnusableKey> {
        let der = the_private_key(pem)?;
        let private = PrivateKey::from_pkcs8(&der).ok_or_else(|| why_not(&der))?;
        // Which of the two RSA algorithms is meant matters only for what it may verify; the thumbprint has no `alg`.
        let mut verification = private.public_half(Algorithm::RS256)?;
        let kid = verification.thumbprint().expect("these keys have a public half");
        if verification.algorithm().is_rsa() {
            let algorithm = rsa(&kid)
                .filter(|algorithm| algorithm.is_rsa())
                .ok_or(UnusableKey("an RSA key, and nothing says whether it is for RS256 or PS256"))?;
            verification = private.public_half(algorithm)?;
        }
        Ok(Self { kid: kid.into(), private, verification })
    }

    /// An HS256 key from its file: base64url, surrounding blanks and padding left aside.
    ///
    /// # Errors
    /// [`UnusableKey`] for less than 32 bytes or another form.
    pub fn from_secret_text(kid: &str, text: &[u8]) -> Result<Self, UnusableKey> {
        if !(1..=MAX_KID).contains(&kid.len()) {
            return Err(UnusableKey("a key id (the file's name) that is empty or of more than 128 bytes"));
        }
        let bytes = read_secret(text)?;
        let verification = VerificationKey::secret(&bytes)?;
        Ok(Self { kid: kid.into(), private: PrivateKey::from_secret(&bytes), verification })
    }

    /// Makes a key; returns it with the text of its file.
    ///
    /// # Errors
    /// [`KeyError::Generation`].
    pub fn generate(algorithm: Algorithm) -> Result<(Self, Zeroizing<String>), KeyError> {
        let failed = |_| KeyError::Generation;
        if algorithm == Algorithm::HS256 {
            let text = fresh_secret_text();
            let kid = base64url(&random_bytes::<12>());
            let key = Self::from_secret_text(&kid, text.as_bytes()).map_err(|_| KeyError::Generation)?;
            return Ok((key, text));
        }
        let der = Zeroizing::new(match algorithm {
            Algorithm::EdDSA => Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec())
                .map_err(failed)?,
            Algorithm::ES256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec())
                .map_err(failed)?,
            _ => RsaKeyPair::generate(KeySize::Rsa2048)
                .and_then(|pair| AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map(|der| der.as_ref().to_vec()))
                .map_err(failed)?,
        });
        let pem = to_pem(&der);
        let key = Self::from_pem(pem.as_bytes(), |_| Some(algorithm)).map_err(|_| KeyError::Generation)?;
        Ok((key, pem))
    }

    /// The RFC 7638 thumbprint, or the file name of an HS256 key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub(in crate::token) const fn shared_kid(&self) -> &Arc<str> {
        &self.kid
    }

    pub const fn algorithm(&self) -> Algorithm {
        self.verification.algorithm()
    }

    pub const fn verification(&self) -> &VerificationKey {
        &self.verification
    }

    pub fn into_verification(self) -> VerificationKey {
        self.verification
    }

    /// The signature over `signing_input`, in base64url. `None` where the library fails, as when memory runs out.
    pub fn sign(&self, signing_input: &str) -> Option<String> {
        let signature = self.private.sign(self.algorithm(), signing_input.as_bytes())?;
        Some(base64url(&signature))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.algorithm(), self.kid)
    }
}

/// At least 32 bytes, in base64url: HS256 keys, and the server's secret.
///
/// # Errors
/// [`UnusableKey`] otherwise.
pub fn read_secret(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnusableKey> {
    let text = text.trim_ascii();
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let bytes =
        from_base64url(&text[..end]).map(Zeroizing::new).ok_or(UnusableKey("a secret that is not base64url"))?;
    if bytes.len() < MIN_SECRET {
        return Err(UnusableKey("a secret of less than 32 bytes"));
    }
    Ok(bytes)
}

pub fn fresh_secret_text() -> Zeroizing<String> {
    Zeroizing::new(base64url(&random_bytes::<32>()) + "\n")
}

fn the_private_key(pem: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnusableKey> {
    let has = |label: &[u8]| pem.windows(label.len()).any(|window| window == label);
    if has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return Err(UnusableKey("an encrypted key: doorward asks nobody for a password"));
    }
    let mut found = None;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|_| UnusableKey("not PEM"))?;
        let der = Zeroizing::new(der);
        match kind {
            SectionKind::PrivateKey if found.is_none() => found = Some(der),
            SectionKind::PrivateKey => return Err(UnusableKey("more than one key in one file")),
            SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                return Err(UnusableKey("a private key in an older form than PKCS#8"));
            }
            _ => {}
        }
    }
    found.ok_or(UnusableKey("no private key in it"))
}

/// Why none of the three kinds took the key; told by the object identifiers in it.
fn why_not(der: &[u8]) -> UnusableKey {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    let start = &der[..der.len().min(64)];
    let has = |oid: &[u8]| start.windows(oid.len()).any(|window| window == oid);
    if has(RSA) {
        UnusableKey("an RSA key that is damaged, or not of 2048 to 8192 bits")
    } else if has(EC) {
        UnusableKey("an EC key that is damaged, or on another curve than P-256")
    } else {
        UnusableKey("neither an Ed25519, a P-256 nor an RSA key")
    }
}

fn to_pem(der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(String::from("-----BEGIN PRIVATE KEY-----\n"));
    for line in body.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}
