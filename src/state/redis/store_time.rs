//! Where the store's clock stands, as its answers tell: for saying in the store's own time until when a step counts. The
//! machines' clocks are not asked, so a wrong one harms nothing (SEC-R2, SEC-F11).

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use super::steps::TRY;
use crate::clock::Millis;

#[derive(Debug)]
pub(super) struct StoreTime {
    began: Instant,
    /// The store's time when `began`; 0 while nothing is known.
    store_began: AtomicU64,
}

impl StoreTime {
    /// As long as nothing is known every moment is long past: the store answers that it is too late, and what its time is.
    pub(super) fn unknown() -> Self {
        Self { began: Instant::now(), store_began: AtomicU64::new(0) }
    }

    /// Takes note of the time in an answer that has just come.
    pub(super) fn learn(&self, now: Millis) {
        let since = self.began.elapsed().as_millis() as u64;
        self.store_began.store(now.0.saturating_sub(since), Ordering::Relaxed);
    }

    /// That moment in the store's time, or up to one try later: an answer was under way when we took note of its time, so
    /// the store is ahead of what we know.
    pub(super) fn at(&self, moment: Instant) -> Millis {
        let store_began = Millis(self.store_began.load(Ordering::Relaxed));
        store_began.plus(moment.saturating_duration_since(self.began) + TRY)
    }
}
