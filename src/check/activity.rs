//! Session activity: noted in memory by hits, written to the store in batches, so that idle ends work without a write a
//! check (SEC-S6). A session's idle end moves on here only once the store has taken note, never on hope.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::check::cell::Cell;
use crate::check::checker::Checker;
use crate::clock::Millis;
use crate::state::Lookups;
use crate::token::SessionId;

/// Sessions in one write.
const BATCH: usize = 250;
/// For one write; the stores give up earlier by themselves.
const BUDGET: Duration = Duration::from_secs(2);
/// For all writes at the end of the process.
const LAST: Duration = Duration::from_secs(3);

/// The task that writes.
#[derive(Debug)]
pub struct Activity {
    checker: Arc<Checker>,
    idle: Duration,
    interval: Duration,
}

impl Activity {
    /// `idle` is `auth.auto_logout`: each use makes a session live on for that long.
    pub fn new(checker: Arc<Checker>, idle: Duration, interval: Duration) -> Self {
        // A quarter of the idle limit, so that a session in use is never thought idle between two writes.
        let interval = interval.min(idle / 4).max(Duration::from_millis(20));
        Self { checker, idle, interval }
    }

    /// Writes at intervals until `shutdown`, and then a last time: cancel it when the last check was answered.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = sleep(self.interval) => self.flush().await,
            }
        }
        if timeout(LAST, self.flush()).await.is_err() {
            tracing::warn!("the last uses of sessions could not be written in time");
        }
    }

    /// Writes what was used since the last time. What can't be written waits for the next time.
    pub async fn flush(&self) {
        let (seen, store) = (self.checker.seen(), self.checker.store());
        let cells = seen.drain();
        let mut failed = false;
        for batch in cells.chunks(BATCH) {
            if failed {
                batch.iter().for_each(|cell| seen.queue(cell.clone()));
            } else if !self.write(batch, store).await {
                failed = true;
                batch.iter().filter(|cell| cell.note_again()).for_each(|cell| seen.queue(cell.clone()));
            }
        }
    }

    async fn write(&self, batch: &[Arc<Cell>], store: &Arc<dyn Lookups>) -> bool {
        let uses: Vec<(SessionId, Millis)> =
            batch.iter().filter_map(|cell| Some((cell.sid()?, cell.take_note()))).collect();
        let written = match timeout(BUDGET, store.touch(&uses, self.idle)).await {
            Ok(Ok(())) => true,
            Ok(Err(why)) => {
                tracing::debug!(%why, "uses of sessions could not be written");
                false
            }
            Err(_) => {
                tracing::debug!("uses of sessions could not be written within {BUDGET:?}");
                false
            }
        };
        let clock = self.checker.clock();
        let (monotonic, now) = (clock.monotonic(), clock.now_millis());
        for (cell, (_, at)) in batch.iter().zip(&uses).filter(|_| written) {
            // The store skips a session that has ended, and idle ends are in no log. So one that is near its idle end
            // by our clock is not extended here, but asked for at its next use.
            let near = monotonic + self.idle / 4;
            cell.extend_idle(near, (monotonic + self.idle).saturating_sub(now.since(*at)));
        }
        written
    }
}

#[cfg(test)]
mod tests;
