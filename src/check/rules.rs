//! Route rules as they are written in the configuration. `policy` compiles them, `catch_all` looks for openings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::requirement::Require;

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
    /// `anyone`: no token is read, identity headers are removed. Outside `--dev`, such rules may not together open every
    /// path; whole host names or a `route` make a rule narrower, `*.example.com` and methods (but for `OPTIONS`) do not.
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
