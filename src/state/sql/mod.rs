//! Token state in the SQL database. `app` makes it; `check` and `issue` use it through the traits. The same promises as in
//! Redis: each step is one transaction, and what ends something writes the revocation log in that same transaction.
//!
//! Several nodes may share a database. The steps of one subject come one after another, since each first locks the subject's
//! row; all steps take their locks in one order (the subject, its sessions, the log), so that none waits for another in a circle.

mod counters;
mod follow;
mod log;
mod mark;
mod session;
mod step;
mod subject;
mod turns;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use follow::Following;
pub use follow::LOOK_EVERY;
use step::{Committed, Lock, Step};
use turns::Turns;

use super::observe::{Observer, Op};
use super::{
    Cause, Entry, LogBatch, Lookups, Mark, NewSession, Opened, Position, Question, Rotation, Session, SessionRules,
    Sessions, Standing, StateError, StoreHealth, Written,
};
use crate::clock::{Clock, Millis, SystemClock, Timestamp};
use crate::database::{self, Database, DatabaseError, Engine};
use crate::metrics::Metrics;
use crate::secret::Digest;
use crate::token::refresh::Manner;
use crate::token::{Generation, SessionId, SubjectTag, TokenId};

/// How long a question of the check plane, and any other step, may take.
const LOOKUP_BUDGET: Duration = Duration::from_millis(100);
const STEP_BUDGET: Duration = Duration::from_secs(1);

/// On a server, where the steps of one subject wait for each other over some round trips each.
const STEP_BUDGET_OVER_THE_NETWORK: Duration = Duration::from_secs(2);

/// How often rows that died of age are removed. They count for nothing before that.
const PURGE_EVERY: Duration = Duration::from_secs(60);

/// Sessions touched in one step: each is locked until that step ends.
const TOUCHED_AT_ONCE: usize = 50;

/// Token state in the SQL database. Its clock is the database's; an embedded one has this machine's.
pub struct SqlState {
    database: Database,
    following: Following,
    turns: Turns,
    purged: AtomicU64,
    observer: Observer,
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqlState").field(&self.database).finish()
    }
}

impl SqlState {
    /// Opens the database of these settings and keeps token state in it.
    pub async fn open(
        settings: &database::Settings,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, DatabaseError> {
        Self::new(database::open(settings, clock).await?, metrics).await.map_err(DatabaseError::Open)
    }

    /// Keeps token state in a database that is open already.
    pub async fn new(database: Database, metrics: Arc<Metrics>) -> Result<Self, sqlx::Error> {
        log::begin_store(&database).await?;
        let following = Following::start(&database);
        Ok(Self {
            database,
            following,
            turns: Turns::default(),
            purged: AtomicU64::new(0),
            observer: Observer::new(metrics),
        })
    }

    async fn watch<T>(
        &self,
        op: Op,
        budget: Duration,
        work: impl Future<Output = Result<T, StateError>>,
    ) -> Result<T, StateError> {
        let bounded = async { tokio::time::timeout(budget, work).await.unwrap_or(Err(StateError::TimedOut(budget))) };
        self.observer.watch(op, bounded).await
    }

    /// Does one step. It is done again where the database gave it up for another's sake, which undid it.
    async fn step<T, W>(&self, op: Op, lock: Lock, work: impl Fn(Step) -> W + Send + Sync) -> Result<T, StateError>
    where
        W: Future<Output = Result<Committed<T>, StateError>> + Send,
        T: Send,
    {
        let tried = async {
            let _turn = self.turns.take(lock).await;
            loop {
                let tried = match Step::begin(&self.database, lock).await {
                    Ok(step) => work(step).await,
                    Err(error) => Err(error),
                };
                match tried {
                    Err(StateError::GivenUp) => tokio::time::sleep(Duration::from_millis(5)).await,
                    answer => return answer,
                }
            }
        };
        let Committed { done, at, told } = self.watch(op, self.step_budget(), tried).await?;
        if told {
            self.following.wake();
        }
        self.purge_when_due(at);
        Ok(done)
    }

    fn step_budget(&self) -> Duration {
        match self.database.engine() {
            Engine::Sqlite => STEP_BUDGET,
            Engine::Postgres | Engine::MySql => STEP_BUDGET_OVER_THE_NETWORK,
        }
    }

    /// Removes now and then what died of age, beside the work: each statement by itself, so that no lock is held for long.
    fn purge_when_due(&self, now: Millis) {
        let last = self.purged.load(Ordering::Relaxed);
        let due = now.0 >= last + PURGE_EVERY.as_millis() as u64;
        if due && self.purged.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let database = self.database.clone();
            tokio::spawn(async move {
                if let Err(error) = purge(&database, now).await {
                    tracing::debug!(%error, "what died of age could not be removed; the next try is in a minute");
                }
            });
        }
    }
}

