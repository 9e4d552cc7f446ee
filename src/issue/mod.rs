//! The issuer: opens sessions, mints token pairs, rotates and ends them. The write wing's core; knows no protocol.

pub mod device;
pub mod login;
pub mod logout;
pub mod record;
pub mod refresh;
pub mod trusted;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::device::DeviceBinding;
use self::logout::Why;
use self::record::Records;
use crate::audit::{self, About, Event};
use crate::authn::password;
use crate::clock::{Clock, Millis};
use crate::limit::{Limited, Standing};
use crate::listen::networks;
use crate::metrics::Metrics;
use crate::secret::MacKey;
use crate::state::{AtLimit, Cause, Entry, Expects, Hears, Session, SessionRules, Sessions};
use crate::token::jwt::{AccessToken, SignError, Signer, Verifier};
use crate::token::refresh::RefreshToken;
use crate::token::{HolderKind, SessionId, SubjectTag, TokenId};
use crate::turns::Turns;
use crate::units::Span;
use crate::users::Users;

/// Steps at once, a core: a hundred microseconds of work each, so checks wait a hundredth of a second for them at the worst, and
/// even a tenth of a core is through with all of them within what the store has for its answer. Were there more, the store would
/// be thought silent.
const AT_WORK_A_CORE: usize = 128;
/// As many clients as may be connected and ask one thing each.
const WAITING: usize = 4096;
/// Shorter than what a client waits, and long enough for a thousand clients of a tenth of a core, each of whom waits for the others.
const PATIENCE: Duration = Duration::from_secs(2);

/// Opens sessions, mints and rotates their tokens, ends them. One for each process that issues; shared by reference.
pub struct Issuer {
    parts: Parts,
    rules: SessionRules,
    turns: Turns,
}

/// What an issuer works with. `app` chooses and makes them.
pub struct Parts {
    /// How many threads work at steps; a share of a core counts as one.
    pub cores: usize,
    pub sessions: Arc<dyn Sessions>,
    /// Asked at each refresh of an account's session; a command that refreshes none has none.
    pub users: Option<Arc<dyn Users>>,
    /// Where sessions and events are remembered for their owner and for administrators.
    pub records: Records,
    pub signer: Arc<Signer>,
    pub verifier: Arc<Verifier>,
    /// What refresh tokens are authenticated with: `RefreshToken::key(ring.secret())`.
    pub refresh_key: MacKey,
    pub clock: Arc<dyn Clock>,
    /// The check plane in this process, which must know of an end before it is answered (SEC-S1).
    pub hears: Option<Arc<dyn Hears>>,
    pub metrics: Arc<Metrics>,
    pub settings: Settings,
}

/// Who calls, for audit events and limits.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The client's address, where it is known.
    pub client: Option<IpAddr>,
    pub request_id: Arc<str>,
    /// What a limit said of this call, for whoever answers it.
    pub limit: Arc<OnceLock<Standing>>,
}

impl Call {
    /// Keeps what a limit said for whoever words the answer; tells of a refusal.
    pub fn limited(&self, counted: Result<Option<Standing>, Limited>) -> Result<(), Limited> {
        let standing = counted.as_ref().map_or_else(|Limited(standing)| Some(*standing), |standing| *standing);
        if let Some(standing) = standing {
            let _ = self.limit.set(standing);
        }
        if let Err(Limited(standing)) = &counted {
            let request_id = Some(&*self.request_id);
            let outcome = standing.limit.as_str();
            let about = About { client: self.client, request_id, outcome, ..About::default() };
            audit::record(Event::ExcessRateLimitExceeded, about);
        }
        counted.map(drop)
    }
}

/// What a login or a refresh gives.
#[derive(Clone)]
pub struct TokenPair {
    pub access: String,
    pub refresh: String,
    /// How long the access token is valid.
    pub expires_in: Duration,
    /// How long the session can be refreshed at the most.
    pub refresh_expires_in: Duration,
    pub sid: SessionId,
    pub created: Millis,
    pub ends: Millis,
}

impl std::fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenPair")
            .field("expires_in", &self.expires_in)
            .field("sid", &self.sid)
            .finish_non_exhaustive()
    }
}

impl Issuer {
    pub fn new(parts: Parts) -> Self {
        let rules = parts.settings.rules();
        let turns = Turns::of(AT_WORK_A_CORE * parts.cores, WAITING, PATIENCE);
        Self { parts, rules, turns }
    }

    /// A fresh access token for the session, and its refresh token of the session's generation. `shown` is any refresh
    /// token of the family: the salt is nowhere else. `changed`: in what the device is not that of the login. `expected` is told
    /// the token, where the session's idle time has begun anew with this call.
    fn mint(
        &self,
        session: &Session,
        shown: RefreshToken,
        changed: &[&str],
        expected: Option<Box<dyn Expects + '_>>,
    ) -> Result<TokenPair, SignError> {
        let Settings { issuer, audience, access_lifetime, .. } = &self.parts.settings;
        let now = self.parts.clock.now();
        // Never past the session's absolute end (SEC-R10).
        let expires = now.plus(access_lifetime.0).min(session.ends.seconds());
        let token = AccessToken {
            issuer,
            audience,
            holder: &session.holder,
            sid: session.sid,
            jti: &TokenId::fresh(),
            epoch: session.epoch,
            issued: now,
            expires,
            // Nobody signed in where a client speaks for itself.
            auth_time: (session.holder.kind != HolderKind::Client).then(|| session.created.seconds().min(now)),
            device_changed: changed,
        };
        let (access, kid) = self.parts.signer.sign_and_name(&token, now)?;
        if let Some(expected) = expected {
            // Where it can't be read a check will say so.
            if let Ok(claims) = self.parts.verifier.claims_of(&token, &kid, now) {
                expected.receive(&access, claims, self.rules.idle, session.ends);
            }
        }
        let refresh = shown.at(session.generation).encode(&self.parts.refresh_key);
        Ok(TokenPair {
            access,
            refresh,
            expires_in: expires.since(now),
            refresh_expires_in: session.ends.seconds().since(now),
            sid: session.sid,
            created: session.created,
            ends: session.ends,
        })
    }

