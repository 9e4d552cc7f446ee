//! Token state in Redis 6.2+ or Valkey: standalone, Sentinel or Cluster. `app` makes it, `check` and `issue` use it through the
//! traits. Each step is one Lua script and one round trip; see the `.lua` files.

mod attempts;
mod codec;
mod connect;
mod counters;
mod debt;
mod gather;
mod keys;
mod link;
mod listing;
mod log;
mod lookups;
mod scripts;
mod steps;
mod store_time;
mod trouble;
mod vigil;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fred::types::Value;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::attempts::{Attempts, Ending};
pub use self::connect::ConnectError;
use self::connect::Plan;
use self::debt::Debts;
use self::gather::Gather;
use self::link::Link;
use self::log::Log;
use self::lookups::LOOKUP_BUDGET;
use self::scripts::{Home, Scripts};
use self::steps::deadline;
use self::store_time::StoreTime;
use super::observe::{Observer, Op};
use super::{
    AtLimit, Cause, Entry, LogBatch, Lookups, Mark, NewSession, Opened, Position, Question, Rotation, Session,
    SessionRules, Sessions, Settings, Standing, StateError, StoreHealth, Written,
};
use crate::clock::{Clock, Millis, Timestamp};
use crate::metrics::Metrics;
use crate::secret::Digest;
use crate::token::refresh::Manner;
use crate::token::{Generation, SessionId, SubjectTag, TokenId};

/// Token state in Redis. Connections are made when first needed, so a checker holds two: one for questions, one that
/// follows the log.
#[derive(Debug)]
pub struct RedisState {
    lookups: Arc<Link>,
    gather: Gather,
    log: Log,
    sessions: Arc<Link>,
    debts: Debts,
    attempts: Attempts,
    /// The issuer's own reader of the log: the other one belongs to the check plane.
    vigil_log: Log,
    /// `WAIT` holds up whatever is sent after it, so it has a connection of its own.
    replication: Link,
    scripts: Scripts,
    store_time: StoreTime,
    clustered: bool,
    wait_replicas: u32,
    clock: Arc<dyn Clock>,
    observer: Observer,
}

impl RedisState {
    /// Reads the settings and begins to connect. A store that does not answer is no error: calls fail until it does, and
    /// it is found again by itself.
    pub async fn connect(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConnectError> {
        let plan = Arc::new(Plan::new(settings)?);
        let clustered = plan.config.server.is_clustered();
        let link = || Link::new(Arc::clone(&plan));
        let lookups = Arc::new(link());
        let state = Self {
            gather: Gather::new(Arc::clone(&lookups), LOOKUP_BUDGET),
            lookups,
            log: Log::new(link()),
            sessions: Arc::new(link()),
            debts: Debts::default(),
            attempts: Attempts::default(),
            vigil_log: Log::new(link()),
            replication: link(),
            scripts: Scripts::new(!clustered),
            store_time: StoreTime::unknown(),
            clustered,
            wait_replicas: settings.wait_replicas,
            clock,
            observer: Observer::new(metrics),
        };
        state.lookups.warm_up(LOOKUP_BUDGET).await;
        Ok(state)
    }

    async fn end_with(&self, sid: &SessionId, salt: String) -> Result<Written<Option<String>>, StateError> {
        let (deadline, what) = (deadline(), Ending::Session(*sid));
        let name = self.attempts.name(what);
        let args = vec![sid.to_string().into(), salt.into(), name.clone().into()];
        let answer = self.ask(&self.scripts.end, sid.tag(), args, deadline).await;
        self.attempts.note(what, name, &answer);
        let mut answer = answer?;
        let confirmed = self.settle(&answer, sid.tag(), deadline).await;
        let done = if answer.status == "ended" { Some(answer.rest.text()?) } else { None };
        Ok(Written { done, confirmed })
    }

    /// Raises the mark; to `least` and no further where the store is to have one again that it lost.
    async fn raise_mark(&self, least: Mark) -> Result<Written<Mark>, StateError> {
        let deadline = deadline();
        let args = vec![i64::try_from(least.0).unwrap_or(i64::MAX).into(), attempts::fresh().into()];
        let mut answer = self.ask_in_time(&self.scripts.mark, Home::Everyone, args, deadline).await?;
        let confirmed = self.settle(&answer, Home::Everyone, deadline).await;
        Ok(Written { done: Mark(answer.rest.unsigned()?), confirmed })
    }
}

#[async_trait]
impl Lookups for RedisState {
    async fn standing(&self, question: &Question) -> Result<Standing, StateError> {
        self.observer.watch(Op::Standing, lookups::standing(&self.gather, &*self.clock, question)).await
    }

