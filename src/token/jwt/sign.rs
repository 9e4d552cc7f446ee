//! Signs access tokens with the key ring's active key.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::secret::base64url;
use crate::token::HolderKind;
use crate::token::jwt::verify::Verifier;
use crate::token::jwt::{ACCESS_TYPE, AccessToken, SignError};
use crate::token::keys::KeyRing;
use crate::token::keys::signing::SigningKey;

/// Signs with whatever ring it was given last.
#[derive(Debug)]
pub struct Signer {
    ring: ArcSwap<KeyRing>,
    /// Knows the keys that were removed.
    verifier: Option<Arc<Verifier>>,
}

impl Signer {
    pub fn new(ring: Arc<KeyRing>) -> Self {
        Self { ring: ArcSwap::new(ring), verifier: None }
    }

    /// Signs nothing with a key that this verifier was told is removed: no door would take it.
    pub fn heeding(self, verifier: Arc<Verifier>) -> Self {
        Self { verifier: Some(verifier), ..self }
    }

    /// After a reload: the next token is signed with the new ring's key.
    pub fn replace(&self, ring: Arc<KeyRing>) {
        self.ring.store(ring);
    }

    /// The ring in use: for the JWKS endpoint and metrics.
    pub fn ring(&self) -> Arc<KeyRing> {
        self.ring.load_full()
    }

    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, token: &AccessToken<'_>, now: Timestamp) -> Result<String, SignError> {
        let ring = self.ring.load();
        let removed = |kid: &str| self.verifier.as_ref().is_some_and(|verifier| verifier.has_removed(kid));
        let key = ring.signing_key(now).filter(|key| !removed(key.kid())).ok_or(SignError::NoActiveKey)?;
        sign_claims(key, ACCESS_TYPE, &payload(token))
    }
}

/// Signs any claims with any key, as `token mint` does. The header has `alg`, `kid` and `typ`, and nothing else.
///
/// # Errors
/// [`SignError::Failed`].
pub fn sign_claims(key: &SigningKey, typ: &str, claims: &Map<String, Value>) -> Result<String, SignError> {
    let header = json!({"alg": key.algorithm().name(), "kid": key.kid(), "typ": typ});
    let payload = serde_json::to_vec(claims).map_err(|_| SignError::Failed)?;
    let signing_input = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(&payload));
    let signature = key.sign(&signing_input).ok_or(SignError::Failed)?;
    Ok(format!("{signing_input}.{signature}"))
}

/// The claims of RFC 9068 section 2.2. `user_id` gives a plain session's id back as it came, number or string.
fn payload(token: &AccessToken<'_>) -> Map<String, Value> {
    let holder = token.holder;
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", token.issuer.into());
    set("sub", holder.subject.as_str().into());
    match token.audience {
        [one] => set("aud", one.as_str().into()),
        several => set("aud", several.into()),
    };
    set("iat", token.issued.0.into());
    set("nbf", token.issued.0.into());
    set("exp", token.expires.0.into());
    set("jti", token.jti.as_str().into());
    set("sid", token.sid.to_string().into());
    set("epoch", token.epoch.into());
    set("roles", holder.roles.as_slice().into());
    if !holder.scope.is_empty() {
        set("scope", holder.scope.join(" ").into());
    }
    if !holder.amr.is_empty() {
        set("amr", holder.amr.as_slice().into());
    }
    if let Some(at) = token.auth_time {
        set("auth_time", at.0.into());
    }
    if !token.device_changed.is_empty() {
        set("device_changed", token.device_changed.into());
    }
    match holder.kind {
        HolderKind::Account => {}
        HolderKind::PlainText => {
            set("user_id", holder.subject.as_str().into());
        }
        HolderKind::PlainNumber => {
            let number = holder.subject.parse::<u64>().map_or_else(|_| holder.subject.as_str().into(), Value::from);
            set("user_id", number);
        }
    }
    claims
}
