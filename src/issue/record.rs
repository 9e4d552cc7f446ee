//! What is remembered of sessions and events in the users' database, beside the log: for a user's history of sessions, and
//! for administrators. Written by a task of its own, in batches: no answer waits for it, and no check writes anything.
//!
//! The audit log is the record; where the database is away for long, what no longer fits the queue is missing here only.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::audit::Event;
use crate::clock::Millis;
use crate::issue::Call;
use crate::state::{Cause, Device, Session};
use crate::token::{HolderKind, SessionId};
use crate::users::audit_tail::{AuditTail, NewLine};
use crate::users::history::{History, OpenedSession};
use crate::users::{UserError, UserId};

/// How much may wait, and how much is written at a time.
const QUEUE: usize = 8192;
const BATCH: usize = 1024;

/// What comes so soon after the first is written together with it: for the database a lone event is as much work as a hundred.
const GATHERING: Duration = Duration::from_millis(200);

/// An end is written once more after this long where its session was not known: another node opened it a moment ago and
/// gathers still.
const AGAIN: Duration = Duration::from_secs(1);

/// The way in, for the issuer and for commands that end sessions; without a writer behind it nothing is remembered.
#[derive(Clone, Debug, Default)]
pub struct Records(Option<Way>);

#[derive(Clone, Debug)]
struct Way {
    queue: mpsc::Sender<Record>,
    missed: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Record {
    Event(NewLine),
    Session(Change),
}

/// What a session's history is to tell.
#[derive(Debug)]
enum Change {
    Opened { sid: SessionId, user: UserId, created: Millis, ends: Millis, device: Device },
    Seen(SessionId, Millis),
    Ended(SessionId, Cause),
    AllEnded(UserId, Cause),
}

/// Writes what comes by [`Records`].
pub struct Writer {
    queue: mpsc::Receiver<Record>,
    missed: Arc<AtomicU64>,
    history: Arc<dyn History>,
    tail: Arc<dyn AuditTail>,
    early: VecDeque<Early>,
}

/// Ends of sessions that were not all known, to be written again. Plain sessions never are.
struct Early {
    due: Instant,
    sids: Vec<SessionId>,
    cause: Cause,
}

impl Records {
    pub fn new(history: Arc<dyn History>, tail: Arc<dyn AuditTail>) -> (Self, Writer) {
        let (give, take) = mpsc::channel(QUEUE);
        let missed = Arc::new(AtomicU64::new(0));
        let way = Way { queue: give, missed: Arc::clone(&missed) };
        (Self(Some(way)), Writer { queue: take, missed, history, tail, early: VecDeque::new() })
    }

    pub(crate) fn event(
        &self,
        event: Event,
        call: &Call,
        subject: Option<&str>,
        sid: Option<&SessionId>,
        outcome: &str,
    ) {
        self.put(|| {
            Record::Event(NewLine {
                kind: event.name().into(),
                user: subject.unwrap_or_default().into(),
                sid: sid.map(SessionId::to_string).unwrap_or_default(),
                client: call.client,
                request_id: call.request_id.to_string(),
                outcome: outcome.into(),
            })
        });
    }

    /// Plain sessions belong to no account, so there is nobody to remember them for.
    pub(super) fn opened(&self, session: &Session) {
        let user = UserId::new(&session.holder.subject).filter(|_| session.holder.kind == HolderKind::Account);
        let Some(user) = user else { return };
        let Session { sid, created, ends, .. } = *session;
        self.put(|| Record::Session(Change::Opened { sid, user, created, ends, device: session.device.clone() }));
    }

    pub(super) fn seen(&self, session: &Session) {
        if session.holder.kind == HolderKind::Account {
            self.put(|| Record::Session(Change::Seen(session.sid, session.last_seen)));
        }
    }

    pub(crate) fn ended(&self, sid: &SessionId, cause: Cause) {
        self.put(|| Record::Session(Change::Ended(*sid, cause)));
    }

    pub(crate) fn all_ended(&self, subject: &str, cause: Cause) {
        if let Some(user) = UserId::new(subject) {
            self.put(|| Record::Session(Change::AllEnded(user, cause)));
        }
    }

