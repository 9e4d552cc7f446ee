//! Token state in the SQL database. `app` makes it; `check` and `issue` use it through the traits. The same promises as in
//! Redis: each step is one transaction, and what ends something writes the revocation log in that same transaction.

mod log;
mod session;
mod subject;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Transaction;
use tokio::sync::{Mutex, MutexGuard, Notify};

use super::observe::{Observer, Op};
use super::{
    Cause, Entry, LogBatch, Lookups, NewSession, Opened, Position, Question, Rotation, Session, SessionRules, Sessions,
    Standing, StateError, StoreHealth, Written,
};
use crate::clock::{Clock, Millis, Timestamp};
use crate::database::{self, DatabaseError, Engine, Pool};
use crate::metrics::Metrics;
use crate::secret::Digest;
use crate::token::{Generation, SessionId, SubjectTag, TokenId};

/// How long a question of the check plane, and any other step, may take.
const LOOKUP_BUDGET: Duration = Duration::from_millis(100);
const STEP_BUDGET: Duration = Duration::from_secs(1);

/// How often rows that died of age are removed. They count for nothing before that.
const PURGE_EVERY: Duration = Duration::from_secs(60);

type Change = Transaction<'static, Engine>;

/// Token state in the SQL database. Its clock is this machine's: an embedded database has no other.
pub struct SqlState {
    pool: Pool,
    /// Writers take turns here, in order; SQLite would let them collide and sleep.
    writer: Mutex<()>,
    /// Wakes readers of the log in this process.
    written: Notify,
    purged: AtomicU64,
    clock: Arc<dyn Clock>,
    observer: Observer,
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqlState")
    }
}

impl SqlState {
    /// Opens the database of these settings and keeps token state in it.
    pub async fn open(
        settings: &database::Settings,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, DatabaseError> {
        Self::new(database::open(settings).await?, clock, metrics).await.map_err(DatabaseError::Open)
    }

    /// Keeps token state in a database that is open already.
    pub async fn new(pool: Pool, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Result<Self, sqlx::Error> {
        let mut change = begin(&pool).await?;
        log::begin_store(&mut change, clock.now_millis()).await?;
        change.commit().await?;
        let observer = Observer::new(metrics);
        Ok(Self { pool, writer: Mutex::new(()), written: Notify::new(), purged: AtomicU64::new(0), clock, observer })
    }

    /// Begins a step: one transaction that nobody else can write beside.
    async fn step(&self) -> Result<Step<'_>, StateError> {
        let turn = self.writer.lock().await;
        let change = begin(&self.pool).await?;
        Ok(Step { state: self, change, now: self.clock.now_millis(), _turn: turn })
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
}

/// A step in progress. Dropped without `commit`, it is rolled back: also when its time is over.
struct Step<'a> {
    state: &'a SqlState,
    change: Change,
    now: Millis,
    _turn: MutexGuard<'a, ()>,
}

impl Step<'_> {
    async fn commit(mut self) -> Result<(), StateError> {
        let due = self.state.purged.load(Ordering::Relaxed) + PURGE_EVERY.as_millis() as u64;
        if self.now.0 >= due {
            session::purge(&mut self.change, self.now).await?;
            subject::purge(&mut self.change, self.now).await?;
            log::purge(&mut self.change, self.now).await?;
            self.state.purged.store(self.now.0, Ordering::Relaxed);
        }
        self.change.commit().await?;
        self.state.written.notify_waiters();
        Ok(())
    }
}

/// A transaction that has the write lock from its first moment: one that read first and wrote later could be refused in the
/// middle.
async fn begin(pool: &Pool) -> Result<Change, sqlx::Error> {
    pool.begin_with("BEGIN IMMEDIATE").await
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::TimedOut(STEP_BUDGET),
            sqlx::Error::Database(error) => Self::Refused(error.message().to_owned()),
            sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unreachable(error.to_string())
            }
            _ => Self::Corrupt(error.to_string()),
        }
    }
}

#[async_trait]
impl Lookups for SqlState {
    async fn standing(&self, question: &Question) -> Result<Standing, StateError> {
        let now = self.clock.now_millis();
        self.watch(Op::Standing, LOOKUP_BUDGET, async {
            match question {
                Question::Own { sid, jti, epoch } => session::standing(&self.pool, sid, jti, *epoch, now).await,
                Question::Foreign { tag, jti, issued } => {
                    subject::standing(&self.pool, *tag, jti.as_ref(), *issued, now).await
                }
            }
        })
        .await
    }

    async fn read_log(&self, after: Option<&Position>, wait: Duration) -> Result<LogBatch, StateError> {
        self.watch(Op::ReadLog, wait + STEP_BUDGET, log::read(&self.pool, &self.written, after, wait)).await
    }

    async fn touch(&self, seen: &[(SessionId, Millis)], idle: Duration) -> Result<(), StateError> {
        self.watch(Op::Touch, STEP_BUDGET, async {
            let mut step = self.step().await?;
            for (sid, at) in seen {
                session::touch(&mut step, sid, *at, idle).await?;
            }
            step.commit().await
        })
        .await
    }