    async fn read_log(&self, after: Option<&Position>, wait: Duration) -> Result<LogBatch, StateError> {
        self.observer.watch(Op::ReadLog, self.log.read(after, wait)).await
    }

    async fn touch(&self, seen: &[(SessionId, Millis)], idle: Duration) -> Result<(), StateError> {
        self.observer.watch(Op::Touch, lookups::touch(&self.lookups, &*self.clock, seen, idle)).await
    }

    async fn health(&self) -> Result<StoreHealth, StateError> {
        self.observer.watch(Op::Health, lookups::health(&self.lookups, &*self.clock, self.wait_replicas)).await
    }
}

#[async_trait]
impl Sessions for RedisState {
    async fn open(&self, new: &NewSession, rules: &SessionRules) -> Result<Opened, StateError> {
        self.observer
            .watch(Op::Open, async {
                let deadline = deadline();
                let mut args = codec::opening(new);
                let policy = match rules.at_limit {
                    AtLimit::Evict => "evict",
                    AtLimit::Refuse => "refuse",
                };
                args.extend([millis(rules.idle), millis(rules.lifetime), rules.max_per_subject.into(), policy.into()]);
                let mut answer = self.ask_in_time(&self.scripts.open, new.sid.tag(), args, deadline).await?;
                if answer.status == "full" {
                    return Ok(Opened::LimitReached);
                }
                let session = Box::new(answer.rest.session()?);
                let evicted = sids(&answer.rest.array()?.texts()?);
                let expired = sids(&answer.rest.array()?.texts()?);
                // Making room is no logout that someone waits for: where it can't be confirmed the login goes on.
                let paid = self.settle_debt(&answer, new.sid.tag(), deadline).await;
                let unconfirmed =
                    !evicted.is_empty() && paid.and(self.confirm(Some(new.sid.tag()), deadline).await).is_err();
                Ok(Opened::Session { session, evicted, unconfirmed, expired })
            })
            .await
    }

    async fn refresh(
        &self,
        sid: &SessionId,
        shown: Generation,
        salt: &Digest,
        manner: Manner,
        rules: &SessionRules,
    ) -> Result<Rotation, StateError> {
        self.observer
            .watch(Op::Rotate, async {
                let deadline = deadline();
                // Names this call in the store, so that the call sent again is known as itself, not as a replay.
                let attempt = attempts::fresh();
                // Names what it may end: the same for a call that takes over from one whose answers were all lost.
                let what = Ending::Replay(*sid, shown);
                let ending = self.attempts.name(what);
                let args = vec![
                    sid.to_string().into(),
                    salt.to_string().into(),
                    shown.0.into(),
                    millis(rules.grace),
                    millis(rules.idle),
                    attempt.into(),
                    ending.clone().into(),
                    (if manner == Manner::InPlace { "in_place" } else { "" }).into(),
                ];
                let answer = self.ask_in_time(&self.scripts.rotate, sid.tag(), args, deadline).await;
                self.attempts.note(what, ending, &answer);
                let mut answer = answer?;
                if answer.status == "reused" {
                    // The session is gone, so the same question asked again gets "unknown": a replay is told now or never.
                    let settled = self.settle(&answer, sid.tag(), deadline).await;
                    if let Err(error) = &settled {
                        warn!(%sid, %error, "a replayed refresh token has ended its session, unconfirmed: a failover may bring it back");
                    }
                    return Ok(Rotation::Reused { subject: answer.rest.text()?, confirmed: settled.is_ok() });
                }
                self.settle_debt(&answer, sid.tag(), deadline).await?;
                Ok(match answer.status.as_str() {
                    "rotated" => Rotation::Rotated(answer.rest.session()?),
                    "repeated" => Rotation::Repeated(answer.rest.session()?),
                    "caught_up" => Rotation::CaughtUp(answer.rest.session()?),
                    "kept" => Rotation::Kept(answer.rest.session()?),
                    "lost" => Rotation::Lost,
                    "expired" => Rotation::Expired { subject: None },
                    "unknown" => Rotation::Unknown,
                    _ => return Err(StateError::Corrupt("a rotation of no kind known here".into())),
                })
            })
            .await
    }

