//! How fresh a checker is: when the revocation log was last read to its end. Written by `follower`, asked on every hit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;

/// When all revocations were last known here, by the monotonic clock.
#[derive(Debug, Default)]
pub struct Freshness {
    /// Milliseconds plus one; 0 is never.
    synced: AtomicU64,
    /// Unix seconds plus one; 0 is unknown.
    began: AtomicU64,
}

impl Freshness {
    /// Everything revoked before `at` is known here. Never moves back.
    pub fn synced(&self, at: Duration) {
        self.synced.fetch_max(at.as_millis() as u64 + 1, Ordering::AcqRel);
    }

    /// When the store's state began: tokens of other issuers from before are refused, since their denials may be lost
    /// (SEC-T20).
    pub fn began(&self, at: Timestamp) {
        self.began.store(at.0.saturating_add(1), Ordering::Release);
    }

    pub fn store_began(&self) -> Option<Timestamp> {
        self.began.load(Ordering::Acquire).checked_sub(1).map(Timestamp)
    }

    /// How long ago everything was known; `None` before the first time.
    pub fn staleness(&self, now: Duration) -> Option<Duration> {
        let synced = Duration::from_millis(self.synced.load(Ordering::Acquire).checked_sub(1)?);
        Some(now.saturating_sub(synced))
    }

    /// The same for something that the store itself confirmed at `confirmed`.
    pub fn staleness_of(&self, confirmed: Duration, now: Duration) -> Duration {
        let own = now.saturating_sub(confirmed);
        self.staleness(now).map_or(own, |log| log.min(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn staleness_is_the_time_since_the_later_of_log_and_own_confirmation() {
        let freshness = Freshness::default();
        assert_eq!(freshness.staleness(at(9)), None);
        assert_eq!(freshness.staleness_of(at(4), at(9)), at(5));
        freshness.synced(at(7));
        freshness.synced(at(6));
        assert_eq!(freshness.staleness(at(9)), Some(at(2)), "it never moves back");
        assert_eq!(freshness.staleness_of(at(4), at(9)), at(2));
        assert_eq!(freshness.staleness_of(at(8), at(9)), at(1));
    }
}
