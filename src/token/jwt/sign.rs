//! Signs access tokens with the key ring's active key.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Serialize, Serializer};

use crate::clock::Timestamp;
use crate::secret::append_base64url;
use crate::token::jwt::verify::Verifier;
use crate::token::jwt::{ACCESS_TYPE, AccessToken, SignError};
use crate::token::keys::KeyRing;
use crate::token::keys::signing::SigningKey;
use crate::token::{CLIENT_PREFIX, HolderKind, SessionId};

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

    /// Whether a token could be signed now: asked before a step that can't be undone.
    ///
    /// # Errors
    /// [`SignError::NoActiveKey`].
    pub fn ready(&self, now: Timestamp) -> Result<(), SignError> {
        let ring = self.ring.load();
        ring.signing_key(now).filter(|key| !self.is_removed(key.kid())).map(drop).ok_or(SignError::NoActiveKey)
    }

    fn is_removed(&self, kid: &str) -> bool {
        self.verifier.as_ref().is_some_and(|verifier| verifier.has_removed(kid))
    }

    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, token: &AccessToken<'_>, now: Timestamp) -> Result<String, SignError> {
        self.sign_and_name(token, now).map(|(text, _)| text)
    }

    /// The token, and the `kid` of the key that signed it.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_and_name(&self, token: &AccessToken<'_>, now: Timestamp) -> Result<(String, Arc<str>), SignError> {
        let ring = self.ring.load();
        let key = ring.signing_key(now).filter(|key| !self.is_removed(key.kid())).ok_or(SignError::NoActiveKey)?;
        Ok((sign_claims(key, ACCESS_TYPE, token)?, Arc::clone(key.shared_kid())))
    }
}

/// Signs any claims with any key, as `token mint` does. The header has `alg`, `kid` and `typ`, and nothing else.
///
/// # Errors
/// [`SignError::Failed`].
pub fn sign_claims(key: &SigningKey, typ: &str, claims: &impl Serialize) -> Result<String, SignError> {
    #[derive(Serialize)]
    struct Header<'a> {
        alg: &'static str,
        kid: &'a str,
        typ: &'a str,
    }
    let mut json = Vec::with_capacity(512);
    let mut token = String::with_capacity(1024);
    let header = Header { alg: key.algorithm().name(), kid: key.kid(), typ };
    serde_json::to_writer(&mut json, &header).map_err(|_| SignError::Failed)?;
    append_base64url(&json, &mut token);
    token.push('.');
    json.clear();
    serde_json::to_writer(&mut json, claims).map_err(|_| SignError::Failed)?;
    append_base64url(&json, &mut token);
    let signature = key.sign(&token).ok_or(SignError::Failed)?;
    token.push('.');
    token.push_str(&signature);
    Ok(token)
}

/// The claims of RFC 9068 section 2.2. `user_id` gives a plain session's id back as it came, number or string.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: OneOrMany<'a>,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: &'a str,
    sid: SessionId,
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<u64>,
    roles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    amr: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    device_changed: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId<'a>>,
    /// Of a client's own token (RFC 9068 section 2.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMany<'a> {
    One(&'a str),
    Many(&'a [String]),
}

#[derive(Serialize)]
#[serde(untagged)]
enum UserId<'a> {
    Number(u64),
    Text(&'a str),
}

impl Serialize for AccessToken<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let holder = self.holder;
        let subject = holder.subject.as_str();
        let payload = Payload {
            iss: self.issuer,
            sub: subject,
            aud: match self.audience {
                [one] => OneOrMany::One(one),
                several => OneOrMany::Many(several),
            },
            iat: self.issued.0,
            nbf: self.issued.0,
            exp: self.expires.0,
            jti: self.jti.as_str(),
            sid: self.sid,
            epoch: self.epoch.subject,
            mark: (self.epoch.mark > 0).then_some(self.epoch.mark),
            roles: &holder.roles,
            scope: (!holder.scope.is_empty()).then(|| holder.scope.join(" ")),
            amr: &holder.amr,
            auth_time: self.auth_time.map(|at| at.0),
            device_changed: self.device_changed,
            user_id: match holder.kind {
                HolderKind::Account | HolderKind::Client => None,
                HolderKind::PlainText => Some(UserId::Text(subject)),
                HolderKind::PlainNumber => Some(subject.parse().map_or(UserId::Text(subject), UserId::Number)),
            },
            client_id: (holder.kind == HolderKind::Client)
                .then(|| subject.strip_prefix(CLIENT_PREFIX).unwrap_or(subject)),
        };
        payload.serialize(to)
    }
}