    /// The same for whoever works beside the issuer on the same sessions.
    pub fn sessions(&self) -> &Arc<dyn Sessions> {
        &self.parts.sessions
    }

    /// The time by which sessions are told of.
    pub fn now(&self) -> Millis {
        self.parts.clock.now_millis()
    }

    /// What our own subjects' state is filed under.
    pub fn tag(&self, subject: &str) -> SubjectTag {
        SubjectTag::of(&self.parts.settings.issuer, subject)
    }

    /// What waits for the session's next token, if anything in this process does. Before the store is asked!
    fn expect(&self, sid: &SessionId) -> Option<Box<dyn Expects + '_>> {
        self.parts.hears.as_ref().and_then(|hears| hears.expect(sid))
    }

    fn hear(&self, entry: &Entry) {
        if let Some(hears) = &self.parts.hears {
            hears.hear(entry);
        }
    }

    /// Tells everyone in this process that a session is over: the check plane first, then the counter and the audit log.
    /// An end that no replica has confirmed is an end all the same, and told here, once; `confirmed` tells which it was.
    fn tell_end(&self, sid: &SessionId, subject: Option<&str>, why: Why<'_>, confirmed: bool, call: &Call) {
        let cause = why.cause();
        self.hear(&Entry::Session(*sid));
        self.parts.metrics.sessions_revoked.with_label_values(&[cause.as_str()]).inc();
        self.parts.records.ended(sid, cause);
        self.record(call, event_of(cause), subject, Some(sid), &why.outcome(confirmed));
    }

    /// Tells of a session that nobody ended: it was left unused for too long, or its time was over.
    fn tell_expired(&self, sid: &SessionId, subject: Option<&str>, call: &Call) {
        self.hear(&Entry::Session(*sid));
        self.record(call, Event::SessionEnded, subject, Some(sid), "timeout");
    }

    /// Writes an event to the audit log, and to what administrators can read of it.
    pub fn record(&self, call: &Call, event: Event, subject: Option<&str>, sid: Option<&SessionId>, outcome: &str) {
        let request_id = Some(&*call.request_id).filter(|id| !id.is_empty());
        let shown = sid.map(|sid| sid as &dyn std::fmt::Display);
        let about = About { subject, sid: shown, client: call.client, request_id, outcome, ..About::default() };
        audit::record(event, about);
        self.parts.records.event(event, call, subject, sid, outcome);
    }
}

/// A session that someone or something took away is a revocation; one that had to make room has come to its end.
const fn event_of(cause: Cause) -> Event {
    match cause {
        Cause::Limit => Event::SessionEnded,
        Cause::Logout | Cause::LogoutAll | Cause::Reuse | Cause::Admin => Event::AuthnTokenRevoked,
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("parts", &self.parts).field("rules", &self.rules).finish()
    }
}

/// Tokens, sessions and accounts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The `iss` claim of our tokens. Set it to `public_url`, here and in sidecars, for standard OAuth clients.
    pub issuer: String,
    /// The `aud` claim of our tokens; a check wants one of these.
    pub audience: Vec<String>,
    /// How long an access token is valid.
    pub access_lifetime: Span,
    /// The absolute life of a session: rotation never extends it.
    pub refresh_lifetime: Span,
    /// A session unused this long ends.
    pub auto_logout: Span,
    /// How long the previous refresh token is still answered, with the same successor: retries and parallel tabs.
    pub refresh_grace: Span,
    /// Live sessions of one subject; 0 is no limit.
    pub max_sessions_per_user: u32,
    /// What happens at that limit.
    pub at_session_limit: AtLimit,
    /// Whether an account's session is bound to the device that opened it.
    pub device_binding: DeviceBinding,
    pub trusted_login: TrustedLogin,
    pub passwords: password::Settings,
    /// Whether anyone may register an account.
    pub registration: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: "doorward".into(),
            audience: vec!["doorward".into()],
            access_lifetime: Span::minutes(15),
            refresh_lifetime: Span::hours(168),
            auto_logout: Span::hours(24),
            refresh_grace: Span::secs(3),
            max_sessions_per_user: 10,
            at_session_limit: AtLimit::Evict,
            device_binding: DeviceBinding::default(),
            trusted_login: TrustedLogin::default(),
            passwords: password::Settings::default(),
            registration: true,
        }
    }
}

impl Settings {
    /// The times that rule a session, as the token store takes them.
    pub fn rules(&self) -> SessionRules {
        SessionRules {
            grace: self.refresh_grace.0,
            idle: self.auto_logout.0,
            lifetime: self.refresh_lifetime.0,
            max_per_subject: self.max_sessions_per_user,
            at_limit: self.at_session_limit,
        }
    }
}

/// Who may `POST /login {"user_id": …}`. With neither, nobody (but loopback under `--dev`).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrustedLogin {
    /// The client's address: addresses or networks. A request that carries forwarding headers is never trusted by its address.
    #[serde(deserialize_with = "networks::networks")]
    #[schemars(with = "Vec<String>")]
    pub allow_from: Vec<IpNet>,
    /// A file of caller keys, one a line, at least 32 characters each; sent as `Authorization: Bearer`.
    pub caller_keys_file: String,
}
