//! How often one may try: counted for all nodes together, before any secret is looked at (SEC-B1). `accounts` and the plain
//! surface spend here; the store of token state counts.
//!
//! An attempt to sign in is counted three times: for its account, for the client's address at ten times the figure (an
//! office behind one address is not locked out), and for everyone at a thousand times. The address pays first, so that
//! who has used up his own attempts cannot use up his victim's.

mod local;
pub mod rate;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::local::Local;
use self::rate::Rate;
use crate::authn::identifier::Email;
use crate::clock::Clock;
use crate::fault::{Fault, Kind};
use crate::metrics::Metrics;
use crate::secret::Digest;
use crate::state::StateError;
use crate::state::counters::{Counters, Quota, Spent};
use crate::token::SessionId;
use crate::units::Span;

/// How often one may try.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Login, registration and password changes, of one account. A client's address (an IPv6 /64) may ten times as often,
    /// all together a thousand times.
    pub auth: Rate,
    /// Refreshes of one session, but on the plain surface.
    pub refresh: Rate,
    /// Looking at and ending sessions, by one subject.
    pub sessions: Rate,
    /// Looking at the profile, by one subject.
    pub profile: Rate,
    /// Requests of one OAuth client that has proved itself. A client's address (an IPv6 /64) may ten times as many before
    /// it has, all together a thousand times.
    pub clients: Rate,
    /// The plain endpoints, by client address; they are called by trusted back ends.
    pub plain: Rate,
    pub lockout: Lockout,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth: Rate::per_minute(5),
            refresh: Rate::per_minute(10),
            sessions: Rate::per_minute(60),
            profile: Rate::per_minute(100),
            clients: Rate::per_minute(600),
            plain: Rate::OFF,
            lockout: Lockout::default(),
        }
    }
}

/// When an account takes no password of strangers. Devices that its owner has signed in from are counted apart.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lockout {
    /// Wrong passwords in a row; 0 is never.
    pub after: u32,
    /// How long until the next one is looked at.
    #[serde(rename = "for")]
    pub period: Span,
}

impl Default for Lockout {
    fn default() -> Self {
        Self { after: 10, period: Span::minutes(15) }
    }
}

/// What an address, and what all together, may more often than one account.
const PER_ADDRESS: u32 = 10;
const IN_ALL: u32 = 1000;

/// Which limit: the label of `rate_limited_total`, and its name in the `RateLimit` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Auth,
    AuthByAddress,
    AuthInAll,
    Refresh,
    Sessions,
    Profile,
    Clients,
    ClientsByAddress,
    ClientsInAll,
    Plain,
}

impl Limit {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthByAddress => "auth_address",
            Self::AuthInAll => "auth_all",
            Self::Refresh => "refresh",
            Self::Sessions => "sessions",
            Self::Profile => "profile",
            Self::Clients => "clients",
            Self::ClientsByAddress => "clients_address",
            Self::ClientsInAll => "clients_all",
            Self::Plain => "plain",
        }
    }
}

/// How a limit stands after an attempt: for the `RateLimit` fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub limit: Limit,
    pub quota: Quota,
    pub spent: Spent,
}

/// Tried too often. Tells nothing of the account (SEC-B5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tried too often (limits.{})", .0.limit.as_str())]
pub struct Limited(pub Standing);

impl Limited {
    /// What the client is told, in a sentence.
    pub fn detail(&self) -> String {
        format!("Tried too often; try again in {} s.", self.0.retry_after())
    }
}

impl Fault for Limited {
    fn kind(&self) -> Kind {
        Kind::Limited
    }

    fn code(&self) -> &'static str {
        "rate_limited"
    }
}

/// Who wants to sign in, or to prove a password: an account, from a device it knows or from anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Suspect<'a> {
    pub account: &'a Email,
    /// A session of this account that the caller has had. What strangers try does not count against it (SEC-B3).
    pub known: Option<SessionId>,
}

/// All limits of one process.
pub struct Limits {
    /// Replaced when the configuration is reloaded.
    settings: ArcSwap<Settings>,
    counters: Arc<dyn Counters>,
    /// Counts while the store is away (SEC-B7).
    local: Local,
    metrics: Arc<Metrics>,
}

impl Limits {
    pub fn new(settings: Settings, counters: Arc<dyn Counters>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self { settings: ArcSwap::from_pointee(settings), counters, local: Local::new(clock), metrics }
    }

