//! Slow and hostile clients against the real binary, on the check plane and on the session plane: silent connections by the
//! thousand, heads that never end, and floods of HTTP/2 frames. Honest clients meanwhile all get the right answer (SEC-D1 to
//! D3, D6). What their latency becomes is printed: a loaded machine must not decide a test, so only a generous bound is
//! asserted.

#[path = "siege/attack.rs"]
mod attack;
mod harness;
#[path = "siege/honest.rs"]
mod honest;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use attack::{Flood, Outcome};
use harness::doorward::Doorward;
use honest::{Honest, Latency};
use serde_json::json;

/// Where attackers come from: an address that no proxy has. 127.0.0.1 is trusted, as a proxy is.
const STRANGER: [u8; 4] = [127, 0, 0, 2];

/// One siege at a time: they are measured.
static TURN: Mutex<()> = Mutex::new(());

fn besieged() -> Doorward {
    Doorward::start(json!({
        "listen": {"trusted_proxies": ["127.0.0.1/32"]},
        "logging": {"level": "info"},
        "auth": {"trusted_login": {"allow_from": ["127.0.0.1/32"]}},
    }))
}

/// Both planes, by name.
fn planes(doorward: &Doorward) -> [(&'static str, SocketAddr); 2] {
    [("check", doorward.check), ("public", doorward.public)]
}

/// Runs an attack while honest clients ask, and holds their answers and the process's memory to bounds.
fn withstands(doorward: &Doorward, name: &str, most_memory: u64, attack: impl FnOnce() -> Outcome) -> Outcome {
    let quiet = Honest::start(doorward).after(Duration::from_secs(1));
    let (memory, descriptors) = (doorward.process.memory(), doorward.process.descriptors());
    let honest = Honest::start(doorward);
    let outcome = attack();
    let grown = doorward.process.memory().saturating_sub(memory);
    report(name, &quiet, &honest.stop(), grown, &outcome);
    assert!(grown < most_memory, "{name}: {} MiB more", grown >> 20);
    doorward.process.eventually("all its sockets are closed", || doorward.process.descriptors() <= descriptors + 16);
    outcome
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn report(name: &str, quiet: &Latency, under: &Latency, grown: u64, outcome: &Outcome) {
    println!(
        "{name}: {} honest answers, p99 {:?} against {:?} in peace (x {:.1}), {} MiB more, {outcome:?}",
        under.answers,
        under.p99,
        quiet.p99,
        under.p99.as_secs_f64() / quiet.p99.as_secs_f64(),
        grown >> 20,
    );
}

// SEC-D2
#[test]
fn ten_thousand_silent_connections_are_ended_and_hold_nobody_up() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let doorward = besieged();
    let many = attack::sockets_to_have().min(10_000);
    let begun = Instant::now();
    let outcome =
        withstands(&doorward, &format!("{many} silent on check"), 300 << 20, || attack::silence(doorward.check, many));
    // A full queue in the kernel may have swallowed some of which their clients believe that they are connected.
    assert!(outcome.cut > many / 2, "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());

    // On the session plane one address gets no more than its share; the rest is closed at once.
    let outcome = withstands(&doorward, "1000 silent on public", 100 << 20, || attack::silence(doorward.public, 1000));
    assert_eq!(outcome.cut, outcome.opened);
    assert!(outcome.at_once >= 1000 - 128, "{outcome:?}");
}

// SEC-D2
#[test]
fn heads_that_come_a_byte_at_a_time_are_cut() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let doorward = besieged();
    for (plane, at) in planes(&doorward) {
        let outcome =
            withstands(&doorward, &format!("slow heads on {plane}"), 50 << 20, || attack::slow_heads(at, 100));
        assert_eq!((outcome.opened, outcome.cut), (100, 100), "{plane}");
        assert!(outcome.longest < Duration::from_secs(25), "{plane}: {outcome:?}");
    }
}

// SEC-D3
#[test]
fn floods_of_frames_end_their_connections_and_no_others() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let doorward = besieged();
    for flood in Flood::ALL {
        for (plane, at) in planes(&doorward) {
            let outcome = withstands(&doorward, &format!("{flood:?} on {plane}"), 100 << 20, || {
                attack::flood(at, flood, 4, Duration::from_secs(2))
            });
            assert!(outcome.cut > 0 && outcome.cut == outcome.opened, "{flood:?} on {plane}: {outcome:?}");
        }
    }
}

// SEC-D1
#[test]
fn a_thousand_heads_that_are_too_large_are_refused_in_flat_memory() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let doorward = besieged();
    for (plane, at) in planes(&doorward) {
        let outcome =
            withstands(&doorward, &format!("large heads on {plane}"), 100 << 20, || attack::large_heads(at, 1000));
        assert_eq!(outcome.cut, outcome.opened, "{plane}");
    }
}
