//! How often something may be tried, counted for all nodes together: the generic cell rate algorithm (GCRA), one number a
//! key, moved in one atomic step by the store's clock. `limit` asks; each store counts.

use std::time::Duration;

use async_trait::async_trait;

use super::StateError;

/// So many at once, refilled evenly: `5/min` is a burst of 5, and one more every 12 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// At least 1.
    pub burst: u32,
    /// The time in which an empty quota is full again.
    pub per: Duration,
}

/// What an attempt leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Whether it was within the quota. What was refused costs nothing: who waits as told gets through.
    pub allowed: bool,
    /// How many more there are now.
    pub left: u32,
    /// When the next one is allowed: zero where there are some left.
    pub retry_after: Duration,
    /// When the quota is full again.
    pub full_after: Duration,
}

#[async_trait]
pub trait Counters: Send + Sync {
    /// Spends one of the quota of `key`, if there is one. Of any number of calls at one time no more than the quota are allowed
    /// (SEC-B1). `key` is any text that holds no secret; a long one is the caller's to hash.
    async fn spend(&self, key: &str, quota: Quota) -> Result<Spent, StateError>;

    /// What the next attempt would be answered, without spending.
    async fn peek(&self, key: &str, quota: Quota) -> Result<Spent, StateError>;

    /// Makes the quota full again.
    async fn refill(&self, key: &str) -> Result<(), StateError>;
}

/// The rule: `full_at` is when the key's quota is full again, by the store's clock. Microseconds throughout, since a minute
/// parted by seven does not come out in milliseconds.
///
/// Gives the attempt's outcome, and when the quota is full after it.
pub fn judge(full_at: u64, now: u64, quota: Quota) -> (Spent, u64) {
    let burst = u64::from(quota.burst.max(1));
    let each = (quota.per.as_micros() as u64 / burst).max(1);
    // A moment further ahead than a whole quota takes is of a clock that went back, or of a larger quota before.
    let owed = full_at.saturating_sub(now).min(each * burst);
    let room = each * burst - owed;
    let allowed = room >= each;
    let owed = if allowed { owed + each } else { owed };
    let room = each * burst - owed;
    let spent = Spent {
        allowed,
        left: u32::try_from(room / each).unwrap_or(u32::MAX),
        retry_after: Duration::from_micros(each.saturating_sub(room)),
        full_after: Duration::from_micros(owed),
    };
    (spent, now + owed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIVE_A_MINUTE: Quota = Quota { burst: 5, per: Duration::from_secs(60) };
    const SECOND: u64 = 1_000_000;

    #[test]
    fn five_at_once_then_one_each_twelve_seconds() {
        let (mut full_at, now) = (0, 1_000 * SECOND);
        for left in [4, 3, 2, 1, 0] {
            let (spent, next) = judge(full_at, now, FIVE_A_MINUTE);
            assert!(spent.allowed);
            assert_eq!(spent.left, left);
            full_at = next;
        }
        let (refused, next) = judge(full_at, now, FIVE_A_MINUTE);
        assert_eq!(
            (refused.allowed, refused.retry_after, refused.full_after, next),
            (false, Duration::from_secs(12), Duration::from_secs(60), full_at)
        );
        assert!(!judge(full_at, now + 12 * SECOND - 1, FIVE_A_MINUTE).0.allowed);
        assert!(judge(full_at, now + 12 * SECOND, FIVE_A_MINUTE).0.allowed);
    }

    #[test]
    fn a_clock_that_went_back_locks_nobody_out_for_longer_than_a_whole_quota() {
        let (spent, _) = judge(900_000 * SECOND, 1_000 * SECOND, FIVE_A_MINUTE);
        assert_eq!((spent.allowed, spent.retry_after), (false, Duration::from_secs(12)));
    }

    proptest! {
        // SEC-B1
        #[test]
        fn no_window_of_time_holds_more_than_the_burst_and_what_was_refilled(
            waits in proptest::collection::vec(0u64..30 * SECOND, 1..200),
        ) {
            let (mut full_at, mut now) = (0, 10_000 * SECOND);
            let mut allowed_at = Vec::new();
            for wait in waits {
                now += wait;
                let (spent, next) = judge(full_at, now, FIVE_A_MINUTE);
                full_at = next;
                if spent.allowed {
                    allowed_at.push(now);
                }
            }
            for (at, first) in allowed_at.iter().enumerate() {
                for (count, last) in allowed_at[at..].iter().enumerate() {
                    prop_assert!((count as u64) < 5 + (last - first) / (12 * SECOND));
                }
            }
        }

        #[test]
        fn who_waits_as_told_gets_through(spent in 0u32..20, burst in 1u32..100, per in 1u64..10_000_000) {
            let quota = Quota { burst, per: Duration::from_micros(per) };
            let (mut full_at, mut now) = (0, 1);
            for _ in 0..spent {
                let (answer, next) = judge(full_at, now, quota);
                full_at = next;
                if !answer.allowed {
                    now += answer.retry_after.as_micros() as u64;
                    let (answer, next) = judge(full_at, now, quota);
                    prop_assert!(answer.allowed);
                    full_at = next;
                }
            }
        }
    }
}