    fn put(&self, record: impl FnOnce() -> Record) {
        let Some(way) = &self.0 else { return };
        if way.queue.try_send(record()).is_err() {
            way.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Writer {
    /// Until `shutdown`, and then what is still waiting.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut batch = Vec::new();
        while let Some(true) = shutdown.run_until_cancelled(self.gather(&mut batch)).await {
            self.write(&mut batch).await;
        }
        self.queue.close();
        while !batch.is_empty() || self.queue.recv_many(&mut batch, BATCH).await > 0 {
            self.write(&mut batch).await;
        }
        self.write_again(|_| true).await;
    }

    /// What is to be written together; false where nothing will come any more. Given up midway, it leaves in `batch` what it has.
    async fn gather(&mut self, batch: &mut Vec<Record>) -> bool {
        let come = self.queue.recv_many(batch, BATCH);
        let count = match self.early.front() {
            None => come.await,
            Some(early) => match timeout_at(early.due, come).await {
                Ok(count) => count,
                Err(_) => return true,
            },
        };
        if count < BATCH {
            sleep(GATHERING).await;
        }
        while batch.len() < BATCH
            && let Ok(record) = self.queue.try_recv()
        {
            batch.push(record);
        }
        count > 0
    }

    async fn write(&mut self, batch: &mut Vec<Record>) {
        let now = Instant::now();
        self.write_again(|early| early.due <= now).await;
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            tracing::warn!(missed, "the users' database was too slow: these events stand in the log only");
        }
        let (mut lines, mut changes) = (Vec::new(), Vec::new());
        for record in batch.drain(..) {
            match record {
                Record::Event(line) => lines.push(line),
                Record::Session(change) => changes.push(change),
            }
        }
        let mut changes = changes.into_iter().peekable();
        while let Some(change) = changes.next() {
            tell(match change {
                Change::Opened { sid, user, created, ends, device } => {
                    self.history.opened(&OpenedSession { sid, user: &user, created, ends, device: &device }).await
                }
                Change::Seen(sid, at) => self.history.seen(&sid, at).await,
                Change::Ended(sid, cause) => {
                    let mut sids = vec![sid];
                    while let Some(Change::Ended(sid, _)) =
                        changes.next_if(|next| matches!(next, Change::Ended(_, same) if *same == cause))
                    {
                        sids.push(sid);
                    }
                    let news = self.history.ended(&sids, cause).await;
                    if news.as_ref().is_ok_and(|news| *news < sids.len() as u64) {
                        self.early.push_back(Early { due: now + AGAIN, sids, cause });
                    }
                    news.map(drop)
                }
                Change::AllEnded(user, cause) => self.history.all_ended(&user, None, cause).await,
            });
        }
        if !lines.is_empty() {
            tell(self.tail.note(&lines).await);
        }
    }

    async fn write_again(&mut self, is_due: impl Fn(&Early) -> bool) {
        while let Some(Early { sids, cause, .. }) = self.early.pop_front_if(|early| is_due(early)) {
            tell(self.history.ended(&sids, cause).await.map(drop));
        }
    }
}

fn tell(written: Result<(), UserError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "an event stands in the log only");
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::database::{self, Settings};
    use crate::token::SubjectTag;
    use crate::users::sql::SqlUsers;

    struct Bench {
        users: Arc<SqlUsers>,
        records: Records,
        writer: Writer,
        sid: SessionId,
    }

    async fn bench() -> Bench {
        let settings = Settings { url: "sqlite::memory:".into(), ..Settings::default() };
        let database = database::open(&settings, Arc::new(SystemClock)).await.expect("a database");
        let users = Arc::new(SqlUsers::new(database));
        let (records, writer) = Records::new(users.clone(), users.clone());
        Bench { users, records, writer, sid: SessionId::fresh(SubjectTag::of("issuer", "alice")) }
    }

    // A pause before each would let so many through in a second, and lose the rest.
    #[tokio::test]
    async fn a_full_batch_waits_for_nothing_and_a_small_one_for_company() {
        let Bench { records, mut writer, sid, .. } = bench().await;
        for _ in 0..=BATCH {
            records.ended(&sid, Cause::Logout);
        }
        for (expected, ready) in [(BATCH, true), (1, false)] {
            let mut batch = Vec::new();
            let mut gathering = Box::pin(writer.gather(&mut batch));
            let gathered = poll_fn(|cx| Poll::Ready(gathering.as_mut().poll(cx).is_ready())).await;
            drop(gathering);
            assert_eq!((batch.len(), gathered), (expected, ready));
        }
    }

    #[tokio::test]
    async fn an_end_that_is_written_before_another_node_has_written_the_beginning_is_not_lost() {
        let Bench { users, mut writer, sid, .. } = bench().await;
        writer.write(&mut vec![Record::Session(Change::Ended(sid, Cause::Logout))]).await;
        let (user, created) = (UserId::fresh(), SystemClock.now_millis());
        let (ends, device) = (created.plus(AGAIN * 60), Device::default());
        users.opened(&OpenedSession { sid, user: &user, created, ends, device: &device }).await.expect("written");
        let stop = CancellationToken::new();
        stop.cancel();
        writer.run(stop).await;
        let past = users.of_user(&user, 1).await.expect("read");
        assert_eq!(past[0].ended.as_ref().map(|(_, cause)| cause.as_str()), Some("logout"));
    }
}
