//! Identities: what a verified, living token says about its bearer, with the headers that tell it to the upstream.
//!
//! `headers` makes them, `cache` keeps them, the doors send their headers on.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::token::Claims;

/// Who bears a token: its verified claims, and the headers made of them once.
#[derive(Debug)]
pub struct Identity {
    pub claims: Claims,
    /// Set on each allowed request.
    pub headers: Box<[(HeaderName, HeaderValue)]>,
    /// Configured, but this token has no such claim: removed on each allowed request (SEC-P8).
    pub absent: Box<[HeaderName]>,
}

impl Identity {
    /// About how many bytes it takes: what the cache weighs it by.
    pub fn weight(&self) -> usize {
        let claims = &self.claims;
        let lists = [&claims.roles, &claims.scope, &claims.amr];
        let listed: usize = lists.into_iter().flatten().map(|text| text.len() + size_of::<String>()).sum();
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        size_of::<Self>()
            + claims.subject.len()
            + claims.jti.as_ref().map_or(0, |jti| jti.as_str().len())
            + listed
            + claims.payload.iter().map(|(name, value)| MEMBER + name.len() + weight_of(value)).sum::<usize>()
            + headers
            + self.headers.len() * size_of::<(HeaderName, HeaderValue)>()
            + self.absent.len() * size_of::<HeaderName>()
    }
}

/// What one member of a JSON object takes beside its bytes, in the tree that holds it.
const MEMBER: usize = 64;

fn weight_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size_of::<Value>() + weight_of(item)).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| MEMBER + name.len() + weight_of(value)).sum(),
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
