//! The revocation log as a table. Its numbers come from one row, which stays locked until the writing transaction ends: so they
//! rise in the order of commits on every engine, and a reader that has seen a number has seen all below it.

use std::time::Duration;

use tokio::time::Instant;

use super::super::record::{entry_from, entry_parts};
use super::super::{Entry, LogBatch, Position, Proof, StateError};
use super::follow::{CHANNEL, Following};
use super::unsigned;
use crate::clock::{Millis, Timestamp};
use crate::database::{Change, Database, query, signed};
use crate::secret::{base64url, random_bytes};

/// A checker that was away for longer empties its cache.
const KEEP: Duration = Duration::from_secs(24 * 3600);

/// Entries in one answer.
const AT_ONCE: i64 = 1000;

/// Makes the store's one row where it is missing: which store this is, and since when.
pub(super) async fn begin_store(database: &Database) -> Result<(), sqlx::Error> {
    let now = database.now().await?;
    query(
        "INSERT INTO state_store (only_row, id, began_seconds, log_trimmed, log_end) VALUES (1, ?, ?, 0, 0) \
         {or_keep only_row}",
    )
    .bind(base64url(&random_bytes::<12>()))
    .bind(signed(now.seconds().0))
    .run(database)
    .await?;
    Ok(())
}

/// Appends to the log. The last thing before the commit: until then, every other writer waits for this row.
pub(super) async fn write(change: &mut Change, entries: &[Entry], now: Millis) -> Result<(), StateError> {
    for entry in entries {
        let (kind, name) = entry_parts(entry);
        query("UPDATE state_store SET log_end = log_end + 1").run(&mut *change).await?;
        query("INSERT INTO state_log (number, written_at, kind, name) SELECT log_end, ?, ?, ? FROM state_store")
            .bind(now)
            .bind(kind)
            .bind(name)
            .run(&mut *change)
            .await?;
    }
    if matches!(change, Change::Postgres(_)) {
        // Told when this is committed, and only then.
        query("SELECT pg_notify(?, '')").bind(CHANNEL).run(change).await?;
    }
    Ok(())
}

/// Removes old entries and remembers up to which, so that a reader behind them knows it has a gap. The newest entry stays: by
/// it a reader knows that the log is the one it read.
pub(super) async fn purge(database: &Database, now: Millis) -> Result<(), StateError> {
    let before = Millis(now.0.saturating_sub(KEEP.as_millis() as u64));
    let mut change = database.begin().await?;
    let (last,): (i64,) = query(
        "SELECT COALESCE(max(l.number), 0) FROM state_log l, state_store s \
         WHERE l.written_at < ? AND l.number < s.log_end",
    )
    .bind(before)
    .one(&mut change)
    .await?;
    if last > 0 {
        // This row first, as whoever writes to the log.
        query("UPDATE state_store SET log_trimmed = ? WHERE log_trimmed < ?")
            .bind(last)
            .bind(last)
            .run(&mut change)
            .await?;
        query("DELETE FROM state_log WHERE number <= ?").bind(last).run(&mut change).await?;
    }
    Ok(change.commit().await?)
}

pub(super) async fn read(
    database: &Database,
    following: &Following,
    after: Option<&Position>,
    wait: Duration,
) -> Result<LogBatch, StateError> {
    let deadline = Instant::now() + wait;
    loop {
        // Listening begins before looking, so what is written in between wakes us.
        let written = following.next();
        let batch = look(database, after).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if batch.gap() || !batch.entries.is_empty() || left.is_zero() {
            return Ok(batch);
        }
        written.wait(left).await;
    }
}

/// The log as its one row tells it.
#[derive(sqlx::FromRow)]
struct Head {
    id: String,
    began_seconds: i64,
    log_trimmed: i64,
    log_end: i64,
    /// When the entry with the last number was written: two histories of one store, after a restored backup or a failover that
    /// lost something, have other moments under the same number.
    end_written_at: i64,
}

async fn look(database: &Database, after: Option<&Position>) -> Result<LogBatch, StateError> {
    let head: Head = query(
        "SELECT s.id, s.began_seconds, s.log_trimmed, s.log_end, COALESCE(l.written_at, 0) AS end_written_at \
         FROM state_store s LEFT JOIN state_log l ON l.number = s.log_end",
    )
    .one(database)
    .await?;
    let batch = |entries, (number, written_at): (i64, i64), gap| {
        Ok(LogBatch {
            entries,
            position: Position(format!("{} {number} {written_at}", head.id).into()),
            proof: Some(Proof { gap, store_began: Timestamp(unsigned(head.began_seconds)?) }),
        })
    };
    let end = (head.log_end, head.end_written_at);
    let Some(last) = after.and_then(|position| place(position, &head)) else { return batch(Vec::new(), end, true) };
    if last == end {
        return batch(Vec::new(), last, false);
    }
    let rows: Vec<(i64, i64, String, String)> =
        query("SELECT number, written_at, kind, name FROM state_log WHERE number >= ? ORDER BY number LIMIT ?")
            .bind(last.0)
            .bind(AT_ONCE + 1)
            .all(database)
            .await?;
    let (mut position, mut entries) = (last, Vec::new());
    for (number, written_at, kind, name) in rows {
        // The entry read last must still be there as it was, and each number follow the one before.
        let next = number == position.0 + 1;
        if number == last.0 && written_at == last.1 {
            continue;
        }
        if !next {
            return batch(Vec::new(), end, true);
        }
        position = (number, written_at);
        entries.push(entry_from(&kind, &name));
    }
    let gap = entries.is_empty();
    batch(entries, if gap { end } else { position }, gap)
}

/// Where a reader stands in this store's log; `None` for another store, and for entries trimmed before they were read.
fn place(position: &Position, head: &Head) -> Option<(i64, i64)> {
    let mut parts = position.0.split(' ');
    let id = parts.next()?;
    let (number, written_at) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let known = id == head.id && (head.log_trimmed..=head.log_end).contains(&number) && parts.next().is_none();
    known.then_some((number, written_at))
}