    async fn health(&self) -> Result<StoreHealth, StateError> {
        self.watch(Op::Health, LOOKUP_BUDGET, async {
            let _: i64 = sqlx::query_scalar("SELECT 1").fetch_one(&self.pool).await?;
            Ok(StoreHealth::default())
        })
        .await
    }
}

#[async_trait]
impl Sessions for SqlState {
    async fn open(&self, new: &NewSession, rules: &SessionRules) -> Result<Opened, StateError> {
        self.watch(Op::Open, STEP_BUDGET, async {
            let mut step = self.step().await?;
            let opened = session::open(&mut step, new, rules).await?;
            step.commit().await?;
            Ok(opened)
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
        self.watch(Op::Rotate, STEP_BUDGET, async {
            let mut step = self.step().await?;
            let rotation = session::rotate(&mut step, sid, shown, salt, rules).await?;
            step.commit().await?;
            Ok(rotation)
        })
        .await
    }

    async fn end(&self, sid: &SessionId, _cause: Cause) -> Result<Written<bool>, StateError> {
        self.watch(Op::End, STEP_BUDGET, async {
            let mut step = self.step().await?;
            let ended = session::end(&mut step, sid).await?;
            step.commit().await?;
            Ok(committed(ended))
        })
        .await
    }

    async fn end_with_salt(
        &self,
        sid: &SessionId,
        salt: &Digest,
        _cause: Cause,
    ) -> Result<Written<Option<String>>, StateError> {
        self.watch(Op::End, STEP_BUDGET, async {
            let mut step = self.step().await?;
            let subject = session::subject_by_salt(&mut step, sid, salt).await?;
            let ended = subject.is_some() && session::end(&mut step, sid).await?;
            step.commit().await?;
            Ok(committed(subject.filter(|_| ended)))
        })
        .await
    }

    async fn end_subject(
        &self,
        tag: SubjectTag,
        _cause: Cause,
        remember: Duration,
    ) -> Result<Written<u64>, StateError> {
        self.watch(Op::EndSubject, STEP_BUDGET, async {
            let mut step = self.step().await?;
            let ended = session::end_all(&mut step, tag).await?;
            subject::raise_epoch(&mut step, tag, remember).await?;
            log::write(&mut step, &Entry::Subject(tag)).await?;
            step.commit().await?;
            Ok(committed(ended))
        })
        .await
    }

    async fn outdate(&self, tag: SubjectTag) -> Result<Written<()>, StateError> {
        self.watch(Op::Outdate, STEP_BUDGET, async {
            let mut step = self.step().await?;
            subject::raise_epoch(&mut step, tag, Duration::ZERO).await?;
            log::write(&mut step, &Entry::Subject(tag)).await?;
            step.commit().await.map(committed)
        })
        .await
    }

    async fn deny_token(&self, tag: SubjectTag, jti: &TokenId, until: Timestamp) -> Result<Written<()>, StateError> {
        self.watch(Op::DenyToken, STEP_BUDGET, async {
            let mut step = self.step().await?;
            subject::deny_token(&mut step, tag, jti, until).await?;
            log::write(&mut step, &Entry::Subject(tag)).await?;
            step.commit().await.map(committed)
        })
        .await
    }

    async fn announce(&self, entry: &Entry) -> Result<Written<()>, StateError> {
        self.watch(Op::Announce, STEP_BUDGET, async {
            let mut step = self.step().await?;
            log::write(&mut step, entry).await?;
            step.commit().await.map(committed)
        })
        .await
    }

    async fn session(&self, sid: &SessionId) -> Result<Option<Session>, StateError> {
        let now = self.clock.now_millis();
        self.watch(Op::List, STEP_BUDGET, session::find(&self.pool, sid, now)).await
    }

    async fn sessions_of(&self, tag: SubjectTag) -> Result<Vec<Session>, StateError> {
        let now = self.clock.now_millis();
        self.watch(Op::List, STEP_BUDGET, session::of_subject(&self.pool, tag, now)).await
    }

    async fn all_sessions(&self, limit: usize) -> Result<Vec<Session>, StateError> {
        let now = self.clock.now_millis();
        self.watch(Op::List, STEP_BUDGET, session::all(&self.pool, limit, now)).await
    }
}

/// A commit is all there is to wait for: there are no replicas.
const fn committed<T>(done: T) -> Written<T> {
    Written { done, confirmed: Ok(()) }
}

/// SQL has no unsigned numbers; moments and counters are far from the limit.
const fn signed(number: u64) -> i64 {
    if number > i64::MAX as u64 { i64::MAX } else { number as i64 }
}

fn unsigned(number: i64) -> Result<u64, StateError> {
    number.try_into().map_err(|_| StateError::Corrupt("a number below zero".into()))
}
