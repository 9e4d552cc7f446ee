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

/// Waits until what ended is refused with this status. Asked so long after its end or later, it must not pass; an answer that is
/// late itself is no matter.
pub fn passes_no_longer(than: Duration, ended: Instant, refusal: u16, mut ask: impl FnMut() -> u16) {
    wait_for("the refusal of what ended", || {
        let asked = ended.elapsed();
        let status = ask();
        assert!(status != 200 || asked < than, "asked {asked:?} after its end it passed");
        status == refusal
    });
}
