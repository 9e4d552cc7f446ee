//! The session plane's HTTP face: thin handlers over `issue` and `accounts`. Here: the desk that all handlers share.
//!
//! `app` makes a [`Desk`] and serves its [`router`](router::router) through `listen::routed`, which puts the peer's address
//! into each request. `grpc` works at the same desk.

pub mod account;
pub mod account_sessions;
pub mod admin;
pub mod admin_sessions;
mod api_page;
pub mod body;
pub mod graphql;
pub(crate) mod limited;
pub mod oauth2;
mod openapi;
pub mod problem;
pub mod request_id;
pub mod router;
pub mod session;
mod view;
pub mod welcome;
pub mod well_known;

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;

use crate::accounts::Accounts;
use crate::accounts::first_admin::FirstAdmin;
use crate::check::Denial;
use crate::check::checker::Checker;
use crate::check::known::Holder;
use crate::issue::Issuer;
use crate::issue::trusted::TrustedCallers;
use crate::limit::Limits;
use crate::listen::peer::TrustedProxies;
use crate::oauth::OAuth;

/// Who tells whether a token counts and whose it is: the checker.
#[async_trait]
pub trait Authenticates: Send + Sync {
    async fn authenticate(&self, token: &str) -> Result<Holder, Denial>;
}

#[async_trait]
impl Authenticates for Checker {
    async fn authenticate(&self, token: &str) -> Result<Holder, Denial> {
        self.authenticate(token).await
    }
}

/// The public keys as a JWK Set, as of now.
pub type PublicKeys = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// What the handlers share.
pub struct Desk {
    pub issuer: Arc<Issuer>,
    /// `None` where this service keeps no accounts: it has only the plain surface then.
    pub accounts: Option<Accounts>,
    pub first_admin: FirstAdmin,
    /// `None` where there are no accounts.
    pub oauth: Option<Arc<OAuth>>,
    /// The plain surface's; accounts have theirs.
    pub limits: Option<Arc<Limits>>,
    pub authenticates: Arc<dyn Authenticates>,
    pub keys: PublicKeys,
    /// Replaced when the configuration is reloaded.
    pub callers: ArcSwap<TrustedCallers>,
    pub proxies: TrustedProxies,
    /// `graphql.enabled`.
    pub graphql: bool,
    /// `--dev`: the page that shows the API is served.
    pub dev: bool,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("callers", &self.callers).field("proxies", &self.proxies).finish_non_exhaustive()
    }
}
