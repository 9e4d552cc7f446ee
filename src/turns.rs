//! How much is taken on at a time (SEC-D6). Asked by each step that opens, renews or ends a session, and by each look-up of a
//! token that is not known yet.
//!
//! Such work waits mostly for the store, and shares the cores with everything else. Without a bound, a flood or a slow store
//! would pile it up until none of it is answered in time. A short queue smooths bursts; what finds it full, or stands in it for
//! too long, is refused and may come again.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// There is too much to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much is asked for at once")]
pub struct Overloaded;

#[derive(Debug)]
pub struct Turns {
    at_work: Semaphore,
    waiting: Semaphore,
    patience: Duration,
}

impl Turns {
    /// So many at work, so many in the queue, none of them for longer than this.
    pub fn of(at_work: usize, waiting: usize, patience: Duration) -> Self {
        Self { at_work: Semaphore::new(at_work), waiting: Semaphore::new(waiting), patience }
    }

    /// Returns when there is room; to be held until the work is done.
    ///
    /// # Errors
    /// The queue is full, or was stood in for too long.
    pub async fn take(&self) -> Result<SemaphorePermit<'_>, Overloaded> {
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
        let turns = Turns::of(1, 1, Duration::from_secs(1));
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
