//! Steps that change something: sent again until they are answered (each may be, SEC-R4), told to the log, and seen by as
//! many replicas as configured.

use std::time::Duration;

use fred::types::Value;
use tokio::time::Instant;

use super::super::record::entry_parts;
use super::super::{Entry, StateError};
use super::RedisState;
use super::codec::Reply;
use super::keys::{self, LOG, LOG_LENGTH, LOG_NUDGE, slot};
use super::link::Link;
use super::lookups::pipelined;
use super::scripts::{Answer, Home, Script};
use crate::token::SubjectTag;

/// One try of a step, and all tries of it together.
pub(super) const TRY: Duration = Duration::from_millis(250);
const IN_ALL: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);

/// How long the replicas get to see a change. Redis notices that this is over up to 100 ms late.
const REPLICATION: Duration = Duration::from_millis(500);
const WAIT_IS_LATE: Duration = Duration::from_millis(200);

/// By when a step that begins now has to be answered.
pub(super) fn deadline() -> Instant {
    Instant::now() + IN_ALL
}

impl RedisState {
    /// Runs a script until it is answered, within one second, then pays what it left owing to the log.
    pub(super) async fn step(
        &self,
        script: &Script,
        home: impl Into<Home>,
        args: Vec<Value>,
        deadline: Instant,
    ) -> Result<Answer, StateError> {
        let home = home.into();
        let answer = self.ask(script, home, args, deadline).await?;
        self.settle_debt(&answer, home, deadline).await?;
        Ok(answer)
    }

    /// Like [`Self::ask`], for a step that must have no effect once nobody waits for it: each try tells the store until when
    /// it counts. That nobody knows is told only when no copy that is still on its way can count: its caller may ask elsewhere
    /// at once, and go on from there, and the copy would then look like a replay.
    pub(super) async fn ask_in_time(
        &self,
        script: &Script,
        home: impl Into<Home>,
        args: Vec<Value>,
        deadline: Instant,
    ) -> Result<Answer, StateError> {
        let (tries, home) = (Tries::until(deadline), home.into());
        let mut over = deadline;
        loop {
            let asked = Instant::now();
            let (by, over_at) = self.store_time.until(deadline);
            over = over.max(over_at);
            let mut dated = args.clone();
            dated.push(i64::try_from(by.0).unwrap_or(i64::MAX).into());
            let answer = self.scripts.run(&self.sessions, tries.budget(), script, home, dated).await;
            if let Ok(answer) = &answer {
                self.store_time.learn(answer.now, asked, Instant::now());
                // Too late for a try that is answered at once means that the store's clock is not where we took it to be.
                if answer.status == "late" && Instant::now() < deadline {
                    continue;
                }
            }
            let settled = match answer {
                Ok(answer) if answer.status == "late" => Some(Err(StateError::TimedOut(IN_ALL))),
                answer => tries.settle(answer).await,
            };
            if let Some(answer) = settled {
                if answer.is_err() {
                    tokio::time::sleep_until(over).await;
                }
                return answer;
            }
        }
    }

    /// Runs a script until it is answered. The caller settles what it left owing.
    pub(super) async fn ask(
        &self,
        script: &Script,
        home: impl Into<Home>,
        args: Vec<Value>,
        deadline: Instant,
    ) -> Result<Answer, StateError> {
        let (tries, home) = (Tries::until(deadline), home.into());
        loop {
            let answer = self.scripts.run(&self.sessions, tries.budget(), script, home, args.clone()).await;
            if let Some(answer) = tries.settle(answer).await {
                return answer;
            }
        }
    }

    /// After a step that ended something: pays what it left owing, and waits for the replicas. An error means that a
    /// failover may undo what was written.
    pub(super) async fn settle(
        &self,
        answer: &Answer,
        home: impl Into<Home>,
        deadline: Instant,
    ) -> Result<(), StateError> {
        let home = home.into();
        self.settle_debt(answer, home, deadline).await?;
        self.confirm(home.subject(), deadline).await
    }

    pub(super) async fn settle_debt(
        &self,
        answer: &Answer,
        home: impl Into<Home>,
        deadline: Instant,
    ) -> Result<(), StateError> {
        match home.into().subject() {
            Some(tag) if answer.owed => self.debts.pay(&self.sessions, tag, deadline).await,
            _ => Ok(()),
        }
    }

    /// `Ok` when as many replicas as configured have seen everything that was written so far to the subject's server, and
    /// to the log's. A small write before `WAIT` makes it wait also for what other connections wrote: so a repeated logout,
    /// which changes nothing, confirms the first one.
    pub(super) async fn confirm(&self, tag: Option<SubjectTag>, deadline: Instant) -> Result<(), StateError> {
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
        let mut answers = Reply::new(answers)?;
        answers.next()?;
        let seen = u32::try_from(answers.unsigned()?).unwrap_or(u32::MAX);
        if seen < self.wait_replicas {
            return Err(StateError::NotReplicated { seen, wanted: self.wait_replicas });
        }
        Ok(())
    }
}

/// Writes the log. Twice does no harm: readers forget twice.
pub(super) async fn tell(link: &Link, entry: &Entry, deadline: Instant) -> Result<(), StateError> {
    let (kind, name) = entry_parts(entry);
    let args: Vec<String> = [LOG, "MAXLEN", "~", &LOG_LENGTH.to_string(), "*", kind, &name].map(str::to_owned).into();
    command(link, "XADD", args, deadline).await
}

pub(super) async fn command(
    link: &Link,
    name: &'static str,
    args: Vec<String>,
    deadline: Instant,
) -> Result<(), StateError> {
    let command = [(name, args)];
    let tries = Tries::until(deadline);
    loop {
        let answer = pipelined(link, tries.budget(), &command).await;
        if let Some(answer) = tries.settle(answer).await {
            return answer.map(drop);
        }
    }
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
