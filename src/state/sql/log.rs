//! The revocation log as a table. Its numbers come from one row, inside the writing transaction: so they rise in the order of
//! commits on every engine, and a reader that has seen a number has seen all below it.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::record::{entry_from, entry_parts};
use super::super::{Entry, LogBatch, Position, StateError};
use super::{Change, Step, signed, unsigned};
use crate::clock::{Millis, Timestamp};
use crate::database::Pool;
use crate::secret::{base64url, random_bytes};

/// A checker that was away for longer empties its cache.
const KEEP: Duration = Duration::from_secs(24 * 3600);

/// Writers of this process wake the reader; what another process wrote (the command line) is found by looking.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const AT_ONCE: i64 = 1000;

/// Makes the store's one row where it is missing: which store this is, and since when.
pub(super) async fn begin_store(change: &mut Change, now: Millis) -> Result<(), sqlx::Error> {
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM state_store").fetch_one(&mut **change).await?;
    if rows == 0 {
        sqlx::query(
            "INSERT INTO state_store (only_row, id, began_seconds, log_trimmed, log_end) VALUES (1, ?, ?, 0, 0)",
        )
        .bind(base64url(&random_bytes::<12>()))
        .bind(signed(now.seconds().0))
        .execute(&mut **change)
        .await?;
    }
    Ok(())
}

pub(super) async fn write(step: &mut Step<'_>, entry: &Entry) -> Result<(), StateError> {
    let (kind, name) = entry_parts(entry);
    sqlx::query("UPDATE state_store SET log_end = log_end + 1").execute(&mut *step.change).await?;
    sqlx::query(
        "INSERT INTO state_log (number, written_at, kind, name) VALUES ((SELECT log_end FROM state_store), ?, ?, ?)",
    )
    .bind(signed(step.now.0))
    .bind(kind)
    .bind(name)
    .execute(&mut *step.change)
    .await?;
    Ok(())
}

/// Removes old entries and remembers up to which, so that a reader behind them knows it has a gap.
pub(super) async fn purge(change: &mut Change, now: Millis) -> Result<(), sqlx::Error> {
    let before = signed(now.0.saturating_sub(KEEP.as_millis() as u64));
    let last: Option<i64> = sqlx::query_scalar("SELECT max(number) FROM state_log WHERE written_at < ?")
        .bind(before)
        .fetch_one(&mut **change)
        .await?;
    if let Some(last) = last {
        sqlx::query("DELETE FROM state_log WHERE number <= ?").bind(last).execute(&mut **change).await?;
        sqlx::query("UPDATE state_store SET log_trimmed = ?").bind(last).execute(&mut **change).await?;
    }
    Ok(())
}

pub(super) async fn read(
    pool: &Pool,
    written: &Notify,
    after: Option<&Position>,
    wait: Duration,
) -> Result<LogBatch, StateError> {
    let deadline = Instant::now() + wait;
    loop {
        // Listening begins before looking, so what is written in between wakes us.
        let mut woken = std::pin::pin!(written.notified());
        woken.as_mut().enable();
        let batch = look(pool, after).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if batch.gap || !batch.entries.is_empty() || left.is_zero() {
            return Ok(batch);
        }
        let _ = tokio::time::timeout(LOOK_EVERY.min(left), woken).await;
    }
}

async fn look(pool: &Pool, after: Option<&Position>) -> Result<LogBatch, StateError> {
    let (id, began, trimmed, end): (String, i64, i64, i64) =
        sqlx::query_as("SELECT id, began_seconds, log_trimmed, log_end FROM state_store").fetch_one(pool).await?;
    let last = after.and_then(|position| {
        let (store, number) = position.0.split_once(' ')?;
        let number: i64 = number.parse().ok()?;
        // Another store, a restored backup, or entries trimmed before they were read.
        (store == id && (trimmed..=end).contains(&number)).then_some(number)
    });
    let (mut position, mut entries) = (end, Vec::new());
    if let Some(last) = last {
        position = last;
        if last < end {
            let rows: Vec<(i64, String, String)> =
                sqlx::query_as("SELECT number, kind, name FROM state_log WHERE number > ? ORDER BY number LIMIT ?")
                    .bind(last)
                    .bind(AT_ONCE)
                    .fetch_all(pool)
                    .await?;
            for (number, kind, name) in rows {
                position = number;
                entries.push(entry_from(&kind, &name));
            }
        }
    }
    Ok(LogBatch {
        entries,
        position: Position(format!("{id} {position}").into()),
        gap: last.is_none(),
        store_began: Timestamp(unsigned(began)?),
    })
}
