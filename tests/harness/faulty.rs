//! A real token store behind a switch: it can be away, or panic. It counts what it was asked.

#![allow(dead_code, unreachable_pub, reason = "shared by test binaries, each of which uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use doorward::clock::{Millis, Timestamp};
use doorward::secret::Digest;
use doorward::state::{
    Cause, Entry, LogBatch, Lookups, Mark, NewSession, Opened, Position, Question, Rotation, Session, SessionRules,
    Sessions, Standing, StateError, StoreHealth, Written,
};
use doorward::token::refresh::Manner;
use doorward::token::{Generation, SessionId, SubjectTag, TokenId};

pub struct Faulty {
    inner: Arc<dyn Sessions>,
    mood: AtomicU8,
    asked: AtomicUsize,
}

#[derive(Clone, Copy)]
pub enum Mood {
    Well,
    Away,
    /// Does what it is asked, but its answer is lost.
    Mute,
    Panicking,
    /// Does what it is asked, but no replica confirms an end.
    Alone,
    /// Keeps whoever asks waiting until its mood changes.
    Hanging,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Sessions>) -> Self {
        Self { inner, mood: AtomicU8::new(Mood::Well as u8), asked: AtomicUsize::new(0) }
    }

    pub fn be(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn pass<T>(&self, call: impl Future<Output = Result<T, StateError>> + Send) -> Result<T, StateError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mood = self.mood.load(Ordering::SeqCst);
        assert_ne!(mood, Mood::Panicking as u8, "the store was told to panic");
        if mood == Mood::Away as u8 {
            return Err(StateError::Unreachable("told to be away".into()));
        }
        while self.mood.load(Ordering::SeqCst) == Mood::Hanging as u8 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let answer = call.await;
        if mood == Mood::Mute as u8 { Err(StateError::TimedOut(Duration::from_secs(1))) } else { answer }
    }

    async fn written<T>(
        &self,
        call: impl Future<Output = Result<Written<T>, StateError>> + Send,
    ) -> Result<Written<T>, StateError> {
        let Written { done, confirmed } = self.pass(call).await?;
        let alone = self.mood.load(Ordering::SeqCst) == Mood::Alone as u8;
        let confirmed = if alone { Err(StateError::NotReplicated { seen: 0, wanted: 1 }) } else { confirmed };
        Ok(Written { done, confirmed })
    }
}

#[async_trait]
impl Lookups for Faulty {
    async fn standing(&self, question: &Question) -> Result<Standing, StateError> {
        self.pass(self.inner.standing(question)).await
    }
    async fn read_log(&self, after: Option<&Position>, wait: Duration) -> Result<LogBatch, StateError> {
        self.pass(self.inner.read_log(after, wait)).await
    }
    async fn touch(&self, seen: &[(SessionId, Millis)], idle: Duration) -> Result<(), StateError> {
        self.pass(self.inner.touch(seen, idle)).await
    }
    async fn health(&self) -> Result<StoreHealth, StateError> {
        self.pass(self.inner.health()).await
    }
}

#[async_trait]
impl Sessions for Faulty {
    async fn open(&self, new: &NewSession, rules: &SessionRules) -> Result<Opened, StateError> {
        self.pass(self.inner.open(new, rules)).await
    }
    async fn refresh(
        &self,
        sid: &SessionId,
        shown: Generation,
        salt: &Digest,
        manner: Manner,
        rules: &SessionRules,
    ) -> Result<Rotation, StateError> {
        self.pass(self.inner.refresh(sid, shown, salt, manner, rules)).await
    }
    async fn end(&self, sid: &SessionId, cause: Cause) -> Result<Written<bool>, StateError> {
        self.written(self.inner.end(sid, cause)).await
    }
    async fn end_with_salt(
        &self,
        sid: &SessionId,
        salt: &Digest,
        cause: Cause,
    ) -> Result<Written<Option<String>>, StateError> {
        self.written(self.inner.end_with_salt(sid, salt, cause)).await
    }
    async fn end_subject(&self, tag: SubjectTag, cause: Cause, remember: Duration) -> Result<Written<u64>, StateError> {
        self.written(self.inner.end_subject(tag, cause, remember)).await
    }
    async fn end_everyone(&self) -> Result<Written<Mark>, StateError> {
        self.written(self.inner.end_everyone()).await
    }
    async fn mark(&self) -> Result<Mark, StateError> {
        self.pass(self.inner.mark()).await
    }
    async fn outdate(&self, tag: SubjectTag) -> Result<Written<()>, StateError> {
        self.written(self.inner.outdate(tag)).await
    }
    async fn deny_token(&self, tag: SubjectTag, jti: &TokenId, until: Timestamp) -> Result<Written<()>, StateError> {
        self.written(self.inner.deny_token(tag, jti, until)).await
    }
    async fn announce(&self, entry: &Entry) -> Result<Written<()>, StateError> {
        self.written(self.inner.announce(entry)).await
    }
    async fn session(&self, sid: &SessionId) -> Result<Option<Session>, StateError> {
        self.pass(self.inner.session(sid)).await
    }
    async fn sessions_of(&self, tag: SubjectTag) -> Result<Vec<Session>, StateError> {
        self.pass(self.inner.sessions_of(tag)).await
    }
    async fn all_sessions(&self, limit: usize) -> Result<Vec<Session>, StateError> {
        self.pass(self.inner.all_sessions(limit)).await
    }
}
