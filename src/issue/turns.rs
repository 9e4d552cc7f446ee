//! How much the issuer takes on at a time (SEC-D6). Asked by each step that opens, renews or ends a session.
//!
//! Checks share the cores with it, and a step waits mostly for the store. Without a bound, a flood of logins or a slow store
//! would pile up work that checks then queue behind, and memory with it. A short queue smooths bursts; what finds it full, or
//! stands in it for too long, is answered 503 at once and may come again.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Steps at once: a hundred microseconds of work each, so checks wait a few hundredths of a second for them at the worst.
const AT_WORK: usize = 512;

/// As many clients as may be connected and ask one thing each.
const WAITING: usize = 4096;

/// Shorter than what a client waits, and than what one step may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The issuer has too much to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many sessions are being opened, renewed or ended at once")]
pub struct Overloaded;

#[derive(Debug)]
pub(super) struct Turns {
    at_work: Semaphore,
    waiting: Semaphore,
    patience: Duration,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self::of(AT_WORK, WAITING, PATIENCE)
    }

    fn of(at_work: usize, waiting: usize, patience: Duration) -> Self {
        Self { at_work: Semaphore::new(at_work), waiting: Semaphore::new(waiting), patience }
    }

    /// Returns when there is room; to be held until the step is done.
    pub(super) async fn take(&self) -> Result<SemaphorePermit<'_>, Overloaded> {
        if let Ok(turn) = self.at_work.try_acquire() {
            return Ok(turn);
        }
        let _place = self.waiting.try_acquire().map_err(|_| Overloaded)?;
        match tokio::time::timeout(self.patience, self.at_work.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Overloaded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-D6
    #[tokio::test]
    async fn work_and_queue_are_bounded() {
        let turns = Turns::of(1, 1, PATIENCE);
        let at_work = turns.take().await.expect("room");
        let next = async { turns.take().await.map(drop) };
        let crowd = async {
            let refused = turns.take().await.map(drop);
            drop(at_work);
            refused
        };
        assert_eq!(tokio::join!(biased; next, crowd), (Ok(()), Err(Overloaded)));
    }

    // SEC-D6
    #[tokio::test]
    async fn nobody_waits_in_vain_for_long() {
        let turns = Turns::of(1, 1, Duration::from_millis(1));
        let _at_work = turns.take().await.expect("room");
        assert_eq!(turns.take().await.err(), Some(Overloaded));
        assert_eq!(turns.waiting.available_permits(), 1, "its place is free again");
    }
}