async fn purge(database: &Database, now: Millis) -> Result<(), StateError> {
    session::purge(database, now).await?;
    subject::purge(database, now).await?;
    counters::purge(database, now).await?;
    log::purge(database, now).await
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        /// A deadlock, or a transaction that could not be put in order: PostgreSQL's and MySQL's SQLSTATEs.
        const UNDONE: [&str; 2] = ["40P01", "40001"];
        match error {
            sqlx::Error::PoolTimedOut => Self::TimedOut(STEP_BUDGET),
            sqlx::Error::Database(error) if error.code().is_some_and(|code| UNDONE.contains(&&*code)) => Self::GivenUp,
            sqlx::Error::Database(error) => Self::Refused(error.message().to_owned()),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unreachable(error.to_string())
            }
            _ => Self::Corrupt(error.to_string()),
        }
    }
}

#[async_trait]
impl Lookups for SqlState {
    async fn standing(&self, question: &Question) -> Result<Standing, StateError> {
        self.watch(Op::Standing, LOOKUP_BUDGET, async {
            match question {
                Question::Own { sid, jti, epoch } => session::standing(&self.database, sid, jti, *epoch).await,
                Question::Foreign { tag, jti, issued } => {
                    subject::standing(&self.database, *tag, jti.as_ref(), *issued).await
                }
            }
        })
        .await
    }

    async fn read_log(&self, after: Option<&Position>, wait: Duration) -> Result<LogBatch, StateError> {
        self.watch(Op::ReadLog, wait + STEP_BUDGET, log::read(&self.database, &self.following, after, wait)).await
    }

    async fn touch(&self, seen: &[(SessionId, Millis)], idle: Duration) -> Result<(), StateError> {
        let mut seen = seen.to_vec();
        // In one order everywhere: two nodes that touch the same sessions must not wait for each other.
        seen.sort_unstable();
        for some in seen.chunks(TOUCHED_AT_ONCE) {
            self.step(Op::Touch, Lock::Nothing, |mut step| async move {
                for (sid, at) in some {
                    session::touch(&mut step, sid, *at, idle).await?;
                }
                step.commit(()).await
            })
            .await?;
        }
        Ok(())
    }

    async fn health(&self) -> Result<StoreHealth, StateError> {
        self.watch(Op::Health, LOOKUP_BUDGET, async {
            let asked = SystemClock.now_millis();
            let theirs = self.database.now().await?;
            let here = (asked.0 + SystemClock.now_millis().0) / 2;
            Ok(StoreHealth { warnings: Vec::new(), clock_skew: (theirs.0 as f64 - here as f64) / 1000.0 })
        })
        .await
    }
}