    pub fn reload(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// Before anything else of an attempt that tests or sets a secret: may this client try?
    pub async fn client(&self, client: Option<IpAddr>) -> Result<(), Limited> {
        let auth = self.settings.load().auth;
        self.spend(Limit::AuthByAddress, &network(client), auth.times(PER_ADDRESS)).await?;
        self.spend(Limit::AuthInAll, "", auth.times(IN_ALL)).await.map(drop)
    }

    /// May this account be tried?
    pub async fn account(&self, suspect: Suspect<'_>) -> Result<Option<Standing>, Limited> {
        self.spend(Limit::Auth, &suspect.name(), self.settings.load().auth.times(1)).await
    }

    /// Counts a password about to be compared; `false` where so many were wrong that none is (SEC-B1).
    pub async fn may_guess(&self, suspect: Suspect<'_>) -> bool {
        let Some(quota) = self.guesses() else { return true };
        self.count(&key("lockout", &suspect.name()), quota).await.allowed
    }

    /// It was right: the count begins anew.
    pub async fn guessed_right(&self, suspect: Suspect<'_>) {
        let key = key("lockout", &suspect.name());
        self.local.refill(&key);
        if let Err(error) = self.counters.refill(&key).await {
            tracing::debug!(%error, "the count of wrong passwords stays as it is");
        }
    }

    /// How long no password of its is looked at, as all nodes know it; `None` where the next one is.
    pub async fn locked_for(&self, suspect: Suspect<'_>) -> Result<Option<Duration>, StateError> {
        let Some(quota) = self.guesses() else { return Ok(None) };
        let next = self.counters.peek(&key("lockout", &suspect.name()), quota).await?;
        Ok((!next.allowed).then_some(next.retry_after))
    }

    /// Lets its passwords be looked at again, and at once.
    pub async fn unlock(&self, suspect: Suspect<'_>) -> Result<(), StateError> {
        for what in ["lockout", Limit::Auth.as_str()] {
            let key = key(what, &suspect.name());
            self.local.refill(&key);
            self.counters.refill(&key).await?;
        }
        Ok(())
    }

    pub async fn refresh(&self, sid: &SessionId) -> Result<Option<Standing>, Limited> {
        self.spend(Limit::Refresh, &sid.to_string(), self.settings.load().refresh.times(1)).await
    }

    pub async fn sessions(&self, subject: &str) -> Result<Option<Standing>, Limited> {
        self.spend(Limit::Sessions, subject, self.settings.load().sessions.times(1)).await
    }

    pub async fn profile(&self, subject: &str) -> Result<Option<Standing>, Limited> {
        self.spend(Limit::Profile, subject, self.settings.load().profile.times(1)).await
    }

    /// Before an OAuth client's secret, assertion or key is looked at: may this address try?
    pub async fn client_proof(&self, client: Option<IpAddr>) -> Result<(), Limited> {
        let clients = self.settings.load().clients;
        self.spend(Limit::ClientsByAddress, &network(client), clients.times(PER_ADDRESS)).await?;
        self.spend(Limit::ClientsInAll, "", clients.times(IN_ALL)).await.map(drop)
    }

    /// A request of this OAuth client, which has proved itself: so nobody else can use up what it may.
    pub async fn oauth_client(&self, id: &str) -> Result<Option<Standing>, Limited> {
        self.spend(Limit::Clients, id, self.settings.load().clients.times(1)).await
    }

    pub async fn plain(&self, client: Option<IpAddr>) -> Result<Option<Standing>, Limited> {
        self.spend(Limit::Plain, &network(client), self.settings.load().plain.times(1)).await
    }

    /// So many wrong ones at once, then one each period until one is right.
    fn guesses(&self) -> Option<Quota> {
        let Lockout { after, period } = self.settings.load().lockout;
        (after > 0).then(|| Quota { burst: after, per: period.0.saturating_mul(after) })
    }

    async fn spend(&self, limit: Limit, whose: &str, quota: Option<Quota>) -> Result<Option<Standing>, Limited> {
        let Some(quota) = quota else { return Ok(None) };
        let spent = self.count(&key(limit.as_str(), whose), quota).await;
        let standing = Standing { limit, quota, spent };
        if spent.allowed {
            return Ok(Some(standing));
        }
        self.metrics.rate_limited.with_label_values(&[limit.as_str()]).inc();
        Err(Limited(standing))
    }

    async fn count(&self, key: &str, quota: Quota) -> Spent {
        // Counted here in any case: else a store that fails now and then would allow its quota and ours.
        let here = self.local.spend(key, quota);
        self.counters.spend(key, quota).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "limits are counted by this process alone");
            here
        })
    }
}

impl Suspect<'_> {
    fn name(&self) -> String {
        match self.known {
            Some(sid) => format!("{} {sid}", self.account),
            None => self.account.to_string(),
        }
    }
}

/// Of one length whatever is counted; addresses of people do not stand in the store in the clear.
fn key(what: &str, whose: &str) -> String {
    format!("{what}:{}", Digest::of(whose.as_bytes()))
}

/// What counts as one client: an address, or the /64 that one IPv6 subscriber has (SEC-B2).
fn network(client: Option<IpAddr>) -> String {
    match client.map(|ip| ip.to_canonical()) {
        None => "unknown".into(),
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).to_string(),
    }
}

impl Standing {
    /// `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10: the name, the quota and its window in seconds.
    pub fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.limit.as_str(), self.quota.burst, self.quota.per.as_secs())
    }

    /// `RateLimit` of the same draft: what is left now, and in how many seconds all will be there again.
    pub fn field(&self) -> String {
        format!("\"{}\";r={};t={}", self.limit.as_str(), self.spent.left, whole_seconds(self.spent.full_after))
    }

    /// `Retry-After` (RFC 9110 section 10.2.3), in seconds.
    pub fn retry_after(&self) -> u64 {
        whole_seconds(self.spent.retry_after).max(1)
    }
}

fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
