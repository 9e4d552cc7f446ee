//! Token state in Redis 6.2+ or Valkey: standalone, Sentinel or Cluster. `app` makes it, `check` and `issue` use it through the
//! traits. Each step is one Lua script and one round trip; see the `.lua` files.

mod codec;
mod connect;
mod keys;
mod link;
mod log;
mod lookups;
mod scripts;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fred::types::Value;
use fred::types::config::Server;
use tokio::time::Instant;

pub use self::connect::ConnectError;
use self::connect::Plan;
use self::keys::{LOG, LOG_LENGTH, LOG_NUDGE, slot};
use self::link::Link;
use self::log::Log;
use self::lookups::{LOOKUP_BUDGET, pipelined};
use self::scripts::{Answer, Script, Scripts};
use super::observe::{Observer, Op};
use super::record::entry_parts;
use super::{
    AtLimit, Cause, Entry, LogBatch, Lookups, NewSession, Opened, Position, Question, Rotation, Session, SessionRules,
    Sessions, Settings, Standing, StateError, StoreHealth,
};
use crate::clock::{Clock, Millis, Timestamp};
use crate::metrics::Metrics;
use crate::secret::{Digest, base64url, random_bytes};
use crate::token::{Generation, SessionId, SubjectTag, TokenId};

/// One try of a step, and all tries of it together. Every step may be sent again (SEC-R4).
const TRY: Duration = Duration::from_millis(250);
const IN_ALL: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);
/// How long the replicas get to see a change. Redis notices that this is over up to 100 ms late.
const REPLICATION: Duration = Duration::from_millis(200);
const WAIT_IS_LATE: Duration = Duration::from_millis(200);
/// A listing of all sessions walks the whole key space, in pages; it ends after this long with what it has.
const WALK: Duration = Duration::from_secs(5);

