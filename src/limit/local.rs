//! Counts in this process alone, while the store is away: at half the quota, since others count alone too, and never without
//! limit (SEC-B7).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::state::counters::{Quota, Spent, judge};

/// More keys at once mean that somebody makes them up.
const AT_MOST: usize = 100_000;

pub(super) struct Local {
    /// When each key's quota is full again, in microseconds of the monotonic clock.
    full_at: Mutex<HashMap<String, u64>>,
    clock: Arc<dyn Clock>,
}

impl Local {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { full_at: Mutex::default(), clock }
    }

    pub(super) fn spend(&self, key: &str, quota: Quota) -> Spent {
        let quota = Quota { burst: (quota.burst / 2).max(1), ..quota };
        let now = self.clock.monotonic().as_micros() as u64;
        let mut kept = self.kept();
        if kept.len() >= AT_MOST {
            kept.retain(|_, full_at| *full_at > now);
        }
        let before = kept.get(key).copied();
        if before.is_none() && kept.len() >= AT_MOST {
            // There is no room to count it, so it is refused.
            let each = quota.per / quota.burst;
            return Spent { allowed: false, left: 0, retry_after: each, full_after: quota.per };
        }
        let (spent, full_at) = judge(before.unwrap_or(0), now, quota);
        kept.insert(key.to_owned(), full_at);
        spent
    }

    pub(super) fn refill(&self, key: &str) {
        self.kept().remove(key);
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local(…)")
    }
}
