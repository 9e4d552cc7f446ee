//! Identities: what a verified, living token says about its bearer, with the headers that tell it to the upstream.
//!
//! `headers` makes them, `cache` keeps them, the doors send their headers on.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::texts::Texts;
use crate::clock::Timestamp;
use crate::token::{Claims, SessionId};

/// Who bears a token: of its verified claims what a check may ask for, and the headers made of them.
#[derive(Debug)]
pub struct Identity {
    pub expires: Timestamp,
    pub auth_time: Option<Timestamp>,
    /// Of own tokens only.
    pub sid: Option<SessionId>,
    /// An own token of a session that an account signed in to, not of one that a back end vouched for or
    /// that a client opened for itself.
    pub of_account: bool,
    /// An own token refreshed on another device than the one that signed in. Other issuers' tokens know nothing of devices.
    pub device_changed: bool,
    /// All configured headers; those that this token has no claim for have no value.
    names: Arc<[HeaderName]>,
    texts: Texts,
    /// The answer of the one door that does not answer with headers, made when it is first asked for.
    message: OnceLock<Box<Bytes>>,
}

/// The lists of an identity's [`Texts`].
const VALUES: usize = 0;
const SUBJECT: usize = 1;
const ROLES: usize = 2;
const SCOPE: usize = 3;
const AMR: usize = 4;

impl Identity {
    /// With a value for each configured header, or none where this token has no such claim.
    pub fn new(claims: &Claims, names: Arc<[HeaderName]>, values: &[Option<&str>]) -> Self {
        fn all(list: &[String]) -> Vec<Option<&str>> {
            list.iter().map(|text| Some(text.as_str())).collect()
        }
        let (roles, scope, amr) = (all(&claims.roles), all(&claims.scope), all(&claims.amr));
        Self {
            expires: claims.expires,
            auth_time: claims.auth_time,
            sid: claims.sid,
            of_account: claims.own && !["user_id", "client_id"].iter().any(|name| claims.payload.contains_key(*name)),
            device_changed: claims.own && claims.payload.contains_key("device_changed"),
            names,
            texts: Texts::of(&[values, &[Some(&claims.subject)], &roles, &scope, &amr]),
            message: OnceLock::new(),
        }
    }

    pub fn subject(&self) -> &str {
        self.texts.list(SUBJECT).flatten().next().unwrap_or_default()
    }

    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.texts.list(ROLES).flatten()
    }

    pub fn scope(&self) -> impl Iterator<Item = &str> {
        self.texts.list(SCOPE).flatten()
    }

    pub fn amr(&self) -> impl Iterator<Item = &str> {
        self.texts.list(AMR).flatten()
    }

    /// All configured headers of the time when this was made.
    pub fn header_names(&self) -> &Arc<[HeaderName]> {
        &self.names
    }

    /// Set on each allowed request.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, HeaderValue)> {
        let values = self.texts.shared(VALUES).map(|value| HeaderValue::from_maybe_shared(value?).ok());
        self.names.iter().zip(values).filter_map(|(name, value)| Some((name, value?)))
    }

    /// Configured, but this token has no such claim: removed on each allowed request (SEC-P8).
    pub fn absent(&self) -> impl Iterator<Item = &HeaderName> {
        self.names.iter().zip(self.texts.list(VALUES)).filter(|(_, value)| value.is_none()).map(|(name, _)| name)
    }

    /// Of all configured headers, whether this token fills them.
    pub fn filled(&self) -> impl Iterator<Item = bool> {
        self.texts.list(VALUES).map(|value| value.is_some())
    }

    /// The answer that was prepared once, by `make`.
    pub fn message(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        Bytes::clone(self.message.get_or_init(|| Box::new(make())))
    }

    /// About how many bytes it takes beside itself, a prepared answer included: what the cache weighs it by.
    pub fn weight(&self) -> usize {
        const MESSAGE: usize = 256;
        2 * self.texts.len() + MESSAGE
    }
}

/// Which identity headers the upstream gets: a preset, or a map from header name to claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HeaderSettings {
    Preset(PresetSettings),
    Map(BTreeMap<String, String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PresetSettings {
    pub preset: Preset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// `X-Auth-Subject`, `X-Auth-Session`, `X-Auth-Roles`, `X-Auth-Scope`.
    Doorward,
    /// `X-Auth-Request-User`, `-Email`, `-Groups`, `-Preferred-Username`.
    Oauth2Proxy,
    /// `Remote-User`, `Remote-Groups`, `Remote-Name`, `Remote-Email`.
    Authelia,
}

impl Default for HeaderSettings {
    fn default() -> Self {
        Self::Preset(PresetSettings { preset: Preset::Doorward })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::testing::claims;

    #[test]
    fn only_a_token_that_an_account_signed_in_for_is_an_accounts() {
        let of_account = |own: bool, name: &str| {
            let mut claims = Claims { own, ..claims("alice") };
            claims.payload.insert(name.into(), json!("alice"));
            Identity::new(&claims, [].into(), &[]).of_account
        };
        assert!(of_account(true, "sub"));
        assert!(!of_account(true, "user_id") && !of_account(true, "client_id") && !of_account(false, "sub"));
    }
}