#[async_trait]
impl Sessions for SqlState {
    async fn open(&self, new: &NewSession, rules: &SessionRules) -> Result<Opened, StateError> {
        let lock = Lock::NewSubject(new.sid.tag());
        self.step(Op::Open, lock, |mut step| async move {
            let opened = session::open(&mut step, new, rules).await?;
            step.commit(opened).await
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
        let lock = Lock::Subject(sid.tag());
        self.step(Op::Rotate, lock, |mut step| async move {
            let rotation = session::refresh(&mut step, sid, shown, salt, manner, rules).await?;
            step.commit(rotation).await
        })
        .await
    }

    async fn end(&self, sid: &SessionId, _cause: Cause) -> Result<Written<bool>, StateError> {
        let ended = self.step(Op::End, Lock::Subject(sid.tag()), |mut step| async move {
            let ended = session::end(&mut step, sid).await?;
            step.commit(ended).await
        });
        ended.await.map(committed)
    }

    async fn end_with_salt(
        &self,
        sid: &SessionId,
        salt: &Digest,
        _cause: Cause,
    ) -> Result<Written<Option<String>>, StateError> {
        let ended = self.step(Op::End, Lock::Subject(sid.tag()), |mut step| async move {
            let subject = session::subject_by_salt(&mut step, sid, salt).await?;
            let ended = subject.is_some() && session::end(&mut step, sid).await?;
            step.commit(subject.filter(|_| ended)).await
        });
        ended.await.map(committed)
    }

    async fn end_subject(
        &self,
        tag: SubjectTag,
        _cause: Cause,
        remember: Duration,
    ) -> Result<Written<u64>, StateError> {
        let ended = self.step(Op::EndSubject, Lock::NewSubject(tag), |mut step| async move {
            let ended = session::end_all(&mut step, tag).await?;
            subject::raise_epoch(&mut step, tag, remember).await?;
            step.tell(Entry::Subject(tag));
            step.commit(ended).await
        });
        ended.await.map(committed)
    }

    async fn end_everyone(&self) -> Result<Written<Mark>, StateError> {
        let raised = self.step(Op::EndEveryone, Lock::Nothing, |mut step| async move {
            let mark = mark::raise(&mut step).await?;
            step.commit(mark).await
        });
        raised.await.map(committed)
    }

    async fn mark(&self) -> Result<Mark, StateError> {
        self.watch(Op::List, STEP_BUDGET, mark::read(&self.database)).await
    }

    async fn outdate(&self, tag: SubjectTag) -> Result<Written<()>, StateError> {
        let outdated = self.step(Op::Outdate, Lock::NewSubject(tag), |mut step| async move {
            subject::raise_epoch(&mut step, tag, Duration::ZERO).await?;
            step.tell(Entry::Subject(tag));
            step.commit(()).await
        });
        outdated.await.map(committed)
    }

    async fn deny_token(&self, tag: SubjectTag, jti: &TokenId, until: Timestamp) -> Result<Written<()>, StateError> {
        let denied = self.step(Op::DenyToken, Lock::NewSubject(tag), |mut step| async move {
            subject::deny_token(&mut step, tag, jti, until).await?;
            step.tell(Entry::Subject(tag));
            step.commit(()).await
        });
        denied.await.map(committed)
    }

    async fn announce(&self, entry: &Entry) -> Result<Written<()>, StateError> {
        let told = self.step(Op::Announce, Lock::Nothing, |mut step| async move {
            step.tell(entry.clone());
            step.commit(()).await
        });
        told.await.map(committed)
    }

    async fn session(&self, sid: &SessionId) -> Result<Option<Session>, StateError> {
        self.watch(Op::List, STEP_BUDGET, session::find(&self.database, sid)).await
    }

    async fn sessions_of(&self, tag: SubjectTag) -> Result<Vec<Session>, StateError> {
        self.watch(Op::List, STEP_BUDGET, session::of_subject(&self.database, tag)).await
    }

    async fn all_sessions(&self, limit: usize) -> Result<Vec<Session>, StateError> {
        self.watch(Op::List, STEP_BUDGET, session::all(&self.database, limit)).await
    }
}

/// A commit is all there is to wait for: how many replicas it waits for is the database's own setting.
const fn committed<T>(done: T) -> Written<T> {
    Written { done, confirmed: Ok(()) }
}

fn unsigned(number: i64) -> Result<u64, StateError> {
    number.try_into().map_err(|_| StateError::Corrupt("a number below zero".into()))
}
