//! The OAuth 2 authorization server (RFC 6749, 7009, 7523, 7662): which clients there are, how they prove themselves, and
//! what they get. `web::oauth2` turns requests into calls of it; sessions and tokens are `issue`'s, people `accounts`'.

pub mod assertion;
pub mod clients;
pub mod grant;
pub mod introspection;
pub mod proof;
pub mod revocation;
pub mod secret;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use self::clients::Clients;
use crate::accounts::{AccountError, Accounts};
use crate::clock::Clock;
use crate::fault::{Fault, Kind};
use crate::issue::Issuer;
use crate::issue::login::LoginError;
use crate::issue::logout::LogoutError;
use crate::limit::{Limited, Limits};
use crate::state::StateError;
use crate::state::counters::Counters;
use crate::token::jwt::Verifier;

/// One for each process that issues; shared by reference.
pub struct OAuth {
    parts: Parts,
    /// Replaced when the configuration is reloaded.
    clients: ArcSwap<Clients>,
}

/// What it works with. `app` chooses and makes them.
pub struct Parts {
    pub issuer: Arc<Issuer>,
    pub accounts: Accounts,
    pub limits: Arc<Limits>,
    /// Remembers which assertions were shown, for all nodes.
    pub counters: Arc<dyn Counters>,
    pub verifier: Arc<Verifier>,
    pub clock: Arc<dyn Clock>,
    pub names: Names,
}

/// How the server is called, for its metadata and for what clients say whom they mean.
#[derive(Clone, Debug)]
pub struct Names {
    /// `auth.issuer`.
    pub issuer: String,
    /// `public_url`, without a slash at its end.
    pub base: String,
}

impl Names {
    pub fn new(issuer: &str, public_url: &str) -> Self {
        Self { issuer: issuer.to_owned(), base: public_url.trim_end_matches('/').to_owned() }
    }

    pub fn token_endpoint(&self) -> String {
        format!("{}/oauth2/token", self.base)
    }
}

/// Why a client does not get what it asks for: the errors of RFC 6749 section 5.2, and what it has no word for.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    #[error("the client did not prove itself: {0}")]
    Client(&'static str),
    #[error("the grant does not count: {0}")]
    Grant(&'static str),
    #[error("the client may not do this: {0}")]
    NotForThisClient(&'static str),
    #[error("the scope is none of the client's, or none at all")]
    Scope,
    #[error("the token has no jti to be denied by")]
    TokenType,
    #[error(transparent)]
    Limited(#[from] Limited),
    #[error(transparent)]
    Account(AccountError),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Logout(#[from] LogoutError),
    #[error("the token store can't tell")]
    State(#[from] StateError),
}

impl Fault for OAuthError {
    fn kind(&self) -> Kind {
        match self {
            Self::Client(_) => Kind::Unauthenticated,
            Self::Grant(_) | Self::NotForThisClient(_) | Self::Scope | Self::TokenType => Kind::Malformed,
            Self::Limited(error) => error.kind(),
            Self::Account(_) | Self::Login(_) | Self::Logout(_) | Self::State(_) => Kind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Client(_) => "invalid_client",
            Self::Grant(_) => "invalid_grant",
            Self::NotForThisClient(_) => "unauthorized_client",
            Self::Scope => "invalid_scope",
            Self::TokenType => "unsupported_token_type",
            Self::Limited(error) => error.code(),
            Self::Account(_) | Self::Login(_) | Self::Logout(_) | Self::State(_) => "temporarily_unavailable",
        }
    }
}

impl OAuthError {
    /// What the client is told, in a sentence. Why a proof did not hold stays in the log (SEC-T16).
    pub fn detail(&self) -> &'static str {
        match self {
            Self::Client(_) => "The client is unknown, or did not prove itself.",
            Self::Grant(why) | Self::NotForThisClient(why) => why,
            Self::Scope => "The scope must be of those that the client is configured for.",
            Self::TokenType => "Another issuer's token without a `jti` can't be revoked by itself.",
            Self::Limited(_) => "Tried too often; the Retry-After header says when to try again.",
            Self::Account(_) | Self::Login(_) | Self::Logout(_) | Self::State(_) => {
                "This can't be answered now. Try again."
            }
        }
    }
}

impl OAuth {
    pub fn new(parts: Parts, clients: Clients) -> Self {
        Self { parts, clients: ArcSwap::from_pointee(clients) }
    }

    /// Takes over other clients; who is being answered is answered by the old ones.
    pub fn reload(&self, clients: Clients) {
        self.clients.store(Arc::new(clients));
    }

    pub fn names(&self) -> &Names {
        &self.parts.names
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth").field("clients", &self.clients).finish_non_exhaustive()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("names", &self.names).finish_non_exhaustive()
    }
}
