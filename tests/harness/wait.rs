//! Waiting for a fact instead of for a time.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until the fact holds; fails the test where it does not, 20 s later.
pub fn wait_for(what: &str, mut fact: impl FnMut() -> bool) {
    let began = Instant::now();
    while !fact() {
        assert!(began.elapsed() < Duration::from_secs(20), "still waiting for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
