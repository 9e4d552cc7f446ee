//! Waiting for a fact instead of for a time.

use std::thread;
use std::time::{Duration, Instant};

use super::http::Reply;

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the fact holds; fails the test where it does not, 20 s later.
pub fn wait_for(what: &str, mut fact: impl FnMut() -> bool) {
    let began = Instant::now();
    while !fact() {
        assert!(began.elapsed() < PATIENCE, "still waiting for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asks again while the answer is 503, which asks for that: a step has its time, 100 ms for a check's look-up, and a machine that
/// runs all tests at once may not have it. Gives what came last, 20 s later.
pub fn answered(mut ask: impl FnMut() -> Reply) -> Reply {
    let began = Instant::now();
    loop {
        let reply = ask();
        if reply.status != 503 || began.elapsed() > PATIENCE {
            return reply;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