/// Token state in Redis. Connections are made when first needed, so a checker holds two: one for questions, one that
/// follows the log.
#[derive(Debug)]
pub struct RedisState {
    lookups: Link,
    log: Log,
    sessions: Link,
    /// `WAIT` holds up whatever is sent after it, so it has a connection of its own.
    replication: Link,
    scripts: Scripts,
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
        let state = Self {
            lookups: link(),
            log: Log::new(link()),
            sessions: link(),
            replication: link(),
            scripts: Scripts::new(!clustered),
            clustered,
            wait_replicas: settings.wait_replicas,
            clock,
            observer: Observer::new(metrics),
        };
        state.lookups.warm_up(LOOKUP_BUDGET).await;
        Ok(state)
    }

    /// Runs a script until it is answered, within one second, then pays what it left owing to the log.
    async fn step(
        &self,
        script: &Script,
        tag: SubjectTag,
        args: Vec<Value>,
        deadline: Instant,
    ) -> Result<Answer, StateError> {
        let tries = Tries::until(deadline);
        let answer = loop {
            let answer = self.scripts.run(&self.sessions, tries.budget(), script, tag, args.clone()).await;
            if let Some(answer) = tries.settle(answer).await {
                break answer?;
            }
        };
        if answer.owed {
            self.pay(tag, deadline).await?;
        }
        Ok(answer)
    }

    /// On a cluster the log lies in another slot, where no script of a subject's slot may write. So the script that ends
    /// something leaves a debt beside it, and this second step writes the log and clears the debt; only then is the end
    /// answered. Where it fails the caller hears so, nothing was promised, and the debt stays: the repeated call, or any
    /// other step on this subject, pays it. Checkers that cannot be told meanwhile cannot read the log either: its slot is
    /// down, so they stop trusting their caches by themselves.
    async fn pay(&self, tag: SubjectTag, deadline: Instant) -> Result<(), StateError> {
        self.tell(&Entry::Subject(tag), deadline).await?;
        self.command("DEL", vec![keys::debt(tag)], deadline).await
    }

    /// Writes the log. Twice does no harm: readers forget twice.
    async fn tell(&self, entry: &Entry, deadline: Instant) -> Result<(), StateError> {
        let (kind, name) = entry_parts(entry);
        let args: Vec<String> =
            [LOG, "MAXLEN", "~", &LOG_LENGTH.to_string(), "*", kind, &name].map(str::to_owned).into();
        self.command("XADD", args, deadline).await
    }

    async fn command(&self, name: &'static str, args: Vec<String>, deadline: Instant) -> Result<(), StateError> {
        let command = [(name, args)];
        let tries = Tries::until(deadline);
        loop {
            let answer = pipelined(&self.sessions, tries.budget(), &command).await;
            if let Some(answer) = tries.settle(answer).await {
                return answer.map(drop);
            }
        }
    }

    /// `Ok` when as many replicas as configured have seen everything that was written so far to the subject's server, and
    /// to the log's. A small write before `WAIT` makes it wait also for what other connections wrote: so a repeated logout,
    /// which changes nothing, confirms the first one.
    async fn confirm(&self, tag: Option<SubjectTag>, deadline: Instant) -> Result<(), StateError> {
        if self.wait_replicas == 0 {
            return Ok(());
        }
        if let Some(tag) = tag {
            self.wait_for_replicas(keys::nudge(tag), deadline).await?;
        }
        if tag.is_none() || self.clustered {
            self.wait_for_replicas(LOG_NUDGE.to_owned(), deadline).await?;
        }
        Ok(())
    }

    async fn wait_for_replicas(&self, nudge: String, deadline: Instant) -> Result<(), StateError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = REPLICATION.min(left);
        let home = slot(&nudge);
        let commands = vec![
            ("SET", home, vec![Value::from(nudge), "1".into(), "PX".into(), 1000.into()]),
            (
                "WAIT",
                home,
                vec![self.wait_replicas.into(), i64::try_from(patience.as_millis()).unwrap_or(1).max(1).into()],
            ),
        ];
        let budget = (patience + WAIT_IS_LATE).min(left);
        let answers = self.replication.run(budget, |wire| async move { wire.send_all(commands).await }).await?;
        let mut answers = codec::Reply::new(answers)?;
        answers.next()?;
        let seen = u32::try_from(answers.unsigned()?).unwrap_or(u32::MAX);
        if seen < self.wait_replicas {
            return Err(StateError::NotReplicated { seen, wanted: self.wait_replicas });
        }
        Ok(())
    }

    async fn list(&self, tag: SubjectTag, sid: Option<&SessionId>) -> Result<Vec<Session>, StateError> {
        let args = sid.map(|sid| Value::from(sid.to_string())).into_iter().collect();
        let mut answer = self.step(&self.scripts.list, tag, args, deadline()).await?;
        let mut views = answer.rest.array()?;
        let mut sessions = Vec::new();
        while !views.is_empty() {
            sessions.push(views.session()?);
        }
        Ok(sessions)
    }

    async fn end_with(&self, sid: &SessionId, salt: String) -> Result<bool, StateError> {
        let deadline = deadline();
        let args = vec![sid.to_string().into(), salt.into()];
        let answer = self.step(&self.scripts.end, sid.tag(), args, deadline).await?;
        self.confirm(Some(sid.tag()), deadline).await?;
        Ok(answer.status == "ended")
    }

    /// One page of the key space of one server: where to go on, and the subjects found.
    async fn page(&self, node: Option<Server>, cursor: &str) -> Result<(String, Vec<SubjectTag>), StateError> {
        let args = [cursor, "MATCH", "dw:{*}:i", "COUNT", "500", "TYPE", "zset"].map(Value::from).into();
        let page = self.sessions.run(TRY, |wire| async move { wire.send_to(node, "SCAN", args).await }).await?;
        let mut page = codec::Reply::new(page)?;
        let next = page.text()?;
        let tags = page.array()?.texts()?.iter().filter_map(|key| keys::tag_of_index(key)).collect();
        Ok((next, tags))
    }

    async fn walk(&self, limit: usize) -> Result<Vec<Session>, StateError> {
        let deadline = Instant::now() + WALK;
        let nodes = if self.clustered {
            self.sessions.run(TRY, |wire| async move { Ok(wire.nodes()) }).await?.into_iter().map(Some).collect()
        } else {
            vec![None]
        };
        let mut found = Vec::new();
        for node in nodes {
            let mut cursor = "0".to_owned();
            loop {
                let (next, tags) = self.page(node.clone(), &cursor).await?;
                for tag in tags {
                    found.extend(self.list(tag, None).await?);
                    if found.len() >= limit || Instant::now() >= deadline {
                        found.truncate(limit);
                        return Ok(found);
                    }
                }
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl Lookups for RedisState {
    async fn standing(&self, question: &Question) -> Result<Standing, StateError> {
        self.observer.watch(Op::Standing, lookups::standing(&self.lookups, question)).await
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
                let mut answer = self.step(&self.scripts.open, new.sid.tag(), args, deadline).await?;
                if answer.status == "full" {
                    return Ok(Opened::LimitReached);
                }
                let session = Box::new(answer.rest.session()?);
                let evicted = answer.rest.array()?.texts()?;
                let evicted: Vec<SessionId> = evicted.iter().filter_map(|sid| sid.parse().ok()).collect();
                if !evicted.is_empty() {
                    self.confirm(Some(new.sid.tag()), deadline).await?;
                }
                Ok(Opened::Session { session, evicted })
            })
            .await
    }

    async fn rotate(
        &self,
        sid: &SessionId,
        shown: Generation,
        salt: &Digest,
        rules: &SessionRules,
    ) -> Result<Rotation, StateError> {
        self.observer
            .watch(Op::Rotate, async {
                let deadline = deadline();
                // Names this call in the store, so that the call sent again is known as itself, not as a replay.
                let attempt = base64url(&random_bytes::<9>());
                let args = vec![
                    sid.to_string().into(),
                    salt.to_string().into(),
                    shown.0.into(),
                    millis(rules.grace),
                    millis(rules.idle),
                    attempt.into(),
                ];
                let mut answer = self.step(&self.scripts.rotate, sid.tag(), args, deadline).await?;
                Ok(match answer.status.as_str() {
                    "rotated" => Rotation::Rotated(answer.rest.session()?),
                    "repeated" => Rotation::Repeated(answer.rest.session()?),
                    "caught_up" => Rotation::CaughtUp(answer.rest.session()?),
                    "lost" => Rotation::Lost,
                    "unknown" => Rotation::Unknown,
                    "reused" => {
                        self.confirm(Some(sid.tag()), deadline).await?;
                        Rotation::Reused
                    }
                    _ => return Err(StateError::Corrupt("a rotation of no kind known here".into())),
                })
            })
            .await
    }

    async fn end(&self, sid: &SessionId, _cause: Cause) -> Result<bool, StateError> {
        self.observer.watch(Op::End, self.end_with(sid, String::new())).await
    }

    async fn end_with_salt(&self, sid: &SessionId, salt: &Digest, _cause: Cause) -> Result<bool, StateError> {
        self.observer.watch(Op::End, self.end_with(sid, salt.to_string())).await
    }

    async fn end_subject(&self, tag: SubjectTag, _cause: Cause, remember: Duration) -> Result<u64, StateError> {
        self.observer
            .watch(Op::EndSubject, async {
                let deadline = deadline();
                let args = vec![tag.to_string().into(), millis(remember)];
                let mut answer = self.step(&self.scripts.end_subject, tag, args, deadline).await?;
                self.confirm(Some(tag), deadline).await?;
                answer.rest.unsigned()
            })
            .await
    }

    async fn deny_token(&self, tag: SubjectTag, jti: &TokenId, until: Timestamp) -> Result<(), StateError> {
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
                self.step(&self.scripts.deny, tag, args, deadline).await?;
                self.confirm(Some(tag), deadline).await
            })
            .await
    }

    async fn announce(&self, entry: &Entry) -> Result<(), StateError> {
        self.observer
            .watch(Op::Announce, async {
                let deadline = deadline();
                self.tell(entry, deadline).await?;
                self.confirm(None, deadline).await
            })
            .await
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

const DENIED_LONGER: Duration = Duration::from_secs(120);

fn deadline() -> Instant {
    Instant::now() + IN_ALL
}

/// Tries of one step, until it is answered or the time is over.
struct Tries {
    deadline: Instant,
}

impl Tries {
    const fn until(deadline: Instant) -> Self {
        Self { deadline }
    }

    /// How long the next try may take.
    fn budget(&self) -> Duration {
        TRY.min(self.deadline.saturating_duration_since(Instant::now()))
    }

    /// The answer, if it is one or there is no time for another try; otherwise a pause before the next.
    async fn settle<T>(&self, answer: Result<T, StateError>) -> Option<Result<T, StateError>> {
        let again =
            matches!(answer, Err(StateError::TimedOut(_) | StateError::Unreachable(_) | StateError::Refused(_)));
        if !again || Instant::now() + PAUSE + TRY > self.deadline {
            return Some(answer);
        }
        tokio::time::sleep(PAUSE).await;
        None
    }
}

fn millis(span: Duration) -> Value {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).into()
}
