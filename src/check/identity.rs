//! Identities: what a verified, living token says about its bearer, with the headers that tell it to the upstream.
//!
//! `headers` makes them, `cache` keeps them, the doors send their headers on.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use once_cell::race::OnceBox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::cell::Cell;
use crate::check::texts::Texts;
use crate::clock::Timestamp;
use crate::token::{Claims, SessionId};

/// Who bears a token: of its verified claims what a check may ask for, and the headers made of them. There are as many as
/// tokens, so each part takes a word at the most, and what is seldom asked for stands among the texts.
#[derive(Debug)]
pub struct Identity {
    pub expires: Timestamp,
    /// What it shares with all of its session.
    pub cell: Arc<Cell>,
    /// An own token of a session that an account signed in to, not of one that a back end vouched for or
    /// that a client opened for itself.
    pub of_account: bool,
    /// An own token refreshed on another device than the one that signed in. Other issuers' tokens know nothing of devices.
    pub device_changed: bool,
    /// All configured headers; those that this token has no claim for have no value.
    names: HeaderNames,
    texts: Texts,
    /// The answer of the one door that does not answer with headers, made when it is first asked for.
    message: OnceBox<Bytes>,
}

/// All configured headers, shared by the identities that were made by one plan.
pub type HeaderNames = Arc<Vec<HeaderName>>;

/// The lists of an identity's [`Texts`].
const SUBJECT: usize = 0;
const ROLES: usize = 1;
const SCOPE: usize = 2;
const AMR: usize = 3;
const AUTH_TIME: usize = 4;

impl Identity {
    /// With a value for each configured header, or none where this token has no such claim.
    pub fn new(claims: &Claims, cell: Arc<Cell>, names: HeaderNames, values: &[Option<&str>]) -> Self {
        fn all(list: &[String]) -> Vec<&str> {
            list.iter().map(String::as_str).collect()
        }
        let (roles, scope, amr) = (all(&claims.roles), all(&claims.scope), all(&claims.amr));
        let auth_time = claims.auth_time.map(|at| at.0.to_string());
        let auth_time: Vec<&str> = auth_time.as_deref().into_iter().collect();
        Self {
            expires: claims.expires,
            cell,
            of_account: claims.own && !["user_id", "client_id"].iter().any(|name| claims.payload.contains_key(*name)),
            device_changed: claims.own && claims.payload.contains_key("device_changed"),
            names,
            texts: Texts::of(values, &[&[&claims.subject], &roles, &scope, &amr, &auth_time]),
            message: OnceBox::new(),
        }
    }

    /// Of own tokens only.
    pub fn sid(&self) -> Option<SessionId> {
        self.cell.sid()
    }

    pub fn subject(&self) -> &str {
        self.texts.list(SUBJECT).next().unwrap_or_default()
    }

    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.texts.list(ROLES)
    }

    pub fn scope(&self) -> impl Iterator<Item = &str> {
        self.texts.list(SCOPE)
    }

    pub fn amr(&self) -> impl Iterator<Item = &str> {
        self.texts.list(AMR)
    }

    pub fn auth_time(&self) -> Option<Timestamp> {
        self.texts.list(AUTH_TIME).next()?.parse().ok().map(Timestamp)
    }

    /// All configured headers of the time when this was made.
    pub fn header_names(&self) -> &HeaderNames {
        &self.names
    }

    /// The headers that this token fills, and where in [`Self::bytes`] their values stand.
    pub(super) fn header_ranges(&self) -> impl Iterator<Item = (&HeaderName, Range<usize>)> {
        self.names.iter().zip(self.texts.value_ranges()).filter_map(|(name, range)| Some((name, range?)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.texts.bytes()
    }

    /// Configured, but this token has no such claim: removed on each allowed request (SEC-P8).
    pub fn absent(&self) -> impl Iterator<Item = &HeaderName> {
        self.names.iter().zip(self.texts.value_ranges()).filter(|(_, value)| value.is_none()).map(|(name, _)| name)
    }

    /// Of all configured headers, whether this token fills them.
    pub fn filled(&self) -> impl Iterator<Item = bool> {
        self.texts.value_ranges().map(|value| value.is_some())
    }

    /// The answer that was prepared once, by `make`.
    pub fn message(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        Bytes::clone(self.message.get_or_init(|| Box::new(make())))
    }

    /// About how many bytes it takes beside itself, and rather more: what the cache weighs it by. A prepared answer is counted
    /// even where no door asks for one: it says each text twice, and each name in all its spellings.
    pub fn weight(&self) -> usize {
        const MESSAGE: usize = 200;
        let spelled = |name: &HeaderName| (name.as_str().len() + 4) << name.as_str().matches('-').count().min(4);
        3 * self.texts.bytes().len() + self.names.iter().map(spelled).sum::<usize>() + MESSAGE
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
            Identity::new(&claims, Arc::default(), HeaderNames::default(), &[]).of_account
        };
        assert!(of_account(true, "sub"));
        assert!(!of_account(true, "user_id") && !of_account(true, "client_id") && !of_account(false, "sub"));
    }
}
