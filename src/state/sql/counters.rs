//! Attempts, counted for all nodes together: one row a key.

use std::time::Duration;

use async_trait::async_trait;

use super::super::StateError;
use super::super::counters::{Counters, Quota, Spent, judge};
use super::super::observe::Op;
use super::step::{Lock, Step};
use super::{SqlState, unsigned};
use crate::clock::Millis;
use crate::database::{Database, query, signed};

/// A row is kept this long after its quota was full again, lest a clock that is set makes one full by removing it.
const KEEP: Duration = Duration::from_secs(60);

#[async_trait]
impl Counters for SqlState {
    async fn spend(&self, key: &str, quota: Quota) -> Result<Spent, StateError> {
        self.step(Op::Spend, Lock::Nothing, |mut step| async move {
            query("INSERT INTO state_counter (name, full_at) VALUES (?, 0) {or_keep name}")
                .bind(key)
                .run(&mut step.change)
                .await?;
            let (spent, full_at) = weigh(&mut step, key, quota).await?;
            if !spent.allowed {
                return step.commit(spent).await;
            }
            let kept = query("UPDATE state_counter SET full_at = ? WHERE name = ?")
                .bind(signed(full_at))
                .bind(key)
                .run(&mut step.change)
                .await?;
            // An old row may have been purged before it was locked.
            if kept == 1 { step.commit(spent).await } else { Err(StateError::GivenUp) }
        })
        .await
    }

    async fn peek(&self, key: &str, quota: Quota) -> Result<Spent, StateError> {
        self.step(Op::Spend, Lock::Nothing, |mut step| async move {
            let (spent, _) = weigh(&mut step, key, quota).await?;
            step.commit(spent).await
        })
        .await
    }

    async fn refill(&self, key: &str) -> Result<(), StateError> {
        self.step(Op::Spend, Lock::Nothing, |mut step| async move {
            query("DELETE FROM state_counter WHERE name = ?").bind(key).run(&mut step.change).await?;
            step.commit(()).await
        })
        .await
    }
}

/// Locks the key's row and judges an attempt; the time is read after the lock was waited for.
async fn weigh(step: &mut Step, key: &str, quota: Quota) -> Result<(Spent, u64), StateError> {
    let row: Option<(i64,)> =
        query("SELECT full_at FROM state_counter WHERE name = ? {lock}").bind(key).maybe(&mut step.change).await?;
    let now = step.change.now().await?;
    let full_at = unsigned(row.map_or(0, |(full_at,)| full_at))?;
    Ok(judge(full_at, micros(now), quota))
}

const fn micros(moment: Millis) -> u64 {
    moment.0.saturating_mul(1000)
}

pub(super) async fn purge(database: &Database, now: Millis) -> Result<(), StateError> {
    let before = micros(now).saturating_sub(KEEP.as_micros() as u64);
    query("DELETE FROM state_counter WHERE full_at < ?").bind(signed(before)).run(database).await?;
    Ok(())
}
