//! Other issuers' keys: JWKS from a URL, a file or OpenID Connect discovery, fetched in the background, last good set kept.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::token::keys::Algorithm;

/// A token issuer beside our own. Exactly one of `jwks_url`, `jwks_file` and `discovery` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerSettings {
    /// The `iss` claim, byte for byte.
    pub issuer: String,
    /// One of these must be in `aud`. Empty: `aud` is not asked, which is only safe where the issuer serves nobody else.
    pub audience: Vec<String>,
    /// An https URL of a JWK Set (http on loopback).
    pub jwks_url: String,
    /// A file with a JWK Set.
    pub jwks_file: String,
    /// An https URL whose `/.well-known/openid-configuration` (or, given whole, which itself) names `jwks_uri`.
    pub discovery: String,
    /// What the issuer's keys may be used for. Empty: every asymmetric algorithm doorward knows.
    pub algorithms: Vec<Algorithm>,
    /// The header's `typ`, compared without case. Empty: absent, `JWT` and `at+jwt` pass.
    pub typ: String,
    /// Which claims carry what doorward asks for.
    pub claims: ClaimMapping,
}

/// Names of a foreign issuer's claims; a dotted name goes into objects (`realm_access.roles`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimMapping {
    pub subject: String,
    /// An array of strings, or a space-separated string.
    pub roles: String,
    /// A space-separated string, or an array of strings.
    pub scope: String,
    /// Roles by another name: `{admins: admin}`.
    pub role_names: BTreeMap<String, String>,
}

impl Default for ClaimMapping {
    fn default() -> Self {
        Self { subject: "sub".into(), roles: "roles".into(), scope: "scope".into(), role_names: BTreeMap::new() }
    }
}
