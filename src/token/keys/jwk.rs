//! Reads the JWK Sets of others (RFC 7517), keeping only keys that can do no harm (SEC-K7).
//!
//! Real providers publish keys for encryption and of curves we do not speak; such a key is left out by itself. A private or
//! symmetric key in a public set, or two usable keys of one `kid`, tell that something is wrong with the whole: it is refused.

use serde_json::{Map, Value};

use crate::secret::from_base64url;
use crate::token::json;
use crate::token::jws::MAX_KID;
use crate::token::keys::set::{DoubledKid, KeySet};
use crate::token::keys::verification::VerificationKey;
use crate::token::keys::{Algorithm, UnusableKey};

/// The most keys a set may have (SEC-O8).
pub const MAX_KEYS: usize = 100;

/// Why a JWK Set is refused whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    #[error("not a JWK Set: one strict JSON object with an array `keys`")]
    NotASet,
    #[error("more than 100 keys")]
    TooMany,
    #[error("it publishes a private or symmetric key")]
    Private,
    #[error(transparent)]
    DoubledKid(#[from] DoubledKid),
}

/// The usable keys of a JWK Set. `allowed` are the algorithms this issuer may use; empty allows every asymmetric one.
///
/// # Errors
/// [`SetError`] where the whole set is refused. A set without usable keys is no error.
pub fn read_set(bytes: &[u8], allowed: &[Algorithm]) -> Result<KeySet, SetError> {
    let document = json::object(bytes).ok_or(SetError::NotASet)?;
    let Some(Value::Array(members)) = document.get("keys") else { return Err(SetError::NotASet) };
    if members.len() > MAX_KEYS {
        return Err(SetError::TooMany);
    }
    let mut set = KeySet::default();
    for jwk in members {
        let jwk = jwk.as_object().ok_or(SetError::NotASet)?;
        if is_private(jwk) {
            return Err(SetError::Private);
        }
        match read_key(jwk, allowed) {
            Ok((kid, key)) => set.insert(kid, key, None)?,
            Err(reason) => tracing::debug!(%reason, "a key of a JWK Set was left out"),
        }
    }
    Ok(set)
}

fn is_private(jwk: &Map<String, Value>) -> bool {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    jwk.get("kty").is_some_and(|kty| kty == "oct") || PRIVATE.iter().any(|name| jwk.contains_key(*name))
}

fn read_key<'a>(
    jwk: &'a Map<String, Value>,
    allowed: &[Algorithm],
) -> Result<(Option<&'a str>, VerificationKey), UnusableKey> {
    let text = |name| match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(UnusableKey("a member is not a string")),
    };
    if text("use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(UnusableKey("not for signatures"));
    }
    let may_verify = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
    if jwk.get("key_ops").is_some_and(|ops| !may_verify(ops)) {
        return Err(UnusableKey("not for verifying"));
    }
    let kid = text("kid")?;
    if kid.is_some_and(|kid| kid.len() > MAX_KID) {
        return Err(UnusableKey("a `kid` of more than 128 bytes"));
    }
    let bytes = |name| text(name)?.and_then(from_base64url).ok_or(UnusableKey("a number is not base64url"));
    let coordinate = |name| bytes(name)?.try_into().map_err(|_| UnusableKey("a coordinate is not of 32 bytes"));
    let key = match (text("kty")?, text("crv")?) {
        (Some("OKP"), Some("Ed25519")) => VerificationKey::ed25519(coordinate("x")?)?,
        (Some("EC"), Some("P-256")) => VerificationKey::p256(coordinate("x")?, coordinate("y")?)?,
        (Some("RSA"), None) => {
            let algorithm = match text("alg")? {
                Some(name) => Algorithm::from_name(name).ok_or(UnusableKey("of an algorithm we do not speak"))?,
                None => rsa_algorithm(allowed),
            };
            VerificationKey::rsa(algorithm, &bytes("n")?, &bytes("e")?)?
        }
        _ => return Err(UnusableKey("of a kind or curve we do not speak")),
    };
    if text("alg")?.is_some_and(|alg| alg != key.algorithm().name()) {
        return Err(UnusableKey("its `alg` is not one of its kind"));
    }
    if !allowed.is_empty() && !allowed.contains(&key.algorithm()) {
        return Err(UnusableKey("of an algorithm this issuer is not configured for"));
    }
    Ok((kid, key))
}

/// An RSA key that names no `alg` still gets exactly one (SEC-T1): RS256, as nearly all such keys are, unless the
/// configuration says PS256 and not RS256.
fn rsa_algorithm(allowed: &[Algorithm]) -> Algorithm {
    if allowed.contains(&Algorithm::PS256) && !allowed.contains(&Algorithm::RS256) {
        Algorithm::PS256
    } else {
        Algorithm::RS256
    }
}
