//! Identities: what a verified, living token says about its bearer, with the headers that tell it to the upstream.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
