//! Sessions of accounts as they were: kept beyond their end, for whoever has to tell later who was signed in from where. The
//! token state knows only what lives; `accounts` writes here, at login and at each end.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::{UserError, UserId};
use crate::clock::Millis;
use crate::state::{Cause, Device};
use crate::token::SessionId;

/// A session as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastSession {
    pub sid: SessionId,
    pub user: UserId,
    pub created: Millis,
    /// As of the last login, refresh or end; a session that is still in use was seen later.
    pub last_seen: Millis,
    /// Its absolute end, if nothing ends it before.
    pub ends: Millis,
    pub user_agent: String,
    pub ip: Option<IpAddr>,
    /// When and why it was ended; `None` for one that lives, or died of age.
    pub ended: Option<(Millis, String)>,
}

/// A session about to be remembered.
#[derive(Clone, Debug)]
pub struct OpenedSession<'a> {
    pub sid: SessionId,
    pub user: &'a UserId,
    pub created: Millis,
    pub ends: Millis,
    pub device: &'a Device,
}

/// How long to remember, from `retention` in the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// A session that died of age, from its absolute end.
    pub expired: Duration,
    /// A session that was ended, from then.
    pub revoked: Duration,
}

#[async_trait]
pub trait History: Send + Sync {
    /// A session opened; told again, nothing changes.
    async fn opened(&self, session: &OpenedSession<'_>) -> Result<(), UserError>;

    /// It was refreshed, from there.
    async fn seen(&self, sid: &SessionId, at: Millis) -> Result<(), UserError>;

    /// These ended now, by the database's clock. What ended before keeps its first end, and what is not known is skipped. For how
    /// many it is news.
    async fn ended(&self, sids: &[SessionId], cause: Cause) -> Result<u64, UserError>;

    /// All of a user's that are not ended yet, but for `but`: how "log out everywhere" is remembered.
    async fn all_ended(&self, user: &UserId, but: Option<&SessionId>, cause: Cause) -> Result<(), UserError>;

    /// All that were opened before this moment ended with it: how "everyone out" is remembered. Some at a time, as in
    /// [`Self::forget`]; what died of age before keeps to that.
    async fn all_ended_before(&self, moment: Millis, cause: Cause) -> Result<(), UserError>;

    /// A user's sessions, newest first, at most `limit`.
    async fn of_user(&self, user: &UserId, limit: u32) -> Result<Vec<PastSession>, UserError>;

    /// Forgets what is older than that; how many. Some at a time, so that no lock is held for long.
    async fn forget(&self, retention: Retention) -> Result<u64, UserError>;
}
