//! Token state: sessions, what is denied, and the revocation log. The words, and the promises a store makes.
//!
//! Two faces of one store: [`Lookups`] is all that the check plane may ask (a sidecar runs on a Redis user that cannot
//! create sessions, SEC-K8), [`Sessions`] is what the session plane does. `app` chooses the store; nothing else knows which.

pub mod counters;
pub mod family;
pub mod log;
pub mod mark;
mod observe;
mod record;
pub mod redis;
pub mod sql;

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use self::log::{Entry, Expects, Hears, LogBatch, Position, Proof};
pub use self::mark::Mark;
use crate::clock::{Millis, Timestamp};
use crate::fault::{Fault, Kind};
use crate::secret::Digest;
use crate::token::refresh::Manner;
use crate::token::{Epoch, Generation, Holder, SessionId, SubjectTag, TokenId};

/// Where token state lives.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `sql` (the users' database), or `redis://`, `rediss://`, `redis-sentinel://`, `redis-cluster://`, `unix://`.
    pub url: String,
    /// A file that holds the URL, so that its password stays out of the configuration.
    pub url_file: String,
    /// A file of PEM certificates to trust for `rediss://`; empty trusts the system's.
    pub ca_file: String,
    /// Lets `--role check` read a store on another machine without TLS, where the network between is private. Otherwise that
    /// is an error: who is on the way can bring revoked tokens back.
    pub allow_plaintext: bool,
    /// How many replicas must have seen a logout or revocation before it is answered 2xx; 503 otherwise. Redis only.
    pub wait_replicas: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "sql".into(),
            url_file: String::new(),
            ca_file: String::new(),
            allow_plaintext: false,
            wait_replicas: 0,
        }
    }
}

/// Times that rule a session, from `auth` in the configuration. The store applies them by its own clock.
#[derive(Clone, Copy, Debug)]
pub struct SessionRules {
    /// `auth.refresh_grace`: how long the previous refresh token is answered with the same successor.
    pub grace: Duration,
    /// `auth.auto_logout`: unused this long, a session ends.
    pub idle: Duration,
    /// `auth.refresh_lifetime`: the absolute life of a session.
    pub lifetime: Duration,
    /// `auth.max_sessions_per_user`; 0 is no limit.
    pub max_per_subject: u32,
    pub at_limit: AtLimit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AtLimit {
    /// The oldest session ends.
    Evict,
    /// The login is refused.
    Refuse,
}

/// A session about to be opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub sid: SessionId,
    pub holder: Holder,
    /// SHA-256 of the refresh tokens' salt.
    pub salt: Digest,
    pub device: Device,
}

/// Where a session was opened from, for its owner's list of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    pub user_agent: String,
    pub ip: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is open; tokens minted for it carry `epoch`. `evicted` were ended to keep the limit; where that is
    /// `unconfirmed`, a failover may bring them back. `expired` are others of the subject that were found to have died of
    /// age, each told once.
    Session { session: Box<Session>, evicted: Vec<SessionId>, unconfirmed: bool, expired: Vec<SessionId> },
    /// The subject has as many sessions as it may, and the rule is to refuse.
    LimitReached,
}

/// A live session as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub sid: SessionId,
    pub holder: Holder,
    pub generation: Generation,
    /// The mark it was opened under, and its subject's epoch now: tokens minted for this session carry both.
    pub epoch: Epoch,
    pub created: Millis,
    /// Written in batches, so it may lag by one activity interval.
    pub last_seen: Millis,
    /// The absolute end; rotation never moves it (SEC-R10).
    pub ends: Millis,
    pub device: Device,
}

/// What became of a presented refresh token; the table is in `family`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It was the current one: the family moved on to `session.generation`.
    Rotated(Session),
    /// It was the previous one, inside the grace window: `session.generation` is still its successor.
    Repeated(Session),
    /// The store had lost its last write: the family caught up and moved on to `session.generation`.
    CaughtUp(Session),
    /// It was the current one and still is.
    Kept(Session),
    /// It was spent before. The same step has ended this subject's session and written the revocation log; unless
    /// `confirmed`, a failover may bring that session back.
    Reused { subject: String, confirmed: bool },
    /// The store lost more than one write; nothing was changed.
    Lost,
    /// Its session was left unused for too long, or has reached its absolute end; told once. Whose it was, where the
    /// store still knows.
    Expired { subject: Option<String> },
    /// No such session, or another salt.
    Unknown,
}

