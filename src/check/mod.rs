//! The check: one question from a proxy, one decision. The words here know no protocol and no runtime.

pub mod activity;
pub mod breaker;
pub mod cache;
mod catch_all;
pub mod cell;
pub mod checker;
pub mod flights;
pub mod follower;
pub mod freshness;
mod front;
pub mod glob;
pub mod headers;
pub mod host;
pub mod identity;
pub mod known;
pub mod lookup;
pub mod minted;
pub mod path;
pub mod policy;
pub mod requirement;
pub mod rules;
pub mod seen;
#[cfg(test)]
mod testing;
mod texts;

use std::net::IpAddr;

use crate::check::known::Holder;
use crate::fault::{Fault, Kind};

/// What a proxy asks: may this request pass? The default has no method, host and path, so it never may.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckRequest<'a> {
    /// The original method, compared exactly.
    pub method: &'a str,
    /// The original host, as sent: case, port and trailing dot are taken care of here (SEC-P6).
    pub host: &'a str,
    /// The original request target as sent: raw path and query (SEC-P3, P4).
    pub target: &'a str,
    pub credential: Credential<'a>,
    /// The route's name, where the proxy sends one.
    pub route: Option<&'a str>,
    /// The client as the trusted proxy tells it; for audit events only, no rule asks it.
    pub client: Client<'a>,
    /// The proxy's request id, for logs.
    pub request_id: Option<&'a str>,
}

/// What the client showed.
#[derive(Clone, Copy, Default)]
pub enum Credential<'a> {
    #[default]
    None,
    /// The token of exactly one `Authorization: Bearer` (RFC 6750 section 2.1).
    Bearer(&'a str),
    /// Something that can't count: repeated, of another scheme's shape, or contradicting itself (SEC-T22).
    Unusable,
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(…)",
            Self::Unusable => "Unusable",
        })
    }
}

/// Finds the client's address. Few checks ask for it, and finding it takes as long as finding the identity.
pub trait TellsClient: Sync {
    fn client(&self) -> Option<IpAddr>;
}

/// The client, to be found when it is asked for; the default is nobody.
#[derive(Clone, Copy, Default)]
pub struct Client<'a>(Option<&'a dyn TellsClient>);

impl<'a> Client<'a> {
    pub fn told_by(teller: &'a dyn TellsClient) -> Self {
        Self(Some(teller))
    }

    pub fn address(&self) -> Option<IpAddr> {
        self.0?.client()
    }
}

impl std::fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address().fmt(f)
    }
}

#[derive(Clone, Debug)]
pub enum Decision {
    /// `None` where the rule lets anyone pass: no token was read, and identity headers are to be removed.
    Allow(Option<Holder>),
    Deny(Denial),
}

/// Why a request may not pass. The door words it: status, `WWW-Authenticate`, `x-doorward-reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denial {
    #[error("no token came")]
    NoToken,
    #[error("the token does not count")]
    InvalidToken,
    #[error("the rule asks for more than this token's holder may")]
    Forbidden,
    /// The rule asks for a fresher or stronger sign-in (RFC 9470).
    #[error("the rule asks for a fresher or stronger sign-in")]
    InsufficientAuthentication,
    #[error("the request's method, host or path can't be decided on")]
    BadPath,
    #[error("what must be known to decide is not known now")]
    Unavailable,
}

impl Fault for Denial {
    fn kind(&self) -> Kind {
        match self {
            Self::NoToken | Self::InvalidToken | Self::InsufficientAuthentication => Kind::Unauthenticated,
            Self::Forbidden | Self::BadPath => Kind::Forbidden,
            Self::Unavailable => Kind::Unavailable,
        }
    }

    /// What `x-doorward-reason` and the metrics say; coarse, since clients may see it (SEC-T16).
    fn code(&self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::InvalidToken => "invalid_token",
            Self::Forbidden => "forbidden",
            Self::InsufficientAuthentication => "insufficient_user_authentication",
            Self::BadPath => "bad_path",
            Self::Unavailable => "unavailable",
        }
    }
}
