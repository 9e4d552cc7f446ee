//! The breaker: a store that has just failed several times in a row is not asked by everyone again, so callers get their
//! 503 at once instead of piling up behind time-outs (SEC-F2). Called by `lookup`.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Failures in a row that open it.
const PATIENCE: u32 = 3;
/// How often, while it is open, one call is let through to see whether the store is back.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// Opens after [`PATIENCE`] failures in a row, closes at the first success.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: AtomicU32,
    /// Monotonic milliseconds.
    next_probe: AtomicU64,
}

impl Breaker {
    /// Whether to ask the store now. While open, one caller each [`PROBE_EVERY`] hears yes; it need not report back.
    pub fn permits(&self, now: Duration) -> bool {
        if self.failures.load(Ordering::Relaxed) < PATIENCE {
            return true;
        }
        let (now, due) = (now.as_millis() as u64, self.next_probe.load(Ordering::Relaxed));
        let next = now + PROBE_EVERY.as_millis() as u64;
        now >= due && self.next_probe.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    pub fn failed(&self, now: Duration) {
        if self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1) == PATIENCE {
            self.next_probe.store((now + PROBE_EVERY).as_millis() as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    // SEC-F2
    #[test]
    fn an_open_breaker_lets_one_probe_through_at_a_time_and_closes_at_a_success() {
        let breaker = Breaker::default();
        for _ in 0..PATIENCE {
            assert!(breaker.permits(at(0)));
            breaker.failed(at(0));
        }
        assert!(!breaker.permits(at(249)));
        assert!(breaker.permits(at(250)));
        assert!(!breaker.permits(at(250)) && !breaker.permits(at(499)));
        assert!(breaker.permits(at(500)), "a probe that never reported back wedges nothing");
        breaker.failed(at(600));
        assert!(!breaker.permits(at(700)));
        breaker.succeeded();
        assert!(breaker.permits(at(700)) && breaker.permits(at(700)));
    }
}