/// What a step did that ends something. It is done in any case, on the primary; whether it may be relied upon is another
/// question. So who ends something can tell of it once, and still answer UNAVAIL until it is confirmed.
#[derive(Debug)]
#[must_use = "what is not confirmed may be undone by a failover"]
pub struct Written<T> {
    pub done: T,
    /// An error where fewer than `wait_replicas` replicas have seen it, or the revocation log could not be told yet.
    pub confirmed: Result<(), StateError>,
}

impl<T> Written<T> {
    /// What was done, if it may be relied upon.
    pub fn sure(self) -> Result<T, StateError> {
        self.confirmed.map(|()| self.done)
    }
}

/// Why a session ends: the label of `sessions_revoked_total` and a word in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Logout,
    LogoutAll,
    Reuse,
    Limit,
    Admin,
}

impl Cause {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::Reuse => "reuse",
            Self::Limit => "limit",
            Self::Admin => "admin",
        }
    }
}

/// What the check plane asks about one verified token, in one round trip.
#[derive(Clone, Debug)]
pub enum Question {
    /// An own token: is its session live, its epoch today's, its `jti` not denied?
    Own { sid: SessionId, jti: TokenId, epoch: Epoch },
    /// A foreign token: is neither its `jti` nor its subject nor everyone (as issued at or before some moment) denied?
    Foreign { tag: SubjectTag, jti: Option<TokenId>, issued: Option<Timestamp> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Own token: the session lives. `idle_left` is how long it lives without activity, `ends` its absolute end where the
    /// store has that at hand: no token of ours outlives it (SEC-R10).
    /// Foreign token: `idle_left` and `ends` are `None`.
    Live { idle_left: Option<Duration>, ends: Option<Millis> },
    /// Denied, or its session has ended or was never known (SEC-T20).
    Dead,
}

/// Health of the store for `readyz` and `doctor`.
#[derive(Clone, Debug, Default)]
pub struct StoreHealth {
    /// Faults that do not stop service, each with its fix; such as an eviction policy other than `noeviction` (SEC-F8).
    pub warnings: Vec<String>,
    /// How far the store's clock is ahead of ours, in seconds; negative where it is behind.
    pub clock_skew: f64,
}

/// What the check plane asks. Every call is bounded in time by the store itself.
#[async_trait]
pub trait Lookups: Send + Sync {
    /// One round trip.
    async fn standing(&self, question: &Question) -> Result<Standing, StateError>;

    /// The next entries after `after`, waiting up to `wait` for one. An empty batch is an answer too: nothing was revoked.
    /// Without a position it answers at once with the log's end and `gap: true`.
    async fn read_log(&self, after: Option<&Position>, wait: Duration) -> Result<LogBatch, StateError>;

    /// Notes that the sessions were last used at these moments (by this process's clock): each lives on for `idle` from
    /// then, never past its absolute end. Ended sessions are skipped, never brought back.
    async fn touch(&self, seen: &[(SessionId, Millis)], idle: Duration) -> Result<(), StateError>;

    async fn health(&self) -> Result<StoreHealth, StateError>;
}

/// What the session plane does. Each call is one atomic step in the store, and idempotent, so that a step whose answer
/// was lost can be repeated (SEC-R4). All that end something say what is [`Written`], and whether `wait_replicas` replicas
/// have seen it.
#[async_trait]
pub trait Sessions: Lookups {
    /// Opens a session; the session limit holds exactly under any number of parallel calls (SEC-S5).
    async fn open(&self, new: &NewSession, rules: &SessionRules) -> Result<Opened, StateError>;