    async fn end(&self, sid: &SessionId, _cause: Cause) -> Result<Written<bool>, StateError> {
        let Written { done, confirmed } = self.observer.watch(Op::End, self.end_with(sid, String::new())).await?;
        Ok(Written { done: done.is_some(), confirmed })
    }

    async fn end_with_salt(
        &self,
        sid: &SessionId,
        salt: &Digest,
        _cause: Cause,
    ) -> Result<Written<Option<String>>, StateError> {
        self.observer.watch(Op::End, self.end_with(sid, salt.to_string())).await
    }

    async fn end_subject(
        &self,
        tag: SubjectTag,
        _cause: Cause,
        remember: Duration,
    ) -> Result<Written<u64>, StateError> {
        self.observer
            .watch(Op::EndSubject, async {
                let deadline = deadline();
                let args = vec![tag.to_string().into(), millis(remember), attempts::fresh().into()];
                let mut answer = self.ask_in_time(&self.scripts.end_subject, tag, args, deadline).await?;
                let confirmed = self.settle(&answer, tag, deadline).await;
                Ok(Written { done: answer.rest.unsigned()?, confirmed })
            })
            .await
    }

    async fn end_everyone(&self) -> Result<Written<Mark>, StateError> {
        self.observer.watch(Op::EndEveryone, self.raise_mark(Mark::default())).await
    }

    async fn mark(&self) -> Result<Mark, StateError> {
        self.observer.watch(Op::List, lookups::mark(&self.sessions)).await
    }

    async fn outdate(&self, tag: SubjectTag) -> Result<Written<()>, StateError> {
        self.observer
            .watch(Op::Outdate, async {
                let deadline = deadline();
                let answer = self.ask(&self.scripts.outdate, tag, vec![tag.to_string().into()], deadline).await?;
                Ok(Written { done: (), confirmed: self.settle(&answer, tag, deadline).await })
            })
            .await
    }

    async fn deny_token(&self, tag: SubjectTag, jti: &TokenId, until: Timestamp) -> Result<Written<()>, StateError> {
        self.observer
            .watch(Op::DenyToken, async {
                let deadline = deadline();
                // A little longer than it lives by the store's clock: ours may be behind, and checkers allow some leeway.
                let until = Millis::from(until).plus(DENIED_LONGER).0;
                let args = vec![
                    keys::jti_digest(jti).into(),
                    i64::try_from(until).unwrap_or(i64::MAX).into(),
                    tag.to_string().into(),
                ];
                let answer = self.ask(&self.scripts.deny, tag, args, deadline).await?;
                Ok(Written { done: (), confirmed: self.settle(&answer, tag, deadline).await })
            })
            .await
    }

    async fn announce(&self, entry: &Entry) -> Result<Written<()>, StateError> {
        self.observer
            .watch(Op::Announce, async {
                let deadline = deadline();
                steps::tell(&self.sessions, entry, deadline).await?;
                Ok(Written { done: (), confirmed: self.confirm(None, deadline).await })
            })
            .await
    }

    async fn guard(&self, shutdown: CancellationToken) {
        self.keep_vigil(shutdown).await;
    }

    async fn session(&self, sid: &SessionId) -> Result<Option<Session>, StateError> {
        self.observer.watch(Op::List, async { Ok(self.list(sid.tag(), Some(sid)).await?.pop()) }).await
    }

    async fn sessions_of(&self, tag: SubjectTag) -> Result<Vec<Session>, StateError> {
        self.observer.watch(Op::List, self.list(tag, None)).await
    }

    async fn all_sessions(&self, limit: usize) -> Result<Vec<Session>, StateError> {
        self.observer.watch(Op::List, self.walk(limit)).await
    }
}

/// A denied token is remembered a little longer than it lives, for clocks that differ.
const DENIED_LONGER: Duration = Duration::from_secs(120);

/// What names no session is left out: a store that holds such a thing is none of ours.
fn sids(texts: &[String]) -> Vec<SessionId> {
    texts.iter().filter_map(|sid| sid.parse().ok()).collect()
}

fn millis(span: Duration) -> Value {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).into()
}
