//! Follows the revocation log: what ended elsewhere is forgotten here within milliseconds, and each answer of the store,
//! an empty one too, proves how fresh this checker is (SEC-S1, SEC-S3).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::check::checker::Checker;
use crate::metrics::Metrics;
use crate::secret::random_bytes;
use crate::state::{LogBatch, Position};

/// Longest wait for the next entry.
const WAIT: Duration = Duration::from_secs(1);
/// What an answer may take beyond the wait. Silence proves nothing: a frozen store gives neither entries nor errors. The
/// stores give up earlier by themselves, and take note of it.
const SLACK: Duration = Duration::from_millis(1500);
/// After an error; doubled with each further one, with jitter, so that sidecars do not come back all at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A store that answers emptily without having waited is not asked again at once.
const NO_SPIN: Duration = Duration::from_millis(10);
/// Between two housekeepings of the cache.
const TEND_EVERY: Duration = Duration::from_secs(1);

/// The task that follows.
#[derive(Debug)]
pub struct Follower {
    checker: Arc<Checker>,
    metrics: Arc<Metrics>,
    wait: Duration,
    position: Option<Position>,
    /// Reads in a row that failed.
    failures: u32,
    tended: Duration,
}

impl Follower {
    /// `max_staleness` is `check.cache.max_staleness`: an idle log is asked several times within it.
    pub fn new(checker: Arc<Checker>, metrics: Arc<Metrics>, max_staleness: Duration) -> Self {
        // With a bound of zero every check asks the store, and this one need not hurry.
        let wait = if max_staleness.is_zero() { WAIT } else { (max_staleness / 4).clamp(NO_SPIN, WAIT) };
        Self { checker, metrics, wait, position: None, failures: 0, tended: Duration::ZERO }
    }

    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let pause = tokio::select! {
                () = shutdown.cancelled() => return,
                pause = self.step() => pause,
            };
            if let Some(pause) = pause {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = sleep(pause) => {}
                }
            }
        }
    }

    /// One read, whatever comes of it; returns how long to pause before the next.
    async fn step(&mut self) -> Option<Duration> {
        let wait = if self.position.is_some() { self.wait } else { Duration::ZERO };
        // The moment before the question is what the answer counts for. A wait may have ended at any time after that,
        // so any later moment would be a guess; and the wait is short enough for this one to stay within the bound.
        let asked = self.checker.clock().monotonic();
        let read = self.checker.store().read_log(self.position.as_ref(), wait);
        let pause = match timeout(wait + SLACK, read).await {
            Ok(Ok(batch)) => self.take(batch, asked, wait),
            Ok(Err(why)) => Some(self.fail(&why.to_string())),
            Err(_) => Some(self.fail("it gave no answer in time")),
        };
        self.show();
        pause
    }

    fn take(&mut self, batch: LogBatch, asked: Duration, wait: Duration) -> Option<Duration> {
        self.checker.hear_batch(&batch, asked);
        if batch.gap() && self.position.is_some() {
            tracing::info!("the revocation log has a gap; everything known is looked up anew");
            // A removed key may be among what was missed; the issuer's key set tells (SEC-K3).
            tokio::spawn(self.checker.fetch_keys());
        }
        if self.failures > 0 {
            tracing::info!("the revocation log can be read again");
        }
        self.failures = 0;
        self.metrics.state_up.set(1);
        let waited = self.checker.clock().monotonic().saturating_sub(asked);
        let early = (batch.entries.is_empty() || batch.gap()) && self.position.is_some() && waited < wait / 2;
        self.position = Some(batch.position);
        early.then_some(NO_SPIN)
    }

    fn fail(&mut self, why: &str) -> Duration {
        if self.failures == 0 {
            tracing::warn!(why, "the revocation log can't be read");
        }
        self.metrics.state_up.set(0);
        let longest = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        let [share] = random_bytes::<1>();
        longest / 2 + longest / 2 * u32::from(share) / 256
    }

    fn show(&mut self) {
        let now = self.checker.clock().monotonic();
        self.metrics.observe_staleness(self.checker.staleness().unwrap_or(now));
        if now.saturating_sub(self.tended) >= TEND_EVERY {
            self.tended = now;
            self.metrics.cache_entries.set(i64::try_from(self.checker.tend()).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests;