    /// Refreshes a family in its `manner`, by the store's clock.
    ///
    /// [`Manner::Rotating`] moves it past generation `shown`. A generation spent before the grace window gives
    /// [`Rotation::Reused`], and that same step has ended the session; another salt gives [`Rotation::Unknown`]. A replay is
    /// told even where replicas or the log did not confirm the end in time: asked again, nobody could tell it from a token
    /// never known. The store then warns in its log; a failover may bring that session back.
    ///
    /// [`Manner::InPlace`] is for clients that cannot take a successor: the current generation stays current,
    /// [`Rotation::Kept`], which counts as use of the session; one that the store had lost becomes current. All others are
    /// answered as by rotation, and a spent one ends the session.
    async fn refresh(
        &self,
        sid: &SessionId,
        shown: Generation,
        salt: &Digest,
        manner: Manner,
        rules: &SessionRules,
    ) -> Result<Rotation, StateError>;

    /// Ends one session; `false` where none was live: also fine (SEC-S4).
    async fn end(&self, sid: &SessionId, cause: Cause) -> Result<Written<bool>, StateError>;

    /// Ends the session only if `salt` is its own: how a refresh token logs out. Whose it was; `None` where none of that
    /// salt was live.
    async fn end_with_salt(
        &self,
        sid: &SessionId,
        salt: &Digest,
        cause: Cause,
    ) -> Result<Written<Option<String>>, StateError>;

    /// Raises the subject's epoch and ends all its sessions; returns how many were live. For a foreign subject it also
    /// denies every token issued at or before now, for `remember`, the longest life such a token has.
    async fn end_subject(&self, tag: SubjectTag, cause: Cause, remember: Duration) -> Result<Written<u64>, StateError>;

    /// Ends everyone's sessions by raising the not-before mark, at a cost that knows no number of sessions: those opened until
    /// now are over, and so are their tokens and what other issuers gave until now; what is opened after it lives.
    async fn end_everyone(&self) -> Result<Written<Mark>, StateError>;

    /// The mark as it stands.
    async fn mark(&self) -> Result<Mark, StateError>;

    /// Raises the epoch of one of our own subjects: its access tokens until now are refused, its sessions live on.
    async fn outdate(&self, tag: SubjectTag) -> Result<Written<()>, StateError>;

    /// Denies one token until it expires.
    async fn deny_token(&self, tag: SubjectTag, jti: &TokenId, until: Timestamp) -> Result<Written<()>, StateError>;

    /// Tells every checker something that is no session's end: a removed key.
    async fn announce(&self, entry: &Entry) -> Result<Written<()>, StateError>;

    /// Until `shutdown`, writes those ends again that the store loses by going back in time: restored from an older dump, or
    /// after a failover. Each issuer runs it; a store that can't go back under a running process has nothing to do.
    async fn guard(&self, shutdown: CancellationToken) {
        shutdown.cancelled().await;
    }

    async fn session(&self, sid: &SessionId) -> Result<Option<Session>, StateError>;

    /// The subject's live sessions, oldest first.
    async fn sessions_of(&self, tag: SubjectTag) -> Result<Vec<Session>, StateError>;

    /// Up to `limit` live sessions of all subjects, for the command line; in no promised order.
    async fn all_sessions(&self, limit: usize) -> Result<Vec<Session>, StateError>;
}

/// The store gave no usable answer: neither yes nor no.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StateError {
    #[error("the token store did not answer within {0:?}")]
    TimedOut(Duration),
    #[error("the token store can't be reached: {0}")]
    Unreachable(String),
    #[error("the token store refused: {0}")]
    Refused(String),
    /// It undid this step for the sake of another that it could not put in order with it. The step may be repeated.
    #[error("the token store gave this step up for another's sake")]
    GivenUp,
    #[error("only {seen} of {wanted} replicas have seen the change")]
    NotReplicated { seen: u32, wanted: u32 },
    #[error("the token store holds something unexpected: {0}")]
    Corrupt(String),
}

impl Fault for StateError {
    fn kind(&self) -> Kind {
        Kind::Unavailable
    }
    fn code(&self) -> &'static str {
        "unavailable"
    }
}
