//! Assertions that clients sign about themselves: `private_key_jwt` (RFC 7523 sections 2.2 and 3).

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Map, Value};

use super::clients::{Client, Clients};
use super::{OAuth, OAuthError};
use crate::clock::Timestamp;
use crate::secret::Digest;
use crate::state::counters::Quota;
use crate::token::jws::Compact;
use crate::token::jwt::claims::{Expiry, Times};
use crate::token::keys::verification::VerificationKey;
use crate::token::remote::source::Source;
use crate::token::{TokenError, TokenId};

/// How far ahead an assertion may expire: its id is remembered until then.
const LONGEST_LIFE: Duration = Duration::from_secs(3600 + 60);
/// Remembered so much longer, since the store's clock is not ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);
/// How long to wait for keys that were not known.
const KEYS_BUDGET: Duration = Duration::from_secs(2);
/// So many signatures are tried for one assertion.
const MAX_TRIES: usize = 8;

/// Verified against where no key is known, so that an unknown client takes as long as a known one. The point is RFC 8032's.
static NOBODYS: LazyLock<VerificationKey> =
    LazyLock::new(|| VerificationKey::ed25519(*POINT).expect("the RFC's public key is a good one"));
const POINT: &[u8; 32] = b"\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";

impl OAuth {
    pub(super) async fn by_assertion(
        &self,
        clients: &Clients,
        id: Option<&str>,
        jwt: &str,
    ) -> Result<Arc<Client>, OAuthError> {
        let refused = |_: TokenError| OAuthError::Client("the assertion is malformed");
        let now = self.parts.clock.now();
        let assertion = Compact::parse(jwt).map_err(refused)?;
        let claims = assertion.claims().map_err(refused)?;
        // What an unverified claim names is only looked for here, as a key id is (SEC-T16).
        let named = text(&claims, "sub").unwrap_or_default();
        let client = clients.find(named);
        let keys = client.and_then(|client| client.keys.as_ref());
        let signed = match keys {
            Some(keys) => self.is_signed(&assertion, keys).await,
            None => {
                NOBODYS.verify(assertion.signing_input.as_bytes(), &assertion.signature);
                false
            }
        };
        let (Some(client), true) = (client, signed) else {
            return Err(OAuthError::Client("the assertion is of nobody known, or not signed by the client"));
        };
        if id.is_some_and(|id| id != named) {
            return Err(OAuthError::Client("the assertion is another client's"));
        }
        let typ = &assertion.header;
        if typ.typ.is_some() && !typ.is_of_type("JWT") && !typ.is_of_type("client-authentication+jwt") {
            return Err(OAuthError::Client("the token is no assertion"));
        }
        let (jti, expires) = self.judge(&claims, now).map_err(OAuthError::Client)?;
        self.spend(client, &jti, expires.since(now)).await?;
        Ok(Arc::clone(client))
    }

    /// By a key of the client's; fetched anew, now and then, where none of them may have signed it.
    async fn is_signed(&self, assertion: &Compact<'_>, keys: &Source) -> bool {
        if !knows(keys, assertion, self.parts.clock.now()) {
            keys.fetch_for_unknown_key(KEYS_BUDGET).await;
        }
        let set = keys.keys();
        let candidates = set.candidates(assertion.header.kid.as_deref(), self.parts.clock.now());
        let fitting = candidates.filter(|candidate| candidate.key.algorithm() == assertion.header.algorithm);
        fitting
            .take(MAX_TRIES)
            .any(|candidate| candidate.key.verify(assertion.signing_input.as_bytes(), &assertion.signature))
    }

    /// What a signed assertion must say: whom it is from, that we are meant, and until when.
    fn judge(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<(TokenId, Timestamp), &'static str> {
        if text(claims, "iss") != text(claims, "sub") {
            return Err("the assertion's iss is not its sub");
        }
        let names = &self.parts.names;
        let means_us = |audience: &Value| {
            audience.as_str().is_some_and(|named| named == names.issuer || named == names.token_endpoint())
        };
        let meant = match claims.get("aud") {
            Some(Value::Array(several)) => several.iter().any(means_us),
            Some(one) => means_us(one),
            None => false,
        };
        if !meant {
            return Err("the assertion's aud is neither auth.issuer nor the token endpoint");
        }
        let times = Times::of(claims).map_err(|_| "the assertion has no exp, or a time that is none")?;
        times.judge(now, Expiry::Checked).map_err(|_| "the assertion has expired, or is not valid yet")?;
        if times.expires > now.plus(LONGEST_LIFE) {
            return Err("the assertion lives for more than an hour");
        }
        let jti = text(claims, "jti").and_then(TokenId::new).ok_or("the assertion has no jti")?;
        Ok((jti, times.expires))
    }

    /// Once, on whichever node: a quota of one that is full again when the assertion has expired.
    async fn spend(&self, client: &Client, jti: &TokenId, left: Duration) -> Result<(), OAuthError> {
        let whose = Digest::of_parts(&[client.id.as_bytes(), &[0], jti.as_str().as_bytes()]);
        let once = Quota { burst: 1, per: left + CLOCKS_DIFFER };
        // Without the store nobody knows, so there is no counting alone here.
        let spent = self.parts.counters.spend(&format!("assertion:{whose}"), once).await?;
        if spent.allowed { Ok(()) } else { Err(OAuthError::Client("the assertion was shown before")) }
    }
}

fn knows(keys: &Source, assertion: &Compact<'_>, now: Timestamp) -> bool {
    let set = keys.keys();
    let mut candidates = set.candidates(assertion.header.kid.as_deref(), now);
    candidates.any(|candidate| candidate.key.algorithm() == assertion.header.algorithm)
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}
