//! How much is taken on at a time (SEC-D6). Asked by each step that opens, renews or ends a session, and by each look-up of a
//! token that is not known yet.
//!
//! Such work waits mostly for the store, and shares the cores with everything else. Without a bound, a flood or a slow store
//! would pile it up until none of it is answered in time. A short queue smooths bursts; what finds it full, or stands in it for
//! too long, is refused and may come again. Once somebody has waited in vain, for a while only so many are let into the queue
//! as will get out of it: at twice the capacity half of all must be refused, and one that waits first costs as much as some work.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// There is too much to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much is asked for at once")]
pub struct Overloaded;

#[derive(Debug)]
pub struct Turns {
    at_work: Semaphore,
    waiting: Semaphore,
    /// How many may work, and how many may wait.
    most: (usize, usize),
    patience: Duration,
    born: Instant,
    /// Turns that were given to those who waited.
    given: AtomicUsize,
    /// How many may wait until `short_until`, in milliseconds since `born`.
    short: AtomicUsize,
    short_until: AtomicU64,
}

/// So many times its patience the queue is kept short after somebody waited in vain.
const KEPT_SHORT: u32 = 10;

impl Turns {
    /// So many at work, so many in the queue, none of them for longer than this.
    pub fn of(at_work: usize, waiting: usize, patience: Duration) -> Self {
        Self {
            at_work: Semaphore::new(at_work),
            waiting: Semaphore::new(waiting),
            most: (at_work, waiting),
            patience,
            born: Instant::now(),
            given: AtomicUsize::new(0),
            short: AtomicUsize::new(waiting),
            short_until: AtomicU64::new(0),
        }
    }

    /// Returns when there is room; to be held until the work is done.
    ///
    /// # Errors
    /// The queue is full, or was stood in for too long.
    pub async fn take(&self) -> Result<SemaphorePermit<'_>, Overloaded> {
        if let Ok(turn) = self.at_work.try_acquire() {
            return Ok(turn);
        }
        if self.is_crowded() {
            return Err(Overloaded);
        }
        let _place = self.waiting.try_acquire().map_err(|_| Overloaded)?;
        let before = self.given.load(Ordering::Relaxed);
        if let Ok(Ok(turn)) = tokio::time::timeout(self.patience, self.at_work.acquire()).await {
            self.given.fetch_add(1, Ordering::Relaxed);
            return Ok(turn);
        }
        // As many as got a turn while this one waited will get one while another does.
        let given = self.given.load(Ordering::Relaxed).wrapping_sub(before);
        self.short.store(given.clamp(self.most.0, self.most.0.max(self.most.1)), Ordering::Relaxed);
        self.short_until.store(self.age() + millis(self.patience * KEPT_SHORT), Ordering::Relaxed);
        Err(Overloaded)
    }

    /// Whether [`Self::take`] would refuse at once.
    pub fn is_crowded(&self) -> bool {
        if self.at_work.available_permits() > 0 {
            return false;
        }
        let waiting = self.most.1 - self.waiting.available_permits();
        let until = self.short_until.load(Ordering::Relaxed);
        let is_short = until > 0 && self.age() < until;
        waiting >= if is_short { self.short.load(Ordering::Relaxed).min(self.most.1) } else { self.most.1 }
    }

    fn age(&self) -> u64 {
        millis(self.born.elapsed())
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::task::JoinSet;

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

    // SEC-D6
    #[tokio::test]
    async fn once_somebody_waited_in_vain_no_more_are_let_in_than_get_out_and_later_all_again() {
        let patience = Duration::from_millis(20);
        let turns = Arc::new(Turns::of(2, 100, patience));
        let _at_work = [turns.take().await.expect("room"), turns.take().await.expect("room")];
        assert!(!turns.is_crowded(), "a burst may wait");
        assert_eq!(turns.take().await.err(), Some(Overloaded));
        let mut crowd = JoinSet::new();
        for _ in 0..50 {
            let turns = Arc::clone(&turns);
            crowd.spawn(async move { turns.take().await.map(drop) });
        }
        tokio::task::yield_now().await;
        assert_eq!((turns.is_crowded(), turns.waiting.available_permits()), (true, 98));
        assert_eq!(crowd.join_all().await, [Err(Overloaded); 50]);
        tokio::time::sleep(patience * (KEPT_SHORT + 2)).await;
        assert!(!turns.is_crowded());
    }
}
