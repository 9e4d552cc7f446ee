//! Route rules: who may reach what. First match wins; as soon as there is one rule, what matches none is denied (SEC-P7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// One route rule. A rule with neither `allow` nor `require` asks for a valid token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuleSettings {
    /// Hosts, lower-case, exact, or `*.example.com` for one or more labels before it. Absent: any.
    pub hosts: Vec<String>,
    /// Methods, compared exactly. Absent: any. `GET` does not include `HEAD`.
    pub methods: Vec<String>,
    /// A glob over the whole canonical path, case-sensitive: `*` within one segment, `**` any number of segments.
    pub path: String,
    /// The route's name as the proxy sends it (`X-Doorward-Route`, `doorward.route`).
    pub route: String,
    /// `anyone`: no token is read, identity headers are removed.
    pub allow: Option<Allow>,
    pub require: Option<Require>,
    /// Let `%2F` and `%5C` stand in the path, undecoded.
    pub encoded_slashes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Allow {
    Anyone,
    /// Any valid token.
    Authenticated,
}

/// What a token's holder must have. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Require {
    /// One of these roles.
    pub roles: Vec<String>,
    /// Every one of these scopes.
    pub scopes: Vec<String>,
    /// Every one of these authentication methods (RFC 8176).
    pub amr: Vec<String>,
    /// At most this long since the subject signed in (`auth_time`).
    pub max_auth_age: Option<Span>,
}
