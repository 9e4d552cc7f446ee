//! Attempts, counted for all nodes together: one key each, spread over a cluster's slots. One try only: who counts attempts
//! goes on by himself where the store is slow, and a try sent again could count twice.

use std::time::Duration;

use async_trait::async_trait;
use fred::types::Value;

use super::super::StateError;
use super::super::counters::{Counters, Quota, Spent};
use super::super::observe::Op;
use super::RedisState;
use super::codec::Reply;
use super::keys;
use super::steps::TRY;

impl RedisState {
    async fn count(&self, key: &str, quota: Quota, spend: bool) -> Result<Spent, StateError> {
        let burst = u64::from(quota.burst.max(1));
        let each = (quota.per.as_micros() as u64 / burst).max(1);
        let number = |value: u64| Value::from(i64::try_from(value).unwrap_or(i64::MAX));
        let args = vec![number(burst), number(each), i64::from(spend).into()];
        let (key, script) = (keys::counter(key), &self.scripts.gcra);
        let reply = self
            .sessions
            .run(TRY, |wire| async move { wire.script(script.sha(), script.text(), vec![key], args).await })
            .await?;
        let mut reply = Reply::new(reply)?;
        let (allowed, owed) = (reply.int()? == 1, reply.parsed::<u64>()?);
        let room = (each * burst).saturating_sub(owed);
        Ok(Spent {
            allowed,
            left: u32::try_from(room / each).unwrap_or(u32::MAX),
            retry_after: Duration::from_micros(each.saturating_sub(room)),
            full_after: Duration::from_micros(owed),
        })
    }
}

#[async_trait]
impl Counters for RedisState {
    async fn spend(&self, key: &str, quota: Quota) -> Result<Spent, StateError> {
        self.observer.watch(Op::Spend, self.count(key, quota, true)).await
    }

    async fn peek(&self, key: &str, quota: Quota) -> Result<Spent, StateError> {
        self.observer.watch(Op::Spend, self.count(key, quota, false)).await
    }

    async fn refill(&self, key: &str) -> Result<(), StateError> {
        let key = keys::counter(key);
        let removed = self.sessions.run(TRY, |wire| async move { wire.remove(key).await });
        self.observer.watch(Op::Spend, removed).await.map(drop)
    }
}
