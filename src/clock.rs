//! Time as the rest of the program sees it: wall time in Unix seconds for claims, settable in tests.
//!
//! The token store's own clock, not this one, decides grace windows and idle ends; see `state`.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use rustix::time::ClockId;
use serde::{Deserialize, Serialize};

/// A moment in whole Unix seconds: the `NumericDate` of RFC 7519 section 2, without fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This moment moved into the future; saturates instead of overflowing.
    pub const fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()))
    }

    /// This moment moved into the past; saturates at the epoch.
    pub const fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_secs()))
    }

    /// How long after `earlier` this moment lies; zero when it does not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment in Unix milliseconds by the token store's clock: what rotation and idle ends are measured in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub u64);

impl Millis {
    pub const fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_millis() as u64))
    }

    /// How long after `earlier` this moment lies; zero when it does not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    pub const fn seconds(self) -> Timestamp {
        Timestamp(self.0 / 1000)
    }
}

impl From<Timestamp> for Millis {
    fn from(at: Timestamp) -> Self {
        Self(at.0.saturating_mul(1000))
    }
}

/// Where wall time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now_millis(&self) -> Millis;

    fn now(&self) -> Timestamp {
        self.now_millis().seconds()
    }

    /// Time since some fixed moment, never going back: for how stale something is, which no jump of the wall clock may
    /// change (SEC-F11).
    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(not(target_os = "linux"))]
impl Clock for SystemClock {
    fn now_millis(&self) -> Millis {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Millis(since_epoch.as_millis() as u64)
    }
}

/// As of the kernel's last tick, 1 to 10 ms ago: each check asks both, and these are plain loads.
#[cfg(target_os = "linux")]
impl Clock for SystemClock {
    fn now_millis(&self) -> Millis {
        Millis(coarse(ClockId::RealtimeCoarse).as_millis() as u64)
    }

    fn monotonic(&self) -> Duration {
        coarse(ClockId::MonotonicCoarse)
    }
}

#[cfg(target_os = "linux")]
fn coarse(clock: ClockId) -> Duration {
    let at = rustix::time::clock_gettime(clock);
    Duration::new(u64::try_from(at.tv_sec).unwrap_or_default(), u32::try_from(at.tv_nsec).unwrap_or_default())
}

/// A clock that stands still until it is told otherwise: for tests of time rules.
#[derive(Debug)]
pub struct FixedClock(AtomicU64);

impl FixedClock {
    pub const fn at(moment: Timestamp) -> Self {
        Self(AtomicU64::new(moment.0.saturating_mul(1000)))
    }

    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(span.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now_millis(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}
