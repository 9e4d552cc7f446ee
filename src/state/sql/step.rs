//! One step: a transaction with the database's time, the subject it works on, and what it will tell the revocation log.

use super::super::{Entry, Mark, StateError};
use super::{log, unsigned};
use crate::clock::Millis;
use crate::database::{Change, Database, query};
use crate::token::SubjectTag;

/// Whose turn it must be before a step does anything.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lock {
    /// Nobody's: no session is opened, moved or ended.
    Nothing,
    /// This subject's, if it has a row; one without has no session.
    Subject(SubjectTag),
    /// This subject's, whose row is made where there is none. Its epoch then begins with this moment.
    NewSubject(SubjectTag),
}

/// What came of a step.
#[derive(Debug)]
pub(super) struct Committed<T> {
    pub done: T,
    pub at: Millis,
    /// Whether the log was told something.
    pub told: bool,
}

/// A step in progress. Dropped without `commit`, it is rolled back: also when its time is over.
#[derive(Debug)]
pub(super) struct Step {
    pub change: Change,
    /// The database's time, after the lock was waited for.
    pub now: Millis,
    /// The subject's epoch; 0 where it has no row, or none is locked.
    pub epoch: u64,
    /// Everyone's; 0 where no subject's row is locked.
    pub mark: Mark,
    /// Until when the subject's row is kept.
    pub kept_until: Millis,
    told: Vec<Entry>,
}

/// A subject's row, once it is ours, and when that was.
#[derive(sqlx::FromRow)]
struct Locked {
    epoch: i64,
    keep_until: i64,
    at: i64,
    mark: i64,
}

impl Step {
    pub(super) async fn begin(database: &Database, lock: Lock) -> Result<Self, StateError> {
        let mut change = database.begin().await?;
        let locked = match lock {
            Lock::Nothing => None,
            Lock::Subject(tag) => lock_row(&mut change, tag).await?,
            Lock::NewSubject(tag) => Some(lock_or_make_row(&mut change, tag).await?),
        };
        let told = Vec::new();
        Ok(match locked {
            Some(row) => Self {
                change,
                now: Millis(unsigned(row.at)?),
                epoch: unsigned(row.epoch)?,
                mark: Mark(unsigned(row.mark)?),
                kept_until: Millis(unsigned(row.keep_until)?),
                told,
            },
            None => {
                let now = change.now().await?;
                Self { change, now, epoch: 0, mark: Mark::default(), kept_until: Millis(0), told }
            }
        })
    }

    /// The log will tell this. It is written at the very end, since its one row is what steps of all subjects wait for.
    pub(super) fn tell(&mut self, entry: Entry) {
        self.told.push(entry);
    }

    pub(super) async fn commit<T>(mut self, done: T) -> Result<Committed<T>, StateError> {
        let told = !self.told.is_empty();
        if told {
            log::write(&mut self.change, &self.told, self.now).await?;
        }
        self.change.commit().await?;
        Ok(Committed { done, at: self.now, told })
    }
}

async fn lock_row(change: &mut Change, tag: SubjectTag) -> Result<Option<Locked>, sqlx::Error> {
    // The time of the outer row: the inner one is locked by then.
    query(
        "SELECT s.epoch, s.keep_until, {clock} AS at, (SELECT mark FROM state_store) AS mark \
         FROM (SELECT epoch, keep_until FROM state_subject WHERE tag = ? {lock}) s",
    )
    .bind(tag.to_string())
    .maybe(change)
    .await
}

async fn lock_or_make_row(change: &mut Change, tag: SubjectTag) -> Result<Locked, sqlx::Error> {
    loop {
        if let Some(row) = lock_row(change, tag).await? {
            return Ok(row);
        }
        // Made by us or by another who came first, it is locked in the next round; unless an old one was purged meanwhile.
        query("INSERT INTO state_subject (tag, epoch, denied_until, keep_until) VALUES (?, {now}, 0, 0) {or_keep tag}")
            .bind(tag.to_string())
            .run(&mut *change)
            .await?;
    }
}
