//! Audit events: one structured log line each, under the target `audit`, in the names of the OWASP logging vocabulary
//! (SEC-G3). They carry who, which session, from where, by which request and how it ended; never a token or a secret.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::net::IpAddr;

/// What happened. A pair of tokens is minted with each session opened or renewed, so those events stand for it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    AuthnLoginSuccess,
    AuthnLoginFail,
    /// So many wrong passwords that none is looked at for a while.
    AuthnLoginLock,
    AuthnPasswordChange,
    AuthnTokenRevoked,
    AuthnTokenReuse,
    SessionCreated,
    SessionRenewed,
    SessionEnded,
    AuthzFail,
    AuthzChange,
    UserCreated,
    UserUpdated,
    UserDeleted,
    ExcessRateLimitExceeded,
    KeyChange,
    ConfigChange,
}

impl Event {
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthnLoginSuccess => "authn_login_success",
            Self::AuthnLoginFail => "authn_login_fail",
            Self::AuthnLoginLock => "authn_login_lock",
            Self::AuthnPasswordChange => "authn_password_change",
            Self::AuthnTokenRevoked => "authn_token_revoked",
            Self::AuthnTokenReuse => "authn_token_reuse",
            Self::SessionCreated => "session_created",
            Self::SessionRenewed => "session_renewed",
            Self::SessionEnded => "session_expired",
            Self::AuthzFail => "authz_fail",
            Self::AuthzChange => "authz_change",
            Self::UserCreated => "user_created",
            Self::UserUpdated => "user_updated",
            Self::UserDeleted => "user_deleted",
            Self::ExcessRateLimitExceeded => "excess_rate_limit_exceeded",
            Self::KeyChange => "crypt_key_change",
            Self::ConfigChange => "sys_config_change",
        }
    }
}

/// Who and where an event was about; what is not known stays empty.
#[derive(Clone, Copy, Default)]
pub struct About<'a> {
    pub subject: Option<&'a str>,
    pub sid: Option<&'a dyn Display>,
    pub client: Option<IpAddr>,
    pub request_id: Option<&'a str>,
    /// What was asked for, without its query.
    pub path: Option<&'a str>,
    /// The place in `check.rules` of the rule that refused.
    pub rule: Option<usize>,
    /// How it ended, or why: a short word.
    pub outcome: &'a str,
}

impl fmt::Debug for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("About").field("subject", &self.subject).field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// The outcome of an end: what asked for it, and whether the token store's replicas have confirmed it. Unconfirmed, it is
/// in effect, and a failover may undo it.
pub fn outcome(of: &str, confirmed: bool) -> Cow<'_, str> {
    if confirmed { of.into() } else { format!("{of}_unconfirmed").into() }
}

/// More of a path would say no more.
const LONGEST_PATH: usize = 256;

/// Writes the event; the time and the escaping are the log's (SEC-G2). Outside its request's span, which would add nothing
/// but cost as much again.
pub fn record(event: Event, about: About<'_>) {
    let path = about.path.map(|path| &path[..path.floor_char_boundary(LONGEST_PATH)]);
    tracing::info!(
        target: "audit",
        parent: None,
        event = event.name(),
        subject = about.subject,
        sid = about.sid.map(tracing::field::display),
        client = about.client.map(tracing::field::display),
        request_id = about.request_id,
        path,
        rule = about.rule.map(|index| tracing::field::display(format!("check.rules[{index}]"))),
        outcome = about.outcome,
    );
}
