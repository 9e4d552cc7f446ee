//! Where the store's clock stands, as its answers tell: for saying in the store's own time until when a step counts. The
//! machines' clocks are not asked, so a wrong one harms nothing (SEC-R2, SEC-F11).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Millis;

/// What the store's clock leaves out of its answers.
const MILLISECOND: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct StoreTime {
    began: Instant,
    known: Mutex<Known>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The store's time when `began`, at the most; 0 while nothing is known.
    store_began: u64,
    /// By how much it may be less.
    unsure: Duration,
}

impl StoreTime {
    /// As long as nothing is known every moment is long past: the store answers that it is too late, and what its time is.
    pub(super) fn unknown() -> Self {
        Self { began: Instant::now(), known: Mutex::default() }
    }

    /// Takes note of the time in an answer: the store gave it at some moment between question and answer.
    pub(super) fn learn(&self, now: Millis, asked: Instant, answered: Instant) {
        let since = asked.saturating_duration_since(self.began);
        let store_began = (now.0 + 1).saturating_sub(since.as_millis() as u64);
        *self.open() = Known { store_began, unsure: (answered - asked) + 2 * MILLISECOND };
    }

    /// That moment in the store's time, at the most: what reaches the store before it is not too late. And from when on
    /// anything that was told so is too late for certain.
    pub(super) fn until(&self, moment: Instant) -> (Millis, Instant) {
        let Known { store_began, unsure } = *self.open();
        (Millis(store_began).plus(moment.saturating_duration_since(self.began)), moment + unsure)
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_counts_until_its_moment_and_no_longer_than_the_answer_took_to_come() {
        let time = StoreTime::unknown();
        let store_at = |moment: Instant| 1_000_000 + (moment - time.began).as_millis() as u64;
        let (asked, ms) = (time.began + Duration::from_secs(5), Duration::from_millis);
        let end = asked + Duration::from_secs(1);
        assert!(time.until(end).0.0 < store_at(asked), "unknown, so long past");
        for given_after in [0, 30, 60] {
            time.learn(Millis(store_at(asked + ms(given_after))), asked, asked + ms(60));
            let (by, over) = time.until(end);
            assert!(store_at(end) <= by.0, "too late too early");
            assert!(store_at(over) > by.0, "a late copy would count");
        }
    }
}
