//! What a flood of password logins does to the checks of the same process (SEC-D4).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::harness::doorward::Doorward;
use crate::harness::http::Request;
use crate::kit::compare::{median, percentile};
use crate::kit::questions::{Bearers, Guesses};
use crate::kit::world::World;
use crate::load::closed::Until;
use crate::load::open::{self, Offer};
use crate::load::{Address, http1};
use crate::table::{Line, Mark};

const GUESSERS: usize = 64;

/// Warm checks at fixed times, by turns alone and beside clients who try passwords as fast as they are answered.
pub fn measure(world: &World) -> Vec<Line> {
    let limits = json!({"auth": "off", "lockout": {"after": 0}});
    let both = Doorward::start(world.config(json!({"limits": limits})));
    let tokens: Vec<String> = (0..64).map(|user| both.login(user).access).collect();
    let tokens: &'static [String] = tokens.leak();
    world.warm(&Address::Tcp(both.check), tokens);
    // With an account the hash compared is its own, without one it is nobody's: the work is the same.
    let register = json!({"email": "guessed@example.com", "password": "rabbit-hole-7"});
    assert_eq!(Request::post("/auth/register", &register).send(both.public).status, 201);

    let offer = Offer { per_second: 1000.0, lasting: Duration::from_secs(world.of(2, 5)), connections: 64 };
    let checks = || {
        let outcome = open::run(both.check, offer, Bearers::by_nginx(tokens));
        assert_eq!(outcome.refused.answers, 0, "every check passes");
        let mut latencies = outcome.good.latencies;
        latencies.sort_unstable();
        percentile(&latencies, 0.99) / 1e6
    };
    let (mut alone, mut beside, mut guesses) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..world.of(3, 5) {
        alone.push(checks());
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| flood(both.public, &over));
            beside.push(checks());
            over.store(true, Ordering::Relaxed);
            guesses = flood.join().expect("answers");
        });
    }
    let (alone, beside) = (median(alone.into_iter()), median(beside.into_iter()));
    vec![Line::new(
        "a flood of password logins: p99 of warm checks beside it",
        Mark::AtMost(2.0),
        beside / alone,
        format!(
            "{beside:.2} ms against {alone:.2} ms without, 1000 checks/s; {GUESSERS} clients guess {guesses:.0} times/s"
        ),
    )]
}

/// How many guesses a second were looked at; the rest hears 503 at once.
fn flood(at: SocketAddr, over: &AtomicBool) -> f64 {
    let (mut answers, mut took) = (0, 0.0);
    while !over.load(Ordering::Relaxed) {
        let turn =
            http1::run(&Address::Tcp(at), GUESSERS, Until::After(Duration::from_millis(300)), &mut Guesses::default());
        answers += turn.answers - turn.others;
        took += turn.took.as_secs_f64();
    }
    answers as f64 / took
}
